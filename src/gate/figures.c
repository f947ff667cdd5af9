/* SPDX-License-Identifier: MIT */
/* Counts and latencies; see the header. */
#include "figures.h"

#include <stdio.h>
#include <string.h>

void figures_init(struct figures *f, uint64_t now_us)
{
    memset(f, 0, sizeof(*f));
    f->window_since_us = now_us;
    (void)snprintf(f->method[FIGURES_OTHER].name, GATE_NAME_MAX, "(other)");
}

uint16_t figures_find(struct figures *f, const char *name)
{
    if (f->count > 0 && strcmp(f->method[f->latest].name, name) == 0)
        return f->latest;
    for (uint16_t i = 0; i < f->count; i++)
        if (strcmp(f->method[i].name, name) == 0)
            return f->latest = i;
    if (f->count == GATE_METHODS_MAX || name[0] == '\0')
        return FIGURES_OTHER;
    (void)snprintf(f->method[f->count].name, GATE_NAME_MAX, "%s", name);
    return f->latest = (uint16_t)f->count++;
}

void figures_call(struct figures *f, uint16_t method, uint64_t bytes)
{
    f->calls++;
    f->method[method].calls++;
    f->method[method].bytes_to_worker += bytes;
    f->changed[method] = true;
}

void figures_notification(struct figures *f, uint16_t method, uint64_t bytes)
{
    f->method[method].notifications++;
    f->method[method].bytes_to_worker += bytes;
    f->changed[method] = true;
}

static unsigned bucket_of(uint64_t latency_us)
{
    unsigned low = 0, high = GATE_LATENCY_BUCKETS - 1;
    while (low < high) {
        unsigned middle = (low + high) / 2;
        if (latency_us <= gate_latency_bound_us(middle))
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

static void turn_window(struct figures *f, uint64_t now_us)
{
    while (now_us - f->window_since_us >= FIGURES_WINDOW_US) {
        memcpy(f->window[1], f->window[0], sizeof(f->window[0]));
        memset(f->window[0], 0, sizeof(f->window[0]));
        f->window_since_us += FIGURES_WINDOW_US;
        if (now_us - f->window_since_us >= 2 * (uint64_t)FIGURES_WINDOW_US)
            f->window_since_us = now_us - FIGURES_WINDOW_US; /* a long silence: one more turn empties both */
    }
}

void figures_answer(struct figures *f, uint16_t method, bool is_error, uint64_t latency_us, uint64_t now_us)
{
    struct gate_method *m = &f->method[method];
    unsigned bucket = bucket_of(latency_us);
    f->answers++;
    m->answers++;
    f->errors += is_error;
    m->errors += is_error;
    m->latency_sum_us += latency_us;
    if (latency_us > m->latency_max_us)
        m->latency_max_us = latency_us;
    m->latency[bucket]++;
    f->changed[method] = true;
    turn_window(f, now_us);
    f->window[0][bucket]++;
}

void figures_answer_bytes(struct figures *f, uint16_t method, uint64_t bytes)
{
    f->method[method].bytes_to_server += bytes;
    f->changed[method] = true;
}

void figures_replay(struct figures *f, uint16_t method)
{
    f->method[method].replays++;
    f->changed[method] = true;
}

void figures_growth(struct figures *f, uint16_t method, int64_t bytes)
{
    f->method[method].growth_calls++;
    f->method[method].growth_bytes += bytes;
    f->changed[method] = true;
}

uint64_t figures_p99_us(struct figures *f, uint64_t now_us)
{
    uint64_t total = 0, below = 0;
    turn_window(f, now_us);
    for (unsigned i = 0; i < GATE_LATENCY_BUCKETS; i++)
        total += f->window[0][i] + f->window[1][i];
    if (total == 0)
        return UINT64_MAX;
    for (unsigned i = 0; i < GATE_LATENCY_BUCKETS; i++) {
        below += f->window[0][i] + f->window[1][i];
        if (below * 100 >= total * 99)
            return gate_latency_bound_us(i);
    }
    return gate_latency_bound_us(GATE_LATENCY_BUCKETS - 1);
}

int figures_next_changed(struct figures *f)
{
    for (int i = 0; i < FIGURES_COUNT; i++) {
        if (!f->changed[i])
            continue;
        f->changed[i] = false;
        return i;
    }
    return -1;
}

void figures_all_changed(struct figures *f)
{
    for (unsigned i = 0; i < FIGURES_COUNT; i++)
        f->changed[i] = f->method[i].calls > 0 || f->method[i].notifications > 0;
}
