/* SPDX-License-Identifier: MIT */
/*
 * Events: names, and the lossless text form.
 *
 * A line is "T_US KIND [UNIT] [gen=N] key=value ...". The keys of each kind are rows of `keys`, walked by the
 * codec; only a sample's figures are written by hand here, as their names come from SAMPLE_FIELDS. The
 * sentence for a person is in event_narrate.c.
 *
 * Invariant: event_parse(event_format(e)) is e but for seq, for every event whose enums are in range, whose
 * units are in the table with a name of at least one byte, and whose strings are terminated. What has no
 * meaning is not kept: values without their validity bit, entries of top beyond top_count.
 */
#include "weir/model/event.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "codec.h"
#include "names.h"
#include "weir/base/cleanup.h"

static const char *const kind_names[EVENT_KIND_COUNT] = {
#define X(id, name) [EVENT_##id] = name,
    EVENT_KINDS(X)
#undef X
};

static const char *const how_names[EVENT_HOW_COUNT] = {
    [EVENT_HOW_SPAWNED] = "spawned",
    [EVENT_HOW_WRAPPED] = "wrapped",
    [EVENT_HOW_ADOPTED] = "adopted",
};

static const char *const verb_names[EVENT_VERB_COUNT] = {
    [EVENT_VERB_START] = "start",   [EVENT_VERB_STOP] = "stop",       [EVENT_VERB_RESTART] = "restart",
    [EVENT_VERB_FREEZE] = "freeze", [EVENT_VERB_THAW] = "thaw",       [EVENT_VERB_HOLD] = "hold",
    [EVENT_VERB_PACE] = "pace",     [EVENT_VERB_RELEASE] = "release",
};

static const char *const result_names[EVENT_RESULT_COUNT] = {
    [EVENT_RESULT_DONE] = "done",
    [EVENT_RESULT_FAILED] = "failed",
    [EVENT_RESULT_UNSUPPORTED] = "unsupported",
    [EVENT_RESULT_PARTIAL] = "partial",
};

const char *event_kind_name(enum event_kind kind)
{
    return name_of(kind_names, EVENT_KIND_COUNT, kind);
}

const char *event_verb_name(enum event_verb verb)
{
    return name_of(verb_names, EVENT_VERB_COUNT, verb);
}

const char *event_result_name(enum event_result result)
{
    return name_of(result_names, EVENT_RESULT_COUNT, result);
}

const char *event_how_name(enum event_how how)
{
    return name_of(how_names, EVENT_HOW_COUNT, how);
}

enum event_kind event_kind_by_name(const char *name)
{
    return (enum event_kind)text_find(name, kind_names, EVENT_KIND_COUNT);
}

enum event_verb event_verb_by_name(const char *name)
{
    return (enum event_verb)text_find(name, verb_names, EVENT_VERB_COUNT);
}

enum event_result event_result_by_name(const char *name)
{
    return (enum event_result)text_find(name, result_names, EVENT_RESULT_COUNT);
}

#define AT(member) offsetof(struct event, member)

/* A key of every kind. */
#define ANY_KIND EVENT_KIND_COUNT

struct event_key {
    enum event_kind kind;
    struct codec_key key;
};

