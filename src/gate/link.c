/* SPDX-License-Identifier: MIT */
/* The gate's side of the link; see the header. */
#include "link.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "weir/base/cleanup.h"

int link_init(struct link *l, const char *run_dir)
{
    *l = (struct link){.fd = -1, .address.sun_family = AF_UNIX};
    int n = snprintf(l->address.sun_path, sizeof(l->address.sun_path), "%s/gate.sock", run_dir);
    return n < 0 || (size_t)n >= sizeof(l->address.sun_path) ? -ENAMETOOLONG : 0;
}

void link_drop(struct link *l, uint64_t now_us)
{
    cleanup_close(&l->fd);
    l->fd = -1;
    l->retry_us = now_us + LINK_RETRY_US;
}

int link_connect(struct link *l, int epoll_fd, uint64_t tag, uint64_t now_us)
{
    struct epoll_event event = {.events = EPOLLET | EPOLLIN | EPOLLOUT | EPOLLRDHUP, .data.u64 = tag};
    if (l->fd >= 0 || now_us < l->retry_us)
        return 0;
    l->retry_us = now_us + LINK_RETRY_US;
    _cleanup_close_ int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&l->address, sizeof(l->address)) < 0 ||
        epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
        return 0;
    l->fd = steal_fd(&fd);
    l->readable = l->writable = true;
    return 1;
}

int link_send(struct link *l, const struct gate_says_message *m)
{
    ssize_t n;
    if (l->fd < 0 || !l->writable)
        return -EAGAIN;
    do
        n = send(l->fd, m, sizeof(*m), MSG_DONTWAIT | MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    if (n == (ssize_t)sizeof(*m))
        return 0;
    if (n < 0 && errno == EAGAIN)
        l->writable = false;
    return n < 0 ? -errno : -EPROTO;
}

#define IS_TEXT(array) (memchr((array), '\0', sizeof(array)) != NULL)

static bool are_names(const char names[][GATE_NAME_MAX], uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (!IS_TEXT(names[i]))
            return false;
    return true;
}

static bool are_sane_settings(const struct gate_settings *s)
{
    return (s->format == GATE_FORMAT_JSONL || s->format == GATE_FORMAT_LINES) &&
           s->handshake_count <= GATE_LIST_MAX && s->replay_count <= GATE_LIST_MAX && IS_TEXT(s->spool_dir) &&
           are_names(s->handshake, s->handshake_count) && are_names(s->replay, s->replay_count);
}

/* What a supervisor of this build can have said. */
static bool is_sane(const struct gate_told_message *m)
{
    if (m->kind >= GATE_TOLD_COUNT || !IS_TEXT(m->text))
        return false;
    switch ((enum gate_told)m->kind) {
    case GATE_TOLD_WELCOME:
        return are_sane_settings(&m->settings);
    case GATE_TOLD_GO:
        return m->generation != 0;
    case GATE_TOLD_ORDER:
        return m->order < GATE_ORDER_COUNT;
    case GATE_TOLD_REFUSE:
    case GATE_TOLD_ENDING:
    case GATE_TOLD_CAUSE:
    case GATE_TOLD_ASK_AGAIN:
    case GATE_TOLD_PREPARE:
    case GATE_TOLD_COUNT:
        break;
    }
    return true;
}

/* The first descriptor that came, or -1. There is room for two: a header's length is rounded up. */
static int take_descriptor(struct msghdr *header)
{
    int first = -1;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c; c = CMSG_NXTHDR(header, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
            if (first < 0)
                first = fd;
            else
                close(fd);
        }
    }
    return first;
}

int link_receive(struct link *l, struct gate_told_message *ret, int *ret_fd)
{
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control;
    struct iovec data = {.iov_base = ret, .iov_len = sizeof(*ret)};
    struct msghdr header = {.msg_iov = &data, .msg_iovlen = 1};
    ssize_t n;
    if (l->fd < 0 || !l->readable)
        return 0;
    header.msg_control = control.bytes;
    header.msg_controllen = sizeof(control.bytes);
    do
        n = recvmsg(l->fd, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == EINTR);
    if (n < 0 && errno == EAGAIN) {
        l->readable = false;
        return 0;
    }
    if (n <= 0)
        return n < 0 ? -errno : -ECONNRESET;
    _cleanup_close_ int fd = take_descriptor(&header);
    /* the version stands first in every version's message */
    if ((size_t)n >= sizeof(ret->version) && ret->version != GATE_LINK_VERSION)
        return -EPROTONOSUPPORT;
    if (n != (ssize_t)sizeof(*ret) || header.msg_flags & MSG_TRUNC || !is_sane(ret))
        return -EPROTO;
    *ret_fd = steal_fd(&fd);
    return 1;
}
