/* SPDX-License-Identifier: MIT */
/*
 * sys: the few system calls all workloads share, with their traps handled once.
 *
 * Writes survive EINTR and short counts, sleeps are absolute and survive EINTR, and a program's own memory
 * and threads are read from the kernel's own files. Nothing here knows about traces, documents or servers.
 */
#ifndef WORKLOADS_SYS_H
#define WORKLOADS_SYS_H

#include <stddef.h>
#include <stdint.h>

/* What the kernel says about this process. Filled by sys_read_self(). */
struct sys_self {
    int64_t rss_bytes;
    int64_t swap_bytes;
    int64_t vsz_bytes;
    int64_t threads_count;
};

/* Monotonic clock, microseconds. */
int64_t sys_now_us(void);

/* Sleeps until the monotonic clock shows due_us, however many signals arrive. Returns at once if it has
 * passed. */
void sys_sleep_until_us(int64_t due_us);

/* Sleeps duration_us from now. */
void sys_sleep_us(int64_t duration_us);

/* Writes all of it, or returns a negative errno (-EPIPE when the reader is gone and SIGPIPE is ignored). */
int sys_write_all(int fd, const void *data, size_t size);

/* Reads a small file under /proc or similar into buffer, NUL-terminated. Returns the length or a negative
 * errno. */
int sys_read_file(const char *path, char *buffer, size_t size);

/* Reads VmRSS, VmSwap, VmSize and Threads of this process. Returns 0 or a negative errno. */
int sys_read_self(struct sys_self *ret_self);

/* Burns duration_us of *CPU time* of the calling thread: under a CPU limit it takes longer, as real work
 * does. */
void sys_burn_cpu_us(int64_t duration_us);

/* Writes one line (prefix, text, newline) to fd in a single write, so that lines of threads do not mix. */
void sys_log_line(int fd, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Dying on purpose should not fill a disk: no core file from here on. */
void sys_disable_core(void);

#endif
