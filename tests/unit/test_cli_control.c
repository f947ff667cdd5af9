/* SPDX-License-Identifier: MIT */
/* Commands that ask a supervisor: one that is not there, one that was killed, one that does not answer. */
#include "caught.h"

#include <jansson.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#include "weir/host/host.h"

static struct history h;

static int run(int (*command)(const struct cli_args *), const char *word)
{
    return cli_caught(&h, command, (struct cli_args){.words = &word, .word_count = word != NULL});
}

static void test_no_supervisor_is_said_once(void **state)
{
    (void)state;
    char expected[256];
    assert_int_equal(run(cmd_stop, "server"), CLI_EXIT_NOT_RUNNING);
    snprintf(expected, sizeof(expected),
             "weir stop: supervisor 'search-docs' is not running (no one answers at %.60s/control.sock)\n",
             h.dir);
    assert_string_equal(errors, expected);
    assert_int_equal(run(cmd_restart, "server"), CLI_EXIT_NOT_RUNNING);
    assert_ptr_equal(strstr(errors, "weir restart: "), errors);
}

static void write_state(uint64_t ticks)
{
    char path[96];
    snprintf(path, sizeof(path), "%.60s/state.json", h.dir);
    json_t *root = json_pack("{s:i, s:[{s:s, s:I, s:I}, {s:s, s:i, s:i}]}", "version", 1, "units", "name",
                             "server", "pid", (json_int_t)getpid(), "start_ticks", (json_int_t)ticks, "name",
                             "worker", "pid", 0, "start_ticks", 0);
    assert_int_equal(json_dump_file(root, path, 0), 0);
    json_decref(root);
}

static void test_what_a_killed_supervisor_left_is_named(void **state)
{
    (void)state;
    char expected[256];
    uint64_t ticks;
    assert_int_equal(host_process_start_ticks(getpid(), &ticks), 0);
    write_state(ticks);
    assert_int_equal(run(cmd_status, NULL), CLI_EXIT_NOT_RUNNING);
    snprintf(expected, sizeof(expected),
             "an earlier one left units that live on: server (pid %d)\n'weir run %s' adopts them; after that "
             "'weir "
             "stop' ends them\n",
             (int)getpid(), cli_config_path);
    assert_non_null(strstr(errors, expected));
    write_state(ticks + 1); /* another process has that pid now */
    assert_int_equal(run(cmd_status, NULL), CLI_EXIT_NOT_RUNNING);
    assert_null(strstr(errors, "live on"));
}

/* As one in SIGSTOP: the kernel accepts, nobody reads. */
static void test_one_that_does_not_answer_holds_nobody_up(void **state)
{
    (void)state;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof(address.sun_path), "%.60s/control.sock", h.dir);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(fd, 4), 0);
    struct timespec from, to;
    clock_gettime(CLOCK_MONOTONIC, &from);
    assert_int_equal(run(cmd_stop, "server"), CLI_EXIT_FAILED);
    clock_gettime(CLOCK_MONOTONIC, &to);
    assert_ptr_equal(strstr(errors, "weir stop: supervisor 'search-docs' does not answer: it is stopped"),
                     errors);
    assert_ptr_equal(strchr(errors, '\n'), errors + strlen(errors) - 1);
    assert_true(to.tv_sec - from.tv_sec < 15); /* 5 s, and a slow machine; sd-bus's own is 25 s */
    close(fd);
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
        cmocka_unit_test_setup_teardown(test_no_supervisor_is_said_once, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_a_killed_supervisor_left_is_named, setup, teardown),
        cmocka_unit_test_setup_teardown(test_one_that_does_not_answer_holds_nobody_up, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
