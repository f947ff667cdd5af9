/* SPDX-License-Identifier: MIT */
/*
 * Is a rule's condition true of a unit at this sample? True, false, or unknown: a reading that is missing makes the
 * comparison unknown, and so does a limit that is not there ("max"): what is relative to it is never true.
 *
 *   and   false if either side is false, else unknown if either is unknown        or   the other way round
 *   not   unknown stays unknown
 *   for   true once its operand was true at every reading for that long. An unknown reading neither confirms nor
 *         denies; without any true reading for HOLE_INTERVALS base intervals it begins anew.
 *
 * Every part is evaluated at every sample, so that each `for` and each window sees every reading. A condition is
 * accounted for by one comparison: the first in text order among those that made it what it is.
 *
 * Readings over a window ("over"), each with a ring of its own:
 *   share        pressure, cpu.usage, cpu.throttled: risen by so much of the time. Unknown until the window is full,
 *                and after a hole in the readings: half a window would let a busy start pass for a busy hour.
 *   ratio        reclaim.efficiency: the same; unknown too when nothing was looked at.
 *   growth       the smaller of the slopes over the window and over its last fifth, and of the same one reading
 *                earlier, so that no single reading makes it. The default window's is window.c's, as for the ladder.
 *   rise         counters of events. Known from the second reading on: before its start a unit had none. What rose
 *                during a hole counts from when it was read.
 *
 * A ring keeps a row each RING_PARTS-th of its window, so an hour takes as much as a second; the far end of a window
 * is at most that much early. The newest reading is never thinned out: it is the sample itself.
 */
#include "rule_eval.h"

#include <assert.h>

#define RING_PARTS     (RULE_RING_ROWS - 2)
#define HOLE_INTERVALS 2                    /* chosen: one reading may be missing */
#define LATE_US        (50 * USEC_PER_MSEC) /* chosen: a tick may come that much late, and the next in time */
#define LATE_PART      16                   /* but of a short window only a part */
#define GROWTH_PART    5                    /* window.c's proportion: 200 ms of 1 s */

static uint64_t now_of(const struct rule_eval *x)
{
    return x->t->event->t_us;
}

static const struct sample *sample_of(const struct rule_eval *x)
{
    return &x->t->event->sample;
}

/* --- readings at an instant ------------------------------------------------------------------------ */

static bool has_current(const struct rule_eval *x)
{
    return sample_has(sample_of(x), SAMPLE_MEMORY_CURRENT);
}

static bool has_limit(const struct rule_eval *x)
{
    return has_current(x) && x->u->memory.limit != UINT64_MAX;
}

static bool read_used(const struct rule_eval *x, uint64_t *ret)
{
    *ret = x->u->memory.used;
    return has_current(x);
}

static bool read_headroom(const struct rule_eval *x, uint64_t *ret)
{
    const struct memory_view *m = &x->u->memory;
    *ret = m->limit > m->used ? m->limit - m->used : 0;
    return has_limit(x);
}

static bool read_growth(const struct rule_eval *x, uint64_t *ret)
{
    *ret = x->u->memory.growth;
    return has_current(x);
}

/* Not growing is known: the limit is infinitely far away. */
static bool read_eta(const struct rule_eval *x, uint64_t *ret)
{
    *ret = x->u->memory.eta_us;
    return has_limit(x);
}

/* What counts as a jump is a share of the limit. */
static bool read_jump(const struct rule_eval *x, uint64_t *ret)
{
    *ret = x->u->memory.jump;
    return has_limit(x);
}

static bool read_limit(const struct rule_eval *x, uint64_t *ret)
{
    *ret = ladder_memory_limit(unit_policy(x->t, x->u), sample_of(x));
    return *ret != UINT64_MAX;
}

static bool read_uptime(const struct rule_eval *x, uint64_t *ret)
{
    *ret = now_of(x) - x->u->started_us;
    return true;
}

/* --- where a reading comes from -------------------------------------------------------------------- */

