/* SPDX-License-Identifier: MIT */
/*
 * `weir history restarts`: one row for each end of a main process and for each decision to restart, stop, wait
 * or give up, with the cause from evidence. What it cost, until the unit was ready again, stands in the first row of
 * an interruption alone.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "history.h"
#include "table.h"
#include "weir/base/cleanup.h"

struct restart {
    uint64_t run, wall_us, t_us, seq, decision; /* seq of the event, or the decision's number */
    uint16_t unit;
    uint32_t generation;
    char unit_name[UNIT_NAME_MAX];
    const char *what;
    char cause[STORE_TEXT_MAX];
    bool has_uptime, has_memory, has_ready, is_settled;
    uint64_t uptime_us, memory, memory_seq, ready_us;
    bool is_exit;
    struct event_exit exit;
};

/* What is known of a unit as the line of time goes on. */
struct life {
    bool is_up, has_start; /* an adopted process was started before this run: nobody wrote down when */
    uint64_t spawned_us;
    uint32_t ended; /* generation whose main process is gone: what is read of it then says nothing */
    bool has_memory;
    uint64_t memory, memory_seq;
    uint64_t ordered_id; /* weir's own RESTART or STOP of this generation */
    uint32_t ordered_generation;
    const char *ordered_kind;
};

struct restarts {
    struct restart *row;
    size_t count;
    struct life *life;
    size_t life_count;
    uint64_t run;
};

static struct life *life_of(struct restarts *r, uint16_t unit)
{
    if (unit >= r->life_count) {
        struct life *life = realloc(r->life, ((size_t)unit + 1) * sizeof(*life));
        if (!life)
            return NULL;
        memset(life + r->life_count, 0, ((size_t)unit + 1 - r->life_count) * sizeof(*life));
        r->life = life;
        r->life_count = (size_t)unit + 1;
    }
    return &r->life[unit];
}

static void describe_exit(const struct event_exit *e, const struct life *life, char *buf, size_t size)
{
    int n;
    if (!e->status_known)
        n = snprintf(buf, size, "ended, its status is known to its parent only");
    else if (e->signal)
        n = snprintf(buf, size, "signal %d (%s)", e->signal,
                     sigabbrev_np(e->signal) ? sigabbrev_np(e->signal) : "?");
    else
        n = snprintf(buf, size, "exit code %d", e->code);
    if (e->oom_kills && n > 0 && (size_t)n < size)
        n += snprintf(buf + n, size - (size_t)n, "; kernel OOM kills %llu", (unsigned long long)e->oom_kills);
    if (e->pids_refused && n > 0 && (size_t)n < size)
        n += snprintf(buf + n, size - (size_t)n, "; pids limit hit %llu times",
                      (unsigned long long)e->pids_refused);
    if (life->ordered_id && n > 0 && (size_t)n < size)
        (void)snprintf(buf + n, size - (size_t)n, "; weir's #%llu %s", (unsigned long long)life->ordered_id,
                       life->ordered_kind);
}

static struct restart *add(struct restarts *r, const struct store_row *row, uint16_t unit,
                           const struct life *life)
{
    struct restart *more = realloc(r->row, (r->count + 1) * sizeof(*more));
    if (!more)
        return NULL;
    r->row = more;
    struct restart *one = &more[r->count++];
    *one = (struct restart){.run = row->run, .wall_us = row->wall_us, .t_us = row->t_us, .unit = unit};
    (void)snprintf(one->unit_name, sizeof(one->unit_name), "%s", row->unit);
    one->has_uptime = life->is_up && life->has_start;
    one->uptime_us = row->t_us - life->spawned_us;
    one->has_memory = life->has_memory;
    one->memory = life->memory;
    one->memory_seq = life->memory_seq;
    return one;
}

/* The unit is ready again: told in the row that began the interruption, not in those of its course. */
static void is_ready(struct restarts *r, const struct store_row *row, uint16_t unit)
{
    struct restart *began = NULL;
    for (size_t i = r->count; i-- && r->row[i].run == row->run;) {
        if (r->row[i].unit != unit)
            continue;
        if (r->row[i].is_settled)
            break;
        began = &r->row[i];
        began->is_settled = true;
    }
    if (!began)
        return;
    began->has_ready = true;
    began->ready_us = row->t_us - began->t_us;
}

static int on_exit_event(struct restarts *r, const struct store_row *row, struct life *life)
{
    const struct event *e = &row->event;
    if (life->ordered_generation != e->generation)
        life->ordered_id = 0;
    struct restart *one = add(r, row, e->unit, life);
    if (!one)
        return -ENOMEM;
    one->what = "exited";
    one->seq = e->seq;
    one->generation = e->generation;
    one->is_exit = true;
    one->exit = e->exit;
    describe_exit(&e->exit, life, one->cause, sizeof(one->cause));
    life->is_up = life->has_memory = false;
    life->ended = e->generation;
    life->ordered_id = 0;
    return 0;
}

