/* SPDX-License-Identifier: MIT */
/*
 * Splits and joins command lines; see argv.h for the rules.
 *
 * One pass over the text with a buffer as long as the text: a word never grows by unquoting.
 */
#include "argv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "weir/base/cleanup.h"
#include "weir/config/config.h"

struct splitter {
    const char *start, *at;
    char *word; /* buffer of strlen(start) + 1 */
    size_t length;
    bool was_quoted; /* the word at hand used a quote or a backslash */
    unsigned column;
    struct why *why;
};

static unsigned column_of(const struct splitter *s, const char *at)
{
    return s->column + (unsigned)(at - s->start);
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* What a shell would act on. A word on its own only: "a|b" is a fine argument. */
static bool is_shell_word(const char *word)
{
    static const char *const words[] = {"|",  "||", "&",  "&&", ";",   ">",    ">>",  "<",
                                        "<<", "|&", "&>", "2>", "2>>", "2>&1", "1>&2"};
    for (size_t i = 0; i < ARRAY_SIZE(words); i++)
        if (strcmp(word, words[i]) == 0)
            return true;
    return false;
}

/* at stands behind the opening quote; leaves it behind the closing one. */
static int read_quoted(struct splitter *s)
{
    const char *open = s->at - 1;
    for (; *s->at != '"'; s->at++) {
        if (*s->at == '\0')
            return why_set(
                s->why,
                "the quote in column %u is never closed\nend it with \", or write \\\" for a quote "
                "that is part of the word",
                column_of(s, open));
        if (*s->at == '\\' && (s->at[1] == '"' || s->at[1] == '\\'))
            s->at++;
        s->word[s->length++] = *s->at;
    }
    s->at++;
    return 0;
}

static int read_backslash(struct splitter *s)
{
    if (s->at[1] == '\0')
        return why_set(
            s->why,
            "a lone backslash at the end (column %u)\na value is one line and cannot be continued; "
            "write \\\\ for a backslash",
            column_of(s, s->at));
    s->word[s->length++] = s->at[1];
    s->at += 2;
    return 0;
}

static int read_word(struct splitter *s)
{
    s->length = 0;
    s->was_quoted = false;
    while (*s->at && !is_blank(*s->at)) {
        int r = 0;
        if (*s->at == '"') {
            s->at++;
            s->was_quoted = true;
            r = read_quoted(s);
        } else if (*s->at == '\\') {
            s->was_quoted = true;
            r = read_backslash(s);
        } else {
            s->word[s->length++] = *s->at++;
        }
        if (r < 0)
            return r;
    }
    s->word[s->length] = '\0';
    return 0;
}

static int refuse_shell(const struct splitter *s, const char *begin)
{
    unsigned column = column_of(s, begin);
    if (*begin == '\'')
        return why_set(
            s->why,
            "single quotes mean nothing here (column %u)\nuse \"...\", or write \\' for a word that "
            "begins with one",
            column);
    if (s->was_quoted)
        return 0;
    if (is_shell_word(s->word))
        return why_set(
            s->why,
            "'%s' in column %u is for a shell, and there is none\nwrite \"%s\" if the program is to "
            "get it as a word, or run /bin/sh -c \"...\"",
            s->word, column, s->word);
    if (*begin == '#' || *begin == ';')
        return why_set(s->why,
                       "a comment after the value (column %u)\nput comments on lines of their own; write "
                       "\"...\" around a word that begins with %c",
                       column, *begin);
    return 0;
}

static int split_all(struct splitter *s, char ***words)
{
    size_t count = 0;
    for (;;) {
        while (is_blank(*s->at))
            s->at++;
        if (*s->at == '\0')
            return count ? 0 : why_set(s->why, "no word in it\nwrite the program and its arguments");
        const char *begin = s->at;
        int r = read_word(s);
        if (r < 0)
            return r;
        r = refuse_shell(s, begin);
        if (r < 0)
            return r;
        if (++count >= CONFIG_ARGV_MAX)
            return why_set(s->why, "more than %d words\nput a longer command into a script",
                           CONFIG_ARGV_MAX - 1);
        r = words_add(words, s->word, s->length);
        if (r < 0)
            return r;
    }
}

int argv_split(const char *text, char ***ret, struct why *why)
{
    _cleanup_free_ char *buffer = malloc(strlen(text) + 1);
    if (!buffer)
        return -ENOMEM;
    struct splitter s = {
        .start = text, .at = text, .word = buffer, .column = why->column ? why->column : 1, .why = why};
    _cleanup_(words_cleanup) char **words = NULL;
    int r = split_all(&s, &words);
    if (r < 0)
        return r;
    *ret = steal_ptr(&words);
    return 0;
}

static bool needs_quotes(const char *word)
{
    return *word == '\0' || *word == '\'' || *word == '#' || *word == ';' || strpbrk(word, " \t\"\\") ||
           is_shell_word(word);
}

void argv_join(char *const *words, struct text *out)
{
    for (size_t i = 0; words && words[i]; i++) {
        if (i > 0)
            text_add_bytes(out, " ", 1);
        if (!needs_quotes(words[i])) {
            text_add(out, "%s", words[i]);
            continue;
        }
        text_add_bytes(out, "\"", 1);
        for (const char *p = words[i]; *p; p++)
            text_add(out, "%s%c", *p == '"' || *p == '\\' ? "\\" : "", *p);
        text_add_bytes(out, "\"", 1);
    }
}
