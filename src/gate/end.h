/* SPDX-License-Identifier: MIT */
/*
 * One end of a pipe or a socket, read or written without ever blocking, and without changing the flags of a description
 * that others share: what the server gave us as stdin and stdout may be its own terminal, or a file it writes to as well.
 *
 *   pipe, terminal   opened anew through /proc/self/fd: a description of our own, O_NONBLOCK
 *   socket           cannot be opened anew: MSG_DONTWAIT on each call
 *   plain            anything else, and what could not be opened anew: asked with poll(2) before each call, and written
 *                    PIPE_BUF bytes at a time, which a pipe with any room takes whole
 *
 * `ready` is kept by edge-triggered epoll: set by an event, cleared when there was no more to do. So nothing is changed in
 * the kernel's set for a message, or for a hold.
 */
#ifndef WEIR_GATE_END_H
#define WEIR_GATE_END_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum end_kind {
    END_OWN,  /* a pipe that the gate made: a short read has emptied it */
    END_PIPE, /* the server's pipe or terminal: it may hand out less than it has (packets, lines) */
    END_SOCKET,
    END_PLAIN,
};

struct end {
    int fd; /* owned; -1 = closed */
    enum end_kind kind;
    bool reads;   /* it is for reading, else for writing */
    bool ready;   /* worth a try */
    bool hungup;  /* the other side is closed: what is left may be read */
    int epoll_fd; /* borrowed: that watches it; -1 = none */
};

#define END_NULL ((struct end){.fd = -1, .epoll_fd = -1})

/* Takes over fd, keeping its number. Never fails: what is worst is a plain end. */
void end_adopt(struct end *e, int fd, bool reads);
/* Takes over a pipe of our own that is O_NONBLOCK already. */
void end_own(struct end *e, int fd, bool reads);
void end_close(struct end *e);
static inline bool end_is_open(const struct end *e)
{
    return e->fd >= 0;
}

/* Adds it to the epoll set, with `tag` as its data, until it is closed. 0 also for a file that cannot be watched: it is
 * always ready. */
int end_watch(struct end *e, int epoll_fd, uint64_t tag);
/* Takes it out again. */
void end_unwatch(struct end *e);
/* What epoll told of it. */
void end_event(struct end *e, uint32_t events);

/* As read(2), write(2), but for errors: a negative errno, -EAGAIN: not now, an event will tell. EINTR is retried. */
ssize_t end_read(struct end *e, void *data, size_t size);
ssize_t end_write(struct end *e, const void *data, size_t size);

#endif
