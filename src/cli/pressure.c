/* SPDX-License-Identifier: MIT */
/*
 * `weir history pressure`: the stalled share of each interval between two consecutive samples of a unit, from
 * the kernel's totals (never avg10). No interval goes across a new generation, a run's end or lost samples.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "history.h"
#include "table.h"
#include "weir/base/cleanup.h"
#include "weir/base/units.h"

bool history_share(const struct sample *from, const struct sample *to, enum sample_field field, uint64_t *ret)
{
    if (!sample_has(from, field) || !sample_has(to, field) || to->t_us <= from->t_us ||
        to->value[field] < from->value[field])
        return false;
    *ret = mul_div_u64(to->value[field] - from->value[field], PERMYRIAD_ONE, to->t_us - from->t_us);
    return true;
}

static const enum sample_field pressure_fields[] = {SAMPLE_MEMORY_SOME, SAMPLE_MEMORY_FULL, SAMPLE_CPU_SOME,
                                                    SAMPLE_CPU_FULL,    SAMPLE_IO_SOME,     SAMPLE_IO_FULL};

static const struct table_column columns[] = {
    {"run", NULL, true, false},
    {"time", "TIME", false, true},
    {"unit", "UNIT", false, false},
    {"generation", "GEN", true, false},
    {"from_seq", "FROM", true, false},
    {"seq", "TO", true, false},
    {"interval_us", "OVER", true, false},
    {"memory.pressure.some", "MEM SOME", true, false},
    {"memory.pressure.full", "MEM FULL", true, false},
    {"cpu.pressure.some", "CPU SOME", true, false},
    {"cpu.pressure.full", "CPU FULL", true, false},
    {"io.pressure.some", "IO SOME", true, false},
    {"io.pressure.full", "IO FULL", true, false},
};

struct pressure {
    struct table *t;
    uint64_t run;
    struct event *last; /* by unit; seq 0 = none */
    size_t last_count;
};

static void forget(struct pressure *p)
{
    for (size_t i = 0; i < p->last_count; i++)
        p->last[i].seq = 0;
}

static int reach_unit(struct pressure *p, uint16_t unit)
{
    if (unit < p->last_count)
        return 0;
    struct event *last = realloc(p->last, ((size_t)unit + 1) * sizeof(*last));
    if (!last)
        return -ENOMEM;
    p->last = last;
    for (; p->last_count <= unit; p->last_count++)
        last[p->last_count] = (struct event){0};
    return 0;
}

static void put_interval(struct table *t, const struct store_row *row, const struct event *from)
{
    const struct event *to = &row->event;
    table_count(t, row->run);
    table_time(t, row->wall_us);
    table_text(t, row->unit);
    table_count(t, to->generation);
    table_count(t, from->seq);
    table_count(t, to->seq);
    table_duration(t, to->sample.t_us - from->sample.t_us);
    for (size_t i = 0; i < ARRAY_SIZE(pressure_fields); i++) {
        uint64_t share;
        if (history_share(&from->sample, &to->sample, pressure_fields[i], &share))
            table_percent(t, share);
        else
            table_none(t);
    }
    table_row(t);
}

static int on_row(void *user, const struct store_row *row)
{
    struct pressure *p = user;
    if (row->run != p->run || (row->type == STORE_ROW_GAP && row->gap_count))
        forget(p);
    p->run = row->run;
    if (row->type != STORE_ROW_EVENT || row->event.kind != EVENT_SAMPLE)
        return 0;
    int e = reach_unit(p, row->event.unit);
    if (e < 0)
        return e;
    struct event *from = &p->last[row->event.unit];
    if (from->seq && from->generation == row->event.generation && row->event.sample.t_us > from->sample.t_us)
        put_interval(p->t, row, from);
    *from = row->event;
    return 0;
}

int history_pressure(struct cli_query *q, const struct cli_args *args)
{
    struct pressure p = {.t = table_new(args->format, stdout, columns, ARRAY_SIZE(columns), args->limit)};
    if (!p.t)
        return cli_read_failed(q, -ENOMEM);
    q->filter.limit = 0; /* the limit counts intervals */
    int e = store_read_timeline(q->reader, &q->filter, on_row, &p);
    free(p.last);
    table_end(p.t, "no two samples of a unit in this run and time (--run all looks at every run)");
    return e < 0 ? cli_read_failed(q, e) : CLI_EXIT_OK;
}
