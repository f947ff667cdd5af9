/* SPDX-License-Identifier: MIT */
/*
 * The supervisor as a whole, on the fakehost, in a child of its own: what a failed start leaves for the next weir, what
 * is recorded of the config, and what `set` and `reload` do to a running one.
 */
#include "check.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <systemd/sd-bus.h>
#include <unistd.h>

#include "fakehost.h"
#include "scratch.h"
#include "weir/app/control.h"
#include "weir/app/supervisor.h"

#define WAIT_TRIES  1000 /* of 10 ms: far above what any step takes under sanitizers */
#define BEGUN_NOT   100  /* the child's status for a negative errno */
#define STATE_UNITS "\"units\": [{\"name\": \"gone\", \"pid\": 1, \"inode\": 1, \"generation\": 1}]"

struct fixture {
    struct scratch scratch;
    pid_t pid;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    assert_non_null(f);
    scratch_init(&f->scratch);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    if (f->pid > 0) {
        (void)kill(f->pid, SIGKILL);
        (void)waitpid(f->pid, NULL, 0);
    }
    /* units of a killed supervisor came to us */
    char children[1024] = "";
    FILE *in = fopen("/proc/thread-self/children", "re");
    if (in) {
        (void)!fread(children, 1, sizeof(children) - 1, in);
        (void)fclose(in);
    }
    for (char *p = strtok(children, " "); p; p = strtok(NULL, " ")) {
        (void)kill((pid_t)strtol(p, NULL, 10), SIGKILL);
        (void)waitpid((pid_t)strtol(p, NULL, 10), NULL, 0);
    }
    scratch_deinit(&f->scratch);
    free(f);
    return 0;
}

static void write_config(struct fixture *f, const char *supervisor, const char *units)
{
    char text[2048];
    (void)snprintf(text, sizeof(text), "[supervisor]\nname = review\nstate_dir = %s/state\n%s\n%s",
                   f->scratch.path, supervisor, units);
    scratch_write(&f->scratch, "review.ini", text);
}

static const char *run_dir_line(struct fixture *f)
{
    static char line[128];
    (void)snprintf(line, sizeof(line), "run_dir = %s/run", f->scratch.path);
    return line;
}

