/* SPDX-License-Identifier: MIT */
/* Reading: runs, wall-clock time through a clock step, filters, limits, the one time line. */
#include "history.h"

static struct history h;

static int setup(void **state)
{
    (void)state;
    history_make(&h);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    history_remove(&h);
    return 0;
}

static struct history_rows read_with(int (*read)(struct store_reader *, const struct store_filter *,
                                                 store_row_fn *, void *),
                                     const struct store_filter *f)
{
    struct history_rows rows = {0};
    struct store_reader *r = history_read(&h);
    assert_int_equal(read(r, f, history_keep, &rows), 0);
    store_reader_close(r);
    return rows;
}

/* Ten ticks of both units, a fast sample after each of the worker's. */
static void record_ten_seconds(struct store *s)
{
    uint64_t seq = 0;
    for (uint64_t second = 0; second < 10; second++) {
        for (uint16_t unit = 0; unit < 2; unit++) {
            struct event e = history_sample(++seq, second * USEC_PER_SEC, unit, second * 100 + unit);
            store_event(s, &e);
        }
        struct event fast = history_sample(++seq, second * USEC_PER_SEC + 500000, 1, second * 100 + 50);
        fast.sample.cause = SAMPLE_CAUSE_FAST;
        store_event(s, &fast);
    }
}

static void test_samples_are_filtered_by_unit_cause_and_time(void **state)
{
    (void)state;
    struct store *s = history_open(&h);
    history_begin(s);
    record_ten_seconds(s);
    store_close(s);

    struct history_rows all = read_with(store_read_samples, &(struct store_filter){0});
    assert_int_equal(all.count, 30);
    assert_int_equal(all.row[0].wall_us, HISTORY_WALL_US);
    history_rows_free(&all);

    struct history_rows ticks =
        read_with(store_read_samples, &(struct store_filter){.unit = "worker", .ticks_only = true});
    assert_int_equal(ticks.count, 10);
    assert_int_equal(ticks.row[9].event.sample.value[SAMPLE_MEMORY_CURRENT], 901);
    history_rows_free(&ticks);

    /* Both ends count: 3 s and 5 s themselves, and what lies between. */
    struct store_filter f = {.unit = "worker"};
    f.since_wall_us = HISTORY_WALL_US + 3 * USEC_PER_SEC;
    f.until_wall_us = HISTORY_WALL_US + 5 * USEC_PER_SEC;
    struct history_rows part = read_with(store_read_samples, &f);
    assert_int_equal(part.count, 5);
    assert_int_equal(part.row[0].event.sample.value[SAMPLE_MEMORY_CURRENT], 301);
    assert_int_equal(part.row[4].event.sample.value[SAMPLE_MEMORY_CURRENT], 501);
    history_rows_free(&part);

    struct history_rows none = read_with(store_read_samples, &(struct store_filter){.unit = "nobody"});
    assert_int_equal(none.count, 0);
}

static void test_limit_tells_the_newest_oldest_first(void **state)
{
    (void)state;
    struct store *s = history_open(&h);
    history_begin(s);
    record_ten_seconds(s);
    history_begin_at(s, HISTORY_START_US + 1, HISTORY_WALL_US + 3600 * USEC_PER_SEC);
    for (uint64_t i = 1; i <= 3; i++) {
        struct event e = history_sample(i, i, 0, 5000 + i);
        store_event(s, &e);
    }
    store_close(s);

    struct history_rows rows = read_with(store_read_samples, &(struct store_filter){.limit = 5});
    assert_int_equal(rows.count, 5);
    assert_int_equal(rows.row[0].run, 1);
    assert_int_equal(rows.row[0].event.seq, 29);
    assert_int_equal(rows.row[1].event.seq, 30);
    assert_int_equal(rows.row[4].run, 2);
    assert_int_equal(rows.row[4].event.sample.value[SAMPLE_MEMORY_CURRENT], 5003);
    history_rows_free(&rows);

    rows = read_with(store_read_timeline, &(struct store_filter){.limit = 2, .run = 1});
    assert_int_equal(rows.count, 2);
    assert_int_equal(rows.row[1].event.seq, 30);
    history_rows_free(&rows);
}

static void test_wall_time_follows_the_clock_in_force(void **state)
{
    (void)state;
    struct store *s = history_open(&h);
    history_begin(s);
    struct event before = history_sample(1, USEC_PER_SEC, 0, 1);
    struct event after = history_sample(2, 10 * USEC_PER_SEC, 0, 2);
    store_event(s, &before);
    /* At 5 s the wall clock is set back by an hour. */
    uint64_t stepped = HISTORY_WALL_US + 5 * USEC_PER_SEC - 3600 * USEC_PER_SEC;
    store_clock(s, HISTORY_START_US + 5 * USEC_PER_SEC, stepped);
    store_event(s, &after);
    store_close(s);

    struct history_rows rows = read_with(store_read_samples, &(struct store_filter){0});
    assert_int_equal(rows.count, 2);
    assert_int_equal(rows.row[0].wall_us, HISTORY_WALL_US + USEC_PER_SEC);
    assert_int_equal(rows.row[1].wall_us, stepped + 5 * USEC_PER_SEC);
    history_rows_free(&rows);

    struct history_rows early =
        read_with(store_read_samples, &(struct store_filter){.until_wall_us = HISTORY_WALL_US});
    assert_int_equal(early.count, 1);
    assert_int_equal(early.row[0].event.seq, 2);
    history_rows_free(&early);
}

