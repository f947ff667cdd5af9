/* SPDX-License-Identifier: MIT */
/*
 * How a life begins and what follows its end: START and ADMIT, readiness, failures, back-off, budget.
 *
 *   end of a life                      service unit                  wrapped unit
 *   ---------------------------------  ----------------------------  ------------------------------------------
 *   asked to stay down, shutdown       STOPPED                       STOPPED
 *   restart (planned, operator)        START at once                 STOPPED, its server's turn (respawn wait)
 *   ended cleanly                      STOPPED (always: as failure)  STOPPED
 *   failed, never ready in this run    FAIL never-ready              as below
 *   failed, restart = no               FAIL                          FAIL
 *   failure that reaches the budget    FAIL budget-spent             FAIL budget-spent, arrivals refused
 *   failed, first in a row             START at once                 STOPPED, arrivals admitted at once
 *   failed, n-th in a row              BACKOFF min * 2^(n-2)         BACKOFF, arrivals wait for its end
 *
 * A failure budget of 5 means: the fifth failure within the window is the last. "In a row" ends when a life
 * was ready for healthy_us. The jitter comes from the seed, the unit's name and the attempt, so that a replay
 * gives the same delays and the order of units in the config does not matter.
 *
 * A wrapped unit is never started from here: its server starts it, and the failure only decides how long the
 * arrival is kept waiting, as it is while an earlier life drains or stops. Up to PENDING_MAX arrivals wait; the first becomes the main process, the others
 * join its cgroup.
 */
#include "state.h"

static const struct why why_arrived = {.rule = lifecycle_rule, .reason = REASON_ARRIVED};

void unit_reset(struct engine_unit *u)
{
    u->pid = 0;
    u->ready_us = USEC_INFINITY;
    u->frozen = false;
    u->stop = (struct unit_stop){0};
    ladder_reset(u);
}

static void begin_life(struct turn *t, struct engine_unit *u, uint32_t generation)
{
    unit_reset(u);
    u->generation = generation;
    u->started_us = t->event->t_us;
    u->want_start = false;
    u->due[TIMER_RESPAWN] = USEC_INFINITY;
    if (t->e->first_start_us == USEC_INFINITY)
        t->e->first_start_us = t->event->t_us;
}

static void arm_ready(struct turn *t, struct engine_unit *u)
{
    u->ready_from_us = t->event->t_us;
    unit_arm(u, TIMER_READY, engine_later(t->event->t_us, unit_policy(t, u)->ready_timeout_us));
}

void unit_start(struct turn *t, struct engine_unit *u, const struct why *why)
{
    begin_life(t, u, u->generation + 1);
    engine_emit(t, u, DECISION_START, why);
    unit_move(t, u, UNIT_STATE_STARTING, why);
    arm_ready(t, u);
}

static void admit_member(struct turn *t, struct engine_unit *u, uint64_t ticket)
{
    struct decision *d = engine_emit(t, u, DECISION_ADMIT, &why_arrived);
    d->amount[0] = ticket;
    d->amount[1] = 1;
}

/* The first of the waiting arrivals begins a life, the others join it. */
static void unit_admit(struct turn *t, struct engine_unit *u, const struct why *why)
{
    uint32_t waiting = u->pending_count;
    u->pending_count = 0;
    u->via = u->pending[0].via;
    u->via_generation = u->via < t->policy->unit_count ? t->e->units[u->via].generation : 0;
    begin_life(t, u, u->generation + 1);
    engine_emit(t, u, DECISION_ADMIT, why)->amount[0] = u->pending[0].ticket;
    unit_move(t, u, UNIT_STATE_STARTING, why);
    arm_ready(t, u);
    for (uint32_t i = 1; i < waiting; i++)
        admit_member(t, u, u->pending[i].ticket);
}

