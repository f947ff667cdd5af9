/* SPDX-License-Identifier: MIT */
/* `weir history gate`: what passed in a stretch of time, over gates that come, go and outlive the supervisor. */
#include "caught.h"

#include <jansson.h>

static struct history h;
static struct store *s;

static const char *const gate_words[] = {"gate"};

static int run(struct cli_args args)
{
    args.words = gate_words;
    args.word_count = 1;
    return cli_caught(&h, cmd_history, args);
}

static void give(uint64_t second, uint64_t gate, const char *method, uint64_t calls)
{
    struct store_method m = history_method(second * USEC_PER_SEC, gate, method, calls);
    store_method(s, &m);
}

static void begin_run(uint64_t second)
{
    history_begin_at(s, HISTORY_START_US + second * USEC_PER_SEC, HISTORY_WALL_US + second * USEC_PER_SEC);
}

/* A figure of the row of that method in the JSON that was printed; INT64_MIN: null. -1 calls: no such row. */
static int64_t figure(const char *method, const char *key)
{
    json_t *list = json_loads(output, 0, NULL), *row;
    int64_t value = -1;
    size_t i;
    assert_non_null(list);
    json_array_foreach(list, i, row)
    {
        if (strcmp(json_string_value(json_object_get(row, "method")), method) != 0)
            continue;
        json_t *cell = json_object_get(row, key);
        assert_non_null(cell);
        assert_int_equal(value, -1); /* one row a method */
        value = json_is_null(cell) ? INT64_MIN : json_integer_value(cell);
    }
    json_decref(list);
    return value;
}

static int64_t calls_of(const char *method, struct cli_args args)
{
    args.format = CLI_FORMAT_JSON;
    history_flush(s);
    assert_int_equal(run(args), CLI_EXIT_OK);
    return figure(method, "calls");
}

/* A minute of one gate; what the last row of each method says is its whole life. */
static void record_a_minute(void)
{
    begin_run(0);
    for (uint64_t second = 10; second <= 60; second += 10) {
        struct store_method m = history_method(second * USEC_PER_SEC, 4711, "addSections", second);
        m.errors = second / 20;
        m.replays = second / 30;
        m.bytes_to_worker = second << 20;
        m.bytes_to_server = second * 100;
        m.latency_p50_us = 12000;
        m.latency_p90_us = 29000;
        m.latency_p99_us = 82000;
        m.latency_max_us = 1250000 + second;
        m.growth_calls = second / 10;
        m.growth_bytes = (int64_t)m.growth_calls * (8 << 20);
        store_method(s, &m);
        give(second, 4711, "search", second * 20);
    }
    struct store_method note = history_method(61 * USEC_PER_SEC, 4711, "exit", 0);
    note.notifications = 1;
    note.bytes_to_worker = 17;
    store_method(s, &note);
    history_flush(s);
}

static void test_table(void **state)
{
    (void)state;
    record_a_minute();
    assert_int_equal(run((struct cli_args){0}), CLI_EXIT_OK);
    assert_string_equal(
        output,
        "UNIT    METHOD       CALLS  ANSWERS  ERRORS  REPLAYS     IN   OUT   P50   P90   P99     MAX  "
        "GROWTH/CALL  ALONE\n"
        "worker  search        1200     1200       0        0   1.1M  117K   2ms   2ms   2ms     9ms  "
        "          -      0\n"
        "worker  addSections     60       60       3        2    60M  5.8K  12ms  29ms  82ms  1.250s  "
        "         8M      6\n"
        "worker  exit             0        0       0        0    17B    0B     -     -     -       -  "
        "          -      0\n"
        "total   -             1260     1260       3        2  61.1M  123K     -     -     -       -  "
        "         8M      6\n");
}

static void test_limit_is_of_the_most_called(void **state)
{
    (void)state;
    record_a_minute();
    assert_int_equal(run((struct cli_args){.limit = 1}), CLI_EXIT_OK);
    assert_non_null(strstr(output, "worker  search "));
    assert_null(strstr(output, "addSections"));
    assert_non_null(strstr(output, "total   -        1260 ")); /* of all */
}

