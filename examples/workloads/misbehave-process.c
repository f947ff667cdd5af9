/* SPDX-License-Identifier: MIT */
/*
 * misbehave, processes: hog, fork, flood, hang, tree, orphan, exit, signal.
 *
 * Every process that is made here ends itself after --for seconds, whether or not its parent lives.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "misbehave.h"
#include "sys.h"

static void sleep_for_ever(void)
{
    for (;;)
        pause();
}

static int failed(const char *what)
{
    sys_log_line(STDERR_FILENO, "misbehave: %s: %s", what, strerror(errno));
    return 1;
}

static void *burn(void *unused)
{
    (void)unused;
    for (;;)
        sys_burn_cpu_us(1000000);
    return NULL;
}

int misbehave_hog(const struct misbehave_args *args)
{
    sys_log_line(STDOUT_FILENO, "burning CPU on %lld threads", (long long)args->threads_count);
    for (int64_t i = 1; i < args->threads_count; i++) {
        pthread_t thread;
        errno = pthread_create(&thread, NULL, burn, NULL);
        if (errno)
            (void)failed("a thread was refused, going on with fewer");
    }
    burn(NULL);
    return 0;
}

/* Forks sleeping children up to --count and goes on trying: what dies is replaced, EAGAIN is only counted. */
int misbehave_fork(const struct misbehave_args *args)
{
    int64_t alive = 0, made = 0, refused = 0, told_us = sys_now_us();
    const int64_t pause_us = args->rate > 0 ? (int64_t)(1e6 / args->rate) : 0;
    for (;;) {
        pid_t child = alive < args->count ? fork() : -1;
        if (child == 0) {
            misbehave_bound(args->for_s);
            sleep_for_ever();
        }
        if (child > 0) {
            alive++;
            made++;
        } else if (alive < args->count) {
            refused++;
            sys_sleep_us(1000); /* chosen: it is to bother the pids limit, not to be a CPU hog */
        } else {
            sys_sleep_us(10000);
        }
        while (alive > 0 && waitpid(-1, NULL, WNOHANG) > 0)
            alive--;
        if (sys_now_us() - told_us >= 1000000) {
            told_us = sys_now_us();
            sys_log_line(STDOUT_FILENO, "forked %lld, refused %lld, alive %lld", (long long)made,
                         (long long)refused, (long long)alive);
        }
        if (pause_us)
            sys_sleep_us(pause_us);
    }
}

/* A reader that is slow holds it up, one that is gone ends it. */
int misbehave_flood(const struct misbehave_args *args)
{
    char *line = malloc((size_t)args->length_bytes + 1);
    if (!line)
        return failed("flood");
    int64_t start_us = sys_now_us();
    for (int64_t i = 0; args->count == 0 || i < args->count; i++) {
        int n = snprintf(line, (size_t)args->length_bytes + 1, "line %lld ", (long long)i);
        size_t used = n < args->length_bytes ? (size_t)n : (size_t)args->length_bytes;
        memset(line + used, 'x', (size_t)args->length_bytes - used);
        line[args->length_bytes] = '\n';
        if (sys_write_all(STDOUT_FILENO, line, (size_t)args->length_bytes + 1) < 0) {
            free(line);
            return 1;
        }
        if (args->rate > 0)
            sys_sleep_until_us(start_us + (int64_t)((double)(i + 1) * 1e6 / args->rate));
    }
    free(line);
    return 0;
}

int misbehave_hang(const struct misbehave_args *args)
{
    signal(SIGTERM, SIG_IGN);
    if (args->all) {
        signal(SIGINT, SIG_IGN);
        signal(SIGHUP, SIG_IGN);
        signal(SIGQUIT, SIG_IGN);
    }
    sys_log_line(STDOUT_FILENO, "hanging, pid %d", (int)getpid());
    sleep_for_ever();
    return 0;
}

/* One process in a session of its own; in a chain its child goes round the loop again. */
static void tree_child(const struct misbehave_args *args)
{
    for (int64_t left = args->chain ? args->count : 1; left > 0; left--) {
        setsid();
        misbehave_bound(args->for_s);
        sys_log_line(STDOUT_FILENO, "process %d", (int)getpid());
        pid_t child = left > 1 ? fork() : 1;
        if (child < 0)
            (void)failed("fork");
        if (child != 0)
            break;
    }
    sleep_for_ever();
}

int misbehave_tree(const struct misbehave_args *args)
{
    int64_t direct = args->chain && args->count > 0 ? 1 : args->count;
    for (int64_t i = 0; i < direct; i++) {
        pid_t child = fork();
        if (child == 0)
            tree_child(args);
        if (child < 0)
            (void)failed("fork");
    }
    sleep_for_ever();
    return 0;
}

static void orphan_child(const struct misbehave_args *args)
{
    misbehave_bound(args->for_s);
    sys_log_line(STDOUT_FILENO, "orphan %d", (int)getpid());
    int null = args->keep_output ? -1 : open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int fd = 0; null >= 0 && fd < 3; fd++)
        dup2(null, fd); /* whoever reads our output is to see its end */
    sleep_for_ever();
}

int misbehave_orphan(const struct misbehave_args *args)
{
    pid_t child = fork();
    if (child < 0)
        return failed("fork");
    if (child == 0) {
        setsid();
        pid_t grandchild = fork();
        if (grandchild == 0)
            orphan_child(args);
        _exit(grandchild < 0 ? failed("fork") : 0);
    }
    int status;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

int misbehave_exit(const struct misbehave_args *args)
{
    sys_sleep_us(args->after_ms * 1000);
    return (int)args->number;
}

int misbehave_signal(const struct misbehave_args *args)
{
    sigset_t all;
    sys_sleep_us(args->after_ms * 1000);
    sys_disable_core();
    signal((int)args->number, SIG_DFL);
    sigfillset(&all);
    sigprocmask(SIG_UNBLOCK, &all, NULL);
    kill(getpid(), (int)args->number);
    sys_log_line(STDOUT_FILENO, "still here after signal %d", (int)args->number);
    return 0;
}
