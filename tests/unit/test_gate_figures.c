/* SPDX-License-Identifier: MIT */
/* The gate's counts and latencies, and the errors it answers with. */
#include "check.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "answer.h"
#include "figures.h"

static void latencies_fall_into_their_buckets(void **state)
{
    struct figures f;
    (void)state;
    figures_init(&f, 0);
    uint16_t m = figures_find(&f, "m");
    for (unsigned i = 0; i + 1 < GATE_LATENCY_BUCKETS; i++) {
        uint64_t bound = gate_latency_bound_us(i);
        assert_true(bound < gate_latency_bound_us(i + 1));
        figures_answer(&f, m, false, bound, 0);
        assert_int_equal(f.method[m].latency[i], i == 0 ? 1 : 2);
        figures_answer(&f, m, false, bound + 1, 0);
        assert_int_equal(f.method[m].latency[i + 1], 1);
    }
    figures_answer(&f, m, true, UINT64_MAX, 0); /* all that is longer */
    assert_int_equal(f.method[m].latency[GATE_LATENCY_BUCKETS - 1], 2);
    assert_int_equal(gate_latency_bound_us(0), 10);
    assert_int_equal(gate_latency_bound_us(1), 15);
    assert_int_equal(gate_latency_bound_us(2), 20);
    assert_int_equal(f.method[m].latency_max_us, UINT64_MAX);
    assert_int_equal(f.errors, 1);
}

static void the_99th_percentile_is_of_the_last_seconds(void **state)
{
    struct figures f;
    (void)state;
    figures_init(&f, 0);
    uint16_t m = figures_find(&f, "m");
    assert_int_equal(figures_p99_us(&f, 1), UINT64_MAX);
    for (int i = 0; i < 99; i++)
        figures_answer(&f, m, false, 5, 1);
    figures_answer(&f, m, false, 1000000, 1);
    assert_int_equal(figures_p99_us(&f, 1), 10);
    figures_answer(&f, m, false, 1000000, 1);
    assert_int_equal(figures_p99_us(&f, 1), gate_latency_bound_us(34)); /* 1310720 */
    /* kept for one window more, then gone */
    assert_int_not_equal(figures_p99_us(&f, FIGURES_WINDOW_US), UINT64_MAX);
    assert_int_not_equal(figures_p99_us(&f, 2 * FIGURES_WINDOW_US - 1), UINT64_MAX);
    assert_int_equal(figures_p99_us(&f, 2 * FIGURES_WINDOW_US), UINT64_MAX);
    figures_answer(&f, m, false, 5, 2 * FIGURES_WINDOW_US);
    assert_int_equal(figures_p99_us(&f, 2 * FIGURES_WINDOW_US), 10);
    /* after a long silence, too */
    assert_int_equal(figures_p99_us(&f, 1000 * (uint64_t)FIGURES_WINDOW_US), UINT64_MAX);
}

static void methods_beyond_the_table_are_one(void **state)
{
    struct figures f;
    char name[GATE_NAME_MAX];
    (void)state;
    figures_init(&f, 0);
    for (int i = 0; i < GATE_METHODS_MAX; i++) {
        (void)snprintf(name, sizeof(name), "m%d", i);
        assert_int_equal(figures_find(&f, name), i);
    }
    assert_int_equal(figures_find(&f, "one more"), FIGURES_OTHER);
    assert_int_equal(figures_find(&f, "m5"), 5);
    assert_int_equal(figures_find(&f, ""), FIGURES_OTHER);
    assert_string_equal(f.method[FIGURES_OTHER].name, "(other)");
}

