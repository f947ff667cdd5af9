/* SPDX-License-Identifier: MIT */
/* Points in time as people write them. */
#ifndef WEIR_BASE_WHEN_H
#define WEIR_BASE_WHEN_H

#include <stdint.h>

/*
 * Accepts: "now", "today", "yesterday" (local midnight), "-10m", "10m ago" (a duration before now),
 * "2025-11-05", "2025-11-05 12:23", "2025-11-05 12:23:45", "2025-11-05T12:23:45", "12:23" and "12:23:45" (today), "@1730800000"
 * (seconds since the epoch, with an optional fraction). Local time zone.
 * now_us: the caller's idea of now, wall clock microseconds. Returns 0, -EINVAL or -ERANGE.
 */
int parse_when(const char *s, uint64_t now_us, uint64_t *ret_us);

#define FORMAT_WHEN_MAX 40

/* "2025-11-05 12:23:45.123" local time. Returns buf. */
const char *format_when(uint64_t wall_us, char buf[static FORMAT_WHEN_MAX]);

#endif
