/* SPDX-License-Identifier: MIT */
/*
 * A rule in plain words, for people who have not read the grammar.
 *
 * Each metric is told by what it means, with its name and window in parentheses. "has been" tells that something must
 * hold for a while; whatever mixes "and" and "or" is in parentheses, so that nobody has to know what binds first.
 */
#include "rule_text.h"

#include <inttypes.h>

#include "weir/base/cleanup.h"
#include "weir/base/units.h"

struct teller {
    struct text_out out;
    const struct rule_condition *condition;
    uint32_t sizes[RULE_NODES_MAX];
};

static void tell_metric(struct text_out *o, enum decision_metric metric, uint64_t over_us)
{
    const struct rule_metric_info *row = rule_metric_row(metric);
    text_put(o, "%s (%s", row->words, row->name);
    if (row->window_us > 0) {
        text_put(o, " over ");
        rule_put_number(o, METRIC_TYPE_USEC, over_us);
    }
    text_put(o, ")");
}

/* for_us: 0, or how long it must have been so. */
static void tell_comparison(struct text_out *o, const struct rule_node *n, uint64_t for_us)
{
    static const char *const words[] = {
        [RULE_GT] = "above",   [RULE_GE] = "at least", [RULE_LT] = "below",
        [RULE_LE] = "at most", [RULE_EQ] = "exactly",  [RULE_NE] = "other than"};
    tell_metric(o, n->metric, n->over_us);
    text_put(o, " %s %s ", for_us ? "has been" : "is", words[n->compare]);
    if (n->of == METRIC_NONE)
        rule_put_number(o, decision_metric_type(n->metric), n->number);
    else if (n->number != PERMYRIAD_ONE) {
        rule_put_number(o, METRIC_TYPE_PERMYRIAD, n->number);
        text_put(o, " of ");
    }
    if (n->of != METRIC_NONE)
        tell_metric(o, n->of, n->over_us);
    if (for_us) {
        text_put(o, " for ");
        rule_put_number(o, METRIC_TYPE_USEC, for_us);
    }
}

static void tell_node(struct teller *t, uint32_t i);

static void tell_in_parentheses(struct teller *t, uint32_t i)
{
    text_put(&t->out, "(");
    tell_node(t, i);
    text_put(&t->out, ")");
}

/* A side of "and" or "or": only the other of the two needs parentheses. */
static void tell_side(struct teller *t, uint32_t i, enum rule_op joint)
{
    enum rule_op op = t->condition->nodes[i].op;
    if ((op == RULE_OP_AND || op == RULE_OP_OR) && op != joint)
        tell_in_parentheses(t, i);
    else
        tell_node(t, i);
}

static void tell_held(struct teller *t, uint32_t i)
{
    const struct rule_node *operand = &t->condition->nodes[i - 1];
    uint64_t for_us = t->condition->nodes[i].for_us;
    if (operand->op == RULE_OP_COMPARE) {
        tell_comparison(&t->out, operand, for_us);
        return;
    }
    tell_in_parentheses(t, i - 1);
    text_put(&t->out, " has held for ");
    rule_put_number(&t->out, METRIC_TYPE_USEC, for_us);
}

static void tell_node(struct teller *t, uint32_t i)
{
    const struct rule_node *n = &t->condition->nodes[i];
    switch (n->op) {
    case RULE_OP_AND:
    case RULE_OP_OR:
        tell_side(t, i - 1 - t->sizes[i - 1], n->op);
        text_put(&t->out, n->op == RULE_OP_AND ? " and " : " or ");
        tell_side(t, i - 1, n->op);
        return;
    case RULE_OP_NOT:
        text_put(&t->out, "not ");
        tell_in_parentheses(t, i - 1);
        return;
    case RULE_OP_HELD:
        tell_held(t, i);
        return;
    case RULE_OP_COMPARE:
        tell_comparison(&t->out, n, 0);
        return;
    }
}

static void tell_condition(struct text_out *o, const struct rule_condition *c)
{
    struct teller t = {.out = *o, .condition = c};
    rule_sizes(c, t.sizes);
    tell_node(&t, c->count - 1);
    *o = t.out;
}

static void tell_reclaim(struct text_out *o, const struct rule_action *a)
{
    if (a->amount == 0) {
        text_put(o, "take memory back from it");
        return;
    }
    text_put(o, a->is_share ? "take memory worth " : "take ");
    rule_put_number(o, a->is_share ? METRIC_TYPE_PERMYRIAD : METRIC_TYPE_BYTES, a->amount);
    text_put(o, a->is_share ? " of its limit back from it" : " of memory back from it");
}

static void tell_action(struct text_out *o, const struct rule_action *a)
{
    switch (a->kind) {
    case RULE_ACTION_NOTE:
        text_put(o, "put it on record");
        return;
    case RULE_ACTION_NOTIFY:
        text_put(o, "tell it to give memory back");
        return;
    case RULE_ACTION_PACE:
        if (a->per_us)
            text_put(o, "let at most %" PRIu64 " of its requests through each %s", a->amount,
                     a->per_us == USEC_PER_SEC ? "second" : "minute");
        else
            text_put(o, "let at most %" PRIu64 " of its requests be in flight", a->amount);
        return;
    case RULE_ACTION_HOLD:
        text_put(o, "hold its requests");
        return;
    case RULE_ACTION_RECLAIM:
        tell_reclaim(o, a);
        return;
    case RULE_ACTION_THROTTLE:
        text_put(o, "throttle it");
        return;
    case RULE_ACTION_RESTART:
        text_put(o, "restart it");
        return;
    case RULE_ACTION_STOP:
        text_put(o, "stop it");
        return;
    case RULE_ACTION_KIND_COUNT:
        return;
    }
}

int rule_describe(const struct rule *r, char *buf, size_t size)
{
    struct text_out o = text_begin(buf, size);
    text_put(&o, "%s", r->observe ? "watched only, nothing is done: " : "");
    text_put(&o, "when ");
    tell_condition(&o, &r->when);
    text_put(&o, ": ");
    for (uint32_t i = 0; i < r->action_count; i++) {
        text_put(&o, "%s", i ? ", then " : "");
        tell_action(&o, &r->actions[i]);
    }
    text_put(&o, "; over when ");
    if (r->until.count > 0)
        tell_condition(&o, &r->until);
    else {
        text_put(&o, "that has not been so for ");
        rule_put_number(&o, METRIC_TYPE_USEC, RULE_REST_US);
    }
    if (r->limit_count > 0) {
        text_put(&o, "; at most %" PRIu32 " time%s in ", r->limit_count, r->limit_count == 1 ? "" : "s");
        rule_put_number(&o, METRIC_TYPE_USEC, r->limit_window_us);
    }
    return text_end(&o);
}
