/* SPDX-License-Identifier: MIT */
/*
 * Cursors: one table's rows of one run in key order, and a row turned back into what was recorded.
 *
 * Times are not indexed. Within a run they never fall as the key grows, so the first key of a time is found
 * by bisection over the keys (some 38 look-ups), which costs no room in the file.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "reader.h"
#include "schema.h"
#include "weir/base/cleanup.h"

struct source {
    const char *table;
    const char *time;    /* a gap stands at its end, where it becomes known */
    const char *columns; /* after id, time and order */
    const char *order;   /* orders rows of one time: the event seq they belong to */
};

static const struct source sources[CURSOR_SOURCE_COUNT] = {
    [CURSOR_SAMPLES] = {"samples", "t_us", ", unit, generation, cause, late_us, missed_ticks, read_us",
                        "id & 0x3fffffffff"},
    [CURSOR_EVENTS] = {"events", "t_us", ", unit, generation, kind, text", "id & 0x3fffffffff"},
    [CURSOR_DECISIONS] =
        {"decisions", "t_us",
         ", unit, generation, event_seq, cause_id, kind, reason, metric, observed, threshold,"
         " held_us, amount0, amount1, rejected, observe, rule, text",
         "event_seq"},
    [CURSOR_MARKS] = {"marks", "t_us", ", unit, text", "0x3fffffffff"},
    [CURSOR_GAPS] = {"gaps", "until_us", ", NULL, text, t_us, samples", "0x3fffffffff"},
    [CURSOR_METHODS] = {"methods", "t_us", reader_method_columns, "id & 0x3fffffffff"},
};

/* Column numbers of a cursor's statement. */
enum { COLUMN_ID, COLUMN_T, COLUMN_ORDER, COLUMN_UNIT, COLUMN_REST };

static int first_row(struct store_reader *r, const char *sql, int64_t from, int64_t to, int64_t *ret_id,
                     int64_t *ret_t)
{
    sqlite3_stmt *stmt;
    int rc = sqlite3_prepare_v2(r->db, sql, -1, &stmt, NULL);
    if (rc != SQLITE_OK)
        return reader_errno(rc);
    sqlite3_bind_int64(stmt, 1, from);
    sqlite3_bind_int64(stmt, 2, to);
    rc = sqlite3_step(stmt);
    if (rc == SQLITE_ROW) {
        *ret_id = sqlite3_column_int64(stmt, 0);
        *ret_t = sqlite3_column_int64(stmt, 1);
    }
    sqlite3_finalize(stmt);
    return rc == SQLITE_ROW ? 1 : rc == SQLITE_DONE ? 0 : reader_errno(rc);
}

/* The first key of the run whose row is not before t_us. */
static int seek_time(struct store_reader *r, enum cursor_source source, uint64_t t_us, int64_t *ret_key)
{
    char up[128], down[128];
    int64_t lo = schema_key(r->run, 0), hi = schema_key(r->run, SCHEMA_SEQ_MASK), id = 0, t = 0;
    snprintf(up, sizeof(up), "SELECT id, t_us FROM %s WHERE id >= ? AND id <= ? ORDER BY id LIMIT 1",
             sources[source].table);
    snprintf(down, sizeof(down), "SELECT id, t_us FROM %s WHERE id >= ? AND id <= ? ORDER BY id DESC LIMIT 1",
             sources[source].table);
    int e = first_row(r, down, lo, hi, &id, &t);
    if (e <= 0) {
        *ret_key = lo;
        return e;
    }
    hi = id + 1;
    while (lo < hi) {
        int64_t mid = lo + (hi - lo) / 2;
        e = first_row(r, up, mid, hi, &id, &t);
        if (e < 0)
            return e;
        if (e == 0 || t >= (int64_t)t_us)
            hi = mid;
        else
            lo = id + 1;
    }
    *ret_key = lo;
    return 0;
}

