/* SPDX-License-Identifier: MIT */
/*
 * What this kernel, at this place, can do: tried in our own cgroup, not guessed from version numbers, wherever
 * trying is free of side effects. The guess left is for files that our own cgroup need not have though its
 * children will: those of a controller not yet switched on there, and cgroup.freeze when we are in the root.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "pidfd.h"
#include "private.h"
#include "sys.h"
#include "weir/base/cleanup.h"

static const struct {
    const char *name;
    const char *use;
} feature_names[] = {
    {"memory.max", "a unit's memory limit"},
    {"memory.high", "throttling a unit that grows, without killing it"},
    {"cpu.max", "a unit's cpu limit; throttling"},
    {"cgroup.freeze", "freeze and thaw; short freezes as a throttle"},
    {"cgroup.kill", "ending a unit's whole process tree"},
    {"memory.pressure", "acting on stalls, before memory runs out"},
    {NULL, NULL},
    {NULL, NULL},
    {"pids.max", "a unit's limit of processes and threads"},
    {"memory.swap.max", "a unit's swap limit"},
    {"memory.reclaim", "taking back a unit's cold memory"},
    {"memory.oom.group", "an OOM kill that takes the whole unit"},
    {"cpu.weight", "a unit's share of a busy cpu"},
    {"memory.events", "counting OOM kills of a unit"},
    {"pids.events", "counting forks refused by pids.max"},
    {"pressure trigger", "being woken by the kernel when a unit stalls"},
    {"fast pressure trigger", "pressure windows below 2 s (CAP_SYS_RESOURCE)"},
    {"oom_score_adj down", "shielding a unit from the OOM killer (CAP_SYS_RESOURCE)"},
    {"exit info", "exit status of adopted and wrapped processes (PIDFD_GET_INFO)"},
    {"memory.peak", "the highest usage of a unit"},
};

const char *host_feature_name(unsigned bit, const char **ret_use)
{
    if (bit >= ARRAY_SIZE(feature_names))
        return NULL;
    if (ret_use)
        *ret_use = feature_names[bit].use ? feature_names[bit].use : "";
    return feature_names[bit].name ? feature_names[bit].name : "";
}

bool kernel_at_least(const char *release, unsigned major, unsigned minor)
{
    unsigned a = 0;
    unsigned b = 0;
    if (sscanf(release, "%u.%u", &a, &b) != 2)
        return false;
    return a > major || (a == major && b >= minor);
}

bool have_capability(unsigned capability)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2] = {{0}};
    if (syscall(SYS_capget, &header, data) < 0)
        return false;
    return data[capability / 32].effective & (1U << (capability % 32));
}

static bool file_takes_trigger(int dir, const char *file, const char *trigger)
{
    _cleanup_close_ int fd = io_open_at(dir, file, O_RDWR | O_NONBLOCK);
    return fd >= 0 && host_sys.write(fd, trigger, strlen(trigger) + 1) >= 0;
}

/* At the root of a cgroup namespace our own file may be barred (nsdelegate) though our children's are not. */
static bool takes_trigger(int dir, const char *trigger)
{
    return file_takes_trigger(dir, "memory.pressure", trigger) ||
           file_takes_trigger(AT_FDCWD, "/proc/pressure/memory", trigger);
}

/*
 * The cgroup2 core. The hierarchy's root has no cgroup.freeze, but it has memory.pressure: no probing child is
 * made there, since one would be left behind by a kill at that instant (closing a trigger waits ~20 ms for RCU).
 */
static uint32_t probe_core(int dir, const char *kernel)
{
    uint32_t bits = HOST_FEATURE_KILL; /* without cgroup.kill it is a signal loop */
    char text[512];
    bool is_root = !io_exists_at(dir, "cgroup.events");
    if (is_root ? kernel_at_least(kernel, 5, 2) : io_exists_at(dir, "cgroup.freeze"))
        bits |= HOST_FEATURE_FREEZE;
    if (io_read_at(dir, "memory.pressure", text, sizeof(text)) > 0)
        bits |= HOST_FEATURE_PRESSURE; /* else psi=0: EOPNOTSUPP */
    if (takes_trigger(dir, "some 50000 500000"))
        bits |= HOST_FEATURE_FAST_TRIGGER | HOST_FEATURE_PRESSURE_TRIGGER;
    else if (takes_trigger(dir, "some 200000 2000000"))
        bits |= HOST_FEATURE_PRESSURE_TRIGGER;
    return bits;
}

