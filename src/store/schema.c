/* SPDX-License-Identifier: MIT */
/* The tables of history.db; see schema.h. */
#include "schema.h"

#include <errno.h>
#include <string.h>

#include "weir/base/cleanup.h"

/* Version 1. The samples and roll-up tables follow from SAMPLE_FIELDS and are made by code. */
static const char SCHEMA_1[] =
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;"
    "CREATE TABLE runs (id INTEGER PRIMARY KEY AUTOINCREMENT, supervisor TEXT, config_path TEXT,"
    " config_text TEXT, weir_version TEXT, kernel TEXT, layout TEXT, boot_id TEXT,"
    " start_wall_us INTEGER, start_t_us INTEGER, interval_us INTEGER,"
    " last_t_us INTEGER, end_t_us INTEGER, exit_status INTEGER, samples INTEGER DEFAULT 0,"
    " events INTEGER DEFAULT 0, decisions INTEGER DEFAULT 0, samples_dropped INTEGER DEFAULT 0);"
    "CREATE TABLE units (run INTEGER, unit INTEGER, name TEXT, PRIMARY KEY (run, unit)) WITHOUT ROWID;"
    "CREATE TABLE clocks (run INTEGER, t_us INTEGER, wall_us INTEGER, PRIMARY KEY (run, t_us)) WITHOUT ROWID;"
    "CREATE TABLE policies (run INTEGER, event_seq INTEGER, unit INTEGER, text TEXT,"
    " PRIMARY KEY (run, event_seq, unit)) WITHOUT ROWID;"
    "CREATE TABLE processes (id INTEGER PRIMARY KEY, pid INTEGER, threads INTEGER, rss INTEGER, vsz INTEGER,"
    " comm TEXT, run INTEGER AS (id >> 42), seq INTEGER AS ((id >> 4) & 0x3fffffffff), rank INTEGER AS (id & "
    "15));"
    "CREATE TABLE events (id INTEGER PRIMARY KEY, t_us INTEGER, kind TEXT, unit INTEGER, generation INTEGER,"
    " text TEXT, run INTEGER AS (id >> 38), seq INTEGER AS (id & 0x3fffffffff));"
    "CREATE TABLE decisions (id INTEGER PRIMARY KEY, event_seq INTEGER, t_us INTEGER, cause_id INTEGER,"
    " unit INTEGER, generation INTEGER, kind TEXT, class INTEGER, reason TEXT, metric TEXT, observed INTEGER,"
    " threshold INTEGER, held_us INTEGER, amount0 INTEGER, amount1 INTEGER, rejected INTEGER, observe "
    "INTEGER,"
    " rule TEXT, text TEXT, run INTEGER AS (id >> 38), decision INTEGER AS (id & 0x3fffffffff));"
    "CREATE TABLE marks (id INTEGER PRIMARY KEY, t_us INTEGER, unit INTEGER, text TEXT,"
    " run INTEGER AS (id >> 38));"
    "CREATE TABLE gaps (id INTEGER PRIMARY KEY, t_us INTEGER, until_us INTEGER, samples INTEGER, text TEXT,"
    " run INTEGER AS (id >> 38));";

/* Version 2: what gates tell. The index finds the row before one of the same gate and method. */
static const char SCHEMA_2[] =
    "CREATE TABLE methods (id INTEGER PRIMARY KEY, t_us INTEGER, unit INTEGER, gate INTEGER, method TEXT,"
    " calls INTEGER, answers INTEGER, errors INTEGER, notifications INTEGER, replays INTEGER,"
    " bytes_to_worker INTEGER, bytes_to_server INTEGER, latency_sum_us INTEGER, latency_max_us INTEGER,"
    " growth_calls INTEGER, latency_p50_us INTEGER, latency_p90_us INTEGER, latency_p99_us INTEGER,"
    " growth_bytes INTEGER, run INTEGER AS (id >> 38), seq INTEGER AS (id & 0x3fffffffff));"
    "CREATE INDEX methods_by_gate ON methods (gate, method);";

/* Brings a file of version N to N + 1; migrations[0] makes a new one. */
static const char *const migrations[] = {SCHEMA_1, SCHEMA_2};
_Static_assert(ARRAY_SIZE(migrations) == SCHEMA_VERSION, "one migration a version");

static const char *const rollup_tables[] = {"samples_10s", "samples_1m"};

const char *schema_column(enum sample_field field, char buf[static SCHEMA_COLUMN_MAX])
{
    const char *name = sample_field_info(field)->name;
    size_t i = 0;
    for (; name[i] && i < SCHEMA_COLUMN_MAX - 1; i++)
        buf[i] = name[i] == '.' ? '_' : name[i];
    buf[i] = '\0';
    return buf;
}

