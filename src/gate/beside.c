/* SPDX-License-Identifier: MIT */
/*
 * The next worker, made ready beside the present one.
 *
 *   PREPARE -> fork, ASK -> GO -> each kept handshake line is sent and answered -> READY
 *           -> the present worker has ended: instead of a fork, this one is asked for (beside_take_over, life.c)
 *
 * The handshake's answers are swallowed, and so is whatever else the worker says before the last of them: the server knows
 * of one worker only. What comes after it is not read before the worker is in use. Refused, dead, or without a supervisor:
 * it is ended, and the next one is made when the present one has ended, as ever.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gate.h"

void beside_init(struct gate *g)
{
    child_init(&g->beside.child);
    g->beside.none = END_NULL;
}

static int watch_exec(const struct gate *g)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.u64 = TAG_BESIDE_EXEC};
    return epoll_ctl(g->epoll_fd, EPOLL_CTL_ADD, g->beside.child.exec_fd, &event) < 0 ? -errno : 0;
}

static void forget(struct gate *g)
{
    struct beside *b = &g->beside;
    stream_deinit(&b->requests);
    stream_deinit(&b->answers);
    child_deinit(&b->child);
    b->is_ready = b->sent = b->ask_due = b->ready_due = false;
    b->at = 0;
}

void beside_discard(struct gate *g)
{
    struct beside *b = &g->beside;
    if (b->child.pid > 0) {
        (void)kill(b->child.pid, SIGKILL);
        (void)waitpid(b->child.pid, NULL, 0); /* nobody is served by it, and it is gone in a moment */
    }
    forget(g);
}

void beside_prepare(struct gate *g)
{
    struct beside *b = &g->beside;
    struct err error = ERR_NULL;
    if (b->child.pid > 0 || g->is_over)
        return;
    int r = child_fork(&b->child, &g->origin, &error);
    if (r == 0)
        r = stream_init(&b->requests, &b->none, &b->child.in);
    if (r == 0)
        r = stream_init(&b->answers, &b->child.out, &b->none);
    if (r == 0)
        r = stream_scan(&b->answers);
    if (r == 0)
        r = end_watch(&b->child.in, g->epoll_fd, TAG_BESIDE_IN);
    if (r == 0)
        r = end_watch(&b->child.out, g->epoll_fd, TAG_BESIDE_OUT);
    if (r == 0)
        r = watch_exec(g);
    if (r < 0)
        beside_discard(g); /* the supervisor goes on without it when its time is over */
    else
        b->ask_due = true;
}

void beside_go(struct gate *g, uint32_t generation, const char *setting, int memory_fd)
{
    struct child *c = &g->beside.child;
    if (c->pid == 0 || c->let_go) {
        if (memory_fd >= 0)
            (void)close(memory_fd);
        return;
    }
    c->memory_fd = memory_fd;
    (void)child_go(c, generation, setting);
}

/* ------------------------------------------ the handshake ------------------------------------------ */

/* The next kept line, from place `at` on; GATE_LIST_MAX: there is none. */
static uint32_t next_line(const struct gate *g, uint32_t at)
{
    while (at < GATE_LIST_MAX && !copy_is_kept(&g->handshake[at].copy))
        at++;
    return at;
}

static bool send_line(struct gate *g)
{
    struct beside *b = &g->beside;
    if (!b->sent) {
        stream_insert_copy(&b->requests, &g->copies, &g->handshake[b->at].copy);
        b->out =
            g->handshake[b->at].id; /* the present worker may have answered a newer one by the time this is */
    }
    b->sent = true;
    int r = stream_flush(&b->requests);
    return r == 0;
}

static bool is_answer(const struct scan_message *m, const struct scan_id *id)
{
    return m->kind == SCAN_RESPONSE && m->id.kind == id->kind && m->id.key_length == id->key_length &&
           memcmp(m->id.key, id->key, id->key_length) == 0;
}

