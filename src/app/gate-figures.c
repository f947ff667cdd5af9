/* SPDX-License-Identifier: MIT */
/*
 * Figures that gates tell: into samples, into the status, into rows of the record.
 *
 * A gate counts since it began, over workers and over supervisors; what is stored is what it said, so that a reader may
 * take differences between any two rows. A unit may have more than one gate (a server that starts two workers under one
 * name): its figures are their sum.
 */
#include "gate-link.h"

#include <stdio.h>
#include <string.h>

#define ROWS_US (10 * USEC_PER_SEC) /* chosen: as the finer roll-up of samples; a row a method that changed */

void gate_figures_take(struct gate_link *l, const struct gate_method *m)
{
    for (size_t i = 0; i < GATE_METHODS_MAX; i++) {
        struct gate_method *row = &l->method[i];
        if (row->name[0] && strncmp(row->name, m->name, sizeof(row->name)) != 0)
            continue;
        *row = *m;
        row->name[sizeof(row->name) - 1] = '\0';
        l->method_changed[i] = row->name[0] != '\0';
        return;
    }
}

/* The bound of the bucket in which the q-th of 100 answers is; UINT64_MAX = there are none. */
static uint64_t percentile(const struct gate_method *m, uint64_t q)
{
    uint64_t total = 0, seen = 0;
    for (unsigned i = 0; i < GATE_LATENCY_BUCKETS; i++)
        total += m->latency[i];
    for (unsigned i = 0; i < GATE_LATENCY_BUCKETS && total; i++) {
        seen += m->latency[i];
        if (seen < mul_div_u64(total, q, 100) + (total * q % 100 != 0))
            continue;
        uint64_t bound = gate_latency_bound_us(i);
        return bound < m->latency_max_us ? bound : m->latency_max_us;
    }
    return UINT64_MAX;
}

static void store_row(struct gate_link *l, const struct gate_method *m)
{
    struct store_method row = {
        .t_us = now_us(),
        .unit = l->unit,
        .gate = (uint64_t)l->pid,
        .calls = m->calls,
        .answers = m->answers,
        .errors = m->errors,
        .notifications = m->notifications,
        .replays = m->replays,
        .bytes_to_worker = m->bytes_to_worker,
        .bytes_to_server = m->bytes_to_server,
        .latency_sum_us = m->latency_sum_us,
        .latency_max_us = m->latency_max_us,
        .latency_p50_us = percentile(m, 50),
        .latency_p90_us = percentile(m, 90),
        .latency_p99_us = percentile(m, 99),
        .growth_calls = m->growth_calls,
        .growth_bytes = m->growth_bytes,
    };
    (void)snprintf(row.method, sizeof(row.method), "%s", m->name);
    store_method(l->s->store, &row);
}

void gate_figures_store(struct gate_link *l, bool all)
{
    uint64_t now = now_us();
    if (l->unit == UNIT_NONE || (!all && now - l->rows_us < ROWS_US))
        return;
    l->rows_us = now;
    for (size_t i = 0; i < GATE_METHODS_MAX; i++) {
        if (l->method_changed[i])
            store_row(l, &l->method[i]);
        l->method_changed[i] = false;
    }
}

static void add_state(struct gate_state *sum, const struct gate_state *s)
{
    sum->inflight += s->inflight;
    sum->waiting += s->waiting;
    sum->queued += s->queued;
    sum->queued_us = s->queued_us > sum->queued_us ? s->queued_us : sum->queued_us;
    sum->order = s->order > sum->order ? s->order : sum->order;
    sum->calls += s->calls;
    sum->answers += s->answers;
    sum->errors += s->errors;
    sum->resident_bytes += s->resident_bytes;
    for (size_t n = 0; n < GATE_NOTE_COUNT; n++)
        sum->notes[n] += s->notes[n];
    if (s->latency_p99_us != UINT64_MAX &&
        (sum->latency_p99_us == UINT64_MAX || s->latency_p99_us > sum->latency_p99_us))
        sum->latency_p99_us = s->latency_p99_us;
}

unsigned gates_state(const struct unit_runtime *u, struct gate_state *ret)
{
    unsigned count = 0;
    *ret = (struct gate_state){.latency_p99_us = UINT64_MAX};
    for (const struct gate_link *l = u->s->gate_links; l; l = l->next)
        if (l->unit == u->index) {
            add_state(ret, &l->state);
            count++;
        }
    return count;
}

void gates_fill_sample(const struct unit_runtime *u, struct sample *s)
{
    struct gate_state sum;
    if (gates_state(u, &sum) == 0)
        return;
    if (u->config->gate == CONFIG_GATE_JSONL) {
        sample_set(s, SAMPLE_GATE_INFLIGHT, (uint64_t)sum.inflight + sum.waiting);
        sample_set(s, SAMPLE_GATE_ANSWERS, sum.answers);
        sample_set(s, SAMPLE_GATE_ERRORS, sum.errors);
    }
    sample_set(s, SAMPLE_GATE_QUEUED, sum.queued);
    sample_set(s, SAMPLE_GATE_CALLS, sum.calls);
    if (sum.latency_p99_us != UINT64_MAX)
        sample_set(s, SAMPLE_GATE_LATENCY_P99, sum.latency_p99_us);
}
