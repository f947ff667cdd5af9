/* SPDX-License-Identifier: MIT */
/* What only a kernel shows: real accounting, real kills, real notifications. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "fixture.h"

static int find_watch(const struct host_watch *w, int count, enum host_notification what)
{
    for (int i = 0; i < count; i++)
        if (w[i].what == what)
            return i;
    return -1;
}

/* Starts a load with its output on a socket; returns our end. */
static int start_load(struct host_unit *u, const char *what, const char *a, const char *b,
                      struct host_child *ret)
{
    int pair[2];
    const char *argv[6];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    struct host_spawn spec = command(load(argv, what, a, b));
    spec.stdout_fd = pair[1];
    *ret = start(u, &spec);
    close(pair[1]);
    return pair[0];
}

static void end_load(struct host_unit *u, struct host_child *c, int fd)
{
    (void)u->ops->unit_kill(u, NULL);
    if (c->pidfd >= 0)
        (void)await_end(c);
    close(fd);
    drop_unit(u);
}

static void spawn_gives_up_rights(void **state)
{
    (void)state;
    char text[256];
    if (!the_info.is_root)
        skip();
    struct host_unit *u = make_unit("rights", &no_limits);
    static const char *const argv[] = {
        "sh", "-c", "echo $(id -u) $(id -g) $(id -G); grep -E 'CapBnd|CapEff|NoNewPrivs' /proc/self/status",
        NULL};
    struct host_spawn spec = command(argv);
    static const gid_t groups[] = {44, 55};
    spec.has_ids = true;
    spec.uid = 12345;
    spec.gid = 23456;
    spec.groups = groups;
    spec.group_count = 2;
    spec.has_capabilities = true;
    spec.capabilities = 1U << 10; /* CAP_NET_BIND_SERVICE */
    spec.no_new_privileges = true;
    (void)run_to_end(u, &spec, text);
    assert_string_equal(text,
                        "12345 23456 23456 44 55\nCapEff:\t0000000000000000\nCapBnd:\t0000000000000400\n"
                        "NoNewPrivs:\t1\n");
    /* root keeps just what is left in the bounding set */
    spec.has_ids = false;
    spec.no_new_privileges = false;
    (void)run_to_end(u, &spec, text);
    assert_non_null(strstr(text, "CapEff:\t0000000000000400\nCapBnd:\t0000000000000400\n"));
    drop_unit(u);
}

static void spawn_leaks_no_descriptor_and_no_signal_state(void **state)
{
    (void)state;
    char text[256];
    const char *argv[6];
    sigset_t blocked;
    sigset_t before;
    struct host_unit *u = make_unit("leaks", &no_limits);
    int leak = dup(1); /* without close-on-exec */
    assert_true(leak > 2);
    struct host_spawn spec = command(load(argv, "descriptors", NULL, NULL));
    (void)run_to_end(u, &spec, text);
    assert_string_equal(text, "0 1 2 ");
    close(leak);
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGTERM);
    sigprocmask(SIG_BLOCK, &blocked, &before);
    void (*was)(int) = signal(SIGPIPE, SIG_IGN);
    spec.argv = (const char *const[]){"grep", "-E", "Sig(Blk|Ign)", "/proc/self/status", NULL};
    (void)run_to_end(u, &spec, text);
    (void)signal(SIGPIPE, was);
    sigprocmask(SIG_SETMASK, &before, NULL);
    assert_string_equal(text, "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
    drop_unit(u);
}

static void oom_score_is_raised_and_lowering_is_explained(void **state)
{
    (void)state;
    char text[256];
    struct host_unit *u = make_unit("score", &no_limits);
    struct host_spawn spec = command((const char *const[]){"cat", "/proc/self/oom_score_adj", NULL});
    spec.has_oom_score_adj = true;
    spec.oom_score_adj = 321;
    spec.has_nice = true;
    spec.nice = 5;
    (void)run_to_end(u, &spec, text);
    assert_string_equal(text, "321\n");
    spec.oom_score_adj = -900;
    struct host_child c;
    struct err e = ERR_NULL;
    int r = u->ops->unit_spawn(u, &spec, &c, &e);
    if (the_info.features & HOST_FEATURE_OOM_ADJUST_DOWN) {
        assert_int_equal(r, 0);
        (void)await_end(&c);
    } else {
        assert_int_equal(r, -EACCES);
        assert_non_null(strstr(e.text, "CAP_SYS_RESOURCE"));
    }
    drop_unit(u);
}