static void what_changed_is_told_once(void **state)
{
    struct figures f;
    (void)state;
    figures_init(&f, 0);
    uint16_t a = figures_find(&f, "a"), b = figures_find(&f, "b");
    assert_int_equal(figures_next_changed(&f), -1);
    figures_call(&f, b, 10);
    figures_notification(&f, a, 5);
    assert_int_equal(figures_next_changed(&f), a);
    assert_int_equal(figures_next_changed(&f), b);
    assert_int_equal(figures_next_changed(&f), -1);
    figures_all_changed(&f);
    assert_int_equal(figures_next_changed(&f), a);
    assert_int_equal(f.method[b].calls, 1);
    assert_int_equal(f.method[b].bytes_to_worker, 10);
    assert_int_equal(f.method[a].notifications, 1);
}

static void growth_may_be_negative(void **state)
{
    struct figures f;
    (void)state;
    figures_init(&f, 0);
    figures_growth(&f, 0, 5000);
    figures_growth(&f, 0, -7000);
    assert_int_equal(f.method[0].growth_calls, 2);
    assert_int_equal(f.method[0].growth_bytes, -2000);
}

/* ------------------------------------------ errors ------------------------------------------ */

static struct scan_line *scan(const char *text)
{
    struct scanner *s = malloc(sizeof(*s));
    bool end = false;
    assert_non_null(s);
    scan_init(s);
    (void)scan_feed(s, text, strlen(text), &end);
    assert_true(end);
    struct scan_line *line = malloc(sizeof(*line));
    assert_non_null(line);
    *line = s->line;
    free(s);
    return line;
}

static json_t *parse(char *text, size_t size)
{
    json_error_t error;
    assert_non_null(text);
    assert_int_equal(text[size - 1], '\n');
    assert_null(memchr(text, '\n', size - 1));
    json_t *json = json_loadb(text, size, 0, &error);
    assert_non_null(json);
    free(text);
    return json;
}

static const char *weir_text(const json_t *error, const char *name)
{
    const json_t *weir = json_object_get(json_object_get(json_object_get(error, "error"), "data"), "weir");
    return json_string_value(json_object_get(weir, name));
}

static void an_error_names_what_happened(void **state)
{
    const struct answer a = {.unit = "worker",
                             .cause = "killed by signal 9; kernel OOM kill",
                             .failure = GATE_FAILURE_ENDED,
                             .generation = 3};
    size_t size;
    (void)state;
    struct scan_line *line = scan("{\"jsonrpc\":\"2.0\",\"id\":\"a\\u0062\",\"method\":\"addSections\"}\n");
    char *text = answer_for_line(&a, line, &size);
    assert_string_equal(
        text,
        "{\"jsonrpc\":\"2.0\",\"id\":\"a\\u0062\",\"error\":{\"code\":-32001,\"message\":\"worker ended "
        "(killed by signal 9; kernel OOM kill) while addSections was in flight\",\"data\":{\"weir\":"
        "{\"unit\":\"worker\",\"cause\":\"killed by signal 9; kernel OOM kill\",\"method\":"
        "\"addSections\",\"generation\":3,\"failure\":\"ended\"}}}}\n");
    json_decref(parse(text, size));
    free(line);
}

static void each_failure_has_its_words(void **state)
{
    static const struct {
        enum gate_failure failure;
        const char *name, *message;
    } rows[] = {
        {GATE_FAILURE_ENDED, "ended", "worker ended (why) while m was in flight"},
        {GATE_FAILURE_POISON, "poison", "worker ended (why) each time m was sent to it (4 times)"},
        {GATE_FAILURE_IMPATIENT, "impatient", "m waited longer than gate_patience for a worker (why)"},
        {GATE_FAILURE_DOWN, "down", "there is no worker for m (why)"},
    };
    (void)state;
    struct scan_line *line = scan("{\"id\":1,\"method\":\"m\"}\n");
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct answer a = {.unit = "u", .cause = "why", .failure = rows[i].failure, .tries = 4};
        size_t size;
        char *text = answer_for_line(&a, line, &size);
        json_t *json = parse(text, size);
        assert_string_equal(weir_text(json, "failure"), rows[i].name);
        assert_string_equal(json_string_value(json_object_get(json_object_get(json, "error"), "message")),
                            rows[i].message);
        json_decref(json);
    }
    free(line);
}

