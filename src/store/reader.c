/* SPDX-License-Identifier: MIT */
/*
 * The history file opened for reading: runs, units, clocks, policies; see reader.h for the rows.
 *
 * Read-only, beside the writer (WAL): no reader blocks it. A person who may read the file but not write its
 * folder cannot make the -shm file that WAL wants; when no WAL is left, the file alone is read as it is.
 */
#include "reader.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "schema.h"
#include "weir/base/cleanup.h"

#define BUSY_TIMEOUT_MS 2000 /* only the recovery of a WAL after a crash can make a reader wait */

int reader_errno(int rc)
{
    switch (rc & 0xff) {
    case SQLITE_OK:
        return 0;
    case SQLITE_NOMEM:
        return -ENOMEM;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return -EBUSY;
    case SQLITE_PERM:
    case SQLITE_AUTH:
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
        return -EACCES;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return -EBADMSG;
    default:
        return -EIO;
    }
}

static void forget_run(struct store_reader *r)
{
    for (size_t i = 0; i < r->name_count; i++)
        free(r->names[i]);
    free(r->names);
    free(r->clocks);
    r->names = NULL;
    r->clocks = NULL;
    r->name_count = r->clock_count = 0;
    r->run = 0;
}

struct store_reader *store_reader_close(struct store_reader *r)
{
    if (!r)
        return NULL;
    forget_run(r);
    sqlite3_close(r->db);
    sqlite3_free(r->sample_columns);
    free(r->path);
    free(r);
    return NULL;
}

static int open_uri(struct store_reader *r, const char *query)
{
    char *uri = sqlite3_mprintf("file:%s%s", r->path, query);
    if (!uri)
        return SQLITE_NOMEM;
    sqlite3_close(r->db);
    r->db = NULL;
    int rc = sqlite3_open_v2(uri, &r->db, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX, NULL);
    sqlite3_free(uri);
    if (rc == SQLITE_OK)
        rc = sqlite3_busy_timeout(r->db, BUSY_TIMEOUT_MS);
    if (rc == SQLITE_OK)
        rc = sqlite3_exec(r->db, "SELECT count(*) FROM sqlite_master", NULL, NULL, NULL);
    return rc;
}

static bool has_no_wal(const char *path)
{
    struct stat st;
    _cleanup_free_ char *wal = NULL;
    if (asprintf(&wal, "%s-wal", path) < 0)
        return false;
    return stat(wal, &st) < 0 || st.st_size == 0;
}

/* '?', '#' and '%' mean something in a URI. */
static char *uri_path(const char *path)
{
    char *out = malloc(strlen(path) * 3 + 1), *o = out;
    if (!out)
        return NULL;
    for (; *path; path++) {
        if (strchr("?#%", *path))
            o += sprintf(o, "%%%02X", (unsigned char)*path);
        else
            *o++ = *path;
    }
    *o = '\0';
    return out;
}

static int open_file(struct store_reader *r, const char *path)
{
    int rc = open_uri(r, "");
    int code = rc & 0xff;
    if ((code == SQLITE_CANTOPEN || code == SQLITE_READONLY) && has_no_wal(path))
        rc = open_uri(r, "?immutable=1");
    return rc;
}

static int check_version(struct store_reader *r, const char *path, struct err *reterr)
{
    int version = 0;
    int rc = schema_version(r->db, &version);
    if (rc > 0)
        return err_set(reterr, reader_errno(rc), "%s: %s", path, sqlite3_errstr(rc & 0xff));
    if (rc < 0)
        return err_set(reterr, -EINVAL, "%s is a database of another program", path);
    if (version == 0)
        return err_set(reterr, -ENOENT, "%s holds no history yet", path);
    if (version > SCHEMA_VERSION)
        return err_set(reterr, -ENOTSUP, "%s was written by a newer weir (format %d, this one knows %d)",
                       path, version, SCHEMA_VERSION);
    return 0;
}

static bool file_has_column(sqlite3 *db, const char *column)
{
    return sqlite3_table_column_metadata(db, NULL, "samples", column, NULL, NULL, NULL, NULL, NULL) ==
           SQLITE_OK;
}

static char *sample_columns(sqlite3 *db)
{
    char column[SCHEMA_COLUMN_MAX];
    sqlite3_str *s = sqlite3_str_new(NULL);
    for (int f = 0; f < SAMPLE_FIELD_COUNT; f++) {
        schema_column(f, column);
        sqlite3_str_appendf(s, ", %s", file_has_column(db, column) ? column : "NULL");
    }
    return sqlite3_str_finish(s);
}

