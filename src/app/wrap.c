/* SPDX-License-Identifier: MIT */
/*
 * Wrapped units: a folder of names that are weir, first in the servers' PATH, and the socket behind it.
 *
 * A server starts "uv"; that is weir (shim.c), which asks here. When the engine admits it, the asking process
 * itself is moved into the worker's cgroup and then becomes the real command: same pid, same parent, same
 * stdio, uid, environment, so that exit status and signals are the server's own affair, and weir's death
 * changes nothing. Until then it waits in its read: the engine's back-off holds it there.
 *
 * A unit with a gate: what the server starts becomes weir-gate instead and stays where it is; its child is the command,
 * and asks through the gate's link (gates.c) in the same way.
 *
 * Who may ask: a process inside one of this supervisor's service units. Others are refused.
 */
#include "supervisor.h"

#include <dirent.h>
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

#include "beside.h"
#include "gates.h"
#include "weir/base/cleanup.h"
#include "weir/base/log.h"
#include "wrap.h"
#include "wrap_protocol.h"

#define WRAP_CLIENTS_MAX   64 /* chosen: bounds fds; a server starts one worker at a time */
#define WRAP_STRANGERS_MAX 16 /* chosen: of other processes, which are refused; the socket is open to all */
#define WRAP_ACCEPTS_PER_S                                                                                   \
    200 /* chosen: far above what servers ask; a flood of strangers, or fds that ran out, costs no more */

struct wrap_client {
    struct wrap_client *next;
    struct supervisor *s;
    int fd;
    pid_t pid;
    int pidfd;
    uint64_t ticket; /* 0 = has not asked yet */
    uint16_t unit;
    uint16_t via;
    bool is_stranger;       /* no process of a unit */
    struct gate_link *gate; /* it asks for its child `pid`; fd is -1 then */
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
    cleanup_close(&c->fd);
    free(c);
}

