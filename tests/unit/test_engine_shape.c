/* SPDX-License-Identifier: MIT */
/* What the memory of a unit looks like: one story a shape, each read as the loop would; the trend's constant space. */
#include "check.h"

#include "weir/base/units.h"

#include "../../src/engine/shape.h"

#define MB  (UINT64_C(1) << 20)
#define MS  USEC_PER_MSEC
#define SEC USEC_PER_SEC

/* A unit with a limit of 1000 MB. */
struct life {
    struct trend trend;
    struct jumps jumps;
    uint64_t t_us;
    uint64_t used;
};

static void read_at(struct life *l, uint64_t t_us, uint64_t used)
{
    struct jump_bounds bounds = {.least_bytes = 50 * MB, .apart_us = 1500 * MS, .memory_us = 60 * SEC};
    l->t_us = t_us;
    l->used = used;
    trend_push(&l->trend, t_us, used);
    jumps_push(&l->jumps, t_us, used, &bounds);
}

/* From where it is to `to` MB within seconds, read every `every`. */
static void ramp(struct life *l, uint64_t to_mb, uint64_t seconds, uint64_t every_us)
{
    uint64_t start = l->t_us, from = l->used, to = to_mb * MB, length = seconds * SEC;
    for (uint64_t t = every_us; t <= length; t += every_us)
        read_at(l, start + t,
                to >= from ? from + mul_div_u64(to - from, t, length)
                           : from - mul_div_u64(from - to, t, length));
}

static struct life life_at(uint64_t mb)
{
    struct life l = {0};
    read_at(&l, 5 * SEC, mb * MB);
    return l;
}

static struct shape seen(const struct life *l)
{
    struct shape_now now = {l->t_us, l->used, 1000 * MB, UINT64_MAX, jumps_largest(&l->jumps)};
    return shape_of(&l->trend, &now);
}

static void expect(const struct life *l, enum decision_shape kind, uint64_t mb, uint64_t us)
{
    struct shape s = seen(l);
    assert_string_equal(decision_shape_name(s.kind), decision_shape_name(kind));
    assert_int_equal(s.bytes / MB, mb);
    assert_int_equal(s.us, us);
}

static void test_no_rise_is_steady(void **state)
{
    (void)state;
    struct life l = life_at(900);
    expect(&l, SHAPE_NONE, 0, 0);
    ramp(&l, 919, 1, SEC); /* less than 2 % of the limit */
    expect(&l, SHAPE_NONE, 0, 0);
    ramp(&l, 919, 4, SEC);
    expect(&l, SHAPE_STEADY, 0, 0);
    ramp(&l, 300, 60, SEC); /* falling */
    expect(&l, SHAPE_STEADY, 0, 0);
}

/* From its baseline on, 10 MB/s, later 4. Ten seconds say so, less do not. */
static void test_leak(void **state)
{
    (void)state;
    struct life l = life_at(100);
    ramp(&l, 110, 1, 50 * MS);
    expect(&l, SHAPE_NONE, 0, 0);
    ramp(&l, 190, 8, 50 * MS);
    assert_int_equal(seen(&l).kind, SHAPE_RISE);
    ramp(&l, 210, 2, 50 * MS);
    assert_int_equal(seen(&l).kind, SHAPE_LEAK);
    ramp(&l, 900, 172, SEC);
    struct shape s = seen(&l);
    assert_int_equal(s.kind, SHAPE_LEAK);
    assert_in_range(s.bytes, 799 * MB, 800 * MB);
    assert_in_range(s.us, 180 * SEC, 183 * SEC);
}

/* 1 MB in two minutes, for a day, read as seldom as the loop ever does. */
static void test_very_slow_leak(void **state)
{
    (void)state;
    struct life l = life_at(100);
    ramp(&l, 820, 86400, SEC);
    struct shape s = seen(&l);
    assert_int_equal(s.kind, SHAPE_LEAK);
    assert_in_range(s.bytes, 719 * MB, 720 * MB);
    assert_in_range(s.us, 80000 * SEC, 86400 * SEC);
}

