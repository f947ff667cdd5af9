/* SPDX-License-Identifier: MIT */
/*
 * Cgroups made and removed, one hierarchy at a time. v1: libcgroup; cgroup2: mkdirat/unlinkat, since
 * libcgroup would switch controllers on from the mount root downward, and cannot see a cgroup2 mount that
 * has no controllers.
 *
 * Removal is rmdir, which the kernel refuses while a process is inside: nothing is ever emptied here.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libcgroup.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "private.h"
#include "sys.h"
#include "weir/base/cleanup.h"

#define REMOVE_DEPTH 16 /* chosen: cgroups that a unit made inside itself */

static int v1_error(int code)
{
    if (code == 0)
        return 0;
    if (code == ECGNONEMPTY)
        return -EBUSY;
    if (code == ECGROUPNOTEXIST)
        return -ENOENT;
    if (code == ECGROUPNOTALLOWED || code == ECGROUPNOTOWNER)
        return -EACCES;
    if (code == ECGOTHER && cgroup_get_last_errno() > 0)
        return -cgroup_get_last_errno();
    return -EIO;
}

int tree_path(const struct tree *t, const char *name, char *ret, size_t size)
{
    char base[HOST_PATH_MAX];
    int r = layout_join(t->mount, t->base, base, sizeof(base));
    return r < 0 ? r : layout_join(base, name, ret, size);
}

static void free_group(struct cgroup **g)
{
    if (*g)
        cgroup_free(g);
}

/* libcgroup's object for one controller of <base>/name; NULL when out of memory. */
static struct cgroup *v1_group(const struct tree *t, enum tree_id id, const char *name,
                               struct cgroup_controller **ret_controller)
{
    char path[HOST_PATH_MAX];
    if (layout_join(t->base, name, path, sizeof(path)) < 0)
        return NULL;
    struct cgroup *g = cgroup_new_cgroup(path + 1); /* its names have no leading slash */
    if (!g)
        return NULL;
    *ret_controller = cgroup_add_controller(g, layout_v1_names[id - 1]);
    if (!*ret_controller)
        cgroup_free(&g);
    return g;
}

int tree_make(struct subtree *h, enum tree_id id, const char *name)
{
    struct tree *t = &h->tree[id];
    if (id == TREE_UNIFIED) {
        char path[HOST_PATH_MAX];
        int r = tree_path(t, name, path, sizeof(path));
        if (r < 0)
            return r;
        return host_sys.mkdirat(AT_FDCWD, path, 0755) < 0 ? -errno : 0;
    }
    struct cgroup_controller *controller;
    _cleanup_(free_group) struct cgroup *g = v1_group(t, id, name, &controller);
    if (!g)
        return -ENOMEM;
    return v1_error(host_sys.v1_create(g, 1));
}

int tree_v1_write(struct subtree *h, enum tree_id id, const char *name, const char *file, const char *text)
{
    struct cgroup_controller *controller;
    _cleanup_(free_group) struct cgroup *g = v1_group(&h->tree[id], id, name, &controller);
    if (!g)
        return -ENOMEM;
    int r = cgroup_add_value_string(controller, file, text);
    return v1_error(r ? r : host_sys.v1_modify(g));
}

static int remove_below(int dirfd, const char *name, int depth);

static int remove_children(int dirfd, const char *name, int depth)
{
    int fd = io_open_at(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    if (fd < 0)
        return fd;
    _cleanup_closedir_ DIR *dir = fdopendir(fd);
    if (!dir) {
        close(fd);
        return -ENOMEM;
    }
    int result = 0;
    for (struct dirent *e; (e = readdir(dir));) {
        if (e->d_type != DT_DIR || strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        int r = remove_below(fd, e->d_name, depth - 1);
        if (r < 0)
            result = r;
    }
    return result;
}

static int remove_below(int dirfd, const char *name, int depth)
{
    if (host_sys.unlinkat(dirfd, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
        return 0;
    if (errno != EBUSY || depth == 0)
        return -errno;
    int r = remove_children(dirfd, name, depth);
    if (r < 0)
        return r;
    return host_sys.unlinkat(dirfd, name, AT_REMOVEDIR) == 0 || errno == ENOENT ? 0 : -errno;
}

int tree_remove(struct subtree *h, enum tree_id id, const char *name)
{
    struct tree *t = &h->tree[id];
    char path[HOST_PATH_MAX];
    int r = tree_path(t, name, path, sizeof(path));
    if (r < 0)
        return r;
    if (id != TREE_UNIFIED) {
        struct cgroup_controller *controller;
        _cleanup_(free_group) struct cgroup *g = v1_group(t, id, name, &controller);
        if (!g)
            return -ENOMEM;
        /* its return value cannot be trusted (0 for a group that is not there, ECGOTHER for EBUSY): rmdir decides */
        if (io_exists_at(AT_FDCWD, path))
            (void)host_sys.v1_delete(g, CGFLAG_DELETE_EMPTY_ONLY);
    }
    return remove_below(AT_FDCWD, path, REMOVE_DEPTH);
}

static int open_one(struct subtree *h, enum tree_id id, struct err *reterr)
{
    struct tree *t = &h->tree[id];
    char path[HOST_PATH_MAX];
    int r = tree_path(t, "", path, sizeof(path));
    if (r < 0)
        return err_errno(reterr, r, "%s%s", t->mount, t->base);
    if (!io_exists_at(AT_FDCWD, path)) {
        r = tree_make(h, id, "");
        if (r == -EACCES || r == -EPERM || r == -EROFS)
            return err_errno(reterr, r,
                             "making the cgroup %s (run as root, or in a cgroup that was delegated to you)",
                             path);
        if (r < 0 && r != -EEXIST)
            return err_errno(reterr, r, "making the cgroup %s", path);
        t->made = true;
    }
    t->base_fd = io_open_at(AT_FDCWD, path, O_RDONLY | O_DIRECTORY);
    return t->base_fd < 0 ? err_errno(reterr, t->base_fd, "opening the cgroup %s", path) : 0;
}

int tree_open_base(struct subtree *h, struct err *reterr)
{
    for (unsigned id = 0; id < TREE_COUNT; id++) {
        int r = h->tree[id].used ? open_one(h, (enum tree_id)id, reterr) : 0;
        if (r < 0)
            return r;
    }
    return 0;
}

void tree_close_base(struct subtree *h)
{
    for (unsigned id = TREE_COUNT; id-- > 0;) {
        struct tree *t = &h->tree[id];
        if (t->base_fd < 0)
            continue;
        close(steal_fd(&t->base_fd));
        (void)tree_remove(h, (enum tree_id)id, "");
    }
}
