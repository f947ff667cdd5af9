/* SPDX-License-Identifier: MIT */
/*
 * A decision: what the engine answers to an event, and why.
 *
 * Interventions are the decisions a person asks about (restart, throttle, ...); steps carry one out (TERM,
 * KILL, CLEAN, START) and name it in cause_id; marks only tell (state moves, notes). A decision explains
 * itself: rule, unit and generation, observed value, threshold, held for how long, reason, what stronger
 * step was rejected and why.
 */
#ifndef WEIR_MODEL_DECISION_H
#define WEIR_MODEL_DECISION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* X(ENUM_SUFFIX, "name", class) */
#define DECISION_KINDS(X)                                                                                               \
    X(START, "start", STEP)           /* create the unit's cgroup and spawn its command */                              \
    X(ADMIT, "admit", STEP)           /* let the waiting wrapped command run in the unit's cgroup */                    \
    X(REFUSE, "refuse", INTERVENTION) /* tell the waiting wrapped command that it must not run */                       \
    X(TERM, "term", STEP)             /* thaw, then SIGTERM to the unit's main process */                               \
    X(KILL, "kill", STEP)             /* cgroup.kill: the whole tree */                                                 \
    X(CLEAN, "clean", STEP)           /* last reading, then remove the cgroup */                                        \
    X(NOTIFY, "notify", INTERVENTION) /* memory pressure protocol: tell the unit to give memory back */                 \
    /* the gate lets amount[0] requests be in flight, no more, and one each amount[1] us; 0 = no such bound */          \
    X(PACE, "pace", INTERVENTION)                                                                                       \
    X(HOLD, "hold", INTERVENTION)       /* the gate lets no request through, for at most amount[0] us */                \
    X(RELEASE, "release", INTERVENTION) /* undo hold and pace; amount[0] = lasted us */                                 \
    /* start the next process beside the one that is to end, up to its readiness: the decision's outcome; the engine */ \
    /* waits amount[0] us */                                                                                            \
    X(PREPARE, "prepare", STEP)                                                                                         \
    /* the gate lets no further request through, and tells when none is in flight: the decision's outcome; */           \
    /* the engine waits amount[0] us */                                                                                 \
    X(DRAIN, "drain", STEP)                                                                                             \
    X(RECLAIM, "reclaim", INTERVENTION)       /* take amount[0] bytes back: the first chunk */                          \
    X(RECLAIM_MORE, "reclaim-more", STEP)     /* the next chunk; amount[1] = which, from 2 */                           \
    X(THROTTLE, "throttle", INTERVENTION)     /* amount[0] = cpu share permyriad, amount[1] = memory.high */            \
    X(STEER, "steer", STEP)                   /* part of a throttle: amount[1] = the next memory.high */                \
    X(UNTHROTTLE, "unthrottle", INTERVENTION) /* undo throttle and pulses; amount[0] = lasted us */                     \
    X(FREEZE, "freeze", INTERVENTION)                                                                                   \
    X(THAW, "thaw", INTERVENTION)                                                                                       \
    X(PULSE_FREEZE, "pulse-freeze", STEP) /* part of a throttle; amount[0] = length in us */                            \
    X(PULSE_THAW, "pulse-thaw", STEP)                                                                                   \
    /* amount[0] = 1: planned recycle, 0: failure or operator; amount[1] = throttled just before, us */                 \
    X(RESTART, "restart", INTERVENTION)                                                                                 \
    X(STOP, "stop", INTERVENTION)                                                                                       \
    X(FAIL, "fail", INTERVENTION) /* the unit is given up, loudly; amount[0] = failures in the window */                \
    /* a failed unit starts again after amount[0] us; amount[1] = try; REJECTED_SERVER: its server may */               \
    X(BACKOFF, "backoff", INTERVENTION)                                                                                 \
    X(STATE, "state", MARK) /* amount[0] = from, amount[1] = to (enum unit_state) */                                    \
    /* something a person must know; nothing is done. amount[1] = 1 + verb: what an operator asked for; of a */         \
    /* rule with `rejected`: amount[0] = 1 + kind, what it would have done */                                           \
    X(NOTE, "note", INTERVENTION)                                                                                       \
    X(EXIT, "exit", MARK) /* the supervisor ends; amount[0] = exit status */

enum decision_kind {
#define X(id, name, class) DECISION_##id,
    DECISION_KINDS(X)
#undef X
        DECISION_KIND_COUNT,
};

enum decision_class { DECISION_CLASS_INTERVENTION, DECISION_CLASS_STEP, DECISION_CLASS_MARK };

