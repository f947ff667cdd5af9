/* SPDX-License-Identifier: MIT */
/*
 * Types whose values are plain memory: numbers, sizes, times, shares, words. See key.h.
 *
 * Ranges come from the row. Every refusal says what would be right.
 */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "key.h"
#include "weir/base/cleanup.h"
#include "weir/base/nearest.h"
#include "weir/base/units.h"

typedef const char *format_exact_fn(uint64_t value, char buf[static FORMAT_EXACT_MAX]);

struct unit_name {
    const char *name;
    uint64_t factor;
};

/* The largest unit that divides the value, so that reading it again gives the same number. */
static const char *format_exact(uint64_t value, const struct unit_name *units, size_t count,
                                char buf[static FORMAT_EXACT_MAX])
{
    size_t i = count - 1;
    while (i > 0 && (value == 0 || value % units[i].factor != 0))
        i--;
    (void)snprintf(buf, FORMAT_EXACT_MAX, "%" PRIu64 "%s", value / units[i].factor, units[i].name);
    return buf;
}

const char *format_bytes_exact(uint64_t bytes, char buf[static FORMAT_EXACT_MAX])
{
    static const struct unit_name units[] = {{"", 1},           {"K", 1ULL << 10}, {"M", 1ULL << 20},
                                             {"G", 1ULL << 30}, {"T", 1ULL << 40}, {"P", 1ULL << 50}};
    if (bytes == UINT64_MAX)
        return strcpy(buf, "max");
    return format_exact(bytes, units, ARRAY_SIZE(units), buf);
}

const char *format_duration_exact(uint64_t us, char buf[static FORMAT_EXACT_MAX])
{
    static const struct unit_name units[] = {{"us", 1},
                                             {"ms", USEC_PER_MSEC},
                                             {"s", USEC_PER_SEC},
                                             {"min", 60 * USEC_PER_SEC},
                                             {"h", 3600 * USEC_PER_SEC},
                                             {"d", 86400 * USEC_PER_SEC}};
    if (us == 0)
        return strcpy(buf, "0s");
    if (us == USEC_INFINITY)
        return strcpy(buf, "infinity");
    return format_exact(us, units, ARRAY_SIZE(units), buf);
}

const char *format_percent_exact(uint64_t permyriad, char buf[static FORMAT_EXACT_MAX])
{
    unsigned rest = (unsigned)(permyriad % 100);
    if (rest == 0)
        (void)snprintf(buf, FORMAT_EXACT_MAX, "%" PRIu64 "%%", permyriad / 100);
    else if (rest % 10 == 0)
        (void)snprintf(buf, FORMAT_EXACT_MAX, "%" PRIu64 ".%u%%", permyriad / 100, rest / 10);
    else
        (void)snprintf(buf, FORMAT_EXACT_MAX, "%" PRIu64 ".%02u%%", permyriad / 100, rest);
    return buf;
}

static const char *format_count(uint64_t count, char buf[static FORMAT_EXACT_MAX])
{
    if (count == UINT64_MAX)
        return strcpy(buf, "max");
    (void)snprintf(buf, FORMAT_EXACT_MAX, "%" PRIu64, count);
    return buf;
}

static int range_check(const struct key *key, uint64_t value, format_exact_fn *format, struct why *why)
{
    char low[FORMAT_EXACT_MAX], high[FORMAT_EXACT_MAX];
    if (key->max == 0 || (value >= key->min && value <= key->max))
        return 0;
    if (key->max == UINT64_MAX)
        return why_set(why, "too small\nat least %s", format(key->min, low));
    if (key->min == 0)
        return why_set(why, "too large\nat most %s", format(key->max, high));
    return why_set(why, "out of range\nfrom %s to %s", format(key->min, low), format(key->max, high));
}

static int bool_parse(const struct key *key, void *owner, const char *text, struct why *why)
{
    int value;
    if (parse_bool(text, &value) < 0)
        return why_set(why, "neither yes nor no\nwrite yes or no");
    *KEY_FIELD(bool, owner, key->offset) = value != 0;
    return 0;
}

static void bool_format(const struct key *key, const void *owner, struct text *out)
{
    text_add(out, "%s", *KEY_CONST_FIELD(bool, owner, key->offset) ? "yes" : "no");
}

