/* SPDX-License-Identifier: MIT */
/*
 * player: makes this process look, in memory and threads, as a recorded one did.
 *
 * The player has no clock. It is told "step_us of progress were made" and moves its position in the trace by
 * that, times the time scale; then it brings the process to the trace's memory and thread count at that
 * position. A process that was frozen or throttled therefore goes on where it was: holding it back holds its
 * growth back.
 *
 * The target is the *whole* process: what it uses anyway (code, stacks, a worker's own heap) counts, because
 * each step reads VmRSS + VmSwap and Threads and corrects the difference. Below that own size it cannot go.
 * The recorded VSZ is not followed.
 */
#ifndef WORKLOADS_PLAYER_H
#define WORKLOADS_PLAYER_H

#include <stdbool.h>
#include <stdint.h>

#include "idlers.h"
#include "resident.h"
#include "trace.h"

enum player_at_end {
    PLAYER_HOLD, /* keep the last row's memory and threads */
    PLAYER_EXIT, /* player_advance() returns PLAYER_ENDED */
    PLAYER_LOOP, /* begin again at from_s: a fall, then the same growth */
};

struct player_options {
    double memory_scale; /* 1/16: a sixteenth of the recorded memory */
    double time_scale;   /* 2: twice as fast */
    double thread_scale; /* 1: as many threads as recorded */
    double from_s;       /* trace time to begin at */
    double to_s;         /* trace time that counts as the end */
    double lead_in_s; /* trace time in which memory climbs from what the process has to the value at from_s */
    enum player_at_end at_end;
};

struct player {
    const struct trace *trace; /* borrowed until player_deinit() */
    struct player_options options;
    double position_s;
    int64_t baseline_bytes;
    int64_t extra_bytes; /* held by the process on top of the trace; the caller may change it */
    struct resident memory;
    struct idlers threads;
    struct trace_row target; /* of the last step: position, scaled MB (without extra), scaled threads */
};

enum { PLAYER_ENDED = 1 };

/* The defaults: scales 1, the whole trace, one second of lead-in, hold at the end. */
struct player_options player_options_default(const struct trace *trace);

/*
 * Starts at from_s - lead_in_s; nothing is allocated before the first player_advance(). The player must stay
 * at its address. Scales must be above 0 and from_s <= to_s.
 */
void player_init(struct player *player, const struct trace *trace, const struct player_options *options);

/*
 * Goes on by step_us of progress and sets memory and threads. Blocks while the kernel hands out pages.
 * Returns 0; PLAYER_ENDED once the end is reached and at_end is PLAYER_EXIT; -ENOMEM when memory was refused,
 * -EAGAIN when a thread was (what could be had is there, the next step tries again), other negative errno
 * from /proc.
 */
int player_advance(struct player *player, int64_t step_us);

/* Still climbing to the first value? */
bool player_in_lead_in(const struct player *player);

/* Gives memory back and ends the threads. */
void player_deinit(struct player *player);

#endif
