/* SPDX-License-Identifier: MIT */
/*
 * Wrapped units: a folder of names that are weir, first in the servers' PATH, and the socket behind it.
 *
 * A server starts "uv"; that is weir (shim.c), which asks here. When the engine admits it, the asking process
 * itself is moved into the worker's cgroup and then becomes the real command: same pid, same parent, same
 * stdio, uid, environment, so that exit status and signals are the server's own affair, and weir's death
 * changes nothing. Until then it waits in its read: the engine's back-off holds it there.
 *
 * Who may ask: a process inside one of this supervisor's service units. Others are refused.
 */
#include "supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "weir/base/cleanup.h"
#include "weir/base/log.h"
#include "wrap_protocol.h"

#define WRAP_CLIENTS_MAX 64 /* chosen: bounds fds; a server starts one worker at a time */

struct wrap_client {
    struct wrap_client *next;
    struct supervisor *s;
    int fd;
    pid_t pid;
    int pidfd;
    uint64_t ticket; /* 0 = has not asked yet */
    uint16_t unit;
    uint16_t via;
    sd_event_source *source;
};

static void client_free(struct wrap_client *c)
{
    struct wrap_client **p = &c->s->wrap_clients;
    while (*p != c)
        p = &(*p)->next;
    *p = c->next;
    sd_event_source_disable_unref(c->source);
    cleanup_close(&c->pidfd);
    close(c->fd);
    free(c);
}

static void client_answer(struct wrap_client *c, enum wrap_answer_kind kind, const char *text)
{
    struct wrap_answer answer = {.version = WRAP_VERSION, .kind = kind};
    (void)snprintf(answer.text, sizeof(answer.text), "%s", text);
    /* a peer that is gone is told nothing, ignoring */
    (void)send(c->fd, &answer, sizeof(answer), MSG_NOSIGNAL | MSG_DONTWAIT);
    client_free(c);
}

static struct unit_runtime *unit_by_wrap(struct supervisor *s, const char *name)
{
    for (uint16_t i = 0; i < s->unit_count; i++)
        if (s->units[i].config->wrap && s->policy_units[i].enabled &&
            strcmp(s->units[i].config->wrap, name) == 0)
            return &s->units[i];
    return NULL;
}

/* The service unit whose cgroup the process is in; UNIT_NONE = none of ours. */
static uint16_t unit_of_process(struct supervisor *s, pid_t pid)
{
    for (uint16_t i = 0; i < s->unit_count; i++) {
        struct unit_runtime *u = &s->units[i];
        if (u->cgroup && u->config->argv && host_process_in(pid, u->cgroup->ops->unit_path(u->cgroup)) == 1)
            return i;
    }
    return UNIT_NONE;
}

static void client_ask(struct wrap_client *c, const struct wrap_request *request)
{
    struct supervisor *s = c->s;
    char text[256];
    struct unit_runtime *u = unit_by_wrap(s, request->name);
    if (request->version != WRAP_VERSION || !u) {
        (void)snprintf(text, sizeof(text), "no unit of '%s' has wrap = %s", s->config->name, request->name);
        client_answer(c, WRAP_ANSWER_REFUSE, text);
        return;
    }
    c->via = unit_of_process(s, c->pid);
    if (c->via == UNIT_NONE) {
        (void)snprintf(text, sizeof(text), "only a process that a unit of '%s' started may run %s here",
                       s->config->name, request->name);
        client_answer(c, WRAP_ANSWER_REFUSE, text);
        return;
    }
    c->unit = u->index;
    c->ticket = ++s->wrap_ticket;
    struct event e = {.kind = EVENT_ARRIVED, .unit = u->index};
    e.arrived.pid = c->pid;
    e.arrived.via = c->via;
    e.arrived.ticket = c->ticket;
    supervisor_post(s, &e);
}

