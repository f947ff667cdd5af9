/* SPDX-License-Identifier: MIT */
/*
 * The built-in rules every unit with a memory limit gets: what a sample leads to.
 *
 *   0            notify 60 %     release 65 %   throttle 75 %    restart 85 %    critical 95 %   limit
 *   |----------------|----------------|--------------|----------------|---------------|------------|
 *    nothing          NOTIFY           (undone below) THROTTLE         RESTART held    RESTART,
 *                     THROTTLE if the limit is near   RESTART if the   1 s             KILL at once
 *                     or tasks are stalled            limit is near
 *
 *   step      condition                                              confirmed              bounded by
 *   --------  -----------------------------------------------------  ---------------------  ------------------
 *   NOTIFY    used >= notify                                         one sample             notify_cooldown
 *   PACE      used >= pace (a gate)                                  one sample             hold_max (hold.c)
 *   HOLD      used >= hold (a gate)                                  one sample             hold_max (hold.c)
 *   RECLAIM   memory.current >= reclaim and used >= notify           one sample             a budget (reclaim.c)
 *   THROTTLE  used >= throttle                                       one sample             throttle_max, then a
 *             eta < throttle_eta and used > notify, with a gate      CONFIRM                cool-down as long and
 *               only while it holds
 *             room to the limit <= the largest jump, used > notify   one sample
 *             full pressure >= bound and memory.current > notify     the pressure window    2 % of the limit more
 *             unless it comes from outside (pressure.c)
 *             (undone earlier: throttle.c)
 *   RESTART   used >= critical                                       two samples, no grace  failure budget, or
 *             used >= restart                                        restart_hold           recycle.c's bounds
 *             eta < restart_eta and used >= throttle                 CONFIRM, not within TRIAL of a throttle's begin
 *             throttled to the bound, above throttle, grows on       throttle_max
 *
 * "used" is memory.current less the page cache that the kernel can drop (memory.stat file without shmem):
 * a unit that reads big files sits at its limit for ever and is well. While memory.stat is not read, the last
 * figure stands in for CACHE_KEPT_US; then used is memory.current. CONFIRM = two samples in a row and CONFIRM_US:
 * as long as the short slope of window.c, so that one jump between two samples is never taken for a leak. A missing
 * reading neither confirms nor denies. No single sample restarts anybody: the critical level takes a second one, which
 * comes within a fast interval, and the eta's growth has its own (window.c).
 *
 * A level of 0 is never reached: the step is off. With notify off, what asks for it asks for release; restart off
 * leaves the critical one.
 *
 * While starting, only critical restarts (as a failure): memory is still on its way to the baseline.
 * While frozen by an operator, nothing is judged.
 */
#include "state.h"

#include <stdio.h>
#include <string.h>

#define CONFIRM_US      (300 * USEC_PER_MSEC) /* window.c: its short slope, its spacing, and 20 ms */
#define CONFIRM_SAMPLES 2                     /* chosen: one reading alone proves nothing */
#define STOPPING_ETA_US (300 * USEC_PER_MSEC) /* measured: 45 ms per 512 MB to reap, and two fast samples */
/* chosen: one whole freeze pulse, and time to look. The growth that a throttle begins with is from before it: whether it
 * helps shows after this long, and a burst is over by then. The restart and the critical level do not wait. */
#define TRIAL_US         (500 * USEC_PER_MSEC)
#define FAST_ETA_US      (60 * USEC_PER_SEC)   /* chosen: six times throttle_eta */
#define FAST_QUIET_US    (2 * USEC_PER_SEC)    /* chosen: two base intervals */
#define CACHE_KEPT_US    (2 * USEC_PER_SEC)    /* chosen: two base intervals */
#define OOM_NOTE_WAIT_US (200 * USEC_PER_MSEC) /* chosen: an end of the main process is told by then */
#define PIDS_NOTE_US     (10 * USEC_PER_SEC)   /* chosen: a fork loop must not flood the record */

static const char restart_rule[] = "ladder.restart";
static const char notify_rule[] = "ladder.notify";

uint64_t ladder_level(uint64_t limit, uint32_t permyriad)
{
    return mul_div_u64(limit, permyriad, PERMYRIAD_ONE);
}

bool ladder_reached(const struct memory_view *m, uint32_t permyriad)
{
    return permyriad != 0 && m->used >= ladder_level(m->limit, permyriad);
}

