/* SPDX-License-Identifier: MIT */
/* The contract of engine_step: what is refused, what is ignored, what is left to the end. */
#include "engine_kit.h"

#include <errno.h>

static void test_refused(void **state)
{
    (void)state;
    struct kit k;
    kit_init(&k, 2);
    assert_int_equal(kit_event(&k, 0, EVENT_READY, 2), -EINVAL);
    assert_int_equal(kit_event(&k, 0, EVENT_READY, UNIT_NONE), -EINVAL);
    assert_int_equal(kit_event(&k, 0, EVENT_OUTCOME, UNIT_NONE), 0); /* of the supervisor's own decision */
    k.policy.unit_count = KIT_UNITS + 1;
    assert_int_equal(kit_event(&k, 0, EVENT_RUN, UNIT_NONE), -EINVAL);
    kit_deinit(&k);
    assert_null(engine_new(POLICY_UNITS_MAX + 1));
    assert_null(engine_free(NULL));
}

static void test_late_news_is_ignored(void **state)
{
    (void)state;
    struct kit k;
    kit_init(&k, 2);
    kit_up(&k, 2);
    kit_gone(&k, SEC, 0, 1);
    kit_spawned(&k, SEC, 0); /* life 2 */
    struct event exited = {.kind = EVENT_EXITED, .unit = 0, .generation = 1};
    assert_int_equal(kit_step(&k, 2 * SEC, exited), 0);
    assert_int_equal(kit_state(&k, 0), UNIT_STATE_READY);
    exited.generation = 2;
    assert_true(kit_step(&k, 2 * SEC, exited) > 0);
    kit_deinit(&k);
}

static void test_numbers_and_causes(void **state)
{
    (void)state;
    struct kit k;
    kit_init(&k, 2);
    kit_up(&k, 2);
    kit_verb(&k, SEC, 0, EVENT_VERB_RESTART);
    const struct decision *restart = kit_find(&k, DECISION_RESTART), *term = kit_find(&k, DECISION_TERM);
    assert_int_equal(restart->cause_id, 0);
    assert_int_equal(term->cause_id, restart->id);
    assert_int_equal(term->event_seq, k.seq);
    assert_string_equal(term->rule, "operator");
    uint64_t id = restart->id;
    kit_gone(&k, 2 * SEC, 0, 0);
    assert_int_equal(kit_find(&k, DECISION_START)->cause_id, id);
    assert_int_equal(kit_find(&k, DECISION_START)->generation, 2);
    kit_deinit(&k);
}

static void test_pid_comes_after_the_stop(void **state)
{
    (void)state;
    struct kit k;
    kit_init(&k, 1);
    kit_event(&k, 0, EVENT_RUN, UNIT_NONE);
    kit_verb(&k, 1, 0, EVENT_VERB_STOP);
    kit_spawned(&k, 2, 0);
    assert_non_null(kit_find(&k, DECISION_TERM)); /* the first one met nobody */
    kit_deinit(&k);
}

/* `after` in a ring: nothing starts by itself; what an operator started still stops. */
static void test_ring_of_after(void **state)
{
    (void)state;
    struct kit k;
    kit_init(&k, 3);
    k.units[0].after[k.units[0].after_count++] = 1;
    k.units[1].after[k.units[1].after_count++] = 0;
    kit_event(&k, 0, EVENT_RUN, UNIT_NONE);
    kit_spawned(&k, 0, 2);
    assert_int_equal(kit_state(&k, 0), UNIT_STATE_STOPPED);
    kit_verb(&k, SEC, 0, EVENT_VERB_START);
    kit_spawned(&k, SEC, 0);
    assert_non_null(kit_find(&k, DECISION_START)); /* 1 follows */
    kit_spawned(&k, SEC, 1);
    kit_event(&k, 2 * SEC, EVENT_SHUTDOWN, UNIT_NONE);
    kit_gone(&k, 3 * SEC, 2, 0);
    kit_gone(&k, 3 * SEC, 0, 0);
    kit_gone(&k, 3 * SEC, 1, 0);
    assert_int_equal(kit_find(&k, DECISION_EXIT)->amount[0], 0);
    assert_int_equal(kit_event(&k, 4 * SEC, EVENT_RUN, UNIT_NONE), 0); /* nothing after EXIT */
    kit_deinit(&k);
}

