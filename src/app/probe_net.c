/* SPDX-License-Identifier: MIT */
/*
 * tcp and http checks: one non-blocking connection a try.
 *
 * "localhost" is tried on both loopbacks within one try, the next when the one before did not connect. For
 * tcp a connection is the answer; for http the status line is, and the rest is not read.
 *
 * Trap: a connect(2) to a loopback port of the ephemeral range on which nobody listens can meet itself (TCP
 * simultaneous open): the check would call an absent service ready, and hold its port. Such a connection is
 * recognised by equal ends and reset.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "probe_internal.h"
#include "weir/base/cleanup.h"

/* --- the connection --- */

static void net_end(struct probe *p)
{
    struct probe_net *n = &p->net;
    n->source = sd_event_source_disable_unref(n->source);
    cleanup_close(&n->fd);
    n->fd = -1;
    n->is_connected = false;
    n->answer_length = 0;
}

static int on_io(sd_event_source *source, int fd, uint32_t events, void *user);

/* Begins to connect to one address. */
static int connect_one(struct probe *p, const struct in6_addr *address)
{
    struct probe_net *n = &p->net;
    struct sockaddr_storage to;
    socklen_t length = address_to_sockaddr(address, p->options.ready->port, &to);
    n->fd = socket(to.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (n->fd < 0 || (connect(n->fd, (struct sockaddr *)&to, length) < 0 && errno != EINPROGRESS))
        return -errno;
    return sd_event_add_io(p->options.event, &n->source, n->fd, EPOLLOUT, on_io, p);
}

/* The next address that can be begun with; failure: r of the one before, if any. */
static int connect_next(struct probe *p, int r)
{
    struct probe_net *n = &p->net;
    while (n->address_at < n->address_count) {
        net_end(p);
        r = connect_one(p, &n->addresses[n->address_at++]);
        if (r >= 0)
            return 0;
    }
    return probe_set_failure(p, "%s", strerror(-r));
}

static int net_begin(struct probe *p)
{
    p->net.address_at = 0;
    return connect_next(p, 0);
}

static bool is_own_end(int fd)
{
    struct sockaddr_storage here = {0}, there = {0};
    socklen_t here_length = sizeof(here), there_length = sizeof(there);
    return getsockname(fd, (struct sockaddr *)&here, &here_length) == 0 &&
           getpeername(fd, (struct sockaddr *)&there, &there_length) == 0 && here_length == there_length &&
           memcmp(&here, &there, here_length) == 0;
}

/* The outcome of the connect: 0 or a negative errno. */
static int connect_result(int fd)
{
    int error = 0;
    socklen_t length = sizeof(error);
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) < 0)
        return -errno;
    if (error == 0 && is_own_end(fd)) {
        const struct linger reset = {.l_onoff = 1, .l_linger = 0};
        (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
        error = ECONNREFUSED;
    }
    return -error;
}

/* --- the answer --- */

static void send_request(struct probe *p)
{
    struct probe_net *n = &p->net;
    ssize_t sent = send(n->fd, n->request, n->request_length, MSG_NOSIGNAL);
    int r = sent == (ssize_t)n->request_length ? sd_event_source_set_io_events(n->source, EPOLLIN)
            : sent < 0                         ? -errno
                                               : -EIO; /* a fresh socket's buffer takes 2 KiB */
    if (r >= 0)
        return;
    (void)probe_set_failure(p, "%s", strerror(-r));
    probe_try_failed(p);
}

