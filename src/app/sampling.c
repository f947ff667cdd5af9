/* SPDX-License-Identifier: MIT */
/*
 * When readings are taken: on the base interval's absolute timer (no tick is ever skipped: a late one says how
 * late, and how many whole intervals were missed), at once on a kernel notification, and on the short interval
 * while the engine says that something is happening.
 */
#include "supervisor.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>

#include "gates.h"
#include "weir/base/log.h"

#define TIMER_ACCURACY_US 1     /* sd-event's default of 250 ms would blur every sample's time */
#define CLOCK_STEP_US     10000 /* a wall clock step above this is told to the store (store.h) */

void sampling_read(struct unit_runtime *u, enum sample_cause cause, uint64_t late_us, uint32_t missed)
{
    struct supervisor *s = u->s;
    if (!u->cgroup)
        return;
    struct event e = {.kind = EVENT_SAMPLE, .unit = u->index, .generation = u->generation};
    uint64_t now = now_us();
    bool detail = cause == SAMPLE_CAUSE_TICK || cause == SAMPLE_CAUSE_FINAL;
    u->next_fast_us =
        now + s->policy.fast_interval_us; /* also after a failure: the loop must not spin on it */
    u->kernel_due = false;
    if (u->cgroup->ops->unit_read(u->cgroup, detail, &e.sample) < 0)
        return; /* gone: EMPTY and CLEANED tell */
    gates_fill_sample(u, &e.sample);
    e.sample.t_us = now;
    e.sample.cause = cause;
    e.sample.late_us = late_us;
    e.sample.missed_ticks = missed;
    u->last = e.sample;
    if (cause == SAMPLE_CAUSE_TICK) {
        u->tick[0] = u->tick[1];
        u->tick[1] = e.sample;
        u->tick_count += u->tick_count < 2;
        u->ticks_total++;
        u->ticks_missed += missed;
        u->late_max_us = late_us > u->late_max_us ? late_us : u->late_max_us;
    }
    supervisor_post(s, &e);
}

int64_t sampling_pressure(const struct unit_runtime *u, enum sample_field field)
{
    const struct sample *a = &u->tick[0], *b = &u->tick[1];
    if (u->tick_count < 2 || !sample_has(a, field) || !sample_has(b, field) || b->t_us <= a->t_us ||
        b->value[field] < a->value[field])
        return -1;
    return (int64_t)mul_div_u64(b->value[field] - a->value[field], PERMYRIAD_ONE, b->t_us - a->t_us);
}

void sampling_check_empty(struct unit_runtime *u)
{
    if (!u->cgroup || u->empty_posted || u->generation == 0)
        return;
    int populated = u->cgroup->ops->unit_populated(u->cgroup);
    if (populated != 0 && populated != -ENODEV)
        return;
    u->empty_posted = true;
    supervisor_post_simple(u->s, EVENT_EMPTY, u->index, u->generation);
}

/* ---------------------------------------- the base interval ---------------------------------------- */

static void tell_clock(struct supervisor *s)
{
    uint64_t mono = now_us(), wall = now_wall_us(), offset = wall - mono;
    uint64_t moved = offset > s->clock_offset_us ? offset - s->clock_offset_us : s->clock_offset_us - offset;
    if (moved <= CLOCK_STEP_US)
        return;
    s->clock_offset_us = offset;
    store_clock(s->store, mono, wall);
}

static int on_tick(sd_event_source *source, uint64_t due, void *userdata)
{
    struct supervisor *s = userdata;
    (void)due;
    uint64_t now = now_us(), interval = s->policy.interval_us;
    uint64_t late = now > s->tick_us ? now - s->tick_us : 0;
    uint32_t missed = (uint32_t)(late / interval);
    tell_clock(s);
    for (uint16_t i = 0; i < s->unit_count; i++) {
        struct unit_runtime *u = &s->units[i];
        if (!u->cgroup || u->generation == 0)
            continue;
        sampling_read(u, SAMPLE_CAUSE_TICK, late, missed);
        sampling_check_empty(u);
    }
    /* absolute: the next tick is due one interval after this one was due, whatever this turn took */
    s->tick_us += interval * (1 + (uint64_t)missed);
    int r = sd_event_source_set_time(source, s->tick_us);
    if (r >= 0)
        r = sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
    announce_status(s);
    control_drop_stuck(s);
    actuate_check_guard(s);
    gates_tick(s);
    supervisor_drain(s);
    return r;
}

/* ---------------------------------- the engine's deadline, fast readings ---------------------------------- */

/* Between ticks: while the engine says so, or after a notification that came too soon after a reading. */
static bool wants_reading(const struct unit_runtime *u)
{
    const struct supervisor *s = u->s;
    return u->cgroup && u->generation &&
           (u->kernel_due ||
            engine_sample_interval(s->engine, &s->policy, u->index) == s->policy.fast_interval_us);
}

