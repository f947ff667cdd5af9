/* SPDX-License-Identifier: MIT */
/*
 * The last seconds of one unit's memory readings, in a ring of fixed size; see window.c.
 */
#ifndef WEIR_ENGINE_WINDOW_H
#define WEIR_ENGINE_WINDOW_H

#include <stdbool.h>
#include <stdint.h>

#define WINDOW_ROWS 384 /* 15 s with two rows in any WINDOW_SPACING_US, and a few to spare */

struct window_row {
    uint64_t t_us;
    uint64_t used_bytes;
    uint64_t full_us; /* memory.pressure full total; UINT64_MAX = not read */
};

struct window {
    uint32_t first;
    uint32_t count;
    struct window_row rows[WINDOW_ROWS];
};

/* Forgets everything: a new life begins. */
void window_reset(struct window *w);

/* Adds a row; rows must not go back in time. O(1) amortised. */
void window_push(struct window *w, const struct window_row *row);

/* Newest row at least age_us older than the newest row, or the oldest one; NULL without two rows. */
const struct window_row *window_before(const struct window *w, uint64_t age_us);

/* Growth in bytes per second: the smaller of the slopes over the last second and over the last 200 ms; 0 when
 * falling or when there are less than 200 ms of data. */
uint64_t window_growth(const struct window *w);

/* Growth in bytes per second over the last span_us, breaks in it included; 0 when falling. false: there is not as much
 * data (the ring holds 15 s). */
bool window_growth_over(const struct window *w, uint64_t span_us, uint64_t *ret_growth);

/* Share of the last window_us that all tasks were stalled on memory, in permyriad. false: not enough data.
 * A window longer than the ring (15 s) counts as 15 s. */
bool window_pressure(const struct window *w, uint64_t window_us, uint64_t *ret_permyriad);

#endif
