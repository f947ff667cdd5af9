/* SPDX-License-Identifier: MIT */
/* Copies of lines; see the header. */
#include "copies.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "weir/base/cleanup.h"

#define COPY_PIECE       16384U /* chosen: on the stack */
#define COPY_FIRST_BYTES 512U   /* chosen: most requests fit, so that most are one allocation */

void copies_init(struct copies *c)
{
    *c = (struct copies){.fd = -1};
}

void copies_deinit(struct copies *c)
{
    cleanup_close(&c->fd);
    copies_init(c);
}

void copies_set(struct copies *c, uint64_t memory_limit, const char *spool_dir)
{
    c->memory_limit = memory_limit;
    (void)snprintf(c->spool_dir, sizeof(c->spool_dir), "%s", spool_dir);
}

/* A file without a name in folder, or a negative errno. */
static int open_nameless(const char *folder)
{
    char path[300];
    int fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd >= 0)
        return fd;
    /* file systems without O_TMPFILE */
    int n = snprintf(path, sizeof(path), "%s/.weir-gate.XXXXXX", folder);
    if (n < 0 || (size_t)n >= sizeof(path))
        return -ENAMETOOLONG;
    fd = mkostemp(path, O_CLOEXEC);
    if (fd < 0)
        return -errno;
    (void)unlink(path);
    return fd;
}

static int open_spool(struct copies *c)
{
    const char *folders[] = {c->spool_dir, "/var/tmp", "/tmp"};
    for (size_t i = 0; c->fd < 0 && i < ARRAY_SIZE(folders); i++)
        if (folders[i][0] != '\0')
            c->fd = open_nameless(folders[i]);
    return c->fd < 0 ? c->fd : 0;
}

static int write_at(int fd, const char *data, size_t size, uint64_t offset)
{
    while (size > 0) {
        ssize_t n = pwrite(fd, data, size, (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -EIO;
        data += n;
        offset += (uint64_t)n;
        size -= (size_t)n;
    }
    return 0;
}

static void free_memory(struct copies *c, struct copy *copy)
{
    c->memory_used -= copy->capacity;
    free(copy->data);
    copy->data = NULL;
    copy->capacity = 0;
}

static void leave_file(struct copies *c, const struct copy *copy)
{
    if (--c->file_live == 0) {
        (void)!ftruncate(c->fd, 0);
        c->file_end = 0;
    } else if (copy->size > 0) {
        (void)!fallocate(c->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)copy->file_offset,
                         (off_t)copy->size);
    }
}

void copy_drop(struct copies *c, struct copy *copy)
{
    if (copy->place == COPY_MEMORY)
        free_memory(c, copy);
    else if (copy->place == COPY_FILE)
        leave_file(c, copy);
    *copy = COPY_NULL;
}

void copy_move(struct copies *c, struct copy *to, struct copy *from)
{
    copy_drop(c, to);
    *to = *from;
    *from = COPY_NULL;
}

/* Room for size bytes more within the bound, or false. */
static bool grow_memory(struct copies *c, struct copy *copy, size_t size)
{
    uint64_t needed = copy->size + size;
    uint64_t capacity = copy->capacity ? copy->capacity : COPY_FIRST_BYTES;
    while (capacity < needed)
        capacity *= 2;
    if (c->memory_used - copy->capacity + capacity > c->memory_limit)
        capacity = needed; /* the last one that fits, to the byte */
    if (c->memory_used - copy->capacity + capacity > c->memory_limit)
        return false;
    char *data = realloc(copy->data, capacity);
    if (!data)
        return false;
    c->memory_used += capacity - copy->capacity;
    copy->data = data;
    copy->capacity = (size_t)capacity;
    copy->place = COPY_MEMORY;
    return true;
}

static int move_to_file(struct copies *c, struct copy *copy)
{
    int r = open_spool(c);
    if (r < 0)
        return r;
    r = write_at(c->fd, copy->data, (size_t)copy->size, c->file_end);
    if (r < 0)
        return r;
    free_memory(c, copy);
    copy->place = COPY_FILE;
    copy->file_offset = c->file_end;
    c->file_end += copy->size;
    c->file_live++;
    return 0;
}

/* Others were begun behind it: only what stands at the end can grow. */
static int move_to_end(struct copies *c, struct copy *copy)
{
    char piece[COPY_PIECE];
    struct copy old = *copy;
    for (uint64_t done = 0; done < old.size;) {
        const char *data;
        ssize_t n = copy_read(c, &old, done, piece, sizeof(piece), &data);
        int r = n > 0 ? write_at(c->fd, data, (size_t)n, c->file_end + done) : n < 0 ? (int)n : -EIO;
        if (r < 0)
            return r;
        done += (uint64_t)n;
    }
    copy->file_offset = c->file_end;
    c->file_end += copy->size;
    c->file_live++;
    leave_file(c, &old);
    return 0;
}

static int append_to_file(struct copies *c, struct copy *copy, const char *data, size_t size)
{
    int r = copy->file_offset + copy->size == c->file_end ? 0 : move_to_end(c, copy);
    if (r == 0)
        r = write_at(c->fd, data, size, c->file_end);
    if (r < 0)
        return r;
    c->file_end += size;
    copy->size += size;
    return 0;
}

int copy_append(struct copies *c, struct copy *copy, const char *data, size_t size)
{
    int r = 0;
    if (size == 0)
        return 0;
    if (copy->place != COPY_FILE) {
        if (copy->size + size <= copy->capacity || grow_memory(c, copy, size)) {
            memcpy(copy->data + copy->size, data, size);
            copy->size += size;
            return 0;
        }
        r = move_to_file(c, copy);
    }
    if (r == 0)
        r = append_to_file(c, copy, data, size);
    if (r < 0)
        copy_drop(c, copy);
    return r;
}

ssize_t copy_read(const struct copies *c, const struct copy *copy, uint64_t offset, char *buf, size_t size,
                  const char **ret)
{
    uint64_t left = offset < copy->size ? copy->size - offset : 0;
    if (left == 0)
        return 0;
    if (size > left)
        size = (size_t)left;
    if (copy->place == COPY_MEMORY) {
        *ret = copy->data + offset;
        return (ssize_t)left; /* it is all there: no need to take it in pieces */
    }
    ssize_t n;
    do
        n = pread(c->fd, buf, size, (off_t)(copy->file_offset + offset));
    while (n < 0 && errno == EINTR);
    *ret = buf;
    return n < 0 ? -errno : n;
}
