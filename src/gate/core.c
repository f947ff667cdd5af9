/* SPDX-License-Identifier: MIT */
/*
 * The gate's decisions; core.h draws the states and gives the rules.
 *
 * Approach: events only write down what happened. What follows of it (the next worker, an error, an order that ends) is
 * made in gate_core_next() and gate_core_judge() from the state alone, so nothing depends on which event came last, and
 * an action that could not be carried out is simply offered again. Each call makes at most one move of the worker, so
 * that the explorer sees all of them.
 *
 * Must not come in here: a clock, a buffer, an id, a pointer that is kept.
 */
#include "core_slots.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

#define NEVER UINT64_MAX

static const struct gate_wait no_wait = {.why = GATE_WHY_NONE, .since_us = NEVER};

/* ------------------------------------------ the worker's states ------------------------------------------ */

enum worker_flag {
    WORKER_ENDS = 1 << 0,    /* there is a process that may end */
    WORKER_IDLE = 1 << 1,    /* nothing runs: over at once when no worker may follow */
    WORKER_REJECTS = 1 << 2, /* none is coming: nothing waits for one */
    WORKER_GONE = 1 << 3,    /* who asked the server something is gone, its responses are nobody's */
};

struct worker_row {
    uint32_t next, flags; /* allowed successors; enum worker_flag */
};

#define W(worker) (1U << GATE_WORKER_##worker)

static const struct worker_row worker_rows[GATE_WORKER_COUNT] = {
    [GATE_WORKER_NONE] = {W(ASKED) | W(OVER), WORKER_IDLE | WORKER_GONE},
    [GATE_WORKER_ASKED] = {W(HANDSHAKE) | W(ENDED) | W(DOWN) | W(OVER),
                           WORKER_ENDS | WORKER_IDLE | WORKER_GONE},
    [GATE_WORKER_HANDSHAKE] = {W(UP) | W(ENDED), WORKER_ENDS},
    [GATE_WORKER_UP] = {W(ENDED), WORKER_ENDS},
    [GATE_WORKER_ENDED] = {W(NONE) | W(OVER), WORKER_IDLE | WORKER_GONE},
    [GATE_WORKER_DOWN] = {W(NONE) | W(OVER), WORKER_IDLE | WORKER_REJECTS | WORKER_GONE},
    [GATE_WORKER_OVER] = {0, WORKER_REJECTS | WORKER_GONE},
};

#undef W

bool gate_core_may_move(enum gate_worker from, enum gate_worker to)
{
    return (worker_rows[from].next >> to) & 1U;
}

static bool is(const struct gate_core *c, enum worker_flag flag)
{
    return worker_rows[c->worker].flags & flag;
}

static void move(struct gate_core *c, enum gate_worker to)
{
    assert(gate_core_may_move(c->worker, to));
    c->worker = to;
    /* what must be true in any state */
    bool up = to == GATE_WORKER_UP;
    assert(up || (c->sent == 0 && !c->alone && !c->ready_due && !c->stdin_closed));
    assert(to == GATE_WORKER_HANDSHAKE || !c->kill_due);
    assert(!is(c, WORKER_REJECTS) || c->to_send == 0);
    assert(c->used == c->sent + c->to_send + c->failed && c->used <= c->slot_limit);
}

/* --------------------------------------------- waiting --------------------------------------------- */

static uint64_t later(uint64_t t_us, uint64_t delay_us)
{
    return delay_us < NEVER - t_us ? t_us + delay_us : NEVER;
}

/* When the pace's rate allows the next line; 0 = now. */
static uint64_t pace_next(const struct gate_core *c)
{
    bool rated = c->flow == GATE_FLOW_PACED && c->pace_interval_us > 0 && c->pace_last_us != NEVER;
    return rated ? later(c->pace_last_us, c->pace_interval_us) : 0;
}

/* A line is on its way to the worker that is there now. */
static bool is_passing(const struct gate_core *c)
{
    return c->passing && c->worker == GATE_WORKER_UP && c->passing_generation == c->generation;
}