/* Whatever a cause or a method is made of, the line is JSON, and one line. */
static void it_is_json_whatever_is_in_it(void **state)
{
    static const char *const causes[] = {
        "",
        "\"quoted\" \\ back",
        "line\nbreak\ttab\x01",
        "caf\xc3\xa9 \xe2\x98\x83 \xf0\x9f\x98\x80",
        "\xff\xfe",
        "\xc3",
        "\xe2\x98",
        "\xed\xa0\x80",
        "\xf4\x90\x80\x80",
        "\xc0\xaf",
        "end\x7f",
    };
    (void)state;
    struct scan_line *line = scan("{\"id\":1,\"method\":\"m\\n\\\"\\\\\\u0007\"}\n");
    for (size_t i = 0; i < sizeof(causes) / sizeof(causes[0]); i++) {
        const struct answer a = {.unit = "u", .cause = causes[i], .failure = GATE_FAILURE_ENDED};
        size_t size;
        char *text = answer_for_line(&a, line, &size);
        json_t *json = parse(text, size);
        assert_string_equal(weir_text(json, "method"), "m\n\"\\\a");
        if (i < 4)
            assert_string_equal(weir_text(json, "cause"), causes[i]);
        json_decref(json);
    }
    free(line);
}

static void a_batch_is_answered_by_an_array(void **state)
{
    const struct answer a = {.unit = "u", .cause = "", .failure = GATE_FAILURE_DOWN};
    size_t size;
    (void)state;
    struct scan_line *line =
        scan("[{\"id\":1,\"method\":\"a\"},{\"method\":\"b\"},{\"id\":3,\"method\":\"c\"}]\n");
    char *text = answer_for_line(&a, line, &size);
    json_t *json = parse(text, size);
    assert_int_equal(json_array_size(json), 2);
    assert_string_equal(weir_text(json_array_get(json, 1), "method"), "c");
    json_decref(json);
    free(line);
    line = scan("[{\"method\":\"b\"}]\n");
    assert_null(answer_for_line(&a, line, &size)); /* nobody waits */
    assert_int_equal(size, 0);
    free(line);
}

static void of_a_slot_only_what_is_open(void **state)
{
    const struct answer a = {.unit = "u", .cause = "", .failure = GATE_FAILURE_ENDED};
    const uint16_t methods[] = {0, 0, 1};
    struct ledger *l = malloc(sizeof(*l));
    struct figures f;
    size_t size;
    (void)state;
    assert_non_null(l);
    ledger_init(l);
    figures_init(&f, 0);
    (void)figures_find(&f, "a");
    (void)figures_find(&f, "c");
    struct scan_line *line =
        scan("[{\"id\":1,\"method\":\"a\"},{\"id\":2,\"method\":\"a\"},{\"id\":3,\"method\":\"c\"}]\n");
    ledger_open(l, 9, line, methods, 0);
    (void)ledger_answer(l, ledger_find(l, &line->message[1].id));
    char *text = answer_for_slot(&a, l, 9, &f, &size);
    json_t *json = parse(text, size);
    assert_int_equal(json_array_size(json), 2);
    assert_int_equal(json_integer_value(json_object_get(json_array_get(json, 1), "id")), 3);
    assert_string_equal(weir_text(json_array_get(json, 1), "method"), "c");
    json_decref(json);
    free(line);
    free(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(latencies_fall_into_their_buckets),
        cmocka_unit_test(the_99th_percentile_is_of_the_last_seconds),
        cmocka_unit_test(methods_beyond_the_table_are_one),
        cmocka_unit_test(what_changed_is_told_once),
        cmocka_unit_test(growth_may_be_negative),
        cmocka_unit_test(an_error_names_what_happened),
        cmocka_unit_test(each_failure_has_its_words),
        cmocka_unit_test(it_is_json_whatever_is_in_it),
        cmocka_unit_test(a_batch_is_answered_by_an_array),
        cmocka_unit_test(of_a_slot_only_what_is_open),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
