/* SPDX-License-Identifier: MIT */
/*
 * trace: a recorded memory log, read whole.
 *
 * The format is what a process monitor printed (data/traces): any text before the column line
 * `Time(s), RSS(MB), VSZ(MB), Threads`, then rows in rising time, then a closing line. Seconds may be
 * missing. Between rows values are interpolated. MB are 1024 x 1024 bytes, as the monitor divided kB by 1024.
 */
#ifndef WORKLOADS_TRACE_H
#define WORKLOADS_TRACE_H

#include <stddef.h>

struct trace_row {
    double time_s;
    double rss_mb;
    double threads_count;
};

struct trace {
    struct trace_row *rows;
    size_t count;
};

#define TRACE_NULL ((struct trace){0})

/*
 * Reads the file at path. Returns 0, or a negative errno with a sentence in ret_why: -EINVAL for text that is
 * no such log (the sentence names the line), otherwise what open or read said. On failure ret_trace is
 * untouched.
 */
int trace_read(struct trace *ret_trace, const char *path, char *ret_why, size_t why_size);

/* Frees the rows; idempotent. */
void trace_deinit(struct trace *trace);

/* Time of the first and last row, seconds. */
double trace_first_s(const struct trace *trace);
double trace_last_s(const struct trace *trace);

/* The values at time_s, interpolated; before the first and after the last row those rows' values. */
struct trace_row trace_at(const struct trace *trace, double time_s);

#endif
