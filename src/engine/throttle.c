/* SPDX-License-Identifier: MIT */
/*
 * Holding a unit back, and letting it go.
 *
 *             level, eta or pressure                used < release and the limit is not near: released
 *   idle ----------------------------------> throttled --------------------------------------------------> idle
 *    ^          THROTTLE: cpu, and memory.high or |
 *    |          freeze pulses                     | throttle_max over: time-bound, or RESTART no-help
 *    |                                            v
 *    +--- throttle_max later, and after a plateau only when used grew by another PLATEAU_PERMYRIAD -- cool-down
 *
 * memory.high is set midway between memory.current and the critical level. Below memory.current the kernel
 * would reclaim in the writer and charge the penalty at once; at the critical level it would come too late:
 * the penalty grows with the square of the excess and is 2 s per charge from ~18 %. With nothing to reclaim
 * and no swap a unit parks there for ever and looks alive, so the bound in time is what makes it safe; and
 * since a throttle raises the very pressure it is steered by, release looks at memory, never at pressure.
 *
 * Without memory.high, freeze pulses: PULSE_FREEZE and PULSE_THAW in turn, each bounded by a timer. Frozen
 * tasks show no pressure and allocate nothing. Never while starting (nobody could see it get ready), never
 * at a stop (a frozen unit cannot answer SIGTERM).
 *
 * At the time bound a unit that has grown, or is at the restart level, is restarted (no-help). One that
 * stands still above the throttle level works within its means: it is let go and left alone.
 */
#include "state.h"

#define PLATEAU_PERMYRIAD   200 /* chosen: 2 % of the limit, above the noise of an allocator */
#define OUTCOME_COOLDOWN_US (60 * USEC_PER_SEC) /* chosen: a failed action is tried again once a minute */
#define PAGE_MASK           UINT64_C(4095)

static const char throttle_rule[] = "ladder.throttle";

/* The user's own memory.high stays when it is the lower one. */
static uint64_t throttle_high(const struct turn *t, const struct engine_unit *u)
{
    const struct unit_policy *p = unit_policy(t, u);
    const struct memory_view *m = &u->memory;
    uint64_t critical = ladder_level(m->limit, p->ladder.critical_permyriad);
    uint64_t high = m->current;
    if (critical > m->current)
        high += (critical - m->current) / 2;
    high = (high + PAGE_MASK) & ~PAGE_MASK;
    return high < p->memory_high_bytes ? high : p->memory_high_bytes;
}

static bool pulses_help(const struct turn *t, const struct engine_unit *u)
{
    uint32_t abilities = unit_policy(t, u)->abilities;
    return (abilities & ABILITY_FREEZE) && !(abilities & ABILITY_MEMORY_HIGH) &&
           u->state != UNIT_STATE_STARTING && t->event->t_us >= u->cannot.pulse_until_us;
}

static void pulse(struct turn *t, struct engine_unit *u, const struct why *why)
{
    const struct ladder_policy *l = &unit_policy(t, u)->ladder;
    bool freeze = !u->throttle.frozen;
    uint64_t length = freeze ? l->pulse_freeze_us : l->pulse_thaw_us;
    struct decision *d = engine_emit(t, u, freeze ? DECISION_PULSE_FREEZE : DECISION_PULSE_THAW, why);
    d->amount[0] = length;
    d->cause_id = u->throttle.id;
    u->throttle.pulse_id = d->id;
    u->throttle.frozen = freeze;
    unit_arm(u, TIMER_PULSE, engine_later(t->event->t_us, length));
}

void throttle_pulse(struct turn *t, struct engine_unit *u)
{
    struct why why = why_of(throttle_rule, REASON_TIME_BOUND);
    pulse(t, u, &why);
}

static bool has_means(const struct turn *t, const struct engine_unit *u)
{
    return (unit_policy(t, u)->abilities & (ABILITY_CPU_MAX | ABILITY_MEMORY_HIGH)) || pulses_help(t, u);
}

static void throttle_begin(struct turn *t, struct engine_unit *u, const struct why *why)
{
    const struct unit_policy *p = unit_policy(t, u);
    struct decision *d = ladder_emit(t, u, DECISION_THROTTLE, why);
    d->amount[0] = p->abilities & ABILITY_CPU_MAX ? p->ladder.throttle_cpu_permyriad : 0;
    d->amount[1] = p->abilities & ABILITY_MEMORY_HIGH ? throttle_high(t, u) : 0;

    u->throttle = (struct unit_throttle){
        .on = true,
        .observe = d->observe,
        .id = d->id,
        .since_us = t->event->t_us,
        .start_used = u->memory.used,
    };
    unit_arm(u, TIMER_THROTTLE, engine_later(t->event->t_us, p->ladder.throttle_max_us));
    if (!d->observe && pulses_help(t, u))
        pulse(t, u, why);
}

void throttle_end(struct turn *t, struct engine_unit *u, const struct why *why)
{
    if (!u->throttle.on)
        return;
    struct decision *d = engine_emit(t, u, DECISION_UNTHROTTLE, why);
    d->observe = u->throttle.observe;
    d->cause_id = u->throttle.id;
    u->throttle.end_id = d->id;
    u->throttle.on = u->throttle.frozen = false;
    u->throttle.cooldown_until_us = engine_later(t->event->t_us, unit_policy(t, u)->ladder.throttle_max_us);
    u->due[TIMER_THROTTLE] = u->due[TIMER_PULSE] = USEC_INFINITY;
}

