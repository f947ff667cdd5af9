/* SPDX-License-Identifier: MIT */
/*
 * What one step of the engine costs: a sample of one unit, with ten rules, among 2, 100 and 1000 units. Median and
 * 99th percentile per event, and the allocations after engine_prepare (counted by the linker's --wrap; 0 is the aim).
 *
 * The ratio is to what the same sample costs to be read: one pread of a kept-open kernel file, of which a sample of a
 * unit takes about fifteen.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "count_alloc.h"
#include "weir/base/cleanup.h"
#include "weir/base/units.h"
#include "weir/engine/engine.h"

#define EVENTS      400000
#define READS       20000
#define UNITS_MOST  1000
#define LIMIT_BYTES (UINT64_C(4) << 30)

/* As people write them: levels, rates, windows, groups. None comes true: that is what a second costs. */
static const char *const conditions[] = {
    "memory.current > 85% of memory.max for 3s or memory.eta < 20s",
    "memory.growth > 400M/s for 2s",
    "memory.growth > 200M/s over 60s and memory.used > 3G",
    "memory.pressure.full > 60% over 30s for 10s",
    "(memory.pressure.some > 70% or io.pressure.full > 50%) and not uptime < 1m",
    "pids.current > 90% of pids.max",
    "threads > 900 for 5s",
    "memory.events.high > 1000000 over 1m or pids.events.max > 100",
    "cpu.usage > 390% over 10s for 30s",
    "memory.headroom < 128M or memory.swap.current > 1G",
};

struct bench {
    struct policy policy;
    struct unit_policy *units;
    struct rule rules[ARRAY_SIZE(conditions)];
    struct engine *engine;
    struct decision *decisions;
    uint64_t seq, t_us;
    uint64_t decided;
    bool counting;
};

static uint64_t now_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000U + (uint64_t)ts.tv_nsec;
}

__attribute__((noreturn)) static void broken(const char *what)
{
    fprintf(stderr, "bench_engine: %s\n", what);
    exit(1);
}

static void make_rules(struct bench *b)
{
    for (size_t i = 0; i < ARRAY_SIZE(conditions); i++) {
        struct rule *r = &b->rules[i];
        struct rule_error e;
        snprintf(r->name, sizeof(r->name), "rule-%zu", i);
        if (rule_parse_condition(conditions[i], &r->when, &e) < 0)
            broken(e.text);
        r->actions[0] = (struct rule_action){.kind = RULE_ACTION_NOTE};
        r->action_count = 1;
    }
    b->policy.rules = b->rules;
    b->policy.rule_count = ARRAY_SIZE(conditions);
}

static void step(struct bench *b, struct event *e)
{
    e->seq = ++b->seq;
    e->t_us = b->t_us;
    int n = engine_step(b->engine, &b->policy, e, b->decisions);
    if (n < 0)
        broken("the engine refused an event");
    b->decided += b->counting ? (uint64_t)n : 0;
}

static void make_units(struct bench *b, uint32_t count)
{
    b->units = calloc(count, sizeof(*b->units));
    b->decisions = calloc(engine_decisions_max(count), sizeof(*b->decisions));
    b->engine = engine_new(count);
    if (!b->units || !b->decisions || !b->engine)
        broken("out of memory");
    policy_defaults(&b->policy);
    b->policy.units = b->units;
    b->policy.unit_count = count;
    make_rules(b);
    for (uint32_t i = 0; i < count; i++) {
        policy_unit_defaults(&b->units[i]);
        snprintf(b->units[i].name, sizeof(b->units[i].name), "unit-%" PRIu32, i);
        b->units[i].abilities = UINT32_MAX;
        b->units[i].memory_max_bytes = LIMIT_BYTES;
        b->units[i].memory_high_bytes = UINT64_MAX;
        b->units[i].rules = (UINT64_C(1) << ARRAY_SIZE(conditions)) - 1;
    }
    if (engine_prepare(b->engine, &b->policy) < 0)
        broken("out of memory");
}

static void start_units(struct bench *b)
{
    struct event run = {.kind = EVENT_RUN, .unit = UNIT_NONE};
    step(b, &run);
    for (uint32_t i = 0; i < b->policy.unit_count; i++) {
        struct event spawned = {.kind = EVENT_SPAWNED, .unit = (uint16_t)i};
        spawned.spawned.pid = (int32_t)(100 + i);
        step(b, &spawned);
    }
}

