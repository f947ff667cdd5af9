/* SPDX-License-Identifier: MIT */
/*
 * The store's public face: open, hand over, status, close; see the header.
 *
 * Every hand-over ends in queue_push(), which takes a mutex that the writer holds for microseconds. What
 * carries text (run, policy, mark, unit) is copied on the heap; events and decisions are copied into the
 * ring, which was made at start. Nothing here touches the disk after store_open().
 */
#include "weir/store/store.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "weir/base/cleanup.h"
#include "weir/base/units.h"
#include "writer.h"

#define COMMIT_US      USEC_PER_SEC /* one transaction a second: the most samples a kill can cost */
#define RETRY_US       USEC_PER_SEC
#define CLOSE_US       (5 * USEC_PER_SEC) /* the header's bound */
#define CLOSE_SLACK_US USEC_PER_SEC
#define STACK_BYTES    ((size_t)256 * 1024) /* SQLite needs some 30 KiB; mlockall keeps all of it resident */

struct store {
    struct writer w;
};

static struct store *store_free(struct store *s)
{
    struct writer *w = &s->w;
    for (size_t i = 0; i < w->batch_count; i++)
        record_clear(&w->batch[i]);
    for (size_t i = 0; i < w->policy_count; i++)
        free(w->policies[i].text);
    free(w->policies);
    free(w->rollup);
    free(w->rollup_saved);
    free(w->batch);
    run_record_free(w->info);
    queue_deinit(&w->queue);
    pthread_mutex_destroy(&w->status_lock);
    free(w->path);
    free(s);
    return NULL;
}

/* Signals are the control loop's: the thread has none. */
static int start_thread(struct writer *w)
{
    sigset_t all, before;
    pthread_attr_t attr;
    size_t stack = STACK_BYTES < (size_t)PTHREAD_STACK_MIN ? (size_t)PTHREAD_STACK_MIN : STACK_BYTES;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, stack);
    int r = pthread_create(&w->thread, &attr, writer_main, w);
    pthread_attr_destroy(&attr);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return -r;
}

static struct store *store_new(const struct store_options *options)
{
    struct store *s = calloc(1, sizeof(*s));
    if (!s)
        return NULL;
    struct writer *w = &s->w;
    pthread_mutex_init(&w->status_lock, NULL);
    w->retention_us = options->retention_us ? options->retention_us : USEC_INFINITY;
    w->max_bytes = options->max_bytes;
    w->commit_us = options->commit_us ? options->commit_us : COMMIT_US;
    w->retry_us = options->retry_us ? options->retry_us : RETRY_US;
    w->path = strdup(options->path);
    w->batch = calloc(WRITER_BATCH_RECORDS, sizeof(*w->batch));
    int r = queue_init(&w->queue, options->queue_records);
    if (!w->path || !w->batch || r < 0)
        return store_free(s);
    return s;
}

int store_open(const struct store_options *options, struct store **ret, struct err *reterr)
{
    struct store *s = store_new(options);
    if (!s)
        return err_errno(reterr, -ENOMEM, "history %s", options->path);
    int r = writer_connect(&s->w);
    if (r < 0) {
        s->w.fail_since_us = monotonic_now_us();
        s->w.fail_told = true;
        s->w.status.failing_since_us = s->w.fail_since_us;
    }
    if (start_thread(&s->w) < 0) {
        writer_disconnect(&s->w);
        store_free(s);
        return err_set(reterr, -ENOMEM, "history %s: cannot start its thread", options->path);
    }
    *ret = s;
    return 0;
}

struct store *store_close(struct store *s)
{
    if (!s)
        return NULL;
    uint64_t by_us = monotonic_now_us() + CLOSE_US;
    atomic_store(&s->w.close_by_us, by_us);
    queue_stop(&s->w.queue);
    struct timespec by;
    clock_gettime(CLOCK_REALTIME, &by);
    by.tv_sec += (time_t)((CLOSE_US + CLOSE_SLACK_US) / USEC_PER_SEC);
    if (pthread_timedjoin_np(s->w.thread, NULL, &by) == ETIMEDOUT) {
        pthread_detach(s->w.thread); /* it hangs in the disk: its memory stays with it */
        return NULL;
    }
    return store_free(s);
}

