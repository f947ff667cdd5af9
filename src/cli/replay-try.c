/* SPDX-License-Identifier: MIT */
/*
 * One policy tried on one input: the config's policy in the input's order of units, then the input fed to the model.
 *
 * A trace has no decisions and no host: the host assumed is a unified one that can do everything but what takes a gate,
 * and the life that was recorded begins, and is ready, with its first reading. A run has its own host's abilities on
 * record.
 */
#include "replay-try.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "weir/base/cleanup.h"
#include "weir/base/units.h"
#include "weir/host/host.h"

#define TRACE_ABILITIES                                                                                      \
    (ABILITY_MEMORY_MAX | ABILITY_MEMORY_HIGH | ABILITY_CPU_MAX | ABILITY_FREEZE | ABILITY_KILL |            \
     ABILITY_PRESSURE | ABILITY_NOTIFY | ABILITY_RECLAIM)

static int out_of_memory(void)
{
    fputs("weir replay: out of memory\n", stderr);
    return CLI_EXIT_FAILED;
}

void attempt_deinit(struct attempt *a)
{
    whatif_free(a->model);
    record_deinit(&a->record);
    free(a->policy.units);
    free(a->policy.rules);
    free(a->units);
    free(a->left_out);
    free(a->recorded);
    *a = (struct attempt){0};
}

/* The config's own policy, in its own order. */
static int resolve(struct attempt *a, struct config *config, struct policy *ret)
{
    bool shares = false;
    for (uint32_t i = 0; i < config->unit_count; i++)
        shares = shares || config->units[i].memory_max.is_share || config->units[i].memory_high.is_share;
    struct host_info info = {0};
    struct err err = ERR_NULL;
    if (shares && host_detect(&info, &err) < 0) {
        fprintf(stderr, "weir replay: a share of this machine's memory is asked for: %s\n", err.text);
        return CLI_EXIT_FAILED;
    }
    a->machine_bytes = info.memory_total_bytes;
    config_resolve(config, info.memory_total_bytes, NULL, ret);
    return 0;
}

static const struct unit_policy *find(const struct policy *p, const char *name, uint16_t *ret_index)
{
    for (uint16_t i = 0; i < p->unit_count; i++)
        if (strcmp(p->units[i].name, name) == 0) {
            *ret_index = i;
            return &p->units[i];
        }
    return NULL;
}

/* Which units come after which, by the input's indices. */
static void translate_after(const struct attempt *a, const struct policy *own, struct unit_policy *p)
{
    uint16_t count = 0, index;
    for (uint16_t i = 0; i < p->after_count; i++)
        if (find(&a->policy, own->units[p->after[i]].name, &index))
            p->after[count++] = index;
    p->after_count = count;
}

static void fill_trace(struct attempt *a, const struct unit_policy *chosen)
{
    a->policy.unit_count = 1;
    a->policy.units[0] = *chosen;
    a->policy.units[0].after_count = 0;
    a->policy.units[0].abilities = TRACE_ABILITIES;
    a->units[0].server = UNIT_NONE;
    a->units[0].recorded_max_bytes = chosen->memory_max_bytes;
    for (int h = 0; h < WHATIF_HABIT_COUNT; h++)
        a->units[0].habits[h] = whatif_habit_default(h);
}

static void fill_run_unit(struct attempt *a, const struct policy *own, uint16_t i)
{
    const struct unit_policy *then = &a->record.policy.units[i];
    uint16_t index;
    const struct unit_policy *now = find(own, then->name, &index);
    a->left_out[i] = !now;
    a->policy.units[i] = now ? *now : *then;
    a->policy.units[i].enabled = now && then->enabled;
    a->policy.units[i].rules = now ? now->rules : 0;
    a->policy.units[i].abilities = then->abilities;
    a->units[i].server = a->in->usual[i].server;
    a->units[i].recorded_max_bytes = then->memory_max_bytes;
    for (int h = 0; h < WHATIF_HABIT_COUNT; h++)
        a->units[i].habits[h] = usual_time(&a->in->usual[i], h);
}

