/* SPDX-License-Identifier: MIT */
/*
 * Retention and size cap: the oldest rows go, a bounded batch in a transaction of the writer.
 *
 * Raw rows (samples, processes, events, marks, gaps, methods) and the 10 s roll-ups are kept for the retention time;
 * decisions, 1 min roll-ups and the runs' own rows ten times as long: they are small and are what a person
 * looks for months later. The size cap takes samples first, then 10 s roll-ups, then events, then the rest.
 * "Now" is the time of the latest record, not the clock.
 */
#include "writer.h"

#include "schema.h"
#include "weir/base/cleanup.h"
#include "weir/base/units.h"

#define PRUNE_ROWS     2000 /* chosen: 10 ms of work; at 1/s ten times what 10 busy units write */
#define PRUNE_EVERY_US (10 * USEC_PER_SEC) /* chosen */
#define VACUUM_PAGES   "500"               /* 2 MiB given back to the file system at a time */
#define KEEP_LONG      10                  /* chosen: 10 months of decisions for a month of samples */

/* Rows of a table keyed by (run, number), in the order they go for the size cap. */
struct prune_table {
    const char *name;
    const char *key; /* columns that find a row, oldest first */
    const char *run; /* the row's run */
    unsigned keep;   /* times the retention */
};

static const struct prune_table tables[] = {
    {"samples", "id", "id >> 38", 1},
    {"samples_10s", "run, t_us, unit", "run", 1},
    {"events", "id", "id >> 38", 1},
    {"marks", "id", "id >> 38", 1},
    {"gaps", "id", "id >> 38", 1},
    {"methods", "id", "id >> 38", 1},
    {"samples_1m", "run, t_us, unit", "run", KEEP_LONG},
    {"decisions", "id", "id >> 38", KEEP_LONG},
};

/* Prepares the text, frees it, binds ?1 where there is one and takes the first step; *ret is to be finalized.
 */
static int step_sql(struct writer *w, char *sql, int64_t parameter, sqlite3_stmt **ret)
{
    *ret = NULL;
    if (!sql)
        return SQLITE_NOMEM;
    int rc = sqlite3_prepare_v2(w->db, sql, -1, ret, NULL);
    sqlite3_free(sql);
    if (rc != SQLITE_OK)
        return rc;
    if (sqlite3_bind_parameter_count(*ret))
        sqlite3_bind_int64(*ret, 1, parameter);
    rc = sqlite3_step(*ret);
    return rc == SQLITE_DONE || rc == SQLITE_ROW ? SQLITE_OK : rc;
}

/* *ret_changes is how many rows it took. */
static int run_sql(struct writer *w, char *sql, int64_t parameter, int *ret_changes)
{
    sqlite3_stmt *stmt;
    int rc = step_sql(w, sql, parameter, &stmt);
    *ret_changes = sqlite3_changes(w->db);
    sqlite3_finalize(stmt);
    return rc;
}

/* Of the oldest PRUNE_ROWS rows those before the wall time go. A run's clock at its start is near enough. */
static int prune_table(struct writer *w, const struct prune_table *t, uint64_t before_wall_us, int *ret_gone)
{
    char *sql = sqlite3_mprintf("DELETE FROM %s WHERE (%s) IN (SELECT %s FROM %s AS o WHERE t_us +"
                                " (SELECT start_wall_us - start_t_us FROM runs WHERE runs.id = o.%s) < ?1"
                                " ORDER BY %s LIMIT %d)",
                                t->name, t->key, t->key, t->name, t->run, t->key, PRUNE_ROWS);
    return run_sql(w, sql, (int64_t)before_wall_us, ret_gone);
}

/* Is the oldest row older? Spares the walk through a table in which none is. */
static int oldest_is_before(struct writer *w, const struct prune_table *t, uint64_t before_wall_us, bool *ret)
{
    char *sql =
        sqlite3_mprintf("SELECT t_us + (SELECT start_wall_us - start_t_us FROM runs WHERE runs.id = o.%s)"
                        " FROM %s AS o ORDER BY %s LIMIT 1",
                        t->run, t->name, t->key);
    sqlite3_stmt *stmt;
    int rc = step_sql(w, sql, 0, &stmt);
    *ret = rc == SQLITE_OK && sqlite3_data_count(stmt) &&
           sqlite3_column_int64(stmt, 0) < (int64_t)before_wall_us;
    sqlite3_finalize(stmt);
    return rc;
}

static int prune_processes(struct writer *w, int *ret_gone)
{
    return run_sql(
        w,
        sqlite3_mprintf("DELETE FROM processes WHERE id IN (SELECT id FROM processes WHERE id <"
                        " coalesce((SELECT min(id) FROM samples), %lld) << %d ORDER BY id LIMIT %d)",
                        INT64_MAX >> SCHEMA_RANK_BITS, SCHEMA_RANK_BITS, PRUNE_ROWS * SAMPLE_TOP_MAX),
        0, ret_gone);
}

