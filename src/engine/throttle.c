/* SPDX-License-Identifier: MIT */
/*
 * Holding a unit back, and letting it go.
 *
 *             level, eta, jump or pressure          fell, or stopped growing
 *   idle ----------------------------------> throttled ----------------------> idle
 *    ^          THROTTLE: cpu, and memory.high or |
 *    |          freeze pulses                     | throttle_max over: time-bound, or RESTART no-help
 *    |                                            v
 *    +--- throttle_max later, and after a plateau only when used grew by another PLATEAU_PERMYRIAD -- cool-down
 *
 *   let go when                                         for throttles                        said
 *   --------------------------------------------------  -----------------------------------  ---------------
 *   used < release                                      begun above it by PLATEAU_PERMYRIAD  released
 *                                                       or at the throttle level since
 *   used < where it began less PLATEAU_PERMYRIAD        others                               fell-back
 *   hardly growing for STILL_US, below the throttle     begun by eta or jump                 stopped-growing
 *   level, and not stopped by memory.high
 *
 * A growth that is held back says little about the growth to come: the time to the limit gets better by the throttle
 * itself, and a frozen unit does not grow at all. So "hardly grown" is judged over STILL_US and at least one whole
 * pulse, and SLOWED times that growth must still keep the limit farther away than throttle_eta.
 *
 * One cool-down follows every throttle. Only one that was let go before memory reached the throttle level was let
 * go too early if memory reaches it after all: the level may then throttle at once, so that at most one throttle by
 * eta, jump or pressure and one by level fall into one cool-down.
 *
 * memory.high stands where steer.c puts it. A throttle raises the very pressure that it may have begun for: release
 * looks at memory and time, never at pressure, and the next throttle counts no pressure from before its end.
 *
 * Without memory.high, freeze pulses: PULSE_FREEZE and PULSE_THAW in turn, each bounded by a timer. Frozen
 * tasks show no pressure and allocate nothing. Never while starting (nobody could see it get ready), never
 * at a stop (a frozen unit cannot answer SIGTERM).
 *
 * At the time bound a unit above the throttle level that has grown and grows on, or is at the restart level, is
 * restarted (no-help). One that stands still there works within its means: it is let go and left alone. One that
 * memory.high stalls is restarted before that (stalled, steer.c).
 *
 * What a rule began ends with the rule, at the time bound, or when it stalls; it never restarts.
 */
#include "state.h"

#define PLATEAU_PERMYRIAD   200          /* chosen: 2 % of the limit, above the noise of an allocator */
#define STILL_US            USEC_PER_SEC /* chosen: the base interval; five freezes' length */
#define SLOWED              8 /* chosen: the cpu share makes a busy thread 4 times slower, pulses halve that */
#define UNDO_AGAIN_US       USEC_PER_SEC        /* chosen: the base interval */
#define UNDOS_MAX           10                  /* chosen: what fails for ten seconds is a person's */
#define OUTCOME_COOLDOWN_US (60 * USEC_PER_SEC) /* chosen: a failed action is tried again once a minute */

const char throttle_rule[] = "ladder.throttle";

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
    struct why why = why_of(u->throttle.owner.name, REASON_NONE); /* the throttle it is part of says why */
    pulse(t, u, &why);
}

/* A unit without a limit has no level that memory.high could keep it from. */
static bool high_helps(const struct turn *t, const struct engine_unit *u)
{
    return (unit_policy(t, u)->abilities & ABILITY_MEMORY_HIGH) && u->memory.valid;
}

static bool has_means(const struct turn *t, const struct engine_unit *u)
{
    return (unit_policy(t, u)->abilities & ABILITY_CPU_MAX) || high_helps(t, u) || pulses_help(t, u);
}

void throttle_means(const struct turn *t, const struct engine_unit *u, uint64_t ret_amount[2])
{
    const struct unit_policy *p = unit_policy(t, u);
    ret_amount[0] = p->abilities & ABILITY_CPU_MAX ? p->ladder.throttle_cpu_permyriad : 0;
    ret_amount[1] = high_helps(t, u) ? steer_high(t, u) : 0;
}

