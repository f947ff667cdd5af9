/* SPDX-License-Identifier: MIT */
/*
 * Decisions: names, and the canonical text that replay compares. The tables come from the X-macros of the
 * header; the text form is the table `keys` below, walked by the codec. The sentence for a person is in
 * decision_narrate.c.
 *
 * Invariant: decision_parse(decision_format(d)) is d, for every decision whose enums are in range and whose
 * unit is in the table. Members at their default (0, no unit) are left out of the text.
 */
#include "weir/model/decision.h"

#include <errno.h>
#include <string.h>

#include "codec.h"
#include "names.h"
#include "weir/base/cleanup.h"

static const char *const kind_names[DECISION_KIND_COUNT] = {
#define X(id, name, class) [DECISION_##id] = name,
    DECISION_KINDS(X)
#undef X
};

static const enum decision_class kind_classes[DECISION_KIND_COUNT] = {
#define X(id, name, class) [DECISION_##id] = DECISION_CLASS_##class,
    DECISION_KINDS(X)
#undef X
};

static const char *const reason_names[REASON_COUNT] = {
#define X(id, name, text) [REASON_##id] = name,
    DECISION_REASONS(X)
#undef X
};

static const char *const reason_texts[REASON_COUNT] = {
#define X(id, name, text) [REASON_##id] = text,
    DECISION_REASONS(X)
#undef X
};

static const char *const metric_names[METRIC_COUNT] = {
#define X(id, name, type) [METRIC_##id] = name,
    DECISION_METRICS(X)
#undef X
};

static const enum metric_type metric_types[METRIC_COUNT] = {
#define X(id, name, type) [METRIC_##id] = METRIC_TYPE_##type,
    DECISION_METRICS(X)
#undef X
};

static const char *const rejection_names[REJECTED_COUNT] = {
#define X(id, name, text) [REJECTED_##id] = name,
    DECISION_REJECTIONS(X)
#undef X
};

static const char *const rejection_texts[REJECTED_COUNT] = {
#define X(id, name, text) [REJECTED_##id] = text,
    DECISION_REJECTIONS(X)
#undef X
};

static const char *const shape_names[SHAPE_COUNT] = {
#define X(id, name, text) [SHAPE_##id] = name,
    DECISION_SHAPES(X)
#undef X
};

static const char *const state_names[UNIT_STATE_COUNT] = {
#define X(id, name) [UNIT_STATE_##id] = name,
    UNIT_STATES(X)
#undef X
};

const char *decision_kind_name(enum decision_kind kind)
{
    return name_of(kind_names, DECISION_KIND_COUNT, kind);
}

enum decision_class decision_kind_class(enum decision_kind kind)
{
    return (unsigned)kind < DECISION_KIND_COUNT ? kind_classes[kind] : DECISION_CLASS_MARK;
}

const char *decision_reason_name(enum decision_reason reason)
{
    return name_of(reason_names, REASON_COUNT, reason);
}

const char *decision_reason_text(enum decision_reason reason)
{
    return name_of(reason_texts, REASON_COUNT, reason);
}

const char *decision_metric_name(enum decision_metric metric)
{
    return name_of(metric_names, METRIC_COUNT, metric);
}

enum metric_type decision_metric_type(enum decision_metric metric)
{
    return (unsigned)metric < METRIC_COUNT ? metric_types[metric] : METRIC_TYPE_COUNT;
}

const char *decision_rejection_text(enum decision_rejection rejection)
{
    return name_of(rejection_texts, REJECTED_COUNT, rejection);
}

const char *decision_shape_name(enum decision_shape shape)
{
    return name_of(shape_names, SHAPE_COUNT, shape);
}

const char *unit_state_name(enum unit_state state)
{
    return name_of(state_names, UNIT_STATE_COUNT, state);
}

enum decision_kind decision_kind_by_name(const char *name)
{
    return (enum decision_kind)text_find(name, kind_names, DECISION_KIND_COUNT);
}

enum decision_reason decision_reason_by_name(const char *name)
{
    return (enum decision_reason)text_find(name, reason_names, REASON_COUNT);
}

enum decision_metric decision_metric_by_name(const char *name)
{
    return (enum decision_metric)text_find(name, metric_names, METRIC_COUNT);
}

