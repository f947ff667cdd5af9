/* SPDX-License-Identifier: MIT */
/* Why a value was refused and what would be right; fixed size, cut when longer. */
#ifndef WEIR_CONFIG_WHY_H
#define WEIR_CONFIG_WHY_H

#include <stddef.h>

#define WHY_TEXT_MAX  320 /* chosen: a key, a shortened value and a sentence */
#define WHY_SHOWN_MAX 80  /* of a value, in bytes: chosen, the line still fits a terminal */

struct why {
    unsigned column; /* in: of the value's first byte in its line; 0 = 1 */
    size_t at;       /* where in the value it is wrong (bytes from 0) ... */
    size_t length;   /* ... and how much; 0 = the value as a whole */
    char text[WHY_TEXT_MAX];
    char hint[WHY_TEXT_MAX]; /* "" = none */
};

#define WHY_NULL ((struct why){.column = 1})

/* Sets text and hint from "TEXT\nHINT" (the format's output is divided at its first newline). Returns -EINVAL. */
int why_set(struct why *why, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* s for a message: cut to WHY_SHOWN_MAX - 1 bytes with "..." at the end (never inside a UTF-8 character),
 * control bytes as '?'. Returns buf. */
const char *why_show(const char *s, char buf[static WHY_SHOWN_MAX]);

#endif
