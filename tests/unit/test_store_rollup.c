/* SPDX-License-Identifier: MIT */
/* The roll-ups equal what SQL computes from the raw rows. */
#include "history.h"

#include <sqlite3.h>

static struct history h;
static sqlite3 *db;

static void count_rows_of(const char *text, int64_t expected)
{
    sqlite3_stmt *stmt;
    if (sqlite3_prepare_v2(db, text, -1, &stmt, NULL) != SQLITE_OK)
        fail_msg("%s", sqlite3_errmsg(db));
    assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
    if (sqlite3_column_int64(stmt, 0) != expected)
        fail_msg("%lld instead of %lld: %s", (long long)sqlite3_column_int64(stmt, 0), (long long)expected,
                 text);
    sqlite3_finalize(stmt);
}

/* Three minutes of two units at uneven times; the worker starts anew half-way, memory is missing now and
 * then. */
static void record(struct store *s)
{
    uint64_t rng = 42, at_us = 0, cpu = 0, stalled = 0;
    for (uint64_t seq = 1; at_us < 180 * USEC_PER_SEC; seq++) {
        at_us += 50000 + rng_below(&rng, 1900000);
        struct event e = history_sample(seq, at_us, (uint16_t)rng_below(&rng, 2), rng_below(&rng, 1u << 30));
        if (rng_below(&rng, 10) == 0)
            e.sample.valid = e.sample.value[SAMPLE_MEMORY_CURRENT] = 0;
        if (at_us > 90 * USEC_PER_SEC && e.generation == 1) {
            e.generation = 2;
            cpu = e.generation == 2 && at_us < 92 * USEC_PER_SEC ? 0 : cpu;
        }
        sample_set(&e.sample, SAMPLE_CPU_USAGE, cpu += rng_below(&rng, 500000));
        sample_set(&e.sample, SAMPLE_MEMORY_FULL, stalled += rng_below(&rng, 40000));
        sample_set(&e.sample, SAMPLE_THREADS, 1 + rng_below(&rng, 100));
        store_event(s, &e);
        if (rng_below(&rng, 5) == 0)
            history_flush(s); /* buckets are stored half full, and again */
    }
}

static void check_level(const char *table, unsigned length_s, const char *column)
{
    char text[1024];
    snprintf(text, sizeof(text),
             "WITH raw AS (SELECT run, unit, t_us / %u000000 * %u000000 AS b, count(*) AS n, min(%s) AS a,"
             " sum(%s) / count(%s) AS v, max(%s) AS z FROM samples GROUP BY 1, 2, 3)"
             " SELECT count(*) FROM raw JOIN %s AS r ON r.run = raw.run AND r.unit = raw.unit AND r.t_us = b"
             " WHERE r.samples = n AND r.%s_min IS a AND r.%s_avg IS v AND r.%s_max IS z",
             length_s, length_s, column, column, column, column, table, column, column, column);
    sqlite3_stmt *stmt;
    char count[128];
    snprintf(count, sizeof(count), "SELECT count(*) FROM %s", table);
    assert_int_equal(sqlite3_prepare_v2(db, count, -1, &stmt, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
    int64_t rows = sqlite3_column_int64(stmt, 0);
    sqlite3_finalize(stmt);
    assert_true(rows > 5);
    count_rows_of(text, rows);
}

static void check_share(const char *table, unsigned length_s, const char *column)
{
    char text[2048];
    snprintf(text, sizeof(text),
             "WITH d AS (SELECT unit, generation, t_us, %s - lag(%s) OVER w AS delta, t_us - lag(t_us) OVER "
             "w AS dt"
             " FROM samples WINDOW w AS (PARTITION BY unit, generation ORDER BY id)),"
             " raw AS (SELECT unit, t_us / %u000000 * %u000000 AS b, min(delta * 10000 / dt) AS a,"
             " sum(delta) * 10000 / sum(dt) AS v, max(delta * 10000 / dt) AS z FROM d WHERE delta >= 0 GROUP "
             "BY 1, 2)"
             " SELECT count(*) FROM %s AS r LEFT JOIN raw ON r.unit = raw.unit AND r.t_us = b"
             " WHERE NOT (r.%s_min IS a AND r.%s_avg IS v AND r.%s_max IS z)",
             column, column, length_s, length_s, table, column, column, column);
    count_rows_of(text, 0);
}

static void test_rollups_are_exact(void **state)
{
    (void)state;
    history_make(&h);
    struct store *s = history_open(&h);
    history_begin(s);
    record(s);
    store_close(s);
    assert_int_equal(sqlite3_open(h.path, &db), SQLITE_OK);
    check_level("samples_10s", 10, "memory_current");
    check_level("samples_10s", 10, "threads");
    check_level("samples_1m", 60, "memory_current");
    check_share("samples_10s", 10, "memory_pressure_full");
    check_share("samples_10s", 10, "cpu_usage");
    check_share("samples_1m", 60, "cpu_usage");
    count_rows_of("SELECT count(*) FROM samples_1m WHERE rss_min IS NOT NULL", 0);
    count_rows_of("SELECT (SELECT threads FROM samples WHERE unit = 1 ORDER BY id DESC LIMIT 1) ="
                  " (SELECT threads_last FROM samples_1m WHERE unit = 1 ORDER BY t_us DESC LIMIT 1)",
                  1);
    sqlite3_close(db);
    history_remove(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rollups_are_exact)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
