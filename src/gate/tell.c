/* SPDX-License-Identifier: MIT */
/*
 * What the supervisor is told. Nothing here waits: what is due stays due until the link takes it, figures are told as they
 * are by then, and what only a supervisor of that moment could use (ready, drained) is forgotten with it.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "gate.h"
#include "weir/base/fdio.h"
#include "weir/base/units.h"

#define STATE_GAP_US (50 * USEC_PER_MSEC) /* as designed: 20 a second are plenty for a graph */

void tell_init(struct gate *g)
{
    g->tell = (struct tell){.second_us = g->now_us};
}

static struct gate_says_message message(const struct gate *g, enum gate_says kind)
{
    return (struct gate_says_message){
        .version = GATE_LINK_VERSION, .kind = (uint32_t)kind, .generation = g->generation};
}

/* False: not now. */
static bool say(struct gate *g, const struct gate_says_message *m)
{
    int r = link_send(&g->link, m);
    if (r < 0 && r != -EAGAIN)
        told_link_lost(g);
    return r == 0;
}

bool tell_is_full(const struct gate *g)
{
    return g->link.fd >= 0 && !g->link.writable;
}

/* ------------------------------------------ the state ------------------------------------------ */

/* The second figure of statm, in pages. */
static uint64_t resident_bytes(void)
{
    char text[128];
    unsigned long long pages = 0;
    if (fd_read_text_at(-1, "/proc/self/statm", text, sizeof(text)) <= 0 ||
        sscanf(text, "%*s %llu", &pages) != 1)
        return 0;
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static enum gate_order order_in_force(const struct gate *g)
{
    if (g->core.drain)
        return GATE_ORDER_DRAIN;
    switch (g->core.flow) {
    case GATE_FLOW_OPEN:
        break;
    case GATE_FLOW_PACED:
        return GATE_ORDER_PACE;
    case GATE_FLOW_HELD:
        return GATE_ORDER_HOLD;
    }
    return GATE_ORDER_RELEASE;
}

static void describe_state(struct gate *g, struct gate_state *s)
{
    const struct gate_core *c = &g->core;
    bool waits = c->blocked_since_us != UINT64_MAX;
    *s = (struct gate_state){
        .inflight = c->sent,
        .waiting = c->to_send,
        .queued = waits,
        .order = (uint32_t)order_in_force(g),
        .order_id = g->order_id,
        .queued_us = waits ? g->now_us - c->blocked_since_us : 0,
        .calls = g->figures.calls,
        .answers = g->figures.answers,
        .errors = g->figures.errors,
        .latency_p99_us = figures_p99_us(&g->figures, g->now_us),
        .resident_bytes = g->tell.resident_bytes,
    };
    memcpy(s->notes, g->tell.totals, sizeof(s->notes));
}

/* ------------------------------------------ notes ------------------------------------------ */

/* There may be thousands a second of these: told together. */
static bool is_plenty(enum gate_note note)
{
    return note == GATE_NOTE_NOT_JSON || note == GATE_NOTE_UNTRACKED;
}

static struct tell_note *new_note(struct tell *t)
{
    if (t->note_count == TELL_NOTES_MAX) { /* the oldest gives way; its count is in the state */
        t->note_first = (t->note_first + 1) % TELL_NOTES_MAX;
        t->note_count--;
    }
    return &t->notes[(t->note_first + t->note_count++) % TELL_NOTES_MAX];
}

static void queue_note(struct gate *g, enum gate_note note, uint64_t amount, const char *method,
                       const struct scan_id *id)
{
    struct tell_note *n = new_note(&g->tell);
    *n = (struct tell_note){.note = note, .amount = amount, .generation = g->generation};
    if (method)
        (void)snprintf(n->method, sizeof(n->method), "%s", method);
    if (id)
        (void)snprintf(n->id, sizeof(n->id), "%.*s", (int)id->raw_length, id->raw);
}

void tell_note(struct gate *g, enum gate_note note, uint64_t amount, const char *method,
               const struct scan_id *id)
{
    g->tell.totals[note] += amount;
    tell_changed(g);
    if (is_plenty(note))
        g->tell.pending[note] += amount;
    else
        queue_note(g, note, amount, method, id);
}

void tell_request(struct gate *g, enum gate_note note, const char *method, const struct scan_id *id,
                  uint64_t bytes)
{
    tell_note(g, note, 1, method, id);
    struct tell *t = &g->tell;
    t->notes[(t->note_first + t->note_count - 1) % TELL_NOTES_MAX].bytes = bytes;
}

static void say_notes(struct gate *g)
{
    struct tell *t = &g->tell;
    while (t->note_count > 0) {
        const struct tell_note *n = &t->notes[t->note_first];
        struct gate_says_message m = message(g, GATE_SAYS_NOTE);
        m.note = (uint32_t)n->note;
        m.amount = n->amount;
        m.bytes = n->bytes;
        m.generation = n->generation;
        memcpy(m.method, n->method, sizeof(m.method));
        memcpy(m.id, n->id, sizeof(m.id));
        if (!say(g, &m))
            return;
        t->note_first = (t->note_first + 1) % TELL_NOTES_MAX;
        t->note_count--;
    }
}

/* ------------------------------------------ what is due ------------------------------------------ */

void tell_connected(struct gate *g)
{
    g->tell.hello_due = true;
    g->tell.ask_due = g->child.pid > 0 && (!g->child.let_go || g->is_prepared) && !g->ending.active;
    g->tell.second_us = 0; /* all that is told once a second is due */
    figures_all_changed(&g->figures);
}

void tell_ended(struct gate *g, pid_t pid, int status)
{
    g->tell.ended = message(g, GATE_SAYS_ENDED);
    g->tell.ended.generation = g->child.generation;
    g->tell.ended.pid = pid;
    g->tell.ended.status = status;
    g->tell.ended_due = true;
}

void tell_ready(struct gate *g)
{
    struct gate_says_message m = message(g, GATE_SAYS_READY);
    (void)say(g, &m);
}

void tell_drained(struct gate *g)
{
    struct gate_says_message m = message(g, GATE_SAYS_DRAINED);
    m.order_id = g->drain_id;
    (void)say(g, &m);
}

static bool say_hello(struct gate *g)
{
    struct gate_says_message m = message(g, GATE_SAYS_HELLO);
    if (g->child.let_go && !g->is_prepared && !g->ending.active) { /* it may not have called exec yet */
        m.pid = g->child.pid;
        m.generation = g->child.generation;
    }
    m.ready = life_is_running(g) && g->core.worker == GATE_WORKER_UP;
    (void)snprintf(m.unit, sizeof(m.unit), "%s", g->unit);
    describe_state(g, &m.state);
    return say(g, &m);
}

static bool say_ask(struct gate *g)
{
    struct gate_says_message m = message(g, GATE_SAYS_ASK);
    m.pid = g->child.pid;
    return say(g, &m);
}

static bool say_beside(struct gate *g, enum gate_says kind, pid_t pid, int status)
{
    struct gate_says_message m = message(g, kind);
    m.beside = 1;
    m.pid = pid;
    m.status = status;
    return say(g, &m);
}

static void say_of_beside(struct gate *g)
{
    struct beside *b = &g->beside;
    if (b->ended_due && say_beside(g, GATE_SAYS_ENDED, b->ended_pid, b->ended_status))
        b->ended_due = false;
    if (b->ask_due && say_beside(g, GATE_SAYS_ASK, b->child.pid, 0))
        b->ask_due = false;
    if (b->ready_due && say_beside(g, GATE_SAYS_READY, b->child.pid, 0))
        b->ready_due = false;
}

static void say_state(struct gate *g)
{
    if (!g->tell.state_due)
        return;
    if (g->now_us < g->tell.state_us + STATE_GAP_US) {
        gate_wake_at(g, g->tell.state_us + STATE_GAP_US);
        return;
    }
    struct gate_says_message m = message(g, GATE_SAYS_STATE);
    describe_state(g, &m.state);
    if (!say(g, &m))
        return;
    g->tell.state_due = false;
    g->tell.state_us = g->now_us;
}

static void say_methods(struct gate *g)
{
    struct gate_says_message m = message(g, GATE_SAYS_METHOD);
    for (int i; (i = figures_next_changed(&g->figures)) >= 0;) {
        m.method_figures = g->figures.method[i];
        if (!say(g, &m)) {
            g->figures.changed[i] = true;
            return;
        }
    }
}

static void say_second(struct gate *g)
{
    struct tell *t = &g->tell;
    t->second_us = g->now_us;
    t->resident_bytes = resident_bytes();
    t->state_due = true;
    for (int note = 0; note < GATE_NOTE_COUNT; note++)
        if (t->pending[note] > 0) {
            queue_note(g, (enum gate_note)note, t->pending[note], NULL, NULL);
            t->pending[note] = 0;
        }
    say_methods(g);
}

static void each_second(struct gate *g)
{
    if (g->now_us >= g->tell.second_us + USEC_PER_SEC)
        say_second(g);
    gate_wake_at(g, g->tell.second_us + USEC_PER_SEC);
}

void tell_last(struct gate *g)
{
    if (g->link.fd < 0 || g->tell.hello_due)
        return;
    g->tell.second_us = g->tell.state_us = 0;
    tell_turn(g);
}

void tell_turn(struct gate *g)
{
    struct tell *t = &g->tell;
    if (g->link.fd < 0 || !g->link.writable)
        return;
    if (t->hello_due && say_hello(g))
        t->hello_due = false;
    if (t->hello_due)
        return; /* nothing goes before it */
    if (t->ended_due && say(g, &t->ended)) {
        t->ended_due = false;
        g->ending.told_us = g->now_us;
    }
    if (t->ask_due && say_ask(g))
        t->ask_due = false;
    say_of_beside(g);
    each_second(g);
    say_notes(g);
    say_state(g);
}
