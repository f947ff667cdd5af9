/* SPDX-License-Identifier: MIT */
/*
 * An event as one sentence for the time line. One small function a kind, found through `narrators`.
 * Invariant: the same event gives the same bytes; what was not read is not told.
 */
#include "weir/model/event.h"

#include <inttypes.h>

#include "codec.h"

static const char *unit_name(uint16_t unit, const char *const *names)
{
    return unit == UNIT_NONE ? "weir" : names[unit];
}

static void put_size(struct text_out *o, const char *before, uint64_t bytes)
{
    char text[METRIC_FORMAT_MAX];
    text_put(o, "%s%s", before, decision_metric_format(METRIC_MEMORY_CURRENT, bytes, text));
}

/* ", threads 124"; nothing when the figure was not read. */
static void put_count(struct text_out *o, const struct sample *s, enum sample_field field)
{
    if (sample_has(s, field)) {
        text_put(o, ", %s ", sample_field_info(field)->name);
        text_put_number(o, s->value[field]);
    }
}

static void say_run(struct text_out *o, const struct event *e, const char *const *names)
{
    (void)e, (void)names;
    text_put(o, "the supervisor began");
}

static void say_sample(struct text_out *o, const struct event *e, const char *const *names)
{
    const struct sample *s = &e->sample;
    text_put(o, "%s: ", unit_name(e->unit, names));
    if (sample_has(s, SAMPLE_MEMORY_CURRENT))
        put_size(o, "memory ", s->value[SAMPLE_MEMORY_CURRENT]);
    else if (sample_has(s, SAMPLE_RSS))
        put_size(o, "resident ", s->value[SAMPLE_RSS]);
    else
        text_put(o, "memory not read");
    if (sample_has(s, SAMPLE_MEMORY_MAX) && s->value[SAMPLE_MEMORY_MAX] != UINT64_MAX)
        put_size(o, " of ", s->value[SAMPLE_MEMORY_MAX]);
    put_count(o, s, SAMPLE_PROCESSES);
    put_count(o, s, SAMPLE_THREADS);
    if (s->missed_ticks)
        text_put(o, ", ticks missed before it %" PRIu32, s->missed_ticks);
}

static void say_deadline(struct text_out *o, const struct event *e, const char *const *names)
{
    (void)e, (void)names;
    text_put(o, "a deadline came");
}

static void say_arrived(struct text_out *o, const struct event *e, const char *const *names)
{
    text_put(o, "a command for %s asks to run, pid %" PRId32, unit_name(e->unit, names), e->arrived.pid);
    if (e->arrived.via != UNIT_NONE)
        text_put(o, ", started by %s", names[e->arrived.via]);
}

static void say_spawned(struct text_out *o, const struct event *e, const char *const *names)
{
    static const char *const how[EVENT_HOW_COUNT] = {
        [EVENT_HOW_SPAWNED] = "started",
        [EVENT_HOW_WRAPPED] = "was started by its server",
        [EVENT_HOW_ADOPTED] = "was found running",
    };
    text_put(o, "%s %s, pid %" PRId32, unit_name(e->unit, names),
             (unsigned)e->spawned.how < EVENT_HOW_COUNT ? how[e->spawned.how] : "?", e->spawned.pid);
    if (e->spawned.ready)
        text_put(o, ", ready before");
    if (e->spawned.frozen)
        text_put(o, ", still frozen by an operator");
}

static void say_spawn_failed(struct text_out *o, const struct event *e, const char *const *names)
{
    text_put(o, "%s could not be started: ", unit_name(e->unit, names));
    text_put_errno(o, e->error);
}

static void say_ready(struct text_out *o, const struct event *e, const char *const *names)
{
    text_put(o, "%s is ready", unit_name(e->unit, names));
}

