/* SPDX-License-Identifier: MIT */
/*
 * Size-rotated output file; see the header.
 *
 * The size is asked of the kernel before each write, not remembered: an operator may empty the file, and one
 * who deletes it gets a new file with the next write. Not O_APPEND, which splice(2) refuses: all is written at
 * the size just asked for.
 *
 * splice(2) from a pipe writes and consumes under the pipe's lock (fs/splice.c, iter_file_splice_write): of a
 * write that ends early, for a full disk or a fatal signal, exactly what was written has left the pipe.
 *
 * Rotation renames from the oldest to the newest; when it is cut off in the middle a number is missing,
 * nothing else. A rotation that cannot be done is a failure to write: the size bound holds before all.
 * Nothing is synced: a log line is not worth a disk's flush.
 */
#include "logfile.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "peek.h"
#include "weir/base/cleanup.h"
#include "weir/base/fdio.h"
#include "weir/base/units.h"

#define RETRY_US USEC_PER_SEC /* chosen: cheap on a full disk, soon enough for a person who makes room */

static int system_open(int dirfd, const char *name, int flags, mode_t mode)
{
    return openat(dirfd, name, flags, mode);
}

static ssize_t system_splice(int pipe, int fd, size_t size, off_t at)
{
    return splice(pipe, NULL, fd, &at, size, SPLICE_F_NONBLOCK);
}

static const struct logfile_ops system_ops = {
    .open = system_open,
    .write = pwrite,
    .splice = system_splice,
    .rename = renameat,
    .unlink = unlinkat,
};

/* What is left to be written. */
struct cursor {
    const char *data;
    size_t size;
    int pipe; /* data is a copy of what is in there; -1 = data is all there is */
};

static void close_fd(int *fd)
{
    cleanup_close(fd);
    *fd = -1;
}

static int open_dir(struct logfile *f)
{
    if (f->dirfd >= 0)
        return 0;
    char dir[PATH_MAX];
    size_t length = (size_t)(f->name - f->path);
    if (length >= sizeof(dir))
        return -ENAMETOOLONG;
    memcpy(dir, length ? f->path : ".", length ? length : 1);
    dir[length ? length : 1] = '\0';
    int r = path_mkdir_parents(dir, 0755);
    if (r < 0)
        return r;
    f->dirfd = fd_open_at(AT_FDCWD, dir, O_RDONLY | O_DIRECTORY);
    return f->dirfd < 0 ? f->dirfd : 0;
}

/* Whether the open file ends in the middle of a line (it then goes on there: an earlier weir's last piece).
 */
static bool ends_mid_line(const struct logfile *f)
{
    _cleanup_close_ int fd = fd_open_at(f->dirfd, f->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    char last;
    return fd >= 0 && f->size > 0 && pread(fd, &last, 1, (off_t)f->size - 1) == 1 && last != '\n';
}

static int open_file(struct logfile *f, int more_flags)
{
    /* O_NONBLOCK: a FIFO in the file's place must not stop the loop */
    int flags = O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | more_flags;
    _cleanup_close_ int fd = f->ops->open(f->dirfd, f->name, flags, 0640);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0) {
        int r = -errno;
        if (r == -ENOENT) /* the folder itself was removed */
            close_fd(&f->dirfd);
        return r;
    }
    if (!S_ISREG(st.st_mode))
        return -EINVAL;
    f->size = (uint64_t)st.st_size;
    f->fd = steal_fd(&fd);
    f->mid_line = ends_mid_line(f);
    return 0;
}

/* After this fd is the file that stands under the name, and size is its size. */
static int ensure_open(struct logfile *f)
{
    struct stat st;
    if (f->fd >= 0 && fstat(f->fd, &st) == 0 && st.st_nlink > 0) {
        f->size = (uint64_t)st.st_size;
        if (f->size == 0)
            f->mid_line = false;
        return 0;
    }
    close_fd(&f->fd);
    int r = open_dir(f);
    if (r == 0)
        r = open_file(f, 0);
    if (r == -ENOENT && f->dirfd < 0)
        r = (r = open_dir(f)) < 0 ? r : open_file(f, 0);
    return r;
}

static int numbered_name(const struct logfile *f, uint32_t number, char name[static NAME_MAX + 1])
{
    int n = number ? snprintf(name, NAME_MAX + 1, "%s.%" PRIu32, f->name, number)
                   : snprintf(name, NAME_MAX + 1, "%s", f->name);
    return n < 0 || n > NAME_MAX ? -ENAMETOOLONG : 0;
}

/* Moves number to number + 1; one that is not there is no failure. */
static int shift(struct logfile *f, uint32_t number)
{
    char from[NAME_MAX + 1], to[NAME_MAX + 1];
    if (numbered_name(f, number, from) < 0 || numbered_name(f, number + 1, to) < 0)
        return -ENAMETOOLONG;
    if (f->ops->rename(f->dirfd, from, f->dirfd, to) < 0 && errno != ENOENT)
        return -errno;
    return 0;
}

/* Removes those above the number kept, for as long as there are any (log_files was lowered). */
static void remove_surplus(struct logfile *f)
{
    char name[NAME_MAX + 1];
    uint32_t i = f->files + 1;
    while (i != 0 && numbered_name(f, i, name) == 0 && f->ops->unlink(f->dirfd, name, 0) == 0)
        i++;
}

