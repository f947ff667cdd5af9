/* SPDX-License-Identifier: MIT */
/* Sizes, times and shares as people write them, both ways. */
#include "check.h"

#include <errno.h>
#include <string.h>

#include "weir/base/cleanup.h"
#include "weir/base/units.h"

#define UNTOUCHED 4711

struct u64_case {
    const char *text;
    int r;
    uint64_t value;
};

static void check_u64_cases(int (*parse)(const char *, uint64_t *), const struct u64_case *cases,
                            size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t value = UNTOUCHED;
        int r = parse(cases[i].text, &value);
        if (r != cases[i].r || value != (r < 0 ? UNTOUCHED : cases[i].value))
            fail_msg("\"%s\": returned %d, value %llu", cases[i].text, r, (unsigned long long)value);
    }
}

static void sizes_are_exact(void **state)
{
    (void)state;
    static const struct u64_case cases[] = {
        {"0", 0, 0},
        {"4096", 0, 4096},
        {"17B", 0, 17},
        {"512M", 0, 512ULL << 20},
        {"1.5G", 0, 3ULL << 29},
        {"64 KiB", 0, 64 << 10},
        {" 3 mb ", 0, 3 << 20},
        {"0.1G", 0, 107374182}, /* rounded down */
        {"15E", 0, 15ULL << 60},
        {"18446744073709551615", 0, UINT64_MAX},
        {"infinity", 0, UINT64_MAX},
        {" max\t", 0, UINT64_MAX},
        {"16E", -ERANGE, 0},
        {"18446744073709551616", -ERANGE, 0},
        {"99999999999999999999999999", -ERANGE, 0},
        {"17592186044416M", -ERANGE, 0},
        {"", -EINVAL, 0},
        {" ", -EINVAL, 0},
        {"-1", -EINVAL, 0},
        {"+1", -EINVAL, 0},
        {"1.5", -EINVAL, 0}, /* half a byte */
        {"1.5B", -EINVAL, 0},
        {"1.G", -EINVAL, 0},
        {".5G", -EINVAL, 0},
        {"5X", -EINVAL, 0},
        {"5Mi", -EINVAL, 0},
        {"5M5", -EINVAL, 0},
        {"5M 5", -EINVAL, 0},
        {"maximum", -EINVAL, 0},
        {"1e9", -EINVAL, 0},
        {"0x10", -EINVAL, 0},
    };
    check_u64_cases(parse_size, cases, ARRAY_SIZE(cases));
}

static void durations_add_up(void **state)
{
    (void)state;
    static const struct u64_case cases[] = {
        {"0", 0, 0},
        {"90", 0, 90 * USEC_PER_SEC},
        {"90s", 0, 90 * USEC_PER_SEC},
        {"1.5m", 0, 90 * USEC_PER_SEC},
        {"100ms", 0, 100000},
        {"250us", 0, 250},
        {"0.5us", 0, 0},
        {"2h30m", 0, 9000 * USEC_PER_SEC},
        {"2h 5min", 0, 7500 * USEC_PER_SEC},
        {"3 min 20 s", 0, 200 * USEC_PER_SEC},
        {"7d", 0, 7 * 86400 * USEC_PER_SEC},
        {"1w", 0, 7 * 86400 * USEC_PER_SEC},
        {"Infinity", 0, USEC_INFINITY},
        {"", -EINVAL, 0},
        {"s", -EINVAL, 0},
        {"2h30", -EINVAL, 0}, /* 30 what? */
        {"5 5", -EINVAL, 0},
        {"-5s", -EINVAL, 0},
        {"5 fortnights", -EINVAL, 0},
        {"5s,", -EINVAL, 0},
        {"18446744073710s", -ERANGE, 0},
        {"18446744073709s 1s", -ERANGE, 0},
    };
    check_u64_cases(parse_duration, cases, ARRAY_SIZE(cases));
}

static void percents_are_permyriad(void **state)
{
    (void)state;
    static const struct u64_case cases[] = {
        {"0%", 0, 0},           {"85%", 0, 8500},
        {"12.5 %", 0, 1250},    {"0.01%", 0, 1},
        {"0.009%", 0, 0},       {"100%", 0, PERMYRIAD_ONE},
        {"10000%", 0, 1000000}, {"10000.01%", -ERANGE, 0},
        {"10001%", -ERANGE, 0}, {"18446744073709551616%", -ERANGE, 0},
        {"85", -EINVAL, 0},     {"%", -EINVAL, 0},
        {"85%%", -EINVAL, 0},   {"85% x", -EINVAL, 0},
        {"-1%", -EINVAL, 0},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        uint32_t value = UNTOUCHED;
        assert_int_equal(parse_percent(cases[i].text, &value), cases[i].r);
        assert_int_equal(value, cases[i].r < 0 ? UNTOUCHED : cases[i].value);
    }
}

static void whole_numbers_have_no_point(void **state)
{
    (void)state;
    static const struct u64_case cases[] = {
        {"0", 0, 0},          {" 12 ", 0, 12},     {"18446744073709551615", 0, UINT64_MAX},
        {"12.0", -EINVAL, 0}, {"12.", -EINVAL, 0}, {"", -EINVAL, 0},
        {"1 2", -EINVAL, 0},  {"-1", -EINVAL, 0},  {"18446744073709551616", -ERANGE, 0},
        {"12s", -EINVAL, 0},  {"max", -EINVAL, 0},
    };
    check_u64_cases(parse_u64, cases, ARRAY_SIZE(cases));
}