static int on_deadline(sd_event_source *source, uint64_t due, void *userdata)
{
    (void)source;
    (void)due;
    struct supervisor *s = userdata;
    uint64_t now = now_us();
    for (uint16_t i = 0; i < s->unit_count; i++) {
        struct unit_runtime *u = &s->units[i];
        if (!wants_reading(u) || u->next_fast_us > now)
            continue;
        sampling_read(u, u->kernel_due ? SAMPLE_CAUSE_KERNEL : SAMPLE_CAUSE_FAST, 0, 0);
        sampling_check_empty(u);
    }
    if (engine_next_deadline(s->engine) <= now)
        supervisor_post_simple(s, EVENT_DEADLINE, UNIT_NONE, 0);
    supervisor_drain(s);
    return 0;
}

void sampling_rearm(struct supervisor *s)
{
    if (!s->deadline_source)
        return;
    uint64_t next = engine_next_deadline(s->engine);
    for (uint16_t i = 0; i < s->unit_count; i++) {
        struct unit_runtime *u = &s->units[i];
        if (wants_reading(u))
            next = u->next_fast_us < next ? u->next_fast_us : next;
    }
    (void)sd_event_source_set_time(s->deadline_source, next);
    (void)sd_event_source_set_enabled(s->deadline_source,
                                      next == USEC_INFINITY ? SD_EVENT_OFF : SD_EVENT_ONESHOT);
}

int sampling_start(struct supervisor *s, struct err *reterr)
{
    s->tick_us = now_us() + s->policy.interval_us;
    int r = sd_event_add_time(s->event, &s->tick_source, CLOCK_MONOTONIC, s->tick_us, TIMER_ACCURACY_US,
                              on_tick, s);
    if (r >= 0)
        r = sd_event_add_time(s->event, &s->deadline_source, CLOCK_MONOTONIC, USEC_INFINITY,
                              TIMER_ACCURACY_US, on_deadline, s);
    /* ticks first: a flood of output or notifications in the same turn must not make them late */
    if (r >= 0)
        r = sd_event_source_set_priority(s->tick_source, SD_EVENT_PRIORITY_IMPORTANT);
    if (r >= 0)
        r = sd_event_source_set_priority(s->deadline_source, SD_EVENT_PRIORITY_IMPORTANT + 1);
    return r < 0 ? err_errno(reterr, r, "timers") : 0;
}

/* ---------------------------------------- kernel notifications ---------------------------------------- */

static int on_notification(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
    (void)fd;
    struct unit_watch *w = userdata;
    struct unit_runtime *u = &w->s->units[w->unit];
    if (!u->cgroup)
        return sd_event_source_set_enabled(source, SD_EVENT_OFF);
    /* a pressure trigger and event files answer POLLERR for ever once the cgroup is gone; event files also
     * with every ordinary wake-up, together with POLLPRI */
    if ((revents & EPOLLERR) && !(revents & (EPOLLPRI | EPOLLIN)))
        (void)sd_event_source_set_enabled(source, SD_EVENT_OFF);
    u->cgroup->ops->unit_watch_acknowledge(u->cgroup, &w->watch);
    /* event files notify up to 100 times a second for as long as a unit sits at its limit: one reading per fast
     * interval tells all of it, and keeps the record small */
    if (now_us() >= u->next_fast_us)
        sampling_read(u, SAMPLE_CAUSE_KERNEL, 0, 0);
    else
        u->kernel_due = true;
    sampling_check_empty(u);
    supervisor_drain(w->s);
    return 0;
}

/* Usage thresholds: where the ladder's steps are. */
static size_t usage_thresholds(const struct unit_policy *p, uint64_t *ret)
{
    if (p->memory_max_bytes == UINT64_MAX)
        return 0;
    const uint32_t shares[] = {p->ladder.throttle_permyriad, p->ladder.restart_permyriad,
                               p->ladder.critical_permyriad};
    size_t count = 0;
    for (size_t i = 0; i < sizeof(shares) / sizeof(shares[0]); i++)
        if (shares[i])
            ret[count++] = mul_div_u64(p->memory_max_bytes, shares[i], PERMYRIAD_ONE);
    return count;
}

void sampling_watch(struct unit_runtime *u)
{
    struct supervisor *s = u->s;
    const struct unit_policy *p = &s->policy_units[u->index];
    uint64_t thresholds[4];
    size_t count = usage_thresholds(p, thresholds);
    /* chosen: 10 % of a second's window stalled is worth a look; the host rounds the window up to what it may */
    uint64_t window = USEC_PER_SEC, stall = window / 10;
    struct host_watch watches[HOST_WATCHES_MAX];
    struct err e = ERR_NULL;
    int n = u->cgroup->ops->unit_watch(u->cgroup, stall, window, thresholds, count, watches, &e);
    if (n < 0) {
        log_warning("%s: kernel notifications: %s; going on with the timer alone", s->unit_names[u->index],
                    e.text);
        return;
    }
    for (int i = 0; i < n; i++) {
        struct unit_watch *w = &u->watches[u->watch_count];
        *w = (struct unit_watch){.s = s, .unit = u->index, .watch = watches[i]};
        if (sd_event_add_io(s->event, &w->source, watches[i].fd, watches[i].poll_events, on_notification,
                            w) >= 0)
            u->watch_count++;
    }
}

void sampling_unwatch(struct unit_runtime *u)
{
    for (size_t i = 0; i < u->watch_count; i++)
        u->watches[i].source = sd_event_source_disable_unref(u->watches[i].source);
    u->watch_count = 0;
}