static int on_client(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
    (void)source;
    struct wrap_client *c = userdata;
    struct supervisor *s = c->s;
    struct wrap_request request;
    ssize_t n = revents & EPOLLIN ? recv(fd, &request, sizeof(request), MSG_DONTWAIT) : 0;
    if (n == (ssize_t)sizeof(request) && c->ticket == 0) {
        request.name[WRAP_NAME_MAX - 1] = '\0';
        client_ask(c, &request);
    } else if (n != -1 || (errno != EAGAIN && errno != EINTR)) {
        client_free(c); /* it went away, or speaks another language; ADMIT will not find it */
    }
    supervisor_drain(s);
    return 0;
}

static int client_accept(struct supervisor *s, int fd)
{
    struct ucred cred;
    socklen_t length = sizeof(cred);
    unsigned count = 0;
    for (struct wrap_client *c = s->wrap_clients; c; c = c->next)
        count++;
    if (count >= WRAP_CLIENTS_MAX || getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &length) < 0)
        return -EBUSY;
    struct wrap_client *c = calloc(1, sizeof(*c));
    if (!c)
        return -ENOMEM;
    *c = (struct wrap_client){.s = s, .fd = fd, .pid = cred.pid, .unit = UNIT_NONE, .next = s->wrap_clients};
    s->wrap_clients = c;
    c->pidfd = (int)syscall(SYS_pidfd_open, cred.pid, 0);
    int r = c->pidfd < 0 ? -errno : sd_event_add_io(s->event, &c->source, fd, EPOLLIN, on_client, c);
    if (r < 0)
        client_free(c);
    return r < 0 ? 1 : 0; /* 1: fd is closed already */
}

static int on_listen(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
    (void)source;
    (void)revents;
    struct supervisor *s = userdata;
    int client = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (client < 0)
        return 0; /* gone again, or out of fds: the peer tries again */
    if (client_accept(s, client) < 0)
        close(client);
    supervisor_drain(s);
    return 0;
}

static struct wrap_client *client_by_ticket(struct supervisor *s, uint64_t ticket)
{
    for (struct wrap_client *c = s->wrap_clients; c; c = c->next)
        if (c->ticket == ticket)
            return c;
    return NULL;
}

static void admit_failed(struct unit_runtime *u, const struct decision *d, int error, const char *why)
{
    supervisor_mark(u->s, u->index, "the waiting command could not be placed: %s", why);
    struct event failed = {.kind = EVENT_SPAWN_FAILED, .unit = u->index, .generation = d->generation};
    failed.error = error;
    supervisor_post(u->s, &failed);
}

static int place_client(struct unit_runtime *u, struct wrap_client *c, struct err *e)
{
    int r = launch_open_pressure(u, e);
    if (r < 0)
        log_warning("%s: %s, going on without", u->config->name, e->text);
    r = launch_make_cgroup(u, e);
    if (r >= 0)
        r = u->cgroup->ops->unit_attach(u->cgroup, c->pid, e);
    /* the pid was the peer's all the time: it still lives */
    if (r >= 0 && syscall(SYS_pidfd_send_signal, c->pidfd, 0, NULL, 0) < 0)
        r = err_errno(e, -errno, "pid %d", (int)c->pid);
    return r;
}

void wrap_admit(struct unit_runtime *u, const struct decision *d)
{
    struct supervisor *s = u->s;
    struct wrap_client *c = client_by_ticket(s, d->amount[0]);
    bool additional = d->amount[1] != 0;
    struct err e = ERR_NULL;
    if (!c) {
        if (!additional)
            admit_failed(u, d, ESRCH, "it went away while it waited");
        return;
    }
    if (!additional)
        u->generation = d->generation;
    int r = place_client(u, c, &e);
    if (r < 0) {
        if (!additional)
            admit_failed(u, d, -r, e.text);
        client_answer(c, WRAP_ANSWER_REFUSE, e.text);
        return;
    }
    char variable[WRAP_ENVIRONMENT_MAX] = "";
    if (u->pressure_fifo >= 0)
        (void)snprintf(variable, sizeof(variable), "MEMORY_PRESSURE_WATCH=%s/%s.pressure", s->config->run_dir,
                       u->config->name);
    pid_t pid = c->pid;
    int pidfd = steal_fd(&c->pidfd);
    if (!additional) {
        u->via = c->via;
        u->ready = false;
        (void)host_process_start_ticks(pid, &u->start_ticks);
        launch_follow(u, pid, pidfd, EVENT_HOW_WRAPPED);
    } else {
        close(pidfd);
    }
    client_answer(c, WRAP_ANSWER_GO, variable);
}

