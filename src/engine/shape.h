/* SPDX-License-Identifier: MIT */
/*
 * What the memory of a unit has done over its whole life, in constant space, and what that looks like; see shape.c.
 */
#ifndef WEIR_ENGINE_SHAPE_H
#define WEIR_ENGINE_SHAPE_H

#include <stdbool.h>
#include <stdint.h>

#include "weir/model/decision.h"

#include "jump.h"

#define TREND_ROWS 64 /* chosen: a row is a seventh of its age after an hour, a fifth after a day */

/* What was read within a stretch of time. */
struct trend_row {
    uint64_t from_us, to_us;
    uint64_t low, high, last;
};

struct trend {
    uint32_t count;
    uint32_t readings;            /* so far, at most 2 */
    uint64_t waiting_us, waiting; /* the newest one, until the next one is there to judge it by */
    uint64_t before;              /* the one before it */
    struct trend_row rows[TREND_ROWS];
};

/* Forgets everything: a new life begins, or its baseline is reached. */
void trend_reset(struct trend *trend);

/* Takes a reading in; they must not go back in time. O(1), once in TREND_SPACING O(TREND_ROWS). */
void trend_push(struct trend *trend, uint64_t now_us, uint64_t used_bytes);

struct shape {
    enum decision_shape kind;
    uint64_t bytes; /* how far it rose ... */
    uint64_t us;    /* ... within how long; both 0 where it is not told */
    bool risen;     /* since the baseline, if not of late */
};

struct shape_now {
    uint64_t t_us;
    uint64_t used_bytes;
    uint64_t limit_bytes;    /* UINT64_MAX = none */
    uint64_t held_since_us;  /* weir holds it back since; UINT64_MAX = it does not */
    const struct jump *jump; /* the largest of late; bytes = 0: none */
};

/* STEADY, LEAK, BURST, STEP or RISE; NONE when there is too little to see anything. O(TREND_ROWS). */
struct shape shape_of(const struct trend *trend, const struct shape_now *now);

#endif
