/* SPDX-License-Identifier: MIT */
/*
 * The readings of one recorded life by its age, to be played again. Bounded: a life of more than TAPE_ROWS readings keeps
 * every second one, then every fourth, and so on.
 */
#ifndef WEIR_REPLAY_TAPE_H
#define WEIR_REPLAY_TAPE_H

#include "weir/model/event.h"

#define TAPE_ROWS 16384 /* chosen: four and a half hours at one a second, 4 MiB */

struct tape_row {
    uint64_t age_us;
    uint64_t valid;
    uint64_t value[SAMPLE_FIELD_COUNT];
    enum sample_cause cause;
};

struct tape {
    struct tape_row *rows;
    size_t count, room;
    size_t stride, skipped; /* one of `stride` readings is kept */
    uint64_t start_us;
    uint32_t generation;
    bool open;  /* the recorded life goes on */
    bool ended; /* it ended by itself ... */
    uint64_t end_age_us;
    struct event_exit exit; /* ... like this */
};

void tape_free(struct tape *t);
/* A new life; rows are kept for reuse. */
void tape_begin(struct tape *t, uint64_t start_us, uint32_t generation);
/* Adds a reading taken at t_us. 0 or -ENOMEM; *next, a place on the tape, is moved with the rows. */
int tape_add(struct tape *t, const struct sample *s, uint64_t t_us, size_t *next);
/* The row at an index; beyond the end of a closed tape: the last one, with its memory grown on until the limit.
 * The tape is not empty. */
struct tape_row tape_row(const struct tape *t, size_t i, uint64_t age_us, uint64_t limit);

#endif