/* The share from which a unit is near enough to its limit for growth, pressure and cache to count: notify or, where
 * that is switched off, release. */
uint32_t ladder_floor(const struct ladder_policy *l)
{
    return l->notify_permyriad ? l->notify_permyriad : l->release_permyriad;
}

struct owner owner_of(const struct why *why)
{
    struct owner owner = {.is_rule = strncmp(why->rule, "rule.", 5) == 0};
    snprintf(owner.name, sizeof(owner.name), "%s", why->rule);
    return owner;
}

bool owner_is(const struct owner *owner, const char *rule)
{
    return strcmp(owner->name, rule) == 0;
}

/* Undoes whatever is being done about the unit's memory, whoever began it. */
void ladder_let_go(struct turn *t, struct engine_unit *u, const struct why *why)
{
    throttle_end(t, u, why);
    hold_end(t, u, why);
    reclaim_end(u);
}

void ladder_reset(struct engine_unit *u)
{
    u->memory = (struct memory_view){.eta_us = USEC_INFINITY, .eta_alone_us = USEC_INFINITY};
    u->critical_hold = u->level_hold = u->restart_eta_hold = (struct hold){0};
    u->throttle_level_hold = u->throttle_eta_hold = (struct hold){0};
    u->notified_us = u->outside_noted_us = USEC_INFINITY;
    u->notify_id = u->freeze_id = 0;
    u->rejected = u->owed = 0;
    u->throttle = (struct unit_throttle){0};
    u->hold = (struct unit_hold){0};
    u->answers_base = UINT64_MAX;
    u->has_answered = false;
    u->reclaim = (struct unit_reclaim){0};
    u->counters_sum = 0;
    u->oom_kills = u->pids_max = UINT64_MAX;
    u->oom_new = u->oom_noted = u->pids_new = 0;
    u->oom_last_us = u->pids_noted_us = USEC_INFINITY;
    u->fast_until_us = 0;
    u->notifying = false;
    recycle_reset(u);
    window_reset(&u->window);
    jumps_reset(&u->jumps);
    trend_reset(&u->trend);
    u->settled = false;
}

/* A time bound is that of what was done about its memory. */
static bool is_about_memory(const struct decision *d)
{
    return (d->metric >= METRIC_MEMORY_CURRENT && d->metric <= METRIC_RECLAIM_EFFICIENCY) ||
           (d->metric == METRIC_ELAPSED && d->reason == REASON_TIME_BOUND);
}

/* Concludes what its memory looks like, where that is what the decision is about. */
void ladder_tell_shape(const struct turn *t, const struct engine_unit *u, struct decision *d)
{
    if (!is_about_memory(d) || u->trend.readings == 0)
        return;
    struct shape_now now = {
        .t_us = t->event->t_us,
        .used_bytes = u->memory.used,
        .limit_bytes = u->memory.limit,
        .held_since_us = u->throttle.on && !u->throttle.observe ? u->throttle.since_us : UINT64_MAX,
        .jump = jumps_largest(&u->jumps),
    };
    struct shape shape = shape_of(&u->trend, &now);
    d->shape = !shape.risen && u->recycle.off_baseline ? SHAPE_BASELINE : shape.kind;
    d->shape_bytes = shape.bytes;
    d->shape_us = shape.us;
}

struct decision *ladder_emit(struct turn *t, struct engine_unit *u, enum decision_kind kind,
                             const struct why *why)
{
    struct decision *d = engine_emit(t, u, kind, why);
    d->observe = unit_policy(t, u)->mode == UNIT_MODE_OBSERVE;
    d->rejected = u->rejected | u->owed;
    u->owed = 0;
    ladder_tell_shape(t, u, d);
    return d;
}

/* How long the condition has held now; NOT_HELD when it does not. */
uint64_t ladder_hold(struct hold *h, bool condition, uint64_t now_us)
{
    if (!condition) {
        h->count = 0;
        return NOT_HELD;
    }
    if (h->count == 0)
        h->since_us = now_us;
    if (h->count < CONFIRM_SAMPLES)
        h->count++;
    return now_us - h->since_us;
}

bool ladder_hold_lasts(const struct hold *h, uint64_t now_us, uint64_t least_us)
{
    return h->count >= CONFIRM_SAMPLES && now_us - h->since_us >= least_us;
}