/* One service, one worker, both found running: the worker belongs to the service. */
static void test_adopted_worker_has_its_server(void **state)
{
    (void)state;
    struct kit k;
    kit_init(&k, 2);
    k.units[1].kind = UNIT_KIND_WRAPPED;
    for (uint16_t i = 0; i < 2; i++) {
        struct event event = {.kind = EVENT_SPAWNED, .unit = i, .generation = 7};
        event.spawned.pid = 10 + i;
        event.spawned.how = EVENT_HOW_ADOPTED;
        kit_step(&k, 0, event);
    }
    kit_event(&k, 0, EVENT_RUN, UNIT_NONE);
    assert_int_equal(k.count, 0);
    kit_verb(&k, SEC, 0, EVENT_VERB_RESTART);
    kit_gone(&k, SEC, 0, 0);
    const struct decision *d = kit_find(&k, DECISION_STOP);
    assert_int_equal(d->unit, 1);
    assert_int_equal(d->reason, REASON_DEPENDENCY);
    kit_deinit(&k);
}

/* A worker that its server ends politely did not fail; one that breaks while its server goes did not either. */
static void test_ends_that_are_no_failure(void **state)
{
    (void)state;
    for (int way = 0; way < 2; way++) {
        struct kit k;
        kit_init(&k, 2);
        k.units[1].kind = UNIT_KIND_WRAPPED;
        kit_up(&k, 1);
        kit_arrived(&k, 0, 1, 0, 7);
        kit_spawned(&k, 0, 1);
        struct event exited = {.kind = EVENT_EXITED, .unit = 1};
        exited.exit = (struct event_exit){.status_known = true, .signal = way ? 13 : 15};
        if (way)
            kit_verb(&k, SEC, 0, EVENT_VERB_STOP);
        kit_step(&k, SEC, exited);
        kit_event(&k, SEC, EVENT_EMPTY, 1);
        kit_event(&k, SEC, EVENT_CLEANED, 1);
        assert_int_equal(k.count, 1); /* the move to stopped */
        assert_int_equal(kit_state(&k, 1), UNIT_STATE_STOPPED);
        kit_deinit(&k);
    }
}

static void test_states_of_a_service_that_does_not_wrap(void **state)
{
    (void)state;
    struct kit k;
    kit_init(&k, 1);
    kit_up(&k, 1);
    kit_arrived(&k, SEC, 0, UNIT_NONE, 3);
    assert_int_equal(kit_find(&k, DECISION_REFUSE)->reason, REASON_CONFIGURED);
    kit_deinit(&k);
}

static void test_thaw_that_failed_can_be_asked_again(void **state)
{
    (void)state;
    struct kit k;
    kit_init(&k, 1);
    kit_up(&k, 1);
    kit_verb(&k, SEC, 0, EVENT_VERB_FREEZE);
    kit_verb(&k, SEC, 0, EVENT_VERB_THAW);
    struct event outcome = {.kind = EVENT_OUTCOME, .unit = 0};
    outcome.outcome.decision_id = kit_find(&k, DECISION_THAW)->id;
    outcome.outcome.result = EVENT_RESULT_FAILED;
    outcome.outcome.error = 16;
    kit_step(&k, SEC, outcome);
    assert_int_equal(kit_find(&k, DECISION_NOTE)->observed, 16);
    kit_verb(&k, SEC, 0, EVENT_VERB_THAW);
    assert_non_null(kit_find(&k, DECISION_THAW));
    kit_deinit(&k);
}

