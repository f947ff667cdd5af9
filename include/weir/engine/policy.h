/* SPDX-License-Identifier: MIT */
/*
 * A policy: everything the engine judges by. Filled by the config layer (and from what the host can do),
 * constant during a step, replaced as a whole by a reload. Plain numbers: times in microseconds, shares in
 * permyriad, sizes in bytes. policy_unit_defaults() gives each figure its default and its source.
 */
#ifndef WEIR_ENGINE_POLICY_H
#define WEIR_ENGINE_POLICY_H

#include <stdbool.h>
#include <stdint.h>

#include "weir/engine/rule.h"
#include "weir/model/decision.h"

enum unit_kind {
    UNIT_KIND_SERVICE, /* started by weir */
    UNIT_KIND_WRAPPED, /* started by another unit, under a name that is weir */
};

enum unit_mode { UNIT_MODE_ACT, UNIT_MODE_OBSERVE };

enum unit_restart { UNIT_RESTART_NO, UNIT_RESTART_ON_FAILURE, UNIT_RESTART_ALWAYS };

/* What the host can do for this unit (bit mask). */
enum host_ability {
    ABILITY_MEMORY_MAX = 1 << 0,
    ABILITY_MEMORY_HIGH = 1 << 1, /* throttle by memory.high */
    ABILITY_CPU_MAX = 1 << 2,     /* throttle by cpu quota */
    ABILITY_FREEZE = 1 << 3,      /* freeze pulses, operator's freeze */
    ABILITY_KILL = 1 << 4,        /* cgroup.kill, or a signal loop */
    ABILITY_PRESSURE = 1 << 5,
    ABILITY_NOTIFY = 1 << 6,   /* the unit was given MEMORY_PRESSURE_WATCH, or has a hook command */
    ABILITY_GATE = 1 << 7,     /* a gate stands on its pipe: pace, hold */
    ABILITY_RECLAIM = 1 << 10, /* memory.reclaim */
};

#define POLICY_AFTER_MAX 8
#define POLICY_UNITS_MAX 1024 /* chosen: far above one machine's services; bounds memory */

/* The built-in ladder's thresholds for one unit; shares are of the unit's memory limit. */
struct ladder_policy {
    uint32_t notify_permyriad;   /* tell the unit; 0 = never */
    uint32_t pace_permyriad;     /* few requests at a time (with a gate); 0 = never */
    uint32_t reclaim_permyriad;  /* take memory back (memory.reclaim); 0 = never */
    uint32_t hold_permyriad;     /* no requests for now (with a gate); 0 = never */
    uint32_t throttle_permyriad; /* begin to slow it down; 0 = never */
    uint32_t restart_permyriad;  /* restart when held for restart_hold_us; 0 = never for memory */
    uint32_t critical_permyriad; /* restart without delay or grace */
    uint32_t release_permyriad;  /* everything below this is undone */
    uint32_t
        pressure_permyriad; /* memory.pressure.full share over pressure_window_us that counts as throttle-worthy */
    uint64_t pressure_window_us;
    uint64_t restart_hold_us;
    uint64_t throttle_eta_us; /* throttle when the limit is nearer than this at the present growth */
    uint64_t restart_eta_us;  /* restart when it is nearer than this: a stop takes about that long */
    uint64_t
        throttle_max_us; /* a throttle lasts at most this long, then it has helped or a restart follows */
    uint32_t throttle_cpu_permyriad; /* cpu share left while throttled (of one cpu = 10000) */
    uint64_t throttle_steer_us;      /* how often memory.high is looked at again while throttled */
    uint64_t throttle_stall_us;      /* nothing done for this long while memory.high holds it: no use */
    uint32_t jump_permyriad;         /* a rise between two readings that counts as a jump; 0 = none does */
    uint64_t jump_memory_us;         /* how long a jump is remembered */
    uint32_t pace_inflight;          /* requests in flight while paced */
    uint64_t hold_settle_us; /* held with nothing in flight and memory not falling for this long: no use */
    uint64_t hold_max_us;    /* a pace or hold lasts at most this long (below the callers' own time limit) */
    uint32_t reclaim_chunk_permyriad; /* taken back at a time */
    uint32_t reclaim_yield_permyriad; /* of a chunk; below it taking back is given up for now */
    uint64_t reclaim_cooldown_us;     /* and tried again after this */
    uint64_t pulse_freeze_us;         /* freeze pulses: frozen this long ... */
    uint64_t pulse_thaw_us;           /* ... then running this long */
    uint64_t notify_cooldown_us;
};

struct unit_policy {
    char name[UNIT_NAME_MAX];
    enum unit_kind kind;
    enum unit_mode mode;
    enum unit_restart restart;
    bool has_ready;             /* a readiness check runs; without one a unit is ready once spawned */
    bool enabled;               /* false: removed by a reload, kept until stopped; never started */
    uint32_t abilities;         /* enum host_ability */
    uint64_t memory_max_bytes;  /* UINT64_MAX = no limit */
    uint64_t memory_high_bytes; /* the user's own memory.high, restored by UNTHROTTLE; UINT64_MAX = none */
    uint16_t after[POLICY_AFTER_MAX]; /* start when these are ready, stop before them */
    uint16_t after_count;
    uint64_t ready_timeout_us;
    bool overlap;      /* with a gate: a planned restart starts the next process before it ends this one */
    uint64_t drain_us; /* with a gate: how long a stop waits for answers in flight; 0 = not at all */
    uint64_t stop_timeout_us; /* from SIGTERM to cgroup.kill */
    uint64_t respawn_wait_us; /* wrapped: how long its server may take to start it anew */
    uint64_t backoff_min_us;  /* second failure in a row; the first restarts at once */
    uint64_t backoff_max_us;
    uint64_t healthy_us;          /* ready for this long: the failure count in a row is 0 again */
    uint32_t failure_budget;      /* failures ... */
    uint64_t failure_window_us;   /* ... in this window, then failed */
    uint64_t recycle_min_life_us; /* a life this long did useful work: its recycle is planned, no failure */
    uint32_t recycle_cost_permyriad; /* largest share of recycle_window_us that may go into restarting */
    uint64_t recycle_window_us;
    uint64_t rules; /* bit i: policy.rules[i] judges this unit */
    struct ladder_policy ladder;
};

struct policy {
    uint64_t interval_us;      /* base sampling interval */
    uint64_t fast_interval_us; /* while something is happening */
    uint64_t seed;             /* for the back-off's jitter; recorded with the run */
    uint32_t unit_count;
    struct unit_policy *units; /* borrowed; unit i of an event is units[i] */
    uint32_t rule_count;
    struct rule *rules; /* borrowed; in the config's order, which is their precedence */
};

/* Fills every figure but name, kind, limits and abilities with its default. */
void policy_unit_defaults(struct unit_policy *ret);

/* interval 1 s, fast 50 ms, no units. */
void policy_defaults(struct policy *ret);

#endif
