/* SPDX-License-Identifier: MIT */
/*
 * Links to gates; see gates.h.
 *
 *   accept -> HELLO -> WELCOME, and the order that is in force
 *               ASK -> wrap_ask(): ARRIVED -> the engine -> wrap_admit() moves the child -> gates_answer(): GO
 *
 * Who may connect: a process inside one of this supervisor's service units. What it says is believed of the unit whose
 * name it gives, as long as that has a gate; a child it asks for must be its own. A link that breaks the protocol, or does
 * not take what it is sent, is closed: the gate connects again.
 *
 * A link that ends while its unit runs: the gate is dead (then its worker hears nothing any more: GATE_LOST), or it lives
 * and has LOST_WAIT_US to come back. After an adoption the same time counts from the start.
 */
#include "gate-link.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
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
#include "weir/base/cleanup.h"
#include "weir/base/log.h"
#include "wrap.h"
#include "wrap_protocol.h"

#define GATE_LINKS_MAX     64  /* chosen: bounds fds, as the waiting wrapped commands are bounded */
#define GATE_ACCEPTS_PER_S 100 /* chosen: a gate tries twice a second; a flood of strangers costs no more */
#define LOST_WAIT_US       (5 * USEC_PER_SEC) /* chosen: ten of a gate's tries to connect */
#define GATE_IS_DEAD       1                  /* of gate_lost_us: since long ago */
#define NOTES_PER_S        20                 /* chosen: what a person can read; the rest is counted */

/* ------------------------------------------------ links ------------------------------------------------ */

static struct unit_runtime *unit_of(const struct gate_link *l)
{
    return l->unit == UNIT_NONE ? NULL : &l->s->units[l->unit];
}

bool gates_has(const struct unit_runtime *u)
{
    FOR_EACH_LINK(u, l)
    {
        return true;
    }
    return false;
}

static void drained_if_all(struct unit_runtime *u)
{
    struct event e = {.kind = EVENT_OUTCOME, .unit = u->index, .generation = u->generation};
    if (u->gate_drain_id == 0)
        return;
    FOR_EACH_LINK(u, l)
    {
        if (!l->has_drained)
            return;
    }
    e.outcome.decision_id = u->gate_drain_id;
    e.outcome.result = gates_has(u) ? EVENT_RESULT_DONE : EVENT_RESULT_FAILED;
    e.outcome.error = gates_has(u) ? 0 : ENOTCONN;
    u->gate_drain_id = 0;
    supervisor_post(u->s, &e);
}

static bool is_dead(const struct gate_link *l)
{
    char state;
    struct pollfd p = {.fd = l->pidfd, .events = POLLIN};
    return poll(&p, 1, 0) == 1 || host_process_state(l->pid, NULL, &state) < 0 || state == 'Z' ||
           state == 'X';
}

bool gates_may_come(const struct unit_runtime *u)
{
    return u->gated && !gates_has(u) && u->gate_lost_told != u->generation && u->gate_lost_us != GATE_IS_DEAD;
}