/* The canonical order of the text, kind by kind. */
static const struct event_key keys[] = {
    {ANY_KIND, {"gen", CODEC_U32, CODEC_BY_HAND, AT(generation), NULL, 0}},
    {EVENT_SAMPLE,
     {"cause", CODEC_NAME, CODEC_ALWAYS, AT(sample.cause), sample_cause_names, SAMPLE_CAUSE_COUNT}},
    {EVENT_SAMPLE, {"late_us", CODEC_TIME, CODEC_ALWAYS, AT(sample.late_us), NULL, 0}},
    {EVENT_SAMPLE, {"missed", CODEC_U32, 0, AT(sample.missed_ticks), NULL, 0}},
    /* when the reading began, where that is not the event's own time */
    {EVENT_SAMPLE, {"read_us", CODEC_TIME, CODEC_BY_HAND, AT(sample.t_us), NULL, 0}},
    {EVENT_ARRIVED, {"pid", CODEC_I32, CODEC_ALWAYS | CODEC_REQUIRED, AT(arrived.pid), NULL, 0}},
    {EVENT_ARRIVED, {"via", CODEC_UNIT, 0, AT(arrived.via), NULL, 0}},
    {EVENT_ARRIVED, {"ticket", CODEC_NUMBER, CODEC_ALWAYS | CODEC_REQUIRED, AT(arrived.ticket), NULL, 0}},
    {EVENT_SPAWNED, {"pid", CODEC_I32, CODEC_ALWAYS | CODEC_REQUIRED, AT(spawned.pid), NULL, 0}},
    {EVENT_SPAWNED,
     {"how", CODEC_NAME, CODEC_ALWAYS | CODEC_REQUIRED, AT(spawned.how), how_names, EVENT_HOW_COUNT}},
    {EVENT_SPAWNED, {"ready", CODEC_BOOL, 0, AT(spawned.ready), NULL, 0}},
    {EVENT_SPAWNED, {"frozen", CODEC_BOOL, 0, AT(spawned.frozen), NULL, 0}},
    {EVENT_SPAWN_FAILED, {"error", CODEC_I32, CODEC_ALWAYS | CODEC_REQUIRED, AT(error), NULL, 0}},
    {EVENT_EXITED, {"status", CODEC_KNOWN, CODEC_ONE_OF, AT(exit.status_known), NULL, 0}},
    {EVENT_EXITED, {"code", CODEC_I32, CODEC_ONE_OF, AT(exit.code), NULL, 0}},
    {EVENT_EXITED, {"signal", CODEC_I32, CODEC_ONE_OF, AT(exit.signal), NULL, 0}},
    {EVENT_EXITED, {"oom_kills", CODEC_NUMBER, CODEC_ALWAYS, AT(exit.oom_kills), NULL, 0}},
    {EVENT_EXITED, {"pids_refused", CODEC_NUMBER, CODEC_ALWAYS, AT(exit.pids_refused), NULL, 0}},
    {EVENT_CLEANED, {"error", CODEC_I32, 0, AT(error), NULL, 0}},
    {EVENT_OPERATOR,
     {"verb", CODEC_NAME, CODEC_ALWAYS | CODEC_REQUIRED, AT(operator_.verb), verb_names, EVENT_VERB_COUNT}},
    {EVENT_OPERATOR, {"uid", CODEC_U32, CODEC_ALWAYS, AT(operator_.uid), NULL, 0}},
    {EVENT_OPERATOR, {"inflight", CODEC_U32, 0, AT(operator_.inflight), NULL, 0}},
    {EVENT_OPERATOR, {"every", CODEC_TIME, 0, AT(operator_.interval_us), NULL, 0}},
    {EVENT_OUTCOME,
     {"decision", CODEC_NUMBER, CODEC_ALWAYS | CODEC_REQUIRED, AT(outcome.decision_id), NULL, 0}},
    {EVENT_OUTCOME,
     {"result", CODEC_NAME, CODEC_ALWAYS | CODEC_REQUIRED, AT(outcome.result), result_names,
      EVENT_RESULT_COUNT}},
    {EVENT_OUTCOME, {"error", CODEC_I32, 0, AT(outcome.error), NULL, 0}},
    {EVENT_OUTCOME, {"amount", CODEC_NUMBER, 0, AT(outcome.amount), NULL, 0}},
};
_Static_assert(ARRAY_SIZE(keys) <= 32, "keys seen are one 32-bit word");

static bool is_key_of(const struct event_key *row, enum event_kind kind)
{
    return row->kind == kind || row->kind == ANY_KIND;
}

/* --- writing ------------------------------------------------------------------------------------- */

static void put_top(struct text_out *o, const struct sample_process *p)
{
    text_put(o, " top=%" PRId32 ":%" PRIu32 ":", p->pid, p->threads);
    text_put_number(o, p->rss_bytes);
    text_put(o, ":");
    text_put_number(o, p->vsz_bytes);
    text_put(o, ":");
    text_put_word(o, p->comm, SAMPLE_COMM_MAX - 1);
}

