/* SPDX-License-Identifier: MIT */
/* Gathers one intervention's rows from the record: what was read before and after, what was done; see explain.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "explain.h"
#include "weir/base/units.h"
#include "weir/engine/policy_text.h"

struct collector {
    struct explain *x;
    bool is_answered; /* its own outcome was told */
    bool steps_over;
};

static int keep(struct explain_rows *rows, const struct store_row *row)
{
    struct store_row *more = realloc(rows->row, (rows->count + 1) * sizeof(*more));
    if (!more)
        return -ENOMEM;
    rows->row = more;
    rows->row[rows->count++] = *row;
    return 0;
}

void explain_deinit(struct explain *x)
{
    free(x->before.samples.row);
    free(x->after.samples.row);
    free(x->steps.row);
    *x = (struct explain){0};
}

/* ---------------------------------------------- what was done --------------------------------------------- */

/* Is the row a step of the intervention, or what came of it or of a step? */
static bool belongs(const struct explain *x, const struct store_row *row)
{
    uint64_t id = x->row.decision.id;
    if (row->type == STORE_ROW_DECISION)
        return row->decision.cause_id == id;
    if (row->type != STORE_ROW_EVENT || row->event.kind != EVENT_OUTCOME)
        return false;
    if (row->event.outcome.decision_id == id)
        return true;
    for (size_t i = 0; i < x->steps.count; i++)
        if (x->steps.row[i].type == STORE_ROW_DECISION &&
            x->steps.row[i].decision.id == row->event.outcome.decision_id)
            return true;
    return false;
}

/* Does it last, so that the unit's own ends and starts are part of it? */
static bool lasts(enum decision_kind kind)
{
    return kind == DECISION_RESTART || kind == DECISION_BACKOFF || kind == DECISION_STOP ||
           kind == DECISION_FAIL || explain_holds_back(kind);
}

/* Ends and starts of the unit itself are told beside the steps. */
static bool is_life_event(const struct explain *x, const struct store_row *row)
{
    if (row->type != STORE_ROW_EVENT || row->event.unit != x->row.decision.unit ||
        !lasts(x->row.decision.kind))
        return false;
    switch (row->event.kind) {
    case EVENT_ARRIVED:
    case EVENT_SPAWNED:
    case EVENT_SPAWN_FAILED:
    case EVENT_READY:
    case EVENT_EXITED:
    case EVENT_EMPTY:
    case EVENT_CLEANED:
        return true;
    case EVENT_RUN:
    case EVENT_SAMPLE:
    case EVENT_DEADLINE:
    case EVENT_GATE_LOST:
    case EVENT_OPERATOR:
    case EVENT_OUTCOME:
    case EVENT_POLICY:
    case EVENT_SHUTDOWN:
    case EVENT_KIND_COUNT:
        break;
    }
    return false;
}

static bool is_outcome_of(const struct store_row *row, uint64_t id)
{
    return row->type == STORE_ROW_EVENT && row->event.kind == EVENT_OUTCOME &&
           row->event.outcome.decision_id == id;
}

/* Is it carried out itself, and not by steps? Its outcome may stand behind the next intervention: that of a reclaim
 * comes when the kernel is done with it, and two may be decided on one reading. */
static bool has_own_outcome(const struct decision *d)
{
    bool is_carried_out =
        d->kind == DECISION_NOTIFY || d->kind == DECISION_RECLAIM || explain_holds_back(d->kind);
    return is_carried_out && !d->observe;
}

/* Is the intervention over with this row, which is the last one told? */
static bool is_over(const struct collector *c, const struct store_row *row)
{
    const struct explain *x = c->x;
    const struct explain_judged *j = &x->judged;
    enum decision_kind kind = x->row.decision.kind;
    if (x->has_next && kind != DECISION_BACKOFF && kind != DECISION_RESTART)
        return c->is_answered || !has_own_outcome(&x->row.decision);
    if (explain_is_restart(x))
        return j->has_ready || j->has_end;
    if (kind == DECISION_STOP || kind == DECISION_FAIL)
        return row->type == STORE_ROW_EVENT && row->event.kind == EVENT_CLEANED;
    if (explain_holds_back(kind) && j->end == EXPLAIN_END_UNDONE)
        return is_outcome_of(row, j->end_row.decision.id);
    if (explain_holds_back(kind))
        return j->has_end;
    return is_outcome_of(row, x->row.decision.id);
}

static int on_step(struct collector *c, const struct store_row *row)
{
    struct explain *x = c->x;
    int e = belongs(x, row) || is_life_event(x, row) ? keep(&x->steps, row) : 0;
    c->is_answered = c->is_answered || is_outcome_of(row, x->row.decision.id);
    c->steps_over = is_over(c, row);
    return e;
}

/* ------------------------------------------------ readings ------------------------------------------------ */

static int on_sample(struct explain *x, const struct store_row *row)
{
    struct explain_window *w = &x->before;
    /* The event that led to the decision is the last of those before. */
    if (row->event.seq > x->row.decision.event_seq)
        w = x->has_next || row->t_us > x->row.t_us + EXPLAIN_AFTER_US ? NULL : &x->after;
    return w ? keep(&w->samples, row) : 0;
}

