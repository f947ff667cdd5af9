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
 *                                                          | nothing in flight, and memory does not fall: RESTART
 *                                                          v
 *
 * A pace that becomes a hold keeps its time bound: a request that waited since the pace began must be answered
 * within the caller's own time limit, whatever it was held by. After a hold that ran into its bound the next one waits
 * as long as that one lasted: those in line get through, and nobody is kept waiting for more than half of the time.
 * After one that memory ended (below release) nothing waits: it begins 3 points higher than it ended.
 *
 * A hold that has let everything in flight be answered has done all that it can do: where memory stays above release and
 * does not fall for hold_settle, the unit is restarted, at the one moment when that costs nobody a request.
 *
 * An operator's pace or hold takes the place of what lasts, and is ended by the operator or by its bound.
 *
 * Never while starting: the handshake must pass. Without a gate nothing here is done or said; the configuration
 * refuses pace and hold for such a unit.
 */
#include "state.h"

#include <string.h>

#define IDLE_FALL_PERMYRIAD                                                                                  \
    100 /* chosen: 1 % of the limit is more than noise, and progress enough to wait for more */

static const char hold_rule[] = "ladder.hold";
static const char pace_rule[] = "ladder.pace";

static bool is_ladders(const struct unit_hold *h)
{
    return strncmp(h->owner.name, "ladder.", 7) == 0;
}

/* Why it cannot begin now, as a mask. */
static uint32_t hindrance(const struct turn *t, const struct engine_unit *u, const struct why *why,
                          enum decision_kind kind)
{
    const struct unit_hold *h = &u->hold;
    uint64_t now = t->event->t_us;
    struct owner owner = owner_of(why);
    bool replaces = h->on && h->kind == DECISION_PACE && kind == DECISION_HOLD &&
                    (owner.is_rule ? owner_is(&h->owner, owner.name) : is_ladders(h));
    if (!(unit_policy(t, u)->abilities & ABILITY_GATE))
        return 1U << REJECTED_GATE;
    if (now < u->cannot.hold_until_us || u->state == UNIT_STATE_STARTING || u->state == UNIT_STATE_DRAINING)
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
    d->amount[1] = order->kind == DECISION_PACE ? order->interval_us : 0;
    h->idle = (struct hold){0};
    h->on = true;
    h->kind_us = now;
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
    struct hold_order order = {
        .kind = kind, .inflight = p->ladder.pace_inflight, .observe = p->mode == UNIT_MODE_OBSERVE};
    struct why why = why_of(kind == DECISION_HOLD ? hold_rule : pace_rule, REASON_MEMORY_LEVEL);
    if (as_strong || !ladder_reached(m, permyriad))
        return;
    why_measure(&why, m->metric, m->used, ladder_level(m->limit, permyriad));
    if (hindrance(t, u, &why, kind) == 0)
        begin(t, u, &why, &order);
}

/* How long everything has been answered and memory has not fallen; NOT_HELD: that is not so. */
static uint64_t idle_for(struct turn *t, struct engine_unit *u)
{
    struct unit_hold *h = &u->hold;
    const struct sample *s = &t->event->sample;
    const struct memory_view *m = &u->memory;
    bool idle = h->on && h->kind == DECISION_HOLD && is_ladders(h) && sample_has(s, SAMPLE_GATE_INFLIGHT) &&
                s->value[SAMPLE_GATE_INFLIGHT] == 0;
    uint64_t step = ladder_level(m->limit, IDLE_FALL_PERMYRIAD);
    if (!h->idle.count || m->used + step <= h->idle_used) {
        h->idle_used = m->used;
        h->idle = (struct hold){0};
    }
    return ladder_hold(&h->idle, idle, t->event->t_us);
}

/* Whether a restart was begun. */
static bool judge_idle(struct turn *t, struct engine_unit *u)
{
    const struct ladder_policy *l = &unit_policy(t, u)->ladder;
    uint64_t held = idle_for(t, u);
    if (held == NOT_HELD || held < l->hold_settle_us || l->restart_permyriad == 0)
        return false;
    u->rejected |= recycle_rejected(u);
    if (recycle_is_off(u) || recycle_would_have(u))
        return false;
    struct why why = why_of(hold_rule, REASON_NO_HELP);
    why_measure(&why, u->memory.metric, u->memory.used, ladder_level(u->memory.limit, l->release_permyriad));
    why.held_us = held;
    ladder_restart(t, u, &why, false);
    return true;
}

void hold_judge(struct turn *t, struct engine_unit *u)
{
    const struct ladder_policy *l = &unit_policy(t, u)->ladder;
    const struct memory_view *m = &u->memory;
    uint64_t release = ladder_level(m->limit, l->release_permyriad);
    if (u->hold.on && is_ladders(&u->hold) && m->used < release) {
        struct why why = why_of(u->hold.owner.name, REASON_RELEASED);
        why_measure(&why, m->metric, m->used, release);
        hold_end(t, u, &why);
        return;
    }
    if (judge_idle(t, u))
        return;
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

uint32_t hold_begin_operator(struct turn *t, struct engine_unit *u, const struct why *why,
                             const struct hold_order *order)
{
    uint32_t rejected = hindrance(t, u, why, order->kind);
    rejected &= ~(1U << REJECTED_BUSY | 1U << REJECTED_COOLDOWN); /* a person knows of them */
    if (rejected)
        return rejected;
    if (u->hold.on)
        hold_end(t, u, why);
    begin(t, u, why, order);
    return 0;
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
    bool off = is_ladders(h) && (paced ? p->ladder.pace_permyriad : p->ladder.hold_permyriad) == 0;
    bool other_mode = h->observe != (p->mode == UNIT_MODE_OBSERVE) && !(h->owner.is_rule && h->observe) &&
                      (h->owner.is_rule || is_ladders(h));
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