/* unified: since is the first kernel that has the file (cgroup-v2.rst and git history). */
static const struct {
    const char *file;
    const char *witness; /* the controller's files are here if this one is */
    unsigned major, minor;
    uint32_t feature;
} unified_files[] = {
    {"memory.max", "memory.current", 4, 5, HOST_FEATURE_MEMORY_MAX},
    {"memory.high", "memory.current", 4, 5, HOST_FEATURE_MEMORY_HIGH},
    {"memory.swap.max", "memory.current", 4, 5, HOST_FEATURE_SWAP_MAX},
    {"memory.oom.group", "memory.current", 4, 19, HOST_FEATURE_OOM_GROUP},
    {"memory.reclaim", "memory.current", 5, 19, HOST_FEATURE_RECLAIM},
    {"memory.peak", "memory.current", 5, 19, HOST_FEATURE_PEAK},
    {"memory.events", "memory.current", 4, 5, HOST_FEATURE_MEMORY_EVENTS},
    {"pids.max", "pids.current", 4, 5, HOST_FEATURE_PIDS_MAX},
    {"pids.events", "pids.current", 4, 10, HOST_FEATURE_PIDS_EVENTS},
    {"cpu.max", "cpu.weight", 4, 15, HOST_FEATURE_CPU_MAX},
    {"cpu.weight", "cpu.weight", 4, 15, HOST_FEATURE_CPU_WEIGHT},
};

static uint32_t probe_unified(int dir, const char *kernel)
{
    uint32_t bits = 0;
    for (size_t i = 0; i < ARRAY_SIZE(unified_files); i++) {
        bool here = io_exists_at(dir, unified_files[i].witness);
        bool known = kernel_at_least(kernel, unified_files[i].major, unified_files[i].minor);
        if (here ? io_exists_at(dir, unified_files[i].file) : known)
            bits |= unified_files[i].feature;
    }
    return bits;
}

static const struct {
    enum tree_id tree;
    const char *file;
    uint32_t feature;
} v1_files[] = {
    {TREE_MEMORY, "memory.limit_in_bytes", HOST_FEATURE_MEMORY_MAX},
    {TREE_MEMORY, "memory.memsw.limit_in_bytes", HOST_FEATURE_SWAP_MAX},
    {TREE_MEMORY, "memory.oom_control", HOST_FEATURE_MEMORY_EVENTS},
    {TREE_MEMORY, "memory.max_usage_in_bytes", HOST_FEATURE_PEAK},
    {TREE_CPU, "cpu.cfs_quota_us", HOST_FEATURE_CPU_MAX},
    {TREE_CPU, "cpu.shares", HOST_FEATURE_CPU_WEIGHT},
};

/* v1: the files are in the root, too, except those of pids, which every kernel with pids has (4.3, events 4.10). */
static uint32_t probe_v1(const struct host_info *info)
{
    uint32_t bits = FEATURES_BY_PIDS;
    for (size_t i = 0; i < ARRAY_SIZE(v1_files); i++) {
        char dir[HOST_PATH_MAX];
        size_t v1 = (size_t)v1_files[i].tree - 1;
        if (!info->v1_mount[v1][0] || layout_join(info->v1_mount[v1], info->own_v1[v1], dir, sizeof(dir)) < 0)
            continue;
        _cleanup_close_ int fd = io_open_at(AT_FDCWD, dir, O_PATH | O_DIRECTORY);
        if (fd >= 0 && io_exists_at(fd, v1_files[i].file))
            bits |= v1_files[i].feature;
    }
    return bits;
}

/* A child that ends at once, reaped, then asked for its exit status: exactly the case of an adopted process. */
static bool probe_exit_info(void)
{
    int pidfd_out = -1;
    struct clone_args args = {.flags = CLONE_PIDFD, .pidfd = (uint64_t)(uintptr_t)&pidfd_out};
    pid_t pid = host_sys.clone3(&args, sizeof(args));
    if (pid == 0)
        _exit(7);
    _cleanup_close_ int pidfd = pidfd_out;
    if (pid < 0)
        return false;
    siginfo_t info;
    int r;
    do
        r = host_sys.waitid(P_PID, (id_t)pid, &info, WEXITED | __WALL);
    while (r < 0 && errno == EINTR);
    struct pidfd_info_request request = {.mask = PIDFD_REQUEST_EXIT};
    return host_sys.ioctl(pidfd, PIDFD_REQUEST_GET_INFO, &request) == 0 &&
           (request.mask & PIDFD_REQUEST_EXIT) && WIFEXITED(request.exit_code) &&
           WEXITSTATUS(request.exit_code) == 7;
}

uint32_t features_probe(const struct host_info *info)
{
    uint32_t bits = 0;
    char path[HOST_PATH_MAX];
    if (layout_join(info->unified_mount, info->own_unified, path, sizeof(path)) < 0)
        return 0;
    _cleanup_close_ int own = io_open_at(AT_FDCWD, path, O_RDONLY | O_DIRECTORY);
    if (own >= 0) {
        bits |= probe_core(own, info->kernel);
        bits |= info->layout == HOST_LAYOUT_UNIFIED ? probe_unified(own, info->kernel) : 0;
    }
    if (info->layout == HOST_LAYOUT_HYBRID)
        bits |= probe_v1(info);
    if (have_capability(CAP_SYS_RESOURCE))
        bits |= HOST_FEATURE_OOM_ADJUST_DOWN;
    if (probe_exit_info())
        bits |= HOST_FEATURE_EXIT_INFO;
    return bits;
}
