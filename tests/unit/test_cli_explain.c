/* SPDX-License-Identifier: MIT */
/* `weir explain`: an intervention is judged by what it touched, with the same answer whenever it is asked. */
#include "explain_kit.h"
#include "weir/engine/policy_text.h"

static void test_a_restart_is_judged_by_the_next_generation(void **state)
{
    (void)state;
    static const char helped[] =
        "It helped: memory.current fell from 195M (seq 2) to 40M (seq 7), the first reading "
        "of generation 2 when it was ready. It was ready again after 4s (seq 6).";
    char expected[512];
    begin();
    give_sample(1, 1, 150);
    give_sample(2, 1, 195);
    decide(2, DECISION_RESTART, 1, 0);
    assert_string_equal(explain("1", NULL), "Too early to tell: it has not been started again yet.\n");
    next_life(5, 2, 40);
    snprintf(expected, sizeof(expected), "%s\n", helped);
    assert_string_equal(explain("1", NULL), expected);
    for (uint32_t generation = 3; generation < 6;
         generation++) { /* what became of the others is not its doing */
        decide(generation * 10 - 1, DECISION_RESTART, generation - 1, 0);
        next_life(generation * 10, generation, 170);
        assert_string_equal(explain("1", NULL), expected);
    }
    store_close(s);
}

static void test_a_restart_tells_when_memory_was_back(void **state)
{
    (void)state;
    begin();
    give_sample(2, 1, 195);
    decide(2, DECISION_RESTART, 1, 0);
    next_life(5, 2, 40);
    give_sample(20, 2, 194);
    assert_null(strstr(explain("1", NULL), "It was back"));
    give_sample(42, 2, 196);
    give_sample(43, 2, 10);
    assert_non_null(strstr(explain("1", NULL), "(seq 5). It was back at 196M after 40s (seq 8).\n"));
    store_close(s);
}

static void test_a_restart_that_failed(void **state)
{
    (void)state;
    begin();
    give_sample(2, 1, 195);
    decide(2, DECISION_RESTART, 1, 0);
    give(3, EVENT_EXITED, 1);
    give(4, EVENT_SPAWNED, 2);
    assert_string_equal(explain("1", NULL), "Too early to tell: generation 2 is not ready yet.\n");
    give(5, EVENT_EXITED, 2);
    assert_string_equal(explain("1", NULL),
                        "It did not help: generation 2 ended (seq 4) before it was ready.\n");
    store_run_end(s, HISTORY_START_US + 6 * USEC_PER_SEC, 0);
    assert_string_equal(explain("1", NULL),
                        "It did not help: generation 2 ended (seq 4) before it was ready.\n");
    store_close(s);
}

static void test_what_was_done_ends_when_the_unit_is_ready(void **state)
{
    (void)state;
    begin();
    give_sample(2, 1, 195);
    decide(2, DECISION_RESTART, 1, 0);
    decide(2, DECISION_TERM, 1, 1);
    next_life(5, 2, 40);
    decide(20, DECISION_RESTART, 2, 0);
    next_life(22, 3, 40);
    (void)explain("1", NULL);
    const char *steps = strstr(output, "What was done\n"), *after = strstr(output, "After it, until");
    assert_true(steps && after);
    *strstr(output, "After it, until") = '\0';
    assert_non_null(strstr(steps, "#2 "));
    assert_non_null(strstr(steps, "seq 5 worker is ready"));
    assert_null(strstr(steps, "seq 7"));
    assert_non_null(
        strstr(after + 1, "fter it, until the next intervention (#3 restart, 2025-11-05 12:24:05.000)"));
    assert_null(strstr(after + 1, "12:24:09.000"));
    store_close(s);
}

static void test_a_throttle_is_judged_until_it_is_undone(void **state)
{
    (void)state;
    begin();
    give_sample(2, 1, 800);
    decide(2, DECISION_THROTTLE, 1, 0);
    give_sample(3, 1, 700);
    assert_string_equal(explain("1", NULL), "Too early to tell: it is still held back.\n");
    give_sample(4, 1, 600);
    decide(4, DECISION_UNTHROTTLE, 1, 1);
    static const char helped[] =
        "It helped: memory.current fell from 800M (seq 1) to 600M (seq 3) within 2s, until it "
        "was undone (#2 unthrottle).\n";
    assert_string_equal(explain("1", NULL), helped);
    give_sample(30, 1, 900); /* it grew again, held back by nobody */
    next_life(40, 2, 10);
    assert_string_equal(explain("1", NULL), helped);
    store_close(s);
}

