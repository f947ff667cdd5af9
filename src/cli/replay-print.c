/* SPDX-License-Identifier: MIT */
/*
 * What a try says: one row a decision, as they come, then what it sums up to and what was assumed. Facts and model stand
 * apart throughout: a row's basis, and two columns of sums. Nothing here depends on when it is printed.
 */
#include "replay-print.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "weir/base/cleanup.h"
#include "weir/base/units.h"

static const struct table_column columns[] = {
    {.key = "t_us"},
    {.key = "time", .title = "TIME", .right = true},
    {.key = "id", .title = "#", .right = true},
    {.key = "basis", .title = "BASIS"},
    {.key = "unit"},
    {.key = "kind"},
    {.key = "what", .title = "WHAT"},
};

const char *replay_time(uint64_t us, char buf[static REPLAY_TIME_MAX])
{
    uint64_t s = us / USEC_PER_SEC;
    unsigned ms = (unsigned)(us % USEC_PER_SEC / 1000);
    if (s < 3600)
        (void)snprintf(buf, REPLAY_TIME_MAX, "%" PRIu64 ".%03us", s, ms);
    else
        (void)snprintf(buf, REPLAY_TIME_MAX, "%" PRIu64 ":%02u:%02u.%03u", s / 3600, (unsigned)(s / 60 % 60),
                       (unsigned)(s % 60), ms);
    return buf;
}

static uint64_t since_begin(const struct report *r, uint64_t t_us)
{
    return t_us - r->attempt->in->start_us;
}

