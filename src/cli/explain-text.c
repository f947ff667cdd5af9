/* SPDX-License-Identifier: MIT */
/* `weir explain` for a person: facts in order of time, each with its row; then, apart, the conclusion. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "explain.h"
#include "history.h"
#include "table.h"
#include "weir/base/cleanup.h"
#include "weir/base/units.h"
#include "weir/base/when.h"

static void title(FILE *out, const char *text)
{
    bool colour = terminal_has_colour(out);
    fprintf(out, "\n%s%s%s\n", colour ? "\033[1m" : "", text, colour ? "\033[0m" : "");
}

static const char *memory_text(const struct store_row *row, char buf[static FORMAT_SIZE_MAX])
{
    return format_size(row->event.sample.value[SAMPLE_MEMORY_CURRENT], buf);
}

static void print_rejected(const struct explain *x, FILE *out)
{
    bool any = false;
    for (int i = 0; i < REJECTED_COUNT; i++)
        if (x->row.decision.rejected >> i & 1) {
            fprintf(out, "%s%s", any ? "; " : "  a stronger step was rejected: ", decision_rejection_text(i));
            any = true;
        }
    if (any)
        (void)fputc('\n', out);
}

/* The rule as it stood in the config then, a line a key. */
static void print_rule_text(const struct explain *x, FILE *out)
{
    for (const char *line = x->rule_text; *line;) {
        size_t length = strcspn(line, "\n");
        fprintf(out, "             %.*s\n", (int)length, line);
        line += length + (line[length] == '\n');
    }
}

static void print_rule(const struct explain *x, FILE *out)
{
    const struct decision *d = &x->row.decision;
    char observed[METRIC_FORMAT_MAX], threshold[METRIC_FORMAT_MAX], held[FORMAT_DURATION_MAX];
    title(out, "Rule");
    fprintf(out, "  rule       %s%s\n", d->rule, d->observe ? "  (mode = observe)" : "");
    print_rule_text(x, out);
    if (d->metric != METRIC_NONE) {
        fprintf(out, "  condition  %s %s, threshold %s", decision_metric_name(d->metric),
                decision_metric_format(d->metric, d->observed, observed),
                decision_metric_format(d->metric, d->threshold, threshold));
        if (d->held_us)
            fprintf(out, ", held for %s", format_duration(d->held_us, held));
        (void)fputc('\n', out);
    }
    fprintf(out, "  reason     %s\n", d->reason == REASON_NONE ? "-" : decision_reason_text(d->reason));
    fprintf(out, "  decided on event seq %" PRIu64 "\n", d->event_seq);
    print_rejected(x, out);
}

static const struct table_column sample_columns[] = {
    {"time", "  TIME", false, true},   {"seq", "SEQ", true, false},       {"generation", "GEN", true, false},
    {"memory", "MEMORY", true, false}, {"rss", "RSS", true, false},       {"threads", "THREADS", true, false},
    {"some", "MEM SOME", true, false}, {"full", "MEM FULL", true, false},
};

static void put_level(struct table *t, const struct sample *s, enum sample_field field)
{
    if (!sample_has(s, field))
        table_none(t);
    else if (sample_field_info(field)->type == SAMPLE_TYPE_BYTES)
        table_size(t, s->value[field]);
    else
        table_count(t, s->value[field]);
}

static void put_share(struct table *t, const struct store_row *from, const struct store_row *to,
                      enum sample_field field)
{
    uint64_t share;
    if (from && from->event.generation == to->event.generation &&
        history_share(&from->event.sample, &to->event.sample, field, &share))
        table_percent(t, share);
    else
        table_none(t);
}

static void put_sample(struct table *t, const struct store_row *from, const struct store_row *row)
{
    char when[FORMAT_WHEN_MAX], cell[FORMAT_WHEN_MAX + 2];
    (void)snprintf(cell, sizeof(cell), "  %s", format_when(row->wall_us, when));
    table_text(t, cell);
    table_count(t, row->event.seq);
    table_count(t, row->event.generation);
    put_level(t, &row->event.sample, SAMPLE_MEMORY_CURRENT);
    put_level(t, &row->event.sample, SAMPLE_RSS);
    put_level(t, &row->event.sample, SAMPLE_THREADS);
    put_share(t, from, row, SAMPLE_MEMORY_SOME);
    put_share(t, from, row, SAMPLE_MEMORY_FULL);
    table_row(t);
}

