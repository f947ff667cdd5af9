/* SPDX-License-Identifier: MIT */
/*
 * What this host is: layout, mounts, our cgroup, controllers, memory, systemd.
 *
 * On v1 hierarchies the mount points are libcgroup's, since it is libcgroup that makes cgroups there;
 * mountinfo tells what libcgroup does not know: the mounted root, and that a mount is v1 at all.
 */
#include <errno.h>
#include <fcntl.h>
#include <libcgroup.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "layout.h"
#include "private.h"
#include "sys.h"
#include "weir/base/cleanup.h"
#include "weir/base/units.h"
#include "weir/model/kernel.h"

static const struct {
    const char *name;
    uint32_t bit;
    uint32_t features;
} controller_rows[] = {
    {"memory", HOST_CONTROLLER_MEMORY, FEATURES_BY_MEMORY},
    {"pids", HOST_CONTROLLER_PIDS, FEATURES_BY_PIDS},
    {"cpu", HOST_CONTROLLER_CPU, FEATURES_BY_CPU},
    {"io", HOST_CONTROLLER_IO, 0},
};

const char *host_layout_name(enum host_layout layout)
{
    switch (layout) {
    case HOST_LAYOUT_NONE:
        return "none";
    case HOST_LAYOUT_HYBRID:
        return "hybrid";
    case HOST_LAYOUT_UNIFIED:
        return "unified";
    }
    return "?";
}

uint32_t controllers_in(int dirfd, const char *file)
{
    char text[256];
    if (io_read_at(dirfd, file, text, sizeof(text)) < 0)
        return 0;
    uint32_t bits = 0;
    char *saved = NULL;
    for (char *word = strtok_r(text, " \n", &saved); word; word = strtok_r(NULL, " \n", &saved))
        for (size_t i = 0; i < ARRAY_SIZE(controller_rows); i++)
            if (strcmp(word, controller_rows[i].name) == 0)
                bits |= controller_rows[i].bit;
    return bits;
}

uint32_t features_of_controllers(uint32_t controllers, uint32_t features)
{
    for (size_t i = 0; i < ARRAY_SIZE(controller_rows); i++)
        if (!(controllers & controller_rows[i].bit))
            features &= ~controller_rows[i].features;
    return features;
}

/* libcgroup prints to stdout unless it is given a logger. */
static void silent_logger(void *userdata, int level, const char *fmt, va_list ap)
{
    (void)userdata;
    (void)level;
    (void)fmt;
    (void)ap;
}

/* Takes libcgroup's mount points over into l; a controller that it cannot reach is not used. */
static void agree_with_libcgroup(struct layout *l)
{
    cgroup_set_logger(silent_logger, CGROUP_LOG_ERROR, NULL);
    int failed = cgroup_init();
    for (size_t i = 0; i < LAYOUT_V1_COUNT; i++) {
        if (!l->v1[i].point[0])
            continue;
        _cleanup_free_ char *point = NULL;
        int r = failed ? failed : cgroup_get_subsys_mount_point(layout_v1_names[i], &point);
        if (r != 0 || strcmp(point, l->v1[i].point) != 0)
            l->v1[i] = (struct layout_mount){0};
    }
}

int layout_read(struct layout *ret, struct err *reterr)
{
    _cleanup_free_ char *mounts = NULL;
    _cleanup_free_ char *own = NULL;
    int r = io_read_all_at(AT_FDCWD, "/proc/self/mountinfo", &mounts);
    if (r < 0)
        return err_errno(reterr, r, "/proc/self/mountinfo");
    r = io_read_all_at(AT_FDCWD, "/proc/self/cgroup", &own);
    if (r < 0)
        return err_errno(reterr, r, "/proc/self/cgroup");
    r = layout_parse(mounts, own, ret);
    if (r < 0)
        return err_errno(reterr, r, "/proc/self/mountinfo and /proc/self/cgroup");
    return 0;
}

