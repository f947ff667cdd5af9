/* SPDX-License-Identifier: MIT */
/*
 * The life of a unit: its states, the moves between them, and nothing else that changes a state.
 *
 *                                 +--------------------------- start, admit ----------------+
 *                                 v                                                         |
 *   +---------+  start, admit  +----------+   ready    +-------+   stop   +----------+      |
 *   | STOPPED |--------------->| STARTING |----------->| READY |--------->| DRAINING |      |
 *   +---------+                +----------+            +-------+          +----------+      |
 *     |  ^  ^  adopted             |      +---------+   ^  |                   |            |
 *     +--|--|--------------------- | ---->| ADOPTED |---+  |                   |            |
 *        |  |                      |      +---------+      |                   |            |
 *        |  |                      |  stop, timeout,   |   |  exited, emptied  |            |
 *        |  |                      v  spawn failed     v   v                   v            |
 *        |  |   it is over     +----------------------------------------------------+       |
 *        |  +------------------|  STOPPING                                          |-------+
 *        |                     |  TERM -> grace -> KILL -> EMPTY -> CLEAN -> CLEANED |
 *        |                     +----------------------------------------------------+
 *        |   server's turn         | failed, tries left         | failed, given up
 *        |   or no longer wanted   v                            v
 *        |                     +---------+  start, admit    +--------+   operator start
 *        +---------------------| BACKOFF |---> STARTING     | FAILED |---> STARTING (service)
 *        |                     +---------+                  +--------+       |
 *        +-------------------------------------------------------------------+ (wrapped)
 *
 * Every end, wanted or not, passes through STOPPING: the cgroup is emptied, read for the last time and
 * removed before anything new happens to the unit. DRAINING is for units with a gate (drain.c).
 *
 * A timer lives only in the states whose row names it; a move disarms all others. So no timer can go off in
 * a state that does not know it.
 */
#include "state.h"

#include <assert.h>
#include <stdio.h>

const char lifecycle_rule[] = "lifecycle";
const char supervisor_rule[] = "supervisor";
const char operator_rule[] = "operator";

enum state_flag {
    STATE_RUNNING = 1 << 0, /* a main process is there or about to be */
    STATE_DOWN = 1 << 1,    /* nothing is there and nothing comes by itself */
};

struct state_row {
    uint32_t next;   /* allowed successors */
    uint32_t timers; /* that outlive a move into this state */
    uint32_t flags;
};

#define S(state)  (1U << UNIT_STATE_##state)
#define T(timer)  (1U << TIMER_##timer)
#define HELD_BACK (T(THROTTLE) | T(PULSE) | T(HOLD) | T(RECLAIM) | T(UNDO))

static const struct state_row state_rows[UNIT_STATE_COUNT] = {
    [UNIT_STATE_STOPPED] = {S(STARTING) | S(ADOPTED), T(RESPAWN), STATE_DOWN},
    [UNIT_STATE_STARTING] = {S(READY) | S(STOPPING), T(READY) | T(THROTTLE) | T(OOM_NOTE), STATE_RUNNING},
    [UNIT_STATE_READY] = {S(DRAINING) | S(STOPPING), HELD_BACK | T(OOM_NOTE), STATE_RUNNING},
    [UNIT_STATE_DRAINING] = {S(STOPPING), T(DRAIN) | T(UNDO) | T(OOM_NOTE), STATE_RUNNING},
    [UNIT_STATE_STOPPING] = {S(STOPPED) | S(STARTING) | S(BACKOFF) | S(FAILED), T(STOP), 0},
    [UNIT_STATE_BACKOFF] = {S(STARTING) | S(STOPPED) | S(FAILED), T(BACKOFF) | T(RESPAWN), 0},
    [UNIT_STATE_FAILED] = {S(STARTING) | S(STOPPED), 0, STATE_DOWN},
    [UNIT_STATE_ADOPTED] = {S(READY) | S(STOPPING), T(READY) | HELD_BACK | T(OOM_NOTE), STATE_RUNNING},
};

#undef S
#undef T
#undef HELD_BACK