static void test_back_off_ended_by_an_operator(void **state)
{
    (void)state;
    struct kit k;
    kit_init(&k, 2);
    k.units[1].kind = UNIT_KIND_WRAPPED;
    kit_up(&k, 1);
    for (uint64_t i = 0; i < 2; i++) {
        kit_arrived(&k, i, 1, 0, i);
        kit_spawned(&k, i, 1);
        kit_gone(&k, i, 1, 1);
    }
    kit_arrived(&k, 3, 1, 0, 5);
    assert_int_equal(k.count, 0);
    kit_verb(&k, 4, 1, EVENT_VERB_START);
    assert_int_equal(kit_find(&k, DECISION_ADMIT)->amount[0], 5);
    kit_deinit(&k);
}

/* A time limit that a reload makes shorter than what has passed is over now, not in the past. */
static void test_a_shorter_time_limit_is_over_at_once(void **state)
{
    (void)state;
    struct kit k;
    kit_init(&k, 1);
    k.units[0].has_ready = true;
    k.units[0].ready_timeout_us = 60 * SEC;
    kit_event(&k, 0, EVENT_RUN, UNIT_NONE);
    kit_spawned(&k, 0, 0);
    k.units[0].ready_timeout_us = 10 * SEC;
    kit_event(&k, 30 * SEC, EVENT_POLICY, 0);
    assert_true(engine_next_deadline(k.engine) == 30 * SEC);
    kit_deadline(&k, 30 * SEC);
    assert_int_equal(kit_find(&k, DECISION_STOP)->reason, REASON_READY_TIMEOUT);
    kit_deinit(&k);
}

/* More than there can be, asked for by a rule: a chunk is asked for all the same, and what comes of it is judged. */
static void test_a_reclaim_of_any_size_begins_with_a_chunk(void **state)
{
    (void)state;
    struct kit k;
    struct rule rule;
    assert_int_equal(
        rule_parse("name = all\nwhen = threads > 5\ndo = reclaim 18446744073709551615B\n", &rule), 0);
    kit_init(&k, 1);
    k.units[0].abilities |= ABILITY_RECLAIM;
    k.units[0].rules = 1;
    k.policy.rules = &rule;
    k.policy.rule_count = 1;
    assert_int_equal(engine_prepare(k.engine, &k.policy), 0);
    kit_up(&k, 1);
    struct event sample = {.kind = EVENT_SAMPLE};
    sample_set(&sample.sample, SAMPLE_MEMORY_CURRENT, 500 * MB);
    sample_set(&sample.sample, SAMPLE_THREADS, 6);
    kit_step(&k, SEC, sample);
    assert_non_null(kit_find(&k, DECISION_RECLAIM));
    assert_int_equal(kit_find(&k, DECISION_RECLAIM)->amount[0], 20 * MB);
    struct event outcome = {.kind = EVENT_OUTCOME};
    outcome.outcome.decision_id = kit_find(&k, DECISION_RECLAIM)->id;
    kit_step(&k, SEC + MS, outcome);
    assert_int_equal(kit_find(&k, DECISION_NOTE)->reason, REASON_LOW_YIELD);
    kit_deinit(&k);
}

static void test_names(void **state)
{
    (void)state;
    assert_string_equal(ladder_step_name(LADDER_RESTART), "restart");
    assert_string_equal(ladder_step_name((enum ladder_step)9), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_late_news_is_ignored),
        cmocka_unit_test(test_numbers_and_causes),
        cmocka_unit_test(test_pid_comes_after_the_stop),
        cmocka_unit_test(test_ring_of_after),
        cmocka_unit_test(test_adopted_worker_has_its_server),
        cmocka_unit_test(test_ends_that_are_no_failure),
        cmocka_unit_test(test_states_of_a_service_that_does_not_wrap),
        cmocka_unit_test(test_thaw_that_failed_can_be_asked_again),
        cmocka_unit_test(test_back_off_ended_by_an_operator),
        cmocka_unit_test(test_a_shorter_time_limit_is_over_at_once),
        cmocka_unit_test(test_a_reclaim_of_any_size_begins_with_a_chunk),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
