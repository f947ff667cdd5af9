/* SPDX-License-Identifier: MIT */
/* What `weir status` prints of units with a gate and without, to the letter. */
#include "caught.h"
#include "fakebus.h"

static struct history h;

#define HEAD                                                                                                 \
    "{\"supervisor\":\"search-docs\",\"pid\":7,\"run\":3,\"uptime_us\":90000000,\"layout\":\"unified\","     \
    "\"kernel\":\"6.1.0\",\"units\":["
#define SERVER                                                                                               \
    "{\"name\":\"server\",\"state\":\"ready\",\"state_since_us\":90000000,\"pid\":100,\"ladder\":\"idle\","  \
    "\"restarts\":{\"recycle\":0,\"failure\":0,\"operator\":0},\"reading\":{\"memory.current\":104857600}}"
#define WORKER(gate)                                                                                         \
    "{\"name\":\"worker\",\"state\":\"ready\",\"state_since_us\":8000000,\"pid\":4711,\"ladder\":\"hold\","  \
    "\"memory_max\":1073741824,\"restarts\":{\"recycle\":12,\"failure\":0,\"operator\":1},"                  \
    "\"reading\":{\"memory.current\":805306368}" gate "}"

static const char *status_of(const char *document, const char *word)
{
    const char *const status[] = {document, NULL};
    struct fakebus bus;
    char asked[64];
    fakebus_start(&bus, &h, status, NULL);
    assert_int_equal(
        cli_caught(&h, cmd_status, (struct cli_args){.words = &word, .word_count = word ? 1 : 0}),
        CLI_EXIT_OK);
    fakebus_stop(&bus, asked, sizeof(asked));
    assert_string_equal(errors, "");
    return output;
}

static size_t widest_line(const char *text)
{
    size_t widest = 0;
    for (; *text; text += strcspn(text, "\n") + 1)
        widest = strcspn(text, "\n") > widest ? strcspn(text, "\n") : widest;
    return widest;
}

static void test_without_a_gate(void **state)
{
    (void)state;
    const char *text = status_of(HEAD SERVER "]}", NULL);
    assert_string_equal(text, "search-docs: pid 7, run 3, up 1min 30s, unified cgroup layout, kernel 6.1.0\n"
                              "UNIT    STATE  SINCE     PID  MEMORY  LIMIT  USED  PEAK  SOME  FULL  PIDS  "
                              "RESTARTS*  LADDER\n"
                              "server  ready  1min 30s  100    100M      -     -     -     -     -     -  "
                              "0/0/0      idle\n"
                              "* planned recycles/after failures/by operator\n");
    assert_true(widest_line(text) <= 100);
}

static void test_a_gate_has_a_line(void **state)
{
    (void)state;
    const char *text = status_of(
        HEAD SERVER "," WORKER(",\"gate\":{\"gates\":1,\"order\":\"hold\",\"inflight\":2,\"waiting\":0,"
                               "\"queued\":1,\"queued_us\":12400000,\"calls\":1204,\"answers\":1202,"
                               "\"errors\":3,\"latency_p99_us\":82000,\"resident_bytes\":1000000,"
                               "\"notes\":{\"replayed\":4,\"spooled\":83886080}}") "]}",
        NULL);
    assert_non_null(strstr(text, "0/0/0      idle\n")); /* the table as it was */
    assert_non_null(strstr(text, "12/0/1     hold\n"));
    assert_non_null(strstr(text,
                           "operator\ngate of worker: held, 2 in flight, the next held back for 12s; 1204 "
                           "calls, 3 errors, p99 82ms; replayed 4, spooled 80M\n"));
    assert_null(strstr(text, "gate of server"));
}

static void test_what_is_nothing_is_left_out(void **state)
{
    (void)state;
    const char *text = status_of(
        HEAD WORKER(",\"gate\":{\"gates\":1,\"order\":\"release\",\"inflight\":0,\"waiting\":0,\"queued\":0,"
                    "\"queued_us\":0,\"calls\":0,\"answers\":0,\"errors\":0,\"resident_bytes\":1,"
                    "\"notes\":{}}") "]}",
        NULL);
    assert_non_null(strstr(text, "\ngate of worker: open, 0 in flight; 0 calls, 0 errors\n"));
}

static void test_the_worker_is_dead_and_the_gate_paces(void **state)
{
    (void)state;
    const char *text = status_of(
        HEAD WORKER(",\"gate\":{\"gates\":2,\"order\":\"pace\",\"inflight\":1,\"waiting\":3,\"queued\":1,"
                    "\"queued_us\":350000,\"calls\":9,\"answers\":5,\"errors\":0,\"notes\":{}}") "]}",
        NULL);
    assert_non_null(strstr(text,
                           "\ngate of worker: paced, 1 in flight, 3 to be sent again, the next held back "
                           "for 350ms; 9 calls, 0 errors, over 2 gates\n"));
}

static void test_no_gate_is_connected(void **state)
{
    (void)state;
    static const char document[] = HEAD SERVER "," WORKER(",\"gate\":{\"gates\":0}") "]}";
    assert_non_null(strstr(status_of(document, NULL), "\ngate of worker: none is connected\n"));
    assert_null(strstr(status_of(document, "server"), "gate")); /* of what was asked for alone */
    assert_non_null(strstr(status_of(document, "worker"), "gate of worker"));
}

static int setup(void **state)
{
    (void)state;
    history_make(&h);
    cli_caught_config(&h);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    history_remove(&h);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_without_a_gate, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_gate_has_a_line, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_is_nothing_is_left_out, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_worker_is_dead_and_the_gate_paces, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_gate_is_connected, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