static void adopt(struct turn *t, struct engine_unit *u)
{
    const struct event *event = t->event;
    struct why why = why_of(lifecycle_rule, REASON_ADOPTED);

    u->held_down = u->held_by_rule = false;
    u->via = UNIT_NONE;
    begin_life(t, u, event->generation > u->generation ? event->generation : u->generation + 1);
    u->pid = event->spawned.pid;
    u->ever_ready = true; /* in a run before this one; a later failure is no configuration error */
    u->recycle.baseline_seen = true;
    unit_move(t, u, UNIT_STATE_ADOPTED, &why);
    arm_ready(t, u);
    if (event->spawned.ready || !unit_policy(t, u)->has_ready)
        unit_ready(t, u);
    u->frozen = event->spawned.frozen;
}

void unit_spawned(struct turn *t, struct engine_unit *u)
{
    if (t->event->spawned.how == EVENT_HOW_ADOPTED) {
        if (u->state == UNIT_STATE_STOPPED)
            adopt(t, u);
        return;
    }
    if (u->state == UNIT_STATE_STOPPING && u->pid == 0) {
        u->pid = t->event->spawned.pid;
        unit_signal_again(t, u);
        return;
    }
    if (!unit_is_running(u) || u->pid != 0)
        return; /* a further member of a wrapped unit's cgroup */
    u->pid = t->event->spawned.pid;
    if (u->state == UNIT_STATE_STARTING && !unit_policy(t, u)->has_ready)
        unit_ready(t, u);
}

void unit_ready(struct turn *t, struct engine_unit *u)
{
    if (u->state != UNIT_STATE_STARTING && u->state != UNIT_STATE_ADOPTED)
        return;
    struct why why = why_of(lifecycle_rule, REASON_NONE);
    u->ready_us = t->event->t_us;
    u->ever_ready = true;
    unit_move(t, u, UNIT_STATE_READY, &why);
    u->cause_id = 0; /* whatever brought it up is done */
    recycle_ready(t, u);
}

void unit_ready_timeout(struct turn *t, struct engine_unit *u)
{
    if (u->frozen) { /* it cannot get ready: its time begins anew */
        arm_ready(t, u);
        return;
    }
    struct stop_order order = {
        .kind = DECISION_STOP,
        .then = THEN_FAILURE,
        .why = why_of(lifecycle_rule, REASON_READY_TIMEOUT),
    };
    why_measure(&order.why, METRIC_ELAPSED, t->event->t_us - u->state_since_us,
                unit_policy(t, u)->ready_timeout_us);
    unit_stop(t, u, &order);
}

static void refuse(struct turn *t, struct engine_unit *u, uint64_t ticket, const struct why *why)
{
    engine_emit(t, u, DECISION_REFUSE, why)->amount[0] = ticket;
}

void unit_refuse_pending(struct turn *t, struct engine_unit *u, const struct why *why)
{
    for (uint32_t i = 0; i < u->pending_count; i++)
        refuse(t, u, u->pending[i].ticket, why);
    u->pending_count = 0;
}

/* REASON_NONE: may run. */
static enum decision_reason why_not(const struct turn *t, const struct engine_unit *u)
{
    if (t->e->ending != REASON_NONE)
        return t->e->ending;
    if (!unit_policy(t, u)->enabled)
        return REASON_CONFIGURED;
    if (u->held_down)
        return u->held_by_rule ? REASON_RULE : REASON_OPERATOR;
    if (u->state == UNIT_STATE_FAILED)
        return REASON_BUDGET_SPENT;
    if (u->pending_count == PENDING_MAX)
        return REASON_FAILURE;
    return REASON_NONE;
}

