/* SPDX-License-Identifier: MIT */
/* A recorded run is decided again the same; with a decision or a policy changed, the difference is told. */
#include "caught.h"
#include "engine_kit.h"

#include <sqlite3.h>

#include "weir/engine/policy_text.h"

static struct history h;

/* As the supervisor does it: the event is recorded, then the engine sees it, then its decisions are recorded. */
static void give(struct store *s, struct kit *k, uint64_t second, struct event e)
{
    kit_step(k, HISTORY_START_US + second * SEC, e);
    e.seq = k->seq;
    e.t_us = HISTORY_START_US + second * SEC;
    e.sample.t_us = e.kind == EVENT_SAMPLE ? e.t_us : e.sample.t_us;
    store_event(s, &e);
    for (int i = 0; i < k->count; i++)
        store_decision(s, &k->decisions[i]);
}

static void give_policies(struct store *s, const struct kit *k)
{
    char text[POLICY_TEXT_MAX];
    assert_true(policy_text_format(&k->policy, text, sizeof(text)) > 0);
    store_policy(s, 1, UNIT_NONE, text);
    for (uint16_t i = 0; i < k->policy.unit_count; i++) {
        assert_true(policy_text_format_unit(&k->units[i], text, sizeof(text)) > 0);
        store_policy(s, 1, i, text);
    }
    for (uint32_t i = 0; i < k->policy.rule_count; i++) {
        assert_true(rule_format(&k->policy.rules[i], text, sizeof(text)) > 0);
        store_policy(s, 1, (uint16_t)(POLICY_ROW_RULE + i), text);
    }
}

/* The policy that the runs here are recorded with, as a config would say it; change: a line for the worker. */
static void config_says(const char *change)
{
    FILE *f = fopen(cli_config_path, "w");
    assert_non_null(f);
    fprintf(f,
            "[supervisor]\nname = search-docs\nstate_dir = %s\nrun_dir = %s\n"
            "[unit server]\nexec = /bin/true\nmemory_max = 1000M\n"
            "[unit worker]\nexec = /bin/true\nmemory_max = 1000M\n%s\n",
            h.dir, h.dir, change);
    fclose(f);
}

/* A worker that grows by 40 MB a second to its limit, and what the ladder says to that. */
static size_t record_with(struct rule *rule)
{
    struct kit k;
    struct store *s = history_open(&h);
    kit_init(&k, 2);
    if (rule) {
        k.policy.rules = rule;
        k.policy.rule_count = 1;
        k.units[1].rules = 1;
        assert_int_equal(engine_prepare(k.engine, &k.policy), 0);
    }
    for (int i = 0; i < 2; i++)
        snprintf(k.units[i].name, sizeof(k.units[i].name), "%s", history_units[i]);
    history_begin(s);
    give_policies(s, &k);
    give(s, &k, 0, (struct event){.kind = EVENT_RUN, .unit = UNIT_NONE});
    for (uint16_t unit = 0; unit < 2; unit++) {
        struct event spawned = {.kind = EVENT_SPAWNED, .unit = unit, .generation = 1};
        spawned.spawned.pid = 100 + unit;
        give(s, &k, 0, spawned);
    }
    for (uint64_t second = 1; second < 25; second++) {
        struct event e = {.kind = EVENT_SAMPLE, .unit = 1, .generation = 1};
        sample_set(&e.sample, SAMPLE_MEMORY_CURRENT, second * 40 * MB);
        sample_set(&e.sample, SAMPLE_THREADS, second);
        give(s, &k, second, e);
    }
    struct store_status st;
    history_flush(s);
    store_get_status(s, &st);
    kit_deinit(&k);
    store_close(s);
    return st.decisions_written;
}

static size_t record(void)
{
    return record_with(NULL);
}

static int sql_changes(const char *text)
{
    sqlite3 *db;
    assert_int_equal(sqlite3_open(h.path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, text, NULL, NULL, NULL), SQLITE_OK);
    int changes = sqlite3_changes(db);
    sqlite3_close(db);
    return changes;
}

static void sql(const char *text)
{
    assert_int_equal(sql_changes(text), 1);
}

static int setup(void **state)
{
    (void)state;
    history_make(&h);
    cli_caught_config(&h);
    assert_true(record() > 4);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    history_remove(&h);
    return 0;
}

static void test_the_same_run_is_decided_the_same(void **state)
{
    (void)state;
    assert_int_equal(cli_caught(&h, cmd_replay, (struct cli_args){.recorded = true}), CLI_EXIT_OK);
    assert_non_null(strstr(output, "run 1: 27 events (24 samples)"));
    assert_non_null(strstr(output, "\nthe same decisions, byte for byte\n"));
    assert_int_equal(
        cli_caught(&h, cmd_replay, (struct cli_args){.recorded = true, .format = CLI_FORMAT_JSON}),
        CLI_EXIT_OK);
    assert_non_null(strstr(output, "\"identical\": true"));
}

