/* SPDX-License-Identifier: MIT */
/*
 * Fail the Nth host operation, for every N: a unit's whole life on this host's real cgroups, again and again,
 * each time with the next system call failing. Whatever fails: no crash, no descriptor, no child and no
 * cgroup is left, and an error has a text.
 * 77: no cgroups here.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "check.h"
#include "sys.h"
#include "weir/base/cleanup.h"
#include "weir/host/host.h"

static struct host_sys real;
static unsigned long calls;   /* so far in this round */
static unsigned long fail_at; /* 0 = none */
static int fail_with;
static bool failed;
static struct host_info info;
static char name[32];

static bool fails(void)
{
    if (++calls != fail_at)
        return false;
    failed = true;
    errno = fail_with;
    return true;
}

#define WRAP(type, call, params, args, failure)                                                              \
    static type wrap_##call params                                                                           \
    {                                                                                                        \
        return fails() ? (failure) : real.call args;                                                         \
    }

WRAP(int, openat, (int d, const char *n, int f, mode_t m), (d, n, f, m), -1)
WRAP(ssize_t, read, (int fd, void *b, size_t n), (fd, b, n), -1)
WRAP(ssize_t, pread, (int fd, void *b, size_t n, off_t o), (fd, b, n, o), -1)
WRAP(ssize_t, write, (int fd, const void *b, size_t n), (fd, b, n), -1)
WRAP(int, mkdirat, (int d, const char *n, mode_t m), (d, n, m), -1)
WRAP(int, unlinkat, (int d, const char *n, int f), (d, n, f), -1)
WRAP(int, socketpair, (int d, int t, int p, int *f), (d, t, p, f), -1)
WRAP(int, eventfd, (unsigned int i, int f), (i, f), -1)
WRAP(int, dup_above, (int fd, int lowest), (fd, lowest), -1)
WRAP(pid_t, clone3, (struct clone_args * a, size_t n), (a, n), -1)
WRAP(pid_t, fork, (void), (), -1)
WRAP(int, poll, (struct pollfd * p, nfds_t n, int t), (p, n, t), -1)
WRAP(int, pidfd_open, (pid_t p, unsigned int f), (p, f), -1)
WRAP(int, ioctl, (int fd, unsigned long r, void *a), (fd, r, a), -1)
WRAP(void *, map_shared, (size_t n), (n), NULL)
WRAP(void *, calloc, (size_t n, size_t s), (n, s), NULL)
WRAP(int, v1_create, (struct cgroup * g, int i), (g, i), ECGROUPNOTALLOWED)
WRAP(int, v1_modify, (struct cgroup * g), (g), ECGROUPNOTALLOWED)
WRAP(int, v1_delete, (struct cgroup * g, int f), (g, f), ECGNONEMPTY)
/* kill and waitid of our own child cannot fail in the kernel: they stay */

static void wrap_all(void)
{
    real = host_sys;
    host_sys.openat = wrap_openat;
    host_sys.read = wrap_read;
    host_sys.pread = wrap_pread;
    host_sys.write = wrap_write;
    host_sys.mkdirat = wrap_mkdirat;
    host_sys.unlinkat = wrap_unlinkat;
    host_sys.socketpair = wrap_socketpair;
    host_sys.eventfd = wrap_eventfd;
    host_sys.dup_above = wrap_dup_above;
    host_sys.clone3 = wrap_clone3;
    host_sys.fork = wrap_fork;
    host_sys.poll = wrap_poll;
    host_sys.pidfd_open = wrap_pidfd_open;
    host_sys.ioctl = wrap_ioctl;
    host_sys.calloc = wrap_calloc;
    host_sys.map_shared = wrap_map_shared;
    host_sys.v1_create = wrap_v1_create;
    host_sys.v1_modify = wrap_v1_modify;
    host_sys.v1_delete = wrap_v1_delete;
}

static void check_text(int r, const struct err *e)
{
    if (r < 0 && e->text[0] == '\0')
        fail_msg("call %lu failed with %d and without a text", fail_at, r);
}