static int refuse(const struct layout *l, struct err *reterr)
{
    for (size_t i = 0; i < LAYOUT_V1_COUNT; i++)
        if (l->v1[i].point[0])
            return err_set(
                reterr, -EOPNOTSUPP,
                "this host has cgroup v1 only: mount the cgroup2 hierarchy beside it (mount -t cgroup2 none "
                "/sys/fs/cgroup/unified) or boot with systemd.unified_cgroup_hierarchy=1");
    return err_set(
        reterr, -EOPNOTSUPP,
        "no cgroup2 hierarchy is mounted: mount it (mount -t cgroup2 none /sys/fs/cgroup), or in a container "
        "let /sys/fs/cgroup be visible");
}

static bool has_delegate_mark(const char *dir)
{
    static const char *const names[] = {"trusted.delegate", "user.delegate"};
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        char value[8];
        ssize_t n = getxattr(dir, names[i], value, sizeof(value));
        if (n == 1 && value[0] == '1')
            return true;
    }
    return false;
}

/*
 * Is our cgroup ours to divide? Marked itself, or below a marked one, except that what is below user@UID.service
 * was delegated to the user's own systemd, not to us.
 */
static bool is_delegated(const struct host_info *info)
{
    char rel[HOST_PATH_MAX];
    char dir[HOST_PATH_MAX];
    (void)snprintf(rel, sizeof(rel), "%s", info->own_unified);
    for (bool first = true;; first = false) {
        if (layout_join(info->unified_mount, rel, dir, sizeof(dir)) < 0)
            return false;
        if (!first && strncmp(layout_basename(rel), "user@", 5) == 0)
            return false;
        if (has_delegate_mark(dir))
            return true;
        if (strcmp(rel, "/") == 0)
            return false;
        layout_parent(rel);
    }
}

/* A run that follows in the same process tree (exec, `weir doctor` from a unit of ours) finds itself in the
 * leaf that the first one moved into: the cgroup that counts is the one above. */
static void step_out_of_leaf(struct host_info *info)
{
    if (info->layout != HOST_LAYOUT_UNIFIED || strcmp(layout_basename(info->own_unified), "supervisor") != 0)
        return;
    char dir[HOST_PATH_MAX];
    char above[HOST_PATH_MAX];
    (void)snprintf(above, sizeof(above), "%s", info->own_unified);
    layout_parent(above);
    if (layout_join(info->unified_mount, above, dir, sizeof(dir)) == 0 && access(dir, W_OK) == 0)
        memcpy(info->own_unified, above, sizeof(above));
}

/* Controllers that children of the place where our subtree will stand can have. */
static uint32_t usable_controllers(const struct host_info *info)
{
    if (info->layout == HOST_LAYOUT_HYBRID) {
        uint32_t bits = 0;
        for (size_t i = 0; i < ARRAY_SIZE(controller_rows); i++)
            if (info->v1_mount[i][0])
                bits |= controller_rows[i].bit;
        return bits;
    }
    char rel[HOST_PATH_MAX];
    (void)snprintf(rel, sizeof(rel), "%s", info->own_unified);
    if (info->systemd && !info->delegated) {
        /* a scope will be asked for: below system.slice, or below the user's manager */
        if (info->is_root)
            (void)snprintf(rel, sizeof(rel), "/");
        else
            (void)snprintf(rel, sizeof(rel), "/user.slice/user-%u.slice/user@%u.service", getuid(), getuid());
    }
    char dir[HOST_PATH_MAX];
    if (layout_join(info->unified_mount, rel, dir, sizeof(dir)) < 0)
        return 0;
    _cleanup_close_ int fd = io_open_at(AT_FDCWD, dir, O_PATH | O_DIRECTORY);
    if (fd < 0)
        return 0;
    /* the "no internal processes" rule, from which only the hierarchy's root is free */
    bool barred = !info->systemd && io_exists_at(fd, "cgroup.events") && !place_is_ours_alone(info);
    return controllers_in(fd, barred ? "cgroup.subtree_control" : "cgroup.controllers");
}

static uint64_t machine_memory(void)
{
    char text[4096];
    uint64_t kib = 0;
    if (io_read_at(AT_FDCWD, "/proc/meminfo", text, sizeof(text)) < 0)
        return UINT64_MAX;
    if (sscanf(text, "MemTotal: %lu kB", &kib) != 1)
        return UINT64_MAX;
    return kib * 1024;
}