const struct value_type type_bool = {.name = "yes or no", .parse = bool_parse, .format = bool_format};

static int word_parse(const struct key *key, void *owner, const char *text, struct why *why)
{
    size_t count = 0;
    struct text list = TEXT_NULL;
    for (; key->words[count]; count++) {
        if (strcmp(text, key->words[count]) == 0) {
            *KEY_FIELD(unsigned, owner, key->offset) = (unsigned)count;
            text_deinit(&list);
            return 0;
        }
        text_add(&list, "%s%s", count ? ", " : "", key->words[count]);
    }
    int r = list.failed ? -ENOMEM : why_set(why, "not one of its words\nwrite one of: %s", text_peek(&list));
    text_deinit(&list);
    const char *near = nearest_word(text, key->words, count);
    return near && r == -EINVAL ? why_set(why, "not one of its words\ndid you mean '%s'?", near) : r;
}

static void word_format(const struct key *key, const void *owner, struct text *out)
{
    text_add(out, "%s", key->words[*KEY_CONST_FIELD(unsigned, owner, key->offset)]);
}

const struct value_type type_word = {.name = "word", .parse = word_parse, .format = word_format};

/* The row's range is shifted by INT_BIAS, for it has no sign. */
#define INT_BIAS 100000

static int int_parse(const struct key *key, void *owner, const char *text, struct why *why)
{
    bool is_negative = *text == '-';
    uint64_t size;
    int r = parse_u64(text + (is_negative || *text == '+'), &size);
    if (r == -EINVAL || isspace((unsigned char)text[1]))
        return why_set(why, "not a whole number\nfrom %d to %d", (int)key->min - INT_BIAS,
                       (int)key->max - INT_BIAS);
    if (r < 0 || size > INT_BIAS)
        size = INT_BIAS;
    int value = is_negative ? -(int)size : (int)size;
    if (value + INT_BIAS < (int)key->min || value + INT_BIAS > (int)key->max)
        return why_set(why, "out of range\nfrom %d to %d", (int)key->min - INT_BIAS,
                       (int)key->max - INT_BIAS);
    *KEY_FIELD(int, owner, key->offset) = value;
    return 0;
}

static void int_format(const struct key *key, const void *owner, struct text *out)
{
    if (*KEY_CONST_FIELD(bool, owner, key->has))
        text_add(out, "%d", *KEY_CONST_FIELD(int, owner, key->offset));
}

const struct value_type type_int = {.name = "number", .parse = int_parse, .format = int_format};

static int octal_parse(const struct key *key, void *owner, const char *text, struct why *why)
{
    size_t length = strspn(text, "01234567");
    if (length == 0 || length > 4 || text[length] != '\0')
        return why_set(why, "not a file mode mask\nwrite octal digits, such as 022 or 0077");
    mode_t mask = 0;
    for (size_t i = 0; i < length; i++)
        mask = (mode_t)(mask * 8 + (mode_t)(text[i] - '0'));
    if (mask > 0777)
        return why_set(why, "out of range\nfrom 0000 to 0777");
    *KEY_FIELD(mode_t, owner, key->offset) = mask;
    return 0;
}

static void octal_format(const struct key *key, const void *owner, struct text *out)
{
    if (*KEY_CONST_FIELD(bool, owner, key->has))
        text_add(out, "%04o", (unsigned)*KEY_CONST_FIELD(mode_t, owner, key->offset));
}

const struct value_type type_octal = {.name = "octal mask", .parse = octal_parse, .format = octal_format};

static int count32_parse(const struct key *key, void *owner, const char *text, struct why *why)
{
    uint64_t value;
    int r = parse_u64(text, &value);
    if (r == -EINVAL)
        return why_set(why, "not a whole number\nwrite one from %" PRIu64 " to %" PRIu64, key->min, key->max);
    r = range_check(key, r < 0 ? UINT64_MAX : value, format_count, why);
    if (r < 0)
        return r;
    *KEY_FIELD(uint32_t, owner, key->offset) = (uint32_t)value;
    return 0;
}