/* Adds a sentence to the list. */
static void say(json_t *list, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void say(json_t *list, const char *fmt, ...)
{
    char text[512];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    json_array_append_new(list, json_string(text));
}

static bool run_has(const struct replay_input *in, const char *name)
{
    for (size_t i = 0; i < in->name_count; i++)
        if (strcmp(in->name_list[i], name) == 0)
            return true;
    return false;
}

/* Units that only one of run and config has. */
static void say_units(const struct report *r, json_t *list)
{
    const struct attempt *a = r->attempt;
    for (size_t i = 0; i < a->policy.unit_count; i++)
        if (a->left_out[i])
            say(list, "%s has no unit %s, which the run had: it is not started", r->config_path, r->names[i]);
    for (uint32_t i = 0; i < r->config->unit_count; i++)
        if (!run_has(a->in, r->config->units[i].name))
            say(list, "%s has a unit %s, which the run had not: it is left out", r->config_path,
                r->config->units[i].name);
}

static void print_list(const json_t *list, const char *before)
{
    const json_t *line;
    size_t i;
    json_array_foreach(list, i, line) printf("%s%s\n", before, json_string_value(line));
}

static void print_input(const struct report *r)
{
    const struct replay_input *in = r->attempt->in;
    char length[REPLAY_TIME_MAX];
    if (in->path) {
        const struct trace_log *t = &in->trace;
        printf("%s: %zu readings over %s", in->path, t->count,
               replay_time(t->rows[t->count - 1].t_us - t->rows[0].t_us, length));
        if (t->holes)
            printf(", %" PRIu64 " missing in %" PRIu64 " hole%s", t->missing, t->holes,
                   t->holes == 1 ? "" : "s");
        printf("\njudged as unit %s of %s\n\n", r->names[0], r->config_path);
        return;
    }
    printf("run %" PRIu64 ": %" PRIu64 " readings, %" PRIu64 " other events\njudged by %s\n", in->run,
           in->samples, in->events, r->config_path);
    json_t *list = json_array();
    say_units(r, list);
    print_list(list, "");
    json_decref(list);
    puts("");
}

int report_begin(struct report *r)
{
    if (r->format == CLI_FORMAT_JSON)
        r->decisions = json_array();
    else
        r->table = table_new(r->format, stdout, columns, ARRAY_SIZE(columns), 0);
    r->parted = calloc(r->attempt->policy.unit_count, sizeof(*r->parted));
    if (!r->parted || (!r->decisions && !r->table)) {
        fputs("weir replay: out of memory\n", stderr);
        return CLI_EXIT_FAILED;
    }
    if (r->format == CLI_FORMAT_TABLE)
        print_input(r);
    return 0;
}

/* --- decisions ------------------------------------------------------------------------------------ */

static void put_row(struct report *r, uint64_t t_us, const struct decision *d, const char *basis,
                    const char *what)
{
    char time[REPLAY_TIME_MAX];
    table_count(r->table, since_begin(r, t_us));
    table_text(r->table, replay_time(since_begin(r, t_us), time));
    if (d)
        table_count(r->table, d->id);
    else
        table_text(r->table, "");
    table_text(r->table, basis);
    table_text(r->table, d && d->unit != UNIT_NONE ? r->names[d->unit] : NULL);
    table_text(r->table, d ? decision_kind_name(d->kind) : NULL);
    table_text(r->table, what);
    table_row(r->table);
}

#define PARTED_MAX (DECISION_TEXT_MAX + 192)

static const char *say_parted(const struct report *r, uint16_t unit, char buf[static PARTED_MAX])
{
    const struct whatif_difference *d = whatif_difference(r->attempt->model, unit);
    char text[DECISION_TEXT_MAX];
    decision_narrate(&d->decision, r->names, text, sizeof(text));
    const char *why = d->missing             ? "on record, not now: "
                      : r->attempt->in->path ? "they go as if nothing had been done"
                                             : "not on record: ";
    (void)snprintf(buf, PARTED_MAX, "from here on the readings of %s are counterfactual: %s%s",
                   r->names[unit], why, r->attempt->in->path && !d->missing ? "" : text);
    return buf;
}

/* The unit that left the record first, of those whose row is still to come; UNIT_NONE = there is none. */
static uint16_t next_parted(const struct report *r)
{
    const struct whatif *w = r->attempt->model;
    uint16_t first = UNIT_NONE;
    for (uint16_t i = 0; i < r->attempt->policy.unit_count; i++)
        if (!r->parted[i] && whatif_is_model(w, i) && (r->unit == UNIT_NONE || r->unit == i) &&
            (first == UNIT_NONE || whatif_difference(w, i)->t_us < whatif_difference(w, first)->t_us))
            first = i;
    return first;
}

/* Rows of units that left the record before t_us, and of the one whose first row that rests on the model comes next. */
static void part(struct report *r, uint64_t t_us, uint16_t next)
{
    char text[PARTED_MAX];
    bool all = next != UNIT_NONE && !r->parted[next];
    for (uint16_t unit; (unit = next_parted(r)) != UNIT_NONE;) {
        const struct whatif_difference *d = whatif_difference(r->attempt->model, unit);
        if (d->t_us >= t_us && !all)
            return;
        r->parted[unit] = true;
        if (r->format == CLI_FORMAT_TABLE)
            put_row(r, d->t_us, NULL, "", say_parted(r, unit, text));
        all = all && unit != next;
    }
}

static bool is_shown(const struct report *r, const struct decision *d)
{
    return (r->unit == UNIT_NONE || d->unit == r->unit || d->unit == UNIT_NONE) &&
           (r->all || decision_kind_class(d->kind) == DECISION_CLASS_INTERVENTION);
}

int report_decision(void *user, const struct decision *d, bool model)
{
    struct report *r = user;
    char text[DECISION_TEXT_MAX];
    part(r, d->t_us, model ? d->unit : UNIT_NONE);
    if (!is_shown(r, d))
        return 0;
    if (r->table) {
        put_row(r, d->t_us, d, model ? "model" : "fact", decision_narrate(d, r->names, text, sizeof(text)));
        return 0;
    }
    json_t *o = json_object();
    json_object_set_new(o, "basis", json_string(model ? "model" : "fact"));
    json_object_set_new(o, "unit", d->unit == UNIT_NONE ? json_null() : json_string(r->names[d->unit]));
    json_object_set_new(o, "t_us", cli_json_u64(since_begin(r, d->t_us)));
    cli_json_decision(o, d, r->names);
    return json_array_append_new(r->decisions, o) < 0 ? -ENOMEM : 0;
}

/* --- what was assumed ----------------------------------------------------------------------------- */

static void assume_trace(const struct report *r, json_t *list)
{
    const struct trace_log *t = &r->attempt->in->trace;
    say(list,
        "the log's RSS stands in for memory.current; the log tells of threads and VSZ, and of nothing else");
    say(list, "the process began with the first reading, and was ready at once");
    say(list, "the host is a unified one that can do everything but pace and hold (no gate)");
    if (t->terminated)
        say(list, "the log ends with the end of the process, of which it tells nothing more: it is left out");
}

static void assume_run(const struct report *r, json_t *list)
{
    const struct attempt *a = r->attempt;
    const struct replay_input *in = a->in;
    uint64_t skipped = whatif_policies_skipped(a->model);
    if (skipped)
        say(list, "%" PRIu64 " recorded change%s of a policy (set, reload) passed over", skipped,
            skipped == 1 ? " was" : "s were");
    if (in->samples_lost)
        say(list, "%" PRIu64 " samples of this run were lost", in->samples_lost);
    if (r->format == CLI_FORMAT_JSON)
        say_units(r, list); /* else said at the top */
    for (size_t i = a->policy.unit_count; i < in->name_count; i++)
        say(list, "unit %s was added by a reload: it is left out", r->names[i]);
}

static void assume_habits(const struct report *r, uint16_t unit, json_t *list)
{
    const struct attempt *a = r->attempt;
    char text[384] = "", time[FORMAT_DURATION_MAX];
    for (int h = 0; h < WHATIF_HABIT_COUNT; h++) {
        bool wrapped = a->policy.units[unit].kind == UNIT_KIND_WRAPPED;
        if ((h == WHATIF_HABIT_RESPAWN && !wrapped) ||
            (h == WHATIF_HABIT_DRAIN && !(a->policy.units[unit].abilities & ABILITY_GATE)) ||
            (h == WHATIF_HABIT_READY && !a->policy.units[unit].has_ready))
            continue;
        uint64_t seen = a->in->path ? 0 : a->in->usual[unit].count[h];
        size_t length = strlen(text);
        format_duration(a->units[unit].habits[h], time);
        if (seen)
            (void)snprintf(text + length, sizeof(text) - length, "%s%s to %s (median of %" PRIu64 ")",
                           length ? ", " : "", time, whatif_habit_name(h), seen);
        else
            (void)snprintf(text + length, sizeof(text) - length, "%s%s to %s", length ? ", " : "", time,
                           whatif_habit_name(h));
    }
    say(list, "in the model %s takes %s", r->names[unit], text);
}

static bool any_left(const struct attempt *a)
{
    for (uint16_t i = 0; i < a->policy.unit_count; i++)
        if (whatif_is_model(a->model, i))
            return true;
    return false;
}

static void assume_model(const struct report *r, json_t *list)
{
    const struct attempt *a = r->attempt;
    if (any_left(a))
        say(list, "telling a unit, taking memory back from it or holding it back does not change its memory "
                  "in the model; each new "
                  "life goes like "
                  "the recorded one from its start");
    for (uint16_t i = 0; i < a->policy.unit_count; i++) {
        if (!whatif_is_model(a->model, i))
            continue;
        assume_habits(r, i, list);
        if (whatif_went_beyond(a->model, i))
            say(list,
                "where %s lives longer than on record, it grows on as in its last 10 s there, up to its "
                "limit",
                r->names[i]);
    }
}

static json_t *assumptions(const struct report *r)
{
    json_t *list = json_array();
    char size[FORMAT_SIZE_MAX];
    if (r->attempt->machine_bytes)
        say(list, "limits that are shares are of this machine's %s",
            format_size(r->attempt->machine_bytes, size));
    if (r->attempt->in->path)
        assume_trace(r, list);
    else
        assume_run(r, list);
    assume_model(r, list);
    return list;
}

/* --- sums ----------------------------------------------------------------------------------------- */

static const struct table_column sum_columns[] = {
    {.key = "what", .title = "SUM"},
    {.key = "fact", .title = "FACT", .right = true},
    {.key = "model", .title = "MODEL", .right = true},
};

typedef uint64_t figure_fn(const struct whatif_sum *s, int which);

static uint64_t above(const struct whatif_sum *s, int level)
{
    return s->above_us[level];
}

static uint64_t count_of(const struct whatif_sum *s, int kind)
{
    return s->count[kind];
}

static uint64_t throttled(const struct whatif_sum *s, int which)
{
    (void)which;
    return s->throttled_us;
}

static uint64_t held(const struct whatif_sum *s, int which)
{
    (void)which;
    return s->held_us;
}

static uint64_t down(const struct whatif_sum *s, int which)
{
    (void)which;
    return s->down_us;
}

/* The model's part of a row is "-" for a unit that never left the record. */
static void put_times(struct report *r, struct table *t, uint16_t unit, const char *what, figure_fn *figure,
                      int which)
{
    const struct whatif *w = r->attempt->model;
    char time[REPLAY_TIME_MAX];
    table_text(t, what);
    table_text(t, replay_time(figure(whatif_sum(w, unit, false), which), time));
    if (whatif_is_model(w, unit))
        table_text(t, replay_time(figure(whatif_sum(w, unit, true), which), time));
    else
        table_none(t);
    table_row(t);
}

static void put_count(struct report *r, struct table *t, uint16_t unit, int kind)
{
    const struct whatif *w = r->attempt->model;
    uint64_t fact = count_of(whatif_sum(w, unit, false), kind),
             model = count_of(whatif_sum(w, unit, true), kind);
    if (!fact && !model)
        return;
    table_text(t, decision_kind_name((enum decision_kind)kind));
    table_count(t, fact);
    table_count(t, model);
    table_row(t);
}

static void put_peak(struct report *r, struct table *t, uint16_t unit)
{
    table_text(t, "peak memory");
    for (int model = 0; model < 2; model++) {
        const struct whatif_sum *s = whatif_sum(r->attempt->model, unit, model);
        char text[METRIC_FORMAT_MAX + REPLAY_TIME_MAX + 8], size[METRIC_FORMAT_MAX], time[REPLAY_TIME_MAX];
        (void)snprintf(text, sizeof(text), "%s at %s",
                       decision_metric_format(METRIC_MEMORY_CURRENT, s->peak_bytes, size),
                       replay_time(since_begin(r, s->peak_us), time));
        table_text(t, s->readings ? text : NULL);
    }
    table_row(t);
}

static void print_unit(struct report *r, uint16_t unit)
{
    const struct unit_policy *p = &r->attempt->policy.units[unit];
    char size[METRIC_FORMAT_MAX], what[64];
    struct table *t = table_new(CLI_FORMAT_TABLE, stdout, sum_columns, ARRAY_SIZE(sum_columns), 0);
    if (!t)
        return;
    printf("\n%s, memory_max %s\n", r->names[unit],
           p->memory_max_bytes == UINT64_MAX
               ? "not set"
               : decision_metric_format(METRIC_MEMORY_MAX, p->memory_max_bytes, size));
    put_peak(r, t, unit);
    for (int level = 0; level < WHATIF_LEVEL_COUNT; level++) {
        uint64_t bytes = whatif_level_bytes(p, level);
        if (bytes == UINT64_MAX)
            continue;
        (void)snprintf(what, sizeof(what), "above %s, %s", whatif_level_name(level),
                       decision_metric_format(METRIC_MEMORY_CURRENT, bytes, size));
        put_times(r, t, unit, what, above, level);
    }
    put_times(r, t, unit, "throttled", throttled, 0);
    put_times(r, t, unit, "paced or held", held, 0);
    put_times(r, t, unit, "not ready", down, 0);
    for (int kind = 0; kind < DECISION_KIND_COUNT; kind++)
        if (decision_kind_class((enum decision_kind)kind) == DECISION_CLASS_INTERVENTION)
            put_count(r, t, unit, kind);
    table_end(t, "");
}

static void print_sums(struct report *r)
{
    for (uint16_t i = 0; i < r->attempt->policy.unit_count; i++)
        if (r->unit == UNIT_NONE || r->unit == i)
            print_unit(r, i);
    json_t *list = assumptions(r);
    if (json_array_size(list))
        puts("\nassumed:");
    print_list(list, "- ");
    json_decref(list);
}

/* --- JSON ----------------------------------------------------------------------------------------- */

static json_t *json_sum(const struct report *r, uint16_t unit, bool model)
{
    const struct whatif_sum *s = whatif_sum(r->attempt->model, unit, model);
    json_t *levels = json_object(), *counts = json_object();
    for (int level = 0; level < WHATIF_LEVEL_COUNT; level++)
        json_object_set_new(levels, whatif_level_name(level), cli_json_u64(s->above_us[level]));
    for (int kind = 0; kind < DECISION_KIND_COUNT; kind++)
        if (s->count[kind] && decision_kind_class((enum decision_kind)kind) == DECISION_CLASS_INTERVENTION)
            json_object_set_new(counts, decision_kind_name((enum decision_kind)kind),
                                cli_json_u64(s->count[kind]));
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "readings",
                     cli_json_u64(s->readings), "holes", cli_json_u64(s->holes), "peak_bytes",
                     s->readings ? cli_json_u64(s->peak_bytes) : json_null(), "peak_t_us",
                     s->readings ? cli_json_u64(since_begin(r, s->peak_us)) : json_null(), "above_us", levels,
                     "throttled_us", cli_json_u64(s->throttled_us), "held_us", cli_json_u64(s->held_us),
                     "not_ready_us", cli_json_u64(s->down_us), "interventions", counts, "recycles",
                     cli_json_u64(s->recycles), "memory_failures", cli_json_u64(s->failures));
}

