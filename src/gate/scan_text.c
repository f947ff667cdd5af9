/* SPDX-License-Identifier: MIT */
/*
 * Decodes a string of JSON as it comes: escapes are resolved, UTF-8 is checked (RFC 3629: no overlong forms, no
 * surrogates, nothing above U+10FFFF). The bytes that fit are kept, the rest is only checked.
 *
 * The state is a step and what that step needs, so that a chunk may end anywhere, also in \uD83D\uDE00 or between the
 * bytes of a character.
 */
#include "scan_part.h"

#include <string.h>

#include "scan_skip.h"

enum text_step {
    TEXT_PLAIN,
    TEXT_ESCAPE, /* behind a backslash */
    TEXT_HEX,    /* in the digits of \uXXXX, `more` are to come */
    TEXT_SECOND, /* behind the first half of a surrogate pair: a backslash must follow */
    TEXT_UTF8,   /* in a character, `more` bytes are to come, the next one from `low` to `high` */
};

void scan_text_start(struct scan_text *t)
{
    t->step = TEXT_PLAIN;
    t->surrogate = 0;
    t->has_nul = false;
    t->over = false;
    t->length = 0;
}

static void keep(struct scan_text *t, const char *bytes, size_t count)
{
    size_t room = sizeof(t->bytes) - t->length;
    if (count > room) {
        t->over = true;
        count = room;
    }
    memcpy(t->bytes + t->length, bytes, count);
    t->length = (uint16_t)(t->length + count);
}

static void keep_byte(struct scan_text *t, uint32_t byte)
{
    char c = (char)(uint8_t)byte;
    keep(t, &c, 1);
}

static void keep_code_point(struct scan_text *t, uint32_t c)
{
    t->has_nul = t->has_nul || c == 0;
    if (c < 0x80) {
        keep_byte(t, c);
        return;
    }
    if (c < 0x800) {
        keep_byte(t, 0xc0 | c >> 6);
    } else {
        if (c < 0x10000) {
            keep_byte(t, 0xe0 | c >> 12);
        } else {
            keep_byte(t, 0xf0 | c >> 18);
            keep_byte(t, 0x80 | (c >> 12 & 0x3f));
        }
        keep_byte(t, 0x80 | (c >> 6 & 0x3f));
    }
    keep_byte(t, 0x80 | (c & 0x3f));
}

static bool take_escape(struct scan_text *t, uint8_t c)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    if (c == 'u') {
        t->step = TEXT_HEX;
        t->more = 4;
        t->unit = 0;
        return true;
    }
    const char *at = memchr(from, c, sizeof(from) - 1);
    if (!at || t->surrogate)
        return false;
    keep_byte(t, (uint8_t)to[at - from]);
    t->step = TEXT_PLAIN;
    return true;
}

/* A unit of UTF-16 is complete. */
static bool take_unit(struct scan_text *t)
{
    bool is_first = t->unit >= 0xd800 && t->unit <= 0xdbff,
         is_second = t->unit >= 0xdc00 && t->unit <= 0xdfff;
    if (is_second != (t->surrogate != 0))
        return false;
    if (is_first) {
        t->surrogate = t->unit;
        t->step = TEXT_SECOND;
        return true;
    }
    if (is_second)
        keep_code_point(t, 0x10000U + ((t->surrogate - 0xd800U) << 10) + (t->unit - 0xdc00U));
    else
        keep_code_point(t, t->unit);
    t->surrogate = 0;
    t->step = TEXT_PLAIN;
    return true;
}

static bool take_hex(struct scan_text *t, uint8_t c)
{
    uint8_t letter = c | 0x20;
    uint32_t digit;
    if (c >= '0' && c <= '9')
        digit = c - (uint32_t)'0';
    else if (letter >= 'a' && letter <= 'f')
        digit = letter - (uint32_t)'a' + 10;
    else
        return false;
    t->unit = (uint16_t)(t->unit << 4 | digit);
    return --t->more > 0 || take_unit(t);
}

/* The first byte of a character that is not ASCII: table 3-7 of the Unicode standard. */
static bool take_lead(struct scan_text *t, uint8_t c)
{
    if (c < 0xc2 || c > 0xf4)
        return false;
    t->step = TEXT_UTF8;
    t->more = c < 0xe0 ? 1 : c < 0xf0 ? 2 : 3;
    t->low = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80;
    t->high = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf;
    keep_byte(t, c);
    return true;
}

static bool take_utf8(struct scan_text *t, uint8_t c)
{
    if (c < t->low || c > t->high)
        return false;
    t->low = 0x80;
    t->high = 0xbf;
    if (--t->more == 0)
        t->step = TEXT_PLAIN;
    keep_byte(t, c);
    return true;
}

/* A byte that is not simply copied. */
static bool take_special(struct scan_text *t, uint8_t c)
{
    switch ((enum text_step)t->step) {
    case TEXT_PLAIN:
        if (c != '\\')
            return take_lead(t, c);
        t->step = TEXT_ESCAPE;
        return true;
    case TEXT_SECOND:
        t->step = TEXT_ESCAPE;
        return c == '\\';
    case TEXT_ESCAPE:
        return take_escape(t, c);
    case TEXT_HEX:
        return take_hex(t, c);
    case TEXT_UTF8:
        return take_utf8(t, c);
    }
    return false;
}

const char *scan_text_take(struct scan_text *t, const char *p, const char *end,
                           enum scan_text_outcome *ret_outcome)
{
    while (p < end) {
        if (t->step == TEXT_PLAIN) {
            const char *special = skip_to(p, end, skip_plain_bytes, skip_plain_byte);
            keep(t, p, (size_t)(special - p));
            p = special;
            if (p == end)
                break;
            if (*p == '"') {
                *ret_outcome = SCAN_TEXT_END;
                return p + 1;
            }
        }
        if (!take_special(t, (uint8_t)*p)) {
            *ret_outcome = SCAN_TEXT_BAD;
            return p;
        }
        p++;
    }
    *ret_outcome = SCAN_TEXT_MORE;
    return p;
}
