/* SPDX-License-Identifier: MIT */
/*
 * Whole-file I/O relative to a folder's fd. Every fd is O_CLOEXEC; EINTR is retried; a short write is an
 * error, never silent.
 */
#ifndef WEIR_BASE_FDIO_H
#define WEIR_BASE_FDIO_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Opens name under dirfd with flags | O_CLOEXEC. Returns the fd (owned by the caller) or a negative errno. */
int fd_open_at(int dirfd, const char *name, int flags);

/* Reads from offset 0 of a kept-open file into buf, always NUL-terminated; buf holds at least 2 bytes.
 * Returns the length (< size), or a negative errno. -EMSGSIZE when the file did not fit. */
ssize_t fd_pread_text(int fd, char *buf, size_t size);

/* open + fd_pread_text-like read of any file + close. */
ssize_t fd_read_text_at(int dirfd, const char *name, char *buf, size_t size);

/* Writes all of text with one write(2) where the kernel takes it whole (cgroup files want one write). */
int fd_write_text_at(int dirfd, const char *name, const char *text);

/* Writes all bytes, retrying short writes. */
int fd_write_all(int fd, const void *data, size_t size);

/* Replaces a file atomically: temp file ".NAME.new" beside it, fsync, rename. mode as in open(2). name holds no
 * '/' (-EINVAL). One writer at a time. */
int fd_replace_file_at(int dirfd, const char *name, const void *data, size_t size, mode_t mode);

/* mkdir -p of an absolute or relative path. 0 also when it existed; -ENOTDIR when it is no folder. */
int path_mkdir_parents(const char *path, mode_t mode);

#endif