static void test_a_notify_is_judged_within_its_generation(void **state)
{
    (void)state;
    begin();
    give_sample(2, 1, 600);
    decide(2, DECISION_NOTIFY, 1, 0);
    give_sample(3, 1, 800);
    assert_string_equal(explain("1", NULL), "Too early to tell: it was asked less than 60 s ago.\n");
    decide(3, DECISION_RESTART, 1, 0);
    next_life(5, 2, 10);
    static const char rose[] =
        "It did not help: memory.current rose from 600M (seq 1) to 800M (seq 2) within 1s, "
        "until the next intervention (#2 restart).\n";
    assert_string_equal(explain("1", NULL), rose);
    store_close(s);
}

/* A rule that notifies and throttles on one reading: what became of the first is no secret of the second's. */
static void test_two_steps_on_one_reading(void **state)
{
    (void)state;
    begin();
    give_sample(2, 1, 800);
    decide(2, DECISION_NOTIFY, 1, 0);
    decide(2, DECISION_THROTTLE, 1, 0);
    answer(2, 1);
    answer(2, 2);
    give_sample(3, 1, 700);
    assert_string_equal(explain("1", NULL), "Not known: it was done together with #2 throttle.\n");
    assert_non_null(strstr(output, "decision 1 on worker was carried out"));
    assert_null(strstr(output, "decision 2 on worker"));
    store_close(s);
}

/* The kernel takes a while to take memory back; a throttle came first. */
static void test_a_reclaim_is_there_to_bring_memory_down(void **state)
{
    (void)state;
    begin();
    give_sample(2, 1, 800);
    decide(2, DECISION_RECLAIM, 1, 0);
    give_sample(3, 1, 700);
    assert_string_equal(explain("1", NULL), "Too early to tell: it was done less than 60 s ago.\n");
    decide(3, DECISION_THROTTLE, 1, 0);
    answer(4, 1);
    assert_string_equal(explain("1", NULL),
                        "It helped: memory.current fell from 800M (seq 1) to 700M (seq 2) within 1s, "
                        "until the next intervention (#2 throttle).\n");
    assert_non_null(strstr(output, "seq 3 "));
    store_close(s);
}

/* Watched only: that is said of a stop too, and what others did later is not its doing. */
static void test_what_was_only_watched(void **state)
{
    (void)state;
    begin();
    give_sample(2, 1, 800);
    struct decision d = history_decision(++id, seq, 2 * USEC_PER_SEC, DECISION_STOP);
    d.generation = 1;
    d.observe = true;
    store_decision(s, &d);
    decide(3, DECISION_RESTART, 1, 0);
    next_life(5, 2, 10);
    assert_string_equal(explain("1", NULL), "Nothing was done: mode = observe.\n");
    assert_non_null(strstr(output, "What was done\n  nothing is on record\n"));
    store_close(s);
}

/* One generation grew by 10M/s, an earlier one ended at 900M: never -80M/s. */
static void test_growth_is_of_one_generation(void **state)
{
    (void)state;
    begin();
    give_sample(1, 1, 900);
    give(2, EVENT_EXITED, 1);
    give(2, EVENT_SPAWNED, 2);
    give_sample(10, 2, 100);
    give_sample(12, 2, 120);
    decide(12, DECISION_THROTTLE, 2, 0);
    (void)explain("last", NULL);
    assert_non_null(
        strstr(output, "  of generation 2 alone:\n  memory     lowest 100M (seq 4), highest 120M (seq 5)\n"
                       "  growth     10M/s: 100M (seq 4) to 120M (seq 5) in 2s\n"));
    store_close(s);
}

