/* SPDX-License-Identifier: MIT */
/*
 * The record: what happened in each run, in one SQLite file (WAL) per supervisor.
 *
 * Writing: the control loop hands records to a bounded queue and never waits; a thread of the store's own
 * writes them, in one transaction at most a second long (at once when an intervention is in it). When the
 * queue is nearly full samples are dropped and counted, and the loss is recorded as a gap; events and
 * decisions are never dropped. A full disk, a locked, read-only or corrupt file never stops the loop: the
 * store goes on trying, keeps what it may keep, and tells (store_status). A corrupt file is set aside under
 * a new name, never deleted.
 *
 * Reading (store_reader_*) opens the file itself, read-only, so history works while weir is down and while
 * it runs.
 */
#ifndef WEIR_STORE_STORE_H
#define WEIR_STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weir/base/err.h"
#include "weir/model/decision.h"
#include "weir/model/event.h"

struct store;

struct store_options {
    const char *path;      /* history.db */
    uint64_t retention_us; /* older raw rows are removed, a bounded batch at a time */
    uint64_t max_bytes;    /* size cap: the oldest go first; 0 = none */
    size_t queue_records;  /* 0 = default (8192: 13 min of 10 units at 1 Hz) */
    uint64_t commit_us;    /* 0 = default (1 s): the longest a record waits before it is written */
    uint64_t retry_us;     /* 0 = default (1 s): between two tries while writing fails */
};

/* Opens or creates, migrates the schema, starts the thread. A corrupt file is set aside (told in
 * store_status.set_aside). When even a new file cannot be made: the store is returned all the same, failing
 * and retrying, with the reason in store_status; only -ENOMEM fails. Blocks on the disk.
 *
 * What a crash may cost: records are in the file at the latest commit_us after their hand-over, interventions
 * at once, and survive any kill -9 of the process from then on. Interventions are flushed to the disk, so a
 * power cut may cost only what came after the last of them (and the last checkpoint). */
int store_open(const struct store_options *options, struct store **ret, struct err *reterr);

/* Writes what is queued (bounded: 5 s), ends the thread, closes. Accepts NULL, returns NULL. */
struct store *store_close(struct store *s);

struct store_run {
    const char *supervisor; /* config's name */
    const char *config_path;
    const char *config_text; /* environment values are masked by the caller */
    const char *weir_version;
    const char *kernel, *layout;
    const char *boot_id;
    uint64_t wall_us; /* CLOCK_REALTIME at monotonic_us */
    uint64_t monotonic_us;
    uint64_t interval_us;
    const char *const *unit_names;
    size_t unit_count;
};

/* A run begins; store_status.run will be its number (from 1, never used twice; 0 until it is written, which may be
 * later, and the records are kept in order). All records that follow belong to it. 0 or -ENOMEM. */
int store_run_begin(struct store *s, const struct store_run *run);

/* A reload added a unit at this index (or renamed it): before its first event. An index that nobody told of is "unit-N". */
void store_unit(struct store *s, uint16_t unit, const char *name);

/* The clock offset changed (a step of more than 10 ms), or an hour passed: wall = monotonic + offset. */
void store_clock(struct store *s, uint64_t monotonic_us, uint64_t wall_us);

/* Copied into the queue; never waits, never fails visibly (see store_status). SAMPLE events may be dropped. */
void store_event(struct store *s, const struct event *e);
void store_decision(struct store *s, const struct decision *d);

/* The policy text in force from event seq on (unit = UNIT_NONE: the supervisor's part). Copied. */
void store_policy(struct store *s, uint64_t event_seq, uint16_t unit, const char *text);

/* Free text of the supervisor's own, for the time line: "config reloaded: ...", "output of server: 812 lines dropped". */
void store_mark(struct store *s, uint64_t t_us, uint16_t unit, const char *text);

#define STORE_METHOD_MAX 64 /* with the final NUL: a gate's own bound */

/* One method's figures as a gate told them: cumulative since that gate began. A gate outlives the supervisor: it goes on
 * with the same figures in the next run. */
struct store_method {
    uint64_t t_us, wall_us; /* wall_us: reading only */
    uint64_t run;           /* reading only */
    uint64_t seq;           /* reading only: number of the row within its run, from 1 */
    uint16_t unit;          /* writing only */
    const char *unit_name;  /* reading only; lives for the call */
    uint64_t gate;          /* which gate: its pid */
    char method[STORE_METHOD_MAX];
    uint64_t calls, answers, errors, notifications, replays, bytes_to_worker, bytes_to_server;
    uint64_t latency_sum_us, latency_max_us;
    uint64_t latency_p50_us, latency_p90_us, latency_p99_us; /* UINT64_MAX = no answer yet */
    uint64_t growth_calls; /* answered alone in flight, with memory read before and after ... */
    int64_t growth_bytes;  /* ... and by how much it rose over all of these */
};

/* Copied into the queue; never waits. When the queue is nearly full it is given up as samples are, but uncounted: the next
 * row tells what this one would have told. */
void store_method(struct store *s, const struct store_method *m);

/* The run ends with this exit status; a run without an end was cut off. */
void store_run_end(struct store *s, uint64_t t_us, int status);

/* Asks for what is queued to be written now and waits for it. 0 or -ETIMEDOUT. Not for the control path. */
int store_flush(struct store *s, uint64_t timeout_us);