static void test_a_changed_decision_is_found(void **state)
{
    (void)state;
    sql("UPDATE decisions SET observed = observed + 1 WHERE id = (SELECT max(id) FROM decisions WHERE class "
        "= 0)");
    assert_int_equal(cli_caught(&h, cmd_replay, (struct cli_args){.recorded = true}), CLI_EXIT_FAILED);
    assert_non_null(strstr(output, "first difference at event seq "));
    assert_non_null(strstr(output, "\n  recorded  "));
    assert_non_null(strstr(output, "\n  now       "));
}

static void test_a_missing_decision_is_found(void **state)
{
    (void)state;
    sql("DELETE FROM decisions WHERE id = (SELECT max(id) FROM decisions)");
    assert_int_equal(cli_caught(&h, cmd_replay, (struct cli_args){.recorded = true, .all = true}),
                     CLI_EXIT_FAILED);
    assert_non_null(strstr(output, "recorded  (nothing)"));
    assert_non_null(strstr(output, "1 differences; "));
}

/* Killed between two decisions of an event: what did not get on record is told, and is no difference. In a run that
 * weir ended itself it is one. */
static void test_a_record_that_was_cut_off(void **state)
{
    (void)state;
    assert_true(sql_changes("DELETE FROM samples") > 0);
    assert_true(sql_changes("DELETE FROM events WHERE seq > 1") > 0);
    assert_true(sql_changes("DELETE FROM decisions WHERE event_seq > 1") > 0);
    sql("DELETE FROM decisions WHERE id = (SELECT max(id) FROM decisions)");
    assert_int_equal(cli_caught(&h, cmd_replay, (struct cli_args){.recorded = true}), CLI_EXIT_OK);
    assert_non_null(
        strstr(output, "ends in the middle of its last event: 1 decision of it is not on record\n"));
    assert_non_null(strstr(output, "the same decisions, byte for byte"));
    sql("UPDATE runs SET end_t_us = last_t_us, exit_status = 0");
    assert_int_equal(cli_caught(&h, cmd_replay, (struct cli_args){.recorded = true}), CLI_EXIT_FAILED);
    assert_non_null(strstr(output, "recorded  (nothing)"));
}

static void test_a_broken_policy_is_told(void **state)
{
    (void)state;
    sql("UPDATE policies SET text = 'no such key=1' WHERE unit = 1");
    assert_int_equal(cli_caught(&h, cmd_replay, (struct cli_args){.recorded = true}), CLI_EXIT_FAILED);
    assert_non_null(strstr(errors, "of another version"));
}

static void test_its_own_policy_gives_the_recorded_decisions(void **state)
{
    (void)state;
    struct history_rows rows = {0};
    char wanted[64], text[DECISION_TEXT_MAX];
    struct store_reader *r = history_read(&h);
    config_says("");
    assert_int_equal(cli_caught(&h, cmd_replay, (struct cli_args){.all = true, .format = CLI_FORMAT_JSON}),
                     CLI_EXIT_OK);
    assert_non_null(strstr(output, "\"counterfactual_from_us\": null"));
    assert_null(strstr(output, "\"basis\": \"model\""));
    assert_int_equal(store_read_decisions(r, &(struct store_filter){0}, history_keep, &rows), 0);
    const char *p = output;
    for (size_t i = 0; i < rows.count; i++) {
        snprintf(wanted, sizeof(wanted), "\"id\": %llu,", (unsigned long long)rows.row[i].decision.id);
        p = strstr(p, wanted);
        assert_non_null(p);
        p = strstr(p, decision_narrate(&rows.row[i].decision, history_units, text, sizeof(text)));
        assert_non_null(p);
    }
    assert_null(strstr(p + 1, "\"id\": "));
    store_reader_close(r);
    history_rows_free(&rows);
}

/* The rule's throttle in the sixth second is on record; the config's own rule says the same, with another bound it does not. */
static void test_rules_are_judged_again(void **state)
{
    (void)state;
    struct rule rule = {0};
    history_make(&h);
    cli_caught_config(&h);
    assert_int_equal(rule_parse("name = many\nwhen = threads > 5\ndo = throttle\n", &rule), 0);
    assert_true(record_with(&rule) > 0);
    assert_int_equal(cli_caught(&h, cmd_replay, (struct cli_args){.recorded = true}), CLI_EXIT_OK);
    assert_non_null(strstr(output, "the same decisions, byte for byte"));

    config_says("[rule many]\nunit = worker\nwhen = threads > 5\ndo = throttle");
    assert_int_equal(cli_caught(&h, cmd_replay, (struct cli_args){0}), CLI_EXIT_OK);
    assert_non_null(strstr(output, "\n 6.000s "));
    assert_non_null(strstr(output, "threads 6, threshold 5: rule many"));
    assert_null(strstr(output, "counterfactual"));

    config_says("[rule many]\nunit = worker\nwhen = threads > 7\ndo = throttle");
    assert_int_equal(cli_caught(&h, cmd_replay, (struct cli_args){0}), CLI_EXIT_OK);
    assert_non_null(strstr(output, "counterfactual: on record, not now: throttle worker"));
    assert_non_null(strstr(output, "threads 8, threshold 7: rule many"));
    history_remove(&h);
}

