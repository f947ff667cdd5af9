/* SPDX-License-Identifier: MIT */
/* Bytes per sample on disk and time per sample: an hour of one unit with all fields and four processes,
 * twice: raw rows alone as they lie in their tables, and the whole file with roll-ups. */
#include "history.h"

#include <sqlite3.h>
#include <time.h>

#define SAMPLES 3600

static double seconds(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* Figures of the size the first workload has (a worker of some GB, 100 threads, VSZ 400 GB). */
static struct event realistic(uint64_t i, uint64_t *rng)
{
    static const uint64_t sizes[] = {2500000000, 1200000000, 170000000, 10000000};
    static const char *const comms[] = {"python3", "node", "uv", "sh"};
    struct event e = history_sample(i + 1, i * USEC_PER_SEC, 1, sizes[0] + rng_below(rng, 100000000));
    for (int f = 0; f < SAMPLE_FIELD_COUNT; f++)
        switch (sample_field_info(f)->type) {
        case SAMPLE_TYPE_BYTES:
            sample_set(&e.sample, f,
                       f == SAMPLE_MEMORY_HIGH ? UINT64_MAX : sizes[0] + rng_below(rng, 100000000));
            break;
        case SAMPLE_TYPE_COUNT:
            sample_set(&e.sample, f, rng_below(rng, 200));
            break;
        case SAMPLE_TYPE_USEC:
            sample_set(&e.sample, f, i * 300000);
            break;
        case SAMPLE_TYPE_FLAG:
            sample_set(&e.sample, f, f == SAMPLE_POPULATED);
            break;
        }
    e.sample.late_us = rng_below(rng, 300);
    e.sample.top_count = 4;
    for (int p = 0; p < 4; p++) {
        e.sample.top[p] =
            (struct sample_process){20000 + p, (uint32_t)(100 >> p), sizes[p], 430000000000, ""};
        snprintf(e.sample.top[p].comm, SAMPLE_COMM_MAX, "%s", comms[p]);
    }
    return e;
}

int main(void)
{
    struct history h;
    struct store_status st;
    uint64_t rng = 1;
    history_make(&h);
    struct store *s = history_open(&h);
    history_begin(s);
    double begin = seconds();
    for (uint64_t i = 0; i < SAMPLES; i++) {
        struct event e = realistic(i, &rng);
        store_event(s, &e);
        if (i % 10 == 9)
            history_flush(s);
    }
    double end = seconds();
    store_get_status(s, &st);
    store_close(s);
    sqlite3 *db;
    sqlite3_stmt *stmt;
    sqlite3_open(h.path, &db);
    struct stat file;
    stat(h.path, &file);
    printf("%llu samples, %.1f bytes each on disk with roll-ups, %.1f us each to write\n",
           (unsigned long long)st.samples_written, (double)file.st_size / SAMPLES,
           (end - begin) * 1e6 / SAMPLES);
    if (sqlite3_prepare_v2(
            db, "SELECT name, sum(pgsize), sum(payload) FROM dbstat GROUP BY name ORDER BY 2 DESC LIMIT 6",
            -1, &stmt, NULL) == SQLITE_OK)
        while (sqlite3_step(stmt) == SQLITE_ROW)
            printf("  %-14s %8.1f bytes a sample (payload %.1f)\n",
                   (const char *)sqlite3_column_text(stmt, 0), sqlite3_column_double(stmt, 1) / SAMPLES,
                   sqlite3_column_double(stmt, 2) / SAMPLES);
    sqlite3_finalize(stmt);
    sqlite3_close(db);
    history_remove(&h);
    return 0;
}
