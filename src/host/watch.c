/* SPDX-License-Identifier: MIT */
/*
 * Kernel notifications of a unit, as fds for the caller's poll.
 *
 * Event files (kernfs) report EPOLLPRI *and EPOLLERR* when they changed; they are re-armed by reading through
 * the same fd, and a fresh fd that was never read is "changed" at once, so each is read when armed. A
 * pressure trigger is one write to a freshly opened file and needs no re-arming. v1 has eventfds instead,
 * registered through cgroup.event_control.
 * Any of them that the host refuses is left out: the caller samples anyhow.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "private.h"
#include "sys.h"
#include "weir/base/cleanup.h"
#include "weir/base/units.h"

/* kernel/sched/psi.c: WINDOW_MIN_US, WINDOW_MAX_US; the unprivileged need multiples of the 2 s averaging period */
#define WINDOW_MIN_US  (500 * USEC_PER_MSEC)
#define WINDOW_MAX_US  (10 * USEC_PER_SEC)
#define WINDOW_STEP_US (2 * USEC_PER_SEC)

void watch_fit_window(bool fast, uint64_t *stall_us, uint64_t *window_us)
{
    uint64_t window = *window_us;
    if (!fast)
        window = (window + WINDOW_STEP_US - 1) / WINDOW_STEP_US * WINDOW_STEP_US;
    if (window < WINDOW_MIN_US)
        window = WINDOW_MIN_US;
    if (window > WINDOW_MAX_US)
        window = WINDOW_MAX_US;
    uint64_t stall = *window_us ? mul_div_u64(*stall_us, window, *window_us) : *stall_us;
    *stall_us = stall < 1 ? 1 : stall > window ? window : stall;
    *window_us = window;
}

void watch_close(struct unit *u)
{
    for (size_t i = 0; i < ARRAY_SIZE(u->watch); i++)
        if (u->watch[i] >= 0)
            close(steal_fd(&u->watch[i]));
}

static void arm_file(struct unit *u, enum host_notification what, enum tree_id id, const char *file)
{
    char text[512];
    if (u->dir[id] < 0)
        return;
    _cleanup_close_ int fd = io_open_at(u->dir[id], file, O_RDONLY);
    if (fd >= 0 && io_read_fd(fd, text, sizeof(text)) >= 0)
        u->watch[what] = steal_fd(&fd);
}

static void arm_pressure(struct unit *u, uint64_t stall_us, uint64_t window_us)
{
    char text[64];
    watch_fit_window(u->host->features & HOST_FEATURE_FAST_TRIGGER, &stall_us, &window_us);
    int n = snprintf(text, sizeof(text), "some %" PRIu64 " %" PRIu64, stall_us, window_us);
    _cleanup_close_ int fd = io_open_at(u->dir[TREE_UNIFIED], "memory.pressure", O_RDWR | O_NONBLOCK);
    if (fd >= 0 &&
        host_sys.write(fd, text, (size_t)n + 1) >= 0) /* with its NUL: the kernel cuts the last byte */
        u->watch[HOST_NOTIFY_PRESSURE] = steal_fd(&fd);
}

/* "EVENTFD FILE [THRESHOLD]" */
static int register_event(struct unit *u, int event, const char *file, const uint64_t *threshold)
{
    char text[64];
    _cleanup_close_ int fd = io_open_at(u->dir[TREE_MEMORY], file, O_RDONLY);
    if (fd < 0)
        return fd;
    if (threshold)
        (void)snprintf(text, sizeof(text), "%d %d %" PRIu64, event, fd, *threshold);
    else
        (void)snprintf(text, sizeof(text), "%d %d", event, fd);
    return io_write_at(u->dir[TREE_MEMORY], "cgroup.event_control", text, 0);
}

/* One eventfd for all: the reader looks at the readings anyhow. */
static void arm_usage(struct unit *u, const uint64_t *thresholds, size_t count)
{
    if (u->dir[TREE_MEMORY] < 0)
        return;
    _cleanup_close_ int event = host_sys.eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (event < 0)
        return;
    int registered = register_event(u, event, "memory.oom_control", NULL) == 0;
    for (size_t i = 0; i < count; i++)
        registered += register_event(u, event, "memory.usage_in_bytes", &thresholds[i]) == 0;
    if (registered)
        u->watch[HOST_NOTIFY_USAGE] = steal_fd(&event);
}

int watch_arm(struct host_unit *hu, uint64_t stall_us, uint64_t window_us, const uint64_t *thresholds,
              size_t threshold_count, struct host_watch *ret, struct err *reterr)
{
    struct unit *u = unit_of(hu);
    bool v1 = u->host->layout == HOST_LAYOUT_HYBRID;
    watch_close(u);
    arm_file(u, HOST_NOTIFY_CGROUP_EVENTS, TREE_UNIFIED, "cgroup.events");
    if (u->watch[HOST_NOTIFY_CGROUP_EVENTS] < 0)
        return err_set(reterr, -ENODEV, "watching %s: the cgroup is gone", u->path);
    arm_file(u, HOST_NOTIFY_MEMORY_EVENTS, TREE_UNIFIED, "memory.events");
    arm_file(u, HOST_NOTIFY_PIDS_EVENTS, v1 ? TREE_PIDS : TREE_UNIFIED, "pids.events");
    if (stall_us && window_us)
        arm_pressure(u, stall_us, window_us);
    if (v1)
        arm_usage(u, thresholds, threshold_count);
    int count = 0;
    for (unsigned i = 0; i < HOST_NOTIFY_COUNT; i++)
        if (u->watch[i] >= 0)
            ret[count++] = (struct host_watch){.what = (enum host_notification)i,
                                               .fd = u->watch[i],
                                               .poll_events = i == HOST_NOTIFY_USAGE ? EPOLLIN : EPOLLPRI};
    return count;
}

void watch_acknowledge(struct host_unit *hu, const struct host_watch *w)
{
    (void)hu;
    char text[512];
    uint64_t count;
    switch (w->what) {
    case HOST_NOTIFY_CGROUP_EVENTS:
    case HOST_NOTIFY_MEMORY_EVENTS:
    case HOST_NOTIFY_PIDS_EVENTS:
        (void)io_read_fd(w->fd, text, sizeof(text));
        break;
    case HOST_NOTIFY_USAGE:
        (void)!host_sys.read(w->fd, &count, sizeof(count));
        break;
    case HOST_NOTIFY_PRESSURE: /* poll itself takes the event */
    case HOST_NOTIFY_COUNT:
        break;
    }
}