static void test_json_has_units_in_its_keys(void **state)
{
    (void)state;
    record_a_minute();
    assert_int_equal(run((struct cli_args){.format = CLI_FORMAT_JSON}), CLI_EXIT_OK);
    assert_int_equal(figure("addSections", "bytes_to_worker"), 60 << 20);
    assert_int_equal(figure("addSections", "latency_p99_us"), 82000);
    assert_int_equal(figure("addSections", "latency_max_us"), 1250060);
    assert_int_equal(figure("addSections", "growth_bytes_per_call"), 8 << 20);
    assert_int_equal(figure("addSections", "growth_calls"), 6);
    assert_int_equal(figure("addSections", "wall_us"), HISTORY_WALL_US + 60 * USEC_PER_SEC);
    assert_int_equal(figure("search", "growth_bytes_per_call"), INT64_MIN);
    assert_int_equal(figure("exit", "notifications"), 1);
    assert_int_equal(figure("exit", "latency_p50_us"), INT64_MIN);
    assert_null(strstr(output, "total")); /* who adds the rows up has it */
}

static void test_csv(void **state)
{
    (void)state;
    record_a_minute();
    assert_int_equal(run((struct cli_args){.format = CLI_FORMAT_CSV, .limit = 1}), CLI_EXIT_OK);
    assert_string_equal(output, "unit,method,calls,answers,errors,notifications,replays,bytes_to_worker,"
                                "bytes_to_server,latency_p50_us,latency_p90_us,latency_p99_us,latency_max_us,"
                                "growth_bytes_per_call,growth_calls,growth_bytes,time,wall_us\r\n"
                                "worker,search,1200,1200,0,0,0,1200000,120000,2000,2000,2000,9000,,0,0,"
                                "2025-11-05T12:24:45.000+00:00,1762345485000000\r\n");
}

/* 12:24:05 is 20 s after the start: what was told up to then is not of the range; 12:24:25 is 40 s. */
static void test_a_range_is_the_difference(void **state)
{
    (void)state;
    record_a_minute();
    struct cli_args args = {.since = "2025-11-05 12:24:06"};
    assert_int_equal(calls_of("addSections", args), 60 - 20);
    assert_int_equal(figure("addSections", "growth_calls"), 6 - 2);
    assert_int_equal(figure("addSections", "errors"), 3 - 1);
    args.until = "2025-11-05 12:24:26";
    assert_int_equal(calls_of("addSections", args), 40 - 20);
    assert_int_equal(figure("addSections", "latency_max_us"), 1250040); /* the last row's */
    args.since = NULL;
    assert_int_equal(calls_of("addSections", args), 40);
    args.since = args.until = "2025-11-05 12:24:30"; /* nothing was told then */
    assert_int_equal(calls_of("addSections", args), -1);
    assert_string_equal(output, "[]\n");
}

static void test_gates_of_one_run_add_up(void **state)
{
    (void)state;
    begin_run(0);
    give(10, 100, "search", 10);
    give(20, 100, "search", 15);
    give(30, 200, "search", 4); /* the server was started anew: another gate */
    give(31, 100, "search", 16);
    give(40, 200, "search", 6);
    assert_int_equal(calls_of("search", (struct cli_args){0}), 16 + 6);
    assert_int_equal(figure("search", "wall_us"), HISTORY_WALL_US + 40 * USEC_PER_SEC); /* the newest row's */
    assert_int_equal(calls_of("search", (struct cli_args){.since = "2025-11-05 12:24:10"}), 1 + 6);
}

/* The pid of a gate that ended is another gate's. */
static void test_figures_that_fall_are_another_gates(void **state)
{
    (void)state;
    begin_run(0);
    give(10, 100, "search", 10);
    give(20, 100, "search", 3);
    give(30, 100, "search", 5);
    assert_int_equal(calls_of("search", (struct cli_args){0}), 10 + 5);
    assert_int_equal(calls_of("search", (struct cli_args){.since = "2025-11-05 12:24:00"}), 5);
}

/* weir was restarted and the gate told all it knows to the new one: nothing is counted twice. */
static void test_a_gate_that_outlives_the_supervisor_is_counted_once(void **state)
{
    (void)state;
    begin_run(0);
    give(10, 100, "search", 10);
    give(10, 100, "initialize", 1);
    give(10, 100, "index", 5);
    begin_run(60);
    give(61, 100, "initialize", 1); /* told again */
    give(61, 100, "search", 14);    /* four while no weir ran */
    give(70, 100, "search", 20);
    give(61, 100, "index", 2); /* of a gate that got the old one's pid: less than that had told */
    assert_int_equal(calls_of("search", (struct cli_args){.run = "all"}), 20);
    assert_int_equal(figure("initialize", "calls"), 1);
    assert_int_equal(figure("index", "calls"), 5 + 2);
    assert_int_equal(calls_of("search", (struct cli_args){.run = "last"}), 10);
    assert_int_equal(figure("initialize", "calls"), -1); /* nothing happened */
    assert_int_equal(calls_of("search", (struct cli_args){.run = "1"}), 10);
}