static int rotate(struct logfile *f)
{
    remove_surplus(f);
    if (f->files == 0 && f->ops->unlink(f->dirfd, f->name, 0) < 0 && errno != ENOENT)
        return -errno;
    for (uint32_t i = f->files; i-- > 0;) {
        int r = shift(f, i);
        if (r < 0)
            return r;
    }
    close_fd(&f->fd);
    int r = open_file(f, O_EXCL);
    if (r < 0)
        return r;
    f->rotations++;
    return 0;
}

/* How much of what is left goes into the open file: whole lines where that is possible. 0: rotate first. */
static size_t part_length(const struct logfile *f, const struct cursor *c)
{
    if (f->max_bytes == 0 || f->max_bytes == UINT64_MAX)
        return c->size;
    uint64_t room = f->max_bytes > f->size ? f->max_bytes - f->size : 0;
    if (c->size <= room)
        return c->size;
    const char *last = memrchr(c->data, '\n', (size_t)room);
    if (last)
        return (size_t)(last - c->data) + 1;
    if (f->size > 0 && !f->mid_line)
        return 0;
    return (size_t)room;
}

/* No failure of the disk: this file system cannot splice, or a filter forbids it, or another reader took the bytes (they
 * are written from the copy then). */
static bool is_splice_refused(int e)
{
    return e == EINVAL || e == EOPNOTSUPP || e == ENOSYS || e == EPERM || e == EAGAIN;
}

/* Writes some of the first `size` bytes, which then have left the pipe. */
static ssize_t put(struct logfile *f, const struct cursor *c, size_t size)
{
    ssize_t n;
    if (c->pipe >= 0) {
        n = f->ops->splice(c->pipe, f->fd, size, (off_t)f->size);
        if (n > 0 || (n < 0 && !is_splice_refused(errno)))
            return n;
    }
    n = f->ops->write(f->fd, c->data, size, (off_t)f->size);
    if (n > 0 && c->pipe >= 0)
        (void)peek_discard(c->pipe, (size_t)n);
    return n;
}

static int write_part(struct logfile *f, struct cursor *c, size_t size)
{
    while (size > 0) {
        ssize_t n = put(f, c, size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -EIO;
        f->mid_line = c->data[n - 1] != '\n';
        f->size += (uint64_t)n;
        c->data += n;
        c->size -= (size_t)n;
        size -= (size_t)n;
    }
    return 0;
}

static int write_parts(struct logfile *f, struct cursor *c)
{
    while (c->size > 0) {
        size_t size = part_length(f, c);
        int r = size ? write_part(f, c, size) : rotate(f);
        if (r < 0)
            return r;
    }
    return 0;
}

/* The first words after a failure: what is missing here. */
static int write_gap_mark(struct logfile *f)
{
    if (f->gap_bytes == 0)
        return 0;
    char mark[128];
    int n = snprintf(mark, sizeof(mark), "%sweir: %" PRIu64 " bytes of output could not be written here\n",
                     f->mid_line ? "\n" : "", f->gap_bytes);
    struct cursor c = {mark, (size_t)n, -1};
    int r = write_parts(f, &c);
    if (r == 0)
        f->gap_bytes = 0;
    return r;
}

static int write_all(struct logfile *f, struct cursor *c)
{
    int r = ensure_open(f);
    if (r == 0)
        r = write_gap_mark(f);
    if (r == 0)
        r = write_parts(f, c);
    return r;
}

static int note_failure(struct logfile *f, int r, uint64_t now_us, struct err *reterr)
{
    f->write_errors++;
    f->failing = r;
    f->retry_us = now_us + RETRY_US;
    return err_errno(reterr, r, "writing %s", f->path);
}

int logfile_move(struct logfile *f, int pipe, const char *data, size_t size, uint64_t now_us,
                 struct err *reterr)
{
    struct cursor c = {data, size, pipe};
    bool is_tried = !f->failing || now_us >= f->retry_us;
    int r = is_tried ? write_all(f, &c) : f->failing;
    if (c.pipe >= 0)
        (void)peek_discard(c.pipe, c.size);
    f->unwritten_bytes += c.size;
    f->gap_bytes += c.size;
    if (r == 0)
        f->failing = 0;
    return r < 0 && is_tried ? note_failure(f, r, now_us, reterr) : r;
}

int logfile_write(struct logfile *f, const char *data, size_t size, uint64_t now_us, struct err *reterr)
{
    return logfile_move(f, -1, data, size, now_us, reterr);
}

int logfile_init(struct logfile *f, const char *path, uint64_t max_bytes, uint32_t files, uint64_t now_us,
                 const struct logfile_ops *ops, struct err *reterr)
{
    *f = LOGFILE_NULL;
    f->ops = ops ? ops : &system_ops;
    f->max_bytes = max_bytes;
    f->files = files;
    f->path = strdup(path);
    if (!f->path)
        return err_errno(reterr, -ENOMEM, "opening %s", path);
    const char *slash = strrchr(f->path, '/');
    f->name = slash ? slash + 1 : f->path;
    int r = ensure_open(f);
    return r < 0 ? note_failure(f, r, now_us, reterr) : 0;
}

void logfile_deinit(struct logfile *f)
{
    close_fd(&f->fd);
    close_fd(&f->dirfd);
    free(f->path);
    *f = LOGFILE_NULL;
}
