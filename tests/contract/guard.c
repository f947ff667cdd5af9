/* SPDX-License-Identifier: MIT */
/* The guard: what a supervisor holds back for a moment is let go when the supervisor is killed, or its guard is. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "fixture.h"
#include "private.h"
#include "sys.h"

#define UNDO_MS 1000 /* a unit is let go within this time of weir's death */

static const char *const sleeper[] = {"sleep", "1000", NULL};

static uint64_t value_of(struct host_unit *u, const char *file)
{
    uint64_t value = 0;
    assert_int_equal(io_value_at(unit_of(u)->dir[TREE_UNIFIED], file, &value), 0);
    return value;
}

/* "max" and -1: UINT64_MAX. */
static uint64_t quota_of(struct host_unit *u)
{
    char text[64];
    bool unified = the_info.layout == HOST_LAYOUT_UNIFIED;
    int dir = unit_of(u)->dir[unified ? TREE_UNIFIED : TREE_CPU];
    assert_true(io_read_at(dir, unified ? "cpu.max" : "cpu.cfs_quota_us", text, sizeof(text)) > 0);
    return text[0] == 'm' || text[0] == '-' ? UINT64_MAX : strtoull(text, NULL, 10);
}

static pid_t guard_pid(struct host *h)
{
    return ((struct subtree *)h)->guard.pid;
}