/* In steps of 10 MB, and giving some back now and then: that is what leaks look like. */
static void test_uneven_leak(void **state)
{
    (void)state;
    struct life l = life_at(200);
    for (uint64_t mb = 210; mb <= 600; mb += 10) {
        ramp(&l, mb, 1, SEC);
        ramp(&l, mb - 4, 1, SEC);
        ramp(&l, mb - 4, 2, SEC);
    }
    assert_int_equal(seen(&l).kind, SHAPE_LEAK);
    ramp(&l, 480, 2, SEC); /* more than a quarter of it is given back: no leak that anybody has to fear */
    ramp(&l, 480, 2, SEC);
    ramp(&l, 610, 4, SEC);
    assert_int_equal(seen(&l).kind, SHAPE_RISE);
}

/* A leak that began after an hour of nothing is one after ten seconds. */
static void test_late_leak(void **state)
{
    (void)state;
    struct life l = life_at(300);
    ramp(&l, 300, 3600, SEC);
    ramp(&l, 390, 9, 50 * MS);
    assert_int_equal(seen(&l).kind, SHAPE_BURST);
    ramp(&l, 500, 11, 50 * MS);
    assert_int_equal(seen(&l).kind, SHAPE_LEAK);
}

static void test_burst_after_standing_still(void **state)
{
    (void)state;
    struct life l = life_at(500);
    ramp(&l, 500, 12, SEC);
    ramp(&l, 800, 4, 50 * MS);
    struct shape s = seen(&l);
    assert_int_equal(s.kind, SHAPE_BURST);
    assert_int_equal(s.bytes, 300 * MB);
    assert_in_range(s.us, 3700 * MS, 4000 * MS);
    ramp(&l, 640, 2, 50 * MS); /* more than half of it is gone */
    s = seen(&l);
    assert_int_equal(s.kind, SHAPE_BURST);
    assert_in_range(s.bytes, 296 * MB, 300 * MB); /* one reading's peak is taken off */
}

static void test_sawtooth(void **state)
{
    (void)state;
    struct life l = life_at(300);
    ramp(&l, 780, 6, 50 * MS);
    assert_int_equal(seen(&l).kind, SHAPE_RISE); /* the first tooth: who knows */
    for (int i = 0; i < 30; i++) {
        ramp(&l, 300, 6, 50 * MS);
        ramp(&l, 700, 14, 50 * MS);
        assert_int_equal(seen(&l).kind, SHAPE_BURST); /* it has been up there before */
    }
}

static void test_step(void **state)
{
    (void)state;
    struct life l = life_at(300);
    ramp(&l, 320, 20, SEC);
    ramp(&l, 700, 1, SEC); /* seen in the first reading after it */
    expect(&l, SHAPE_STEP, 380, SEC);
    ramp(&l, 700, 5, SEC);
    expect(&l, SHAPE_STEP, 380, SEC);
    ramp(&l, 700, 1, SEC);
    expect(&l, SHAPE_STEADY, 0, 0);
    ramp(&l, 800, 2, SEC); /* less than the step again: that is still most of the rise */
    expect(&l, SHAPE_STEP, 380, SEC);
}

/* Five minutes without a reading, and 20 % more: that may have come at any time, at any pace. */
static void test_a_hole_is_no_leak(void **state)
{
    (void)state;
    struct life l = life_at(450);
    ramp(&l, 450, 15, SEC);
    ramp(&l, 650, 300, 300 * SEC);
    assert_int_equal(seen(&l).kind, SHAPE_RISE);
}

/* Readings a second apart see a fast ramp in pieces as big as steps: it goes on, so it is none. */
static void test_a_ramp_is_no_step(void **state)
{
    (void)state;
    struct life l = life_at(500);
    ramp(&l, 500, 12, SEC);
    ramp(&l, 580, 1, SEC);
    assert_int_equal(seen(&l).kind, SHAPE_STEP); /* so far */
    ramp(&l, 620, 1, 50 * MS);
    assert_int_equal(seen(&l).kind, SHAPE_BURST);
}