static char *where_clause(enum cursor_source source, const struct cursor_range *range)
{
    sqlite3_str *s = sqlite3_str_new(NULL);
    sqlite3_str_appendf(s, " FROM %s WHERE id >= ?1 AND id <= ?2 AND %s >= %lld AND %s <= %lld",
                        sources[source].table, sources[source].time, (long long)range->from_us,
                        sources[source].time, (long long)range->to_us);
    if (range->has_unit && source != CURSOR_GAPS)
        sqlite3_str_appendf(s, " AND unit = %u", range->unit);
    if (range->ticks_only && source == CURSOR_SAMPLES)
        sqlite3_str_appendf(s, " AND cause = %d", SAMPLE_CAUSE_TICK);
    if (range->interventions_only && source == CURSOR_DECISIONS)
        sqlite3_str_appendf(s, " AND class = %d", DECISION_CLASS_INTERVENTION);
    return sqlite3_str_finish(s);
}

/* With a limit: the key of the first of the newest so many rows. */
static int seek_limit(struct store_reader *r, const char *where, uint64_t limit, int64_t to, int64_t *key)
{
    char *sql = sqlite3_mprintf("SELECT id, t_us%s ORDER BY id DESC LIMIT 1 OFFSET %llu", where,
                                (unsigned long long)(limit - 1));
    if (!sql)
        return -ENOMEM;
    int64_t id = *key, t;
    int e = first_row(r, sql, *key, to, &id, &t);
    sqlite3_free(sql);
    if (e > 0)
        *key = id;
    return e < 0 ? e : 0;
}

static int prepare_rows(struct store_reader *r, struct cursor *c, const char *where, int64_t from, int64_t to)
{
    char *sql = sqlite3_mprintf("SELECT id, %s, %s%s%s%s ORDER BY id", sources[c->source].time,
                                sources[c->source].order, sources[c->source].columns,
                                c->source == CURSOR_SAMPLES ? r->sample_columns : "", where);
    if (!sql)
        return -ENOMEM;
    int rc = sqlite3_prepare_v2(r->db, sql, -1, &c->stmt, NULL);
    sqlite3_free(sql);
    if (rc != SQLITE_OK)
        return reader_errno(rc);
    sqlite3_bind_int64(c->stmt, 1, from);
    sqlite3_bind_int64(c->stmt, 2, to);
    return cursor_next(c);
}

int cursor_open(struct store_reader *r, enum cursor_source source, const struct cursor_range *range,
                struct cursor *ret)
{
    int64_t from = schema_key(r->run, 0), to = schema_key(r->run, SCHEMA_SEQ_MASK);
    *ret = (struct cursor){.source = source, .without_processes = range->without_processes};
    int e = 0;
    if (range->from_us && (source == CURSOR_SAMPLES || source == CURSOR_EVENTS || source == CURSOR_METHODS))
        e = seek_time(r, source, range->from_us, &from);
    char *where = e < 0 ? NULL : where_clause(source, range);
    if (e == 0 && !where)
        e = -ENOMEM;
    if (e == 0 && range->limit)
        e = seek_limit(r, where, range->limit, to, &from);
    if (e == 0)
        e = prepare_rows(r, ret, where, from, to);
    sqlite3_free(where);
    if (e < 0)
        cursor_close(ret);
    return e;
}

void cursor_close(struct cursor *c)
{
    sqlite3_finalize(c->stmt);
    c->stmt = NULL;
}

int cursor_next(struct cursor *c)
{
    int rc = sqlite3_step(c->stmt);
    if (rc == SQLITE_ROW) {
        c->t_us = (uint64_t)sqlite3_column_int64(c->stmt, COLUMN_T);
        c->order = (uint64_t)sqlite3_column_int64(c->stmt, COLUMN_ORDER);
        return 0;
    }
    cursor_close(c);
    return rc == SQLITE_DONE ? 0 : reader_errno(rc);
}

static uint64_t u64(sqlite3_stmt *stmt, int column)
{
    return (uint64_t)sqlite3_column_int64(stmt, column);
}

