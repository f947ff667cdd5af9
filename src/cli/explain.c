/* SPDX-License-Identifier: MIT */
/* `weir explain`: gathers one intervention's facts from the record; see explain.h. */
#include "explain.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "weir/base/cleanup.h"
#include "weir/base/units.h"

static int keep(struct explain_rows *rows, const struct store_row *row)
{
    struct store_row *more = realloc(rows->row, (rows->count + 1) * sizeof(*more));
    if (!more)
        return -ENOMEM;
    rows->row = more;
    rows->row[rows->count++] = *row;
    return 0;
}

void explain_deinit(struct explain *x)
{
    free(x->before.samples.row);
    free(x->after.samples.row);
    free(x->steps.row);
    *x = (struct explain){0};
}

/* Is the row a step of the intervention, or what came of it or of a step? */
static bool belongs(const struct explain *x, const struct store_row *row)
{
    uint64_t id = x->row.decision.id;
    if (row->type == STORE_ROW_DECISION)
        return row->decision.cause_id == id;
    if (row->type != STORE_ROW_EVENT || row->event.kind != EVENT_OUTCOME)
        return false;
    if (row->event.outcome.decision_id == id)
        return true;
    for (size_t i = 0; i < x->steps.count; i++)
        if (x->steps.row[i].type == STORE_ROW_DECISION &&
            x->steps.row[i].decision.id == row->event.outcome.decision_id)
            return true;
    return false;
}

/* Ends and starts of the unit itself are told beside the steps. */
static bool is_life_event(const struct explain *x, const struct store_row *row)
{
    if (row->type != STORE_ROW_EVENT || row->event.unit != x->row.decision.unit ||
        row->t_us > x->row.t_us + EXPLAIN_AFTER_US)
        return false;
    switch (row->event.kind) {
    case EVENT_ARRIVED:
    case EVENT_SPAWNED:
    case EVENT_SPAWN_FAILED:
    case EVENT_READY:
    case EVENT_EXITED:
    case EVENT_EMPTY:
    case EVENT_CLEANED:
        return true;
    case EVENT_RUN:
    case EVENT_SAMPLE:
    case EVENT_DEADLINE:
    case EVENT_OPERATOR:
    case EVENT_OUTCOME:
    case EVENT_POLICY:
    case EVENT_SHUTDOWN:
    case EVENT_KIND_COUNT:
        break;
    }
    return false;
}

static int on_sample(struct explain *x, const struct store_row *row)
{
    /* The event that led to the decision is the last of those before. */
    if (row->event.seq <= x->row.decision.event_seq)
        return keep(&x->before.samples, row);
    return row->t_us <= x->row.t_us + EXPLAIN_AFTER_US ? keep(&x->after.samples, row) : 0;
}

static int on_row(void *user, const struct store_row *row)
{
    struct explain *x = user;
    if (row->type == STORE_ROW_EVENT && row->event.kind == EVENT_SAMPLE)
        return row->event.unit == x->row.decision.unit ? on_sample(x, row) : 0;
    if (row->t_us < x->row.t_us)
        return 0;
    return belongs(x, row) || is_life_event(x, row) ? keep(&x->steps, row) : 0;
}

static uint64_t memory_of(const struct store_row *row)
{
    return row->event.sample.value[SAMPLE_MEMORY_CURRENT];
}

static bool counts(const struct store_row *row)
{
    return sample_has(&row->event.sample, SAMPLE_MEMORY_CURRENT) &&
           row->event.sample.cause != SAMPLE_CAUSE_FINAL;
}

static void sum_up(struct explain_window *w)
{
    for (size_t i = 0; i < w->samples.count; i++) {
        const struct store_row *row = &w->samples.row[i];
        if (!counts(row))
            continue;
        w->first = w->first ? w->first : row;
        w->last = row;
        w->lowest = !w->lowest || memory_of(row) < memory_of(w->lowest) ? row : w->lowest;
        w->highest = !w->highest || memory_of(row) > memory_of(w->highest) ? row : w->highest;
    }
    w->to = w->last;
    for (size_t i = w->samples.count; w->to && i--;) {
        const struct store_row *row = &w->samples.row[i];
        if (row->event.generation != w->to->event.generation)
            break;
        if (counts(row))
            w->from = row;
    }
}

int explain_collect(struct cli_query *q, struct explain *x)
{
    struct store_filter f = {.run = x->row.run};
    (void)snprintf(x->unit, sizeof(x->unit), "%s", x->row.unit);
    f.since_us = x->row.t_us > EXPLAIN_BEFORE_US ? x->row.t_us - EXPLAIN_BEFORE_US : 0;
    f.until_wall_us = x->row.wall_us + EXPLAIN_STEPS_US;
    int e = store_read_timeline(q->reader, &f, on_row, x);
    if (e < 0)
        return e;
    sum_up(&x->before);
    sum_up(&x->after);
    explain_conclude(x);
    return 0;
}

bool explain_growth(const struct explain_window *w, int64_t *ret_bytes_per_s)
{
    if (!w->from || w->to->t_us <= w->from->t_us)
        return false;
    uint64_t dt_us = w->to->t_us - w->from->t_us;
    uint64_t a = memory_of(w->from), b = memory_of(w->to);
    *ret_bytes_per_s = b >= a ? (int64_t)mul_div_u64(b - a, USEC_PER_SEC, dt_us)
                              : -(int64_t)mul_div_u64(a - b, USEC_PER_SEC, dt_us);
    return true;
}