/* 0 below the row's least value means "not set" (cpu_weight). */
static void count32_format(const struct key *key, const void *owner, struct text *out)
{
    uint32_t value = *KEY_CONST_FIELD(uint32_t, owner, key->offset);
    if (value != 0 || key->min == 0)
        text_add(out, "%" PRIu32, value);
}

const struct value_type type_count32 = {.name = "number", .parse = count32_parse, .format = count32_format};

static int count64_parse(const struct key *key, void *owner, const char *text, struct why *why)
{
    uint64_t value = UINT64_MAX;
    int r = strcmp(text, "max") == 0 || strcmp(text, "infinity") == 0 ? 0 : parse_u64(text, &value);
    if (r == -EINVAL)
        return why_set(why, "not a whole number\nwrite a number, or max for no limit");
    r = r < 0 ? why_set(why, "too large\nwrite max for no limit")
              : range_check(key, value, format_count, why);
    if (r < 0)
        return r;
    *KEY_FIELD(uint64_t, owner, key->offset) = value;
    return 0;
}

static void count64_format(const struct key *key, const void *owner, struct text *out)
{
    char buf[FORMAT_EXACT_MAX];
    text_add(out, "%s", format_count(*KEY_CONST_FIELD(uint64_t, owner, key->offset), buf));
}

const struct value_type type_count64 = {
    .name = "number or max", .parse = count64_parse, .format = count64_format};

static int bytes_parse(const struct key *key, void *owner, const char *text, struct why *why)
{
    uint64_t bytes;
    if (strchr(text, '%'))
        return why_set(why, "a share of what?\nwrite a size, such as 16M or 1G");
    int r = parse_size(text, &bytes);
    if (r == -EINVAL)
        return why_set(why, "not a size\nwrite 16M, 512K or 1G%s", key->max == UINT64_MAX ? ", or max" : "");
    r = r < 0 ? why_set(why, "too large\nwrite 16M, 512K or 1G")
              : range_check(key, bytes, format_bytes_exact, why);
    if (r < 0)
        return r;
    *KEY_FIELD(uint64_t, owner, key->offset) = bytes;
    return 0;
}

static void bytes_format(const struct key *key, const void *owner, struct text *out)
{
    char buf[FORMAT_EXACT_MAX];
    text_add(out, "%s", format_bytes_exact(*KEY_CONST_FIELD(uint64_t, owner, key->offset), buf));
}

const struct value_type type_bytes = {.name = "size", .parse = bytes_parse, .format = bytes_format};

static int size_share_check(const struct key *key, uint32_t share, struct why *why)
{
    if (share > PERMYRIAD_ONE)
        return why_set(why, "more than everything\nat most 100%%");
    if (share == 0 && key->min > 0)
        return why_set(why, "nothing can run in that\nwrite 4G, 512M or 85%%");
    return 0;
}

static int size_parse(const struct key *key, void *owner, const char *text, struct why *why)
{
    struct config_size size = {.is_set = true};
    size.is_share = strchr(text, '%') != NULL;
    int r = size.is_share ? parse_percent(text, &size.permyriad) : parse_size(text, &size.bytes);
    if (r == -EINVAL)
        return why_set(why, "not a size\nwrite 4G, 512M or 85%%");
    if (size.is_share) {
        r = size_share_check(key, r < 0 ? UINT32_MAX : size.permyriad, why);
    } else {
        r = r < 0 ? why_set(why, "too large\nwrite max for no limit")
                  : range_check(key, size.bytes, format_bytes_exact, why);
    }
    if (r == 0)
        *KEY_FIELD(struct config_size, owner, key->offset) = size;
    return r;
}

static void size_format(const struct key *key, const void *owner, struct text *out)
{
    const struct config_size *size = KEY_CONST_FIELD(struct config_size, owner, key->offset);
    char buf[FORMAT_EXACT_MAX];
    if (size->is_set)
        text_add(out, "%s",
                 size->is_share ? format_percent_exact(size->permyriad, buf)
                                : format_bytes_exact(size->bytes, buf));
}

const struct value_type type_size = {.name = "size or share", .parse = size_parse, .format = size_format};