enum source {
    SOURCE_NONE, /* not read on this host, or no metric of a unit's sample */
    SOURCE_FIELD,
    SOURCE_STATE,
    SOURCE_SHARE,
    SOURCE_RISE,
    SOURCE_RATIO,
    SOURCE_GROWTH,
};

struct reading {
    enum source source;
    enum sample_field field, whole;
    bool (*read)(const struct rule_eval *, uint64_t *);
};

/* clang-format off */
#define FIELD(f)       {.source = SOURCE_FIELD, .field = SAMPLE_##f}
#define SHARE(f)       {.source = SOURCE_SHARE, .field = SAMPLE_##f}
#define RISE(f)        {.source = SOURCE_RISE, .field = SAMPLE_##f}
#define STATE(f)       {.source = SOURCE_STATE, .read = f}
/* clang-format on */

static const struct reading readings[METRIC_COUNT] = {
    [METRIC_GATE_INFLIGHT] = FIELD(GATE_INFLIGHT),
    [METRIC_GATE_QUEUED] = FIELD(GATE_QUEUED),
    [METRIC_GATE_LATENCY_P99] = FIELD(GATE_LATENCY_P99),
    [METRIC_MEMORY_CURRENT] = FIELD(MEMORY_CURRENT),
    [METRIC_MEMORY_USED] = STATE(read_used),
    [METRIC_MEMORY_HEADROOM] = STATE(read_headroom),
    [METRIC_MEMORY_GROWTH] = {.source = SOURCE_GROWTH, .field = SAMPLE_MEMORY_CURRENT, .read = read_growth},
    [METRIC_MEMORY_ETA] = STATE(read_eta),
    [METRIC_MEMORY_JUMP] = STATE(read_jump),
    [METRIC_MEMORY_PEAK] = FIELD(MEMORY_PEAK),
    [METRIC_MEMORY_MAX] = STATE(read_limit),
    [METRIC_MEMORY_HIGH] = FIELD(MEMORY_HIGH),
    [METRIC_MEMORY_SWAP] = FIELD(MEMORY_SWAP),
    [METRIC_MEMORY_ANON] = FIELD(MEMORY_ANON),
    [METRIC_MEMORY_FILE] = FIELD(MEMORY_FILE),
    [METRIC_RSS] = FIELD(RSS),
    [METRIC_VSZ] = FIELD(VSZ),
    [METRIC_MEMORY_PRESSURE_SOME] = SHARE(MEMORY_SOME),
    [METRIC_MEMORY_PRESSURE_FULL] = SHARE(MEMORY_FULL),
    [METRIC_EVENTS_HIGH] = RISE(EVENTS_HIGH),
    [METRIC_EVENTS_MAX] = RISE(EVENTS_MAX),
    [METRIC_EVENTS_OOM] = RISE(EVENTS_OOM),
    [METRIC_OOM_KILL] = RISE(EVENTS_OOM_KILL),
    [METRIC_RECLAIM_EFFICIENCY] = {.source = SOURCE_RATIO,
                                   .field = SAMPLE_MEMORY_PGSTEAL,
                                   .whole = SAMPLE_MEMORY_PGSCAN},
    [METRIC_PIDS_CURRENT] = FIELD(PIDS_CURRENT),
    [METRIC_PIDS_MAX] = FIELD(PIDS_MAX),
    [METRIC_PIDS_EVENTS_MAX] = RISE(PIDS_EVENTS_MAX),
    [METRIC_PROCESSES] = FIELD(PROCESSES),
    [METRIC_THREADS] = FIELD(THREADS),
    [METRIC_CPU_USAGE] = SHARE(CPU_USAGE),
    [METRIC_CPU_THROTTLED] = SHARE(CPU_THROTTLED),
    [METRIC_CPU_PRESSURE_SOME] = SHARE(CPU_SOME),
    [METRIC_CPU_PRESSURE_FULL] = SHARE(CPU_FULL),
    [METRIC_IO_PRESSURE_SOME] = SHARE(IO_SOME),
    [METRIC_IO_PRESSURE_FULL] = SHARE(IO_FULL),
    [METRIC_UPTIME] = STATE(read_uptime),
};

