/* SPDX-License-Identifier: MIT */
/*
 * What the engine keeps of the rules between steps. Laid out by rule_book.c in one piece of memory, used by rules.c.
 */
#ifndef WEIR_ENGINE_RULES_H
#define WEIR_ENGINE_RULES_H

#include "rule_eval.h"

/* A rule's life on one unit. */
struct rule_life {
    bool active;       /* begun and not over */
    bool would_have;   /* mode observe: its restart or stop is why nothing else is judged */
    bool limit_told;   /* since it last began */
    bool refusal_told; /* in this life of the unit: restarting is given up */
    uint64_t rest_until_us;
    struct rule_hold off;             /* without an `until`: `when` does not hold */
    uint32_t begun_next, begun_count; /* of the slot's begun_us */
};

/* A rule as it was when the book was laid out: a step judges by it, whatever has become of the policy's. */
struct book_rule {
    struct rule rule;
    char name[DECISION_RULE_MAX]; /* "rule.NAME" */
    char text[RULE_TEXT_MAX];     /* canonical, to tell whether it is as before */
};

struct rule_slot {
    const struct book_rule *rule;
    struct rule_hold *holds; /* when's, then until's */
    struct rule_ring *rings;
    uint64_t *begun_us; /* as many as its limit counts */
    size_t hold_count, until_holds, ring_count;
    struct rule_life life;
};

struct unit_rules {
    uint32_t generation; /* the life of the unit that the slots are about */
    uint32_t count;
    struct rule_slot *slots; /* in the order of the rules */
};

struct rule_book {
    uint32_t unit_count;
    struct unit_rules *units;
    struct book_rule *rules;
};

#endif
