/* SPDX-License-Identifier: MIT */
/*
 * Growing text and word lists; see text.h.
 *
 * Every allocation of the config layer that is text goes through here and is a plain malloc/realloc, never
 * one that libc makes behind our back (vasprintf, open_memstream): the allocation-failing test can then reach
 * each of them.
 */
#include "text.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "weir/base/cleanup.h"

/* Room for more bytes and a NUL; false = out of memory. */
static bool text_reserve(struct text *t, size_t more)
{
    if (t->failed || more > SIZE_MAX / 4 || t->length > SIZE_MAX / 4) {
        t->failed = true;
        return false;
    }
    if (t->room > t->length + more)
        return true;
    size_t room = t->room ? t->room : 64;
    while (room <= t->length + more)
        room *= 2;
    char *data = realloc(t->data, room);
    if (!data) {
        t->failed = true;
        return false;
    }
    t->data = data;
    t->room = room;
    return true;
}

void text_add_bytes(struct text *t, const char *data, size_t length)
{
    if (!text_reserve(t, length))
        return;
    memcpy(t->data + t->length, data, length);
    t->length += length;
    t->data[t->length] = '\0';
}

void text_addv(struct text *t, const char *fmt, va_list ap)
{
    va_list again;
    va_copy(again, ap);
    int length = vsnprintf(NULL, 0, fmt, again);
    va_end(again);
    if (length < 0 || !text_reserve(t, (size_t)length))
        return;
    (void)vsnprintf(t->data + t->length, t->room - t->length, fmt, ap);
    t->length += (size_t)length;
}

void text_add(struct text *t, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    text_addv(t, fmt, ap);
    va_end(ap);
}

const char *text_peek(const struct text *t)
{
    return t->data ? t->data : "";
}

void text_deinit(struct text *t)
{
    free(t->data);
    *t = TEXT_NULL;
}

char *text_steal(struct text *t)
{
    text_add_bytes(t, "", 0);
    if (t->failed) {
        text_deinit(t);
        return NULL;
    }
    char *data = steal_ptr(&t->data);
    *t = TEXT_NULL;
    return data;
}

char *text_copy(const char *s, size_t length)
{
    char *copy = malloc(length + 1);
    if (!copy)
        return NULL;
    memcpy(copy, s, length);
    copy[length] = '\0';
    return copy;
}

size_t words_count(char *const *words)
{
    size_t count = 0;
    while (words && words[count])
        count++;
    return count;
}

void words_free(char **words)
{
    for (size_t i = 0; words && words[i]; i++)
        free(words[i]);
    free(words);
}

int words_add(char ***words, const char *word, size_t length)
{
    _cleanup_free_ char *copy = text_copy(word, length);
    if (!copy)
        return -ENOMEM;
    size_t count = words_count(*words);
    char **grown = realloc(*words, (count + 2) * sizeof(*grown));
    if (!grown)
        return -ENOMEM;
    grown[count] = steal_ptr(&copy);
    grown[count + 1] = NULL;
    *words = grown;
    return 0;
}
