/* SPDX-License-Identifier: MIT */
/*
 * What gates told, read: a row of the table of methods, and the one before it.
 *
 * A row counts from its gate's beginning, so what happened in a range of time is the difference to the row before the
 * range. That one may stand in an earlier run: a gate outlives the supervisor. It is found by the index over (gate,
 * method); pids are used again, so the newest row of that pid counts only when unit and boot are the same.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "reader.h"
#include "schema.h"

#define COLUMN(name) ", " #name

const char reader_method_columns[] =
    ", unit, gate, method, growth_bytes" SCHEMA_METHOD_FIGURES(COLUMN) SCHEMA_METHOD_LATENCIES(COLUMN);

/* Column numbers: id, time and order stand first. */
enum {
    COLUMN_ID,
    COLUMN_T,
    COLUMN_ORDER,
    COLUMN_UNIT,
    COLUMN_GATE,
    COLUMN_METHOD,
    COLUMN_GROWTH,
    COLUMN_FIGURES,
};

bool reader_has_methods(struct store_reader *r)
{
    return sqlite3_table_column_metadata(r->db, NULL, "methods", "id", NULL, NULL, NULL, NULL, NULL) ==
           SQLITE_OK;
}

static uint64_t latency(sqlite3_stmt *stmt, int column)
{
    bool none = sqlite3_column_type(stmt, column) == SQLITE_NULL;
    return none ? UINT64_MAX : (uint64_t)sqlite3_column_int64(stmt, column);
}

void reader_method_row(const struct store_reader *r, sqlite3_stmt *stmt, struct store_method *ret)
{
    bool has_unit = sqlite3_column_type(stmt, COLUMN_UNIT) != SQLITE_NULL;
    const char *name = (const char *)sqlite3_column_text(stmt, COLUMN_METHOD);
    int column = COLUMN_FIGURES;
    *ret = (struct store_method){
        .t_us = (uint64_t)sqlite3_column_int64(stmt, COLUMN_T),
        .run = r->run,
        .seq = schema_key_seq(sqlite3_column_int64(stmt, COLUMN_ID)),
        .unit = has_unit ? (uint16_t)sqlite3_column_int(stmt, COLUMN_UNIT) : UNIT_NONE,
        .gate = (uint64_t)sqlite3_column_int64(stmt, COLUMN_GATE),
        .growth_bytes = sqlite3_column_int64(stmt, COLUMN_GROWTH),
    };
    ret->wall_us = reader_wall(r, ret->t_us);
    ret->unit_name = ret->unit < r->name_count ? r->names[ret->unit] : "";
    snprintf(ret->method, sizeof(ret->method), "%s", name ? name : "");
#define X(figure) ret->figure = (uint64_t)sqlite3_column_int64(stmt, column++);
    SCHEMA_METHOD_FIGURES(X)
#undef X
#define X(p) ret->p = latency(stmt, column++);
    SCHEMA_METHOD_LATENCIES(X)
#undef X
}

/* The newest row of that pid and method before the key, in a run of the same boot. 1 = the statement is at it. */
static int find_before(struct store_reader *r, const struct store_method *row, sqlite3_stmt **ret)
{
    char *sql = sqlite3_mprintf("SELECT id, t_us, 0%s, run,"
                                " (SELECT boot_id FROM runs WHERE id = m.run) IS"
                                " (SELECT boot_id FROM runs WHERE id = ?4) FROM methods AS m"
                                " WHERE gate = ?1 AND method = ?2 AND id < ?3 ORDER BY id DESC LIMIT 1",
                                reader_method_columns);
    if (!sql)
        return -ENOMEM;
    int rc = sqlite3_prepare_v2(r->db, sql, -1, ret, NULL);
    sqlite3_free(sql);
    if (rc != SQLITE_OK)
        return reader_errno(rc);
    sqlite3_bind_int64(*ret, 1, (int64_t)row->gate);
    sqlite3_bind_text(*ret, 2, row->method, -1, SQLITE_STATIC);
    sqlite3_bind_int64(*ret, 3, schema_key(row->run, row->seq));
    sqlite3_bind_int64(*ret, 4, (int64_t)row->run);
    rc = sqlite3_step(*ret);
    if (rc != SQLITE_ROW)
        return rc == SQLITE_DONE ? -ENOENT : reader_errno(rc);
    return sqlite3_column_int(*ret, sqlite3_column_count(*ret) - 1) ? 1 : -ENOENT;
}

int store_read_method_before(struct store_reader *r, const struct store_method *row, struct store_method *ret)
{
    sqlite3_stmt *stmt = NULL;
    int e = reader_has_methods(r) ? find_before(r, row, &stmt) : -ENOENT;
    if (e == 1)
        e = reader_load_run(r, (uint64_t)sqlite3_column_int64(stmt, sqlite3_column_count(stmt) - 2));
    if (e == 0) {
        reader_method_row(r, stmt, ret);
        e = strcmp(ret->unit_name, row->unit_name) == 0 ? 0 : -ENOENT;
    }
    sqlite3_finalize(stmt);
    return e;
}