bool ladder_hold_confirmed(struct hold *h, bool condition, uint64_t now_us, uint64_t *ret_held_us)
{
    *ret_held_us = ladder_hold(h, condition, now_us);
    return ladder_hold_lasts(h, now_us, CONFIRM_US);
}

/* Adds what a cumulative counter has risen since the last reading; the first reading of a life is the base.
 */
static uint64_t rise(const struct sample *s, enum sample_field field, uint64_t *last)
{
    if (!sample_has(s, field))
        return 0;
    uint64_t before = *last;
    *last = s->value[field];
    return before != UINT64_MAX && *last > before ? *last - before : 0;
}

void ladder_oom_note(struct turn *t, struct engine_unit *u)
{
    struct why why = why_of(lifecycle_rule, REASON_OOM_KILL);
    why_measure(&why, METRIC_OOM_KILL, u->oom_new, 0);
    engine_emit(t, u, DECISION_NOTE, &why)->amount[0] = u->oom_kills;
    u->oom_noted += u->oom_new;
    u->oom_new = 0;
}

static void note_pids(struct turn *t, struct engine_unit *u)
{
    uint64_t now = t->event->t_us;
    if (u->pids_new == 0 || (u->pids_noted_us != USEC_INFINITY && now - u->pids_noted_us < PIDS_NOTE_US))
        return;
    struct why why = why_of(lifecycle_rule, REASON_PIDS_LIMIT);
    why_measure(&why, METRIC_PIDS_EVENTS_MAX, u->pids_new, 0);
    engine_emit(t, u, DECISION_NOTE, &why)->amount[0] = u->pids_max;
    u->pids_noted_us = now;
    u->pids_new = 0;
}

static void judge_counters(struct turn *t, struct engine_unit *u)
{
    const struct sample *s = &t->event->sample;
    uint64_t killed = rise(s, SAMPLE_EVENTS_OOM_KILL, &u->oom_kills);
    u->pids_new += rise(s, SAMPLE_PIDS_EVENTS_MAX, &u->pids_max);
    if (!unit_is_running(u))
        return;
    if (killed > 0) {
        u->oom_new += killed;
        u->oom_last_us = t->event->t_us;
        if (u->due[TIMER_OOM_NOTE] == USEC_INFINITY)
            unit_arm(u, TIMER_OOM_NOTE, engine_later(t->event->t_us, OOM_NOTE_WAIT_US));
    }
    note_pids(t, u);
}

/* Did what a kernel notification stands for change at all? */
static bool counters_changed(struct engine_unit *u, const struct sample *s)
{
    static const enum sample_field fields[] = {
        SAMPLE_EVENTS_HIGH,     SAMPLE_EVENTS_MAX,  SAMPLE_EVENTS_OOM,  SAMPLE_EVENTS_OOM_KILL,
        SAMPLE_PIDS_EVENTS_MAX, SAMPLE_MEMORY_SOME, SAMPLE_MEMORY_FULL,
    };
    uint64_t sum = 0;
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
        sum += s->value[fields[i]]; /* 0 when not read */
    bool changed = sum != u->counters_sum;
    u->counters_sum = sum;
    return changed;
}

/* One reading of memory.stat that fails must not look like a leak as big as the cache; a figure that is kept for
 * longer would hide one. */
static void look_at_cache(struct memory_view *m, const struct sample *s, uint64_t now_us)
{
    if (sample_has(s, SAMPLE_MEMORY_FILE)) {
        uint64_t file = s->value[SAMPLE_MEMORY_FILE];
        uint64_t shmem = s->value[SAMPLE_MEMORY_SHMEM];
        m->cache = file > shmem ? file - shmem : 0;
        m->cache_us = now_us;
        m->cache_known = true;
    } else if (m->cache_known && now_us - m->cache_us > CACHE_KEPT_US) {
        m->cache = 0;
        m->cache_known = false;
    }
}

uint64_t ladder_memory_limit(const struct unit_policy *p, const struct sample *s)
{
    uint64_t limit = sample_has(s, SAMPLE_MEMORY_MAX) ? s->value[SAMPLE_MEMORY_MAX] : UINT64_MAX;
    return limit < p->memory_max_bytes ? limit : p->memory_max_bytes;
}

