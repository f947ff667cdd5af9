/* SPDX-License-Identifier: MIT */
/*
 * What the kinds of readiness check share. A check is a chain of tries: probe.c holds the timer and the
 * outcome, a kind says how a try begins, and is told when it took too long or is to be left. A kind ends its
 * try itself with probe_try_failed() or probe_try_succeeded(), from the loop, never from within begin (there
 * it returns).
 */
#ifndef WEIR_APP_PROBE_INTERNAL_H
#define WEIR_APP_PROBE_INTERNAL_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <systemd/sd-event.h>

#include "address.h"
#include "command.h"
#include "http_head.h"
#include "weir/app/probe.h"
#include "weir/base/units.h"

#define PROBE_RETRY_US                                                                                       \
    (200 * USEC_PER_MSEC) /* chosen: a start-up is seen as ready at once, and costs nothing */
#define PROBE_NET_LIMIT_US                                                                                   \
    (2 * USEC_PER_SEC) /* chosen: twice kubelet's default timeoutSeconds = 1; a cold start is slow */
#define PROBE_EXEC_LIMIT_US                                                                                  \
    (10 * USEC_PER_SEC) /* chosen: an interpreter may have to be read from disk first */
#define PROBE_REQUEST_MAX 2048
#define PROBE_SAID_MAX    256 /* of a check program's first words on stderr */

struct probe_kind {
    uint64_t limit_us; /* of one try */
    /* Checks the config, compiles. Called once. May be NULL. */
    int (*init)(struct probe *p, struct err *reterr);
    /* Begins a try. Negative: failed at once, p->failure is set. */
    int (*begin)(struct probe *p);
    /* Releases whatever the try holds; also called when there is none. */
    void (*end)(struct probe *p);
    /* Text of a try that took longer than limit_us. */
    const char *late_text;
    void (*deinit)(struct probe *p); /* may be NULL */
};

struct probe_net {
    struct in6_addr addresses[ADDRESS_MAX];
    unsigned address_count, address_at;
    int fd;
    sd_event_source *source;
    bool is_connected;
    char request[PROBE_REQUEST_MAX]; /* HTTP only */
    size_t request_length;
    char answer[HTTP_HEAD_MAX];
    size_t answer_length;
};

struct probe_exec {
    struct command command;
    char said[PROBE_SAID_MAX];
    size_t said_length;
};

struct probe {
    struct probe_options options;
    const struct probe_kind *kind; /* NULL: fed from outside (NOTIFY, LOG), or ready at once (NONE) */
    bool is_done, is_trying;
    uint64_t try_start_us;
    sd_event_source *timer; /* the next try, or the end of this one's time */
    char target[320];       /* "GET http://127.0.0.1:24280/health" */
    char failure[ERR_TEXT_MAX];
    struct pattern *pattern; /* LOG */
    uint64_t line_count;     /* LOG */
    union {
        struct probe_net net;
        struct probe_exec exec;
    };
};

extern const struct probe_kind probe_tcp, probe_http, probe_exec;

/* "TARGET: TEXT", the text's capital (strerror's) made small. Returns -EAGAIN. */
int probe_set_failure(struct probe *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The try is over, failure text set: the next one is arranged. */
void probe_try_failed(struct probe *p);

/* The check is over. The probe may be gone on return. */
void probe_try_succeeded(struct probe *p);

#endif
