/* SPDX-License-Identifier: MIT */
/*
 * The status document: one JSON object for `weir status`, its --json, and whoever asks the control socket.
 * Figures a unit does not have are left out, never 0.
 */
#include "supervisor.h"

#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "gates.h"
#include "weir/gate/link.h"

static void set_value(json_t *object, const char *key, const struct sample *s, enum sample_field field)
{
    if (sample_has(s, field) && s->value[field] != UINT64_MAX)
        (void)json_object_set_new(object, key, json_integer((json_int_t)s->value[field]));
}

/* A file's name may be any bytes; JSON is UTF-8. */
static json_t *any_string(const char *text)
{
    json_t *string = json_string(text);
    if (string)
        return string;
    char ascii[PATH_MAX];
    (void)snprintf(ascii, sizeof(ascii), "%s", text);
    for (char *p = ascii; *p; p++)
        if ((unsigned char)*p >= 0x80)
            *p = '?';
    return json_string(ascii);
}

static void set_pressure(json_t *unit, const struct unit_runtime *u)
{
    static const struct {
        const char *key;
        enum sample_field some, full;
    } rows[] = {{"memory", SAMPLE_MEMORY_SOME, SAMPLE_MEMORY_FULL},
                {"cpu", SAMPLE_CPU_SOME, SAMPLE_CPU_FULL},
                {"io", SAMPLE_IO_SOME, SAMPLE_IO_FULL}};
    json_t *pressure = json_object();
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int64_t some = sampling_pressure(u, rows[i].some), full = sampling_pressure(u, rows[i].full);
        json_t *row = json_object();
        if (some >= 0)
            (void)json_object_set_new(row, "some_permyriad", json_integer(some));
        if (full >= 0)
            (void)json_object_set_new(row, "full_permyriad", json_integer(full));
        (void)json_object_set_new(pressure, rows[i].key, row);
    }
    (void)json_object_set_new(unit, "pressure", pressure);
}

static void set_reading(json_t *unit, const struct unit_runtime *u)
{
    static const enum sample_field fields[] = {
        SAMPLE_MEMORY_CURRENT, SAMPLE_MEMORY_PEAK,  SAMPLE_MEMORY_MAX,      SAMPLE_MEMORY_HIGH,
        SAMPLE_MEMORY_SWAP,    SAMPLE_PIDS_CURRENT, SAMPLE_PIDS_MAX,        SAMPLE_PIDS_EVENTS_MAX,
        SAMPLE_EVENTS_MAX,     SAMPLE_EVENTS_HIGH,  SAMPLE_EVENTS_OOM_KILL, SAMPLE_CPU_USAGE,
        SAMPLE_FROZEN,
    };
    json_t *reading = json_object();
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
        set_value(reading, sample_field_info(fields[i])->name, &u->last, fields[i]);
    /* process table figures come with the ticks */
    set_value(reading, "processes", &u->tick[1], SAMPLE_PROCESSES);
    set_value(reading, "threads", &u->tick[1], SAMPLE_THREADS);
    set_value(reading, "rss", &u->tick[1], SAMPLE_RSS);
    (void)json_object_set_new(unit, "reading", reading);
    set_pressure(unit, u);
}

/* Names of the rules that have begun on it. */
static json_t *rules_json(const struct supervisor *s, uint64_t active)
{
    json_t *names = json_array();
    for (uint32_t i = 0; i < s->policy.rule_count; i++)
        if (active >> i & 1)
            (void)json_array_append_new(names, json_string(s->policy.rules[i].name));
    return names;
}

static json_t *notes_json(const struct gate_state *state)
{
    static const char *const names[GATE_NOTE_COUNT] = {
#define X(id, name, text) [GATE_NOTE_##id] = name,
        GATE_NOTES(X)
#undef X
    };
    json_t *notes = json_object();
    for (size_t i = 0; i < GATE_NOTE_COUNT; i++)
        if (state->notes[i])
            (void)json_object_set_new(notes, names[i], json_integer((json_int_t)state->notes[i]));
    return notes;
}

/* "gates": 0: none is connected, the other figures are absent. */
static json_t *gate_json(const struct unit_runtime *u)
{
    static const char *const orders[GATE_ORDER_COUNT] = {[GATE_ORDER_RELEASE] = "release",
                                                         [GATE_ORDER_PACE] = "pace",
                                                         [GATE_ORDER_HOLD] = "hold",
                                                         [GATE_ORDER_DRAIN] = "drain"};
    struct gate_state state;
    unsigned count = gates_state(u, &state);
    if (count == 0)
        return json_pack("{s:i}", "gates", 0);
    json_t *gate = json_pack("{s:i, s:I, s:I, s:I, s:I, s:s, s:I, s:I, s:I, s:I, s:o}", "gates", (int)count,
                             "inflight", (json_int_t)state.inflight, "waiting", (json_int_t)state.waiting,
                             "queued", (json_int_t)state.queued, "queued_us", (json_int_t)state.queued_us,
                             "order", state.order < GATE_ORDER_COUNT ? orders[state.order] : "?", "calls",
                             (json_int_t)state.calls, "answers", (json_int_t)state.answers, "errors",
                             (json_int_t)state.errors, "resident_bytes", (json_int_t)state.resident_bytes,
                             "notes", notes_json(&state));
    if (state.latency_p99_us != UINT64_MAX)
        (void)json_object_set_new(gate, "latency_p99_us", json_integer((json_int_t)state.latency_p99_us));
    return gate;
}

