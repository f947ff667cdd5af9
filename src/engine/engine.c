/* SPDX-License-Identifier: MIT */
/*
 * The engine's step: dispatch an event to the unit it names, run the timers that are due, then settle what
 * units owe each other.
 *
 * Settling happens in phases over all units; no phase's outcome depends on the order of units, because what a
 * phase changes is read only by later phases:
 *   1 respawn     a server that did not start its wrapped unit anew is restarted
 *   2 dependents  a wrapped unit whose server is gone (or is another life) is stopped
 *   3 start       services whose `after` units are all ready
 *     (or, once the end has begun:)
 *     stop        services nobody running needs any more, wrapped units once their server is down
 *   4 end         all down: EXIT. All services ended by themselves: the end begins.
 *
 * Timers fire on DEADLINE events only: whatever happened before the deadline and was delivered before it
 * counts first. An early or superfluous DEADLINE does nothing. A sample costs O(1); every other event
 * O(units).
 *
 * Invariants: now_us never falls; next_due_us is never later than an armed timer; a unit that is not running
 * is neither held back nor frozen; after EXIT nothing is decided.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "state.h"

size_t engine_decisions_max(size_t unit_count)
{
    return unit_count * DECISIONS_PER_UNIT + DECISIONS_EXTRA;
}

static void unit_init(struct engine_unit *u, uint16_t index)
{
    u->index = index;
    u->state = UNIT_STATE_STOPPED;
    u->via = UNIT_NONE;
    u->started_us = USEC_INFINITY;
    u->recycle.open_us = USEC_INFINITY;
    for (int i = 0; i < TIMER_COUNT; i++)
        u->due[i] = USEC_INFINITY;
    unit_reset(u);
}

struct engine *engine_new(size_t unit_capacity)
{
    if (unit_capacity > POLICY_UNITS_MAX)
        return NULL;
    struct engine *e = calloc(1, sizeof(*e) + unit_capacity * sizeof(e->units[0]));
    if (!e)
        return NULL;
    e->capacity = unit_capacity;
    e->next_id = 1;
    e->next_due_us = e->first_start_us = USEC_INFINITY;
    e->ending = REASON_NONE;
    for (size_t i = 0; i < unit_capacity; i++)
        unit_init(&e->units[i], (uint16_t)i);
    return e;
}

struct engine *engine_free(struct engine *e)
{
    if (e)
        free(e->rules);
    free(e);
    return NULL;
}

/* For u = each unit of the policy. */
#define FOR_EACH_UNIT(t, u)                                                                                  \
    for (struct engine_unit *u = (t)->e->units; u < (t)->e->units + (t)->policy->unit_count; u++)

static bool is_service(const struct turn *t, const struct engine_unit *u)
{
    return unit_policy(t, u)->kind == UNIT_KIND_SERVICE;
}

/* The life of the unit that started u: NULL when it is not known. */
static struct engine_unit *server_of(const struct turn *t, const struct engine_unit *u)
{
    return u->via < t->policy->unit_count ? &t->e->units[u->via] : NULL;
}

static void stop_for(struct turn *t, struct engine_unit *u, const char *rule, enum decision_reason reason)
{
    struct stop_order order = {.kind = DECISION_STOP, .then = THEN_STOPPED, .why = why_of(rule, reason)};
    unit_stop(t, u, &order);
}

/* Phase 1. */
static void settle_respawn(struct turn *t, struct engine_unit *u)
{
    if (!u->respawn_due)
        return;
    u->respawn_due = false;
    struct engine_unit *server = server_of(t, u);
    if (!server || server->state != UNIT_STATE_READY || server->frozen || t->e->ending != REASON_NONE ||
        server->generation != u->via_generation)
        return;
    uint64_t wait = unit_policy(t, u)->respawn_wait_us;
    struct stop_order order = {
        .kind = DECISION_RESTART, .then = THEN_START, .why = why_of(lifecycle_rule, REASON_RESPAWN_WAIT)};
    why_measure(&order.why, METRIC_ELAPSED, wait, wait);
    unit_stop(t, server, &order);
}

static bool server_is_gone(const struct turn *t, const struct engine_unit *u)
{
    const struct engine_unit *server = server_of(t, u);
    return server && (server->generation != u->via_generation || unit_is_down(server) ||
                      server->state == UNIT_STATE_BACKOFF);
}