/* Runs of which nothing is left but their row. */
static int prune_runs(struct writer *w, uint64_t before_wall_us)
{
    static const char *const deletes[] = {
        "DELETE FROM runs WHERE id < %lld AND start_wall_us + last_t_us - start_t_us < ?1",
        "DELETE FROM units WHERE run < %lld AND run NOT IN (SELECT id FROM runs)",
        "DELETE FROM clocks WHERE run < %lld AND run NOT IN (SELECT id FROM runs)",
        "DELETE FROM policies WHERE run < %lld AND run NOT IN (SELECT id FROM runs)",
    };
    int rc = SQLITE_OK, gone = 1;
    for (size_t i = 0; rc == SQLITE_OK && gone && i < ARRAY_SIZE(deletes); i++) {
        char *sql = sqlite3_mprintf(deletes[i], (long long)w->run.id);
        int changes = 0;
        rc = run_sql(w, sql, (int64_t)before_wall_us, &changes);
        gone = i ? 1 : changes;
    }
    return rc;
}

static int pragma_u64(struct writer *w, const char *sql, uint64_t *ret)
{
    sqlite3_stmt *stmt;
    int rc = step_sql(w, sqlite3_mprintf("%s", sql), 0, &stmt);
    *ret = rc == SQLITE_OK && sqlite3_data_count(stmt) ? (uint64_t)sqlite3_column_int64(stmt, 0) : 0;
    sqlite3_finalize(stmt);
    return rc;
}

static int used_bytes(struct writer *w, uint64_t *ret)
{
    uint64_t pages, unused, size;
    int rc = pragma_u64(w, "PRAGMA page_count", &pages);
    if (rc == SQLITE_OK)
        rc = pragma_u64(w, "PRAGMA freelist_count", &unused);
    if (rc == SQLITE_OK)
        rc = pragma_u64(w, "PRAGMA page_size", &size);
    if (rc == SQLITE_OK)
        *ret = (pages - unused) * size;
    return rc;
}

static int prune_by_age(struct writer *w, uint64_t now_wall_us)
{
    for (size_t i = 0; i < ARRAY_SIZE(tables); i++) {
        uint64_t keep_us = mul_div_u64(w->retention_us, tables[i].keep, 1);
        bool older = false;
        int gone = 0;
        if (keep_us >= now_wall_us)
            continue;
        int rc = oldest_is_before(w, &tables[i], now_wall_us - keep_us, &older);
        if (rc == SQLITE_OK && older)
            rc = prune_table(w, &tables[i], now_wall_us - keep_us, &gone);
        if (rc)
            return rc;
        w->prune_more |= gone == PRUNE_ROWS;
    }
    uint64_t keep_us = mul_div_u64(w->retention_us, KEEP_LONG, 1);
    return keep_us < now_wall_us ? prune_runs(w, now_wall_us - keep_us) : SQLITE_OK;
}

/* The wall time in front of which PRUNE_ROWS samples lie; INT64_MAX when there are no more than that. */
static int oldest_samples_end(struct writer *w, int64_t *ret)
{
    sqlite3_stmt *stmt;
    int rc = step_sql(
        w,
        sqlite3_mprintf("SELECT t_us + (SELECT start_wall_us - start_t_us FROM runs"
                        " WHERE runs.id = o.id >> %d) FROM samples AS o ORDER BY id LIMIT 1 OFFSET %d",
                        SCHEMA_SEQ_BITS, PRUNE_ROWS),
        0, &stmt);
    *ret = rc == SQLITE_OK && sqlite3_data_count(stmt) ? sqlite3_column_int64(stmt, 0) : INT64_MAX;
    sqlite3_finalize(stmt);
    return rc;
}

static int prune_by_size(struct writer *w)
{
    uint64_t used;
    int64_t end = INT64_MAX;
    int rc = used_bytes(w, &used);
    if (rc || !w->max_bytes || used <= w->max_bytes)
        return rc;
    w->prune_more = true;
    rc = oldest_samples_end(w, &end);
    bool few_left = end == INT64_MAX;
    for (size_t i = 0; rc == SQLITE_OK && i < ARRAY_SIZE(tables); i++) {
        int gone = 0;
        if (tables[i].keep == 1 || few_left)
            rc = prune_table(w, &tables[i], (uint64_t)end, &gone);
        if (tables[i].keep > 1 && gone)
            break; /* the small tables one after the other, and only when no raw rows are left to give */
    }
    return rc;
}

int writer_prune(struct writer *w)
{
    uint64_t now_us = w->run.last_t_us;
    if (!w->prune_more && w->prune_t_us && now_us < w->prune_t_us + PRUNE_EVERY_US)
        return SQLITE_OK;
    w->prune_t_us = now_us;
    w->prune_more = false;
    int processes = 0;
    int rc = prune_by_age(w, now_us - w->clock_t_us + w->clock_wall_us);
    if (rc == SQLITE_OK)
        rc = prune_by_size(w);
    if (rc == SQLITE_OK)
        rc = prune_processes(w, &processes);
    w->prune_more |= processes == PRUNE_ROWS * SAMPLE_TOP_MAX;
    if (rc == SQLITE_OK)
        rc = sqlite3_exec(w->db, "PRAGMA incremental_vacuum(" VACUUM_PAGES ")", NULL, NULL, NULL);
    return rc;
}
