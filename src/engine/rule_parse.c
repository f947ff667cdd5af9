/* SPDX-License-Identifier: MIT */
/*
 * The condition of a rule: recursive descent over the grammar in weir/engine/rule.h, nodes put out in postfix order.
 *
 * Recursion is bounded by RULE_DEPTH_MAX. Most of this file is what to say when a text is wrong: at each place where
 * something is expected, what people are likely to have meant by what stands there instead.
 */
#include "rule_text.h"

#include <errno.h>
#include <string.h>

#include "weir/base/cleanup.h"
#include "weir/base/nearest.h"
#include "weir/base/units.h"

/* Chosen: shorter than the shortest sampling interval nothing can be told from nothing; a window longer than an hour is
 * history, not a reason to act; a condition that must hold for more than a day is a task for a calendar. */
static const struct rule_times over_times = {"over", 100 * USEC_PER_MSEC, 3600 * USEC_PER_SEC};
static const struct rule_times for_times = {"for", 1 * USEC_PER_MSEC, 86400 * USEC_PER_SEC};

struct parser {
    struct rule_reader reader;
    struct rule_condition out;
    unsigned depth;
};

static int parse_any(struct parser *p);

static int push(struct parser *p, const struct rule_token *at, const struct rule_node *node)
{
    if (p->out.count >= RULE_NODES_MAX)
        return rule_fail(&p->reader, at,
                         "the condition is too long: comparisons, and, or, not, for: %d at most\n"
                         "split it into two rules",
                         RULE_NODES_MAX);
    p->out.nodes[p->out.count++] = *node;
    return 0;
}

static int enter(struct parser *p, const struct rule_token *at)
{
    if (p->depth >= RULE_DEPTH_MAX)
        return rule_fail(&p->reader, at, "nested too deep: %d levels of ( and not at most", RULE_DEPTH_MAX);
    p->depth++;
    return 0;
}

static bool has_window(enum decision_metric metric)
{
    const struct rule_metric_info *row = metric == METRIC_NONE ? NULL : rule_metric_row(metric);
    return row && row->window_us > 0;
}

/* [ "over" TIME ] */
static int parse_over(struct parser *p, struct rule_node *node)
{
    struct rule_reader *r = &p->reader;
    enum decision_metric windowed = has_window(node->metric) ? node->metric : node->of;
    bool fits = has_window(windowed);
    node->over_us = fits ? rule_metric_row(windowed)->window_us : 0;
    if (!rule_token_is(&r->token, "over"))
        return 0;
    if (!fits)
        return rule_fail(r, &r->token,
                         "'%s' is read at one instant, it has no 'over'\n"
                         "write for TIME: how long it must hold",
                         decision_metric_name(node->metric));
    rule_reader_step(r);
    return rule_read_time(r, &over_times, &node->over_us);
}

/* The sign between a metric and its value. */
static int parse_sign(struct parser *p, enum rule_compare *ret)
{
    struct rule_reader *r = &p->reader;
    for (enum rule_compare c = RULE_GT; c <= RULE_NE; c++)
        if (rule_token_is(&r->token, rule_compare_sign(c))) {
            *ret = c;
            rule_reader_step(r);
            return 0;
        }
    if (rule_fail_lookalike(r, &r->token))
        return -EINVAL;
    return rule_fail(r, &r->token,
                     "a comparison is missing after %s\nwrite one of > >= < <= = != and a value",
                     rule_show(&r->before).text);
}

static int parse_comparison(struct parser *p)
{
    struct rule_token at = p->reader.token;
    struct rule_node node = {.op = RULE_OP_COMPARE};
    const struct rule_metric_info *row = rule_read_metric(&p->reader);
    if (!row)
        return -EINVAL;
    node.metric = row->metric;
    int r = parse_sign(p, &node.compare);
    if (r == 0)
        r = rule_read_value(&p->reader, &node);
    if (r == 0)
        r = parse_over(p, &node);
    return r < 0 ? r : push(p, &at, &node);
}

/* Something else stands where a comparison must begin. */
static int fail_beginning(const struct rule_reader *r)
{
    if (rule_fail_lookalike(r, &r->token))
        return -EINVAL;
    if (r->token.kind == RULE_TOKEN_NUMBER)
        return rule_fail(r, &r->token,
                         "a comparison begins with its metric, not with %s\n"
                         "turn it round, as in memory.current > 512M",
                         rule_show(&r->token).text);
    if (r->token.kind != RULE_TOKEN_END)
        return rule_fail(r, &r->token, "a comparison is missing before %s\nas in memory.current > 512M",
                         rule_show(&r->token).text);
    if (r->before.kind == RULE_TOKEN_END)
        return rule_fail(r, &r->token, "the condition is empty\nwrite one, as in memory.current > 512M");
    return rule_fail(r, &r->token, "a comparison is missing after %s\nas in memory.current > 512M",
                     rule_show(&r->before).text);
}

