/* SPDX-License-Identifier: MIT */
/* What every implementation of struct host_ops keeps, the fakehost as well as the kernel's. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "fixture.h"

static const char *const sleeper[] = {"sleep", "1000", NULL};

static void new_unit_is_empty_and_has_identity(void **state)
{
    (void)state;
    struct host_unit *u = make_unit("new", &no_limits);
    assert_int_equal(u->ops->unit_populated(u), 0);
    assert_true(u->ops->unit_inode(u) > 0);
    assert_non_null(strstr(u->ops->unit_path(u), "/new"));
    assert_int_equal(u->ops->unit_pids(u, NULL, 0), 0);
    assert_int_equal(reading(u, SAMPLE_POPULATED), 0);
    drop_unit(u);
}

static void names_that_are_no_names_are_refused(void **state)
{
    (void)state;
    static const char *const names[] = {"", ".", "..", "a/b", "cgroup.procs"};
    if (the_host_is_fake)
        skip();
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        struct host_unit *u = NULL;
        struct err e = ERR_NULL;
        assert_int_equal(the_host->ops->unit_create(the_host, names[i], &no_limits, false, &u, NULL, &e),
                         -EINVAL);
        assert_null(u);
    }
}

static void limits_are_read_back(void **state)
{
    (void)state;
    need(HOST_FEATURE_MEMORY_MAX);
    need(HOST_FEATURE_PIDS_MAX);
    struct host_limits l = no_limits;
    l.memory_max_bytes = 64 * MIB;
    l.pids_max = 20;
    struct host_unit *u = make_unit("limits", &l);
    assert_int_equal(reading(u, SAMPLE_MEMORY_MAX), 64 * MIB);
    assert_int_equal(reading(u, SAMPLE_PIDS_MAX), 20);
    l.memory_max_bytes = 128 * MIB;
    l.pids_max = UINT64_MAX;
    assert_int_equal(u->ops->unit_set_limits(u, &l, NULL), 0);
    assert_int_equal(reading(u, SAMPLE_MEMORY_MAX), 128 * MIB);
    assert_true(reading(u, SAMPLE_PIDS_MAX) == UINT64_MAX);
    assert_int_equal(u->ops->unit_set_limits(u, &no_limits, NULL), 0);
    assert_true(reading(u, SAMPLE_MEMORY_MAX) == UINT64_MAX);
    drop_unit(u);
}

/* Whichever limit this host lacks: refused by name, or reported as missing. The fakehost lacks memory.high. */
static void a_limit_the_host_lacks_is_refused_or_told(void **state)
{
    (void)state;
    uint32_t missing = 0;
    need(HOST_FEATURE_PIDS_MAX);
    struct err e = ERR_NULL;
    struct host_unit *u = NULL;
    struct host_limits l = no_limits;
    l.memory_high_bytes = 32 * MIB;
    if (the_info.features & HOST_FEATURE_MEMORY_HIGH)
        skip();
    assert_int_equal(the_host->ops->unit_create(the_host, "lacks", &l, false, &u, &missing, &e), -EOPNOTSUPP);
    assert_non_null(strstr(e.text, "memory_high"));
    assert_int_equal(the_host->ops->unit_create(the_host, "lacks", &l, true, &u, &missing, &e), 0);
    assert_int_equal(missing, HOST_FEATURE_MEMORY_HIGH);
    /* what was missing before does not stop a change of something else */
    l.pids_max = 7;
    assert_int_equal(u->ops->unit_set_limits(u, &l, &e), 0);
    assert_int_equal(reading(u, SAMPLE_PIDS_MAX), 7);
    l.memory_high_bytes = 33 * MIB;
    assert_int_equal(u->ops->unit_set_limits(u, &l, &e), -EOPNOTSUPP);
    drop_unit(u);
}

static void spawn_passes_environment_folder_umask_and_exit_code(void **state)
{
    (void)state;
    char text[256];
    struct host_unit *u = make_unit("spawn", &no_limits);
    static const char *const argv[] = {"sh", "-c", "echo $WEIR_TEST $(pwd) $(umask) $(ulimit -n); exit 3",
                                       NULL};
    struct host_spawn spec = command(argv);
    spec.working_directory = "/usr/bin";
    spec.has_umask = true;
    spec.umask = 027;
    spec.rlimits[RLIMIT_NOFILE].is_set = true;
    spec.rlimits[RLIMIT_NOFILE].value = (struct rlimit){77, 99};
    struct event_exit end = run_to_end(u, &spec, text);
    assert_string_equal(text, "fish /usr/bin 0027 77\n");
    assert_true(end.status_known);
    assert_int_equal(end.code, 3);
    assert_int_equal(end.signal, 0);
    drop_unit(u);
}