static json_t *json_unit(const struct report *r, uint16_t unit)
{
    const struct unit_policy *p = &r->attempt->policy.units[unit];
    const struct whatif_difference *d = whatif_difference(r->attempt->model, unit);
    char text[PARTED_MAX];
    json_t *levels = json_object();
    for (int level = 0; level < WHATIF_LEVEL_COUNT; level++)
        if (whatif_level_bytes(p, level) != UINT64_MAX)
            json_object_set_new(levels, whatif_level_name(level), cli_json_u64(whatif_level_bytes(p, level)));
    return json_pack(
        "{s:s, s:o, s:o, s:b, s:o, s:o, s:o, s:o}", "unit", r->names[unit], "memory_max",
        cli_json_u64(p->memory_max_bytes), "levels", levels, "left_record", d->is_there,
        "counterfactual_from_us", d->is_there ? cli_json_u64(since_begin(r, d->t_us)) : json_null(),
        "counterfactual_because", d->is_there ? json_string(say_parted(r, unit, text)) : json_null(), "fact",
        json_sum(r, unit, false), "model", json_sum(r, unit, true));
}

static json_t *json_input(const struct replay_input *in)
{
    const struct trace_log *t = &in->trace;
    if (!in->path)
        return json_pack("{s:o, s:o, s:o, s:o}", "run", cli_json_u64(in->run), "readings",
                         cli_json_u64(in->samples), "events", cli_json_u64(in->events), "samples_lost",
                         cli_json_u64(in->samples_lost));
    return json_pack("{s:s, s:o, s:o, s:o, s:o}", "trace", in->path, "length_us",
                     cli_json_u64(t->rows[t->count - 1].t_us - t->rows[0].t_us), "readings",
                     cli_json_u64(t->count), "holes", cli_json_u64(t->holes), "missing",
                     cli_json_u64(t->missing));
}

static void print_json(struct report *r)
{
    json_t *units = json_array();
    for (uint16_t i = 0; i < r->attempt->policy.unit_count; i++)
        if (r->unit == UNIT_NONE || r->unit == i)
            json_array_append_new(units, json_unit(r, i));
    json_t *o =
        json_pack("{s:o, s:s, s:O, s:o, s:o}", "input", json_input(r->attempt->in), "config", r->config_path,
                  "decisions", r->decisions, "units", units, "assumed", assumptions(r));
    json_dumpf(o, stdout, JSON_INDENT(2));
    (void)fputc('\n', stdout);
    json_decref(o);
}

void report_end(struct report *r, bool complete)
{
    if (complete)
        part(r, UINT64_MAX, UNIT_NONE);
    if (r->table)
        table_end(r->table, "nothing would have been done");
    if (complete && r->format == CLI_FORMAT_TABLE)
        print_sums(r);
    else if (complete && r->format == CLI_FORMAT_JSON)
        print_json(r);
    if (r->decisions)
        json_decref(r->decisions);
    free(r->parted);
}
