/* SPDX-License-Identifier: MIT */
/*
 * An engine at hand for a test: a few units, a present time, one call per event. kit->count and kit->decisions hold
 * what the last event led to. Times are absolute microseconds.
 */
#ifndef WEIR_TESTS_ENGINE_KIT_H
#define WEIR_TESTS_ENGINE_KIT_H

#include "check.h"

#include <stdio.h>
#include <string.h>

#include "weir/base/units.h"
#include "weir/engine/engine.h"

#define KIT_UNITS 4
#define MS        USEC_PER_MSEC
#define SEC       USEC_PER_SEC
#define MB        (UINT64_C(1) << 20)

struct kit {
    struct policy policy;
    struct unit_policy units[KIT_UNITS];
    struct engine *engine;
    struct decision decisions[512];
    int count;
    uint64_t seq;
};

/* Units of kind service, 1000 MB, every ability, all defaults. Nothing has happened yet. */
static inline void kit_init(struct kit *k, uint32_t units)
{
    memset(k, 0, sizeof(*k));
    policy_defaults(&k->policy);
    k->policy.units = k->units;
    k->policy.unit_count = units;
    k->engine = engine_new(KIT_UNITS);
    assert_non_null(k->engine);
    assert_true(engine_decisions_max(units) <= 512);
    for (uint32_t i = 0; i < units; i++) {
        struct unit_policy *p = &k->units[i];
        policy_unit_defaults(p);
        snprintf(p->name, sizeof(p->name), "unit%u", i);
        p->memory_max_bytes = 1000 * MB;
        p->memory_high_bytes = UINT64_MAX;
        p->abilities = 127;
    }
}

static inline void kit_deinit(struct kit *k)
{
    k->engine = engine_free(k->engine);
}

static inline int kit_step(struct kit *k, uint64_t t_us, struct event event)
{
    event.seq = ++k->seq;
    event.t_us = t_us;
    k->count = engine_step(k->engine, &k->policy, &event, k->decisions);
    return k->count;
}

static inline int kit_event(struct kit *k, uint64_t t_us, enum event_kind kind, uint16_t unit)
{
    return kit_step(k, t_us, (struct event){.kind = kind, .unit = unit});
}

static inline int kit_deadline(struct kit *k, uint64_t t_us)
{
    return kit_event(k, t_us, EVENT_DEADLINE, UNIT_NONE);
}

static inline int kit_spawned(struct kit *k, uint64_t t_us, uint16_t unit)
{
    struct event event = {.kind = EVENT_SPAWNED, .unit = unit};
    event.spawned.pid = 100 + unit;
    return kit_step(k, t_us, event);
}

static inline int kit_exited(struct kit *k, uint64_t t_us, uint16_t unit, int32_t code)
{
    struct event event = {.kind = EVENT_EXITED, .unit = unit};
    event.exit = (struct event_exit){.status_known = true, .code = code};
    return kit_step(k, t_us, event);
}

/* EXITED, EMPTY, CLEANED in one instant: what the last of them led to. */
static inline int kit_gone(struct kit *k, uint64_t t_us, uint16_t unit, int32_t code)
{
    kit_exited(k, t_us, unit, code);
    kit_event(k, t_us, EVENT_EMPTY, unit);
    return kit_event(k, t_us, EVENT_CLEANED, unit);
}

static inline int kit_arrived(struct kit *k, uint64_t t_us, uint16_t unit, uint16_t via, uint64_t ticket)
{
    struct event event = {.kind = EVENT_ARRIVED, .unit = unit};
    event.arrived.via = via;
    event.arrived.ticket = ticket;
    return kit_step(k, t_us, event);
}

static inline int kit_verb(struct kit *k, uint64_t t_us, uint16_t unit, enum event_verb verb)
{
    struct event event = {.kind = EVENT_OPERATOR, .unit = unit};
    event.operator_.verb = verb;
    return kit_step(k, t_us, event);
}

static inline int kit_memory(struct kit *k, uint64_t t_us, uint16_t unit, uint64_t bytes)
{
    struct event event = {.kind = EVENT_SAMPLE, .unit = unit};
    sample_set(&event.sample, SAMPLE_MEMORY_CURRENT, bytes);
    return kit_step(k, t_us, event);
}

/* The first decision of that kind among the last event's; NULL when there is none. */
static inline const struct decision *kit_find(const struct kit *k, enum decision_kind kind)
{
    for (int i = 0; i < k->count; i++)
        if (k->decisions[i].kind == kind)
            return &k->decisions[i];
    return NULL;
}

static inline enum unit_state kit_state(const struct kit *k, uint16_t unit)
{
    struct unit_view v;
    engine_unit_view(k->engine, unit, &v);
    return v.state;
}

/* RUN and SPAWNED at 0: unit 0 (and every other service) is ready. */
static inline void kit_up(struct kit *k, uint32_t units)
{
    kit_event(k, 0, EVENT_RUN, UNIT_NONE);
    for (uint16_t i = 0; i < units; i++)
        kit_spawned(k, 0, i);
}

#endif