static void put_sample(struct text_out *o, const struct event *e)
{
    const struct sample *s = &e->sample;
    if (s->t_us != e->t_us) {
        text_put(o, " read_us=");
        text_put_number(o, s->t_us);
    }
    for (unsigned i = 0; i < SAMPLE_FIELD_COUNT; i++) {
        if (!sample_has(s, (enum sample_field)i))
            continue;
        text_put(o, " %s=", sample_field_info((enum sample_field)i)->name);
        text_put_number(o, s->value[i]);
    }
    for (uint32_t i = 0; i < s->top_count && i < SAMPLE_TOP_MAX; i++)
        put_top(o, &s->top[i]);
}

static void put_header(struct text_out *o, const struct event *e, const char *const *unit_names)
{
    text_put_number(o, e->t_us);
    text_put(o, " %s", event_kind_name(e->kind));
    if (e->unit != UNIT_NONE) {
        text_put(o, " ");
        text_put_word(o, unit_names[e->unit], UNIT_NAME_MAX);
    }
    if (e->generation)
        text_put(o, " gen=%" PRIu32, e->generation);
    /* an exit with code 0 is told, though every member of it is at its default */
    if (e->kind == EVENT_EXITED && e->exit.status_known && e->exit.code == 0 && e->exit.signal == 0)
        text_put(o, " code=0");
}

int event_format(const struct event *e, const char *const *unit_names, char *buf, size_t size)
{
    struct codec_units units = {unit_names, 0};
    if (size == 0)
        return -EMSGSIZE;
    struct text_out o = text_begin(buf, size);
    put_header(&o, e, unit_names);
    for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
        if (is_key_of(&keys[i], e->kind) && !(keys[i].key.flags & CODEC_BY_HAND))
            codec_put(&o, &keys[i].key, e, &units);
    if (e->kind == EVENT_SAMPLE)
        put_sample(&o, e);
    return text_end(&o);
}

/* --- reading ------------------------------------------------------------------------------------- */

struct parser {
    const char *text;
    struct codec_units units;
    struct event event;
    uint32_t seen;    /* bit i: keys[i] was given */
    const char *what; /* what is wrong */
    char token[TEXT_TOKEN_MAX];
};

static int fail(struct parser *p, const char *what)
{
    p->what = what;
    return -EINVAL;
}

/* 1 = p->token is set, 0 = end of the line. */
static int next_token(struct parser *p)
{
    int r = text_next_token(&p->text, p->token);
    return r < 0 ? fail(p, "a word is too long, or the text has more than one line") : r;
}

static int get_time_and_kind(struct parser *p)
{
    int r = next_token(p);
    if (r < 0)
        return r;
    if (r == 0 || text_get_time(p->token, &p->event.t_us) < 0)
        return fail(p, "the line does not begin with a time (microseconds, or with a unit: 21.05s)");
    r = next_token(p);
    if (r < 0)
        return r;
    p->event.kind = r ? event_kind_by_name(p->token) : EVENT_KIND_COUNT;
    if (p->event.kind == EVENT_KIND_COUNT)
        return fail(p, "no such kind of event");
    return 0;
}

/* The defaults of the kind's members, before its keys are read. */
static void init_payload(struct event *e)
{
    e->unit = UNIT_NONE;
    for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
        if (is_key_of(&keys[i], e->kind))
            codec_init(&keys[i].key, e);
    if (e->kind == EVENT_SAMPLE)
        e->sample.t_us = e->t_us;
}

static int get_figure(struct parser *p, const char *value)
{
    static int (*const get[])(const char *, uint64_t *) = {
        [SAMPLE_TYPE_BYTES] = text_get_size,
        [SAMPLE_TYPE_COUNT] = text_get_number,
        [SAMPLE_TYPE_USEC] = text_get_time,
        [SAMPLE_TYPE_FLAG] = text_get_number,
    };
    struct sample *s = &p->event.sample;
    uint64_t number;
    enum sample_field field = sample_field_by_name(p->token);
    if (field == SAMPLE_FIELD_COUNT)
        return fail(p, "no such key for this kind of event");
    if (sample_has(s, field))
        return fail(p, "a key is given twice");
    if (get[sample_field_info(field)->type](value, &number) < 0)
        return fail(p, "a value cannot be read");
    sample_set(s, field, number);
    return 0;
}

