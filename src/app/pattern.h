/* SPDX-License-Identifier: MIT */
/* A PCRE2 pattern on lines of output: compiled once, any bytes (invalid UTF-8 never matches a character),
 * bounded work. */
#ifndef WEIR_APP_PATTERN_H
#define WEIR_APP_PATTERN_H

#include <stddef.h>

#include "weir/base/err.h"

struct pattern;

/* -EINVAL: not a pattern, told with the place. -ENOMEM. */
int pattern_new(const char *text, struct pattern **ret, struct err *reterr);

/* 0: matches. -ENOENT: does not. -E2BIG: given up, the pattern needs too many steps on this line. */
int pattern_match(struct pattern *p, const char *line, size_t length);

struct pattern *pattern_free(struct pattern *p); /* accepts NULL, returns NULL */

#endif
