/* SPDX-License-Identifier: MIT */
/*
 * A sample: one reading of a unit at one instant.
 *
 * Every figure is a row of SAMPLE_FIELDS: one table makes the enum, the names (the kernel's own), the
 * store's columns, the CSV and JSON keys and the text codec. A reading the host lacks has its validity bit
 * cleared; its value is then 0 and means nothing. Cumulative figures are the kernel's counters as read
 * (since the cgroup was made), never deltas.
 */
#ifndef WEIR_MODEL_SAMPLE_H
#define WEIR_MODEL_SAMPLE_H

#include <stdbool.h>
#include <stdint.h>

enum sample_type {
    SAMPLE_TYPE_BYTES, /* UINT64_MAX: "max", no limit */
    SAMPLE_TYPE_COUNT, /* UINT64_MAX: "max", no limit */
    SAMPLE_TYPE_USEC,
    SAMPLE_TYPE_FLAG, /* 0 or 1 */
};

/* X(ENUM_SUFFIX, "name", type, cumulative) */
#define SAMPLE_FIELDS(X)                                                                                     \
    X(MEMORY_CURRENT, "memory.current", BYTES, false)                                                        \
    X(MEMORY_PEAK, "memory.peak", BYTES, false)                                                              \
    X(MEMORY_MAX, "memory.max", BYTES, false)                                                                \
    X(MEMORY_HIGH, "memory.high", BYTES, false)                                                              \
    X(MEMORY_SWAP, "memory.swap.current", BYTES, false)                                                      \
    X(MEMORY_ANON, "memory.stat.anon", BYTES, false)                                                         \
    X(MEMORY_FILE, "memory.stat.file", BYTES, false)                                                         \
    X(MEMORY_SHMEM, "memory.stat.shmem", BYTES, false) /* part of file that cannot be dropped */             \
    X(MEMORY_PGSCAN, "memory.stat.pgscan", COUNT, true)                                                      \
    X(MEMORY_PGSTEAL, "memory.stat.pgsteal", COUNT, true)                                                    \
    X(MEMORY_SOME, "memory.pressure.some", USEC, true)                                                       \
    X(MEMORY_FULL, "memory.pressure.full", USEC, true)                                                       \
    X(CPU_SOME, "cpu.pressure.some", USEC, true)                                                             \
    X(CPU_FULL, "cpu.pressure.full", USEC, true)                                                             \
    X(IO_SOME, "io.pressure.some", USEC, true)                                                               \
    X(IO_FULL, "io.pressure.full", USEC, true)                                                               \
    X(EVENTS_HIGH, "memory.events.high", COUNT, true)                                                        \
    X(EVENTS_MAX, "memory.events.max", COUNT, true)                                                          \
    X(EVENTS_OOM, "memory.events.oom", COUNT, true)                                                          \
    X(EVENTS_OOM_KILL, "memory.events.oom_kill", COUNT, true)                                                \
    X(PIDS_CURRENT, "pids.current", COUNT, false)                                                            \
    X(PIDS_MAX, "pids.max", COUNT, false)                                                                    \
    X(PIDS_EVENTS_MAX, "pids.events.max", COUNT, true)                                                       \
    X(PROCESSES, "processes", COUNT, false) /* entries of cgroup.procs */                                    \
    X(THREADS, "threads", COUNT, false)     /* sum of num_threads over those processes */                    \
    X(RSS, "rss", BYTES, false)             /* sum of resident sizes over those processes */                 \
    X(VSZ, "vsz", BYTES, false)             /* sum of virtual sizes over those processes */                  \
    X(CPU_USAGE, "cpu.usage", USEC, true)                                                                    \
    X(CPU_THROTTLED, "cpu.throttled", USEC, true)                                                            \
    X(POPULATED, "cgroup.populated", FLAG, false)                                                            \
    X(FROZEN, "cgroup.frozen", FLAG, false)                                                                  \
    /* of the gate on the unit's pipe, as it last told; counters since the gate began */                     \
    X(GATE_INFLIGHT, "gate.inflight", COUNT, false)                                                          \
    X(GATE_QUEUED, "gate.queued", COUNT, false) /* requests held back, as far as the gate sees them */       \
    X(GATE_CALLS, "gate.calls", COUNT, true)                                                                 \
    X(GATE_ANSWERS, "gate.answers", COUNT, true)                                                             \
    X(GATE_ERRORS, "gate.errors", COUNT, true)                                                               \
    X(GATE_LATENCY_P99, "gate.latency_p99", USEC, false)

enum sample_field {
#define X(id, name, type, cumulative) SAMPLE_##id,
    SAMPLE_FIELDS(X)
#undef X
        SAMPLE_FIELD_COUNT,
};
_Static_assert(SAMPLE_FIELD_COUNT <= 64, "validity is one 64-bit word");

enum sample_cause {
    SAMPLE_CAUSE_TICK,   /* the base interval's timer: one per interval, none skipped */
    SAMPLE_CAUSE_FAST,   /* the short interval, while something is happening */
    SAMPLE_CAUSE_KERNEL, /* a kernel notification woke the loop */
    SAMPLE_CAUSE_FINAL,  /* the last reading, before the cgroup is removed or after a process ended */
    SAMPLE_CAUSE_COUNT,
};

#define SAMPLE_TOP_MAX  4  /* chosen: server, shell, wrapper and worker of the first workload fit */
#define SAMPLE_COMM_MAX 16 /* TASK_COMM_LEN, include/linux/sched.h */

/* One of the unit's biggest processes by resident size. */
struct sample_process {
    int32_t pid;
    uint32_t threads;
    uint64_t rss_bytes;
    uint64_t vsz_bytes;
    char comm[SAMPLE_COMM_MAX];
};

struct sample {
    uint64_t t_us;    /* CLOCK_MONOTONIC, microseconds, when the reading began */
    uint64_t late_us; /* a tick's lateness against the absolute timer; 0 for other causes */
    uint64_t valid;   /* bit i: value[i] was read */
    uint64_t value[SAMPLE_FIELD_COUNT];
    enum sample_cause cause;
    uint32_t missed_ticks; /* whole base intervals that passed without a tick before this one; 0 is the aim */
    uint32_t top_count;    /* entries of top, biggest first */
    struct sample_process top[SAMPLE_TOP_MAX];
};

struct sample_field_info {
    const char *name;
    enum sample_type type;
    bool cumulative;
};

/* Static table row of a field (field < SAMPLE_FIELD_COUNT). */
const struct sample_field_info *sample_field_info(enum sample_field field);

/* SAMPLE_FIELD_COUNT when the name is unknown. */
enum sample_field sample_field_by_name(const char *name);

const char *sample_cause_name(enum sample_cause cause);

static inline bool sample_has(const struct sample *s, enum sample_field f)
{
    return (s->valid >> f) & 1U;
}

/* Sets the value and its validity bit. */
static inline void sample_set(struct sample *s, enum sample_field f, uint64_t value)
{
    s->value[f] = value;
    s->valid |= UINT64_C(1) << f;
}

#endif
