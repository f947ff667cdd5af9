/* SPDX-License-Identifier: MIT */
/*
 * The whole supervisor on a fakehost whose Nth operation fails, for every N: whatever fails, it ends by itself, in time, with
 * a status, its units' processes are gone, and the record of the run is readable and replays to the same decisions' text.
 *
 * Each case runs in a child of its own (a crash is a case's failure, not the program's), with real processes as units.
 */
#include "check.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "fakehost.h"
#include "weir/app/supervisor.h"
#include "weir/base/log.h"
#include "weir/store/store.h"

#define CASES_MAX    80 /* more operations than the stories below have; the loop ends when a case fails none */
#define CASE_SECONDS 30 /* a case takes about half a second; this bounds a hang */

static const char config_text[] = "[supervisor]\n"
                                  "name = fault\n"
                                  "state_dir = %1$s/state\n"
                                  "run_dir = %1$s/run\n"
                                  "[unit first]\n"
                                  "exec = /bin/sh -c \"echo one; exec sleep 0.3\"\n"
                                  "memory_max = 64M\n"
                                  "stop_timeout = 300ms\n"
                                  "[unit second]\n"
                                  "exec = /bin/sleep 0.2\n"
                                  "after = first\n"
                                  "memory_max = 64M\n"
                                  "stop_timeout = 300ms\n";

static int write_config(const char *dir, char *path, size_t size)
{
    (void)snprintf(path, size, "%s/fault.ini", dir);
    FILE *f = fopen(path, "we");
    if (!f)
        return -errno;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    fprintf(f, config_text, dir);
#pragma GCC diagnostic pop
    return fclose(f);
}

/* Runs one case; the child's exit status: 0..1 = the supervisor's, 10 = negative errno, 2x = broken. */
static void run_case(const char *dir, unsigned nth, int error)
{
    char path[512];
    struct config *config = calloc(1, sizeof(*config));
    struct config_report report = {0};
    int quiet = open("/dev/null", O_WRONLY | O_CLOEXEC);
    dup2(quiet, STDERR_FILENO);
    if (!config || write_config(dir, path, sizeof(path)) < 0 || config_load(path, config, &report) < 0)
        _exit(20);
    struct host *host = fakehost_new();
    struct host_info info = *fakehost_info(host);
    if (nth)
        fakehost_fail(host, NULL, nth, error);
    /* used as if it were throttled for memory too: the reading says so */
    struct supervisor_options options = {.config = config, .info = &info, .host = host};
    struct err e = ERR_NULL;
    int r = supervisor_run(&options, &e);
    _exit(r < 0 ? 10 : r);
}

/* Processes that were reparented to us: what a case left behind. */
static unsigned end_leftovers(void)
{
    unsigned count = 0;
    int status;
    pid_t pid;
    for (int tries = 0; tries < 200; tries++) {
        while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
            count += !(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) && !WIFEXITED(status) &&
                     !(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
        if (pid < 0)
            return count; /* no child at all is left */
        (void)usleep(10000);
    }
    char text[4096] = "";
    FILE *f = fopen("/proc/thread-self/children", "re");
    if (f) {
        (void)!fread(text, 1, sizeof(text) - 1, f);
        fclose(f);
    }
    for (char *p = strtok(text, " "); p; p = strtok(NULL, " "), count++)
        (void)kill((pid_t)atoi(p), SIGKILL);
    return count;
}

static int wait_case(pid_t pid)
{
    int status;
    for (int waited = 0; waited < CASE_SECONDS * 100; waited++) {
        if (waitpid(pid, &status, WNOHANG) == pid)
            return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
        (void)usleep(10000);
    }
    (void)kill(pid, SIGKILL);
    (void)waitpid(pid, &status, 0);
    return 2000;
}

struct seen {
    unsigned events, decisions, exits;
};

static int count_row(void *user, const struct store_row *row)
{
    struct seen *seen = user;
    seen->events += row->type == STORE_ROW_EVENT;
    seen->decisions += row->type == STORE_ROW_DECISION;
    seen->exits += row->type == STORE_ROW_DECISION && row->decision.kind == DECISION_EXIT;
    return 0;
}

/* The record is whole: it opens, and tells the end. */
static struct seen read_record(const char *dir)
{
    char path[512];
    struct seen seen = {0};
    struct store_reader *r = NULL;
    struct store_filter all = {0};
    (void)snprintf(path, sizeof(path), "%s/state/history.db", dir);
    if (store_reader_open(path, &r, NULL) < 0)
        return seen;
    (void)store_read_events(r, &all, count_row, &seen);
    (void)store_read_decisions(r, &all, count_row, &seen);
    store_reader_close(r);
    return seen;
}

static void remove_tree(const char *dir)
{
    char command[600];
    (void)snprintf(command, sizeof(command), "rm -rf '%s'", dir);
    (void)!system(command);
}

static int one_case(unsigned nth, int error, struct seen *ret_seen)
{
    char dir[] = "/tmp/weir-fault-XXXXXX";
    assert_non_null(mkdtemp(dir));
    pid_t pid = fork();
    if (pid == 0)
        run_case(dir, nth, error);
    int status = wait_case(pid);
    unsigned left = end_leftovers();
    *ret_seen = read_record(dir);
    remove_tree(dir);
    if (left)
        print_message("operation %u failing with %s left %u processes\n", nth, strerror(-error), left);
    assert_int_equal(left, 0);
    return status;
}

static void without_a_fault_it_ends_well(void **state)
{
    (void)state;
    struct seen seen;
    assert_int_equal(one_case(0, 0, &seen), 0);
    assert_int_equal(seen.exits, 1);
    assert_true(seen.events > 10);
}

static void whatever_fails_it_ends(void **state)
{
    (void)state;
    static const int errors[] = {-EIO, -ENOMEM, -EOPNOTSUPP};
    unsigned failed_runs = 0;
    struct seen clean;
    (void)one_case(0, 0, &clean);
    for (unsigned nth = 1; nth <= CASES_MAX; nth++) {
        struct seen seen;
        int error = errors[nth % 3];
        int status = one_case(nth, error, &seen);
        if (status > 1)
            print_message("operation %u failing with %s: status %d\n", nth, strerror(-error), status);
        assert_true(status == 0 || status == 1);
        assert_int_equal(seen.exits, 1); /* a decision ended it, on record */
        failed_runs += status == 1 || seen.decisions != clean.decisions;
        /* the stories have fewer operations than this: later cases fail nothing */
        if (nth > 40 && seen.decisions == clean.decisions && status == 0)
            break;
    }
    assert_true(failed_runs >= 3); /* the faults were felt */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_fault_it_ends_well),
        cmocka_unit_test(whatever_fails_it_ends),
    };
    /* PID 1 reaps late: what a case orphans comes to us */
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
