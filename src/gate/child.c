/* SPDX-License-Identifier: MIT */
/* A worker's process; see the header. */
#include "child.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "weir/base/cleanup.h"
#include "weir/base/fdio.h"

#define PIPE_BYTES       (1024 * 1024) /* /proc/sys/fs/pipe-max-size as Linux sets it; less is fine */
#define OWN_FDS_MAX      1024 /* chosen: above it descriptors of the gate's are left for exec to close */
#define EXIT_NOT_FOUND   127  /* as shells say */
#define EXIT_CANNOT_EXEC 126

void child_init(struct child *c)
{
    *c = (struct child){.go_fd = -1, .exec_fd = -1, .memory_fd = -1, .in = END_NULL, .out = END_NULL};
}

void child_deinit(struct child *c)
{
    cleanup_close(&c->go_fd);
    cleanup_close(&c->exec_fd);
    cleanup_close(&c->memory_fd);
    end_close(&c->in);
    end_close(&c->out);
    child_init(c);
}

/* The ends of the child. What they are called is what the child does with them. */
struct child_ends {
    int in, out, go, exec;
};

static void close_ends(struct child_ends *e)
{
    cleanup_close(&e->in);
    cleanup_close(&e->out);
    cleanup_close(&e->go);
    cleanup_close(&e->exec);
}

/* One pipe, both ends O_CLOEXEC. *ret_own is O_NONBLOCK: a description of its own, the child's is not touched by that. */
static int make_pipe(int *ret_own, int *ret_childs, bool own_reads)
{
    int fds[2];
    if (pipe2(fds, O_CLOEXEC) < 0)
        return -errno;
    *ret_own = fds[own_reads ? 0 : 1];
    *ret_childs = fds[own_reads ? 1 : 0];
    int flags = fcntl(*ret_own, F_GETFL);
    if (flags < 0 || fcntl(*ret_own, F_SETFL, flags | O_NONBLOCK) < 0)
        return -errno;
    return 0;
}

static int make_pipes(struct child *c, struct child_ends *e)
{
    int in = -1, out = -1;
    int r = make_pipe(&in, &e->in, false);
    if (r == 0)
        r = make_pipe(&out, &e->out, true);
    if (in >= 0)
        end_own(&c->in, in, false);
    if (out >= 0)
        end_own(&c->out, out, true);
    if (r == 0)
        r = make_pipe(&c->go_fd, &e->go, false);
    if (r == 0)
        r = make_pipe(&c->exec_fd, &e->exec, true);
    if (r < 0)
        return r;
    (void)fcntl(in, F_SETPIPE_SZ, PIPE_BYTES);
    (void)fcntl(out, F_SETPIPE_SZ, PIPE_BYTES);
    return 0;
}

static _Noreturn void fail_child(int report_fd)
{
    int error = errno;
    (void)!write(report_fd, &error, sizeof(error));
    _exit(error == ENOENT ? EXIT_NOT_FOUND : EXIT_CANNOT_EXEC);
}

/* What exec would close is closed before the wait: a child that waits long must keep nothing of the gate's open. */
static void close_gates_own(const struct child_ends *e)
{
    for (int fd = 3; fd < OWN_FDS_MAX; fd++) {
        int flags = fd == e->go || fd == e->exec ? 0 : fcntl(fd, F_GETFD);
        if (flags > 0 && flags & FD_CLOEXEC)
            (void)close(fd);
    }
}

/* The gate's end closed: nobody waits for this child any more. */
static void wait_for_go(int fd, char setting[static GATE_TEXT_MAX])
{
    size_t have = 0;
    while (have < GATE_TEXT_MAX) {
        ssize_t n = read(fd, setting + have, GATE_TEXT_MAX - have);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            _exit(EXIT_CANNOT_EXEC);
        have += (size_t)n;
    }
}

static _Noreturn void run_child(const struct child_origin *origin, const struct child_ends *e, pid_t gate)
{
    static char setting[GATE_TEXT_MAX];
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != gate)
        _exit(EXIT_CANNOT_EXEC);
    if (dup2(e->in, STDIN_FILENO) < 0 || dup2(e->out, STDOUT_FILENO) < 0)
        fail_child(e->exec);
    close_gates_own(e);
    wait_for_go(e->go, setting);
    (void)prctl(PR_SET_PDEATHSIG, 0);
    char *equals = strchr(setting, '=');
    if (equals && equals != setting)
        (void)putenv(setting);
    (void)sigaction(SIGPIPE, &origin->pipe, NULL);
    (void)sigaction(SIGCHLD, &origin->child, NULL);
    (void)sigprocmask(SIG_SETMASK, &origin->mask, NULL);
    execvp(origin->argv[0], origin->argv);
    fail_child(e->exec);
}

int child_fork(struct child *c, const struct child_origin *origin, struct err *reterr)
{
    _cleanup_(close_ends) struct child_ends e = {-1, -1, -1, -1};
    child_deinit(c);
    int r = make_pipes(c, &e);
    pid_t gate = getpid();
    if (r == 0) {
        c->pid = fork();
        if (c->pid == 0)
            run_child(origin, &e, gate);
        if (c->pid < 0)
            r = -errno;
    }
    if (r < 0) {
        child_deinit(c);
        return err_errno(reterr, r, "cannot make a process for the worker");
    }
    return 0;
}

int child_go(struct child *c, uint32_t generation, const char *setting)
{
    char text[GATE_TEXT_MAX] = {0}; /* below PIPE_BUF: written whole into the empty pipe */
    memcpy(text, setting, strnlen(setting, sizeof(text) - 1));
    c->generation = generation;
    c->let_go = true;
    int r = fd_write_all(c->go_fd, text, sizeof(text));
    cleanup_close(&c->go_fd);
    c->go_fd = -1;
    return r;
}

int child_exec_result(struct child *c)
{
    int error = 0;
    ssize_t n;
    do
        n = read(c->exec_fd, &error, sizeof(error));
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return errno == EAGAIN ? -EAGAIN : 0;
    c->exec_error = n == (ssize_t)sizeof(error) ? error : 0;
    cleanup_close(&c->exec_fd);
    c->exec_fd = -1;
    return c->exec_error;
}

int child_reap(struct child *c, int *ret_status)
{
    pid_t r;
    if (c->pid == 0)
        return 0;
    do
        r = waitpid(c->pid, ret_status, WNOHANG);
    while (r < 0 && errno == EINTR);
    if (r < 0) /* it cannot be: nobody else reaps; but a gate that waits for ever is worse */
        *ret_status = 0;
    if (r == 0)
        return 0;
    c->pid = 0;
    return 1;
}

uint64_t child_memory(const struct child *c)
{
    char text[32];
    if (c->memory_fd < 0 || fd_pread_text(c->memory_fd, text, sizeof(text)) <= 0)
        return 0;
    return strtoull(text, NULL, 10);
}