static void throttle_begin(struct turn *t, struct engine_unit *u, const struct why *why, bool observe)
{
    const struct unit_policy *p = unit_policy(t, u);
    struct decision *d = ladder_emit(t, u, DECISION_THROTTLE, why);
    d->observe = observe;
    throttle_means(t, u, d->amount);

    u->throttle = (struct unit_throttle){
        .on = true,
        .owner = owner_of(why),
        .observe = d->observe,
        .id = d->id,
        .reason = why->reason,
        .since_us = t->event->t_us,
        .bound_us = p->ladder.throttle_max_us,
        .start_used = u->memory.used,
        .high = d->observe ? 0 : d->amount[1],
        .reached_level = why->reason == REASON_MEMORY_LEVEL,
    };
    u->due[TIMER_UNDO] = USEC_INFINITY; /* its end undoes both */
    steer_begin(t, u);
    unit_arm(u, TIMER_THROTTLE, engine_later(t->event->t_us, p->ladder.throttle_max_us));
    if (!d->observe && pulses_help(t, u))
        pulse(t, u, why);
}

static bool is_release(enum decision_reason reason)
{
    return reason == REASON_RELEASED || reason == REASON_FELL_BACK || reason == REASON_STOPPED_GROWING ||
           reason == REASON_RULE_OVER;
}

void throttle_end(struct turn *t, struct engine_unit *u, const struct why *why)
{
    struct unit_throttle *throttle = &u->throttle;
    uint64_t now = t->event->t_us;
    if (!throttle->on)
        return;
    struct decision *d = engine_emit(t, u, DECISION_UNTHROTTLE, why);
    d->amount[0] = now - throttle->since_us;
    d->observe = throttle->observe;
    d->cause_id = throttle->id;
    throttle->end_id = d->id;
    throttle->end_reason = why->reason;
    if (owner_is(&throttle->owner, why->rule)) /* else it ends with something that tells the shape itself */
        ladder_tell_shape(t, u, d);
    throttle->on = throttle->frozen = false;
    throttle->cooldown_until_us = engine_later(now, unit_policy(t, u)->ladder.throttle_max_us);
    bool too_early = is_release(why->reason) && !throttle->reached_level;
    throttle->level_cooldown_until_us = too_early ? now : throttle->cooldown_until_us;
    throttle->ended_us = now;
    u->due[TIMER_THROTTLE] = u->due[TIMER_PULSE] = USEC_INFINITY;
}

/* The unit still stands there throttled: what failed is done again, a few times. */
void throttle_undo(struct turn *t, struct engine_unit *u)
{
    struct unit_throttle *throttle = &u->throttle;
    struct why why = why_of(throttle->owner.name, throttle->end_reason);
    struct decision *d = engine_emit(t, u, DECISION_UNTHROTTLE, &why);
    d->cause_id = throttle->id;
    throttle->end_id = d->id;
    throttle->undos++;
}

static void undo_failed(struct turn *t, struct engine_unit *u)
{
    if (u->throttle.undos == 0 || u->throttle.undos == UNDOS_MAX)
        ladder_note_errno(t, u, throttle_rule);
    if (!u->throttle.on && u->throttle.undos < UNDOS_MAX && unit_is_running(u))
        unit_arm(u, TIMER_UNDO, engine_later(t->event->t_us, UNDO_AGAIN_US));
}

static uint64_t room_of(const struct memory_view *m)
{
    return m->limit > m->used ? m->limit - m->used : 0;
}

