/* SPDX-License-Identifier: MIT */
/* "key=value" lines, both ways; see codec.h. One row of type_table per kind of member. */
#include "codec.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "weir/base/cleanup.h"
#include "weir/base/units.h"
#include "weir/model/decision.h"

/* Enums are read and written through an unsigned: true for gcc and clang on Linux when no value is negative.
 */
_Static_assert(sizeof(enum decision_kind) == sizeof(uint32_t), "enums are 32 bits wide");

struct text_out text_begin(char *buf, size_t size)
{
    buf[0] = '\0';
    return (struct text_out){.buf = buf, .size = size};
}

void text_put(struct text_out *o, const char *fmt, ...)
{
    bool full = o->length >= o->size;
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(full ? NULL : o->buf + o->length, full ? 0 : o->size - o->length, fmt, ap);
    va_end(ap);
    if (n > 0)
        o->length += (size_t)n;
}

int text_end(const struct text_out *o)
{
    return o->length < o->size ? (int)o->length : -EMSGSIZE;
}

static bool is_plain(unsigned char c)
{
    /* not isalnum(): the text must not depend on the locale */
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.' || c == '/';
}

void text_put_word(struct text_out *o, const char *word, size_t max)
{
    for (size_t i = 0; i < max && word[i]; i++) {
        unsigned char c = (unsigned char)word[i];
        if (is_plain(c))
            text_put(o, "%c", c);
        else
            text_put(o, "%%%02X", (unsigned)c);
    }
}

void text_put_number(struct text_out *o, uint64_t value)
{
    if (value == UINT64_MAX)
        text_put(o, "max");
    else
        text_put(o, "%" PRIu64, value);
}

void text_put_signal(struct text_out *o, int64_t signal)
{
    const char *name = signal > 0 && signal <= INT_MAX ? sigabbrev_np((int)signal) : NULL;
    text_put(o, "%" PRId64, signal);
    if (name)
        text_put(o, " (SIG%s)", name);
}

