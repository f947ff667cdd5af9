/* SPDX-License-Identifier: MIT */
/* Points in time as people write them; see the header. */
#include "weir/base/when.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "weir/base/units.h"

static int local_midnight(uint64_t now_us, int days_back, uint64_t *ret_us)
{
    time_t seconds = (time_t)(now_us / USEC_PER_SEC);
    struct tm tm;
    if (!localtime_r(&seconds, &tm))
        return -ERANGE;
    tm.tm_hour = tm.tm_min = tm.tm_sec = 0;
    tm.tm_mday -= days_back;
    tm.tm_isdst = -1;
    time_t t = mktime(&tm);
    if (t < 0)
        return -ERANGE;
    *ret_us = (uint64_t)t * USEC_PER_SEC;
    return 0;
}

static int before_now(const char *duration, uint64_t now_us, uint64_t *ret_us)
{
    uint64_t us;
    int r = parse_duration(duration, &us);
    if (r < 0)
        return r;
    if (us > now_us)
        return -ERANGE;
    *ret_us = now_us - us;
    return 0;
}

static int parse_epoch(const char *s, uint64_t *ret_us)
{
    uint64_t us;
    int r = parse_duration(s, &us);
    /* only a bare number counts here; parse_duration takes suffixes too */
    if (r < 0 || s[strspn(s, "0123456789.")] != '\0')
        return r < 0 ? r : -EINVAL;
    *ret_us = us;
    return 0;
}

static int parse_calendar(const char *s, uint64_t now_us, uint64_t *ret_us)
{
    static const char *const formats[] = {
        "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M",
        "%Y-%m-%d",          "%H:%M:%S",          "%H:%M"};
    for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
        time_t now = (time_t)(now_us / USEC_PER_SEC);
        struct tm tm;
        if (!localtime_r(&now, &tm))
            return -ERANGE;
        int day = tm.tm_mday;
        tm.tm_hour = tm.tm_min = tm.tm_sec = 0;
        const char *end = strptime(s, formats[i], &tm);
        if (!end || *end != '\0')
            continue;
        int wanted_day = strchr(formats[i], 'd') ? tm.tm_mday : day;
        tm.tm_isdst = -1;
        time_t t = mktime(&tm);
        /* mktime turns the 31st of February into March: that is a typing error, not a date */
        if (t < 0 || tm.tm_mday != wanted_day)
            return -EINVAL;
        *ret_us = (uint64_t)t * USEC_PER_SEC;
        return 0;
    }
    return -EINVAL;
}

int parse_when(const char *s, uint64_t now_us, uint64_t *ret_us)
{
    while (*s == ' ')
        s++;
    if (strcmp(s, "now") == 0) {
        *ret_us = now_us;
        return 0;
    }
    if (strcmp(s, "today") == 0 || strcmp(s, "yesterday") == 0)
        return local_midnight(now_us, s[0] == 'y', ret_us);
    if (s[0] == '-')
        return before_now(s + 1, now_us, ret_us);
    if (s[0] == '@')
        return parse_epoch(s + 1, ret_us);
    size_t length = strlen(s);
    if (length > 4 && strcmp(s + length - 4, " ago") == 0 && length < 64) {
        char duration[64];
        memcpy(duration, s, length - 4);
        duration[length - 4] = '\0';
        return before_now(duration, now_us, ret_us);
    }
    return parse_calendar(s, now_us, ret_us);
}

const char *format_when(uint64_t wall_us, char buf[static FORMAT_WHEN_MAX])
{
    time_t seconds = (time_t)(wall_us / USEC_PER_SEC);
    struct tm tm;
    if (!localtime_r(&seconds, &tm)) {
        (void)snprintf(buf, FORMAT_WHEN_MAX, "@%llu", (unsigned long long)(wall_us / USEC_PER_SEC));
        return buf;
    }
    size_t n = strftime(buf, FORMAT_WHEN_MAX, "%Y-%m-%d %H:%M:%S", &tm);
    (void)snprintf(buf + n, FORMAT_WHEN_MAX - n, ".%03u", (unsigned)(wall_us % USEC_PER_SEC / 1000));
    return buf;
}