/* Sets *why when holding back is due by its condition. */
static bool throttle_is_due(struct turn *t, struct engine_unit *u, struct why *why)
{
    const struct ladder_policy *l = &unit_policy(t, u)->ladder;
    const struct memory_view *m = &u->memory;
    uint64_t floor = ladder_level(m->limit, ladder_floor(l));
    uint64_t threshold = ladder_level(m->limit, l->throttle_permyriad);
    uint64_t held;
    bool near = ladder_hold_confirmed(
        &u->throttle_eta_hold, m->eta_us < l->throttle_eta_us && m->used > floor, t->event->t_us, &held);
    ladder_hold(&u->throttle_level_hold, m->used >= threshold, t->event->t_us);

    *why = why_of(throttle_rule, REASON_MEMORY_LEVEL);
    why_measure(why, m->metric, m->used, threshold);
    if (l->throttle_permyriad == 0)
        return false;
    if (m->used >= threshold)
        return true;
    if (near) {
        why->reason = REASON_MEMORY_ETA;
        why_measure(why, METRIC_MEMORY_ETA, m->eta_us, l->throttle_eta_us);
        why->held_us = held;
        return true;
    }
    if (m->used > floor && m->jump > 0 && room_of(m) <= m->jump) {
        why->reason = REASON_MEMORY_JUMP;
        why_measure(why, METRIC_MEMORY_JUMP, m->jump, room_of(m));
        return true;
    }
    return m->current > floor && pressure_of(t, u, why) == PRESSURE_OWN;
}

static bool throttle_may(struct turn *t, struct engine_unit *u, enum decision_reason reason)
{
    uint64_t now = t->event->t_us;
    uint64_t cooldown =
        reason == REASON_MEMORY_LEVEL ? u->throttle.level_cooldown_until_us : u->throttle.cooldown_until_us;
    if (!has_means(t, u)) {
        if (!(u->told & (1U << DECISION_THROTTLE)))
            u->owed |= 1U << REJECTED_UNSUPPORTED;
        u->told |= 1U << DECISION_THROTTLE;
        return false;
    }
    return now >= u->cannot.throttle_until_us && now >= cooldown && u->memory.used >= u->throttle.rearm_used;
}

/* What cannot begin now, as a mask. */
uint32_t throttle_rejects(const struct turn *t, const struct engine_unit *u)
{
    if (!has_means(t, u) || t->event->t_us < u->cannot.throttle_until_us)
        return 1U << REJECTED_UNSUPPORTED;
    if (u->throttle.on)
        return 1U << REJECTED_BUSY;
    if (t->event->t_us < u->throttle.cooldown_until_us)
        return 1U << REJECTED_COOLDOWN;
    return 0;
}

uint32_t throttle_begin_rule(struct turn *t, struct engine_unit *u, const struct why *why, bool observe)
{
    uint32_t rejected = throttle_rejects(t, u);
    if (rejected == 0)
        throttle_begin(t, u, why, observe);
    return rejected;
}

void throttle_end_of(struct turn *t, struct engine_unit *u, const struct why *why)
{
    if (u->throttle.on && owner_is(&u->throttle.owner, why->rule))
        throttle_end(t, u, why);
}

void throttle_policy(struct turn *t, struct engine_unit *u)
{
    const struct unit_policy *p = unit_policy(t, u);
    const struct unit_throttle *throttle = &u->throttle;
    bool off = !throttle->owner.is_rule && p->ladder.throttle_permyriad == 0;
    bool other_mode = throttle->observe != (p->mode == UNIT_MODE_OBSERVE) &&
                      !(throttle->owner.is_rule && throttle->observe);
    struct why why = why_of(throttle->owner.name, REASON_CONFIGURED);
    u->throttle.rearm_used = 0;
    if (throttle->on && (off || other_mode || !has_means(t, u)))
        throttle_end(t, u, &why);
}

static uint64_t margin_of(const struct engine_unit *u)
{
    return ladder_level(u->memory.limit, PLATEAU_PERMYRIAD);
}

/* The growth that, SLOWED times as fast, leaves the limit just farther away than throttle_eta. */
static uint64_t little_growth(const struct ladder_policy *l, const struct memory_view *m)
{
    return l->throttle_eta_us ? mul_div_u64(room_of(m), USEC_PER_SEC / SLOWED, l->throttle_eta_us)
                              : UINT64_MAX;
}

/* Watches a throttled unit's growth. A pulse's whole cycle must be in view, and a unit that memory.high holds would
 * grow if it could. */
