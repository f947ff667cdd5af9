/* SPDX-License-Identifier: MIT */
/*
 * `weir log`: samples, events and decisions in one line of time. -f goes on by looking at the file again: it
 * needs no running supervisor, and what it shows is what is on record.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "json.h"
#include "query.h"
#include "table.h"
#include "weir/base/cleanup.h"
#include "weir/base/units.h"
#include "weir/base/when.h"

#define FOLLOW_MS    500 /* chosen: the store commits once a second */
#define FOLLOW_FIRST 20  /* rows shown before the new ones, as tail -f would */
#define ROW_TYPES    4

struct log {
    enum cli_format format;
    FILE *out;
    bool colour;
    bool all;
    /* where the read ended, for -f: rows of this time were shown, so many of each type */
    uint64_t run, t_us;
    uint64_t shown[ROW_TYPES];
    uint64_t pass[ROW_TYPES]; /* of these the next read passes over so many */
};

static void print_share(FILE *out, const char *name, const struct sample *s, enum sample_field field,
                        const char *(*format)(uint64_t, char *))
{
    char text[FORMAT_DURATION_MAX > FORMAT_SIZE_MAX ? FORMAT_DURATION_MAX : FORMAT_SIZE_MAX];
    if (sample_has(s, field))
        fprintf(out, "  %s %s", name, format(s->value[field], text));
}

static const char *size_text(uint64_t value, char *buf)
{
    return format_size(value, buf);
}

static const char *count_text(uint64_t value, char *buf)
{
    (void)snprintf(buf, FORMAT_SIZE_MAX, "%llu", (unsigned long long)value);
    return buf;
}

static const char *duration_text(uint64_t value, char *buf)
{
    return format_duration(value, buf);
}

static void print_sample(struct log *l, const struct store_row *row)
{
    const struct sample *s = &row->event.sample;
    char late[FORMAT_DURATION_MAX];
    fprintf(l->out, "%s", sample_cause_name(s->cause));
    print_share(l->out, "memory", s, SAMPLE_MEMORY_CURRENT, size_text);
    print_share(l->out, "rss", s, SAMPLE_RSS, size_text);
    print_share(l->out, "threads", s, SAMPLE_THREADS, count_text);
    print_share(l->out, "cpu", s, SAMPLE_CPU_USAGE, duration_text);
    print_share(l->out, "stalled", s, SAMPLE_MEMORY_FULL, duration_text);
    if (s->missed_ticks)
        fprintf(l->out, "  %u ticks missed, late %s", s->missed_ticks, format_duration(s->late_us, late));
}

static const char *colour_of(const struct decision *d)
{
    switch (decision_kind_class(d->kind)) {
    case DECISION_CLASS_INTERVENTION:
        return d->kind == DECISION_FAIL || d->kind == DECISION_RESTART ? "\033[31m" : "\033[33m";
    case DECISION_CLASS_STEP:
    case DECISION_CLASS_MARK:
        break;
    }
    return "";
}

static void print_decision(struct log *l, const struct store_row *row)
{
    char text[DECISION_TEXT_MAX];
    fprintf(l->out, "%s#%llu %s%s", l->colour ? colour_of(&row->decision) : "",
            (unsigned long long)row->decision.id,
            decision_narrate(&row->decision, row->unit_names, text, sizeof(text)),
            l->colour ? "\033[0m" : "");
}

static void print_text_row(struct log *l, const struct store_row *row)
{
    char when[FORMAT_WHEN_MAX], text[EVENT_TEXT_MAX];
    fprintf(l->out, "%s  %-12s  ", format_when(row->wall_us, when), row->unit[0] ? row->unit : "weir");
    switch (row->type) {
    case STORE_ROW_EVENT:
        if (row->event.kind == EVENT_SAMPLE)
            print_sample(l, row);
        else if (row->event.kind < EVENT_KIND_COUNT)
            (void)fputs(event_narrate(&row->event, row->unit_names, text, sizeof(text)), l->out);
        break;
    case STORE_ROW_DECISION:
        print_decision(l, row);
        break;
    case STORE_ROW_MARK:
        (void)fputs(row->text, l->out);
        break;
    case STORE_ROW_GAP:
        fprintf(l->out, "GAP: %s", row->text);
        break;
    }
    (void)fputc('\n', l->out);
}

