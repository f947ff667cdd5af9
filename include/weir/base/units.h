/* SPDX-License-Identifier: MIT */
/*
 * Sizes, times and shares as people write them, both ways.
 *
 * Integers only: "1.5G" is exact to the byte, shares are permyriad (1/100 of a percent), times are
 * microseconds. Every parser takes the whole string: leading and trailing blanks are allowed, anything
 * else left over is -EINVAL. Overflow is -ERANGE. Outputs are untouched on failure.
 */
#ifndef WEIR_BASE_UNITS_H
#define WEIR_BASE_UNITS_H

#include <stddef.h>
#include <stdint.h>

#define USEC_PER_SEC  1000000ULL
#define USEC_PER_MSEC 1000ULL
#define USEC_INFINITY UINT64_MAX
#define PERMYRIAD_ONE 10000U /* 100 % */

/* "512M", "1.5G", "4096", "64 KiB": K, M, G, T, P, E are powers of 1024 (as systemd's limits are), with an
 * optional "B" or "iB". "infinity" and "max" give UINT64_MAX. */
int parse_size(const char *s, uint64_t *ret_bytes);

/* "90s", "1.5m", "100ms", "2h30m", "7d", "1w", "250us"; a bare number is seconds. "infinity" gives
 * USEC_INFINITY. */
int parse_duration(const char *s, uint64_t *ret_us);

/* "85%", "12.5 %": permyriad, 0..1000000 (10,000 %). */
int parse_percent(const char *s, uint32_t *ret_permyriad);

/* Whole decimal number, no sign. */
int parse_u64(const char *s, uint64_t *ret);

/* How many requests may pass a gate. "4": four in flight, *ret_per_us = 0; "4/s", "30/min": so many in that time.
 * From 1 to PACE_MAX; -ERANGE beyond. */
#define PACE_MAX 65535 /* chosen: more at once are as good as no bound */
int parse_pace(const char *s, uint32_t *ret_count, uint64_t *ret_per_us);

/* "yes|true|on|1" and "no|false|off|0", any case. */
int parse_bool(const char *s, int *ret);

#define FORMAT_SIZE_MAX     24
#define FORMAT_DURATION_MAX 32

#define FORMAT_PACE_MAX 16
/* "4", "4/s", "30/min": what parse_pace() reads. Returns buf. */
const char *format_pace(uint32_t count, uint64_t per_us, char buf[static FORMAT_PACE_MAX]);

/* "3.9G", "512M", "812K", "17B"; UINT64_MAX is "max". Returns buf. */
const char *format_size(uint64_t bytes, char buf[static FORMAT_SIZE_MAX]);

/* "1.250s", "12ms", "3min 20s", "2h 5min", "2h", "350us"; USEC_INFINITY is "infinity". Rounded down.
 * parse_duration() reads it back. Returns buf. */
const char *format_duration(uint64_t us, char buf[static FORMAT_DURATION_MAX]);

/* a * num / den with a 128-bit middle, rounded down; den > 0. Saturates at UINT64_MAX. */
uint64_t mul_div_u64(uint64_t a, uint64_t num, uint64_t den);

#endif