/* What the bytes so far say: 0: ready. -EAGAIN: failed, told. -EINPROGRESS: more is to come. */
static int judge_answer(struct probe *p, bool is_end)
{
    struct probe_net *n = &p->net;
    unsigned status;
    char reason[HTTP_REASON_MAX];
    int r = http_parse_status(n->answer, n->answer_length, &status, reason);
    if (r == 0 && status < 300)
        return 0;
    if (r == 0)
        return probe_set_failure(p, "%u%s%s", status, reason[0] ? " " : "", reason);
    if (r == -EBADMSG)
        return probe_set_failure(p, "the answer is not HTTP");
    if (is_end)
        return probe_set_failure(p, n->answer_length ? "the connection was closed in the middle of the answer"
                                                     : "the connection was closed without an answer");
    if (n->answer_length == sizeof(n->answer))
        return probe_set_failure(p, "no status in the first %zu bytes of the answer", sizeof(n->answer));
    return -EINPROGRESS;
}

static void read_answer(struct probe *p)
{
    struct probe_net *n = &p->net;
    ssize_t got = recv(n->fd, n->answer + n->answer_length, sizeof(n->answer) - n->answer_length, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    int r;
    if (got < 0) {
        r = probe_set_failure(p, "%s", strerror(errno));
    } else {
        n->answer_length += (size_t)got;
        r = judge_answer(p, got == 0);
    }
    if (r == 0)
        probe_try_succeeded(p);
    else if (r == -EAGAIN)
        probe_try_failed(p);
}

static int on_io(sd_event_source *source, int fd, uint32_t events, void *user)
{
    (void)source, (void)events;
    struct probe *p = user;
    if (p->net.is_connected) {
        read_answer(p);
        return 0;
    }
    int r = connect_result(fd);
    if (r < 0) {
        if (connect_next(p, r) < 0)
            probe_try_failed(p);
        return 0;
    }
    p->net.is_connected = true;
    if (p->options.ready->type == CONFIG_READY_TCP)
        probe_try_succeeded(p);
    else
        send_request(p);
    return 0;
}

/* --- the kinds --- */

static int net_init(struct probe *p, struct err *reterr)
{
    const struct config_ready *ready = p->options.ready;
    p->net.fd = -1;
    int r = address_parse(ready->host, p->net.addresses);
    if (r < 0)
        return err_set(reterr, r, "ready: '%s' is no numeric address and not localhost", ready->host);
    p->net.address_count = (unsigned)r;
    char address[ADDRESS_TEXT_MAX];
    snprintf(p->target, sizeof(p->target), "tcp:%s", address_format(ready->host, ready->port, address));
    return 0;
}

/* A blank or a line end in the path would be a second request. */
static bool path_is_sane(const char *path)
{
    for (; *path; path++)
        if (!isgraph((unsigned char)*path) && (unsigned char)*path < 0x80)
            return false;
    return true;
}

static int http_init(struct probe *p, struct err *reterr)
{
    int r = net_init(p, reterr);
    if (r < 0)
        return r;
    const struct config_ready *ready = p->options.ready;
    const char *path = ready->path && *ready->path ? ready->path : "/";
    if (!path_is_sane(path))
        return err_set(reterr, -EINVAL, "ready: the path '%s' holds a blank or a control character", path);
    char address[ADDRESS_TEXT_MAX];
    address_format(ready->host, ready->port, address);
    int n = snprintf(p->net.request, sizeof(p->net.request),
                     "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: weir/" WEIR_VERSION "\r\nAccept: */*\r\n"
                     "Connection: close\r\n\r\n",
                     path, address);
    if ((size_t)n >= sizeof(p->net.request))
        return err_set(reterr, -ENAMETOOLONG, "ready: the path is longer than %d bytes",
                       PROBE_REQUEST_MAX - 256);
    p->net.request_length = (size_t)n;
    snprintf(p->target, sizeof(p->target), "GET http://%s%.220s", address, path);
    return 0;
}

const struct probe_kind probe_tcp = {
    .limit_us = PROBE_NET_LIMIT_US,
    .init = net_init,
    .begin = net_begin,
    .end = net_end,
    .late_text = "no answer in 2s",
};

const struct probe_kind probe_http = {
    .limit_us = PROBE_NET_LIMIT_US,
    .init = http_init,
    .begin = net_begin,
    .end = net_end,
    .late_text = "no answer in 2s",
};
