/* SPDX-License-Identifier: MIT */
/* `weir explain` of a unit with a gate: how the wait for the answers in flight went, and what holding back did. */
#include "explain_kit.h"

#include <errno.h>
#include <jansson.h>

/* ------------------------------------- a restart that waits for the answers ------------------------------------- */

/* A decision at so many milliseconds, a step of that cause. */
static struct decision step(uint64_t ms, enum decision_kind kind, uint64_t cause)
{
    struct decision d = history_decision(++id, seq, ms * USEC_PER_MSEC, kind);
    d.generation = 1;
    d.cause_id = cause;
    return d;
}

static void give_step(uint64_t ms, enum decision_kind kind, uint64_t cause)
{
    struct decision d = step(ms, kind, cause);
    store_decision(s, &d);
}

static void move(uint64_t ms, enum unit_state from, enum unit_state to, uint64_t cause)
{
    struct decision d = step(ms, DECISION_STATE, cause);
    d.amount[0] = from;
    d.amount[1] = to;
    store_decision(s, &d);
}

/* Out of DRAINING: why, and after how long (0: the reason has no time). */
static void leave(uint64_t ms, enum decision_reason reason, uint64_t after_ms, uint64_t limit_ms,
                  uint64_t cause)
{
    struct decision d = step(ms, DECISION_STATE, cause);
    d.amount[0] = UNIT_STATE_DRAINING;
    d.amount[1] = UNIT_STATE_STOPPING;
    d.reason = reason;
    d.metric = after_ms ? METRIC_ELAPSED : METRIC_NONE;
    d.observed = after_ms * USEC_PER_MSEC;
    d.threshold = limit_ms * USEC_PER_MSEC;
    store_decision(s, &d);
}

static void event_at(uint64_t ms, enum event_kind kind, uint32_t generation)
{
    struct event e = history_event(++seq, ms * USEC_PER_MSEC, kind, 1);
    e.generation = generation;
    store_event(s, &e);
}

static void outcome_at(uint64_t ms, uint64_t decision_id, enum event_result result)
{
    struct event e = history_event(++seq, ms * USEC_PER_MSEC, EVENT_OUTCOME, 1);
    e.outcome.decision_id = decision_id;
    e.outcome.result = result;
    e.outcome.error = result == EVENT_RESULT_DONE ? 0 : ENOTCONN;
    store_event(s, &e);
}

/* 2 s: 195M, a restart (#1), which begins with a drain (#2) of at most 5 s. */
static void begin_drain(enum decision_kind kind)
{
    begin();
    give_sample(1, 1, 150);
    give_sample(2, 1, 195);
    give_step(2000, kind, 0);
    struct decision drain = step(2000, DECISION_DRAIN, 1);
    drain.amount[0] = 5 * USEC_PER_SEC;
    store_decision(s, &drain);
    move(2000, UNIT_STATE_READY, UNIT_STATE_DRAINING, 1);
}

/* What follows, up to a ready process of 40M. */
static void end_and_start(uint64_t ms)
{
    give_step(ms, DECISION_TERM, 1);
    event_at(ms + 100, EVENT_EXITED, 1);
    give_step(ms + 100, DECISION_KILL, 1);
    event_at(ms + 150, EVENT_CLEANED, 1);
    move(ms + 150, UNIT_STATE_STOPPING, UNIT_STATE_STOPPED, 1);
    event_at(ms + 200, EVENT_SPAWNED, 2);
    event_at(ms + 500, EVENT_READY, 2);
    struct event e = history_sample(++seq, (ms + 1000) * USEC_PER_MSEC, 1, 40 << 20);
    e.generation = 2;
    store_event(s, &e);
}

#define HELPED_BY(ms)                                                                                        \
    "It helped: memory.current fell from 195M (seq 2) to 40M (seq 8), the first reading of generation 2 "    \
    "when it was ready. It was ready again after " ms " (seq 7)."

static json_t *drain_of(const char *word)
{
    const char *const words[] = {word};
    struct cli_args args = {.words = words, .word_count = 1, .format = CLI_FORMAT_JSON};
    history_flush(s);
    assert_int_equal(cli_caught(&h, cmd_explain, args), CLI_EXIT_OK);
    json_t *root = json_loads(output, 0, NULL);
    json_t *drain = json_incref(json_object_get(json_object_get(root, "conclusion"), "drain"));
    json_decref(root);
    return drain;
}