static void test_another_policy_leaves_the_record(void **state)
{
    (void)state;
    config_says("notify_at = 50%");
    assert_int_equal(cli_caught(&h, cmd_replay, (struct cli_args){.unit = "worker"}), CLI_EXIT_OK);
    assert_non_null(strstr(output, "run 1: 24 readings, 3 other events\njudged by "));
    assert_non_null(
        strstr(output, "\n13.000s   7  fact   ask worker to give memory back: memory.current 520M"));
    assert_non_null(
        strstr(output, "from here on the readings of worker are counterfactual: not on record: ask worker"));
    assert_non_null(strstr(output, "\nworker, memory_max 1000M\n"));
    assert_null(strstr(output, "\nserver, "));
}

static void test_less_done_than_on_record_is_told(void **state)
{
    (void)state;
    config_says("mode = observe");
    assert_int_equal(cli_caught(&h, cmd_replay, (struct cli_args){0}), CLI_EXIT_OK);
    assert_non_null(strstr(output, "would have: ask worker to give memory back"));
    assert_non_null(strstr(output, "counterfactual: on record, not now: ask worker to give memory back"));
}

static void test_a_sweep_has_a_row_for_each_value(void **state)
{
    (void)state;
    const char *sweep[] = {"memory_max=900M,1000M,8G"};
    config_says("");
    struct cli_args args = {.unit = "worker", .sweep = sweep, .sweep_count = 1, .format = CLI_FORMAT_CSV};
    assert_int_equal(cli_caught(&h, cmd_replay, args), CLI_EXIT_OK);
    assert_non_null(strstr(output, "\r\n900M,1,0,"));
    assert_non_null(strstr(output, "\r\n8G,0,0,0,1006632960,0,0,0,,"));
    const char *own = strstr(output, "\r\n1000M,1,0,");
    assert_non_null(own);
    const char *end = strstr(own + 2, "\r\n");
    assert_non_null(end);
    assert_int_equal(end[-1], ','); /* its own limit never leaves the record */
}

static void test_a_unit_that_the_config_lacks_is_not_started(void **state)
{
    (void)state;
    cli_caught_config(&h); /* has a server only */
    assert_int_equal(cli_caught(&h, cmd_replay, (struct cli_args){0}), CLI_EXIT_OK);
    const char *lacks = strstr(output, "has no unit worker, which the run had: it is not started");
    assert_non_null(lacks);
    assert_true(lacks < strstr(output, " TIME ")); /* before the first row */
    assert_non_null(
        strstr(output, "readings of worker are counterfactual: on record, not now: start worker"));
    /* and the server has nothing to do with it */
    assert_null(strstr(output, "readings of server are"));
    assert_null(strstr(output, "  model  "));
}

static void test_a_unit_that_the_run_had_not_is_told(void **state)
{
    (void)state;
    config_says("[unit extra]\nexec = /bin/true");
    assert_int_equal(cli_caught(&h, cmd_replay, (struct cli_args){0}), CLI_EXIT_OK);
    assert_non_null(strstr(output, "has a unit extra, which the run had not: it is left out"));
    assert_null(strstr(output, "counterfactual"));
}

static void test_a_run_that_is_not_there(void **state)
{
    (void)state;
    static const char *const words[] = {"7"};
    assert_int_equal(cli_caught(&h, cmd_replay, (struct cli_args){.words = words, .word_count = 1}),
                     CLI_EXIT_FAILED);
    assert_non_null(strstr(errors, "there is no run 7; the last one is 1"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_the_same_run_is_decided_the_same, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_changed_decision_is_found, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_missing_decision_is_found, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_record_that_was_cut_off, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_broken_policy_is_told, setup, teardown),
        cmocka_unit_test_setup_teardown(test_its_own_policy_gives_the_recorded_decisions, setup, teardown),
        cmocka_unit_test(test_rules_are_judged_again),
        cmocka_unit_test_setup_teardown(test_another_policy_leaves_the_record, setup, teardown),
        cmocka_unit_test_setup_teardown(test_less_done_than_on_record_is_told, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_sweep_has_a_row_for_each_value, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_unit_that_the_config_lacks_is_not_started, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_unit_that_the_run_had_not_is_told, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_run_that_is_not_there, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
