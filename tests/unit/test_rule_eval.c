/* SPDX-License-Identifier: MIT */
/* Conditions of rules, evaluated reading by reading: windows, holes, what is not known, which comparison it was. */
#include "check.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "../../src/engine/rule_eval.h"

#define SEC USEC_PER_SEC
#define MS  USEC_PER_MSEC
#define MB  (UINT64_C(1) << 20)

/* One unit with a limit of 1000 MB, one condition. */
struct bench {
    struct policy policy;
    struct unit_policy unit_policy;
    struct engine_unit unit;
    struct event event;
    struct turn turn;
    struct rule_condition condition;
    struct rule_hold holds[RULE_NODES_MAX];
    struct rule_ring rings[2 * RULE_NODES_MAX];
    struct rule_fact fact;
    uint64_t due_us;
};

static struct bench b;

static void begin(const char *condition)
{
    struct rule_error error;
    memset(&b, 0, sizeof(b));
    policy_defaults(&b.policy);
    policy_unit_defaults(&b.unit_policy);
    b.unit_policy.memory_max_bytes = 1000 * MB;
    b.policy.units = &b.unit_policy;
    b.policy.unit_count = 1;
    b.unit.memory.limit = 1000 * MB;
    b.unit.memory.eta_us = USEC_INFINITY;
    b.turn = (struct turn){.policy = &b.policy, .event = &b.event};
    if (rule_parse_condition(condition, &b.condition, &error) < 0)
        fail_msg("%s: %s", condition, error.text);
}

static void set(enum sample_field field, uint64_t value)
{
    sample_set(&b.event.sample, field, value);
}

static void clear(enum sample_field field)
{
    b.event.sample.valid &= ~(UINT64_C(1) << field);
    b.event.sample.value[field] = 0;
}

/* As ladder.c would have looked at it, without any page cache. */
static void set_memory(uint64_t bytes)
{
    set(SAMPLE_MEMORY_CURRENT, bytes);
    b.unit.memory.current = b.unit.memory.used = bytes;
}

static enum truth at(uint64_t t_us)
{
    b.event.t_us = t_us;
    struct rule_eval x = {&b.turn, &b.unit, b.holds, b.rings, USEC_INFINITY};
    enum truth truth = rule_eval(&x, &b.condition, &b.fact);
    size_t holds, rings;
    rule_eval_needs(&b.condition, &holds, &rings);
    assert_ptr_equal(x.holds, b.holds + holds); /* as many as were laid out for it */
    assert_ptr_equal(x.rings, b.rings + rings);
    b.due_us = x.due_us;
    return truth;
}

static void comparisons_are_what_they_say(void **state)
{
    (void)state;
    static const struct {
        const char *op;
        enum truth below, same, above;
    } rows[] = {
        {">", TRUTH_FALSE, TRUTH_FALSE, TRUTH_TRUE}, {">=", TRUTH_FALSE, TRUTH_TRUE, TRUTH_TRUE},
        {"<", TRUTH_TRUE, TRUTH_FALSE, TRUTH_FALSE}, {"<=", TRUTH_TRUE, TRUTH_TRUE, TRUTH_FALSE},
        {"=", TRUTH_FALSE, TRUTH_TRUE, TRUTH_FALSE}, {"!=", TRUTH_TRUE, TRUTH_FALSE, TRUTH_TRUE},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char text[64];
        snprintf(text, sizeof(text), "threads %s 200", rows[i].op);
        begin(text);
        assert_int_equal(at(SEC), TRUTH_UNKNOWN);
        set(SAMPLE_THREADS, 199);
        assert_int_equal(at(SEC), rows[i].below);
        set(SAMPLE_THREADS, 200);
        assert_int_equal(at(SEC), rows[i].same);
        set(SAMPLE_THREADS, 201);
        assert_int_equal(at(SEC), rows[i].above);
        assert_int_equal(b.fact.metric, METRIC_THREADS);
        assert_int_equal(b.fact.observed, 201);
        assert_int_equal(b.fact.threshold, 200);
    }
}

