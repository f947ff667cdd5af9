/* SPDX-License-Identifier: MIT */
/* Jumps: what is one, how long it is remembered, and what the ladder does about it. */
#include "engine_kit.h"

#include "../../src/engine/jump.h"

static const struct jump_bounds bounds = {
    .least_bytes = 50 * MB, .apart_us = 1500 * MS, .memory_us = 60 * SEC};

static uint64_t largest(const struct jumps *j)
{
    return jumps_largest(j)->bytes;
}

static void test_a_rise_of_the_least_size_is_one(void **state)
{
    (void)state;
    struct jumps j = {0};
    assert_false(jumps_push(&j, 0, 900 * MB, &bounds)); /* the first reading has nothing to rise from */
    jumps_reset(&j);
    jumps_push(&j, 0, 100 * MB, &bounds);
    assert_false(jumps_push(&j, SEC, 150 * MB - 1, &bounds));
    assert_int_equal(largest(&j), 0);
    assert_true(jumps_push(&j, 2 * SEC, 200 * MB, &bounds)); /* seen by the first reading after it */
    assert_int_equal(largest(&j), 50 * MB + 1);
    assert_int_equal(jumps_largest(&j)->took_us, SEC);
    assert_false(jumps_push(&j, 3 * SEC, 200 * MB, &bounds));
    assert_int_equal(largest(&j), 50 * MB + 1);
}

static bool jumps_between_readings(uint64_t apart_us)
{
    struct jumps j = {0};
    jumps_push(&j, 0, 100 * MB, &bounds);
    return jumps_push(&j, apart_us, 500 * MB, &bounds);
}

static void test_readings_too_far_apart_say_nothing(void **state)
{
    (void)state;
    assert_true(jumps_between_readings(1500 * MS - 1));
    assert_true(jumps_between_readings(1500 * MS));
    assert_false(jumps_between_readings(1500 * MS + 1));
}

static uint64_t remembered_after(uint64_t age_us)
{
    struct jumps j = {0};
    jumps_push(&j, 0, 100 * MB, &bounds);
    jumps_push(&j, SEC, 500 * MB, &bounds);
    jumps_push(&j, 2 * SEC, 500 * MB, &bounds);
    jumps_push(&j, 31 * SEC, 510 * MB, &bounds);
    jumps_push(&j, 32 * SEC, 610 * MB, &bounds); /* a smaller one: the largest once the first is forgotten */
    jumps_push(&j, SEC + age_us, 610 * MB, &bounds);
    return largest(&j);
}

static void test_the_largest_is_remembered_for_its_time(void **state)
{
    (void)state;
    assert_int_equal(remembered_after(60 * SEC - 1), 400 * MB);
    assert_int_equal(remembered_after(60 * SEC), 400 * MB);
    assert_int_equal(remembered_after(60 * SEC + 1), 100 * MB);
    assert_int_equal(remembered_after(91 * SEC), 100 * MB);
    assert_int_equal(remembered_after(91 * SEC + 1), 0);
}

static void test_one_reading_that_is_off(void **state)
{
    (void)state;
    struct jumps j = {0};
    jumps_push(&j, 0, 500 * MB, &bounds);
    jumps_push(&j, SEC, 500 * MB, &bounds);
    jumps_push(&j, 2 * SEC, 100 * MB, &bounds); /* too low */
    assert_false(jumps_push(&j, 3 * SEC, 500 * MB, &bounds));
    assert_int_equal(largest(&j), 0);
    assert_true(jumps_push(&j, 4 * SEC, 900 * MB, &bounds)); /* too high: that can be told only afterwards */
    assert_int_equal(largest(&j), 400 * MB);
    jumps_push(&j, 4 * SEC + 50 * MS, 700 * MB - 1, &bounds);
    assert_int_equal(largest(&j), 0);
}

static void test_half_of_it_may_be_taken_back(void **state)
{
    (void)state;
    struct jumps j = {0};
    jumps_push(&j, 0, 500 * MB, &bounds);
    jumps_push(&j, SEC, 900 * MB, &bounds);
    jumps_push(&j, 2 * SEC, 700 * MB, &bounds);
    assert_int_equal(largest(&j), 400 * MB);
}

static void test_another_kind_of_figure_is_no_jump(void **state)
{
    (void)state;
    struct jumps j = {0};
    jumps_push(&j, 0, 100 * MB, &bounds);
    jumps_push(&j, SEC, 200 * MB, &bounds);
    jumps_part(&j);
    assert_false(jumps_push(&j, 2 * SEC, 900 * MB, &bounds));
    assert_int_equal(largest(&j), 100 * MB);
    assert_true(jumps_push(&j, 3 * SEC, 990 * MB, &bounds));
}

