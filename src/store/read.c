/* SPDX-License-Identifier: MIT */
/*
 * Reads of rows: run by run, the tables asked for merged into one line of time.
 *
 * The order is (run, time, event seq, table): a sample or event, then the decisions it led to. A limit means
 * the newest rows: they are counted first, from the newest run backwards, then the surplus is passed over.
 * All of it happens in one snapshot of the file.
 */
#include <errno.h>
#include <stdlib.h>

#include "reader.h"
#include "schema.h"
#include "weir/base/cleanup.h"

struct merge {
    struct cursor cursor[CURSOR_SOURCE_COUNT];
    size_t count;
};

static void merge_close(struct merge *m)
{
    for (size_t i = 0; i < m->count; i++)
        cursor_close(&m->cursor[i]);
    m->count = 0;
}

/* The cursor that is next in the line; NULL at the end. */
static struct cursor *merge_first(struct merge *m, bool by_seq)
{
    struct cursor *first = NULL;
    for (size_t i = 0; i < m->count; i++) {
        struct cursor *c = &m->cursor[i];
        if (!c->stmt)
            continue;
        bool before = !first || (!by_seq && c->t_us < first->t_us) ||
                      ((by_seq || c->t_us == first->t_us) && c->order < first->order);
        if (before)
            first = c;
    }
    return first;
}

/* What to read, and where to. */
struct job {
    struct store_reader *r;
    const struct store_filter *f;
    unsigned sources; /* bit mask over enum cursor_source */
    bool by_seq, without_processes;
    store_row_fn *on_row; /* both NULL: count only */
    int (*on_method)(void *user, const struct store_method *row);
    void *user;
    uint64_t skip, seen;
};

/* 1 = opened, 0 = the filter leaves nothing of this run. */
static int job_open_run(struct job *j, uint64_t run, struct merge *m)
{
    const struct store_filter *f = j->f;
    struct cursor_range range = {.ticks_only = f->ticks_only, .interventions_only = f->interventions_only};
    range.limit = f->limit;
    range.without_processes = j->without_processes;
    int e = reader_load_run(j->r, run);
    if (e < 0)
        return e == -ENOENT ? 0 : e;
    if (!reader_times(j->r, f->since_wall_us, f->until_wall_us, &range.from_us, &range.to_us))
        return 0;
    if (range.from_us < f->since_us)
        range.from_us = f->since_us;
    if (f->unit) {
        range.has_unit = true;
        range.unit = reader_unit(j->r, f->unit);
        if (range.unit == UNIT_NONE)
            return 0;
    }
    for (int s = 0; s < CURSOR_SOURCE_COUNT; s++) {
        if (!(j->sources >> s & 1))
            continue;
        e = cursor_open(j->r, s, &range, &m->cursor[m->count]);
        if (e < 0)
            return e;
        m->count++;
    }
    return 1;
}

static bool in_time(const struct job *j, uint64_t t_us)
{
    uint64_t wall_us = reader_wall(j->r, t_us);
    return wall_us >= j->f->since_wall_us && (!j->f->until_wall_us || wall_us <= j->f->until_wall_us);
}

static int job_row(struct job *j, const struct cursor *c)
{
    struct store_row row;
    struct store_method method;
    if (!in_time(j, c->t_us))
        return 0;
    j->seen++;
    if (!j->on_row && !j->on_method)
        return 0;
    if (j->skip) {
        j->skip--;
        return 0;
    }
    if (j->on_method) {
        reader_method_row(j->r, c->stmt, &method);
        return j->on_method(j->user, &method);
    }
    int e = cursor_row(j->r, c, &row);
    return e < 0 ? e : j->on_row(j->user, &row);
}

static int job_run(struct job *j, uint64_t run)
{
    _cleanup_(merge_close) struct merge m = {0};
    int e = job_open_run(j, run, &m);
    if (e <= 0)
        return e;
    struct cursor *c;
    for (e = 0; e == 0 && (c = merge_first(&m, j->by_seq));) {
        e = job_row(j, c);
        if (e == 0)
            e = cursor_next(c);
    }
    return e;
}

/* Numbers of the runs, oldest first. */
static int list_runs(struct store_reader *r, uint64_t only, uint64_t **ret, size_t *ret_count)
{
    sqlite3_stmt *stmt;
    int rc =
        sqlite3_prepare_v2(r->db, "SELECT id FROM runs WHERE ?1 = 0 OR id = ?1 ORDER BY id", -1, &stmt, NULL);
    if (rc != SQLITE_OK)
        return reader_errno(rc);
    sqlite3_bind_int64(stmt, 1, (int64_t)only);
    uint64_t *runs = NULL;
    size_t count = 0;
    while ((rc = sqlite3_step(stmt)) == SQLITE_ROW) {
        uint64_t *more = realloc(runs, (count + 1) * sizeof(*runs));
        if (!more)
            break;
        runs = more;
        runs[count++] = (uint64_t)sqlite3_column_int64(stmt, 0);
    }
    sqlite3_finalize(stmt);
    if (rc != SQLITE_DONE) {
        free(runs);
        return rc == SQLITE_ROW ? -ENOMEM : reader_errno(rc);
    }
    *ret = runs;
    *ret_count = count;
    return 0;
}

