/* SPDX-License-Identifier: MIT */
/*
 * Where the subtree stands, and where our own process must go for that.
 *
 * hybrid: below our own cgroup in each hierarchy; nobody moves. unified: the "no internal processes" rule
 * (cgroup-v2.rst) wants us out of the cgroup whose children get controllers, so we move into a leaf
 * "supervisor" beside the subtree. On a systemd host that is done only in a cgroup that was delegated to us;
 * otherwise a delegated scope is asked for. Controllers are switched on in our own part of the tree only.
 *
 * A controller that cannot be switched on is no failure here: it is missing, with the reason kept for the
 * text of the limit that needs it.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "private.h"
#include "sys.h"
#include "weir/base/cleanup.h"
#include "weir/model/kernel.h"

#define LEAF "supervisor"

static const struct {
    const char *name;
    uint32_t bit;
} controllers[] = {
    {"memory", HOST_CONTROLLER_MEMORY},
    {"pids", HOST_CONTROLLER_PIDS},
    {"cpu", HOST_CONTROLLER_CPU},
    {"io", HOST_CONTROLLER_IO},
};

/* A process in the cgroup dirfd other than we ourselves: 1 and its pid, 0, negative errno. */
static int find_other(int dirfd, int32_t *ret)
{
    _cleanup_close_ int fd = io_open_at(dirfd, "cgroup.procs", O_RDONLY);
    char text[4096];
    if (fd < 0)
        return fd;
    ssize_t n = io_read_long_fd(fd, text, sizeof(text));
    if (n < 0 && n != -EMSGSIZE)
        return (int)n;
    const char *rest = text;
    int32_t pid;
    while (kernel_next_pid(&rest, &pid) > 0)
        if (pid != (int32_t)getpid()) {
            *ret = pid;
            return 1;
        }
    return 0;
}

static void explain_missing(struct subtree *h, int dirfd, const char *controller, int error, const char *dir)
{
    if (h->reason[0])
        return;
    int32_t pid;
    if (error == -EBUSY && find_other(dirfd, &pid) > 0) {
        char file[32];
        char comm[32] = "?";
        (void)snprintf(file, sizeof(file), "/proc/%d/comm", pid);
        if (io_read_at(AT_FDCWD, file, comm, sizeof(comm)) > 0)
            comm[strcspn(comm, "\n")] = '\0';
        (void)snprintf(h->reason, sizeof(h->reason),
                       "other processes share our cgroup %.100s (%d %s): start weir in a cgroup of its own",
                       dir, pid, comm);
    } else
        (void)snprintf(h->reason, sizeof(h->reason), "the %s controller cannot be switched on in %.120s: %s",
                       controller, dir, strerror(-error));
}

/* Switches wanted controllers on for the children of dirfd; one by one, since one write is all or nothing. */
static uint32_t enable(struct subtree *h, int dirfd, const char *dir, uint32_t wanted)
{
    uint32_t before = controllers_in(dirfd, "cgroup.subtree_control");
    uint32_t on = before;
    uint32_t offered = controllers_in(dirfd, "cgroup.controllers");
    for (size_t i = 0; i < ARRAY_SIZE(controllers); i++) {
        if (!(wanted & ~on & controllers[i].bit))
            continue;
        char text[16];
        (void)snprintf(text, sizeof(text), "+%s", controllers[i].name);
        int r = offered & controllers[i].bit ? io_write_at(dirfd, "cgroup.subtree_control", text, 0)
                                             : -EOPNOTSUPP;
        if (r == 0)
            on |= controllers[i].bit;
        else if (controllers[i].bit !=
                 HOST_CONTROLLER_IO) /* only readings need io, and pressure works without */
            explain_missing(h, dirfd, controllers[i].name, r, dir);
    }
    return on;
}

static int open_dir(const char *mount, const char *rel, char *ret_path, struct err *reterr)
{
    int r = layout_join(mount, rel, ret_path, HOST_PATH_MAX);
    if (r == 0)
        r = io_open_at(AT_FDCWD, ret_path, O_RDONLY | O_DIRECTORY);
    return r < 0 ? err_errno(reterr, r, "opening our cgroup %s%s", mount, rel) : r;
}