/* How long until the limit at that growth. */
static uint64_t eta(const struct memory_view *m, uint64_t growth)
{
    if (!m->valid || growth == 0)
        return USEC_INFINITY;
    return m->used >= m->limit ? 0 : mul_div_u64(m->limit - m->used, USEC_PER_SEC, growth);
}

static uint64_t pressed_count(const struct sample *s)
{
    if (!sample_has(s, SAMPLE_EVENTS_HIGH) && !sample_has(s, SAMPLE_EVENTS_MAX))
        return UINT64_MAX;
    return s->value[SAMPLE_EVENTS_HIGH] + s->value[SAMPLE_EVENTS_MAX]; /* 0 when not read */
}

/* On its way to its baseline a unit rises in leaps that it will not make again: they are no jumps, and what it looks
 * like is judged by what comes after. */
static void settle_down(struct engine_unit *u, uint64_t now_us)
{
    if (u->settled || u->state == UNIT_STATE_STARTING || u->ready_us == USEC_INFINITY ||
        now_us < u->ready_us || now_us - u->ready_us <= BASELINE_WAIT_US)
        return;
    u->settled = true;
    trend_reset(&u->trend);
}

/* Returns whether memory jumped. */
static bool look_for_jump(struct turn *t, struct engine_unit *u)
{
    struct memory_view *m = &u->memory;
    const struct ladder_policy *l = &unit_policy(t, u)->ladder;
    uint64_t now = t->event->t_us;
    bool any = m->valid && l->jump_permyriad > 0 && u->settled;
    struct jump_bounds bounds = {
        .least_bytes = any ? ladder_level(m->limit, l->jump_permyriad) : UINT64_MAX,
        .apart_us = t->policy->interval_us + t->policy->interval_us / 2,
        .memory_us = l->jump_memory_us,
    };
    bool jumped = jumps_push(&u->jumps, now, m->used, &bounds);
    m->jump = jumps_largest(&u->jumps)->bytes;
    return jumped;
}

/* Takes the sample's memory figures in. false: there is nothing to judge by. */
static bool look(struct turn *t, struct engine_unit *u)
{
    const struct sample *s = &t->event->sample;
    struct memory_view *m = &u->memory;
    look_at_cache(m, s, t->event->t_us);
    if (!sample_has(s, SAMPLE_MEMORY_CURRENT))
        return false;

    enum decision_metric metric = m->cache_known ? METRIC_MEMORY_USED : METRIC_MEMORY_CURRENT;
    if (metric != m->metric)
        jumps_part(&u->jumps);
    m->metric = metric;
    m->current = s->value[SAMPLE_MEMORY_CURRENT];
    m->used = m->current > m->cache ? m->current - m->cache : 0;
    m->limit = ladder_memory_limit(unit_policy(t, u), s);
    struct window_row row = {
        .t_us = t->event->t_us,
        .used_bytes = m->used,
        .full_us = sample_has(s, SAMPLE_MEMORY_FULL) ? s->value[SAMPLE_MEMORY_FULL] : UINT64_MAX,
        .pressed_count = pressed_count(s),
    };
    window_push(&u->window, &row);
    settle_down(u, t->event->t_us);
    trend_push(&u->trend, t->event->t_us, m->used);
    m->growth = window_growth(&u->window);
    m->valid = m->limit != UINT64_MAX;
    m->eta_us = eta(m, m->growth);
    m->eta_alone_us = eta(m, window_growth_alone(&u->window));
    if (look_for_jump(t, u))
        u->fast_until_us = engine_later(t->event->t_us, FAST_QUIET_US);
    return m->valid;
}

/* On every sample with a limit, whatever the state: a stop for memory goes on where the run was. */
static void hold_critical(struct turn *t, struct engine_unit *u)
{
    uint32_t critical = unit_policy(t, u)->ladder.critical_permyriad;
    ladder_hold(&u->critical_hold, ladder_reached(&u->memory, critical), t->event->t_us);
}

static bool is_critical(const struct turn *t, const struct engine_unit *u)
{
    return ladder_hold_lasts(&u->critical_hold, t->event->t_us, 0);
}

