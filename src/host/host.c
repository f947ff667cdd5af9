/* SPDX-License-Identifier: MIT */
/* The real host: its table of functions, opening and closing the subtree; making, finding and removing units. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "private.h"
#include "sys.h"
#include "weir/base/cleanup.h"
#include "weir/model/kernel.h"

#define REMOVE_WAIT_US 200000 /* include/weir/host/host.h; the kernel takes a few ms after the last exit */
#define REMOVE_STEP_US 2000

static void unit_free(struct unit *u)
{
    if (!u)
        return;
    limits_cancel_helper(u);
    read_close(u);
    watch_close(u);
    for (unsigned id = 0; id < TREE_COUNT; id++)
        if (u->dir[id] >= 0)
            close(u->dir[id]);
    free(u);
}

static void unit_freep(struct unit **u)
{
    unit_free(*u);
}

static int check_name(const char *name, struct err *reterr)
{
    size_t n = strlen(name);
    if (n == 0 || n >= HOST_NAME_MAX_BYTES || strchr(name, '/') || name[0] == '.' ||
        strncmp(name, "cgroup.", 7) == 0)
        return err_set(reterr, -EINVAL, "'%s' cannot be the name of a cgroup", name);
    return 0;
}

static struct unit *unit_new(struct subtree *h, const char *name)
{
    struct unit *u = host_sys.calloc(1, sizeof(*u));
    if (!u)
        return NULL;
    u->unit.ops = h->host.ops;
    u->host = h;
    (void)snprintf(u->name, sizeof(u->name), "%s", name);
    for (unsigned id = 0; id < TREE_COUNT; id++)
        u->dir[id] = -1;
    for (unsigned i = 0; i < READINGS_MAX; i++)
        u->reading[i] = -1;
    for (unsigned i = 0; i < HOST_NOTIFY_COUNT; i++)
        u->watch[i] = -1;
    u->procs_fd = -1;
    u->throttle_high_bytes = UINT64_MAX;
    u->limits = (struct host_limits){.memory_max_bytes = UINT64_MAX,
                                     .memory_high_bytes = UINT64_MAX,
                                     .memory_swap_max_bytes = UINT64_MAX,
                                     .pids_max = UINT64_MAX};
    return u;
}

/* Opens the folders; a v1 one that is missing (adoption of a unit with a partial tree) only means fewer readings. */
static int open_dirs(struct unit *u, struct err *reterr)
{
    for (unsigned id = 0; id < TREE_COUNT; id++) {
        const struct tree *t = &u->host->tree[id];
        char path[HOST_PATH_MAX];
        if (!t->used)
            continue;
        int r = tree_path(t, u->name, path, sizeof(path));
        if (r == 0)
            r = u->dir[id] = io_open_at(AT_FDCWD, path, O_RDONLY | O_DIRECTORY);
        if (r < 0 && (id == TREE_UNIFIED || r != -ENOENT))
            return err_errno(reterr, r, "opening the cgroup %s", path);
        if (id == TREE_UNIFIED)
            (void)snprintf(u->path, sizeof(u->path), "%s", path);
    }
    struct stat st;
    if (fstat(u->dir[TREE_UNIFIED], &st) < 0)
        return err_errno(reterr, -errno, "%s", u->path);
    u->inode = st.st_ino;
    read_open(u);
    return 0;
}

static int populated_at(struct subtree *h, enum tree_id id, const char *name)
{
    char path[HOST_PATH_MAX];
    char text[256];
    uint64_t populated = 0;
    int r = tree_path(&h->tree[id], name, path, sizeof(path));
    _cleanup_close_ int fd = r < 0 ? r : io_open_at(AT_FDCWD, path, O_RDONLY | O_DIRECTORY);
    if (fd < 0)
        return fd == -ENOENT ? 0 : fd;
    ssize_t n = io_read_at(fd, id == TREE_UNIFIED ? "cgroup.events" : "cgroup.procs", text, sizeof(text));
    if (n < 0)
        return n == -EMSGSIZE ? 1 : (int)n;
    if (id != TREE_UNIFIED)
        return n > 0;
    r = kernel_flat_value(text, "populated", &populated);
    return r < 0 ? r : populated != 0;
}