static enum gate_why front_why(const struct gate_core *c, enum gate_line line, uint64_t now_us)
{
    bool counted = c->flow == GATE_FLOW_PACED && c->pace_inflight > 0;
    if (c->worker != GATE_WORKER_UP)
        return GATE_WHY_WORKER;
    if (line == GATE_LINE_RESPONSE)
        return GATE_WHY_NONE;
    if (c->flow == GATE_FLOW_HELD || c->drain)
        return GATE_WHY_ORDER;
    if (c->to_send > 0 || c->alone)
        return GATE_WHY_TURN;
    if (line == GATE_LINE_REQUEST && counted && c->sent >= c->pace_inflight)
        return GATE_WHY_ORDER;
    if (now_us < pace_next(c))
        return GATE_WHY_RATE;
    if (line == GATE_LINE_REQUEST && c->used >= c->slot_limit)
        return GATE_WHY_SLOTS;
    return GATE_WHY_NONE;
}

static enum gate_why again_why(const struct gate_core *c, uint64_t now_us)
{
    if (c->to_send == 0)
        return GATE_WHY_NONE;
    if (c->worker != GATE_WORKER_UP)
        return GATE_WHY_WORKER;
    if (c->sent > 0 || is_passing(c))
        return GATE_WHY_TURN;
    if (c->flow == GATE_FLOW_HELD || c->drain)
        return GATE_WHY_ORDER;
    return now_us < pace_next(c) ? GATE_WHY_RATE : GATE_WHY_NONE;
}

/* Notes why it waits now. Whether that has lasted for patience. */
static bool wait_note(const struct gate_core *c, struct gate_wait *w, enum gate_why why, uint64_t now_us)
{
    bool bounded = why == GATE_WHY_WORKER || why == GATE_WHY_ORDER || why == GATE_WHY_RATE;
    w->why = why;
    if (!bounded)
        w->since_us = NEVER;
    else if (w->since_us == NEVER)
        w->since_us = now_us;
    return bounded && now_us >= later(w->since_us, c->patience_us);
}

static void set_flow(struct gate_core *c, enum gate_flow flow, uint32_t inflight, uint64_t interval_us)
{
    if (flow != GATE_FLOW_PACED || c->flow != GATE_FLOW_PACED)
        c->pace_last_us = NEVER;
    c->flow = flow;
    c->pace_inflight = inflight;
    c->pace_interval_us = interval_us;
}

static void end_orders(struct gate_core *c)
{
    gate_core_release(c);
    c->bound_due = true;
}

/* No worker may come after the one there is, or was. */
static bool is_last(const struct gate_core *c)
{
    bool first = c->generation == 0 && (c->worker == GATE_WORKER_NONE || c->worker == GATE_WORKER_ASKED);
    return c->stopped || c->exit_due || (c->server_closed && !first);
}

static void settle(struct gate_core *c)
{
    if (is(c, WORKER_IDLE) && is_last(c)) {
        slots_give_up(c, GATE_FAILURE_ENDED);
        move(c, GATE_WORKER_OVER);
    } else if (c->worker == GATE_WORKER_ENDED) {
        move(c, GATE_WORKER_NONE);
    } else if (c->worker == GATE_WORKER_HANDSHAKE && c->handshake_next == c->handshake_count) {
        move(c, GATE_WORKER_UP);
        c->ready_due = true;
        if (c->drain && c->drain_generation != c->generation)
            c->drain = c->drain_told = false;
    }
}

/* Whoever is to be sent again: may it, or has it waited too long? */
static void settle_again(struct gate_core *c, uint64_t now_us)
{
    if (!wait_note(c, &c->again, again_why(c, now_us), now_us))
        return;
    if (c->again.why == GATE_WHY_WORKER)
        slots_give_up(c, GATE_FAILURE_IMPATIENT);
    else
        end_orders(c);
    wait_note(c, &c->again, again_why(c, now_us), now_us);
}

void gate_core_init(struct gate_core *c, uint32_t slot_limit)
{
    assert(slot_limit > 0 && slot_limit <= GATE_SLOTS_MAX);
    memset(c, 0, sizeof(*c));
    c->slot_limit = slot_limit;
    c->patience_us = NEVER;
    c->front = c->again = no_wait;
    c->pace_last_us = c->blocked_since_us = c->impatient_since_us = NEVER;
}