static void fill_run(struct attempt *a, const struct policy *own)
{
    a->policy.seed = a->record.policy.seed;
    a->policy.unit_count = a->record.policy.unit_count;
    for (uint32_t i = 0; i < a->policy.unit_count; i++)
        fill_run_unit(a, own, (uint16_t)i);
    for (uint32_t i = 0; i < a->policy.unit_count; i++)
        if (!a->left_out[i])
            translate_after(a, own, &a->policy.units[i]);
        else
            a->policy.units[i].after_count = 0;
}

static int open_record(struct attempt *a)
{
    int e = a->in->path ? 0 : record_init(&a->record, a->in->query.reader, a->in->run);
    if (e == -ENODATA)
        fprintf(stderr,
                "weir replay: run %" PRIu64
                ": nothing to replay, it was cut off before its policy was on record\n",
                a->in->run);
    else if (e == -EINVAL)
        fprintf(stderr,
                "weir replay: the policy of run %" PRIu64 " is not understood: another version wrote it\n",
                a->in->run);
    else if (e < 0)
        return cli_read_failed(&a->in->query, e);
    if (e == 0 && !a->in->path && a->record.policy.unit_count > a->in->name_count)
        e = -EINVAL;
    return e < 0 ? CLI_EXIT_FAILED : 0;
}

int attempt_init(struct attempt *a, const struct replay_input *in, struct config *config, const char *unit)
{
    *a = (struct attempt){.in = in};
    int r = open_record(a);
    if (r)
        return r;
    size_t count = in->path ? 1 : in->name_count;
    _cleanup_free_ struct unit_policy *own_units = calloc(config->unit_count, sizeof(*own_units));
    a->policy.units = calloc(count, sizeof(*a->policy.units));
    a->policy.rules = calloc(RULES_MAX, sizeof(*a->policy.rules));
    a->units = calloc(count, sizeof(*a->units));
    a->left_out = calloc(count, sizeof(*a->left_out));
    if (!own_units || !a->policy.units || !a->policy.rules || !a->units || !a->left_out)
        return out_of_memory();
    struct policy own = {.units = own_units, .rules = a->policy.rules};
    r = resolve(a, config, &own);
    if (r)
        return r;
    struct unit_policy *units = a->policy.units;
    uint16_t index;
    a->policy = own;
    a->policy.units = units;
    if (in->path)
        fill_trace(a, find(&own, unit, &index));
    else
        fill_run(a, &own);
    return 0;
}

/* --- feeding -------------------------------------------------------------------------------------- */

static int feed(struct attempt *a, const struct event *e, bool taken_as_given)
{
    struct whatif_input in = {
        .event = e, .recorded_deadline_us = USEC_INFINITY, .taken_as_given = taken_as_given};
    return whatif_feed(a->model, &in);
}

/* The life that was watched begins with its first reading. */
static int begin_trace(struct attempt *a, uint64_t t_us)
{
    struct event e = {.seq = 1, .t_us = t_us, .kind = EVENT_RUN, .unit = UNIT_NONE};
    int r = feed(a, &e, true);
    bool wrapped = a->policy.units[0].kind == UNIT_KIND_WRAPPED;
    e = (struct event){.seq = 2, .t_us = t_us, .kind = EVENT_ARRIVED};
    e.arrived.via = UNIT_NONE;
    if (r == 0 && wrapped)
        r = feed(a, &e, true);
    e = (struct event){.seq = 3, .t_us = t_us, .kind = EVENT_SPAWNED, .generation = 1};
    e.spawned.pid = 1;
    e.spawned.how = wrapped ? EVENT_HOW_WRAPPED : EVENT_HOW_SPAWNED;
    if (r == 0)
        r = feed(a, &e, true);
    e = (struct event){.seq = 4, .t_us = t_us, .kind = EVENT_READY, .generation = 1};
    return r == 0 ? feed(a, &e, true) : r;
}

