/* SPDX-License-Identifier: MIT */
/*
 * The queue between the control loop and the store's thread.
 *
 * A ring of whole records, made once, so that handing over a sample allocates nothing. Above three quarters
 * full, samples are refused and counted (struct queue_gap), and so are the figures of methods, uncounted: the next
 * ones tell what they would have told. Events and decisions are never refused for lack of room: a full ring is doubled,
 * up to QUEUE_GROWTH_MAX times its first size; at that size the samples and figures waiting in it are given up first;
 * only when it holds nothing but events and decisions is a record lost, and counted in `lost`.
 *
 * One mutex, held for a copy of at most QUEUE_TAKE_CHUNK records at a time.
 */
#ifndef WEIR_STORE_QUEUE_H
#define WEIR_STORE_QUEUE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weir/model/decision.h"
#include "weir/model/event.h"

#define QUEUE_RECORDS_DEFAULT 8192 /* 13 min of 10 units at 1 Hz */
#define QUEUE_RECORDS_MIN     16
#define QUEUE_GROWTH_MAX      4  /* chosen: 4 x 8192 x 0.5 KiB = 16 MiB is the most the store may take */
#define QUEUE_TAKE_CHUNK      64 /* chosen: 32 KiB copied under the lock, a few microseconds */

enum record_type {
    RECORD_RUN_BEGIN,
    RECORD_UNIT,
    RECORD_CLOCK,
    RECORD_EVENT,
    RECORD_DECISION,
    RECORD_POLICY,
    RECORD_MARK,
    RECORD_METHOD,
    RECORD_RUN_END,
};

/* An owned copy of struct store_run. */
struct run_record {
    char *supervisor, *config_path, *config_text, *weir_version, *kernel, *layout, *boot_id;
    uint64_t wall_us, monotonic_us, interval_us;
    char **unit_names;
    size_t unit_count;
};

struct run_record *run_record_free(struct run_record *r);

struct store_method;

struct record {
    enum record_type type;
    union {
        struct run_record *run; /* owned */
        struct {
            uint64_t t_us, wall_us;
        } clock;
        struct event event;
        struct decision decision;
        struct {
            uint64_t key; /* POLICY: event seq; MARK: t_us; UNIT: 0 */
            uint16_t unit;
            char *text; /* owned */
        } text;
        struct store_method *method; /* owned; as much again as the rest, and rarer */
        struct {
            uint64_t t_us;
            int status;
        } end;
    };
};

/* Frees what the record owns; the record itself stays the caller's. */
void record_clear(struct record *r);

/* Samples that were not taken: from the first to the last of them. */
struct queue_gap {
    uint64_t first_us, last_us, count;
};

struct queue {
    pthread_mutex_t lock;
    pthread_cond_t wake;    /* the writer waits here */
    pthread_cond_t drained; /* queue_wait_drained() waits here */
    struct record *ring;
    size_t capacity, capacity_max, head, count;
    struct queue_gap gap;
    uint64_t samples_dropped;
    uint64_t lost;
    uint64_t accepted, finished; /* records taken in, records written (or given up) */
    bool urgent, stop;
};

int queue_init(struct queue *q, size_t capacity);
void queue_deinit(struct queue *q);

/* Hands the record over (what it owns too, also when it is refused). urgent wakes the writer. */
void queue_push(struct queue *q, struct record *r, bool urgent);

/* Moves up to max records to out; stops in front of a RUN_BEGIN unless it is the first. Returns how many. */
size_t queue_take(struct queue *q, struct record *out, size_t max);

/* Takes the pending gap away; all 0 when none. */
struct queue_gap queue_take_gap(struct queue *q);
/* Gives one back that could not be written. */
void queue_return_gap(struct queue *q, const struct queue_gap *gap);

/* so many taken records are done with. */
void queue_finish(struct queue *q, size_t count);

/* Waits until the monotonic time, an urgent record, a ring half full, or stop. Clears urgent. True: stop. */
bool queue_wait(struct queue *q, uint64_t until_us);

/* Like queue_wait, but only stop ends it early: for waiting out a failure. */
bool queue_pause(struct queue *q, uint64_t until_us);

void queue_stop(struct queue *q);

/* Asks for all to be written now and waits for it. 0 or -ETIMEDOUT. */
int queue_wait_drained(struct queue *q, uint64_t until_us);

uint64_t monotonic_now_us(void);

#endif