void text_put_errno(struct text_out *o, int64_t error)
{
    const char *text = error > 0 && error <= INT_MAX ? strerrordesc_np((int)error) : NULL;
    if (text)
        text_put(o, "%s", text);
    else
        text_put(o, "error %" PRId64, error);
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

int text_next_token(const char **text, char buf[static TEXT_TOKEN_MAX])
{
    const char *p = *text;
    while (is_blank(*p))
        p++;
    if (*p == '\n')
        return p[1] == '\0' ? 0 : -EINVAL;
    size_t length = strcspn(p, " \t\n");
    if (length == 0)
        return 0;
    if (length >= TEXT_TOKEN_MAX)
        return -EINVAL;
    memcpy(buf, p, length);
    buf[length] = '\0';
    *text = p + length;
    return 1;
}

static int hex_digit(char c)
{
    static const char digits[] = "0123456789ABCDEFabcdef";
    const char *at = c ? strchr(digits, c) : NULL;
    if (!at)
        return -1;
    return (int)(at - digits) < 16 ? (int)(at - digits) : (int)(at - digits) - 6;
}

int text_get_word(const char *word, char *out, size_t size)
{
    size_t length = 0;
    for (const char *p = word; *p; p++) {
        int c = (unsigned char)*p;
        if (*p == '%') {
            int high = hex_digit(p[1]);
            int low = high < 0 ? -1 : hex_digit(p[2]);
            if (low < 0 || high + low == 0)
                return -EINVAL;
            c = high * 16 + low;
            p += 2;
        } else if (!is_plain((unsigned char)c)) {
            return -EINVAL;
        }
        if (length + 1 >= size)
            return -EINVAL;
        out[length++] = (char)c;
    }
    memset(out + length, 0, size - length);
    return 0;
}

static bool all_digits(const char *s)
{
    return *s && s[strspn(s, "0123456789")] == '\0';
}

int text_get_number(const char *s, uint64_t *ret)
{
    if (strcmp(s, "max") == 0) {
        *ret = UINT64_MAX;
        return 0;
    }
    return all_digits(s) && parse_u64(s, ret) == 0 ? 0 : -EINVAL;
}

int text_get_time(const char *s, uint64_t *ret_us)
{
    /* a bare "21.05" would be seconds to parse_duration and microseconds to a reader of this text: refused */
    size_t length = strlen(s);
    if (length == 0 || all_digits(s) || strcmp(s, "max") == 0)
        return text_get_number(s, ret_us);
    if (strchr("0123456789.", s[length - 1]))
        return -EINVAL;
    return parse_duration(s, ret_us) == 0 ? 0 : -EINVAL;
}

int text_get_size(const char *s, uint64_t *ret_bytes)
{
    if (all_digits(s))
        return text_get_number(s, ret_bytes);
    return parse_size(s, ret_bytes) == 0 ? 0 : -EINVAL;
}

size_t text_find(const char *name, const char *const *names, size_t count)
{
    size_t i = 0;
    while (i < count && strcmp(name, names[i]) != 0)
        i++;
    return i;
}

/* --- one kind of member after the other ----------------------------------------------------------- */

static void put_number(struct text_out *o, const struct codec_key *key, const void *at,
                       const struct codec_units *units)
{
    (void)key, (void)units;
    text_put_number(o, *(const uint64_t *)at);
}

static int get_number(const struct codec_key *key, void *at, const char *value,
                      const struct codec_units *units)
{
    (void)key, (void)units;
    return text_get_number(value, at);
}

static int get_time(const struct codec_key *key, void *at, const char *value, const struct codec_units *units)
{
    (void)key, (void)units;
    return text_get_time(value, at);
}

static void put_u32(struct text_out *o, const struct codec_key *key, const void *at,
                    const struct codec_units *units)
{
    (void)key, (void)units;
    text_put(o, "%" PRIu32, *(const uint32_t *)at);
}

static int get_u32(const struct codec_key *key, void *at, const char *value, const struct codec_units *units)
{
    (void)key, (void)units;
    uint64_t wide;
    if (text_get_number(value, &wide) < 0 || wide > UINT32_MAX)
        return -EINVAL;
    *(uint32_t *)at = (uint32_t)wide;
    return 0;
}

static void put_i32(struct text_out *o, const struct codec_key *key, const void *at,
                    const struct codec_units *units)
{
    (void)key, (void)units;
    text_put(o, "%" PRId32, *(const int32_t *)at);
}

static int get_i32(const struct codec_key *key, void *at, const char *value, const struct codec_units *units)
{
    (void)key, (void)units;
    uint64_t magnitude;
    bool negative = *value == '-';
    if (text_get_number(value + negative, &magnitude) < 0 || magnitude > (uint64_t)INT32_MAX + negative)
        return -EINVAL;
    *(int32_t *)at = (int32_t)(negative ? -(int64_t)magnitude : (int64_t)magnitude);
    return 0;
}

static void put_bool(struct text_out *o, const struct codec_key *key, const void *at,
                     const struct codec_units *units)
{
    (void)key, (void)units;
    text_put(o, "%d", *(const bool *)at);
}

static int get_bool(const struct codec_key *key, void *at, const char *value, const struct codec_units *units)
{
    (void)key, (void)units;
    if ((*value != '0' && *value != '1') || value[1])
        return -EINVAL;
    *(bool *)at = *value == '1';
    return 0;
}

static void put_known(struct text_out *o, const struct codec_key *key, const void *at,
                      const struct codec_units *units)
{
    (void)key, (void)units;
    text_put(o, "%s", *(const bool *)at ? "known" : "unknown");
}

static int get_known(const struct codec_key *key, void *at, const char *value,
                     const struct codec_units *units)
{
    (void)key, (void)units;
    bool known = strcmp(value, "known") == 0;
    if (!known && strcmp(value, "unknown") != 0)
        return -EINVAL;
    *(bool *)at = known;
    return 0;
}

static void put_unit(struct text_out *o, const struct codec_key *key, const void *at,
                     const struct codec_units *units)
{
    (void)key;
    text_put_word(o, units->names[*(const uint16_t *)at], UNIT_NAME_MAX);
}

int codec_get_unit(const char *word, const struct codec_units *units, uint16_t *ret)
{
    char name[UNIT_NAME_MAX];
    if (text_get_word(word, name, sizeof(name)) < 0)
        return -EINVAL;
    size_t i = text_find(name, units->names, units->count);
    if (i >= units->count || i >= UNIT_NONE)
        return -EINVAL;
    *ret = (uint16_t)i;
    return 0;
}

static int get_unit(const struct codec_key *key, void *at, const char *value, const struct codec_units *units)
{
    (void)key;
    return codec_get_unit(value, units, at);
}

static void put_name(struct text_out *o, const struct codec_key *key, const void *at,
                     const struct codec_units *units)
{
    (void)units;
    uint32_t value = *(const uint32_t *)at;
    text_put(o, "%s", value < key->count ? key->names[value] : "?");
}

static int get_name(const struct codec_key *key, void *at, const char *value, const struct codec_units *units)
{
    (void)units;
    size_t i = text_find(value, key->names, key->count);
    if (i == key->count)
        return -EINVAL;
    *(uint32_t *)at = (uint32_t)i;
    return 0;
}

static void put_mask(struct text_out *o, const struct codec_key *key, const void *at,
                     const struct codec_units *units)
{
    (void)units;
    uint32_t rest = *(const uint32_t *)at;
    const char *between = "";
    for (size_t i = 0; i < key->count; i++)
        if (rest >> i & 1U) {
            text_put(o, "%s%s", between, key->names[i]);
            rest &= ~(UINT32_C(1) << i);
            between = ",";
        }
    if (rest)
        text_put(o, "%s0x%" PRIx32, between, rest);
}

/* One element of a mask: a name, or "0x" and up to eight digits. */
static int get_mask_element(const struct codec_key *key, const char *element, uint32_t *mask)
{
    size_t i = text_find(element, key->names, key->count);
    if (i < key->count) {
        *mask |= UINT32_C(1) << i;
        return 0;
    }
    size_t digits = strlen(element);
    if (digits < 3 || digits > 10 || strncmp(element, "0x", 2) != 0)
        return -EINVAL;
    uint32_t bits = 0;
    for (const char *p = element + 2; *p; p++) {
        int digit = hex_digit(*p);
        if (digit < 0)
            return -EINVAL;
        bits = bits << 4 | (uint32_t)digit;
    }
    *mask |= bits;
    return 0;
}

static int get_mask(const struct codec_key *key, void *at, const char *value, const struct codec_units *units)
{
    (void)units;
    uint32_t mask = 0;
    for (const char *p = value;; p++) {
        char element[TEXT_TOKEN_MAX];
        size_t length = strcspn(p, ",");
        memcpy(element, p, length); /* value is part of one token */
        element[length] = '\0';
        if (get_mask_element(key, element, &mask) < 0)
            return -EINVAL;
        p += length;
        if (*p == '\0')
            break;
    }
    *(uint32_t *)at = mask;
    return 0;
}

static void put_word(struct text_out *o, const struct codec_key *key, const void *at,
                     const struct codec_units *units)
{
    (void)units;
    text_put_word(o, at, key->count - 1);
}

static int get_word(const struct codec_key *key, void *at, const char *value, const struct codec_units *units)
{
    (void)units;
    return text_get_word(value, at, key->count);
}

struct codec_type_row {
    size_t size; /* of the member; 0: the key's count */
    uint64_t default_value;
    void (*put)(struct text_out *, const struct codec_key *, const void *, const struct codec_units *);
    int (*get)(const struct codec_key *, void *, const char *, const struct codec_units *);
};

static const struct codec_type_row type_table[] = {
    [CODEC_NUMBER] = {sizeof(uint64_t), 0, put_number, get_number},
    [CODEC_TIME] = {sizeof(uint64_t), 0, put_number, get_time},
    [CODEC_U32] = {sizeof(uint32_t), 0, put_u32, get_u32},
    [CODEC_I32] = {sizeof(int32_t), 0, put_i32, get_i32},
    [CODEC_BOOL] = {sizeof(bool), 0, put_bool, get_bool},
    [CODEC_KNOWN] = {sizeof(bool), 1, put_known, get_known},
    [CODEC_UNIT] = {sizeof(uint16_t), UNIT_NONE, put_unit, get_unit},
    [CODEC_NAME] = {sizeof(uint32_t), 0, put_name, get_name},
    [CODEC_MASK] = {sizeof(uint32_t), 0, put_mask, get_mask},
    [CODEC_WORD] = {0, 0, put_word, get_word},
};

/* The default's bytes; every default is 0 or fills its member in native byte order. */
static void default_bytes(const struct codec_type_row *row, size_t size, unsigned char *out)
{
    uint16_t unit = (uint16_t)row->default_value;
    bool flag = row->default_value;
    memset(out, 0, size);
    if (size == sizeof(unit))
        memcpy(out, &unit, sizeof(unit));
    else if (size == sizeof(flag))
        memcpy(out, &flag, sizeof(flag));
}

void codec_init(const struct codec_key *key, void *base)
{
    const struct codec_type_row *row = &type_table[key->type];
    default_bytes(row, row->size ? row->size : key->count, (unsigned char *)base + key->offset);
}

static bool is_default(const struct codec_key *key, const void *at)
{
    const struct codec_type_row *row = &type_table[key->type];
    unsigned char expected[sizeof(uint64_t)];
    if (row->size == 0)
        return *(const char *)at == '\0';
    default_bytes(row, row->size, expected);
    return memcmp(at, expected, row->size) == 0;
}

void codec_put(struct text_out *o, const struct codec_key *key, const void *base,
               const struct codec_units *units)
{
    const void *at = (const unsigned char *)base + key->offset;
    if (!(key->flags & CODEC_ALWAYS) && is_default(key, at))
        return;
    text_put(o, " %s=", key->name);
    type_table[key->type].put(o, key, at, units);
}

int codec_get(const struct codec_key *key, void *base, const char *value, const struct codec_units *units)
{
    return type_table[key->type].get(key, (unsigned char *)base + key->offset, value, units);
}

char *codec_split(char *token)
{
    char *equals = strchr(token, '=');
    if (!equals)
        return NULL;
    *equals = '\0';
    return equals + 1;
}
