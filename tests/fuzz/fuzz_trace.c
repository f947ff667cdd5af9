/* SPDX-License-Identifier: MIT */
/* Monitor logs, line by line: a row that is read and written is read as the same row again. */
#include "fuzz.h"

#include "weir/base/cleanup.h"
#include "weir/model/trace.h"

#define UNTOUCHED 0x5a

static void check_line(const char *line)
{
    struct trace_row row, again;
    char text[128];
    memset(&row, UNTOUCHED, sizeof(row));
    again = row;
    int kind = trace_parse_line(line, &row);
    if (kind != TRACE_LINE_ROW) {
        HOLDS(memcmp(&row, &again, sizeof(row)) == 0);
        return;
    }
    int length = trace_format_row(&row, text, sizeof(text));
    HOLDS(length > 0 && strlen(text) == (size_t)length);
    HOLDS(trace_parse_line(text, &again) == TRACE_LINE_ROW);
    HOLDS(row.t_us == again.t_us && row.threads == again.threads);
    HOLDS(row.rss_bytes == again.rss_bytes && row.vsz_bytes == again.vsz_bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_free_ char *text = fuzz_text(data, size);
    char *line = text;
    while (line) {
        char *newline = strchr(line, '\n');
        if (newline)
            *newline = '\0';
        check_line(line);
        line = newline ? newline + 1 : NULL;
    }
    return 0;
}