static int open_reader(struct store_reader *r, const char *path, struct err *reterr)
{
    struct stat st;
    if (stat(path, &st) < 0)
        return err_errno(reterr, -errno, "%s", path);
    r->path = uri_path(path);
    if (!r->path)
        return err_errno(reterr, -ENOMEM, "%s", path);
    int rc = open_file(r, path);
    if (rc)
        return err_set(reterr, reader_errno(rc), "cannot read %s: %s", path, sqlite3_errstr(rc & 0xff));
    int e = check_version(r, path, reterr);
    if (e)
        return e;
    r->sample_columns = sample_columns(r->db);
    return r->sample_columns ? 0 : err_errno(reterr, -ENOMEM, "%s", path);
}

int store_reader_open(const char *path, struct store_reader **ret, struct err *reterr)
{
    struct store_reader *r = calloc(1, sizeof(*r));
    if (!r)
        return err_errno(reterr, -ENOMEM, "%s", path);
    int e = open_reader(r, path, reterr);
    if (e < 0) {
        store_reader_close(r);
        return e;
    }
    *ret = r;
    return 0;
}

static int add_name(struct store_reader *r, size_t unit, const char *name)
{
    char **names = realloc(r->names, (unit + 1) * sizeof(*names));
    if (!names)
        return -ENOMEM;
    r->names = names;
    while (r->name_count <= unit) {
        char *copy;
        int n =
            r->name_count == unit ? asprintf(&copy, "%s", name) : asprintf(&copy, "unit-%zu", r->name_count);
        if (n < 0)
            return -ENOMEM;
        names[r->name_count++] = copy;
    }
    return 0;
}

static int add_clock(struct store_reader *r, uint64_t t_us, uint64_t wall_us)
{
    struct reader_clock *clocks = realloc(r->clocks, (r->clock_count + 1) * sizeof(*clocks));
    if (!clocks)
        return -ENOMEM;
    r->clocks = clocks;
    clocks[r->clock_count++] = (struct reader_clock){t_us, wall_us};
    return 0;
}

static int load(struct store_reader *r, uint64_t run, const char *sql, bool names)
{
    sqlite3_stmt *stmt;
    int rc = sqlite3_prepare_v2(r->db, sql, -1, &stmt, NULL);
    if (rc != SQLITE_OK)
        return reader_errno(rc);
    sqlite3_bind_int64(stmt, 1, (int64_t)run);
    int e = 0;
    while (e == 0 && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
        uint64_t first = (uint64_t)sqlite3_column_int64(stmt, 0);
        if (!names)
            e = add_clock(r, first, (uint64_t)sqlite3_column_int64(stmt, 1));
        else if (first < UNIT_NONE)
            e = add_name(r, first, (const char *)sqlite3_column_text(stmt, 1));
    }
    sqlite3_finalize(stmt);
    return e < 0 || rc == SQLITE_DONE ? e : reader_errno(rc);
}

int reader_load_run(struct store_reader *r, uint64_t run)
{
    if (r->run == run && r->depth)
        return 0;
    forget_run(r);
    int e = load(r, run, "SELECT unit, name FROM units WHERE run = ? ORDER BY unit", true);
    if (e == 0)
        e = load(r, run, "SELECT t_us, wall_us FROM clocks WHERE run = ? ORDER BY t_us", false);
    if (e == 0 && !r->clock_count)
        e = -ENOENT;
    if (e == 0)
        r->run = run;
    return e;
}

uint64_t reader_wall(const struct store_reader *r, uint64_t t_us)
{
    size_t lo = 0, hi = r->clock_count;
    while (hi - lo > 1) {
        size_t mid = lo + (hi - lo) / 2;
        if (r->clocks[mid].t_us <= t_us)
            lo = mid;
        else
            hi = mid;
    }
    return t_us - r->clocks[lo].t_us + r->clocks[lo].wall_us;
}

uint16_t reader_unit(const struct store_reader *r, const char *name)
{
    for (size_t i = 0; i < r->name_count; i++)
        if (strcmp(r->names[i], name) == 0)
            return (uint16_t)i;
    return UNIT_NONE;
}

/* A wall time on the line of one clock, cut to what a key can hold. */
static int64_t on_clock(const struct reader_clock *c, uint64_t wall_us)
{
    __int128 t = (__int128)wall_us - c->wall_us + c->t_us;
    return t < 0 ? 0 : t > INT64_MAX ? INT64_MAX : (int64_t)t;
}

bool reader_times(const struct store_reader *r, uint64_t since_wall_us, uint64_t until_wall_us,
                  uint64_t *ret_from, uint64_t *ret_to)
{
    int64_t from = INT64_MAX, to = -1;
    for (size_t i = 0; i < r->clock_count; i++) {
        int64_t begin = i ? (int64_t)r->clocks[i].t_us : 0;
        int64_t end = i + 1 < r->clock_count ? (int64_t)r->clocks[i + 1].t_us - 1 : INT64_MAX;
        int64_t a = since_wall_us ? on_clock(&r->clocks[i], since_wall_us) : 0;
        int64_t b = until_wall_us ? on_clock(&r->clocks[i], until_wall_us) : INT64_MAX;
        a = a > begin ? a : begin;
        b = b < end ? b : end;
        if (a > b)
            continue;
        from = a < from ? a : from;
        to = b > to ? b : to;
    }
    *ret_from = (uint64_t)from;
    *ret_to = (uint64_t)to;
    return from <= to;
}