bool lifecycle_may_move(enum unit_state from, enum unit_state to)
{
    return (state_rows[from].next >> to) & 1U;
}

bool unit_is_running(const struct engine_unit *u)
{
    return state_rows[u->state].flags & STATE_RUNNING;
}

bool unit_is_down(const struct engine_unit *u)
{
    return (state_rows[u->state].flags & STATE_DOWN) ||
           (u->state == UNIT_STATE_STOPPING && u->stop.phase == STOP_PHASE_STUCK);
}

/* What must be true of a unit in any state. */
static void check(const struct engine_unit *u)
{
    for (int i = 0; i < TIMER_COUNT; i++)
        assert(u->due[i] == USEC_INFINITY || ((state_rows[u->state].timers >> i) & 1U));
    assert((u->state == UNIT_STATE_STOPPING) == (u->stop.phase != STOP_PHASE_NONE));
    assert(unit_is_running(u) || (!u->throttle.on && !u->hold.on && !u->reclaim.on && !u->frozen));
    assert(u->pending_count == 0 || u->state == UNIT_STATE_BACKOFF || u->state == UNIT_STATE_DRAINING ||
           u->state == UNIT_STATE_STOPPING);
}

void unit_move(struct turn *t, struct engine_unit *u, enum unit_state to, const struct why *why)
{
    enum unit_state from = u->state;
    assert(lifecycle_may_move(from, to));

    u->state = to;
    u->state_since_us = t->event->t_us;
    for (int i = 0; i < TIMER_COUNT; i++)
        if (!((state_rows[to].timers >> i) & 1U))
            u->due[i] = USEC_INFINITY;
    if (to != UNIT_STATE_STOPPING)
        u->stop.phase = STOP_PHASE_NONE;
    check(u);
    t->moved = true;

    struct decision *d = engine_emit(t, u, DECISION_STATE, why);
    d->amount[0] = from;
    d->amount[1] = to;
}

void unit_arm(struct engine_unit *u, enum unit_timer timer, uint64_t at_us)
{
    assert((state_rows[u->state].timers >> timer) & 1U);
    u->due[timer] = at_us;
}

uint64_t unit_due(const struct engine_unit *u)
{
    uint64_t due = USEC_INFINITY;
    for (int i = 0; i < TIMER_COUNT; i++)
        if (u->due[i] < due)
            due = u->due[i];
    return due;
}

uint64_t engine_later(uint64_t t_us, uint64_t delay_us)
{
    uint64_t sum;
    return __builtin_add_overflow(t_us, delay_us, &sum) ? USEC_INFINITY : sum;
}

struct why why_of(const char *rule, enum decision_reason reason)
{
    return (struct why){.rule = rule, .reason = reason};
}

void why_measure(struct why *why, enum decision_metric metric, uint64_t observed, uint64_t threshold)
{
    why->metric = metric;
    why->observed = observed;
    why->threshold = threshold;
    why->held_us = 0;
}

const struct unit_policy *unit_policy(const struct turn *t, const struct engine_unit *u)
{
    return &t->policy->units[u->index];
}

/* Appends a decision; u is NULL for the supervisor's own. The caller fills in amounts and the like. */
struct decision *engine_emit(struct turn *t, const struct engine_unit *u, enum decision_kind kind,
                             const struct why *why)
{
    assert(t->count < t->capacity);
    struct decision *d = &t->out[t->count++];
    *d = (struct decision){
        .id = t->e->next_id++,
        .event_seq = t->event->seq,
        .t_us = t->event->t_us,
        .cause_id = u ? u->cause_id : 0,
        .unit = u ? u->index : UNIT_NONE,
        .generation = u ? u->generation : 0,
        .kind = kind,
        .reason = why->reason,
        .metric = why->metric,
        .observed = why->observed,
        .threshold = why->threshold,
        .held_us = why->held_us,
    };
    snprintf(d->rule, sizeof(d->rule), "%s", why->rule);
    if (decision_kind_class(kind) == DECISION_CLASS_INTERVENTION)
        d->cause_id = 0;
    return d;
}
