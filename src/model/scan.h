/* SPDX-License-Identifier: MIT */
/* What the readers of foreign text (kernel files, monitor logs) share. Private to this layer. */
#ifndef WEIR_MODEL_SCAN_H
#define WEIR_MODEL_SCAN_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* Reads the digits at *s and moves *s behind them. false, with *s and *ret as they were: no digit, or too
 * many. */
static inline bool scan_u64(const char **s, uint64_t *ret)
{
    const char *p = *s;
    uint64_t value = 0;
    for (; *p >= '0' && *p <= '9'; p++)
        if (__builtin_mul_overflow(value, 10U, &value) ||
            __builtin_add_overflow(value, (uint64_t)(*p - '0'), &value))
            return false;
    if (p == *s)
        return false;
    *s = p;
    *ret = value;
    return true;
}

/* Moves *s behind word when the text begins with it. */
static inline bool scan_word(const char **s, const char *word)
{
    size_t length = strlen(word);
    if (strncmp(*s, word, length) != 0)
        return false;
    *s += length;
    return true;
}

#endif
