/* SPDX-License-Identifier: MIT */
/* What the reading commands print, to the letter, for a small recorded run. */
#include "caught.h"

#include <errno.h>
#include <jansson.h>
#include <sys/socket.h>
#include <sys/un.h>

static struct history h;

static int run(int (*command)(const struct cli_args *), struct cli_args args)
{
    return cli_caught(&h, command, args);
}

static struct cli_args words(const char *const *word)
{
    return (struct cli_args){.words = word, .word_count = 1};
}

static void give_sample(struct store *s, uint64_t seq, uint64_t second, uint32_t generation, uint64_t memory,
                        uint64_t full)
{
    struct event e = history_sample(seq, second * USEC_PER_SEC, 1, memory << 20);
    e.generation = generation;
    sample_set(&e.sample, SAMPLE_RSS, (memory - 10) << 20);
    sample_set(&e.sample, SAMPLE_THREADS, 31);
    sample_set(&e.sample, SAMPLE_MEMORY_SOME, full * 2);
    sample_set(&e.sample, SAMPLE_MEMORY_FULL, full);
    e.sample.top_count = 1;
    e.sample.top[0] = (struct sample_process){4711, 31, (memory - 10) << 20, 1u << 30, "python3"};
    store_event(s, &e);
}

static void give_outcome(struct store *s, uint64_t seq, uint64_t second, uint64_t decision)
{
    struct event e = history_event(seq, second * USEC_PER_SEC + 1000, EVENT_OUTCOME, 1);
    e.outcome.decision_id = decision;
    store_event(s, &e);
}

/* 1 s to 4 s: 700 to 850 MiB; 4 s: restart; 5 s: gone; 6 s: there again and ready; 7 s, 8 s: 200 MiB. */
static void record(void)
{
    struct store *s = history_open(&h);
    history_begin(s);
    struct event spawned = history_event(1, 500000, EVENT_SPAWNED, 1);
    spawned.spawned.pid = 4711;
    store_event(s, &spawned);
    give_sample(s, 2, 1, 1, 700, 1000);
    give_sample(s, 3, 2, 1, 750, 11000);
    give_sample(s, 4, 3, 1, 800, 61000);
    give_sample(s, 5, 4, 1, 850, 561000);
    struct decision restart = history_decision(1, 5, 4 * USEC_PER_SEC, DECISION_RESTART);
    restart.observed = (uint64_t)850 << 20;
    restart.threshold = (uint64_t)840 << 20;
    restart.held_us = 3 * USEC_PER_SEC;
    restart.amount[0] = 1;
    struct decision term = history_decision(2, 5, 4 * USEC_PER_SEC, DECISION_TERM);
    term.cause_id = 1;
    store_decision(s, &restart);
    store_decision(s, &term);
    give_outcome(s, 6, 4, 2);
    struct event exited = history_event(7, 5 * USEC_PER_SEC, EVENT_EXITED, 1);
    exited.exit = (struct event_exit){.status_known = true, .signal = 15, .oom_kills = 1};
    store_event(s, &exited);
    spawned = history_event(8, 5500000, EVENT_SPAWNED, 1);
    spawned.generation = 2;
    spawned.spawned.pid = 4800;
    store_event(s, &spawned);
    struct event ready = history_event(9, 6 * USEC_PER_SEC, EVENT_READY, 1);
    ready.generation = 2;
    store_event(s, &ready);
    give_sample(s, 10, 7, 2, 200, 0);
    give_sample(s, 11, 8, 2, 210, 2500);
    store_mark(s, HISTORY_START_US + 9 * USEC_PER_SEC, UNIT_NONE, "config reloaded");
    store_close(s);
}

static int setup(void **state)
{
    (void)state;
    setenv("TZ", "UTC", 1);
    history_make(&h);
    cli_caught_config(&h);
    return 0;
}

static int setup_recorded(void **state)
{
    setup(state);
    record();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    history_remove(&h);
    return 0;
}

