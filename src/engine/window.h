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
    uint64_t
        pressed_count; /* how often its own limits held it: memory.events high and max; UINT64_MAX = not read */
};

struct window {
    uint32_t first;
    uint32_t count;
    uint64_t steepness;        /* of the newest reading ... */
    uint64_t steepness_before; /* ... and of the one before it, which may have been replaced */
    struct window_row rows[WINDOW_ROWS];
};

/* Forgets everything: a new life begins. */
void window_reset(struct window *w);

/* Adds a row; rows must not go back in time. O(1) amortised, and two searches. */
void window_push(struct window *w, const struct window_row *row);

/* Newest row at least age_us older than the newest row, or the oldest one; NULL without two rows. */
const struct window_row *window_before(const struct window *w, uint64_t age_us);

/* Growth in bytes per second, 0 when falling: as the newest reading has it, or the one before it, whichever is less.
 * No single reading that is off, high or low, makes it more than 0 on a unit that stands still. */
uint64_t window_growth(const struct window *w);

/* The same by the newest reading alone: what growth may turn out to be with the next one. A reason to look again soon,
 * not one to act. */
uint64_t window_growth_alone(const struct window *w);

/* Growth in bytes per second over the last span_us, breaks in it included; 0 when falling. false: there is not as much
 * data (the ring holds 15 s). */
bool window_growth_over(const struct window *w, uint64_t span_us, uint64_t *ret_growth);

/* Share of the last window_us that all tasks were stalled on memory, in permyriad. false: not enough data.
 * A window longer than the ring (15 s) counts as 15 s. */
bool window_pressure(const struct window *w, uint64_t window_us, uint64_t *ret_permyriad);

/* How often the unit's own limits held it during the last window_us. false: not read, or not enough data. */
bool window_pressed(const struct window *w, uint64_t window_us, uint64_t *ret_count);

#endif