/* Phase 2. */
static void settle_dependent(struct turn *t, struct engine_unit *u)
{
    if (!is_service(t, u) && unit_is_running(u) && server_is_gone(t, u) && !drain_is_last(u))
        stop_for(t, u, lifecycle_rule, REASON_DEPENDENCY);
}

static bool after_is_met(const struct turn *t, const struct engine_unit *u)
{
    const struct unit_policy *p = unit_policy(t, u);
    for (uint16_t i = 0; i < p->after_count && i < POLICY_AFTER_MAX; i++) {
        uint16_t other = p->after[i];
        if (other >= t->policy->unit_count || !t->policy->units[other].enabled)
            continue;
        if (t->e->units[other].state != UNIT_STATE_READY)
            return false;
    }
    return true;
}

/* Phase 3, as long as the end has not begun. */
static void settle_start(struct turn *t, struct engine_unit *u)
{
    static const struct why why = {.rule = lifecycle_rule, .reason = REASON_CONFIGURED};
    if (u->want_start && u->state == UNIT_STATE_STOPPED && unit_policy(t, u)->enabled && after_is_met(t, u))
        unit_start(t, u, &why);
}

/* Marks what a service that is still there wants to stop after it. Returns whether any service is there. */
static bool mark_needed(struct turn *t)
{
    bool any = false;
    FOR_EACH_UNIT(t, u)
    {
        u->needed = false;
    }
    FOR_EACH_UNIT(t, u)
    {
        const struct unit_policy *p = unit_policy(t, u);
        if (!is_service(t, u) || unit_is_down(u))
            continue;
        any = true;
        for (uint16_t i = 0; i < p->after_count && i < POLICY_AFTER_MAX; i++)
            if (p->after[i] < t->policy->unit_count && p->after[i] != u->index)
                t->e->units[p->after[i]].needed = true;
    }
    return any;
}

static bool may_stop(const struct turn *t, const struct engine_unit *u, bool any_service)
{
    if (is_service(t, u))
        return !u->needed;
    return server_of(t, u) ? server_is_gone(t, u) : !any_service;
}

/* Phase 3, once the end has begun. Stopping is asynchronous, so nothing goes down within this loop. */
static void settle_stop(struct turn *t)
{
    bool waiting = false, stopping = false;
    bool any_service = mark_needed(t);
    FOR_EACH_UNIT(t, u)
    {
        if (unit_is_running(u) && may_stop(t, u, any_service) && !drain_is_last(u))
            stop_for(t, u, supervisor_rule, t->e->ending);
        stopping = stopping || u->state == UNIT_STATE_DRAINING ||
                   (u->state == UNIT_STATE_STOPPING && !unit_is_down(u));
        waiting = waiting || unit_is_running(u);
    }
    if (!waiting || stopping)
        return;
    FOR_EACH_UNIT(t, u)
    {
        /* a ring of `after`: no order is right, so all at once */
        if (unit_is_running(u))
            stop_for(t, u, supervisor_rule, t->e->ending);
    }
}

static void begin_end(struct turn *t, enum decision_reason reason)
{
    struct why why = why_of(supervisor_rule, reason);
    t->e->ending = reason;
    FOR_EACH_UNIT(t, u)
    {
        u->want_start = false;
        u->due[TIMER_RESPAWN] = USEC_INFINITY;
        unit_refuse_pending(t, u, &why);
        if (u->state == UNIT_STATE_BACKOFF)
            unit_move(t, u, UNIT_STATE_STOPPED, &why);
    }
}

/* Every service ended by itself or failed, and neither a person nor a rule had a hand in it. */
static bool all_ended(const struct turn *t)
{
    size_t services = 0;
    FOR_EACH_UNIT(t, u)
    {
        if (!is_service(t, u) || (!unit_policy(t, u)->enabled && unit_is_down(u)))
            continue;
        services++;
        if (!unit_is_down(u) || u->held_down || u->state == UNIT_STATE_STOPPING)
            return false;
    }
    return t->e->running && services > 0;
}

