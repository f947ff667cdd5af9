/* SPDX-License-Identifier: MIT */
/*
 * The hook command of a unit (notify_exec): run when the unit is asked to give memory back, told why by its environment.
 *
 * One at a time a unit; it never outlives notify_timeout or weir, but it does outlive the unit's process: what it gives
 * back may be somewhere else. What it prints goes into weir's log, the first lines of it; its end is a mark in the
 * time line. Nothing here judges whether it helped: the engine sees memory fall, or not.
 */
#include "supervisor.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "weir/base/cleanup.h"
#include "weir/base/log.h"

#define LINE_MAX_BYTES    256 /* chosen: a sentence; a longer line comes in pieces */
#define LINES_MAX         50  /* chosen: a hook says what it did, not more */
#define TIMER_ACCURACY_US (10 * USEC_PER_MSEC)

struct hook {
    struct unit_runtime *u;
    struct command command;
    sd_event_source *timer;
    uint64_t decision_id;
    uint64_t begun_us, timeout_us;
    char line[LINE_MAX_BYTES];
    size_t length;
    unsigned line_count;
};

/* ------------------------------------------------ its environment ------------------------------------------------ */

static const char *number_text(uint64_t value, char buf[static 24])
{
    if (value == UINT64_MAX)
        (void)snprintf(buf, 24, "max");
    else
        (void)snprintf(buf, 24, "%" PRIu64, value);
    return buf;
}

/* Owned by the caller (environment_free); NULL: out of memory. */
static char **build_environment(const struct unit_runtime *u, const struct decision *d)
{
    const struct supervisor *s = u->s;
    char id[24], pid[24], observed[24], threshold[24], sentence[DECISION_TEXT_MAX];
    const struct environment_pair pairs[] = {
        {"WEIR_NAME", s->config->name},
        {"WEIR_UNIT", u->name},
        {"WEIR_PID", u->pid > 0 ? number_text((uint64_t)u->pid, pid) : ""},
        {"WEIR_ID", number_text(d->id, id)},
        {"WEIR_RULE", d->rule},
        {"WEIR_REASON", decision_reason_name(d->reason)},
        {"WEIR_METRIC", decision_metric_name(d->metric)},
        {"WEIR_OBSERVED", number_text(d->observed, observed)},
        {"WEIR_THRESHOLD", number_text(d->threshold, threshold)},
        {"WEIR_SENTENCE", decision_narrate(d, s->unit_names, sentence, sizeof(sentence))},
    };
    return environment_build_with(u, pairs, ARRAY_SIZE(pairs));
}

/* ------------------------------------------------ its words ------------------------------------------------ */

static void put_line(struct hook *h)
{
    if (h->line_count++ < LINES_MAX)
        log_notice("%s: hook of #%" PRIu64 "| %.*s", h->u->name, h->decision_id, (int)h->length, h->line);
    h->length = 0;
}

static void on_output(void *user, const char *bytes, size_t size)
{
    struct hook *h = user;
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] == '\n' || h->length == sizeof(h->line))
            put_line(h);
        if (bytes[i] != '\n') /* no escape sequence reaches a terminal */
            h->line[h->length++] = iscntrl((unsigned char)bytes[i]) ? '?' : bytes[i];
    }
}

/* ------------------------------------------------ its end ------------------------------------------------ */

void hook_stop(struct unit_runtime *u)
{
    struct hook *h = u->hook;
    if (!h)
        return;
    command_end(&h->command);
    h->timer = sd_event_source_disable_unref(h->timer);
    free(h);
    u->hook = NULL;
}

static void tell_end(struct hook *h, const char *how)
{
    char after[FORMAT_DURATION_MAX];
    if (h->length)
        put_line(h);
    if (h->line_count > LINES_MAX)
        log_notice("%s: hook of #%" PRIu64 "| (%u more lines)", h->u->name, h->decision_id,
                   h->line_count - LINES_MAX);
    supervisor_mark(h->u->s, h->u->index, "hook of #%" PRIu64 ": %s after %s", h->decision_id, how,
                    format_duration(now_us() - h->begun_us, after));
    hook_stop(h->u);
}

static void on_end(void *user, const siginfo_t *info, const char *why)
{
    char how[COMMAND_END_TEXT_MAX];
    (void)why;
    tell_end(user, info ? command_end_text(info, how) : "ended, its exit status was lost,");
}

static int on_timeout(sd_event_source *source, uint64_t due, void *user)
{
    (void)source, (void)due;
    tell_end(user, "had not ended (notify_timeout) and was killed");
    return 0;
}

/* ------------------------------------------------ its start ------------------------------------------------ */

static int start(struct hook *h, const struct decision *d, struct err *reterr)
{
    const struct config_unit *c = h->u->config;
    char **environment = build_environment(h->u, d);
    if (!environment)
        return err_errno(reterr, -ENOMEM, "its environment");
    const struct command_options options = {
        .event = h->u->s->event,
        .argv = c->notify_argv,
        .environment = (const char *const *)environment,
        .working_directory = c->working_directory,
        .has_ids = c->has_user,
        .uid = c->uid,
        .gid = c->gid,
        .keeps_stdout = true,
        .on_output = on_output,
        .on_end = on_end,
        .user = h,
    };
    int r = command_start(&h->command, &options, reterr);
    environment_free(environment);
    if (r < 0)
        return r;
    r = sd_event_add_time_relative(h->u->s->event, &h->timer, CLOCK_MONOTONIC, h->timeout_us,
                                   TIMER_ACCURACY_US, on_timeout, h);
    return r < 0 ? err_errno(reterr, r, "its timer") : 0;
}

int hook_run(struct unit_runtime *u, const struct decision *d, struct err *reterr)
{
    if (u->hook)
        return err_set(reterr, -EBUSY, "that of #%" PRIu64 " still runs", u->hook->decision_id);
    struct hook *h = calloc(1, sizeof(*h));
    if (!h)
        return err_errno(reterr, -ENOMEM, "running it");
    h->u = u;
    h->command = COMMAND_NULL;
    h->decision_id = d->id;
    h->begun_us = now_us();
    h->timeout_us = u->config->notify_timeout_us;
    u->hook = h;
    int r = start(h, d, reterr);
    if (r < 0)
        hook_stop(u);
    return r;
}
