/* SPDX-License-Identifier: MIT */
/*
 * kill -9 of the writing process at 50 seeded moments: the file opens, passes its integrity check, and every
 * decision that status had counted as written is in it, as is every one handed over more than a second
 * before.
 */
#include "history.h"

#include <signal.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>

#define KILLS      50
#define AT_ONCE    10
#define LONG_LIVES 10 /* live long enough for the one-second promise to mean something */

struct shared {
    _Atomic uint64_t handed_over;   /* latest decision id */
    _Atomic uint64_t written;       /* as store_status has it */
    _Atomic uint64_t second_before; /* latest id handed over more than a second ago */
};

static uint64_t now_us(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * USEC_PER_SEC + (uint64_t)ts.tv_nsec / 1000;
}

/* The child: samples all the time, an intervention every 5 ms, with the store's own defaults. */
static _Noreturn void write_for_ever(const struct history *h, struct shared *shared)
{
    struct store_options options = {.path = h->path, .queue_records = 1024};
    struct store *s = NULL;
    if (store_open(&options, &s, NULL) < 0)
        _exit(1);
    history_begin(s);
    uint64_t start = now_us(), times[4096] = {0}, old = 0;
    for (uint64_t id = 1;; id++) {
        struct event e = history_sample(id, now_us() - start, 1, id);
        struct decision d = history_decision(id, id, now_us() - start, DECISION_RESTART);
        struct store_status st;
        times[id % ARRAY_SIZE(times)] = now_us();
        store_event(s, &e);
        store_decision(s, &d);
        atomic_store(&shared->handed_over, id);
        store_get_status(s, &st);
        atomic_store(&shared->written, st.decisions_written);
        while (old + 1 < id && times[(old + 1) % ARRAY_SIZE(times)] + USEC_PER_SEC < now_us())
            old++;
        atomic_store(&shared->second_before, old);
        usleep(5000);
    }
}

static void check_after_kill(const struct history *h, const struct shared *shared)
{
    sqlite3 *db;
    sqlite3_stmt *stmt;
    assert_int_equal(sqlite3_open(h->path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, "PRAGMA integrity_check", -1, &stmt, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
    assert_string_equal((const char *)sqlite3_column_text(stmt, 0), "ok");
    sqlite3_finalize(stmt);
    uint64_t there = 0;
    if (sqlite3_prepare_v2(db, "SELECT count(*), max(decision) FROM decisions", -1, &stmt, NULL) ==
        SQLITE_OK) {
        assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
        there = (uint64_t)sqlite3_column_int64(stmt, 0);
        assert_int_equal(there, sqlite3_column_int64(stmt, 1)); /* no hole in front of the last */
        sqlite3_finalize(stmt);
    }
    sqlite3_close(db);
    assert_true(there >= atomic_load(&shared->written));
    assert_true(there >= atomic_load(&shared->second_before));
}

static void kill_some(size_t first, struct shared *shared, uint64_t *rng)
{
    struct history h[AT_ONCE];
    pid_t pid[AT_ONCE];
    for (size_t i = 0; i < AT_ONCE; i++) {
        history_make(&h[i]);
        shared[i] = (struct shared){0};
        pid[i] = fork();
        if (pid[i] == 0)
            write_for_ever(&h[i], &shared[i]);
        assert_true(pid[i] > 0);
    }
    uint64_t base = first < LONG_LIVES ? 1100000 : 0;
    for (size_t i = 0; i < AT_ONCE; i++) { /* one after the other: moments spread over about 400 ms */
        usleep((useconds_t)(base + rng_below(rng, 80000)));
        base = 0;
        kill(pid[i], SIGKILL);
        waitpid(pid[i], NULL, 0);
    }
    for (size_t i = 0; i < AT_ONCE; i++) {
        check_after_kill(&h[i], &shared[i]);
        history_remove(&h[i]);
    }
}

static void test_kill_at_any_moment_loses_nothing_written(void **state)
{
    (void)state;
    struct shared *shared =
        mmap(NULL, sizeof(*shared) * AT_ONCE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(shared, MAP_FAILED);
    uint64_t rng = 9, written = 0;
    for (size_t i = 0; i < KILLS; i += AT_ONCE) {
        kill_some(i, shared, &rng);
        for (size_t k = 0; k < AT_ONCE; k++)
            written += atomic_load(&shared[k].written);
    }
    print_message("%d kills, %llu decisions written before them\n", KILLS, (unsigned long long)written);
    assert_true(written > KILLS);
    munmap(shared, sizeof(*shared) * AT_ONCE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_kill_at_any_moment_loses_nothing_written)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