static void refused(struct host_unit *u, const struct host_spawn *spec, int code, const char *text)
{
    struct host_child c = {.pidfd = -1};
    struct err e = ERR_NULL;
    assert_int_equal(u->ops->unit_spawn(u, spec, &c, &e), code);
    assert_string_equal(e.text, text);
    assert_true(await_populated(u, 0));
}

static void spawn_tells_which_step_failed_and_why(void **state)
{
    (void)state;
    struct host_unit *u = make_unit("errors", &no_limits);
    struct host_spawn spec = command((const char *const[]){"/no/such", NULL});
    refused(u, &spec, -ENOENT, "exec: /no/such: No such file or directory");
    spec.argv = (const char *const[]){"no-such-program", NULL};
    refused(u, &spec, -ENOENT, "exec: no-such-program: not found in PATH (/usr/local/bin:/usr/bin:/bin)");
    spec.argv = (const char *const[]){"/etc/passwd", NULL};
    refused(u, &spec, -EACCES, "exec: /etc/passwd: Permission denied");
    spec.argv = sleeper;
    spec.working_directory = "/no/folder";
    refused(u, &spec, -ENOENT, "working_directory: /no/folder: No such file or directory");
    spec.working_directory = NULL;
    spec.rlimits[RLIMIT_NOFILE].is_set = true;
    spec.rlimits[RLIMIT_NOFILE].value = (struct rlimit){9, 8};
    refused(u, &spec, -EINVAL, "limit_nofile: 9:8: Invalid argument");
    drop_unit(u);
}

static void a_script_without_its_interpreter_is_explained(void **state)
{
    (void)state;
    char file[] = "/tmp/weir-contract-script-XXXXXX";
    int fd = mkstemp(file);
    assert_true(fd >= 0 && write(fd, "#!/no/interpreter\n", 18) == 18 && fchmod(fd, 0755) == 0);
    close(fd);
    struct host_unit *u = make_unit("script", &no_limits);
    struct host_spawn spec = command((const char *const[]){file, NULL});
    struct host_child c;
    struct err e = ERR_NULL;
    assert_int_equal(u->ops->unit_spawn(u, &spec, &c, &e), -ENOENT);
    assert_non_null(strstr(e.text, "interpreter"));
    unlink(file);
    drop_unit(u);
}

static void kill_ends_what_runs(void **state)
{
    (void)state;
    struct host_unit *u = make_unit("kill", &no_limits);
    struct host_spawn spec = command(sleeper);
    struct host_child c = start(u, &spec);
    pid_t pids[4] = {0};
    assert_int_equal(u->ops->unit_populated(u), 1);
    assert_int_equal(u->ops->unit_pids(u, pids, 4), 1);
    assert_int_equal(pids[0], c.pid);
    assert_int_equal(reading(u, SAMPLE_PROCESSES), 1);
    assert_int_equal(u->ops->unit_kill(u, NULL), 0);
    struct event_exit end = await_end(&c);
    assert_int_equal(end.signal, 9);
    assert_true(await_populated(u, 0));
    drop_unit(u);
}

/* Kernels since 6.14 kill what is cloned into a cgroup that was killed once. */
static void a_killed_unit_can_be_used_again(void **state)
{
    (void)state;
    struct host_unit *u = make_unit("again", &no_limits);
    struct host_spawn spec = command((const char *const[]){"true", NULL});
    char text[256];
    assert_int_equal(u->ops->unit_kill(u, NULL), 0);
    for (int i = 0; i < 3; i++) {
        struct event_exit end = run_to_end(u, &spec, text);
        assert_int_equal(end.signal, 0);
        assert_int_equal(end.code, 0);
    }
    drop_unit(u);
}

static void frozen_and_thawed(void **state)
{
    (void)state;
    need(HOST_FEATURE_FREEZE);
    struct host_unit *u = make_unit("freeze", &no_limits);
    struct host_spawn spec = command(sleeper);
    struct host_child c = start(u, &spec);
    struct err e = ERR_NULL;
    assert_int_equal(u->ops->unit_freeze(u, HOST_FREEZE_PULSE, NULL), 0);
    assert_true(await_reading(u, SAMPLE_FROZEN, 1));
    assert_int_equal(u->ops->unit_spawn(u, &spec, &(struct host_child){0}, &e), -EBUSY);
    assert_non_null(strstr(e.text, "frozen"));
    assert_int_equal(u->ops->unit_freeze(u, HOST_FREEZE_THAW, NULL), 0);
    for (int i = 0; i < 1000 && reading(u, SAMPLE_FROZEN); i++)
        pause_ms(2);
    assert_int_equal(reading(u, SAMPLE_FROZEN), 0);
    /* frozen processes die of a kill, too */
    assert_int_equal(u->ops->unit_freeze(u, HOST_FREEZE_KEEP, NULL), 0);
    assert_int_equal(u->ops->unit_kill(u, NULL), 0);
    assert_int_equal(await_end(&c).signal, 9);
    assert_int_equal(u->ops->unit_freeze(u, HOST_FREEZE_THAW, NULL), 0);
    drop_unit(u);
}

