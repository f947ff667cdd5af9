/* SPDX-License-Identifier: MIT */
/*
 * Errors that a person reads: a negative errno and one sentence that says what was being done, to which
 * path or config line, and why it failed. Fixed size, no heap, so it can be filled in on any path.
 *
 * Convention of the house: a function returns 0 (done), a negative errno (failed, passed up unchanged)
 * or a positive outcome documented on it. `struct err *reterr` is the last parameter and may be NULL.
 */
#ifndef WEIR_BASE_ERR_H
#define WEIR_BASE_ERR_H

#include <stddef.h>

#define ERR_TEXT_MAX 512 /* chosen: a path of ordinary length, a reason and a hint fit */

struct err {
    int code;                /* negative errno; 0 = no error */
    char text[ERR_TEXT_MAX]; /* one line, no newline at the end */
};

#define ERR_NULL ((struct err){0})

/* Sets text from the format. code is a negative errno. Returns code. e may be NULL. */
int err_set(struct err *e, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Like err_set, and appends ": " and the system's text for -code. Returns code. */
int err_errno(struct err *e, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Puts the formatted text and ": " in front of what e holds. Returns e->code (0 when e is NULL). */
int err_wrap(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