static void __attribute__((noreturn)) child(struct fixture *f, const char *op, int error)
{
    struct config *config = calloc(1, sizeof(*config));
    struct config_report report = {0};
    if (!config || config_load(scratch_path(&f->scratch, "review.ini"), config, &report) < 0)
        _exit(BEGUN_NOT + 1);
    int log = open(scratch_path(&f->scratch, "weir.log"), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    (void)dup2(log, STDERR_FILENO);
    struct host *host = fakehost_new();
    struct host_info info = *fakehost_info(host);
    if (op)
        fakehost_fail(host, op, 1, error);
    struct supervisor_options options = {.config = config, .info = &info, .host = host};
    struct err e = ERR_NULL;
    int r = supervisor_run(&options, &e);
    if (r < 0)
        fprintf(stderr, "error: %s\n", e.text);
    _exit(r < 0 ? BEGUN_NOT : r);
}

static void start(struct fixture *f, const char *op, int error)
{
    f->pid = fork();
    if (f->pid == 0)
        child(f, op, error);
    assert_true(f->pid > 0);
}

static int end_status(struct fixture *f)
{
    int status;
    for (int i = 0; i < WAIT_TRIES; i++) {
        if (waitpid(f->pid, &status, WNOHANG) == f->pid) {
            f->pid = 0;
            assert_true(WIFEXITED(status));
            return WEXITSTATUS(status);
        }
        (void)usleep(10000);
    }
    fail_msg("the supervisor does not end");
    return -1;
}

/* One call; the returned string (owned by the caller), or NULL, and the error's text in error. */
static char *call(struct fixture *f, const char *method, const char *a, const char *b, char error[static 512])
{
    char address[256];
    sd_bus *bus = NULL;
    sd_bus_message *m = NULL, *reply = NULL;
    sd_bus_error e = SD_BUS_ERROR_NULL;
    const char *text = "";
    error[0] = '\0';
    (void)snprintf(address, sizeof(address), "unix:path=%s/run/control.sock", f->scratch.path);
    assert_true(sd_bus_new(&bus) >= 0 && sd_bus_set_address(bus, address) >= 0);
    int r = sd_bus_start(bus);
    if (r >= 0)
        r = sd_bus_message_new_method_call(bus, &m, NULL, CONTROL_PATH, CONTROL_INTERFACE, method);
    if (r >= 0 && a)
        r = sd_bus_message_append(m, "ss", a, b);
    if (r >= 0 && strcmp(method, "Shutdown") == 0)
        r = sd_bus_message_append(m, "b", 0);
    if (r >= 0)
        r = sd_bus_call(bus, m, 0, &e, &reply);
    if (r < 0)
        (void)snprintf(error, 512, "%s", e.message ? e.message : strerror(-r));
    else if (sd_bus_message_has_signature(reply, "s"))
        (void)sd_bus_message_read(reply, "s", &text);
    char *result = r < 0 ? NULL : strdup(text);
    sd_bus_error_free(&e);
    sd_bus_message_unref(m);
    sd_bus_message_unref(reply);
    sd_bus_flush_close_unref(bus);
    return result;
}

static void wait_status(struct fixture *f, const char *part)
{
    char error[512];
    for (int i = 0; i < WAIT_TRIES; i++) {
        char *text = call(f, "Status", NULL, NULL, error);
        bool found = text && strstr(text, part);
        free(text);
        if (found)
            return;
        (void)usleep(10000);
    }
    fail_msg("the status never has %s", part);
}

static void expect_call(struct fixture *f, const char *method, const char *a, const char *b, const char *part)
{
    char error[512];
    char *text = call(f, method, a, b, error);
    if (!text)
        fail_msg("%s: %s", method, error);
    assert_non_null(strstr(text, part));
    free(text);
}

static void expect_refusal(struct fixture *f, const char *method, const char *a, const char *b,
                           const char *part)
{
    char error[512];
    char *text = call(f, method, a, b, error);
    assert_null(text);
    if (!strstr(error, part))
        fail_msg("%s: '%s' has no '%s'", method, error, part);
}

static const char one_unit[] = "[unit a]\nexec = /bin/sleep 1000\nmemory_max = 64M\nstop_timeout = 1s\n";

/* ------------------------------------------------ a start that fails ------------------------------------------------ */

static void prepare_run_dir(struct fixture *f, const char *state_text)
{
    assert_int_equal(mkdir(scratch_path(&f->scratch, "run"), 0755), 0);
    if (state_text)
        scratch_write(&f->scratch, "run/state.json", state_text);
}

static void a_failed_start_leaves_what_was_there(void **state)
{
    struct fixture *f = *state;
    write_config(f, run_dir_line(f), one_unit);
    prepare_run_dir(f, "{\"version\": 1, \"base\": \"\", " STATE_UNITS "}");
    assert_int_equal(mkdir(scratch_path(&f->scratch, "run/control.sock"), 0755), 0);
    start(f, NULL, 0);
    assert_int_equal(end_status(f), BEGUN_NOT);
    assert_true(scratch_exists(&f->scratch, "run/state.json"));
}

static void a_failed_start_leaves_nothing_of_its_own(void **state)
{
    struct fixture *f = *state;
    write_config(f, run_dir_line(f), one_unit);
    prepare_run_dir(f, NULL);
    assert_int_equal(mkdir(scratch_path(&f->scratch, "run/control.sock"), 0755), 0);
    start(f, NULL, 0);
    assert_int_equal(end_status(f), BEGUN_NOT);
    assert_int_equal(rmdir(scratch_path(&f->scratch, "run/control.sock")), 0);
    assert_int_equal(rmdir(scratch_path(&f->scratch, "run")), 0); /* empty */
}

static void a_failed_adoption_leaves_what_was_there(void **state)
{
    struct fixture *f = *state;
    write_config(f, run_dir_line(f), one_unit);
    prepare_run_dir(f, "{\"version\": 1, \"base\": \"\", " STATE_UNITS "}");
    start(f, "unit_open", -EMFILE);
    assert_int_equal(end_status(f), BEGUN_NOT);
    assert_true(scratch_exists(&f->scratch, "run/state.json"));
    char *log = scratch_read(&f->scratch, "weir.log", NULL);
    assert_non_null(strstr(log, "state.json"));
    free(log);
}

static void another_versions_state_is_not_touched(void **state)
{
    struct fixture *f = *state;
    write_config(f, run_dir_line(f), one_unit);
    prepare_run_dir(f, "{\"version\": 2, " STATE_UNITS "}");
    start(f, NULL, 0);
    assert_int_equal(end_status(f), BEGUN_NOT);
    scratch_expect(&f->scratch, "run/state.json", "{\"version\": 2, " STATE_UNITS "}");
}

static void a_damaged_state_is_told_and_passed_over(void **state)
{
    struct fixture *f = *state;
    write_config(f, run_dir_line(f), one_unit);
    prepare_run_dir(f, "{\"version\": 1, \"un");
    start(f, NULL, 0);
    wait_status(f, "\"state\":\"ready\"");
    expect_call(f, "Shutdown", NULL, NULL, "");
    assert_int_equal(end_status(f), 0);
    assert_false(scratch_exists(&f->scratch, "run"));
    char *log = scratch_read(&f->scratch, "weir.log", NULL);
    assert_non_null(strstr(log, "state.json is damaged"));
    free(log);
}

static void one_supervisor_a_run_dir(void **state)
{
    struct fixture *f = *state;
    write_config(f, run_dir_line(f), one_unit);
    start(f, NULL, 0);
    wait_status(f, "\"state\":\"ready\"");
    pid_t first = f->pid;
    start(f, NULL, 0);
    assert_int_equal(end_status(f), BEGUN_NOT);
    f->pid = first;
    wait_status(f, "\"state\":\"ready\""); /* its socket is where it was */
    expect_call(f, "Shutdown", NULL, NULL, "");
    assert_int_equal(end_status(f), 0);
}

/* ------------------------------------------------ the record ------------------------------------------------ */

static void secrets_are_not_recorded(void **state)
{
    struct fixture *f = *state;
    write_config(f, run_dir_line(f),
                 "[unit a]\nexec = /bin/true\nenvironment = KEY=hush1\n  # environment = KEY=hush2\n"
                 ";environment=KEY_B=hush3\n# the end\n");
    start(f, NULL, 0);
    (void)end_status(f);
    sqlite3 *db = NULL;
    sqlite3_stmt *row = NULL;
    assert_int_equal(
        sqlite3_open_v2(scratch_path(&f->scratch, "state/history.db"), &db, SQLITE_OPEN_READONLY, NULL),
        SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, "select config_text from runs", -1, &row, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(row), SQLITE_ROW);
    const char *text = (const char *)sqlite3_column_text(row, 0);
    assert_non_null(text);
    assert_memory_equal(text, "[supervisor]\nname = review\n", 27);
    assert_null(strstr(text, "hush"));
    assert_non_null(strstr(text, "exec = /bin/true\nenvironment = (masked)\n"));
    assert_non_null(strstr(text, "# the end\n"));
    sqlite3_finalize(row);
    sqlite3_close(db);
}

/* ------------------------------------------------ set, reload ------------------------------------------------ */

/* The one number that the history answers with; -1: no answer yet. */
static int64_t ask_history(struct fixture *f, const char *query)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *row = NULL;
    int64_t number = -1;
    if (sqlite3_open_v2(scratch_path(&f->scratch, "state/history.db"), &db, SQLITE_OPEN_READONLY, NULL) ==
            SQLITE_OK &&
        sqlite3_prepare_v2(db, query, -1, &row, NULL) == SQLITE_OK && sqlite3_step(row) == SQLITE_ROW)
        number = sqlite3_column_int64(row, 0);
    sqlite3_finalize(row);
    sqlite3_close(db);
    return number;
}

