/* SPDX-License-Identifier: MIT */
/* The queue between the control loop and the store's thread; see queue.h. */
#include "queue.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "weir/base/units.h"

uint64_t monotonic_now_us(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * USEC_PER_SEC + (uint64_t)ts.tv_nsec / 1000;
}

struct run_record *run_record_free(struct run_record *r)
{
    if (!r)
        return NULL;
    for (size_t i = 0; r->unit_names && i < r->unit_count; i++)
        free(r->unit_names[i]);
    free(r->unit_names);
    free(r->supervisor);
    free(r->config_path);
    free(r->config_text);
    free(r->weir_version);
    free(r->kernel);
    free(r->layout);
    free(r->boot_id);
    free(r);
    return NULL;
}

void record_clear(struct record *r)
{
    switch (r->type) {
    case RECORD_RUN_BEGIN:
        r->run = run_record_free(r->run);
        break;
    case RECORD_UNIT:
    case RECORD_POLICY:
    case RECORD_MARK:
        free(r->text.text);
        r->text.text = NULL;
        break;
    case RECORD_METHOD:
        free(r->method);
        r->method = NULL;
        break;
    case RECORD_CLOCK:
    case RECORD_EVENT:
    case RECORD_DECISION:
    case RECORD_RUN_END:
        break;
    }
}

int queue_init(struct queue *q, size_t capacity)
{
    *q = (struct queue){0};
    if (!capacity)
        capacity = QUEUE_RECORDS_DEFAULT;
    if (capacity < QUEUE_RECORDS_MIN)
        capacity = QUEUE_RECORDS_MIN;
    q->ring = calloc(capacity, sizeof(*q->ring));
    if (!q->ring)
        return -ENOMEM;
    q->capacity = capacity;
    q->capacity_max = capacity * QUEUE_GROWTH_MAX;
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_mutex_init(&q->lock, NULL);
    pthread_cond_init(&q->wake, &attr);
    pthread_cond_init(&q->drained, &attr);
    pthread_condattr_destroy(&attr);
    return 0;
}

static struct record *at(struct queue *q, size_t i)
{
    return &q->ring[(q->head + i) % q->capacity];
}

void queue_deinit(struct queue *q)
{
    if (!q->ring)
        return;
    for (size_t i = 0; i < q->count; i++)
        record_clear(at(q, i));
    free(q->ring);
    q->ring = NULL;
    pthread_cond_destroy(&q->drained);
    pthread_cond_destroy(&q->wake);
    pthread_mutex_destroy(&q->lock);
}

static bool is_sample(const struct record *r)
{
    return r->type == RECORD_EVENT && r->event.kind == EVENT_SAMPLE;
}

static void gap_merge(struct queue_gap *to, const struct queue_gap *from)
{
    if (!from->count)
        return;
    if (!to->count || from->first_us < to->first_us)
        to->first_us = from->first_us;
    if (from->last_us > to->last_us)
        to->last_us = from->last_us;
    to->count += from->count;
}

static bool is_expendable(const struct record *r)
{
    return is_sample(r) || r->type == RECORD_METHOD;
}

static void drop(struct queue *q, struct record *r)
{
    if (!is_sample(r)) {
        record_clear(r);
        return;
    }
    struct queue_gap one = {r->event.t_us, r->event.t_us, 1};
    gap_merge(&q->gap, &one);
    q->samples_dropped++;
}

/* Gives up what waits in the ring and can be done without. */
static void give_up_expendable(struct queue *q)
{
    size_t kept = 0;
    for (size_t i = 0; i < q->count; i++) {
        struct record *r = at(q, i);
        if (is_expendable(r)) {
            drop(q, r);
            q->finished++;
        } else {
            if (kept != i)
                *at(q, kept) = *r;
            kept++;
        }
    }
    q->count = kept;
}

static bool grow(struct queue *q)
{
    if (q->capacity >= q->capacity_max)
        return false;
    size_t capacity = q->capacity * 2;
    struct record *ring = calloc(capacity, sizeof(*ring));
    if (!ring)
        return false;
    for (size_t i = 0; i < q->count; i++)
        ring[i] = *at(q, i);
    free(q->ring);
    q->ring = ring;
    q->head = 0;
    q->capacity = capacity;
    return true;
}

