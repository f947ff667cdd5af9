/* SPDX-License-Identifier: MIT */
/* A temporary folder that is removed with all that is in it, and whole files in it. */
#ifndef WEIR_TESTS_SCRATCH_H
#define WEIR_TESTS_SCRATCH_H

#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"

struct scratch {
    char path[64];
};

static inline void scratch_init(struct scratch *s)
{
    snprintf(s->path, sizeof(s->path), "/tmp/weir-test.XXXXXX");
    assert_non_null(mkdtemp(s->path));
}

static inline int scratch_remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

static inline void scratch_deinit(struct scratch *s)
{
    (void)nftw(s->path, scratch_remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

/* PATH/name in one of four buffers, used in turn. */
static inline const char *scratch_path(const struct scratch *s, const char *name)
{
    static char paths[4][PATH_MAX];
    static unsigned next;
    char *path = paths[next++ % 4];
    snprintf(path, PATH_MAX, "%s/%s", s->path, name);
    return path;
}

/* The file's bytes, NUL-terminated, malloc'ed; *ret_size may be NULL. "" when there is no such file. */
static inline char *scratch_read(const struct scratch *s, const char *name, size_t *ret_size)
{
    int fd = open(scratch_path(s, name), O_RDONLY | O_CLOEXEC);
    struct stat st = {0};
    if (fd >= 0)
        assert_int_equal(fstat(fd, &st), 0);
    char *data = calloc(1, (size_t)st.st_size + 1);
    assert_non_null(data);
    if (fd >= 0) {
        assert_int_equal(read(fd, data, (size_t)st.st_size), st.st_size);
        close(fd);
    }
    if (ret_size)
        *ret_size = (size_t)st.st_size;
    return data;
}

static inline void scratch_expect(const struct scratch *s, const char *name, const char *text)
{
    char *data = scratch_read(s, name, NULL);
    assert_string_equal(data, text);
    free(data);
}

static inline void scratch_write(const struct scratch *s, const char *name, const char *text)
{
    int fd = open(scratch_path(s, name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

static inline int scratch_exists(const struct scratch *s, const char *name)
{
    return access(scratch_path(s, name), F_OK) == 0;
}

#endif
