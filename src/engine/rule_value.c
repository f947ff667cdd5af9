/* SPDX-License-Identifier: MIT */
/*
 * Values of the rule language, by the type of their metric, both ways.
 *
 * A value is one slice of the text that goes whole to the parser of its type (weir/base/units.h), so that "64 KiB" and
 * "1min 30s" mean here what they mean in the rest of the config. What is exact when read is exact when printed.
 */
#include "rule_text.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <strings.h>

#include "weir/base/cleanup.h"
#include "weir/base/nearest.h"
#include "weir/base/units.h"

#define SLICE_MAX   64 /* chosen: no sane value is longer */
#define METRICS_MAX 96 /* names and aliases; all are suggested (tests/unit/test_rule_text.c) */

static const struct {
    const char *name, *hint;
} types[] = {
    [METRIC_TYPE_BYTES] = {"a size", "write a size, as in 512M, or a share, as in 85% of memory.max"},
    [METRIC_TYPE_BYTES_PER_S] = {"a rate", "write a rate, as in 40M/s"},
    [METRIC_TYPE_USEC] = {"a length of time", "write 20s, 500ms, 10m or 2h30m"},
    [METRIC_TYPE_PERMYRIAD] = {"a percentage", "write a percentage, as in 10%"},
    [METRIC_TYPE_COUNT] = {"a whole number", "write a whole number, as in 200"},
};

const char *rule_type_name(enum metric_type type)
{
    return types[type].name;
}

const char *rule_type_hint(enum metric_type type)
{
    return types[type].hint;
}

/* --- metrics ------------------------------------------------------------------------------------- */

static const char *nearest_metric(const struct rule_token *t)
{
    const char *names[METRICS_MAX];
    char word[SLICE_MAX];
    size_t count = 0;
    if (t->length >= sizeof(word))
        return NULL;
    memcpy(word, t->start, t->length);
    word[t->length] = '\0';
    for (size_t i = 0; i < rule_metric_count && count + 2 <= METRICS_MAX; i++) {
        names[count++] = rule_metrics[i].name;
        if (rule_metrics[i].alias)
            names[count++] = rule_metrics[i].alias;
    }
    return nearest_word(word, names, count);
}

static bool has_prefix(const struct rule_token *t, const char *prefix)
{
    return t->length > strlen(prefix) && strncasecmp(t->start, prefix, strlen(prefix)) == 0;
}

static int fail_metric(const struct rule_reader *r)
{
    const struct rule_token *t = &r->token;
    struct rule_shown shown = rule_show(t);
    if (has_prefix(t, "gate.calls."))
        return rule_fail(r, t, "%s: calls are not counted per method in this version\n%s", shown.text,
                         "gate.inflight, gate.queued and gate.latency_p99 judge the gate as a whole");
    if (has_prefix(t, "metric."))
        return rule_fail(r, t, "%s: metrics of one's own are not supported in this version\n%s", shown.text,
                         "weir.conf(5) lists those there are");
    const char *near = nearest_metric(t);
    return near ? rule_fail(r, t, "unknown metric %s\ndid you mean '%s'?", shown.text, near)
                : rule_fail(r, t, "unknown metric %s\nweir.conf(5) lists the metrics", shown.text);
}

const struct rule_metric_info *rule_read_metric(struct rule_reader *r)
{
    const struct rule_metric_info *row = rule_metric_by_name(r->token.start, r->token.length);
    if (row)
        rule_reader_step(r);
    else
        (void)fail_metric(r);
    return row;
}

/* --- numbers ------------------------------------------------------------------------------------- */

static bool is_bare(const struct rule_token *t)
{
    for (size_t i = 0; i < t->length; i++)
        if ((t->start[i] < '0' || t->start[i] > '9') && t->start[i] != '.')
            return false;
    return t->kind == RULE_TOKEN_NUMBER;
}