static void test_a_restart_that_drained(void **state)
{
    (void)state;
    begin_drain(DECISION_RESTART);
    assert_string_equal(
        explain("1", NULL),
        "Too early to tell: it has not been started again yet. The answers in flight are awaited.\n");
    outcome_at(2400, 2, EVENT_RESULT_DONE);
    leave(2400, REASON_DRAINED, 400, 0, 1);
    end_and_start(2400);
    assert_string_equal(explain("1", NULL),
                        HELPED_BY("900ms") " Every request in flight was answered first, within 400ms.\n");
    const char *steps = strstr(output, "What was done\n"), *after = strstr(output, "The 60 s after\n");
    const char *wait = strstr(steps, "#2 wait for the answers of worker for at most 5s");
    const char *into = strstr(steps, "#3 worker goes from ready to draining");
    const char *out_of = strstr(
        steps,
        "#4 worker goes from draining to stopping: every request in flight was answered: after 400ms\n");
    const char *term = strstr(steps, "#5 send SIGTERM to worker"),
               *ready = strstr(steps, "seq 7 worker is ready");
    assert_true(wait && wait < into && into < out_of && out_of < term && term < ready && ready < after);
    json_t *drain = drain_of("1");
    assert_string_equal(json_string_value(json_object_get(drain, "ended")), "answered");
    assert_string_equal(json_string_value(json_object_get(drain, "reason")), "drained");
    assert_int_equal(json_integer_value(json_object_get(drain, "took_us")), 400 * USEC_PER_MSEC);
    json_decref(drain);
    store_close(s);
}

static void test_a_drain_that_was_cut(void **state)
{
    (void)state;
    begin_drain(DECISION_RESTART);
    leave(7000, REASON_DRAIN_TIMEOUT, 5000, 5000, 1);
    event_at(7000, EVENT_DEADLINE, 1); /* keeps the numbers of the rows */
    end_and_start(7000);
    assert_string_equal(
        explain("1", NULL),
        HELPED_BY("5.500s") " Requests in flight were cut off: they were not answered within 5s.\n");
    json_t *drain = drain_of("1");
    assert_string_equal(json_string_value(json_object_get(drain, "ended")), "cut off");
    assert_string_equal(json_string_value(json_object_get(drain, "reason")), "drain-timeout");
    json_decref(drain);
    store_close(s);
}

static void test_a_drain_that_memory_cut(void **state)
{
    (void)state;
    begin_drain(DECISION_RESTART);
    leave(2050, REASON_MEMORY_CRITICAL, 50, 0, 1);
    event_at(2050, EVENT_DEADLINE, 1);
    end_and_start(2050);
    assert_string_equal(
        explain("1", NULL),
        HELPED_BY("550ms") " Requests in flight were cut off after 50ms: memory is almost at the limit.\n");
    store_close(s);
}

/* Without a bound in time in its reason: the end of the process tells, or the gate's answer. */
static void test_a_drain_that_could_not_be(void **state)
{
    (void)state;
    begin_drain(DECISION_RESTART);
    outcome_at(2001, 2, EVENT_RESULT_FAILED);
    leave(2001, REASON_MEMORY_LEVEL, 0, 0, 1);
    end_and_start(2001);
    assert_string_equal(
        explain("1", NULL),
        HELPED_BY("501ms") " Nobody waited for the answers in flight: its gate could not do it.\n");
    store_close(s);
}

static void test_a_process_that_ended_while_it_drained(void **state)
{
    (void)state;
    begin_drain(DECISION_RESTART);
    event_at(2100, EVENT_EXITED, 1);
    leave(2100, REASON_OPERATOR, 0, 0, 1);
    end_and_start(2100);
    assert_string_equal(
        explain("1", NULL),
        HELPED_BY("600ms") " Its process ended by itself, 100ms into the wait for its last answers.\n");
    store_close(s);
}