#define F TRUTH_FALSE
#define T TRUTH_TRUE
#define U TRUTH_UNKNOWN

/* A and B over false, true, unknown: threads and pids.current against 1. */
static void three_values(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum truth table[3][3]; /* [threads][pids]: F, T, U */
    } rows[] = {
        {"threads = 1 and pids.current = 1", {{F, F, F}, {F, T, U}, {F, U, U}}},
        {"threads = 1 or pids.current = 1", {{F, T, U}, {T, T, T}, {U, T, U}}},
        {"not (threads = 1 and pids.current = 1)", {{T, T, T}, {T, F, U}, {T, U, U}}},
        {"not threads = 1 or pids.current = 1", {{T, T, T}, {F, T, U}, {U, T, U}}},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        for (uint64_t left = 0; left < 3; left++)
            for (uint64_t right = 0; right < 3; right++) {
                begin(rows[i].text);
                if (left != U)
                    set(SAMPLE_THREADS, left);
                if (right != U)
                    set(SAMPLE_PIDS_CURRENT, right);
                if (at(SEC) != rows[i].table[left][right])
                    fail_msg("%s with %" PRIu64 ", %" PRIu64, rows[i].text, left, right);
            }
}

static void what_is_relative_to_no_limit_is_never_true(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "memory.current > 85% of memory.max",
        "memory.headroom < 100M",
        "memory.eta < 20s",
        "memory.eta > 20s",
        "memory.max > 1M",
        "not memory.current > 85% of memory.max",
        "pids.current < pids.max",
        "pids.max > 10",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        begin(texts[i]);
        b.unit_policy.memory_max_bytes = b.unit.memory.limit = UINT64_MAX;
        set_memory(900 * MB);
        set(SAMPLE_MEMORY_MAX, UINT64_MAX);
        set(SAMPLE_PIDS_CURRENT, 5);
        set(SAMPLE_PIDS_MAX, UINT64_MAX);
        if (at(SEC) != TRUTH_UNKNOWN)
            fail_msg("%s", texts[i]);
    }
}

/* The lower of what the kernel says and what the policy wants, as for the ladder; and without memory.current nothing of
 * memory is known. */
static void memory_as_the_ladder_sees_it(void **state)
{
    (void)state;
    begin("memory.used > 85% of memory.max");
    set_memory(500 * MB);
    assert_int_equal(at(SEC), TRUTH_FALSE);
    assert_int_equal(b.fact.threshold, 850 * MB);
    set(SAMPLE_MEMORY_MAX, 400 * MB);
    assert_int_equal(at(SEC), TRUTH_TRUE);
    assert_int_equal(b.fact.threshold, 340 * MB);
    clear(SAMPLE_MEMORY_CURRENT);
    assert_int_equal(at(SEC), TRUTH_UNKNOWN);

    begin("memory.headroom < 100M");
    set_memory(1100 * MB);
    assert_int_equal(at(SEC), TRUTH_TRUE);
    assert_int_equal(b.fact.observed, 0);

    begin("memory.eta < 20s");
    set_memory(500 * MB);
    assert_int_equal(at(SEC), TRUTH_FALSE); /* not growing is known */
    b.unit.memory.eta_us = 19 * SEC;
    assert_int_equal(at(SEC), TRUTH_TRUE);

    begin("memory.jump >= memory.headroom");
    set_memory(500 * MB);
    assert_int_equal(at(SEC), TRUTH_FALSE);
    b.unit.memory.jump = 500 * MB;
    assert_int_equal(at(SEC), TRUTH_TRUE);

    begin("uptime >= 1h");
    b.unit.started_us = 5 * SEC;
    assert_int_equal(at(3605 * SEC - 1), TRUTH_FALSE);
    assert_int_equal(at(3605 * SEC), TRUTH_TRUE);
}