/* Room for one more record that must not be lost. */
static bool make_room(struct queue *q)
{
    if (q->count < q->capacity || grow(q))
        return true;
    give_up_expendable(q);
    return q->count < q->capacity;
}

static bool expendable_fits(const struct queue *q)
{
    return q->count < q->capacity - q->capacity / 4;
}

void queue_push(struct queue *q, struct record *r, bool urgent)
{
    pthread_mutex_lock(&q->lock);
    if (is_expendable(r) && !expendable_fits(q)) {
        drop(q, r);
    } else if (!make_room(q)) {
        record_clear(r);
        q->lost++;
    } else {
        *at(q, q->count++) = *r;
        q->accepted++;
    }
    bool was_urgent = q->urgent;
    if (urgent || q->count > q->capacity / 2)
        q->urgent = true;
    bool signal = q->urgent && !was_urgent;
    pthread_mutex_unlock(&q->lock);
    if (signal)
        pthread_cond_signal(&q->wake);
}

size_t queue_take(struct queue *q, struct record *out, size_t max)
{
    size_t taken = 0;
    bool more = true;
    while (more && taken < max) {
        pthread_mutex_lock(&q->lock);
        for (size_t i = 0; i < QUEUE_TAKE_CHUNK && taken < max; i++) {
            more = q->count && !(taken && at(q, 0)->type == RECORD_RUN_BEGIN);
            if (!more)
                break;
            out[taken++] = *at(q, 0);
            q->head = (q->head + 1) % q->capacity;
            q->count--;
        }
        pthread_mutex_unlock(&q->lock);
    }
    return taken;
}

struct queue_gap queue_take_gap(struct queue *q)
{
    pthread_mutex_lock(&q->lock);
    struct queue_gap gap = q->gap;
    q->gap = (struct queue_gap){0};
    pthread_mutex_unlock(&q->lock);
    return gap;
}

void queue_return_gap(struct queue *q, const struct queue_gap *gap)
{
    pthread_mutex_lock(&q->lock);
    gap_merge(&q->gap, gap);
    pthread_mutex_unlock(&q->lock);
}

void queue_finish(struct queue *q, size_t count)
{
    pthread_mutex_lock(&q->lock);
    q->finished += count;
    pthread_mutex_unlock(&q->lock);
    pthread_cond_broadcast(&q->drained);
}

static struct timespec to_timespec(uint64_t us)
{
    return (struct timespec){(time_t)(us / USEC_PER_SEC), (long)(us % USEC_PER_SEC) * 1000};
}

bool queue_wait(struct queue *q, uint64_t until_us)
{
    struct timespec until = to_timespec(until_us);
    pthread_mutex_lock(&q->lock);
    while (!q->urgent && !q->stop)
        if (pthread_cond_timedwait(&q->wake, &q->lock, &until) == ETIMEDOUT)
            break;
    q->urgent = false;
    bool stop = q->stop;
    pthread_mutex_unlock(&q->lock);
    return stop;
}

bool queue_pause(struct queue *q, uint64_t until_us)
{
    struct timespec until = to_timespec(until_us);
    pthread_mutex_lock(&q->lock);
    while (!q->stop)
        if (pthread_cond_timedwait(&q->wake, &q->lock, &until) == ETIMEDOUT)
            break;
    bool stop = q->stop;
    pthread_mutex_unlock(&q->lock);
    return stop;
}

void queue_stop(struct queue *q)
{
    pthread_mutex_lock(&q->lock);
    q->stop = true;
    pthread_mutex_unlock(&q->lock);
    pthread_cond_signal(&q->wake);
}

int queue_wait_drained(struct queue *q, uint64_t until_us)
{
    struct timespec until = to_timespec(until_us);
    int r = 0;
    pthread_mutex_lock(&q->lock);
    uint64_t goal = q->accepted;
    q->urgent = true;
    pthread_cond_signal(&q->wake);
    while (q->finished < goal && r == 0)
        if (pthread_cond_timedwait(&q->drained, &q->lock, &until) == ETIMEDOUT)
            r = -ETIMEDOUT;
    pthread_mutex_unlock(&q->lock);
    return r;
}