/* The restart's wait becomes the stop's: told there, where its end is on record. */
static void test_a_stop_takes_a_drain_over(void **state)
{
    (void)state;
    begin_drain(DECISION_RESTART);
    event_at(2200, EVENT_OPERATOR, 1);
    struct decision stop = step(2200, DECISION_STOP, 0);
    stop.reason = REASON_OPERATOR;
    store_decision(s, &stop);
    outcome_at(2400, 2, EVENT_RESULT_DONE);
    leave(2400, REASON_DRAINED, 400, 0, 4);
    event_at(2600, EVENT_CLEANED, 1);
    assert_string_equal(explain("4", NULL),
                        "Not judged: it was not done to bring memory down. Every request in flight was "
                        "answered first, within 400ms.\n");
    assert_string_equal(explain("1", NULL), "Not known: #4 stop came before the unit was ready again.\n");
    store_close(s);
}

/* The same without a gate says nothing of answers. */
static void test_without_a_gate_nothing_is_said_of_answers(void **state)
{
    (void)state;
    begin();
    give_sample(2, 1, 195);
    decide(2, DECISION_RESTART, 1, 0);
    move(2000, UNIT_STATE_READY, UNIT_STATE_STOPPING, 1);
    next_life(5, 2, 40);
    assert_null(strstr(explain("1", NULL), "answer"));
    assert_null(drain_of("1"));
    store_close(s);
}

/* The hold that the restart ends is let go by it: no intervention of its own. */
static void test_a_release_is_not_the_next_intervention(void **state)
{
    (void)state;
    begin();
    give_sample(1, 1, 800);
    decide(1, DECISION_HOLD, 1, 0);
    give_sample(2, 1, 850);
    decide(2, DECISION_RESTART, 1, 0);
    decide(2, DECISION_RELEASE, 1, 1);
    next_life(3, 2, 40);
    assert_string_equal(
        explain("2", NULL),
        "It helped: memory.current fell from 850M (seq 2) to 40M (seq 7), the first reading of "
        "generation 2 when it was ready. It was ready again after 2s (seq 6).\n");
    assert_non_null(strstr(output, "\nThe 60 s after\n"));
    (void)explain("last", NULL);
    assert_ptr_equal(strstr(output, "#2 of run 1"), output);
    store_close(s);
}

static void test_a_hold_is_judged_until_it_is_released(void **state)
{
    (void)state;
    static const char helped[] =
        "It helped: memory.current fell from 800M (seq 1) to 600M (seq 4) within 2s, "
        "until it was undone (#2 release).\n";
    begin();
    give_sample(2, 1, 800);
    decide(2, DECISION_HOLD, 1, 0);
    answer(2, 1);
    give_sample(3, 1, 700);
    assert_string_equal(explain("1", NULL), "Too early to tell: it is still held back.\n");
    give_sample(4, 1, 600);
    decide(4, DECISION_RELEASE, 1, 1);
    answer(4, 2);
    assert_string_equal(explain("1", NULL), helped);
    assert_non_null(strstr(output, "#2 release the requests to worker"));
    give_sample(30, 1, 900); /* let through again */
    assert_string_equal(explain("1", NULL), helped);
    store_close(s);
}

/* A hold that came of a pace is its step, and the one that is judged from there on. */
static void test_a_pace_is_judged_until_it_becomes_a_hold(void **state)
{
    (void)state;
    begin();
    give_sample(2, 1, 700);
    decide(2, DECISION_PACE, 1, 0);
    answer(2, 1);
    give_sample(4, 1, 780);
    decide(4, DECISION_HOLD, 1, 1);
    answer(4, 2);
    give_sample(6, 1, 640);
    decide(6, DECISION_RELEASE, 1, 2);
    assert_string_equal(explain("1", NULL),
                        "It did not help: memory.current rose from 700M (seq 1) to 780M (seq 3) within 2s, "
                        "until the next intervention (#2 hold).\n");
    assert_string_equal(
        explain("last", NULL),
        "It helped: memory.current fell from 780M (seq 3) to 640M (seq 5) within 2s, until it "
        "was undone (#3 release).\n");
    store_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_restart_that_drained, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_drain_that_was_cut, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_drain_that_memory_cut, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_drain_that_could_not_be, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_process_that_ended_while_it_drained, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_stop_takes_a_drain_over, setup, teardown),
        cmocka_unit_test_setup_teardown(test_without_a_gate_nothing_is_said_of_answers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_release_is_not_the_next_intervention, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_hold_is_judged_until_it_is_released, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_pace_is_judged_until_it_becomes_a_hold, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
