/* SPDX-License-Identifier: MIT */
/*
 * A stop at a request boundary: a unit with a gate is not ended before what is in flight is answered.
 *
 *             unit_stop: DRAIN (the gate lets nothing more through)
 *   READY ----------------------------------------------------------> DRAINING
 *                                                                      ^ |
 *     with overlap, a restart first: PREPARE (requests go on; it is    | |
 *     over when the next process is ready, or could not be made ready, | |
 *     or memory is at the restart level)                               + |
 *                                                                        |
 *     the outcome of DRAIN says that nothing is in flight                |--> STOPPING: TERM, and what the order says
 *     drain_us passed, or the host could not do it                       |--> STOPPING: TERM
 *     memory is critical, or the limit is nearer than a kill takes       |--> STOPPING: KILL
 *     it ended by itself                                                 +--> STOPPING, judged by its end (stop.c)
 *
 * When its server or its gate is gone, or weir ends, there is nobody to ask: then the same time is given without a
 * DRAIN, for its standard input is at its end and it ends by itself after the request that it works on.
 *
 * Nothing else is done about the unit meanwhile: what held it back is let go, so that it can answer. A further stop
 * only changes what follows, and one without grace does not wait.
 */
#include "state.h"

static bool is_asked(enum decision_reason reason)
{
    return reason != REASON_DEPENDENCY && reason != REASON_GATE_LOST && reason != REASON_SHUTDOWN &&
           reason != REASON_ALL_ENDED;
}

static void ask_for(struct turn *t, struct engine_unit *u, enum decision_kind kind, uint64_t wait_us)
{
    struct decision *d = engine_emit(t, u, kind, &u->drain.order.why);
    d->amount[0] = wait_us;
    u->drain.id = d->id;
    u->drain.since_us = t->event->t_us;
    u->drain.preparing = kind == DECISION_PREPARE;
}

static void ask_to_drain(struct turn *t, struct engine_unit *u)
{
    uint64_t wait_us = unit_policy(t, u)->drain_us;
    ask_for(t, u, DECISION_DRAIN, wait_us);
    unit_arm(u, TIMER_DRAIN, engine_later(t->event->t_us, wait_us));
}

/* Another one follows, and there is time to make it ready. */
static bool is_to_overlap(const struct turn *t, const struct engine_unit *u, const struct stop_order *order)
{
    return unit_policy(t, u)->overlap && order->kind == DECISION_RESTART && order->then == THEN_START;
}

static bool begin_again(struct turn *t, struct engine_unit *u, const struct stop_order *order)
{
    u->drain.order = *order;
    if (order->kill_now)
        return false;
    if (u->drain.preparing && !is_to_overlap(t, u, order))
        ask_to_drain(t, u);
    return true;
}

bool drain_begin(struct turn *t, struct engine_unit *u, const struct stop_order *order)
{
    const struct unit_policy *p = unit_policy(t, u);
    if (u->state == UNIT_STATE_DRAINING)
        return begin_again(t, u, order);
    if (!(p->abilities & ABILITY_GATE) || p->drain_us == 0 || order->kill_now || u->frozen ||
        u->state != UNIT_STATE_READY)
        return false;
    bool asked = is_asked(order->why.reason), overlap = asked && is_to_overlap(t, u, order);
    uint64_t wait_us = overlap ? p->ready_timeout_us : p->drain_us;
    u->drain = (struct unit_drain){.order = *order, .since_us = t->event->t_us};
    if (asked)
        ask_for(t, u, overlap ? DECISION_PREPARE : DECISION_DRAIN, wait_us);
    ladder_let_go(t, u, &order->why);
    reclaim_forget(u);
    unit_move(t, u, UNIT_STATE_DRAINING, &order->why);
    unit_arm(u, TIMER_DRAIN, engine_later(t->event->t_us, wait_us));
    return true;
}

static void finish(struct turn *t, struct engine_unit *u, enum decision_reason reason)
{
    struct why why = why_of(lifecycle_rule, reason);
    if (reason != REASON_NONE)
        why_measure(&why, METRIC_ELAPSED, t->event->t_us - u->drain.since_us,
                    reason == REASON_DRAIN_TIMEOUT ? unit_policy(t, u)->drain_us : 0);
    struct stop_order order = u->drain.order;
    unit_end(t, u, &order, reason == REASON_NONE ? &order.why : &why);
}

void drain_time_bound(struct turn *t, struct engine_unit *u)
{
    if (u->drain.preparing)
        ask_to_drain(t, u); /* without it */
    else
        finish(t, u, REASON_DRAIN_TIMEOUT);
}

bool drain_outcome(struct turn *t, struct engine_unit *u)
{
    if (u->drain.id == 0 || t->event->outcome.decision_id != u->drain.id)
        return false;
    if (u->state != UNIT_STATE_DRAINING)
        return true;
    if (u->drain.preparing)
        ask_to_drain(t, u);
    else
        finish(t, u, t->event->outcome.result == EVENT_RESULT_DONE ? REASON_DRAINED : REASON_NONE);
    return true;
}

void drain_judge(struct turn *t, struct engine_unit *u, bool critical)
{
    const struct unit_policy *p = unit_policy(t, u);
    if (p->mode == UNIT_MODE_OBSERVE)
        return;
    if (u->drain.preparing && ladder_reached(&u->memory, p->ladder.restart_permyriad))
        ask_to_drain(t, u); /* the next one is waited for by the gate */
    if (!critical)
        return;
    u->drain.order.kill_now = true;
    finish(t, u, REASON_MEMORY_CRITICAL);
}

bool drain_is_last(const struct engine_unit *u)
{
    return u->state == UNIT_STATE_DRAINING && u->drain.order.then == THEN_STOPPED;
}

void unit_gate_lost(struct turn *t, struct engine_unit *u)
{
    struct stop_order order = {
        .kind = DECISION_STOP, .then = THEN_START, .why = why_of(lifecycle_rule, REASON_GATE_LOST)};
    if (!(unit_policy(t, u)->abilities & ABILITY_GATE) || u->state == UNIT_STATE_DRAINING)
        return;
    if (unit_is_running(u)) {
        unit_stop(t, u, &order);
    } else if (u->state == UNIT_STATE_STOPPING && u->stop.then == THEN_JUDGE) {
        u->stop.then = THEN_START; /* it ended of that, however clean it looks */
        u->stop.why = order.why;
    }
}
