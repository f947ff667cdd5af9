/* SPDX-License-Identifier: MIT */
/* What gates told: written, read, told apart by gate, and the row that a range of time counts from. */
#include "history.h"

#include <errno.h>
#include <sqlite3.h>

#include "../../src/store/schema.h"

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

struct kept {
    struct store_method row[32];
    char unit[32][UNIT_NAME_MAX];
    size_t count, stop_at;
};

static int keep(void *user, const struct store_method *row)
{
    struct kept *kept = user;
    assert_true(kept->count < ARRAY_SIZE(kept->row));
    snprintf(kept->unit[kept->count], sizeof(kept->unit[0]), "%s", row->unit_name);
    kept->row[kept->count] = *row;
    kept->row[kept->count].unit_name = kept->unit[kept->count];
    kept->count++;
    return kept->count == kept->stop_at ? 7 : 0;
}

/* Valid until the next read. */
static const struct kept *read_with(const struct store_filter *f)
{
    static struct kept kept;
    kept = (struct kept){0};
    struct store_reader *r = history_read(&h);
    assert_int_equal(store_read_methods(r, f, keep, &kept), 0);
    store_reader_close(r);
    return &kept;
}

static void give(struct store *s, struct store_method m)
{
    store_method(s, &m);
}

static void run_sql(const char *text)
{
    sqlite3 *db;
    assert_int_equal(sqlite3_open(h.path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, text, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

static void test_every_figure_comes_back(void **state)
{
    (void)state;
    const struct store_method told = {
        .t_us = HISTORY_START_US + 7,
        .unit = 1,
        .gate = 4194304,
        .method = "add \"Sections\"",
        .calls = 1,
        .answers = 2,
        .errors = 3,
        .notifications = 4,
        .replays = 5,
        .bytes_to_worker = 6,
        .bytes_to_server = INT64_MAX,
        .latency_sum_us = 8,
        .latency_max_us = 9,
        .latency_p50_us = 10,
        .latency_p90_us = 0,
        .latency_p99_us = UINT64_MAX,
        .growth_calls = 13,
        .growth_bytes = -14,
    };
    struct store *s = history_open(&h);
    history_begin(s);
    give(s, told);
    store_close(s);
    const struct kept *kept = read_with(&(struct store_filter){0});
    assert_int_equal(kept->count, 1);
    const struct store_method *m = &kept->row[0];
    assert_int_equal(m->t_us, told.t_us);
    assert_int_equal(m->wall_us, HISTORY_WALL_US + 7);
    assert_int_equal(m->run, 1);
    assert_int_equal(m->seq, 1);
    assert_string_equal(m->unit_name, "worker");
    assert_int_equal(m->gate, told.gate);
    assert_string_equal(m->method, told.method);
    assert_int_equal(m->growth_bytes, told.growth_bytes);
#define X(figure) assert_int_equal(m->figure, told.figure);
    SCHEMA_METHOD_FIGURES(X)
    SCHEMA_METHOD_LATENCIES(X)
#undef X
}

/* A name that fills its array to the last byte is cut, not read past. */
static void test_a_name_without_an_end_is_cut(void **state)
{
    (void)state;
    struct store_method m = history_method(0, 1, "", 1);
    memset(m.method, 'x', sizeof(m.method));
    struct store *s = history_open(&h);
    history_begin(s);
    give(s, m);
    store_close(s);
    const struct kept *kept = read_with(&(struct store_filter){0});
    assert_int_equal(kept->count, 1);
    assert_int_equal(strlen(kept->row[0].method), STORE_METHOD_MAX - 1);
}

static void test_rows_are_filtered_by_unit_run_time_and_limit(void **state)
{
    (void)state;
    struct store *s = history_open(&h);
    history_begin(s);
    for (uint64_t i = 1; i <= 5; i++)
        give(s, history_method(i * USEC_PER_SEC, 77, "search", i));
    struct store_method other = history_method(6 * USEC_PER_SEC, 78, "search", 1);
    other.unit = 0;
    give(s, other);
    store_run_end(s, HISTORY_START_US + 7 * USEC_PER_SEC, 0);
    history_begin_at(s, HISTORY_START_US + 60 * USEC_PER_SEC, HISTORY_WALL_US + 60 * USEC_PER_SEC);
    give(s, history_method(61 * USEC_PER_SEC, 77, "search", 9));
    store_close(s);

    assert_int_equal(read_with(&(struct store_filter){0})->count, 7);
    assert_int_equal(read_with(&(struct store_filter){.run = 2})->row[0].calls, 9);
    assert_int_equal(read_with(&(struct store_filter){.unit = "server"})->row[0].gate, 78);
    assert_int_equal(read_with(&(struct store_filter){.unit = "nobody"})->count, 0);
    const struct kept *newest = read_with(&(struct store_filter){.limit = 2, .unit = "worker"});
    assert_int_equal(newest->count, 2);
    assert_int_equal(newest->row[0].calls, 5);
    assert_int_equal(newest->row[1].run, 2);
    struct store_filter middle = {.since_wall_us = HISTORY_WALL_US + 2 * USEC_PER_SEC,
                                  .until_wall_us = HISTORY_WALL_US + 4 * USEC_PER_SEC};
    const struct kept *kept = read_with(&middle);
    assert_int_equal(kept->count, 3);
    assert_int_equal(kept->row[0].calls, 2);
    assert_int_equal(kept->row[2].calls, 4);
}

static void test_a_callback_stops_the_read(void **state)
{
    (void)state;
    struct store *s = history_open(&h);
    history_begin(s);
    for (uint64_t i = 1; i <= 3; i++)
        give(s, history_method(i, 77, "search", i));
    store_close(s);
    struct kept kept = {.stop_at = 2};
    struct store_reader *r = history_read(&h);
    assert_int_equal(store_read_methods(r, &(struct store_filter){0}, keep, &kept), 7);
    assert_int_equal(kept.count, 2);
    store_reader_close(r);
}

/* A time line has no room for cumulative figures. */
static void test_the_time_line_is_without_them(void **state)
{
    (void)state;
    struct store *s = history_open(&h);
    history_begin(s);
    give(s, history_method(1, 77, "search", 1));
    store_mark(s, HISTORY_START_US + 2, UNIT_NONE, "mark");
    store_close(s);
    struct history_rows rows = {0};
    struct store_reader *r = history_read(&h);
    assert_int_equal(store_read_timeline(r, &(struct store_filter){0}, history_keep, &rows), 0);
    assert_int_equal(rows.count, 1);
    assert_int_equal(rows.row[0].type, STORE_ROW_MARK);
    history_rows_free(&rows);
    store_reader_close(r);
}

/* The run's last record is the gate's, when nothing came behind it. */
static void test_the_run_reaches_to_its_last_row(void **state)
{
    (void)state;
    struct store *s = history_open(&h);
    history_begin(s);
    give(s, history_method(90 * USEC_PER_SEC, 77, "search", 1));
    store_close(s);
    sqlite3 *db;
    sqlite3_stmt *stmt;
    assert_int_equal(sqlite3_open(h.path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, "SELECT last_t_us FROM runs", -1, &stmt, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
    assert_int_equal(sqlite3_column_int64(stmt, 0), HISTORY_START_US + 90 * USEC_PER_SEC);
    sqlite3_finalize(stmt);
    sqlite3_close(db);
}

static int before(const struct store_method *row, struct store_method *ret)
{
    struct store_reader *r = history_read(&h);
    int e = store_read_method_before(r, row, ret);
    store_reader_close(r);
    return e;
}

static void begin_boot(struct store *s, uint64_t after_us, const char *boot_id, const char *first,
                       const char *second)
{
    const char *const names[] = {first, second};
    const struct store_run run = {.supervisor = "search-docs",
                                  .boot_id = boot_id,
                                  .wall_us = HISTORY_WALL_US + after_us,
                                  .monotonic_us = HISTORY_START_US + after_us,
                                  .unit_names = names,
                                  .unit_count = 2};
    assert_int_equal(store_run_begin(s, &run), 0);
}

static void test_the_row_before_is_of_the_same_gate_and_method(void **state)
{
    (void)state;
    struct store *s = history_open(&h);
    begin_boot(s, 0, "boot-a", "server", "worker");
    give(s, history_method(1, 77, "search", 1));
    give(s, history_method(2, 77, "index", 20));
    give(s, history_method(3, 78, "search", 300));
    give(s, history_method(4, 77, "search", 4));
    store_close(s);
    const struct kept *kept = read_with(&(struct store_filter){0});
    struct store_method found;
    assert_int_equal(before(&kept->row[3], &found), 0);
    assert_int_equal(found.calls, 1);
    assert_int_equal(found.seq, 1);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(before(&kept->row[i], &found), -ENOENT);
}

static void test_a_gate_goes_on_in_the_next_run_of_the_boot(void **state)
{
    (void)state;
    struct store *s = history_open(&h);
    begin_boot(s, 0, "boot-a", "server", "worker");
    give(s, history_method(1, 77, "search", 5));
    store_run_end(s, HISTORY_START_US + 2, 0);
    begin_boot(s, 100, "boot-a", "worker", "server"); /* the config's order changed: names count */
    struct store_method again = history_method(101, 77, "search", 6);
    again.unit = 0;
    give(s, again);
    store_run_end(s, HISTORY_START_US + 102, 0);
    begin_boot(s, 200, "boot-a", "worker", "server"); /* the pid is another unit's gate now */
    give(s, history_method(201, 77, "search", 7));
    store_run_end(s, HISTORY_START_US + 202, 0);
    begin_boot(s, 300, "boot-b", "worker", "server");
    give(s, history_method(301, 77, "search", 8));
    store_close(s);
    const struct kept *kept = read_with(&(struct store_filter){0});
    struct store_method found;
    assert_int_equal(kept->count, 4);
    assert_int_equal(before(&kept->row[1], &found), 0);
    assert_int_equal(found.run, 1);
    assert_int_equal(found.calls, 5);
    assert_int_equal(before(&kept->row[2], &found), -ENOENT);
    assert_int_equal(before(&kept->row[3], &found), -ENOENT);
}

static void make_version_1(void)
{
    struct store *s = history_open(&h);
    history_begin(s);
    struct event e = history_sample(1, 0, 1, 5);
    store_event(s, &e);
    store_run_end(s, HISTORY_START_US + 1, 0);
    store_close(s);
    run_sql("DROP TABLE methods; UPDATE meta SET value = 1 WHERE key = 'schema'");
}

static void test_a_file_of_version_1_is_read_as_it_is(void **state)
{
    (void)state;
    make_version_1();
    struct kept kept = {0};
    struct store_reader *r = history_read(&h);
    struct store_method any = history_method(1, 77, "search", 1), found;
    any.unit_name = "worker";
    assert_int_equal(store_read_methods(r, &(struct store_filter){0}, keep, &kept), 0);
    assert_int_equal(kept.count, 0);
    assert_int_equal(store_read_method_before(r, &any, &found), -ENOENT);
    store_reader_close(r);
}

static void test_a_file_of_version_1_gains_the_table(void **state)
{
    (void)state;
    make_version_1();
    struct store *s = history_open(&h);
    struct store_status st;
    history_begin_at(s, HISTORY_START_US + 60 * USEC_PER_SEC, HISTORY_WALL_US + 60 * USEC_PER_SEC);
    give(s, history_method(61 * USEC_PER_SEC, 77, "search", 3));
    history_flush(s);
    store_get_status(s, &st);
    assert_string_equal(st.problem, "");
    assert_int_equal(st.run, 2);
    store_close(s);
    const struct kept *kept = read_with(&(struct store_filter){0});
    assert_int_equal(kept->count, 1);
    assert_int_equal(kept->row[0].calls, 3);
    struct history_rows rows = {0};
    struct store_reader *r = history_read(&h);
    assert_int_equal(store_read_samples(r, &(struct store_filter){0}, history_keep, &rows), 0);
    store_reader_close(r);
    assert_int_equal(rows.count, 1);
    assert_int_equal(rows.row[0].event.sample.value[SAMPLE_MEMORY_CURRENT], 5);
    history_rows_free(&rows);
}

/* A unit that nobody told of gets a name all the same, as with events. */
static void test_a_unit_of_a_reload_has_a_name(void **state)
{
    (void)state;
    struct store *s = history_open(&h);
    history_begin(s);
    struct store_method m = history_method(1, 77, "search", 1);
    m.unit = 3;
    give(s, m);
    store_close(s);
    assert_string_equal(read_with(&(struct store_filter){0})->unit[0], "unit-3");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_every_figure_comes_back, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_name_without_an_end_is_cut, setup, teardown),
        cmocka_unit_test_setup_teardown(test_rows_are_filtered_by_unit_run_time_and_limit, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_callback_stops_the_read, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_time_line_is_without_them, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_run_reaches_to_its_last_row, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_row_before_is_of_the_same_gate_and_method, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_gate_goes_on_in_the_next_run_of_the_boot, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_file_of_version_1_is_read_as_it_is, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_file_of_version_1_gains_the_table, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_unit_of_a_reload_has_a_name, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
