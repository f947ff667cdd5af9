/* SPDX-License-Identifier: MIT */
/*
 * sys: see sys.h.
 */
#include "sys.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { LOG_LINE_MAX = 4096 }; /* chosen: PIPE_BUF, so that one line is one atomic pipe write */

static int64_t clock_us(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int64_t sys_now_us(void)
{
    return clock_us(CLOCK_MONOTONIC);
}

void sys_sleep_until_us(int64_t due_us)
{
    const struct timespec due = {.tv_sec = due_us / 1000000, .tv_nsec = due_us % 1000000 * 1000};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL) == EINTR)
        ;
}

void sys_sleep_us(int64_t duration_us)
{
    sys_sleep_until_us(sys_now_us() + duration_us);
}

int sys_write_all(int fd, const void *data, size_t size)
{
    const char *at = data;
    while (size > 0) {
        ssize_t n = write(fd, at, size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        at += n;
        size -= (size_t)n;
    }
    return 0;
}

int sys_read_file(const char *path, char *buffer, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    size_t used = 0;
    while (used + 1 < size) {
        ssize_t n = read(fd, buffer + used, size - 1 - used);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            int error = -errno;
            close(fd);
            return error;
        }
        if (n == 0)
            break;
        used += (size_t)n;
    }
    close(fd);
    buffer[used] = '\0';
    return (int)used;
}

/* The number behind `key` in the text of /proc/PID/status; 0 where the kernel leaves the line out (no swap).
 */
static int64_t status_number(const char *text, const char *key)
{
    const char *line = strstr(text, key);
    return line ? strtoll(line + strlen(key), NULL, 10) : 0;
}

int sys_read_self(struct sys_self *ret_self)
{
    char text[4096];
    int n = sys_read_file("/proc/self/status", text, sizeof text);
    if (n < 0)
        return n;
    *ret_self = (struct sys_self){
        .rss_bytes = status_number(text, "\nVmRSS:") * 1024,
        .swap_bytes = status_number(text, "\nVmSwap:") * 1024,
        .vsz_bytes = status_number(text, "\nVmSize:") * 1024,
        .threads_count = status_number(text, "\nThreads:"),
    };
    return 0;
}

void sys_burn_cpu_us(int64_t duration_us)
{
    int64_t end_us = clock_us(CLOCK_THREAD_CPUTIME_ID) + duration_us;
    volatile uint64_t sink = 1;
    while (clock_us(CLOCK_THREAD_CPUTIME_ID) < end_us) {
        for (int i = 0; i < 10000; i++)
            sink = sink * 6364136223846793005u + 1442695040888963407u;
    }
}

void sys_log_line(int fd, const char *format, ...)
{
    char line[LOG_LINE_MAX];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(line, sizeof line - 1, format, args);
    va_end(args);
    if (n < 0)
        return;
    size_t length = (size_t)n < sizeof line - 1 ? (size_t)n : sizeof line - 2;
    line[length] = '\n';
    (void)sys_write_all(fd, line, length + 1); /* a log nobody reads is no reason to stop; ignoring */
}

void sys_disable_core(void)
{
    const struct rlimit none = {0, 0};
    (void)setrlimit(RLIMIT_CORE, &none); /* only tidiness; ignoring */
}