static void test_samples_table(void **state)
{
    (void)state;
    assert_int_equal(run(cmd_history, words((const char *[]){"samples"})), CLI_EXIT_OK);
    assert_string_equal(output, "TIME                     SEQ  UNIT    GEN  CAUSE  LATE  MEMORY  MAX  SWAP  "
                                "STALLED  PROCS  THREADS   RSS  CPU TIME\n"
                                "2025-11-05 12:23:46.000    2  worker    1  tick    0us    700M    -     -   "
                                "   1ms      -       31  690M         -\n"
                                "2025-11-05 12:23:47.000    3  worker    1  tick    0us    750M    -     -   "
                                "  11ms      -       31  740M         -\n"
                                "2025-11-05 12:23:48.000    4  worker    1  tick    0us    800M    -     -   "
                                "  61ms      -       31  790M         -\n"
                                "2025-11-05 12:23:49.000    5  worker    1  tick    0us    850M    -     -   "
                                " 561ms      -       31  840M         -\n"
                                "2025-11-05 12:23:52.000   10  worker    2  tick    0us    200M    -     -   "
                                "   0us      -       31  190M         -\n"
                                "2025-11-05 12:23:53.000   11  worker    2  tick    0us    210M    -     -   "
                                "   2ms      -       31  200M         -\n");
}

/* 10 ms of 1 s is 1 %, 50 ms 5 %, 500 ms 50 %; nothing across the new generation. */
static void test_pressure_is_the_share_between_samples(void **state)
{
    (void)state;
    struct cli_args args = words((const char *[]){"pressure"});
    assert_int_equal(run(cmd_history, args), CLI_EXIT_OK);
    assert_non_null(
        strstr(output, "2025-11-05 12:23:47.000  worker    1     2   3    1s     2.00%     1.00%"));
    assert_non_null(
        strstr(output, "2025-11-05 12:23:49.000  worker    1     4   5    1s   100.00%    50.00%"));
    assert_non_null(
        strstr(output, "2025-11-05 12:23:53.000  worker    2    10  11    1s     0.50%     0.25%"));
    assert_null(strstr(output, "12:23:52.000"));
    args.limit = 1;
    assert_int_equal(run(cmd_history, args), CLI_EXIT_OK);
    assert_null(strstr(output, "12:23:49.000"));
    assert_non_null(strstr(output, "12:23:53.000"));
}

static void test_restarts_tell_cause_and_cost(void **state)
{
    (void)state;
    struct cli_args args = words((const char *[]){"restarts"});
    args.format = CLI_FORMAT_JSON;
    assert_int_equal(run(cmd_history, args), CLI_EXIT_OK);
    json_t *list = json_loads(output, 0, NULL);
    assert_int_equal(json_array_size(list), 2);
    json_t *restart = json_array_get(list, 0), *exited = json_array_get(list, 1);
    assert_string_equal(json_string_value(json_object_get(restart, "what")), "restart");
    assert_int_equal(json_integer_value(json_object_get(restart, "decision")), 1);
    assert_int_equal(json_integer_value(json_object_get(restart, "ready_after_us")), 2 * USEC_PER_SEC);
    assert_int_equal(json_integer_value(json_object_get(restart, "uptime_us")), 3500000);
    assert_string_equal(json_string_value(json_object_get(exited, "cause")),
                        "signal 15 (TERM); kernel OOM kills 1; weir's #1 restart");
    assert_int_equal(json_integer_value(json_object_get(exited, "memory.current")), 850 << 20);
    assert_int_equal(json_integer_value(json_object_get(exited, "memory_seq")), 5);
    assert_true(json_is_null(json_object_get(exited, "ready_after_us"))); /* the restart's row has it */
    assert_int_equal(json_integer_value(json_object_get(exited, "wall_us")),
                     HISTORY_WALL_US + 5 * USEC_PER_SEC);
    assert_string_equal(json_string_value(json_object_get(exited, "time")), "2025-11-05T12:23:50.000+00:00");
    json_decref(list);
}

static void test_interventions_are_the_default(void **state)
{
    (void)state;
    assert_int_equal(run(cmd_history, (struct cli_args){0}), CLI_EXIT_OK);
    assert_non_null(strstr(output, "1  2025-11-05 12:23:49.000  worker    1  restart  "));
    assert_null(strstr(output, "term"));
    assert_int_equal(run(cmd_history, (struct cli_args){.all = true}), CLI_EXIT_OK);
    assert_non_null(strstr(output, "2  2025-11-05 12:23:49.000  worker    1  term"));
}

