/* SPDX-License-Identifier: MIT */
/*
 * A simulated host under simulated time: it feeds events to the engine, carries its decisions out as an
 * obedient host would (with delays and failures that the story asks for) and answers with events.
 */
#ifndef WEIR_TEST_SIMHOST_H
#define WEIR_TEST_SIMHOST_H

#include <stdio.h>

#include "weir/base/units.h"
#include "weir/engine/engine.h"

#define SIM_UNITS_MAX  16
#define SIM_EVENTS_MAX 256
#define SIM_NEVER      UINT64_MAX

/* How a unit's processes behave. */
struct sim_manner {
    uint64_t ready_us; /* after SPAWNED; SIM_NEVER; only for units with has_ready */
    uint64_t drain_us; /* from DRAIN to its outcome; SIM_NEVER */
    uint64_t term_us;  /* from TERM to the end of the main process */
    uint64_t kill_us;  /* from KILL to EMPTY */
    uint64_t exit_us;  /* ends by itself after SPAWNED; SIM_NEVER */
    struct event_exit exit;
    int32_t spawn_error;
    uint64_t base_bytes, rate_bytes; /* memory at the start of a life, growth per second */
    bool has_life;
    uint32_t held_permyriad;  /* share of that growth that a throttle leaves; a freeze pulse leaves none */
    bool respawns;            /* wrapped: started anew by its server when it ended */
    uint16_t child_of;        /* wrapped: started when this unit is ready; UNIT_NONE */
    int32_t outcome_error;    /* what a throttle, pulse, pace, hold or reclaim fails with; 0 = done */
    uint32_t yield_permyriad; /* of what a RECLAIM asks for */
    uint64_t reclaim_us;      /* from RECLAIM to its outcome; SIM_NEVER */
    /* Progress, told in samples once `has_cpu`: share of a cpu that it uses, that it uses under a throttle, and while
     * memory.high holds it. With `parks` memory never passes memory.high: what it wants beyond counts as events. */
    uint32_t cpu_permyriad, held_cpu_permyriad, parked_cpu_permyriad;
    bool has_cpu, parks;
};

struct sim_unit {
    struct sim_manner manner;
    struct sample sample; /* what the next sample says */
    bool alive;           /* the main process */
    bool populated;
    uint32_t generation;
    uint64_t spawned_us;
    bool throttled, pulsed;
    uint64_t high;        /* memory.high set by a throttle; UINT64_MAX = none */
    uint64_t taken_bytes; /* by RECLAIM, in this life */
    uint64_t cpu_us, high_events;
    uint64_t lived_us, lived_at_us; /* time at full growth, until then */
};

struct sim_event {
    struct event event;
    uint64_t order;
};

struct sim {
    struct policy policy;
    struct unit_policy units[SIM_UNITS_MAX];
    const char *names[SIM_UNITS_MAX];
    struct sim_unit hosts[SIM_UNITS_MAX];
    struct rule rules[RULES_MAX];
    struct engine *engine;
    struct sim_event queue[SIM_EVENTS_MAX];
    size_t queued;
    uint64_t now_us, seq, order, next_ticket;
    int32_t next_pid;
    bool obedient; /* answers decisions; else the trace does */
    FILE *out;     /* narration */
};

void sim_init(struct sim *s, FILE *out);
void sim_deinit(struct sim *s);

/* Adds a unit with defaults; its index, or -1 when there is no room. */
int sim_add_unit(struct sim *s, const char *name);

/* Adds a rule, or changes the one of that name, for the units of the mask. false: no room. */
bool sim_put_rule(struct sim *s, const struct rule *rule, uint64_t units);

/* false: there is none of that name. */
bool sim_drop_rule(struct sim *s, const char *name);

/* Lets time pass up to t_us: everything that is due before is delivered, deadlines included; events at t_us
 * themselves come before a deadline at t_us. */
void sim_advance(struct sim *s, uint64_t t_us);

/* Delivers an event now (t_us is set to the present). */
void sim_deliver(struct sim *s, struct event *event);

/* Samples a unit for as long, every step_us (0: as often as the engine asks). FIELD goes from `from` to `to`
 * linearly; with field SAMPLE_FIELD_COUNT nothing but the unit's manner moves its memory. Ends early with the
 * life. */
struct sim_ramp {
    uint16_t unit;
    enum sample_field field;
    uint64_t from, to, duration_us, step_us;
};
void sim_ramp(struct sim *s, const struct sim_ramp *ramp);

#endif
