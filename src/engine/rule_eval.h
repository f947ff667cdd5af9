/* SPDX-License-Identifier: MIT */
/*
 * Is a rule's condition true of a unit at this sample? See rule_eval.c.
 */
#ifndef WEIR_ENGINE_RULE_EVAL_H
#define WEIR_ENGINE_RULE_EVAL_H

#include "state.h"

enum truth { TRUTH_FALSE, TRUTH_TRUE, TRUTH_UNKNOWN };

#define RULE_RING_ROWS 32 /* chosen: a window in thirtieths, its far end and one to spare */

/* A counter as it was read; part: the second one of a ratio. */
struct rule_row {
    uint64_t t_us, value, part;
};

/* What a reading over a window keeps. */
struct rule_ring {
    uint32_t first, count;
    uint64_t last_us;  /* the newest row's time */
    bool figure_known; /* growth: the figure one reading earlier */
    uint64_t figure;
    struct rule_row rows[RULE_RING_ROWS];
};

/* What a `for` keeps: since when, and when it was last seen to hold. */
struct rule_hold {
    bool on;
    uint64_t since_us, last_us;
};

/* The comparison that makes a condition what it is. */
struct rule_fact {
    enum decision_metric metric;
    uint64_t observed, threshold, held_us;
};

/* One sample's evaluations for one unit. */
struct rule_eval {
    const struct turn *t; /* its event is the sample */
    const struct engine_unit *u;
    struct rule_hold *holds; /* of the condition that comes next; rule_eval moves both on */
    struct rule_ring *rings;
    uint64_t due_us; /* when the first `for` that holds so far will have held long enough */
};

enum truth truth_not(enum truth truth);

/* How many holds and rings a condition keeps. */
void rule_eval_needs(const struct rule_condition *c, size_t *ret_holds, size_t *ret_rings);

/* *ret_fact is set when it is not unknown. The condition is well-formed and not empty. */
enum truth rule_eval(struct rule_eval *x, const struct rule_condition *c, struct rule_fact *ret_fact);

/* Takes an observation in: how long the thing has held now; NOT_HELD when it does not, or when that is unknown. */
uint64_t rule_hold_observe(struct rule_hold *h, enum truth truth, const struct turn *t);

#endif