static void test_runs_as_csv(void **state)
{
    (void)state;
    struct cli_args args = words((const char *[]){"runs"});
    args.format = CLI_FORMAT_CSV;
    assert_int_equal(run(cmd_history, args), CLI_EXIT_OK);
    assert_string_equal(
        output,
        "run,time,wall_us,length_us,end_wall_us,exit_status,end,samples,samples_dropped,events,decisions,"
        "weir_version,kernel,layout,boot_id,supervisor,config_path\r\n"
        "1,2025-11-05T12:23:45.000+00:00,1762345425000000,9000000,,,cut off,6,0,5,2,0.1.0,6.1.0,"
        "unified,00000000-1111-2222-3333-444444444444,search-docs,/etc/weir/search-docs.conf\r\n");
}

static void test_only_the_newest_run_may_be_running(void **state)
{
    (void)state;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct store *s = history_open(&h);
    history_begin_at(s, HISTORY_START_US + 1, HISTORY_WALL_US + USEC_PER_SEC);
    store_close(s);
    assert_int_equal(run(cmd_history, words((const char *[]){"runs"})), CLI_EXIT_OK);
    assert_null(strstr(output, "running"));
    snprintf(address.sun_path, sizeof(address.sun_path), "%.60s/control.sock", h.dir);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(fd, 4), 0);
    assert_int_equal(run(cmd_history, words((const char *[]){"runs"})), CLI_EXIT_OK);
    const char *cut_off = strstr(output, "  cut off "), *running = strstr(output, "  running ");
    assert_true(cut_off && running && cut_off < running);
    close(fd);
}

/* Adopted: nobody wrote down when it was started. The reading of what its end left is not its memory. */
static void test_restarts_tell_no_false_figures(void **state)
{
    (void)state;
    struct store *s = history_open(&h);
    history_begin_at(s, HISTORY_START_US + 1, HISTORY_WALL_US + USEC_PER_SEC);
    struct event adopted = history_event(1, USEC_PER_SEC, EVENT_SPAWNED, 1);
    adopted.spawned.how = EVENT_HOW_ADOPTED;
    store_event(s, &adopted);
    give_sample(s, 2, 2, 1, 700, 0);
    struct event final = history_sample(3, 3 * USEC_PER_SEC, 1, 4096);
    final.sample.cause = SAMPLE_CAUSE_FINAL;
    store_event(s, &final);
    struct event exited = history_event(4, 3 * USEC_PER_SEC, EVENT_EXITED, 1);
    store_event(s, &exited);
    store_close(s);
    struct cli_args args = words((const char *[]){"restarts"});
    args.format = CLI_FORMAT_JSON;
    assert_int_equal(run(cmd_history, args), CLI_EXIT_OK);
    json_t *list = json_loads(output, 0, NULL), *row = json_array_get(list, 0);
    assert_true(json_is_null(json_object_get(row, "uptime_us")));
    assert_int_equal(json_integer_value(json_object_get(row, "memory.current")), 700 << 20);
    json_decref(list);
}

/* A throttle's pulses, five a second, are for --all; what an operator did is not. */
static void test_log_leaves_steps_out(void **state)
{
    (void)state;
    struct store *s = history_open(&h);
    history_begin_at(s, HISTORY_START_US + 1, HISTORY_WALL_US + USEC_PER_SEC);
    struct decision pulse = history_decision(1, 1, USEC_PER_SEC, DECISION_PULSE_FREEZE);
    store_decision(s, &pulse);
    give_outcome(s, 2, 1, 1);
    struct event failed = history_event(3, 2 * USEC_PER_SEC, EVENT_OUTCOME, 1);
    failed.outcome.result = EVENT_RESULT_FAILED;
    store_event(s, &failed);
    store_mark(s, HISTORY_START_US + 3 * USEC_PER_SEC, 1, "set memory_max=5G (uid 0)");
    store_close(s);
    assert_int_equal(run(cmd_log, (struct cli_args){0}), CLI_EXIT_OK);
    assert_null(strstr(output, "#1 "));
    assert_null(strstr(output, "was carried out"));
    assert_non_null(strstr(output, "failed"));
    assert_non_null(strstr(output, "worker        set memory_max=5G (uid 0)\n"));
    assert_int_equal(run(cmd_log, (struct cli_args){.all = true}), CLI_EXIT_OK);
    assert_non_null(strstr(output, "#1 "));
    assert_int_equal(run(cmd_history, (struct cli_args){.all = true}), CLI_EXIT_OK);
    assert_non_null(strstr(output, "worker    -  mark "));
    assert_non_null(strstr(output, "  set memory_max=5G (uid 0)\n"));
}

