/* SPDX-License-Identifier: MIT */
/*
 * piped: see piped.h.
 */
#include "piped.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stddef.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

struct pipes {
    int in[2], out[2], err[2];
};

static void close_pair(int pair[2])
{
    for (int i = 0; i < 2; i++)
        if (pair[i] >= 0)
            close(pair[i]);
}

static void close_pipes(struct pipes *pipes)
{
    close_pair(pipes->in);
    close_pair(pipes->out);
    close_pair(pipes->err);
}

static int open_pipes(struct pipes *pipes)
{
    *pipes = (struct pipes){{-1, -1}, {-1, -1}, {-1, -1}};
    if (pipe2(pipes->in, O_CLOEXEC) == 0 && pipe2(pipes->out, O_CLOEXEC) == 0 &&
        pipe2(pipes->err, O_CLOEXEC) == 0)
        return 0;
    int error = -errno;
    close_pipes(pipes);
    return error;
}

/* A child inherits ignored and blocked signals: unless reset here, no worker would ever see a SIGTERM. */
static int spawn_with(const struct pipes *pipes, char *const *argv, pid_t *ret_pid)
{
    extern char **environ;
    sigset_t none, defaults;
    posix_spawnattr_t attr;
    posix_spawn_file_actions_t actions;
    sigemptyset(&none);
    sigemptyset(&defaults);
    sigaddset(&defaults, SIGPIPE);
    posix_spawnattr_init(&attr);
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setsigmask(&attr, &none);
    posix_spawnattr_setsigdefault(&attr, &defaults);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, pipes->in[0], STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, pipes->out[1], STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, pipes->err[1], STDERR_FILENO);
    int error = posix_spawnp(ret_pid, argv[0], &actions, &attr, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attr);
    return -error;
}

/* Takes our ends out of pipes. */
static struct piped take_ends(struct pipes *pipes, pid_t pid, int pid_fd)
{
    const struct piped piped = {pid, pid_fd, pipes->in[1], pipes->out[0], pipes->err[0]};
    const int ours[] = {piped.stdin_fd, piped.stdout_fd, piped.stderr_fd};
    for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++)
        (void)fcntl(ours[i], F_SETFL, O_NONBLOCK); /* cannot fail on a fresh pipe; ignoring */
    pipes->in[1] = pipes->out[0] = pipes->err[0] = -1;
    return piped;
}

int piped_spawn(struct piped *ret_piped, char *const *argv)
{
    struct pipes pipes;
    pid_t pid;
    int result = open_pipes(&pipes);
    if (result < 0)
        return result;
    result = spawn_with(&pipes, argv, &pid);
    if (result < 0) {
        close_pipes(&pipes);
        return result;
    }
    int pid_fd = pidfd_open(pid, 0);
    if (pid_fd < 0) {
        result = -errno;
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
    } else {
        *ret_piped = take_ends(&pipes, pid, pid_fd);
    }
    close_pipes(&pipes);
    return result;
}
