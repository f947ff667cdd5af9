/* SPDX-License-Identifier: MIT */
/* Ends of pipes and sockets; see the header. */
#include "end.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "weir/base/cleanup.h"

/* A description of our own of the same pipe or terminal, at the same number. False: leave it as it is. */
static bool open_anew(int fd, bool reads)
{
    char path[40];
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    _cleanup_close_ int own = open(path, (reads ? O_RDONLY : O_WRONLY) | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    return own >= 0 && dup3(own, fd, O_CLOEXEC) >= 0;
}

static enum end_kind adopt_kind(int fd, bool reads)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return END_PLAIN;
    if (S_ISSOCK(st.st_mode))
        return END_SOCKET;
    if ((S_ISFIFO(st.st_mode) || (S_ISCHR(st.st_mode) && isatty(fd))) && open_anew(fd, reads))
        return END_PIPE;
    return END_PLAIN;
}

void end_adopt(struct end *e, int fd, bool reads)
{
    *e = (struct end){.fd = fd, .kind = adopt_kind(fd, reads), .reads = reads, .ready = true, .epoll_fd = -1};
    (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
}

void end_own(struct end *e, int fd, bool reads)
{
    *e = (struct end){.fd = fd, .kind = END_OWN, .reads = reads, .ready = true, .epoll_fd = -1};
}

void end_close(struct end *e)
{
    end_unwatch(e);
    cleanup_close(&e->fd);
    *e = END_NULL;
}

int end_watch(struct end *e, int epoll_fd, uint64_t tag)
{
    struct epoll_event event = {.events = EPOLLET | (e->reads ? EPOLLIN | EPOLLRDHUP : EPOLLOUT),
                                .data.u64 = tag};
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, e->fd, &event) < 0)
        return errno == EPERM ? 0 : -errno;
    e->epoll_fd = epoll_fd;
    return 0;
}

/* Closing alone does not do it: a child that was just forked has our descriptors for a moment more, and what happens to an
 * old worker's pipe then would be taken for its successor's. */
void end_unwatch(struct end *e)
{
    if (e->epoll_fd >= 0)
        (void)epoll_ctl(e->epoll_fd, EPOLL_CTL_DEL, e->fd, NULL);
    e->epoll_fd = -1;
}

void end_event(struct end *e, uint32_t events)
{
    e->ready = true;
    if (events & (EPOLLHUP | EPOLLERR | EPOLLRDHUP))
        e->hungup = true;
}

/* A plain end may block: whether it would not, now. */
static bool plain_is_ready(const struct end *e)
{
    struct pollfd p = {.fd = e->fd, .events = e->reads ? POLLIN : POLLOUT};
    return poll(&p, 1, 0) > 0;
}

ssize_t end_read(struct end *e, void *data, size_t size)
{
    ssize_t n;
    if (e->kind == END_PLAIN && !plain_is_ready(e)) {
        e->ready = false;
        return -EAGAIN;
    }
    do
        n = e->kind == END_SOCKET ? recv(e->fd, data, size, MSG_DONTWAIT) : read(e->fd, data, size);
    while (n < 0 && errno == EINTR);
    if (n < 0) {
        n = -errno;
        e->ready = n != -EAGAIN;
    } else if (e->kind == END_OWN && !e->hungup && (size_t)n < size) {
        e->ready = false; /* it gave all it had: the next byte, or its end, is an event */
    }
    return n;
}

ssize_t end_write(struct end *e, const void *data, size_t size)
{
    ssize_t n;
    if (e->kind == END_PLAIN) {
        if (!plain_is_ready(e)) {
            e->ready = false;
            return -EAGAIN;
        }
        size = size < PIPE_BUF ? size : PIPE_BUF;
    }
    do
        n = e->kind == END_SOCKET ? send(e->fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL)
                                  : write(e->fd, data, size);
    while (n < 0 && errno == EINTR);
    if (n < 0) {
        n = -errno;
        e->ready = n != -EAGAIN;
    } else if ((e->kind == END_OWN || e->kind == END_PIPE) && (size_t)n < size) {
        e->ready = false; /* full: room is an event */
    }
    return n;
}
