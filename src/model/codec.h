/* SPDX-License-Identifier: MIT */
/*
 * "key=value" lines, both ways, from one table: what decisions and events share. Private to this layer.
 *
 * A row of the table names a key and the member of a struct it stands for; writing and reading go through the
 * same row, so that they cannot drift apart. A member at its default is left out of the text (unless
 * CODEC_ALWAYS), and codec_init() sets the defaults before a text is read: reading back what was written
 * gives the same struct, bit for bit. Words are escaped, so blanks, '=' and ':' in a name never break a line.
 *
 * What must not go in here: anything that knows what a decision or an event means.
 */
#ifndef WEIR_MODEL_CODEC_H
#define WEIR_MODEL_CODEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weir/model/text_out.h"

/* --- writing ------------------------------------------------------------------------------------- */

/* word, at most max bytes of it, bytes other than letters, digits, "-_./" as %XX. */
void text_put_word(struct text_out *o, const char *word, size_t max);
/* Decimal, UINT64_MAX as "max". */
void text_put_number(struct text_out *o, uint64_t value);
/* "9 (SIGKILL)" */
void text_put_signal(struct text_out *o, int64_t signal);
/* "No such file or directory", "error 4095" when the C library has no text for it. */
void text_put_errno(struct text_out *o, int64_t error);

/* --- reading ------------------------------------------------------------------------------------- */

/* Longest token with its NUL: "top=" of a sample, every byte of comm escaped, is the longest written one
 * (4 + 11 + 1 + 10 + 1 + 20 + 1 + 20 + 1 + 45 = 114). */
#define TEXT_TOKEN_MAX 160

/* Copies the next blank-separated token and moves *text on. A newline counts as a blank only at the very end.
 * 1 = a token, 0 = end of text, -EINVAL = too long or text after a newline. */
int text_next_token(const char **text, char buf[static TEXT_TOKEN_MAX]);

/* Undoes text_put_word into out. 0, or -EINVAL (too long, broken or NUL escape, byte that needs one). */
int text_get_word(const char *word, char *out, size_t size);

/* Digits, or "max". 0 or -EINVAL. */
int text_get_number(const char *s, uint64_t *ret);
/* Digits are microseconds; also "21.05s", "infinity". */
int text_get_time(const char *s, uint64_t *ret_us);
/* Digits are bytes; also "217M", "max". */
int text_get_size(const char *s, uint64_t *ret_bytes);

/* Index of name in names, or count. */
size_t text_find(const char *name, const char *const *names, size_t count);

/* --- tables -------------------------------------------------------------------------------------- */

enum codec_type {
    CODEC_NUMBER, /* uint64_t */
    CODEC_TIME,   /* uint64_t, microseconds */
    CODEC_U32,    /* uint32_t */
    CODEC_I32,    /* int32_t */
    CODEC_BOOL,   /* bool: 1, default false */
    CODEC_KNOWN,  /* bool: "unknown" for false, default true */
    CODEC_UNIT,   /* uint16_t unit index, written as the unit's name, default UNIT_NONE */
    CODEC_NAME,   /* an enum, written by the names of the row */
    CODEC_MASK,   /* uint32_t, bits 1 << enum, "a,b"; bits without a name as one hexadecimal number */
    CODEC_WORD,   /* char[row.count], NUL-terminated */
};

enum codec_flag {
    CODEC_ALWAYS = 1 << 0,   /* written at its default, too */
    CODEC_REQUIRED = 1 << 1, /* a text without it is refused */
    CODEC_ONE_OF = 1 << 2,   /* at least one of the rows with this flag is in the text */
    CODEC_BY_HAND = 1 << 3,  /* read through the table, written by its owner */
};

struct codec_key {
    const char *name;
    enum codec_type type;
    unsigned flags;
    size_t offset;            /* in the struct that base points to */
    const char *const *names; /* CODEC_NAME, CODEC_MASK */
    size_t count;             /* of names; CODEC_WORD: size of the array */
};

struct codec_units {
    const char *const *names;
    size_t count; /* not used by writing: an index is trusted */
};

/* Sets the member to its default. */
void codec_init(const struct codec_key *key, void *base);
/* Writes " key=value", or nothing for a default. */
void codec_put(struct text_out *o, const struct codec_key *key, const void *base,
               const struct codec_units *units);
/* Sets the member from the text. 0 or -EINVAL. */
int codec_get(const struct codec_key *key, void *base, const char *value, const struct codec_units *units);

/* The unit's index by its escaped name; -EINVAL when there is none. */
int codec_get_unit(const char *word, const struct codec_units *units, uint16_t *ret);

/* Splits "key=value" at the first '='; NULL when there is none. token is cut there. */
char *codec_split(char *token);

#endif