static void client_answer(struct wrap_client *c, enum wrap_answer_kind kind, const char *text)
{
    struct wrap_answer answer = {.version = WRAP_VERSION, .kind = kind};
    if (c->gate) {
        gates_answer(c->gate, &c->s->units[c->unit], kind == WRAP_ANSWER_GO, text);
        client_free(c);
        return;
    }
    if (c->unit != UNIT_NONE)
        (void)snprintf(answer.unit, sizeof(answer.unit), "%s", c->s->unit_names[c->unit]);
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

uint16_t wrap_unit_of_process(struct supervisor *s, pid_t pid)
{
    if (host_process_in(pid, host_base(s->host)) != 1)
        return UNIT_NONE; /* one look at a stranger, however many units there are */
    for (uint16_t i = 0; i < s->unit_count; i++) {
        struct unit_runtime *u = &s->units[i];
        if (u->cgroup && u->config->argv && host_process_in(pid, u->cgroup->ops->unit_path(u->cgroup)) == 1)
            return i;
    }
    return UNIT_NONE;
}

static bool is_main_process(const struct supervisor *s, pid_t pid)
{
    for (uint16_t i = 0; i < s->unit_count; i++)
        if (s->units[i].pid == pid)
            return true;
    return false;
}

const char *wrap_environment(const struct unit_runtime *u, char *buf)
{
    buf[0] = '\0';
    if (u->pressure_fifo >= 0)
        (void)snprintf(buf, WRAP_ENVIRONMENT_MAX, "MEMORY_PRESSURE_WATCH=%s/%s.pressure",
                       u->s->config->run_dir, u->config->name);
    return buf;
}

/* It is in the unit's cgroup: let it become the command. */
static void answer_go(struct unit_runtime *u, struct wrap_client *c)
{
    char variable[WRAP_ENVIRONMENT_MAX];
    client_answer(c, WRAP_ANSWER_GO, wrap_environment(u, variable));
}

static void client_arrives(struct wrap_client *c)
{
    struct event e = {.kind = EVENT_ARRIVED, .unit = c->unit};
    c->ticket = ++c->s->wrap_ticket;
    e.arrived.pid = c->pid;
    e.arrived.via = c->via;
    e.arrived.ticket = c->ticket;
    supervisor_post(c->s, &e);
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
    if (u->pid == c->pid) {
        answer_go(u, c); /* an earlier weir placed it, and died before it could say so */
        return;
    }
    if (c->via == UNIT_NONE) {
        (void)snprintf(text, sizeof(text), "only a process that a unit of '%s' started may run %s here",
                       s->config->name, request->name);
        client_answer(c, WRAP_ANSWER_REFUSE, text);
        return;
    }
    if (s->units[c->via].pid == c->pid) {
        client_answer(c, WRAP_ANSWER_STAY, "");
        return;
    }
    c->unit = u->index;
    if (u->config->gate != CONFIG_GATE_NONE && gates_program(s))
        client_answer(c, WRAP_ANSWER_GATE, gates_program(s)); /* which asks for the command's place itself */
    else
        client_arrives(c);
}

void wrap_ask(struct unit_runtime *u, uint16_t via, pid_t pid, struct gate_link *gate)
{
    struct supervisor *s = u->s;
    struct wrap_client *c = calloc(1, sizeof(*c));
    if (!c) {
        gates_answer(gate, u, false, "weir is out of memory");
        return;
    }
    *c = (struct wrap_client){
        .s = s, .fd = -1, .pid = pid, .unit = u->index, .via = via, .gate = gate, .next = s->wrap_clients};
    s->wrap_clients = c;
    c->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (c->pidfd < 0)
        client_answer(c, WRAP_ANSWER_REFUSE, "the waiting process is gone");
    else if (u->pid == pid)
        answer_go(u, c); /* an earlier weir placed it, and died before it could say so */
    else
        client_arrives(c);
}

void wrap_forget_gate(struct supervisor *s, const struct gate_link *gate)
{
    for (struct wrap_client *c = s->wrap_clients, *next; c; c = next) {
        next = c->next;
        if (c->gate == gate)
            client_free(c);
    }
}

static int on_client(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
    (void)source;
    struct wrap_client *c = userdata;
    struct supervisor *s = c->s;
    struct wrap_request request;
    ssize_t n = revents & EPOLLIN ? recv(fd, &request, sizeof(request), MSG_DONTWAIT | MSG_TRUNC) : 0;
    if (n == (ssize_t)sizeof(request) && c->ticket == 0) {
        request.name[WRAP_NAME_MAX - 1] = '\0';
        client_ask(c, &request);
    } else if (n != -1 || (errno != EAGAIN && errno != EINTR)) {
        client_free(c); /* it went away, or speaks another language; ADMIT will not find it */
    }
    supervisor_drain(s);
    return 0;
}

/* Takes fd over. A stranger is kept until it has asked and can be told; strangers take no place of the units'. */
static void client_new(struct supervisor *s, int fd, pid_t pid)
{
    uint16_t via = wrap_unit_of_process(s, pid);
    bool is_stranger = via == UNIT_NONE && !is_main_process(s, pid);
    unsigned alike = 0;
    for (struct wrap_client *c = s->wrap_clients; c; c = c->next)
        alike += c->is_stranger == is_stranger;
    struct wrap_client *c =
        alike < (is_stranger ? WRAP_STRANGERS_MAX : WRAP_CLIENTS_MAX) ? calloc(1, sizeof(*c)) : NULL;
    if (!c) {
        close(fd); /* it tries again */
        return;
    }
    *c = (struct wrap_client){.s = s,
                              .fd = fd,
                              .pid = pid,
                              .unit = UNIT_NONE,
                              .via = via,
                              .is_stranger = is_stranger,
                              .next = s->wrap_clients};
    s->wrap_clients = c;
    c->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (c->pidfd < 0 || sd_event_add_io(s->event, &c->source, fd, EPOLLIN, on_client, c) < 0)
        client_free(c);
}

static int on_listen(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
    (void)source;
    (void)revents;
    struct supervisor *s = userdata;
    struct ucred cred;
    socklen_t length = sizeof(cred);
    int client = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (client < 0)
        return 0; /* gone again, or out of fds: it waits in the backlog */
    if (getsockopt(client, SOL_SOCKET, SO_PEERCRED, &cred, &length) < 0)
        close(client);
    else
        client_new(s, client, cred.pid);
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

static int place_client(struct unit_runtime *u, struct wrap_client *c, bool additional, struct err *e)
{
    int r = launch_open_pressure(u, e);
    if (r < 0)
        log_warning("%s: %s, going on without", u->config->name, e->text);
    bool prepared = c->gate && beside_take_over(u, c->pid);
    if (!prepared && !additional)
        beside_discard(u); /* another one came */
    r = prepared ? 0 : launch_make_cgroup(u, e);
    if (r >= 0 && !prepared)
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
    if (additional && u->pid <= 0) {
        client_free(c); /* the one it was to join could not be placed: it asks again */
        return;
    }
    if (!additional)
        u->generation = d->generation;
    int r = place_client(u, c, additional, &e);
    if (r < 0) {
        if (!additional)
            admit_failed(u, d, -r, e.text);
        client_answer(c, WRAP_ANSWER_REFUSE, e.text);
        return;
    }
    pid_t pid = c->pid;
    int pidfd = steal_fd(&c->pidfd);
    if (!additional) {
        u->via = c->via;
        u->gated = c->gate != NULL;
        u->ready = false;
        (void)host_process_start_ticks(pid, &u->start_ticks);
        launch_follow(u, pid, pidfd, EVENT_HOW_WRAPPED);
    } else {
        close(pidfd);
    }
    answer_go(u, c);
}

void wrap_refuse(struct unit_runtime *u, const struct decision *d)
{
    struct wrap_client *c = client_by_ticket(u->s, d->amount[0]);
    char text[512];
    if (!c)
        return;
    if (c->gate)
        beside_discard(u);
    (void)snprintf(text, sizeof(text), "unit '%s' must not start: %s; 'weir start %s' allows it again",
                   u->config->name, decision_reason_text(d->reason), u->config->name);
    client_answer(c, WRAP_ANSWER_REFUSE, text);
}

/* ------------------------------------------------ set-up ------------------------------------------------ */

static bool is_wrapped_name(const struct supervisor *s, const char *name)
{
    for (uint16_t i = 0; i < s->unit_count; i++)
        if (s->policy_units[i].enabled && s->units[i].config->wrap &&
            strcmp(s->units[i].config->wrap, name) == 0)
            return true;
    return false;
}

/* Where weir is, to be found again after an upgrade put another file in its place. */
static int own_path(char ret[static PATH_MAX], struct err *reterr)
{
    static const char deleted[] = " (deleted)"; /* readlink of a removed program, proc(5) */
    ssize_t n = readlink("/proc/self/exe", ret, PATH_MAX - 1);
    if (n < 0)
        return err_errno(reterr, -errno, "/proc/self/exe");
    ret[n] = '\0';
    size_t suffix = sizeof(deleted) - 1;
    if ((size_t)n > suffix && strcmp(ret + (size_t)n - suffix, deleted) == 0 && access(ret, F_OK) < 0)
        ret[(size_t)n - suffix] = '\0';
    return 0;
}

/* In place of an older one without a moment in which there is none: a server may look just then. */
static int link_name(int folder, const char *self, const char *name)
{
    static const char fresh[] = ".link.new"; /* nobody's command */
    (void)unlinkat(folder, fresh, 0);
    if (symlinkat(self, folder, fresh) < 0 || renameat(folder, fresh, folder, name) < 0)
        return -errno;
    return 0;
}

/* Removes the names that are not wrapped (any more): their callers mean the command itself. */
static void unlink_names(struct supervisor *s, int folder, bool all)
{
    _cleanup_closedir_ DIR *dir = fdopendir(folder);
    if (!dir) {
        close(folder);
        return;
    }
    for (struct dirent *e; (e = readdir(dir));)
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 &&
            (all || !is_wrapped_name(s, e->d_name)))
            (void)unlinkat(dirfd(dir), e->d_name, 0);
}

int wrap_link(struct supervisor *s, struct err *reterr)
{
    char self[PATH_MAX];
    int r = own_path(self, reterr);
    if (r < 0)
        return r;
    if (mkdirat(s->run_dirfd, "wrap", 0755) < 0 && errno != EEXIST)
        return err_errno(reterr, -errno, "%s/wrap", s->config->run_dir);
    int folder = openat(s->run_dirfd, "wrap", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0)
        return err_errno(reterr, -errno, "%s/wrap", s->config->run_dir);
    (void)fchmod(folder, 0755); /* whatever weir's umask is: units of other users look into it */
    for (uint16_t i = 0; r == 0 && i < s->unit_count; i++) {
        const char *name = s->policy_units[i].enabled ? s->units[i].config->wrap : NULL;
        r = name ? link_name(folder, self, name) : 0;
        if (r < 0)
            (void)err_errno(reterr, r, "%s/wrap/%s", s->config->run_dir, name);
    }
    unlink_names(s, folder, false);
    return r;
}

void wrap_unlink(struct supervisor *s)
{
    int folder = openat(s->run_dirfd, "wrap", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder >= 0)
        unlink_names(s, folder, true);
    (void)unlinkat(s->run_dirfd, "wrap", AT_REMOVEDIR);
}

static bool has_wrapped(const struct supervisor *s)
{
    for (uint16_t i = 0; i < s->unit_count; i++)
        if (s->policy_units[i].enabled && s->units[i].config->wrap)
            return true;
    return false;
}

int wrap_open(struct supervisor *s, struct err *reterr)
{
    if (!has_wrapped(s))
        return 0;
    if (strchr(s->config->run_dir, ':'))
        return err_set(reterr, -EINVAL,
                       "run_dir %s: a ':' in it would cut PATH; choose another for wrapped units",
                       s->config->run_dir);
    int r = wrap_link(s, reterr);
    if (r < 0)
        return r;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int n = snprintf(address.sun_path, sizeof(address.sun_path), "%s/wrap.sock", s->config->run_dir);
    if (n < 0 || (size_t)n >= sizeof(address.sun_path))
        return err_set(reterr, -ENAMETOOLONG, "run_dir %s: too long for a socket's path (at most %zu bytes)",
                       s->config->run_dir, sizeof(address.sun_path) - sizeof("/wrap.sock"));
    (void)unlink(address.sun_path);
    _cleanup_close_ int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
        chmod(address.sun_path, 0666) < 0 || listen(fd, 16) < 0)
        return err_errno(reterr, -errno, "%s", address.sun_path);
    r = sd_event_add_io(s->event, &s->wrap_source, fd, EPOLLIN, on_listen, s);
    if (r >= 0)
        r = sd_event_source_set_ratelimit(s->wrap_source, USEC_PER_SEC, WRAP_ACCEPTS_PER_S);
    if (r < 0)
        return err_errno(reterr, r, "%s", address.sun_path);
    s->wrap_fd = steal_fd(&fd);
    return 0;
}

void wrap_close(struct supervisor *s)
{
    while (s->wrap_clients) {
        /* without an answer it asks the next weir */
        if (s->keep)
            client_free(s->wrap_clients);
        else
            client_answer(s->wrap_clients, WRAP_ANSWER_REFUSE, "weir is ending");
    }
    s->wrap_source = sd_event_source_disable_unref(s->wrap_source);
    cleanup_close(&s->wrap_fd);
    s->wrap_fd = -1;
}