static int feed_trace(struct attempt *a)
{
    const struct trace_log *t = &a->in->trace;
    int r = begin_trace(a, t->rows[0].t_us);
    for (size_t i = 0; r == 0 && i < t->count; i++) {
        const struct trace_row *row = &t->rows[i];
        struct event e = {.seq = 5 + i, .t_us = row->t_us, .kind = EVENT_SAMPLE, .generation = 1};
        e.sample.t_us = row->t_us;
        sample_set(&e.sample, SAMPLE_MEMORY_CURRENT, row->rss_bytes);
        sample_set(&e.sample, SAMPLE_RSS, row->rss_bytes);
        sample_set(&e.sample, SAMPLE_VSZ, row->vsz_bytes);
        sample_set(&e.sample, SAMPLE_THREADS, row->threads);
        r = feed(a, &e, false);
    }
    return r == 0 ? whatif_end(a->model, t->rows[t->count - 1].t_us, USEC_INFINITY) : r;
}

/* The event at hand with all that was decided on it, to both. */
static int flush_event(struct attempt *a)
{
    if (!a->has_event)
        return 0;
    struct whatif_input in = {
        .event = &a->event,
        .recorded = a->recorded,
        .recorded_count = a->recorded_count,
        .recorded_deadline_us = engine_next_deadline(a->record.engine),
    };
    int r = whatif_feed(a->model, &in);
    if (r == 0)
        r = record_step(&a->record, &a->event);
    a->has_event = false;
    a->recorded_count = 0;
    return r;
}

static int keep_decision(struct attempt *a, const struct decision *d)
{
    if (a->recorded_count == a->recorded_room) {
        size_t room = a->recorded_room ? 2 * a->recorded_room : 16;
        struct decision *list = realloc(a->recorded, room * sizeof(*list));
        if (!list)
            return -ENOMEM;
        a->recorded = list;
        a->recorded_room = room;
    }
    a->recorded[a->recorded_count++] = *d;
    return 0;
}

static int on_row(void *user, const struct store_row *row)
{
    struct attempt *a = user;
    if (row->type == STORE_ROW_DECISION)
        return a->has_event && row->decision.event_seq == a->event.seq ? keep_decision(a, &row->decision) : 0;
    int r = flush_event(a);
    if (r == 0 && row->event.kind == EVENT_KIND_COUNT)
        r = -ENOTSUP;
    a->event = row->event;
    a->has_event = r == 0;
    return r;
}

static int feed_run(struct attempt *a)
{
    int r = store_read_replay(a->in->query.reader, a->in->run, on_row, a);
    if (r == 0)
        r = flush_event(a);
    return r == 0 ? whatif_end(a->model, a->event.t_us, engine_next_deadline(a->record.engine)) : r;
}

int attempt_run(struct attempt *a, whatif_fn *on_decision, void *user)
{
    struct whatif_options o = {
        .policy = &a->policy,
        .units = a->units,
        /* one and a half intervals: later than a late reading, sooner than the one after a missing one */
        .hole_us = (a->in->path ? a->in->trace.spacing_us : a->record.policy.interval_us) / 2 * 3,
        .on_decision = on_decision,
        .user = user,
    };
    if (whatif_new(&o, &a->model) < 0)
        return out_of_memory();
    int r = a->in->path ? feed_trace(a) : feed_run(a);
    if (r == -ENOTSUP || r == -EINVAL)
        fprintf(stderr,
                "weir replay: run %" PRIu64 ": event seq %" PRIu64
                " was recorded by a weir of another version\n",
                a->in->run, a->event.seq);
    else if (r < 0 && a->in->path)
        return out_of_memory();
    else if (r < 0)
        return cli_read_failed(&a->in->query, r);
    return r ? CLI_EXIT_FAILED : 0;
}