static void watch_growth(struct turn *t, struct engine_unit *u, uint64_t *ret_growth)
{
    const struct ladder_policy *l = &unit_policy(t, u)->ladder;
    const struct unit_throttle *throttle = &u->throttle;
    uint64_t cycle = throttle->pulse_id ? engine_later(l->pulse_freeze_us, l->pulse_thaw_us) : 0;
    bool parked = throttle->high != 0 && engine_later(u->memory.current, margin_of(u)) >= throttle->high;
    bool known = window_growth_over(&u->window, cycle > STILL_US ? cycle : STILL_US, ret_growth);
    ladder_hold(&u->throttle.still, known && !parked && *ret_growth <= little_growth(l, &u->memory),
                t->event->t_us);
}

static bool is_still(const struct turn *t, const struct engine_unit *u)
{
    return ladder_hold_lasts(&u->throttle.still, t->event->t_us, STILL_US);
}

/* Fills in *why when memory fell below the level that ends this throttle. */
static bool has_fallen(const struct turn *t, const struct engine_unit *u, struct why *why)
{
    const struct ladder_policy *l = &unit_policy(t, u)->ladder;
    const struct memory_view *m = &u->memory;
    uint64_t start = u->throttle.start_used, margin = margin_of(u);
    uint64_t release = ladder_level(m->limit, l->release_permyriad);
    uint64_t below_start = start > margin ? start - margin : 0;
    bool from_above = release <= below_start || u->throttle.reached_level;
    uint64_t threshold = from_above ? release : below_start;

    *why = why_of(throttle_rule, from_above ? REASON_RELEASED : REASON_FELL_BACK);
    why_measure(why, m->metric, m->used, threshold);
    return m->used < threshold && m->eta_us >= l->throttle_eta_us;
}

/* Begun for what might come, which does not come to a unit that stands still. */
static bool is_foresight(enum decision_reason reason)
{
    return reason == REASON_MEMORY_ETA || reason == REASON_MEMORY_JUMP;
}

static void judge_release(struct turn *t, struct engine_unit *u)
{
    const struct ladder_policy *l = &unit_policy(t, u)->ladder;
    const struct memory_view *m = &u->memory;
    bool below = m->used < ladder_level(m->limit, l->throttle_permyriad);
    uint64_t growth = 0;
    struct why why;

    u->throttle.reached_level = u->throttle.reached_level || !below;
    watch_growth(t, u, &growth);
    if (has_fallen(t, u, &why)) {
        throttle_end(t, u, &why);
    } else if (is_foresight(u->throttle.reason) && below && is_still(t, u)) {
        why = why_of(throttle_rule, REASON_STOPPED_GROWING);
        why_measure(&why, METRIC_MEMORY_GROWTH, growth, little_growth(l, m));
        why.held_us = t->event->t_us - u->throttle.still.since_us;
        throttle_end(t, u, &why);
        u->throttle.rearm_used = m->used + margin_of(u) + 1;
    }
}

/* A limit that comes near is met at the gate first: a unit that grows by what it is asked stands still by itself then,
 * and answers what it has at full speed. What still grows when the hold has had its time is throttled. */
static bool waits_for_hold(const struct turn *t, const struct engine_unit *u, enum decision_reason reason)
{
    const struct unit_policy *p = unit_policy(t, u);
    uint64_t now = t->event->t_us;
    bool can_hold = (p->abilities & ABILITY_GATE) && p->ladder.hold_permyriad != 0 &&
                    now >= u->cannot.hold_until_us && now >= u->hold.cooldown_until_us;
    bool held_in_vain =
        u->hold.on && u->hold.kind == DECISION_HOLD && now - u->hold.kind_us >= p->ladder.hold_settle_us;
    return reason == REASON_MEMORY_ETA && can_hold && !held_in_vain;
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
        if (due && !waits_for_hold(t, u, why.reason) && throttle_may(t, u, why.reason))
            throttle_begin(t, u, &why, unit_policy(t, u)->mode == UNIT_MODE_OBSERVE);
        else if (!due && l->throttle_permyriad != 0)
            pressure_note(t, u);
    } else if (!u->throttle.owner.is_rule) {
        judge_release(t, u);
    }
    if (u->throttle.on)
        steer_judge(t, u);
}

