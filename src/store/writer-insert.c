/* SPDX-License-Identifier: MIT */
/* Records into rows; see writer.h. */
#include "writer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "schema.h"
#include "weir/base/cleanup.h"

/* Parameters are bound in order; an error sticks in rc. */
struct binder {
    sqlite3_stmt *stmt;
    int at;
    int rc;
};

static struct binder begin(struct writer *w, enum writer_statement which)
{
    struct binder b = {0};
    b.stmt = writer_statement(w, which, &b.rc);
    return b;
}

static void put(struct binder *b, uint64_t value)
{
    if (b->rc == SQLITE_OK)
        b->rc = sqlite3_bind_int64(b->stmt, ++b->at, (int64_t)value);
}

static void put_null(struct binder *b)
{
    if (b->rc == SQLITE_OK)
        b->rc = sqlite3_bind_null(b->stmt, ++b->at);
}

static void put_if(struct binder *b, bool is_there, uint64_t value)
{
    if (is_there)
        put(b, value);
    else
        put_null(b);
}

/* The text must live until finish(). */
static void put_text(struct binder *b, const char *text)
{
    if (b->rc == SQLITE_OK)
        b->rc = sqlite3_bind_text(b->stmt, ++b->at, text, -1, SQLITE_STATIC);
}

static int finish(struct binder *b)
{
    if (b->rc != SQLITE_OK)
        return b->rc;
    int rc = sqlite3_step(b->stmt);
    sqlite3_reset(b->stmt);
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int insert_unit(struct writer *w, size_t unit)
{
    struct binder b = begin(w, WRITER_UNIT);
    put(&b, w->run.id);
    put(&b, unit);
    put_text(&b, w->info->unit_names[unit]);
    return finish(&b);
}

/* Makes the table of names reach the unit; a name that nobody told is "unit-N". */
static int know_unit(struct writer *w, uint16_t unit)
{
    if (unit == UNIT_NONE || unit < w->info->unit_count)
        return SQLITE_OK;
    char **names = realloc(w->info->unit_names, ((size_t)unit + 1) * sizeof(*names));
    if (!names)
        return SQLITE_NOMEM;
    w->info->unit_names = names;
    while (w->info->unit_count <= unit) {
        char *name;
        if (asprintf(&name, "unit-%zu", w->info->unit_count) < 0)
            return SQLITE_NOMEM;
        names[w->info->unit_count++] = name;
        int rc = insert_unit(w, w->info->unit_count - 1);
        if (rc)
            return rc;
    }
    return SQLITE_OK;
}

static int insert_clock(struct writer *w)
{
    struct binder b = begin(w, WRITER_CLOCK);
    put(&b, w->run.id);
    put(&b, w->clock_t_us);
    put(&b, w->clock_wall_us);
    return finish(&b);
}

static int insert_policy(struct writer *w, const struct writer_policy *p)
{
    struct binder b = begin(w, WRITER_POLICY);
    put(&b, w->run.id);
    put(&b, p->event_seq);
    put(&b, p->unit);
    put_text(&b, p->text);
    return finish(&b);
}

/* Looks for the row of this run; *ret_id 0 = it has none. */
static int find_run(struct writer *w, int64_t *ret_id)
{
    sqlite3_stmt *stmt;
    int rc =
        sqlite3_prepare_v2(w->db,
                           "SELECT id FROM runs WHERE start_t_us = ? AND start_wall_us = ? AND boot_id IS ?"
                           " ORDER BY id DESC LIMIT 1",
                           -1, &stmt, NULL);
    if (rc != SQLITE_OK)
        return rc;
    struct binder b = {.stmt = stmt};
    put(&b, w->info->monotonic_us);
    put(&b, w->info->wall_us);
    put_text(&b, w->info->boot_id);
    rc = b.rc == SQLITE_OK ? sqlite3_step(stmt) : b.rc;
    *ret_id = rc == SQLITE_ROW ? sqlite3_column_int64(stmt, 0) : 0;
    sqlite3_finalize(stmt);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int insert_run(struct writer *w)
{
    sqlite3_stmt *stmt;
    int rc = sqlite3_prepare_v2(
        w->db,
        "INSERT INTO runs (supervisor, config_path, config_text, weir_version, kernel, layout,"
        " boot_id, start_wall_us, start_t_us, interval_us, last_t_us)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        -1, &stmt, NULL);
    if (rc != SQLITE_OK)
        return rc;
    const struct run_record *i = w->info;
    const char *const texts[] = {i->supervisor, i->config_path, i->config_text, i->weir_version,
                                 i->kernel,     i->layout,      i->boot_id};
    struct binder b = {.stmt = stmt};
    for (size_t t = 0; t < ARRAY_SIZE(texts); t++)
        put_text(&b, texts[t]);
    put(&b, i->wall_us);
    put(&b, i->monotonic_us);
    put(&b, i->interval_us);
    put(&b, i->monotonic_us);
    rc = finish(&b);
    sqlite3_finalize(stmt);
    if (rc == SQLITE_OK)
        w->run.id = (uint64_t)sqlite3_last_insert_rowid(w->db);
    return rc;
}

int writer_ensure_run(struct writer *w)
{
    if (w->run_checked)
        return SQLITE_OK;
    int64_t id;
    int rc = find_run(w, &id);
    if (rc)
        return rc;
    w->run.id = (uint64_t)id;
    if (!id) { /* the first time, or the file was replaced: it counts what is in it */
        w->run = (struct writer_run){.last_t_us = w->run.last_t_us};
        rc = insert_run(w);
    }
    for (size_t i = 0; rc == SQLITE_OK && i < w->info->unit_count; i++)
        rc = insert_unit(w, i);
    if (rc == SQLITE_OK)
        rc = insert_clock(w);
    for (size_t i = 0; rc == SQLITE_OK && i < w->policy_count; i++)
        rc = insert_policy(w, &w->policies[i]);
    w->run_checked = rc == SQLITE_OK;
    return rc;
}

static int insert_processes(struct writer *w, int64_t key, const struct sample *s)
{
    for (uint32_t i = 0; i < s->top_count && i < SAMPLE_TOP_MAX; i++) {
        const struct sample_process *p = &s->top[i];
        char comm[SAMPLE_COMM_MAX];
        memcpy(comm, p->comm, sizeof(comm));
        comm[sizeof(comm) - 1] = '\0';
        struct binder b = begin(w, WRITER_PROCESS);
        put(&b, (uint64_t)key << SCHEMA_RANK_BITS | i);
        put(&b, (uint64_t)(int64_t)p->pid);
        put(&b, p->threads);
        put(&b, p->rss_bytes);
        put(&b, p->vsz_bytes);
        put_text(&b, comm);
        int rc = finish(&b);
        if (rc)
            return rc;
    }
    return SQLITE_OK;
}

static int store_rollup(struct writer *w, uint16_t unit, size_t length)
{
    struct rollup_bucket *bucket = &w->rollup[unit].bucket[length];
    if (!bucket->changed)
        return SQLITE_OK;
    struct binder b = begin(w, length ? WRITER_ROLLUP_1M : WRITER_ROLLUP_10S);
    put(&b, w->run.id);
    put(&b, bucket->start_us);
    put(&b, unit);
    put(&b, bucket->samples);
    for (size_t i = 0; i < ROLLUP_FIELD_COUNT; i++) {
        const struct rollup_figure *f = &bucket->figure[i];
        uint64_t average = 0;
        bool any = rollup_average(f, &average);
        put_if(&b, any, f->min);
        put_if(&b, any, average);
        put_if(&b, any, f->max);
        put_if(&b, any, f->last);
    }
    bucket->changed = false;
    return finish(&b);
}

/* Both arrays grow together: what is added now must survive the return to the saved state. */
static int grow_rollups(struct writer *w, uint16_t unit)
{
    if (unit < w->rollup_count)
        return SQLITE_OK;
    size_t count = (size_t)unit + 1;
    struct rollup_unit *now = realloc(w->rollup, count * sizeof(*now));
    if (!now)
        return SQLITE_NOMEM;
    w->rollup = now;
    struct rollup_unit *saved = realloc(w->rollup_saved, count * sizeof(*saved));
    if (!saved)
        return SQLITE_NOMEM;
    w->rollup_saved = saved;
    memset(now + w->rollup_count, 0, (count - w->rollup_count) * sizeof(*now));
    memset(saved + w->rollup_count, 0, (count - w->rollup_count) * sizeof(*saved));
    w->rollup_count = count;
    return SQLITE_OK;
}

static int roll_up(struct writer *w, const struct event *e)
{
    if (e->unit >= WRITER_UNITS_MAX)
        return SQLITE_OK;
    int rc = grow_rollups(w, e->unit);
    for (size_t l = 0; rc == SQLITE_OK && l < ROLLUP_LENGTHS; l++)
        if (rollup_is_over(&w->rollup[e->unit], l, e))
            rc = store_rollup(w, e->unit, l);
    if (rc == SQLITE_OK)
        rollup_add(&w->rollup[e->unit], e);
    return rc;
}

int writer_store_rollups(struct writer *w)
{
    for (size_t u = 0; u < w->rollup_count; u++)
        for (size_t l = 0; l < ROLLUP_LENGTHS; l++) {
            int rc = store_rollup(w, (uint16_t)u, l);
            if (rc)
                return rc;
        }
    return SQLITE_OK;
}

static int insert_sample(struct writer *w, const struct event *e)
{
    const struct sample *s = &e->sample;
    int64_t key = schema_key(w->run.id, e->seq);
    struct binder b = begin(w, WRITER_SAMPLE);
    put(&b, (uint64_t)key);
    put(&b, e->t_us);
    put_if(&b, e->unit != UNIT_NONE, e->unit);
    put(&b, e->generation);
    put(&b, s->cause);
    put(&b, s->late_us);
    put(&b, s->missed_ticks);
    put_if(&b, s->t_us != e->t_us, s->t_us);
    for (int f = 0; f < SAMPLE_FIELD_COUNT; f++)
        put_if(&b, sample_has(s, f), s->value[f]);
    int rc = finish(&b);
    if (rc == SQLITE_OK)
        rc = insert_processes(w, key, s);
    if (rc == SQLITE_OK)
        rc = roll_up(w, e);
    w->run.samples++;
    return rc;
}

static int insert_event(struct writer *w, const struct event *e)
{
    int rc = know_unit(w, e->unit);
    if (rc == SQLITE_OK && e->kind == EVENT_ARRIVED)
        rc = know_unit(w, e->arrived.via);
    if (rc)
        return rc;
    if (e->t_us > w->run.last_t_us)
        w->run.last_t_us = e->t_us;
    if (e->kind == EVENT_SAMPLE)
        return insert_sample(w, e);
    char text[EVENT_TEXT_MAX];
    if (event_format(e, (const char *const *)w->info->unit_names, text, sizeof(text)) < 0)
        text[0] = '\0';
    struct binder b = begin(w, WRITER_EVENT);
    put(&b, (uint64_t)schema_key(w->run.id, e->seq));
    put(&b, e->t_us);
    put_text(&b, event_kind_name(e->kind));
    put_if(&b, e->unit != UNIT_NONE, e->unit);
    put(&b, e->generation);
    put_text(&b, text);
    w->run.events++;
    return finish(&b);
}

static int insert_decision(struct writer *w, const struct decision *d)
{
    int rc = know_unit(w, d->unit);
    if (rc)
        return rc;
    char text[DECISION_TEXT_MAX];
    if (decision_format(d, (const char *const *)w->info->unit_names, text, sizeof(text)) < 0)
        text[0] = '\0';
    struct binder b = begin(w, WRITER_DECISION);
    put(&b, (uint64_t)schema_key(w->run.id, d->id));
    put(&b, d->event_seq);
    put(&b, d->t_us);
    put_if(&b, d->cause_id, d->cause_id);
    put_if(&b, d->unit != UNIT_NONE, d->unit);
    put(&b, d->generation);
    put_text(&b, decision_kind_name(d->kind));
    put(&b, decision_kind_class(d->kind));
    put_text(&b, decision_reason_name(d->reason));
    put_text(&b, decision_metric_name(d->metric));
    put(&b, d->observed);
    put(&b, d->threshold);
    put(&b, d->held_us);
    put(&b, d->amount[0]);
    put(&b, d->amount[1]);
    put(&b, d->rejected);
    put(&b, d->observe);
    put_text(&b, d->rule);
    put_text(&b, text);
    w->run.decisions++;
    return finish(&b);
}

/* Keeps the unit's latest policy (seq order within a unit; the text is copied). */
static struct writer_policy *keep_policy(struct writer *w, uint64_t seq, uint16_t unit, const char *text)
{
    char *copy = strdup(text);
    if (!copy)
        return NULL;
    size_t i = 0;
    while (i < w->policy_count && w->policies[i].unit != unit)
        i++;
    if (i == w->policy_count) {
        struct writer_policy *p = realloc(w->policies, (i + 1) * sizeof(*p));
        if (!p) {
            free(copy);
            return NULL;
        }
        w->policies = p;
        w->policies[i] = (struct writer_policy){0};
        w->policy_count++;
    }
    free(w->policies[i].text);
    w->policies[i] = (struct writer_policy){seq, unit, copy};
    return &w->policies[i];
}

static int insert_mark(struct writer *w, const struct record *r)
{
    int rc = know_unit(w, r->text.unit);
    if (rc)
        return rc;
    if (r->text.key > w->run.last_t_us)
        w->run.last_t_us = r->text.key;
    struct binder b = begin(w, WRITER_MARK);
    put(&b, (uint64_t)schema_key(w->run.id, ++w->run.marks));
    put(&b, r->text.key);
    put_if(&b, r->text.unit != UNIT_NONE, r->text.unit);
    put_text(&b, r->text.text);
    return finish(&b);
}

static int insert_method(struct writer *w, const struct store_method *m)
{
    char name[STORE_METHOD_MAX];
    int rc = know_unit(w, m->unit);
    if (rc)
        return rc;
    snprintf(name, sizeof(name), "%.*s", (int)sizeof(name) - 1, m->method);
    if (m->t_us > w->run.last_t_us)
        w->run.last_t_us = m->t_us;
    struct binder b = begin(w, WRITER_METHOD);
    put(&b, (uint64_t)schema_key(w->run.id, ++w->run.methods));
    put(&b, m->t_us);
    put_if(&b, m->unit != UNIT_NONE, m->unit);
    put(&b, m->gate);
    put_text(&b, name);
    put(&b, (uint64_t)m->growth_bytes);
#define X(figure) put(&b, m->figure);
    SCHEMA_METHOD_FIGURES(X)
#undef X
#define X(latency) put_if(&b, m->latency != UINT64_MAX, m->latency);
    SCHEMA_METHOD_LATENCIES(X)
#undef X
    return finish(&b);
}

static int insert_unit_name(struct writer *w, const struct record *r)
{
    int rc = r->text.unit == UNIT_NONE ? SQLITE_MISUSE : know_unit(w, r->text.unit);
    if (rc)
        return rc == SQLITE_MISUSE ? SQLITE_OK : rc;
    char *name = strdup(r->text.text);
    if (!name)
        return SQLITE_NOMEM;
    free(w->info->unit_names[r->text.unit]);
    w->info->unit_names[r->text.unit] = name;
    return insert_unit(w, r->text.unit);
}

static int insert_run_end(struct writer *w, uint64_t t_us, int status)
{
    struct binder b = begin(w, WRITER_RUN_END);
    put(&b, w->run.id);
    put(&b, t_us);
    put(&b, (uint64_t)(int64_t)status);
    return finish(&b);
}

int writer_insert_record(struct writer *w, const struct record *r)
{
    struct writer_policy *policy;
    switch (r->type) {
    case RECORD_RUN_BEGIN:
        return SQLITE_OK; /* the thread's own: a run begins between two transactions */
    case RECORD_UNIT:
        return insert_unit_name(w, r);
    case RECORD_CLOCK:
        w->clock_t_us = r->clock.t_us;
        w->clock_wall_us = r->clock.wall_us;
        return insert_clock(w);
    case RECORD_EVENT:
        return insert_event(w, &r->event);
    case RECORD_DECISION:
        return insert_decision(w, &r->decision);
    case RECORD_POLICY:
        policy = keep_policy(w, r->text.key, r->text.unit, r->text.text);
        return policy ? insert_policy(w, policy) : SQLITE_NOMEM;
    case RECORD_MARK:
        return insert_mark(w, r);
    case RECORD_METHOD:
        return insert_method(w, r->method);
    case RECORD_RUN_END:
        return insert_run_end(w, r->end.t_us, r->end.status);
    }
    return SQLITE_OK;
}

int writer_insert_gap(struct writer *w, const struct queue_gap *gap, const char *text)
{
    struct binder b = begin(w, WRITER_GAP);
    put(&b, (uint64_t)schema_key(w->run.id, ++w->run.gaps));
    put(&b, gap->first_us);
    put(&b, gap->last_us);
    put(&b, gap->count);
    put_text(&b, text);
    w->run.samples_dropped += gap->count;
    return finish(&b);
}

int writer_update_run(struct writer *w)
{
    struct binder b = begin(w, WRITER_RUN_UPDATE);
    put(&b, w->run.id);
    put(&b, w->run.last_t_us);
    put(&b, w->run.samples);
    put(&b, w->run.events);
    put(&b, w->run.decisions);
    put(&b, w->run.samples_dropped);
    return finish(&b);
}
