/* SPDX-License-Identifier: MIT */
/*
 * What the memory of a unit looks like when something is decided about it: a conclusion for the person who reads the
 * decision. Nothing is decided by it.
 *
 *   shape     what is seen (the first row that fits is told)
 *   --------  -----------------------------------------------------------------------------------------------------
 *   OUTSIDE   pressure that is not of its own making (pressure.c says so, not this file)
 *   BASELINE  it was above the restart level right after its start and has not risen since     (recycle.c)
 *   NONE      no rise, and less than FRESH_US of a life
 *   STEADY    no rise: less than LITTLE
 *   BURST     half of the rise was gone again; or it has been up there before in this life, and came down again
 *   STEP      one jump of the last FRESH_US makes more than half of the rise, and since then it rises less than a
 *             quarter as fast
 *   LEAK      it has risen for RISE_US or longer, in at least three quarters of that time (there an eighth as fast as
 *             on the whole, or faster), and never gave a quarter of it back; a third of that time without a reading is
 *             no rise
 *   STEADY    no rise in the last FRESH_US, and the last quarter of the time since the rise began
 *   STEP      the same of any jump that is remembered
 *   BURST     it rose for less than RISE_US, after it had stood still for as long as that (and for FRESH_US)
 *   RISE      it rises: for too short a time, or too unsteadily, to say more
 *
 * A unit that weir holds back stands still by weir's doing: that is not told of it, and whether it leaks is judged by
 * what it did before as well as by what it does now.
 *
 * The rise: from the lowest point before it to the top, which is the highest point of the last RECENT_US. It reaches
 * back until memory was higher than the top. It began when memory was last within half of LITTLE of the lowest point.
 *
 * The trend holds the whole life in TREND_ROWS rows. When they are used up, the two neighbours that are shortest for
 * their age become one: so a row's length grows with its age, what was lately is known to the second and what was an
 * hour ago to some minutes. Each row keeps the lowest, the highest and the last reading. On its way in a reading is
 * replaced by the middle one of itself and its two neighbours: one that is off leaves no trace, a real peak or a step
 * goes through. So the newest reading is not in the rows yet: whoever judges brings it.
 *
 * The trend begins anew at the baseline (ladder.c): what it takes to start is not a leak.
 */
#include "shape.h"

#include "weir/base/units.h"

#define TREND_SPACING_US (200 * USEC_PER_MSEC) /* chosen: four fast samples */
#define LITTLE_PERMYRIAD 200 /* chosen: 2 % of the limit, as a throttle's plateau (throttle.c) */
#define RECENT_US        (10 * USEC_PER_SEC) /* chosen: as long as a throttle may last */
#define FRESH_US         (5 * USEC_PER_SEC)  /* chosen: five base intervals */
#define RISE_US          (10 * USEC_PER_SEC) /* chosen: ten base intervals; two seconds are no leak */

void trend_reset(struct trend *trend)
{
    trend->count = trend->readings = 0;
}