static void the_comparison_that_made_it_so(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum decision_metric metric;
    } rows[] = {
        {"threads > 1 or pids.current > 1", METRIC_THREADS},
        {"threads > 9 or pids.current > 1", METRIC_PIDS_CURRENT},
        {"threads > 1 and pids.current > 1", METRIC_THREADS},
        {"(threads > 1 and processes > 9) or pids.current > 1", METRIC_PIDS_CURRENT},
        {"not (threads > 1 and processes > 9)", METRIC_PROCESSES},
        {"rss > 1 or pids.current > 1", METRIC_PIDS_CURRENT}, /* rss is not known */
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        begin(rows[i].text);
        set(SAMPLE_THREADS, 5);
        set(SAMPLE_PIDS_CURRENT, 5);
        set(SAMPLE_PROCESSES, 5);
        assert_int_equal(at(SEC), TRUTH_TRUE);
        if (b.fact.metric != rows[i].metric)
            fail_msg("%s: %s", rows[i].text, decision_metric_name(b.fact.metric));
    }
}

static void a_hold_takes_its_time(void **state)
{
    (void)state;
    begin("threads > 1 for 3s");
    set(SAMPLE_THREADS, 2);
    assert_int_equal(at(10 * SEC), TRUTH_FALSE);
    assert_true(b.due_us == 13 * SEC);
    at(11 * SEC);
    at(12 * SEC);
    assert_int_equal(at(13 * SEC - 1), TRUTH_FALSE);
    assert_int_equal(at(13 * SEC), TRUTH_TRUE);
    assert_true(b.fact.held_us == 3 * SEC);
    assert_true(b.due_us == USEC_INFINITY);
    clear(SAMPLE_THREADS);
    assert_int_equal(at(14 * SEC), TRUTH_UNKNOWN);
    set(SAMPLE_THREADS, 2);
    assert_int_equal(at(15 * SEC), TRUTH_TRUE); /* exactly two intervals since the last true reading */
    assert_int_equal(at(17 * SEC + 1), TRUTH_FALSE);
    assert_int_equal(at(19 * SEC), TRUTH_FALSE);
    set(SAMPLE_THREADS, 1);
    assert_int_equal(at(20 * SEC), TRUTH_FALSE);
    set(SAMPLE_THREADS, 2);
    assert_int_equal(at(20 * SEC + 1), TRUTH_FALSE);
    assert_true(b.due_us == 23 * SEC + 1);
}

/* The outer `for` counts from when the inner one was true. */
static void holds_within_holds(void **state)
{
    (void)state;
    begin("(threads > 1 for 2s or pids.current > 1) for 2s");
    set(SAMPLE_THREADS, 2);
    set(SAMPLE_PIDS_CURRENT, 1);
    for (uint64_t t = 0; t < 4; t++)
        assert_int_equal(at(t * SEC), TRUTH_FALSE);
    assert_int_equal(at(4 * SEC), TRUTH_TRUE);
    assert_true(b.fact.held_us == 2 * SEC);

    begin("not (threads > 1 for 2s)");
    set(SAMPLE_THREADS, 2);
    assert_int_equal(at(0), TRUTH_TRUE);
    assert_int_equal(at(2 * SEC), TRUTH_FALSE);
}

/* A counter that rises by so much a second, read every second. */
static enum truth run(enum sample_field field, uint64_t per_s, uint64_t from_s, uint64_t to_s)
{
    enum truth truth = TRUTH_UNKNOWN;
    for (uint64_t s = from_s; s <= to_s; s++) {
        set(field, 1000 + s * per_s);
        truth = at(s * SEC);
    }
    return truth;
}