static void booleans(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int r, value;
    } cases[] = {
        {"yes", 0, 1},          {"TRUE", 0, 1},    {" on ", 0, 1},      {"1", 0, 1},      {"no", 0, 0},
        {"False", 0, 0},        {"off", 0, 0},     {"0", 0, 0},         {"", -EINVAL, 0}, {"y", -EINVAL, 0},
        {"yes no", -EINVAL, 0}, {"2", -EINVAL, 0}, {"onn", -EINVAL, 0},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        int value = UNTOUCHED;
        assert_int_equal(parse_bool(cases[i].text, &value), cases[i].r);
        assert_int_equal(value, cases[i].r < 0 ? UNTOUCHED : cases[i].value);
    }
}

static void sizes_are_written_short(void **state)
{
    (void)state;
    static const struct {
        uint64_t bytes;
        const char *text;
    } cases[] = {
        {0, "0B"},
        {17, "17B"},
        {1023, "1023B"},
        {1024, "1K"},
        {812 << 10, "812K"},
        {512 << 20, "512M"},
        {4187593113, "3.8G"},
        {UINT64_MAX, "max"},
        {1536, "1.5K"},
        {UINT64_MAX - 1, "15.9E"},
        {1ULL << 60, "1E"},
        {(100ULL << 30) + (1 << 29), "100G"},
    };
    char buf[FORMAT_SIZE_MAX];
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        assert_string_equal(format_size(cases[i].bytes, buf), cases[i].text);
}

static void durations_are_written_short(void **state)
{
    (void)state;
    static const struct {
        uint64_t us;
        const char *text;
    } cases[] = {
        {0, "0us"},
        {350, "350us"},
        {12000, "12ms"},
        {999999, "999ms"},
        {USEC_PER_SEC, "1s"},
        {1250000, "1.250s"},
        {59999999, "59.999s"},
        {60 * USEC_PER_SEC, "1min"},
        {200 * USEC_PER_SEC, "3min 20s"},
        {7500 * USEC_PER_SEC, "2h 5min"},
        {7200 * USEC_PER_SEC, "2h"},
        {86400 * USEC_PER_SEC, "1d"},
        {90000 * USEC_PER_SEC, "1d 1h"},
        {USEC_INFINITY, "infinity"},
    };
    char buf[FORMAT_DURATION_MAX];
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        assert_string_equal(format_duration(cases[i].us, buf), cases[i].text);
}

/* What is written can be read, and is the value rounded down to what was shown. */
static void written_values_can_be_read(void **state)
{
    (void)state;
    uint64_t rng = 1, back;
    char buf[FORMAT_DURATION_MAX];
    for (int i = 0; i < 20000; i++) {
        uint64_t value = rng_edgy(&rng);
        assert_int_equal(parse_size(format_size(value, buf), &back), 0);
        assert_true(back <= value && (value == UINT64_MAX || back >= value - value / 10));
        assert_int_equal(parse_duration(format_duration(value, buf), &back), 0);
        assert_true(back <= value && back >= value / 2);
    }
}

static void products_saturate(void **state)
{
    (void)state;
    assert_int_equal(mul_div_u64(10, 85, 100), 8);
    assert_int_equal(mul_div_u64(0, UINT64_MAX, 1), 0);
    assert_int_equal(mul_div_u64(UINT64_MAX, 8500, PERMYRIAD_ONE), 15679732462653118872ULL);
    assert_int_equal(mul_div_u64(UINT64_MAX, UINT64_MAX, UINT64_MAX), UINT64_MAX);
    assert_int_equal(mul_div_u64(UINT64_MAX, 2, 1), UINT64_MAX);
}

static void test_pace(void **state)
{
    static const struct {
        const char *text;
        int r;
        uint32_t count;
        uint64_t per_us;
    } rows[] = {
        {"4", 0, 4, 0},
        {" 65535 ", 0, 65535, 0},
        {"5/s", 0, 5, USEC_PER_SEC},
        {"30 / min", 0, 30, 60 * USEC_PER_SEC},
        {"0", -ERANGE, 0, 0},
        {"0/s", -ERANGE, 0, 0},
        {"65536", -ERANGE, 0, 0},
        {"99999999999999999999", -ERANGE, 0, 0},
        {"", -EINVAL, 0, 0},
        {"-1", -EINVAL, 0, 0},
        {"1.5", -EINVAL, 0, 0},
        {"5/", -EINVAL, 0, 0},
        {"5/h", -EINVAL, 0, 0},
        {"5/s/s", -EINVAL, 0, 0},
        {"5 s", -EINVAL, 0, 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint32_t count = 7;
        uint64_t per_us = 8;
        char text[FORMAT_PACE_MAX];
        if (parse_pace(rows[i].text, &count, &per_us) != rows[i].r)
            fail_msg("\"%s\"", rows[i].text);
        assert_int_equal(count, rows[i].r ? 7 : rows[i].count);
        assert_int_equal(per_us, rows[i].r ? 8 : rows[i].per_us);
        if (rows[i].r == 0)
            assert_int_equal(parse_pace(format_pace(count, per_us, text), &count, &per_us), 0);
        if (rows[i].r == 0)
            assert_true(count == rows[i].count && per_us == rows[i].per_us);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_are_exact),
        cmocka_unit_test(durations_add_up),
        cmocka_unit_test(percents_are_permyriad),
        cmocka_unit_test(whole_numbers_have_no_point),
        cmocka_unit_test(booleans),
        cmocka_unit_test(sizes_are_written_short),
        cmocka_unit_test(durations_are_written_short),
        cmocka_unit_test(written_values_can_be_read),
        cmocka_unit_test(products_saturate),
        cmocka_unit_test(test_pace),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