void gate_core_set(struct gate_core *c, uint32_t replay_max, uint64_t patience_us, bool respawn_clean)
{
    c->replay_max = replay_max;
    c->patience_us = patience_us;
    c->respawn_clean = respawn_clean;
}

/* ------------------------------------------ the server's lines ------------------------------------------ */

static enum gate_verdict reject(struct gate_core *c, enum gate_failure failure,
                                enum gate_failure *ret_failure)
{
    c->front = no_wait;
    c->blocked_since_us = NEVER;
    *ret_failure = failure;
    return GATE_REJECT;
}

enum gate_verdict gate_core_judge(struct gate_core *c, enum gate_line line, uint64_t now_us,
                                  enum gate_failure *ret_failure)
{
    assert(!c->passing && !c->server_closed);
    if (is(c, WORKER_REJECTS))
        return reject(c, GATE_FAILURE_DOWN, ret_failure);
    if (is(c, WORKER_GONE) && line == GATE_LINE_RESPONSE)
        return reject(c, GATE_FAILURE_ENDED, ret_failure);

    bool too_long = wait_note(c, &c->front, front_why(c, line, now_us), now_us);
    if (c->front.why == GATE_WHY_WORKER && (too_long || c->impatient_since_us == now_us)) {
        c->impatient_since_us = now_us;
        return reject(c, GATE_FAILURE_IMPATIENT, ret_failure);
    }
    if (too_long) {
        end_orders(c);
        wait_note(c, &c->front, front_why(c, line, now_us), now_us);
    }
    if (c->front.why != GATE_WHY_NONE) {
        if (c->blocked_since_us == NEVER)
            c->blocked_since_us = now_us;
        return GATE_WAIT;
    }
    c->front = no_wait;
    c->blocked_since_us = NEVER;
    c->passing = true;
    c->passing_generation = c->generation;
    return GATE_PASS;
}

int gate_core_passed(struct gate_core *c, enum gate_line line, bool replay, uint64_t now_us)
{
    assert(is_passing(c));
    c->passing = false;
    if (line != GATE_LINE_RESPONSE && c->flow == GATE_FLOW_PACED)
        c->pace_last_us = now_us;
    int slot = slots_take(c, line, replay);
    if (slot >= 0) {
        c->slots[slot].state = GATE_SLOT_SENT;
        c->sent++;
    }
    return slot;
}

static int cut(struct gate_core *c, enum gate_line line, bool replay, bool unread)
{
    assert(c->passing && !is_passing(c));
    c->passing = false;
    int slot = slots_take(c, line, replay);
    if (slot >= 0) {
        c->slots[slot].unread = unread;
        slots_outlived(c, slot);
    }
    return slot;
}

int gate_core_cut(struct gate_core *c, enum gate_line line, bool kept)
{
    return cut(c, line, kept, false);
}

int gate_core_cut_unread(struct gate_core *c, enum gate_line line, bool replay)
{
    return cut(c, line, replay, true);
}

/* Somebody waits, though the line has not been judged again yet. */
static void in_front_again(struct gate_core *c)
{
    c->front.why = GATE_WHY_WORKER;
}

void gate_core_unsent(struct gate_core *c)
{
    assert(c->passing && !is_passing(c));
    c->passing = false;
    in_front_again(c);
}

void gate_core_recall(struct gate_core *c, int slot)
{
    if (slot < 0) {
        assert(is_passing(c));
        c->passing = false;
    } else {
        assert(c->slots[slot].state == GATE_SLOT_SENT && c->slots[slot].generation == c->generation);
        c->sent--;
        slots_free(c, slot);
    }
    in_front_again(c);
}

void gate_core_server_closed(struct gate_core *c)
{
    assert(!c->passing && c->front.why == GATE_WHY_NONE);
    c->server_closed = true;
    settle(c);
}

void gate_core_stop(struct gate_core *c)
{
    c->stopped = true;
    settle(c);
}