static void the_child_is_in_every_hierarchy_before_exec(void **state)
{
    (void)state;
    char text[256];
    struct host_unit *u = make_unit("place", &no_limits);
    static const char *const argv[] = {
        "sh", "-c", "grep -cE '(^0:|:memory:|:pids:|:cpu).*/place$' /proc/self/cgroup", NULL};
    struct host_spawn spec = command(argv);
    (void)run_to_end(u, &spec, text);
    int expected = 1;
    for (size_t i = 0; i < 3 && the_info.layout == HOST_LAYOUT_HYBRID; i++)
        expected += the_info.v1_mount[i][0] != '\0';
    assert_int_equal(atoi(text), expected);
    drop_unit(u);
}

static void attach_moves_a_process(void **state)
{
    (void)state;
    struct host_unit *from = make_unit("from", &no_limits);
    struct host_unit *to = make_unit("to", &no_limits);
    struct host_spawn spec = command((const char *const[]){"sleep", "1000", NULL});
    struct host_child c = start(from, &spec);
    struct err e = ERR_NULL;
    assert_int_equal(host_process_in(c.pid, from->ops->unit_path(from)), 1);
    assert_int_equal(to->ops->unit_attach(to, c.pid, &e), 0);
    assert_true(await_populated(from, 0));
    assert_int_equal(to->ops->unit_populated(to), 1);
    assert_int_equal(host_process_in(c.pid, from->ops->unit_path(from)), 0);
    assert_int_equal(host_process_in(c.pid, to->ops->unit_path(to)), 1);
    assert_int_equal(host_process_in(c.pid, host_base(the_host)), 1);
    assert_int_equal(to->ops->unit_kill(to, NULL), 0);
    (void)await_end(&c);
    assert_int_equal(to->ops->unit_attach(to, c.pid, &e), -ESRCH);
    drop_unit(from);
    drop_unit(to);
}

static void kill_takes_a_tree_of_sessions(void **state)
{
    (void)state;
    struct host_child c;
    struct host_unit *u = make_unit("tree", &no_limits);
    int fd = start_load(u, "tree", NULL, NULL, &c);
    await_text(fd, "xxxx"); /* 1 + 2 + 4 processes */
    assert_int_equal(u->ops->unit_pids(u, NULL, 0), 7);
    assert_int_equal(reading(u, SAMPLE_PROCESSES), 7);
    end_load(u, &c, fd);
}

static void an_oom_kill_is_counted_and_outlives_the_process(void **state)
{
    (void)state;
    need(HOST_FEATURE_MEMORY_EVENTS);
    struct host_child c;
    struct host_limits l = no_limits;
    l.memory_max_bytes = 32 * MIB;
    l.memory_swap_max_bytes = the_info.features & HOST_FEATURE_SWAP_MAX ? 0 : UINT64_MAX;
    struct host_unit *u = make_unit("oom", &l);
    struct host_watch w[HOST_WATCHES_MAX];
    int count = u->ops->unit_watch(u, 0, 0, NULL, 0, w, NULL);
    int fd = start_load(u, "hog", "256", NULL, &c);
    struct event_exit end = await_end(&c);
    assert_int_equal(end.signal, SIGKILL);
    assert_true(reading(u, SAMPLE_EVENTS_OOM_KILL) >= 1);
    assert_true(reading(u, SAMPLE_EVENTS_MAX) >= 1);
    if (the_info.features & HOST_FEATURE_PEAK)
        assert_in_range(reading(u, SAMPLE_MEMORY_PEAK), 30 * MIB, 32 * MIB);
    /* and told at once: memory.events, or v1's eventfd */
    int i = find_watch(w, count, HOST_NOTIFY_MEMORY_EVENTS);
    if (i < 0)
        i = find_watch(w, count, HOST_NOTIFY_USAGE);
    assert_true(i >= 0);
    assert_true(await_poll(w[i].fd, (short)w[i].poll_events, 1000) & (short)w[i].poll_events);
    u->ops->unit_watch_acknowledge(u, &w[i]);
    end_load(u, &(struct host_child){.pidfd = -1}, fd);
}