static void test_pulses_are_one_line(void **state)
{
    (void)state;
    begin();
    give_sample(2, 1, 800);
    decide(2, DECISION_THROTTLE, 1, 0);
    for (int i = 0; i < 20; i++) {
        decide(3, i % 2 ? DECISION_PULSE_THAW : DECISION_PULSE_FREEZE, 1, 1);
        struct event done = history_event(++seq, 3 * USEC_PER_SEC, EVENT_OUTCOME, 1);
        done.outcome.decision_id = id;
        store_event(s, &done);
    }
    (void)explain("1", NULL);
    assert_non_null(strstr(output, "  meanwhile 10 freeze pulses (#2 to #21; weir log --all)\n"));
    assert_null(strstr(output, "decision 5 "));
    store_close(s);
}

static void test_last_finds_what_was_meant(void **state)
{
    (void)state;
    begin();
    give_sample(1, 1, 800);
    decide(1, DECISION_RESTART, 1, 0);
    next_life(2, 2, 800);
    decide(4, DECISION_THROTTLE, 2, 0);
    give_sample(5, 2, 800);
    decide(5, DECISION_UNTHROTTLE, 2, 2);
    (void)explain("last", NULL);
    assert_ptr_equal(strstr(output, "#2 of run 1"), output);
    (void)explain("last", "restart");
    assert_ptr_equal(strstr(output, "#1 of run 1"), output);
    (void)explain("last", "unthrottle");
    assert_ptr_equal(strstr(output, "#3 of run 1"), output);
    const char *const wrong[][2] = {{"last", "restrat"}, {"1", "restart"}};
    for (int i = 0; i < 2; i++)
        assert_int_equal(cli_caught(&h, cmd_explain, (struct cli_args){.words = wrong[i], .word_count = 2}),
                         CLI_EXIT_USAGE);
    const char *const none[] = {"last", "fail"};
    assert_int_equal(cli_caught(&h, cmd_explain, (struct cli_args){.words = none, .word_count = 2}),
                     CLI_EXIT_FAILED);
    assert_string_equal(errors, "weir: no fail is on record\n");
    store_close(s);
}

/* The rule was changed twice; what it said when it decided is told. */
static void test_a_rules_own_words_are_told_as_they_were(void **state)
{
    (void)state;
    begin();
    give_sample(1, 1, 100);
    store_policy(s, 1, POLICY_ROW_RULE, "name = recycle\nwhen = threads > 100\ndo = note\n");
    store_policy(s, 1, POLICY_ROW_RULE + 1, "name = recycle-more\nwhen = threads > 900\ndo = stop\n");
    store_policy(s, seq + 1, POLICY_ROW_RULE, "name = recycle\nwhen = threads > 200 for 3s\ndo = restart\n");
    give_sample(2, 1, 100);
    struct decision d = history_decision(++id, seq, 2 * USEC_PER_SEC, DECISION_RESTART);
    d.generation = 1;
    (void)snprintf(d.rule, sizeof(d.rule), "rule.recycle");
    store_decision(s, &d);
    store_policy(s, seq + 1, POLICY_ROW_RULE, "name = recycle\nwhen = threads > 300\ndo = note\n");
    give_sample(3, 1, 100);
    (void)explain("last", NULL);
    assert_non_null(strstr(output, "  rule       rule.recycle\n"
                                   "             when = threads > 200 for 3s\n"
                                   "             do = restart\n"
                                   "  condition"));
    assert_null(strstr(output, "threads > 900"));
    store_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_restart_is_judged_by_the_next_generation, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_restart_tells_when_memory_was_back, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_restart_that_failed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_was_done_ends_when_the_unit_is_ready, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_throttle_is_judged_until_it_is_undone, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_notify_is_judged_within_its_generation, setup, teardown),
        cmocka_unit_test_setup_teardown(test_two_steps_on_one_reading, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_reclaim_is_there_to_bring_memory_down, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_was_only_watched, setup, teardown),
        cmocka_unit_test_setup_teardown(test_growth_is_of_one_generation, setup, teardown),
        cmocka_unit_test_setup_teardown(test_pulses_are_one_line, setup, teardown),
        cmocka_unit_test_setup_teardown(test_last_finds_what_was_meant, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_rules_own_words_are_told_as_they_were, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