/* ------------------------------------------ the worker ------------------------------------------ */

bool gate_core_started(struct gate_core *c, uint32_t generation, uint32_t handshake_count)
{
    if (c->worker != GATE_WORKER_ASKED)
        return false;
    assert(generation != 0);
    move(c, GATE_WORKER_HANDSHAKE);
    c->generation = generation;
    c->handshake_count = handshake_count;
    return true;
}

void gate_core_handshake_answered(struct gate_core *c, bool ok)
{
    if (c->worker != GATE_WORKER_HANDSHAKE || !c->handshake_sent || c->handshake_failed)
        return;
    if (ok) {
        c->handshake_next++;
        c->handshake_sent = false;
    } else {
        c->handshake_failed = c->kill_due = true;
    }
}

void gate_core_ended(struct gate_core *c, bool clean)
{
    if (!is(c, WORKER_ENDS))
        return;
    bool busy = c->sent > 0 || c->to_send > 0 || c->passing || c->front.why != GATE_WHY_NONE;
    c->exit_due = clean && c->worker == GATE_WORKER_UP && !busy && !c->respawn_clean;
    for (uint32_t i = 0; i < c->slot_limit && c->sent > 0; i++)
        if (c->slots[i].state == GATE_SLOT_SENT) {
            slots_outlived(c, (int)i);
            c->sent--;
        }
    c->ready_due = c->kill_due = c->alone = c->stdin_closed = false;
    c->handshake_sent = c->handshake_failed = false;
    c->handshake_next = c->handshake_count = 0;
    move(c, GATE_WORKER_ENDED);
}

void gate_core_refused(struct gate_core *c)
{
    if (c->worker != GATE_WORKER_ASKED)
        return;
    slots_give_up(c, GATE_FAILURE_DOWN);
    move(c, GATE_WORKER_DOWN);
}

void gate_core_ask_again(struct gate_core *c)
{
    if (c->worker == GATE_WORKER_DOWN)
        move(c, GATE_WORKER_NONE);
}

/* --------------------------------------------- orders --------------------------------------------- */

void gate_core_hold(struct gate_core *c)
{
    set_flow(c, GATE_FLOW_HELD, 0, 0);
}

void gate_core_pace(struct gate_core *c, uint32_t inflight, uint64_t interval_us)
{
    set_flow(c, GATE_FLOW_PACED, inflight, interval_us);
}

void gate_core_release(struct gate_core *c)
{
    set_flow(c, GATE_FLOW_OPEN, 0, 0);
    c->drain = c->drain_told = false;
}

void gate_core_drain(struct gate_core *c)
{
    c->drain = true;
    c->drain_told = false;
    c->drain_generation = c->generation;
}

/* ------------------------------------------ what there is to do ------------------------------------------ */

static bool is_due(const struct gate_core *c, enum gate_action_kind kind)
{
    switch (kind) {
    case GATE_ACTION_NONE:
        break;
    case GATE_ACTION_KILL:
        return c->kill_due;
    case GATE_ACTION_ASK:
        return c->worker == GATE_WORKER_NONE;
    case GATE_ACTION_TELL_READY:
        return c->ready_due;
    case GATE_ACTION_TELL_DRAINED:
        return c->drain && !c->drain_told && c->sent == 0 && !is_passing(c);
    case GATE_ACTION_TELL_BOUND:
        return c->bound_due;
    case GATE_ACTION_HANDSHAKE:
        return c->worker == GATE_WORKER_HANDSHAKE && !c->handshake_sent &&
               c->handshake_next < c->handshake_count;
    case GATE_ACTION_RESEND:
        return c->to_send > 0 && c->again.why == GATE_WHY_NONE;
    case GATE_ACTION_CLOSE_STDIN:
        return c->worker == GATE_WORKER_UP && c->server_closed && !c->stdin_closed && c->to_send == 0;
    case GATE_ACTION_FAIL:
        return c->failed > 0;
    case GATE_ACTION_EXIT:
        return c->worker == GATE_WORKER_OVER && c->failed == 0 && !c->passing &&
               c->front.why == GATE_WHY_NONE;
    }
    return false;
}