static uint64_t smaller(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static uint64_t middle_of(uint64_t a, uint64_t b, uint64_t c)
{
    return larger(smaller(a, b), smaller(larger(a, b), c));
}

/* Makes one row of the two neighbours that are shortest for their age. Fractions are compared by cross-multiplying;
 * a life longer than 2^32 us counts in coarser units, so that the products fit. */
static void join_two(struct trend *trend, uint64_t now_us)
{
    struct trend_row *rows = trend->rows;
    uint64_t least = 1, least_age = 0; /* length and age of the best so far; 1 / 0 is longer than any */
    uint32_t at = 0;
    unsigned coarse = 0;
    while ((now_us - rows[0].from_us) >> coarse > UINT32_MAX)
        coarse++;
    for (uint32_t i = 0; i + 1 < trend->count; i++) {
        uint64_t length = (rows[i + 1].to_us - rows[i].from_us) >> coarse;
        uint64_t age = (now_us - rows[i].from_us) >> coarse;
        if (length * least_age < least * age) {
            least = length;
            least_age = age;
            at = i;
        }
    }
    rows[at].to_us = rows[at + 1].to_us;
    rows[at].low = smaller(rows[at].low, rows[at + 1].low);
    rows[at].high = larger(rows[at].high, rows[at + 1].high);
    rows[at].last = rows[at + 1].last;
    trend->count--;
    for (uint32_t i = at + 1; i < trend->count; i++)
        rows[i] = rows[i + 1];
}

static void take_in(struct trend *trend, uint64_t t_us, uint64_t used)
{
    struct trend_row *row = trend->count > 0 ? &trend->rows[trend->count - 1] : NULL;
    if (row && t_us - row->from_us < TREND_SPACING_US) {
        row->to_us = t_us;
        row->low = smaller(row->low, used);
        row->high = larger(row->high, used);
        row->last = used;
        return;
    }
    if (trend->count == TREND_ROWS)
        join_two(trend, t_us);
    trend->rows[trend->count++] = (struct trend_row){t_us, t_us, used, used, used};
}

void trend_push(struct trend *trend, uint64_t now_us, uint64_t used_bytes)
{
    if (trend->readings == 1) /* the first one has no neighbour before it */
        take_in(trend, trend->waiting_us, trend->waiting);
    else if (trend->readings == 2)
        take_in(trend, trend->waiting_us, middle_of(trend->before, trend->waiting, used_bytes));
    trend->before = trend->waiting;
    trend->waiting = used_bytes;
    trend->waiting_us = now_us;
    if (trend->readings < 2)
        trend->readings++;
}

/* --- the rise ------------------------------------------------------------------------------------ */

struct rise {
    uint64_t little;
    uint64_t low, top, bytes; /* bytes = top - low */
    uint64_t after;           /* the lowest since the top */
    uint32_t first;           /* the rows it reaches back over begin here ... */
    uint32_t begin;           /* ... it began in or after this one ... */
    uint64_t from_us;         /* ... at this time */
    uint64_t took_us;         /* until the top was reached */
};

/* Sets top and after, and returns the index of the row that has it last; trend->count: the newest reading has. */
static uint32_t find_top(const struct trend *trend, const struct shape_now *now, struct rise *r)
{
    uint32_t at = trend->count;
    uint64_t lowest = now->used_bytes;
    r->top = r->after = now->used_bytes;
    for (uint32_t i = trend->count; i-- > 0;) {
        if (now->t_us - trend->rows[i].to_us > RECENT_US)
            break;
        if (trend->rows[i].high > r->top) {
            r->top = trend->rows[i].high;
            r->after = smaller(lowest, trend->rows[i].last);
            at = i;
        }
        lowest = smaller(lowest, trend->rows[i].low);
    }
    return at;
}

static void find_low(const struct trend *trend, uint32_t top_at, struct rise *r)
{
    r->first = 0;
    r->low = r->top;
    for (uint32_t i = top_at; i-- > 0;) {
        if (trend->rows[i].high > r->top + r->little) {
            r->first = i + 1;
            break;
        }
        r->low = smaller(r->low, trend->rows[i].low);
    }
}

static bool is_low(const struct rise *r, uint64_t used)
{
    return used <= r->low + r->little / 2;
}

/* A rise of less than `little` is none: its other members are then not set. */
static struct rise find_rise(const struct trend *trend, const struct shape_now *now)
{
    struct rise r = {0};
    uint32_t top_at = find_top(trend, now, &r);
    r.little = mul_div_u64(now->limit_bytes != UINT64_MAX ? now->limit_bytes : r.top, LITTLE_PERMYRIAD,
                           PERMYRIAD_ONE);
    find_low(trend, top_at, &r);
    r.bytes = r.top - r.low;
    if (r.bytes == 0 || r.bytes < r.little)
        return r;
    r.begin = top_at - 1; /* some row before the top is low */
    while (!is_low(&r, trend->rows[r.begin].low))
        r.begin--;
    const struct trend_row *begin = &trend->rows[r.begin];
    r.from_us = is_low(&r, begin->last) ? begin->to_us : begin->from_us;
    uint32_t i = r.begin + 1;
    while (i < top_at && trend->rows[i].high + r.little / 2 < r.top)
        i++;
    r.took_us = (i < trend->count ? trend->rows[i].from_us : now->t_us) - r.from_us;
    return r;
}

/* --- what it looks like ---------------------------------------------------------------------------- */

/* One past the last row that was over before it began. */
static uint32_t end_of_low(const struct trend *trend, const struct rise *r)
{
    return r->begin + is_low(r, trend->rows[r->begin].last);
}

static bool was_there_before(const struct trend *trend, const struct rise *r)
{
    for (uint32_t i = 0; i < end_of_low(trend, r); i++)
        if (trend->rows[i].high >= r->low + r->bytes / 4 * 3)
            return true;
    return false;
}

static bool is_step(const struct rise *r, const struct shape_now *now)
{
    const struct jump *jump = now->jump;
    if (jump->bytes <= r->bytes / 2 || jump->t_us <= r->from_us)
        return false;
    uint64_t more = now->used_bytes - smaller(now->used_bytes, jump->to);
    uint64_t went_on =
        jump->took_us ? mul_div_u64(jump->bytes, now->t_us - jump->t_us, jump->took_us) / 4 : 0;
    return more == 0 || more < went_on;
}

/* How much of the time from its begin to `end` it has risen, in stretches of an eighth of that time or a row,
 * whichever is longer. */
static uint64_t risen_us(const struct trend *trend, const struct rise *r, const struct shape_now *now,
                         uint64_t end_us)
{
    uint64_t whole = end_us - r->from_us, from = r->from_us, value = r->low, risen = 0;
    for (uint32_t i = r->begin + 1; i <= trend->count && from < end_us; i++) {
        bool newest = i == trend->count;
        uint64_t to = newest ? now->t_us : trend->rows[i].to_us;
        uint64_t last = newest ? now->used_bytes : trend->rows[i].last;
        if (to - from < whole / 8 && to < end_us)
            continue;
        to = smaller(to, end_us);
        bool hole = to - from > whole / 3; /* what happened meanwhile nobody knows */
        if (!hole && last > value && last - value >= mul_div_u64(r->bytes, to - from, whole) / 8)
            risen += to - from;
        from = to;
        value = last;
    }
    return risen;
}

/* The most that was given back since it began. */
static uint64_t given_back(const struct trend *trend, const struct rise *r, const struct shape_now *now)
{
    uint64_t high = r->low, most = 0;
    for (uint32_t i = r->begin + 1; i < trend->count; i++) {
        const struct trend_row *row = &trend->rows[i];
        uint64_t low = smaller(row->low, high);
        most = larger(most, high - low);
        high = larger(high, row->high);
        most = larger(most, high - row->last);
    }
    return now->used_bytes < high ? larger(most, high - now->used_bytes) : most;
}

static bool has_risen_until(const struct trend *trend, const struct rise *r, const struct shape_now *now,
                            uint64_t end_us)
{
    return end_us >= r->from_us + RISE_US && risen_us(trend, r, now, end_us) >= (end_us - r->from_us) / 4 * 3;
}

static bool is_leak(const struct trend *trend, const struct rise *r, const struct shape_now *now)
{
    if (given_back(trend, r, now) > r->bytes / 4)
        return false;
    return has_risen_until(trend, r, now, now->t_us) ||
           has_risen_until(trend, r, now, smaller(now->t_us, now->held_since_us));
}

static bool stands_still(const struct trend *trend, const struct rise *r, const struct shape_now *now)
{
    uint64_t whole = now->t_us - r->from_us, since = now->t_us - larger(FRESH_US, whole / 4);
    if (whole < FRESH_US || now->held_since_us != UINT64_MAX)
        return false;
    for (uint32_t i = trend->count; i-- > 0;) {
        const struct trend_row *row = &trend->rows[i];
        if (now->used_bytes > (row->from_us >= since ? row->low : row->last) + r->little)
            return false;
        if (row->from_us < since) /* what was known then */
            break;
    }
    return true;
}

static bool had_stood_still(const struct trend *trend, const struct rise *r)
{
    uint64_t length = larger(r->took_us, FRESH_US);
    if (r->from_us < length || trend->rows[r->first].from_us > r->from_us - length)
        return false;
    for (uint32_t i = r->first; i < end_of_low(trend, r); i++)
        if (trend->rows[i].to_us >= r->from_us - length && trend->rows[i].high > r->low + r->little)
            return false;
    return true;
}

static enum decision_shape kind_of(const struct trend *trend, const struct rise *r,
                                   const struct shape_now *now)
{
    bool step = is_step(r, now);
    if (r->top - r->after >= r->bytes / 2 || was_there_before(trend, r))
        return SHAPE_BURST;
    if (step && now->t_us - now->jump->t_us <= FRESH_US)
        return SHAPE_STEP;
    if (is_leak(trend, r, now))
        return SHAPE_LEAK;
    if (stands_still(trend, r, now))
        return SHAPE_STEADY;
    if (step)
        return SHAPE_STEP;
    return r->took_us < RISE_US && had_stood_still(trend, r) ? SHAPE_BURST : SHAPE_RISE;
}

struct shape shape_of(const struct trend *trend, const struct shape_now *now)
{
    struct rise r = find_rise(trend, now);
    bool young = trend->count == 0 || now->t_us - trend->rows[0].from_us < FRESH_US;
    if (r.bytes == 0 || r.bytes < r.little)
        return (struct shape){.kind = young ? SHAPE_NONE : SHAPE_STEADY};
    enum decision_shape kind = kind_of(trend, &r, now);
    if (kind == SHAPE_STEADY)
        return (struct shape){.kind = kind, .risen = true};
    if (kind == SHAPE_STEP)
        return (struct shape){kind, now->jump->bytes, now->jump->took_us, true};
    return (struct shape){kind, r.bytes, r.took_us, true};
}
