/* SPDX-License-Identifier: MIT */
/*
 * link: a worker process behind two pipes, and calls to it.
 *
 * One thread, the keeper, owns the process: it reads answers and log lines, sees the worker end, and starts
 * the next one. Callers block in link_call() on their own threads. Ids only grow, in the order the requests go
 * down the pipe and over all workers of this server, so that an answer that comes late never fits another
 * call. After a start the keeper makes the handshake (ping until it is answered, then initModel) before calls
 * go out. All that is asked and all that comes back goes through the ledger: an answer belongs to exactly one
 * open id, or it is an error.
 *
 *   STARTING --handshake answered--> READY --process ended--> WAITING --back-off over--> STARTING
 *                                                \--never_respawn--> GONE
 *
 * Invariants: at most one worker at a time; the write end of its stdin is closed only under write_lock; no
 * call gets an id while another one writes; a call is in the pending list exactly while its caller waits.
 */
#ifndef WORKLOADS_LINK_H
#define WORKLOADS_LINK_H

#include <jansson.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "ledger.h"

enum link_state { LINK_STARTING, LINK_READY, LINK_WAITING, LINK_GONE };

struct link_options {
    char *const *argv; /* argv[0] is looked up in PATH; borrowed for the life of the link */
    bool never_respawn;
    bool die_on_epipe;
    int64_t call_timeout_us;
    const char *ledger_path; /* NULL: what is asked and answered is only counted */
};

struct link_call;

struct line_buffer {
    char *data;
    size_t size, room;
};

struct link {
    struct link_options options;
    struct ledger ledger;
    pthread_mutex_t lock; /* state, pid, restarts, pending, writing, next_id, backoff_us */
    pthread_cond_t changed;
    enum link_state state;
    pid_t pid;
    int64_t restarts_count;
    int64_t next_id;
    int64_t backoff_us;
    struct link_call *pending;
    bool writing; /* a call has the pipe: the next one gets its id after it */

    pthread_mutex_t write_lock; /* stdin_fd */
    int stdin_fd;
    int64_t generation; /* counts workers; changed under both locks, so either is enough to read it */
    atomic_bool worker_alive;
    atomic_bool stopping;

    pthread_t keeper;
    int wake_fd;
    /* keeper's own */
    int stdout_fd, stderr_fd, pid_fd;
    struct line_buffer out_lines, err_lines;
    int handshake_step;
    int64_t handshake_id;       /* of the request that is not answered yet; 0: none */
    int64_t handshake_retry_us; /* 0: no retry due */
};

enum { LINK_ERROR = 1 };

/*
 * Starts the first worker and the keeper. The link must stay at its address. Returns 0 or a negative errno
 * (-ENOENT where the program is not in PATH). The caller has blocked the signals it waits for and ignores
 * SIGPIPE.
 */
int link_start(struct link *link, const struct link_options *options);

/*
 * Sends one request and waits for its answer, and before that for a worker to be ready. params is borrowed.
 * Returns 0 with the result, or LINK_ERROR with the error object, both new references in ret_answer;
 * otherwise -EPIPE     the worker went away before it answered (it may have done the work) -ENOTCONN  there
 * is no worker and there will be none -ETIMEDOUT no answer within call_timeout_us -ESHUTDOWN link_stop() was
 * called
 */
int link_call(struct link *link, const char *method, json_t *params, json_t **ret_answer);

/* For methods that can be sent again: as link_call(), but -EPIPE is answered by calling the next worker. */
int link_call_again(struct link *link, const char *method, json_t *params, json_t **ret_answer);

struct link_status {
    enum link_state state;
    pid_t pid; /* 0 where there is none */
    int64_t restarts_count;
};

struct link_status link_status(struct link *link);

/*
 * Closes the worker's stdin, waits up to 2 s, kills it and waits for its end; every caller gets -ESHUTDOWN.
 * Returns 0, or -ETIMEDOUT where even a killed worker did not end (a v1 freezer holds it).
 */
int link_stop(struct link *link);

#endif