/* --- readings over a window ------------------------------------------------------------------------ */

static struct rule_row *row_at(struct rule_ring *r, uint32_t i)
{
    return &r->rows[(r->first + i) % RULE_RING_ROWS];
}

/* Newest row at least age_us old; NULL when there is none. */
static const struct rule_row *row_before(struct rule_ring *r, uint64_t now_us, uint64_t age_us)
{
    const struct rule_row *found = NULL;
    for (uint32_t i = 0; i < r->count && now_us - row_at(r, i)->t_us >= age_us; i++)
        found = row_at(r, i);
    return found;
}

static void drop_oldest(struct rule_ring *r)
{
    r->first = (r->first + 1) % RULE_RING_ROWS;
    r->count--;
}

static void ring_push(struct rule_ring *r, const struct rule_row *row, uint64_t window_us)
{
    if (r->count > 0 && row->t_us - r->last_us < window_us / RING_PARTS)
        return;
    while (r->count >= 2 && row->t_us - row_at(r, 1)->t_us >= window_us)
        drop_oldest(r);
    if (r->count == RULE_RING_ROWS)
        drop_oldest(r);
    *row_at(r, r->count) = *row;
    r->last_us = row->t_us;
    r->count++;
}

static uint64_t less_lateness(uint64_t age_us)
{
    uint64_t late = age_us / LATE_PART;
    return age_us - (late < LATE_US ? late : LATE_US);
}

/* The row at the far end of the window; NULL when the window is not full, or has a hole there. */
static const struct rule_row *far_end(const struct rule_eval *x, struct rule_ring *r, uint64_t window_us)
{
    const struct rule_row *row = row_before(r, now_of(x), less_lateness(window_us));
    uint64_t hole = HOLE_INTERVALS * x->t->policy->interval_us;
    uint64_t oldest = engine_later(engine_later(window_us, window_us / RING_PARTS), hole);
    return row && now_of(x) - row->t_us <= oldest ? row : NULL;
}

static uint64_t risen(uint64_t from, uint64_t to)
{
    return to > from ? to - from : 0;
}

static uint64_t per_second(const struct rule_row *then, const struct rule_row *now)
{
    return mul_div_u64(risen(then->value, now->value), USEC_PER_SEC, now->t_us - then->t_us);
}

static bool share_over(const struct rule_row *then, const struct rule_row *now, uint64_t *ret)
{
    if (!then)
        return false;
    *ret = mul_div_u64(risen(then->value, now->value), PERMYRIAD_ONE, now->t_us - then->t_us);
    return true;
}

static bool ratio_over(const struct rule_row *then, const struct rule_row *now, uint64_t *ret)
{
    uint64_t whole = then ? risen(then->part, now->part) : 0;
    if (whole == 0)
        return false;
    *ret = mul_div_u64(risen(then->value, now->value), PERMYRIAD_ONE, whole);
    return true;
}

static bool rise_over(struct rule_ring *r, const struct rule_row *now, uint64_t window_us, uint64_t *ret)
{
    const struct rule_row *then = row_before(r, now->t_us, less_lateness(window_us));
    if (!then && r->count > 0)
        then = row_at(r, 0);
    if (!then)
        return false;
    *ret = risen(then->value, now->value);
    return true;
}

static bool growth_over(const struct rule_eval *x, struct rule_ring *r, const struct rule_row *now,
                        uint64_t window_us, uint64_t *ret)
{
    const struct rule_row *then = far_end(x, r, window_us);
    const struct rule_row *lately = row_before(r, now->t_us, less_lateness(window_us / GROWTH_PART));
    bool had_figure = r->figure_known;
    uint64_t earlier = r->figure;
    r->figure_known = then && lately;
    if (!r->figure_known)
        return false;
    uint64_t whole = per_second(then, now), late = per_second(lately, now);
    r->figure = whole < late ? whole : late;
    *ret = r->figure < earlier ? r->figure : earlier;
    return had_figure;
}

