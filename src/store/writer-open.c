/* SPDX-License-Identifier: MIT */
/* The writer's file: open, migrate, set a corrupt one aside, statements; see writer.h. */
#include "writer.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "schema.h"
#include "weir/base/cleanup.h"

/* Readers never block a writer in WAL mode; another writer is a second weir or a person's sqlite3. */
#define BUSY_TIMEOUT_MS 100
/* A WAL that a slow reader let grow is cut back to this at the next checkpoint. */
#define WAL_LIMIT_BYTES "16777216"

void writer_problem(struct writer *w, const char *fmt, ...)
{
    char text[sizeof(w->status.problem)];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    pthread_mutex_lock(&w->status_lock);
    memcpy(w->status.problem, text, sizeof(text));
    pthread_mutex_unlock(&w->status_lock);
}

void writer_disconnect(struct writer *w)
{
    for (size_t i = 0; i < WRITER_STATEMENT_COUNT; i++) {
        sqlite3_finalize(w->statement[i]);
        w->statement[i] = NULL;
    }
    sqlite3_close(w->db);
    w->db = NULL;
    w->run_checked = false;
}

static void rename_part(const char *path, const char *to, const char *suffix)
{
    _cleanup_free_ char *from_part = NULL, *to_part = NULL;
    if (asprintf(&from_part, "%s%s", path, suffix) < 0 || asprintf(&to_part, "%s%s", to, suffix) < 0)
        return;
    rename(from_part, to_part);
}

static char *corrupt_name(const char *path)
{
    char stamp[32];
    time_t now = time(NULL);
    struct tm tm;
    gmtime_r(&now, &tm);
    strftime(stamp, sizeof(stamp), "%Y%m%dT%H%M%SZ", &tm);
    for (int i = 0; i < 100; i++) {
        char *to;
        int n = i ? asprintf(&to, "%s.corrupt-%s-%d", path, stamp, i)
                  : asprintf(&to, "%s.corrupt-%s", path, stamp);
        if (n < 0)
            return NULL;
        if (access(to, F_OK) < 0)
            return to;
        free(to);
    }
    return NULL;
}

void writer_set_aside(struct writer *w)
{
    writer_disconnect(w);
    _cleanup_free_ char *to = corrupt_name(w->path);
    if (!to || rename(w->path, to) < 0) {
        writer_problem(w, "%s is corrupt and could not be set aside: %s", w->path, strerror(errno));
        return;
    }
    rename_part(w->path, to, "-wal");
    rename_part(w->path, to, "-shm");
    writer_problem(w, "%s was corrupt: kept as %s, a new one is made", w->path, to);
    pthread_mutex_lock(&w->status_lock);
    snprintf(w->status.set_aside, sizeof(w->status.set_aside), "%s", to);
    pthread_mutex_unlock(&w->status_lock);
}

static bool is_corrupt(int rc)
{
    return (rc & 0xff) == SQLITE_CORRUPT || (rc & 0xff) == SQLITE_NOTADB;
}

static int open_file(struct writer *w)
{
    int rc = sqlite3_open_v2(w->path, &w->db,
                             SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);
    if (rc != SQLITE_OK)
        return rc;
    sqlite3_extended_result_codes(w->db, 1);
    sqlite3_busy_timeout(w->db, BUSY_TIMEOUT_MS);
    return sqlite3_exec(
        w->db,
        "PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;"
        "PRAGMA journal_size_limit = " WAL_LIMIT_BYTES,
        NULL, NULL, NULL);
}

static int connect_once(struct writer *w)
{
    struct err err = ERR_NULL;
    int rc = open_file(w);
    if (rc == SQLITE_OK)
        rc = schema_prepare(w->db, &err);
    if (rc < 0)
        writer_problem(w, "%s %s", w->path, err.text);
    else if (rc > 0)
        writer_problem(w, "cannot open %s: %s%s%s", w->path, sqlite3_errstr(rc & 0xff),
                       w->db && sqlite3_system_errno(w->db) ? ": " : "",
                       w->db && sqlite3_system_errno(w->db) ? strerror(sqlite3_system_errno(w->db)) : "");
    if (rc)
        writer_disconnect(w);
    return rc;
}

