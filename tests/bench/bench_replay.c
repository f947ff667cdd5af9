/* SPDX-License-Identifier: MIT */
/*
 * A day of ten units at one reading a second, recorded and replayed by the real command: time, rows a second, the most
 * memory it had in use; the same for the first quarter of it (memory must not grow with the run), and beside it what a
 * person has without weir: sqlite3 printing the same rows as CSV.
 *
 * The same with another policy, which keeps the readings of one life a unit (at most some 40 MiB for ten units).
 *
 * Usage: bench_replay WEIR [HOURS]
 */
#include "history.h"

#include <fcntl.h>
#include <inttypes.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

#include "rng.h"
#include "weir/engine/engine.h"
#include "weir/engine/policy_text.h"

#define UNITS 10
#define GIB   (UINT64_C(1) << 30)

static const char *const names[UNITS] = {"a", "b", "c", "d", "e", "f", "g", "h", "i", "j"};

struct maker {
    struct store *store;
    struct policy policy;
    struct unit_policy units[UNITS];
    struct engine *engine;
    struct decision decisions[UNITS * 64];
    uint64_t hours, seq, rng;
};

static void give(struct maker *m, uint64_t second, struct event e)
{
    e.seq = ++m->seq;
    e.t_us = HISTORY_START_US + second * USEC_PER_SEC;
    if (e.kind == EVENT_SAMPLE)
        e.sample.t_us = e.t_us;
    store_event(m->store, &e);
    int n = engine_step(m->engine, &m->policy, &e, m->decisions);
    for (int i = 0; i < n; i++)
        store_decision(m->store, &m->decisions[i]);
}

static void begin(struct maker *m)
{
    char text[POLICY_TEXT_MAX];
    const struct store_run run = {.supervisor = "bench",
                                  .wall_us =
                                      HISTORY_WALL_US + m->hours, /* a start that is its own makes a run */
                                  .monotonic_us = HISTORY_START_US,
                                  .interval_us = USEC_PER_SEC,
                                  .unit_names = names,
                                  .unit_count = UNITS};
    assert_int_equal(store_run_begin(m->store, &run), 0);
    policy_defaults(&m->policy);
    m->policy.units = m->units;
    m->policy.unit_count = UNITS;
    assert_true(engine_decisions_max(UNITS) <= ARRAY_SIZE(m->decisions));
    policy_text_format(&m->policy, text, sizeof(text));
    store_policy(m->store, 1, UNIT_NONE, text);
    for (uint16_t i = 0; i < UNITS; i++) {
        policy_unit_defaults(&m->units[i]);
        (void)snprintf(m->units[i].name, sizeof(m->units[i].name), "%s", names[i]);
        m->units[i].memory_max_bytes = 4 * GIB;
        m->units[i].memory_high_bytes = UINT64_MAX;
        m->units[i].abilities = ABILITY_MEMORY_MAX | ABILITY_MEMORY_HIGH | ABILITY_CPU_MAX | ABILITY_NOTIFY;
        policy_text_format_unit(&m->units[i], text, sizeof(text));
        store_policy(m->store, 1, i, text);
    }
    give(m, 0, (struct event){.kind = EVENT_RUN, .unit = UNIT_NONE});
    for (uint16_t i = 0; i < UNITS; i++) {
        struct event spawned = {.kind = EVENT_SPAWNED, .unit = i, .generation = 1};
        spawned.spawned.pid = 1000 + i;
        give(m, 0, spawned);
    }
}

/* A cgroup's reading of today: nearly every figure is there; memory goes up and down over half an hour, at its
 * highest above the level at which the unit is told. */
static void reading(struct maker *m, uint64_t second, uint16_t unit)
{
    struct event e = {.kind = EVENT_SAMPLE, .unit = unit, .generation = 1};
    uint64_t phase = (second + 180 * unit) % 1800;
    uint64_t wave = phase < 900 ? phase : 1800 - phase;
    for (int f = 0; f < SAMPLE_FIELD_COUNT; f++)
        sample_set(&e.sample, f, sample_field_info(f)->cumulative ? second * 1000 : rng_below(&m->rng, 200));
    sample_set(&e.sample, SAMPLE_MEMORY_CURRENT,
               GIB + wave * (GIB * 16 / 10 / 900) + rng_below(&m->rng, 1 << 20));
    sample_set(&e.sample, SAMPLE_MEMORY_MAX, 4 * GIB);
    sample_set(&e.sample, SAMPLE_MEMORY_FILE, 100 << 20);
    static const enum sample_field quiet[] = {SAMPLE_MEMORY_FULL,     SAMPLE_EVENTS_MAX,
                                              SAMPLE_EVENTS_OOM,      SAMPLE_EVENTS_OOM_KILL,
                                              SAMPLE_PIDS_EVENTS_MAX, SAMPLE_FROZEN};
    for (size_t i = 0; i < ARRAY_SIZE(quiet); i++)
        sample_set(&e.sample, quiet[i], 0);
    give(m, second, e);
}

