/* SPDX-License-Identifier: MIT */
/*
 * Tokens of the rule language, and errors that know their place.
 *
 * Every token is a slice of the caller's text, so that an error's column and length are those of what is wrong. Nothing
 * here depends on the locale: letters are ASCII letters.
 */
#include "rule_text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "weir/base/cleanup.h"

#define SHOWN_MAX 40 /* chosen: longer than every word of the language; two fit into an error's text */

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Of UTF-8, a character of two bytes: letters with marks, Greek, Cyrillic. No word of the rules has one; what a person
 * wrote is told whole. */
static bool begins_wide_letter(char c)
{
    return (unsigned char)c >= 0xC3 && (unsigned char)c <= 0xDF;
}

static bool is_word_byte(char c)
{
    return is_letter(c) || begins_wide_letter(c) || ((unsigned char)c & 0xC0) == 0x80 || is_digit(c) ||
           (c && strchr("_.-/", c));
}

static bool is_sign_byte(char c)
{
    return c && strchr("<>=!&|", c);
}

static size_t run_length(const char *s, bool (*belongs)(char))
{
    size_t length = 0;
    while (belongs(s[length]))
        length++;
    return length;
}

/* Where a number begins, its digits follow a sign or a point at most. */
static bool begins_number(const char *s)
{
    if (*s == '+' || *s == '-')
        s++;
    if (*s == '.')
        s++;
    return is_digit(*s);
}

/* "512M", "40M/s", "-1", "12.5 %": the percent sign ends it and may stand apart. */
static size_t number_length(const char *s)
{
    size_t length = 1, apart;
    while (is_letter(s[length]) || is_digit(s[length]) || s[length] == '.' || s[length] == '/')
        length++;
    apart = length + run_length(s + length, is_blank);
    return s[apart] == '%' ? apart + 1 : length;
}

/* One character: a whole UTF-8 sequence, or one byte where it is none. */
static size_t character_length(const char *s)
{
    unsigned char lead = (unsigned char)*s;
    size_t wanted = lead >= 0xf0 && lead < 0xf8   ? 4
                    : lead >= 0xe0 && lead < 0xf0 ? 3
                    : lead >= 0xc0 && lead < 0xe0 ? 2
                                                  : 1;
    for (size_t i = 1; i < wanted; i++)
        if (((unsigned char)s[i] & 0xc0) != 0x80)
            return 1;
    return wanted;
}

static struct rule_token token_at(const char *s)
{
    static const struct {
        char c;
        enum rule_token_kind kind;
    } singles[] = {{'(', RULE_TOKEN_OPEN}, {')', RULE_TOKEN_CLOSE}, {',', RULE_TOKEN_COMMA}};
    s += run_length(s, is_blank);
    if (*s == '\0')
        return (struct rule_token){RULE_TOKEN_END, s, 0};
    for (size_t i = 0; i < ARRAY_SIZE(singles); i++)
        if (*s == singles[i].c)
            return (struct rule_token){singles[i].kind, s, 1};
    if (begins_number(s))
        return (struct rule_token){RULE_TOKEN_NUMBER, s, number_length(s)};
    if (is_letter(*s) || begins_wide_letter(*s))
        return (struct rule_token){RULE_TOKEN_WORD, s, run_length(s, is_word_byte)};
    if (is_sign_byte(*s))
        return (struct rule_token){RULE_TOKEN_SIGN, s, run_length(s, is_sign_byte)};
    return (struct rule_token){RULE_TOKEN_ODD, s, character_length(s)};
}

struct rule_reader rule_reader_begin(const char *text, struct rule_error *reterr)
{
    return (struct rule_reader){.text = text, .token = token_at(text), .error = reterr};
}

struct rule_token rule_reader_peek(const struct rule_reader *r)
{
    return token_at(r->token.start + r->token.length);
}

void rule_reader_step(struct rule_reader *r)
{
    r->before = r->token;
    r->token = rule_reader_peek(r);
}

bool rule_token_is(const struct rule_token *t, const char *word)
{
    return t->length == strlen(word) && strncasecmp(t->start, word, t->length) == 0;
}

bool rule_token_is_keyword(const struct rule_token *t)
{
    static const char *const keywords[] = {"and", "or", "not", "for", "over", "of", "per"};
    for (size_t i = 0; i < ARRAY_SIZE(keywords); i++)
        if (rule_token_is(t, keywords[i]))
            return true;
    return false;
}

struct rule_token rule_token_span(const struct rule_token *from, const struct rule_token *to)
{
    return (struct rule_token){from->kind, from->start, (size_t)(to->start + to->length - from->start)};
}

struct rule_shown rule_show(const struct rule_token *t)
{
    struct rule_shown shown;
    unsigned char first = (unsigned char)*t->start;
    if (t->kind == RULE_TOKEN_ODD && t->length == 1 && (first < ' ' || first >= 0x7f))
        (void)snprintf(shown.text, sizeof(shown.text), "byte 0x%02x", (unsigned)first);
    else if (t->length > SHOWN_MAX)
        (void)snprintf(shown.text, sizeof(shown.text), "'%.*s...'", SHOWN_MAX - 3, t->start);
    else
        (void)snprintf(shown.text, sizeof(shown.text), "'%.*s'", (int)t->length, t->start);
    return shown;
}

int rule_fail(const struct rule_reader *r, const struct rule_token *at, const char *fmt, ...)
{
    struct rule_error *e = r->error;
    char both[sizeof(e->text) + sizeof(e->hint)];
    if (!e)
        return -EINVAL;
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(both, sizeof(both), fmt, ap);
    va_end(ap);
    char *hint = strchr(both, '\n');
    if (hint)
        *hint++ = '\0';
    e->column = (unsigned)(at->start - r->text) + 1;
    e->length = at->length ? (unsigned)at->length : 1;
    (void)snprintf(e->text, sizeof(e->text), "%.*s", (int)sizeof(e->text) - 1, both);
    (void)snprintf(e->hint, sizeof(e->hint), "%.*s", (int)sizeof(e->hint) - 1, hint ? hint : "");
    return -EINVAL;
}

int rule_fail_lookalike(const struct rule_reader *r, const struct rule_token *at)
{
    static const char *const rows[][2] = {
        {"==", "write ="},
        {"=>", "write >="},
        {"=<", "write <="},
        {"<>", "write !="},
        {"!", "write not"},
        {"&&", "write and"},
        {"&", "write and"},
        {"||", "write or"},
        {"|", "write or"},
        {"\u2265", "write >="},
        {"\u2264", "write <="},
        {"\u2260", "write !="},
        {"[", "write ("},
        {"]", "write )"},
        {"{", "write ("},
        {"}", "write )"},
        {"\"", "nothing needs quotes here"},
        {"'", "nothing needs quotes here"},
        {"#", "a comment stands on a line of its own"},
        {";", "a comment stands on a line of its own"},
    };
    if (at->kind != RULE_TOKEN_SIGN && at->kind != RULE_TOKEN_ODD)
        return 0;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        if (rule_token_is(at, rows[i][0])) {
            (void)rule_fail(r, at, "%s is not a sign of the rules\n%s", rule_show(at).text, rows[i][1]);
            return 1;
        }
    return 0;
}
