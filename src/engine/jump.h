/* SPDX-License-Identifier: MIT */
/*
 * How far one unit's memory jumps from one reading to the next; see jump.c.
 */
#ifndef WEIR_ENGINE_JUMP_H
#define WEIR_ENGINE_JUMP_H

#include <stdbool.h>
#include <stdint.h>

#define JUMPS_MAX                                                                                            \
    8 /* chosen: each is smaller than the one before it, and none below 5 % of the limit as a rule */

struct jump {
    uint64_t t_us;    /* of the reading that saw it */
    uint64_t bytes;   /* how far memory rose; 0 = none */
    uint64_t took_us; /* since the reading before */
    uint64_t to;      /* where it led */
};

struct jumps {
    uint32_t count;
    struct jump
        rows[JUMPS_MAX]; /* in the order of their time, which is that of their size, the largest first */
    struct jump fresh;   /* seen by the newest reading: the next one may take it back */
    uint32_t readings;   /* since jumps_part, at most 2 */
    uint64_t last_us, last_used, used_before;
};

struct jump_bounds {
    uint64_t least_bytes; /* a smaller rise is no jump; UINT64_MAX: none is */
    uint64_t apart_us;    /* readings farther apart say nothing about a jump */
    uint64_t memory_us;   /* how long one is remembered */
};

/* Forgets everything: a new life begins. */
void jumps_reset(struct jumps *j);

/* What the next readings say cannot be compared with those before. */
void jumps_part(struct jumps *j);

/* Takes a reading in; they must not go back in time. Returns whether it saw a jump. */
bool jumps_push(struct jumps *j, uint64_t now_us, uint64_t used_bytes, const struct jump_bounds *bounds);

/* The largest one that is remembered; bytes = 0: there is none. */
const struct jump *jumps_largest(const struct jumps *j);

#endif
