/* SPDX-License-Identifier: MIT */
/* `weir history`: samples, interventions and runs; pressure, restarts and gate have files of their own. */
#include "history.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "json.h"
#include "table.h"
#include "weir/base/cleanup.h"
#include "weir/base/nearest.h"

/* Says why a unit or time may be without rows. */
#define EMPTY_SAMPLES       "no samples in this run and time (--run all looks at every run)"
#define EMPTY_INTERVENTIONS "no interventions in this run and time (--run all looks at every run)"

/* ------------------------------------------------- samples -------------------------------------------------- */

#define SAMPLE_LEAD    7
#define SAMPLE_COLUMNS (SAMPLE_LEAD + SAMPLE_FIELD_COUNT + 2)

/* The fields a table shows; JSON and CSV have all. */
static const char *sample_title(enum sample_field field)
{
    static const struct {
        enum sample_field field;
        const char *title;
    } titles[] = {
        {SAMPLE_MEMORY_CURRENT, "MEMORY"}, {SAMPLE_RSS, "RSS"},
        {SAMPLE_MEMORY_SWAP, "SWAP"},      {SAMPLE_MEMORY_MAX, "MAX"},
        {SAMPLE_PROCESSES, "PROCS"},       {SAMPLE_THREADS, "THREADS"},
        {SAMPLE_CPU_USAGE, "CPU TIME"},    {SAMPLE_MEMORY_FULL, "STALLED"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(titles); i++)
        if (titles[i].field == field)
            return titles[i].title;
    return NULL;
}

static void fill_sample_columns(struct table_column columns[static SAMPLE_COLUMNS])
{
    static const struct table_column lead[SAMPLE_LEAD] = {
        {"run", NULL, true, false},         {"time", "TIME", false, true},
        {"seq", "SEQ", true, false},        {"unit", "UNIT", false, false},
        {"generation", "GEN", true, false}, {"cause", "CAUSE", false, false},
        {"late_us", "LATE", true, false},
    };
    memcpy(columns, lead, sizeof(lead));
    for (int f = 0; f < SAMPLE_FIELD_COUNT; f++)
        columns[SAMPLE_LEAD + f] =
            (struct table_column){sample_field_info(f)->name, sample_title(f), true, false};
    columns[SAMPLE_LEAD + SAMPLE_FIELD_COUNT] = (struct table_column){"missed_ticks", NULL, true, false};
    columns[SAMPLE_LEAD + SAMPLE_FIELD_COUNT + 1] = (struct table_column){"top", NULL, false, false};
}

static void put_field(struct table *t, const struct sample *s, enum sample_field field)
{
    uint64_t value = s->value[field];
    if (!sample_has(s, field)) {
        table_none(t);
        return;
    }
    switch (sample_field_info(field)->type) {
    case SAMPLE_TYPE_BYTES:
        table_size(t, value);
        break;
    case SAMPLE_TYPE_USEC:
        table_duration(t, value);
        break;
    case SAMPLE_TYPE_COUNT:
    case SAMPLE_TYPE_FLAG:
        table_count(t, value);
        break;
    }
}

static int put_sample(void *user, const struct store_row *row)
{
    struct table *t = user;
    const struct sample *s = &row->event.sample;
    table_count(t, row->run);
    table_time(t, row->wall_us);
    table_count(t, row->event.seq);
    table_text(t, row->unit);
    table_count(t, row->event.generation);
    table_text(t, sample_cause_name(s->cause));
    table_duration(t, s->late_us);
    for (int f = 0; f < SAMPLE_FIELD_COUNT; f++)
        put_field(t, s, f);
    table_count(t, s->missed_ticks);
    table_json(t, cli_json_processes(s));
    table_row(t);
    return 0;
}

static int history_samples(struct cli_query *q, const struct cli_args *args)
{
    struct table_column columns[SAMPLE_COLUMNS];
    fill_sample_columns(columns);
    struct table *t = table_new(args->format, stdout, columns, SAMPLE_COLUMNS, 0);
    if (!t)
        return cli_read_failed(q, -ENOMEM);
    int e = store_read_samples(q->reader, &q->filter, put_sample, t);
    table_end(t, EMPTY_SAMPLES);
    return e < 0 ? cli_read_failed(q, e) : CLI_EXIT_OK;
}

/* ---------------------------------------------- interventions ----------------------------------------------- */

static const struct table_column decision_columns[] = {
    {"run", NULL, true, false},      {"id", "#", true, false},           {"time", "TIME", false, true},
    {"unit", "UNIT", false, false},  {"generation", "GEN", true, false}, {"kind", "WHAT", false, false},
    {"rule", NULL, false, false},    {"reason", NULL, false, false},     {"metric", NULL, false, false},
    {"observed", NULL, true, false}, {"threshold", NULL, true, false},   {"held_us", NULL, true, false},
    {"observe", NULL, false, false}, {"cause_id", NULL, true, false},    {"event_seq", NULL, true, false},
    {"text", "WHY", false, false},
};

static int put_decision(void *user, const struct store_row *row)
{
    struct table *t = user;
    const struct decision *d = &row->decision;
    char text[DECISION_TEXT_MAX];
    table_count(t, row->run);
    table_count(t, d->id);
    table_time(t, row->wall_us);
    table_text(t, row->unit[0] ? row->unit : NULL);
    table_count(t, d->generation);
    table_text(t, decision_kind_name(d->kind));
    table_text(t, d->rule);
    table_text(t, decision_reason_name(d->reason));
    table_text(t, decision_metric_name(d->metric));
    table_count(t, d->observed);
    table_count(t, d->threshold);
    table_count(t, d->held_us);
    table_json(t, json_boolean(d->observe));
    table_count(t, d->cause_id);
    table_count(t, d->event_seq);
    table_text(t, decision_narrate(d, row->unit_names, text, sizeof(text)));
    table_row(t);
    return 0;
}

/* What is on record beside the decisions: set, reload, adoption, output dropped. */
static void put_mark(struct table *t, const struct store_row *row)
{
    table_count(t, row->run);
    table_none(t); /* it has no number */
    table_time(t, row->wall_us);
    table_text(t, row->unit[0] ? row->unit : NULL);
    table_none(t);
    table_text(t, "mark");
    for (size_t c = 6; c + 1 < ARRAY_SIZE(decision_columns); c++)
        table_none(t);
    table_text(t, row->text);
    table_row(t);
}

static int put_decision_or_mark(void *user, const struct store_row *row)
{
    if (row->type == STORE_ROW_DECISION)
        return put_decision(user, row);
    if (row->type == STORE_ROW_MARK)
        put_mark(user, row);
    return 0;
}

static int read_interventions(struct cli_query *q, bool all, struct table *t)
{
    if (all)
        return store_read_timeline(q->reader, &q->filter, put_decision_or_mark, t);
    q->filter.interventions_only = true;
    return store_read_decisions(q->reader, &q->filter, put_decision, t);
}

static int history_interventions(struct cli_query *q, const struct cli_args *args)
{
    struct table_column columns[ARRAY_SIZE(decision_columns)];
    memcpy(columns, decision_columns, sizeof(columns));
    if (!q->filter.run) /* numbers begin anew with each run */
        columns[0].title = "RUN";
    struct table *t = table_new(args->format, stdout, columns, ARRAY_SIZE(columns), args->limit);
    if (!t)
        return cli_read_failed(q, -ENOMEM);
    q->filter.limit = 0; /* the limit counts what is shown */
    int e = read_interventions(q, args->all, t);
    table_end(t, EMPTY_INTERVENTIONS);
    return e < 0 ? cli_read_failed(q, e) : CLI_EXIT_OK;
}

/* --------------------------------------------------- runs --------------------------------------------------- */

static const struct table_column run_columns[] = {
    {"run", "RUN", true, false},
    {"time", "STARTED", false, true},
    {"length_us", "LENGTH", true, false},
    {"end_wall_us", NULL, true, false},
    {"exit_status", NULL, true, false},
    {"end", "END", false, false},
    {"samples", "SAMPLES", true, false},
    {"samples_dropped", "LOST", true, false},
    {"events", "EVENTS", true, false},
    {"decisions", "DECISIONS", true, false},
    {"weir_version", "WEIR", false, false},
    {"kernel", NULL, false, false},
    {"layout", NULL, false, false},
    {"boot_id", NULL, false, false},
    {"supervisor", NULL, false, false},
    {"config_path", "CONFIG", false, false},
};

struct runs_output {
    struct table *t;
    uint64_t last_run;
    bool is_running; /* somebody answers: it is the last run's supervisor */
};

static int put_run(void *user, const struct store_run_row *row)
{
    const struct runs_output *o = user;
    struct table *t = o->t;
    char end[48];
    uint64_t until_us = row->end_wall_us ? row->end_wall_us : row->last_wall_us;
    if (row->end_wall_us)
        (void)snprintf(end, sizeof(end), "exit status %d", row->exit_status);
    else
        (void)snprintf(end, sizeof(end), "%s",
                       row->run == o->last_run && o->is_running ? "running" : "cut off");
    table_count(t, row->run);
    table_time(t, row->start_wall_us);
    table_duration(t, until_us > row->start_wall_us ? until_us - row->start_wall_us : 0);
    if (row->end_wall_us)
        table_count(t, row->end_wall_us);
    else
        table_none(t);
    if (row->end_wall_us)
        table_count(t, (uint64_t)row->exit_status);
    else
        table_none(t);
    table_text(t, end);
    table_count(t, row->samples);
    table_count(t, row->samples_dropped);
    table_count(t, row->events);
    table_count(t, row->decisions);
    table_text(t, row->weir_version);
    table_text(t, row->kernel);
    table_text(t, row->layout);
    table_text(t, row->boot_id);
    table_text(t, row->supervisor);
    table_text(t, row->config_path);
    table_row(t);
    return 0;
}

static int history_runs(struct cli_query *q, const struct cli_args *args)
{
    struct table *t = table_new(args->format, stdout, run_columns, ARRAY_SIZE(run_columns), args->limit);
    if (!t)
        return cli_read_failed(q, -ENOMEM);
    struct runs_output o = {t, q->last_run, cli_target_is_running(&q->target)};
    int e = store_read_runs(q->reader, put_run, &o);
    table_end(t, "no runs recorded yet");
    return e < 0 ? cli_read_failed(q, e) : CLI_EXIT_OK;
}

/* -------------------------------------------------- command ------------------------------------------------- */

static const struct {
    const char *word;
    int (*print)(struct cli_query *q, const struct cli_args *args);
} kinds[] = {
    {"interventions", history_interventions}, {"samples", history_samples}, {"restarts", history_restarts},
    {"pressure", history_pressure},           {"gate", history_gate},       {"runs", history_runs},
};

static int unknown_kind(const char *word)
{
    const char *words[ARRAY_SIZE(kinds)];
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
        words[i] = kinds[i].word;
    const char *near = nearest_word(word, words, ARRAY_SIZE(words));
    fprintf(stderr, "weir: history has no '%s'; %s%s%s\n", word,
            near ? "did you mean '"
                 : "say samples, interventions, "
                   "restarts, pressure, gate or runs",
            near ? near : "", near ? "'?" : "");
    return CLI_EXIT_USAGE;
}

int cmd_history(const struct cli_args *args)
{
    const char *word = args->word_count ? args->words[0] : kinds[0].word;
    struct cli_query q;
    size_t i = 0;
    while (i < ARRAY_SIZE(kinds) && strcmp(kinds[i].word, word) != 0)
        i++;
    if (i == ARRAY_SIZE(kinds))
        return unknown_kind(word);
    int r = cli_query_open(args, &q);
    if (r != CLI_EXIT_OK)
        return r;
    r = kinds[i].print(&q, args);
    cli_query_close(&q);
    return r;
}
