/* SPDX-License-Identifier: MIT */
/*
 * Holding requests back at the unit's gate, and letting them through again.
 *
 *            used >= pace               used >= hold
 *   idle ------------------> paced --------------------> held
 *    ^        PACE             |          HOLD             |
 *    |                         | used < release, or        | the same: RELEASE undoes both
 *    +--- cool-down -----------+ hold_max, or the unit     |
 *                                leaves the running states |
 *    +-----------------------------------------------------+
 *
 * A pace that becomes a hold keeps its time bound: a request that waited since the pace began must be answered
 * within the caller's own time limit, whatever it was held by. After a hold that ran into its bound the next one waits
 * as long as that one lasted: those in line get through, and nobody is kept waiting for more than half of the time.
 * After one that memory ended (below release) nothing waits: it begins 3 points higher than it ended.
 *
 * Never while starting: the handshake must pass. Without a gate nothing here is done or said; the configuration
 * refuses pace and hold for such a unit.
 */
#include "state.h"

static const char hold_rule[] = "ladder.hold";
static const char pace_rule[] = "ladder.pace";

/* Why it cannot begin now, as a mask. */
static uint32_t hindrance(const struct turn *t, const struct engine_unit *u, const struct why *why,
                          enum decision_kind kind)
{
    const struct unit_hold *h = &u->hold;
    uint64_t now = t->event->t_us;
    struct owner owner = owner_of(why);
    bool replaces = h->on && h->kind == DECISION_PACE && kind == DECISION_HOLD &&
                    h->owner.is_rule == owner.is_rule && (!owner.is_rule || owner_is(&h->owner, owner.name));
    if (!(unit_policy(t, u)->abilities & ABILITY_GATE))
        return 1U << REJECTED_GATE;
    if (now < u->cannot.hold_until_us || u->state == UNIT_STATE_STARTING)
        return 1U << REJECTED_UNSUPPORTED;
    if (h->on)
        return replaces ? 0 : 1U << REJECTED_BUSY;
    return now < h->cooldown_until_us ? 1U << REJECTED_COOLDOWN : 0;
}

static void begin(struct turn *t, struct engine_unit *u, const struct why *why,
                  const struct hold_order *order)
{
    struct unit_hold *h = &u->hold;
    uint64_t now = t->event->t_us;
    struct decision *d = ladder_emit(t, u, order->kind, why);
    d->observe = order->observe;
    if (!h->on) {
        h->since_us = now;
        h->bound_us = unit_policy(t, u)->ladder.hold_max_us;
        unit_arm(u, TIMER_HOLD, engine_later(now, h->bound_us));
    } else {
        d->cause_id = h->id;
    }
    d->amount[0] =
        order->kind == DECISION_PACE ? order->inflight : engine_later(h->since_us, h->bound_us) - now;
    h->on = true;
    h->observe = order->observe;
    h->kind = order->kind;
    h->owner = owner_of(why);
    h->id = d->id;
}

void hold_end(struct turn *t, struct engine_unit *u, const struct why *why)
{
    struct unit_hold *h = &u->hold;
    uint64_t now = t->event->t_us;
    if (!h->on)
        return;
    struct decision *d = engine_emit(t, u, DECISION_RELEASE, why);
    d->amount[0] = now - h->since_us;
    d->observe = h->observe;
    d->cause_id = h->id;
    h->end_id = d->id;
    if (owner_is(&h->owner, why->rule))
        ladder_tell_shape(t, u, d);
    h->on = false;
    h->cooldown_until_us = why->reason == REASON_TIME_BOUND ? engine_later(now, d->amount[0]) : now;
    u->due[TIMER_HOLD] = USEC_INFINITY;
}

void hold_time_bound(struct turn *t, struct engine_unit *u)
{
    struct why why = why_of(u->hold.owner.name, REASON_TIME_BOUND);
    why_measure(&why, METRIC_ELAPSED, t->event->t_us - u->hold.since_us, u->hold.bound_us);
    hold_end(t, u, &why);
}

static void judge_step(struct turn *t, struct engine_unit *u, enum decision_kind kind, uint32_t permyriad)
{
    const struct unit_policy *p = unit_policy(t, u);
    const struct memory_view *m = &u->memory;
    bool as_strong = u->hold.on && (u->hold.kind == kind || u->hold.kind == DECISION_HOLD);
    struct hold_order order = {kind, p->ladder.pace_inflight, p->mode == UNIT_MODE_OBSERVE};
    struct why why = why_of(kind == DECISION_HOLD ? hold_rule : pace_rule, REASON_MEMORY_LEVEL);
    if (as_strong || !ladder_reached(m, permyriad))
        return;
    why_measure(&why, m->metric, m->used, ladder_level(m->limit, permyriad));
    if (hindrance(t, u, &why, kind) == 0)
        begin(t, u, &why, &order);
}

void hold_judge(struct turn *t, struct engine_unit *u)
{
    const struct ladder_policy *l = &unit_policy(t, u)->ladder;
    const struct memory_view *m = &u->memory;
    uint64_t release = ladder_level(m->limit, l->release_permyriad);
    if (u->hold.on && !u->hold.owner.is_rule && m->used < release) {
        struct why why = why_of(u->hold.owner.name, REASON_RELEASED);
        why_measure(&why, m->metric, m->used, release);
        hold_end(t, u, &why);
        return;
    }
    judge_step(t, u, DECISION_HOLD, l->hold_permyriad);
    judge_step(t, u, DECISION_PACE, l->pace_permyriad);
}

uint32_t hold_rejects(const struct turn *t, const struct engine_unit *u, const struct why *why,
                      enum decision_kind kind)
{
    return hindrance(t, u, why, kind);
}

uint32_t hold_begin_rule(struct turn *t, struct engine_unit *u, const struct why *why,
                         const struct hold_order *order)
{
    uint32_t rejected = hindrance(t, u, why, order->kind);
    if (rejected == 0)
        begin(t, u, why, order);
    return rejected;
}

void hold_end_of(struct turn *t, struct engine_unit *u, const struct why *why)
{
    if (u->hold.on && owner_is(&u->hold.owner, why->rule))
        hold_end(t, u, why);
}

void hold_policy(struct turn *t, struct engine_unit *u)
{
    const struct unit_policy *p = unit_policy(t, u);
    const struct unit_hold *h = &u->hold;
    bool paced = h->kind == DECISION_PACE;
    bool off = !h->owner.is_rule && (paced ? p->ladder.pace_permyriad : p->ladder.hold_permyriad) == 0;
    bool other_mode = h->observe != (p->mode == UNIT_MODE_OBSERVE) && !(h->owner.is_rule && h->observe);
    struct why why = why_of(h->owner.name, REASON_CONFIGURED);
    if (h->on && (off || other_mode || !(p->abilities & ABILITY_GATE)))
        hold_end(t, u, &why);
}

bool hold_outcome(struct turn *t, struct engine_unit *u)
{
    struct unit_hold *h = &u->hold;
    uint64_t id = t->event->outcome.decision_id;
    if (h->on && id == h->id) {
        struct why why = why_of(h->owner.name, REASON_NONE);
        why_measure(&why, METRIC_ERRNO, (uint64_t)t->event->outcome.error, 0);
        u->cannot.hold_until_us = ladder_cannot_until(t);
        hold_end(t, u, &why);
        return true;
    }
    if (id != h->end_id)
        return false;
    ladder_note_errno(t, u, hold_rule);
    return true;
}
