/* SPDX-License-Identifier: MIT */
/*
 * Texts of the rule language. What can be parsed is written in one canonical form, which means the same, and can be told
 * in words that fit. What cannot be parsed is explained at a place that is in the text, and leaves the output alone.
 */
#include "fuzz.h"

#include "weir/base/cleanup.h"
#include "weir/engine/rule.h"

typedef int (*parse_value)(const char *text, struct rule *ret, struct rule_error *reterr);
typedef int (*format_value)(const struct rule *r, char *buf, size_t size);

static int parse_when(const char *text, struct rule *ret, struct rule_error *reterr)
{
    return rule_parse_condition(text, &ret->when, reterr);
}

static int format_when(const struct rule *r, char *buf, size_t size)
{
    return rule_condition_format(&r->when, buf, size);
}

static bool same_condition(const struct rule_condition *a, const struct rule_condition *b)
{
    return a->count == b->count && memcmp(a->nodes, b->nodes, a->count * sizeof(a->nodes[0])) == 0;
}

static bool same_actions(const struct rule *a, const struct rule *b)
{
    for (uint32_t i = 0; i < a->action_count; i++)
        if (a->actions[i].kind != b->actions[i].kind || a->actions[i].amount != b->actions[i].amount ||
            a->actions[i].is_share != b->actions[i].is_share)
            return false;
    return a->action_count == b->action_count;
}

static void check_same(const struct rule *a, const struct rule *b)
{
    HOLDS(strcmp(a->name, b->name) == 0);
    HOLDS(a->observe == b->observe);
    HOLDS(same_condition(&a->when, &b->when));
    HOLDS(same_condition(&a->until, &b->until));
    HOLDS(same_actions(a, b));
    HOLDS(a->limit_count == b->limit_count && a->limit_window_us == b->limit_window_us);
}

static void check_error(const char *text, const struct rule_error *e)
{
    size_t length = strlen(text);
    HOLDS(e->column >= 1 && e->column <= length + 1);
    HOLDS(e->length >= 1 && e->column - 1 + e->length <= (e->column > length ? length + 1 : length));
    HOLDS(e->text[0] != '\0' && memchr(e->text, '\0', sizeof(e->text)));
    HOLDS(memchr(e->hint, '\0', sizeof(e->hint)));
    for (const char *p = e->text; *p; p++)
        HOLDS((unsigned char)*p >= ' ' || *p == '\t');
}

/* True when it could be parsed; then *ret is it. */
static bool check_value(const char *text, parse_value parse, format_value format, struct rule *ret)
{
    struct rule untouched, again = {0};
    struct rule_error e;
    char canonical[RULE_TEXT_MAX];
    memcpy(&untouched, ret, sizeof(untouched));
    if (parse(text, ret, &e) < 0) {
        check_error(text, &e);
        HOLDS(memcmp(ret, &untouched, sizeof(untouched)) == 0);
        return false;
    }
    int length = format(ret, canonical, sizeof(canonical));
    HOLDS(length > 0 && (size_t)length == strlen(canonical) && length < RULE_CONDITION_TEXT_MAX);
    HOLDS(parse(canonical, &again, &e) == 0);
    check_same(ret, &again);
    return true;
}

static void check_words(const struct rule *r)
{
    char words[RULE_WORDS_MAX];
    const char *gate = rule_needs_gate(r);
    int length = rule_describe(r, words, sizeof(words));
    HOLDS(length > 0 && (size_t)length == strlen(words));
    HOLDS(!gate || *gate);
}

static void check_record(const char *text)
{
    struct rule r, again;
    char record[RULE_TEXT_MAX];
    if (rule_parse(text, &r) < 0)
        return;
    int length = rule_format(&r, record, sizeof(record));
    HOLDS(length > 0 && (size_t)length == strlen(record));
    HOLDS(rule_parse(record, &again) == 0);
    check_same(&r, &again);
    check_words(&r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_free_ char *text = fuzz_text(data, size);
    struct rule condition = {0}, actions = {0}, limit = {0};
    if (check_value(text, parse_when, format_when, &condition)) {
        condition.until = condition.when;
        condition.action_count = 1;
        check_words(&condition);
    }
    check_value(text, rule_parse_actions, rule_actions_format, &actions);
    check_value(text, rule_parse_limit, rule_limit_format, &limit);
    check_record(text);
    return 0;
}