int writer_connect(struct writer *w)
{
    writer_disconnect(w);
    int rc = connect_once(w);
    if (rc > 0 && is_corrupt(rc)) {
        writer_set_aside(w);
        rc = connect_once(w);
    }
    return rc > 0 ? -EIO : rc;
}

#define COLUMN(name)    ", " #name
#define PARAMETER(name) ", ?"

static const char *const statement_sql[WRITER_STATEMENT_COUNT] = {
    [WRITER_PROCESS] =
        "INSERT OR REPLACE INTO processes (id, pid, threads, rss, vsz, comm) VALUES (?, ?, ?, ?, ?, ?)",
    [WRITER_EVENT] =
        "INSERT OR REPLACE INTO events (id, t_us, kind, unit, generation, text) VALUES (?, ?, ?, ?, ?, ?)",
    [WRITER_DECISION] =
        "INSERT OR REPLACE INTO decisions (id, event_seq, t_us, cause_id, unit, generation, kind, class,"
        " reason, metric, observed, threshold, held_us, amount0, amount1, rejected, observe, rule, text)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    [WRITER_CLOCK] = "INSERT OR REPLACE INTO clocks VALUES (?, ?, ?)",
    [WRITER_POLICY] = "INSERT OR REPLACE INTO policies VALUES (?, ?, ?, ?)",
    [WRITER_MARK] = "INSERT OR REPLACE INTO marks (id, t_us, unit, text) VALUES (?, ?, ?, ?)",
    [WRITER_METHOD] =
        "INSERT OR REPLACE INTO methods (id, t_us, unit, gate, method, growth_bytes" SCHEMA_METHOD_FIGURES(
            COLUMN)
            SCHEMA_METHOD_LATENCIES(COLUMN) ") VALUES (?, ?, ?, ?, ?, ?" SCHEMA_METHOD_FIGURES(PARAMETER)
                SCHEMA_METHOD_LATENCIES(PARAMETER) ")",
    [WRITER_GAP] = "INSERT OR REPLACE INTO gaps (id, t_us, until_us, samples, text) VALUES (?, ?, ?, ?, ?)",
    [WRITER_UNIT] = "INSERT OR REPLACE INTO units VALUES (?, ?, ?)",
    [WRITER_RUN_UPDATE] = "UPDATE runs SET last_t_us = ?2, samples = ?3, events = ?4, decisions = ?5,"
                          " samples_dropped = ?6 WHERE id = ?1",
    [WRITER_RUN_END] = "UPDATE runs SET end_t_us = ?2, exit_status = ?3 WHERE id = ?1",
};

static int prepare(struct writer *w, enum writer_statement which)
{
    if (statement_sql[which])
        return sqlite3_prepare_v3(w->db, statement_sql[which], -1, SQLITE_PREPARE_PERSISTENT,
                                  &w->statement[which], NULL);
    char *sql = which == WRITER_SAMPLE       ? schema_insert_sample_sql()
                : which == WRITER_ROLLUP_10S ? schema_insert_rollup_sql("samples_10s")
                                             : schema_insert_rollup_sql("samples_1m");
    if (!sql)
        return SQLITE_NOMEM;
    int rc = sqlite3_prepare_v3(w->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &w->statement[which], NULL);
    sqlite3_free(sql);
    return rc;
}

sqlite3_stmt *writer_statement(struct writer *w, enum writer_statement which, int *rc)
{
    *rc = w->statement[which] ? SQLITE_OK : prepare(w, which);
    if (*rc != SQLITE_OK)
        return NULL;
    sqlite3_reset(w->statement[which]);
    return w->statement[which];
}
