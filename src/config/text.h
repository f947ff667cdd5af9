/* SPDX-License-Identifier: MIT */
/*
 * Text that grows, and lists of words, for the config layer.
 *
 * A struct text that ran out of memory stays that way: callers add as they please and look once, at the end.
 * A word list is a NULL-terminated array of owned strings; NULL is the empty list.
 */
#ifndef WEIR_CONFIG_TEXT_H
#define WEIR_CONFIG_TEXT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

struct text {
    char *data; /* NUL-terminated; NULL while nothing was added */
    size_t length, room;
    bool failed; /* an allocation failed; nothing is added any more */
};

#define TEXT_NULL ((struct text){0})

void text_add(struct text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void text_addv(struct text *t, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));
void text_add_bytes(struct text *t, const char *data, size_t length);

/* Hands the text over ("" when nothing was added); NULL = out of memory. t is empty afterwards. */
char *text_steal(struct text *t);

/* The text so far, "" when there is none. */
const char *text_peek(const struct text *t);

void text_deinit(struct text *t);

/* A copy of length bytes with a NUL behind. NULL = out of memory. */
char *text_copy(const char *s, size_t length);

size_t words_count(char *const *words);
void words_free(char **words);
static inline void words_cleanup(char ***words)
{
    words_free(*words);
}

/* Appends a copy of word[0..length). 0 or -ENOMEM (the list is as before). */
int words_add(char ***words, const char *word, size_t length);

#endif
