/* SPDX-License-Identifier: MIT */
/*
 * Readiness checks: the part that all kinds share (timer, tries, last failure), and the two kinds that are
 * fed from outside.
 *
 * A try begins 200 ms after the one before began, a check program's 200 ms after the one before ended, so
 * that a slow one does not run without a pause. Success is told from the loop, never from probe_start(). What
 * must not go in here: the time limit of the start-up (the engine's), sockets, processes.
 */
#include "probe_internal.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pattern.h"
#include "weir/base/cleanup.h"

#define TIMER_ACCURACY_US USEC_PER_MSEC /* sd-event's default of 250 ms is more than the interval */

int probe_set_failure(struct probe *p, const char *fmt, ...)
{
    int n = snprintf(p->failure, sizeof(p->failure), "%s: ", p->target);
    char *text = p->failure + n;
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof(p->failure) - (size_t)n, fmt, args);
    va_end(args);
    if (isupper((unsigned char)text[0]) && islower((unsigned char)text[1]))
        text[0] = (char)tolower((unsigned char)text[0]);
    for (; *text; text++)
        if (iscntrl((unsigned char)*text))
            *text = '?'; /* another program's words: no escape sequence reaches a terminal */
    return -EAGAIN;
}

static uint64_t now_us(const struct probe *p)
{
    uint64_t now = 0;
    (void)sd_event_now(p->options.event, CLOCK_MONOTONIC, &now);
    return now;
}

static void arm(struct probe *p, uint64_t at_us)
{
    (void)sd_event_source_set_time(p->timer, at_us);
    (void)sd_event_source_set_enabled(p->timer, SD_EVENT_ONESHOT);
}

static void end_try(struct probe *p)
{
    p->is_trying = false;
    if (p->kind)
        p->kind->end(p);
}

void probe_try_failed(struct probe *p)
{
    end_try(p);
    uint64_t now = now_us(p);
    uint64_t from = p->options.ready->type == CONFIG_READY_EXEC ? now : p->try_start_us;
    arm(p, from + PROBE_RETRY_US > now ? from + PROBE_RETRY_US : now);
}

void probe_try_succeeded(struct probe *p)
{
    if (p->is_done)
        return;
    end_try(p);
    p->is_done = true;
    p->failure[0] = '\0';
    (void)sd_event_source_set_enabled(p->timer, SD_EVENT_OFF);
    p->options.on_ready(p->options.user);
}

static void begin_try(struct probe *p)
{
    p->try_start_us = now_us(p);
    p->is_trying = true;
    if (p->kind->begin(p) < 0)
        probe_try_failed(p);
    else
        arm(p, p->try_start_us + p->kind->limit_us);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *user)
{
    (void)source, (void)usec;
    struct probe *p = user;
    if (!p->kind) {
        probe_try_succeeded(p); /* NONE */
    } else if (p->is_trying) {
        (void)probe_set_failure(p, "%s", p->kind->late_text);
        probe_try_failed(p);
    } else {
        begin_try(p);
    }
    return 0;
}

/* --- fed from outside --- */

static int init_pattern(struct probe *p, struct err *reterr)
{
    snprintf(p->target, sizeof(p->target), "log:%.300s", p->options.ready->path);
    (void)probe_set_failure(p, "no line of output yet");
    return pattern_new(p->options.ready->path, &p->pattern, reterr);
}

void probe_feed_line(struct probe *p, const char *line, size_t length)
{
    if (p->is_done || !p->pattern)
        return;
    p->line_count++;
    int r = pattern_match(p->pattern, line, length);
    if (r == 0)
        probe_try_succeeded(p);
    else if (r == -ENOENT)
        (void)probe_set_failure(p, "none of %" PRIu64 " lines matched", p->line_count);
    else
        (void)probe_set_failure(p, "the pattern takes too long on a line (of %zu bytes)", length);
}

void probe_feed_ready(struct probe *p)
{
    if (p->options.ready->type == CONFIG_READY_NOTIFY)
        probe_try_succeeded(p);
}

/* --- start, stop --- */

static int init_kind(struct probe *p, struct err *reterr)
{
    switch (p->options.ready->type) {
    case CONFIG_READY_NONE:
        return 0;
    case CONFIG_READY_TCP:
        p->kind = &probe_tcp;
        break;
    case CONFIG_READY_HTTP:
        p->kind = &probe_http;
        break;
    case CONFIG_READY_EXEC:
        p->kind = &probe_exec;
        break;
    case CONFIG_READY_NOTIFY:
        snprintf(p->target, sizeof(p->target), "notify");
        (void)probe_set_failure(p, "no READY=1 on NOTIFY_SOCKET yet");
        return 0;
    case CONFIG_READY_LOG:
        return init_pattern(p, reterr);
    }
    return p->kind->init(p, reterr);
}

static void cleanup_probe(struct probe **p)
{
    probe_stop(*p);
}

int probe_start(const struct probe_options *options, struct probe **ret, struct err *reterr)
{
    _cleanup_(cleanup_probe) struct probe *p = calloc(1, sizeof(*p));
    if (!p)
        return err_errno(reterr, -ENOMEM, "starting a readiness check");
    p->options = *options;
    int r = init_kind(p, reterr);
    if (r < 0)
        return r;
    r = sd_event_add_time(options->event, &p->timer, CLOCK_MONOTONIC, 0, TIMER_ACCURACY_US, on_timer, p);
    bool is_fed = !p->kind && options->ready->type != CONFIG_READY_NONE;
    if (r >= 0 && is_fed)
        r = sd_event_source_set_enabled(p->timer, SD_EVENT_OFF);
    if (r < 0)
        return err_errno(reterr, r, "starting a readiness check");
    *ret = steal_ptr(&p);
    return 0;
}

const char *probe_last_failure(const struct probe *p)
{
    return p->failure;
}

struct probe *probe_stop(struct probe *p)
{
    if (!p)
        return NULL;
    end_try(p);
    sd_event_source_disable_unref(p->timer);
    pattern_free(p->pattern);
    free(p);
    return NULL;
}
