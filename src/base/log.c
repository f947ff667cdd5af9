/* SPDX-License-Identifier: MIT */
/* weir's own log lines; see the header. The level is the only state of this layer, and it is write-once. */
#include "weir/base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "weir/base/cleanup.h"
#include "weir/base/fdio.h"

static _Atomic int max_level = LOG_LEVEL_INFO;

void log_set_level(enum log_level level)
{
    atomic_store(&max_level, (int)level);
}

/* JOURNAL_STREAM is inherited by children whose stderr goes elsewhere: only device:inode tells,
 * systemd.exec(5). */
static bool is_journal_stream(const struct stat *st)
{
    const char *stream = getenv("JOURNAL_STREAM");
    char mine[48];
    (void)snprintf(mine, sizeof(mine), "%llu:%llu", (unsigned long long)st->st_dev,
                   (unsigned long long)st->st_ino);
    return stream && strcmp(stream, mine) == 0;
}

static int write_prefix(enum log_level level, char *buf, size_t size)
{
    static const char *const words[] = {"", "", "", "error: ", "warning: ", "", "", "debug: "};
    static const char *const colours[] = {"", "", "", "\033[1;31m", "\033[1;33m", "", "", "\033[2m"};
    struct stat st;
    if (fstat(STDERR_FILENO, &st) == 0 && is_journal_stream(&st))
        return snprintf(buf, size, "<%d>", (int)level);
    struct timespec now;
    struct tm tm;
    clock_gettime(CLOCK_REALTIME, &now);
    localtime_r(&now.tv_sec, &tm);
    const char *term = getenv("TERM");
    bool coloured =
        *colours[level] && isatty(STDERR_FILENO) && !getenv("NO_COLOR") && term && strcmp(term, "dumb") != 0;
    return snprintf(buf, size, "%02d:%02d:%02d.%03ld %s%s%s", tm.tm_hour, tm.tm_min, tm.tm_sec,
                    now.tv_nsec / 1000000, coloured ? colours[level] : "", words[level],
                    coloured ? "\033[0m" : "");
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
