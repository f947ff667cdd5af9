/* SPDX-License-Identifier: MIT */
/* weir's own log lines; see the header. The level is the only state of this layer, and it is write-once. */
#include "weir/base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "weir/base/cleanup.h"
#include "weir/base/fdio.h"

static _Atomic int max_level = LOG_LEVEL_INFO;

void log_set_level(enum log_level level)
{
    atomic_store(&max_level, (int)level);
}

static int write_prefix(enum log_level level, char *buf, size_t size)
{
    if (getenv("JOURNAL_STREAM"))
        return snprintf(buf, size, "<%d>", (int)level);
    struct timespec now;
    struct tm tm;
    clock_gettime(CLOCK_REALTIME, &now);
    localtime_r(&now.tv_sec, &tm);
    static const char *const words[] = {"", "", "", "error: ", "warning: ", "", "", "debug: "};
    return snprintf(buf, size, "%02d:%02d:%02d.%03ld %s", tm.tm_hour, tm.tm_min, tm.tm_sec,
                    now.tv_nsec / 1000000, words[level]);
}

void log_message(enum log_level level, const char *fmt, ...)
{
    if ((int)level > atomic_load(&max_level))
        return;
    char line[2048];
    int n = write_prefix(level, line, sizeof(line));
    va_list ap;
    va_start(ap, fmt);
    int m = vsnprintf(line + n, sizeof(line) - (size_t)n - 1, fmt, ap);
    va_end(ap);
    if (m < 0)
        return;
    size_t length = (size_t)n + (size_t)m;
    if (length > sizeof(line) - 2)
        length = sizeof(line) - 2;
    line[length++] = '\n';
    /* nobody is left to tell when stderr is gone, ignoring */
    (void)fd_write_all(STDERR_FILENO, line, length);
}