int store_read_units(struct store_reader *r, uint64_t run, const char *const **ret_names)
{
    int e = reader_load_run(r, run);
    if (e < 0)
        return e;
    *ret_names = (const char *const *)r->names;
    return (int)r->name_count;
}

static void copy_text(sqlite3_stmt *stmt, int column, char *to, size_t size)
{
    const char *text = (const char *)sqlite3_column_text(stmt, column);
    snprintf(to, size, "%s", text ? text : "");
}

static int fill_run(struct store_reader *r, sqlite3_stmt *stmt, struct store_run_row *row)
{
    *row = (struct store_run_row){.run = (uint64_t)sqlite3_column_int64(stmt, 0)};
    int e = reader_load_run(r, row->run);
    if (e < 0)
        return e;
    copy_text(stmt, 1, row->supervisor, sizeof(row->supervisor));
    copy_text(stmt, 2, row->config_path, sizeof(row->config_path));
    copy_text(stmt, 3, row->weir_version, sizeof(row->weir_version));
    copy_text(stmt, 4, row->kernel, sizeof(row->kernel));
    copy_text(stmt, 5, row->layout, sizeof(row->layout));
    copy_text(stmt, 6, row->boot_id, sizeof(row->boot_id));
    row->start_wall_us = (uint64_t)sqlite3_column_int64(stmt, 7);
    row->start_monotonic_us = (uint64_t)sqlite3_column_int64(stmt, 8);
    row->interval_us = (uint64_t)sqlite3_column_int64(stmt, 9);
    row->last_wall_us = reader_wall(r, (uint64_t)sqlite3_column_int64(stmt, 10));
    row->exit_status = -1;
    if (sqlite3_column_type(stmt, 11) != SQLITE_NULL) {
        row->end_wall_us = reader_wall(r, (uint64_t)sqlite3_column_int64(stmt, 11));
        row->exit_status = sqlite3_column_int(stmt, 12);
    }
    row->samples = (uint64_t)sqlite3_column_int64(stmt, 13);
    row->events = (uint64_t)sqlite3_column_int64(stmt, 14);
    row->decisions = (uint64_t)sqlite3_column_int64(stmt, 15);
    row->samples_dropped = (uint64_t)sqlite3_column_int64(stmt, 16);
    return 0;
}

int store_read_runs(struct store_reader *r, int (*on_row)(void *user, const struct store_run_row *row),
                    void *user)
{
    static const char sql[] =
        "SELECT id, supervisor, config_path, weir_version, kernel, layout, boot_id,"
        " start_wall_us, start_t_us, interval_us, last_t_us, end_t_us, exit_status, samples,"
        " events, decisions, samples_dropped FROM runs ORDER BY id";
    sqlite3_stmt *stmt;
    int rc = sqlite3_prepare_v2(r->db, sql, -1, &stmt, NULL);
    if (rc != SQLITE_OK)
        return reader_errno(rc);
    int e = 0;
    while (e == 0 && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
        struct store_run_row row;
        e = fill_run(r, stmt, &row);
        if (e == 0)
            e = on_row(user, &row);
    }
    sqlite3_finalize(stmt);
    return e || rc == SQLITE_DONE ? e : reader_errno(rc);
}

int store_read_policies(struct store_reader *r, uint64_t run,
                        int (*on_row)(void *user, uint64_t event_seq, uint16_t unit, const char *text),
                        void *user)
{
    sqlite3_stmt *stmt;
    int rc = sqlite3_prepare_v2(r->db,
                                "SELECT event_seq, unit, text FROM policies WHERE run = ?"
                                " ORDER BY event_seq, unit <> 65535, unit",
                                -1, &stmt, NULL);
    if (rc != SQLITE_OK)
        return reader_errno(rc);
    sqlite3_bind_int64(stmt, 1, (int64_t)run);
    int e = 0;
    while (e == 0 && (rc = sqlite3_step(stmt)) == SQLITE_ROW)
        e = on_row(user, (uint64_t)sqlite3_column_int64(stmt, 0), (uint16_t)sqlite3_column_int(stmt, 1),
                   (const char *)sqlite3_column_text(stmt, 2));
    sqlite3_finalize(stmt);
    return e || rc == SQLITE_DONE ? e : reader_errno(rc);
}
