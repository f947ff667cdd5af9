/* SPDX-License-Identifier: MIT */
/*
 * A condition as its canonical text: as few parentheses as give the same nodes again.
 *
 * Each op has a level; an operand is put in parentheses when its level is below what its place asks for. The places ask
 * for what the grammar says: the right side of "or" is an `all`, that of "and" a `one`, what has "for" behind it is a
 * comparison or a group.
 */
#include "rule_text.h"

#include "weir/base/units.h"

enum level { LEVEL_ANY, LEVEL_ALL, LEVEL_ONE, LEVEL_HELD };

struct printer {
    struct text_out out;
    const struct rule_condition *condition;
    uint32_t sizes[RULE_NODES_MAX];
};

static uint32_t operand_count(enum rule_op op)
{
    switch (op) {
    case RULE_OP_AND:
    case RULE_OP_OR:
        return 2;
    case RULE_OP_NOT:
    case RULE_OP_HELD:
        return 1;
    case RULE_OP_COMPARE:
        return 0;
    }
    return 0;
}

void rule_sizes(const struct rule_condition *c, uint32_t sizes[static RULE_NODES_MAX])
{
    for (uint32_t i = 0; i < c->count; i++) {
        uint32_t operands = operand_count(c->nodes[i].op);
        sizes[i] = 1;
        if (operands > 0)
            sizes[i] += sizes[i - 1];
        if (operands > 1)
            sizes[i] += sizes[i - 1 - sizes[i - 1]];
    }
}

const char *rule_compare_sign(enum rule_compare compare)
{
    static const char *const signs[] = {[RULE_GT] = ">",  [RULE_GE] = ">=", [RULE_LT] = "<",
                                        [RULE_LE] = "<=", [RULE_EQ] = "=",  [RULE_NE] = "!="};
    return signs[compare];
}

static void put_comparison(struct text_out *o, const struct rule_node *n)
{
    text_put(o, "%s %s ", decision_metric_name(n->metric), rule_compare_sign(n->compare));
    if (n->of == METRIC_NONE)
        rule_put_number(o, decision_metric_type(n->metric), n->number);
    else if (n->number != PERMYRIAD_ONE) {
        rule_put_number(o, METRIC_TYPE_PERMYRIAD, n->number);
        text_put(o, " of ");
    }
    text_put(o, "%s", decision_metric_name(n->of)); /* "" for NONE */
    if (n->over_us > 0) {
        text_put(o, " over ");
        rule_put_number(o, METRIC_TYPE_USEC, n->over_us);
    }
}

static enum level level_of(enum rule_op op)
{
    switch (op) {
    case RULE_OP_OR:
        return LEVEL_ANY;
    case RULE_OP_AND:
        return LEVEL_ALL;
    case RULE_OP_NOT:
    case RULE_OP_HELD:
        return LEVEL_ONE;
    case RULE_OP_COMPARE:
        return LEVEL_HELD;
    }
    return LEVEL_ANY;
}

static void put_node(struct printer *p, uint32_t i, enum level place)
{
    const struct rule_node *n = &p->condition->nodes[i];
    bool parentheses = level_of(n->op) < place;
    text_put(&p->out, "%s", parentheses ? "(" : "");
    switch (n->op) {
    case RULE_OP_AND:
    case RULE_OP_OR:
        put_node(p, i - 1 - p->sizes[i - 1], n->op == RULE_OP_AND ? LEVEL_ALL : LEVEL_ANY);
        text_put(&p->out, n->op == RULE_OP_AND ? " and " : " or ");
        put_node(p, i - 1, n->op == RULE_OP_AND ? LEVEL_ONE : LEVEL_ALL);
        break;
    case RULE_OP_NOT:
        text_put(&p->out, "not ");
        put_node(p, i - 1, LEVEL_ONE);
        break;
    case RULE_OP_HELD:
        put_node(p, i - 1, LEVEL_HELD);
        text_put(&p->out, " for ");
        rule_put_number(&p->out, METRIC_TYPE_USEC, n->for_us);
        break;
    case RULE_OP_COMPARE:
        put_comparison(&p->out, n);
        break;
    }
    text_put(&p->out, "%s", parentheses ? ")" : "");
}

int rule_condition_format(const struct rule_condition *c, char *buf, size_t size)
{
    struct printer p = {.out = text_begin(buf, size), .condition = c};
    rule_sizes(c, p.sizes);
    if (c->count > 0)
        put_node(&p, c->count - 1, LEVEL_ANY);
    return text_end(&p.out);
}
