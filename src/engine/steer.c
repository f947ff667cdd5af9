/* SPDX-License-Identifier: MIT */
/*
 * Where memory.high stands while a unit is throttled (unified hierarchy), and when it is no use.
 *
 * memory.high is midway between memory.current and the next level above it at which something else happens: restart,
 * critical, the limit. Below memory.current the kernel would reclaim in the writer and charge the penalty at once; at
 * the level itself it would come too late: the penalty grows with the square of the excess and is 2 s per charge
 * from ~18 %. Every steer interval it is looked at again, by progress and headroom, never by pressure, which the
 * throttle itself makes:
 *
 *   the unit is ...                                          memory.high
 *   -------------------------------------------------------  ------------------------------------------------------
 *   at its high, and gets something done                     up: half of the room that is left to that level
 *   below where it was                                       down after it: a burst that is over may not jump again
 *   at its high, gets nothing done, memory.events.high       no use. After throttle_stall: RESTART stalled; or let go,
 *   climbs                                                   where restarting is not allowed
 *   anywhere else                                            stays
 *
 * "Something done": cpu time, PROGRESS_PERMYRIAD of a cpu or, under a cpu quota, a fifth of that; reclaim that finds
 * memory (pgsteal of pgscan), which is what makes room for it; or a growth that goes on in spite of memory.high. A unit that is merely idle at its high is not
 * stalled: nothing of it runs into memory.high, so the counter stands still. Readings that are missing prove neither.
 *
 * Without swap and with nothing to reclaim a unit parks at its high for ever and looks alive: that is what the
 * stall is for; the throttle's time bound remains for whatever else may be.
 */
#include "state.h"

#define PROGRESS_PERMYRIAD 500  /* chosen: a fifth of the default throttle_cpu; the kernel's penalty sleeps */
#define FOUND_PERMYRIAD    1000 /* of pages looked at; reported livelocks find 3 % */
/* chosen: below 1.25 % over memory.high the kernel's penalty is dropped (less than 10 ms), so this is no change */
#define STEP_PERMYRIAD 50
#define PAGE_MASK      UINT64_C(4095)

enum progress { PROGRESS_UNKNOWN, PROGRESS_NONE, PROGRESS_SOME };

static uint64_t next_level(const struct ladder_policy *l, const struct memory_view *m)
{
    const uint32_t shares[] = {l->restart_permyriad, l->critical_permyriad, PERMYRIAD_ONE};
    for (size_t i = 0; i < sizeof(shares) / sizeof(shares[0]); i++) {
        uint64_t level = ladder_level(m->limit, shares[i]);
        if (m->current < level)
            return level;
    }
    return m->current;
}

/* The user's own memory.high stays when it is the lower one. */
uint64_t steer_high(const struct turn *t, const struct engine_unit *u)
{
    const struct unit_policy *p = unit_policy(t, u);
    uint64_t current = u->memory.current;
    uint64_t high = current + (next_level(&p->ladder, &u->memory) - current) / 2;
    high = (high + PAGE_MASK) & ~PAGE_MASK;
    return high < p->memory_high_bytes ? high : p->memory_high_bytes;
}

static uint64_t step_of(const struct engine_unit *u)
{
    return ladder_level(u->memory.limit, STEP_PERMYRIAD);
}

static uint64_t reading(const struct turn *t, enum sample_field field)
{
    const struct sample *s = &t->event->sample;
    return sample_has(s, field) ? s->value[field] : UINT64_MAX;
}

static void remember(const struct turn *t, struct unit_steer *s)
{
    s->look_us = t->event->t_us;
    s->current = reading(t, SAMPLE_MEMORY_CURRENT);
    s->cpu_us = reading(t, SAMPLE_CPU_USAGE);
    s->scanned = reading(t, SAMPLE_MEMORY_PGSCAN);
    s->stolen = reading(t, SAMPLE_MEMORY_PGSTEAL);
    s->climbs = reading(t, SAMPLE_EVENTS_HIGH);
}

void steer_begin(const struct turn *t, struct engine_unit *u)
{
    u->throttle.steer = (struct unit_steer){.stall_us = USEC_INFINITY};
    remember(t, &u->throttle.steer);
}

/* What a cumulative reading has risen by since the last look. false: it is missing now or was then. */
static bool risen(const struct turn *t, enum sample_field field, uint64_t then, uint64_t *ret_rise)
{
    uint64_t now = reading(t, field);
    if (now == UINT64_MAX || then == UINT64_MAX || now < then)
        return false;
    *ret_rise = now - then;
    return true;
}

/* The cpu share that counts as progress. */
static uint64_t least_share(const struct unit_policy *p)
{
    uint64_t quota_share = p->ladder.throttle_cpu_permyriad / 5;
    return (p->abilities & ABILITY_CPU_MAX) && quota_share < PROGRESS_PERMYRIAD ? quota_share
                                                                                : PROGRESS_PERMYRIAD;
}

