/* SPDX-License-Identifier: MIT */
/* Roll-ups; see rollup.h. */
#include "rollup.h"

#include "weir/base/units.h"

const uint64_t rollup_length_us[ROLLUP_LENGTHS] = {10 * USEC_PER_SEC, 60 * USEC_PER_SEC};

static uint64_t bucket_start(uint64_t t_us, size_t length)
{
    return t_us - t_us % rollup_length_us[length];
}

bool rollup_is_over(const struct rollup_unit *u, size_t length, const struct event *e)
{
    return u->bucket[length].samples && u->bucket[length].start_us != bucket_start(e->t_us, length);
}

static void figure_add(struct rollup_figure *f, uint64_t value, uint64_t sum, uint64_t weight_us)
{
    if (!f->n || value < f->min)
        f->min = value;
    if (!f->n || value > f->max)
        f->max = value;
    f->last = value;
    f->sum += sum;
    f->weight_us += weight_us;
    f->n++;
}

static void bucket_add(struct rollup_unit *u, struct rollup_bucket *b, const struct event *e)
{
    uint64_t dt = u->has_last && u->generation == e->generation ? e->t_us - u->last_t_us : 0;
    b->samples++;
    b->changed = true;
    for (size_t i = 0; i < ROLLUP_FIELD_COUNT; i++) {
        enum sample_field field = schema_rollup_field(i);
        uint64_t value = e->sample.value[field];
        if (!sample_has(&e->sample, field) || value == UINT64_MAX)
            continue;
        if (!sample_field_info(field)->cumulative) {
            figure_add(&b->figure[i], value, value, 0);
        } else if (dt && (u->last_valid >> i & 1) && value >= u->last_value[i]) {
            uint64_t delta = value - u->last_value[i];
            figure_add(&b->figure[i], mul_div_u64(delta, PERMYRIAD_ONE, dt), delta, dt);
        }
    }
}

void rollup_add(struct rollup_unit *u, const struct event *e)
{
    for (size_t l = 0; l < ROLLUP_LENGTHS; l++) {
        if (!u->bucket[l].samples || rollup_is_over(u, l, e))
            u->bucket[l] = (struct rollup_bucket){.start_us = bucket_start(e->t_us, l)};
        bucket_add(u, &u->bucket[l], e);
    }
    u->has_last = true;
    u->generation = e->generation;
    u->last_t_us = e->t_us;
    u->last_valid = 0;
    for (size_t i = 0; i < ROLLUP_FIELD_COUNT; i++) {
        enum sample_field field = schema_rollup_field(i);
        u->last_value[i] = e->sample.value[field];
        if (sample_has(&e->sample, field) && e->sample.value[field] != UINT64_MAX)
            u->last_valid |= UINT64_C(1) << i;
    }
}

bool rollup_average(const struct rollup_figure *f, uint64_t *ret)
{
    if (!f->n)
        return false;
    *ret = f->weight_us ? mul_div_u64(f->sum, PERMYRIAD_ONE, f->weight_us) : f->sum / f->n;
    return true;
}
