/* SPDX-License-Identifier: MIT */
/*
 * A file that takes a unit's output and is rotated by size: NAME, NAME.1 (newer) ... NAME.N (older).
 *
 * Bytes go in as they are. No file grows above max_bytes; a rotation falls between two lines, unless one
 * line alone is longer than a file. A failure (disk full, folder gone) is a state, not an end: the bytes of
 * that time are counted, a new attempt is made once a second, and the file then tells how much is missing.
 * What must not go in here: when to write, and what to tell a person.
 */
#ifndef WEIR_APP_LOGFILE_H
#define WEIR_APP_LOGFILE_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "weir/base/err.h"

/* Every system call that can fail for want of space or rights, so that a test can make the Nth one fail. Each
 * behaves as its namesake (-1 and errno), write as pwrite(2). */
struct logfile_ops {
    int (*open)(int dirfd, const char *name, int flags, mode_t mode);
    ssize_t (*write)(int fd, const void *data, size_t size, off_t at);
    ssize_t (*splice)(int pipe, int fd, size_t size, off_t at); /* never waits for the pipe */
    int (*rename)(int olddirfd, const char *oldname, int newdirfd, const char *newname);
    int (*unlink)(int dirfd, const char *name, int flags);
};

struct logfile {
    const struct logfile_ops *ops;
    char *path;       /* owned */
    const char *name; /* the last part of path */
    int dirfd, fd;    /* -1 = not open */
    uint64_t size;    /* of the open file */
    uint64_t max_bytes;
    uint32_t files;
    bool mid_line;      /* the file's last byte is no newline */
    int failing;        /* negative errno of the failure that goes on; 0 = writing works */
    uint64_t retry_us;  /* failing: not tried again before */
    uint64_t gap_bytes; /* failing: lost since the last good write */
    uint64_t rotations, write_errors, unwritten_bytes;
};

#define LOGFILE_NULL ((struct logfile){.dirfd = -1, .fd = -1})

/* Opens (or makes, 0640, with its folders, 0755) the file to go on at its end. max_bytes: 0 or UINT64_MAX = never
 * rotated; files: rotated ones kept, 0 = the file is begun anew. ops: NULL = the system's. Returns 0, -ENOMEM
 * (nothing is held), or another negative errno: the logfile is usable all the same, and tries again with the
 * writes. Blocks on the disk. */
int logfile_init(struct logfile *f, const char *path, uint64_t max_bytes, uint32_t files, uint64_t now_us,
                 const struct logfile_ops *ops, struct err *reterr);

/* Appends. now_us: monotonic, decides whether a failing file is tried again. Returns 0, or a negative errno:
 * what was not written is lost and counted. reterr is filled at a failed attempt only. Blocks on the disk. */
int logfile_write(struct logfile *f, const char *data, size_t size, uint64_t now_us, struct err *reterr);

/* As logfile_write, for bytes that are still in a pipe: data is a copy of its first `size` bytes (peek.h), and this
 * process its only reader. They leave the pipe by the very call that writes them, which SIGKILL does not split: a killed
 * weir has neither lost nor repeated one. Where the file cannot do that (EINVAL) they leave right after the write, so
 * that a kill in between repeats them. What could not be written leaves too, lost and counted. */
int logfile_move(struct logfile *f, int pipe, const char *data, size_t size, uint64_t now_us,
                 struct err *reterr);

void logfile_deinit(struct logfile *f); /* idempotent */

#endif
