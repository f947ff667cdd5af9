/* SPDX-License-Identifier: MIT */
/* The table of system calls, and the file helpers on top of it; see sys.h. */
#include "sys.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "weir/base/cleanup.h"
#include "weir/model/kernel.h"

#define IO_ALL_MAX ((size_t)4 << 20) /* chosen: mountinfo of a host with thousands of containers fits */

static int sys_openat(int dirfd, const char *name, int flags, mode_t mode)
{
    return openat(dirfd, name, flags, mode);
}

static int sys_dup_above(int fd, int lowest)
{
    return fcntl(fd, F_DUPFD_CLOEXEC, lowest);
}

static pid_t sys_clone3(struct clone_args *args, size_t size)
{
    return (pid_t)syscall(SYS_clone3, args, size);
}

static int sys_pidfd_open(pid_t pid, unsigned int flags)
{
    return (int)syscall(SYS_pidfd_open, pid, flags);
}

static int sys_ioctl(int fd, unsigned long request, void *argument)
{
    return ioctl(fd, request, argument);
}

static void *sys_map_shared(size_t size)
{
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return p == MAP_FAILED ? NULL : p;
}

static void sys_unmap(void *memory, size_t size)
{
    (void)munmap(memory, size);
}

struct host_sys host_sys = {
    .openat = sys_openat,
    .read = read,
    .pread = pread,
    .write = write,
    .mkdirat = mkdirat,
    .unlinkat = unlinkat,
    .socketpair = socketpair,
    .eventfd = eventfd,
    .dup_above = sys_dup_above,
    .clone3 = sys_clone3,
    .fork = fork,
    .waitid = waitid,
    .poll = poll,
    .kill = kill,
    .pidfd_open = sys_pidfd_open,
    .ioctl = sys_ioctl,
    .calloc = calloc,
    .map_shared = sys_map_shared,
    .unmap = sys_unmap,
    .v1_create = cgroup_create_cgroup,
    .v1_modify = cgroup_modify_cgroup,
    .v1_delete = cgroup_delete_cgroup_ext,
};

int io_open_at(int dirfd, const char *name, int flags)
{
    int fd;
    do
        fd = host_sys.openat(dirfd, name, flags | O_CLOEXEC, 0);
    while (fd < 0 && errno == EINTR);
    return fd < 0 ? -errno : fd;
}

static ssize_t read_part(int fd, char *buf, size_t size, size_t offset)
{
    ssize_t n;
    do
        n = host_sys.pread(fd, buf, size, (off_t)offset);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

ssize_t io_read_fd(int fd, char *buf, size_t size)
{
    ssize_t n = read_part(fd, buf, size - 1, 0);
    if (n < 0)
        return n;
    if ((size_t)n == size - 1)
        return -EMSGSIZE;
    buf[n] = '\0';
    return n;
}

ssize_t io_read_at(int dirfd, const char *name, char *buf, size_t size)
{
    _cleanup_close_ int fd = io_open_at(dirfd, name, O_RDONLY);
    if (fd < 0)
        return fd;
    return io_read_fd(fd, buf, size);
}

ssize_t io_read_long_fd(int fd, char *buf, size_t size)
{
    size_t length = 0;
    while (length < size - 1) {
        ssize_t n = read_part(fd, buf + length, size - 1 - length, length);
        if (n < 0)
            return n;
        if (n == 0) {
            buf[length] = '\0';
            return (ssize_t)length;
        }
        length += (size_t)n;
    }
    buf[length] = '\0';
    return -EMSGSIZE;
}

int io_read_all_at(int dirfd, const char *name, char **ret)
{
    _cleanup_close_ int fd = io_open_at(dirfd, name, O_RDONLY);
    if (fd < 0)
        return fd;
    for (size_t size = 16384; size <= IO_ALL_MAX; size *= 2) {
        _cleanup_free_ char *buf = host_sys.calloc(size, 1);
        if (!buf)
            return -ENOMEM;
        ssize_t n = io_read_long_fd(fd, buf, size);
        if (n == -EMSGSIZE)
            continue;
        if (n < 0)
            return (int)n;
        *ret = steal_ptr(&buf);
        return 0;
    }
    return -EFBIG;
}

int io_value_at(int dirfd, const char *name, uint64_t *ret)
{
    char text[64];
    ssize_t n = io_read_at(dirfd, name, text, sizeof(text));
    if (n < 0)
        return (int)n;
    return kernel_parse_value(text, ret);
}

int io_write_at(int dirfd, const char *name, const char *text, int flags)
{
    _cleanup_close_ int fd = io_open_at(dirfd, name, O_WRONLY | flags);
    if (fd < 0)
        return fd;
    size_t size = strlen(text);
    ssize_t n;
    do
        n = host_sys.write(fd, text, size);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return -errno;
    return (size_t)n == size ? 0 : -EIO;
}

bool io_exists_at(int dirfd, const char *name)
{
    return faccessat(dirfd, name, F_OK, 0) == 0;
}

void io_pause_us(uint64_t us)
{
    struct timespec t = {.tv_sec = (time_t)(us / 1000000), .tv_nsec = (long)(us % 1000000) * 1000};
    (void)nanosleep(&t, NULL);
}