/* Phase 4. */
static void settle_exit(struct turn *t)
{
    bool failed = false;
    FOR_EACH_UNIT(t, u)
    {
        if (!unit_is_down(u))
            return;
        failed = failed || u->state != UNIT_STATE_STOPPED; /* failed, or stuck in the kernel */
    }
    struct why why = why_of(supervisor_rule, t->e->ending);
    engine_emit(t, NULL, DECISION_EXIT, &why)->amount[0] = failed;
    t->e->over = true;
}

static void settle(struct turn *t)
{
    FOR_EACH_UNIT(t, u)
    {
        settle_respawn(t, u);
    }
    if (t->e->ending == REASON_NONE) {
        FOR_EACH_UNIT(t, u)
        {
            settle_dependent(t, u);
        }
        FOR_EACH_UNIT(t, u)
        {
            settle_start(t, u);
        }
        if (all_ended(t))
            begin_end(t, REASON_ALL_ENDED);
    }
    if (t->e->ending != REASON_NONE) {
        settle_stop(t);
        settle_exit(t);
    }
}

/* A wrapped unit found running: when there is one service only, that one started it. */
static void bind_adopted(struct turn *t)
{
    struct engine_unit *only = NULL;
    size_t services = 0;
    FOR_EACH_UNIT(t, u)
    {
        if (is_service(t, u) && unit_policy(t, u)->enabled) {
            only = u;
            services++;
        }
    }
    if (services != 1 || !unit_is_running(only))
        return;
    FOR_EACH_UNIT(t, u)
    {
        if (!is_service(t, u) && unit_is_running(u) && u->via == UNIT_NONE) {
            u->via = only->index;
            u->via_generation = only->generation;
        }
    }
}

static void run(struct turn *t)
{
    t->e->running = true;
    bind_adopted(t);
    FOR_EACH_UNIT(t, u)
    {
        u->known = true;
        u->want_start = is_service(t, u) && u->state == UNIT_STATE_STOPPED && !u->held_down;
    }
}

static void policy_changed(struct turn *t, struct engine_unit *u)
{
    const struct unit_policy *p = unit_policy(t, u);
    recycle_allow(u);
    u->cannot = (struct unit_cannot){0};
    u->told = 0;
    throttle_policy(t, u);
    hold_policy(t, u);
    reclaim_policy(t, u);
    rules_policy(t, u);
    if (u->due[TIMER_READY] != USEC_INFINITY) {
        uint64_t due = engine_later(u->ready_from_us, p->ready_timeout_us);
        u->due[TIMER_READY] = due > t->event->t_us ? due : t->event->t_us;
    }
    if (!p->enabled) {
        struct why why = why_of(lifecycle_rule, REASON_CONFIGURED);
        u->switched_off = true;
        u->want_start = false;
        u->due[TIMER_RESPAWN] = USEC_INFINITY;
        unit_refuse_pending(t, u, &why);
        if (u->state == UNIT_STATE_BACKOFF)
            unit_move(t, u, UNIT_STATE_STOPPED, &why);
        else if (unit_is_running(u) || (u->state == UNIT_STATE_STOPPING && u->stop.then != THEN_STOPPED))
            stop_for(t, u, lifecycle_rule, REASON_CONFIGURED);
    } else if (is_service(t, u) && t->e->running && (!u->known || u->switched_off)) {
        u->want_start = !u->held_down;
        u->switched_off = false;
    }
    u->known = u->known || t->e->running;
}

static void respawn_timer(struct turn *t, struct engine_unit *u)
{
    (void)t;
    u->respawn_due = true; /* settled after all timers: it concerns another unit */
}

static void backoff_timer(struct turn *t, struct engine_unit *u)
{
    static const struct why why = {.rule = lifecycle_rule, .reason = REASON_FAILURE};
    unit_backoff_over(t, u, &why);
}

static void (*const timer_rows[TIMER_COUNT])(struct turn *, struct engine_unit *) = {
    [TIMER_READY] = unit_ready_timeout, [TIMER_STOP] = unit_stop_timer,
    [TIMER_BACKOFF] = backoff_timer,    [TIMER_RESPAWN] = respawn_timer,
    [TIMER_OOM_NOTE] = ladder_oom_note, [TIMER_THROTTLE] = throttle_time_bound,
    [TIMER_PULSE] = throttle_pulse,     [TIMER_HOLD] = hold_time_bound,
    [TIMER_RECLAIM] = reclaim_overdue,  [TIMER_UNDO] = throttle_undo,
    [TIMER_DRAIN] = drain_time_bound,
};

