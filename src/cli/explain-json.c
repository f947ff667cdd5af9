/* SPDX-License-Identifier: MIT */
/* `weir explain --json`: the same facts, the same rows, the same conclusion. */
#include "explain.h"
#include "history.h"
#include "json.h"

static json_t *rows_json(const struct explain_rows *rows, const struct explain *x)
{
    json_t *list = json_array();
    for (size_t i = 0; i < rows->count; i++) {
        struct store_row row = rows->row[i];
        row.unit_names = x->row.unit_names; /* names live until the next read */
        row.unit_count = x->row.unit_count;
        row.unit = x->unit;
        json_array_append_new(list, cli_json_row(&row));
    }
    return list;
}

static json_t *figure(const struct store_row *row)
{
    if (!row)
        return json_null();
    return json_pack("{s:o, s:o}", "value", cli_json_u64(row->event.sample.value[SAMPLE_MEMORY_CURRENT]),
                     "seq", cli_json_u64(row->event.seq));
}

static void set_stretch(json_t *o, const struct explain_window *w)
{
    static const enum sample_field fields[] = {SAMPLE_MEMORY_SOME, SAMPLE_MEMORY_FULL};
    int64_t growth;
    uint64_t share;
    if (!explain_growth(w, &growth))
        return;
    json_object_set_new(o, "from_seq", cli_json_u64(w->first->event.seq));
    json_object_set_new(o, "to_seq", cli_json_u64(w->last->event.seq));
    json_object_set_new(o, "over_us", cli_json_u64(w->last->t_us - w->first->t_us));
    json_object_set_new(o, "memory.growth", json_integer(growth));
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
        if (history_share(&w->first->event.sample, &w->last->event.sample, fields[i], &share))
            json_object_set_new(o, sample_field_info(fields[i])->name, json_real((double)share / 100));
}

static json_t *window_json(const struct explain_window *w, const struct explain *x)
{
    json_t *stretch = json_object(), *memory = json_object();
    set_stretch(stretch, w);
    json_object_set_new(memory, "first", figure(w->first));
    json_object_set_new(memory, "last", figure(w->last));
    json_object_set_new(memory, "lowest", figure(w->lowest));
    json_object_set_new(memory, "highest", figure(w->highest));
    return json_pack("{s:o, s:o, s:o, s:o}", "generation", cli_json_u64(w->generation), "memory.current",
                     memory, "stretch", stretch, "samples", rows_json(&w->samples, x));
}

static json_t *row_json(const struct explain *x, const struct store_row *row)
{
    bool is_event = row->type == STORE_ROW_EVENT;
    json_t *o = json_pack("{s:o, s:o}", is_event ? "seq" : "decision",
                          cli_json_u64(is_event ? row->event.seq : row->decision.id), "after_us",
                          cli_json_u64(row->t_us - x->row.t_us));
    if (is_event && row->event.kind == EVENT_SAMPLE)
        json_object_set_new(o, "value", cli_json_u64(explain_memory(row)));
    return o;
}

static void set_drain(json_t *o, const struct explain *x)
{
    uint64_t took_us = 0;
    enum decision_reason reason = REASON_NONE;
    enum explain_drain drain = explain_drained(x, &took_us, &reason);
    if (drain == EXPLAIN_DRAIN_NONE)
        return;
    json_t *d = json_pack("{s:s}", "ended", explain_drain_name(drain));
    if (drain != EXPLAIN_DRAIN_OPEN) {
        json_object_set_new(d, "took_us", cli_json_u64(took_us));
        json_object_set_new(d, "reason", json_string(decision_reason_name(reason)));
    }
    json_object_set_new(o, "drain", d);
}

/* The rows that the verdict was made of; after_us counts from the decision. */
static json_t *conclusion_json(const struct explain *x)
{
    const struct explain_judged *j = &x->judged;
    const struct {
        const char *key;
        bool is_there;
        const struct store_row *row;
    } rows[] = {{"reading", j->has_reading, &j->reading},
                {"ready", j->has_ready, &j->ready},
                {"back", j->has_back, &j->back},
                {"ended_by", j->has_end, &j->end_row}};
    char text[EXPLAIN_SENTENCE_MAX];
    json_t *o = json_pack("{s:s, s:s, s:o}", "verdict", explain_verdict_name(x->verdict), "text",
                          explain_sentence(x, text, sizeof(text)), "before", figure(x->before.last));
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (rows[i].is_there)
            json_object_set_new(o, rows[i].key, row_json(x, rows[i].row));
    set_drain(o, x);
    return o;
}

void explain_print_json(const struct explain *x, FILE *out)
{
    struct store_row row = x->row;
    row.unit = x->unit;
    json_t *o = json_pack("{s:o, s:o, s:o, s:o, s:o}", "decision", cli_json_row(&row), "before",
                          window_json(&x->before, x), "steps", rows_json(&x->steps, x), "after",
                          window_json(&x->after, x), "conclusion", conclusion_json(x));
    if (x->rule_text[0])
        json_object_set_new(o, "rule_text", json_string(x->rule_text));
    json_dumpf(o, out, JSON_INDENT(2) | JSON_REAL_PRECISION(8));
    (void)fputc('\n', out);
    json_decref(o);
}
