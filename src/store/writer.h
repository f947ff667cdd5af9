/* SPDX-License-Identifier: MIT */
/*
 * The store's thread: takes records from the queue and writes them.
 *
 * A batch is taken, written in one transaction, and only then finished; what could not be written is tried
 * again, the same records under the same keys (INSERT OR REPLACE), so that a COMMIT whose result is in
 * doubt does no harm. Everything that a transaction changes in memory is in struct writer_run, which is
 * copied before and put back when it fails.
 *
 * Durability: WAL with synchronous = NORMAL, so a commit is a write(2) that outlives a kill -9 of weir at
 * any instant; a batch with an intervention in it is committed with synchronous = FULL (fsync of the WAL). A
 * power cut may thus lose what came after the last intervention and the last checkpoint, and never an
 * intervention that status counts as written. The file stays consistent in each case.
 */
#ifndef WEIR_STORE_WRITER_H
#define WEIR_STORE_WRITER_H

#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>

#include "queue.h"
#include "rollup.h"
#include "weir/store/store.h"

#define WRITER_BATCH_RECORDS 1024 /* chosen: half a MiB; a second of 1000 samples in one transaction */
#define WRITER_UNITS_MAX     4096 /* roll-ups are kept for unit indices below this */

enum writer_statement {
    WRITER_SAMPLE,
    WRITER_ROLLUP_10S, /* in the order of rollup_length_us */
    WRITER_ROLLUP_1M,
    WRITER_PROCESS,
    WRITER_EVENT,
    WRITER_DECISION,
    WRITER_CLOCK,
    WRITER_POLICY,
    WRITER_MARK,
    WRITER_METHOD,
    WRITER_GAP,
    WRITER_UNIT,
    WRITER_RUN_UPDATE,
    WRITER_RUN_END,
    WRITER_STATEMENT_COUNT,
};

/* What the writer knows of the present run that a transaction changes. */
struct writer_run {
    uint64_t id; /* 0 = has no row yet */
    uint64_t samples, events, decisions, marks, gaps, methods, samples_dropped;
    uint64_t last_t_us;
};

struct writer_policy {
    uint64_t event_seq;
    uint16_t unit;
    char *text;
};

struct writer {
    char *path;
    uint64_t retention_us, max_bytes, commit_us, retry_us;
    struct queue queue;
    pthread_t thread;

    /* the thread's own from here on */
    sqlite3 *db;
    sqlite3_stmt *statement[WRITER_STATEMENT_COUNT];
    struct record *batch;
    size_t batch_count;
    struct queue_gap gap; /* taken from the queue, not yet written */
    struct writer_run run, run_saved;
    struct run_record *info; /* of the present run; unit names are added to it */
    bool run_checked;        /* the run's row is known to be in this file */
    uint64_t clock_t_us, clock_wall_us;
    struct writer_policy *policies; /* the latest of each unit, for a file that has to be made anew */
    size_t policy_count;
    struct rollup_unit *rollup, *rollup_saved;
    size_t rollup_count;
    uint64_t fail_since_us;
    bool fail_told;
    char fail_text[160]; /* why, for the gap's row */
    uint64_t prune_t_us;
    bool prune_more;
    _Atomic uint64_t close_by_us; /* monotonic; 0 = not closing */

    pthread_mutex_t status_lock;
    struct store_status status;
};

/* writer-open.c: the file */
/* Opens (or reopens) the file; 0 or a negative errno, told in status.problem. */
int writer_connect(struct writer *w);
void writer_disconnect(struct writer *w);
/* Renames the corrupt file; the next writer_connect makes a new one. */
void writer_set_aside(struct writer *w);
void writer_problem(struct writer *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The statement, prepared on first use and reset; NULL with a result code in *rc. */
sqlite3_stmt *writer_statement(struct writer *w, enum writer_statement which, int *rc);

/* writer-insert.c: records into rows; each returns an SQLite result code */
int writer_ensure_run(struct writer *w);
int writer_insert_record(struct writer *w, const struct record *r);
int writer_insert_gap(struct writer *w, const struct queue_gap *gap, const char *text);
int writer_store_rollups(struct writer *w);
int writer_update_run(struct writer *w);

/* writer-prune.c: retention and size cap, a bounded batch */
int writer_prune(struct writer *w);

/* writer.c: the thread */
void *writer_main(void *arg);

#endif
