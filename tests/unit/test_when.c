/* SPDX-License-Identifier: MIT */
/* Points in time, in a zone with summer time. now is 2025-11-05 12:30:15.5 in Berlin. */
#include "check.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "weir/base/cleanup.h"
#include "weir/base/units.h"
#include "weir/base/when.h"

#define NOW_US    (1762342215ULL * USEC_PER_SEC + 500000)
#define MIDNIGHT  (1762297200ULL * USEC_PER_SEC)
#define UNTOUCHED 4711

static int set_zone(void **state)
{
    (void)state;
    /* written out, so that the test does not need tzdata */
    setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1);
    tzset();
    return 0;
}

static void words_and_clocks(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t us;
    } cases[] = {
        {"now", NOW_US},
        {" now", NOW_US},
        {"today", MIDNIGHT},
        {"yesterday", MIDNIGHT - 86400 * USEC_PER_SEC},
        {"-10m", NOW_US - 600 * USEC_PER_SEC},
        {"10m ago", NOW_US - 600 * USEC_PER_SEC},
        {"2h 30min ago", NOW_US - 9000 * USEC_PER_SEC},
        {"2025-11-05", MIDNIGHT},
        {"2025-11-05 12:23", MIDNIGHT + 44580 * USEC_PER_SEC},
        {"2025-11-05 12:23:45", MIDNIGHT + 44625 * USEC_PER_SEC},
        {"2025-11-05T12:23:45", MIDNIGHT + 44625 * USEC_PER_SEC},
        {"12:23", MIDNIGHT + 44580 * USEC_PER_SEC},
        {"12:23:45", MIDNIGHT + 44625 * USEC_PER_SEC},
        {"@1730800000", 1730800000 * USEC_PER_SEC},
        {"@1730800000.25", 1730800000 * USEC_PER_SEC + 250000},
        {"2025-07-01 00:00", 1751320800 * USEC_PER_SEC}, /* summer time */
        {"2024-02-29", 1709161200 * USEC_PER_SEC},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        uint64_t us = UNTOUCHED;
        if (parse_when(cases[i].text, NOW_US, &us) != 0 || us != cases[i].us)
            fail_msg("\"%s\" gave %llu", cases[i].text, (unsigned long long)us);
    }
}

static void nonsense_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int r;
    } cases[] = {
        {"", -EINVAL},
        {"tomorrow", -EINVAL},
        {"2025-02-31", -EINVAL},
        {"2025-02-29", -EINVAL},
        {"2025-13-01", -EINVAL},
        {"24:00", -EINVAL},
        {"12:60", -EINVAL},
        {"@", -EINVAL},
        {"@5s", -EINVAL},
        {"@infinity", -EINVAL},
        {"-", -EINVAL},
        {"10m agoo", -EINVAL},
        {"-100y", -EINVAL},
        {"-infinity", -ERANGE},
        {" ago", -EINVAL},
        {"12:23x", -EINVAL},
        {"2025-11-05 12", -EINVAL},
        {"-99999w", -ERANGE},
        {"1960-01-01", -EINVAL},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        uint64_t us = UNTOUCHED;
        int r = parse_when(cases[i].text, NOW_US, &us);
        if (r != cases[i].r || us != UNTOUCHED)
            fail_msg("\"%s\" returned %d", cases[i].text, r);
    }
}

/* The days of the change have 23 and 25 hours. */
static void summer_time_changes_midnight(void **state)
{
    (void)state;
    uint64_t us, spring = 1743368400ULL * USEC_PER_SEC; /* 2025-03-30 23:00 CEST */
    assert_int_equal(parse_when("today", spring, &us), 0);
    assert_int_equal(spring - us, 22 * 3600 * USEC_PER_SEC);
}

static void written_as_local_time(void **state)
{
    (void)state;
    char buf[FORMAT_WHEN_MAX];
    uint64_t back;
    assert_string_equal(format_when(NOW_US, buf), "2025-11-05 12:30:15.500");
    assert_string_equal(format_when(0, buf), "1970-01-01 01:00:00.000");
    (void)format_when(UINT64_MAX, buf); /* far in the future, but text */
    buf[0] = '\0';
    format_when(MIDNIGHT, buf);
    buf[19] = '\0'; /* the milliseconds are for reading only */
    assert_int_equal(parse_when(buf, NOW_US, &back), 0);
    assert_int_equal(back, MIDNIGHT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_and_clocks),
        cmocka_unit_test(nonsense_is_refused),
        cmocka_unit_test(summer_time_changes_midnight),
        cmocka_unit_test(written_as_local_time),
    };
    return cmocka_run_group_tests(tests, set_zone, NULL);
}
