/* SPDX-License-Identifier: MIT */
/*
 * Counts and latencies of each method, since the gate began, as the supervisor is told them (struct gate_method). No I/O.
 * Methods beyond GATE_METHODS_MAX are one, "(other)".
 */
#ifndef WEIR_GATE_FIGURES_H
#define WEIR_GATE_FIGURES_H

#include <stdbool.h>
#include <stdint.h>

#include "weir/gate/link.h"

#define FIGURES_OTHER GATE_METHODS_MAX /* the place of "(other)" */
#define FIGURES_COUNT (GATE_METHODS_MAX + 1)
#define FIGURES_WINDOW_US                                                                                    \
    10000000U /* of latency_p99_us in struct gate_state: of 10 s at least, of 20 at most */

struct figures {
    struct gate_method method[FIGURES_COUNT];
    bool changed[FIGURES_COUNT]; /* since it was told */
    uint32_t count;              /* places in use, but for "(other)" */
    uint16_t latest;             /* found last: most requests ask the same */
    uint64_t calls, answers, errors;
    uint64_t window_since_us;
    uint32_t window[2][GATE_LATENCY_BUCKETS]; /* this window's, the last one's */
};

void figures_init(struct figures *f, uint64_t now_us);
/* The place of a method; it is made. */
uint16_t figures_find(struct figures *f, const char *name);
void figures_call(struct figures *f, uint16_t method, uint64_t bytes);
void figures_notification(struct figures *f, uint16_t method, uint64_t bytes);
void figures_answer(struct figures *f, uint16_t method, bool is_error, uint64_t latency_us, uint64_t now_us);
void figures_answer_bytes(struct figures *f, uint16_t method, uint64_t bytes);
void figures_replay(struct figures *f, uint16_t method);
void figures_growth(struct figures *f, uint16_t method, int64_t bytes);
/* UINT64_MAX = no answers. */
uint64_t figures_p99_us(struct figures *f, uint64_t now_us);
/* The next place that changed, which counts as told then; -1 = none. */
int figures_next_changed(struct figures *f);
void figures_all_changed(struct figures *f);

#endif
