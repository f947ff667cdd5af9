/* SPDX-License-Identifier: MIT */
/*
 * Reading history.db: the open file, what is known of the run being read, and cursors over its tables.
 */
#ifndef WEIR_STORE_READER_H
#define WEIR_STORE_READER_H

#include <sqlite3.h>

#include "weir/store/store.h"

struct reader_clock {
    uint64_t t_us, wall_us; /* from t_us on wall = t - t_us + wall_us */
};

struct store_reader {
    sqlite3 *db;
    char *path;
    char *sample_columns; /* SELECT list of the sample fields; NULL for those that the file lacks */
    unsigned depth;       /* of nested reads in one snapshot */
    /* the run that was asked for last */
    uint64_t run;
    char **names;
    size_t name_count;
    struct reader_clock *clocks; /* by t_us */
    size_t clock_count;
};

/* Result code of SQLite as a negative errno. */
int reader_errno(int rc);

/* Loads names and clocks of the run. 0, -ENOENT or another negative errno. */
int reader_load_run(struct store_reader *r, uint64_t run);
uint64_t reader_wall(const struct store_reader *r, uint64_t t_us);
/* Index of the unit in the loaded run, UNIT_NONE when it has none of that name. */
uint16_t reader_unit(const struct store_reader *r, const char *name);

/* The monotonic times of the loaded run that may lie between two wall times. False: none. */
bool reader_times(const struct store_reader *r, uint64_t since_wall_us, uint64_t until_wall_us,
                  uint64_t *ret_from, uint64_t *ret_to);

enum cursor_source {
    CURSOR_SAMPLES,
    CURSOR_EVENTS,
    CURSOR_DECISIONS,
    CURSOR_MARKS,
    CURSOR_GAPS,
    CURSOR_METHODS, /* not in the time line */
    CURSOR_SOURCE_COUNT
};
#define CURSOR_TIMELINE ((1u << CURSOR_METHODS) - 1)

/* What a cursor goes through, of the loaded run. */
struct cursor_range {
    uint64_t from_us, to_us;
    bool has_unit;
    uint16_t unit;
    bool ticks_only, interventions_only;
    bool without_processes; /* samples without their biggest processes: a look-up less a row */
    uint64_t limit;         /* only the newest so many; 0 = all */
};

/* One table's rows in key order; at the first row after cursor_open. */
struct cursor {
    sqlite3_stmt *stmt; /* NULL = at the end */
    enum cursor_source source;
    uint64_t t_us;  /* of the row it is at */
    uint64_t order; /* rows of the same time: event seq, then the source */
    bool without_processes;
};

int cursor_open(struct store_reader *r, enum cursor_source source, const struct cursor_range *range,
                struct cursor *ret);
int cursor_next(struct cursor *c);
void cursor_close(struct cursor *c);
/* method.c: what a gate told. */
extern const char reader_method_columns[]; /* after id, time and order */
/* False: an earlier weir wrote the file. */
bool reader_has_methods(struct store_reader *r);
void reader_method_row(const struct store_reader *r, sqlite3_stmt *stmt, struct store_method *ret);

/* Fills the row the cursor is at; -EINVAL at a method. */
int cursor_row(struct store_reader *r, const struct cursor *c, struct store_row *ret);

#endif
