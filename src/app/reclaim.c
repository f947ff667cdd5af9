/* SPDX-License-Identifier: MIT */
/*
 * The thread and its jobs, one slot a unit. Everything in a slot changes under the lock, but while the thread writes
 * for it (WORKING) its descriptors and what is left are the thread's alone: the loop then only marks it cancelled.
 *
 * A write that is under way is interrupted by a signal that has a handler which does nothing. It may come just before
 * the write begins, so who waits sends it again and again.
 */
#include "reclaim.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "weir/base/cleanup.h"
#include "weir/base/units.h"

#define WAKE_SIGNAL    SIGUSR2 /* used for nothing else in weir */
#define WAKE_AGAIN_US  (2 * USEC_PER_MSEC)
#define CANCEL_WAIT_US (50 * USEC_PER_MSEC) /* reclaim.h; chosen: an interrupted write ends within a few ms */
#define END_WAIT_US    (1000 * USEC_PER_MSEC) /* reclaim.h; chosen: weir's end does not wait for a slow disk */
#define STACK_BYTES    ((size_t)256 * 1024)   /* chosen: as the history's writer */

enum slot_state { SLOT_FREE, SLOT_WAITING, SLOT_WORKING, SLOT_DONE };

struct slot {
    enum slot_state state;
    bool is_cancelled;
    struct reclaim_job job; /* bytes: still to be taken */
    bool is_begun;          /* first_bytes is known */
    uint64_t first_bytes, current_bytes;
    int result;
};

struct reclaimer {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t work;  /* the thread waits here */
    pthread_cond_t ended; /* a piece, or the thread, has ended */
    bool stop, has_ended;
    int eventfd;
    sd_event_source *source;
    void (*on_done)(void *user, const struct reclaim_done *done);
    void *user;
    uint16_t next; /* whose turn it is */
    uint16_t slot_count;
    struct slot slot[];
};

/* ------------------------------------------------ the thread ------------------------------------------------ */

/* One piece. True: the job is over. */
static bool take_piece(struct slot *s)
{
    uint64_t piece = s->job.bytes < HOST_RECLAIM_MAX_BYTES ? s->job.bytes : HOST_RECLAIM_MAX_BYTES;
    if (!s->is_begun) {
        s->result = host_reclaim(&s->job.host, 0, &s->first_bytes);
        s->current_bytes = s->first_bytes;
        s->is_begun = true;
        return s->result < 0;
    }
    s->result = host_reclaim(&s->job.host, piece, &s->current_bytes);
    if (s->result == -EINTR)
        return false; /* cancelled, or a stray signal: the same piece again */
    s->job.bytes -= piece;
    return s->result < 0 || s->job.bytes == 0;
}

static struct slot *next_waiting(struct reclaimer *r)
{
    for (uint16_t i = 0; i < r->slot_count; i++) {
        struct slot *s = &r->slot[(r->next + i) % r->slot_count];
        if (s->state != SLOT_WAITING)
            continue;
        r->next = (uint16_t)((s - r->slot + 1) % r->slot_count);
        return s;
    }
    return NULL;
}

static void forget(struct slot *s)
{
    host_reclaim_close(&s->job.host);
    *s = (struct slot){.job.host = HOST_RECLAIM_NULL};
}

static void *reclaimer_main(void *arg)
{
    struct reclaimer *r = arg;
    const uint64_t one = 1;
    pthread_mutex_lock(&r->lock);
    while (!r->stop) {
        struct slot *s = next_waiting(r);
        if (!s) {
            pthread_cond_wait(&r->work, &r->lock);
            continue;
        }
        s->state = SLOT_WORKING;
        pthread_mutex_unlock(&r->lock);
        bool is_over = take_piece(s);
        pthread_mutex_lock(&r->lock);
        s->state = is_over ? SLOT_DONE : SLOT_WAITING;
        if (s->is_cancelled)
            forget(s);
        else if (is_over)
            (void)!write(r->eventfd, &one, sizeof(one));
        pthread_cond_broadcast(&r->ended);
    }
    r->has_ended = true;
    pthread_cond_broadcast(&r->ended);
    pthread_mutex_unlock(&r->lock);
    return NULL;
}

/* ------------------------------------------------ the loop's side ------------------------------------------------ */

static void on_wake_signal(int signo)
{
    (void)signo;
}

static bool take_done(struct reclaimer *r, uint16_t unit, struct reclaim_done *ret)
{
    struct slot *s = &r->slot[unit];
    pthread_mutex_lock(&r->lock);
    bool is_done = s->state == SLOT_DONE;
    if (is_done) {
        *ret = (struct reclaim_done){
            .unit = unit,
            .generation = s->job.generation,
            .decision_id = s->job.decision_id,
            .result = s->result,
            .fell_bytes = s->first_bytes > s->current_bytes ? s->first_bytes - s->current_bytes : 0,
        };
        forget(s);
    }
    pthread_mutex_unlock(&r->lock);
    return is_done;
}

static int on_eventfd(sd_event_source *source, int fd, uint32_t events, void *user)
{
    (void)source, (void)events;
    struct reclaimer *r = user;
    uint64_t count;
    (void)!read(fd, &count, sizeof(count));
    for (uint16_t i = 0; i < r->slot_count; i++) {
        struct reclaim_done done;
        if (take_done(r, i, &done))
            r->on_done(r->user, &done);
    }
    return 0;
}

