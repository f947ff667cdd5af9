/* SPDX-License-Identifier: MIT */
/*
 * exec checks: a program in a session of its own, ready when it exits with 0.
 *
 * Fork rather than posix_spawn: the child changes ids and folder. Between fork and exec it calls only what is
 * async-signal-safe, as weir has threads. The first words it prints on stderr are kept for the failure text,
 * the rest is read and thrown away, so that a talkative check never hangs on a full pipe. Its end is seen
 * through a pidfd, and before it is reaped its whole group is killed: while it is a zombie its number cannot
 * be another's.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "probe_internal.h"
#include "weir/base/cleanup.h"

#define REAP_WAIT_MS                                                                                         \
    100 /* chosen: a killed process is gone in about 1 ms; one in D state is left to the next reaper */
#define EXIT_CANNOT_RUN 127 /* as the shell's */

/* --- in the child --- */

static void child_say(const char *text)
{
    ssize_t n = write(STDERR_FILENO, text, strlen(text));
    (void)n;
}

static void __attribute__((noreturn)) child_fail(const char *doing, const char *what)
{
    const char *reason = strerrordesc_np(errno);
    child_say(doing);
    child_say(what);
    child_say(": ");
    child_say(reason ? reason : "unknown error");
    _exit(EXIT_CANNOT_RUN);
}

static void child_reset_signals(void)
{
    sigset_t none;
    struct sigaction standard = {.sa_handler = SIG_DFL};
    for (int i = 1; i < NSIG; i++)
        (void)sigaction(i, &standard, NULL);
    sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
}

static void child_set_fds(int stderr_fd)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (dup2(stderr_fd, STDERR_FILENO) < 0 || null < 0 || dup2(null, STDIN_FILENO) < 0 ||
        dup2(null, STDOUT_FILENO) < 0)
        child_fail("cannot open ", "/dev/null");
    (void)close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
}

static void child_set_ids(const struct probe_options *o)
{
    if (!o->has_ids || (o->uid == geteuid() && o->gid == getegid()))
        return;
    if (setgroups(1, &o->gid) < 0 || setresgid(o->gid, o->gid, o->gid) < 0 ||
        setresuid(o->uid, o->uid, o->uid) < 0)
        child_fail("cannot change to the unit's ", "user");
}

static void __attribute__((noreturn)) child_run(const struct probe_options *o, int stderr_fd)
{
    (void)setsid();
    child_reset_signals();
    child_set_fds(stderr_fd);
    child_set_ids(o);
    const char *folder = o->working_directory ? o->working_directory : "/";
    if (chdir(folder) < 0)
        child_fail("cannot change to ", folder);
    if (o->environment)
        environ = (char **)o->environment; /* its PATH is the one searched */
    execvp(o->ready->argv[0], o->ready->argv);
    child_fail("cannot run ", o->ready->argv[0]);
}

/* --- in weir --- */

/* Kills what is left of the group. The leader may not have called setsid() yet: it is meant by itself, too.
 */
static void kill_group(const struct probe_exec *e)
{
    (void)kill(-e->pid, SIGKILL);
    if (e->pidfd >= 0)
        (void)pidfd_send_signal(e->pidfd, SIGKILL, NULL, 0);
    else
        (void)kill(e->pid, SIGKILL);
}

static void exec_end(struct probe *p)
{
    struct probe_exec *e = &p->exec;
    if (e->pid > 0) {
        kill_group(e);
        struct pollfd dead = {.fd = e->pidfd, .events = POLLIN};
        (void)poll(&dead, 1, REAP_WAIT_MS);
        (void)waitpid(e->pid, NULL, WNOHANG);
    }
    e->pid_source = sd_event_source_disable_unref(e->pid_source);
    e->stderr_source = sd_event_source_disable_unref(e->stderr_source);
    cleanup_close(&e->pidfd);
    cleanup_close(&e->stderr_fd);
    e->pid = 0;
    e->pidfd = e->stderr_fd = -1;
    e->said_length = 0;
}

