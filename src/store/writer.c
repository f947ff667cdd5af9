/* SPDX-License-Identifier: MIT */
/* The store's thread: batches and transactions; see writer.h. */
#include "writer.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "weir/base/cleanup.h"
#include "weir/base/units.h"

/* A lock that another program held for less, and nothing was lost, is not worth a row. */
#define BUSY_UNTOLD_US USEC_PER_SEC
/* Between two tries while closing. */
#define CLOSE_RETRY_US (20 * USEC_PER_MSEC)

static bool holds_intervention(const struct writer *w)
{
    for (size_t i = 0; i < w->batch_count; i++)
        if (w->batch[i].type == RECORD_DECISION &&
            decision_kind_class(w->batch[i].decision.kind) == DECISION_CLASS_INTERVENTION)
            return true;
    return false;
}

static void save_state(struct writer *w)
{
    w->run_saved = w->run;
    if (w->rollup_count)
        memcpy(w->rollup_saved, w->rollup, w->rollup_count * sizeof(*w->rollup));
}

static void restore_state(struct writer *w)
{
    w->run = w->run_saved;
    if (w->rollup_count)
        memcpy(w->rollup, w->rollup_saved, w->rollup_count * sizeof(*w->rollup));
    w->run_checked = false;
}

/* The record itself is what SQLite will never take; trying again would stop everything behind it. */
static bool is_refused(int rc)
{
    int code = rc & 0xff;
    return code == SQLITE_TOOBIG || code == SQLITE_CONSTRAINT || code == SQLITE_MISMATCH;
}

static int insert_records(struct writer *w)
{
    for (size_t i = 0; i < w->batch_count; i++) {
        int rc = writer_insert_record(w, &w->batch[i]);
        if (rc && !is_refused(rc))
            return rc;
    }
    return SQLITE_OK;
}

static int insert_loss(struct writer *w, uint64_t now_us)
{
    char text[256], length[FORMAT_DURATION_MAX];
    struct queue_gap gap = w->gap;
    bool failed = w->fail_since_us && (w->fail_told || gap.count);
    if (!failed && !gap.count)
        return SQLITE_OK;
    if (!failed) {
        snprintf(text, sizeof(text), "%llu samples lost: writing fell behind", (unsigned long long)gap.count);
        return writer_insert_gap(w, &gap, text);
    }
    if (!gap.count || w->fail_since_us < gap.first_us)
        gap.first_us = w->fail_since_us;
    if (!gap.count) /* else it ends with the last sample that was lost */
        gap.last_us = now_us;
    snprintf(text, sizeof(text), "history could not be written for %s (%s); %llu samples lost",
             format_duration(now_us - w->fail_since_us, length), w->fail_text, (unsigned long long)gap.count);
    return writer_insert_gap(w, &gap, text);
}

static int write_rows(struct writer *w, uint64_t now_us)
{
    int rc = writer_ensure_run(w);
    if (rc == SQLITE_OK)
        rc = insert_records(w);
    if (rc == SQLITE_OK)
        rc = insert_loss(w, now_us);
    if (rc == SQLITE_OK)
        rc = writer_store_rollups(w);
    if (rc == SQLITE_OK)
        rc = writer_update_run(w);
    if (rc == SQLITE_OK)
        rc = writer_prune(w);
    return rc;
}

