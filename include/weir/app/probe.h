/* SPDX-License-Identifier: MIT */
/*
 * Readiness checks, run from the loop without blocking it: tcp, http, exec, notify, log.
 *
 * A probe tries again every 200 ms (exec: after the last try ended) until it succeeds or is stopped; time
 * limits are the engine's. One try takes at most 2 s (tcp, http) or 10 s (exec). It calls back once, on success.
 * The last failure's text is kept for the report of a missed start-up
 * ("GET http://127.0.0.1:24280/health: connection refused").
 *
 * An exec check's process is a child of weir: who reaps with waitid(P_ALL) leaves it alone, or costs it its exit code.
 * It runs in weir's own cgroup.
 */
#ifndef WEIR_APP_PROBE_H
#define WEIR_APP_PROBE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <systemd/sd-event.h>

#include "weir/base/err.h"
#include "weir/config/config.h"

struct probe;

struct probe_options {
    sd_event *event;                  /* borrowed */
    const struct config_ready *ready; /* borrowed for the life of the probe */
    const char *const *environment;   /* for exec: borrowed for the life; NULL = weir's own */
    const char *working_directory;    /* for exec; NULL = "/" */
    bool has_ids;                     /* exec runs as this uid, gid */
    uid_t uid;
    gid_t gid;
    void (*on_ready)(void *user); /* at most once; the probe may be closed in it */
    void *user;
};

/* Nothing is tried and no callback called before the loop runs. -EINVAL: the check cannot be run as configured
 * (address, path, pattern); -ENOMEM; another negative errno of sd-event. */
int probe_start(const struct probe_options *options, struct probe **ret, struct err *reterr);

/* LOG probes: feed each output line. NOTIFY probes are fed by notify_* below. Others ignore it. */
void probe_feed_line(struct probe *p, const char *line, size_t length);
void probe_feed_ready(struct probe *p);

/* Why it is not ready yet; "" when never tried, or ready. Borrowed, until the next try. No control characters; a
 * check program's own words in it may be invalid UTF-8. */
const char *probe_last_failure(const struct probe *p);

/* Ends a running exec try (its whole process group; waits for its end 0.1 s at most), detaches. Accepts NULL, returns
 * NULL. */
struct probe *probe_stop(struct probe *p);

/* --- NOTIFY_SOCKET: one datagram socket per unit --- */

struct notify_socket;

/* path: RUN_DIR/UNIT.notify. allowed: is this pid (SCM_CREDENTIALS) one of the unit's? Messages of others are
 * ignored and counted, as are those above 8 KiB or with a NUL inside. on_message: one assignment at a time
 * ("READY", "1"), ("STATUS", "..."), ...; must not close the socket. allowed may be asked about a pid that is gone
 * already (systemd-notify exits at once). Received fds are closed. -ENAMETOOLONG: path is above 107 bytes. */
int notify_open(sd_event *event, const char *path, bool (*allowed)(void *user, pid_t pid),
                void (*on_message)(void *user, const char *key, const char *value), void *user,
                struct notify_socket **ret, struct err *reterr);
uint64_t notify_ignored_count(const struct notify_socket *n);
struct notify_socket *notify_close(struct notify_socket *n); /* unlinks */

/* --- a busy port is found before launch --- */

/* Is something listening on the address a tcp: or http: check asks? 0: free. 1: taken; *ret_text tells by whom:
 * "127.0.0.1:24280 is taken by node (pid 4242)" or "... by a process of another user (uid 33)"; *ret_pid is 0 then.
 * Negative errno: could not tell. Reads /proc/net/tcp, tcp6 and /proc/PID/fd: milliseconds, meant for a launch. */
int port_find_holder(const char *host, uint16_t port, pid_t *ret_pid, char *ret_text, size_t size);

#endif