/* A zombie lives no more; PID 1 reaps late. */
static bool lives(pid_t pid)
{
    char path[64], text[512];
    (void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    const char *behind_comm = io_read_at(AT_FDCWD, path, text, sizeof(text)) > 0 ? strrchr(text, ')') : NULL;
    return behind_comm && behind_comm[2] != 'Z' && behind_comm[2] != 'X';
}

static bool await_death(pid_t pid)
{
    for (int waited = 0; waited < PATIENCE_MS && lives(pid); waited++)
        pause_ms(1);
    return !lives(pid);
}

static bool is_let_go(struct host_unit *u, uint64_t quota)
{
    for (int waited = 0; waited < UNDO_MS; waited++) {
        if (value_of(u, "cgroup.freeze") == 0 && quota_of(u) == quota)
            return true;
        pause_ms(1);
    }
    return false;
}

/* The processes of another supervisor. */
struct told {
    pid_t sleeper, guard;
    uint64_t inode;
};

enum held { HELD_BY_PULSE, HELD_BY_OPERATOR, HELD_NO_MORE };

/* A supervisor of its own; *ret_pid is killed by the caller. */
static struct told run_supervisor(const char *name, enum held held, pid_t *ret_pid)
{
    struct told told = {0};
    int pipe_fds[2];
    assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
    *ret_pid = fork();
    if (*ret_pid == 0) {
        struct host *h;
        struct host_unit *u;
        struct host_child c;
        uint32_t applied;
        struct host_spawn spec = command(sleeper);
        struct host_limits l = no_limits;
        l.cpu_max_permyriad = 5000;
        if (host_open(&the_info, name, NULL, &h, NULL) < 0 ||
            h->ops->unit_create(h, "held", &l, false, &u, NULL, NULL) < 0 ||
            u->ops->unit_spawn(u, &spec, &c, NULL) < 0 ||
            u->ops->unit_freeze(u, held == HELD_BY_OPERATOR ? HOST_FREEZE_KEEP : HOST_FREEZE_PULSE, NULL) <
                0 ||
            u->ops->unit_throttle(u, 1000, UINT64_MAX, &applied, NULL) < 0)
            _exit(1);
        l.cpu_max_permyriad = 20000; /* the user's own changes meanwhile: that one is to come back */
        if (u->ops->unit_set_limits(u, &l, NULL) < 0 || quota_of(u) != 10000)
            _exit(2);
        if (held == HELD_NO_MORE && (u->ops->unit_freeze(u, HOST_FREEZE_THAW, NULL) < 0 ||
                                     u->ops->unit_throttle(u, 0, UINT64_MAX, &applied, NULL) < 0))
            _exit(3);
        told = (struct told){c.pid, guard_pid(h), u->ops->unit_inode(u)};
        (void)!write(pipe_fds[1], &told, sizeof(told));
        for (;;)
            pause();
    }
    close(pipe_fds[1]);
    assert_int_equal(read(pipe_fds[0], &told, sizeof(told)), sizeof(told));
    close(pipe_fds[0]);
    return told;
}

static struct host_unit *take_over(const char *name, const struct told *told, struct host **ret_host)
{
    struct host_unit *u = NULL;
    struct err e = ERR_NULL;
    if (host_open(&the_info, name, NULL, ret_host, &e) < 0 ||
        (*ret_host)->ops->unit_open(*ret_host, "held", told->inode, &u, &e) < 0)
        fail_msg("%s", e.text);
    return u;
}

static void what_a_killed_supervisor_held_back(enum held held)
{
    need(HOST_FEATURE_FREEZE);
    need(HOST_FEATURE_CPU_MAX);
    char name[64];
    pid_t pid;
    struct host *h = NULL;
    (void)snprintf(name, sizeof(name), "contract-held-%d", (int)getpid());
    struct told told = run_supervisor(name, held, &pid);
    struct host_unit *u = take_over(name, &told, &h); /* only looks on */
    assert_true(lives(told.guard));
    assert_int_equal(value_of(u, "cgroup.freeze"), held != HELD_NO_MORE);
    /* a signal to the whole session ends neither */
    (void)kill(told.guard, SIGTERM);
    (void)kill(told.guard, SIGINT);
    (void)kill(told.guard, SIGHUP);
    pause_ms(20);
    assert_true(lives(told.guard));

    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    if (held == HELD_BY_OPERATOR) {
        assert_true(await_death(told.guard));
        assert_int_equal(value_of(u, "cgroup.freeze"), 1);
        assert_int_equal(quota_of(u), 200000);
    } else {
        assert_true(is_let_go(u, 200000));
        assert_true(await_death(told.guard));
    }
    assert_true(lives(told.sleeper));
    drop_unit(u);
    h->ops->close(h);
}

static void a_pulse_and_a_throttle_end_with_a_killed_supervisor(void **state)
{
    (void)state;
    what_a_killed_supervisor_held_back(HELD_BY_PULSE);
}

static void an_operators_freeze_outlives_a_killed_supervisor(void **state)
{
    (void)state;
    what_a_killed_supervisor_held_back(HELD_BY_OPERATOR);
}

static void what_was_let_go_stays_so(void **state)
{
    (void)state;
    what_a_killed_supervisor_held_back(HELD_NO_MORE);
}

/* --keep: the unit is released, not removed. */
static void the_host_lets_go_as_it_closes(void **state)
{
    (void)state;
    need(HOST_FEATURE_FREEZE);
    need(HOST_FEATURE_CPU_MAX);
    struct host *first = NULL, *second = NULL;
    struct host_unit *u = NULL;
    struct host_child c = {.pidfd = -1};
    struct host_spawn spec = command(sleeper);
    char name[64];
    uint32_t applied;
    (void)snprintf(name, sizeof(name), "contract-keep-%d", (int)getpid());
    assert_int_equal(host_open(&the_info, name, NULL, &first, NULL), 0);
    assert_int_equal(first->ops->unit_create(first, "held", &no_limits, false, &u, NULL, NULL), 0);
    assert_int_equal(u->ops->unit_spawn(u, &spec, &c, NULL), 0);
    assert_int_equal(u->ops->unit_freeze(u, HOST_FREEZE_PULSE, NULL), 0);
    assert_int_equal(u->ops->unit_throttle(u, 1000, UINT64_MAX, &applied, NULL), 0);
    struct told told = {.guard = guard_pid(first), .inode = u->ops->unit_inode(u)};
    u->ops->unit_release(u);
    first->ops->close(first);
    assert_false(lives(told.guard)); /* reaped */
    u = take_over(name, &told, &second);
    assert_int_equal(value_of(u, "cgroup.freeze"), 0);
    assert_true(quota_of(u) == UINT64_MAX);
    drop_unit(u);
    second->ops->close(second);
    (void)await_end(&c);
}

static void link_of(pid_t pid, const char *entry, char *ret, size_t size)
{
    char path[320];
    (void)snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, entry);
    ssize_t n = readlink(path, ret, size - 1);
    ret[n > 0 ? n : 0] = '\0';
}

