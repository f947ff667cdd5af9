/* SPDX-License-Identifier: MIT */
/*
 * What people ask of a unit. A person's word overrules budgets, back-off and cost; it never uses them up.
 *
 *   state                   start          stop             restart        freeze     thaw
 *   ----------------------  -------------  ---------------  -------------  ---------  ---------
 *   stopped                 START  (a)     held down (b)    START  (a)     note       note
 *   starting                note           STOP             RESTART        note       note
 *   ready adopted draining  note           STOP             RESTART        FREEZE(c)  THAW (c)
 *   stopping                up again       stays down (b)   up again       note       note
 *   backoff                 at once        STOP             at once        note       note
 *   failed                  START  (a)     note             START  (a)     note       note
 *
 *   hold, pace and release: of a unit with a gate that is ready, else a note.
 *
 *   (a) failures and budget forgotten, restarting for memory allowed again. A wrapped unit is not started by
 *       weir: it may be started again, and its server has respawn_wait to do so before it is restarted itself.
 *   (b) note when that is so already, by an operator or by a rule's stop. A wrapped unit's waiting and further arrivals are refused until start.
 *   (c) note when it is so already, or the host cannot.
 *   A note says that nothing was done: amount[0] = the state, amount[1] = 1 + the verb; reason and rejections say
 *   what stood in the way where the state does not.
 */
#include "state.h"

static const struct why why_operator = {.rule = operator_rule, .reason = REASON_OPERATOR};

/* REASON_OPERATOR: the state of the unit is what stands in the way. */
static struct decision *nothing_to_do(struct turn *t, struct engine_unit *u, enum decision_reason reason)
{
    struct why why = why_of(operator_rule, reason);
    struct decision *d = engine_emit(t, u, DECISION_NOTE, &why);
    d->amount[0] = u->state;
    d->amount[1] = 1 + (uint64_t)t->event->operator_.verb;
    return d;
}

static void forgive(struct engine_unit *u)
{
    unit_forgive(u);
    recycle_allow(u);
    u->held_down = u->held_by_rule = false;
}

static void start_again(struct turn *t, struct engine_unit *u)
{
    forgive(u);
    u->operator_restarts++;
    struct stop_order order = {.kind = DECISION_RESTART, .then = THEN_START, .why = why_operator};
    unit_stop(t, u, &order);
}

static void start_wrapped(struct turn *t, struct engine_unit *u)
{
    forgive(u);
    if (u->state == UNIT_STATE_BACKOFF) {
        unit_backoff_over(t, u, &why_operator);
        return;
    }
    if (u->state == UNIT_STATE_FAILED)
        unit_move(t, u, UNIT_STATE_STOPPED, &why_operator);
    else
        nothing_to_do(t, u, REASON_OPERATOR)->rejected = 1U << REJECTED_SERVER;
    unit_await_server(t, u);
}

/* From a state in which nothing runs. */
static void start(struct turn *t, struct engine_unit *u)
{
    if (t->e->ending != REASON_NONE) {
        nothing_to_do(t, u, t->e->ending);
    } else if (!unit_policy(t, u)->enabled) {
        nothing_to_do(t, u, REASON_CONFIGURED);
    } else if (unit_policy(t, u)->kind == UNIT_KIND_WRAPPED) {
        start_wrapped(t, u);
    } else {
        forgive(u);
        unit_start(t, u, &why_operator);
    }
}

static void stop(struct turn *t, struct engine_unit *u)
{
    u->held_down = true;
    u->held_by_rule = false;
    u->want_start = false;
    unit_refuse_pending(t, u, &why_operator);
    if (u->state == UNIT_STATE_STOPPED || u->state == UNIT_STATE_BACKOFF) {
        u->due[TIMER_RESPAWN] = USEC_INFINITY;
        u->cause_id = engine_emit(t, u, DECISION_STOP, &why_operator)->id;
        if (u->state == UNIT_STATE_BACKOFF)
            unit_move(t, u, UNIT_STATE_STOPPED, &why_operator);
        u->cause_id = 0;
        t->moved = true;
        return;
    }
    struct stop_order order = {.kind = DECISION_STOP, .then = THEN_STOPPED, .why = why_operator};
    unit_stop(t, u, &order);
}