/* The word that may follow a comparison and that t, which is no metric, was likely meant to be; or NULL. */
static const char *nearest_joint(const struct rule_token *t)
{
    static const char *const words[] = {"and", "or", "for", "over"};
    char word[8];
    if (t->kind != RULE_TOKEN_WORD || t->length >= sizeof(word) || rule_metric_by_name(t->start, t->length))
        return NULL;
    memcpy(word, t->start, t->length);
    word[t->length] = '\0';
    return nearest_word(word, words, ARRAY_SIZE(words));
}

/* Something stands where a condition, or what is between parentheses, should have ended. */
static int fail_rest(const struct rule_reader *r)
{
    const struct rule_token *t = &r->token;
    struct rule_shown shown = rule_show(t);
    if (rule_fail_lookalike(r, t))
        return -EINVAL;
    if (t->kind == RULE_TOKEN_CLOSE)
        return rule_fail(r, t, "this ')' has no '(' before it");
    if (rule_token_is(t, "for"))
        return rule_fail(r, t, "a second 'for'\nput the first in parentheses: (... for 3s) for 10s");
    if (rule_token_is(t, "over"))
        return rule_fail(r, t, "'over' belongs to one comparison, behind its value\nas in %s",
                         "memory.pressure.full > 10% over 30s for 1m");
    if (t->kind == RULE_TOKEN_SIGN)
        return rule_fail(r, t,
                         "a second comparison without a metric\nrepeat the metric after 'and', as in %s",
                         "threads > 100 and threads < 200");
    if (rule_token_is(t, "of"))
        return rule_fail(r, t, "'of' follows a share\nas in 85%% of memory.max");
    const char *near = nearest_joint(t);
    return rule_fail(r, t, "'and' or 'or' is missing before %s%s%s%s", shown.text,
                     near ? "\ndid you mean '" : "", near ? near : "", near ? "'?" : "");
}

/* "(" condition ")" */
static int parse_group(struct parser *p)
{
    struct rule_token open = p->reader.token;
    int r = enter(p, &open);
    if (r < 0)
        return r;
    rule_reader_step(&p->reader);
    r = parse_any(p);
    if (r < 0)
        return r;
    if (p->reader.token.kind == RULE_TOKEN_END)
        return rule_fail(&p->reader, &open, "this '(' has no ')' after it");
    if (p->reader.token.kind != RULE_TOKEN_CLOSE)
        return fail_rest(&p->reader);
    rule_reader_step(&p->reader);
    p->depth--;
    return 0;
}

/* [ "for" TIME ] */
static int parse_for(struct parser *p)
{
    struct rule_token at = p->reader.token;
    struct rule_node node = {.op = RULE_OP_HELD};
    if (!rule_token_is(&at, "for"))
        return 0;
    rule_reader_step(&p->reader);
    int r = rule_read_time(&p->reader, &for_times, &node.for_us);
    return r < 0 ? r : push(p, &at, &node);
}

static int parse_one(struct parser *p)
{
    struct rule_token at = p->reader.token;
    int r;
    if (rule_token_is(&at, "not")) {
        r = enter(p, &at);
        if (r < 0)
            return r;
        rule_reader_step(&p->reader);
        r = parse_one(p);
        p->depth--;
        return r < 0 ? r : push(p, &at, &(struct rule_node){.op = RULE_OP_NOT});
    }
    if (at.kind == RULE_TOKEN_OPEN)
        r = parse_group(p);
    else if (at.kind == RULE_TOKEN_WORD && !rule_token_is_keyword(&at))
        r = parse_comparison(p);
    else
        r = fail_beginning(&p->reader);
    return r < 0 ? r : parse_for(p);
}

/* operand { word operand } */
static int parse_joined(struct parser *p, int (*operand)(struct parser *), const char *word, enum rule_op op)
{
    int r = operand(p);
    while (r == 0 && rule_token_is(&p->reader.token, word)) {
        struct rule_token at = p->reader.token;
        rule_reader_step(&p->reader);
        r = operand(p);
        if (r == 0)
            r = push(p, &at, &(struct rule_node){.op = op});
    }
    return r;
}

static int parse_all(struct parser *p)
{
    return parse_joined(p, parse_one, "and", RULE_OP_AND);
}

static int parse_any(struct parser *p)
{
    return parse_joined(p, parse_all, "or", RULE_OP_OR);
}

/* Its text must have room in the record, whatever short forms it was written in. */
static int check_length(const struct parser *p)
{
    char canonical[RULE_CONDITION_TEXT_MAX];
    struct rule_token all = {RULE_TOKEN_WORD, p->reader.text,
                             (size_t)(p->reader.token.start - p->reader.text)};
    if (rule_condition_format(&p->out, canonical, sizeof(canonical)) >= 0)
        return 0;
    return rule_fail(&p->reader, &all, "the condition is too long: %d bytes at most, windows written out\n%s",
                     RULE_CONDITION_TEXT_MAX - 1, "split it into two rules");
}

int rule_parse_condition(const char *text, struct rule_condition *ret, struct rule_error *reterr)
{
    struct parser p = {.reader = rule_reader_begin(text, reterr)};
    int r = parse_any(&p);
    if (r == 0 && p.reader.token.kind != RULE_TOKEN_END)
        r = fail_rest(&p.reader);
    if (r == 0)
        r = check_length(&p);
    if (r < 0)
        return r;
    *ret = p.out;
    return 0;
}