/* X(ENUM_SUFFIX, "name", "sentence part"): why. The sentence part is what narration puts after "because". */
#define DECISION_REASONS(X)                                                                                  \
    X(NONE, "none", "")                                                                                      \
    X(CONFIGURED, "configured", "its configuration says so")                                                 \
    X(OPERATOR, "operator", "an operator asked for it")                                                      \
    X(SHUTDOWN, "shutdown", "weir is shutting down")                                                         \
    X(DEPENDENCY, "dependency", "a unit it depends on is not running")                                       \
    X(ARRIVED, "arrived", "its server started it")                                                           \
    X(MEMORY_LEVEL, "memory-level", "memory stayed above the threshold")                                     \
    X(MEMORY_ETA, "memory-eta", "at this growth the limit is too near")                                      \
    X(MEMORY_CRITICAL, "memory-critical", "memory is almost at the limit")                                   \
    X(PRESSURE, "pressure", "tasks are stalled on memory")                                                   \
    X(NO_HELP, "no-help", "holding it back did not help")                                                    \
    X(RELEASED, "released", "memory fell below the release threshold")                                       \
    X(FELL_BACK, "fell-back", "memory fell below what it was when the throttle began")                       \
    X(STOPPED_GROWING, "stopped-growing", "memory has all but stopped growing")                              \
    X(TIME_BOUND, "time-bound", "its time bound was reached")                                                \
    X(MEMORY_JUMP, "memory-jump", "one more jump like the last would reach the limit")                       \
    X(STALLED, "stalled", "held back by memory.high it gets nothing done")                                   \
    X(OUTSIDE, "outside", "its own limit does not press it: the pressure comes from outside")                \
    X(LOW_YIELD, "low-yield", "too little could be taken back")                                              \
    X(RULE, "rule", "the condition of its rule holds")                                                       \
    X(RULE_OVER, "rule-over", "the condition of its rule is over")                                           \
    X(RULE_LIMIT, "rule-limit", "its rule has done that as often as its limit allows")                       \
    X(EXIT_CODE, "exit-code", "its main process exited")                                                     \
    X(SIGNAL, "signal", "its main process was ended by a signal")                                            \
    X(OOM_KILL, "oom-kill", "the kernel killed a process of it for lack of memory")                          \
    X(PIDS_LIMIT, "pids-limit", "it ran into its pids limit")                                                \
    X(EXIT_UNKNOWN, "exit-unknown", "its main process ended, status visible to its parent only")             \
    X(SPAWN_FAILED, "spawn-failed", "its command could not be started")                                      \
    X(READY_TIMEOUT, "ready-timeout", "it was not ready in time")                                            \
    X(STOP_TIMEOUT, "stop-timeout", "it did not stop in time")                                               \
    X(LEFT_BEHIND, "left-behind", "nothing of it may outlive its main process")                              \
    X(FAILURE, "failure", "it failed and may be tried again")                                                \
    X(BUDGET_SPENT, "budget-spent", "it failed too often")                                                   \
    X(NEVER_READY, "never-ready", "its first start failed")                                                  \
    X(RECYCLE_COST, "recycle-cost", "restarting takes too large a share of the time")                        \
    X(BASELINE, "baseline", "memory is above the threshold right after its start")                           \
    X(DRAINED, "drained", "every request in flight was answered")                                            \
    X(DRAIN_TIMEOUT, "drain-timeout", "requests in flight were not answered in time")                        \
    X(GATE_LOST, "gate-lost", "the gate on its pipe is gone")                                                \
    X(RESPAWN_WAIT, "respawn-wait", "its server did not start its worker anew")                              \
    X(ADOPTED, "adopted", "it was found running")                                                            \
    X(ALL_ENDED, "all-ended", "every unit has ended")                                                        \
    X(POPULATED_0, "populated-0", "no process is left in it")

enum decision_reason {
#define X(id, name, text) REASON_##id,
    DECISION_REASONS(X)
#undef X
        REASON_COUNT,
};