/* *ret_cpu is the share of a cpu that it used; left alone when that is not known. */
static enum progress look_at_progress(const struct turn *t, const struct engine_unit *u, uint64_t *ret_cpu)
{
    const struct unit_steer *s = &u->throttle.steer;
    uint64_t cpu, scanned, stolen, grown;
    bool grows = risen(t, SAMPLE_MEMORY_CURRENT, s->current, &grown) && grown >= step_of(u);
    bool found = risen(t, SAMPLE_MEMORY_PGSCAN, s->scanned, &scanned) &&
                 risen(t, SAMPLE_MEMORY_PGSTEAL, s->stolen, &stolen) && stolen > 0 &&
                 stolen >= mul_div_u64(scanned, FOUND_PERMYRIAD, PERMYRIAD_ONE);
    if (!risen(t, SAMPLE_CPU_USAGE, s->cpu_us, &cpu))
        return found || grows ? PROGRESS_SOME : PROGRESS_UNKNOWN;
    *ret_cpu = mul_div_u64(cpu, PERMYRIAD_ONE, t->event->t_us - s->look_us);
    return found || grows || *ret_cpu >= least_share(unit_policy(t, u)) ? PROGRESS_SOME : PROGRESS_NONE;
}

/* Since when nothing was done: since the last look, when it was at its high then as well. */
static void watch_stall(const struct turn *t, struct unit_steer *s, bool parked, enum progress progress)
{
    if (!parked || progress == PROGRESS_SOME) {
        s->stall_us = USEC_INFINITY;
    } else if (s->stall_us == USEC_INFINITY && progress == PROGRESS_NONE) {
        s->stall_us = s->parked ? s->look_us : t->event->t_us;
        s->stall_climbs = s->parked ? s->climbs : reading(t, SAMPLE_EVENTS_HIGH);
    }
}

static bool is_stalled(const struct turn *t, const struct engine_unit *u)
{
    const struct unit_steer *s = &u->throttle.steer;
    uint64_t rise;
    return s->stall_us != USEC_INFINITY &&
           t->event->t_us - s->stall_us >= unit_policy(t, u)->ladder.throttle_stall_us &&
           risen(t, SAMPLE_EVENTS_HIGH, s->stall_climbs, &rise) && rise > 0;
}

static void give_up(struct turn *t, struct engine_unit *u, uint64_t cpu)
{
    const struct unit_steer *s = &u->throttle.steer;
    struct why why = why_of(u->throttle.owner.name, REASON_STALLED);
    why_measure(&why, METRIC_CPU_USAGE, cpu, least_share(unit_policy(t, u)));
    why.held_us = t->event->t_us - s->stall_us;
    if (throttle_may_restart(t, u)) {
        why.rule = throttle_rule;
        ladder_restart(t, u, &why, false);
    } else {
        throttle_end_in_vain(t, u, &why);
    }
}

static void set_high(struct turn *t, struct engine_unit *u, bool may_rise)
{
    const struct unit_policy *p = unit_policy(t, u);
    struct unit_throttle *throttle = &u->throttle;
    uint64_t high = steer_high(t, u), before = throttle->high, step = step_of(u);
    bool down = engine_later(high, step) < before;
    bool up = may_rise && high > engine_later(before, step);
    if (!down && !up)
        return;
    struct why why = why_of(throttle->owner.name, REASON_NONE); /* the throttle that it is part of says why */
    why_measure(&why, METRIC_MEMORY_CURRENT, u->memory.current, before);
    struct decision *d = engine_emit(t, u, DECISION_STEER, &why);
    d->cause_id = throttle->id;
    d->amount[0] = p->abilities & ABILITY_CPU_MAX ? p->ladder.throttle_cpu_permyriad : 0;
    d->amount[1] = high;
    throttle->steer.id = d->id;
    throttle->high = high;
}

void steer_judge(struct turn *t, struct engine_unit *u)
{
    struct unit_throttle *throttle = &u->throttle;
    struct unit_steer *s = &throttle->steer;
    uint64_t cpu = 0;
    uint64_t passed = t->event->t_us - s->look_us;
    if (throttle->high == 0 || !u->memory.valid || passed == 0 ||
        passed < unit_policy(t, u)->ladder.throttle_steer_us)
        return;
    bool parked = engine_later(u->memory.current, step_of(u)) >= throttle->high;
    enum progress progress = look_at_progress(t, u, &cpu);
    watch_stall(t, s, parked, progress);
    if (progress == PROGRESS_NONE && is_stalled(t, u)) {
        give_up(t, u, cpu);
        return;
    }
    /* at the restart level no room is left: what decides there is how long it stays */
    bool full =
        ladder_reached(&u->memory, unit_policy(t, u)->ladder.restart_permyriad) && throttle_may_restart(t, u);
    set_high(t, u, parked && progress == PROGRESS_SOME && !full);
    s->parked = parked;
    remember(t, s);
}