static void read_stderr(struct probe_exec *e)
{
    char chunk[4096];
    ssize_t n = read(e->stderr_fd, chunk, sizeof(chunk));
    size_t room = sizeof(e->said) - e->said_length;
    if (n > 0) {
        size_t kept = (size_t)n < room ? (size_t)n : room;
        memcpy(e->said + e->said_length, chunk, kept);
        e->said_length += kept;
    } else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
        e->stderr_source = sd_event_source_disable_unref(e->stderr_source); /* nobody writes any more */
    }
}

static int on_stderr(sd_event_source *source, int fd, uint32_t events, void *user)
{
    (void)source, (void)fd, (void)events;
    read_stderr(&((struct probe *)user)->exec);
    return 0;
}

/* The length of the first line said. */
static int first_line(const struct probe_exec *e)
{
    const char *newline = memchr(e->said, '\n', e->said_length);
    return (int)(newline ? newline - e->said : (ssize_t)e->said_length);
}

static void tell_exit(struct probe *p, const siginfo_t *info)
{
    struct probe_exec *e = &p->exec;
    if (e->said_length < sizeof(e->said) && e->stderr_source)
        read_stderr(e);
    int length = first_line(e);
    const char *colon = length ? ": " : "";
    if (info->si_code == CLD_EXITED)
        (void)probe_set_failure(p, "exit code %d%s%.*s", info->si_status, colon, length, e->said);
    else
        (void)probe_set_failure(p, "killed by signal SIG%s%s%.*s",
                                sigabbrev_np(info->si_status) ? sigabbrev_np(info->si_status) : "?", colon,
                                length, e->said);
}

static int on_exit_seen(sd_event_source *source, int fd, uint32_t events, void *user)
{
    (void)source, (void)events;
    struct probe *p = user;
    siginfo_t info = {0};
    int r = waitid(P_PIDFD, (id_t)fd, &info, WEXITED | WNOHANG | WNOWAIT);
    if (r == 0 && info.si_pid == 0)
        return 0;
    bool is_ready = r == 0 && info.si_code == CLD_EXITED && info.si_status == 0;
    if (r < 0) {
        (void)probe_set_failure(p, "its exit code was lost: %s", strerror(errno));
        p->exec.pid = 0; /* somebody else reaped it: the number may be another's by now */
    } else if (!is_ready) {
        tell_exit(p, &info);
    }
    if (is_ready)
        probe_try_succeeded(p);
    else
        probe_try_failed(p);
    return 0;
}

static int watch(struct probe *p)
{
    struct probe_exec *e = &p->exec;
    e->pidfd = pidfd_open(e->pid, 0);
    if (e->pidfd < 0)
        return -errno;
    int r = sd_event_add_io(p->options.event, &e->pid_source, e->pidfd, EPOLLIN, on_exit_seen, p);
    if (r >= 0)
        r = sd_event_add_io(p->options.event, &e->stderr_source, e->stderr_fd, EPOLLIN, on_stderr, p);
    return r;
}

static int exec_begin(struct probe *p)
{
    struct probe_exec *e = &p->exec;
    int fds[2];
    if (pipe2(fds, O_CLOEXEC) < 0)
        return probe_set_failure(p, "cannot make a pipe: %s", strerror(errno));
    _cleanup_close_ int child_end = fds[1];
    e->stderr_fd = fds[0];
    (void)fcntl(e->stderr_fd, F_SETFL, O_NONBLOCK);
    pid_t pid = fork();
    if (pid == 0)
        child_run(&p->options, child_end);
    if (pid < 0)
        return probe_set_failure(p, "cannot fork: %s", strerror(errno));
    e->pid = pid;
    int r = watch(p);
    return r < 0 ? probe_set_failure(p, "cannot watch it: %s", strerror(-r)) : 0;
}

static int exec_init(struct probe *p, struct err *reterr)
{
    p->exec.pidfd = p->exec.stderr_fd = -1;
    char **argv = p->options.ready->argv;
    if (!argv || !argv[0])
        return err_set(reterr, -EINVAL, "ready: exec: names no program");
    snprintf(p->target, sizeof(p->target), "exec:%.300s", argv[0]);
    return 0;
}

const struct probe_kind probe_exec = {
    .limit_us = PROBE_EXEC_LIMIT_US,
    .init = exec_init,
    .begin = exec_begin,
    .end = exec_end,
    .late_text = "no exit in 10s",
};