/* After a boot the same pid is another gate's, whatever its figures. */
static void test_a_boot_ends_every_gate(void **state)
{
    (void)state;
    const struct store_run next = {.supervisor = "search-docs",
                                   .boot_id = "another boot",
                                   .wall_us = HISTORY_WALL_US + 100 * USEC_PER_SEC,
                                   .monotonic_us = HISTORY_START_US + 100 * USEC_PER_SEC,
                                   .unit_names = history_units,
                                   .unit_count = 2};
    begin_run(0);
    give(10, 100, "search", 10);
    assert_int_equal(store_run_begin(s, &next), 0);
    give(110, 100, "search", 14);
    assert_int_equal(calls_of("search", (struct cli_args){.run = "all"}), 10 + 14);
}

/* A new gate that has answered nothing yet does not hide what is known. */
static void test_latencies_are_those_of_the_last_that_answered(void **state)
{
    (void)state;
    begin_run(0);
    struct store_method m = history_method(10 * USEC_PER_SEC, 100, "search", 10);
    m.latency_p50_us = 777;
    store_method(s, &m);
    m = history_method(20 * USEC_PER_SEC, 200, "search", 1);
    m.answers = 0;
    m.latency_p50_us = m.latency_p90_us = m.latency_p99_us = UINT64_MAX;
    store_method(s, &m);
    assert_int_equal(calls_of("search", (struct cli_args){0}), 11);
    assert_int_equal(figure("search", "latency_p50_us"), 777);
    m = history_method(30 * USEC_PER_SEC, 200, "search", 1);
    m.latency_p50_us = 888;
    store_method(s, &m);
    assert_int_equal(calls_of("search", (struct cli_args){0}), 11);
    assert_int_equal(figure("search", "latency_p50_us"), 888);
}

static void test_memory_may_fall(void **state)
{
    (void)state;
    begin_run(0);
    struct store_method m = history_method(10 * USEC_PER_SEC, 100, "clear", 4);
    m.growth_calls = 4;
    m.growth_bytes = -(4 << 20);
    store_method(s, &m);
    history_flush(s);
    assert_int_equal(run((struct cli_args){0}), CLI_EXIT_OK);
    assert_non_null(strstr(output, " -1M      4\n"));
    assert_int_equal(calls_of("clear", (struct cli_args){0}), 4);
    assert_int_equal(figure("clear", "growth_bytes_per_call"), -(1 << 20));
}

static void test_units_are_told_apart(void **state)
{
    (void)state;
    begin_run(0);
    give(10, 100, "search", 10);
    struct store_method m = history_method(11 * USEC_PER_SEC, 300, "search", 99);
    m.unit = 0;
    store_method(s, &m);
    history_flush(s);
    assert_int_equal(run((struct cli_args){0}), CLI_EXIT_OK);
    assert_true(strstr(output, "server  search") <
                strstr(output, "worker  search")); /* the most called first */
    assert_non_null(strstr(output, "server  search"));
    assert_int_equal(calls_of("search", (struct cli_args){.unit = "worker"}), 10);
    assert_int_equal(calls_of("search", (struct cli_args){.unit = "server"}), 99);
}

static void test_empty_is_said_in_words(void **state)
{
    (void)state;
    begin_run(0);
    history_flush(s);
    assert_int_equal(run((struct cli_args){0}), CLI_EXIT_OK);
    assert_string_equal(output, "no gate told of a request in this run and time; they tell every 10 s (--run "
                                "all looks at every run)\n");
}

static int setup(void **state)
{
    (void)state;
    setenv("TZ", "UTC", 1);
    history_make(&h);
    cli_caught_config(&h);
    s = history_open(&h);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    store_close(s);
    history_remove(&h);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_table, setup, teardown),
        cmocka_unit_test_setup_teardown(test_limit_is_of_the_most_called, setup, teardown),
        cmocka_unit_test_setup_teardown(test_json_has_units_in_its_keys, setup, teardown),
        cmocka_unit_test_setup_teardown(test_csv, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_range_is_the_difference, setup, teardown),
        cmocka_unit_test_setup_teardown(test_gates_of_one_run_add_up, setup, teardown),
        cmocka_unit_test_setup_teardown(test_figures_that_fall_are_another_gates, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_gate_that_outlives_the_supervisor_is_counted_once, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_a_boot_ends_every_gate, setup, teardown),
        cmocka_unit_test_setup_teardown(test_latencies_are_those_of_the_last_that_answered, setup, teardown),
        cmocka_unit_test_setup_teardown(test_memory_may_fall, setup, teardown),
        cmocka_unit_test_setup_teardown(test_units_are_told_apart, setup, teardown),
        cmocka_unit_test_setup_teardown(test_empty_is_said_in_words, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
