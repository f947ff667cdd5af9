/* SPDX-License-Identifier: MIT */
/*
 * The last 15 s of a unit's memory: what growth, time to the limit and pressure are computed from.
 *
 * Rows are thinned on the way in: a row closer than WINDOW_SPACING_US to the one before the newest replaces the
 * newest. So the newest row is always the latest reading, any two rows with one between them are that far apart
 * (a burst of kernel wake-ups cannot push out the older rows), and of what was read at any instant a row at most
 * that much later is kept. Nothing is interpolated; a hole in the readings stays a hole.
 *
 * Growth is the smaller of two slopes. The long one alone (1 s) would see a single jump - the recorded worker
 * takes 1.4 GB in one second, then goes on flat - as a fast leak for a whole second; the short one alone
 * (200 ms) would follow every breath of an allocator. Both together stay high only while memory is really
 * rising. A least-squares line was not taken: it lags, and after a jump it is too steep by half.
 */
#include "window.h"

#include <stddef.h>

#include "weir/base/units.h"

#define WINDOW_SPAN_US    (15 * USEC_PER_SEC)  /* chosen: the longest pressure window (10 s) and lateness */
#define WINDOW_SPACING_US (80 * USEC_PER_MSEC) /* chosen: below two fast samples (50 ms) */
#define GROWTH_LONG_US    USEC_PER_SEC         /* chosen: the base interval, so that two ticks make a slope */
#define GROWTH_SHORT_US   (200 * USEC_PER_MSEC) /* chosen: four fast samples */

static struct window_row *row_at(struct window *w, uint32_t i)
{
    return &w->rows[(w->first + i) % WINDOW_ROWS];
}

static const struct window_row *row_peek(const struct window *w, uint32_t i)
{
    return &w->rows[(w->first + i) % WINDOW_ROWS];
}

void window_reset(struct window *w)
{
    w->first = 0;
    w->count = 0;
}

static void drop_oldest(struct window *w)
{
    w->first = (w->first + 1) % WINDOW_ROWS;
    w->count--;
}

void window_push(struct window *w, const struct window_row *row)
{
    if (w->count >= 2 && row->t_us - row_at(w, w->count - 2)->t_us < WINDOW_SPACING_US) {
        *row_at(w, w->count - 1) = *row;
        return;
    }
    /* The row just beyond the span is kept: it is the far end of a window of exactly that length. */
    while (w->count >= 2 && row->t_us - row_at(w, 1)->t_us >= WINDOW_SPAN_US)
        drop_oldest(w);
    if (w->count == WINDOW_ROWS)
        drop_oldest(w);
    *row_at(w, w->count) = *row;
    w->count++;
}

const struct window_row *window_before(const struct window *w, uint64_t age_us)
{
    if (w->count < 2)
        return NULL;
    uint64_t now = row_peek(w, w->count - 1)->t_us;
    for (uint32_t i = w->count - 1; i-- > 0;) {
        const struct window_row *row = row_peek(w, i);
        if (now - row->t_us >= age_us)
            return row;
    }
    return row_peek(w, 0);
}

static uint64_t slope(const struct window *w, uint64_t age_us)
{
    const struct window_row *then = window_before(w, age_us);
    if (!then)
        return 0;
    const struct window_row *now = row_peek(w, w->count - 1);
    uint64_t span = now->t_us - then->t_us;
    if (span < GROWTH_SHORT_US || now->used_bytes <= then->used_bytes)
        return 0;
    return mul_div_u64(now->used_bytes - then->used_bytes, USEC_PER_SEC, span);
}

uint64_t window_growth(const struct window *w)
{
    uint64_t recent = slope(w, GROWTH_SHORT_US);
    uint64_t longer = slope(w, GROWTH_LONG_US);
    return recent < longer ? recent : longer;
}

bool window_growth_over(const struct window *w, uint64_t span_us, uint64_t *ret_growth)
{
    const struct window_row *then = window_before(w, span_us);
    if (!then || row_peek(w, w->count - 1)->t_us - then->t_us < span_us)
        return false;
    *ret_growth = slope(w, span_us);
    return true;
}

bool window_pressure(const struct window *w, uint64_t window_us, uint64_t *ret_permyriad)
{
    if (window_us > WINDOW_SPAN_US)
        window_us = WINDOW_SPAN_US;
    const struct window_row *then = window_before(w, window_us);
    if (!then || window_us == 0)
        return false;
    const struct window_row *now = row_peek(w, w->count - 1);
    uint64_t span = now->t_us - then->t_us;
    if (span < window_us || now->full_us == UINT64_MAX || then->full_us == UINT64_MAX)
        return false;
    uint64_t stalled = now->full_us > then->full_us ? now->full_us - then->full_us : 0;
    *ret_permyriad = mul_div_u64(stalled, PERMYRIAD_ONE, span);
    return true;
}
