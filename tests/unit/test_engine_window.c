/* SPDX-License-Identifier: MIT */
/* The ring of the last seconds: growth, pressure, thinning. */
#include "check.h"

#include "weir/base/units.h"

#include "../../src/engine/window.h"

#define MB (UINT64_C(1) << 20)
#define MS USEC_PER_MSEC

static void push(struct window *w, uint64_t t_us, uint64_t used, uint64_t full_us)
{
    struct window_row row = {t_us, used, full_us, UINT64_MAX};
    window_push(w, &row);
}

static void test_growth_needs_200_ms_and_a_second_reading(void **state)
{
    (void)state;
    struct window w = {0};
    assert_int_equal(window_growth_alone(&w), 0);
    push(&w, 0, 100 * MB, 0);
    assert_int_equal(window_growth_alone(&w), 0);
    push(&w, 200 * MS - 1, 120 * MB, 0);
    assert_int_equal(window_growth_alone(&w), 0);
    window_reset(&w);
    push(&w, 0, 100 * MB, 0);
    push(&w, 200 * MS, 120 * MB, 0);
    assert_int_equal(window_growth_alone(&w), 100 * MB);
    assert_int_equal(window_growth(&w), 0);
    push(&w, 250 * MS, 130 * MB, 0);
    assert_int_equal(window_growth_alone(&w), 120 * MB);
    assert_int_equal(window_growth(&w), 100 * MB);
    window_reset(&w);
    assert_int_equal(window_growth(&w), 0);
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

/* 1.4 GB between two ticks, then flat: seen in the first reading after it, no growth any more 200 ms later. */
static void test_jump_is_no_growth(void **state)
{
    (void)state;
    struct window w = {0};
    push(&w, 20000 * MS, 1155 * MB, 0);
    push(&w, 21000 * MS, 2542 * MB, 0);
    assert_true(window_growth_alone(&w) > 1000 * MB);
    assert_int_equal(window_growth(&w), 0);
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

static uint64_t random_pace(uint64_t *rng)
{
    switch (rng_below(rng, 4)) {
    case 0:
        return 1000 * MS; /* base */
    case 1:
        return 1 + rng_below(rng, 5 * MS); /* a burst of kernel notifications */
    case 2:
        return 1 + rng_below(rng, 20000 * MS); /* late, or missed */
    default:
        return 50 * MS; /* fast */
    }
}

/* A unit that stands still, read at any pace. One reading, never among the first two, is off by any amount: never any
 * growth, neither then nor when that reading is the far end of a slope. */
static void test_one_reading_that_is_off_is_no_growth(void **state)
{
    (void)state;
    uint64_t rng = 11;
    for (int round = 0; round < 3000; round++) {
        struct window w = {0};
        uint64_t t = 5000 * MS, off = 2 + rng_below(&rng, 30);
        for (uint64_t i = 0; i < 60; i++) {
            push(&w, t, i == off ? rng_below(&rng, 2000 * MB) : 1000 * MB, 0);
            assert_int_equal(window_growth(&w), 0);
            t += random_pace(&rng);
        }
    }
}

/* A steady leak is seen as what it is, from the second reading after it began, at the base and at the fast pace. */
static void test_a_leak_is_seen_one_reading_later(void **state)
{
    (void)state;
    for (uint64_t pace = 50 * MS; pace <= 1000 * MS; pace += 950 * MS) {
        struct window w = {0};
        uint64_t t = 0;
        for (; t < 5000 * MS; t += pace)
            push(&w, t, 100 * MB, 0);
        uint64_t began = t - pace;
        for (int i = 0; i < 2 || t - began < 300 * MS; i++, t += pace)
            push(&w, t, 100 * MB + mul_div_u64(40 * MB, t - began, 1000 * MS), 0);
        assert_in_range(window_growth(&w), 8 * MB,
                        40 * MB); /* both spans reach back before the leak at 50 ms */
        for (; t < 8000 * MS; t += pace)
            push(&w, t, 100 * MB + mul_div_u64(40 * MB, t - began, 1000 * MS), 0);
        assert_in_range(window_growth(&w), 40 * MB - 1, 40 * MB);
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
    assert_true(row->t_us <= 5000 * MS && row->t_us > 4900 * MS);
    assert_ptr_equal(window_before(&w, 15200 * MS), window_before(&w, USEC_INFINITY)); /* 15 s and no more */
    for (uint64_t age = 0; age <= 15000 * MS; age += 7 * MS) { /* the newest that is old enough */
        row = window_before(&w, age);
        assert_true(20000 * MS - row->t_us >= age);
        assert_true(20000 * MS - row->t_us <= age + 80 * MS);
    }
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

static void test_pressed(void **state)
{
    (void)state;
    struct window w = {0};
    uint64_t count;
    for (uint64_t s = 0; s <= 10; s++)
        window_push(&w, &(struct window_row){s * 1000 * MS, 0, 0, s < 5 ? 7 : 9});
    assert_true(window_pressed(&w, 10000 * MS, &count));
    assert_int_equal(count, 2);
    assert_true(window_pressed(&w, 5000 * MS, &count));
    assert_int_equal(count, 0);
    assert_false(window_pressed(&w, 11000 * MS, &count)); /* 10 s of data */
    window_push(&w, &(struct window_row){11000 * MS, 0, 0, 3});
    assert_true(window_pressed(&w, 10000 * MS, &count)); /* another cgroup: no rise */
    assert_int_equal(count, 0);
    window_push(&w, &(struct window_row){12000 * MS, 0, 0, UINT64_MAX});
    assert_false(window_pressed(&w, 10000 * MS, &count)); /* not read */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_growth_needs_200_ms_and_a_second_reading),
        cmocka_unit_test(test_growth_of_ticks_and_of_a_fall),
        cmocka_unit_test(test_jump_is_no_growth),
        cmocka_unit_test(test_jump_between_irregular_readings),
        cmocka_unit_test(test_one_reading_that_is_off_is_no_growth),
        cmocka_unit_test(test_a_leak_is_seen_one_reading_later),
        cmocka_unit_test(test_burst_of_rows_is_thinned),
        cmocka_unit_test(test_growth_over_a_span),
        cmocka_unit_test(test_pressure),
        cmocka_unit_test(test_pressed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