int reclaimer_begin(struct reclaimer *r, struct reclaim_job *job)
{
    struct slot *s = &r->slot[job->unit];
    pthread_mutex_lock(&r->lock);
    int result = s->state == SLOT_FREE ? 0 : -EBUSY;
    if (result == 0) {
        *s = (struct slot){.state = SLOT_WAITING, .job = *job};
        job->host = HOST_RECLAIM_NULL;
        pthread_cond_signal(&r->work);
    }
    pthread_mutex_unlock(&r->lock);
    host_reclaim_close(&job->host);
    return result;
}

static struct timespec after_us(uint64_t us)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    uint64_t ns = (uint64_t)t.tv_nsec + us * 1000;
    t.tv_sec += (time_t)(ns / 1000000000);
    t.tv_nsec = (long)(ns % 1000000000);
    return t;
}

/* With the lock held: interrupts what the thread does until *is_over, or until the time is over. */
static void wake_until(struct reclaimer *r, bool (*is_over)(const struct reclaimer *r, const struct slot *s),
                       const struct slot *s, uint64_t wait_us)
{
    for (uint64_t waited = 0; !is_over(r, s) && waited < wait_us; waited += WAKE_AGAIN_US) {
        struct timespec until = after_us(WAKE_AGAIN_US);
        (void)pthread_kill(r->thread, WAKE_SIGNAL);
        (void)pthread_cond_timedwait(&r->ended, &r->lock, &until);
    }
}

static bool is_idle(const struct reclaimer *r, const struct slot *s)
{
    (void)r;
    return s->state == SLOT_FREE;
}

static bool has_ended(const struct reclaimer *r, const struct slot *s)
{
    (void)s;
    return r->has_ended;
}

void reclaimer_cancel(struct reclaimer *r, uint16_t unit)
{
    struct slot *s = &r->slot[unit];
    pthread_mutex_lock(&r->lock);
    if (s->state == SLOT_WORKING) {
        s->is_cancelled = true;
        wake_until(r, is_idle, s, CANCEL_WAIT_US);
    } else {
        forget(s);
    }
    pthread_mutex_unlock(&r->lock);
}

/* Signals are the control loop's: the thread has none but the one that interrupts it. */
static int start_thread(struct reclaimer *r)
{
    sigset_t others, before;
    pthread_attr_t attr;
    const struct sigaction interrupt = {.sa_handler = on_wake_signal}; /* no SA_RESTART */
    if (sigaction(WAKE_SIGNAL, &interrupt, NULL) < 0)
        return -errno;
    sigfillset(&others);
    sigdelset(&others, WAKE_SIGNAL);
    pthread_sigmask(SIG_SETMASK, &others, &before);
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, STACK_BYTES);
    int error = pthread_create(&r->thread, &attr, reclaimer_main, r);
    pthread_attr_destroy(&attr);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return -error;
}

static void init_locks(struct reclaimer *r)
{
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_mutex_init(&r->lock, NULL);
    pthread_cond_init(&r->work, &attr);
    pthread_cond_init(&r->ended, &attr);
    pthread_condattr_destroy(&attr);
}

static void release(struct reclaimer *r)
{
    for (uint16_t i = 0; i < r->slot_count; i++)
        forget(&r->slot[i]);
    r->source = sd_event_source_disable_unref(r->source);
    cleanup_close(&r->eventfd);
    pthread_cond_destroy(&r->work);
    pthread_cond_destroy(&r->ended);
    pthread_mutex_destroy(&r->lock);
    free(r);
}

int reclaimer_new(sd_event *event, uint16_t units,
                  void (*on_done)(void *user, const struct reclaim_done *done), void *user,
                  struct reclaimer **ret)
{
    struct reclaimer *r = calloc(1, sizeof(*r) + units * sizeof(r->slot[0]));
    if (!r)
        return -ENOMEM;
    r->slot_count = units;
    r->on_done = on_done;
    r->user = user;
    for (uint16_t i = 0; i < units; i++)
        r->slot[i].job.host = HOST_RECLAIM_NULL;
    init_locks(r);
    r->eventfd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int result =
        r->eventfd < 0 ? -errno : sd_event_add_io(event, &r->source, r->eventfd, EPOLLIN, on_eventfd, r);
    if (result >= 0)
        result = start_thread(r);
    if (result < 0)
        release(r);
    else
        *ret = r;
    return result < 0 ? result : 0;
}

struct reclaimer *reclaimer_free(struct reclaimer *r)
{
    if (!r)
        return NULL;
    pthread_mutex_lock(&r->lock);
    r->stop = true;
    pthread_cond_signal(&r->work);
    wake_until(r, has_ended, NULL, END_WAIT_US);
    bool ended = r->has_ended;
    pthread_mutex_unlock(&r->lock);
    if (ended) {
        pthread_join(r->thread, NULL);
        release(r);
    } else {
        /* a disk that does not answer: the thread goes with the process, and what it uses stays till then */
        r->source = sd_event_source_disable_unref(r->source);
        pthread_detach(r->thread);
    }
    return NULL;
}