static void test_timeline_puts_decisions_behind_their_event(void **state)
{
    (void)state;
    struct store *s = history_open(&h);
    history_begin(s);
    struct event one = history_sample(1, 0, 1, 1), two = history_event(2, 0, EVENT_DEADLINE, UNIT_NONE);
    struct decision first = history_decision(1, 1, 0, DECISION_THROTTLE);
    struct decision second = history_decision(2, 2, 0, DECISION_UNTHROTTLE);
    store_event(s, &one);
    store_event(s, &two);
    store_decision(s, &first);
    store_decision(s, &second);
    store_mark(s, HISTORY_START_US, UNIT_NONE, "config reloaded");
    store_close(s);

    struct history_rows rows = read_with(store_read_timeline, &(struct store_filter){0});
    assert_int_equal(rows.count, 5);
    assert_int_equal(rows.row[0].event.seq, 1);
    assert_int_equal(rows.row[1].type, STORE_ROW_DECISION);
    assert_int_equal(rows.row[1].decision.id, 1);
    assert_int_equal(rows.row[2].event.seq, 2);
    assert_int_equal(rows.row[3].decision.id, 2);
    assert_int_equal(rows.row[4].type, STORE_ROW_MARK);
    assert_string_equal(rows.row[4].text, "config reloaded");
    history_rows_free(&rows);

    rows = read_with(store_read_decisions, &(struct store_filter){.interventions_only = true, .limit = 1});
    assert_int_equal(rows.count, 1);
    assert_int_equal(rows.row[0].decision.id, 2);
    history_rows_free(&rows);
}

struct run_rows {
    struct store_run_row row[4];
    size_t count;
};

static int keep_run(void *user, const struct store_run_row *row)
{
    struct run_rows *rows = user;
    rows->row[rows->count++] = *row;
    return 0;
}

static void test_runs_tell_their_end_and_counts(void **state)
{
    (void)state;
    struct store *s = history_open(&h);
    history_begin(s);
    record_ten_seconds(s);
    store_run_end(s, HISTORY_START_US + 10 * USEC_PER_SEC, 0);
    store_close(s);
    s = history_open(&h);
    history_begin_at(s, HISTORY_START_US + 60 * USEC_PER_SEC, HISTORY_WALL_US + 60 * USEC_PER_SEC);
    struct event e = history_event(1, 61 * USEC_PER_SEC, EVENT_RUN, UNIT_NONE);
    store_event(s, &e);
    store_unit(s, 2, "late");
    struct event late = history_sample(2, 62 * USEC_PER_SEC, 2, 1);
    struct event unknown = history_sample(3, 62 * USEC_PER_SEC, 4, 1);
    store_event(s, &late);
    store_event(s, &unknown);
    store_close(s); /* without an end: cut off */

    struct run_rows rows = {0};
    struct store_reader *r = history_read(&h);
    assert_int_equal(store_read_runs(r, keep_run, &rows), 0);
    assert_int_equal(rows.count, 2);
    assert_int_equal(rows.row[0].run, 1);
    assert_int_equal(rows.row[0].samples, 30);
    assert_int_equal(rows.row[0].exit_status, 0);
    assert_int_equal(rows.row[0].end_wall_us, HISTORY_WALL_US + 10 * USEC_PER_SEC);
    assert_string_equal(rows.row[0].supervisor, "search-docs");
    assert_int_equal(rows.row[1].run, 2);
    assert_int_equal(rows.row[1].events, 1);
    assert_int_equal(rows.row[1].exit_status, -1);
    assert_int_equal(rows.row[1].end_wall_us, 0);
    assert_int_equal(rows.row[1].last_wall_us, HISTORY_WALL_US + 62 * USEC_PER_SEC);

    const char *const *names;
    assert_int_equal(store_read_units(r, 2, &names), 5);
    assert_string_equal(names[1], "worker");
    assert_string_equal(names[2], "late");
    assert_string_equal(names[4], "unit-4");
    assert_int_equal(store_read_units(r, 9, &names), -ENOENT);
    store_reader_close(r);
}

static void test_no_history_is_enoent(void **state)
{
    (void)state;
    struct store_reader *r = NULL;
    struct err err = ERR_NULL;
    assert_int_equal(store_reader_open(h.path, &r, &err), -ENOENT);
    assert_non_null(strstr(err.text, h.path));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_samples_are_filtered_by_unit_cause_and_time, setup, teardown),
        cmocka_unit_test_setup_teardown(test_limit_tells_the_newest_oldest_first, setup, teardown),
        cmocka_unit_test_setup_teardown(test_wall_time_follows_the_clock_in_force, setup, teardown),
        cmocka_unit_test_setup_teardown(test_timeline_puts_decisions_behind_their_event, setup, teardown),
        cmocka_unit_test_setup_teardown(test_runs_tell_their_end_and_counts, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_history_is_enoent, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
