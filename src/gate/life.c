/* SPDX-License-Identifier: MIT */
/*
 * A worker from its fork to its end.
 *
 * An end takes a while: what the worker wrote is read to the end of it first, and the supervisor is asked what it died of.
 * Until then nothing passes; then the core is told, and says what becomes of what was in flight.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gate.h"

#define OUTPUT_PATIENCE_US                                                                                   \
    2000000U /* as designed: for output that another process of the worker's still holds open */
#define CAUSE_PATIENCE_US 1000000U /* as designed: for the supervisor's word */
#define RETRY_US                                                                                             \
    500000U /* as for the link: a worker that could not be made, or died before it had its place */
#define EXIT_UNAVAILABLE 69 /* EX_UNAVAILABLE, sysexits.h: there never was a worker */

bool life_is_running(const struct gate *g)
{
    return g->child.pid > 0 && g->child.let_go && g->child.exec_fd < 0 && !g->ending.active &&
           !g->is_prepared;
}

/* ------------------------------------------ a start ------------------------------------------ */

static void begin_end(struct gate *g, pid_t pid, int status, bool waited);

static int watch_child(struct gate *g)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.u64 = TAG_EXEC};
    int r = end_watch(&g->child.in, g->epoll_fd, TAG_WORKER_IN);
    if (r == 0)
        r = end_watch(&g->child.out, g->epoll_fd, TAG_WORKER_OUT);
    if (r == 0 && epoll_ctl(g->epoll_fd, EPOLL_CTL_ADD, g->child.exec_fd, &event) < 0)
        r = -errno;
    return r;
}

void life_ask(struct gate *g)
{
    struct err error = ERR_NULL;
    g->is_prepared = beside_take_over(g);
    int r = g->is_prepared ? 0 : child_fork(&g->child, &g->origin, &error);
    if (r == 0 && !g->is_prepared)
        r = watch_child(g);
    g->status = 0;                   /* it goes on: the last worker's end was no end of ours */
    g->answers.stream.ended = false; /* its pipes are new ones */
    g->answers.ended_us = 0;
    if (r == 0) {
        g->tell.ask_due = true;
        return;
    }
    if (g->fork_failed++ == 0) /* said once: it is tried again and again */
        fprintf(stderr, "weir: %s: %s\n", g->unit, error.text[0] ? error.text : strerror(-r));
    if (g->child.pid > 0)
        (void)kill(g->child.pid, SIGKILL);
    else
        begin_end(g, 0, 0, true);
}

static uint32_t kept_handshakes(const struct gate *g)
{
    uint32_t count = 0;
    for (int i = 0; i < GATE_LIST_MAX; i++)
        count += copy_is_kept(&g->handshake[i].copy);
    return count;
}

/* It runs, in its place. */
static void begin_life(struct gate *g, uint32_t handshakes)
{
    g->generation = g->child.generation;
    g->fork_failed = 0;
    g->alone_slot = -1;
    g->handshake_out = -1;
    g->is_prepared = false;
    if (!gate_core_started(&g->core, ++g->lives, handshakes))
        (void)kill(g->child.pid, SIGKILL);
    tell_changed(g);
    g->moved = true;
}

void life_go(struct gate *g, uint32_t generation, const char *setting, int memory_fd)
{
    if (g->is_prepared && g->child.pid > 0 && !g->ending.active) {
        if (memory_fd >= 0)
            close(memory_fd); /* it has its own */
        g->tell.ask_due = false;
        g->child.generation = generation;
        begin_life(g, 0);
        return;
    }
    if (g->child.pid == 0 || g->child.let_go || g->ending.active) {
        if (memory_fd >= 0)
            close(memory_fd);
        return; /* it died meanwhile, and another one will be asked for */
    }
    g->child.memory_fd = memory_fd;
    g->tell.ask_due = false;
    (void)child_go(&g->child, generation, setting);
}

void life_refuse(struct gate *g, const char *text)
{
    if (g->child.pid == 0 || (g->child.let_go && !g->is_prepared) || g->ending.active)
        return;
    g->is_prepared = false;
    (void)snprintf(g->refusal, sizeof(g->refusal), "%s", text);
    g->status = g->last_status;
    g->tell.ask_due = false;
    gate_core_refused(&g->core);
    (void)kill(g->child.pid, SIGKILL);
    (void)waitpid(g->child.pid, NULL, 0); /* it waits in a read: gone at once */
    child_deinit(&g->child);
    tell_changed(g);
}

static void say_exec_error(const struct gate *g, int error)
{
    const char *path = getenv("PATH");
    fprintf(stderr, "weir: exec: %s: %s (looked for in PATH=%s)\n", g->origin.argv[0], strerror(error),
            path ? path : "");
}

void life_exec_result(struct gate *g)
{
    if (g->child.exec_fd < 0)
        return;
    int r = child_exec_result(&g->child);
    if (r == -EAGAIN)
        return;
    if (r > 0)
        say_exec_error(g, r);
    if (r != 0 || !g->child.let_go)
        return; /* its end is an event of its own */
    begin_life(g, kept_handshakes(g));
}

/* ------------------------------------------ signals ------------------------------------------ */

void life_signal(struct gate *g, const struct signal_told *told)
{
    bool running = g->child.pid > 0 && g->child.let_go;
    if (told->is_child) {
        g->child_changed = g->beside.changed = true;
        return;
    }
    if (running && !told->from_terminal)
        (void)kill(g->child.pid, told->number);
    if (!told->asks_to_end)
        return;
    if (running || g->ending.active) {
        g->end_asked = true;
        return;
    }
    g->status = told->number; /* as of waitpid(2): killed by it */
    gate_core_stop(&g->core);
    g->moved = true;
}

