/* SPDX-License-Identifier: MIT */
/*
 * NOTIFY_SOCKET, the service's side of sd_notify(3): one datagram socket a unit.
 *
 * Anyone may write to it (0666: the unit may run as any user), so a message counts only when the kernel's
 * word on its sender (SCM_CREDENTIALS) satisfies the caller. Received fds are closed at once; for
 * sd_notify_barrier() that is the answer. One message a loop turn, so that a flood of them slows nothing.
 * What must not go in here: what a message means.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "weir/app/probe.h"
#include "weir/base/cleanup.h"

#define MESSAGE_MAX_BYTES (8 * 1024) /* chosen: twice systemd's NOTIFY_BUFFER_MAX (src/core/manager.c) */
#define FDS_MAX           253        /* SCM_MAX_FD, include/net/scm.h: no message holds more */

struct notify_socket {
    int fd;
    sd_event_source *source;
    struct sockaddr_un address;
    bool (*allowed)(void *user, pid_t pid);
    void (*on_message)(void *user, const char *key, const char *value);
    void *user;
    uint64_t ignored_count;
    char message[MESSAGE_MAX_BYTES + 1];
};

static void close_fds(struct cmsghdr *c)
{
    size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; i++) {
        int fd;
        memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
        cleanup_close(&fd);
    }
}

/* Closes what came along; returns the sender, 0 when the kernel did not say. */
static pid_t take_control(struct msghdr *m)
{
    pid_t pid = 0;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
        if (c->cmsg_level != SOL_SOCKET)
            continue;
        if (c->cmsg_type == SCM_RIGHTS)
            close_fds(c);
        if (c->cmsg_type == SCM_CREDENTIALS && c->cmsg_len == CMSG_LEN(sizeof(struct ucred))) {
            struct ucred creds;
            memcpy(&creds, CMSG_DATA(c), sizeof(creds));
            pid = creds.pid;
        }
    }
    return pid;
}

/* Each line KEY=VALUE; other lines mean nothing. */
static void deliver(struct notify_socket *n, char *text)
{
    char *rest = text;
    for (char *line; (line = strsep(&rest, "\n"));) {
        char *value = strchr(line, '=');
        if (!value || value == line)
            continue;
        *value++ = '\0';
        n->on_message(n->user, line, value);
    }
}

static int on_readable(sd_event_source *source, int fd, uint32_t events, void *user)
{
    (void)source, (void)events;
    struct notify_socket *n = user;
    union {
        char bytes[CMSG_SPACE(sizeof(struct ucred)) + CMSG_SPACE(FDS_MAX * sizeof(int))];
        struct cmsghdr align;
    } control;
    struct iovec data = {n->message, MESSAGE_MAX_BYTES};
    struct msghdr m = {
        .msg_iov = &data, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};
    ssize_t size = recvmsg(fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (size < 0)
        return 0; /* EAGAIN, EINTR; and no error of one message may end the watch */
    pid_t pid = take_control(&m);
    if (size > 0 && n->message[size - 1] == '\0')
        size--; /* a shell tool's habit */
    n->message[size] = '\0';
    bool is_whole = !(m.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) && strlen(n->message) == (size_t)size;
    if (is_whole && pid > 0 && n->allowed(n->user, pid))
        deliver(n, n->message);
    else
        n->ignored_count++;
    return 0;
}

static int bind_at(struct notify_socket *n, const char *path, struct err *reterr)
{
    const int yes = 1;
    n->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (n->fd < 0 || setsockopt(n->fd, SOL_SOCKET, SO_PASSCRED, &yes, sizeof(yes)) < 0)
        return err_errno(reterr, -errno, "making a notify socket");
    if (unlink(path) < 0 && errno != ENOENT) /* an earlier weir's */
        return err_errno(reterr, -errno, "removing the old %s", path);
    if (bind(n->fd, (struct sockaddr *)&n->address, sizeof(n->address)) < 0)
        return err_errno(reterr, -errno, "binding the notify socket %s", path);
    if (chmod(path, 0666) < 0)
        return err_errno(reterr, -errno, "opening the notify socket %s to the unit's user", path);
    return 0;
}

static void cleanup_notify(struct notify_socket **n)
{
    notify_close(*n);
}

int notify_open(sd_event *event, const char *path, bool (*allowed)(void *user, pid_t pid),
                void (*on_message)(void *user, const char *key, const char *value), void *user,
                struct notify_socket **ret, struct err *reterr)
{
    _cleanup_(cleanup_notify) struct notify_socket *n = calloc(1, sizeof(*n));
    if (!n)
        return err_errno(reterr, -ENOMEM, "making a notify socket");
    n->fd = -1;
    n->allowed = allowed;
    n->on_message = on_message;
    n->user = user;
    if (strlen(path) >= sizeof(n->address.sun_path))
        return err_set(reterr, -ENAMETOOLONG,
                       "the notify socket's path %s is longer than %zu bytes: choose a shorter run_dir", path,
                       sizeof(n->address.sun_path) - 1);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, path, strlen(path));
    n->address = address;
    int r = bind_at(n, path, reterr);
    if (r < 0)
        return r;
    r = sd_event_add_io(event, &n->source, n->fd, EPOLLIN, on_readable, n);
    if (r < 0)
        return err_errno(reterr, r, "watching the notify socket %s", path);
    *ret = steal_ptr(&n);
    return 0;
}

uint64_t notify_ignored_count(const struct notify_socket *n)
{
    return n->ignored_count;
}

struct notify_socket *notify_close(struct notify_socket *n)
{
    if (!n)
        return NULL;
    sd_event_source_disable_unref(n->source);
    cleanup_close(&n->fd);
    if (n->address.sun_path[0])
        (void)unlink(n->address.sun_path);
    free(n);
    return NULL;
}
