/* SPDX-License-Identifier: MIT */
/*
 * Every Nth write, fsync, open, truncate and lock of the history file fails once, for every N there is; and
 * from the Nth on, for ever, until the disk works again. What must hold each time: no event and no decision
 * is lost or told twice, every sample is there or counted in a gap, the file passes its integrity check.
 *
 * SQLite reaches the disk through a VFS, so a VFS in front of the real one is where the faults come from.
 */
#include "history.h"

#include <sqlite3.h>
#include <stdatomic.h>

enum fault { FAULT_WRITE, FAULT_SYNC, FAULT_OPEN, FAULT_TRUNCATE, FAULT_LOCK, FAULT_SHM, FAULT_COUNT };

static const char *const fault_names[] = {"write", "fsync", "open", "truncate", "lock", "shm"};

static struct {
    _Atomic int fault;
    _Atomic long countdown; /* the call at which it fails; 0 = never */
    _Atomic long failures;  /* so many from then on */
    _Atomic long calls[FAULT_COUNT];
} plan;

static bool fails(enum fault fault)
{
    atomic_fetch_add(&plan.calls[fault], 1);
    if (atomic_load(&plan.fault) != (int)fault || atomic_load(&plan.countdown) <= 0)
        return false;
    if (atomic_load(&plan.countdown) > 1) {
        atomic_fetch_sub(&plan.countdown, 1);
        return false;
    }
    return atomic_fetch_sub(&plan.failures, 1) > 0;
}

struct shim_file {
    sqlite3_file base;
    sqlite3_file *real; /* behind this struct */
};

static sqlite3_vfs *real_vfs;

static sqlite3_file *real_of(sqlite3_file *f)
{
    return ((struct shim_file *)f)->real;
}

static int shim_close(sqlite3_file *f)
{
    return real_of(f)->pMethods->xClose(real_of(f));
}
static int shim_read(sqlite3_file *f, void *p, int n, sqlite3_int64 o)
{
    return real_of(f)->pMethods->xRead(real_of(f), p, n, o);
}
static int shim_write(sqlite3_file *f, const void *p, int n, sqlite3_int64 o)
{
    return fails(FAULT_WRITE) ? SQLITE_FULL : real_of(f)->pMethods->xWrite(real_of(f), p, n, o);
}
static int shim_truncate(sqlite3_file *f, sqlite3_int64 n)
{
    return fails(FAULT_TRUNCATE) ? SQLITE_IOERR_TRUNCATE : real_of(f)->pMethods->xTruncate(real_of(f), n);
}
static int shim_sync(sqlite3_file *f, int flags)
{
    return fails(FAULT_SYNC) ? SQLITE_IOERR_FSYNC : real_of(f)->pMethods->xSync(real_of(f), flags);
}
static int shim_size(sqlite3_file *f, sqlite3_int64 *n)
{
    return real_of(f)->pMethods->xFileSize(real_of(f), n);
}
static int shim_lock(sqlite3_file *f, int l)
{
    return fails(FAULT_LOCK) ? SQLITE_BUSY : real_of(f)->pMethods->xLock(real_of(f), l);
}
static int shim_unlock(sqlite3_file *f, int l)
{
    return real_of(f)->pMethods->xUnlock(real_of(f), l);
}
static int shim_reserved(sqlite3_file *f, int *r)
{
    return real_of(f)->pMethods->xCheckReservedLock(real_of(f), r);
}
static int shim_control(sqlite3_file *f, int op, void *p)
{
    return real_of(f)->pMethods->xFileControl(real_of(f), op, p);
}
static int shim_sector(sqlite3_file *f)
{
    return real_of(f)->pMethods->xSectorSize(real_of(f));
}
static int shim_device(sqlite3_file *f)
{
    return real_of(f)->pMethods->xDeviceCharacteristics(real_of(f));
}
static int shim_shm_map(sqlite3_file *f, int p, int n, int extend, void volatile **pp)
{
    return fails(FAULT_SHM) ? SQLITE_IOERR_SHMMAP
                            : real_of(f)->pMethods->xShmMap(real_of(f), p, n, extend, pp);
}
static int shim_shm_lock(sqlite3_file *f, int o, int n, int flags)
{
    return real_of(f)->pMethods->xShmLock(real_of(f), o, n, flags);
}
static void shim_shm_barrier(sqlite3_file *f)
{
    real_of(f)->pMethods->xShmBarrier(real_of(f));
}
static int shim_shm_unmap(sqlite3_file *f, int del)
{
    return real_of(f)->pMethods->xShmUnmap(real_of(f), del);
}

static const sqlite3_io_methods shim_methods = {
    .iVersion = 2,
    .xClose = shim_close,
    .xRead = shim_read,
    .xWrite = shim_write,
    .xTruncate = shim_truncate,
    .xSync = shim_sync,
    .xFileSize = shim_size,
    .xLock = shim_lock,
    .xUnlock = shim_unlock,
    .xCheckReservedLock = shim_reserved,
    .xFileControl = shim_control,
    .xSectorSize = shim_sector,
    .xDeviceCharacteristics = shim_device,
    .xShmMap = shim_shm_map,
    .xShmLock = shim_shm_lock,
    .xShmBarrier = shim_shm_barrier,
    .xShmUnmap = shim_shm_unmap,
};

static int shim_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *f, int flags, int *out)
{
    (void)vfs;
    struct shim_file *file = (struct shim_file *)f;
    file->base.pMethods = NULL;
    file->real = (sqlite3_file *)(file + 1);
    if (fails(FAULT_OPEN))
        return SQLITE_CANTOPEN;
    int rc = real_vfs->xOpen(real_vfs, name, file->real, flags, out);
    if (file->real->pMethods)
        file->base.pMethods = &shim_methods;
    return rc;
}