static void test_log_is_one_time_line(void **state)
{
    (void)state;
    assert_int_equal(run(cmd_log, (struct cli_args){0}), CLI_EXIT_OK);
    const char *sample = strstr(
        output, "12:23:49.000  worker        tick  memory 850M  rss 840M  threads 31  stalled 561ms\n");
    const char *decision = strstr(output, "12:23:49.000  worker        #1 ");
    const char *exited = strstr(output, "12:23:50.000  worker        ");
    const char *mark = strstr(output, "12:23:54.000  weir          config reloaded\n");
    assert_true(sample && decision && exited && mark);
    assert_true(sample < decision && decision < exited && exited < mark);
    assert_int_equal(run(cmd_log, (struct cli_args){.format = CLI_FORMAT_JSON, .limit = 1}), CLI_EXIT_OK);
    json_t *row = json_loads(output, 0, NULL);
    assert_string_equal(json_string_value(json_object_get(row, "type")), "mark");
    assert_string_equal(json_string_value(json_object_get(row, "text")), "config reloaded");
    json_decref(row);
}

static void test_explain_keeps_facts_and_conclusion_apart(void **state)
{
    (void)state;
    assert_int_equal(run(cmd_explain, words((const char *[]){"last"})), CLI_EXIT_OK);
    assert_non_null(strstr(output, "#1 of run 1, 2025-11-05 12:23:49.000, generation 1\n"));
    assert_non_null(strstr(output, "  rule       ladder.restart\n"));
    assert_non_null(strstr(output, "memory.current 850M, threshold 840M, held for 3s\n"));
    assert_non_null(strstr(output, "  growth     50M/s: 700M (seq 2) to 850M (seq 5) in 3s\n"));
    assert_non_null(strstr(output, "memory some 37.33%, full 18.66% over 3s (totals of seq 2 and 5)\n"));
    assert_non_null(strstr(output, "    python3         pid 4711, rss 840M, 31 threads\n"));
    const char *steps = strstr(output, "What was done\n"), *after = strstr(output, "The 60 s after\n");
    const char *conclusion = strstr(output, "Conclusion\n");
    assert_true(steps && after && conclusion && steps < after && after < conclusion);
    assert_non_null(strstr(steps, "#2 "));
    assert_non_null(strstr(steps, "seq 6 "));
    assert_non_null(strstr(steps, "seq 7 "));
    assert_string_equal(
        conclusion,
        "Conclusion\n  It helped: memory.current fell from 850M (seq 5) to 200M (seq 10), the first "
        "reading of generation 2 when it was ready. It was ready again after 2s (seq 9).\n");
}

static void test_explain_json_has_the_same_rows(void **state)
{
    (void)state;
    struct cli_args args = words((const char *[]){"1:1"});
    args.format = CLI_FORMAT_JSON;
    assert_int_equal(run(cmd_explain, args), CLI_EXIT_OK);
    json_t *o = json_loads(output, 0, NULL);
    json_t *before = json_object_get(o, "before"), *memory = json_object_get(before, "memory.current");
    assert_int_equal(json_integer_value(json_object_get(json_object_get(memory, "last"), "seq")), 5);
    assert_int_equal(json_array_size(json_object_get(before, "samples")), 4);
    assert_int_equal(json_array_size(json_object_get(json_object_get(o, "after"), "samples")), 2);
    assert_string_equal(json_string_value(json_object_get(json_object_get(o, "conclusion"), "verdict")),
                        "helped");
    assert_int_equal(json_array_size(json_object_get(o, "steps")), 5);
    json_decref(o);
}

static void test_explain_judges_only_what_is_against_memory(void **state)
{
    (void)state;
    struct store *s = history_open(&h);
    history_begin_at(s, HISTORY_START_US + 1, HISTORY_WALL_US + 1);
    give_sample(s, 1, 1, 1, 700, 0);
    struct decision stop = history_decision(1, 1, USEC_PER_SEC, DECISION_STOP);
    stop.reason = REASON_SHUTDOWN;
    store_decision(s, &stop);
    struct decision throttle = history_decision(2, 1, USEC_PER_SEC, DECISION_THROTTLE);
    store_decision(s, &throttle);
    struct event final = history_sample(2, 2 * USEC_PER_SEC, 1, 1);
    final.sample.cause = SAMPLE_CAUSE_FINAL;
    store_event(s, &final);
    store_close(s);
    assert_int_equal(run(cmd_explain, words((const char *[]){"2:1"})), CLI_EXIT_OK);
    assert_non_null(strstr(output, "Not judged: it was not done to bring memory down.\n"));
    assert_int_equal(run(cmd_explain, words((const char *[]){"2"})), CLI_EXIT_OK);
    assert_non_null(strstr(output, "Too early to tell: it is still held back.\n"));
}