/* A unit that lives between 30 and 55 % of its limit, with everything that a unified host reads. */
static void fill(struct sample *s, uint64_t i, uint64_t t_us)
{
    uint64_t wave = (i * 7919) % (1U << 30);
    s->t_us = t_us;
    for (int f = 0; f < SAMPLE_FIELD_COUNT; f++)
        sample_set(s, (enum sample_field)f,
                   sample_field_info((enum sample_field)f)->cumulative ? t_us / 100 : 40);
    sample_set(s, SAMPLE_MEMORY_CURRENT, LIMIT_BYTES / 3 + wave);
    sample_set(s, SAMPLE_MEMORY_PEAK, LIMIT_BYTES / 2);
    sample_set(s, SAMPLE_MEMORY_MAX, LIMIT_BYTES);
    sample_set(s, SAMPLE_MEMORY_HIGH, UINT64_MAX);
    sample_set(s, SAMPLE_MEMORY_FILE, UINT64_C(100) << 20);
    sample_set(s, SAMPLE_PIDS_MAX, 256);
    for (int f = SAMPLE_EVENTS_HIGH; f <= SAMPLE_EVENTS_OOM_KILL; f++)
        sample_set(s, (enum sample_field)f, 0);
    sample_set(s, SAMPLE_PIDS_EVENTS_MAX, 0);
}

static int compare_u32(const void *a, const void *b)
{
    const uint32_t *p = a, *q = b;
    return (*p > *q) - (*p < *q);
}

struct spread {
    double median_us, p99_us;
};

static struct spread spread_of(uint32_t *ns, size_t count)
{
    qsort(ns, count, sizeof(*ns), compare_u32);
    return (struct spread){ns[count / 2] / 1000.0, ns[count * 99 / 100] / 1000.0};
}

static uint32_t elapsed(uint64_t from_ns)
{
    return (uint32_t)(now_ns() - from_ns);
}

static struct spread time_reads(uint32_t *ns)
{
    char text[4096];
    int fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        broken("/proc/self/stat cannot be read");
    for (size_t i = 0; i < READS; i++) {
        uint64_t from = now_ns();
        if (pread(fd, text, sizeof(text), 0) <= 0)
            broken("/proc/self/stat cannot be read");
        ns[i] = elapsed(from);
    }
    close(fd);
    return spread_of(ns, READS);
}

/* Rounds of one second: each unit once. The first rounds fill windows and caches. */
static struct spread time_samples(struct bench *b, uint32_t *ns)
{
    uint32_t units = b->policy.unit_count;
    uint64_t rounds = EVENTS / units, warm = rounds / 10 + 1;
    size_t kept = 0;
    for (uint64_t round = 0; round < rounds + warm && kept < EVENTS; round++) {
        if (round == warm) {
            allocations = 0;
            b->counting = true;
        }
        b->t_us += USEC_PER_SEC;
        for (uint32_t i = 0; i < units && kept < EVENTS; i++) {
            struct event e = {.kind = EVENT_SAMPLE, .unit = (uint16_t)i};
            fill(&e.sample, round + i, b->t_us);
            uint64_t from = now_ns();
            step(b, &e);
            uint32_t took = elapsed(from);
            if (b->counting)
                ns[kept++] = took;
        }
    }
    return spread_of(ns, kept);
}

static void bench(uint32_t units, uint32_t *ns, const struct spread *read)
{
    struct bench b = {.t_us = USEC_PER_SEC};
    make_units(&b, units);
    start_units(&b);
    struct spread s = time_samples(&b, ns);
    printf("%5" PRIu32 " units x %zu rules  %6.2f us median  %6.2f us p99  x%.2f of one read  %" PRIu64
           " allocations  %" PRIu64 " decisions\n",
           units, ARRAY_SIZE(conditions), s.median_us, s.p99_us, s.median_us / read->median_us, allocations,
           b.decided);
    engine_free(b.engine);
    free(b.units);
    free(b.decisions);
}

int main(void)
{
    static const uint32_t sizes[] = {2, 100, UNITS_MOST};
    uint32_t *ns = calloc(EVENTS, sizeof(*ns));
    if (!ns)
        broken("out of memory");
    struct spread read = time_reads(ns);
    printf("one read of a kernel file    %6.2f us median  %6.2f us p99\n", read.median_us, read.p99_us);
    for (size_t i = 0; i < ARRAY_SIZE(sizes); i++)
        bench(sizes[i], ns, &read);
    free(ns);
    return 0;
}
