/* SPDX-License-Identifier: MIT */
/* The ring of the last seconds: growth, pressure, thinning. */
#include "check.h"

#include "weir/base/units.h"

#include "../../src/engine/window.h"

#define MB (UINT64_C(1) << 20)
#define MS USEC_PER_MSEC

static void push(struct window *w, uint64_t t_us, uint64_t used, uint64_t full_us)
{
    struct window_row row = {t_us, used, full_us};
    window_push(w, &row);
}

static void test_growth_needs_200_ms(void **state)
{
    (void)state;
    struct window w = {0};
    assert_int_equal(window_growth(&w), 0);
    push(&w, 0, 100 * MB, 0);
    assert_int_equal(window_growth(&w), 0);
    push(&w, 200 * MS - 1, 120 * MB, 0);
    assert_int_equal(window_growth(&w), 0);
    window_reset(&w);
    push(&w, 0, 100 * MB, 0);
    push(&w, 200 * MS, 120 * MB, 0);
    assert_int_equal(window_growth(&w), 100 * MB);
}

static void test_growth_of_ticks_and_of_a_fall(void **state)
{
    (void)state;
    struct window w = {0};
    for (uint64_t i = 0; i < 10; i++)
        push(&w, i * 1000 * MS + i, i * 5 * MB, 0); /* each tick a microsecond late */
    assert_in_range(window_growth(&w), 4 * MB, 5 * MB);
    push(&w, 10000 * MS, 1 * MB, 0);
    assert_int_equal(window_growth(&w), 0);
}

/* 1.4 GB between two ticks, then flat: no growth any more 200 ms later. */
static void test_jump_is_no_growth(void **state)
{
    (void)state;
    struct window w = {0};
    push(&w, 20000 * MS, 1155 * MB, 0);
    push(&w, 21000 * MS, 2542 * MB, 0);
    assert_true(window_growth(&w) > 1000 * MB);
    for (uint64_t t = 50; t < 200; t += 50) {
        push(&w, (21000 + t) * MS, 2542 * MB, 0);
        assert_true(window_growth(&w) > 1000 * MB);
    }
    push(&w, 21200 * MS, 2542 * MB, 0);
    assert_int_equal(window_growth(&w), 0);
}

/* The same with readings at any distance: a jump is forgotten once the spacing and the short slope have passed. */
static void test_jump_between_irregular_readings(void **state)
{
    (void)state;
    uint64_t rng = 7;
    for (int round = 0; round < 1000; round++) {
        struct window w = {0};
        uint64_t t = 20000 * MS, jump = t + rng_below(&rng, 1000 * MS);
        while (t < jump + 2000 * MS) {
            t += 1 + rng_below(&rng, 60 * MS);
            push(&w, t, t < jump ? 1155 * MB : 2542 * MB, 0);
            if (t >= jump + 60 * MS + 280 * MS)
                assert_int_equal(window_growth(&w), 0);
        }
    }
}

static void test_burst_of_rows_is_thinned(void **state)
{
    (void)state;
    struct window w = {0};
    for (uint64_t t = 0; t <= 20000 * MS; t += MS)
        push(&w, t, t, 0);
    assert_true(w.count <= WINDOW_ROWS);
    const struct window_row *row = window_before(&w, 15000 * MS);
    assert_non_null(row);
    assert_true(row->t_us <= 5000 * MS && row->t_us > 4900 * MS); /* 15 s and no more are there */
    assert_true(window_before(&w, 0)->t_us < 20000 * MS);
}

static void test_growth_over_a_span(void **state)
{
    (void)state;
    struct window w = {0};
    uint64_t growth;
    assert_false(window_growth_over(&w, 1000 * MS, &growth));
    for (uint64_t t = 0; t < 1000 * MS; t += 100 * MS) /* grows for 200 ms, stands still for 200 ms */
        push(&w, t, (t / (400 * MS) * 2 + t / (200 * MS) % 2) * MB, 0);
    assert_false(window_growth_over(&w, 1000 * MS, &growth)); /* 900 ms of data */
    push(&w, 1000 * MS, 5 * MB, 0);
    assert_true(window_growth_over(&w, 1000 * MS, &growth));
    assert_int_equal(growth, 5 * MB);
    push(&w, 1100 * MS, 0, 0);
    assert_true(window_growth_over(&w, 1000 * MS, &growth));
    assert_int_equal(growth, 0); /* falling */
}

static void test_pressure(void **state)
{
    (void)state;
    struct window w = {0};
    uint64_t share;
    for (uint64_t s = 0; s < 10; s++)
        push(&w, s * 1000 * MS, 0, s * 250 * MS);
    assert_false(window_pressure(&w, 10000 * MS, &share)); /* 9 s of data */
    push(&w, 10000 * MS - 1, 0, 2500 * MS);
    assert_false(window_pressure(&w, 10000 * MS, &share));
    push(&w, 10000 * MS, 0, 2500 * MS);
    assert_true(window_pressure(&w, 10000 * MS, &share));
    assert_int_equal(share, 2500);
    assert_true(window_pressure(&w, 1000 * MS, &share));
    assert_int_equal(share, 2500);
    push(&w, 11000 * MS, 0, UINT64_MAX); /* not read */
    assert_false(window_pressure(&w, 1000 * MS, &share));
    assert_false(window_pressure(&w, 0, &share));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_growth_needs_200_ms),
        cmocka_unit_test(test_growth_of_ticks_and_of_a_fall),
        cmocka_unit_test(test_jump_is_no_growth),
        cmocka_unit_test(test_jump_between_irregular_readings),
        cmocka_unit_test(test_burst_of_rows_is_thinned),
        cmocka_unit_test(test_growth_over_a_span),
        cmocka_unit_test(test_pressure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