static void keep_fast(struct turn *t, struct engine_unit *u, bool changed)
{
    const struct memory_view *m = &u->memory;
    const struct ladder_policy *l = &unit_policy(t, u)->ladder;
    u->notifying = m->valid && ladder_reached(m, l->notify_permyriad);
    bool near = m->valid && ladder_reached(m, ladder_floor(l));
    if (near || u->critical_hold.count || m->eta_alone_us < FAST_ETA_US ||
        (changed && t->event->sample.cause == SAMPLE_CAUSE_KERNEL))
        u->fast_until_us = engine_later(t->event->t_us, FAST_QUIET_US);
}

/* Answers given: the life was of use, however short it is. */
static void count_answers(struct engine_unit *u, const struct sample *s)
{
    if (!sample_has(s, SAMPLE_GATE_ANSWERS) || u->ready_us == USEC_INFINITY)
        return;
    if (u->answers_base == UINT64_MAX)
        u->answers_base = s->value[SAMPLE_GATE_ANSWERS];
    u->has_answered = u->has_answered || s->value[SAMPLE_GATE_ANSWERS] > u->answers_base;
}

bool ladder_is_planned(const struct turn *t, const struct engine_unit *u)
{
    return u->ready_us != USEC_INFINITY &&
           (u->has_answered || t->event->t_us - u->started_us >= unit_policy(t, u)->recycle_min_life_us);
}

void ladder_restart(struct turn *t, struct engine_unit *u, const struct why *why, bool kill_now)
{
    const struct unit_policy *p = unit_policy(t, u);
    bool planned = ladder_is_planned(t, u);
    uint64_t held_back = u->throttle.on ? t->event->t_us - u->throttle.since_us
                         : u->hold.on   ? t->event->t_us - u->hold.since_us
                                        : 0;

    if (p->mode == UNIT_MODE_OBSERVE) {
        struct decision *d = ladder_emit(t, u, DECISION_RESTART, why);
        d->amount[0] = planned;
        d->amount[1] = held_back;
        ladder_let_go(t, u, why);
        u->recycle.would_have = true;
        return;
    }
    struct stop_order order = {
        .kind = DECISION_RESTART,
        .then = planned ? THEN_START : THEN_FAILURE,
        .why = *why,
        .planned = planned,
        .held_back_us = held_back,
        .kill_now = kill_now,
        .memory = true,
    };
    recycle_began(t, u);
    u->recycles += planned;
    unit_stop(t, u, &order);
}

/* Sets *why when a restart for memory is due by its condition. */
static bool restart_is_due(struct turn *t, struct engine_unit *u, struct why *why)
{
    const struct ladder_policy *l = &unit_policy(t, u)->ladder;
    const struct memory_view *m = &u->memory;
    uint64_t now = t->event->t_us;
    uint64_t critical = ladder_level(m->limit, l->critical_permyriad);
    uint64_t restart = ladder_level(m->limit, l->restart_permyriad);
    uint32_t high = l->throttle_permyriad ? l->throttle_permyriad : l->release_permyriad;
    bool on_trial = u->throttle.on && now - u->throttle.since_us < TRIAL_US;
    bool near = m->eta_us < l->restart_eta_us && m->used >= ladder_level(m->limit, high) && !on_trial;
    uint64_t level_held = ladder_hold(&u->level_hold, ladder_reached(m, l->restart_permyriad), now);
    uint64_t eta_held;
    bool eta_due = ladder_hold_confirmed(&u->restart_eta_hold, near, now, &eta_held);

    *why = why_of(restart_rule, REASON_MEMORY_CRITICAL);
    why_measure(why, m->metric, m->used, critical);
    if (is_critical(t, u)) {
        why->held_us = now - u->critical_hold.since_us;
        return true;
    }
    if (u->state == UNIT_STATE_STARTING || l->restart_permyriad == 0)
        return false;
    if (level_held != NOT_HELD && level_held >= l->restart_hold_us) {
        why->reason = REASON_MEMORY_LEVEL;
        why->threshold = restart;
        why->held_us = level_held;
        return true;
    }
    if (eta_due) {
        why->reason = REASON_MEMORY_ETA;
        why_measure(why, METRIC_MEMORY_ETA, m->eta_us, l->restart_eta_us);
        why->held_us = eta_held;
        return true;
    }
    if (level_held != NOT_HELD || near || u->critical_hold.count)
        u->rejected |= 1U << REJECTED_NOT_HELD;
    return false;
}