static bool read_over(struct rule_eval *x, const struct reading *from, uint64_t window_us, uint64_t *ret)
{
    struct rule_ring *r = x->rings++;
    const struct sample *s = sample_of(x);
    bool known = false;
    if (!sample_has(s, from->field) || (from->source == SOURCE_RATIO && !sample_has(s, from->whole)))
        return false;
    struct rule_row now = {.t_us = now_of(x), .value = s->value[from->field], .part = s->value[from->whole]};
    if (from->source == SOURCE_GROWTH)
        now.value = x->u->memory.used;

    if (from->source == SOURCE_SHARE)
        known = share_over(far_end(x, r, window_us), &now, ret);
    else if (from->source == SOURCE_RATIO)
        known = ratio_over(far_end(x, r, window_us), &now, ret);
    else if (from->source == SOURCE_RISE)
        known = rise_over(r, &now, window_us, ret);
    else
        known = growth_over(x, r, &now, window_us, ret);
    ring_push(r, &now, window_us);
    return known;
}

/* --- comparisons ----------------------------------------------------------------------------------- */

static uint64_t default_window(enum decision_metric metric)
{
    for (size_t i = 0; i < rule_metric_count; i++)
        if (rule_metrics[i].metric == metric)
            return rule_metrics[i].window_us;
    return 0;
}

static bool is_windowed(enum decision_metric metric)
{
    enum source source = readings[metric].source;
    return source == SOURCE_SHARE || source == SOURCE_RISE || source == SOURCE_RATIO ||
           source == SOURCE_GROWTH;
}

static bool has_ring(const struct rule_node *n, enum decision_metric metric)
{
    return is_windowed(metric) &&
           (metric != METRIC_MEMORY_GROWTH || n->over_us != default_window(METRIC_MEMORY_GROWTH));
}

/* Sets *ret to the metric's reading; "max" is none. */
static bool read_metric(struct rule_eval *x, const struct rule_node *n, enum decision_metric metric,
                        uint64_t *ret)
{
    const struct reading *from = &readings[metric];
    const struct sample *s = sample_of(x);
    switch (from->source) {
    case SOURCE_NONE:
        return false;
    case SOURCE_FIELD:
        *ret = s->value[from->field];
        return sample_has(s, from->field) && *ret != UINT64_MAX;
    case SOURCE_STATE:
        return from->read(x, ret);
    case SOURCE_SHARE:
    case SOURCE_RISE:
    case SOURCE_RATIO:
        return read_over(x, from, n->over_us, ret);
    case SOURCE_GROWTH:
        return has_ring(n, metric) ? read_over(x, from, n->over_us, ret) : from->read(x, ret);
    }
    return false;
}

static bool compares(enum rule_compare compare, uint64_t a, uint64_t b)
{
    switch (compare) {
    case RULE_GT:
        return a > b;
    case RULE_GE:
        return a >= b;
    case RULE_LT:
        return a < b;
    case RULE_LE:
        return a <= b;
    case RULE_EQ:
        return a == b;
    case RULE_NE:
        return a != b;
    }
    return false;
}

/* --- conditions ------------------------------------------------------------------------------------ */

struct value {
    enum truth truth;
    struct rule_fact fact;
};

static struct value compare(struct rule_eval *x, const struct rule_node *n)
{
    struct value v = {.truth = TRUTH_UNKNOWN, .fact = {.metric = n->metric, .threshold = n->number}};
    uint64_t whole = 0;
    bool known = read_metric(x, n, n->metric, &v.fact.observed);
    if (n->of != METRIC_NONE) {
        known = read_metric(x, n, n->of, &whole) && known; /* both rings see every reading */
        v.fact.threshold = mul_div_u64(whole, n->number, PERMYRIAD_ONE);
    }
    if (known)
        v.truth = compares(n->compare, v.fact.observed, v.fact.threshold) ? TRUTH_TRUE : TRUTH_FALSE;
    return v;
}