/* Finds the run to begin with, and how many of its rows to pass over. */
static int apply_limit(struct job *j, const uint64_t *runs, size_t count, size_t *ret_begin)
{
    struct job counting = *j;
    counting.on_row = NULL;
    counting.on_method = NULL;
    size_t i = count;
    while (i && counting.seen < j->f->limit) {
        int e = job_run(&counting, runs[--i]);
        if (e < 0)
            return e;
    }
    j->skip = counting.seen > j->f->limit ? counting.seen - j->f->limit : 0;
    *ret_begin = i;
    return 0;
}

static int read_in_snapshot(struct job *j)
{
    _cleanup_free_ uint64_t *runs = NULL;
    size_t count = 0, begin = 0;
    int e = list_runs(j->r, j->f->run, &runs, &count);
    if (e == 0 && j->f->limit)
        e = apply_limit(j, runs, count, &begin);
    for (size_t i = begin; e == 0 && i < count; i++)
        e = job_run(j, runs[i]);
    return e;
}

static int read_rows(struct job *j)
{
    if (j->r->depth == 0) {
        int rc = sqlite3_exec(j->r->db, "BEGIN", NULL, NULL, NULL);
        if (rc)
            return reader_errno(rc);
        j->r->run = 0; /* names and clocks may have grown since the last read */
    }
    j->r->depth++;
    int e = read_in_snapshot(j);
    if (--j->r->depth == 0)
        sqlite3_exec(j->r->db, "COMMIT", NULL, NULL, NULL);
    return e;
}

int store_read_samples(struct store_reader *r, const struct store_filter *f, store_row_fn *on_row, void *user)
{
    struct job j = {.r = r, .f = f, .sources = 1u << CURSOR_SAMPLES, .on_row = on_row, .user = user};
    return read_rows(&j);
}

int store_read_events(struct store_reader *r, const struct store_filter *f, store_row_fn *on_row, void *user)
{
    struct job j = {.r = r, .f = f, .sources = 1u << CURSOR_EVENTS, .on_row = on_row, .user = user};
    return read_rows(&j);
}

int store_read_decisions(struct store_reader *r, const struct store_filter *f, store_row_fn *on_row,
                         void *user)
{
    struct job j = {.r = r, .f = f, .sources = 1u << CURSOR_DECISIONS, .on_row = on_row, .user = user};
    return read_rows(&j);
}

int store_read_timeline(struct store_reader *r, const struct store_filter *f, store_row_fn *on_row,
                        void *user)
{
    struct job j = {.r = r, .f = f, .sources = CURSOR_TIMELINE, .on_row = on_row, .user = user};
    return read_rows(&j);
}

int store_read_methods(struct store_reader *r, const struct store_filter *f,
                       int (*on_row)(void *user, const struct store_method *row), void *user)
{
    struct job j = {.r = r, .f = f, .sources = 1u << CURSOR_METHODS, .on_method = on_row, .user = user};
    return reader_has_methods(r) ? read_rows(&j) : 0;
}

static int read_by_seq(struct store_reader *r, uint64_t run, unsigned sources, store_row_fn *on_row,
                       void *user)
{
    struct store_filter f = {.run = run};
    struct job j = {
        .r = r, .f = &f, .by_seq = true, .without_processes = true, .on_row = on_row, .user = user};
    j.sources = sources;
    return read_rows(&j);
}

int store_read_replay(struct store_reader *r, uint64_t run, store_row_fn *on_row, void *user)
{
    return read_by_seq(r, run, 1u << CURSOR_SAMPLES | 1u << CURSOR_EVENTS | 1u << CURSOR_DECISIONS, on_row,
                       user);
}

int store_read_course(struct store_reader *r, uint64_t run, store_row_fn *on_row, void *user)
{
    return read_by_seq(r, run, 1u << CURSOR_EVENTS | 1u << CURSOR_DECISIONS, on_row, user);
}

static int open_decision(struct store_reader *r, uint64_t id, struct cursor *ret)
{
    struct cursor_range range = {.to_us = INT64_MAX};
    int e = cursor_open(r, CURSOR_DECISIONS, &range, ret);
    while (e == 0 && ret->stmt && schema_key_seq(sqlite3_column_int64(ret->stmt, 0)) < id)
        e = cursor_next(ret);
    return e;
}

int store_read_decision(struct store_reader *r, uint64_t run, uint64_t id, struct store_row *ret)
{
    _cleanup_(cursor_close) struct cursor c = {0};
    int e = reader_load_run(r, run);
    if (e == 0)
        e = open_decision(r, id, &c);
    if (e < 0)
        return e;
    if (!c.stmt || schema_key_seq(sqlite3_column_int64(c.stmt, 0)) != id)
        return -ENOENT;
    return cursor_row(r, &c, ret);
}