static int duration_parse(const struct key *key, void *owner, const char *text, struct why *why)
{
    uint64_t us;
    int r = parse_duration(text, &us);
    if (r == -EINVAL)
        return why_set(why, "not a length of time\nwrite 90s, 500ms, 10m or 2h30m");
    r = range_check(key, r < 0 ? USEC_INFINITY : us, format_duration_exact, why);
    if (r < 0)
        return r;
    *KEY_FIELD(uint64_t, owner, key->offset) = us;
    return 0;
}

static void duration_format(const struct key *key, const void *owner, struct text *out)
{
    char buf[FORMAT_EXACT_MAX];
    text_add(out, "%s", format_duration_exact(*KEY_CONST_FIELD(uint64_t, owner, key->offset), buf));
}

const struct value_type type_duration = {.name = "time", .parse = duration_parse, .format = duration_format};

static int percent_parse(const struct key *key, void *owner, const char *text, struct why *why)
{
    uint32_t share = 0;
    uint64_t number;
    int r = parse_percent(text, &share);
    if (r == -EINVAL && parse_u64(text, &number) == 0)
        return why_set(why, "a share needs its %% sign\nwrite %" PRIu64 "%%", number);
    if (r == -EINVAL)
        return why_set(why, "not a share\nwrite 85%%%s",
                       key->type == &type_percent_off ? ", 12.5% or off" : " or 12.5%");
    r = range_check(key, r < 0 ? UINT64_MAX : share, format_percent_exact, why);
    if (r < 0)
        return r;
    *KEY_FIELD(uint32_t, owner, key->offset) = share;
    return 0;
}

static void percent_format(const struct key *key, const void *owner, struct text *out)
{
    char buf[FORMAT_EXACT_MAX];
    text_add(out, "%s", format_percent_exact(*KEY_CONST_FIELD(uint32_t, owner, key->offset), buf));
}

const struct value_type type_percent = {.name = "share", .parse = percent_parse, .format = percent_format};

/* A step of the ladder: 0 in the policy is "never". */
static int percent_off_parse(const struct key *key, void *owner, const char *text, struct why *why)
{
    if (strcmp(text, "off") != 0)
        return percent_parse(key, owner, text, why);
    *KEY_FIELD(uint32_t, owner, key->offset) = 0;
    return 0;
}

static void percent_off_format(const struct key *key, const void *owner, struct text *out)
{
    if (*KEY_CONST_FIELD(uint32_t, owner, key->offset) != 0)
        percent_format(key, owner, out);
    else
        text_add(out, "off");
}

const struct value_type type_percent_off = {
    .name = "share or off", .parse = percent_off_parse, .format = percent_off_format};

#define CPU_COUNT_MEANT 100 /* the row's greatest share, in CPUs */

static int cpu_parse(const struct key *key, void *owner, const char *text, struct why *why)
{
    uint64_t number;
    /* one CPU or several may be meant, too */
    if (parse_u64(text, &number) == 0 && number > 0 && number <= CPU_COUNT_MEANT)
        return why_set(
            why, "a share needs its %% sign\nwrite %" PRIu64 "%% for %" PRIu64 " cpu%s, or %" PRIu64 "%%",
            number * 100, number, number == 1 ? "" : "s", number);
    if (strcmp(text, "max") != 0 && strcmp(text, "infinity") != 0)
        return percent_parse(key, owner, text, why);
    *KEY_FIELD(uint32_t, owner, key->offset) = 0;
    return 0;
}

static void cpu_format(const struct key *key, const void *owner, struct text *out)
{
    if (*KEY_CONST_FIELD(uint32_t, owner, key->offset) != 0)
        percent_format(key, owner, out);
    else
        text_add(out, "max");
}

const struct value_type type_cpu = {.name = "share or max", .parse = cpu_parse, .format = cpu_format};

static int rlimit_number(const char *text, bool is_bytes, rlim_t *ret)
{
    uint64_t value = RLIM_INFINITY;
    int r = 0;
    if (strcmp(text, "infinity") != 0 && strcmp(text, "max") != 0)
        r = is_bytes ? parse_size(text, &value) : parse_u64(text, &value);
    if (r == 0)
        *ret = value;
    return r;
}