static void forks_past_the_limit_are_refused_and_counted(void **state)
{
    (void)state;
    need(HOST_FEATURE_PIDS_MAX);
    struct host_child c;
    struct host_limits l = no_limits;
    l.pids_max = 5;
    struct host_unit *u = make_unit("forks", &l);
    int fd = start_load(u, "forks", "10", NULL, &c);
    await_text(fd, "4\n");
    assert_int_equal(reading(u, SAMPLE_PIDS_CURRENT), 5);
    if (the_info.features & HOST_FEATURE_PIDS_EVENTS)
        assert_int_equal(reading(u, SAMPLE_PIDS_EVENTS_MAX), 6);
    end_load(u, &c, fd);
}

static void the_end_of_the_last_process_is_told(void **state)
{
    (void)state;
    struct host_child c;
    struct host_watch w[HOST_WATCHES_MAX];
    struct host_unit *u = make_unit("told", &no_limits);
    int fd = start_load(u, "hog", "1", NULL, &c);
    await_text(fd, "full");
    int count = u->ops->unit_watch(u, 0, 0, NULL, 0, w, NULL);
    int i = find_watch(w, count, HOST_NOTIFY_CGROUP_EVENTS);
    assert_true(i >= 0);
    assert_int_equal(await_poll(w[i].fd, (short)w[i].poll_events, 50), 0); /* armed: quiet */
    /* a reading does not swallow what the watch has to tell */
    assert_int_equal(kill(c.pid, SIGKILL), 0);
    assert_true(await_populated(u, 0));
    assert_true(await_poll(w[i].fd, (short)w[i].poll_events, PATIENCE_MS) & POLLPRI);
    u->ops->unit_watch_acknowledge(u, &w[i]);
    assert_int_equal(await_poll(w[i].fd, (short)w[i].poll_events, 50), 0);
    end_load(u, &c, fd);
}

static void usage_thresholds_wake_on_v1(void **state)
{
    (void)state;
    if (the_info.layout != HOST_LAYOUT_HYBRID)
        skip();
    struct host_child c;
    struct host_watch w[HOST_WATCHES_MAX];
    struct host_unit *u = make_unit("threshold", &no_limits);
    const uint64_t thresholds[] = {16 * MIB, 64 * MIB};
    int count = u->ops->unit_watch(u, 0, 0, thresholds, 2, w, NULL);
    int i = find_watch(w, count, HOST_NOTIFY_USAGE);
    assert_true(i >= 0);
    int fd = start_load(u, "hog", "32", NULL, &c);
    assert_int_equal(await_poll(w[i].fd, POLLIN, PATIENCE_MS), POLLIN);
    await_text(fd, "full");
    u->ops->unit_watch_acknowledge(u, &w[i]);
    assert_int_equal(await_poll(w[i].fd, POLLIN, 50), 0);
    end_load(u, &c, fd);
}

/* A working set of 160 MiB of file pages under a limit of 64 MiB: every turn refaults. */
static void pressure_rises_and_triggers(void **state)
{
    (void)state;
    need(HOST_FEATURE_PRESSURE);
    need(HOST_FEATURE_MEMORY_MAX);
    struct host_child c;
    char file[64];
    struct host_watch w[HOST_WATCHES_MAX];
    struct host_limits l = no_limits;
    l.memory_max_bytes = 64 * MIB;
    (void)snprintf(file, sizeof(file), "/var/tmp/weir-contract-%d", (int)getpid());
    struct host_unit *u = make_unit("pressure", &l);
    int count = u->ops->unit_watch(u, 20000, 1000000, NULL, 0, w, NULL);
    int fd = start_load(u, "cycle", "160", file, &c);
    bool rose = await_reading(u, SAMPLE_MEMORY_SOME, 100000);
    int i = find_watch(w, count, HOST_NOTIFY_PRESSURE);
    short told = rose && i >= 0 ? await_poll(w[i].fd, (short)w[i].poll_events, PATIENCE_MS) : 0;
    end_load(u, &c, fd);
    (void)unlink(file);
    assert_true(rose);
    if (the_info.features & HOST_FEATURE_PRESSURE_TRIGGER) {
        assert_true(i >= 0);
        assert_int_equal(told & (POLLPRI | POLLERR), POLLPRI);
    }
}

