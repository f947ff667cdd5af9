/* SPDX-License-Identifier: MIT */
/*
 * Where the cgroup hierarchies are mounted and which cgroup is ours: /proc/self/mountinfo and
 * /proc/self/cgroup, text in, paths out. Pure, so that containers, namespaces and odd mounts are tested from
 * literals (tests/unit/test_host_layout.c).
 */
#ifndef WEIR_HOST_LAYOUT_H
#define WEIR_HOST_LAYOUT_H

#include <stdbool.h>
#include <stddef.h>

#include "weir/host/host.h"

/* The hierarchies a unit lives in; the order of host_info's v1 arrays is that of TREE_MEMORY and on. */
enum tree_id {
    TREE_UNIFIED,
    TREE_MEMORY,
    TREE_PIDS,
    TREE_CPU,
    TREE_COUNT,
};
#define LAYOUT_V1_COUNT 4 /* memory, pids, cpu, blkio, as in struct host_info */

extern const char *const layout_v1_names[LAYOUT_V1_COUNT];

/* One hierarchy: mount point, which of its cgroups is mounted there, and our cgroup relative to that. */
struct layout_mount {
    char point[HOST_PATH_MAX]; /* "" = not mounted */
    char root[HOST_PATH_MAX];
    char own[HOST_PATH_MAX]; /* "/..." below the mount point; "" = our cgroup is not visible there */
};

struct layout {
    struct layout_mount unified;
    struct layout_mount v1[LAYOUT_V1_COUNT];
};

/* 0, or -EINVAL (text the kernel would not write), -ENAMETOOLONG. */
int layout_parse(const char *mountinfo, const char *cgroup, struct layout *ret);

enum host_layout layout_kind(const struct layout *l);

/* path without the mounted root: ("/docker/x/a", "/docker/x") -> "/a". -EXDEV when it is not below root. */
int layout_strip(const char *path, const char *root, char *ret, size_t size);

/* Is path `top` itself or below it? */
bool layout_is_below(const char *path, const char *top);

/* "DIR/NAME", one slash between them. 0 or -ENAMETOOLONG. */
int layout_join(const char *dir, const char *name, char *ret, size_t size);

/* The folder part: "/a/b" -> "/a", "/a" -> "/". In place. */
void layout_parent(char *path);

const char *layout_basename(const char *path);

#endif
