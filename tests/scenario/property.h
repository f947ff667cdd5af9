/* SPDX-License-Identifier: MIT */
/* What the property test knows of two engines that are told the same, and how it says that something does not hold. */
#ifndef WEIR_TEST_PROPERTY_H
#define WEIR_TEST_PROPERTY_H

#include "check.h"

#include <inttypes.h>
#include <stdio.h>

#include "state.h"

#define RULES          8
#define UNITS          6
#define RECENT         16
#define RECLAIMS       64 /* chunks: 35 % of the limit in chunks of at least 2 %, and some */
#define DECISIONS      (UNITS * DECISIONS_PER_UNIT + DECISIONS_EXTRA)
#define EVENTS_PER_RUN 3000

struct known {
    enum unit_state state;
    uint32_t generation;
    uint64_t throttled_us, pulsed_us; /* USEC_INFINITY = not */
    uint32_t undos;                   /* of its last throttle: ends that were done again */
    enum decision_reason throttle_reason;
    uint64_t cooldown_until_us;
    uint32_t cooldown_generation;
    bool let_go_early;
    uint64_t steered_us;
    uint64_t drain_us;                              /* when the state began */
    uint64_t held_us, held_bound_us, hold_pause_us; /* USEC_INFINITY = no pace or hold */
    enum decision_kind held;
    uint64_t reclaim_id, reclaim_us; /* the chunk under way; 0 = none */
    uint64_t reclaimed[RECLAIMS], reclaimed_us[RECLAIMS];
    uint32_t reclaim_count;
    uint64_t limit, limit_most; /* the unit's memory limit, and the largest in this life */
    bool frozen;
    bool rule_stopped;
    char throttle_rule[DECISION_RULE_MAX], hold_rule[DECISION_RULE_MAX]; /* who began it */
    uint64_t begun_us[RULES][RULE_LIMIT_MAX];                            /* beginnings of each rule */
    uint32_t begun_count[RULES];
    uint64_t begun_seq[RULES]; /* the event of the last */
    uint64_t failures[64];
    uint32_t failure_count;
    uint64_t memory;
    uint64_t recent[RECENT]; /* ids of the last decisions */
    uint32_t recent_count;
};

struct side {
    struct engine *engine;
    struct policy policy;
    struct unit_policy units[UNITS];
    struct rule rules[RULES];
    uint16_t place[UNITS]; /* of unit i */
    struct decision decisions[DECISIONS];
    int count;
    uint64_t last_id;
    struct known known[UNITS];
    bool over;
};

struct world {
    uint64_t rng, now_us, seq, ticket, seed;
    struct side a, b;
};

#define HOLDS(w, condition)                                                                                  \
    do {                                                                                                     \
        if (!(condition)) {                                                                                  \
            fprintf(stderr, "seed %" PRIu64 ", event %" PRIu64 ": ", (w)->seed, (w)->seq);                   \
            fail_msg("does not hold: %s", #condition);                                                       \
        }                                                                                                    \
    } while (0)

/* The unit at that place of a side's policy. */
uint16_t unit_of(const struct side *s, uint16_t place);
bool runs(const struct known *k);

/* Looks at a decision, and takes in what it says. */
void check_decision(struct world *w, struct side *s, const struct decision *d);

/* Rule i is another, and so are the rules of a unit: those begin anew. */
void forget_rule(struct side *s, uint32_t i, uint16_t unit);

/* What must hold of a side after each event. */
void check_bounds(struct world *w, const struct side *s);

#endif