static void run_timers(struct turn *t)
{
    FOR_EACH_UNIT(t, u)
    {
        for (int i = 0; i < TIMER_COUNT; i++)
            if (u->due[i] <= t->event->t_us) {
                u->due[i] = USEC_INFINITY;
                timer_rows[i](t, u);
            }
    }
}

static void dispatch_supervisor(struct turn *t)
{
    if (t->event->kind == EVENT_RUN)
        run(t);
    else if (t->event->kind == EVENT_DEADLINE)
        run_timers(t);
    else if (t->event->kind == EVENT_SHUTDOWN && t->e->ending != REASON_SHUTDOWN)
        begin_end(t, REASON_SHUTDOWN);
}

static void dispatch(struct turn *t, struct engine_unit *u)
{
    switch (t->event->kind) {
    case EVENT_SAMPLE:
        ladder_sample(t, u);
        break;
    case EVENT_ARRIVED:
        unit_arrived(t, u);
        break;
    case EVENT_SPAWNED:
        unit_spawned(t, u);
        break;
    case EVENT_SPAWN_FAILED:
        unit_spawn_failed(t, u);
        break;
    case EVENT_READY:
        unit_ready(t, u);
        break;
    case EVENT_EXITED:
        unit_exited(t, u);
        break;
    case EVENT_EMPTY:
        unit_empty(t, u);
        break;
    case EVENT_CLEANED:
        unit_cleaned(t, u);
        break;
    case EVENT_GATE_LOST:
        unit_gate_lost(t, u);
        break;
    case EVENT_OPERATOR:
        unit_operator(t, u);
        break;
    case EVENT_OUTCOME:
        ladder_outcome(t, u);
        break;
    case EVENT_POLICY:
        policy_changed(t, u);
        break;
    case EVENT_RUN:
    case EVENT_DEADLINE:
    case EVENT_SHUTDOWN:
    case EVENT_KIND_COUNT:
        break;
    }
}

/* What an event must name to be meant. */
enum aim { AIM_SUPERVISOR, AIM_UNIT, AIM_LIFE /* of this generation */ };

static const enum aim aims[EVENT_KIND_COUNT] = {
    [EVENT_RUN] = AIM_SUPERVISOR,    [EVENT_DEADLINE] = AIM_SUPERVISOR, [EVENT_SHUTDOWN] = AIM_SUPERVISOR,
    [EVENT_ARRIVED] = AIM_UNIT,      [EVENT_OPERATOR] = AIM_UNIT,       [EVENT_OUTCOME] = AIM_UNIT,
    [EVENT_POLICY] = AIM_UNIT,       [EVENT_SAMPLE] = AIM_LIFE,         [EVENT_SPAWNED] = AIM_LIFE,
    [EVENT_SPAWN_FAILED] = AIM_LIFE, [EVENT_READY] = AIM_LIFE,          [EVENT_EXITED] = AIM_LIFE,
    [EVENT_EMPTY] = AIM_LIFE,        [EVENT_CLEANED] = AIM_LIFE,        [EVENT_GATE_LOST] = AIM_LIFE,
};

/* Late news of an earlier life. Generation 0 means "the present one" (hand-written traces). */
static bool is_stale(const struct event *event, const struct engine_unit *u)
{
    if (aims[event->kind] != AIM_LIFE || event->generation == 0)
        return false;
    if (event->kind == EVENT_SPAWNED && event->spawned.how == EVENT_HOW_ADOPTED)
        return false;
    return event->generation != u->generation;
}

static void refresh_due(struct turn *t, const struct engine_unit *u)
{
    if (u && t->event->kind == EVENT_SAMPLE && !t->moved) {
        uint64_t due = unit_due(u);
        if (due < t->e->next_due_us)
            t->e->next_due_us = due;
        return;
    }
    t->e->next_due_us = USEC_INFINITY;
    FOR_EACH_UNIT(t, other)
    {
        uint64_t due = unit_due(other);
        if (due < t->e->next_due_us)
            t->e->next_due_us = due;
    }
}

