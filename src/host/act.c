/* SPDX-License-Identifier: MIT */
/* Doing something to a unit as a whole: attach, freeze, kill, throttle, reclaim. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "private.h"
#include "sys.h"
#include "weir/base/cleanup.h"

#define KILL_ROUNDS   64 /* chosen: a tree that forks faster than 64 sweeps is a fork bomb for cgroup.kill */
#define KILL_PIDS_MAX 1024

int act_attach(struct host_unit *hu, pid_t pid, struct err *reterr)
{
    struct unit *u = unit_of(hu);
    char text[16];
    (void)snprintf(text, sizeof(text), "%d", (int)pid);
    /* cgroup.procs, not libcgroup's attach: that writes "tasks", and would move one thread of many.
     * cgroup2 first: killed half-way we leave a process that the next weir finds (and ends) by the cgroup2 cgroup,
     * never one that only keeps a v1 cgroup busy. The process itself waits until all is done. */
    for (unsigned id = 0; id < TREE_COUNT; id++) {
        if (u->dir[id] < 0)
            continue;
        int r = io_write_at(u->dir[id], "cgroup.procs", text, 0);
        if (r < 0)
            return err_errno(reterr, r, "moving process %d into %s (%s)", (int)pid, u->path,
                             id == TREE_UNIFIED ? "cgroup2" : layout_v1_names[id - 1]);
    }
    return 0;
}

/* Signals all there are, round by round, until a sweep finds nobody. What is dying is found again, harmlessly. */
static int kill_by_signal(struct unit *u)
{
    pid_t pids[KILL_PIDS_MAX];
    for (int round = 0; round < KILL_ROUNDS; round++) {
        int n = read_pids(&u->unit, pids, KILL_PIDS_MAX);
        if (n <= 0)
            return n;
        for (int i = 0; i < n && i < KILL_PIDS_MAX; i++)
            if (host_sys.kill(pids[i], SIGKILL) < 0 && errno != ESRCH)
                return -errno;
        io_pause_us(1000);
    }
    return 0; /* asynchronous anyhow: the caller waits for populated 0 */
}

int act_kill(struct host_unit *hu, struct err *reterr)
{
    struct unit *u = unit_of(hu);
    u->was_killed = true;
    int r = io_write_at(u->dir[TREE_UNIFIED], "cgroup.kill", "1", 0);
    if (r == -ENOENT || r == -EOPNOTSUPP) /* before 5.14; a threaded cgroup */
        r = kill_by_signal(u);
    return r < 0 ? err_errno(reterr, r, "killing %s", u->path) : 0;
}

static int guard_pulse(struct unit *u, struct err *reterr)
{
    static const struct guard_step thaw[GUARD_STEPS_MAX] = {{"cgroup.freeze", "0"}};
    return guard_arm(&u->host->guard, GUARD_FREEZE, u->dir[TREE_UNIFIED], u->path, thaw, reterr);
}

int act_freeze(struct host_unit *hu, enum host_freeze how, struct err *reterr)
{
    struct unit *u = unit_of(hu);
    int r = how == HOST_FREEZE_PULSE ? guard_pulse(u, reterr) : 0;
    if (r < 0)
        return r;
    if (how == HOST_FREEZE_KEEP)
        guard_forget(&u->host->guard, GUARD_FREEZE, u->path);
    r = io_write_at(u->dir[TREE_UNIFIED], "cgroup.freeze", how == HOST_FREEZE_THAW ? "0" : "1", 0);
    if (how == HOST_FREEZE_THAW ? r >= 0 : r < 0) /* a thaw that failed is tried once more at weir's end */
        guard_forget(&u->host->guard, GUARD_FREEZE, u->path);
    if (r == -ENOENT)
        return err_set(reterr, -EOPNOTSUPP, "this kernel cannot freeze a cgroup (cgroup.freeze: Linux 5.2)");
    return r < 0 ? err_errno(reterr, r, "%s %s", how == HOST_FREEZE_THAW ? "thawing" : "freezing", u->path)
                 : 0;
}

void act_forget(struct unit *u)
{
    guard_forget(&u->host->guard, GUARD_FREEZE, u->path);
    limits_forget(u);
}

int act_throttle(struct host_unit *hu, uint32_t cpu_permyriad, uint64_t memory_high_bytes,
                 uint32_t *ret_applied, struct err *reterr)
{
    struct unit *u = unit_of(hu);
    u->throttle_cpu_permyriad = cpu_permyriad;
    u->throttle_high_bytes = memory_high_bytes;
    return limits_throttle(u, ret_applied, reterr);
}

int act_reclaim_open(struct host_unit *hu, struct host_reclaim *ret, struct err *reterr)
{
    struct unit *u = unit_of(hu);
    int reclaim_fd = io_open_at(u->dir[TREE_UNIFIED], "memory.reclaim", O_WRONLY);
    if (reclaim_fd == -ENOENT)
        return err_set(reterr, -EOPNOTSUPP, "this host has no memory.reclaim");
    if (reclaim_fd < 0)
        return err_errno(reterr, reclaim_fd, "%s/memory.reclaim", u->path);
    int current_fd = io_open_at(u->dir[TREE_UNIFIED], "memory.current", O_RDONLY);
    if (current_fd < 0) {
        cleanup_close(&reclaim_fd);
        return err_errno(reterr, current_fd, "%s/memory.current", u->path);
    }
    *ret = (struct host_reclaim){reclaim_fd, current_fd};
    return 0;
}

int act_memory_open(struct host_unit *hu, struct err *reterr)
{
    struct unit *u = unit_of(hu);
    bool v1 = u->host->layout != HOST_LAYOUT_UNIFIED;
    const char *file = v1 ? "memory.usage_in_bytes" : "memory.current";
    int dir = u->dir[v1 ? TREE_MEMORY : TREE_UNIFIED];
    int fd = dir < 0 ? -ENOENT : io_open_at(dir, file, O_RDONLY);
    if (fd == -ENOENT)
        return err_set(reterr, -EOPNOTSUPP, "it has no %s", file);
    return fd < 0 ? err_errno(reterr, fd, "%s/%s", u->path, file) : fd;
}

int host_reclaim(const struct host_reclaim *r, uint64_t bytes, uint64_t *ret_current)
{
    char text[32];
    (void)snprintf(text, sizeof(text), "%" PRIu64,
                   bytes < HOST_RECLAIM_MAX_BYTES ? bytes : HOST_RECLAIM_MAX_BYTES);
    int result = bytes && host_sys.write(r->reclaim_fd, text, strlen(text)) < 0 ? -errno : 0;
    ssize_t n = io_read_fd(r->current_fd, text, sizeof(text));
    if (n > 0)
        *ret_current = strtoull(text, NULL, 10);
    return n < 0 && result >= 0 ? (int)n : result;
}

void host_reclaim_close(struct host_reclaim *r)
{
    cleanup_close(&r->reclaim_fd);
    cleanup_close(&r->current_fd);
    *r = HOST_RECLAIM_NULL;
}
