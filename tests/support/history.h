/* SPDX-License-Identifier: MIT */
/* A history file in a temporary folder, and the records that go into it. */
#ifndef WEIR_TESTS_HISTORY_H
#define WEIR_TESTS_HISTORY_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "weir/base/cleanup.h"
#include "weir/base/units.h"
#include "weir/store/store.h"

#define HISTORY_WALL_US                                                                                      \
    UINT64_C(                                                                                                \
        1762345425000000) /* 2025-11-05 12:23:45 UTC at monotonic HISTORY_START_US                      \
                                */
#define HISTORY_START_US UINT64_C(1000000000)
#define HISTORY_FLUSH_US (60 * USEC_PER_SEC) /* a hang fails the test; never waited for in full */

struct history {
    char dir[64];
    char path[96];
};

static inline void history_make(struct history *h)
{
    snprintf(h->dir, sizeof(h->dir), "/tmp/weir-history.XXXXXX");
    assert_non_null(mkdtemp(h->dir));
    snprintf(h->path, sizeof(h->path), "%.60s/history.db", h->dir);
}

static inline void history_remove(struct history *h)
{
    char command[128];
    snprintf(command, sizeof(command), "rm -rf '%.60s'", h->dir);
    assert_int_equal(system(command), 0);
}

/* Commits and retries at once: a test does not wait for a second to pass. */
static inline struct store_options history_options(const struct history *h)
{
    return (struct store_options){.path = h->path, .commit_us = 1000, .retry_us = 1000};
}

static inline struct store *history_open(const struct history *h)
{
    struct store_options options = history_options(h);
    struct store *s = NULL;
    assert_int_equal(store_open(&options, &s, NULL), 0);
    return s;
}

static const char *const history_units[] = {"server", "worker"};

static inline void history_begin_at(struct store *s, uint64_t monotonic_us, uint64_t wall_us)
{
    const struct store_run run = {
        .supervisor = "search-docs",
        .config_path = "/etc/weir/search-docs.conf",
        .config_text = "[unit server]\nexec = node\n",
        .weir_version = "0.1.0",
        .kernel = "6.1.0",
        .layout = "unified",
        .boot_id = "00000000-1111-2222-3333-444444444444",
        .wall_us = wall_us,
        .monotonic_us = monotonic_us,
        .interval_us = USEC_PER_SEC,
        .unit_names = history_units,
        .unit_count = 2,
    };
    assert_int_equal(store_run_begin(s, &run), 0);
}

static inline void history_begin(struct store *s)
{
    history_begin_at(s, HISTORY_START_US, HISTORY_WALL_US);
}

static inline void history_flush(struct store *s)
{
    assert_int_equal(store_flush(s, HISTORY_FLUSH_US), 0);
}

/* A sample of the unit at so many microseconds after the start. */
static inline struct event history_sample(uint64_t seq, uint64_t after_us, uint16_t unit, uint64_t memory)
{
    struct event e = {.seq = seq, .t_us = HISTORY_START_US + after_us, .kind = EVENT_SAMPLE, .unit = unit};
    e.generation = 1;
    e.sample.t_us = e.t_us;
    sample_set(&e.sample, SAMPLE_MEMORY_CURRENT, memory);
    return e;
}

static inline struct event history_event(uint64_t seq, uint64_t after_us, enum event_kind kind, uint16_t unit)
{
    struct event e = {.seq = seq, .t_us = HISTORY_START_US + after_us, .kind = kind, .unit = unit};
    e.generation = unit == UNIT_NONE ? 0 : 1;
    return e;
}

static inline struct decision history_decision(uint64_t id, uint64_t seq, uint64_t after_us,
                                               enum decision_kind kind)
{
    struct decision d = {
        .id = id, .event_seq = seq, .t_us = HISTORY_START_US + after_us, .unit = 1, .generation = 1};
    d.kind = kind;
    d.reason = REASON_MEMORY_LEVEL;
    d.metric = METRIC_MEMORY_CURRENT;
    d.observed = 900;
    d.threshold = 850;
    snprintf(d.rule, sizeof(d.rule), "ladder.restart");
    return d;
}

/* What a gate of the worker told of a method: so many calls, each answered, with figures that follow from them. */
static inline struct store_method history_method(uint64_t after_us, uint64_t gate, const char *method,
                                                 uint64_t calls)
{
    struct store_method m = {.t_us = HISTORY_START_US + after_us, .unit = 1, .gate = gate, .calls = calls};
    snprintf(m.method, sizeof(m.method), "%s", method);
    m.answers = calls;
    m.bytes_to_worker = calls * 1000;
    m.bytes_to_server = calls * 100;
    m.latency_sum_us = calls * 2000;
    m.latency_max_us = 9000;
    m.latency_p50_us = m.latency_p90_us = m.latency_p99_us = calls ? 2000 : UINT64_MAX;
    return m;
}

static inline struct store_reader *history_read(const struct history *h)
{
    struct store_reader *r = NULL;
    struct err err = ERR_NULL;
    if (store_reader_open(h->path, &r, &err) != 0)
        fail_msg("%s", err.text);
    return r;
}

/* Rows kept in the order they were told. */
struct history_rows {
    struct store_row *row;
    size_t count;
};

static inline int history_keep(void *user, const struct store_row *row)
{
    struct history_rows *rows = user;
    rows->row = realloc(rows->row, (rows->count + 1) * sizeof(*row));
    assert_non_null(rows->row);
    rows->row[rows->count++] = *row;
    return 0;
}

static inline void history_rows_free(struct history_rows *rows)
{
    free(rows->row);
}

#endif