static void lowering_the_limit_below_usage_is_refused(void **state)
{
    (void)state;
    need(HOST_FEATURE_MEMORY_MAX);
    struct host_child c;
    struct err e = ERR_NULL;
    struct host_limits l = no_limits;
    l.memory_max_bytes = 128 * MIB;
    struct host_unit *u = make_unit("lower", &l);
    int fd = start_load(u, "hog", "48", NULL, &c);
    await_text(fd, "full");
    l.memory_max_bytes = 16 * MIB;
    assert_int_equal(u->ops->unit_set_limits(u, &l, &e), -EBUSY);
    assert_non_null(strstr(e.text, "16M"));
    assert_int_equal(reading(u, SAMPLE_MEMORY_MAX), 128 * MIB);
    assert_int_equal(reading(u, SAMPLE_EVENTS_OOM_KILL), 0);
    end_load(u, &c, fd);
}

static void swap_limit_goes_up_and_down_with_memory(void **state)
{
    (void)state;
    need(HOST_FEATURE_SWAP_MAX);
    struct host_limits l = no_limits;
    l.memory_max_bytes = 64 * MIB;
    l.memory_swap_max_bytes = 16 * MIB;
    struct host_unit *u = make_unit("swap", &l);
    static const uint64_t sizes[] = {256 * MIB, 32 * MIB, 128 * MIB};
    for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
        struct err e = ERR_NULL;
        l.memory_max_bytes = sizes[i];
        l.memory_swap_max_bytes = sizes[i] / 4;
        if (u->ops->unit_set_limits(u, &l, &e) < 0)
            fail_msg("%s", e.text);
        assert_int_equal(reading(u, SAMPLE_MEMORY_MAX), sizes[i]);
    }
    drop_unit(u);
}

/* The first number of a file of the unit; -1: unlimited ("max" or -1), -2: not there. */
static long limit_in(struct host_unit *u, const char *unified, const char *v1)
{
    char path[4096];
    char text[64] = "";
    bool hybrid = the_info.layout == HOST_LAYOUT_HYBRID;
    if (hybrid)
        (void)snprintf(path, sizeof(path), "%s%s%s/%s/%s", the_info.v1_mount[2],
                       strcmp(the_info.own_v1[2], "/") == 0 ? "" : the_info.own_v1[2],
                       strrchr(host_base(the_host), '/'), strrchr(u->ops->unit_path(u), '/') + 1, v1);
    else
        (void)snprintf(path, sizeof(path), "%s/%s", u->ops->unit_path(u), unified);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -2;
    assert_true(read(fd, text, sizeof(text) - 1) > 0);
    close(fd);
    return strncmp(text, "max", 3) == 0 ? -1 : atol(text);
}