/* Random jumps against all of them looked through: never less is told, and more only where too many are remembered. */
static void test_never_too_small(void **state)
{
    (void)state;
    enum { READINGS = 3000 };
    static uint64_t at[READINGS], rose[READINGS];
    uint64_t rng = 5, t = 0, used = 0;
    struct jumps j = {0};
    jumps_push(&j, 0, 0, &bounds);
    for (int i = 0; i < READINGS; i++) {
        uint64_t want = 0;
        t += 100 * MS + rng_below(&rng, 1400 * MS);
        rose[i] = rng_below(&rng, 4) ? 0 : rng_below(&rng, 400 * MB);
        at[i] = t;
        used += rose[i];
        jumps_push(&j, t, used, &bounds);
        for (int k = 0; k <= i; k++)
            if (t - at[k] <= bounds.memory_us && rose[k] >= bounds.least_bytes && rose[k] > want)
                want = rose[k];
        assert_true(largest(&j) >= want);
        if (j.count < JUMPS_MAX)
            assert_int_equal(largest(&j), want);
    }
}

static void ready_for_20_s(struct kit *k, uint64_t used)
{
    kit_init(k, 1);
    kit_up(k, 1);
    for (uint64_t t = 0; t <= 20 * SEC; t += SEC)
        kit_memory(k, t, 0, used);
}

/* The decision stands in *k until the next call. */
static const struct decision *throttle_after_jump(struct kit *k, uint64_t from, uint64_t to)
{
    ready_for_20_s(k, from);
    kit_memory(k, 21 * SEC, 0, to);
    kit_deinit(k);
    return kit_find(k, DECISION_THROTTLE);
}

static void test_one_more_would_reach_the_limit(void **state)
{
    (void)state;
    struct kit k;
    assert_null(throttle_after_jump(&k, 301 * MB, 650 * MB)); /* 349 up, 350 left */
    const struct decision *d = throttle_after_jump(&k, 300 * MB, 650 * MB);
    assert_non_null(d);
    assert_int_equal(d->reason, REASON_MEMORY_JUMP);
    assert_int_equal(d->metric, METRIC_MEMORY_JUMP);
    assert_int_equal(d->observed, 350 * MB);
    assert_int_equal(d->threshold, 350 * MB);
    assert_null(
        throttle_after_jump(&k, 100 * MB, 600 * MB)); /* 500 up, 400 left, but not above the notify level */
    assert_non_null(throttle_after_jump(&k, 100 * MB, 600 * MB + 1));
}

static uint64_t interval_after(uint64_t from, uint64_t to)
{
    struct kit k;
    ready_for_20_s(&k, from);
    k.units[0].ladder.jump_permyriad = 100; /* 1 %: at 10 MB/s the limit is farther away than a minute */
    kit_memory(&k, 21 * SEC, 0, to);
    uint64_t interval = engine_sample_interval(k.engine, &k.policy, 0);
    kit_deinit(&k);
    return interval;
}

static void test_fast_sampling_at_once(void **state)
{
    (void)state;
    assert_int_equal(interval_after(100 * MB, 110 * MB - 1), SEC);
    assert_int_equal(interval_after(100 * MB, 110 * MB), 50 * MS);
}

/* What it takes to start is not taken again: no jump while starting, nor within 2 s of readiness. */
static uint64_t throttled_by_a_jump_at(uint64_t age_us)
{
    struct kit k;
    kit_init(&k, 1);
    kit_up(&k, 1);
    kit_memory(&k, age_us - SEC, 0, 100 * MB);
    kit_memory(&k, age_us, 0, 650 * MB);
    uint64_t count = kit_find(&k, DECISION_THROTTLE) != NULL;
    kit_deinit(&k);
    return count;
}

static void test_the_way_to_the_baseline_is_none(void **state)
{
    (void)state;
    assert_int_equal(throttled_by_a_jump_at(2 * SEC - 1), 0);
    assert_int_equal(throttled_by_a_jump_at(2 * SEC), 0);
    assert_int_equal(throttled_by_a_jump_at(2 * SEC + 1), 1);
}

static void test_none_counts_when_switched_off(void **state)
{
    (void)state;
    struct kit k;
    ready_for_20_s(&k, 100 * MB);
    k.units[0].ladder.jump_permyriad = 0;
    kit_memory(&k, 21 * SEC, 0, 700 * MB);
    assert_null(kit_find(&k, DECISION_THROTTLE));
    kit_deinit(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_rise_of_the_least_size_is_one),
        cmocka_unit_test(test_readings_too_far_apart_say_nothing),
        cmocka_unit_test(test_the_largest_is_remembered_for_its_time),
        cmocka_unit_test(test_one_reading_that_is_off),
        cmocka_unit_test(test_half_of_it_may_be_taken_back),
        cmocka_unit_test(test_another_kind_of_figure_is_no_jump),
        cmocka_unit_test(test_never_too_small),
        cmocka_unit_test(test_one_more_would_reach_the_limit),
        cmocka_unit_test(test_fast_sampling_at_once),
        cmocka_unit_test(test_the_way_to_the_baseline_is_none),
        cmocka_unit_test(test_none_counts_when_switched_off),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
