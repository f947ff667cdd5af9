/* SPDX-License-Identifier: MIT */
/* The loop; see gate.h. */
#include "gate.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "weir/base/cleanup.h"
#include "weir/base/units.h"

#define EVENTS_MAX       10U      /* as many kinds as there are */
#define EXIT_UNAVAILABLE 69       /* EX_UNAVAILABLE, sysexits.h: there never was a worker */
#define OVER_PATIENCE_US 2000000U /* chosen: for a server that does not read what it is told at the end */

static uint64_t now(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * USEC_PER_SEC + (uint64_t)t.tv_nsec / 1000;
}

/* ------------------------------------------ begin and end ------------------------------------------ */

static int watch(const struct gate *g, int fd, enum gate_tag tag)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = tag};
    return epoll_ctl(g->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

static int open_all(struct gate *g, const struct gate_arguments *a, struct err *reterr)
{
    int r = link_init(&g->link, a->run_dir);
    if (r < 0)
        return err_errno(reterr, r, "%s/gate.sock", a->run_dir);
    g->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (g->epoll_fd < 0)
        return err_errno(reterr, -errno, "epoll");
    g->signal_fd = signals_open(&g->origin);
    if (g->signal_fd < 0)
        return err_errno(reterr, g->signal_fd, "signals");
    end_adopt(&g->server_in, STDIN_FILENO, true);
    end_adopt(&g->server_out, STDOUT_FILENO, false);
    r = requests_init(g);
    if (r == 0)
        r = answers_init(g);
    if (r == 0)
        r = end_watch(&g->server_in, g->epoll_fd, TAG_SERVER_IN);
    if (r == 0)
        r = end_watch(&g->server_out, g->epoll_fd, TAG_SERVER_OUT);
    if (r == 0)
        r = watch(g, g->signal_fd, TAG_SIGNAL);
    return r < 0 ? err_errno(reterr, r, "stdin, stdout") : 0;
}

static struct gate *gate_new(const struct gate_arguments *a)
{
    struct gate *g = calloc(1, sizeof(*g));
    if (!g)
        return NULL;
    g->unit = a->unit;
    g->origin.argv = a->argv;
    g->epoll_fd = g->signal_fd = g->link.fd = -1;
    g->server_in = g->server_out = END_NULL;
    g->handshake_out = g->alone_slot = -1;
    g->now_us = now();
    gate_core_init(&g->core, GATE_SLOTS_MAX);
    ledger_init(&g->ledger);
    figures_init(&g->figures, g->now_us);
    copies_init(&g->copies);
    child_init(&g->child);
    beside_init(g);
    tell_init(g);
    return g;
}

static void end_waiting_child(struct gate *g)
{
    if (g->child.pid == 0 || (g->child.let_go && !g->is_prepared))
        return;
    (void)kill(g->child.pid, SIGKILL);
    (void)waitpid(g->child.pid, NULL, 0);
}

static void gate_free(struct gate *g)
{
    end_waiting_child(g);
    beside_discard(g);
    child_deinit(&g->child);
    for (int slot = 0; slot < GATE_SLOTS_MAX; slot++)
        copy_drop(&g->copies, &g->ledger.slots[slot].line.copy);
    for (int i = 0; i < GATE_LIST_MAX; i++)
        copy_drop(&g->copies, &g->handshake[i].copy);
    copy_drop(&g->copies, &g->requests.copy);
    copies_deinit(&g->copies);
    stream_deinit(&g->requests.stream);
    stream_deinit(&g->answers.stream);
    cleanup_close(&g->link.fd);
    cleanup_close(&g->signal_fd);
    cleanup_close(&g->epoll_fd);
    free(g);
}

/* ------------------------------------------ events ------------------------------------------ */

static void take_signals(struct gate *g)
{
    struct signal_told told;
    while (signals_next(g->signal_fd, &told) > 0)
        life_signal(g, &told);
    g->moved = true;
}

static void take_event(struct gate *g, const struct epoll_event *event)
{
    switch ((enum gate_tag)event->data.u64) {
    case TAG_SERVER_IN:
        end_event(&g->server_in, event->events);
        break;
    case TAG_SERVER_OUT:
        end_event(&g->server_out, event->events);
        break;
    case TAG_WORKER_IN:
        end_event(&g->child.in, event->events);
        break;
    case TAG_WORKER_OUT:
        end_event(&g->child.out, event->events);
        break;
    case TAG_EXEC:
        life_exec_result(g);
        break;
    case TAG_BESIDE_IN:
        end_event(&g->beside.child.in, event->events);
        break;
    case TAG_BESIDE_OUT:
        end_event(&g->beside.child.out, event->events);
        break;
    case TAG_BESIDE_EXEC:
        break; /* looked at in its turn */
    case TAG_SIGNAL:
        take_signals(g);
        break;
    case TAG_LINK:
        g->link.readable = true;
        g->link.writable = g->link.writable || event->events & EPOLLOUT;
        break;
    }
}

static int timeout_ms(const struct gate *g)
{
    if (g->moved)
        return 0;
    uint64_t ms = (g->wake_us - g->now_us + USEC_PER_MSEC - 1) / USEC_PER_MSEC;
    return g->wake_us == UINT64_MAX ? -1 : ms > 60000 ? 60000 : (int)ms;
}

static int take_events(struct gate *g)
{
    struct epoll_event events[EVENTS_MAX];
    int count = epoll_wait(g->epoll_fd, events, EVENTS_MAX, timeout_ms(g));
    if (count < 0 && errno != EINTR)
        return -errno;
    g->now_us = now();
    g->wake_us = UINT64_MAX;
    g->moved = false;
    for (int i = 0; i < count; i++)
        take_event(g, &events[i]);
    return 0;
}

/* ------------------------------------------ a turn ------------------------------------------ */

/* Answers before requests: room in the worker's output is what lets it read on. Orders before both. */
static void turn(struct gate *g)
{
    if (link_connect(&g->link, g->epoll_fd, TAG_LINK, g->now_us) > 0)
        tell_connected(g);
    if (g->link.fd < 0)
        gate_wake_at(g, g->link.retry_us);
    told_turn(g);
    told_apply_settings(g);
    answers_turn(g);
    life_turn(g);
    beside_turn(g);
    action_turn(g);
    requests_turn(g);
    gate_wake_at(g, gate_core_deadline(&g->core));
    tell_turn(g);
}

/* The core is done. What was said must have left, as far as the server takes it. */
static bool may_leave(struct gate *g)
{
    const struct stream *s = &g->answers.stream;
    if (!g->is_over)
        return false;
    if (g->answers.dead || (s->sent == s->passed && s->insertion.size == 0))
        return true;
    if (g->over_us == 0)
        g->over_us = g->now_us;
    gate_wake_at(g, g->over_us + OVER_PATIENCE_US);
    return g->core.stopped && g->now_us >= g->over_us + OVER_PATIENCE_US;
}

int gate_run(const struct gate_arguments *arguments, struct err *reterr)
{
    struct gate *g = gate_new(arguments);
    if (!g)
        return err_errno(reterr, -ENOMEM, "gate");
    int r = open_all(g, arguments, reterr);
    g->moved = true;
    while (r == 0 && !may_leave(g)) {
        r = take_events(g);
        if (r == 0)
            turn(g);
        else
            (void)err_errno(reterr, r, "epoll");
    }
    tell_last(g);
    if (r == 0)
        r = g->status == 0 && g->generation == 0 ? EXIT_UNAVAILABLE << 8 : g->status;
    gate_free(g);
    return r;
}