/* Cuts the text at the next ':' and moves *text behind it; NULL when there is none. */
static char *cut_part(char **text)
{
    char *part = *text;
    char *colon = strchr(part, ':');
    if (!colon)
        return NULL;
    *colon = '\0';
    *text = colon + 1;
    return part;
}

/* "5597:124:2542440:416263000:python3" */
static int get_top(struct parser *p, char *value)
{
    static const struct codec_key members[] = {
        {"pid", CODEC_I32, 0, offsetof(struct sample_process, pid), NULL, 0},
        {"threads", CODEC_U32, 0, offsetof(struct sample_process, threads), NULL, 0},
    };
    struct sample *s = &p->event.sample;
    if (s->top_count == SAMPLE_TOP_MAX)
        return fail(p, "more top entries than a sample holds");
    struct sample_process *top = &s->top[s->top_count];
    for (size_t i = 0; i < ARRAY_SIZE(members); i++) {
        const char *part = cut_part(&value);
        if (!part || codec_get(&members[i], top, part, &p->units) < 0)
            return fail(p, "a top entry is not PID:THREADS:RSS:VSZ:COMM");
    }
    const char *rss = cut_part(&value), *vsz = cut_part(&value);
    if (!rss || !vsz || text_get_size(rss, &top->rss_bytes) < 0 || text_get_size(vsz, &top->vsz_bytes) < 0 ||
        text_get_word(value, top->comm, sizeof(top->comm)) < 0)
        return fail(p, "a top entry is not PID:THREADS:RSS:VSZ:COMM");
    s->top_count++;
    return 0;
}

static int get_key(struct parser *p, char *value)
{
    for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
        if (!is_key_of(&keys[i], p->event.kind) || strcmp(keys[i].key.name, p->token) != 0)
            continue;
        if (p->seen >> i & 1U)
            return fail(p, "a key is given twice");
        p->seen |= UINT32_C(1) << i;
        if (codec_get(&keys[i].key, &p->event, value, &p->units) < 0)
            return fail(p, keys[i].key.type == CODEC_UNIT ? "no such unit" : "a value cannot be read");
        return 0;
    }
    if (p->event.kind != EVENT_SAMPLE)
        return fail(p, "no such key for this kind of event");
    return strcmp(p->token, "top") == 0 ? get_top(p, value) : get_figure(p, value);
}

/* The unit, if there is one, then every key. */
static int get_rest(struct parser *p)
{
    int r;
    for (bool first = true; (r = next_token(p)) > 0; first = false) {
        char *value = codec_split(p->token);
        if (value)
            r = get_key(p, value);
        else if (first)
            r = codec_get_unit(p->token, &p->units, &p->event.unit) < 0 ? fail(p, "no such unit") : 0;
        else
            r = fail(p, "expected key=value");
        if (r < 0)
            return r;
    }
    return r;
}

static int check_keys(struct parser *p)
{
    bool one_of = false, has_one = false;
    for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
        if (!is_key_of(&keys[i], p->event.kind))
            continue;
        bool given = p->seen >> i & 1U;
        if (keys[i].key.flags & CODEC_REQUIRED && !given)
            return fail(p, "a key that this kind of event needs is missing");
        one_of |= (keys[i].key.flags & CODEC_ONE_OF) != 0;
        has_one |= (keys[i].key.flags & CODEC_ONE_OF) && given;
    }
    return one_of && !has_one ? fail(p, "exited needs status=unknown, code=N or signal=N") : 0;
}

int event_parse(const char *text, const char *const *unit_names, size_t unit_count, struct event *ret,
                const char **ret_what)
{
    struct parser p = {.text = text, .units = {unit_names, unit_count}};
    int r = get_time_and_kind(&p);
    if (r == 0) {
        init_payload(&p.event);
        r = get_rest(&p);
    }
    if (r == 0)
        r = check_keys(&p);
    if (r == 0)
        *ret = p.event;
    else if (ret_what)
        *ret_what = p.what;
    return r;
}