/* Is it there to bring memory down? The others are not judged by it. */
static bool is_against_memory(const struct decision *d)
{
    bool relieves = d->kind == DECISION_NOTIFY || d->kind == DECISION_THROTTLE || d->kind == DECISION_RESTART;
    return relieves && d->reason != REASON_OPERATOR && d->reason != REASON_SHUTDOWN &&
           d->reason != REASON_DEPENDENCY;
}

/* Memory of the last reading before against the last reading of the minute after. */
void explain_conclude(struct explain *x)
{
    x->verdict = EXPLAIN_NOT_KNOWN;
    if (!is_against_memory(&x->row.decision))
        x->verdict = EXPLAIN_NOT_JUDGED;
    if (x->row.decision.observe)
        x->verdict = EXPLAIN_NOT_DONE;
    if (x->verdict != EXPLAIN_NOT_KNOWN || !x->before.last || !x->after.last)
        return;
    uint64_t before = memory_of(x->before.last), after = memory_of(x->after.last);
    uint64_t effect = mul_div_u64(before, EXPLAIN_EFFECT_PERMYRIAD, PERMYRIAD_ONE);
    if (after + effect <= before)
        x->verdict = EXPLAIN_HELPED;
    else if (after >= before + effect)
        x->verdict = EXPLAIN_WORSE;
    else
        x->verdict = EXPLAIN_NO_EFFECT;
}

const char *explain_verdict_name(enum explain_verdict verdict)
{
    switch (verdict) {
    case EXPLAIN_NOT_KNOWN:
        return "not known";
    case EXPLAIN_NOT_DONE:
        return "not done";
    case EXPLAIN_NOT_JUDGED:
        return "not judged";
    case EXPLAIN_HELPED:
        return "helped";
    case EXPLAIN_NO_EFFECT:
        return "no effect";
    case EXPLAIN_WORSE:
        return "worse";
    }
    return "";
}

struct newest {
    uint64_t run, id;
};

static int keep_newest(void *user, const struct store_row *row)
{
    *(struct newest *)user = (struct newest){row->run, row->decision.id};
    return 0;
}

static int last_intervention(struct cli_query *q, uint64_t *ret_run, uint64_t *ret_id)
{
    struct store_filter f = {.interventions_only = true, .limit = 1};
    struct newest newest = {0};
    int e = store_read_decisions(q->reader, &f, keep_newest, &newest);
    *ret_run = newest.run;
    *ret_id = newest.id;
    return e < 0 ? e : newest.id ? 0 : -ENOENT;
}

/* "17", "#17", "3:17", "last". -EINVAL: none of these. */
static int find(struct cli_query *q, const char *word, uint64_t *ret_run, uint64_t *ret_id)
{
    if (strcmp(word, "last") == 0)
        return last_intervention(q, ret_run, ret_id);
    _cleanup_free_ char *copy = strdup(word);
    if (!copy)
        return -ENOMEM;
    char *colon = strchr(copy, ':');
    const char *id = colon ? colon + 1 : copy;
    if (colon)
        *colon = '\0';
    if (cli_parse_run(colon ? copy : NULL, q->last_run, ret_run) < 0 || !*ret_run)
        return -EINVAL;
    return parse_u64(id[0] == '#' ? id + 1 : id, ret_id) < 0 ? -EINVAL : 0;
}

static int not_found(const char *word, int e, const struct cli_query *q)
{
    if (e == -EINVAL)
        fprintf(stderr, "weir: '%s' is no intervention; say ID, RUN:ID or last\n", word);
    else if (e == -ENOENT && strcmp(word, "last") == 0)
        fputs("weir: no intervention is on record\n", stderr);
    else if (e == -ENOENT)
        fprintf(stderr, "weir: no decision %s on record ('weir history --all' lists them)\n", word);
    else
        return cli_read_failed(q, e);
    return e == -EINVAL ? CLI_EXIT_USAGE : CLI_EXIT_FAILED;
}

static int explain(struct cli_query *q, const struct cli_args *args, const char *word)
{
    _cleanup_(explain_deinit) struct explain x = {0};
    uint64_t run = 0, id = 0;
    int e = find(q, word, &run, &id);
    if (e == 0)
        e = store_read_decision(q->reader, run, id, &x.row);
    if (e < 0)
        return not_found(word, e, q);
    e = explain_collect(q, &x);
    if (e == 0) /* names live until the next read: these are for the narration */
        e = store_read_units(q->reader, run, &x.row.unit_names);
    if (e < 0)
        return cli_read_failed(q, e);
    x.row.unit_count = (size_t)e;
    if (args->format == CLI_FORMAT_JSON)
        explain_print_json(&x, stdout);
    else
        explain_print_text(&x, stdout);
    return CLI_EXIT_OK;
}

int cmd_explain(const struct cli_args *args)
{
    struct cli_query q;
    int r = cli_query_open(args, &q);
    if (r != CLI_EXIT_OK)
        return r;
    r = explain(&q, args, args->word_count ? args->words[0] : "last");
    cli_query_close(&q);
    return r;
}