struct store_status {
    uint64_t run; /* number of this run; 0 = not yet written */
    uint64_t samples_written, samples_dropped;
    uint64_t events_written, decisions_written;
    uint64_t queued;           /* waiting records */
    uint64_t failing_since_us; /* monotonic; 0 = writing works */
    uint64_t lost;       /* events and decisions that even the grown queue could not hold; 0 is the aim */
    uint64_t file_bytes; /* with the WAL */
    char problem[256];   /* last problem, "" = none */
    char set_aside[256]; /* where a corrupt file was kept, "" = none */
};
/* Thread-safe, does not wait for the disk. */
void store_get_status(struct store *s, struct store_status *ret);

/* ------------------------------------------------ reading ------------------------------------------------ */

struct store_reader;

/* -ENOENT when there is no history; other negative errno with reterr. */
int store_reader_open(const char *path, struct store_reader **ret, struct err *reterr);
struct store_reader *store_reader_close(struct store_reader *r);

#define STORE_TEXT_MAX 256

struct store_run_row {
    uint64_t run;
    uint64_t start_wall_us, end_wall_us; /* end 0: running or cut off */
    uint64_t start_monotonic_us;
    uint64_t last_wall_us; /* of the last record */
    int exit_status;       /* -1: none recorded */
    char supervisor[UNIT_NAME_MAX];
    char weir_version[32], kernel[64], layout[16], boot_id[40];
    char config_path[STORE_TEXT_MAX];
    uint64_t interval_us;
    uint64_t samples, decisions, events, samples_dropped;
};

/* Calls on_row for each run, oldest first. A callback's non-zero return stops and is passed on. */
int store_read_runs(struct store_reader *r, int (*on_row)(void *user, const struct store_run_row *row),
                    void *user);

/* Unit names of a run, in index order; the array and names belong to the reader and live until the next call
 * with it. Returns the count or a negative errno (-ENOENT: no such run). */
int store_read_units(struct store_reader *r, uint64_t run, const char *const **ret_names);

/* What to read. Zeroed = everything. */
struct store_filter {
    uint64_t run;            /* 0 = all runs */
    const char *unit;        /* NULL = all */
    uint64_t since_wall_us;  /* 0 = from the beginning */
    uint64_t until_wall_us;  /* 0 = to the end; inclusive */
    uint64_t since_us;       /* monotonic, on top of the above: for going on where a read ended, of one run */
    uint64_t limit;          /* 0 = none; the newest so many, told oldest first */
    bool ticks_only;         /* samples: only those of the base interval */
    bool interventions_only; /* decisions: class INTERVENTION */
};

struct store_row {
    uint64_t run;
    uint64_t t_us, wall_us;        /* of a GAP: its end */
    const char *unit;              /* name, "" = the supervisor */
    const char *const *unit_names; /* of this run, for narrate/format */
    size_t unit_count;
    enum { STORE_ROW_EVENT, STORE_ROW_DECISION, STORE_ROW_MARK, STORE_ROW_GAP } type;
    struct event event;         /* EVENT (a sample is the event of kind EVENT_SAMPLE, exactly as recorded) */
    struct decision decision;   /* DECISION */
    char text[STORE_TEXT_MAX];  /* MARK, GAP */
    uint64_t gap_us, gap_count; /* GAP: how long, how many samples */
};

/* A non-zero return stops and is passed on. The row and all it points to live for the call; the callback may
 * itself read the same run. */
typedef int store_row_fn(void *user, const struct store_row *row);

int store_read_samples(struct store_reader *r, const struct store_filter *f, store_row_fn *on_row,
                       void *user);
/* All events but samples. */
int store_read_events(struct store_reader *r, const struct store_filter *f, store_row_fn *on_row, void *user);
int store_read_decisions(struct store_reader *r, const struct store_filter *f, store_row_fn *on_row,
                         void *user);
/* Everything in one time line: samples (ticks_only obeyed), events, decisions, marks, gaps. */
int store_read_timeline(struct store_reader *r, const struct store_filter *f, store_row_fn *on_row,
                        void *user);
/* Every event of a run by seq, samples included, each followed by the decisions it led to: what the engine was told and
 * what it answered. The processes of a sample are left out (top_count = 0): the engine does not look at them. Memory
 * does not grow with the run. */
int store_read_replay(struct store_reader *r, uint64_t run, store_row_fn *on_row, void *user);
/* The same without the samples. */
int store_read_course(struct store_reader *r, uint64_t run, store_row_fn *on_row, void *user);

/* One decision by (run, id); 0 or -ENOENT. */
int store_read_decision(struct store_reader *r, uint64_t run, uint64_t id, struct store_row *ret);

/* The rows of methods by run and time; ticks_only and interventions_only mean nothing here. None in a file that an
 * earlier weir wrote. A non-zero return stops and is passed on. */
int store_read_methods(struct store_reader *r, const struct store_filter *f,
                       int (*on_row)(void *user, const struct store_method *row), void *user);

/* The row before this one of the same gate and method, also in an earlier run of the same boot: from where on this one
 * counts. 0, or -ENOENT: none, it counts from the gate's beginning. Not within a read; row's unit_name must be the
 * caller's own, ret's lives until the next call with this reader. */
int store_read_method_before(struct store_reader *r, const struct store_method *row,
                             struct store_method *ret);

/* The policy texts of a run by event_seq. */
int store_read_policies(struct store_reader *r, uint64_t run,
                        int (*on_row)(void *user, uint64_t event_seq, uint16_t unit, const char *text),
                        void *user);

#endif
