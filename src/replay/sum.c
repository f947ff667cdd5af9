/* SPDX-License-Identifier: MIT */
/*
 * Sums per unit; see the header. A reading counts until the next one of the same life: memory above a level at one
 * reading was above it until then. Across a hole nothing is counted.
 */
#include "sum.h"

#include <errno.h>
#include <stdlib.h>

#include "weir/base/units.h"

static const char *const level_names[WHATIF_LEVEL_COUNT] = {
    [WHATIF_LEVEL_NOTIFY] = "notify",   [WHATIF_LEVEL_THROTTLE] = "throttle",
    [WHATIF_LEVEL_RESTART] = "restart", [WHATIF_LEVEL_CRITICAL] = "critical",
    [WHATIF_LEVEL_LIMIT] = "limit",
};

const char *whatif_level_name(enum whatif_level level)
{
    return level_names[level];
}

uint64_t whatif_level_bytes(const struct unit_policy *p, enum whatif_level level)
{
    const uint32_t shares[WHATIF_LEVEL_COUNT] = {
        [WHATIF_LEVEL_NOTIFY] = p->ladder.notify_permyriad,
        [WHATIF_LEVEL_THROTTLE] = p->ladder.throttle_permyriad,
        [WHATIF_LEVEL_RESTART] = p->ladder.restart_permyriad,
        [WHATIF_LEVEL_CRITICAL] = p->ladder.critical_permyriad,
        [WHATIF_LEVEL_LIMIT] = PERMYRIAD_ONE,
    };
    if (p->memory_max_bytes == UINT64_MAX || shares[level] == 0)
        return UINT64_MAX;
    return mul_div_u64(p->memory_max_bytes, shares[level], PERMYRIAD_ONE);
}

int sum_init(struct sum *s, const struct policy *policy, uint64_t hole_us)
{
    *s = (struct sum){.policy = policy, .hole_us = hole_us};
    s->units = calloc(policy->unit_count ? policy->unit_count : 1, sizeof(*s->units));
    return s->units ? 0 : -ENOMEM;
}

void sum_deinit(struct sum *s)
{
    free(s->units);
    s->units = NULL;
}

void sum_advance(struct sum *s, uint64_t t_us)
{
    uint64_t passed = t_us - s->now_us;
    s->now_us = t_us;
    for (uint32_t i = 0; passed && i < s->policy->unit_count; i++) {
        struct sum_unit *u = &s->units[i];
        struct whatif_sum *sum = &u->sums[u->model];
        sum->throttled_us += u->throttled ? passed : 0;
        sum->held_us += u->held ? passed : 0;
        sum->down_us += u->down ? passed : 0;
    }
}

static uint64_t used(const struct sample *sample)
{
    uint64_t current = sample->value[SAMPLE_MEMORY_CURRENT];
    uint64_t file = sample->value[SAMPLE_MEMORY_FILE], shmem = sample->value[SAMPLE_MEMORY_SHMEM];
    uint64_t cache = file > shmem ? file - shmem : 0; /* 0 where it was not read */
    return current > cache ? current - cache : 0;
}

static void add_time(const struct sum *s, uint16_t unit, uint64_t passed)
{
    struct sum_unit *u = &s->units[unit];
    struct whatif_sum *sum = &u->sums[u->model];
    if (passed > s->hole_us) {
        sum->holes++;
        return;
    }
    for (int level = 0; level < WHATIF_LEVEL_COUNT; level++)
        if (u->last_bytes >= whatif_level_bytes(&s->policy->units[unit], level))
            sum->above_us[level] += passed;
}

void sum_reading(struct sum *s, const struct event *e)
{
    struct sum_unit *u = &s->units[e->unit];
    struct whatif_sum *sum = &u->sums[u->model];
    if (!sample_has(&e->sample, SAMPLE_MEMORY_CURRENT))
        return;
    uint64_t bytes = used(&e->sample);
    if (u->has_last && u->generation == e->generation)
        add_time(s, e->unit, e->t_us - u->last_us);
    if (sum->readings++ == 0 || bytes > sum->peak_bytes) {
        sum->peak_bytes = bytes;
        sum->peak_us = e->t_us;
    }
    u->has_last = true;
    u->generation = e->generation;
    u->last_us = e->t_us;
    u->last_bytes = bytes;
}

static bool is_for_memory(const struct decision *d)
{
    return d->reason != REASON_OPERATOR && d->reason != REASON_RESPAWN_WAIT;
}

void sum_decision(struct sum *s, const struct decision *d, bool model)
{
    if (d->unit == UNIT_NONE)
        return;
    struct sum_unit *u = &s->units[d->unit];
    struct whatif_sum *sum = &u->sums[model];
    sum->count[d->kind]++;
    if (d->kind == DECISION_RESTART && is_for_memory(d)) {
        sum->recycles += d->amount[0] != 0;
        sum->failures += d->amount[0] == 0;
    } else if (d->kind == DECISION_THROTTLE || d->kind == DECISION_UNTHROTTLE) {
        u->throttled = d->kind == DECISION_THROTTLE;
    } else if (d->kind == DECISION_PACE || d->kind == DECISION_HOLD || d->kind == DECISION_RELEASE) {
        u->held = d->kind != DECISION_RELEASE;
    } else if (d->kind == DECISION_STATE) {
        bool up = d->amount[1] == UNIT_STATE_READY || d->amount[1] == UNIT_STATE_DRAINING ||
                  d->amount[1] == UNIT_STATE_ADOPTED;
        bool was_up = d->amount[0] == UNIT_STATE_READY || d->amount[0] == UNIT_STATE_DRAINING ||
                      d->amount[0] == UNIT_STATE_ADOPTED;
        u->down = !up && (was_up || u->down);
    }
}
