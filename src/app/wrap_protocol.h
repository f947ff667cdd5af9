/* SPDX-License-Identifier: MIT */
/*
 * What a wrapped command and the supervisor say to each other over RUN_DIR/wrap.sock (SOCK_SEQPACKET):
 * one request, one answer, both a struct of fixed size. Both ends are the same binary, and the version is
 * checked because an upgrade may replace it under a running supervisor.
 */
#ifndef WEIR_APP_WRAP_PROTOCOL_H
#define WEIR_APP_WRAP_PROTOCOL_H

#include <stdint.h>

#define WRAP_VERSION         2
#define WRAP_NAME_MAX        64
#define WRAP_ENVIRONMENT_MAX 1024

struct wrap_request {
    uint32_t version;
    char name[WRAP_NAME_MAX]; /* the name it was started by */
};

enum wrap_answer_kind {
    WRAP_ANSWER_GO = 1,     /* this process is in the unit's cgroup: become the command */
    WRAP_ANSWER_REFUSE = 2, /* text says why */
    WRAP_ANSWER_STAY =
        3, /* it is a service's own main process (exec = uv ...): become the command where it is */
    WRAP_ANSWER_GATE = 4, /* become the gate at the path that text gives, for `unit`: it starts the command */
};

struct wrap_answer {
    uint32_t version;
    uint32_t kind;
    char text[WRAP_ENVIRONMENT_MAX]; /* GO: one NAME=value to add to the environment, or ""; REFUSE: why;
                                       STAY: "" */
    char unit[WRAP_NAME_MAX];        /* GATE */
};

#endif
