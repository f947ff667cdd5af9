/* SPDX-License-Identifier: MIT */
/*
 * A whole rule as the record keeps it, "key = value" lines, and back; and what of it asks for a gate.
 *
 * Read back is only what was written: keys in their order, each at most once. A line that says anything else belongs to
 * another version of the language, and to judge a recorded run by half a rule would be worse than to refuse it.
 */
#include "rule_text.h"

#include <errno.h>
#include <string.h>

#include "weir/base/cleanup.h"

/* Every row writes a value ("": the key is left out) and reads it. */
struct record_key {
    const char *name;
    bool is_required;
    int (*format)(const struct rule *r, char *buf, size_t size);
    int (*parse)(const char *text, struct rule *ret);
};

static int format_name(const struct rule *r, char *buf, size_t size)
{
    struct text_out o = text_begin(buf, size);
    text_put(&o, "%s", r->name);
    return text_end(&o);
}

static int parse_name(const char *text, struct rule *ret)
{
    size_t length = strlen(text);
    if (length == 0 || length >= sizeof(ret->name))
        return -EINVAL;
    memcpy(ret->name, text, length + 1);
    return 0;
}

static int format_mode(const struct rule *r, char *buf, size_t size)
{
    struct text_out o = text_begin(buf, size);
    text_put(&o, "%s", r->observe ? "observe" : "");
    return text_end(&o);
}

static int parse_mode(const char *text, struct rule *ret)
{
    if (strcmp(text, "observe") != 0)
        return -EINVAL;
    ret->observe = true;
    return 0;
}

static int format_when(const struct rule *r, char *buf, size_t size)
{
    return rule_condition_format(&r->when, buf, size);
}

static int parse_when(const char *text, struct rule *ret)
{
    return rule_parse_condition(text, &ret->when, NULL);
}

static int format_until(const struct rule *r, char *buf, size_t size)
{
    return rule_condition_format(&r->until, buf, size);
}

static int parse_until(const char *text, struct rule *ret)
{
    return rule_parse_condition(text, &ret->until, NULL);
}

static int parse_do(const char *text, struct rule *ret)
{
    return rule_parse_actions(text, ret, NULL);
}

static int parse_limit(const char *text, struct rule *ret)
{
    return rule_parse_limit(text, ret, NULL);
}

static const struct record_key keys[] = {
    {"name", true, format_name, parse_name},     {"mode", false, format_mode, parse_mode},
    {"when", true, format_when, parse_when},     {"until", false, format_until, parse_until},
    {"do", true, rule_actions_format, parse_do}, {"limit", false, rule_limit_format, parse_limit},
};

int rule_format(const struct rule *r, char *buf, size_t size)
{
    struct text_out o = text_begin(buf, size);
    for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
        char value[RULE_CONDITION_TEXT_MAX];
        int length = keys[i].format(r, value, sizeof(value));
        if (length < 0)
            return length;
        if (length > 0)
            text_put(&o, "%s = %s\n", keys[i].name, value);
    }
    return text_end(&o);
}

/* The value of "NAME = value\n" at *text, which moves to the next line. 1; 0: another key stands there; -EINVAL. */
static int next_value(const char **text, const char *name, char value[static RULE_CONDITION_TEXT_MAX])
{
    size_t length = strlen(name);
    if (strncmp(*text, name, length) != 0 || strncmp(*text + length, " = ", 3) != 0)
        return 0;
    const char *from = *text + length + 3, *end = strchr(from, '\n');
    if (!end || end - from >= RULE_CONDITION_TEXT_MAX)
        return -EINVAL;
    memcpy(value, from, (size_t)(end - from));
    value[end - from] = '\0';
    *text = end + 1;
    return 1;
}

int rule_parse(const char *text, struct rule *ret)
{
    struct rule out = {0};
    for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
        char value[RULE_CONDITION_TEXT_MAX];
        int r = next_value(&text, keys[i].name, value);
        if (r == 1)
            r = keys[i].parse(value, &out);
        else if (r == 0 && keys[i].is_required)
            r = -EINVAL;
        if (r < 0)
            return r;
    }
    if (*text != '\0')
        return -EINVAL;
    *ret = out;
    return 0;
}

/* The first metric of a gate in the condition, or NULL. */
static const char *gate_metric(const struct rule_condition *c)
{
    for (uint32_t i = 0; i < c->count; i++) {
        const enum decision_metric metrics[] = {c->nodes[i].metric, c->nodes[i].of};
        for (size_t k = 0; k < ARRAY_SIZE(metrics); k++)
            if (strncmp(decision_metric_name(metrics[k]), "gate.", 5) == 0)
                return decision_metric_name(metrics[k]);
    }
    return NULL;
}

const char *rule_needs_gate(const struct rule *r)
{
    for (uint32_t i = 0; i < r->action_count; i++)
        if (r->actions[i].kind == RULE_ACTION_PACE || r->actions[i].kind == RULE_ACTION_HOLD)
            return rule_action_name(r->actions[i].kind);
    const char *metric = gate_metric(&r->when);
    return metric ? metric : gate_metric(&r->until);
}