/* Moves us into PARENT/supervisor. An ordinary user may not come from another part of the tree: systemd does it. */
static int enter_leaf(struct subtree *h, int parent_fd, const char *parent, bool is_root, struct err *reterr)
{
    if (host_sys.mkdirat(parent_fd, LEAF, 0755) < 0 && errno != EEXIST)
        return err_errno(reterr, -errno, "making the cgroup %s/" LEAF, parent);
    int r = io_write_at(parent_fd, LEAF "/cgroup.procs", "0", 0);
    const char *last = layout_basename(parent);
    size_t n = strlen(last);
    if ((r == -EACCES || r == -EPERM) && n > 6 && strcmp(last + n - 6, ".scope") == 0)
        r = scope_attach(last, "/" LEAF, !is_root, NULL);
    if (r < 0)
        return err_errno(reterr, r, "moving ourselves into %s/" LEAF, parent);
    h->moved = true;
    return 0;
}

/* On unified: moves us, switches controllers on in parent. parent: relative to the mount. */
static int occupy(struct subtree *h, const struct host_info *info, const char *parent, struct err *reterr)
{
    char path[HOST_PATH_MAX];
    _cleanup_close_ int fd = open_dir(info->unified_mount, parent, path, reterr);
    if (fd < 0)
        return fd;
    bool is_top = !io_exists_at(fd, "cgroup.events"); /* only the hierarchy's root lacks it */
    if (!is_top) {
        int r = enter_leaf(h, fd, path, info->is_root, reterr);
        if (r < 0)
            return r;
    }
    uint32_t before = controllers_in(fd, "cgroup.subtree_control");
    h->controllers =
        enable(h, fd, path,
               HOST_CONTROLLER_MEMORY | HOST_CONTROLLER_PIDS | HOST_CONTROLLER_CPU | HOST_CONTROLLER_IO);
    h->enabled = h->controllers & ~before;
    return 0;
}

/* Our own cgroup2 path now, after systemd moved us. */
static int own_now(char *ret, struct err *reterr)
{
    _cleanup_free_ struct layout *l = host_sys.calloc(1, sizeof(*l));
    if (!l)
        return err_errno(reterr, -ENOMEM, "finding our cgroup");
    int r = layout_read(l, reterr);
    if (r < 0)
        return r;
    memcpy(ret, l->unified.own, HOST_PATH_MAX);
    if (strcmp(layout_basename(ret), LEAF) == 0)
        layout_parent(ret);
    return 0;
}

bool place_is_ours_alone(const struct host_info *info)
{
    char path[HOST_PATH_MAX];
    int32_t other;
    _cleanup_close_ int fd = open_dir(info->unified_mount, info->own_unified, path, NULL);
    return fd >= 0 && find_other(fd, &other) == 0;
}

/*
 * A service gets a scope even when its own cgroup was delegated: units that outlive a killed weir would live in
 * the service's cgroup, whose controllers are then on, and systemd could not start the service again there
 * (219/CGROUP; tried on systemd 252). In the scope they are found by the next run.
 */
static int choose_parent(const struct host_info *info, const char *name, char *ret, struct err *reterr)
{
    memcpy(ret, info->own_unified, HOST_PATH_MAX);
    if (info->layout == HOST_LAYOUT_HYBRID || !info->systemd)
        return 0;
    const char *own = layout_basename(info->own_unified);
    size_t n = strlen(own);
    const char *service = n > 8 && strcmp(own + n - 8, ".service") == 0 ? own : NULL;
    bool usable = info->delegated && place_is_ours_alone(info);
    if (usable && !service)
        return 0;
    int r = scope_start(name, service, !info->is_root, reterr);
    if (r < 0)
        return usable ? 0 : r;
    return own_now(ret, reterr);
}

static bool base_stands(const struct host_info *info, const char *base)
{
    char path[HOST_PATH_MAX];
    return base && layout_join(info->unified_mount, base, path, sizeof(path)) == 0 &&
           io_exists_at(AT_FDCWD, path);
}

static int set_tree(struct tree *t, const char *mount, const char *parent, const char *folder,
                    struct err *reterr)
{
    t->used = true;
    (void)snprintf(t->mount, sizeof(t->mount), "%s", mount);
    int r = layout_join(parent, folder, t->base, sizeof(t->base));
    return r < 0 ? err_errno(reterr, r, "%s/%s", parent, folder) : 0;
}

/* hybrid, a base of an earlier run that started elsewhere: a process still in it knows its v1 places. */
static pid_t process_below(const struct host_info *info, const char *base)
{
    char path[HOST_PATH_MAX];
    _cleanup_closedir_ DIR *dir = NULL;
    if (layout_join(info->unified_mount, base, path, sizeof(path)) == 0)
        dir = opendir(path);
    for (struct dirent *e; dir && (e = readdir(dir));) {
        if (e->d_type != DT_DIR || e->d_name[0] == '.')
            continue;
        _cleanup_close_ int fd = io_open_at(dirfd(dir), e->d_name, O_RDONLY | O_DIRECTORY);
        int32_t pid;
        if (fd >= 0 && find_other(fd, &pid) > 0)
            return pid;
    }
    return 0;
}