/* A word that can only be meant as the unit of the bare number before it: "64 KiB", "40 M/s", "20 s". */
static bool is_unit(const struct rule_token *t)
{
    return t->kind == RULE_TOKEN_WORD && !memchr(t->start, '.', t->length) && !rule_token_is_keyword(t) &&
           !rule_metric_by_name(t->start, t->length);
}

/* The whole value that begins at r->token; moves past it. Times may have several parts: "1min 30s". */
static struct rule_token read_slice(struct rule_reader *r, enum metric_type type)
{
    struct rule_token first = r->token, last = r->token;
    bool parts = type == METRIC_TYPE_USEC, units = type != METRIC_TYPE_COUNT && type != METRIC_TYPE_PERMYRIAD;
    rule_reader_step(r);
    while ((parts && r->token.kind == RULE_TOKEN_NUMBER) ||
           (units && is_bare(&r->before) && is_unit(&r->token))) {
        last = r->token;
        rule_reader_step(r);
    }
    return rule_token_span(&first, &last);
}

/* Cuts the "/s" of a rate off; false when there is none. */
static bool cut_per_second(char *text)
{
    size_t length = strlen(text);
    if (length < 2 || strcasecmp(text + length - 2, "/s") != 0)
        return false;
    text[length - 2] = '\0';
    return true;
}

/* Two decimals are all that a permyriad holds. */
static bool is_too_fine(const char *text)
{
    const char *point = strchr(text, '.');
    return point && strspn(point + 1, "0123456789") > 2;
}

static int parse_number(const char *text, enum metric_type type, uint64_t *ret)
{
    char copy[SLICE_MAX];
    uint32_t permyriad;
    int r = -EINVAL;
    memcpy(copy, text, strlen(text) + 1);
    switch (type) {
    case METRIC_TYPE_BYTES:
        return parse_size(copy, ret);
    case METRIC_TYPE_BYTES_PER_S:
        return cut_per_second(copy) ? parse_size(copy, ret) : -EINVAL;
    case METRIC_TYPE_USEC:
        return parse_duration(copy, ret);
    case METRIC_TYPE_COUNT:
        return parse_u64(copy, ret);
    case METRIC_TYPE_PERMYRIAD:
        r = is_too_fine(copy) ? -EINVAL : parse_percent(copy, &permyriad);
        if (r == 0)
            *ret = permyriad;
        return r;
    }
    return -EINVAL;
}

/* What a person may have meant who wrote a value of another type; NULL: nothing that is known. */
static const char *guess_hint(const char *text, enum metric_type type, char buf[SLICE_MAX + 16])
{
    uint64_t ignored;
    const char *unit = type == METRIC_TYPE_PERMYRIAD ? "%" : type == METRIC_TYPE_BYTES_PER_S ? "/s" : NULL;
    enum metric_type bare = type == METRIC_TYPE_PERMYRIAD ? METRIC_TYPE_COUNT : METRIC_TYPE_BYTES;
    if (type == METRIC_TYPE_BYTES && parse_number(text, METRIC_TYPE_BYTES_PER_S, &ignored) == 0)
        return "a rate is compared with memory.growth";
    if (type == METRIC_TYPE_PERMYRIAD && is_too_fine(text))
        return "a percentage has two decimals at most";
    bool is_plain = text[strspn(text, "0123456789")] == '\0'; /* 40 bytes a second is not what was meant */
    if (!unit || (bare == METRIC_TYPE_BYTES && is_plain) || parse_number(text, bare, &ignored) < 0)
        return NULL;
    (void)snprintf(buf, SLICE_MAX + 16, "write %s%s", text, unit);
    return buf;
}

static int fail_number(const struct rule_reader *r, const struct rule_token *at, enum metric_type type,
                       const char *text, int error)
{
    char buf[SLICE_MAX + 16];
    struct rule_shown shown = rule_show(at);
    if (error == -ERANGE)
        return rule_fail(r, at, "%s is too large", shown.text);
    const char *hint = text ? guess_hint(text, type, buf) : NULL;
    return rule_fail(r, at, "%s is not %s\n%s", shown.text, rule_type_name(type),
                     hint ? hint : rule_type_hint(type));
}

