/* SPDX-License-Identifier: MIT */
/*
 * A look at the bytes in a pipe that leaves them there: tee(2) into a private pipe, and read(2) of that.
 *
 * A program that is killed between the look and what it does with the bytes has taken none of them. Right for a pipe
 * with a single reader only: another one would take what was looked at. The private pipe is empty between two calls;
 * how many buffers it has bounds one look, not what can be looked at.
 */
#ifndef WEIR_APP_PEEK_H
#define WEIR_APP_PEEK_H

#include <stddef.h>
#include <sys/types.h>

struct peek {
    int read_fd, write_fd; /* owned; -1 = not open */
};

#define PEEK_NULL ((struct peek){.read_fd = -1, .write_fd = -1})

/* Returns 0 or a negative errno. */
int peek_init(struct peek *p);

/* Copies up to size bytes from the front of the pipe, possibly fewer than it holds; never blocks. Returns how many, 0:
 * the pipe is empty, or a negative errno: a look is not possible here. */
ssize_t peek_copy(struct peek *p, int pipe, char *buf, size_t size);

/* Takes size bytes off the front of a non-blocking pipe. Returns how many were there. */
size_t peek_discard(int pipe, size_t size);

void peek_deinit(struct peek *p); /* idempotent */

#endif