static void wait_history(struct fixture *f, const char *query, int64_t wanted)
{
    for (int i = 0; i < WAIT_TRIES && ask_history(f, query) != wanted; i++)
        (void)usleep(10000);
    assert_int_equal(ask_history(f, query), wanted);
}

#define WATCH  "[rule watch]\nunit = a\nwhen = pids.current > "
#define BEHIND "[rule behind]\nwhen = pids.current < 0\ndo = note\n"

static void rules_change_while_it_runs(void **state)
{
    struct fixture *f = *state;
    char text[512];
    (void)snprintf(text, sizeof(text), "%s%s", one_unit, WATCH "100\ndo = note\n");
    write_config(f, run_dir_line(f), text);
    start(f, NULL, 0);
    wait_status(f, "\"state\":\"ready\"");
    wait_history(f, "select count(*) from policies where unit = 32768 and text like 'name = watch\n%'", 1);

    /* another one before it: it has another place, and means the same */
    (void)snprintf(text, sizeof(text), "%s" BEHIND "%s", one_unit, WATCH "0\ndo = note\n");
    write_config(f, run_dir_line(f), text);
    expect_call(f, "Reload", NULL, NULL, "rule behind: new rule, in force now\n");
    wait_history(f, "select count(*) from decisions where rule = 'rule.watch' and unit = 0", 1);
    wait_history(f, "select count(*) from policies where unit = 32769 and text like 'name = watch\n%'", 1);
    wait_history(f, "select count(*) from marks where text = 'reload: rule behind: new rule, in force now'",
                 1);

    (void)snprintf(text, sizeof(text), "%s%s" BEHIND, one_unit, WATCH "1\ndo = note\n");
    write_config(f, run_dir_line(f), text);
    expect_call(f, "Reload", NULL, NULL,
                "rule watch: when: pids.current > 0 -> pids.current > 1 (in force now)\n");
    write_config(f, run_dir_line(f), one_unit);
    expect_call(f, "Reload", NULL, NULL, "rule behind: removed\n");
    (void)snprintf(text, sizeof(text), "%s%s", one_unit, WATCH "ten\ndo = note\n");
    write_config(f, run_dir_line(f), text);
    expect_refusal(f, "Reload", NULL, NULL, "the config has errors; nothing was changed");
    expect_call(f, "Shutdown", NULL, NULL, "");
    assert_int_equal(end_status(f), 0);
    assert_int_equal(ask_history(f, "select count(*) from decisions where rule like 'rule.%'"), 1);
}