void unit_arrived(struct turn *t, struct engine_unit *u)
{
    uint64_t ticket = t->event->arrived.ticket;
    uint16_t via = t->event->arrived.via != u->index ? t->event->arrived.via : UNIT_NONE;
    struct why why = why_of(lifecycle_rule, why_not(t, u));

    if (unit_policy(t, u)->kind != UNIT_KIND_WRAPPED)
        why.reason = REASON_CONFIGURED; /* weir starts this one itself */
    if (why.reason == REASON_RULE)
        why.rule = u->stop_rule;
    if (why.reason != REASON_NONE) {
        refuse(t, u, ticket, &why);
        return;
    }
    u->due[TIMER_RESPAWN] = USEC_INFINITY;
    u->respawn_due = false;
    if (unit_is_running(u) && u->state != UNIT_STATE_DRAINING) {
        admit_member(t, u, ticket);
        return;
    }
    u->pending[u->pending_count++] = (struct ticket){ticket, via};
    if (u->state == UNIT_STATE_STOPPED)
        unit_admit(t, u, &why_arrived);
}

/* Up to half of the span below and above, the same for the same seed, name and attempt.
 * FNV-1a, then the finaliser of splitmix64 (both public domain). */
static uint64_t jitter(uint64_t seed, const char *name, uint32_t attempt, uint64_t delay_us)
{
    uint64_t h = UINT64_C(0xcbf29ce484222325) ^ seed;
    for (; *name; name++)
        h = (h ^ (unsigned char)*name) * UINT64_C(0x100000001b3);
    h = (h ^ attempt) * UINT64_C(0x100000001b3);
    h = (h ^ (h >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    h = (h ^ (h >> 27)) * UINT64_C(0x94d049bb133111eb);
    h ^= h >> 31;
    uint64_t span = delay_us / 5; /* chosen: +-10 % */
    return delay_us - delay_us / 10 + h % (span + 1);
}

static uint64_t backoff_delay(const struct turn *t, const struct engine_unit *u)
{
    const struct unit_policy *p = unit_policy(t, u);
    if (u->attempts <= 1)
        return 0;
    uint64_t delay = p->backoff_min_us;
    for (uint32_t i = 2; i < u->attempts && delay < p->backoff_max_us; i++)
        delay = engine_later(delay, delay);
    if (delay > p->backoff_max_us)
        delay = p->backoff_max_us;
    return jitter(t->policy->seed, p->name, u->attempts, delay);
}

uint32_t unit_failures_in_window(const struct engine_unit *u, uint64_t now_us, uint64_t window_us)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < u->failure_count; i++)
        if (now_us - u->failures[i] < window_us)
            n++;
    return n;
}

static uint32_t record_failure(struct turn *t, struct engine_unit *u)
{
    const struct unit_policy *p = unit_policy(t, u);
    uint64_t now = t->event->t_us;
    if (u->ready_us != USEC_INFINITY && now - u->ready_us >= p->healthy_us)
        u->attempts = 0;
    u->attempts++;
    u->failure_window_us = p->failure_window_us;
    u->failures[u->failure_next] = now;
    u->failure_next = (u->failure_next + 1) % FAILURES_MAX;
    if (u->failure_count < FAILURES_MAX)
        u->failure_count++;
    return unit_failures_in_window(u, now, p->failure_window_us);
}

void unit_forgive(struct engine_unit *u)
{
    u->attempts = 0;
    u->failure_count = u->failure_next = 0;
}

static void fail(struct turn *t, struct engine_unit *u, const struct why *why, uint32_t failures)
{
    struct decision *d = engine_emit(t, u, DECISION_FAIL, why);
    d->amount[0] = failures;
    u->cause_id = d->id;
    u->recycle.open_us = USEC_INFINITY;
    struct why refused = why_of(lifecycle_rule, REASON_BUDGET_SPENT);
    unit_refuse_pending(t, u, &refused);
    unit_move(t, u, UNIT_STATE_FAILED, why);
}

/* A wrapped unit is down and wanted: its server has respawn_wait to start it anew. */
void unit_await_server(struct turn *t, struct engine_unit *u)
{
    if (u->via != UNIT_NONE && u->pending_count == 0)
        unit_arm(u, TIMER_RESPAWN, engine_later(t->event->t_us, unit_policy(t, u)->respawn_wait_us));
}