/* Held back it stands still, and that says nothing: what it was before counts. */
static void test_held_back(void **state)
{
    (void)state;
    struct life l = life_at(300);
    ramp(&l, 750, 15, 50 * MS);
    uint64_t since = l.t_us;
    ramp(&l, 752, 12, 50 * MS);
    expect(&l, SHAPE_STEADY, 0, 0);
    struct shape_now now = {l.t_us, l.used, 1000 * MB, since, jumps_largest(&l.jumps)};
    assert_int_equal(shape_of(&l.trend, &now).kind, SHAPE_LEAK);
}

static void test_plateau_after_a_rise(void **state)
{
    (void)state;
    struct life l = life_at(430);
    ramp(&l, 600, 117, SEC);
    assert_int_equal(seen(&l).kind, SHAPE_LEAK);
    ramp(&l, 600, 60, SEC);
    expect(&l, SHAPE_STEADY, 0, 0);
}

/* One reading that is off says nothing about a life. */
static void test_one_reading_that_is_off(void **state)
{
    (void)state;
    struct life l = life_at(100);
    for (uint64_t i = 1; i < 200; i++)
        read_at(&l, (5 + i) * SEC, i % 20 == 7 ? 970 * MB : i % 20 == 13 ? 5 * MB : 100 * MB + i * 3 * MB);
    assert_int_equal(seen(&l).kind, SHAPE_LEAK);
    assert_int_equal(seen(&l).bytes, 597 * MB);
}

/* Constant space: never more than TREND_ROWS, in order, without a hole, and finer the younger. */
static void test_rows_grow_with_their_age(void **state)
{
    (void)state;
    struct life l = life_at(100);
    for (uint64_t i = 1; i < 40000; i++)
        read_at(&l, 5 * SEC + i * 100 * MS, 100 * MB + i);
    const struct trend *trend = &l.trend;
    assert_int_equal(trend->count, TREND_ROWS);
    assert_int_equal(trend->rows[0].from_us, 5 * SEC);
    assert_int_equal(trend->rows[0].low, 100 * MB);
    for (uint32_t i = 0; i < trend->count; i++) {
        const struct trend_row *row = &trend->rows[i];
        uint64_t age = l.t_us - row->from_us;
        assert_true(row->to_us - row->from_us <= age / 4 + 400 * MS);
        assert_true(row->low <= row->last && row->last <= row->high);
        if (i > 0)
            assert_int_equal(row->from_us, trend->rows[i - 1].to_us + 100 * MS);
    }
}

static void test_no_limit(void **state)
{
    (void)state;
    struct life l = life_at(100);
    ramp(&l, 500, 40, SEC);
    struct shape_now now = {l.t_us, l.used, UINT64_MAX, UINT64_MAX, jumps_largest(&l.jumps)};
    assert_int_equal(shape_of(&l.trend, &now).kind, SHAPE_LEAK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_rise_is_steady),
        cmocka_unit_test(test_leak),
        cmocka_unit_test(test_very_slow_leak),
        cmocka_unit_test(test_uneven_leak),
        cmocka_unit_test(test_late_leak),
        cmocka_unit_test(test_burst_after_standing_still),
        cmocka_unit_test(test_sawtooth),
        cmocka_unit_test(test_step),
        cmocka_unit_test(test_a_hole_is_no_leak),
        cmocka_unit_test(test_a_ramp_is_no_step),
        cmocka_unit_test(test_held_back),
        cmocka_unit_test(test_plateau_after_a_rise),
        cmocka_unit_test(test_one_reading_that_is_off),
        cmocka_unit_test(test_rows_grow_with_their_age),
        cmocka_unit_test(test_no_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
