/* SPDX-License-Identifier: MIT */
/* A real event loop, run until something is so, for a bounded time. */
#ifndef WEIR_TESTS_LOOP_H
#define WEIR_TESTS_LOOP_H

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>
#include <time.h>

#include "check.h"

#define LOOP_LIMIT_US                                                                                        \
    (20 * UINT64_C(1000000)) /* far above what any test needs on a slow machine under sanitizers */

static inline uint64_t loop_now_us(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* False: the limit passed. */
static inline bool loop_until(sd_event *event, bool (*is_so)(void *user), void *user)
{
    uint64_t end = loop_now_us() + LOOP_LIMIT_US;
    while (!is_so(user)) {
        if (loop_now_us() >= end)
            return false;
        assert_true(sd_event_run(event, 50000) >= 0);
    }
    return true;
}

/* Whatever is ready now, and no waiting. */
static inline void loop_settle(sd_event *event)
{
    while (sd_event_run(event, 0) > 0)
        ;
}

/* Goes on for so long. */
static inline void loop_for(sd_event *event, uint64_t us)
{
    uint64_t end = loop_now_us() + us, now;
    while ((now = loop_now_us()) < end)
        assert_true(sd_event_run(event, end - now) >= 0);
}

#endif