/* In this order: first what needs no output, last the end. */
static const struct {
    enum gate_action_kind kind;
    uint32_t full; /* not offered while that output takes nothing */
} offers[] = {
    {GATE_ACTION_KILL, 0},
    {GATE_ACTION_ASK, 0},
    {GATE_ACTION_TELL_READY, GATE_FULL_LINK},
    {GATE_ACTION_TELL_DRAINED, GATE_FULL_LINK},
    {GATE_ACTION_TELL_BOUND, GATE_FULL_LINK},
    {GATE_ACTION_HANDSHAKE, GATE_FULL_WORKER},
    {GATE_ACTION_RESEND, GATE_FULL_WORKER},
    {GATE_ACTION_CLOSE_STDIN, GATE_FULL_WORKER},
    {GATE_ACTION_FAIL, GATE_FULL_SERVER},
    {GATE_ACTION_EXIT, 0},
};

static struct gate_action describe(const struct gate_core *c, enum gate_action_kind kind)
{
    struct gate_action a = {.kind = kind, .slot = -1};
    if (kind == GATE_ACTION_HANDSHAKE)
        a.index = c->handshake_next;
    if (kind == GATE_ACTION_RESEND)
        a.slot = slots_first(c, GATE_SLOT_AGAIN);
    if (kind == GATE_ACTION_FAIL) {
        a.slot = slots_first(c, GATE_SLOT_FAILED);
        a.failure = (enum gate_failure)c->slots[a.slot].failure;
    }
    return a;
}

struct gate_action gate_core_next(struct gate_core *c, uint64_t now_us, uint32_t full)
{
    settle(c);
    settle_again(c, now_us);
    for (size_t i = 0; i < sizeof(offers) / sizeof(offers[0]); i++)
        if (!(offers[i].full & full) && is_due(c, offers[i].kind))
            return describe(c, offers[i].kind);
    return describe(c, GATE_ACTION_NONE);
}

static void resent(struct gate_core *c, struct gate_slot *s, uint64_t now_us)
{
    assert(s->state == GATE_SLOT_AGAIN && c->worker == GATE_WORKER_UP);
    s->state = GATE_SLOT_SENT;
    s->generation = c->generation;
    s->tries++;
    c->to_send--;
    c->sent++;
    c->alone = true;
    if (c->flow == GATE_FLOW_PACED)
        c->pace_last_us = now_us;
}

void gate_core_done(struct gate_core *c, const struct gate_action *action, uint64_t now_us)
{
    switch (action->kind) {
    case GATE_ACTION_KILL:
        c->kill_due = false;
        break;
    case GATE_ACTION_ASK:
        move(c, GATE_WORKER_ASKED);
        break;
    case GATE_ACTION_TELL_READY:
        c->ready_due = false;
        break;
    case GATE_ACTION_TELL_DRAINED:
        c->drain_told = true;
        break;
    case GATE_ACTION_TELL_BOUND:
        c->bound_due = false;
        break;
    case GATE_ACTION_HANDSHAKE:
        c->handshake_sent = true;
        break;
    case GATE_ACTION_RESEND:
        resent(c, &c->slots[action->slot], now_us);
        break;
    case GATE_ACTION_CLOSE_STDIN:
        c->stdin_closed = true;
        break;
    case GATE_ACTION_FAIL:
        c->failed--;
        slots_free(c, action->slot);
        break;
    case GATE_ACTION_NONE:
    case GATE_ACTION_EXIT:
        break;
    }
}

static uint64_t wait_deadline(const struct gate_core *c, const struct gate_wait *w)
{
    if (w->since_us == NEVER)
        return NEVER;
    uint64_t bound = later(w->since_us, c->patience_us), next = pace_next(c);
    return w->why == GATE_WHY_RATE && next < bound ? next : bound;
}

uint64_t gate_core_deadline(const struct gate_core *c)
{
    uint64_t front = wait_deadline(c, &c->front), again = wait_deadline(c, &c->again);
    return front < again ? front : again;
}