bool throttle_may_restart(const struct turn *t, const struct engine_unit *u)
{
    return !u->throttle.owner.is_rule && unit_policy(t, u)->ladder.restart_permyriad != 0 &&
           u->state != UNIT_STATE_STARTING && !recycle_is_off(u) && !recycle_would_have(u);
}

void throttle_end_in_vain(struct turn *t, struct engine_unit *u, const struct why *why)
{
    bool above = ladder_reached(&u->memory, unit_policy(t, u)->ladder.throttle_permyriad);
    throttle_end(t, u, why);
    u->throttle.rearm_used = above ? u->memory.used + margin_of(u) + 1 : 0;
}

void throttle_time_bound(struct turn *t, struct engine_unit *u)
{
    const struct ladder_policy *l = &unit_policy(t, u)->ladder;
    const struct memory_view *m = &u->memory;
    uint64_t now = t->event->t_us;
    bool grows = m->used > u->throttle.start_used + margin_of(u) && !is_still(t, u);
    bool grown = ladder_reached(m, l->restart_permyriad) || grows;
    struct why why = why_of(throttle_rule, REASON_NO_HELP);

    if (ladder_reached(m, l->throttle_permyriad) && grown && throttle_may_restart(t, u)) {
        why_measure(&why, m->metric, m->used, ladder_level(m->limit, l->throttle_permyriad));
        why.held_us = u->throttle_level_hold.count ? now - u->throttle_level_hold.since_us : 0;
        ladder_restart(t, u, &why, false);
        return;
    }
    why = why_of(u->throttle.owner.name, REASON_TIME_BOUND);
    why_measure(&why, METRIC_ELAPSED, now - u->throttle.since_us, u->throttle.bound_us);
    throttle_end_in_vain(t, u, &why);
}

void ladder_note_errno(struct turn *t, struct engine_unit *u, const char *rule)
{
    struct why why = why_of(rule, REASON_NONE);
    why_measure(&why, METRIC_ERRNO, (uint64_t)t->event->outcome.error, 0);
    engine_emit(t, u, DECISION_NOTE, &why)->amount[0] = t->event->outcome.decision_id;
}

uint64_t ladder_cannot_until(const struct turn *t)
{
    return t->event->outcome.result == EVENT_RESULT_UNSUPPORTED
               ? USEC_INFINITY
               : engine_later(t->event->t_us, OUTCOME_COOLDOWN_US);
}

/* What could not be done is not tried again on each sample; what could not be undone is told. */
void ladder_outcome(struct turn *t, struct engine_unit *u)
{
    uint64_t id = t->event->outcome.decision_id;
    enum event_result result = t->event->outcome.result;
    if (id == 0 || reclaim_outcome(t, u) || drain_outcome(t, u) ||
        (result != EVENT_RESULT_FAILED && result != EVENT_RESULT_UNSUPPORTED) || hold_outcome(t, u))
        return;
    uint64_t until = ladder_cannot_until(t);
    struct why why = why_of(u->throttle.on ? u->throttle.owner.name : throttle_rule, REASON_NONE);
    why_measure(&why, METRIC_ERRNO, (uint64_t)t->event->outcome.error, 0);

    if (id == u->notify_id) {
        u->cannot.notify_until_us = until;
    } else if (u->throttle.on && (id == u->throttle.id || id == u->throttle.steer.id)) {
        u->cannot.throttle_until_us = until;
        throttle_end(t, u, &why);
    } else if (u->throttle.on && id == u->throttle.pulse_id) {
        u->cannot.pulse_until_us = until;
        throttle_end(t, u, &why);
    } else if (id == u->throttle.end_id) {
        undo_failed(t, u);
    } else if (id == u->freeze_id && unit_is_running(u)) {
        u->frozen = !u->frozen; /* as it was before */
        ladder_note_errno(t, u, throttle_rule);
    }
}