/* A restart that is due: is it done? */
static bool judge_restart(struct turn *t, struct engine_unit *u, const struct why *why)
{
    u->rejected |= recycle_rejected(u);
    if (recycle_is_off(u) || recycle_would_have(u))
        return false;
    ladder_restart(t, u, why, why->reason == REASON_MEMORY_CRITICAL);
    return true;
}

uint32_t ladder_notify_rejects(const struct turn *t, const struct engine_unit *u)
{
    const struct unit_policy *p = unit_policy(t, u);
    uint64_t now = t->event->t_us;
    if (!(p->abilities & ABILITY_NOTIFY) || now < u->cannot.notify_until_us)
        return 1U << REJECTED_UNSUPPORTED;
    if (u->notified_us != USEC_INFINITY && now - u->notified_us < p->ladder.notify_cooldown_us)
        return 1U << REJECTED_COOLDOWN;
    return 0;
}

uint32_t ladder_notify(struct turn *t, struct engine_unit *u, const struct why *why)
{
    uint32_t rejected = ladder_notify_rejects(t, u);
    if (rejected)
        return rejected;
    u->notify_id = ladder_emit(t, u, DECISION_NOTIFY, why)->id;
    u->notified_us = t->event->t_us;
    return 0;
}

static void judge_notify(struct turn *t, struct engine_unit *u)
{
    const struct unit_policy *p = unit_policy(t, u);
    uint64_t threshold = ladder_level(u->memory.limit, p->ladder.notify_permyriad);
    if (!ladder_reached(&u->memory, p->ladder.notify_permyriad))
        return;
    if (!(p->abilities & ABILITY_NOTIFY)) {
        if (!(u->told & (1U << DECISION_NOTIFY)))
            u->owed |= 1U << REJECTED_UNSUPPORTED;
        u->told |= 1U << DECISION_NOTIFY;
        return;
    }
    struct why why = why_of(notify_rule, REASON_MEMORY_LEVEL);
    why_measure(&why, u->memory.metric, u->memory.used, threshold);
    ladder_notify(t, u, &why);
}

/* The grace is cut short when memory does not wait for it. */
static void judge_stopping(struct turn *t, struct engine_unit *u)
{
    if (u->stop.phase != STOP_PHASE_TERM || !u->stop.memory)
        return;
    if (is_critical(t, u) || u->memory.eta_us < STOPPING_ETA_US)
        unit_kill(t, u, REASON_MEMORY_CRITICAL);
}

/* Below a restart. Without a memory reading or a limit there is only what a rule began. */
static void judge_steps(struct turn *t, struct engine_unit *u, bool judged)
{
    bool starting = u->state == UNIT_STATE_STARTING;
    if (judged)
        judge_notify(t, u);
    if (!starting && (judged || (u->reclaim.on && u->reclaim.owner.is_rule)))
        reclaim_judge(t, u);
    if (!starting && judged)
        hold_judge(t, u);
    if (judged && unit_is_running(u) && u->state != UNIT_STATE_DRAINING)
        throttle_judge(t, u);
}

void ladder_sample(struct turn *t, struct engine_unit *u)
{
    bool changed = counters_changed(u, &t->event->sample);
    judge_counters(t, u);
    bool judged = look(t, u);
    if (judged)
        hold_critical(t, u);
    keep_fast(t, u, changed);
    if (judged && u->state == UNIT_STATE_STOPPING)
        judge_stopping(t, u);
    if (judged && u->state == UNIT_STATE_DRAINING)
        drain_judge(t, u, is_critical(t, u) || u->memory.eta_us < STOPPING_ETA_US);
    if (!unit_is_running(u) || u->frozen || u->state == UNIT_STATE_DRAINING)
        return;
    u->rejected = 0;
    count_answers(u, &t->event->sample);
    recycle_sample(t, u);

    struct why why;
    bool due = judged && restart_is_due(t, u, &why);
    bool critical = due && why.reason == REASON_MEMORY_CRITICAL;
    if ((critical && judge_restart(t, u, &why)) || rules_sample(t, u))
        return;
    if ((due && !critical && judge_restart(t, u, &why)) || recycle_would_have(u))
        return; /* mode observe: what comes after a restart that was not done tells nothing */
    judge_steps(t, u, judged);
}