static void throttle_lies_over_the_users_limit_and_is_lifted(void **state)
{
    (void)state;
    need(HOST_FEATURE_CPU_MAX);
    uint32_t applied = 0;
    struct host_limits l = no_limits;
    l.cpu_max_permyriad = 5000;
    struct host_unit *u = make_unit("throttle", &l);
    assert_int_equal(limit_in(u, "cpu.max", "cpu.cfs_quota_us"), 50000);
    assert_int_equal(u->ops->unit_throttle(u, 1000, UINT64_MAX, &applied, NULL), 0);
    assert_int_equal(applied, HOST_FEATURE_CPU_MAX);
    assert_int_equal(limit_in(u, "cpu.max", "cpu.cfs_quota_us"), 10000);
    /* the user's limit changes meanwhile: the throttle stays the smaller one */
    l.cpu_max_permyriad = 20000;
    assert_int_equal(u->ops->unit_set_limits(u, &l, NULL), 0);
    assert_int_equal(limit_in(u, "cpu.max", "cpu.cfs_quota_us"), 10000);
    assert_int_equal(u->ops->unit_throttle(u, 0, UINT64_MAX, &applied, NULL), 0);
    assert_int_equal(limit_in(u, "cpu.max", "cpu.cfs_quota_us"), 200000);
    /* a throttle looser than the user's own changes nothing; a share below 1 % needs a longer period */
    assert_int_equal(u->ops->unit_throttle(u, 90000, UINT64_MAX, &applied, NULL), 0);
    assert_int_equal(limit_in(u, "cpu.max", "cpu.cfs_quota_us"), 200000);
    assert_int_equal(u->ops->unit_throttle(u, 50, UINT64_MAX, &applied, NULL), 0);
    assert_int_equal(limit_in(u, "cpu.max", "cpu.cfs_quota_us"), 5000);
    assert_int_equal(u->ops->unit_throttle(u, 0, UINT64_MAX, &applied, NULL), 0);
    drop_unit(u);
}

/* memory.high is far below what is in use: a writer that waits for reclaim would hang here. */
static void memory_throttle_does_not_block_the_caller(void **state)
{
    (void)state;
    struct host_child c;
    uint32_t applied = 0;
    struct err e = ERR_NULL;
    struct host_unit *u = make_unit("high", &no_limits);
    int fd = start_load(u, "hog", "64", NULL, &c);
    await_text(fd, "full");
    int r = u->ops->unit_throttle(u, 0, 8 * MIB, &applied, &e);
    if (!(the_info.features & HOST_FEATURE_MEMORY_HIGH)) {
        assert_int_equal(r, -EOPNOTSUPP);
        assert_non_null(strstr(e.text, "memory_high"));
    } else {
        assert_int_equal(r, 0);
        assert_int_equal(applied, HOST_FEATURE_MEMORY_HIGH);
        for (int i = 0; i < 2000 && reading(u, SAMPLE_MEMORY_HIGH) != 8 * MIB; i++)
            pause_ms(2);
        assert_int_equal(reading(u, SAMPLE_MEMORY_HIGH), 8 * MIB);
        assert_int_equal(u->ops->unit_throttle(u, 0, UINT64_MAX, &applied, NULL), 0);
        for (int i = 0; i < 2000 && reading(u, SAMPLE_MEMORY_HIGH) != UINT64_MAX; i++)
            pause_ms(2);
        assert_true(reading(u, SAMPLE_MEMORY_HIGH) == UINT64_MAX);
    }
    end_load(u, &c, fd);
}

static void reclaim_takes_back_file_pages(void **state)
{
    (void)state;
    struct host_child c;
    struct err e = ERR_NULL;
    need(HOST_FEATURE_MEMORY_MAX);
    struct host_unit *u = make_unit("reclaim", &no_limits);
    int fd = start_load(u, "hog", "8", NULL, &c);
    await_text(fd, "full");
    struct host_reclaim reclaim = HOST_RECLAIM_NULL;
    uint64_t current = 0;
    int r = u->ops->unit_reclaim_open(u, &reclaim, &e);
    if (!(the_info.features & HOST_FEATURE_RECLAIM)) {
        assert_int_equal(r, -EOPNOTSUPP);
        assert_non_null(strstr(e.text, "memory.reclaim"));
    } else {
        assert_int_equal(r, 0);
        assert_int_equal(host_reclaim(&reclaim, 0, &current), 0);
        assert_true(current >= 8 * MIB);
        r = host_reclaim(&reclaim, MIB, &current);
        assert_true(r == 0 || r == -EAGAIN); /* no swap: there may be nothing to take */
    }
    end_load(u, &c, fd);
    if (r != -EOPNOTSUPP) /* the unit is gone, its descriptors are not: no other cgroup is meant by them */
        assert_int_equal(host_reclaim(&reclaim, MIB, &current), -ENODEV);
    host_reclaim_close(&reclaim);
}

