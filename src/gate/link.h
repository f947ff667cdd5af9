/* SPDX-License-Identifier: MIT */
/*
 * The gate's side of RUN_DIR/gate.sock: connects, connects again, sends and receives whole messages, and lets go of a
 * supervisor that does not keep to the protocol. What the messages mean is not in here (tell.c, told.c).
 */
#ifndef WEIR_GATE_LINK_CLIENT_H
#define WEIR_GATE_LINK_CLIENT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/un.h>

#include "weir/gate/link.h"

#define LINK_RETRY_US 500000U /* as designed: often enough for a supervisor that is started again */

struct link {
    struct sockaddr_un address;
    int fd; /* owned; -1 = no supervisor */
    bool readable, writable;
    bool other_version; /* was said once */
    uint64_t retry_us;  /* when to try again, if there is none */
};

/* -ENAMETOOLONG: the path is no socket's. */
int link_init(struct link *l, const char *run_dir);
/* Lets go of the supervisor; tried again after LINK_RETRY_US. */
void link_drop(struct link *l, uint64_t now_us);
/* Tries, when it is time to. 1: there is one now; it is in the epoll set with `tag` (edge-triggered). */
int link_connect(struct link *l, int epoll_fd, uint64_t tag, uint64_t now_us);

/* 0: sent; -EAGAIN: no room now, or no supervisor; another negative errno: it is gone. */
int link_send(struct link *l, const struct gate_says_message *m);
/* 1: *ret, and *ret_fd, which the caller owns (-1 = none came); 0: nothing is there; negative: it is gone, or breaks the
 * protocol (-EPROTO; -EPROTONOSUPPORT: of another version). */
int link_receive(struct link *l, struct gate_told_message *ret, int *ret_fd);

#endif