static int write_transaction(struct writer *w, uint64_t now_us)
{
    const char *durable = holds_intervention(w) ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL";
    int rc = sqlite3_exec(w->db, durable, NULL, NULL, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_exec(w->db, "BEGIN IMMEDIATE", NULL, NULL, NULL);
    if (rc)
        return rc;
    save_state(w);
    rc = write_rows(w, now_us);
    if (rc == SQLITE_OK)
        rc = sqlite3_exec(w->db, "COMMIT", NULL, NULL, NULL);
    if (rc) {
        for (size_t i = 0; i < WRITER_STATEMENT_COUNT; i++)
            sqlite3_reset(w->statement[i]);
        sqlite3_exec(w->db, "ROLLBACK", NULL, NULL, NULL);
        restore_state(w);
    }
    return rc;
}

static void note_failure(struct writer *w, const char *text, bool told)
{
    if (!w->fail_since_us)
        w->fail_since_us = monotonic_now_us();
    w->fail_told |= told || monotonic_now_us() - w->fail_since_us > BUSY_UNTOLD_US;
    snprintf(w->fail_text, sizeof(w->fail_text), "%s", text);
    pthread_mutex_lock(&w->status_lock);
    w->status.failing_since_us = w->fail_since_us;
    pthread_mutex_unlock(&w->status_lock);
}

static void note_transaction_failure(struct writer *w, int rc)
{
    int code = rc & 0xff;
    char text[128];
    int system = sqlite3_system_errno(w->db);
    if (system && code != SQLITE_BUSY)
        snprintf(text, sizeof(text), "%s: %s", sqlite3_errstr(code), strerror(system));
    else
        snprintf(text, sizeof(text), "%s", sqlite3_errstr(code));
    note_failure(w, text, code != SQLITE_BUSY && code != SQLITE_LOCKED);
    if (code == SQLITE_CORRUPT || code == SQLITE_NOTADB) {
        writer_set_aside(w);
        return;
    }
    writer_problem(w, "cannot write %s: %s", w->path, text);
    if (code != SQLITE_BUSY && code != SQLITE_LOCKED)
        writer_disconnect(w); /* a fresh look at the file, its folder and its locks */
}

static uint64_t size_of(const char *path, const char *suffix)
{
    struct stat st;
    _cleanup_free_ char *name = NULL;
    if (asprintf(&name, "%s%s", path, suffix) < 0)
        return 0;
    return stat(name, &st) == 0 ? (uint64_t)st.st_size : 0;
}

static void note_written(struct writer *w)
{
    uint64_t bytes = size_of(w->path, "") + size_of(w->path, "-wal");
    uint64_t samples = 0, events = 0, decisions = 0;
    for (size_t i = 0; i < w->batch_count; i++) {
        const struct record *r = &w->batch[i];
        bool event = r->type == RECORD_EVENT;
        samples += event && r->event.kind == EVENT_SAMPLE;
        events += event && r->event.kind != EVENT_SAMPLE;
        decisions += r->type == RECORD_DECISION;
    }
    pthread_mutex_lock(&w->status_lock);
    w->status.run = w->run.id;
    w->status.samples_written += samples;
    w->status.events_written += events;
    w->status.decisions_written += decisions;
    w->status.failing_since_us = 0;
    w->status.file_bytes = bytes;
    pthread_mutex_unlock(&w->status_lock);
    w->fail_since_us = 0;
    w->fail_told = false;
    w->gap = (struct queue_gap){0};
}

static void finish_batch(struct writer *w)
{
    for (size_t i = 0; i < w->batch_count; i++)
        record_clear(&w->batch[i]);
    queue_finish(&w->queue, w->batch_count);
    w->batch_count = 0;
}

static void begin_run(struct writer *w, struct run_record *info)
{
    run_record_free(w->info);
    w->info = info;
    w->run = (struct writer_run){.last_t_us = info->monotonic_us};
    w->run_checked = false;
    w->clock_t_us = info->monotonic_us;
    w->clock_wall_us = info->wall_us;
    w->prune_t_us = 0;
    for (size_t i = 0; i < w->policy_count; i++)
        free(w->policies[i].text);
    w->policy_count = 0;
    if (w->rollup_count)
        memset(w->rollup, 0, w->rollup_count * sizeof(*w->rollup));
}

static void take_batch(struct writer *w)
{
    if (!w->batch_count) {
        w->batch_count = queue_take(&w->queue, w->batch, WRITER_BATCH_RECORDS);
        if (w->batch_count && w->batch[0].type == RECORD_RUN_BEGIN)
            begin_run(w, steal_ptr(&w->batch[0].run));
    }
    struct queue_gap gap = queue_take_gap(&w->queue);
    if (!gap.count)
        return;
    if (!w->gap.count || gap.first_us < w->gap.first_us)
        w->gap.first_us = gap.first_us;
    if (gap.last_us > w->gap.last_us)
        w->gap.last_us = gap.last_us;
    w->gap.count += gap.count;
}

/* The folder or the file was taken away: writing on into a file without a name helps nobody. */
static bool is_gone(struct writer *w)
{
    int moved = 0;
    return sqlite3_file_control(w->db, NULL, SQLITE_FCNTL_HAS_MOVED, &moved) == SQLITE_OK && moved;
}

/* One batch. 1 = there may be more, 0 = nothing to do, -EIO = failed, the batch is kept. */
static int work(struct writer *w)
{
    take_batch(w);
    if (w->batch_count && !w->info) { /* a record before the first run: nowhere to put it */
        finish_batch(w);
        return 1;
    }
    if (!w->info || (!w->batch_count && !w->gap.count && !w->prune_more))
        return 0;
    if (w->db && is_gone(w))
        writer_disconnect(w);
    if (!w->db && writer_connect(w) < 0) {
        char text[sizeof(w->fail_text)];
        pthread_mutex_lock(&w->status_lock);
        snprintf(text, sizeof(text), "%.*s", (int)sizeof(text) - 1, w->status.problem);
        pthread_mutex_unlock(&w->status_lock);
        note_failure(w, text, true);
        return -EIO;
    }
    bool full = w->batch_count == WRITER_BATCH_RECORDS;
    bool began = w->batch_count && w->batch[0].type == RECORD_RUN_BEGIN;
    int rc = write_transaction(w, monotonic_now_us());
    if (rc) {
        note_transaction_failure(w, rc);
        return -EIO;
    }
    note_written(w);
    finish_batch(w);
    return full || began;
}

/* Waits out a failure. True: give up, the time to close is over. */
static bool wait_to_retry(struct writer *w)
{
    uint64_t now_us = monotonic_now_us();
    if (!queue_pause(&w->queue, now_us + w->retry_us))
        return false;
    struct timespec pause = {0, CLOSE_RETRY_US * 1000};
    nanosleep(&pause, NULL);
    return monotonic_now_us() > atomic_load(&w->close_by_us);
}

/* Writes until nothing is left. False: gave up while closing. */
static bool write_all(struct writer *w)
{
    for (;;) {
        int r = work(w);
        if (r == 0)
            return true;
        if (r < 0 && wait_to_retry(w))
            return false;
    }
}

static bool is_empty(struct writer *w)
{
    pthread_mutex_lock(&w->queue.lock);
    bool empty = !w->queue.count && !w->queue.gap.count;
    pthread_mutex_unlock(&w->queue.lock);
    return empty && !w->batch_count;
}

void *writer_main(void *arg)
{
    struct writer *w = arg;
    bool stop = false, go_on = true;
    while (go_on && (!stop || !is_empty(w))) {
        stop = queue_wait(&w->queue, monotonic_now_us() + w->commit_us);
        go_on = write_all(w);
    }
    writer_disconnect(w);
    return NULL;
}