/* Read by whoever was given the descriptor, as the unit grows. */
static void memory_can_be_read_by_descriptor(void **state)
{
    (void)state;
    struct host_child c;
    struct err e = ERR_NULL;
    char text[32] = "";
    need(HOST_FEATURE_MEMORY_MAX);
    struct host_unit *u = make_unit("memory-fd", &no_limits);
    int memory = u->ops->unit_memory_open(u, &e);
    assert_true(memory >= 0);
    int fd = start_load(u, "hog", "8", NULL, &c);
    await_text(fd, "full");
    struct sample s = {0};
    assert_int_equal(u->ops->unit_read(u, false, &s), 0);
    assert_true(pread(memory, text, sizeof(text) - 1, 0) > 0);
    if (s.value[SAMPLE_MEMORY_CURRENT] > 8 * MIB) /* the fake host's files stand still */
        assert_true(strtoull(text, NULL, 10) >= 8 * MIB);
    end_load(u, &c, fd);
    close(memory);
}

static void detail_tells_the_processes(void **state)
{
    (void)state;
    struct host_child c;
    struct sample s = {0};
    struct host_unit *u = make_unit("detail", &no_limits);
    int fd = start_load(u, "hog", "24", NULL, &c);
    await_text(fd, "full");
    assert_int_equal(u->ops->unit_read(u, false, &s), 0);
    assert_false(sample_has(&s, SAMPLE_RSS));
    assert_int_equal(u->ops->unit_read(u, true, &s), 0);
    assert_int_equal(s.top_count, 1);
    assert_int_equal(s.top[0].pid, c.pid);
    assert_true(s.top[0].rss_bytes >= 24 * MIB && s.top[0].vsz_bytes > s.top[0].rss_bytes);
    assert_true(s.value[SAMPLE_RSS] == s.top[0].rss_bytes);
    if (the_info.features & HOST_FEATURE_MEMORY_MAX)
        assert_true(s.value[SAMPLE_MEMORY_ANON] >= 24 * MIB);
    assert_true(sample_has(&s, SAMPLE_CPU_USAGE) && s.value[SAMPLE_CPU_USAGE] > 0);
    end_load(u, &c, fd);
}

static void a_removed_cgroup_reads_as_gone(void **state)
{
    (void)state;
    struct host_unit *u = make_unit("gone", &no_limits);
    struct host_unit *same = NULL;
    struct sample s = {0};
    assert_int_equal(the_host->ops->unit_open(the_host, "gone", 0, &same, NULL), 0);
    drop_unit(u);
    assert_int_equal(same->ops->unit_read(same, false, &s), -ENODEV);
    assert_int_equal(same->ops->unit_populated(same), -ENODEV);
    /* another one in its place is not ours to remove */
    u = make_unit("gone", &no_limits);
    assert_int_equal(same->ops->unit_remove(same, NULL), -ESTALE);
    same->ops->unit_release(same);
    drop_unit(u);
}

static void a_cgroup_made_inside_a_unit_goes_with_it(void **state)
{
    (void)state;
    char path[4096];
    struct host_unit *u = make_unit("nested", &no_limits);
    (void)snprintf(path, sizeof(path), "%s/inner", u->ops->unit_path(u));
    assert_int_equal(mkdir(path, 0755), 0);
    drop_unit(u);
    assert_int_equal(access(path, F_OK), -1);
}

/* The end of a process that somebody else is the parent of. */
static void a_strangers_exit_status_is_found(void **state)
{
    (void)state;
    int pair[2];
    int pidfd = -1;
    struct event_exit end = {0};
    uint64_t ticks;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    pid_t parent = fork();
    if (parent == 0) {
        pid_t child = fork();
        char go;
        if (child == 0)
            _exit(read(pair[1], &go, 1) == 1 ? 7 : 8);
        if (write(pair[1], &child, sizeof(child)) != sizeof(child))
            _exit(1);
        pause_ms(600); /* the zombie stays for a while */
        (void)waitpid(child, NULL, 0);
        pause();
    }
    pid_t child = 0;
    assert_int_equal(read(pair[0], &child, sizeof(child)), sizeof(child));
    assert_int_equal(host_process_start_ticks(child, &ticks), 0);
    assert_int_equal(host_process_open(child, ticks, &pidfd), 0);
    assert_int_equal(host_process_end(child, pidfd, false, &end), -EAGAIN);
    assert_int_equal(write(pair[0], "g", 1), 1);
    assert_int_equal(await_poll(pidfd, POLLIN, PATIENCE_MS) & POLLIN, POLLIN);
    assert_int_equal(host_process_end(child, pidfd, false, &end), 0);
    if (the_info.is_root) { /* from the zombie's stat */
        assert_true(end.status_known);
        assert_int_equal(end.code, 7);
    }
    pause_ms(1000);
    end = (struct event_exit){0};
    assert_int_equal(host_process_end(child, pidfd, false, &end), 0);
    assert_int_equal(end.status_known, (the_info.features & HOST_FEATURE_EXIT_INFO) != 0);
    if (end.status_known)
        assert_int_equal(end.code, 7);
    (void)kill(parent, SIGKILL);
    (void)waitpid(parent, NULL, 0);
    close(pidfd);
    close(pair[0]);
    close(pair[1]);
}