static void a_share_needs_its_whole_window(void **state)
{
    (void)state;
    begin("memory.pressure.full >= 20% over 10s");
    assert_int_equal(run(SAMPLE_MEMORY_FULL, 200 * MS, 1, 10), TRUTH_UNKNOWN);
    assert_int_equal(run(SAMPLE_MEMORY_FULL, 200 * MS, 11, 11), TRUTH_TRUE);
    assert_true(b.fact.observed == 2000);
    /* one missing reading is none of its business, a hole is */
    assert_int_equal(run(SAMPLE_MEMORY_FULL, 200 * MS, 13, 13), TRUTH_TRUE);
    assert_int_equal(run(SAMPLE_MEMORY_FULL, 200 * MS, 30, 39), TRUTH_UNKNOWN);
    assert_int_equal(run(SAMPLE_MEMORY_FULL, 200 * MS, 40, 40), TRUTH_TRUE);
    /* a counter that falls is no pressure */
    set(SAMPLE_MEMORY_FULL, 0);
    assert_int_equal(at(41 * SEC), TRUTH_FALSE);
    assert_true(b.fact.observed == 0);
}

/* A reading every 50 ms or every second: the same window; a tick that is late by a little still fills it. */
static void a_window_is_as_long_at_any_rate(void **state)
{
    (void)state;
    begin("cpu.usage > 50% over 10s");
    for (uint64_t t = 0; t <= 20 * SEC; t += 50 * MS) {
        set(SAMPLE_CPU_USAGE, t < 10 * SEC ? 0 : t - 10 * SEC);
        enum truth truth = at(t);
        if (t < 9950 * MS)
            assert_int_equal(truth, TRUTH_UNKNOWN);
        else if (t >= 10 * SEC && t <= 14500 * MS)
            assert_int_equal(truth, TRUTH_FALSE);
        else if (t >= 15400 * MS)
            assert_int_equal(truth, TRUTH_TRUE);
    }
    begin("cpu.usage > 90% over 1s");
    set(SAMPLE_CPU_USAGE, 0);
    assert_int_equal(at(SEC + 180), TRUTH_UNKNOWN);
    set(SAMPLE_CPU_USAGE, SEC);
    assert_int_equal(at(2 * SEC + 90), TRUTH_TRUE);
}

/* An hour in 32 rows: read twenty times a second it is still an hour, to a thirtieth. */
static void an_hour_in_constant_memory(void **state)
{
    (void)state;
    begin("memory.events.max > 0 over 1h");
    set(SAMPLE_EVENTS_MAX, 5);
    at(0);
    set(SAMPLE_EVENTS_MAX, 6);
    uint64_t last = 0;
    for (uint64_t t = 50 * MS; t < 4000 * SEC; t += 50 * MS)
        if (at(t) == TRUTH_TRUE)
            last = t;
    assert_true(last >= 3599 * SEC && last <= 3720 * SEC);
}

static void what_rose_counts_from_the_second_reading(void **state)
{
    (void)state;
    begin("memory.events.oom_kill >= 1 over 10s");
    set(SAMPLE_EVENTS_OOM_KILL, 3);
    assert_int_equal(at(SEC), TRUTH_UNKNOWN);
    assert_int_equal(at(2 * SEC), TRUTH_FALSE);
    set(SAMPLE_EVENTS_OOM_KILL, 4);
    assert_int_equal(at(3 * SEC), TRUTH_TRUE);
    assert_int_equal(b.fact.observed, 1);
    for (uint64_t s = 4; s < 13; s++)
        assert_int_equal(at(s * SEC - 100 * MS), TRUTH_TRUE);
    assert_int_equal(at(13 * SEC), TRUTH_FALSE); /* 10 s after it was read */
    /* killed during a hole: counts from when it was read */
    set(SAMPLE_EVENTS_OOM_KILL, 5);
    assert_int_equal(at(100 * SEC), TRUTH_TRUE);
    assert_int_equal(at(109 * SEC), TRUTH_TRUE);
    assert_int_equal(at(110 * SEC), TRUTH_FALSE);
}