static void a_refused_value_does_not_stay(void **state)
{
    struct fixture *f = *state;
    write_config(f, run_dir_line(f), one_unit);
    start(f, "unit_set_limits", -EBUSY);
    wait_status(f, "\"state\":\"ready\"");
    expect_refusal(f, "Set", "a", "memory_max=2M", "not changed");
    wait_status(f, "\"memory_max\":67108864");
    expect_call(f, "Set", "a", "pids_max=50", "");
    wait_status(f, "\"memory_max\":67108864");
    expect_call(f, "Set", "a", "memory_max=32M", "");
    wait_status(f, "\"memory_max\":33554432");
    expect_refusal(f, "Set", "a", "memory_max", "KEY=VALUE");
    expect_refusal(f, "Set", "b", "memory_max=1G", "no unit 'b'");
}

static void a_reloads_refused_limit_waits_for_the_next_start(void **state)
{
    struct fixture *f = *state;
    write_config(f, run_dir_line(f), one_unit);
    start(f, "unit_set_limits", -EBUSY);
    wait_status(f, "\"state\":\"ready\"");
    write_config(f, run_dir_line(f),
                 "[unit a]\nexec = /bin/sleep 1000\nmemory_max = 32M\nstop_timeout = 1s\n");
    expect_call(f, "Reload", NULL, NULL, "a: memory_max: 64M -> 32M (from its next start)\na: NOT in force");
    /* until then the ladder and the status go by the limit that is there, whatever else is set */
    wait_status(f, "\"memory_max\":67108864");
    expect_call(f, "Set", "a", "restart_at=90%", "");
    wait_status(f, "\"memory_max\":67108864");
    expect_call(f, "Command", "restart", "a", "");
    wait_status(f, "\"memory_max\":33554432");
}

