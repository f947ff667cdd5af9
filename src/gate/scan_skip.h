/* SPDX-License-Identifier: MIT */
/*
 * Looks for the next byte that matters, sixteen at a time. Vector extensions of gcc and clang, no intrinsics: any
 * architecture, at worst as slow as a loop.
 */
#ifndef WEIR_GATE_SCAN_SKIP_H
#define WEIR_GATE_SCAN_SKIP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define SKIP_INLINE static inline __attribute__((always_inline))

typedef uint8_t skip_bytes __attribute__((vector_size(16)));
typedef uint64_t skip_words __attribute__((vector_size(16)));

/* Each: 0xff in the bytes that matter, or whether one does. '[' and '{', ']' and '}' differ in bit 0x20 alone. */

/* In a string that is skipped: its end, a backslash, a control character (a newline is one). */
SKIP_INLINE skip_bytes skip_string_bytes(skip_bytes v)
{
    return (skip_bytes)(v == (uint8_t)'"') | (skip_bytes)(v == (uint8_t)'\\') |
           (skip_bytes)((v & (uint8_t)0xe0) == (uint8_t)0);
}

SKIP_INLINE bool skip_string_byte(uint8_t c)
{
    return c == '"' || c == '\\' || c < 0x20;
}

/* In a nested value: the start of a string, a bracket or brace, a newline. */
SKIP_INLINE skip_bytes skip_nested_bytes(skip_bytes v)
{
    skip_bytes brace = v | (uint8_t)0x20;
    return (skip_bytes)(v == (uint8_t)'"') | (skip_bytes)(v == (uint8_t)'\n') |
           (skip_bytes)(brace == (uint8_t)'{') | (skip_bytes)(brace == (uint8_t)'}');
}

SKIP_INLINE bool skip_nested_byte(uint8_t c)
{
    return c == '"' || c == '\n' || (c | 0x20) == '{' || (c | 0x20) == '}';
}

/* In a string that is decoded: what is not simply copied, a byte of UTF-8 included. */
SKIP_INLINE skip_bytes skip_plain_bytes(skip_bytes v)
{
    return skip_string_bytes(v) | (skip_bytes)((v & (uint8_t)0x80) != (uint8_t)0);
}

SKIP_INLINE bool skip_plain_byte(uint8_t c)
{
    return skip_string_byte(c) || c >= 0x80;
}

/* The place in memory of the first byte of word that is not 0; one is. */
SKIP_INLINE size_t skip_first(uint64_t word)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    return (size_t)__builtin_ctzll(word) / 8;
#else
    return (size_t)__builtin_clzll(word) / 8;
#endif
}

/* The first byte of p .. end that matters, or end. */
SKIP_INLINE const char *skip_to(const char *p, const char *end, skip_bytes (*matter)(skip_bytes),
                                bool (*matters)(uint8_t))
{
    for (; end - p >= 16; p += 16) {
        skip_bytes v;
        memcpy(&v, p, sizeof(v));
        skip_words hit = (skip_words)matter(v);
        if (hit[0] | hit[1])
            return hit[0] ? p + skip_first(hit[0]) : p + 8 + skip_first(hit[1]);
    }
    while (p < end && !matters((uint8_t)*p))
        p++;
    return p;
}

#endif