static void efficiency_of_nothing_is_not_known(void **state)
{
    (void)state;
    begin("reclaim.efficiency < 30% over 2s");
    set(SAMPLE_MEMORY_PGSTEAL, 100);
    for (uint64_t s = 0; s < 4; s++) /* pgscan is not read */
        assert_int_equal(at(s * SEC), TRUTH_UNKNOWN);
    set(SAMPLE_MEMORY_PGSCAN, 1000);
    for (uint64_t s = 4; s < 8; s++) /* nothing is looked at */
        assert_int_equal(at(s * SEC), TRUTH_UNKNOWN);
    set(SAMPLE_MEMORY_PGSCAN, 2000);
    set(SAMPLE_MEMORY_PGSTEAL, 350);
    assert_int_equal(at(8 * SEC), TRUTH_TRUE);
    assert_int_equal(b.fact.observed, 2500);
}

static void growth_over_a_window(void **state)
{
    (void)state;
    begin("memory.growth > 10M/s over 10s");
    enum truth truth = TRUTH_TRUE;
    for (uint64_t s = 0; s <= 10; s++) {
        set_memory((100 + 15 * s) * MB);
        truth = at(s * SEC);
        assert_int_equal(truth, TRUTH_UNKNOWN); /* at 10 s the first figure: one reading makes no growth */
    }
    set_memory((100 + 15 * 11) * MB);
    assert_int_equal(at(11 * SEC), TRUTH_TRUE);
    assert_true(b.fact.observed == 15 * MB);
    /* it stands still: the last fifth says so after 2 s, long before the whole window would */
    assert_int_equal(at(12 * SEC), TRUTH_FALSE);
    assert_int_equal(at(13 * SEC), TRUTH_FALSE);
    assert_true(b.fact.observed == 0);
    /* one reading that is off */
    set_memory(5000 * MB);
    assert_int_equal(at(14 * SEC), TRUTH_FALSE);
    set_memory(265 * MB);
    assert_int_equal(at(15 * SEC), TRUTH_FALSE);
}

/* The default window's growth is the one that the ladder judges by. */
static void growth_of_the_default_window(void **state)
{
    (void)state;
    begin("memory.growth > 10M/s");
    size_t holds, rings;
    rule_eval_needs(&b.condition, &holds, &rings);
    assert_int_equal(rings, 0);
    assert_int_equal(at(0), TRUTH_UNKNOWN);
    set_memory(100 * MB);
    b.unit.memory.growth = 11 * MB;
    assert_int_equal(at(SEC), TRUTH_TRUE);
}

/* Two metrics with a window on both sides of a comparison. */
static void a_window_on_both_sides(void **state)
{
    (void)state;
    begin("memory.pressure.full > 50% of memory.pressure.some over 2s");
    for (uint64_t s = 0; s <= 2; s++) {
        set(SAMPLE_MEMORY_FULL, s * 300 * MS);
        set(SAMPLE_MEMORY_SOME, s * 500 * MS);
        assert_int_equal(at(s * SEC), s < 2 ? TRUTH_UNKNOWN : TRUTH_TRUE);
    }
    assert_true(b.fact.observed == 3000 && b.fact.threshold == 2500);
}

static void a_gate_that_is_not_there_is_not_known(void **state)
{
    (void)state;
    begin("gate.inflight > 0 or gate.queued >= 0");
    assert_int_equal(at(SEC), TRUTH_UNKNOWN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(comparisons_are_what_they_say),
        cmocka_unit_test(three_values),
        cmocka_unit_test(what_is_relative_to_no_limit_is_never_true),
        cmocka_unit_test(memory_as_the_ladder_sees_it),
        cmocka_unit_test(the_comparison_that_made_it_so),
        cmocka_unit_test(a_hold_takes_its_time),
        cmocka_unit_test(holds_within_holds),
        cmocka_unit_test(a_share_needs_its_whole_window),
        cmocka_unit_test(a_window_is_as_long_at_any_rate),
        cmocka_unit_test(an_hour_in_constant_memory),
        cmocka_unit_test(what_rose_counts_from_the_second_reading),
        cmocka_unit_test(efficiency_of_nothing_is_not_known),
        cmocka_unit_test(growth_over_a_window),
        cmocka_unit_test(growth_of_the_default_window),
        cmocka_unit_test(a_window_on_both_sides),
        cmocka_unit_test(a_gate_that_is_not_there_is_not_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