/* A left-over of an earlier run is removed, so that its counters do not become ours. */
static int make_fresh(struct subtree *h, enum tree_id id, const char *name, struct err *reterr)
{
    char path[HOST_PATH_MAX];
    int r = tree_path(&h->tree[id], name, path, sizeof(path));
    if (r < 0)
        return err_errno(reterr, r, "%s", name);
    r = populated_at(h, id, name);
    if (r > 0)
        return err_set(reterr, -EBUSY, "the cgroup %s still holds processes of an earlier run", path);
    if (r == 0)
        r = tree_remove(h, id, name);
    if (r == 0)
        r = tree_make(h, id, name);
    return r < 0 ? err_errno(reterr, r, "making the cgroup %s", path) : 0;
}

static void unmake(struct subtree *h, const char *name, unsigned made)
{
    for (unsigned id = TREE_COUNT; id-- > 0;)
        if (made & (1U << id))
            (void)tree_remove(h, (enum tree_id)id, name);
}

static int make_all(struct subtree *h, const char *name, unsigned *made, struct err *reterr)
{
    for (unsigned id = 0; id < TREE_COUNT; id++) {
        if (!h->tree[id].used)
            continue;
        int r = make_fresh(h, (enum tree_id)id, name, reterr);
        if (r < 0)
            return r;
        *made |= 1U << id;
    }
    return 0;
}

static int unit_create(struct host *host, const char *name, const struct host_limits *limits,
                       bool best_effort, struct host_unit **ret, uint32_t *ret_missing, struct err *reterr)
{
    struct subtree *h = (struct subtree *)host;
    uint32_t missing = 0;
    unsigned made = 0;
    int r = check_name(name, reterr);
    if (r < 0)
        return r;
    _cleanup_(unit_freep) struct unit *u = unit_new(h, name);
    if (!u)
        return err_errno(reterr, -ENOMEM, "unit %s", name);
    r = make_all(h, name, &made, reterr);
    if (r == 0)
        r = open_dirs(u, reterr);
    if (r == 0)
        r = limits_apply(u, limits, true, best_effort, &missing, reterr);
    if (r < 0) {
        unmake(h, name, made);
        return r;
    }
    if (ret_missing)
        *ret_missing = missing;
    *ret = &u->unit;
    u = NULL;
    return 0;
}

static int unit_open(struct host *host, const char *name, uint64_t inode, struct host_unit **ret,
                     struct err *reterr)
{
    struct subtree *h = (struct subtree *)host;
    int r = check_name(name, reterr);
    if (r < 0)
        return r;
    _cleanup_(unit_freep) struct unit *u = unit_new(h, name);
    if (!u)
        return err_errno(reterr, -ENOMEM, "unit %s", name);
    r = open_dirs(u, reterr);
    if (r < 0)
        return r;
    if (inode != 0 && inode != u->inode)
        return err_set(reterr, -ESTALE, "%s is another cgroup than the one recorded (inode %lu, not %lu)",
                       u->path, u->inode, inode);
    *ret = &u->unit;
    u = NULL;
    return 0;
}

static void unit_release(struct host_unit *u)
{
    unit_free((struct unit *)u);
}

static int remove_retrying(struct unit *u, enum tree_id id, uint64_t *waited_us)
{
    for (;;) {
        int r = tree_remove(u->host, id, u->name);
        if (r != -EBUSY || *waited_us >= REMOVE_WAIT_US)
            return r;
        io_pause_us(REMOVE_STEP_US);
        *waited_us += REMOVE_STEP_US;
    }
}

/* Does the name still lead to the cgroup we hold open? rmdir goes by name, and must never hit a stranger's. */
static bool is_ours(struct unit *u)
{
    struct stat st;
    return stat(u->path, &st) < 0 || st.st_ino == u->inode;
}