/* The slice's number. */
static int convert(const struct rule_reader *r, const struct rule_token *slice, enum metric_type type,
                   uint64_t *ret)
{
    char text[SLICE_MAX];
    if (slice->length >= sizeof(text))
        return fail_number(r, slice, type, NULL, -EINVAL);
    memcpy(text, slice->start, slice->length);
    text[slice->length] = '\0';
    int error = parse_number(text, type, ret);
    return error < 0 ? fail_number(r, slice, type, text, error) : 0;
}

int rule_read_number(struct rule_reader *r, enum metric_type type, uint64_t *ret)
{
    struct rule_token slice = read_slice(r, type);
    return convert(r, &slice, type, ret);
}

int rule_read_time(struct rule_reader *r, const struct rule_times *times, uint64_t *ret_us)
{
    char least[FORMAT_DURATION_MAX], most[FORMAT_DURATION_MAX];
    uint64_t us = 0;
    if (r->token.kind != RULE_TOKEN_NUMBER)
        return rule_fail_lookalike(r, &r->token)
                   ? -EINVAL
                   : rule_fail(r, &r->token, "a length of time is missing after '%s'\n%s", times->word,
                               rule_type_hint(METRIC_TYPE_USEC));
    struct rule_token slice = read_slice(r, METRIC_TYPE_USEC);
    int error = convert(r, &slice, METRIC_TYPE_USEC, &us);
    if (error < 0)
        return error;
    if (us < times->least_us || us > times->most_us)
        return rule_fail(r, &slice, "%s is out of range for '%s'\nfrom %s to %s", rule_show(&slice).text,
                         times->word, format_duration(times->least_us, least),
                         format_duration(times->most_us, most));
    *ret_us = us;
    return 0;
}

/* --- the right side of a comparison -------------------------------------------------------------- */

/* METRIC, alone or behind "of"; at = its place. */
static int read_other(struct rule_reader *r, struct rule_node *node)
{
    struct rule_token at = r->token;
    const struct rule_metric_info *other = rule_read_metric(r);
    if (!other)
        return -EINVAL;
    enum metric_type type = decision_metric_type(node->metric), theirs = decision_metric_type(other->metric);
    const char *name = decision_metric_name(node->metric);
    if (theirs != type)
        return rule_fail(r, &at, "'%s' is %s, and '%s' is %s: they cannot be compared", name,
                         rule_type_name(type), other->name, rule_type_name(theirs));
    if (other->metric == node->metric)
        return rule_fail(r, &at, "'%s' is compared with itself", name);
    node->of = other->metric;
    return 0;
}

/* "85% of memory.max"; r->token is the share. */
static int read_share(struct rule_reader *r, struct rule_node *node)
{
    int error = rule_read_number(r, METRIC_TYPE_PERMYRIAD, &node->number);
    if (error < 0)
        return error;
    rule_reader_step(r); /* "of" */
    if (r->token.kind != RULE_TOKEN_WORD || rule_token_is_keyword(&r->token))
        return rule_fail_lookalike(r, &r->token)
                   ? -EINVAL
                   : rule_fail(r, &r->token, "a metric is missing after 'of'\nwrite 85%% of memory.max");
    return read_other(r, node);
}

/* "10%" where a size or a count is wanted. */
static int fail_share_of_what(const struct rule_reader *r, enum metric_type type)
{
    const struct rule_token *t = &r->token;
    const char *metric = type == METRIC_TYPE_BYTES ? "memory.max" : "pids.max";
    struct rule_shown shown = rule_show(t);
    if (t->length >= SLICE_MAX)
        return rule_fail(r, t, "%s of what?\nwrite 10%% of %s", shown.text, metric);
    return rule_fail(r, t, "%s of what?\nwrite %.*s of %s", shown.text, (int)t->length, t->start, metric);
}