/* The smallest memory.max from our cgroup up to the mount point. */
static uint64_t unified_chain_limit(const struct host_info *info)
{
    uint64_t smallest = UINT64_MAX;
    char rel[HOST_PATH_MAX];
    char file[HOST_PATH_MAX + 16];
    (void)snprintf(rel, sizeof(rel), "%s", info->own_unified);
    for (;;) {
        char dir[HOST_PATH_MAX];
        uint64_t value;
        if (layout_join(info->unified_mount, rel, dir, sizeof(dir)) < 0)
            break;
        (void)snprintf(file, sizeof(file), "%s/memory.max", dir);
        if (io_value_at(AT_FDCWD, file, &value) == 0 && value < smallest)
            smallest = value;
        if (strcmp(rel, "/") == 0)
            break;
        layout_parent(rel);
    }
    return smallest;
}

/* v1 tells the whole chain's limit itself, also of cgroups that a namespace hides. */
static uint64_t v1_chain_limit(const struct host_info *info)
{
    char dir[HOST_PATH_MAX];
    char file[HOST_PATH_MAX + 16];
    char text[8192];
    uint64_t value;
    if (!info->v1_mount[0][0] || layout_join(info->v1_mount[0], info->own_v1[0], dir, sizeof(dir)) < 0)
        return UINT64_MAX;
    (void)snprintf(file, sizeof(file), "%s/memory.stat", dir);
    if (io_read_at(AT_FDCWD, file, text, sizeof(text)) < 0 ||
        kernel_flat_value(text, "hierarchical_memory_limit", &value) < 0)
        return UINT64_MAX;
    return value;
}

static uint32_t cpu_count(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof(set), &set) == 0)
        return (uint32_t)CPU_COUNT(&set);
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n > 0 ? (uint32_t)n : 1;
}

static void fill_paths(struct host_info *info, const struct layout *l)
{
    memcpy(info->unified_mount, l->unified.point, HOST_PATH_MAX);
    memcpy(info->own_unified, l->unified.own, HOST_PATH_MAX);
    for (size_t i = 0; i < LAYOUT_V1_COUNT && info->layout == HOST_LAYOUT_HYBRID; i++) {
        if (!l->v1[i].own[0])
            continue;
        memcpy(info->v1_mount[i], l->v1[i].point, HOST_PATH_MAX);
        memcpy(info->own_v1[i], l->v1[i].own, HOST_PATH_MAX);
    }
}

int host_detect(struct host_info *ret, struct err *reterr)
{
    _cleanup_free_ struct layout *l = host_sys.calloc(1, sizeof(*l));
    _cleanup_free_ struct host_info *info = host_sys.calloc(1, sizeof(*info));
    if (!l || !info)
        return err_errno(reterr, -ENOMEM, "detecting the cgroup layout");
    int r = layout_read(l, reterr);
    if (r < 0)
        return r;
    info->layout = layout_kind(l);
    if (info->layout == HOST_LAYOUT_NONE)
        return refuse(l, reterr);
    if (!l->unified.own[0])
        return err_set(
            reterr, -EOPNOTSUPP,
            "our own cgroup is outside of what is mounted at %s: start weir inside the container, or let it "
            "have the host's cgroup namespace",
            l->unified.point);
    if (info->layout == HOST_LAYOUT_HYBRID)
        agree_with_libcgroup(l);
    fill_paths(info, l);

    struct utsname uts;
    if (uname(&uts) == 0)
        (void)snprintf(info->kernel, sizeof(info->kernel), "%.63s", uts.release);
    struct stat st;
    info->systemd = lstat("/run/systemd/system", &st) == 0 && S_ISDIR(st.st_mode); /* as sd_booted(3) */
    info->is_root = geteuid() == 0;
    step_out_of_leaf(info);
    info->delegated = info->layout == HOST_LAYOUT_UNIFIED && is_delegated(info);
    info->controllers = usable_controllers(info);
    info->cpus = cpu_count();

    uint64_t own_limit =
        info->layout == HOST_LAYOUT_HYBRID ? v1_chain_limit(info) : unified_chain_limit(info);
    uint64_t machine = machine_memory();
    info->memory_total_bytes = own_limit < machine ? own_limit : machine;
    info->features = features_of_controllers(info->controllers, features_probe(info));
    *ret = *info;
    return 0;
}