static void verb_start(struct turn *t, struct engine_unit *u)
{
    if (unit_is_running(u))
        nothing_to_do(t, u, REASON_OPERATOR);
    else if (u->state != UNIT_STATE_STOPPING)
        start(t, u);
    else if (t->e->ending != REASON_NONE)
        nothing_to_do(t, u, t->e->ending);
    else if (u->stop.then == THEN_START)
        nothing_to_do(t, u, REASON_OPERATOR);
    else
        start_again(t, u);
}

static void verb_stop(struct turn *t, struct engine_unit *u)
{
    if (u->held_down || u->state == UNIT_STATE_FAILED)
        nothing_to_do(t, u, REASON_OPERATOR);
    else if (t->e->ending != REASON_NONE)
        nothing_to_do(t, u, t->e->ending);
    else
        stop(t, u);
}

static void verb_restart(struct turn *t, struct engine_unit *u)
{
    if (!unit_is_running(u) || t->e->ending != REASON_NONE)
        verb_start(t, u);
    else
        start_again(t, u);
}

static void verb_freeze(struct turn *t, struct engine_unit *u)
{
    if (!(unit_policy(t, u)->abilities & ABILITY_FREEZE)) {
        nothing_to_do(t, u, REASON_OPERATOR)->rejected = 1U << REJECTED_UNSUPPORTED;
        return;
    }
    if (!unit_is_running(u) || u->state == UNIT_STATE_STARTING || u->state == UNIT_STATE_DRAINING ||
        u->frozen) {
        nothing_to_do(t, u, REASON_OPERATOR);
        return;
    }
    if (t->e->ending != REASON_NONE) {
        nothing_to_do(t, u, t->e->ending);
        return;
    }
    ladder_let_go(t, u, &why_operator);
    u->frozen = true;
    u->freeze_id = engine_emit(t, u, DECISION_FREEZE, &why_operator)->id;
}

/* Also in place of what the ladder or a rule began. */
static void verb_gate(struct turn *t, struct engine_unit *u, enum decision_kind kind)
{
    struct hold_order order = {.kind = kind,
                               .inflight = t->event->operator_.inflight,
                               .interval_us = t->event->operator_.interval_us};
    uint32_t rejected = 0;
    if (t->e->ending != REASON_NONE)
        nothing_to_do(t, u, t->e->ending);
    else if (!(unit_policy(t, u)->abilities & ABILITY_GATE))
        nothing_to_do(t, u, REASON_OPERATOR)->rejected = 1U << REJECTED_GATE;
    else if (u->state != UNIT_STATE_READY || u->frozen)
        nothing_to_do(t, u, REASON_OPERATOR);
    else if ((rejected = hold_begin_operator(t, u, &why_operator, &order)) != 0)
        nothing_to_do(t, u, REASON_OPERATOR)->rejected = rejected;
}

static void verb_release(struct turn *t, struct engine_unit *u)
{
    if (u->hold.on)
        hold_end(t, u, &why_operator);
    else
        nothing_to_do(t, u, REASON_OPERATOR);
}

static void verb_thaw(struct turn *t, struct engine_unit *u)
{
    if (!u->frozen) {
        nothing_to_do(t, u, REASON_OPERATOR);
        return;
    }
    u->frozen = false;
    u->freeze_id = engine_emit(t, u, DECISION_THAW, &why_operator)->id;
}

void unit_operator(struct turn *t, struct engine_unit *u)
{
    switch (t->event->operator_.verb) {
    case EVENT_VERB_START:
        verb_start(t, u);
        break;
    case EVENT_VERB_STOP:
        verb_stop(t, u);
        break;
    case EVENT_VERB_RESTART:
        verb_restart(t, u);
        break;
    case EVENT_VERB_FREEZE:
        verb_freeze(t, u);
        break;
    case EVENT_VERB_THAW:
        verb_thaw(t, u);
        break;
    case EVENT_VERB_HOLD:
        verb_gate(t, u, DECISION_HOLD);
        break;
    case EVENT_VERB_PACE:
        verb_gate(t, u, DECISION_PACE);
        break;
    case EVENT_VERB_RELEASE:
        verb_release(t, u);
        break;
    case EVENT_VERB_COUNT:
        break;
    }
}