static void sum_up(struct explain_window *w, uint32_t generation)
{
    w->generation = generation;
    for (size_t i = 0; i < w->samples.count; i++) {
        const struct store_row *row = &w->samples.row[i];
        if (!explain_counts(row) || row->event.generation != generation)
            continue;
        w->first = w->first ? w->first : row;
        w->last = row;
        w->lowest = !w->lowest || explain_memory(row) < explain_memory(w->lowest) ? row : w->lowest;
        w->highest = !w->highest || explain_memory(row) > explain_memory(w->highest) ? row : w->highest;
    }
}

static bool is_later(const struct explain *x, const struct store_row *row)
{
    switch (row->type) {
    case STORE_ROW_EVENT:
        return row->event.seq > x->row.decision.event_seq;
    case STORE_ROW_DECISION:
        return row->decision.id > x->row.decision.id;
    case STORE_ROW_MARK:
    case STORE_ROW_GAP:
        break;
    }
    return false;
}

static int on_row(void *user, const struct store_row *row)
{
    struct collector *c = user;
    struct explain *x = c->x;
    bool is_sample = row->type == STORE_ROW_EVENT && row->event.kind == EVENT_SAMPLE;
    if (!is_later(x, row))
        return is_sample && !x->before.generation ? on_sample(x, row) : 0;
    if (!x->before.generation) /* nothing is added to them any more: pointers into them hold */
        sum_up(&x->before, x->row.decision.generation);
    if (!x->has_next && explain_is_next(x, row)) {
        x->has_next = true;
        x->next = *row;
    }
    explain_judge_row(x, row);
    if (is_sample)
        return on_sample(x, row);
    return c->steps_over ? 0 : on_step(c, row);
}

struct run_end {
    uint64_t run, last_wall_us;
    bool is_over;
};

static int note_run(void *user, const struct store_run_row *row)
{
    struct run_end *r = user;
    r->is_over |= row->run > r->run; /* a later one began: this one was cut off */
    if (row->run == r->run) {
        r->last_wall_us = row->last_wall_us;
        r->is_over |= row->end_wall_us != 0;
    }
    return 0;
}

/* ------------------------------------------------- the rule ------------------------------------------------- */

#define RULE_PREFIX "rule." /* decision.rule of a [rule] is this and its name */

/* The newest text of that name that was in force when it was decided: rows come in order of seq. */
static int keep_rule(void *user, uint64_t event_seq, uint16_t unit, const char *text)
{
    struct explain *x = user;
    const char *name = x->row.decision.rule + strlen(RULE_PREFIX);
    static const char key[] = "name = ";
    size_t length = strlen(name);
    const char *at = text + strlen(key);
    if (unit < POLICY_ROW_RULE || unit == UNIT_NONE || event_seq > x->row.decision.event_seq ||
        strncmp(text, key, strlen(key)) != 0 || strncmp(at, name, length) != 0 || at[length] != '\n')
        return 0;
    (void)snprintf(x->rule_text, sizeof(x->rule_text), "%s", at + length + 1);
    return 0;
}

static int collect_rule(struct cli_query *q, struct explain *x)
{
    if (strncmp(x->row.decision.rule, RULE_PREFIX, strlen(RULE_PREFIX)) != 0)
        return 0;
    return store_read_policies(q->reader, x->row.run, keep_rule, x);
}

int explain_collect(struct cli_query *q, struct explain *x)
{
    struct collector c = {.x = x};
    struct run_end end = {.run = x->row.run};
    struct store_filter f = {.run = x->row.run};
    (void)snprintf(x->unit, sizeof(x->unit), "%s", x->row.unit);
    f.unit = x->unit[0] ? x->unit : NULL;
    f.since_us = x->row.t_us > EXPLAIN_BEFORE_US ? x->row.t_us - EXPLAIN_BEFORE_US : 0;
    f.until_wall_us = x->row.wall_us + EXPLAIN_STEPS_US;
    int e = store_read_runs(q->reader, note_run, &end);
    if (e == 0)
        e = collect_rule(q, x);
    if (e == 0)
        e = store_read_timeline(q->reader, &f, on_row, &c);
    if (e < 0)
        return e;
    if (!x->before.last)
        sum_up(&x->before, x->row.decision.generation);
    sum_up(&x->after, explain_is_restart(x) ? x->judged.generation : x->row.decision.generation);
    explain_conclude(x, end.is_over, end.last_wall_us);
    return 0;
}

bool explain_growth(const struct explain_window *w, int64_t *ret_bytes_per_s)
{
    if (!w->first || w->last->t_us <= w->first->t_us)
        return false;
    uint64_t dt_us = w->last->t_us - w->first->t_us;
    uint64_t a = explain_memory(w->first), b = explain_memory(w->last);
    *ret_bytes_per_s = b >= a ? (int64_t)mul_div_u64(b - a, USEC_PER_SEC, dt_us)
                              : -(int64_t)mul_div_u64(a - b, USEC_PER_SEC, dt_us);
    return true;
}