static int on_event(struct restarts *r, const struct store_row *row)
{
    const struct event *e = &row->event;
    struct life *life = e->unit == UNIT_NONE ? NULL : life_of(r, e->unit);
    if (!life)
        return e->unit == UNIT_NONE ? 0 : -ENOMEM;
    if (e->kind == EVENT_SPAWNED) {
        life->is_up = true;
        life->has_start = e->spawned.how != EVENT_HOW_ADOPTED;
        life->spawned_us = e->t_us;
    } else if (e->kind == EVENT_READY) {
        is_ready(r, row, e->unit);
    } else if (e->kind == EVENT_SAMPLE && sample_has(&e->sample, SAMPLE_MEMORY_CURRENT) &&
               e->sample.cause != SAMPLE_CAUSE_FINAL && e->generation > life->ended) {
        life->has_memory = true;
        life->memory = e->sample.value[SAMPLE_MEMORY_CURRENT];
        life->memory_seq = e->seq;
    } else if (e->kind == EVENT_EXITED) {
        return on_exit_event(r, row, life);
    }
    return 0;
}

static int on_decision(struct restarts *r, const struct store_row *row)
{
    const struct decision *d = &row->decision;
    struct life *life = d->unit == UNIT_NONE ? NULL : life_of(r, d->unit);
    if (!life)
        return d->unit == UNIT_NONE ? 0 : -ENOMEM;
    if (d->kind == DECISION_STATE && d->amount[1] == UNIT_STATE_READY)
        is_ready(r, row, d->unit);
    bool ordered = d->kind == DECISION_RESTART || d->kind == DECISION_STOP;
    if (!ordered && d->kind != DECISION_BACKOFF && d->kind != DECISION_FAIL)
        return 0;
    struct restart *one = add(r, row, d->unit, life);
    if (!one)
        return -ENOMEM;
    one->what = decision_kind_name(d->kind);
    one->decision = d->id;
    one->generation = d->generation;
    (void)decision_narrate(d, row->unit_names, one->cause, sizeof(one->cause));
    if (ordered && !d->observe) {
        life->ordered_id = d->id;
        life->ordered_generation = d->generation;
        life->ordered_kind = decision_kind_name(d->kind);
    }
    return 0;
}

static int on_row(void *user, const struct store_row *row)
{
    struct restarts *r = user;
    if (row->run != r->run)
        r->life_count = 0;
    r->run = row->run;
    switch (row->type) {
    case STORE_ROW_EVENT:
        return on_event(r, row);
    case STORE_ROW_DECISION:
        return on_decision(r, row);
    case STORE_ROW_MARK:
    case STORE_ROW_GAP:
        break;
    }
    return 0;
}

static const struct table_column columns[] = {
    {"run", NULL, true, false},
    {"time", "TIME", false, true},
    {"unit", "UNIT", false, false},
    {"generation", "GEN", true, false},
    {"what", "WHAT", false, false},
    {"seq", NULL, true, false},
    {"decision", "#", true, false},
    {"uptime_us", "UPTIME", true, false},
    {"memory.current", "MEMORY", true, false},
    {"memory_seq", NULL, true, false},
    {"ready_after_us", "READY AFTER", true, false},
    {"exit_code", NULL, true, false},
    {"signal", NULL, true, false},
    {"oom_kills", NULL, true, false},
    {"pids_refused", NULL, true, false},
    {"cause", "CAUSE", false, false},
};

static void put_if(struct table *t, bool is_there, uint64_t value, void (*put)(struct table *, uint64_t))
{
    if (is_there)
        put(t, value);
    else
        table_none(t);
}

static void put_restart(struct table *t, const struct restart *r)
{
    bool status = r->is_exit && r->exit.status_known;
    table_count(t, r->run);
    table_time(t, r->wall_us);
    table_text(t, r->unit_name);
    table_count(t, r->generation);
    table_text(t, r->what);
    put_if(t, r->is_exit, r->seq, table_count);
    put_if(t, !r->is_exit, r->decision, table_count);
    put_if(t, r->has_uptime, r->uptime_us, table_duration);
    put_if(t, r->has_memory, r->memory, table_size);
    put_if(t, r->has_memory, r->memory_seq, table_count);
    put_if(t, r->has_ready, r->ready_us, table_duration);
    put_if(t, status && !r->exit.signal, (uint64_t)r->exit.code, table_count);
    put_if(t, status && r->exit.signal, (uint64_t)r->exit.signal, table_count);
    put_if(t, r->is_exit, r->exit.oom_kills, table_count);
    put_if(t, r->is_exit, r->exit.pids_refused, table_count);
    table_text(t, r->cause);
    table_row(t);
}

int history_restarts(struct cli_query *q, const struct cli_args *args)
{
    struct restarts r = {0};
    struct table *t = table_new(args->format, stdout, columns, ARRAY_SIZE(columns), args->limit);
    if (!t)
        return cli_read_failed(q, -ENOMEM);
    q->filter.limit = 0;          /* the limit counts ends */
    q->filter.ticks_only = false; /* the last reading before the end is no tick */
    int e = store_read_timeline(q->reader, &q->filter, on_row, &r);
    for (size_t i = 0; e == 0 && i < r.count; i++)
        put_restart(t, &r.row[i]);
    table_end(t,
              "no unit ended, was restarted or given up in this run and time (--run all looks at every run)");
    free(r.row);
    free(r.life);
    return e < 0 ? cli_read_failed(q, e) : CLI_EXIT_OK;
}