enum sample_field schema_rollup_field(size_t i)
{
    static const enum sample_field fields[] = {
#define X(id) SAMPLE_##id,
        ROLLUP_FIELDS(X)
#undef X
    };
    return fields[i];
}

static int first_int(sqlite3 *db, const char *sql, int *ret)
{
    sqlite3_stmt *stmt;
    int rc = sqlite3_prepare_v2(db, sql, -1, &stmt, NULL);
    if (rc != SQLITE_OK)
        return rc;
    rc = sqlite3_step(stmt);
    if (rc == SQLITE_ROW)
        *ret = sqlite3_column_int(stmt, 0);
    sqlite3_finalize(stmt);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? 0 : rc;
}

int schema_version(sqlite3 *db, int *ret_version)
{
    int tables = 0, meta = 0, version = 0;
    int rc = first_int(db, "SELECT count(*) FROM sqlite_master", &tables);
    if (rc)
        return rc;
    rc = first_int(db, "SELECT count(*) FROM sqlite_master WHERE name = 'meta'", &meta);
    if (rc)
        return rc;
    if (meta)
        rc = first_int(db, "SELECT value FROM meta WHERE key = 'schema'", &version);
    if (rc)
        return rc;
    if (tables && version <= 0)
        return -EINVAL;
    *ret_version = version;
    return 0;
}

static int exec_owned(sqlite3 *db, char *sql)
{
    if (!sql)
        return SQLITE_NOMEM;
    int rc = sqlite3_exec(db, sql, NULL, NULL, NULL);
    sqlite3_free(sql);
    return rc;
}

static int make_tables(sqlite3 *db)
{
    int rc = exec_owned(db, sqlite3_mprintf("CREATE TABLE IF NOT EXISTS samples (id INTEGER PRIMARY KEY,"
                                            " t_us INTEGER, unit INTEGER, generation INTEGER, cause INTEGER,"
                                            " late_us INTEGER, missed_ticks INTEGER, read_us INTEGER,"
                                            " run INTEGER AS (id >> %d), seq INTEGER AS (id & 0x3fffffffff))",
                                            SCHEMA_SEQ_BITS));
    for (size_t i = 0; rc == SQLITE_OK && i < ARRAY_SIZE(rollup_tables); i++)
        rc = exec_owned(db, sqlite3_mprintf("CREATE TABLE IF NOT EXISTS %s (run INTEGER, t_us INTEGER,"
                                            " unit INTEGER, samples INTEGER, PRIMARY KEY (run, t_us, unit))"
                                            " WITHOUT ROWID",
                                            rollup_tables[i]));
    return rc;
}

/* A column of this name in the table; sets *found. */
static int has_column(sqlite3 *db, const char *table, const char *column, int *found)
{
    char *sql = sqlite3_mprintf("SELECT count(*) FROM pragma_table_info(%Q) WHERE name = %Q", table, column);
    if (!sql)
        return SQLITE_NOMEM;
    int rc = first_int(db, sql, found);
    sqlite3_free(sql);
    return rc;
}

static int add_column(sqlite3 *db, const char *table, const char *column, const char *suffix)
{
    char name[SCHEMA_COLUMN_MAX + 8];
    int found = 0;
    sqlite3_snprintf(sizeof(name), name, "%s%s", column, suffix);
    int rc = has_column(db, table, name, &found);
    if (rc || found)
        return rc;
    return exec_owned(db, sqlite3_mprintf("ALTER TABLE %s ADD COLUMN %s INTEGER", table, name));
}

static const char *const rollup_suffixes[] = {"_min", "_avg", "_max", "_last"};

static int add_columns(sqlite3 *db)
{
    char column[SCHEMA_COLUMN_MAX];
    for (int f = 0; f < SAMPLE_FIELD_COUNT; f++) {
        int rc = add_column(db, "samples", schema_column(f, column), "");
        if (rc)
            return rc;
    }
    for (size_t i = 0; i < ARRAY_SIZE(rollup_tables) * ROLLUP_FIELD_COUNT * ARRAY_SIZE(rollup_suffixes);
         i++) {
        size_t suffix = i % ARRAY_SIZE(rollup_suffixes);
        size_t field = i / ARRAY_SIZE(rollup_suffixes) % ROLLUP_FIELD_COUNT;
        size_t table = i / ARRAY_SIZE(rollup_suffixes) / ROLLUP_FIELD_COUNT;
        int rc = add_column(db, rollup_tables[table], schema_column(schema_rollup_field(field), column),
                            rollup_suffixes[suffix]);
        if (rc)
            return rc;
    }
    return 0;
}