/* What the observed value and the threshold are. */
#define DECISION_METRICS(X)                                                                                  \
    X(NONE, "", COUNT)                                                                                       \
    X(MEMORY_CURRENT, "memory.current", BYTES)                                                               \
    X(MEMORY_USED, "memory.used", BYTES) /* memory.current less the page cache that can be dropped */        \
    X(MEMORY_HEADROOM, "memory.headroom", BYTES)                                                             \
    X(MEMORY_GROWTH, "memory.growth", BYTES_PER_S)                                                           \
    X(MEMORY_ETA, "memory.eta", USEC)                                                                        \
    X(MEMORY_JUMP, "memory.jump", BYTES) /* the largest rise between two readings in the last minute */      \
    X(MEMORY_PEAK, "memory.peak", BYTES)                                                                     \
    X(MEMORY_MAX, "memory.max", BYTES)                                                                       \
    X(MEMORY_HIGH, "memory.high", BYTES)                                                                     \
    X(MEMORY_SWAP, "memory.swap.current", BYTES)                                                             \
    X(MEMORY_ANON, "memory.stat.anon", BYTES)                                                                \
    X(MEMORY_FILE, "memory.stat.file", BYTES)                                                                \
    X(RSS, "rss", BYTES)                                                                                     \
    X(VSZ, "vsz", BYTES)                                                                                     \
    X(MEMORY_PRESSURE_SOME, "memory.pressure.some", PERMYRIAD)                                               \
    X(MEMORY_PRESSURE_FULL, "memory.pressure.full", PERMYRIAD)                                               \
    X(EVENTS_HIGH, "memory.events.high", COUNT)                                                              \
    X(EVENTS_MAX, "memory.events.max", COUNT)                                                                \
    X(EVENTS_OOM, "memory.events.oom", COUNT)                                                                \
    X(OOM_KILL, "memory.events.oom_kill", COUNT)                                                             \
    X(RECLAIM_EFFICIENCY, "reclaim.efficiency", PERMYRIAD) /* pages taken back of pages looked at */         \
    X(PIDS_CURRENT, "pids.current", COUNT)                                                                   \
    X(PIDS_MAX, "pids.max", COUNT)                                                                           \
    X(PIDS_EVENTS_MAX, "pids.events.max", COUNT)                                                             \
    X(PROCESSES, "processes", COUNT)                                                                         \
    X(THREADS, "threads", COUNT)                                                                             \
    X(CPU_USAGE, "cpu.usage", PERMYRIAD) /* of one cpu */                                                    \
    X(CPU_THROTTLED, "cpu.throttled", PERMYRIAD)                                                             \
    X(CPU_PRESSURE_SOME, "cpu.pressure.some", PERMYRIAD)                                                     \
    X(CPU_PRESSURE_FULL, "cpu.pressure.full", PERMYRIAD)                                                     \
    X(IO_PRESSURE_SOME, "io.pressure.some", PERMYRIAD)                                                       \
    X(IO_PRESSURE_FULL, "io.pressure.full", PERMYRIAD)                                                       \
    X(GATE_INFLIGHT, "gate.inflight", COUNT)                                                                 \
    X(GATE_QUEUED, "gate.queued", COUNT)                                                                     \
    X(GATE_LATENCY_P99, "gate.latency_p99", USEC)                                                            \
    X(EXIT_STATUS, "exit.code", COUNT)                                                                       \
    X(EXIT_SIGNAL, "exit.signal", COUNT)                                                                     \
    X(ERRNO, "errno", COUNT)                                                                                 \
    X(FAILURES, "failures", COUNT)                                                                           \
    X(RESTART_SHARE, "restart.share", PERMYRIAD) /* share of time spent restarting */                        \
    X(UPTIME, "uptime", USEC)                                                                                \
    X(ELAPSED, "elapsed", USEC)

enum decision_metric {
#define X(id, name, type) METRIC_##id,
    DECISION_METRICS(X)
#undef X
        METRIC_COUNT,
};

enum metric_type {
    METRIC_TYPE_BYTES,
    METRIC_TYPE_BYTES_PER_S,
    METRIC_TYPE_USEC,
    METRIC_TYPE_PERMYRIAD,
    METRIC_TYPE_COUNT,
};

/* Why a stronger step was not taken (bit mask of 1 << enum). */
#define DECISION_REJECTIONS(X)                                                                               \
    X(UNSUPPORTED, "unsupported", "the host cannot do it")                                                   \
    X(COOLDOWN, "cooldown", "the last one is too recent")                                                    \
    X(COST, "cost", "restarting already takes too much of the time")                                         \
    X(BASELINE, "baseline", "its memory right after a start is above the threshold")                         \
    X(NOT_HELD, "not-held", "the condition has not held long enough")                                        \
    X(OBSERVE, "observe", "mode = observe")                                                                  \
    X(NO_LIMIT, "no-limit", "it has no memory limit")                                                        \
    X(SERVER, "server", "only its server can start it")                                                      \
    X(GATE, "gate", "it has no gate")                                                                        \
    X(BUSY, "busy", "the last one is not over yet")                                                          \
    X(RULE_LIMIT, "rule-limit", "the rule's limit is reached")

enum decision_rejection {
#define X(id, name, text) REJECTED_##id,
    DECISION_REJECTIONS(X)
#undef X
        REJECTED_COUNT,
};

/* What the memory of a unit looked like when something was decided about it (src/engine/shape.c has the
 * definitions). X(ENUM_SUFFIX, "name", "sentence part") */