static json_t *unit_json(struct supervisor *s, uint16_t i)
{
    const struct unit_runtime *u = &s->units[i];
    const struct unit_policy *p = &s->policy_units[i];
    struct unit_view view;
    engine_unit_view(s->engine, i, &view);
    uint64_t now = now_us();
    json_t *unit = json_pack(
        "{s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:s, s:b, s:b}", "name", s->unit_names[i], "kind",
        p->kind == UNIT_KIND_WRAPPED ? "wrapped" : "service", "state", unit_state_name(view.state), "mode",
        p->mode == UNIT_MODE_OBSERVE ? "observe" : "act", "state_since_us",
        (json_int_t)(now > view.state_since_us && view.state_since_us ? now - view.state_since_us : 0),
        "generation", (json_int_t)view.generation, "pid", (json_int_t)u->pid, "ladder",
        ladder_step_name(view.step), "frozen", view.frozen, "recycling_off", view.recycling_off);
    if (!unit)
        return NULL;
    (void)json_object_set_new(unit, "restarts",
                              json_pack("{s:I, s:I, s:I, s:I}", "failure", (json_int_t)view.failure_restarts,
                                        "recycle", (json_int_t)view.recycles, "operator",
                                        (json_int_t)view.operator_restarts, "failures_in_window",
                                        (json_int_t)view.failures));
    (void)json_object_set_new(unit, "ticks",
                              json_pack("{s:I, s:I, s:I}", "samples", (json_int_t)u->ticks_total, "skipped",
                                        (json_int_t)u->ticks_missed, "late_max_us",
                                        (json_int_t)u->late_max_us));
    if (view.rules_active)
        (void)json_object_set_new(unit, "rules", rules_json(s, view.rules_active));
    if (view.growth_bytes_per_s)
        (void)json_object_set_new(unit, "growth_bytes_per_s",
                                  json_integer((json_int_t)view.growth_bytes_per_s));
    if (view.eta_us != USEC_INFINITY)
        (void)json_object_set_new(unit, "eta_us", json_integer((json_int_t)view.eta_us));
    if (p->memory_max_bytes != UINT64_MAX)
        (void)json_object_set_new(unit, "memory_max", json_integer((json_int_t)p->memory_max_bytes));
    if (u->config->gate != CONFIG_GATE_NONE || u->gated)
        (void)json_object_set_new(unit, "gate", gate_json(u));
    if (u->status_text[0])
        (void)json_object_set_new(unit, "status_text", json_string(u->status_text));
    if (u->cgroup) {
        (void)json_object_set_new(unit, "cgroup", any_string(u->cgroup->ops->unit_path(u->cgroup)));
        set_reading(unit, u);
    }
    return unit;
}

static json_t *store_json(struct supervisor *s)
{
    struct store_status status;
    store_get_status(s->store, &status);
    json_t *store = json_pack(
        "{s:I, s:I, s:I, s:I, s:I}", "samples_written", (json_int_t)status.samples_written, "samples_dropped",
        (json_int_t)status.samples_dropped, "decisions_written", (json_int_t)status.decisions_written,
        "queued", (json_int_t)status.queued, "file_bytes", (json_int_t)status.file_bytes);
    if (status.problem[0] && status.failing_since_us)
        (void)json_object_set_new(store, "problem", any_string(status.problem));
    return store;
}

char *status_json(struct supervisor *s)
{
    struct store_status store;
    store_get_status(s->store, &store);
    json_t *root = json_pack("{s:s, s:s, s:i, s:I, s:I, s:s, s:s, s:o, s:o, s:[]}", "supervisor",
                             s->config->name, "version", WEIR_VERSION, "pid", (int)getpid(), "run",
                             (json_int_t)store.run, "uptime_us", (json_int_t)(now_us() - s->started_us),
                             "layout", host_layout_name(s->info.layout), "kernel", s->info.kernel, "config",
                             any_string(s->config->path), "history", store_json(s), "units");
    json_t *units = json_object_get(root, "units");
    for (uint16_t i = 0; units && i < s->unit_count; i++) {
        if (!s->policy_units[i].enabled && !s->units[i].cgroup)
            continue; /* removed by a reload, and gone */
        (void)json_array_append_new(units, unit_json(s, i));
    }
    char *text = root ? json_dumps(root, JSON_COMPACT) : NULL;
    json_decref(root);
    return text;
}