/* Ticks, and the first and last reading whatever they are. */
static void print_samples(const struct explain_rows *rows, FILE *out)
{
    struct table *t = table_new(CLI_FORMAT_TABLE, out, sample_columns, ARRAY_SIZE(sample_columns), 0);
    const struct store_row *from = NULL;
    for (size_t i = 0; t && i < rows->count; i++) {
        if (i && i + 1 < rows->count && rows->row[i].event.sample.cause != SAMPLE_CAUSE_TICK)
            continue;
        put_sample(t, from, &rows->row[i]);
        from = &rows->row[i];
    }
    if (t)
        table_end(t, "  no readings on record");
}

static void print_growth(const struct explain_window *w, FILE *out)
{
    int64_t growth;
    char a[FORMAT_SIZE_MAX], b[FORMAT_SIZE_MAX], rate[FORMAT_SIZE_MAX], over[FORMAT_DURATION_MAX];
    if (!w->first || !w->last || !explain_growth(w, &growth))
        return;
    fprintf(out, "  growth     %s%s/s: %s (seq %" PRIu64 ") to %s (seq %" PRIu64 ") in %s\n",
            growth < 0 ? "-" : "", format_size((uint64_t)(growth < 0 ? -growth : growth), rate),
            memory_text(w->first, a), w->first->event.seq, memory_text(w->last, b), w->last->event.seq,
            format_duration(w->last->t_us - w->first->t_us, over));
}

static void print_pressure(const struct explain_window *w, FILE *out)
{
    uint64_t some, full;
    char some_text[FORMAT_PERCENT_MAX], full_text[FORMAT_PERCENT_MAX], over[FORMAT_DURATION_MAX];
    if (!w->first || !w->last ||
        !history_share(&w->first->event.sample, &w->last->event.sample, SAMPLE_MEMORY_SOME, &some) ||
        !history_share(&w->first->event.sample, &w->last->event.sample, SAMPLE_MEMORY_FULL, &full))
        return;
    fprintf(out, "  pressure   memory some %s, full %s over %s (totals of seq %" PRIu64 " and %" PRIu64 ")\n",
            format_percent(some, some_text), format_percent(full, full_text),
            format_duration(w->last->t_us - w->first->t_us, over), w->first->event.seq, w->last->event.seq);
}

static void print_processes(const struct explain_window *w, FILE *out)
{
    char rss[FORMAT_SIZE_MAX];
    if (!w->last || !w->last->event.sample.top_count)
        return;
    const struct sample *s = &w->last->event.sample;
    fprintf(out, "  processes  (seq %" PRIu64 ")\n", w->last->event.seq);
    for (uint32_t i = 0; i < s->top_count; i++)
        fprintf(out, "    %-15s pid %" PRId32 ", rss %s, %" PRIu32 " threads\n", s->top[i].comm,
                s->top[i].pid, format_size(s->top[i].rss_bytes, rss), s->top[i].threads);
}

static bool has_other_generations(const struct explain_window *w)
{
    for (size_t i = 0; i < w->samples.count; i++)
        if (w->samples.row[i].event.generation != w->generation)
            return true;
    return false;
}

static void print_window(const char *text, const struct explain_window *w, FILE *out)
{
    char low[FORMAT_SIZE_MAX], high[FORMAT_SIZE_MAX];
    title(out, text);
    print_samples(&w->samples, out);
    if (w->last && has_other_generations(w))
        fprintf(out, "  of generation %" PRIu32 " alone:\n", w->generation);
    if (w->lowest)
        fprintf(out, "  memory     lowest %s (seq %" PRIu64 "), highest %s (seq %" PRIu64 ")\n",
                memory_text(w->lowest, low), w->lowest->event.seq, memory_text(w->highest, high),
                w->highest->event.seq);
    print_growth(w, out);
    print_pressure(w, out);
    print_processes(w, out);
}