/* Lines up to the answer. 1: it is there; 0: not yet; -EPROTO: it is an error, or can come no more. */
static int await_answer(struct gate *g)
{
    struct beside *b = &g->beside;
    struct stream *s = &b->answers;
    for (;;) {
        enum stream_front front = stream_look(s);
        if (front == STREAM_NOTHING && stream_fill(s) <= 0)
            return s->ended ? -EPROTO : 0;
        if (front == STREAM_NOTHING)
            continue;
        const struct scan_line *line = &s->scanner->line;
        bool is_whole =
            front == STREAM_LINE && s->mode == STREAM_JUDGE && !line->is_batch && line->count == 1;
        bool is_it = is_whole && is_answer(&line->message[0], &b->out);
        bool has_error = is_it && line->message[0].has_error;
        stream_drop(s);
        if (is_it)
            return has_error ? -EPROTO : 1;
    }
}

static void shake_hands(struct gate *g)
{
    struct beside *b = &g->beside;
    for (b->at = next_line(g, b->at); b->at < GATE_LIST_MAX; b->at = next_line(g, b->at + 1)) {
        if (!send_line(g))
            return;
        int r = await_answer(g);
        if (r < 0)
            (void)kill(b->child.pid, SIGKILL);
        if (r <= 0)
            return;
        b->sent = false;
    }
    b->is_ready = b->ready_due = true;
    g->moved = true;
}

/* ------------------------------------------ its life ------------------------------------------ */

static void reap(struct gate *g)
{
    struct beside *b = &g->beside;
    pid_t pid = b->child.pid;
    int status = 0;
    if (!b->changed)
        return;
    b->changed = false;
    if (child_reap(&b->child, &status) == 0)
        return;
    b->ended_pid = pid;
    b->ended_status = status;
    b->ended_due = true;
    forget(g);
    g->moved = true;
}

/* What it said after its last handshake answer, and was read with it, is the first that is read of it. */
static size_t rest_of(const struct beside *b)
{
    return b->answers.filled - b->answers.passed;
}

bool beside_shakes_hands(const struct gate *g)
{
    return g->beside.child.pid > 0 && !g->beside.is_ready;
}

void beside_copy_goes(struct gate *g, const struct copy *copy)
{
    if (g->beside.requests.insertion.copy == copy)
        (void)kill(g->beside.child.pid, SIGKILL);
}

bool beside_is_coming(const struct gate *g)
{
    const struct beside *b = &g->beside;
    /* else the server reads slowly, and what is there must go out first */
    bool has_room = g->answers.stream.filled + rest_of(b) <= STREAM_BUFFER_BYTES;
    return b->child.pid > 0 && b->child.let_go && (!b->is_ready || !has_room);
}

void beside_turn(struct gate *g)
{
    struct beside *b = &g->beside;
    reap(g);
    if (b->child.pid > 0 && g->is_over)
        beside_discard(g);
    if (b->child.pid == 0 || !b->child.let_go || b->is_ready)
        return;
    if (b->child.exec_fd >= 0)
        (void)child_exec_result(&b->child);
    if (b->child.exec_fd < 0 && b->child.exec_error == 0) /* else its end is an event of its own */
        shake_hands(g);
}

/* There is room: beside_is_coming(). */
static void keep_rest(struct gate *g)
{
    const struct stream *from = &g->beside.answers;
    struct stream *to = &g->answers.stream;
    memcpy(to->data + to->filled, from->data + from->passed, rest_of(&g->beside));
    to->filled += rest_of(&g->beside);
}

bool beside_take_over(struct gate *g)
{
    struct beside *b = &g->beside;
    if (!b->is_ready)
        return false;
    keep_rest(g);
    g->child = b->child;
    child_init(&b->child);
    forget(g);
    end_unwatch(&g->child.in);
    end_unwatch(&g->child.out);
    g->child.out.ready = g->child.in.ready = true;
    return end_watch(&g->child.in, g->epoll_fd, TAG_WORKER_IN) == 0 &&
           end_watch(&g->child.out, g->epoll_fd, TAG_WORKER_OUT) == 0;
}