/* ------------------------------------------ an end ------------------------------------------ */

static void describe_status(char text[static GATE_TEXT_MAX], int status)
{
    if (WIFSIGNALED(status))
        (void)snprintf(text, GATE_TEXT_MAX, "killed by signal %d", WTERMSIG(status));
    else
        (void)snprintf(text, GATE_TEXT_MAX, "exited with status %d", WEXITSTATUS(status));
}

static void begin_end(struct gate *g, pid_t pid, int status, bool waited)
{
    int left = 0;
    g->ending = (struct ending){
        .active = true, .pid = pid, .status = status, .since_us = g->now_us, .waited = waited};
    g->tell.ask_due = false;
    if (end_is_open(&g->child.out) && ioctl(g->child.out.fd, FIONREAD, &left) == 0 && left > 0)
        g->ending.read_until = g->answers.stream.read + (uint64_t)left;
    g->child.out.ready = true;
    g->moved = true;
    if (waited)
        return;
    g->status = g->last_status = status;
    if (g->cause_generation != g->child.generation)
        describe_status(g->cause, status);
    tell_ended(g, pid, status);
}

static void reap(struct gate *g)
{
    int status = 0;
    pid_t pid = g->child.pid;
    if (!g->child_changed || g->ending.active)
        return;
    g->child_changed = false;
    if (child_reap(&g->child, &status) == 0)
        return;
    life_exec_result(g); /* a worker that ran for a moment only */
    begin_end(g, pid, status, !g->child.let_go || g->is_prepared);
    g->is_prepared = false;
}

/* Whether what it wrote is read, as far as it will be. */
static bool output_is_read(struct gate *g)
{
    const struct stream *s = &g->answers.stream;
    if (s->ended || !end_is_open(&g->child.out))
        return true;
    if (s->read < g->ending.read_until)
        return false; /* the server takes its time */
    gate_wake_at(g, g->ending.since_us + OUTPUT_PATIENCE_US);
    return g->now_us >= g->ending.since_us + OUTPUT_PATIENCE_US;
}

static bool cause_is_known(struct gate *g)
{
    const struct ending *e = &g->ending;
    if (g->cause_generation == g->child.generation || g->link.fd < 0)
        return true;
    uint64_t since_us = e->told_us ? e->told_us : e->since_us;
    gate_wake_at(g, since_us + CAUSE_PATIENCE_US);
    return g->now_us >= since_us + CAUSE_PATIENCE_US;
}

static bool is_clean(const struct gate *g)
{
    return WIFEXITED(g->ending.status) && WEXITSTATUS(g->ending.status) == 0 && !g->end_asked &&
           g->ending_generation != g->child.generation;
}

static void end_waited(struct gate *g)
{
    gate_wake_at(g, g->ending.since_us + RETRY_US);
    if (g->now_us < g->ending.since_us + RETRY_US && !g->core.stopped)
        return;
    gate_core_ended(&g->core, false);
    child_deinit(&g->child);
    g->ending.active = false;
    g->moved = true;
}

static void end_worker(struct gate *g)
{
    if (!output_is_read(g) || !cause_is_known(g))
        return;
    answers_worker_ended(g);
    requests_worker_ended(g);
    if (g->end_asked || g->answers.dead) /* to a server that reads no more a next one is of no use */
        gate_core_stop(&g->core);
    gate_core_ended(&g->core, is_clean(g));
    answers_settle(g);
    child_deinit(&g->child);
    g->handshake_out = g->alone_slot = -1;
    g->end_asked = false;
    g->cause_generation = g->ending_generation = 0;
    g->ending.active = false;
    g->moved = true;
    told_apply_settings(g);
    tell_changed(g);
}

/* It reads no more, and lives: the server shall see that, as it would without us. */
static void pass_on_closed_stdin(struct gate *g)
{
    const uint64_t patience_us = 1000000; /* as for its output */
    if (!life_is_running(g) || !end_is_open(&g->child.in) || !g->child.in.hungup) {
        g->requests.hungup_us = 0;
        return;
    }
    if (g->requests.hungup_us == 0)
        g->requests.hungup_us = g->now_us;
    gate_wake_at(g, g->requests.hungup_us + patience_us);
    if (g->now_us < g->requests.hungup_us + patience_us)
        return;
    end_close(&g->child.in);
    end_close(&g->server_in);
    g->requests.stream.ended = true;
    g->end_asked = true; /* a next one would never be asked anything */
}

/* The server closed both its ends: it is most likely dead. What is held back is nobody's then, and no worker is waited for. */
static void leave_with_server(struct gate *g)
{
    bool is_gone = g->server_in.hungup && (g->server_out.hungup || g->answers.dead);
    if (!is_gone || g->ending.active || g->end_asked || g->core.stopped)
        return;
    if (!life_is_running(g)) {
        gate_core_stop(&g->core);
        g->moved = true;
    } else if (g->requests.waits) {
        g->end_asked = true;
        end_close(&g->child.in);
    }
}

void life_turn(struct gate *g)
{
    reap(g);
    pass_on_closed_stdin(g);
    leave_with_server(g);
    if (g->ending.active && g->ending.waited)
        end_waited(g);
    else if (g->ending.active)
        end_worker(g);
    if (g->is_over && g->child.pid > 0 && !g->ending.active)
        (void)kill(g->child.pid, SIGKILL); /* it still waits */
}