enum unit_state unit_state_by_name(const char *name)
{
    return (enum unit_state)text_find(name, state_names, UNIT_STATE_COUNT);
}

#define AT(member) offsetof(struct decision, member)

/* The canonical order of the text. */
static const struct codec_key keys[] = {
    {"id", CODEC_NUMBER, CODEC_ALWAYS | CODEC_REQUIRED, AT(id), NULL, 0},
    {"event", CODEC_NUMBER, CODEC_ALWAYS | CODEC_REQUIRED, AT(event_seq), NULL, 0},
    {"t_us", CODEC_TIME, CODEC_ALWAYS | CODEC_REQUIRED, AT(t_us), NULL, 0},
    {"cause", CODEC_NUMBER, 0, AT(cause_id), NULL, 0},
    {"unit", CODEC_UNIT, 0, AT(unit), NULL, 0},
    {"gen", CODEC_U32, 0, AT(generation), NULL, 0},
    {"kind", CODEC_NAME, CODEC_ALWAYS | CODEC_REQUIRED, AT(kind), kind_names, DECISION_KIND_COUNT},
    {"reason", CODEC_NAME, 0, AT(reason), reason_names, REASON_COUNT},
    {"metric", CODEC_NAME, 0, AT(metric), metric_names, METRIC_COUNT},
    {"observed", CODEC_NUMBER, 0, AT(observed), NULL, 0},
    {"threshold", CODEC_NUMBER, 0, AT(threshold), NULL, 0},
    {"held_us", CODEC_TIME, 0, AT(held_us), NULL, 0},
    {"amount0", CODEC_NUMBER, 0, AT(amount[0]), NULL, 0},
    {"amount1", CODEC_NUMBER, 0, AT(amount[1]), NULL, 0},
    {"rejected", CODEC_MASK, 0, AT(rejected), rejection_names, REJECTED_COUNT},
    {"observe", CODEC_BOOL, 0, AT(observe), NULL, 0},
    {"rule", CODEC_WORD, 0, AT(rule), NULL, DECISION_RULE_MAX},
    {"shape", CODEC_NAME, 0, AT(shape), shape_names, SHAPE_COUNT},
    {"shape_bytes", CODEC_NUMBER, 0, AT(shape_bytes), NULL, 0},
    {"shape_us", CODEC_TIME, 0, AT(shape_us), NULL, 0},
};

int decision_format(const struct decision *d, const char *const *unit_names, char *buf, size_t size)
{
    struct codec_units units = {unit_names, 0};
    char whole[DECISION_TEXT_MAX];
    struct text_out o = text_begin(whole, sizeof(whole));
    for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
        codec_put(&o, &keys[i], d, &units);
    int length = text_end(&o) - 1; /* without the blank in front of the first key */
    if (length < 0 || (size_t)length >= size)
        return -EMSGSIZE;
    memcpy(buf, whole + 1, (size_t)length + 1);
    return length;
}

/* Reads one token into the decision; seen: bit i = keys[i] was given. */
static int get_key(char *token, const struct codec_units *units, struct decision *d, uint32_t *seen)
{
    const char *value = codec_split(token);
    for (size_t i = 0; value && i < ARRAY_SIZE(keys); i++) {
        if (strcmp(token, keys[i].name) != 0)
            continue;
        if (*seen >> i & 1U)
            return -EINVAL;
        *seen |= UINT32_C(1) << i;
        return codec_get(&keys[i], d, value, units);
    }
    return -EINVAL;
}

int decision_parse(const char *text, const char *const *unit_names, size_t unit_count, struct decision *ret)
{
    struct codec_units units = {unit_names, unit_count};
    struct decision d = {.unit = UNIT_NONE};
    uint32_t seen = 0;
    char token[TEXT_TOKEN_MAX];
    int r;
    while ((r = text_next_token(&text, token)) > 0)
        if (get_key(token, &units, &d, &seen) < 0)
            return -EINVAL;
    for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
        if (keys[i].flags & CODEC_REQUIRED && !(seen >> i & 1U))
            return -EINVAL;
    if (r == 0)
        *ret = d;
    return r;
}