#define DECISION_SHAPES(X)                                                                                   \
    X(NONE, "none", "")                                                                                      \
    X(STEADY, "steady", "it stands still")                                                                   \
    X(LEAK, "leak", "it looks like a leak")                                                                  \
    X(BURST, "burst", "it looks like a burst")                                                               \
    X(STEP, "step", "it looks like a single step")                                                           \
    X(BASELINE, "baseline", "that is its baseline")                                                          \
    X(OUTSIDE, "outside", "that comes from outside")                                                         \
    X(RISE, "rise", "its rise fits no pattern yet")

enum decision_shape {
#define X(id, name, text) SHAPE_##id,
    DECISION_SHAPES(X)
#undef X
        SHAPE_COUNT,
};

#define DECISION_RULE_MAX 40 /* "rule." and a unit-sized name, rounded up */
#define UNIT_NAME_MAX     32 /* with the NUL; chosen: fits a cgroup name, a FIFO name and a table column */
#define UNIT_NONE         UINT16_MAX

/* Life cycle; the table with the allowed moves is the engine's (src/engine/lifecycle.c). */
#define UNIT_STATES(X)                                                                                       \
    X(STOPPED, "stopped")                                                                                    \
    X(STARTING, "starting")                                                                                  \
    X(READY, "ready")                                                                                        \
    X(DRAINING, "draining")                                                                                  \
    X(STOPPING, "stopping")                                                                                  \
    X(BACKOFF, "backoff")                                                                                    \
    X(FAILED, "failed")                                                                                      \
    X(ADOPTED, "adopted")

enum unit_state {
#define X(id, name) UNIT_STATE_##id,
    UNIT_STATES(X)
#undef X
        UNIT_STATE_COUNT,
};

struct decision {
    uint64_t id;         /* from 1, in order, per run */
    uint64_t event_seq;  /* the event that led to it */
    uint64_t t_us;       /* that event's time */
    uint64_t cause_id;   /* the intervention this is a step of; 0 = none */
    uint16_t unit;       /* index into the unit table; UNIT_NONE = the supervisor */
    uint32_t generation; /* the unit's start number in this run, from 1; 0 = not started yet */
    enum decision_kind kind;
    enum decision_reason reason;
    enum decision_metric metric;
    uint64_t observed;
    uint64_t threshold;
    uint64_t held_us;
    uint64_t amount[2];
    uint32_t rejected;            /* bit mask over enum decision_rejection */
    bool observe;                 /* mode = observe: decided, recorded, not carried out ("would have") */
    char rule[DECISION_RULE_MAX]; /* "ladder.restart", "lifecycle", "operator", "rule.NAME" */
    enum decision_shape shape;    /* of its memory; NONE where memory is not what it is about */
    uint64_t shape_bytes;         /* how far it rose ... */
    uint64_t shape_us;            /* ... within how long */
};

const char *decision_kind_name(enum decision_kind kind);
enum decision_class decision_kind_class(enum decision_kind kind);
const char *decision_reason_name(enum decision_reason reason);
const char *decision_reason_text(enum decision_reason reason);
const char *decision_metric_name(enum decision_metric metric);
enum metric_type decision_metric_type(enum decision_metric metric);
const char *decision_rejection_text(enum decision_rejection rejection);
const char *decision_shape_name(enum decision_shape shape);
const char *unit_state_name(enum unit_state state);

/* By name; the _COUNT value when unknown. */
enum decision_kind decision_kind_by_name(const char *name);
enum decision_reason decision_reason_by_name(const char *name);
enum decision_metric decision_metric_by_name(const char *name);
enum unit_state unit_state_by_name(const char *name);

/* A metric's value as a person reads it ("217.3M", "12.50%", "1.250s", "7"). Returns buf. */
#define METRIC_FORMAT_MAX 32
const char *decision_metric_format(enum decision_metric metric, uint64_t value,
                                   char buf[static METRIC_FORMAT_MAX]);

#define DECISION_TEXT_MAX 896 /* the longest is held against it in tests/unit/test_decision.c */

/* The canonical one-line text of a decision ("key=value ..."), the same bytes for the same decision: what
 * replay compares. unit_names[d->unit] names the unit. Members at their default (0, UNIT_NONE) are left out,
 * UINT64_MAX is "max". Returns the length, or -EMSGSIZE. */
int decision_format(const struct decision *d, const char *const *unit_names, char *buf, size_t size);

/* Parses what decision_format wrote; unit by name into its index. 0 or -EINVAL. */
int decision_parse(const char *text, const char *const *unit_names, size_t unit_count, struct decision *ret);

/* One plain sentence, the same in log, history, explain and journal, e.g.
 * "restart worker: memory.current 217.6M, threshold 217.5M, held 1s: memory stayed above the threshold"
 * Observe mode: "would have: ...". Returns buf. */
const char *decision_narrate(const struct decision *d, const char *const *unit_names, char *buf, size_t size);

#endif
