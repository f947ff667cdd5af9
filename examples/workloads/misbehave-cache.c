/* SPDX-License-Identifier: MIT */
/*
 * misbehave, cache: a program that fills a cache and gives it back when it is told of memory pressure, by systemd's
 * memory pressure protocol, with nothing but a file descriptor.
 *
 * The protocol: MEMORY_PRESSURE_WATCH is a path ("/dev/null" or nothing: there is nobody to listen to). A regular file is a
 * PSI file of the kernel's, told by POLLPRI; a FIFO is told by POLLIN, and what is in it is read and thrown away.
 * (https://systemd.io/MEMORY_PRESSURE; MEMORY_PRESSURE_WRITE, what to write first, is only for PSI files and sockets, which
 * this program does without.)
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "misbehave.h"
#include "resident.h"
#include "sys.h"

#define MB_BYTES (1024.0 * 1024.0)

enum { STEP_MS = 10 }; /* chosen: growth in hundredths of a second */

/* The descriptor to be polled for POLLIN; -1 where nobody asked for any. */
static int open_watch(void)
{
    const char *path = getenv("MEMORY_PRESSURE_WATCH");
    struct stat st;
    if (!path || !*path || strcmp(path, "/dev/null") == 0) {
        sys_log_line(STDOUT_FILENO, "MEMORY_PRESSURE_WATCH is not set: keeping all");
        return -1;
    }
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0 || !S_ISFIFO(st.st_mode)) {
        sys_log_line(STDERR_FILENO, "misbehave: MEMORY_PRESSURE_WATCH: %s: %s", path,
                     fd < 0 ? strerror(errno) : "is no FIFO");
        _exit(1);
    }
    return fd;
}

/* Waits one step; true when it was told meanwhile. */
static bool told(int fd)
{
    char discard[256];
    struct pollfd watch = {.fd = fd, .events = POLLIN};
    if (poll(&watch, 1, STEP_MS) > 0 && !(watch.revents & POLLIN))
        sys_sleep_us(STEP_MS * 1000); /* nobody is there to tell: not for ever */
    if (!(watch.revents & POLLIN))
        return false;
    while (read(fd, discard, sizeof discard) > 0)
        ;
    return true;
}

int misbehave_cache(const struct misbehave_args *args)
{
    struct resident memory = RESIDENT_NULL;
    int fd = open_watch();
    for (;;) {
        double wanted_bytes = (double)memory.size_bytes + args->rate * MB_BYTES * STEP_MS / 1000;
        if (wanted_bytes < (double)args->limit_bytes && resident_resize(&memory, (int64_t)wanted_bytes) < 0)
            return 1;
        if (!told(fd))
            continue;
        sys_log_line(STDOUT_FILENO, "told of memory pressure: giving %.1f MB back",
                     (double)memory.size_bytes / MB_BYTES);
        (void)resident_resize(&memory, 0);
    }
}