/* The columns are looked through only when the table has fewer fields than this weir knows. */
static int fields_complete(sqlite3 *db, int *ret)
{
    char column[SCHEMA_COLUMN_MAX], last[SCHEMA_COLUMN_MAX + 8];
    int fields = 0, rollups = 0;
    int rc = first_int(db, "SELECT value FROM meta WHERE key = 'fields'", &fields);
    if (rc)
        return rc;
    sqlite3_snprintf(sizeof(last), last, "%s_last",
                     schema_column(schema_rollup_field(ROLLUP_FIELD_COUNT - 1), column));
    rc = has_column(db, rollup_tables[ARRAY_SIZE(rollup_tables) - 1], last, &rollups);
    *ret = fields == SAMPLE_FIELD_COUNT && rollups;
    return rc;
}

static int migrate(sqlite3 *db, int version)
{
    for (int v = version; v < SCHEMA_VERSION; v++) {
        int rc = sqlite3_exec(db, migrations[v], NULL, NULL, NULL);
        if (rc != SQLITE_OK)
            return rc;
    }
    int rc = make_tables(db);
    if (rc == SQLITE_OK)
        rc = add_columns(db);
    if (rc == SQLITE_OK)
        rc = exec_owned(db,
                        sqlite3_mprintf("INSERT OR REPLACE INTO meta VALUES ('schema', %d), ('fields', %d)",
                                        SCHEMA_VERSION, (int)SAMPLE_FIELD_COUNT));
    return rc;
}

static int migrate_transaction(sqlite3 *db)
{
    int version = 0;
    int rc = sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL);
    if (rc == SQLITE_OK)
        rc = schema_version(db, &version); /* again, now that nobody else can change it */
    if (rc == SQLITE_OK)
        rc = migrate(db, version);
    if (rc == SQLITE_OK)
        rc = sqlite3_exec(db, "COMMIT", NULL, NULL, NULL);
    if (rc != SQLITE_OK)
        sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
    return rc;
}

int schema_prepare(sqlite3 *db, struct err *reterr)
{
    int version = 0, complete = 0;
    int rc = schema_version(db, &version);
    if (rc == -EINVAL)
        return err_set(reterr, -EINVAL, "is a database of another program");
    if (rc)
        return rc;
    if (version > SCHEMA_VERSION)
        return err_set(reterr, -ENOTSUP, "was written by a newer weir (format %d, this one knows %d)",
                       version, SCHEMA_VERSION);
    if (version == SCHEMA_VERSION) {
        rc = fields_complete(db, &complete);
        if (rc || complete)
            return rc;
    }
    return migrate_transaction(db);
}

char *schema_insert_sample_sql(void)
{
    char column[SCHEMA_COLUMN_MAX];
    sqlite3_str *s = sqlite3_str_new(NULL);
    sqlite3_str_appendall(s, "INSERT OR REPLACE INTO samples (id, t_us, unit, generation, cause, late_us,"
                             " missed_ticks, read_us");
    for (int f = 0; f < SAMPLE_FIELD_COUNT; f++)
        sqlite3_str_appendf(s, ", %s", schema_column(f, column));
    sqlite3_str_appendall(s, ") VALUES (?, ?, ?, ?, ?, ?, ?, ?");
    for (int f = 0; f < SAMPLE_FIELD_COUNT; f++)
        sqlite3_str_appendall(s, ", ?");
    sqlite3_str_appendall(s, ")");
    return sqlite3_str_finish(s);
}

char *schema_insert_rollup_sql(const char *table)
{
    char column[SCHEMA_COLUMN_MAX];
    sqlite3_str *s = sqlite3_str_new(NULL);
    sqlite3_str_appendf(s, "INSERT OR REPLACE INTO %s (run, t_us, unit, samples", table);
    for (size_t i = 0; i < ROLLUP_FIELD_COUNT * ARRAY_SIZE(rollup_suffixes); i++)
        sqlite3_str_appendf(s, ", %s%s",
                            schema_column(schema_rollup_field(i / ARRAY_SIZE(rollup_suffixes)), column),
                            rollup_suffixes[i % ARRAY_SIZE(rollup_suffixes)]);
    sqlite3_str_appendall(s, ") VALUES (?, ?, ?, ?");
    for (size_t i = 0; i < ROLLUP_FIELD_COUNT * ARRAY_SIZE(rollup_suffixes); i++)
        sqlite3_str_appendall(s, ", ?");
    sqlite3_str_appendall(s, ")");
    return sqlite3_str_finish(s);
}
