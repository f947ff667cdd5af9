/* SPDX-License-Identifier: MIT */
/* The file in trouble: missing folder, taken away, corrupt, locked, of a newer weir; retention and size cap.
 */
#include "history.h"

#include <glob.h>
#include <sqlite3.h>

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

static void sql(const char *text)
{
    sqlite3 *db;
    char *message = NULL;
    assert_int_equal(sqlite3_open(h.path, &db), SQLITE_OK);
    if (sqlite3_exec(db, text, NULL, NULL, &message) != SQLITE_OK)
        fail_msg("%s: %s", text, message);
    sqlite3_close(db);
}

static int64_t number(const char *text)
{
    sqlite3 *db;
    sqlite3_stmt *stmt;
    assert_int_equal(sqlite3_open(h.path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, text, -1, &stmt, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
    int64_t n = sqlite3_column_int64(stmt, 0);
    sqlite3_finalize(stmt);
    sqlite3_close(db);
    return n;
}

static void give_decision(struct store *s, uint64_t id)
{
    struct decision d = history_decision(id, id, id * USEC_PER_SEC, DECISION_RESTART);
    store_decision(s, &d);
}

static size_t count_decisions(void)
{
    struct history_rows rows = {0};
    struct store_reader *r = history_read(&h);
    assert_int_equal(store_read_decisions(r, &(struct store_filter){0}, history_keep, &rows), 0);
    store_reader_close(r);
    history_rows_free(&rows);
    return rows.count;
}

/* Waits until the writer has met the trouble. */
static struct store_status wait_for_failure(struct store *s)
{
    struct store_status st;
    do {
        usleep(1000);
        store_get_status(s, &st);
    } while (!st.failing_since_us);
    return st;
}

static void test_interventions_are_written_at_once(void **state)
{
    (void)state;
    struct store_options options = history_options(&h);
    options.commit_us = 3600 * USEC_PER_SEC; /* only urgency can make it write */
    struct store *s = NULL;
    struct store_status st = {0};
    assert_int_equal(store_open(&options, &s, NULL), 0);
    history_begin(s);
    give_decision(s, 1);
    while (st.decisions_written < 1) {
        usleep(1000);
        store_get_status(s, &st);
    }
    assert_int_equal(st.run, 1);
    assert_int_equal(st.queued, 0);
    assert_string_equal(st.problem, "");
    assert_true(st.file_bytes > 0);
    store_close(s);
}

static void test_missing_folder_is_told_and_recovered_from(void **state)
{
    (void)state;
    assert_int_equal(rmdir(h.dir), 0);
    struct store *s = history_open(&h);
    history_begin(s);
    give_decision(s, 1);
    struct store_status st = wait_for_failure(s);
    assert_non_null(strstr(st.problem, "cannot open"));
    assert_int_equal(st.run, 0);
    assert_int_equal(mkdir(h.dir, 0700), 0);
    history_flush(s);
    store_get_status(s, &st);
    assert_int_equal(st.failing_since_us, 0);
    assert_int_equal(st.decisions_written, 1);
    store_close(s);
    assert_int_equal(count_decisions(), 1);
    assert_int_equal(number("SELECT count(*) FROM gaps"), 1);
}

static void test_file_taken_away_is_made_anew_with_its_run(void **state)
{
    (void)state;
    struct store *s = history_open(&h);
    history_begin(s);
    store_policy(s, 1, 1, "the policy");
    give_decision(s, 1);
    history_flush(s);
    history_remove(&h);
    assert_int_equal(mkdir(h.dir, 0700), 0);
    give_decision(s, 2);
    history_flush(s);
    store_close(s);
    assert_int_equal(count_decisions(), 1);
    assert_int_equal(number("SELECT count(*) FROM runs WHERE supervisor = 'search-docs' AND decisions = 1"),
                     1);
    assert_int_equal(number("SELECT count(*) FROM units"), 2);
    assert_int_equal(number("SELECT count(*) FROM policies WHERE text = 'the policy'"), 1);
}

static void assert_set_aside(const struct store_status *st)
{
    char pattern[128];
    glob_t found;
    snprintf(pattern, sizeof(pattern), "%s.corrupt-*", h.path);
    assert_int_equal(glob(pattern, 0, NULL, &found), 0);
    assert_string_equal(found.gl_pathv[0], st->set_aside);
    assert_non_null(strstr(st->problem, "corrupt"));
    globfree(&found);
}

static void test_corrupt_file_is_set_aside(void **state)
{
    (void)state;
    FILE *f = fopen(h.path, "w");
    for (int i = 0; i < 1000; i++)
        fputs("this is no database at all\n", f);
    fclose(f);
    struct store *s = history_open(&h);
    struct store_status st;
    store_get_status(s, &st);
    assert_set_aside(&st);
    history_begin(s);
    give_decision(s, 1);
    store_close(s);
    assert_int_equal(count_decisions(), 1);
}

/* The pages behind the first are overwritten: the damage shows only when they are used. */
static void test_damage_inside_is_set_aside_too(void **state)
{
    (void)state;
    struct store *s = history_open(&h);
    history_begin(s);
    give_decision(s, 1);
    store_close(s);
    char page[4096];
    memset(page, 0x55, sizeof(page));
    FILE *f = fopen(h.path, "r+");
    fseek(f, 0, SEEK_END);
    long pages = ftell(f) / 4096;
    for (long i = 2; i < pages; i++) {
        fseek(f, i * 4096, SEEK_SET);
        assert_int_equal(fwrite(page, sizeof(page), 1, f), 1);
    }
    fclose(f);
    s = history_open(&h);
    history_begin(s);
    give_decision(s, 1);
    history_flush(s);
    struct store_status st;
    store_get_status(s, &st);
    assert_set_aside(&st);
    store_close(s);
    assert_int_equal(count_decisions(), 1);
}

static void test_newer_file_is_refused_and_left_alone(void **state)
{
    (void)state;
    store_close(history_open(&h));
    sql("UPDATE meta SET value = 3 WHERE key = 'schema'");
    struct store *s = history_open(&h);
    struct store_status st;
    struct store_reader *r = NULL;
    struct err err = ERR_NULL;
    store_get_status(s, &st);
    assert_non_null(strstr(st.problem, "newer weir (format 3, this one knows 2)"));
    assert_string_equal(st.set_aside, "");
    assert_int_equal(store_reader_open(h.path, &r, &err), -ENOTSUP);
    assert_non_null(strstr(err.text, "newer weir"));
    store_close(s);
    assert_int_equal(number("SELECT value FROM meta WHERE key = 'schema'"), 3);
}

static void test_another_programs_database_is_refused(void **state)
{
    (void)state;
    sql("CREATE TABLE shopping (item)");
    struct store *s = history_open(&h);
    struct store_status st;
    store_get_status(s, &st);
    assert_non_null(strstr(st.problem, "another program"));
    store_close(s);
    assert_int_equal(number("SELECT count(*) FROM shopping"), 0);
}

static void test_fields_that_are_new_get_their_column(void **state)
{
    (void)state;
    store_close(history_open(&h));
    sql("ALTER TABLE samples DROP COLUMN rss; UPDATE meta SET value = 29 WHERE key = 'fields'");
    struct store *s = history_open(&h);
    history_begin(s);
    struct event e = history_sample(1, 0, 1, 1);
    sample_set(&e.sample, SAMPLE_RSS, 77);
    store_event(s, &e);
    store_close(s);
    assert_int_equal(number("SELECT rss FROM samples"), 77);
}

static void test_locked_file_is_waited_for(void **state)
{
    (void)state;
    struct store *s = history_open(&h);
    history_begin(s);
    history_flush(s);
    sqlite3 *other;
    assert_int_equal(sqlite3_open(h.path, &other), SQLITE_OK);
    assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    give_decision(s, 1);
    struct store_status st = wait_for_failure(s);
    assert_non_null(strstr(st.problem, "locked"));
    sqlite3_exec(other, "COMMIT", NULL, NULL, NULL);
    sqlite3_close(other);
    history_flush(s);
    store_close(s);
    assert_int_equal(count_decisions(), 1);
}

static void test_samples_lost_while_failing_are_one_gap(void **state)
{
    (void)state;
    struct store_options options = history_options(&h);
    options.queue_records = 16;
    struct store *s = NULL;
    assert_int_equal(rmdir(h.dir), 0);
    assert_int_equal(store_open(&options, &s, NULL), 0);
    history_begin(s);
    wait_for_failure(s); /* it holds its batch from here on */
    for (uint64_t i = 1; i <= 40; i++) {
        struct event e = history_sample(i, i * USEC_PER_SEC, 1, i);
        store_event(s, &e);
    }
    struct store_status st;
    store_get_status(s, &st);
    assert_true(st.samples_dropped >= 40 - 12);
    assert_int_equal(mkdir(h.dir, 0700), 0);
    history_flush(s);
    store_close(s);
    assert_int_equal(number("SELECT sum(samples) FROM gaps") + number("SELECT count(*) FROM samples"), 40);
    assert_int_equal(number("SELECT samples_dropped FROM runs"), st.samples_dropped);
    assert_int_equal(
        number("SELECT count(*) FROM gaps WHERE text LIKE 'history could not be written for %lost'"), 1);
}

static void record_hours(struct store *s, uint64_t hours)
{
    uint64_t seq = 0;
    for (uint64_t i = 0; i < hours * 360; i++) {
        struct event e = history_sample(++seq, i * 10 * USEC_PER_SEC, 1, i);
        e.sample.top_count = 1;
        e.sample.top[0].pid = 1;
        store_event(s, &e);
        if (i % 360 == 0)
            give_decision(s, i + 1);
        struct store_method m = history_method(i * 10 * USEC_PER_SEC, 77, "addSections", i);
        store_method(s, &m);
        if (i % 1000 == 0)
            history_flush(s);
    }
    history_flush(s);
}

static void test_retention_removes_the_oldest(void **state)
{
    (void)state;
    struct store_options options = history_options(&h);
    options.retention_us = 3600 * USEC_PER_SEC;
    struct store *s = NULL;
    assert_int_equal(store_open(&options, &s, NULL), 0);
    history_begin(s);
    record_hours(s, 8);
    store_close(s);
    /* The oldest sample is at most an hour and a pruning interval old; its processes go with it. */
    assert_in_range(number("SELECT count(*) FROM samples"), 360, 364);
    assert_int_equal(number("SELECT count(*) FROM samples"), number("SELECT count(*) FROM processes"));
    assert_in_range(number("SELECT count(*) FROM samples_10s"), 360, 364);
    assert_in_range(number("SELECT count(*) FROM methods"), 360, 364);
    assert_int_equal(number("SELECT count(*) FROM samples_1m"),
                     8 * 60 + 1); /* the start is within a minute */
    assert_int_equal(number("SELECT count(*) FROM decisions"), 8);
}

static void test_size_cap_holds(void **state)
{
    (void)state;
    struct store_options options = history_options(&h);
    options.max_bytes = 2 * 1024 * 1024;
    struct store *s = NULL;
    assert_int_equal(store_open(&options, &s, NULL), 0);
    history_begin(s);
    record_hours(s, 100);
    store_close(s);
    struct stat st;
    assert_int_equal(stat(h.path, &st), 0);
    assert_in_range(st.st_size, 1024 * 1024, 2500 * 1024);
    assert_int_equal(number("SELECT count(*) FROM decisions"), 100);
    assert_int_equal(number("SELECT max(seq) FROM samples"), 100 * 360);
    assert_true(number("SELECT min(seq) FROM samples") > 1);
    assert_int_equal(number("SELECT max(seq) FROM methods"), 100 * 360);
    assert_true(number("SELECT min(seq) FROM methods") > 1);
}

/* The same number of records again takes no more memory of SQLite's. */
static void test_memory_does_not_grow(void **state)
{
    (void)state;
    struct store *s = history_open(&h);
    history_begin(s);
    record_hours(s, 40); /* fills SQLite's page cache, 2 MB */
    int64_t before = sqlite3_memory_used();
    for (int i = 0; i < 5; i++)
        record_hours(s, 10);
    assert_true(sqlite3_memory_used() < before + 512 * 1024);
    store_close(s);
    assert_int_equal(sqlite3_memory_used(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_interventions_are_written_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(test_missing_folder_is_told_and_recovered_from, setup, teardown),
        cmocka_unit_test_setup_teardown(test_file_taken_away_is_made_anew_with_its_run, setup, teardown),
        cmocka_unit_test_setup_teardown(test_corrupt_file_is_set_aside, setup, teardown),
        cmocka_unit_test_setup_teardown(test_damage_inside_is_set_aside_too, setup, teardown),
        cmocka_unit_test_setup_teardown(test_newer_file_is_refused_and_left_alone, setup, teardown),
        cmocka_unit_test_setup_teardown(test_another_programs_database_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_fields_that_are_new_get_their_column, setup, teardown),
        cmocka_unit_test_setup_teardown(test_locked_file_is_waited_for, setup, teardown),
        cmocka_unit_test_setup_teardown(test_samples_lost_while_failing_are_one_gap, setup, teardown),
        cmocka_unit_test_setup_teardown(test_retention_removes_the_oldest, setup, teardown),
        cmocka_unit_test_setup_teardown(test_size_cap_holds, setup, teardown),
        cmocka_unit_test_setup_teardown(test_memory_does_not_grow, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