static void adopt_v1_paths(struct subtree *h, const struct host_info *info, const char *base)
{
    char file[32];
    _cleanup_free_ char *mounts = NULL;
    _cleanup_free_ char *text = NULL;
    _cleanup_free_ struct layout *l = host_sys.calloc(1, sizeof(*l));
    pid_t pid = process_below(info, base);
    (void)snprintf(file, sizeof(file), "/proc/%d/cgroup", (int)pid);
    if (!l || pid == 0 || io_read_all_at(AT_FDCWD, file, &text) < 0 ||
        io_read_all_at(AT_FDCWD, "/proc/self/mountinfo", &mounts) < 0 || layout_parse(mounts, text, l) < 0)
        return;
    for (unsigned id = TREE_MEMORY; id < TREE_COUNT; id++) {
        char *path = l->v1[id - 1].own;
        layout_parent(path);
        if (strcmp(layout_basename(path), layout_basename(base)) == 0)
            memcpy(h->tree[id].base, path, HOST_PATH_MAX);
    }
}

static int find_hybrid(struct subtree *h, const struct host_info *info, const char *folder, const char *base,
                       struct err *reterr)
{
    for (unsigned id = TREE_MEMORY; id < TREE_COUNT; id++) {
        if (!info->v1_mount[id - 1][0])
            continue;
        int r = set_tree(&h->tree[id], info->v1_mount[id - 1], info->own_v1[id - 1], folder, reterr);
        if (r < 0)
            return r;
    }
    if (base)
        adopt_v1_paths(h, info, base);
    h->controllers = info->controllers;
    return 0;
}

int place_find(struct subtree *h, const struct host_info *info, const char *name, const char *base,
               struct err *reterr)
{
    char folder[HOST_NAME_MAX_BYTES + 8];
    char parent[HOST_PATH_MAX];
    (void)snprintf(folder, sizeof(folder), "weir-%s", name);
    if (!base_stands(info, base))
        base = NULL;
    if (base) {
        (void)snprintf(folder, sizeof(folder), "%.*s", (int)sizeof(folder) - 1, layout_basename(base));
        (void)snprintf(parent, sizeof(parent), "%s", base);
        layout_parent(parent);
    } else {
        int r = choose_parent(info, name, parent, reterr);
        if (r < 0)
            return r;
    }
    int r = set_tree(&h->tree[TREE_UNIFIED], info->unified_mount, parent, folder, reterr);
    if (r < 0)
        return r;
    if (info->layout == HOST_LAYOUT_HYBRID)
        return find_hybrid(h, info, folder, base, reterr);
    r = occupy(h, info, parent, reterr);
    if (r == 0)
        r = tree_open_base(h, reterr);
    if (r < 0)
        return r;
    /* the level below ours: units get what they can have from here */
    h->controllers = enable(h, h->tree[TREE_UNIFIED].base_fd, h->tree[TREE_UNIFIED].base, h->controllers);
    return 0;
}

void place_leave(struct subtree *h)
{
    if (h->layout != HOST_LAYOUT_UNIFIED)
        return;
    char parent[HOST_PATH_MAX];
    char path[HOST_PATH_MAX];
    (void)snprintf(parent, sizeof(parent), "%s", h->tree[TREE_UNIFIED].base);
    layout_parent(parent);
    if (!h->tree[TREE_UNIFIED].used)
        return;
    _cleanup_close_ int fd = open_dir(h->tree[TREE_UNIFIED].mount, parent, path, NULL);
    if (fd < 0 || io_exists_at(fd, layout_basename(h->tree[TREE_UNIFIED].base)))
        return; /* units live on: they keep their limits, and we stay out of their way */
    if (!h->moved)
        return; /* the hierarchy's root: others may have come to rely on its controllers */
    for (size_t i = 0; i < ARRAY_SIZE(controllers); i++) {
        char text[16];
        (void)snprintf(text, sizeof(text), "-%s", controllers[i].name);
        if (h->enabled & controllers[i].bit)
            (void)io_write_at(fd, "cgroup.subtree_control", text, 0);
    }
    if (io_write_at(fd, "cgroup.procs", "0", 0) == 0)
        (void)host_sys.unlinkat(fd, LEAF, AT_REMOVEDIR);
}
