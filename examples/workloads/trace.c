/* SPDX-License-Identifier: MIT */
/*
 * trace: see trace.h.
 */
#include "trace.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COLUMN_LINE "Time(s), RSS(MB), VSZ(MB), Threads"

enum { TRACE_ROWS_MAX = 10 * 1000 * 1000 }; /* chosen: four months of seconds */

static int append_row(struct trace *trace, struct trace_row row)
{
    if ((trace->count & (trace->count - 1)) == 0) { /* room doubles whenever the count is a power of two */
        size_t room = trace->count ? trace->count * 2 : 1;
        struct trace_row *rows = realloc(trace->rows, room * sizeof *rows);
        if (!rows)
            return -ENOMEM;
        trace->rows = rows;
    }
    trace->rows[trace->count++] = row;
    return 0;
}

/* One row of four numbers, nothing behind them, none negative. */
static bool parse_row(const char *line, struct trace_row *ret_row)
{
    double vsz_mb;
    char rest;
    struct trace_row row;
    if (sscanf(line, "%lf , %lf , %lf , %lf %c", &row.time_s, &row.rss_mb, &vsz_mb, &row.threads_count,
               &rest) != 4)
        return false;
    if (!(row.time_s >= 0 && row.rss_mb >= 0 && row.rss_mb < 1e9 && row.threads_count >= 0 &&
          row.threads_count < 1e6))
        return false;
    *ret_row = row;
    return true;
}

static int bad_line(char *ret_why, size_t why_size, long number, const char *what)
{
    snprintf(ret_why, why_size, "line %ld: %s", number, what);
    return -EINVAL;
}

/* Reads rows after the column line; the first line that does not begin with a digit closes the log. */
static int read_rows(struct trace *trace, FILE *file, char *ret_why, size_t why_size)
{
    char line[512];
    bool in_rows = false;
    for (long number = 1; fgets(line, sizeof line, file); number++) {
        struct trace_row row;
        if (!in_rows) {
            in_rows = strncmp(line, COLUMN_LINE, strlen(COLUMN_LINE)) == 0;
            continue;
        }
        if (line[0] < '0' || line[0] > '9')
            break;
        if (!parse_row(line, &row))
            return bad_line(ret_why, why_size, number,
                            "not four numbers, as in \"0, 863.30, 406952.00, 31\"");
        if (trace->count && row.time_s <= trace->rows[trace->count - 1].time_s)
            return bad_line(ret_why, why_size, number, "time does not rise");
        if (trace->count == TRACE_ROWS_MAX)
            return bad_line(ret_why, why_size, number, "too many rows");
        if (append_row(trace, row) < 0) {
            snprintf(ret_why, why_size, "out of memory");
            return -ENOMEM;
        }
    }
    if (ferror(file)) {
        snprintf(ret_why, why_size, "read: %s", strerror(errno));
        return -EIO;
    }
    if (trace->count == 0) {
        snprintf(ret_why, why_size, "no rows after a line \"" COLUMN_LINE "\"");
        return -EINVAL;
    }
    return 0;
}

int trace_read(struct trace *ret_trace, const char *path, char *ret_why, size_t why_size)
{
    FILE *file = fopen(path, "re");
    if (!file) {
        int error = -errno;
        snprintf(ret_why, why_size, "open: %s", strerror(errno));
        return error;
    }
    struct trace trace = TRACE_NULL;
    int result = read_rows(&trace, file, ret_why, why_size);
    fclose(file);
    if (result < 0)
        trace_deinit(&trace);
    else
        *ret_trace = trace;
    return result;
}

void trace_deinit(struct trace *trace)
{
    free(trace->rows);
    *trace = TRACE_NULL;
}

double trace_first_s(const struct trace *trace)
{
    return trace->rows[0].time_s;
}

double trace_last_s(const struct trace *trace)
{
    return trace->rows[trace->count - 1].time_s;
}

/* Index of the last row at or before time_s; the caller has made sure there is one. */
static size_t row_before(const struct trace *trace, double time_s)
{
    size_t low = 0, high = trace->count - 1;
    while (low < high) {
        size_t middle = low + (high - low + 1) / 2;
        if (trace->rows[middle].time_s <= time_s)
            low = middle;
        else
            high = middle - 1;
    }
    return low;
}

struct trace_row trace_at(const struct trace *trace, double time_s)
{
    if (time_s <= trace_first_s(trace))
        return trace->rows[0];
    if (time_s >= trace_last_s(trace))
        return trace->rows[trace->count - 1];
    const struct trace_row *a = &trace->rows[row_before(trace, time_s)];
    const struct trace_row *b = a + 1;
    double part = (time_s - a->time_s) / (b->time_s - a->time_s);
    return (struct trace_row){
        .time_s = time_s,
        .rss_mb = a->rss_mb + part * (b->rss_mb - a->rss_mb),
        .threads_count = a->threads_count + part * (b->threads_count - a->threads_count),
    };
}