/* decisive: the truth that either side alone gives to the whole. */
static struct value join(const struct value *a, const struct value *b, enum truth decisive)
{
    if (a->truth == decisive || b->truth == decisive)
        return a->truth == decisive ? *a : *b;
    return a->truth == TRUTH_UNKNOWN ? *a : b->truth == TRUTH_UNKNOWN ? *b : *a;
}

enum truth truth_not(enum truth truth)
{
    switch (truth) {
    case TRUTH_FALSE:
        return TRUTH_TRUE;
    case TRUTH_TRUE:
        return TRUTH_FALSE;
    case TRUTH_UNKNOWN:
        break;
    }
    return TRUTH_UNKNOWN;
}

uint64_t rule_hold_observe(struct rule_hold *h, enum truth truth, const struct turn *t)
{
    uint64_t now = t->event->t_us;
    if (truth == TRUTH_FALSE)
        h->on = false;
    if (truth != TRUTH_TRUE)
        return NOT_HELD;
    if (!h->on || now - h->last_us > HOLE_INTERVALS * t->policy->interval_us)
        h->since_us = now;
    h->on = true;
    h->last_us = now;
    return now - h->since_us;
}

static void hold(struct rule_eval *x, const struct rule_node *n, struct value *v)
{
    struct rule_hold *h = x->holds++;
    uint64_t held = rule_hold_observe(h, v->truth, x->t);
    if (held == NOT_HELD)
        return;
    v->fact.held_us = held;
    if (held >= n->for_us)
        return;
    uint64_t due = engine_later(h->since_us, n->for_us);
    x->due_us = due < x->due_us ? due : x->due_us;
    v->truth = TRUTH_FALSE;
}

static uint32_t operands(enum rule_op op)
{
    if (op == RULE_OP_COMPARE)
        return 0;
    return op == RULE_OP_AND || op == RULE_OP_OR ? 2 : 1;
}

enum truth rule_eval(struct rule_eval *x, const struct rule_condition *c, struct rule_fact *ret_fact)
{
    struct value stack[RULE_NODES_MAX];
    uint32_t depth = 0;
    for (uint32_t i = 0; i < c->count; i++) {
        const struct rule_node *n = &c->nodes[i];
        if (depth < operands(n->op) || depth == RULE_NODES_MAX)
            return TRUTH_UNKNOWN; /* no condition that the parser makes */
        switch (n->op) {
        case RULE_OP_COMPARE:
            stack[depth++] = compare(x, n);
            break;
        case RULE_OP_NOT:
            stack[depth - 1].truth = truth_not(stack[depth - 1].truth);
            break;
        case RULE_OP_HELD:
            hold(x, n, &stack[depth - 1]);
            break;
        case RULE_OP_AND:
        case RULE_OP_OR:
            depth--;
            stack[depth - 1] =
                join(&stack[depth - 1], &stack[depth], n->op == RULE_OP_AND ? TRUTH_FALSE : TRUTH_TRUE);
            break;
        }
    }
    assert(depth == 1);
    if (stack[0].truth != TRUTH_UNKNOWN)
        *ret_fact = stack[0].fact;
    return stack[0].truth;
}

void rule_eval_needs(const struct rule_condition *c, size_t *ret_holds, size_t *ret_rings)
{
    *ret_holds = *ret_rings = 0;
    for (uint32_t i = 0; i < c->count; i++) {
        const struct rule_node *n = &c->nodes[i];
        *ret_holds += n->op == RULE_OP_HELD;
        if (n->op == RULE_OP_COMPARE)
            *ret_rings += (size_t)has_ring(n, n->metric) + (size_t)has_ring(n, n->of);
    }
}