static int rlimit_parse_as(const struct key *key, void *owner, const char *text, bool is_bytes,
                           struct why *why)
{
    char soft[64];
    struct config_rlimit limit = {.is_set = true};
    size_t length = strcspn(text, ":");
    if (length >= sizeof(soft))
        return why_set(why, "not a limit\nwrite N, SOFT:HARD or infinity");
    (void)snprintf(soft, sizeof(soft), "%.*s", (int)length, text);
    const char *hard = text[length] == ':' ? text + length + 1 : soft;
    if (rlimit_number(soft, is_bytes, &limit.value.rlim_cur) < 0 ||
        rlimit_number(hard, is_bytes, &limit.value.rlim_max) < 0)
        return why_set(why, "not a limit\nwrite %s, SOFT:HARD or infinity",
                       is_bytes ? "a size such as 8M" : "a number");
    if (limit.value.rlim_cur > limit.value.rlim_max)
        return why_set(why, "the soft limit is above the hard one\nwrite SOFT:HARD with SOFT at most HARD");
    KEY_FIELD(struct config_rlimit, owner, key->offset)[key->resource] = limit;
    return 0;
}

static void rlimit_format_as(const struct key *key, const void *owner, format_exact_fn *format,
                             struct text *out)
{
    const struct config_rlimit *limit =
        KEY_CONST_FIELD(struct config_rlimit, owner, key->offset) + key->resource;
    char soft[FORMAT_EXACT_MAX], hard[FORMAT_EXACT_MAX];
    if (!limit->is_set)
        return;
    text_add(out, "%s", format(limit->value.rlim_cur, soft));
    if (limit->value.rlim_max != limit->value.rlim_cur)
        text_add(out, ":%s", format(limit->value.rlim_max, hard));
}

static int rlimit_parse(const struct key *key, void *owner, const char *text, struct why *why)
{
    return rlimit_parse_as(key, owner, text, false, why);
}

static int rlimit_bytes_parse(const struct key *key, void *owner, const char *text, struct why *why)
{
    return rlimit_parse_as(key, owner, text, true, why);
}

static const char *format_rlimit_count(uint64_t value, char buf[static FORMAT_EXACT_MAX])
{
    return value == RLIM_INFINITY ? strcpy(buf, "infinity") : format_count(value, buf);
}

static const char *format_rlimit_bytes(uint64_t value, char buf[static FORMAT_EXACT_MAX])
{
    return value == RLIM_INFINITY ? strcpy(buf, "infinity") : format_bytes_exact(value, buf);
}

static void rlimit_format(const struct key *key, const void *owner, struct text *out)
{
    rlimit_format_as(key, owner, format_rlimit_count, out);
}

static void rlimit_bytes_format(const struct key *key, const void *owner, struct text *out)
{
    rlimit_format_as(key, owner, format_rlimit_bytes, out);
}

const struct value_type type_rlimit = {.name = "limit", .parse = rlimit_parse, .format = rlimit_format};
const struct value_type type_rlimit_bytes = {
    .name = "size limit", .parse = rlimit_bytes_parse, .format = rlimit_bytes_format};

int name_check(const char *name, struct why *why)
{
    size_t length = strlen(name);
    if (length == 0)
        return why_set(why, "an empty name\nwrite letters, digits, '-', '_' and '.'");
    if (length >= UNIT_NAME_MAX)
        return why_set(why, "a name of %zu characters\nat most %d", length, UNIT_NAME_MAX - 1);
    if (*name == '.')
        return why_set(why, "a name cannot begin with '.'\nbegin with a letter or a digit");
    for (const char *p = name; *p; p++)
        if ((unsigned char)*p >= 0x80 || (!isalnum((unsigned char)*p) && *p != '-' && *p != '_' && *p != '.'))
            return why_set(why, "not a name\nwrite letters, digits, '-', '_' and '.' only");
    return 0;
}

static int name_parse(const struct key *key, void *owner, const char *text, struct why *why)
{
    int r = name_check(text, why);
    if (r == 0)
        (void)snprintf(KEY_FIELD(char, owner, key->offset), UNIT_NAME_MAX, "%s", text);
    return r;
}

static void name_format(const struct key *key, const void *owner, struct text *out)
{
    text_add(out, "%s", KEY_CONST_FIELD(char, owner, key->offset));
}

const struct value_type type_name = {.name = "name", .parse = name_parse, .format = name_format};