static void test_wrong_words_are_told(void **state)
{
    (void)state;
    assert_int_equal(run(cmd_history, words((const char *[]){"sample"})), CLI_EXIT_USAGE);
    assert_string_equal(errors, "weir: history has no 'sample'; did you mean 'samples'?\n");
    assert_int_equal(run(cmd_history, (struct cli_args){.unit = "worke"}), CLI_EXIT_USAGE);
    assert_string_equal(errors, "weir: run 1 has no unit 'worke'; did you mean 'worker'?\n");
    assert_int_equal(run(cmd_history, (struct cli_args){.since = "soon"}), CLI_EXIT_USAGE);
    assert_non_null(strstr(errors, "--since 'soon' is no time"));
    assert_int_equal(run(cmd_history, (struct cli_args){.run = "7"}), CLI_EXIT_FAILED);
    assert_string_equal(errors, "weir: there is no run 7; the last one is 1\n");
    assert_int_equal(run(cmd_explain, words((const char *[]){"99"})), CLI_EXIT_FAILED);
    assert_non_null(strstr(errors, "no decision 99 on record"));
    assert_int_equal(run(cmd_explain, words((const char *[]){"x"})), CLI_EXIT_USAGE);
    assert_int_equal(run(cmd_replay, (struct cli_args){0}), CLI_EXIT_FAILED);
    assert_string_equal(
        errors, "weir replay: run 1: nothing to replay, it was cut off before its policy was on record\n");
}

static void test_empty_results_say_so(void **state)
{
    (void)state;
    const char *const kinds[] = {"samples", "interventions", "restarts", "pressure", "gate"};
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        struct cli_args args = words(&kinds[i]);
        args.since = "2030-01-01";
        assert_int_equal(run(cmd_history, args), CLI_EXIT_OK);
        assert_non_null(strstr(output, "(--run all looks at every run)\n"));
        assert_ptr_equal(strchr(output, '\n'), output + strlen(output) - 1); /* one line */
        args.format = CLI_FORMAT_JSON;
        assert_int_equal(run(cmd_history, args), CLI_EXIT_OK);
        assert_string_equal(output, "[]\n");
    }
}

static void test_no_history_yet(void **state)
{
    (void)state;
    assert_int_equal(run(cmd_history, (struct cli_args){0}), CLI_EXIT_NOT_RUNNING);
    assert_non_null(strstr(errors, "weir: search-docs has no history yet"));
    unlink(cli_config_path);
    assert_int_equal(run(cmd_history, (struct cli_args){0}), CLI_EXIT_FAILED);
    assert_non_null(strstr(errors, "weir.ini"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_samples_table, setup_recorded, teardown),
        cmocka_unit_test_setup_teardown(test_pressure_is_the_share_between_samples, setup_recorded, teardown),
        cmocka_unit_test_setup_teardown(test_restarts_tell_cause_and_cost, setup_recorded, teardown),
        cmocka_unit_test_setup_teardown(test_interventions_are_the_default, setup_recorded, teardown),
        cmocka_unit_test_setup_teardown(test_runs_as_csv, setup_recorded, teardown),
        cmocka_unit_test_setup_teardown(test_only_the_newest_run_may_be_running, setup_recorded, teardown),
        cmocka_unit_test_setup_teardown(test_restarts_tell_no_false_figures, setup_recorded, teardown),
        cmocka_unit_test_setup_teardown(test_log_leaves_steps_out, setup_recorded, teardown),
        cmocka_unit_test_setup_teardown(test_log_is_one_time_line, setup_recorded, teardown),
        cmocka_unit_test_setup_teardown(test_explain_keeps_facts_and_conclusion_apart, setup_recorded,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_explain_json_has_the_same_rows, setup_recorded, teardown),
        cmocka_unit_test_setup_teardown(test_explain_judges_only_what_is_against_memory, setup_recorded,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_wrong_words_are_told, setup_recorded, teardown),
        cmocka_unit_test_setup_teardown(test_empty_results_say_so, setup_recorded, teardown),
        cmocka_unit_test_setup_teardown(test_no_history_yet, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