static void use_unit(struct host_unit *u)
{
    static const char *const argv[] = {"sleep", "1000", NULL};
    static const char *const environment[] = {"PATH=/usr/bin:/bin", NULL};
    const struct host_spawn spec = {
        .argv = argv, .environment = environment, .stdin_fd = -1, .stdout_fd = -1, .stderr_fd = -1};
    const uint64_t threshold = 1 << 20;
    struct host_limits limits = {.memory_max_bytes = 256 << 20,
                                 .memory_high_bytes = UINT64_MAX,
                                 .memory_swap_max_bytes = UINT64_MAX,
                                 .pids_max = 30};
    struct host_watch watches[HOST_WATCHES_MAX];
    struct host_child child = {.pidfd = -1};
    struct sample sample = {0};
    struct err e = ERR_NULL;
    uint32_t applied;
    pid_t pids[4];

    int r = u->ops->unit_watch(u, 100000, 2000000, &threshold, 1, watches, &e);
    check_text(r, &e);
    r = u->ops->unit_spawn(u, &spec, &child, &e);
    check_text(r, &e);
    (void)u->ops->unit_read(u, true, &sample);
    (void)u->ops->unit_pids(u, pids, ARRAY_SIZE(pids));
    check_text(u->ops->unit_set_limits(u, &limits, &e), &e);
    check_text(u->ops->unit_throttle(u, 5000, UINT64_MAX, &applied, &e), &e);
    check_text(u->ops->unit_throttle(u, 0, UINT64_MAX, &applied, &e), &e);
    check_text(u->ops->unit_freeze(u, HOST_FREEZE_PULSE, &e), &e);
    check_text(u->ops->unit_freeze(u, HOST_FREEZE_THAW, &e), &e);
    struct host_reclaim reclaim = HOST_RECLAIM_NULL;
    check_text(u->ops->unit_reclaim_open(u, &reclaim, &e), &e);
    host_reclaim_close(&reclaim);
    check_text(u->ops->unit_kill(u, &e), &e);
    if (child.pidfd >= 0) {
        struct event_exit end = {0};
        (void)kill(child.pid, SIGKILL);
        siginfo_t told;
        assert_int_equal(waitid(P_PID, (id_t)child.pid, &told, WEXITED | WNOWAIT), 0);
        if (host_process_end(child.pid, child.pidfd, true, &end) < 0)
            assert_int_equal(waitid(P_PID, (id_t)child.pid, &told, WEXITED), 0);
        close(child.pidfd);
    }
    if (u->ops->unit_remove(u, &e) < 0) { /* stays usable for another try */
        unsigned long saved = fail_at;
        check_text(-1, &e);
        fail_at = 0;
        for (int i = 0; i < 1000 && u->ops->unit_populated(u) != 0; i++)
            io_pause_us(1000);
        r = u->ops->unit_remove(u, &e);
        fail_at = saved;
        if (r < 0)
            fail_msg("call %lu: second unit_remove: %s", saved, e.text);
    }
}

static void live_one_life(bool in_full)
{
    struct host *h = NULL;
    struct host_unit *u = NULL;
    struct err e = ERR_NULL;
    struct host_limits limits = {.memory_max_bytes = 128 << 20,
                                 .memory_high_bytes = UINT64_MAX,
                                 .memory_swap_max_bytes = 0,
                                 .pids_max = 20,
                                 .cpu_max_permyriad = 9000,
                                 .cpu_weight = 50};
    int r = host_open(&info, name, NULL, &h, &e);
    check_text(r, &e);
    if (r < 0)
        return;
    r = h->ops->unit_create(h, "nth", &limits, true, &u, NULL, &e);
    check_text(r, &e);
    if (r == 0 && in_full) {
        use_unit(u);
        check_text(h->ops->guard_check(h, &e), &e);
    } else if (r == 0)
        assert_int_equal(h->ops->unit_remove(u, NULL), 0);
    h->ops->close(h);
}

static unsigned open_descriptors(void)
{
    unsigned count = 0;
    _cleanup_closedir_ DIR *dir = opendir("/proc/self/fd");
    while (dir && readdir(dir))
        count++;
    return count;
}

/* What a failed removal left goes with the next life; here nothing may be left. */
static void expect_clean(unsigned descriptors)
{
    siginfo_t told;
    char path[HOST_PATH_MAX * 2 + 64];
    assert_int_equal(open_descriptors(), descriptors);
    assert_int_equal(waitid(P_ALL, 0, &told, WEXITED | WNOHANG | __WALL), -1);
    assert_int_equal(errno, ECHILD);
    fail_at = 0;
    live_one_life(false);
    for (size_t i = 0; i < 5; i++) {
        const char *mount = i < 4 ? info.v1_mount[i] : info.unified_mount;
        if (!*mount)
            continue;
        (void)snprintf(path, sizeof(path), "%s%s/weir-%s", mount, i < 4 ? info.own_v1[i] : info.own_unified,
                       name);
        if (access(path, F_OK) == 0)
            fail_msg("%s is left", path);
    }
}

static void every_operation_failing_once(void **state)
{
    const int *error = *state;
    fail_with = *error;
    fail_at = 0;
    live_one_life(true); /* what is opened once for good (libcgroup, locale) is open now */
    unsigned descriptors = open_descriptors();
    for (unsigned long n = 1;; n++) {
        calls = 0;
        failed = false;
        fail_at = n;
        live_one_life(true);
        bool done = !failed;
        expect_clean(descriptors);
        if (done) {
            assert_true(n > 50);
            return;
        }
    }
}

int main(void)
{
    static int io = EIO, gone = ENOENT;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(every_operation_failing_once, &io),
        cmocka_unit_test_prestate(every_operation_failing_once, &gone),
    };
    struct err e = ERR_NULL;
    struct host *h = NULL;
    (void)snprintf(name, sizeof(name), "nth-%d", (int)getpid());
    int r = host_detect(&info, &e);
    if (r == 0)
        r = host_open(&info, name, NULL, &h, &e);
    if (r < 0) {
        printf("SKIP: %s\n", e.text);
        return 77;
    }
    h->ops->close(h);
    wrap_all();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
