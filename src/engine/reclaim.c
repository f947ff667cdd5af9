/* SPDX-License-Identifier: MIT */
/*
 * Taking memory back (memory.reclaim) in bounded chunks, one at a time.
 *
 *             memory.current >= reclaim                     OUTCOME, enough came back, above release
 *   idle ------------------------------> chunk under way -------------------------------> next sample: RECLAIM
 *    ^          RECLAIM                        |
 *    |                                         | too little came back, it failed, or no OUTCOME for RECLAIM_WAIT_US
 *    +------------- reclaim_cooldown ----------+
 *
 * It judges by memory.current, not by what is used: what can be taken back is the page cache as well. But a unit that
 * is far from its limit by what it uses may keep its cache; so both must be reached: memory.current the reclaim level,
 * `used` the level where the ladder begins to look (ladder_floor). Ends below release, or when `used` is below that
 * floor again. A chunk is never more than what is above release: nothing beyond the aim is pushed out.
 *
 * In one reclaim_cooldown the ladder asks for no more than lies between release and the limit. Page cache that the unit
 * reads again and again comes back as fast as it is taken: without that bound it would go on for ever.
 *
 * A chunk of which less than reclaim_yield came back cost more than it gave: a NOTE says so once, until it was of use
 * again or memory fell below release.
 *
 * A rule's series asks for so many bytes in all and goes on wherever memory is, until the rule is over.
 *
 * Invariants: one chunk at most is under way; never while starting, stopping or frozen. Nothing is to be undone.
 */
#include "state.h"

#define CHUNK_MIN      (UINT64_C(1) << 20)  /* chosen: less is not worth a decision on record */
#define CHUNK_NO_LIMIT (UINT64_C(32) << 20) /* chosen: bounds the stall that a chunk may cause */
#define PAGE_MASK      UINT64_C(4095)

static const char reclaim_rule[] = "ladder.reclaim";

static uint64_t chunk_of(const struct turn *t, const struct engine_unit *u)
{
    const struct memory_view *m = &u->memory;
    uint64_t chunk = CHUNK_NO_LIMIT;
    if (m->limit != UINT64_MAX)
        chunk = ladder_level(m->limit, unit_policy(t, u)->ladder.reclaim_chunk_permyriad) & ~PAGE_MASK;
    return chunk > CHUNK_MIN ? chunk : CHUNK_MIN;
}

/* Why it cannot begin now, as a mask. */
uint32_t reclaim_rejects(const struct turn *t, const struct engine_unit *u)
{
    uint64_t now = t->event->t_us;
    if (!(unit_policy(t, u)->abilities & ABILITY_RECLAIM) || now < u->cannot.reclaim_until_us ||
        u->state == UNIT_STATE_STARTING)
        return 1U << REJECTED_UNSUPPORTED;
    if (u->reclaim.on || u->reclaim.id != 0)
        return 1U << REJECTED_BUSY;
    return now < u->reclaim.pause_until_us ? 1U << REJECTED_COOLDOWN : 0;
}

static void pause(const struct turn *t, struct engine_unit *u)
{
    u->reclaim.on = false;
    u->reclaim.pause_until_us = engine_later(t->event->t_us, unit_policy(t, u)->ladder.reclaim_cooldown_us);
}

static void next_chunk(struct turn *t, struct engine_unit *u, const struct why *why, uint64_t bytes)
{
    struct unit_reclaim *r = &u->reclaim;
    struct decision *d = ladder_emit(t, u, r->chunks ? DECISION_RECLAIM_MORE : DECISION_RECLAIM, why);
    d->observe = r->observe;
    d->amount[0] = bytes;
    d->cause_id = r->first_id;
    if (++r->chunks > 1)
        d->amount[1] = r->chunks;
    else
        r->first_id = d->id;
    if (r->observe) {
        pause(t, u); /* nothing comes of it, so what follows cannot be judged */
        return;
    }
    r->id = d->id;
    r->asked_bytes = bytes;
    unit_arm(u, TIMER_RECLAIM, engine_later(t->event->t_us, RECLAIM_WAIT_US));
}

static void begin(struct engine_unit *u, const struct why *why, bool observe, uint64_t bytes)
{
    struct unit_reclaim *r = &u->reclaim;
    r->on = true;
    r->observe = observe;
    r->owner = owner_of(why);
    r->left_bytes = bytes;
    r->chunks = r->first_id = 0;
}

void reclaim_end(struct engine_unit *u)
{
    u->reclaim.on = false;
}

void reclaim_forget(struct engine_unit *u)
{
    u->reclaim.on = false;
    u->reclaim.id = 0;
    u->due[TIMER_RECLAIM] = USEC_INFINITY;
}

static uint64_t budget_of(const struct turn *t, struct engine_unit *u, uint64_t release)
{
    struct unit_reclaim *r = &u->reclaim;
    uint64_t now = t->event->t_us, limit = u->memory.limit;
    if (now >= r->budget_until_us) {
        r->budget_bytes = limit > release ? (limit - release) & ~PAGE_MASK : 0;
        r->budget_until_us = engine_later(now, unit_policy(t, u)->ladder.reclaim_cooldown_us);
    }
    return r->budget_bytes;
}