/* A run of so many hours. */
static void record(const struct history *h, uint64_t hours)
{
    struct maker *m = calloc(1, sizeof(*m));
    assert_non_null(m);
    m->store = history_open(h);
    m->hours = hours;
    m->rng = 1;
    m->engine = engine_new(UNITS);
    begin(m);
    for (uint64_t second = 1; second <= hours * 3600; second++) {
        for (uint16_t unit = 0; unit < UNITS; unit++)
            reading(m, second, unit);
        if (second % 500 == 0)
            history_flush(m->store); /* the queue holds 8192 */
    }
    store_close(m->store);
    engine_free(m->engine);
    free(m);
}

struct cost {
    double seconds, cpu_seconds;
    long peak_kib;
};

static double seconds_of(struct timeval t)
{
    return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

/* Runs a program with its output thrown away; exit status 0 is wanted. */
static struct cost run(const char *const *argv, const char *output)
{
    struct timespec from, to;
    struct rusage usage;
    int status;
    clock_gettime(CLOCK_MONOTONIC, &from);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        int fd = open(output, O_WRONLY | O_CREAT | O_TRUNC, 0600);
        dup2(fd, 1);
        execvp(argv[0], (char *const *)argv);
        _exit(127);
    }
    assert_int_equal(wait4(pid, &status, 0, &usage), pid);
    clock_gettime(CLOCK_MONOTONIC, &to);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        return (struct cost){.seconds = -1};
    return (struct cost){.seconds =
                             (double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec) / 1e9,
                         .cpu_seconds = seconds_of(usage.ru_utime) + seconds_of(usage.ru_stime),
                         .peak_kib = usage.ru_maxrss};
}

static void print(const char *what, double rows, const struct cost *c)
{
    printf("%-34s %8.2f s  (cpu %.2f s)  %9.0f rows a second  peak %.1f MiB\n", what, c->seconds,
           c->cpu_seconds, rows / c->seconds, (double)c->peak_kib / 1024);
}

static void write_config(const struct history *h, char path[static 96])
{
    (void)snprintf(path, 96, "%.60s/weir.ini", h->dir);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fprintf(f, "[supervisor]\nname = bench\nstate_dir = %s\nrun_dir = %s\n", h->dir, h->dir);
    /* half the limit that it was recorded with: every unit leaves the record within the first hour */
    for (int i = 0; i < UNITS; i++)
        fprintf(f, "[unit %s]\nexec = /bin/true\nmemory_max = 2G\n", names[i]);
    assert_int_equal(fclose(f), 0);
}

int main(int argc, char **argv)
{
    struct history h;
    char config[96], out[96];
    uint64_t hours = argc > 2 ? strtoull(argv[2], NULL, 10) : 24;
    if (argc < 2 || hours < 4) {
        fputs("usage: bench_replay WEIR [HOURS, from 4 on]\n", stderr);
        return 2;
    }
    history_make(&h);
    record(&h, hours / 4);
    record(&h, hours);
    (void)snprintf(out, sizeof(out), "%.60s/out", h.dir);
    write_config(&h, config);

    double rows = (double)hours * 3600 * UNITS;
    struct cost quarter =
        run((const char *[]){argv[1], "replay", "1", "-c", config, "--recorded", NULL}, out);
    struct cost whole = run((const char *[]){argv[1], "replay", "2", "-c", config, "--recorded", NULL}, out);
    struct cost other_quarter = run((const char *[]){argv[1], "replay", "1", "-c", config, NULL}, out);
    struct cost other = run((const char *[]){argv[1], "replay", "2", "-c", config, NULL}, out);
    struct cost csv = run(
        (const char *[]){"sqlite3", "-csv", h.path, "select * from samples where id >> 38 = 2", NULL}, out);
    print("weir replay, a quarter", rows / 4, &quarter);
    print("weir replay, the whole", rows, &whole);
    print("  with another policy, a quarter", rows / 4, &other_quarter);
    print("  with another policy, the whole", rows, &other);
    if (csv.seconds > 0) {
        print("sqlite3 -csv of the same rows", rows, &csv);
        printf("weir replay takes %.2f times as long as sqlite3 -csv\n", whole.seconds / csv.seconds);
    } else {
        puts("sqlite3 is not there to compare with");
    }
    printf("peak memory, whole to quarter: %.2f\n", (double)whole.peak_kib / (double)quarter.peak_kib);
    history_remove(&h);
    return 0;
}