static void a_reload_keeps_its_places(void **state)
{
    struct fixture *f = *state;
    char units[512];
    write_config(f, run_dir_line(f), one_unit);
    start(f, NULL, 0);
    wait_status(f, "\"state\":\"ready\"");
    (void)snprintf(units, sizeof(units), "%s[unit b]\nexec = /bin/sleep 1000\n[unit w]\nwrap = worker\n",
                   one_unit);
    char other[128];
    (void)snprintf(other, sizeof(other), "run_dir = %s/other", f->scratch.path);
    write_config(f, other, units);
    expect_call(f, "Reload", NULL, NULL, "b: new unit, starting\nw: new unit, for its server to start\n");
    wait_status(f, "\"name\":\"b\",\"kind\":\"service\",\"state\":\"ready\"");
    assert_true(scratch_exists(&f->scratch, "run/b.out"));
    assert_true(scratch_exists(&f->scratch, "run/wrap/worker"));
    assert_true(scratch_exists(&f->scratch, "run/wrap.sock"));
    assert_false(scratch_exists(&f->scratch, "other"));
    /* the name is the command's own again */
    write_config(f, run_dir_line(f), one_unit);
    expect_call(f, "Reload", NULL, NULL, "w: removed, stopping\n");
    assert_false(scratch_exists(&f->scratch, "run/wrap/worker"));
    expect_refusal(f, "Set", "w", "memory_max=1G", "removed by a reload");
    expect_call(f, "Shutdown", NULL, NULL, "");
    assert_int_equal(end_status(f), 0);
    assert_false(scratch_exists(&f->scratch, "run"));
}

/* As often as a person likes: no room is used up for good. */
static void units_come_and_go(void **state)
{
    struct fixture *f = *state;
    char units[512];
    write_config(f, run_dir_line(f), one_unit);
    (void)snprintf(units, sizeof(units), "%s[unit b]\nexec = /bin/sleep 1000\nready = exec:/bin/false\n",
                   one_unit);
    start(f, NULL, 0);
    wait_status(f, "\"state\":\"ready\"");
    for (int i = 0; i < 40; i++) {
        write_config(f, run_dir_line(f), i % 2 ? one_unit : units);
        expect_call(f, "Reload", NULL, NULL, i % 2 ? "b: removed, stopping" : "b: new unit, starting");
    }
    expect_call(f, "Shutdown", NULL, NULL, "");
    assert_int_equal(end_status(f), 0);
}

static void a_check_that_is_taken_away_fails_no_start(void **state)
{
    struct fixture *f = *state;
    write_config(f, run_dir_line(f),
                 "[unit a]\nexec = /bin/sleep 1000\nready = exec:/bin/false\nready_timeout = 60s\n");
    start(f, NULL, 0);
    wait_status(f, "\"state\":\"starting\"");
    write_config(f, run_dir_line(f), one_unit);
    expect_call(f, "Reload", NULL, NULL, "a: ready");
    wait_status(f, "\"state\":\"ready\"");
}

static void a_new_unit_waits_for_what_it_is_after(void **state)
{
    struct fixture *f = *state;
    char units[512], error[512];
    write_config(f, run_dir_line(f), one_unit);
    start(f, NULL, 0);
    wait_status(f, "\"state\":\"ready\"");
    (void)snprintf(units, sizeof(units),
                   "%s[unit b]\nexec = /bin/sleep 1000\nready = exec:/bin/false\n"
                   "[unit c]\nexec = /bin/sleep 1000\nafter = b\n",
                   one_unit);
    write_config(f, run_dir_line(f), units);
    expect_call(f, "Reload", NULL, NULL, "c: new unit");
    wait_status(f, "\"name\":\"b\",\"kind\":\"service\",\"state\":\"starting\"");
    char *text = call(f, "Status", NULL, NULL, error);
    assert_non_null(strstr(text, "\"name\":\"c\",\"kind\":\"service\",\"state\":\"stopped\""));
    free(text);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_failed_start_leaves_what_was_there),
        TEST(a_failed_start_leaves_nothing_of_its_own),
        TEST(a_failed_adoption_leaves_what_was_there),
        TEST(another_versions_state_is_not_touched),
        TEST(a_damaged_state_is_told_and_passed_over),
        TEST(one_supervisor_a_run_dir),
        TEST(secrets_are_not_recorded),
        TEST(a_refused_value_does_not_stay),
        TEST(a_reloads_refused_limit_waits_for_the_next_start),
        TEST(a_reload_keeps_its_places),
        TEST(units_come_and_go),
        TEST(a_check_that_is_taken_away_fails_no_start),
        TEST(a_new_unit_waits_for_what_it_is_after),
        TEST(rules_change_while_it_runs),
    };
    /* PID 1 reaps late: what a case orphans comes to us */
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
