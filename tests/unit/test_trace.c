/* SPDX-License-Identifier: MIT */
/* Lines of the recorded monitor logs, both ways. */
#include "check.h"

#include <errno.h>
#include <string.h>

#include "weir/base/cleanup.h"
#include "weir/model/trace.h"

#define MIB (UINT64_C(1) << 20)

static void the_lines_of_a_log(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        int kind;
    } cases[] = {
        {"Monitoring PID 20081 for 300s (1s interval)\n", TRACE_LINE_OPENING},
        {"Time(s), RSS(MB), VSZ(MB), Threads\n", TRACE_LINE_HEADER},
        {"0, 863.30, 406952.00, 31\n", TRACE_LINE_ROW},
        {"Process 20081 terminated\n", TRACE_LINE_TERMINATED},
        {"", TRACE_LINE_BLANK},
        {" \r\n", TRACE_LINE_BLANK},
        {"Process terminated", -EINVAL},
        {"Process 20081 terminated early", -EINVAL},
        {"Time, RSS", -EINVAL},
        {"# note", -EINVAL},
        {"-1, 863.30, 406952.00, 31", -EINVAL},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct trace_row row;
        assert_int_equal(trace_parse_line(cases[i].line, &row), cases[i].kind);
    }
}

static void a_row_in_fixed_point(void **state)
{
    (void)state;
    struct trace_row row;
    assert_int_equal(trace_parse_line("21, 2542.44, 411751.00, 63\n", &row), TRACE_LINE_ROW);
    assert_int_equal(row.t_us, 21000000);
    assert_int_equal(row.rss_bytes, 2542 * MIB + 461373); /* 0.44 MiB = 461373.44 */
    assert_int_equal(row.vsz_bytes, 411751 * MIB);
    assert_int_equal(row.threads, 63);
    assert_int_equal(trace_parse_line("0.25,863,1.5,4294967295", &row), TRACE_LINE_ROW);
    assert_int_equal(row.t_us, 250000);
    assert_int_equal(row.rss_bytes, 863 * MIB);
    assert_int_equal(row.vsz_bytes, MIB + MIB / 2);
    assert_int_equal(row.threads, UINT32_MAX);
}

static void broken_rows_are_refused(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "21",
        "21, ",
        "21, 2542.44, 411751.00",
        "21, 2542.44, 411751.00, ",
        "21, 2542.44, 411751.00, 63, 5",
        "21, 2542.44, 411751.00, 63x",
        "21 2542.44 411751.00 63",
        "21, 2542.445, 411751.00, 63",
        "21, 2542., 411751.00, 63",
        "21, -1.00, 411751.00, 63",
        "21, nan, 411751.00, 63",
        "21, 1e3, 411751.00, 63",
        "21, 2542.44, 411751.00, 4294967296",
        "21, 17592186044416.00, 1.00, 1",
        "18446744073710, 1.00, 1.00, 1",
        "1.0000001, 1.00, 1.00, 1",
    };
    for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
        struct trace_row row = {.threads = 4711};
        if (trace_parse_line(lines[i], &row) != -EINVAL)
            fail_msg("\"%s\" was accepted", lines[i]);
        assert_int_equal(row.threads, 4711);
    }
}

static void rows_are_written_as_recorded(void **state)
{
    (void)state;
    static const char *const lines[] = {"0, 863.30, 406952.00, 31", "21, 2542.44, 411751.00, 63",
                                        "0, 0.00, 0.01, 0", "21.05, 0.99, 17592186044415.99, 4294967295"};
    for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
        struct trace_row row;
        char buf[128];
        assert_int_equal(trace_parse_line(lines[i], &row), TRACE_LINE_ROW);
        assert_int_equal(trace_format_row(&row, buf, sizeof(buf)), strlen(lines[i]));
        assert_string_equal(buf, lines[i]);
        assert_int_equal(trace_format_row(&row, buf, strlen(lines[i])), -EMSGSIZE);
    }
    const struct trace_row largest = {UINT64_MAX, UINT64_MAX, MIB - 1, UINT32_MAX};
    char buf[128];
    assert_true(trace_format_row(&largest, buf, sizeof(buf)) > 0);
    assert_string_equal(buf, "18446744073709.551615, 17592186044416.00, 1.00, 4294967295");
}

/* Every hundredth of a MB survives the way to bytes and back. */
static void any_row_survives(void **state)
{
    (void)state;
    uint64_t rng = 3;
    for (int i = 0; i < 50000; i++) {
        struct trace_row row = {
            .t_us = rng_edgy(&rng),
            .rss_bytes = rng_edgy(&rng) / 2,
            .vsz_bytes = rng_edgy(&rng) / 2,
            .threads = (uint32_t)rng_next(&rng),
        };
        struct trace_row once, twice;
        char first[128], second[128];
        assert_true(trace_format_row(&row, first, sizeof(first)) > 0);
        assert_int_equal(trace_parse_line(first, &once), TRACE_LINE_ROW);
        assert_int_equal(once.t_us, row.t_us);
        assert_int_equal(once.threads, row.threads);
        uint64_t away =
            once.rss_bytes > row.rss_bytes ? once.rss_bytes - row.rss_bytes : row.rss_bytes - once.rss_bytes;
        assert_true(away <= MIB / 200 + 1);
        assert_true(trace_format_row(&once, second, sizeof(second)) > 0);
        assert_string_equal(first, second);
        assert_int_equal(trace_parse_line(second, &twice), TRACE_LINE_ROW);
        assert_int_equal(once.rss_bytes, twice.rss_bytes);
        assert_int_equal(once.vsz_bytes, twice.vsz_bytes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_lines_of_a_log),      cmocka_unit_test(a_row_in_fixed_point),
        cmocka_unit_test(broken_rows_are_refused), cmocka_unit_test(rows_are_written_as_recorded),
        cmocka_unit_test(any_row_survives),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
