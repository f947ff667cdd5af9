/* SPDX-License-Identifier: MIT */
/* What several commands say in JSON; see json.h. */
#include "json.h"

#include <stdio.h>
#include <time.h>

#include "weir/base/units.h"

const char *cli_iso(uint64_t wall_us, char buf[static CLI_ISO_MAX])
{
    time_t seconds = (time_t)(wall_us / USEC_PER_SEC);
    struct tm tm;
    char date[24], zone[8];
    if (!localtime_r(&seconds, &tm) || !strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm) ||
        strftime(zone, sizeof(zone), "%z", &tm) != 5) {
        (void)snprintf(buf, CLI_ISO_MAX, "@%llu", (unsigned long long)(wall_us / USEC_PER_SEC));
        return buf;
    }
    (void)snprintf(buf, CLI_ISO_MAX, "%s.%03u%.3s:%.2s", date, (unsigned)(wall_us % USEC_PER_SEC / 1000),
                   zone, zone + 3);
    return buf;
}

json_t *cli_json_u64(uint64_t value)
{
    char digits[24];
    if (value <= INT64_MAX)
        return json_integer((json_int_t)value);
    (void)snprintf(digits, sizeof(digits), "%llu", (unsigned long long)value);
    return json_string(value == UINT64_MAX ? "max" : digits);
}

void cli_json_time(json_t *object, uint64_t wall_us)
{
    char iso[CLI_ISO_MAX];
    json_object_set_new(object, "time", json_string(cli_iso(wall_us, iso)));
    json_object_set_new(object, "wall_us", cli_json_u64(wall_us));
}

static void set_u64(json_t *object, const char *key, uint64_t value)
{
    json_object_set_new(object, key, cli_json_u64(value));
}

static void set_text(json_t *object, const char *key, const char *text)
{
    json_object_set_new(object, key, json_string(text));
}

json_t *cli_json_processes(const struct sample *s)
{
    json_t *list = json_array();
    for (uint32_t i = 0; i < s->top_count && i < SAMPLE_TOP_MAX; i++) {
        json_t *p = json_object();
        set_u64(p, "pid", (uint64_t)s->top[i].pid);
        /* a process may give itself a name that is no UTF-8 */
        json_t *comm = json_string(s->top[i].comm);
        json_object_set_new(p, "comm", comm ? comm : json_null());
        set_u64(p, "threads", s->top[i].threads);
        set_u64(p, "rss", s->top[i].rss_bytes);
        set_u64(p, "vsz", s->top[i].vsz_bytes);
        json_array_append_new(list, p);
    }
    return list;
}

static void set_sample(json_t *o, const struct event *e)
{
    const struct sample *s = &e->sample;
    set_text(o, "cause", sample_cause_name(s->cause));
    set_u64(o, "late_us", s->late_us);
    set_u64(o, "missed_ticks", s->missed_ticks);
    for (int f = 0; f < SAMPLE_FIELD_COUNT; f++)
        if (sample_has(s, f))
            set_u64(o, sample_field_info(f)->name, s->value[f]);
    json_object_set_new(o, "top", cli_json_processes(s));
}

static void set_event(json_t *o, const struct store_row *row)
{
    char text[EVENT_TEXT_MAX];
    const struct event *e = &row->event;
    set_u64(o, "seq", e->seq);
    set_u64(o, "t_us", e->t_us);
    set_u64(o, "generation", e->generation);
    if (e->kind == EVENT_SAMPLE) {
        set_sample(o, e);
        return;
    }
    if (e->kind == EVENT_KIND_COUNT)
        return;
    set_text(o, "kind", event_kind_name(e->kind));
    if (event_format(e, row->unit_names, text, sizeof(text)) > 0)
        set_text(o, "line", text);
    set_text(o, "text", event_narrate(e, row->unit_names, text, sizeof(text)));
}

static json_t *rejections(uint32_t mask)
{
    json_t *list = json_array();
    for (int i = 0; i < REJECTED_COUNT; i++)
        if (mask >> i & 1)
            json_array_append_new(list, json_string(decision_rejection_text(i)));
    return list;
}

static const char *class_name(enum decision_class class)
{
    switch (class) {
    case DECISION_CLASS_INTERVENTION:
        return "intervention";
    case DECISION_CLASS_STEP:
        return "step";
    case DECISION_CLASS_MARK:
        return "mark";
    }
    return "";
}

void cli_json_decision(json_t *o, const struct decision *d, const char *const *unit_names)
{
    char text[DECISION_TEXT_MAX];
    set_u64(o, "id", d->id);
    set_u64(o, "event_seq", d->event_seq);
    set_u64(o, "t_us", d->t_us);
    set_u64(o, "cause_id", d->cause_id);
    set_u64(o, "generation", d->generation);
    set_text(o, "kind", decision_kind_name(d->kind));
    set_text(o, "class", class_name(decision_kind_class(d->kind)));
    set_text(o, "rule", d->rule);
    set_text(o, "reason", decision_reason_name(d->reason));
    set_text(o, "metric", decision_metric_name(d->metric));
    set_u64(o, "observed", d->observed);
    set_u64(o, "threshold", d->threshold);
    set_u64(o, "held_us", d->held_us);
    json_object_set_new(o, "amount",
                        json_pack("[o, o]", cli_json_u64(d->amount[0]), cli_json_u64(d->amount[1])));
    json_object_set_new(o, "rejected", rejections(d->rejected));
    json_object_set_new(o, "observe", json_boolean(d->observe));
    if (d->shape != SHAPE_NONE) {
        set_text(o, "shape", decision_shape_name(d->shape));
        set_u64(o, "shape_bytes", d->shape_bytes);
        set_u64(o, "shape_us", d->shape_us);
    }
    set_text(o, "text", decision_narrate(d, unit_names, text, sizeof(text)));
}

json_t *cli_json_row(const struct store_row *row)
{
    json_t *o = json_object();
    bool sample = row->type == STORE_ROW_EVENT && row->event.kind == EVENT_SAMPLE;
    static const char *const types[] = {"event", "decision", "mark", "gap"};
    set_text(o, "type", sample ? "sample" : types[row->type]);
    set_u64(o, "run", row->run);
    cli_json_time(o, row->wall_us);
    set_text(o, "unit", row->unit);
    switch (row->type) {
    case STORE_ROW_EVENT:
        set_event(o, row);
        break;
    case STORE_ROW_DECISION:
        cli_json_decision(o, &row->decision, row->unit_names);
        break;
    case STORE_ROW_GAP:
        set_u64(o, "gap_us", row->gap_us);
        set_u64(o, "samples_lost", row->gap_count);
        set_text(o, "text", row->text);
        break;
    case STORE_ROW_MARK:
        set_text(o, "text", row->text);
        break;
    }
    return o;
}