/* Its end closes its files first; it is seen to be dead a moment later. */
static bool is_dying(const struct gate_link *l)
{
    char byte;
    return is_dead(l) || recv(l->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

bool gates_are_lost(const struct unit_runtime *u)
{
    int status;
    if (!u->gated || gates_exit_status(u, &status))
        return false;
    FOR_EACH_LINK(u, l)
    {
        if (!is_dying(l))
            return false;
    }
    return true;
}

/* A gate's last words may still be unread when this ends. */
static void take_last_figures(struct gate_link *l)
{
    struct gate_says_message m;
    while (l->unit != UNIT_NONE && recv(l->fd, &m, sizeof(m), MSG_DONTWAIT | MSG_TRUNC) == (ssize_t)sizeof(m))
        if (m.version == GATE_LINK_VERSION && m.kind == GATE_SAYS_METHOD)
            gate_figures_take(l, &m.method_figures);
}

static void link_free(struct gate_link *l)
{
    struct unit_runtime *u = unit_of(l);
    struct gate_link **p = &l->s->gate_links;
    bool dead = is_dead(l);
    take_last_figures(l);
    gate_figures_store(l, true);
    wrap_forget_gate(l->s, l);
    while (*p != l)
        p = &(*p)->next;
    *p = l->next;
    sd_event_source_disable_unref(l->source);
    cleanup_close(&l->fd);
    cleanup_close(&l->pidfd);
    free(l);
    if (!u || gates_has(u))
        return;
    beside_discard(u);
    if (dead)
        drained_if_all(u);
    /* a process closes its sockets a moment before it is seen to be dead */
    u->gate_lost_us = dead ? GATE_IS_DEAD : now_us();
}

/* ------------------------------------------------ from the gates ------------------------------------------------ */

static void drop(struct gate_link *l, const char *why)
{
    log_warning("gate (pid %d): %s; its link is closed", (int)l->pid, why);
    (void)shutdown(l->fd, SHUT_RDWR);
}

static void take_hello(struct gate_link *l, const struct gate_says_message *m)
{
    struct unit_runtime *u = supervisor_unit(l->s, m->unit);
    if (!u || !u->config->wrap) {
        drop(l, "says hello for a unit that can have none");
        return;
    }
    l->unit = u->index;
    l->state = m->state;
    u->gate_lost_us = 0;
    gate_told_welcome(l);
    if (m->pid > 0 && m->pid == u->pid) {
        gate_told_order_in_force(l);
        if (u->prepare_id && !u->next_cgroup)
            (void)gate_told_prepare(u);
        if (m->ready && !u->ready)
            launch_become_ready(u);
    }
}

static void take_ask(struct gate_link *l, const struct gate_says_message *m)
{
    struct unit_runtime *u = unit_of(l);
    char variable[WRAP_ENVIRONMENT_MAX];
    pid_t parent = 0;
    char state;
    if ((l->is_asking && !m->beside) || host_process_state(m->pid, &parent, &state) < 0 || parent != l->pid) {
        drop(l, "asks for a process that is not its child");
        return;
    }
    if (m->beside) {
        struct err e = ERR_NULL;
        int r = beside_place(u, m->pid, &e);
        gate_told_beside(l, u, r >= 0, r >= 0 ? wrap_environment(u, variable) : e.text);
        return;
    }
    l->is_asking = true;
    wrap_ask(u, l->via, m->pid, l);
}

static void take_ended(struct gate_link *l, const struct gate_says_message *m)
{
    struct unit_runtime *u = unit_of(l);
    if (m->beside) {
        beside_has_ended(u, m->status);
        return;
    }
    l->ended_pid = m->pid;
    l->ended_status = m->status;
    if (m->pid > 0 && m->pid == u->pid)
        launch_ended(u); /* before its question for the next one is taken */
}

bool gates_exit_status(const struct unit_runtime *u, int *ret_status)
{
    FOR_EACH_LINK(u, l)
    {
        if (l->ended_pid != u->pid)
            continue;
        *ret_status = l->ended_status;
        return true;
    }
    return false;
}

static const char *note_text(uint32_t note)
{
    static const char *const texts[] = {
#define X(id, name, text) [GATE_NOTE_##id] = text,
        GATE_NOTES(X)
#undef X
    };
    return note < GATE_NOTE_COUNT ? texts[note] : "?";
}

/* What a peer sent, as a terminal can take it. */
static void make_printable(char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < ' ' || *text == 0x7F)
            *text = '?';
}

static void take_note(struct gate_link *l, struct gate_says_message *m)
{
    struct unit_runtime *u = unit_of(l);
    uint64_t second = now_us() / USEC_PER_SEC;
    if (u->notes_second != second && u->notes_left_out)
        supervisor_mark(l->s, u->index, "gate: %u more notes in that second", u->notes_left_out);
    if (u->notes_second != second)
        u->notes = u->notes_left_out = 0;
    u->notes_second = second;
    if (u->notes++ >= NOTES_PER_S) {
        u->notes_left_out++;
        return;
    }
    make_printable(m->method);
    make_printable(m->id);
    if (m->bytes)
        supervisor_mark(l->s, u->index, "gate: %s %s (%" PRIu64 " bytes): %s", m->method, m->id, m->bytes,
                        note_text(m->note));
    else if (m->method[0] || m->id[0])
        supervisor_mark(l->s, u->index, "gate: %s %s: %s", m->method, m->id, note_text(m->note));
    else
        supervisor_mark(l->s, u->index, "gate: %" PRIu64 " %s", m->amount, note_text(m->note));
}

static void take(struct gate_link *l, struct gate_says_message *m)
{
    struct unit_runtime *u = unit_of(l);
    m->unit[GATE_NAME_MAX - 1] = m->method[GATE_NAME_MAX - 1] = m->id[sizeof(m->id) - 1] = '\0';
    if (m->version != GATE_LINK_VERSION || (l->unit == UNIT_NONE) != (m->kind == GATE_SAYS_HELLO) ||
        m->kind >= GATE_SAYS_COUNT) {
        drop(l, "speaks another language");
        return;
    }
    switch ((enum gate_says)m->kind) {
    case GATE_SAYS_HELLO:
        take_hello(l, m);
        break;
    case GATE_SAYS_ASK:
        take_ask(l, m);
        break;
    case GATE_SAYS_READY:
        if (m->beside)
            beside_is_ready(u);
        else if (m->generation == u->generation && u->pid > 0 && !u->ready)
            launch_become_ready(u);
        break;
    case GATE_SAYS_STATE:
        l->state = m->state;
        break;
    case GATE_SAYS_DRAINED:
        l->has_drained = l->has_drained || m->order_id == u->gate_drain_id;
        drained_if_all(u);
        break;
    case GATE_SAYS_ENDED:
        take_ended(l, m);
        break;
    case GATE_SAYS_NOTE:
        take_note(l, m);
        break;
    case GATE_SAYS_METHOD:
        gate_figures_take(l, &m->method_figures);
        break;
    case GATE_SAYS_COUNT:
        break;
    }
}

static int on_link(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
    (void)source;
    struct gate_link *l = userdata;
    struct supervisor *s = l->s;
    struct gate_says_message m;
    ssize_t n = revents & EPOLLIN ? recv(fd, &m, sizeof(m), MSG_DONTWAIT | MSG_TRUNC) : 0;
    if (n == (ssize_t)sizeof(m))
        take(l, &m);
    else if (n != -1 || (errno != EAGAIN && errno != EINTR))
        link_free(l);
    supervisor_drain(s);
    return 0;
}

/* Takes fd over. */
static void link_new(struct supervisor *s, int fd, pid_t pid)
{
    uint16_t via = wrap_unit_of_process(s, pid);
    unsigned count = 0;
    for (struct gate_link *l = s->gate_links; l; l = l->next)
        count++;
    struct gate_link *l = via != UNIT_NONE && count < GATE_LINKS_MAX ? calloc(1, sizeof(*l)) : NULL;
    if (!l) {
        close(fd);
        return;
    }
    l->s = s;
    l->fd = fd;
    l->pid = pid;
    l->unit = UNIT_NONE;
    l->via = via;
    l->rows_us = now_us();
    l->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    l->next = s->gate_links;
    s->gate_links = l;
    if (l->pidfd < 0 || sd_event_add_io(s->event, &l->source, fd, EPOLLIN, on_link, l) < 0)
        link_free(l);
}

static int on_listen(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
    (void)source;
    (void)revents;
    struct ucred cred;
    socklen_t length = sizeof(cred);
    int client = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (client < 0)
        return 0;
    if (getsockopt(client, SOL_SOCKET, SO_PEERCRED, &cred, &length) < 0)
        close(client);
    else
        link_new(userdata, client, cred.pid);
    return 0;
}

/* ------------------------------------------------ once a tick ------------------------------------------------ */

/* SIGSTOP cannot be caught: what stops the gate is meant for the worker that its caller takes it for. */
static void pass_stop_on(struct gate_link *l)
{
    struct unit_runtime *u = unit_of(l);
    char state;
    if (!u || u->pidfd < 0 || host_process_state(l->pid, NULL, &state) < 0)
        return;
    bool stopped = state == 'T';
    if (stopped == l->is_stopped)
        return;
    l->is_stopped = stopped;
    (void)syscall(SYS_pidfd_send_signal, u->pidfd, stopped ? SIGSTOP : SIGCONT, NULL, 0);
    supervisor_mark(l->s, u->index,
                    stopped ? "its gate was stopped: so is it" : "its gate goes on: so does it");
}

static void judge_lost(struct unit_runtime *u)
{
    if (!u->gated || u->pid <= 0 || gates_has(u))
        return;
    if (u->gate_lost_us == 0)
        u->gate_lost_us = now_us();
    if (now_us() < u->gate_lost_us + LOST_WAIT_US || u->gate_lost_told == u->generation)
        return;
    u->gate_lost_told = u->generation;
    supervisor_post_simple(u->s, EVENT_GATE_LOST, u->index, u->generation);
}

void gates_tick(struct supervisor *s)
{
    for (struct gate_link *l = s->gate_links; l; l = l->next) {
        pass_stop_on(l);
        gate_figures_store(l, false);
    }
    for (uint16_t i = 0; i < s->unit_count; i++)
        judge_lost(&s->units[i]);
}

/* ------------------------------------------------ set-up ------------------------------------------------ */

const char *gates_program(const struct supervisor *s)
{
    return s->gate_program;
}

/* A gate that was there before a reload took it out of the config is still spoken to. */
static bool may_have_gates(const struct supervisor *s)
{
    for (uint16_t i = 0; i < s->unit_count; i++)
        if (s->policy_units[i].enabled && s->units[i].config->wrap)
            return true;
    return false;
}

static bool needs_program(const struct supervisor *s)
{
    for (uint16_t i = 0; i < s->unit_count; i++)
        if (s->policy_units[i].enabled && s->units[i].config->gate != CONFIG_GATE_NONE)
            return !s->gate_program;
    return false;
}

/* Beside weir in a build folder, else where it is installed. */
static int find_program(struct supervisor *s, struct err *reterr)
{
    static const char installed[] = WEIR_LIBEXECDIR "/weir-gate";
    char self[PATH_MAX], built[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    if (n < 0)
        return err_errno(reterr, -errno, "/proc/self/exe");
    self[n] = '\0';
    char *slash = strrchr(self, '/');
    n = snprintf(built, sizeof(built), "%.*s/../gate/weir-gate", (int)(slash ? slash - self : 0), self);
    bool is_built = n > 0 && (size_t)n < sizeof(built) && access(built, X_OK) == 0;
    const char *found = is_built ? built : access(installed, X_OK) == 0 ? installed : NULL;
    if (!found)
        return err_set(reterr, -ENOENT,
                       "weir-gate, which a unit with a gate needs, is not there: looked for %s", installed);
    s->gate_program = realpath(found, NULL);
    return s->gate_program ? 0 : err_errno(reterr, -errno, "%s", found);
}

static int listen_at(struct supervisor *s, const struct sockaddr_un *address)
{
    (void)unlink(address->sun_path);
    _cleanup_close_ int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || bind(fd, (const struct sockaddr *)address, sizeof(*address)) < 0 ||
        chmod(address->sun_path, 0666) < 0 || listen(fd, 16) < 0)
        return -errno;
    int r = sd_event_add_io(s->event, &s->gate_source, fd, EPOLLIN, on_listen, s);
    if (r >= 0)
        r = sd_event_source_set_ratelimit(s->gate_source, USEC_PER_SEC, GATE_ACCEPTS_PER_S);
    if (r >= 0)
        s->gate_fd = steal_fd(&fd);
    return r;
}

int gates_open(struct supervisor *s, struct err *reterr)
{
    int r = needs_program(s) ? find_program(s, reterr) : 0;
    if (r < 0 || !may_have_gates(s) || s->gate_fd >= 0)
        return r;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int n = snprintf(address.sun_path, sizeof(address.sun_path), "%s/gate.sock", s->config->run_dir);
    if (n < 0 || (size_t)n >= sizeof(address.sun_path))
        return err_set(reterr, -ENAMETOOLONG, "run_dir %s: too long for a socket's path (at most %zu bytes)",
                       s->config->run_dir, sizeof(address.sun_path) - sizeof("/gate.sock"));
    r = listen_at(s, &address);
    return r < 0 ? err_errno(reterr, r, "%s", address.sun_path) : 0;
}

void gates_close(struct supervisor *s)
{
    while (s->gate_links)
        link_free(s->gate_links);
    s->gate_source = sd_event_source_disable_unref(s->gate_source);
    cleanup_close(&s->gate_fd);
    s->gate_fd = -1;
    free(s->gate_program);
    s->gate_program = NULL;
}
