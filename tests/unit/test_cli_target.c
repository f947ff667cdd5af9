/* SPDX-License-Identifier: MIT */
/* Which supervisor is meant: by config, by name, by being the only one; as a user without rights too. */
#include "caught.h"

#include <sched.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

static struct history h;

static int find(const char *name, const char *config, struct cli_target *t)
{
    return cli_target_find(&(struct cli_args){.name = name, .config = config}, CLI_WANT_HISTORY, t);
}

static int find_running(const char *name, struct cli_target *t)
{
    return cli_target_find(&(struct cli_args){.name = name}, CLI_WANT_RUNNING, t);
}

static void test_config_tells_the_folders(void **state)
{
    (void)state;
    struct cli_target t;
    char expected[128];
    cli_caught_config(&h);
    assert_int_equal(find(NULL, cli_config_path, &t), CLI_EXIT_OK);
    assert_string_equal(t.name, "search-docs");
    assert_string_equal(t.history, h.path);
    snprintf(expected, sizeof(expected), "%.60s/control.sock", h.dir);
    assert_string_equal(t.socket, expected);
    cli_target_deinit(&t);
    cli_target_deinit(&t); /* idempotent */
}

static void test_names_that_are_paths_are_refused(void **state)
{
    (void)state;
    struct cli_target t;
    assert_int_equal(find("../etc", NULL, &t), CLI_EXIT_USAGE);
    assert_int_equal(find("", NULL, &t), CLI_EXIT_USAGE);
    assert_int_equal(find("..", NULL, &t), CLI_EXIT_USAGE);
}

static void test_config_and_name_do_not_go_together(void **state)
{
    (void)state;
    struct cli_target t;
    cli_caught_config(&h);
    assert_int_equal(find("search-docs", cli_config_path, &t), CLI_EXIT_USAGE);
}

static void make_state(const char *name)
{
    char command[256];
    snprintf(command, sizeof(command),
             "mkdir -p '%.60s/state/weir/%s' && touch '%.60s/state/weir/%s/history.db'", h.dir, name, h.dir,
             name);
    assert_int_equal(system(command), 0);
}

static int listen_as(const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char command[128];
    snprintf(command, sizeof(command), "mkdir -p '%.60s/run/weir/%.10s'", h.dir, name);
    assert_int_equal(system(command), 0);
    snprintf(address.sun_path, sizeof(address.sun_path), "%.60s/run/weir/%.10s/control.sock", h.dir, name);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(fd, 1), 0);
    return fd;
}

/* In a child without rights: XDG places are used, never root's. Exits with the number of the first line that failed. */
#define MUST(x)                                                                                              \
    do {                                                                                                     \
        if (!(x))                                                                                            \
            _exit(__LINE__ % 256 ? __LINE__ % 256 : 255);                                                    \
    } while (0)

/* Supervisors that run on this host are not this test's: /run is empty for it. Without the right to that they count. */
static void hide_run(void)
{
    if (unshare(CLONE_NEWNS) < 0)
        return;
    MUST(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
    MUST(mount("weir-test", "/run", "tmpfs", 0, "size=64k") == 0);
}

static _Noreturn void as_user(void)
{
    struct cli_target t;
    char run[96], state[96];
    umask(0022);
    hide_run();
    if (geteuid() == 0)
        MUST(setgid(65534) == 0 && setuid(65534) == 0);
    snprintf(run, sizeof(run), "%.60s/run", h.dir);
    snprintf(state, sizeof(state), "%.60s/state", h.dir);
    setenv("XDG_RUNTIME_DIR", run, 1);
    setenv("XDG_STATE_HOME", state, 1);
    MUST(find(NULL, NULL, &t) == CLI_EXIT_NOT_RUNNING);
    MUST(find_running(NULL, &t) == CLI_EXIT_NOT_RUNNING);
    make_state("one");
    MUST(find(NULL, NULL, &t) == CLI_EXIT_OK && strcmp(t.name, "one") == 0);
    cli_target_deinit(&t);
    make_state("two");
    MUST(find(NULL, NULL, &t) == CLI_EXIT_USAGE);
    MUST(find_running(NULL, &t) == CLI_EXIT_NOT_RUNNING); /* histories are not asked */
    int fd = listen_as("two");
    MUST(find_running(NULL, &t) == CLI_EXIT_OK && strcmp(t.name, "two") == 0 && cli_target_is_running(&t));
    cli_target_deinit(&t);
    int other = listen_as("three");
    MUST(find_running(NULL, &t) == CLI_EXIT_USAGE);
    close(other);
    MUST(find(NULL, NULL, &t) == CLI_EXIT_OK && strcmp(t.name, "two") == 0);
    cli_target_deinit(&t);
    close(fd); /* the socket file stays, nobody listens */
    MUST(find_running(NULL, &t) == CLI_EXIT_NOT_RUNNING);
    MUST(find(NULL, NULL, &t) == CLI_EXIT_USAGE);
    MUST(find("one", NULL, &t) == CLI_EXIT_OK && strstr(t.history, "/state/weir/one/history.db"));
    cli_target_deinit(&t);
    _exit(0);
}

static void run_child(void (*child)(void))
{
    int status;
    assert_int_equal(chmod(h.dir, 0777), 0);
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        assert_non_null(freopen("/dev/null", "w", stderr));
        child();
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void test_the_only_one_is_found(void **state)
{
    (void)state;
    run_child(as_user);
}

static _Noreturn void read_without_rights(void)
{
    struct store_reader *r = NULL;
    struct history_rows rows = {0};
    if (geteuid() == 0)
        MUST(setgid(65534) == 0 && setuid(65534) == 0);
    MUST(store_reader_open(h.path, &r, NULL) == 0);
    MUST(store_read_samples(r, &(struct store_filter){0}, history_keep, &rows) == 0);
    MUST(rows.count == 1);
    history_rows_free(&rows);
    store_reader_close(r);
    _exit(0);
}

/* WAL wants a file beside the history that a mere reader may not make. */
static void test_history_is_read_by_who_may_not_write(void **state)
{
    (void)state;
    struct store *s = history_open(&h);
    history_begin(s);
    struct event e = history_sample(1, 0, 1, 1);
    store_event(s, &e);
    store_close(s);
    assert_int_equal(chmod(h.path, 0444), 0);
    assert_int_equal(chmod(h.dir, 0755), 0);
    int status;
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0)
        read_without_rights();
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static int setup(void **state)
{
    (void)state;
    history_make(&h);
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
        cmocka_unit_test_setup_teardown(test_config_tells_the_folders, setup, teardown),
        cmocka_unit_test_setup_teardown(test_names_that_are_paths_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_config_and_name_do_not_go_together, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_only_one_is_found, setup, teardown),
        cmocka_unit_test_setup_teardown(test_history_is_read_by_who_may_not_write, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
