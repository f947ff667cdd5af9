/* SPDX-License-Identifier: MIT */
/*
 * The parent's half of starting a command; see spawn.h.
 *
 * The child is born inside its cgroup2 cgroup (clone3, CLONE_INTO_CGROUP) where the kernel can; the v1
 * cgroups, and kernels or sandboxes without clone3, are served by attaching the child while it waits for
 * "go". Either way it is in place before exec, so not a byte of the command is charged elsewhere.
 */
#include "spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "private.h"
#include "sys.h"
#include "weir/base/cleanup.h"

#define SPAWN_WAIT_MS 5000                           /* include/weir/host/host.h */
#define PATH_DEFAULT  "/usr/local/bin:/usr/bin:/bin" /* when the environment has no PATH; chosen */

void spawn_free_candidates(char ***candidates)
{
    for (char **c = *candidates; c && *c; c++)
        free(*c);
    free(*candidates);
}

char **spawn_candidates(const char *file, const char *path)
{
    size_t count = 1;
    for (const char *p = path; *p; p++)
        count += *p == ':';
    _cleanup_(spawn_free_candidates) char **list = host_sys.calloc(count + 1, sizeof(*list));
    if (!list)
        return NULL;
    if (strchr(file, '/')) {
        list[0] = strdup(file);
        return list[0] ? steal_ptr(&list) : NULL;
    }
    for (size_t i = 0; i < count; i++) {
        int n = (int)strcspn(path, ":");
        const char *slash = n > 0 && path[n - 1] == '/' ? "" : "/";
        /* an empty element is the working directory, as execvp(3) has it */
        if (asprintf(&list[i], "%.*s%s%s", n, path, n > 0 ? slash : "./", file) < 0) {
            list[i] = NULL;
            return NULL;
        }
        path += n + (path[n] == ':');
    }
    return steal_ptr(&list);
}

static const char *environment_path(const char *const *environment)
{
    for (; environment && *environment; environment++)
        if (strncmp(*environment, "PATH=", 5) == 0)
            return *environment + 5;
    return PATH_DEFAULT;
}

/* A copy above stdin..stderr, so that dup2 in the child never steps on its own feet. */
static int dup_above_stdio(int fd)
{
    int r = host_sys.dup_above(fd, 3);
    return r < 0 ? -errno : r;
}

static int prepare_stdio(const struct host_spawn *spec, int stdio[3])
{
    const int given[3] = {spec->stdin_fd, spec->stdout_fd, spec->stderr_fd};
    for (int i = 0; i < 3; i++) {
        _cleanup_close_ int null = -1;
        if (given[i] < 0) {
            null = io_open_at(AT_FDCWD, "/dev/null", i == 0 ? O_RDONLY : O_WRONLY);
            if (null < 0)
                return null;
        }
        stdio[i] = dup_above_stdio(given[i] < 0 ? null : given[i]);
        if (stdio[i] < 0)
            return stdio[i];
    }
    return 0;
}

/* --- texts --- */

static const char *const rlimit_names[RLIM_NLIMITS] = {
    [RLIMIT_CPU] = "cpu",           [RLIMIT_FSIZE] = "fsize",
    [RLIMIT_DATA] = "data",         [RLIMIT_STACK] = "stack",
    [RLIMIT_CORE] = "core",         [RLIMIT_RSS] = "rss",
    [RLIMIT_NPROC] = "nproc",       [RLIMIT_NOFILE] = "nofile",
    [RLIMIT_MEMLOCK] = "memlock",   [RLIMIT_AS] = "as",
    [RLIMIT_LOCKS] = "locks",       [RLIMIT_SIGPENDING] = "sigpending",
    [RLIMIT_MSGQUEUE] = "msgqueue", [RLIMIT_NICE] = "nice",
    [RLIMIT_RTPRIO] = "rtprio",     [RLIMIT_RTTIME] = "rttime",
};

static int explain_exec(const struct spawn_plan *plan, const struct spawn_failure *f, struct err *reterr)
{
    const char *file = plan->spec->argv[0];
    char *const *there = plan->candidates;
    while (*there && access(*there, F_OK) < 0)
        there++;
    if (f->error == ENOENT && !strchr(file, '/') && !*there)
        return err_set(reterr, -ENOENT, "exec: %s: not found in PATH (%s)", file,
                       environment_path(plan->spec->environment));
    file = f->error == ENOENT && *there ? *there : plan->candidates[f->detail];
    err_errno(reterr, -f->error, "exec: %s", file);
    /* relative names mean another folder to the child */
    if (reterr && f->error == ENOENT && file[0] == '/' && access(file, F_OK) == 0)
        (void)strncat(reterr->text, " (the file is there: its interpreter, the #! line, is not)",
                      sizeof(reterr->text) - strlen(reterr->text) - 1);
    return -f->error;
}