static const char *text(sqlite3_stmt *stmt, int column)
{
    const char *t = (const char *)sqlite3_column_text(stmt, column);
    return t ? t : "";
}

static int fill_processes(struct store_reader *r, int64_t key, struct sample *s)
{
    sqlite3_stmt *stmt;
    int rc =
        sqlite3_prepare_v2(r->db,
                           "SELECT pid, threads, rss, vsz, comm FROM processes WHERE id BETWEEN ?1 AND ?2"
                           " ORDER BY id",
                           -1, &stmt, NULL);
    if (rc != SQLITE_OK)
        return reader_errno(rc);
    sqlite3_bind_int64(stmt, 1, key << SCHEMA_RANK_BITS);
    sqlite3_bind_int64(stmt, 2, (key << SCHEMA_RANK_BITS) + SAMPLE_TOP_MAX - 1);
    while ((rc = sqlite3_step(stmt)) == SQLITE_ROW && s->top_count < SAMPLE_TOP_MAX) {
        struct sample_process *p = &s->top[s->top_count++];
        p->pid = sqlite3_column_int(stmt, 0);
        p->threads = (uint32_t)u64(stmt, 1);
        p->rss_bytes = u64(stmt, 2);
        p->vsz_bytes = u64(stmt, 3);
        snprintf(p->comm, sizeof(p->comm), "%s", text(stmt, 4));
    }
    sqlite3_finalize(stmt);
    return rc == SQLITE_DONE || rc == SQLITE_ROW ? 0 : reader_errno(rc);
}

/* Most figures are not 0, and for those one question is enough: a day of samples has some ten million. */
static void fill_figures(sqlite3_stmt *stmt, struct sample *s)
{
    for (int f = 0; f < SAMPLE_FIELD_COUNT; f++) {
        uint64_t value = u64(stmt, COLUMN_REST + 5 + f);
        if (value || sqlite3_column_type(stmt, COLUMN_REST + 5 + f) != SQLITE_NULL)
            sample_set(s, (enum sample_field)f, value);
    }
}

static int fill_sample(struct store_reader *r, const struct cursor *c, struct event *e)
{
    sqlite3_stmt *stmt = c->stmt;
    struct sample *s = &e->sample;
    e->kind = EVENT_SAMPLE;
    s->cause = u64(stmt, COLUMN_REST + 1) < SAMPLE_CAUSE_COUNT ? (enum sample_cause)u64(stmt, COLUMN_REST + 1)
                                                               : SAMPLE_CAUSE_KERNEL;
    s->late_us = u64(stmt, COLUMN_REST + 2);
    s->missed_ticks = (uint32_t)u64(stmt, COLUMN_REST + 3);
    s->t_us =
        sqlite3_column_type(stmt, COLUMN_REST + 4) == SQLITE_NULL ? e->t_us : u64(stmt, COLUMN_REST + 4);
    fill_figures(stmt, s);
    if (c->without_processes)
        return 0;
    return fill_processes(r, sqlite3_column_int64(stmt, COLUMN_ID), s);
}

/* A line of another weir's that this one does not know keeps its kind when that is known, without its
 * figures. */
static void fill_event(struct store_reader *r, sqlite3_stmt *stmt, struct event *e)
{
    struct event parsed = {0};
    const char *what;
    if (event_parse(text(stmt, COLUMN_REST + 2), (const char *const *)r->names, r->name_count, &parsed,
                    &what) < 0) {
        parsed = (struct event){.unit = e->unit, .generation = e->generation};
        parsed.kind = event_kind_by_name(text(stmt, COLUMN_REST + 1));
    }
    parsed.seq = e->seq;
    parsed.t_us = e->t_us;
    *e = parsed;
}

/* The shape stands in the canonical text alone: nobody asks SQL for it. */
static void fill_shape(struct store_reader *r, sqlite3_stmt *stmt, struct decision *d)
{
    struct decision parsed;
    if (decision_parse(text(stmt, COLUMN_REST + 14), (const char *const *)r->names, r->name_count, &parsed) <
        0)
        return;
    d->shape = parsed.shape;
    d->shape_bytes = parsed.shape_bytes;
    d->shape_us = parsed.shape_us;
}

