/* SPDX-License-Identifier: MIT */
/*
 * Sizes, times and shares as people write them; see the header.
 *
 * One scanner reads "digits[.digits]" into a fixed-point number with nine decimals and hands the rest of
 * the string to a table of suffixes. No floating point: a limit read from a config must be the same
 * number on every machine.
 */
#include "weir/base/units.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "weir/base/cleanup.h"

#define PERCENT_MAX  10000         /* as the header promises: 100 cpus, with room */
#define FRACTION_ONE 1000000000ULL /* nine decimals: 1 ns of a second, 1 byte of a gigabyte */

struct suffix {
    const char *name;
    uint64_t factor;
};

static const struct suffix size_suffixes[] = {
    {"", 1},
    {"B", 1},
    {"K", 1ULL << 10},
    {"KB", 1ULL << 10},
    {"KiB", 1ULL << 10},
    {"M", 1ULL << 20},
    {"MB", 1ULL << 20},
    {"MiB", 1ULL << 20},
    {"G", 1ULL << 30},
    {"GB", 1ULL << 30},
    {"GiB", 1ULL << 30},
    {"T", 1ULL << 40},
    {"TB", 1ULL << 40},
    {"TiB", 1ULL << 40},
    {"P", 1ULL << 50},
    {"PB", 1ULL << 50},
    {"PiB", 1ULL << 50},
    {"E", 1ULL << 60},
    {"EB", 1ULL << 60},
    {"EiB", 1ULL << 60},
};

static const struct suffix time_suffixes[] = {
    {"us", 1},
    {"usec", 1},
    {"ms", USEC_PER_MSEC},
    {"msec", USEC_PER_MSEC},
    {"s", USEC_PER_SEC},
    {"sec", USEC_PER_SEC},
    {"second", USEC_PER_SEC},
    {"seconds", USEC_PER_SEC},
    {"m", 60 * USEC_PER_SEC},
    {"min", 60 * USEC_PER_SEC},
    {"minute", 60 * USEC_PER_SEC},
    {"minutes", 60 * USEC_PER_SEC},
    {"h", 3600 * USEC_PER_SEC},
    {"hour", 3600 * USEC_PER_SEC},
    {"hours", 3600 * USEC_PER_SEC},
    {"d", 86400 * USEC_PER_SEC},
    {"day", 86400 * USEC_PER_SEC},
    {"days", 86400 * USEC_PER_SEC},
    {"w", 7 * 86400 * USEC_PER_SEC},
};

static const char *skip_blanks(const char *s)
{
    while (*s == ' ' || *s == '\t')
        s++;
    return s;
}

/* Reads "12" or "12.5" at *s; the value is whole + fraction/FRACTION_ONE. */
static int scan_number(const char **s, uint64_t *ret_whole, uint64_t *ret_fraction)
{
    const char *p = *s;
    if (!isdigit((unsigned char)*p))
        return -EINVAL;
    uint64_t whole = 0;
    for (; isdigit((unsigned char)*p); p++)
        if (__builtin_mul_overflow(whole, 10U, &whole) ||
            __builtin_add_overflow(whole, (uint64_t)(*p - '0'), &whole))
            return -ERANGE;
    uint64_t fraction = 0;
    if (*p == '.') {
        if (!isdigit((unsigned char)p[1]))
            return -EINVAL;
        uint64_t place = FRACTION_ONE / 10;
        for (p++; isdigit((unsigned char)*p); p++, place /= 10)
            fraction += (uint64_t)(*p - '0') * place;
    }
    *s = p;
    *ret_whole = whole;
    *ret_fraction = fraction;
    return 0;
}

static int scale_number(uint64_t whole, uint64_t fraction, uint64_t factor, uint64_t *ret)
{
    uint64_t scaled;
    if (__builtin_mul_overflow(whole, factor, &scaled) ||
        __builtin_add_overflow(scaled, mul_div_u64(fraction, factor, FRACTION_ONE), &scaled))
        return -ERANGE;
    *ret = scaled;
    return 0;
}

/* The suffix is the run of letters at s; *ret_rest is what follows it. */
static int find_suffix(const struct suffix *table, size_t count, const char *s, const char **ret_rest,
                       uint64_t *ret_factor)
{
    size_t length = 0;
    while (isalpha((unsigned char)s[length]))
        length++;
    for (size_t i = 0; i < count; i++)
        if (strlen(table[i].name) == length && strncasecmp(table[i].name, s, length) == 0) {
            *ret_rest = s + length;
            *ret_factor = table[i].factor;
            return 0;
        }
    return -EINVAL;
}

