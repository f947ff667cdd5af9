/* SPDX-License-Identifier: MIT */
/*
 * The monitor log format of the recorded runs:
 *     Monitoring PID 20081 for 300s (1s interval)
 *     Time(s), RSS(MB), VSZ(MB), Threads
 *     0, 863.30, 406952.00, 31
 *     ...
 *     Process 20081 terminated
 * Pure text in, numbers out. A hole in the seconds is a hole, never filled in.
 */
#ifndef WEIR_MODEL_TRACE_H
#define WEIR_MODEL_TRACE_H

#include <stddef.h>
#include <stdint.h>

enum trace_line {
    TRACE_LINE_ROW = 1,        /* *ret_row is set */
    TRACE_LINE_OPENING = 2,    /* "Monitoring PID ..." */
    TRACE_LINE_HEADER = 3,     /* "Time(s), RSS(MB), ..." */
    TRACE_LINE_TERMINATED = 4, /* "Process N terminated" */
    TRACE_LINE_BLANK = 5,
};

struct trace_row {
    uint64_t t_us;      /* seconds of the log, as microseconds */
    uint64_t rss_bytes; /* MB of the log are 1024 * 1024 bytes (ps prints KiB, the log divided by 1024) */
    uint64_t vsz_bytes;
    uint32_t threads;
};

/* Parses one line (with or without its newline). enum trace_line, or -EINVAL. *ret_row is set for rows only. */
int trace_parse_line(const char *line, struct trace_row *ret_row);

/* Writes one row as the recorded logs have it ("21, 2542.44, 411751.00, 63"). Returns the length or -EMSGSIZE. */
int trace_format_row(const struct trace_row *row, char *buf, size_t size);

#endif