static void a_busy_unit_is_not_removed_and_stays_usable(void **state)
{
    (void)state;
    struct host_unit *u = make_unit("busy", &no_limits);
    struct host_spawn spec = command(sleeper);
    struct host_child c = start(u, &spec);
    struct err e = ERR_NULL;
    assert_int_equal(u->ops->unit_remove(u, &e), -EBUSY);
    assert_non_null(strstr(e.text, "busy"));
    assert_int_equal(u->ops->unit_populated(u), 1);
    assert_int_equal(u->ops->unit_kill(u, NULL), 0);
    (void)await_end(&c);
    drop_unit(u);
}

static void a_populated_name_is_not_taken_an_empty_one_is(void **state)
{
    (void)state;
    struct host_unit *u = make_unit("stale", &no_limits);
    struct host_unit *second = NULL;
    struct host_spawn spec = command(sleeper);
    struct host_child c = start(u, &spec);
    assert_int_equal(the_host->ops->unit_create(the_host, "stale", &no_limits, false, &second, NULL, NULL),
                     -EBUSY);
    assert_int_equal(u->ops->unit_kill(u, NULL), 0);
    (void)await_end(&c);
    assert_true(await_populated(u, 0));
    u->ops->unit_release(u);
    second = make_unit("stale", &no_limits);
    drop_unit(second);
}

static void adopted_by_name_and_inode(void **state)
{
    (void)state;
    struct host_unit *u = make_unit("adopt", &no_limits);
    struct host_spawn spec = command(sleeper);
    struct host_child c = start(u, &spec);
    uint64_t inode = u->ops->unit_inode(u);
    u->ops->unit_release(u);
    u = NULL;
    struct host_unit *found = NULL;
    assert_int_equal(the_host->ops->unit_open(the_host, "adopt", inode + 1, &found, NULL), -ESTALE);
    assert_int_equal(the_host->ops->unit_open(the_host, "nobody", 0, &found, NULL), -ENOENT);
    assert_int_equal(the_host->ops->unit_open(the_host, "adopt", inode, &found, NULL), 0);
    assert_int_equal(found->ops->unit_inode(found), inode);
    assert_int_equal(found->ops->unit_populated(found), 1);
    assert_int_equal(found->ops->unit_kill(found, NULL), 0);
    (void)await_end(&c);
    drop_unit(found);
}

static void releasing_nothing_is_allowed(void **state)
{
    (void)state;
    the_host->ops->unit_release(NULL);
}

static void a_process_is_known_by_its_start_time(void **state)
{
    (void)state;
    struct host_unit *u = make_unit("identity", &no_limits);
    struct host_spawn spec = command(sleeper);
    struct host_child c = start(u, &spec);
    uint64_t ticks = 0;
    int pidfd = -1;
    struct event_exit end = {0};
    assert_int_equal(host_process_start_ticks(c.pid, &ticks), 0);
    assert_int_equal(ticks, c.start_ticks);
    assert_int_equal(host_process_end(c.pid, c.pidfd, true, &end), -EAGAIN);
    assert_int_equal(host_process_end(c.pid, c.pidfd, false, &end), -EAGAIN);
    assert_int_equal(host_process_open(c.pid, ticks + 1, &pidfd), -ESRCH);
    assert_int_equal(host_process_open(c.pid, ticks, &pidfd), 0);
    close(pidfd);
    drop_unit(u);
    (void)await_end(&c);
    assert_int_equal(host_process_open(c.pid, ticks, &pidfd), -ESRCH);
    assert_int_equal(host_process_start_ticks(c.pid, &ticks), -ESRCH);
}

const struct CMUnitTest common_tests[] = {
    cmocka_unit_test(new_unit_is_empty_and_has_identity),
    cmocka_unit_test(names_that_are_no_names_are_refused),
    cmocka_unit_test(limits_are_read_back),
    cmocka_unit_test(a_limit_the_host_lacks_is_refused_or_told),
    cmocka_unit_test(spawn_passes_environment_folder_umask_and_exit_code),
    cmocka_unit_test(spawn_tells_which_step_failed_and_why),
    cmocka_unit_test(a_script_without_its_interpreter_is_explained),
    cmocka_unit_test(kill_ends_what_runs),
    cmocka_unit_test(a_killed_unit_can_be_used_again),
    cmocka_unit_test(frozen_and_thawed),
    cmocka_unit_test(a_busy_unit_is_not_removed_and_stays_usable),
    cmocka_unit_test(a_populated_name_is_not_taken_an_empty_one_is),
    cmocka_unit_test(adopted_by_name_and_inode),
    cmocka_unit_test(releasing_nothing_is_allowed),
    cmocka_unit_test(a_process_is_known_by_its_start_time),
};
const size_t common_test_count = ARRAY_SIZE(common_tests);
