/* SPDX-License-Identifier: MIT */
/*
 * growth: how the stand-in worker uses memory.
 *
 * Two ways, which add up. (a) A recorded trace: a thread of its own advances a player while there is work,
 * that is while the model loads and until idle_us after the last document. (b) A plain leak: so many bytes
 * for each document, never given back. Both begin anew with each process, as a restarted worker does.
 */
#ifndef WORKLOADS_GROWTH_H
#define WORKLOADS_GROWTH_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#include "player.h"

struct growth_options {
    const char *trace_path; /* NULL: no trace */
    double memory_scale, time_scale, from_s;
    int64_t load_us;     /* how long the model loads; a trace climbs to its first value in that time */
    int64_t model_bytes; /* without a trace: what the loaded model takes */
    int64_t leak_bytes;  /* for each document */
    int64_t idle_us;     /* a trace stands still this long after the last document */
};

struct growth {
    struct growth_options options;
    struct trace trace;
    struct player player;
    struct resident model;
    struct resident leaked;
    pthread_t thread;
    bool has_thread;
    atomic_llong leaked_bytes; /* for the thread: what lies on top of the trace */
    atomic_llong active_until_us;
};

/* Reads the trace, if any. Returns 0 or a negative errno with a sentence in ret_why. Nothing grows yet. */
int growth_init(struct growth *growth, const struct growth_options *options, char *ret_why, size_t why_size);

/* Loads the "model": takes load_us, and memory climbs to its start. Returns 0 or a negative errno. */
int growth_load_model(struct growth *growth);

/* One document was worked on. Returns 0 or -ENOMEM. */
int growth_add_document(struct growth *growth);

#endif
