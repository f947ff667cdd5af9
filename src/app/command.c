/* SPDX-License-Identifier: MIT */
/*
 * Fork rather than posix_spawn: the child changes ids and folder. Between fork and exec it calls only what is
 * async-signal-safe, as weir has threads. Before it is reaped its whole group is killed: while it is a zombie its number
 * cannot be another's.
 */
#include "command.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/close_range.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "weir/base/cleanup.h"

#define REAP_WAIT_MS                                                                                         \
    100 /* chosen: a killed process is gone in about 1 ms; one in D state is left to the next reaper */
#define EXIT_CANNOT_RUN 127 /* as the shell's */
#define OUTPUT_CHUNK    4096
#define LAST_READS      16 /* of OUTPUT_CHUNK: what a pipe holds (64 KiB, pipe(7)) */

/* ------------------------------------------------ in the child ------------------------------------------------ */

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

static void child_set_fds(int output_fd, bool keeps_stdout)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (dup2(output_fd, STDERR_FILENO) < 0 || null < 0 || dup2(null, STDIN_FILENO) < 0 ||
        dup2(keeps_stdout ? output_fd : null, STDOUT_FILENO) < 0)
        child_fail("cannot open ", "/dev/null");
    (void)close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
}

static void child_set_ids(const struct command_options *o)
{
    if (!o->has_ids || (o->uid == geteuid() && o->gid == getegid()))
        return;
    if (setgroups(1, &o->gid) < 0 || setresgid(o->gid, o->gid, o->gid) < 0 ||
        setresuid(o->uid, o->uid, o->uid) < 0)
        child_fail("cannot change to the unit's ", "user");
}

static void __attribute__((noreturn)) child_run(const struct command_options *o, int output_fd, pid_t parent)
{
    (void)setsid();
    child_reset_signals();
    child_set_fds(output_fd, o->keeps_stdout);
    child_set_ids(o);
    /* a weir that is killed can end it no more; not before the change of ids, which forgets it */
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
        _exit(EXIT_CANNOT_RUN);
    const char *folder = o->working_directory ? o->working_directory : "/";
    if (chdir(folder) < 0)
        child_fail("cannot change to ", folder);
    if (o->environment)
        environ = (char **)o->environment; /* its PATH is the one searched */
    execvp(o->argv[0], o->argv);
    child_fail("cannot run ", o->argv[0]);
}

/* ------------------------------------------------ in weir ------------------------------------------------ */

/* Kills what is left of the group. The leader may not have called setsid() yet: it is meant by itself, too. */
static void kill_group(const struct command *c)
{
    (void)kill(-c->pid, SIGKILL);
    if (c->pidfd >= 0)
        (void)pidfd_send_signal(c->pidfd, SIGKILL, NULL, 0);
    else
        (void)kill(c->pid, SIGKILL);
}

void command_end(struct command *c)
{
    if (c->pid > 0) {
        kill_group(c);
        struct pollfd dead = {.fd = c->pidfd, .events = POLLIN};
        (void)poll(&dead, 1, REAP_WAIT_MS);
        (void)waitpid(c->pid, NULL, WNOHANG);
    }
    c->end_source = sd_event_source_disable_unref(c->end_source);
    c->output_source = sd_event_source_disable_unref(c->output_source);
    cleanup_close(&c->pidfd);
    cleanup_close(&c->output_fd);
    c->pid = 0;
    c->pidfd = c->output_fd = -1;
}

/* False: there is nothing more now, or ever. */
static bool read_output(struct command *c)
{
    char chunk[OUTPUT_CHUNK];
    ssize_t n = read(c->output_fd, chunk, sizeof(chunk));
    if (n > 0)
        c->on_output(c->user, chunk, (size_t)n);
    else if (n == 0 || (errno != EAGAIN && errno != EINTR))
        c->output_source = sd_event_source_disable_unref(c->output_source); /* nobody writes any more */
    return n > 0;
}

static int on_output(sd_event_source *source, int fd, uint32_t events, void *user)
{
    (void)source, (void)fd, (void)events;
    (void)read_output(user);
    return 0;
}

static int on_end_seen(sd_event_source *source, int fd, uint32_t events, void *user)
{
    (void)source, (void)events;
    struct command *c = user;
    siginfo_t info = {0};
    int r = waitid(P_PIDFD, (id_t)fd, &info, WEXITED | WNOHANG | WNOWAIT);
    if (r == 0 && info.si_pid == 0)
        return 0;
    const char *why = r < 0 ? strerror(errno) : NULL;
    if (r < 0)
        c->pid = 0; /* somebody else reaped it: the number may be another's by now */
    (void)sd_event_source_set_enabled(c->end_source, SD_EVENT_OFF);
    for (int i = 0; i < LAST_READS && c->output_source && read_output(c); i++)
        ;
    c->on_end(c->user, r < 0 ? NULL : &info, why);
    return 0;
}

static int watch(struct command *c, sd_event *event)
{
    c->pidfd = pidfd_open(c->pid, 0);
    if (c->pidfd < 0)
        return -errno;
    int r = sd_event_add_io(event, &c->end_source, c->pidfd, EPOLLIN, on_end_seen, c);
    if (r >= 0)
        r = sd_event_add_io(event, &c->output_source, c->output_fd, EPOLLIN, on_output, c);
    return r;
}

int command_start(struct command *c, const struct command_options *o, struct err *reterr)
{
    int fds[2];
    *c = COMMAND_NULL;
    c->on_output = o->on_output;
    c->on_end = o->on_end;
    c->user = o->user;
    if (pipe2(fds, O_CLOEXEC) < 0)
        return err_errno(reterr, -errno, "cannot make a pipe");
    _cleanup_close_ int child_end = fds[1];
    c->output_fd = fds[0];
    (void)fcntl(c->output_fd, F_SETFL, O_NONBLOCK);
    pid_t parent = getpid(), pid = fork();
    if (pid == 0)
        child_run(o, child_end, parent);
    c->pid = pid > 0 ? pid : 0;
    int r = pid < 0 ? err_errno(reterr, -errno, "cannot fork") : watch(c, o->event);
    if (pid > 0 && r < 0)
        err_errno(reterr, r, "cannot watch it");
    if (r < 0)
        command_end(c);
    return r < 0 ? r : 0;
}

const char *command_end_text(const siginfo_t *info, char buf[static COMMAND_END_TEXT_MAX])
{
    const char *name = sigabbrev_np(info->si_status);
    if (info->si_code == CLD_EXITED)
        (void)snprintf(buf, COMMAND_END_TEXT_MAX, "exit code %d", info->si_status);
    else
        (void)snprintf(buf, COMMAND_END_TEXT_MAX, "killed by signal SIG%s", name ? name : "?");
    return buf;
}
