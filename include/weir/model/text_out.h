/* SPDX-License-Identifier: MIT */
/* Writing a text piece by piece into a bounded buffer that is always NUL-terminated. */
#ifndef WEIR_MODEL_TEXT_OUT_H
#define WEIR_MODEL_TEXT_OUT_H

#include <stddef.h>

struct text_out {
    char *buf;
    size_t size;
    size_t length; /* bytes wanted so far; >= size: the text did not fit */
};

/* size > 0. */
struct text_out text_begin(char *buf, size_t size);
void text_put(struct text_out *o, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Length, or -EMSGSIZE. */
int text_end(const struct text_out *o);

#endif