static void shim_register(void)
{
    static sqlite3_vfs vfs;
    real_vfs = sqlite3_vfs_find(NULL);
    vfs = *real_vfs;
    vfs.zName = "failing";
    vfs.szOsFile = (int)sizeof(struct shim_file) + real_vfs->szOsFile;
    vfs.xOpen = shim_open;
    assert_int_equal(sqlite3_vfs_register(&vfs, 1), SQLITE_OK);
}

#define ROUNDS 4

/* A little of everything, in a few transactions. */
static void record(struct store *s)
{
    history_begin(s);
    store_policy(s, 1, 1, "policy");
    for (uint64_t i = 0; i < ROUNDS; i++) {
        struct event tick = history_sample(i * 2 + 1, i * USEC_PER_SEC, 1, i);
        struct event wake = history_event(i * 2 + 2, i * USEC_PER_SEC + 1, EVENT_DEADLINE, UNIT_NONE);
        struct decision d = history_decision(i + 1, i * 2 + 2, i * USEC_PER_SEC + 1, DECISION_RESTART);
        tick.sample.top_count = 1;
        store_event(s, &tick);
        store_event(s, &wake);
        store_decision(s, &d);
        store_mark(s, wake.t_us, UNIT_NONE, "mark");
        struct store_method m = history_method(i * USEC_PER_SEC + 1, 77, "addSections", i + 1);
        store_method(s, &m);
        history_flush(s);
    }
    store_run_end(s, HISTORY_START_US + ROUNDS * USEC_PER_SEC, 0);
}

static int64_t number(sqlite3 *db, const char *text)
{
    sqlite3_stmt *stmt;
    assert_int_equal(sqlite3_prepare_v2(db, text, -1, &stmt, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
    int64_t n = sqlite3_column_int64(stmt, 0);
    sqlite3_finalize(stmt);
    return n;
}

static void check_file(const struct history *h, const char *what, long n)
{
    sqlite3 *db;
    assert_int_equal(sqlite3_open(h->path, &db), SQLITE_OK);
    sqlite3_stmt *stmt;
    assert_int_equal(sqlite3_prepare_v2(db, "PRAGMA integrity_check", -1, &stmt, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
    assert_string_equal((const char *)sqlite3_column_text(stmt, 0), "ok");
    sqlite3_finalize(stmt);
    int64_t events = number(db, "SELECT count(*) FROM events"),
            decisions = number(db, "SELECT count(*) FROM decisions");
    int64_t samples =
        number(db, "SELECT (SELECT count(*) FROM samples) + coalesce((SELECT sum(samples) FROM gaps), 0)");
    int64_t runs = number(db, "SELECT count(*) FROM runs WHERE exit_status = 0"),
            all = number(db, "SELECT count(*) FROM runs");
    int64_t marks = number(db, "SELECT count(*) FROM marks"), counted = number(db, "SELECT events FROM runs");
    /* Each row once, with its own number and figures. */
    int64_t methods = number(db, "SELECT count(*) FROM methods WHERE calls = seq AND run = 1"),
            told = number(db, "SELECT count(*) FROM methods");
    if (events != ROUNDS || decisions != ROUNDS || samples != ROUNDS || runs != 1 || all != 1 ||
        marks != ROUNDS || counted != ROUNDS || methods != ROUNDS || told != ROUNDS)
        fail_msg("%s %ld: %lld events, %lld decisions, %lld samples, %lld of %lld runs, %lld marks,"
                 " %lld of %lld methods",
                 what, n, (long long)events, (long long)decisions, (long long)samples, (long long)runs,
                 (long long)all, (long long)marks, (long long)methods, (long long)told);
    sqlite3_close(db);
}

/* One life of the store with the fault; returns how many calls of its kind there were. */
static long run_with(enum fault fault, long nth, long failures)
{
    struct history h;
    history_make(&h);
    for (int i = 0; i < FAULT_COUNT; i++)
        atomic_store(&plan.calls[i], 0);
    atomic_store(&plan.failures, failures);
    atomic_store(&plan.fault, fault);
    atomic_store(&plan.countdown, nth);
    struct store *s = history_open(&h);
    record(s);
    store_close(s);
    long calls = atomic_load(&plan.calls[fault]);
    atomic_store(&plan.countdown, 0);
    check_file(&h, fault_names[fault], nth);
    history_remove(&h);
    return calls;
}

static void fail_every(enum fault fault)
{
    long calls = run_with(fault, 0, 0);
    for (long n = 1; n <= calls; n++) {
        run_with(fault, n, 1);
        run_with(fault, n, 5);
    }
    print_message("%s: %ld places\n", fault_names[fault], calls);
}

static void test_every_write_fails(void **state)
{
    (void)state;
    fail_every(FAULT_WRITE);
}
static void test_every_fsync_fails(void **state)
{
    (void)state;
    fail_every(FAULT_SYNC);
}
static void test_every_open_fails(void **state)
{
    (void)state;
    fail_every(FAULT_OPEN);
}
static void test_every_truncate_fails(void **state)
{
    (void)state;
    fail_every(FAULT_TRUNCATE);
}
static void test_every_lock_fails(void **state)
{
    (void)state;
    fail_every(FAULT_LOCK);
}
static void test_every_shm_map_fails(void **state)
{
    (void)state;
    fail_every(FAULT_SHM);
}

int main(void)
{
    shim_register();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_write_fails), cmocka_unit_test(test_every_fsync_fails),
        cmocka_unit_test(test_every_open_fails),  cmocka_unit_test(test_every_truncate_fails),
        cmocka_unit_test(test_every_lock_fails),  cmocka_unit_test(test_every_shm_map_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