/* Sets *why when holding back is due by its condition. */
static bool throttle_is_due(struct turn *t, struct engine_unit *u, struct why *why)
{
    const struct ladder_policy *l = &unit_policy(t, u)->ladder;
    const struct memory_view *m = &u->memory;
    uint64_t notify = ladder_level(m->limit, l->notify_permyriad);
    uint64_t threshold = ladder_level(m->limit, l->throttle_permyriad);
    uint64_t held, pressure;
    bool near = ladder_hold_confirmed(
        &u->throttle_eta_hold, m->eta_us < l->throttle_eta_us && m->used > notify, t->event->t_us, &held);

    *why = why_of(throttle_rule, REASON_MEMORY_LEVEL);
    why_measure(why, m->metric, m->used, threshold);
    if (m->used >= threshold)
        return true;
    if (near) {
        why->reason = REASON_MEMORY_ETA;
        why_measure(why, METRIC_MEMORY_ETA, m->eta_us, l->throttle_eta_us);
        why->held_us = held;
        return true;
    }
    if (m->current > notify && window_pressure(&u->window, l->pressure_window_us, &pressure) &&
        pressure >= l->pressure_permyriad) {
        why->reason = REASON_PRESSURE;
        why_measure(why, METRIC_MEMORY_PRESSURE_FULL, pressure, l->pressure_permyriad);
        why->held_us = l->pressure_window_us;
        return true;
    }
    return false;
}

static bool throttle_may(struct turn *t, struct engine_unit *u)
{
    uint64_t now = t->event->t_us;
    if (!has_means(t, u)) {
        if (!(u->told & (1U << DECISION_THROTTLE)))
            u->owed |= 1U << REJECTED_UNSUPPORTED;
        u->told |= 1U << DECISION_THROTTLE;
        return false;
    }
    return now >= u->cannot.throttle_until_us && now >= u->throttle.cooldown_until_us &&
           u->memory.used >= u->throttle.rearm_used;
}

void throttle_judge(struct turn *t, struct engine_unit *u)
{
    const struct ladder_policy *l = &unit_policy(t, u)->ladder;
    const struct memory_view *m = &u->memory;
    uint64_t release = ladder_level(m->limit, l->release_permyriad);
    struct why why;
    bool due = throttle_is_due(t, u, &why);

    if (m->used < release)
        u->throttle.rearm_used = 0;
    if (!u->throttle.on) {
        if (due && throttle_may(t, u))
            throttle_begin(t, u, &why);
    } else if (m->used < release && m->eta_us >= l->throttle_eta_us) {
        why = why_of(throttle_rule, REASON_RELEASED);
        why_measure(&why, m->metric, m->used, release);
        why.held_us = t->event->t_us - u->throttle.since_us;
        throttle_end(t, u, &why);
    }
}

void throttle_time_bound(struct turn *t, struct engine_unit *u)
{
    const struct ladder_policy *l = &unit_policy(t, u)->ladder;
    const struct memory_view *m = &u->memory;
    uint64_t threshold = ladder_level(m->limit, l->throttle_permyriad);
    uint64_t margin = ladder_level(m->limit, PLATEAU_PERMYRIAD);
    bool above = m->used >= threshold;
    bool grown =
        m->used >= ladder_level(m->limit, l->restart_permyriad) || m->used > u->throttle.start_used + margin;
    bool allowed = u->state != UNIT_STATE_STARTING && !recycle_is_off(u) && !u->recycle.would_have;
    struct why why = why_of(throttle_rule, REASON_TIME_BOUND);

    why_measure(&why, m->metric, m->used, threshold);
    why.held_us = t->event->t_us - u->throttle.since_us;
    if (above && grown && allowed) {
        why.reason = REASON_NO_HELP;
        ladder_restart(t, u, &why, false);
        return;
    }
    throttle_end(t, u, &why);
    u->throttle.rearm_used = above ? m->used + margin + 1 : 0;
}

static void note_errno(struct turn *t, struct engine_unit *u)
{
    struct why why = why_of(throttle_rule, REASON_NONE);
    why_measure(&why, METRIC_ERRNO, (uint64_t)t->event->outcome.error, 0);
    engine_emit(t, u, DECISION_NOTE, &why)->amount[0] = t->event->outcome.decision_id;
}

/* What could not be done is not tried again on each sample; what could not be undone is told. */
void ladder_outcome(struct turn *t, struct engine_unit *u)
{
    uint64_t id = t->event->outcome.decision_id;
    enum event_result result = t->event->outcome.result;
    if (id == 0 || (result != EVENT_RESULT_FAILED && result != EVENT_RESULT_UNSUPPORTED))
        return;
    uint64_t until = result == EVENT_RESULT_UNSUPPORTED ? USEC_INFINITY
                                                        : engine_later(t->event->t_us, OUTCOME_COOLDOWN_US);
    struct why why = why_of(throttle_rule, REASON_NONE);
    why_measure(&why, METRIC_ERRNO, (uint64_t)t->event->outcome.error, 0);

    if (id == u->notify_id) {
        u->cannot.notify_until_us = until;
    } else if (u->throttle.on && id == u->throttle.id) {
        u->cannot.throttle_until_us = until;
        throttle_end(t, u, &why);
    } else if (u->throttle.on && id == u->throttle.pulse_id) {
        u->cannot.pulse_until_us = until;
        throttle_end(t, u, &why);
    } else if (id == u->throttle.end_id) {
        note_errno(t, u);
    } else if (id == u->freeze_id && unit_is_running(u)) {
        u->frozen = !u->frozen; /* as it was before */
        note_errno(t, u);
    }
}
