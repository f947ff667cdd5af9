/* SPDX-License-Identifier: MIT */
/*
 * What a person is told while weir runs: its log, the journal's structured entries, the report of a failed
 * start, the service manager's status line. The sentences are the model's narration; nothing is judged here.
 */
#include "supervisor.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-journal.h>
#include <unistd.h>

#include "weir/base/cleanup.h"
#include "weir/base/log.h"

/* One id per kind of intervention, random, made with `systemd-id128 new`; never changed. */
#define MESSAGE_ID_INTERVENTION "4f1d0c6ad0a94b2c8a5a6c0d9e2b7f31"

static void journal_intervention(const struct supervisor *s, const struct decision *d, const char *sentence)
{
    if (access("/run/systemd/journal/socket", W_OK) < 0)
        return;
    char observed[METRIC_FORMAT_MAX], threshold[METRIC_FORMAT_MAX];
    const char *unit = d->unit == UNIT_NONE ? "" : s->unit_names[d->unit];
    int64_t some = d->unit == UNIT_NONE ? -1 : sampling_pressure(&s->units[d->unit], SAMPLE_MEMORY_SOME);
    (void)sd_journal_send("MESSAGE=%s", sentence, "MESSAGE_ID=%s", MESSAGE_ID_INTERVENTION, "PRIORITY=%d",
                          d->kind == DECISION_FAIL ? LOG_LEVEL_ERROR : LOG_LEVEL_NOTICE, "WEIR_SUPERVISOR=%s",
                          s->config->name, "WEIR_UNIT=%s", unit, "WEIR_DECISION=%" PRIu64, d->id,
                          "WEIR_ACTION=%s", decision_kind_name(d->kind), "WEIR_RULE=%s", d->rule,
                          "WEIR_REASON=%s", decision_reason_name(d->reason), "WEIR_METRIC=%s",
                          decision_metric_name(d->metric), "WEIR_OBSERVED=%s",
                          decision_metric_format(d->metric, d->observed, observed), "WEIR_THRESHOLD=%s",
                          decision_metric_format(d->metric, d->threshold, threshold),
                          "WEIR_PRESSURE_SOME_PERMYRIAD=%" PRId64, some, NULL);
}

static void append_value(char *buf, size_t size, const char *label, const struct sample *s,
                         enum sample_field field)
{
    char value[FORMAT_SIZE_MAX];
    size_t n = strlen(buf);
    if (!sample_has(s, field))
        return;
    if (sample_field_info(field)->type == SAMPLE_TYPE_BYTES)
        (void)snprintf(buf + n, size - n, "%s%s %s", n ? ", " : "", label,
                       format_size(s->value[field], value));
    else
        (void)snprintf(buf + n, size - n, "%s%s %" PRIu64, n ? ", " : "", label, s->value[field]);
}

/* What a person needs when a unit's start failed: last lines, usage, pressure. */
static void announce_failed_start(struct unit_runtime *u)
{
    char usage[512] = "", tail[OUTPUT_TAIL_LINES * 256];
    const struct sample *last = &u->last;
    append_value(usage, sizeof(usage), "memory", last, SAMPLE_MEMORY_CURRENT);
    append_value(usage, sizeof(usage), "peak", last, SAMPLE_MEMORY_PEAK);
    append_value(usage, sizeof(usage), "limit", last, SAMPLE_MEMORY_MAX);
    append_value(usage, sizeof(usage), "processes and threads", last, SAMPLE_PIDS_CURRENT);
    append_value(usage, sizeof(usage), "kernel OOM kills", last, SAMPLE_EVENTS_OOM_KILL);
    append_value(usage, sizeof(usage), "us stalled on memory (some)", last, SAMPLE_MEMORY_SOME);
    append_value(usage, sizeof(usage), "us stalled on memory (full)", last, SAMPLE_MEMORY_FULL);
    if (u->probe && probe_last_failure(u->probe)[0])
        supervisor_mark(u->s, u->index, "last readiness check: %s", probe_last_failure(u->probe));
    if (usage[0])
        supervisor_mark(u->s, u->index, "last reading: %s", usage);
    if (!u->output)
        return;
    output_drain(u->output);
    output_tail(u->output, tail, sizeof(tail));
    log_notice("%s: last lines of its output:%s", u->config->name, tail[0] ? "" : " (none)");
    char *save = NULL;
    for (char *line = strtok_r(tail, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
        log_notice("%s|   %s", u->config->name, line);
}

void announce_decision(struct supervisor *s, const struct decision *d)
{
    char sentence[DECISION_TEXT_MAX];
    enum decision_class class = decision_kind_class(d->kind);
    decision_narrate(d, s->unit_names, sentence, sizeof(sentence));
    if (class == DECISION_CLASS_INTERVENTION) {
        log_message(d->kind == DECISION_FAIL ? LOG_LEVEL_ERROR : LOG_LEVEL_NOTICE, "#%" PRIu64 " %s", d->id,
                    sentence);
        journal_intervention(s, d, sentence);
        control_signal(s, d, sentence);
    } else {
        log_message(class == DECISION_CLASS_MARK ? LOG_LEVEL_INFO : LOG_LEVEL_DEBUG, "%s", sentence);
    }
    bool failed_start = (d->kind == DECISION_STOP && d->reason == REASON_READY_TIMEOUT) ||
                        (d->kind == DECISION_FAIL && d->reason == REASON_NEVER_READY);
    /* a command that could not be started at all has nothing to show; the others show it once */
    if (!failed_start || d->unit == UNIT_NONE || d->metric == METRIC_ERRNO)
        return;
    struct unit_runtime *u = &s->units[d->unit];
    if (u->reported_generation != d->generation)
        announce_failed_start(u);
    u->reported_generation = d->generation;
}

/* Processes' ends are facts a person wants in the log as they happen; the rest is in the history. */
void announce_event(struct supervisor *s, const struct event *e)
{
    if (e->kind == EVENT_SAMPLE || e->kind == EVENT_DEADLINE)
        return;
    char sentence[DECISION_TEXT_MAX];
    bool is_end = e->kind == EVENT_EXITED || e->kind == EVENT_SPAWNED || e->kind == EVENT_READY;
    enum log_level level = is_end ? LOG_LEVEL_INFO : LOG_LEVEL_DEBUG;
    log_message(level, "%s", event_narrate(e, s->unit_names, sentence, sizeof(sentence)));
}

void announce_status(struct supervisor *s)
{
    if (!getenv("NOTIFY_SOCKET"))
        return;
    char text[512] = "";
    bool starting = false;
    for (uint16_t i = 0; i < s->unit_count; i++) {
        struct unit_view view;
        engine_unit_view(s->engine, i, &view);
        size_t n = strlen(text);
        const struct sample *last = &s->units[i].last;
        char current[FORMAT_SIZE_MAX] = "-";
        if (s->units[i].cgroup && sample_has(last, SAMPLE_MEMORY_CURRENT))
            format_size(last->value[SAMPLE_MEMORY_CURRENT], current);
        (void)snprintf(text + n, sizeof(text) - n, "%s%s %s %s", n ? "; " : "", s->unit_names[i],
                       unit_state_name(view.state), current);
        starting |= view.state == UNIT_STATE_STARTING && s->policy_units[i].kind == UNIT_KIND_SERVICE;
    }
    if (!starting && !s->ready_told && !s->shutting_down) {
        s->ready_told = true;
        (void)sd_notify(0, "READY=1");
    }
    (void)sd_notifyf(0, "STATUS=%s", text);
}