static int explain(const struct spawn_plan *plan, const struct spawn_failure *f, struct err *reterr)
{
    const struct host_spawn *s = plan->spec;
    int code = -f->error;
    switch ((enum spawn_step)f->step) {
    case SPAWN_SESSION:
        return err_errno(reterr, code, "setsid");
    case SPAWN_STDIO:
        return err_errno(reterr, code, "stdin, stdout, stderr: dup2");
    case SPAWN_CLOSE:
        return err_errno(reterr, code, "close_range");
    case SPAWN_OOM:
        if (code == -EACCES)
            return err_set(reterr, code,
                           "oom_score_adj: %d: may only be raised here, lowering it needs CAP_SYS_RESOURCE",
                           s->oom_score_adj);
        return err_errno(reterr, code, "oom_score_adj: %d", s->oom_score_adj);
    case SPAWN_NICE:
        return err_errno(reterr, code, "nice: %d", s->nice);
    case SPAWN_RLIMIT:
        return err_errno(reterr, code, "limit_%s: %llu:%llu", rlimit_names[f->detail],
                         (unsigned long long)s->rlimits[f->detail].value.rlim_cur,
                         (unsigned long long)s->rlimits[f->detail].value.rlim_max);
    case SPAWN_BOUNDING:
        return err_errno(reterr, code, "capabilities: bounding set");
    case SPAWN_GROUPS:
        return err_errno(reterr, code, "user: setgroups");
    case SPAWN_GID:
        return err_errno(reterr, code, "user: setgid %u", s->gid);
    case SPAWN_UID:
        return err_errno(reterr, code, "user: setuid %u", s->uid);
    case SPAWN_DIRECTORY:
        return err_errno(reterr, code, "working_directory: %s",
                         s->working_directory ? s->working_directory : "/");
    case SPAWN_CAPABILITIES:
        return err_errno(reterr, code, "capabilities: capset");
    case SPAWN_PRIVILEGES:
        return err_errno(reterr, code, "no_new_privileges");
    case SPAWN_EXEC:
        return explain_exec(plan, f, reterr);
    }
    return err_errno(reterr, code, "starting the command");
}

/* --- birth --- */

static pid_t fork_without_clone3(int *ret_pidfd)
{
    pid_t pid = host_sys.fork();
    if (pid <= 0)
        return pid < 0 ? -errno : 0;
    *ret_pidfd = host_sys.pidfd_open(pid, 0);
    if (*ret_pidfd >= 0)
        return pid;
    int r = -errno;
    (void)host_sys.kill(pid, SIGKILL);
    (void)host_sys.waitid(P_PID, (id_t)pid, &(siginfo_t){0}, WEXITED);
    return r;
}

/* 0 in the child; the pid, or negative errno. *ret_placed: born in the cgroup. */
static pid_t give_birth(int cgroup_fd, int *ret_pidfd, bool *ret_placed)
{
    struct clone_args args = {
        .flags = CLONE_PIDFD, .pidfd = (uint64_t)(uintptr_t)ret_pidfd, .exit_signal = SIGCHLD};
    *ret_placed = cgroup_fd >= 0;
    if (*ret_placed) {
        args.flags |= CLONE_INTO_CGROUP;
        args.cgroup = (uint64_t)cgroup_fd;
    }
    pid_t pid = host_sys.clone3(&args, sizeof(args));
    if (pid < 0 && (errno == EINVAL || errno == E2BIG) && *ret_placed) {
        *ret_placed = false;
        args.flags = CLONE_PIDFD;
        args.cgroup = 0;
        pid = host_sys.clone3(&args, sizeof(args));
    }
    if (pid < 0 &&
        (errno == ENOSYS || errno == EPERM)) { /* a sandbox's filter answers for clone3 like this */
        *ret_placed = false;
        return fork_without_clone3(ret_pidfd);
    }
    return pid < 0 ? -errno : pid;
}

static pid_t start_child(const struct spawn_plan *plan, int cgroup_fd, int *ret_pidfd, bool *ret_placed)
{
    sigset_t all;
    sigset_t before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before); /* no handler of ours may run in the child */
    pid_t pid = give_birth(cgroup_fd, ret_pidfd, ret_placed);
    if (pid == 0)
        spawn_child_main(plan);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return pid;
}

