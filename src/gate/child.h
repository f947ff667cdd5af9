/* SPDX-License-Identifier: MIT */
/*
 * A worker's process: a child of the gate that waits for its place, becomes the command, and ends.
 *
 *   child_fork()      it exists, with its own pipes as stdin and stdout, and reads from `go`
 *   child_go()        it may exec; whether it could is told by `exec`: closed = yes, an errno = no
 *   child_reap()      it has ended
 *
 * While it waits it dies with the gate. Once it runs it does not: it sees the end of its stdin. From the gate it gets
 * nothing but stdin, stdout and what the server had given to the gate: signal mask and dispositions as they were, stderr,
 * folder, and descriptors that the server left open for it; the gate's own are all O_CLOEXEC, and closed before it waits.
 */
#ifndef WEIR_GATE_CHILD_H
#define WEIR_GATE_CHILD_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "end.h"
#include "weir/base/err.h"
#include "weir/gate/link.h"

/* As the gate found it, to be given to the worker. */
struct child_origin {
    char **argv; /* of the command */
    sigset_t mask;
    struct sigaction pipe, child; /* SIGPIPE's, SIGCHLD's: the gate needs its own */
};

struct child {
    pid_t pid;      /* 0 = none */
    int go_fd;      /* owned: writing lets it exec; -1 = it was let go */
    int exec_fd;    /* owned: tells whether it could; -1 = told */
    int memory_fd;  /* owned: memory.current of its cgroup; -1 = not known */
    struct end in;  /* its stdin, for writing */
    struct end out; /* its stdout, for reading */
    uint32_t generation;
    bool let_go;
    int exec_error; /* errno; 0 = it could */
};

void child_init(struct child *c);
/* Closes what is open. Does not end the process. */
void child_deinit(struct child *c);
int child_fork(struct child *c, const struct child_origin *origin, struct err *reterr);
/* setting: NAME=value to add to its environment, or "". */
int child_go(struct child *c, uint32_t generation, const char *setting);
/* After an event of exec_fd: 0: it runs; a positive errno: it could not exec; -EAGAIN: not known yet. */
int child_exec_result(struct child *c);
/* 1: it has ended, *ret_status as of waitpid(2); 0: it has not. */
int child_reap(struct child *c, int *ret_status);
/* memory.current, or 0 when that cannot be read. */
uint64_t child_memory(const struct child *c);

#endif