/* Its channel, a pidfd of ours, /dev/null: nothing that somebody else waits for the end of. */
static void the_guard_holds_nothing_of_ours(void **state)
{
    (void)state;
    char path[64], comm[32] = "", target[256];
    pid_t pid = guard_pid(the_host);
    (void)snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
    assert_true(io_read_at(AT_FDCWD, path, comm, sizeof(comm)) > 0);
    assert_string_equal(comm, "weir-guard\n");
    assert_int_equal(getsid(pid), pid);
    (void)snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
    _cleanup_closedir_ DIR *dir = opendir(path);
    assert_non_null(dir);
    for (struct dirent *e; (e = readdir(dir));) {
        char entry[280];
        if (e->d_name[0] == '.')
            continue;
        (void)snprintf(entry, sizeof(entry), "fd/%s", e->d_name);
        link_of(pid, entry, target, sizeof(target));
        if (strcmp(target, "/dev/null") != 0 && strncmp(target, "socket:", 7) != 0 &&
            !strstr(target, "pidfd"))
            fail_msg("the guard holds %s", target);
    }
}

static void a_killed_guard_is_told_once_and_replaced(void **state)
{
    (void)state;
    need(HOST_FEATURE_FREEZE);
    struct host_unit *u = make_unit("guarded", &no_limits);
    struct host_spawn spec = command(sleeper);
    struct host_child c = start(u, &spec);
    struct err e = ERR_NULL;
    assert_int_equal(u->ops->unit_freeze(u, HOST_FREEZE_PULSE, NULL), 0);
    pid_t first = guard_pid(the_host);
    assert_int_equal(kill(first, SIGKILL), 0);
    for (int i = 0; i < PATIENCE_MS && guard_pid(the_host) == first; i++) {
        assert_int_equal(u->ops->unit_freeze(u, HOST_FREEZE_PULSE, NULL), 0); /* it dies in its own time */
        pause_ms(1);
    }
    pid_t second = guard_pid(the_host);
    assert_true(second > 0 && second != first && lives(second));
    assert_int_equal(the_host->ops->guard_check(the_host, &e), 1);
    assert_non_null(strstr(e.text, "SIGKILL"));
    assert_int_equal(the_host->ops->guard_check(the_host, &e), 0);
    assert_int_equal(u->ops->unit_freeze(u, HOST_FREEZE_THAW, NULL), 0);
    drop_unit(u);
    (void)await_end(&c);
}

static pid_t no_clone3(struct clone_args *args, size_t size)
{
    (void)args;
    (void)size;
    errno = EAGAIN;
    return -1;
}

static void without_a_guard_there_is_no_pulse(void **state)
{
    (void)state;
    need(HOST_FEATURE_FREEZE);
    struct host_sys saved = host_sys;
    struct host_unit *u = make_unit("unguarded", &no_limits);
    struct err e = ERR_NULL;
    host_sys.clone3 = no_clone3;
    pid_t first = guard_pid(the_host);
    assert_int_equal(kill(first, SIGKILL), 0);
    int r = 0;
    for (int i = 0; i < PATIENCE_MS && r == 0; i++) {
        r = the_host->ops->guard_check(the_host, &e);
        pause_ms(1);
    }
    assert_int_equal(r, -EOPNOTSUPP);
    assert_non_null(strstr(e.text, "could not be started"));
    assert_int_equal(the_host->ops->guard_check(the_host, &e), 0); /* once */
    assert_int_equal(u->ops->unit_freeze(u, HOST_FREEZE_PULSE, &e), -EOPNOTSUPP);
    assert_int_equal(value_of(u, "cgroup.freeze"), 0);
    assert_int_equal(u->ops->unit_freeze(u, HOST_FREEZE_KEEP, &e), 0);
    assert_int_equal(u->ops->unit_freeze(u, HOST_FREEZE_THAW, &e), 0);
    host_sys = saved;
    /* what kept it away is over: it comes back by itself */
    for (int i = 0; i < 100 && r != 1; i++)
        r = the_host->ops->guard_check(the_host, &e);
    assert_int_equal(r, 1);
    assert_int_equal(u->ops->unit_freeze(u, HOST_FREEZE_PULSE, &e), 0);
    assert_int_equal(u->ops->unit_freeze(u, HOST_FREEZE_THAW, &e), 0);
    drop_unit(u);
}

const struct CMUnitTest guard_tests[] = {
    cmocka_unit_test(a_pulse_and_a_throttle_end_with_a_killed_supervisor),
    cmocka_unit_test(an_operators_freeze_outlives_a_killed_supervisor),
    cmocka_unit_test(what_was_let_go_stays_so),
    cmocka_unit_test(the_host_lets_go_as_it_closes),
    cmocka_unit_test(the_guard_holds_nothing_of_ours),
    cmocka_unit_test(a_killed_guard_is_told_once_and_replaced),
    cmocka_unit_test(without_a_guard_there_is_no_pulse),
};
const size_t guard_test_count = ARRAY_SIZE(guard_tests);