static uint64_t now_ms(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* 0 = exec happened, 1 = *ret holds the failure, negative errno. */
static int await_exec(int channel, struct spawn_failure *ret)
{
    uint64_t end = now_ms() + SPAWN_WAIT_MS;
    for (;;) {
        uint64_t now = now_ms();
        struct pollfd p = {.fd = channel, .events = POLLIN};
        int r = host_sys.poll(&p, 1, now < end ? (int)(end - now) : 0);
        if (r < 0 && errno == EINTR)
            continue;
        if (r <= 0)
            return r < 0 ? -errno : -ETIMEDOUT;
        ssize_t n = host_sys.read(channel, ret, sizeof(*ret));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno; /* ECONNRESET: it died without having read "go" */
        return n == (ssize_t)sizeof(*ret);
    }
}

static int release_and_wait(const struct spawn_plan *plan, int channel, struct err *reterr)
{
    struct spawn_failure failure = {0};
    ssize_t n;
    do
        n = host_sys.write(channel, "g", 1);
    while (n < 0 && errno == EINTR);
    if (n != 1)
        return err_errno(reterr, -errno, "exec: %s: the child died before it", plan->spec->argv[0]);
    int r = await_exec(channel, &failure);
    if (r == -ETIMEDOUT)
        return err_set(reterr, r, "exec: %s: not done after %d s", plan->spec->argv[0], SPAWN_WAIT_MS / 1000);
    if (r < 0)
        return err_errno(reterr, r, "exec: %s", plan->spec->argv[0]);
    return r > 0 ? explain(plan, &failure, reterr) : 0;
}

static void end_child(pid_t pid)
{
    int r;
    (void)host_sys.kill(pid, SIGKILL);
    do
        r = host_sys.waitid(P_PID, (id_t)pid, &(siginfo_t){0}, WEXITED);
    while (r < 0 && errno == EINTR);
}

static int make_channel(int channel[2])
{
    int pair[2];
    if (host_sys.socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return -errno;
    for (int i = 0; i < 2; i++) {
        channel[i] = dup_above_stdio(pair[i]);
        close(pair[i]);
    }
    return channel[0] < 0 ? channel[0] : channel[1] < 0 ? channel[1] : 0;
}

static void plan_deinit(struct spawn_plan *plan)
{
    for (int i = 0; i < 3; i++)
        cleanup_close(&plan->stdio[i]);
    cleanup_close(&plan->channel);
    spawn_free_candidates(&plan->candidates);
}

int spawn_process(const struct host_spawn *spec, const struct spawn_place *place, struct host_child *ret,
                  struct err *reterr)
{
    _cleanup_(plan_deinit) struct spawn_plan plan = {.spec = spec, .stdio = {-1, -1, -1}, .channel = -1};
    int channel[2] = {-1, -1};
    plan.candidates = spawn_candidates(spec->argv[0], environment_path(spec->environment));
    int r = plan.candidates ? prepare_stdio(spec, plan.stdio) : -ENOMEM;
    if (r == 0)
        r = make_channel(channel);
    _cleanup_close_ int own_end = channel[0];
    plan.channel = channel[1];
    plan.parents_end = channel[0];
    if (r < 0)
        return err_errno(reterr, r, "preparing to start %s", spec->argv[0]);

    _cleanup_close_ int pidfd = -1;
    bool placed;
    pid_t pid = start_child(&plan, place->cgroup_fd, &pidfd, &placed);
    if (pid == -EAGAIN)
        return err_errno(reterr, pid, "fork into %s (pids_max, or the user's limit of processes)",
                         place->path);
    if (pid < 0)
        return err_errno(reterr, pid, "fork into %s", place->path);
    cleanup_close(&plan.channel); /* or its end would never be seen */
    plan.channel = -1;
    r = place->attach ? place->attach(place->userdata, pid, placed, reterr) : 0;
    if (r == 0)
        r = release_and_wait(&plan, own_end, reterr);
    if (r < 0) {
        end_child(pid);
        return r;
    }
    ret->pid = pid;
    ret->start_ticks = 0;
    (void)host_process_start_ticks(pid, &ret->start_ticks); /* our child, not reaped: always there */
    ret->pidfd = steal_fd(&pidfd);
    return 0;
}

/* --- into a unit --- */

static int attach_rest(void *userdata, pid_t pid, bool in_cgroup2, struct err *reterr)
{
    struct unit *u = userdata;
    int unified = u->dir[TREE_UNIFIED];
    if (in_cgroup2)
        u->dir[TREE_UNIFIED] = -1;
    int r = act_attach(&u->unit, pid, reterr);
    u->dir[TREE_UNIFIED] = unified;
    return r;
}

/*
 * Since 6.14 ("cgroup: fix race between fork and cgroup.kill") a child born by CLONE_INTO_CGROUP into a cgroup on
 * which cgroup.kill was ever used is killed at birth: the kernel compares the target's count of kills with the
 * parent's cgroup's. Measured on 6.18. So after a kill of ours, and when a child born there dies before exec
 * (an earlier run's kill), it is born beside and attached instead.
 */
static bool died_at_birth(int error)
{
    return error == -EPIPE || error == -ECONNRESET || error == -ESRCH;
}

int spawn_into_unit(struct host_unit *hu, const struct host_spawn *spec, struct host_child *ret,
                    struct err *reterr)
{
    struct unit *u = unit_of(hu);
    uint64_t frozen;
    if (io_value_at(u->dir[TREE_UNIFIED], "cgroup.freeze", &frozen) == 0 && frozen != 0)
        return err_set(reterr, -EBUSY, "%s is frozen: thaw it before anything is started there", u->path);
    struct spawn_place place = {
        .cgroup_fd = u->dir[TREE_UNIFIED], .path = u->path, .attach = attach_rest, .userdata = u};
    if (u->was_killed)
        place.cgroup_fd = -1;
    int r = spawn_process(spec, &place, ret, reterr);
    if (!died_at_birth(r) || place.cgroup_fd < 0)
        return r;
    place.cgroup_fd = -1;
    return spawn_process(spec, &place, ret, reterr);
}
