/* SPDX-License-Identifier: MIT */
/*
 * Looks for the bytes that matter, sixteen at a time. Vector extensions of gcc and clang, no intrinsics: any architecture
 * and byte order; where there are no vectors the compiler makes plain code of it, correct and slow.
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

/* ------------------------------------------ the next one ------------------------------------------ */

/* Each: 0xff in the bytes that matter, or whether one does. */

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

/* ------------------------------------------ all of a block ------------------------------------------ */

#define SKIP_BLOCK 64 /* a bit for each byte of it */

/* In nested values and their strings: quotes, backslashes, control characters, brackets and braces. '[' and '{', ']' and
 * '}' differ in bit 0x20 alone. */
SKIP_INLINE skip_bytes skip_nested_bytes(skip_bytes v)
{
    skip_bytes brace = v | (uint8_t)0x20;
    return skip_string_bytes(v) | (skip_bytes)(brace == (uint8_t)'{') | (skip_bytes)(brace == (uint8_t)'}');
}

/* Bit i for byte i in memory, each of which is 0xff or 0: a bit of each byte is kept, the product's top byte is the sum of
 * the bytes. */
SKIP_INLINE uint64_t skip_mask(uint64_t word)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    const uint64_t bits = UINT64_C(0x8040201008040201);
#else
    const uint64_t bits = UINT64_C(0x0102040810204080);
#endif
    return (word & bits) * UINT64_C(0x0101010101010101) >> 56;
}

SKIP_INLINE skip_words skip_nested_words(const char *p)
{
    skip_bytes v;
    memcpy(&v, p, sizeof(v));
    return (skip_words)skip_nested_bytes(v);
}

/* Which bytes of a block matter, bit 0 for the first one. No array of vectors: gcc would keep that in memory. */
SKIP_INLINE uint64_t skip_nested(const char *block)
{
    skip_words a = skip_nested_words(block), b = skip_nested_words(block + 16),
               c = skip_nested_words(block + 32), d = skip_nested_words(block + 48), any = a | b | c | d;
    if (!(any[0] | any[1]))
        return 0;
    return skip_mask(a[0]) | skip_mask(a[1]) << 8 | skip_mask(b[0]) << 16 | skip_mask(b[1]) << 24 |
           skip_mask(c[0]) << 32 | skip_mask(c[1]) << 40 | skip_mask(d[0]) << 48 | skip_mask(d[1]) << 56;
}

#endif
