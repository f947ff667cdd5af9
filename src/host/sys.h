/* SPDX-License-Identifier: MIT */
/*
 * The system calls of the host layer that can fail, as a table a test can overrule: "fail the Nth host
 * operation, for every N" is tests/fault/test_host_fail_nth.c. The product never writes to it.
 *
 * Above the table: the few file helpers that the whole layer uses. They are not base's fdio, because every
 * step must pass through the table, and because cgroup files have manners of their own: one read(2) gives
 * all of a file that the kernel shows in one piece, one write(2) is one command.
 * close(2) is not in the table: nothing could be done about its failure.
 */
#ifndef WEIR_HOST_SYS_H
#define WEIR_HOST_SYS_H

#include <libcgroup.h>
#include <linux/sched.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/wait.h>

struct host_sys {
    int (*openat)(int dirfd, const char *name, int flags, mode_t mode);
    ssize_t (*read)(int fd, void *buf, size_t size);
    ssize_t (*pread)(int fd, void *buf, size_t size, off_t offset);
    ssize_t (*write)(int fd, const void *buf, size_t size);
    int (*mkdirat)(int dirfd, const char *name, mode_t mode);
    int (*unlinkat)(int dirfd, const char *name, int flags);
    int (*socketpair)(int domain, int type, int protocol, int fds[2]);
    int (*eventfd)(unsigned int initial, int flags);
    int (*dup_above)(int fd, int lowest); /* fcntl(F_DUPFD_CLOEXEC) */
    pid_t (*clone3)(struct clone_args *args, size_t size);
    pid_t (*fork)(void);
    int (*waitid)(idtype_t type, id_t id, siginfo_t *info, int options);
    int (*poll)(struct pollfd *fds, nfds_t count, int timeout_ms);
    int (*kill)(pid_t pid, int signal);
    int (*pidfd_open)(pid_t pid, unsigned int flags);
    int (*ioctl)(int fd, unsigned long request, void *argument);
    void *(*calloc)(size_t count, size_t size);
    void *(*map_shared)(size_t size); /* zeroed memory that forks share; NULL = none */
    void (*unmap)(void *memory, size_t size);
    /* libcgroup, v1 hierarchies only: 0 or its own error number */
    int (*v1_create)(struct cgroup *cgroup, int ignore_ownership);
    int (*v1_modify)(struct cgroup *cgroup);
    int (*v1_delete)(struct cgroup *cgroup, int flags);
};

extern struct host_sys host_sys;

/* All return 0 or more, or a negative errno. */

int io_open_at(int dirfd, const char *name, int flags);

/* One pread at 0, NUL-terminated: the whole of a file that the kernel shows in one piece. -EMSGSIZE when it
 * did not fit. */
ssize_t io_read_fd(int fd, char *buf, size_t size);
ssize_t io_read_at(int dirfd, const char *name, char *buf, size_t size);

/* Reads on until the end (cgroup.procs comes a page at a time). -EMSGSIZE: buf is full, and terminated. */
ssize_t io_read_long_fd(int fd, char *buf, size_t size);

/* A whole file of unknown size into *ret (free it). At most 4 MiB: -EFBIG. */
int io_read_all_at(int dirfd, const char *name, char **ret);

/* A file of one number or "max" (UINT64_MAX). */
int io_value_at(int dirfd, const char *name, uint64_t *ret);

/* One write(2). flags: 0 or O_NONBLOCK. */
int io_write_at(int dirfd, const char *name, const char *text, int flags);

bool io_exists_at(int dirfd, const char *name);

/* Waits without a signal's help; bounded steps of the retry loops. */
void io_pause_us(uint64_t us);

#endif
