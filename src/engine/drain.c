/* SPDX-License-Identifier: MIT */
/*
 * A stop at a request boundary: a unit with a gate is not ended before what is in flight is answered.
 *
 *             unit_stop: DRAIN (the gate lets nothing more through)
 *   READY ----------------------------------------------------------> DRAINING
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

bool drain_begin(struct turn *t, struct engine_unit *u, const struct stop_order *order)
{
    const struct unit_policy *p = unit_policy(t, u);
    if (u->state == UNIT_STATE_DRAINING) {
        u->drain.order = *order;
        return !order->kill_now;
    }
    if (!(p->abilities & ABILITY_GATE) || p->drain_us == 0 || order->kill_now || u->frozen ||
        u->state != UNIT_STATE_READY)
        return false;
    u->drain.order = *order;
    u->drain.id = 0;
    if (is_asked(order->why.reason)) {
        struct decision *d = engine_emit(t, u, DECISION_DRAIN, &order->why);
        d->amount[0] = p->drain_us;
        u->drain.id = d->id;
    }
    ladder_let_go(t, u, &order->why);
    reclaim_forget(u);
    unit_move(t, u, UNIT_STATE_DRAINING, &order->why);
    unit_arm(u, TIMER_DRAIN, engine_later(t->event->t_us, p->drain_us));
    return true;
}

static void finish(struct turn *t, struct engine_unit *u, enum decision_reason reason)
{
    struct why why = why_of(lifecycle_rule, reason);
    if (reason != REASON_NONE)
        why_measure(&why, METRIC_ELAPSED, t->event->t_us - u->state_since_us,
                    reason == REASON_DRAIN_TIMEOUT ? unit_policy(t, u)->drain_us : 0);
    struct stop_order order = u->drain.order;
    unit_end(t, u, &order, reason == REASON_NONE ? &order.why : &why);
}

void drain_time_bound(struct turn *t, struct engine_unit *u)
{
    finish(t, u, REASON_DRAIN_TIMEOUT);
}

bool drain_outcome(struct turn *t, struct engine_unit *u)
{
    if (u->drain.id == 0 || t->event->outcome.decision_id != u->drain.id)
        return false;
    if (u->state == UNIT_STATE_DRAINING)
        finish(t, u, t->event->outcome.result == EVENT_RESULT_DONE ? REASON_DRAINED : REASON_NONE);
    return true;
}

void drain_judge(struct turn *t, struct engine_unit *u, bool critical)
{
    if (!critical || unit_policy(t, u)->mode == UNIT_MODE_OBSERVE)
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
    if (!unit_is_running(u) || u->state == UNIT_STATE_DRAINING ||
        !(unit_policy(t, u)->abilities & ABILITY_GATE))
        return;
    struct stop_order order = {
        .kind = DECISION_STOP, .then = THEN_START, .why = why_of(lifecycle_rule, REASON_GATE_LOST)};
    unit_stop(t, u, &order);
}