int engine_step(struct engine *e, const struct policy *policy, const struct event *event,
                struct decision *ret_decisions)
{
    if (policy->unit_count > e->capacity || (unsigned)event->kind >= EVENT_KIND_COUNT)
        return -EINVAL;
    struct engine_unit *u = event->unit < policy->unit_count ? &e->units[event->unit] : NULL;
    bool of_unit = aims[event->kind] != AIM_SUPERVISOR && event->unit != UNIT_NONE;
    if ((of_unit && !u) || (!of_unit && aims[event->kind] != AIM_SUPERVISOR && event->kind != EVENT_OUTCOME))
        return -EINVAL;

    assert(event->t_us >= e->now_us);
    e->now_us = event->t_us;
    if (e->over || (of_unit && is_stale(event, u)))
        return 0;

    struct turn t = {
        .e = e,
        .policy = policy,
        .event = event,
        .out = ret_decisions,
        .capacity = engine_decisions_max(policy->unit_count),
    };
    if (of_unit)
        dispatch(&t, u);
    else
        dispatch_supervisor(&t);
    if (event->kind != EVENT_SAMPLE || t.moved)
        settle(&t);
    refresh_due(&t, of_unit ? u : NULL);
    return (int)t.count;
}

uint64_t engine_next_deadline(const struct engine *e)
{
    return e->over ? USEC_INFINITY : e->next_due_us;
}

uint64_t engine_sample_interval(const struct engine *e, const struct policy *policy, uint16_t unit)
{
    const struct engine_unit *u = unit < e->capacity ? &e->units[unit] : NULL;
    if (!u || !(unit_is_running(u) || u->state == UNIT_STATE_STOPPING) || u->stop.phase == STOP_PHASE_CLEAN)
        return 0;
    bool fast = u->state == UNIT_STATE_STARTING || u->state == UNIT_STATE_STOPPING || u->throttle.on ||
                u->hold.on || u->reclaim.on || e->now_us < u->fast_until_us;
    return fast && policy->fast_interval_us < policy->interval_us ? policy->fast_interval_us
                                                                  : policy->interval_us;
}

static enum ladder_step ladder_step_of(const struct engine_unit *u)
{
    if (u->state == UNIT_STATE_STOPPING)
        return u->stop.memory ? LADDER_RESTART : LADDER_IDLE;
    if (!unit_is_running(u))
        return LADDER_IDLE;
    if (u->throttle.on)
        return LADDER_THROTTLE;
    if (u->hold.on)
        return u->hold.kind == DECISION_HOLD ? LADDER_HOLD : LADDER_PACE;
    if (u->reclaim.on)
        return LADDER_RECLAIM;
    return u->notifying ? LADDER_NOTIFY : LADDER_IDLE;
}

void engine_unit_view(const struct engine *e, uint16_t unit, struct unit_view *ret)
{
    *ret = (struct unit_view){.eta_us = USEC_INFINITY, .next_start_us = USEC_INFINITY};
    if (unit >= e->capacity)
        return;
    const struct engine_unit *u = &e->units[unit];
    bool alive = unit_is_running(u) || u->state == UNIT_STATE_STOPPING;
    ret->state = u->state;
    ret->state_since_us = u->state_since_us;
    ret->generation = u->generation;
    ret->pid = u->pid;
    ret->started_us = u->started_us;
    ret->step = ladder_step_of(u);
    ret->rules_active = rules_active(e, unit);
    ret->frozen = u->frozen;
    ret->recycling_off = recycle_is_off(u);
    ret->growth_bytes_per_s = alive ? u->memory.growth : 0;
    ret->eta_us = alive ? u->memory.eta_us : USEC_INFINITY;
    ret->failures = unit_failures_in_window(u, e->now_us, u->failure_window_us);
    ret->failure_restarts = u->failure_restarts;
    ret->recycles = u->recycles;
    ret->operator_restarts = u->operator_restarts;
    ret->next_start_us = u->due[TIMER_BACKOFF];
}

const char *ladder_step_name(enum ladder_step step)
{
    static const char *const names[] = {
        [LADDER_IDLE] = "idle",       [LADDER_NOTIFY] = "notify", [LADDER_RECLAIM] = "reclaim",
        [LADDER_PACE] = "pace",       [LADDER_HOLD] = "hold",     [LADDER_THROTTLE] = "throttle",
        [LADDER_RESTART] = "restart",
    };
    return (unsigned)step < sizeof(names) / sizeof(names[0]) ? names[step] : "unknown";
}
