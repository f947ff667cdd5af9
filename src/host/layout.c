/* SPDX-License-Identifier: MIT */
/* mountinfo and cgroup texts; see layout.h. Format: proc(5), /proc/[pid]/mountinfo. */
#include "layout.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "weir/base/cleanup.h"
#include "weir/model/kernel.h"

const char *const layout_v1_names[LAYOUT_V1_COUNT] = {"memory", "pids", "cpu", "blkio"};

bool layout_is_below(const char *path, const char *top)
{
    size_t n = strlen(top);
    while (n > 0 && top[n - 1] == '/')
        n--;
    return strncmp(path, top, n) == 0 && (path[n] == '/' || path[n] == '\0');
}

int layout_strip(const char *path, const char *root, char *ret, size_t size)
{
    if (path[0] != '/' || !layout_is_below(path, root) || strncmp(path, "/..", 3) == 0)
        return -EXDEV;
    size_t n = strcmp(root, "/") == 0 ? 0 : strlen(root);
    const char *rest = path[n] ? path + n : "/";
    if (strlen(rest) >= size)
        return -ENAMETOOLONG;
    memcpy(ret, rest, strlen(rest) + 1);
    return 0;
}

int layout_join(const char *dir, const char *name, char *ret, size_t size)
{
    size_t n = strlen(dir);
    while (n > 0 && dir[n - 1] == '/')
        n--;
    while (*name == '/')
        name++;
    int length = snprintf(ret, size, "%.*s%s%s", (int)n, dir, *name || n == 0 ? "/" : "", name);
    return length < 0 || (size_t)length >= size ? -ENAMETOOLONG : 0;
}

void layout_parent(char *path)
{
    char *slash = strrchr(path, '/');
    if (!slash || slash == path)
        (void)strcpy(path, "/");
    else
        *slash = '\0';
}

const char *layout_basename(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* Is word one of the comma-separated words of list? */
static bool has_word(const char *list, size_t length, const char *word)
{
    size_t n = strlen(word);
    const char *end = list + length;
    for (const char *p = list; p < end;) {
        const char *comma = memchr(p, ',', (size_t)(end - p));
        size_t part = (size_t)((comma ? comma : end) - p);
        if (part == n && memcmp(p, word, n) == 0)
            return true;
        p += part + 1;
    }
    return false;
}

/* Copies a mountinfo field; blanks and backslashes are written there as \ooo. */
static int unescape(const char *from, size_t length, char *ret, size_t size)
{
    size_t n = 0;
    for (size_t i = 0; i < length; i++) {
        char c = from[i];
        if (c == '\\' && i + 3 < length) {
            c = (char)((from[i + 1] - '0') * 64 + (from[i + 2] - '0') * 8 + (from[i + 3] - '0'));
            i += 3;
        }
        if (n + 1 >= size)
            return -ENAMETOOLONG;
        ret[n++] = c;
    }
    ret[n] = '\0';
    return 0;
}

struct field {
    const char *at;
    size_t length;
};

/* "36 35 98:0 /root /point opts [optional...] - fstype source superopts" */
struct mount_row {
    struct field root, point, type, options;
};

static const char *next_field(const char *p, struct field *ret)
{
    while (*p == ' ')
        p++;
    ret->at = p;
    ret->length = strcspn(p, " \n");
    return p + ret->length;
}

static int parse_row(const char *line, struct mount_row *ret)
{
    struct field f[6];
    const char *p = line;
    for (size_t i = 0; i < ARRAY_SIZE(f); i++)
        p = next_field(p, &f[i]);
    ret->root = f[3];
    ret->point = f[4];
    struct field skipped;
    do
        p = next_field(p, &skipped);
    while (skipped.length > 0 && !(skipped.length == 1 && *skipped.at == '-'));
    p = next_field(p, &ret->type);
    p = next_field(p, &skipped);
    (void)next_field(p, &ret->options);
    return ret->type.length > 0 && ret->point.length > 0 ? 0 : -EINVAL;
}

static bool is_type(const struct mount_row *row, const char *type)
{
    return row->type.length == strlen(type) && memcmp(row->type.at, type, row->type.length) == 0;
}

/* Of several mounts of one hierarchy (bind mounts, containers) the first that shows our cgroup is taken. */
static int consider(struct layout_mount *m, const struct mount_row *row, const char *own)
{
    if (m->own[0])
        return 0;
    struct layout_mount found = {0};
    int r = unescape(row->root.at, row->root.length, found.root, sizeof(found.root));
    if (r == 0)
        r = unescape(row->point.at, row->point.length, found.point, sizeof(found.point));
    if (r < 0)
        return r;
    if (layout_strip(own, found.root, found.own, sizeof(found.own)) < 0)
        found.own[0] = '\0';
    if (!m->point[0] || found.own[0])
        *m = found;
    return 0;
}

struct own_paths {
    char unified[HOST_PATH_MAX];
    char v1[LAYOUT_V1_COUNT][HOST_PATH_MAX];
};

static int parse_own(const char *cgroup, struct own_paths *ret)
{
    struct kernel_cgroup_row row;
    int r;
    while ((r = kernel_next_cgroup_row(&cgroup, &row)) > 0) {
        if (row.path_length >= HOST_PATH_MAX)
            return -ENAMETOOLONG;
        if (row.hierarchy == 0)
            memcpy(ret->unified, row.path, row.path_length);
        for (size_t i = 0; i < LAYOUT_V1_COUNT; i++)
            if (row.hierarchy > 0 && has_word(row.controllers, row.controllers_length, layout_v1_names[i]))
                memcpy(ret->v1[i], row.path, row.path_length);
    }
    return r;
}

int layout_parse(const char *mountinfo, const char *cgroup, struct layout *ret)
{
    struct own_paths own = {0};
    int r = parse_own(cgroup, &own);
    if (r < 0)
        return r;
    struct layout l = {0};
    for (const char *line = mountinfo; *line;) {
        struct mount_row row;
        r = parse_row(line, &row);
        if (r == 0 && is_type(&row, "cgroup2"))
            r = consider(&l.unified, &row, own.unified);
        for (size_t i = 0; r == 0 && i < LAYOUT_V1_COUNT && is_type(&row, "cgroup"); i++)
            if (has_word(row.options.at, row.options.length, layout_v1_names[i]))
                r = consider(&l.v1[i], &row, own.v1[i]);
        if (r < 0)
            return r;
        line += strcspn(line, "\n");
        line += *line == '\n';
    }
    *ret = l;
    return 0;
}

enum host_layout layout_kind(const struct layout *l)
{
    if (!l->unified.point[0])
        return HOST_LAYOUT_NONE;
    /* blkio alone on v1 does not make a hybrid of a host whose other controllers are on cgroup2 */
    for (size_t i = 0; i + 1 < LAYOUT_V1_COUNT; i++)
        if (l->v1[i].point[0])
            return HOST_LAYOUT_HYBRID;
    return HOST_LAYOUT_UNIFIED;
}