void wrap_refuse(struct unit_runtime *u, const struct decision *d)
{
    struct wrap_client *c = client_by_ticket(u->s, d->amount[0]);
    char text[512];
    if (!c)
        return;
    (void)snprintf(text, sizeof(text), "unit '%s' must not start: %s; 'weir start %s' allows it again",
                   u->config->name, decision_reason_text(d->reason), u->config->name);
    client_answer(c, WRAP_ANSWER_REFUSE, text);
}

/* ------------------------------------------------ set-up ------------------------------------------------ */

int wrap_link(struct supervisor *s, struct err *reterr)
{
    if (mkdirat(s->run_dirfd, "wrap", 0755) < 0 && errno != EEXIST)
        return err_errno(reterr, -errno, "%s/wrap", s->config->run_dir);
    char self[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    if (n < 0)
        return err_errno(reterr, -errno, "/proc/self/exe");
    self[n] = '\0';
    for (uint16_t i = 0; i < s->unit_count; i++) {
        const char *name = s->units[i].config->wrap;
        char link[PATH_MAX];
        if (!name)
            continue;
        (void)snprintf(link, sizeof(link), "wrap/%s", name);
        (void)unlinkat(s->run_dirfd, link, 0);
        if (symlinkat(self, s->run_dirfd, link) < 0)
            return err_errno(reterr, -errno, "%s/%s", s->config->run_dir, link);
    }
    return 0;
}

static bool has_wrapped(const struct supervisor *s)
{
    for (uint16_t i = 0; i < s->unit_count; i++)
        if (s->units[i].config->wrap)
            return true;
    return false;
}

int wrap_open(struct supervisor *s, struct err *reterr)
{
    if (!has_wrapped(s))
        return 0;
    int r = wrap_link(s, reterr);
    if (r < 0)
        return r;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int n = snprintf(address.sun_path, sizeof(address.sun_path), "%s/wrap.sock", s->config->run_dir);
    if (n < 0 || (size_t)n >= sizeof(address.sun_path))
        return err_set(reterr, -ENAMETOOLONG, "run_dir %s: too long for a socket's path (at most %zu bytes)",
                       s->config->run_dir, sizeof(address.sun_path) - sizeof("/wrap.sock"));
    (void)unlink(address.sun_path);
    s->wrap_fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (s->wrap_fd < 0 || bind(s->wrap_fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
        chmod(address.sun_path, 0666) < 0 || listen(s->wrap_fd, 16) < 0)
        return err_errno(reterr, -errno, "%s", address.sun_path);
    r = sd_event_add_io(s->event, &s->wrap_source, s->wrap_fd, EPOLLIN, on_listen, s);
    return r < 0 ? err_errno(reterr, r, "%s", address.sun_path) : 0;
}

void wrap_close(struct supervisor *s)
{
    while (s->wrap_clients)
        client_answer(s->wrap_clients, WRAP_ANSWER_REFUSE, "weir is ending");
    s->wrap_source = sd_event_source_disable_unref(s->wrap_source);
    cleanup_close(&s->wrap_fd);
    s->wrap_fd = -1;
    for (uint16_t i = 0; !s->keep && i < s->unit_count; i++) {
        char link[PATH_MAX];
        if (!s->units[i].config->wrap)
            continue;
        (void)snprintf(link, sizeof(link), "wrap/%s", s->units[i].config->wrap);
        (void)unlinkat(s->run_dirfd, link, 0);
    }
}