/* Down, nothing in the way: up again, if it is for weir to say so. */
static void come_back(struct turn *t, struct engine_unit *u, const struct why *why)
{
    if (unit_policy(t, u)->kind == UNIT_KIND_SERVICE) {
        unit_start(t, u, why);
    } else if (u->pending_count > 0) {
        unit_admit(t, u, why);
    } else {
        unit_move(t, u, UNIT_STATE_STOPPED, why);
        if (u->due[TIMER_RESPAWN] == USEC_INFINITY && !u->respawn_due)
            unit_await_server(t, u);
    }
}

static void back_off(struct turn *t, struct engine_unit *u, const struct why *why)
{
    uint64_t delay = backoff_delay(t, u);
    struct decision *d = engine_emit(t, u, DECISION_BACKOFF, why);
    d->amount[0] = delay;
    d->amount[1] = u->attempts;
    if (unit_policy(t, u)->kind == UNIT_KIND_WRAPPED)
        d->rejected = 1U << REJECTED_SERVER;
    u->cause_id = d->id;
    u->failure_restarts++;
    if (delay == 0) {
        come_back(t, u, why);
        return;
    }
    unit_move(t, u, UNIT_STATE_BACKOFF, why);
    unit_arm(u, TIMER_BACKOFF, engine_later(t->event->t_us, delay));
    if (unit_policy(t, u)->kind == UNIT_KIND_WRAPPED)
        unit_await_server(t, u);
}

void unit_backoff_over(struct turn *t, struct engine_unit *u, const struct why *why)
{
    u->due[TIMER_BACKOFF] = USEC_INFINITY;
    come_back(t, u, why);
}

static void failed(struct turn *t, struct engine_unit *u)
{
    const struct unit_policy *p = unit_policy(t, u);
    uint32_t failures = record_failure(t, u);
    uint32_t budget = p->failure_budget < FAILURES_MAX ? p->failure_budget : FAILURES_MAX;
    struct why why = u->stop.why;

    if (p->kind == UNIT_KIND_SERVICE && !u->ever_ready) {
        why.reason = REASON_NEVER_READY;
        fail(t, u, &why, failures);
    } else if (p->restart == UNIT_RESTART_NO) {
        fail(t, u, &why, failures);
    } else if (failures >= budget) {
        why.reason = REASON_BUDGET_SPENT;
        why_measure(&why, METRIC_FAILURES, failures, budget);
        fail(t, u, &why, failures);
    } else {
        back_off(t, u, &why);
    }
}

static bool counts_as_failure(const struct turn *t, const struct engine_unit *u)
{
    const struct unit_policy *p = unit_policy(t, u);
    if (u->stop.then == THEN_FAILURE)
        return true;
    if (u->stop.then != THEN_JUDGE)
        return false;
    if (p->kind == UNIT_KIND_WRAPPED)
        return !u->stop.clean;
    return !u->stop.clean || !u->ever_ready || p->restart == UNIT_RESTART_ALWAYS;
}

/* The cgroup is gone: decide what comes next. */
void unit_conclude(struct turn *t, struct engine_unit *u)
{
    struct why why = u->stop.why;
    bool failure = counts_as_failure(t, u);
    bool again = u->stop.then == THEN_START && !u->held_down && unit_policy(t, u)->enabled;

    u->pid = 0;
    if (t->e->ending == REASON_NONE && failure) {
        failed(t, u);
    } else if (t->e->ending == REASON_NONE && (again || u->pending_count > 0)) {
        come_back(t, u, u->pending_count > 0 ? &why_arrived : &why);
    } else {
        u->recycle.open_us = USEC_INFINITY;
        unit_move(t, u, UNIT_STATE_STOPPED, &why);
    }
    if (!unit_is_running(u) && u->state != UNIT_STATE_BACKOFF)
        u->cause_id = 0;
}