static void print_after(const struct explain *x, FILE *out)
{
    char text[128] = "The 60 s after", when[FORMAT_WHEN_MAX];
    if (x->has_next && x->next.t_us <= x->row.t_us + EXPLAIN_AFTER_US)
        (void)snprintf(text, sizeof(text), "After it, until the next intervention (#%" PRIu64 " %s, %s)",
                       x->next.decision.id, decision_kind_name(x->next.decision.kind),
                       format_when(x->next.wall_us, when));
    print_window(text, &x->after, out);
}

static bool is_pulse(const struct store_row *row)
{
    return row->type == STORE_ROW_DECISION &&
           (row->decision.kind == DECISION_PULSE_FREEZE || row->decision.kind == DECISION_PULSE_THAW);
}

/* Was a pulse carried out? One that failed is told. */
static bool is_pulse_outcome(const struct explain *x, const struct store_row *row)
{
    if (row->type != STORE_ROW_EVENT || row->event.kind != EVENT_OUTCOME ||
        row->event.outcome.result != EVENT_RESULT_DONE)
        return false;
    for (size_t i = 0; i < x->steps.count; i++)
        if (is_pulse(&x->steps.row[i]) && x->steps.row[i].decision.id == row->event.outcome.decision_id)
            return true;
    return false;
}

/* The pulses of a throttle, five a second, in one line. */
static void print_pulses(const struct explain *x, FILE *out)
{
    uint64_t first = 0, last = 0;
    size_t count = 0;
    for (size_t i = 0; i < x->steps.count; i++) {
        const struct store_row *row = &x->steps.row[i];
        if (!is_pulse(row))
            continue;
        first = first ? first : row->decision.id;
        last = row->decision.id;
        count += row->decision.kind == DECISION_PULSE_FREEZE;
    }
    if (count)
        fprintf(out, "  meanwhile %zu freeze pulse%s (#%" PRIu64 " to #%" PRIu64 "; weir log --all)\n", count,
                count == 1 ? "" : "s", first, last);
}

static void print_step(const struct explain *x, const struct store_row *row, FILE *out)
{
    char when[FORMAT_WHEN_MAX], text[EVENT_TEXT_MAX];
    const char *const *names = x->row.unit_names;
    if (is_pulse(row) || is_pulse_outcome(x, row))
        return;
    fprintf(out, "  %s  ", format_when(row->wall_us, when));
    if (row->type == STORE_ROW_DECISION)
        fprintf(out, "#%" PRIu64 " %s\n", row->decision.id,
                decision_narrate(&row->decision, names, text, sizeof(text)));
    else
        fprintf(out, "seq %" PRIu64 " %s\n", row->event.seq,
                event_narrate(&row->event, names, text, sizeof(text)));
}

static void print_steps(const struct explain *x, FILE *out)
{
    title(out, "What was done");
    for (size_t i = 0; i < x->steps.count; i++)
        print_step(x, &x->steps.row[i], out);
    print_pulses(x, out);
    if (!x->steps.count)
        fputs("  nothing is on record\n", out);
}

static void print_conclusion(const struct explain *x, FILE *out)
{
    char text[EXPLAIN_SENTENCE_MAX];
    title(out, "Conclusion");
    fprintf(out, "  %s\n", explain_sentence(x, text, sizeof(text)));
}

void explain_print_text(const struct explain *x, FILE *out)
{
    const struct decision *d = &x->row.decision;
    char when[FORMAT_WHEN_MAX], text[DECISION_TEXT_MAX];
    fprintf(out, "#%" PRIu64 " of run %" PRIu64 ", %s, generation %" PRIu32 "\n", d->id, x->row.run,
            format_when(x->row.wall_us, when), d->generation);
    fprintf(out, "%s\n", decision_narrate(d, x->row.unit_names, text, sizeof(text)));
    print_rule(x, out);
    print_window("The 30 s before", &x->before, out);
    print_steps(x, out);
    print_after(x, out);
    print_conclusion(x, out);
}