int store_flush(struct store *s, uint64_t timeout_us)
{
    return queue_wait_drained(&s->w.queue, monotonic_now_us() + timeout_us);
}

static char *copy_text(const char *text)
{
    return strdup(text ? text : "");
}

static struct run_record *run_record_new(const struct store_run *run)
{
    struct run_record *r = calloc(1, sizeof(*r));
    if (!r)
        return NULL;
    r->wall_us = run->wall_us;
    r->monotonic_us = run->monotonic_us;
    r->interval_us = run->interval_us;
    r->unit_names = calloc(run->unit_count + 1, sizeof(*r->unit_names));
    if (!r->unit_names)
        return run_record_free(r);
    for (; r->unit_count < run->unit_count; r->unit_count++)
        if (!(r->unit_names[r->unit_count] = strdup(run->unit_names[r->unit_count])))
            return run_record_free(r);
    r->supervisor = copy_text(run->supervisor);
    r->config_path = copy_text(run->config_path);
    r->config_text = copy_text(run->config_text);
    r->weir_version = copy_text(run->weir_version);
    r->kernel = copy_text(run->kernel);
    r->layout = copy_text(run->layout);
    r->boot_id = copy_text(run->boot_id);
    if (!r->supervisor || !r->config_path || !r->config_text || !r->weir_version || !r->kernel ||
        !r->layout || !r->boot_id)
        return run_record_free(r);
    return r;
}

int store_run_begin(struct store *s, const struct store_run *run)
{
    struct record r = {.type = RECORD_RUN_BEGIN, .run = run_record_new(run)};
    if (!r.run)
        return -ENOMEM;
    pthread_mutex_lock(&s->w.status_lock);
    s->w.status.run = 0;
    pthread_mutex_unlock(&s->w.status_lock);
    queue_push(&s->w.queue, &r, true);
    return 0;
}

void store_clock(struct store *s, uint64_t monotonic_us, uint64_t wall_us)
{
    struct record r = {.type = RECORD_CLOCK, .clock = {monotonic_us, wall_us}};
    queue_push(&s->w.queue, &r, false);
}

void store_event(struct store *s, const struct event *e)
{
    struct record r = {.type = RECORD_EVENT, .event = *e};
    queue_push(&s->w.queue, &r, false);
}

void store_decision(struct store *s, const struct decision *d)
{
    struct record r = {.type = RECORD_DECISION, .decision = *d};
    queue_push(&s->w.queue, &r, decision_kind_class(d->kind) == DECISION_CLASS_INTERVENTION);
}

static void push_text(struct store *s, enum record_type type, uint64_t key, uint16_t unit, const char *text)
{
    struct record r = {.type = type, .text = {key, unit, strdup(text)}};
    if (r.text.text)
        queue_push(&s->w.queue, &r, false);
}

void store_unit(struct store *s, uint16_t unit, const char *name)
{
    push_text(s, RECORD_UNIT, 0, unit, name);
}

void store_policy(struct store *s, uint64_t event_seq, uint16_t unit, const char *text)
{
    push_text(s, RECORD_POLICY, event_seq, unit, text);
}

void store_mark(struct store *s, uint64_t t_us, uint16_t unit, const char *text)
{
    push_text(s, RECORD_MARK, t_us, unit, text);
}

void store_method(struct store *s, const struct store_method *m)
{
    struct record r = {.type = RECORD_METHOD, .method = malloc(sizeof(*m))};
    if (!r.method)
        return;
    *r.method = *m;
    queue_push(&s->w.queue, &r, false);
}

void store_run_end(struct store *s, uint64_t t_us, int status)
{
    struct record r = {.type = RECORD_RUN_END, .end = {t_us, status}};
    queue_push(&s->w.queue, &r, false);
}

void store_get_status(struct store *s, struct store_status *ret)
{
    pthread_mutex_lock(&s->w.status_lock);
    *ret = s->w.status;
    pthread_mutex_unlock(&s->w.status_lock);
    struct queue *q = &s->w.queue;
    pthread_mutex_lock(&q->lock);
    ret->queued = q->accepted - q->finished;
    ret->samples_dropped = q->samples_dropped;
    ret->lost = q->lost;
    pthread_mutex_unlock(&q->lock);
}
