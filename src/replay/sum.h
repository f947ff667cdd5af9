/* SPDX-License-Identifier: MIT */
/* What a replay adds up per unit, facts and model apart. */
#ifndef WEIR_REPLAY_SUM_H
#define WEIR_REPLAY_SUM_H

#include "weir/replay/whatif.h"

struct sum_unit {
    struct whatif_sum sums[2]; /* facts, model */
    bool model;                /* what comes is added to the model's side */
    bool throttled, held, down;
    bool has_last; /* a reading of this life */
    uint32_t generation;
    uint64_t last_us, last_bytes;
};

struct sum {
    const struct policy *policy;
    uint64_t hole_us, now_us;
    struct sum_unit *units;
};

int sum_init(struct sum *s, const struct policy *policy, uint64_t hole_us); /* 0 or -ENOMEM */
void sum_deinit(struct sum *s);
/* Time goes on to this; states last until then. */
void sum_advance(struct sum *s, uint64_t t_us);
void sum_reading(struct sum *s, const struct event *e);
void sum_decision(struct sum *s, const struct decision *d, bool model);

#endif
