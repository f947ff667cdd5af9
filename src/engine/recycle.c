/* SPDX-License-Identifier: MIT */
/*
 * What restarting for memory costs, and when to give it up.
 *
 * A planned recycle uses no failure budget, so it has bounds of its own:
 *   cost      time from RESTART to READY again, as a share of the last recycle_window_us (or of the time since
 *             the first start, at least COST_WINDOW_MIN_US). More than recycle_cost and at least
 *             COST_RECYCLES_MIN: told once and given up, until the share is below half of it.
 *   baseline  the first sample within BASELINE_WAIT_US of readiness is at the restart level already (the critical
 *             one where restart is switched off): a restart cannot help. Told once per life and given up, until memory falls below release.
 *
 * An operator's start or restart and a new policy allow it again. While given up, throttling goes on and the
 * kernel's limit stands.
 */
#include "state.h"

/* chosen: three recycles right after the start are no trend */
#define COST_WINDOW_MIN_US (60 * USEC_PER_SEC)
#define COST_RECYCLES_MIN  3 /* chosen: as above */

static const char recycle_rule[] = "ladder.restart";

bool recycle_is_off(const struct engine_unit *u)
{
    return u->recycle.off_cost || u->recycle.off_baseline;
}

uint32_t recycle_rejected(const struct engine_unit *u)
{
    return (u->recycle.off_cost ? 1U << REJECTED_COST : 0) |
           (u->recycle.off_baseline ? 1U << REJECTED_BASELINE : 0);
}

bool recycle_would_have(const struct engine_unit *u)
{
    return u->recycle.would_have || u->recycle.would_have_by_rule;
}

void recycle_reset(struct engine_unit *u)
{
    u->recycle.would_have_by_rule = false;
    u->recycle.off_baseline = u->recycle.baseline_seen = u->recycle.would_have = false;
}

void recycle_allow(struct engine_unit *u)
{
    u->recycle.would_have_by_rule = false;
    u->recycle.off_baseline = u->recycle.off_cost = u->recycle.would_have = false;
    u->recycle.count = u->recycle.next = 0;
}

void recycle_began(struct turn *t, struct engine_unit *u)
{
    if (u->recycle.open_us == USEC_INFINITY)
        u->recycle.open_us = t->event->t_us;
}

/* The share of the window spent restarting, and the recycles in it. */
static uint64_t share(const struct turn *t, const struct engine_unit *u, uint32_t *ret_recycles)
{
    const struct unit_recycle *r = &u->recycle;
    uint64_t now = t->event->t_us;
    uint64_t window = unit_policy(t, u)->recycle_window_us;
    if (window > now - t->e->first_start_us)
        window = now - t->e->first_start_us;
    if (window < COST_WINDOW_MIN_US)
        window = COST_WINDOW_MIN_US;
    uint64_t begin = now > window ? now - window : 0;
    uint64_t spent = 0;
    uint32_t n = 0;
    for (uint32_t i = 0; i < r->count; i++) {
        const struct recycle_span *span = &r->spans[i];
        if (span->to_us < begin)
            continue;
        spent += span->to_us - (span->from_us > begin ? span->from_us : begin);
        n++;
    }
    *ret_recycles = n;
    return mul_div_u64(spent, PERMYRIAD_ONE, window);
}

static void judge_cost(struct turn *t, struct engine_unit *u)
{
    uint32_t bound = unit_policy(t, u)->recycle_cost_permyriad;
    uint32_t recycles;
    uint64_t spent = share(t, u, &recycles);
    if (u->recycle.off_cost || recycles < COST_RECYCLES_MIN || spent <= bound)
        return;
    u->recycle.off_cost = true;
    struct why why = why_of(recycle_rule, REASON_RECYCLE_COST);
    why_measure(&why, METRIC_RESTART_SHARE, spent, bound);
    engine_emit(t, u, DECISION_NOTE, &why)->amount[0] = recycles;
}

void recycle_ready(struct turn *t, struct engine_unit *u)
{
    struct unit_recycle *r = &u->recycle;
    if (r->open_us == USEC_INFINITY)
        return;
    r->spans[r->next] = (struct recycle_span){r->open_us, t->event->t_us};
    r->next = (r->next + 1) % RECYCLES_MAX;
    if (r->count < RECYCLES_MAX)
        r->count++;
    r->open_us = USEC_INFINITY;
    judge_cost(t, u);
}

static void judge_baseline(struct turn *t, struct engine_unit *u)
{
    const struct ladder_policy *l = &unit_policy(t, u)->ladder;
    uint64_t now = t->event->t_us;
    if (u->recycle.baseline_seen || u->ready_us == USEC_INFINITY || now < u->ready_us)
        return;
    u->recycle.baseline_seen = true;
    uint32_t share = l->restart_permyriad ? l->restart_permyriad : l->critical_permyriad;
    uint64_t threshold = ladder_level(u->memory.limit, share);
    if (now - u->ready_us > BASELINE_WAIT_US || !ladder_reached(&u->memory, share))
        return;
    u->recycle.off_baseline = true;
    struct why why = why_of(recycle_rule, REASON_BASELINE);
    why_measure(&why, u->memory.metric, u->memory.used, threshold);
    struct decision *d = engine_emit(t, u, DECISION_NOTE, &why);
    d->amount[0] = u->memory.limit;
    d->shape = SHAPE_BASELINE;
}

void recycle_sample(struct turn *t, struct engine_unit *u)
{
    const struct unit_policy *p = unit_policy(t, u);
    uint32_t recycles;
    if (u->recycle.off_cost && share(t, u, &recycles) < p->recycle_cost_permyriad / 2)
        u->recycle.off_cost = false;
    if (!u->memory.valid || !sample_has(&t->event->sample, SAMPLE_MEMORY_CURRENT))
        return;
    judge_baseline(t, u);
    if (u->memory.used < ladder_level(u->memory.limit, p->ladder.release_permyriad))
        u->recycle.off_baseline = u->recycle.would_have = false;
}
