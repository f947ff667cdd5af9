/* SPDX-License-Identifier: MIT */
/*
 * tee(2) copies references to the pipe's pages, no bytes; see the header.
 *
 * The private pipe has the default size, 16 buffers (pipe(7)): a writer's small writes share a page, so this is some
 * 32 KiB at least, as much as a turn of the loop wants. Buffers the unit spliced in may hold a byte each: a look is
 * then shorter, and the next one follows.
 */
#include "peek.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "weir/base/cleanup.h"

int peek_init(struct peek *p)
{
    int ends[2];
    *p = PEEK_NULL;
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
        return -errno;
    *p = (struct peek){.read_fd = ends[0], .write_fd = ends[1]};
    return 0;
}

/* Up to size bytes of a non-blocking pipe. Returns how many were there. */
static size_t read_there(int pipe, char *buf, size_t size)
{
    size_t done = 0;
    while (done < size) {
        ssize_t n = read(pipe, buf + done, size - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        done += (size_t)n;
    }
    return done;
}

ssize_t peek_copy(struct peek *p, int pipe, char *buf, size_t size)
{
    ssize_t n;
    do
        n = tee(pipe, p->write_fd, size, SPLICE_F_NONBLOCK);
    while (n < 0 && errno == EINTR);
    if (n <= 0)
        return n == 0 || errno == EAGAIN ? 0 : -errno;
    if (read_there(p->read_fd, buf, (size_t)n) == (size_t)n)
        return n;
    /* what stayed in the private pipe would be taken for the front of the next look */
    peek_deinit(p);
    (void)peek_init(p);
    return -EIO;
}

size_t peek_discard(int pipe, size_t size)
{
    char buf[8192]; /* chosen: four calls for a turn's bytes, small on the stack */
    size_t done = 0, n = 1;
    while (done < size && n > 0) {
        size_t left = size - done;
        n = read_there(pipe, buf, left < sizeof(buf) ? left : sizeof(buf));
        done += n;
    }
    return done;
}

void peek_deinit(struct peek *p)
{
    cleanup_close(&p->read_fd);
    cleanup_close(&p->write_fd);
    *p = PEEK_NULL;
}