static void say_exited(struct text_out *o, const struct event *e, const char *const *names)
{
    const struct event_exit *x = &e->exit;
    text_put(o, "%s ", unit_name(e->unit, names));
    if (!x->status_known) {
        text_put(o, "ended, status visible to its parent only");
    } else if (x->signal) {
        text_put(o, "was ended by signal ");
        text_put_signal(o, x->signal);
    } else {
        text_put(o, "exited with code %" PRId32, x->code);
    }
    if (x->oom_kills)
        text_put(o, "; kernel OOM kills %" PRIu64, x->oom_kills);
    if (x->pids_refused)
        text_put(o, "; forks refused at its pids limit %" PRIu64, x->pids_refused);
}

static void say_empty(struct text_out *o, const struct event *e, const char *const *names)
{
    text_put(o, "no process is left in %s", unit_name(e->unit, names));
}

static void say_cleaned(struct text_out *o, const struct event *e, const char *const *names)
{
    text_put(o, "the cgroup of %s ", unit_name(e->unit, names));
    if (e->error == 0) {
        text_put(o, "is removed");
    } else {
        text_put(o, "could not be removed: ");
        text_put_errno(o, e->error);
        text_put(o, ", ignoring");
    }
}

static void say_operator(struct text_out *o, const struct event *e, const char *const *names)
{
    text_put(o, "operator (uid %" PRIu32 ") asks to %s %s", e->operator_.uid,
             event_verb_name(e->operator_.verb), unit_name(e->unit, names));
}

static void say_outcome(struct text_out *o, const struct event *e, const char *const *names)
{
    static const char *const result[EVENT_RESULT_COUNT] = {
        [EVENT_RESULT_DONE] = "was carried out",
        [EVENT_RESULT_FAILED] = "failed",
        [EVENT_RESULT_UNSUPPORTED] = "cannot be carried out on this host",
        [EVENT_RESULT_PARTIAL] = "was carried out in part",
    };
    text_put(o, "decision %" PRIu64 " on %s %s", e->outcome.decision_id, unit_name(e->unit, names),
             (unsigned)e->outcome.result < EVENT_RESULT_COUNT ? result[e->outcome.result] : "?");
    if (e->outcome.error) {
        text_put(o, ": ");
        text_put_errno(o, e->outcome.error);
    }
}

static void say_gate_lost(struct text_out *o, const struct event *e, const char *const *names)
{
    text_put(o, "no gate stands on the pipe of %s any more", unit_name(e->unit, names));
}

static void say_policy(struct text_out *o, const struct event *e, const char *const *names)
{
    text_put(o, "the policy of %s was changed", unit_name(e->unit, names));
}

static void say_shutdown(struct text_out *o, const struct event *e, const char *const *names)
{
    (void)e, (void)names;
    text_put(o, "shutdown was asked for");
}

static void (*const narrators[EVENT_KIND_COUNT])(struct text_out *, const struct event *,
                                                 const char *const *) = {
    [EVENT_RUN] = say_run,
    [EVENT_SAMPLE] = say_sample,
    [EVENT_DEADLINE] = say_deadline,
    [EVENT_ARRIVED] = say_arrived,
    [EVENT_SPAWNED] = say_spawned,
    [EVENT_SPAWN_FAILED] = say_spawn_failed,
    [EVENT_READY] = say_ready,
    [EVENT_EXITED] = say_exited,
    [EVENT_EMPTY] = say_empty,
    [EVENT_CLEANED] = say_cleaned,
    [EVENT_OPERATOR] = say_operator,
    [EVENT_OUTCOME] = say_outcome,
    [EVENT_GATE_LOST] = say_gate_lost,
    [EVENT_POLICY] = say_policy,
    [EVENT_SHUTDOWN] = say_shutdown,
};

const char *event_narrate(const struct event *e, const char *const *unit_names, char *buf, size_t size)
{
    struct text_out o = text_begin(buf, size);
    if ((unsigned)e->kind < EVENT_KIND_COUNT)
        narrators[e->kind](&o, e, unit_names);
    return buf;
}