static int is_infinity(const char *s)
{
    s = skip_blanks(s);
    size_t length = strcspn(s, " \t");
    return *skip_blanks(s + length) == '\0' && ((length == 8 && strncasecmp(s, "infinity", 8) == 0) ||
                                                (length == 3 && strncasecmp(s, "max", 3) == 0));
}

int parse_size(const char *s, uint64_t *ret_bytes)
{
    if (is_infinity(s)) {
        *ret_bytes = UINT64_MAX;
        return 0;
    }
    uint64_t whole, fraction, factor, bytes;
    s = skip_blanks(s);
    int r = scan_number(&s, &whole, &fraction);
    if (r < 0)
        return r;
    s = skip_blanks(s);
    r = find_suffix(size_suffixes, ARRAY_SIZE(size_suffixes), s, &s, &factor);
    if (r < 0)
        return r;
    if (*skip_blanks(s) != '\0' || (factor == 1 && fraction != 0))
        return -EINVAL;
    r = scale_number(whole, fraction, factor, &bytes);
    if (r < 0)
        return r;
    *ret_bytes = bytes;
    return 0;
}

int parse_duration(const char *s, uint64_t *ret_us)
{
    if (is_infinity(s)) {
        *ret_us = USEC_INFINITY;
        return 0;
    }
    uint64_t total = 0;
    int parts = 0;
    for (s = skip_blanks(s); *s; s = skip_blanks(s), parts++) {
        uint64_t whole, fraction, part, factor = USEC_PER_SEC;
        int r = scan_number(&s, &whole, &fraction);
        if (r < 0)
            return r;
        s = skip_blanks(s);
        /* a bare number is seconds, but only when it is all there is: "2h30" would be a trap */
        if (*s == '\0' && parts > 0)
            return -EINVAL;
        if (*s != '\0') {
            r = find_suffix(time_suffixes, ARRAY_SIZE(time_suffixes), s, &s, &factor);
            if (r < 0)
                return r;
        }
        r = scale_number(whole, fraction, factor, &part);
        if (r < 0)
            return r;
        if (__builtin_add_overflow(total, part, &total))
            return -ERANGE;
    }
    if (parts == 0)
        return -EINVAL;
    *ret_us = total;
    return 0;
}

int parse_percent(const char *s, uint32_t *ret_permyriad)
{
    uint64_t whole, fraction;
    s = skip_blanks(s);
    int r = scan_number(&s, &whole, &fraction);
    if (r < 0)
        return r;
    s = skip_blanks(s);
    if (*s != '%' || *skip_blanks(s + 1) != '\0')
        return -EINVAL;
    uint64_t hundredths = fraction / (FRACTION_ONE / 100);
    if (whole > PERCENT_MAX || whole * 100 + hundredths > PERCENT_MAX * 100)
        return -ERANGE;
    *ret_permyriad = (uint32_t)(whole * 100 + hundredths);
    return 0;
}

int parse_u64(const char *s, uint64_t *ret)
{
    uint64_t whole, fraction;
    s = skip_blanks(s);
    const char *end = s;
    int r = scan_number(&end, &whole, &fraction);
    if (r < 0)
        return r;
    if (memchr(s, '.', (size_t)(end - s)) || *skip_blanks(end) != '\0')
        return -EINVAL;
    *ret = whole;
    return 0;
}

static const struct {
    const char *name;
    uint64_t us;
} pace_spans[] = {{"s", USEC_PER_SEC}, {"min", 60 * USEC_PER_SEC}};

int parse_pace(const char *s, uint32_t *ret_count, uint64_t *ret_per_us)
{
    uint64_t whole, fraction, per_us = 0;
    const char *end = s = skip_blanks(s);
    int r = scan_number(&end, &whole, &fraction);
    if (r < 0)
        return r;
    if (memchr(s, '.', (size_t)(end - s)))
        return -EINVAL;
    end = skip_blanks(end);
    if (*end == '/') {
        end = skip_blanks(end + 1);
        size_t length = strcspn(end, " \t");
        for (size_t i = 0; i < ARRAY_SIZE(pace_spans); i++)
            if (strlen(pace_spans[i].name) == length && strncmp(pace_spans[i].name, end, length) == 0)
                per_us = pace_spans[i].us;
        if (per_us == 0)
            return -EINVAL;
        end = skip_blanks(end + length);
    }
    if (*end != '\0')
        return -EINVAL;
    if (whole < 1 || whole > PACE_MAX)
        return -ERANGE;
    *ret_count = (uint32_t)whole;
    *ret_per_us = per_us;
    return 0;
}

