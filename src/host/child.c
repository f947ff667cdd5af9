/* SPDX-License-Identifier: MIT */
/*
 * From clone to execve. Only async-signal-safe calls, no allocation, no stdio.
 *
 * Ids are set by raw system calls: glibc's setuid() and friends signal every thread it remembers, and would
 * here wait for threads that were never copied.
 * Order: what needs privilege, then the ids, then what must happen with the rights of the user (chdir, exec).
 * PDEATHSIG is not set: units outlive weir.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "spawn.h"

static _Noreturn void fail(const struct spawn_plan *plan, enum spawn_step step, int error, int detail)
{
    struct spawn_failure f = {.step = (int32_t)step, .error = error, .detail = detail};
    (void)!write(plan->channel, &f, sizeof(f));
    _exit(127);
}

static void check(const struct spawn_plan *plan, enum spawn_step step, long result)
{
    if (result < 0)
        fail(plan, step, errno, 0);
}

/* Handlers vanish at exec by themselves, ignored signals do not. All are blocked until here. */
static void reset_signals(void)
{
    struct sigaction sa = {0};
    sa.sa_handler = SIG_DFL;
    for (int sig = 1; sig < NSIG; sig++)
        (void)sigaction(sig, &sa, NULL); /* KILL, STOP and glibc's own two refuse */
}

static void wait_for_go(const struct spawn_plan *plan)
{
    char go;
    ssize_t n;
    (void)close(plan->parents_end);
    do
        n = read(plan->channel, &go, 1);
    while (n < 0 && errno == EINTR);
    if (n != 1)
        _exit(127); /* the parent gave up, or died */
}

static void set_stdio(const struct spawn_plan *plan)
{
    for (int i = 0; i < 3; i++)
        check(plan, SPAWN_STDIO, dup2(plan->stdio[i], i));
    check(plan, SPAWN_CLOSE, syscall(SYS_close_range, 3U, ~0U, 1U << 2 /* CLOSE_RANGE_CLOEXEC */));
}

static size_t format_int(char *buf, int value)
{
    char digits[12];
    size_t n = 0;
    size_t length = 0;
    unsigned v = value < 0 ? 0U - (unsigned)value : (unsigned)value;
    do
        digits[n++] = (char)('0' + v % 10);
    while ((v /= 10) > 0);
    if (value < 0)
        buf[length++] = '-';
    while (n > 0)
        buf[length++] = digits[--n];
    return length;
}

static void set_oom_score(const struct spawn_plan *plan)
{
    char text[16];
    size_t n = format_int(text, plan->spec->oom_score_adj);
    int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    check(plan, SPAWN_OOM, fd);
    check(plan, SPAWN_OOM, write(fd, text, n));
    (void)close(fd);
}

static void set_bounds(const struct spawn_plan *plan)
{
    const struct host_spawn *s = plan->spec;
    if (s->has_oom_score_adj)
        set_oom_score(plan);
    if (s->has_nice)
        check(plan, SPAWN_NICE, setpriority(PRIO_PROCESS, 0, s->nice));
    for (int i = 0; i < RLIM_NLIMITS; i++)
        if (s->rlimits[i].is_set && setrlimit((__rlimit_resource_t)i, &s->rlimits[i].value) < 0)
            fail(plan, SPAWN_RLIMIT, errno, i);
    if (s->has_umask)
        (void)umask(s->umask);
    for (unsigned cap = 0; s->has_capabilities && cap < 64; cap++) {
        if (s->capabilities & (UINT64_C(1) << cap))
            continue;
        int r = prctl(PR_CAPBSET_READ, cap, 0, 0, 0);
        if (r < 0)
            break; /* past the kernel's last one */
        if (r == 1)
            check(plan, SPAWN_BOUNDING, prctl(PR_CAPBSET_DROP, cap, 0, 0, 0));
    }
}

static void set_ids(const struct spawn_plan *plan)
{
    const struct host_spawn *s = plan->spec;
    if (!s->has_ids)
        return;
    /* an ordinary user that stays itself needs no right for that, and has none to clear the groups */
    uid_t uid = (uid_t)syscall(SYS_geteuid);
    if (uid != 0 && s->uid == uid && s->gid == (gid_t)syscall(SYS_getegid))
        return;
    check(plan, SPAWN_GROUPS, syscall(SYS_setgroups, s->group_count, s->groups));
    check(plan, SPAWN_GID, syscall(SYS_setresgid, s->gid, s->gid, s->gid));
    check(plan, SPAWN_UID, syscall(SYS_setresuid, s->uid, s->uid, s->uid));
}

/* The bounding set rules what exec gives; what is held now, and inheritable, is cut to it as well. */
static void cut_capabilities(const struct spawn_plan *plan)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2];
    if (!plan->spec->has_capabilities)
        return;
    check(plan, SPAWN_CAPABILITIES, syscall(SYS_capget, &header, data));
    for (int i = 0; i < 2; i++) {
        uint32_t keep = (uint32_t)(plan->spec->capabilities >> (32 * i));
        data[i].effective &= keep;
        data[i].permitted &= keep;
        data[i].inheritable &= keep;
    }
    check(plan, SPAWN_CAPABILITIES, syscall(SYS_capset, &header, data));
}

/* execvpe's rules: a candidate that is not there gives way to the next; one that may not be run does, too, but
 * is what is told if none works. */
static _Noreturn void run(const struct spawn_plan *plan)
{
    int told = ENOENT;
    int which = 0;
    for (int i = 0; plan->candidates[i]; i++) {
        (void)execve(plan->candidates[i], (char *const *)plan->spec->argv,
                     (char *const *)plan->spec->environment);
        if (errno == ENOENT || errno == ENOTDIR || errno == ESTALE || errno == ENODEV || errno == ETIMEDOUT)
            continue;
        told = errno;
        which = i;
        if (errno != EACCES)
            break;
    }
    fail(plan, SPAWN_EXEC, told, which);
}

_Noreturn void spawn_child_main(const struct spawn_plan *plan)
{
    const char *directory = plan->spec->working_directory;
    sigset_t none;
    reset_signals();
    wait_for_go(plan);
    check(plan, SPAWN_SESSION, setsid());
    set_stdio(plan);
    set_bounds(plan);
    set_ids(plan);
    check(plan, SPAWN_DIRECTORY, chdir(directory ? directory : "/"));
    cut_capabilities(plan);
    if (plan->spec->no_new_privileges)
        check(plan, SPAWN_PRIVILEGES, prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    run(plan);
}