static void fill_decision(struct store_reader *r, sqlite3_stmt *stmt, struct decision *d)
{
    d->event_seq = u64(stmt, COLUMN_REST + 1);
    d->cause_id = u64(stmt, COLUMN_REST + 2);
    d->kind = decision_kind_by_name(text(stmt, COLUMN_REST + 3));
    d->reason = decision_reason_by_name(text(stmt, COLUMN_REST + 4));
    d->metric = decision_metric_by_name(text(stmt, COLUMN_REST + 5));
    d->observed = u64(stmt, COLUMN_REST + 6);
    d->threshold = u64(stmt, COLUMN_REST + 7);
    d->held_us = u64(stmt, COLUMN_REST + 8);
    d->amount[0] = u64(stmt, COLUMN_REST + 9);
    d->amount[1] = u64(stmt, COLUMN_REST + 10);
    d->rejected = (uint32_t)u64(stmt, COLUMN_REST + 11);
    d->observe = u64(stmt, COLUMN_REST + 12);
    snprintf(d->rule, sizeof(d->rule), "%s", text(stmt, COLUMN_REST + 13));
    if (d->kind == DECISION_KIND_COUNT)
        d->kind = DECISION_NOTE;
    if (d->reason == REASON_COUNT)
        d->reason = REASON_NONE;
    if (d->metric == METRIC_COUNT)
        d->metric = METRIC_NONE;
    fill_shape(r, stmt, d);
}

int cursor_row(struct store_reader *r, const struct cursor *c, struct store_row *ret)
{
    static const int types[CURSOR_SOURCE_COUNT] = {STORE_ROW_EVENT, STORE_ROW_EVENT, STORE_ROW_DECISION,
                                                   STORE_ROW_MARK, STORE_ROW_GAP};
    sqlite3_stmt *stmt = c->stmt;
    bool has_unit = sqlite3_column_type(stmt, COLUMN_UNIT) != SQLITE_NULL;
    uint16_t unit = has_unit ? (uint16_t)u64(stmt, COLUMN_UNIT) : UNIT_NONE;
    uint64_t seq = schema_key_seq(sqlite3_column_int64(stmt, COLUMN_ID));
    *ret = (struct store_row){
        .run = r->run,
        .t_us = c->t_us,
        .wall_us = reader_wall(r, c->t_us),
        .unit = unit < r->name_count ? r->names[unit] : "",
        .unit_names = (const char *const *)r->names,
        .unit_count = r->name_count,
        .type = types[c->source],
    };
    switch (c->source) {
    case CURSOR_SAMPLES:
    case CURSOR_EVENTS:
        ret->event = (struct event){.seq = seq, .t_us = c->t_us, .unit = unit};
        ret->event.generation = (uint32_t)u64(stmt, COLUMN_REST);
        if (c->source == CURSOR_SAMPLES)
            return fill_sample(r, c, &ret->event);
        fill_event(r, stmt, &ret->event);
        return 0;
    case CURSOR_DECISIONS:
        ret->decision = (struct decision){.id = seq, .t_us = c->t_us, .unit = unit};
        ret->decision.generation = (uint32_t)u64(stmt, COLUMN_REST);
        fill_decision(r, stmt, &ret->decision);
        return 0;
    case CURSOR_GAPS:
        ret->gap_us = c->t_us - u64(stmt, COLUMN_REST + 1);
        ret->gap_count = u64(stmt, COLUMN_REST + 2);
        snprintf(ret->text, sizeof(ret->text), "%s", text(stmt, COLUMN_REST));
        return 0;
    case CURSOR_MARKS:
        snprintf(ret->text, sizeof(ret->text), "%s", text(stmt, COLUMN_REST));
        return 0;
    case CURSOR_METHODS:
    case CURSOR_SOURCE_COUNT:
        break;
    }
    return -EINVAL;
}