int rule_read_value(struct rule_reader *r, struct rule_node *node)
{
    enum metric_type type = decision_metric_type(node->metric);
    struct rule_token next = rule_reader_peek(r);
    bool is_percent = r->token.kind == RULE_TOKEN_NUMBER && r->token.start[r->token.length - 1] == '%';
    node->of = METRIC_NONE;
    if (r->token.kind == RULE_TOKEN_NUMBER && rule_token_is(&next, "of"))
        return read_share(r, node);
    if (is_percent && (type == METRIC_TYPE_BYTES || node->metric == METRIC_PIDS_CURRENT))
        return fail_share_of_what(r, type);
    if (r->token.kind == RULE_TOKEN_NUMBER)
        return rule_read_number(r, type, &node->number);
    if (rule_fail_lookalike(r, &r->token))
        return -EINVAL;
    if (rule_token_is(&r->token, "max") || rule_token_is(&r->token, "infinity"))
        return rule_fail(r, &r->token, "%s is no value to compare with\n%s", rule_show(&r->token).text,
                         rule_type_hint(type));
    if (r->token.kind != RULE_TOKEN_WORD || rule_token_is_keyword(&r->token))
        return rule_fail(r, &r->token, "a value is missing after %s\n%s", rule_show(&r->before).text,
                         rule_type_hint(type));
    node->number = PERMYRIAD_ONE;
    return read_other(r, node);
}

/* --- printing ------------------------------------------------------------------------------------ */

struct scale {
    const char *name;
    uint64_t factor;
};

/* In the largest unit that leaves nothing over. */
static void put_scaled(struct text_out *o, uint64_t value, const struct scale *scales, size_t count)
{
    size_t i = 0;
    while (i + 1 < count && (value == 0 || value % scales[i].factor != 0))
        i++;
    text_put(o, "%" PRIu64 "%s", value / scales[i].factor, scales[i].name);
}

static void put_size(struct text_out *o, uint64_t bytes)
{
    static const struct scale scales[] = {
        {"E", 1ULL << 60}, {"P", 1ULL << 50}, {"T", 1ULL << 40}, {"G", 1ULL << 30},
        {"M", 1ULL << 20}, {"K", 1ULL << 10}, {"B", 1},
    };
    put_scaled(o, bytes, scales, ARRAY_SIZE(scales));
}

static void put_time(struct text_out *o, uint64_t us)
{
    static const struct scale scales[] = {
        {"d", 86400 * USEC_PER_SEC}, {"h", 3600 * USEC_PER_SEC}, {"min", 60 * USEC_PER_SEC},
        {"s", USEC_PER_SEC},         {"ms", USEC_PER_MSEC},      {"us", 1},
    };
    if (us == 0)
        text_put(o, "0s");
    else
        put_scaled(o, us, scales, ARRAY_SIZE(scales));
}

static void put_percent(struct text_out *o, uint64_t permyriad)
{
    uint64_t hundredths = permyriad % 100;
    text_put(o, "%" PRIu64, permyriad / 100);
    if (hundredths % 10 != 0)
        text_put(o, ".%02" PRIu64, hundredths);
    else if (hundredths != 0)
        text_put(o, ".%" PRIu64, hundredths / 10);
    text_put(o, "%%");
}

void rule_put_number(struct text_out *o, enum metric_type type, uint64_t value)
{
    switch (type) {
    case METRIC_TYPE_BYTES:
        put_size(o, value);
        return;
    case METRIC_TYPE_BYTES_PER_S:
        put_size(o, value);
        text_put(o, "/s");
        return;
    case METRIC_TYPE_USEC:
        put_time(o, value);
        return;
    case METRIC_TYPE_PERMYRIAD:
        put_percent(o, value);
        return;
    case METRIC_TYPE_COUNT:
        text_put(o, "%" PRIu64, value);
        return;
    }
}
