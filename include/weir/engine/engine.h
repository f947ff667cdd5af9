/* SPDX-License-Identifier: MIT */
/*
 * The engine: (state, policy, event) -> ordered decisions. Pure: no clock, no I/O, no allocation after
 * engine_new, no floats. The same code serves the live loop, replay and the tests.
 *
 * The caller carries the decisions out in their order and tells what came of each as an OUTCOME event, and
 * of the processes as SPAWNED, READY, EXITED, EMPTY, CLEANED events. Events of an older generation than
 * the unit's are ignored (and allowed: they are late).
 */
#ifndef WEIR_ENGINE_ENGINE_H
#define WEIR_ENGINE_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weir/engine/policy.h"
#include "weir/model/decision.h"
#include "weir/model/event.h"

struct engine;

/* Most decisions one event can lead to, for a policy of so many units. The caller's buffer holds that many. */
size_t engine_decisions_max(size_t unit_count);

/* Allocates the state for up to unit_capacity units (all in STOPPED). NULL when out of memory. */
struct engine *engine_new(size_t unit_capacity);
struct engine *engine_free(struct engine *e); /* accepts NULL, returns NULL */

/*
 * Takes the policy's rules in (a copy: steps judge by it, not by policy->rules) and makes room for what they keep
 * between steps. To be called before the first step and after each change of policy->rules or of a unit's `rules`; each
 * unit that is concerned gets a POLICY event then, which ends what a rule that is gone had begun. A policy without
 * rules needs none. What a rule keeps goes on where its text and its unit are the same as before; other rules begin
 * anew. 0, or -ENOMEM with nothing changed.
 */
int engine_prepare(struct engine *e, const struct policy *policy);

/*
 * One step. ret_decisions holds engine_decisions_max(policy->unit_count) entries. Returns how many were
 * decided, -EINVAL for an event that names no unit of the policy. event->seq and t_us never fall.
 */
int engine_step(struct engine *e, const struct policy *policy, const struct event *event,
                struct decision *ret_decisions);

/* When the engine wants a DEADLINE event at the latest; USEC_INFINITY = not needed. */
uint64_t engine_next_deadline(const struct engine *e);

/* How often the unit is to be sampled now: 0 = not at all (no cgroup), else interval or fast_interval. */
uint64_t engine_sample_interval(const struct engine *e, const struct policy *policy, uint16_t unit);

/* The strongest thing that is being done about the unit's memory now. */
enum ladder_step {
    LADDER_IDLE,
    LADDER_NOTIFY,
    LADDER_RECLAIM,
    LADDER_PACE,
    LADDER_HOLD,
    LADDER_THROTTLE,
    LADDER_RESTART,
};

/* What a person asks of a unit; a copy. */
struct unit_view {
    enum unit_state state;
    uint64_t state_since_us;
    uint32_t generation;
    int32_t pid; /* main process; 0 = none */
    uint64_t started_us;
    enum ladder_step step;
    uint64_t rules_active;       /* bit i: policy.rules[i] has begun on it and is not over */
    bool frozen;                 /* by the operator */
    bool recycling_off;          /* restarting for memory was given up: cost or baseline */
    uint64_t growth_bytes_per_s; /* 0 when falling or not known */
    uint64_t eta_us;             /* USEC_INFINITY when not growing or no limit */
    uint32_t failures;           /* in the window */
    uint32_t failure_restarts, recycles, operator_restarts; /* since the run began */
    uint64_t next_start_us;                                 /* BACKOFF: when; else USEC_INFINITY */
};
void engine_unit_view(const struct engine *e, uint16_t unit, struct unit_view *ret);

const char *ladder_step_name(enum ladder_step step);

#endif