static void judge_series(struct turn *t, struct engine_unit *u)
{
    const struct ladder_policy *l = &unit_policy(t, u)->ladder;
    const struct memory_view *m = &u->memory;
    uint64_t release = ladder_level(m->limit, l->release_permyriad);
    uint64_t above = m->current > release ? (m->current - release) & ~PAGE_MASK : 0;
    uint64_t chunk = chunk_of(t, u), budget = budget_of(t, u, release);
    bool near = m->used >= ladder_level(m->limit, ladder_floor(l));
    bool due = m->current >= ladder_level(m->limit, l->reclaim_permyriad);
    struct why why = why_of(reclaim_rule, REASON_MEMORY_LEVEL);

    if (above < CHUNK_MIN || !near) {
        u->reclaim.on = false;
        u->reclaim.told = u->reclaim.told && above > 0;
        return;
    }
    if (!u->reclaim.on && due && reclaim_rejects(t, u) == 0)
        begin(u, &why, unit_policy(t, u)->mode == UNIT_MODE_OBSERVE, 0);
    u->reclaim.on = u->reclaim.on && budget >= CHUNK_MIN;
    if (!u->reclaim.on)
        return;
    chunk = chunk < above ? chunk : above;
    chunk = chunk < budget ? chunk : budget;
    u->reclaim.budget_bytes -= chunk;
    why_measure(&why, METRIC_MEMORY_CURRENT, m->current,
                u->reclaim.chunks ? release : ladder_level(m->limit, l->reclaim_permyriad));
    next_chunk(t, u, &why, chunk);
}

static void go_on_for_rule(struct turn *t, struct engine_unit *u)
{
    struct unit_reclaim *r = &u->reclaim;
    uint64_t chunk = chunk_of(t, u);
    struct why why = why_of(r->owner.name, REASON_RULE);
    if (r->left_bytes == 0) {
        r->on = false;
        return;
    }
    if (chunk > r->left_bytes)
        chunk = r->left_bytes;
    r->left_bytes -= chunk;
    why_measure(&why, METRIC_MEMORY_CURRENT, u->memory.current, 0);
    next_chunk(t, u, &why, chunk);
}

void reclaim_judge(struct turn *t, struct engine_unit *u)
{
    if (u->reclaim.id != 0)
        return;
    if (u->reclaim.on && u->reclaim.owner.is_rule)
        go_on_for_rule(t, u);
    else if (u->memory.valid && unit_policy(t, u)->ladder.reclaim_permyriad != 0)
        judge_series(t, u);
}

uint32_t reclaim_begin_rule(struct turn *t, struct engine_unit *u, const struct why *why, bool observe,
                            uint64_t bytes)
{
    uint32_t rejected = reclaim_rejects(t, u);
    uint64_t chunk = chunk_of(t, u);
    if (rejected)
        return rejected;
    bytes = bytes ? engine_later(bytes, PAGE_MASK) & ~PAGE_MASK : chunk;
    begin(u, why, observe, bytes > chunk ? bytes - chunk : 0);
    next_chunk(t, u, why, bytes > chunk ? chunk : bytes);
    return 0;
}

void reclaim_end_of(struct engine_unit *u, const char *rule)
{
    if (u->reclaim.on && owner_is(&u->reclaim.owner, rule))
        reclaim_end(u);
}

void reclaim_policy(struct turn *t, struct engine_unit *u)
{
    const struct unit_policy *p = unit_policy(t, u);
    bool off = !u->reclaim.owner.is_rule && p->ladder.reclaim_permyriad == 0;
    if (off || p->mode == UNIT_MODE_OBSERVE || !(p->abilities & ABILITY_RECLAIM))
        reclaim_end(u);
    u->reclaim.pause_until_us = 0;
    u->reclaim.told = false;
}

void reclaim_overdue(struct turn *t, struct engine_unit *u)
{
    struct why why = why_of(u->reclaim.owner.name, REASON_LOW_YIELD);
    why_measure(&why, METRIC_ELAPSED, RECLAIM_WAIT_US, RECLAIM_WAIT_US);
    engine_emit(t, u, DECISION_NOTE, &why);
    u->reclaim.id = 0;
    pause(t, u);
}

static void judge_yield(struct turn *t, struct engine_unit *u, uint64_t yield)
{
    uint32_t least = unit_policy(t, u)->ladder.reclaim_yield_permyriad;
    struct why why = why_of(u->reclaim.owner.name, REASON_LOW_YIELD);
    if (yield >= least) {
        u->reclaim.told = false;
        return;
    }
    pause(t, u);
    why_measure(&why, METRIC_RECLAIM_EFFICIENCY, yield, least);
    if (!u->reclaim.told)
        engine_emit(t, u, DECISION_NOTE, &why)->amount[0] = t->event->outcome.amount;
    u->reclaim.told = true;
}

bool reclaim_outcome(struct turn *t, struct engine_unit *u)
{
    struct unit_reclaim *r = &u->reclaim;
    if (r->id == 0 || t->event->outcome.decision_id != r->id)
        return false;
    r->id = 0;
    u->due[TIMER_RECLAIM] = USEC_INFINITY;
    switch (t->event->outcome.result) {
    case EVENT_RESULT_DONE:
    case EVENT_RESULT_PARTIAL:
        judge_yield(t, u, mul_div_u64(t->event->outcome.amount, PERMYRIAD_ONE, r->asked_bytes));
        break;
    case EVENT_RESULT_UNSUPPORTED:
        u->cannot.reclaim_until_us = USEC_INFINITY;
        pause(t, u);
        break;
    case EVENT_RESULT_FAILED:
    case EVENT_RESULT_COUNT:
        pause(t, u);
        break;
    }
    return true;
}