static int unit_remove(struct host_unit *hu, struct err *reterr)
{
    struct unit *u = unit_of(hu);
    uint64_t waited_us = 0;
    limits_cancel_helper(u);
    if (!is_ours(u))
        return err_set(reterr, -ESTALE, "%s is another cgroup now, not removing it", u->path);
    for (unsigned id = TREE_COUNT; id-- > 0;) {
        if (!u->host->tree[id].used)
            continue;
        int r = remove_retrying(u, (enum tree_id)id, &waited_us);
        if (r < 0)
            return err_errno(reterr, r, "removing the cgroup %s (%s)", u->path,
                             id == TREE_UNIFIED ? "cgroup2" : layout_v1_names[id - 1]);
    }
    act_forget(u);
    unit_free(u);
    return 0;
}

static int unit_set_limits(struct host_unit *hu, const struct host_limits *limits, struct err *reterr)
{
    return limits_apply(unit_of(hu), limits, false, false, NULL, reterr);
}

static uint64_t unit_inode(const struct host_unit *u)
{
    return ((const struct unit *)u)->inode;
}

static const char *unit_path(const struct host_unit *u)
{
    return ((const struct unit *)u)->path;
}

static void reap_dying(struct subtree *h)
{
    for (size_t i = 0; i < ARRAY_SIZE(h->dying); i++)
        if (h->dying[i] > 0)
            (void)host_sys.waitid(P_PID, (id_t)h->dying[i], &(siginfo_t){0}, WEXITED | __WALL);
}

static void host_close(struct host *host)
{
    struct subtree *h = (struct subtree *)host;
    if (!h)
        return;
    guard_close(&h->guard); /* first: it must be out of the cgroup that place_leave removes */
    reap_dying(h);
    tree_close_base(h);
    place_leave(h);
    if (h->proc_fd >= 0)
        close(h->proc_fd);
    free(h);
}

static int check_guard(struct host *host, struct err *reterr)
{
    return guard_check(&((struct subtree *)host)->guard, reterr);
}

static const struct host_ops real_ops = {
    .close = host_close,
    .guard_check = check_guard,
    .unit_create = unit_create,
    .unit_open = unit_open,
    .unit_release = unit_release,
    .unit_remove = unit_remove,
    .unit_set_limits = unit_set_limits,
    .unit_attach = act_attach,
    .unit_spawn = spawn_into_unit,
    .unit_read = read_sample,
    .unit_populated = read_populated,
    .unit_kill = act_kill,
    .unit_freeze = act_freeze,
    .unit_throttle = act_throttle,
    .unit_reclaim_open = act_reclaim_open,
    .unit_memory_open = act_memory_open,
    .unit_watch = watch_arm,
    .unit_watch_acknowledge = watch_acknowledge,
    .unit_pids = read_pids,
    .unit_inode = unit_inode,
    .unit_path = unit_path,
};

int host_open(const struct host_info *info, const char *name, const char *base, struct host **ret,
              struct err *reterr)
{
    int r = check_name(name, reterr);
    if (r < 0)
        return r;
    struct subtree *h = host_sys.calloc(1, sizeof(*h));
    if (!h)
        return err_errno(reterr, -ENOMEM, "opening the host");
    h->host.ops = &real_ops;
    h->layout = info->layout;
    h->proc_fd = -1;
    h->guard = GUARD_NULL;
    h->features = info->features;
    h->nonblock_limits =
        kernel_at_least(info->kernel, 6, 16); /* "memcg: introduce non-blocking limit setting option" */
    for (unsigned id = 0; id < TREE_COUNT; id++)
        h->tree[id].base_fd = -1;
    r = h->proc_fd = io_open_at(AT_FDCWD, "/proc", O_PATH | O_DIRECTORY);
    r = r < 0 ? err_errno(reterr, r, "/proc") : place_find(h, info, name, base, reterr);
    if (r == 0 && h->tree[TREE_UNIFIED].base_fd < 0)
        r = tree_open_base(h, reterr);
    if (r < 0) {
        host_close(&h->host);
        return r;
    }
    h->features = features_of_controllers(h->controllers, h->features);
    guard_open(&h->guard, !h->nonblock_limits);
    *ret = &h->host;
    return 0;
}

const char *host_base(const struct host *host)
{
    if (host->ops != &real_ops)
        return "";
    return ((const struct subtree *)host)->tree[TREE_UNIFIED].base;
}
