/* SPDX-License-Identifier: MIT */
/*
 * The monitor log format; see the header. Fixed point throughout: the log's MB have two decimals, so a row is
 * read as hundredths of a MiB and turned into bytes, rounded to nearest; written back it is the same text.
 */
#include "weir/model/trace.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "scan.h"
#include "weir/base/units.h"

#define MIB (UINT64_C(1) << 20)

static const char *skip_blanks(const char *s)
{
    return s + strspn(s, " \t");
}

static bool is_line_end(const char *s)
{
    return s[strspn(s, " \t\r\n")] == '\0';
}

/* "12" or "12.5" as whole and fraction * 10^digits; more decimals than that are refused. */
static bool scan_decimal(const char **s, unsigned digits, uint64_t *ret_whole, uint64_t *ret_fraction)
{
    *ret_fraction = 0;
    if (!scan_u64(s, ret_whole))
        return false;
    if (**s != '.')
        return true;
    const char *first = ++*s;
    if (!scan_u64(s, ret_fraction) || *s - first > (ptrdiff_t)digits)
        return false;
    for (ptrdiff_t i = *s - first; i < (ptrdiff_t)digits; i++)
        *ret_fraction *= 10;
    return true;
}

static bool scan_comma(const char **s)
{
    *s = skip_blanks(*s);
    if (**s != ',')
        return false;
    *s = skip_blanks(*s + 1);
    return true;
}

static bool scan_mb(const char **s, uint64_t *ret_bytes)
{
    uint64_t whole, hundredths, bytes;
    if (!scan_decimal(s, 2, &whole, &hundredths) || __builtin_mul_overflow(whole, MIB, &bytes) ||
        __builtin_add_overflow(bytes, (hundredths * MIB + 50) / 100, &bytes))
        return false;
    *ret_bytes = bytes;
    return true;
}

static bool scan_seconds(const char **s, uint64_t *ret_us)
{
    uint64_t whole, us, total;
    if (!scan_decimal(s, 6, &whole, &us) || __builtin_mul_overflow(whole, USEC_PER_SEC, &total) ||
        __builtin_add_overflow(total, us, &total))
        return false;
    *ret_us = total;
    return true;
}

static int parse_row(const char *s, struct trace_row *ret_row)
{
    struct trace_row row;
    uint64_t threads;
    if (!scan_seconds(&s, &row.t_us) || !scan_comma(&s) || !scan_mb(&s, &row.rss_bytes) || !scan_comma(&s) ||
        !scan_mb(&s, &row.vsz_bytes) || !scan_comma(&s) || !scan_u64(&s, &threads) || threads > UINT32_MAX ||
        !is_line_end(s))
        return -EINVAL;
    row.threads = (uint32_t)threads;
    *ret_row = row;
    return TRACE_LINE_ROW;
}

/* "Process 20081 terminated" */
static bool is_terminated(const char *s)
{
    uint64_t pid;
    return scan_word(&s, "Process ") && scan_u64(&s, &pid) && scan_word(&s, " terminated") && is_line_end(s);
}

int trace_parse_line(const char *line, struct trace_row *ret_row)
{
    line = skip_blanks(line);
    if (is_line_end(line))
        return TRACE_LINE_BLANK;
    if (*line >= '0' && *line <= '9')
        return parse_row(line, ret_row);
    if (scan_word(&line, "Monitoring PID "))
        return TRACE_LINE_OPENING;
    if (scan_word(&line, "Time(s),"))
        return TRACE_LINE_HEADER;
    return is_terminated(line) ? TRACE_LINE_TERMINATED : -EINVAL;
}

/* bytes as MB with two decimals, rounded to nearest. */
static void split_mb(uint64_t bytes, uint64_t *ret_whole, unsigned *ret_hundredths)
{
    uint64_t hundredths = (bytes % MIB * 100 + MIB / 2) / MIB;
    *ret_whole = bytes / MIB + hundredths / 100;
    *ret_hundredths = (unsigned)(hundredths % 100);
}

/* ".05", "" for a whole second: the recorded logs have whole ones. */
static void format_fraction(uint64_t us, char buf[static 8])
{
    buf[0] = '\0';
    if (us == 0)
        return;
    (void)snprintf(buf, 8, ".%06u", (unsigned)(us % USEC_PER_SEC));
    for (size_t i = 6; buf[i] == '0'; i--)
        buf[i] = '\0';
}

int trace_format_row(const struct trace_row *row, char *buf, size_t size)
{
    uint64_t rss, vsz, seconds = row->t_us / USEC_PER_SEC;
    unsigned rss_hundredths, vsz_hundredths;
    char fraction[8];
    split_mb(row->rss_bytes, &rss, &rss_hundredths);
    split_mb(row->vsz_bytes, &vsz, &vsz_hundredths);
    format_fraction(row->t_us % USEC_PER_SEC, fraction);
    int n = snprintf(buf, size, "%" PRIu64 "%s, %" PRIu64 ".%02u, %" PRIu64 ".%02u, %" PRIu32, seconds,
                     fraction, rss, rss_hundredths, vsz, vsz_hundredths, row->threads);
    return n < 0 || (size_t)n >= size ? -EMSGSIZE : n;
}
