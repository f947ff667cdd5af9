/* SPDX-License-Identifier: MIT */
/* Processes without regard to cgroups: identity by pid and start time, and evidence of an end. */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "layout.h"
#include "pidfd.h"
#include "private.h"
#include "sys.h"
#include "weir/base/cleanup.h"
#include "weir/model/kernel.h"

static int process_stat(pid_t pid, struct kernel_process *ret)
{
    char path[32];
    char text[1024];
    (void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    ssize_t n = io_read_at(AT_FDCWD, path, text, sizeof(text));
    if (n < 0)
        return n == -ENOENT ? -ESRCH : (int)n;
    return kernel_parse_process_stat(text, ret);
}

int host_process_start_ticks(pid_t pid, uint64_t *ret)
{
    struct kernel_process p;
    int r = process_stat(pid, &p);
    if (r == 0)
        *ret = p.start_ticks;
    return r;
}

int host_process_state(pid_t pid, pid_t *ret_parent, char *ret_state)
{
    struct kernel_process p;
    int r = process_stat(pid, &p);
    if (r < 0)
        return r;
    if (ret_parent)
        *ret_parent = p.ppid;
    *ret_state = p.state;
    return 0;
}

int host_process_open(pid_t pid, uint64_t start_ticks, int *ret_pidfd)
{
    if (pid <= 0)
        return -ESRCH;
    _cleanup_close_ int fd = host_sys.pidfd_open(pid, 0);
    if (fd < 0)
        return -errno;
    /* the pidfd holds the pid, so what stat shows now is the process behind it, or none */
    struct kernel_process p;
    int r = process_stat(pid, &p);
    if (r < 0)
        return r;
    if (p.start_ticks != start_ticks || p.state == 'Z' || p.state == 'X')
        return -ESRCH;
    *ret_pidfd = steal_fd(&fd);
    return 0;
}

static void set_status(int status, struct event_exit *ret)
{
    ret->status_known = true;
    ret->signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    ret->code = WIFEXITED(status) ? WEXITSTATUS(status) : 0;
}

static int child_end(int pidfd, struct event_exit *ret)
{
    siginfo_t info = {0};
    int r;
    do
        r = host_sys.waitid((idtype_t)P_PIDFD, (id_t)pidfd, &info, WEXITED | WNOHANG);
    while (r < 0 && errno == EINTR);
    if (r < 0)
        return -errno;
    if (info.si_pid == 0)
        return -EAGAIN;
    ret->status_known = true;
    ret->code = info.si_code == CLD_EXITED ? info.si_status : 0;
    ret->signal = info.si_code == CLD_EXITED ? 0 : info.si_status;
    return 0;
}

/* 1 = it has ended, 0 = not yet; a pidfd becomes readable when the process is a zombie. */
static int has_ended(int pidfd)
{
    struct pollfd p = {.fd = pidfd, .events = POLLIN};
    int r;
    do
        r = host_sys.poll(&p, 1, 0);
    while (r < 0 && errno == EINTR);
    return r < 0 ? -errno : r;
}

int host_process_end(pid_t pid, int pidfd, bool is_child, struct event_exit *ret)
{
    if (is_child)
        return child_end(pidfd, ret);
    int r = has_ended(pidfd);
    if (r <= 0)
        return r < 0 ? r : -EAGAIN;
    struct pidfd_info_request request = {.mask = PIDFD_REQUEST_EXIT};
    if (host_sys.ioctl(pidfd, PIDFD_REQUEST_GET_INFO, &request) == 0 && (request.mask & PIDFD_REQUEST_EXIT)) {
        set_status(request.exit_code, ret);
        return 0;
    }
    /* a zombie whose parent has not reaped it yet; exit_code reads 0 without ptrace rights, which proves nothing */
    struct kernel_process p;
    if (process_stat(pid, &p) == 0 && p.state == 'Z' &&
        (p.exit_code != 0 || have_capability(CAP_SYS_PTRACE))) {
        set_status(p.exit_code, ret);
        return 0;
    }
    ret->status_known = false;
    return 0;
}

/* Takes a path below the cgroup2 mount, as host_base gives it, and one of the file system, as unit_path does. */
static bool stands_below(const struct layout_mount *m, const char *path, const char *top)
{
    char visible[HOST_PATH_MAX];
    if (layout_strip(path, m->root, visible, sizeof(visible)) < 0)
        return false;
    if (layout_is_below(top, m->point))
        top += strlen(m->point);
    return layout_is_below(visible, *top ? top : "/");
}

int host_process_in(pid_t pid, const char *unified_path)
{
    char file[32];
    (void)snprintf(file, sizeof(file), "/proc/%d/cgroup", (int)pid);
    _cleanup_free_ char *text = NULL;
    _cleanup_free_ struct layout *l = host_sys.calloc(1, sizeof(*l));
    if (!l)
        return -ENOMEM;
    int r = io_read_all_at(AT_FDCWD, file, &text);
    if (r < 0)
        return r == -ENOENT ? -ESRCH : r;
    r = layout_read(l, NULL);
    if (r < 0)
        return r;
    const char *rest = text;
    struct kernel_cgroup_row row;
    while ((r = kernel_next_cgroup_row(&rest, &row)) > 0) {
        char path[HOST_PATH_MAX];
        if (row.hierarchy != 0 || row.path_length >= sizeof(path))
            continue;
        memcpy(path, row.path, row.path_length);
        path[row.path_length] = '\0';
        return stands_below(&l->unified, path, unified_path);
    }
    return r;
}
