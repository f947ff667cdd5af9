/* SPDX-License-Identifier: MIT */
/* Whole-file I/O; see the header. */
#include "weir/base/fdio.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "weir/base/cleanup.h"

int fd_open_at(int dirfd, const char *name, int flags)
{
    int fd;
    do
        fd = openat(dirfd, name, flags | O_CLOEXEC);
    while (fd < 0 && errno == EINTR);
    return fd < 0 ? -errno : fd;
}

ssize_t fd_pread_text(int fd, char *buf, size_t size)
{
    size_t length = 0;
    while (length < size - 1) {
        ssize_t n = pread(fd, buf + length, size - 1 - length, (off_t)length);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            break;
        length += (size_t)n;
    }
    buf[length] = '\0';
    char more;
    if (length == size - 1 && pread(fd, &more, 1, (off_t)length) > 0)
        return -EMSGSIZE;
    return (ssize_t)length;
}

ssize_t fd_read_text_at(int dirfd, const char *name, char *buf, size_t size)
{
    _cleanup_close_ int fd = fd_open_at(dirfd, name, O_RDONLY);
    if (fd < 0)
        return fd;
    return fd_pread_text(fd, buf, size);
}

int fd_write_text_at(int dirfd, const char *name, const char *text)
{
    _cleanup_close_ int fd = fd_open_at(dirfd, name, O_WRONLY);
    if (fd < 0)
        return fd;
    return fd_write_all(fd, text, strlen(text));
}

int fd_write_all(int fd, const void *data, size_t size)
{
    const char *p = data;
    while (size > 0) {
        ssize_t n = write(fd, p, size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            return -EIO;
        p += n;
        size -= (size_t)n;
    }
    return 0;
}

int fd_replace_file_at(int dirfd, const char *name, const void *data, size_t size, mode_t mode)
{
    char temp[NAME_MAX + 1];
    if (strchr(name, '/'))
        return -EINVAL;
    int n = snprintf(temp, sizeof(temp), ".%s.new", name);
    if (n < 0 || (size_t)n >= sizeof(temp))
        return -ENAMETOOLONG;
    /* a left-over of a crash goes first: opened with O_TRUNC it would keep its own mode, or be a link */
    if (unlinkat(dirfd, temp, 0) < 0 && errno != ENOENT)
        return -errno;
    _cleanup_close_ int fd = openat(dirfd, temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (fd < 0)
        return -errno;
    int r = fd_write_all(fd, data, size);
    if (r == 0 && fsync(fd) < 0)
        r = -errno;
    if (r == 0 && renameat(dirfd, temp, dirfd, name) < 0)
        r = -errno;
    if (r < 0)
        (void)unlinkat(dirfd, temp, 0);
    return r;
}

/* mkdir(2) says EEXIST for anything of that name, not only for a folder. */
static int check_is_folder(const char *path)
{
    struct stat st;
    if (stat(path, &st) < 0)
        return -errno;
    return S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
}

int path_mkdir_parents(const char *path, mode_t mode)
{
    char partial[PATH_MAX];
    size_t length = strlen(path);
    if (length == 0 || length >= sizeof(partial))
        return length ? -ENAMETOOLONG : -EINVAL;
    memcpy(partial, path, length + 1);
    for (char *p = partial + 1;; p++) {
        if (*p != '/' && *p != '\0')
            continue;
        char saved = *p;
        *p = '\0';
        if (mkdir(partial, mode) < 0 && errno != EEXIST)
            return -errno;
        *p = saved;
        if (saved == '\0')
            return check_is_folder(path);
    }
}