/* As after kill -9 of a supervisor: another host on the same base finds the unit and its limits. */
static void a_second_run_takes_over(void **state)
{
    (void)state;
    need(HOST_FEATURE_MEMORY_MAX);
    struct host_child c;
    struct err e = ERR_NULL;
    struct host *second = NULL;
    struct host_unit *again = NULL;
    struct host_limits l = no_limits;
    l.memory_max_bytes = 64 * MIB;
    struct host_unit *u = make_unit("survivor", &l);
    uint64_t inode = u->ops->unit_inode(u);
    int fd = start_load(u, "hog", "8", NULL, &c);
    await_text(fd, "full");
    if (host_open(&the_info, "another-name", host_base(the_host), &second, &e) < 0)
        fail_msg("host_open: %s", e.text);
    assert_string_equal(host_base(second), host_base(the_host));
    assert_int_equal(second->ops->unit_open(second, "survivor", inode, &again, &e), 0);
    assert_int_equal(again->ops->unit_populated(again), 1);
    assert_int_equal(reading(again, SAMPLE_MEMORY_MAX), 64 * MIB);
    assert_true(reading(again, SAMPLE_MEMORY_CURRENT) >= 8 * MIB);
    again->ops->unit_release(again);
    second->ops->close(second); /* leaves everything: the unit lives */
    assert_int_equal(u->ops->unit_populated(u), 1);
    end_load(u, &c, fd);
}

const struct CMUnitTest kernel_tests[] = {
    cmocka_unit_test(spawn_gives_up_rights),
    cmocka_unit_test(spawn_leaks_no_descriptor_and_no_signal_state),
    cmocka_unit_test(oom_score_is_raised_and_lowering_is_explained),
    cmocka_unit_test(the_child_is_in_every_hierarchy_before_exec),
    cmocka_unit_test(attach_moves_a_process),
    cmocka_unit_test(kill_takes_a_tree_of_sessions),
    cmocka_unit_test(an_oom_kill_is_counted_and_outlives_the_process),
    cmocka_unit_test(forks_past_the_limit_are_refused_and_counted),
    cmocka_unit_test(the_end_of_the_last_process_is_told),
    cmocka_unit_test(usage_thresholds_wake_on_v1),
    cmocka_unit_test(pressure_rises_and_triggers),
    cmocka_unit_test(lowering_the_limit_below_usage_is_refused),
    cmocka_unit_test(swap_limit_goes_up_and_down_with_memory),
    cmocka_unit_test(throttle_lies_over_the_users_limit_and_is_lifted),
    cmocka_unit_test(memory_throttle_does_not_block_the_caller),
    cmocka_unit_test(reclaim_takes_back_file_pages),
    cmocka_unit_test(memory_can_be_read_by_descriptor),
    cmocka_unit_test(detail_tells_the_processes),
    cmocka_unit_test(a_removed_cgroup_reads_as_gone),
    cmocka_unit_test(a_cgroup_made_inside_a_unit_goes_with_it),
    cmocka_unit_test(a_strangers_exit_status_is_found),
    cmocka_unit_test(a_second_run_takes_over),
};
const size_t kernel_test_count = ARRAY_SIZE(kernel_tests);