const char *format_pace(uint32_t count, uint64_t per_us, char buf[static FORMAT_PACE_MAX])
{
    const char *span = "";
    for (size_t i = 0; i < ARRAY_SIZE(pace_spans); i++)
        if (pace_spans[i].us == per_us)
            span = pace_spans[i].name;
    (void)snprintf(buf, FORMAT_PACE_MAX, "%" PRIu32 "%s%s", count, *span ? "/" : "", span);
    return buf;
}

int parse_bool(const char *s, int *ret)
{
    static const char *const words[2][4] = {{"no", "false", "off", "0"}, {"yes", "true", "on", "1"}};
    s = skip_blanks(s);
    size_t length = strcspn(s, " \t");
    if (*skip_blanks(s + length) != '\0')
        return -EINVAL;
    for (int value = 0; value < 2; value++)
        for (size_t i = 0; i < ARRAY_SIZE(words[value]); i++)
            if (strlen(words[value][i]) == length && strncasecmp(words[value][i], s, length) == 0) {
                *ret = value;
                return 0;
            }
    return -EINVAL;
}

const char *format_size(uint64_t bytes, char buf[static FORMAT_SIZE_MAX])
{
    if (bytes == UINT64_MAX) {
        (void)snprintf(buf, FORMAT_SIZE_MAX, "max");
        return buf;
    }
    static const char letters[] = "BKMGTPE";
    unsigned step = 0;
    uint64_t unit = 1;
    while (step < 6 && bytes / unit >= 1024) {
        unit <<= 10;
        step++;
    }
    unsigned tenths = (unsigned)mul_div_u64(bytes % unit, 10, unit) % 10; /* % 10: for the compiler's sake */
    if (step == 0 || tenths == 0 || bytes / unit >= 100)
        (void)snprintf(buf, FORMAT_SIZE_MAX, "%" PRIu64 "%c", bytes / unit, letters[step]);
    else
        (void)snprintf(buf, FORMAT_SIZE_MAX, "%" PRIu64 ".%u%c", bytes / unit, tenths, letters[step]);
    return buf;
}

/* "3min 20s"; "3min" when nothing is left over. */
static void format_two(char buf[static FORMAT_DURATION_MAX], uint64_t count, uint64_t per, const char *large,
                       const char *small)
{
    if (count % per == 0)
        (void)snprintf(buf, FORMAT_DURATION_MAX, "%" PRIu64 "%s", count / per, large);
    else
        (void)snprintf(buf, FORMAT_DURATION_MAX, "%" PRIu64 "%s %" PRIu64 "%s", count / per, large,
                       count % per, small);
}

const char *format_duration(uint64_t us, char buf[static FORMAT_DURATION_MAX])
{
    uint64_t seconds = us / USEC_PER_SEC, ms = us / USEC_PER_MSEC;
    if (us == USEC_INFINITY)
        (void)snprintf(buf, FORMAT_DURATION_MAX, "infinity");
    else if (us < USEC_PER_MSEC)
        (void)snprintf(buf, FORMAT_DURATION_MAX, "%" PRIu64 "us", us);
    else if (us < USEC_PER_SEC)
        (void)snprintf(buf, FORMAT_DURATION_MAX, "%" PRIu64 "ms", ms);
    else if (seconds < 60 && ms % 1000 != 0)
        (void)snprintf(buf, FORMAT_DURATION_MAX, "%" PRIu64 ".%03" PRIu64 "s", seconds, ms % 1000);
    else if (seconds < 60)
        (void)snprintf(buf, FORMAT_DURATION_MAX, "%" PRIu64 "s", seconds);
    else if (seconds < 3600)
        format_two(buf, seconds, 60, "min", "s");
    else if (seconds < 86400)
        format_two(buf, seconds / 60, 60, "h", "min");
    else
        format_two(buf, seconds / 3600, 24, "d", "h");
    return buf;
}

uint64_t mul_div_u64(uint64_t a, uint64_t num, uint64_t den)
{
    unsigned __int128 product = (unsigned __int128)a * num / den;
    return product > UINT64_MAX ? UINT64_MAX : (uint64_t)product;
}
