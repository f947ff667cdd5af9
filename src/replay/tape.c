/* SPDX-License-Identifier: MIT */
/* The readings of one life; see the header. */
#include "tape.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "weir/base/units.h"

#define GROWTH_SPAN_US (10 * USEC_PER_SEC) /* chosen: as far as the ladder looks ahead when it holds back */
#define ROWS_FIRST     64

void tape_free(struct tape *t)
{
    free(t->rows);
    *t = (struct tape){0};
}

void tape_begin(struct tape *t, uint64_t start_us, uint32_t generation)
{
    *t = (struct tape){.rows = t->rows,
                       .room = t->room,
                       .stride = 1,
                       .start_us = start_us,
                       .generation = generation,
                       .open = true};
}

static void thin_out(struct tape *t, size_t *next)
{
    for (size_t i = 0; 2 * i < t->count; i++)
        t->rows[i] = t->rows[2 * i];
    t->count = (t->count + 1) / 2;
    t->stride *= 2;
    *next = (*next + 1) / 2;
}

static int make_room(struct tape *t, size_t *next)
{
    if (t->count < t->room)
        return 0;
    if (t->room >= TAPE_ROWS) {
        thin_out(t, next);
        return 0;
    }
    size_t room = t->room ? 2 * t->room : ROWS_FIRST;
    struct tape_row *rows = realloc(t->rows, room * sizeof(*rows));
    if (!rows)
        return -ENOMEM;
    t->rows = rows;
    t->room = room;
    return 0;
}

int tape_add(struct tape *t, const struct sample *s, uint64_t t_us, size_t *next)
{
    t->end_age_us = t_us - t->start_us;
    if (t->skipped + 1 < t->stride) {
        t->skipped++;
        return 0;
    }
    t->skipped = 0;
    int r = make_room(t, next);
    if (r < 0)
        return r;
    struct tape_row *row = &t->rows[t->count++];
    row->age_us = t->end_age_us;
    row->valid = s->valid;
    row->cause = s->cause;
    memcpy(row->value, s->value, sizeof(row->value));
    return 0;
}

/* Bytes a second over the last seconds of the tape; 0 when it did not grow. */
static uint64_t growth(const struct tape *t)
{
    const struct tape_row *last = &t->rows[t->count - 1], *then = last;
    while (then > t->rows && last->age_us - then->age_us < GROWTH_SPAN_US)
        then--;
    uint64_t now = last->value[SAMPLE_MEMORY_CURRENT], before = then->value[SAMPLE_MEMORY_CURRENT];
    if (last->age_us == then->age_us || now <= before)
        return 0;
    return mul_div_u64(now - before, USEC_PER_SEC, last->age_us - then->age_us);
}

struct tape_row tape_row(const struct tape *t, size_t i, uint64_t age_us, uint64_t limit)
{
    if (i < t->count)
        return t->rows[i];
    struct tape_row row = t->rows[t->count - 1];
    uint64_t *memory = &row.value[SAMPLE_MEMORY_CURRENT];
    uint64_t grown = *memory + mul_div_u64(growth(t), age_us - row.age_us, USEC_PER_SEC);
    if (*memory < limit)
        *memory = grown < limit ? grown : limit;
    row.age_us = age_us;
    row.cause = SAMPLE_CAUSE_TICK;
    return row;
}
