/* SPDX-License-Identifier: MIT */
/*
 * Roll-ups: 10 s and 1 min figures per unit, computed as samples pass. Pure: the writer stores them.
 *
 * A bucket is [k * length, (k + 1) * length) of monotonic time. Levels: min, floor(sum / n), max, last of
 * the samples in it. Cumulative figures: for each two consecutive samples of one generation, the share
 * delta * 10000 / time between them, counted in the bucket of the later one; avg is the sum of the deltas
 * over the sum of the times. A counter that goes backwards is left out.
 */
#ifndef WEIR_STORE_ROLLUP_H
#define WEIR_STORE_ROLLUP_H

#include <stdbool.h>

#include "schema.h"
#include "weir/model/event.h"

struct rollup_figure {
    uint64_t n, sum, weight_us, min, max, last;
};

struct rollup_bucket {
    uint64_t start_us, samples;
    bool changed; /* since it was stored */
    struct rollup_figure figure[ROLLUP_FIELD_COUNT];
};

#define ROLLUP_LENGTHS 2
extern const uint64_t rollup_length_us[ROLLUP_LENGTHS]; /* 10 s, 1 min */

struct rollup_unit {
    bool has_last;
    uint32_t generation;
    uint64_t last_t_us, last_valid, last_value[ROLLUP_FIELD_COUNT];
    struct rollup_bucket bucket[ROLLUP_LENGTHS];
};

/* The sample does not belong to the bucket that is open: store it, then call rollup_add. */
bool rollup_is_over(const struct rollup_unit *u, size_t length, const struct event *e);
void rollup_add(struct rollup_unit *u, const struct event *e);

/* False: no value. */
bool rollup_average(const struct rollup_figure *f, uint64_t *ret);

#endif
