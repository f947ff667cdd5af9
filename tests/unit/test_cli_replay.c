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
}

/* A worker that grows by 40 MB a second to its limit, and what the ladder says to that. */
static size_t record(void)
{
    struct kit k;
    struct store *s = history_open(&h);
    kit_init(&k, 2);
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
        give(s, &k, second, e);
    }
    struct store_status st;
    history_flush(s);
    store_get_status(s, &st);
    kit_deinit(&k);
    store_close(s);
    return st.decisions_written;
}

static void sql(const char *text)
{
    sqlite3 *db;
    assert_int_equal(sqlite3_open(h.path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, text, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_changes(db), 1);
    sqlite3_close(db);
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

static void test_a_broken_policy_is_told(void **state)
{
    (void)state;
    sql("UPDATE policies SET text = 'no such key=1' WHERE unit = 1");
    assert_int_equal(cli_caught(&h, cmd_replay, (struct cli_args){.recorded = true}), CLI_EXIT_FAILED);
    assert_non_null(strstr(errors, "of another version"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_the_same_run_is_decided_the_same, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_changed_decision_is_found, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_missing_decision_is_found, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_broken_policy_is_told, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