static void print_json_row(struct log *l, const struct store_row *row)
{
    json_t *o = cli_json_row(row);
    json_dumpf(o, l->out, JSON_COMPACT);
    (void)fputc('\n', l->out);
    json_decref(o);
}

/* A deadline tells a person nothing; steps (a throttle's freeze pulses are five a second) and that something was carried
 * out as decided are for --all. */
static bool is_shown(const struct log *l, const struct store_row *row)
{
    const struct event *e = &row->event;
    if (l->all)
        return true;
    switch (row->type) {
    case STORE_ROW_DECISION:
        return decision_kind_class(row->decision.kind) != DECISION_CLASS_STEP;
    case STORE_ROW_EVENT:
        return e->kind != EVENT_DEADLINE &&
               (e->kind != EVENT_OUTCOME || e->outcome.result != EVENT_RESULT_DONE);
    case STORE_ROW_MARK:
    case STORE_ROW_GAP:
        break;
    }
    return true;
}

static int on_row(void *user, const struct store_row *row)
{
    struct log *l = user;
    if (row->run == l->run && row->t_us == l->t_us && l->pass[row->type]) {
        l->pass[row->type]--;
        return 0;
    }
    if (row->run != l->run || row->t_us != l->t_us)
        memset(l->shown, 0, sizeof(l->shown));
    l->run = row->run;
    l->t_us = row->t_us;
    l->shown[row->type]++;
    if (!is_shown(l, row))
        return 0;
    if (l->format == CLI_FORMAT_JSON)
        print_json_row(l, row);
    else
        print_text_row(l, row);
    return ferror(l->out) ? -EPIPE : 0;
}

static int keep_last(void *user, const struct store_run_row *row)
{
    *(uint64_t *)user = row->run;
    return 0;
}

/* Reads what came since; a run that began meanwhile is read from its beginning. */
static int read_on(struct cli_query *q, struct log *l)
{
    struct store_filter f = {.unit = q->filter.unit, .ticks_only = q->filter.ticks_only};
    uint64_t last = l->run;
    int e = store_read_runs(q->reader, keep_last, &last);
    for (uint64_t run = l->run ? l->run : 1; e == 0 && run <= last; run++) {
        f.run = run;
        f.since_us = run == l->run ? l->t_us : 0;
        memcpy(l->pass, l->shown, sizeof(l->pass));
        e = store_read_timeline(q->reader, &f, on_row, l);
    }
    return e;
}

static int follow(struct cli_query *q, struct log *l)
{
    const struct timespec pause = {0, FOLLOW_MS * 1000000L};
    for (;;) {
        int e = read_on(q, l);
        if (e < 0 && e != -EBUSY)
            return e;
        if (fflush(l->out) != 0)
            return 0; /* the reader of the pipe has gone */
        nanosleep(&pause, NULL);
    }
}

int cmd_log(const struct cli_args *args)
{
    struct cli_query q;
    int r = cli_query_open(args, &q);
    if (r != CLI_EXIT_OK)
        return r;
    struct log l = {
        .format = args->format, .out = stdout, .colour = terminal_has_colour(stdout), .all = args->all};
    if (args->follow && !q.filter.limit && !q.filter.since_wall_us)
        q.filter.limit = FOLLOW_FIRST;
    int e = store_read_timeline(q.reader, &q.filter, on_row, &l);
    bool any = l.run;
    if (e == 0 && args->follow)
        e = follow(&q, &l);
    else if (e == 0 && !any && args->format == CLI_FORMAT_TABLE)
        puts("nothing on record in this run and time (--run all looks at every run)");
    r = e == -EPIPE ? CLI_EXIT_OK : e < 0 ? cli_read_failed(&q, e) : CLI_EXIT_OK;
    cli_query_close(&q);
    return r;
}
