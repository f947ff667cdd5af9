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
 * rising.
 *
 * One reading that is off must not make growth. One that is too high would at the near end of a slope: so the figure of
 * the reading before counts too, and the smaller of both is growth. One that is too low would at the far end, for as
 * long as it is the far end of both slopes: so a rise is counted from the higher of the far end and the row before it.
 * Only the first two readings of a life have nobody to speak for them. Both cost a real growth one reading.
 *
 * Neither a least-squares line nor a median of slopes (Theil-Sen) was taken. The line lags, and after a jump it is too
 * steep by half. The median is robust against readings that are off, but not against a jump: with a step in the middle
 * of the window half of all pairs straddle it, and its slope is that of a leak for as long as the window lasts.
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
    w->steepness = w->steepness_before = 0;
}

static void drop_oldest(struct window *w)
{
    w->first = (w->first + 1) % WINDOW_ROWS;
    w->count--;
}

/* Where that row is when readings come evenly. */
static uint32_t guess_before(const struct window *w, uint64_t age_us)
{
    uint32_t last = w->count - 1;
    uint64_t span = row_peek(w, last)->t_us - row_peek(w, 0)->t_us;
    return age_us >= span ? 0 : last - (uint32_t)(age_us * last / span);
}

/* Of the newest row at least age_us older than the newest one; 0, the oldest, when all are younger. Needs two rows.
 * Looks around the guess in growing steps, then bisects: a handful of rows, mostly neighbours, so that a thousand
 * windows do not push each other out of the processor's cache. */
static uint32_t index_before(const struct window *w, uint64_t age_us)
{
    uint64_t now = row_peek(w, w->count - 1)->t_us;
    uint32_t old = 0, young = w->count - 1, at = guess_before(w, age_us);
    for (uint32_t step = 1; young - old > 1; step *= 2) {
        if (at <= old || at >= young)
            at = old + (young - old) / 2;
        if (now - row_peek(w, at)->t_us >= age_us) {
            old = at;
            at += step;
        } else {
            young = at;
            at = at > step ? at - step : 0;
        }
    }
    return old;
}

const struct window_row *window_before(const struct window *w, uint64_t age_us)
{
    return w->count < 2 ? NULL : row_peek(w, index_before(w, age_us));
}

/* From `from` bytes at then to the newest reading. */
static uint64_t slope(const struct window *w, const struct window_row *then, uint64_t from)
{
    const struct window_row *now = row_peek(w, w->count - 1);
    uint64_t span = now->t_us - then->t_us;
    if (span < GROWTH_SHORT_US || now->used_bytes <= from)
        return 0;
    return mul_div_u64(now->used_bytes - from, USEC_PER_SEC, span);
}

static uint64_t careful_slope(const struct window *w, uint64_t age_us)
{
    uint32_t i = index_before(w, age_us);
    const struct window_row *then = row_peek(w, i);
    const struct window_row *before = i > 0 ? row_peek(w, i - 1) : then;
    return slope(w, then, before->used_bytes > then->used_bytes ? before->used_bytes : then->used_bytes);
}

static uint64_t smaller(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t steepness_now(const struct window *w)
{
    return w->count < 2 ? 0 : smaller(careful_slope(w, GROWTH_SHORT_US), careful_slope(w, GROWTH_LONG_US));
}

void window_push(struct window *w, const struct window_row *row)
{
    if (w->count >= 2 && row->t_us - row_at(w, w->count - 2)->t_us < WINDOW_SPACING_US) {
        *row_at(w, w->count - 1) = *row;
    } else {
        /* The row just beyond the span is kept: it is the far end of a window of exactly that length. So is the one
         * before it, which speaks for it. */
        while (w->count >= 3 && row->t_us - row_at(w, 2)->t_us >= WINDOW_SPAN_US)
            drop_oldest(w);
        if (w->count == WINDOW_ROWS)
            drop_oldest(w);
        *row_at(w, w->count) = *row;
        w->count++;
    }
    w->steepness_before = w->steepness;
    w->steepness = steepness_now(w);
}

uint64_t window_growth_alone(const struct window *w)
{
    return w->steepness;
}

uint64_t window_growth(const struct window *w)
{
    return smaller(w->steepness, w->steepness_before);
}

bool window_growth_over(const struct window *w, uint64_t span_us, uint64_t *ret_growth)
{
    const struct window_row *then = window_before(w, span_us);
    if (!then || row_peek(w, w->count - 1)->t_us - then->t_us < span_us)
        return false;
    *ret_growth = slope(w, then, then->used_bytes);
    return true;
}

/* The ends of the last window_us. false: there is not as much data. */
static bool ends_of(const struct window *w, uint64_t window_us, const struct window_row **ret_then,
                    const struct window_row **ret_now)
{
    if (window_us > WINDOW_SPAN_US)
        window_us = WINDOW_SPAN_US;
    const struct window_row *then = window_before(w, window_us);
    if (!then || window_us == 0)
        return false;
    const struct window_row *now = row_peek(w, w->count - 1);
    if (now->t_us - then->t_us < window_us)
        return false;
    *ret_then = then;
    *ret_now = now;
    return true;
}

bool window_pressure(const struct window *w, uint64_t window_us, uint64_t *ret_permyriad)
{
    const struct window_row *then, *now;
    if (!ends_of(w, window_us, &then, &now) || now->full_us == UINT64_MAX || then->full_us == UINT64_MAX)
        return false;
    uint64_t stalled = now->full_us > then->full_us ? now->full_us - then->full_us : 0;
    *ret_permyriad = mul_div_u64(stalled, PERMYRIAD_ONE, now->t_us - then->t_us);
    return true;
}

bool window_pressed(const struct window *w, uint64_t window_us, uint64_t *ret_count)
{
    const struct window_row *then, *now;
    if (!ends_of(w, window_us, &then, &now) || now->pressed_count == UINT64_MAX ||
        then->pressed_count == UINT64_MAX)
        return false;
    *ret_count = now->pressed_count > then->pressed_count ? now->pressed_count - then->pressed_count : 0;
    return true;
}
