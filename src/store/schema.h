/* SPDX-License-Identifier: MIT */
/*
 * The tables of history.db, what is written into them and how they are keyed.
 *
 * Keys: one 64-bit integer carries the run and the number within the run (seq, decision id, ...), so that
 * rows lie in the file in the order they were written and a range of a run is a range of keys. The tables
 * show run and seq as generated columns, which take no room.
 *
 * A value that is not valid is NULL; UINT64_MAX ("max") is -1, the same 64 bits.
 */
#ifndef WEIR_STORE_SCHEMA_H
#define WEIR_STORE_SCHEMA_H

#include <sqlite3.h>
#include <stddef.h>
#include <stdint.h>

#include "weir/base/err.h"
#include "weir/model/sample.h"

#define SCHEMA_VERSION 2

/* 38 bits of seq are 43 years at 200 events a second; 21 bits of run are 5 years of a restart a minute. The
 * process table's keys have SCHEMA_RANK_BITS more, and must stay positive. */
#define SCHEMA_SEQ_BITS  38
#define SCHEMA_SEQ_MASK  ((INT64_C(1) << SCHEMA_SEQ_BITS) - 1)
#define SCHEMA_RANK_BITS 4
_Static_assert(SAMPLE_TOP_MAX <= 1 << SCHEMA_RANK_BITS, "a sample's processes fit under its key");

static inline int64_t schema_key(uint64_t run, uint64_t seq)
{
    return (int64_t)(run << SCHEMA_SEQ_BITS) | ((int64_t)seq & SCHEMA_SEQ_MASK);
}

static inline uint64_t schema_key_seq(int64_t key)
{
    return (uint64_t)(key & SCHEMA_SEQ_MASK);
}

/* What the roll-ups keep: levels as they are, cumulative figures as their share of the time between two
 * samples of one generation, in permyriad. */
#define ROLLUP_FIELDS(X)                                                                                     \
    X(MEMORY_CURRENT)                                                                                        \
    X(RSS)                                                                                                   \
    X(THREADS)                                                                                               \
    X(PIDS_CURRENT)                                                                                          \
    X(MEMORY_SOME)                                                                                           \
    X(MEMORY_FULL)                                                                                           \
    X(CPU_SOME)                                                                                              \
    X(CPU_FULL)                                                                                              \
    X(IO_SOME)                                                                                               \
    X(IO_FULL)                                                                                               \
    X(CPU_USAGE)

enum {
#define X(id) ROLLUP_##id,
    ROLLUP_FIELDS(X)
#undef X
        ROLLUP_FIELD_COUNT,
};

/* Columns of a method's row that are plain numbers, as struct store_method has them, in the statements' order. */
#define SCHEMA_METHOD_FIGURES(X)                                                                             \
    X(calls)                                                                                                 \
    X(answers)                                                                                               \
    X(errors)                                                                                                \
    X(notifications)                                                                                         \
    X(replays)                                                                                               \
    X(bytes_to_worker)                                                                                       \
    X(bytes_to_server)                                                                                       \
    X(latency_sum_us)                                                                                        \
    X(latency_max_us)                                                                                        \
    X(growth_calls)
/* ... and those that are NULL where there is no answer yet. */
#define SCHEMA_METHOD_LATENCIES(X)                                                                           \
    X(latency_p50_us)                                                                                        \
    X(latency_p90_us)                                                                                        \
    X(latency_p99_us)

#define SCHEMA_COLUMN_MAX 64

/* "memory.current" -> "memory_current". Returns buf. */
const char *schema_column(enum sample_field field, char buf[static SCHEMA_COLUMN_MAX]);
/* The field of roll-up figure i. */
enum sample_field schema_rollup_field(size_t i);

/* 0 = there is a weir history in db, *ret_version is its version (0 = the file is empty). -EINVAL: another
 * program's database. Positive: the SQLite result code. */
int schema_version(sqlite3 *db, int *ret_version);

/* Makes or migrates the tables, adds the columns of sample fields that are new. 0, -ENOTSUP (written by a
 * newer weir) or -EINVAL (not a history) with reterr; positive: the SQLite result code. */
int schema_prepare(sqlite3 *db, struct err *reterr);

/* Statements that name every sample field; sqlite3_free them. NULL: out of memory.
 * Sample: parameters id, t_us, unit, generation, cause, late_us, missed_ticks, read_us, then the fields. */
char *schema_insert_sample_sql(void);
/* Roll-up: run, t_us, unit, samples, then min, avg, max, last per figure. */
char *schema_insert_rollup_sql(const char *table);

#endif
