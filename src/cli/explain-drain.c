/* SPDX-License-Identifier: MIT */
/*
 * How a wait for the answers in flight went, before a unit with a gate was ended; see explain.h.
 *
 * The unit's own moves tell: into DRAINING, and out of it with the reason. Not every such wait is an order to the gate (a
 * worker whose server is gone is only given its time), and a stop may take over the wait that a restart began: then the
 * way out is among the stop's steps alone, and tells how long it was.
 */
#include <stdio.h>

#include "explain.h"
#include "weir/base/units.h"

/* What happened before it left DRAINING. */
struct course {
    const struct store_row *from, *to; /* the moves; NULL: not among the steps */
    uint64_t order;                    /* the DRAIN; 0: none */
    bool has_failed, has_exited;
};

static bool is_failed_order(const struct store_row *row, uint64_t order)
{
    return order && row->type == STORE_ROW_EVENT && row->event.kind == EVENT_OUTCOME &&
           row->event.outcome.decision_id == order && row->event.outcome.result != EVENT_RESULT_DONE;
}

static void course_row(struct course *c, const struct store_row *row)
{
    const struct decision *d = &row->decision;
    bool is_move = row->type == STORE_ROW_DECISION && d->kind == DECISION_STATE;
    if (is_move && d->amount[1] == UNIT_STATE_DRAINING)
        c->from = row;
    else if (is_move && d->amount[0] == UNIT_STATE_DRAINING)
        c->to = row;
    else if (row->type == STORE_ROW_DECISION && d->kind == DECISION_DRAIN)
        c->order = d->id;
    c->has_failed |= is_failed_order(row, c->order);
    c->has_exited |= row->type == STORE_ROW_EVENT && row->event.kind == EVENT_EXITED;
}

static enum explain_drain how_it_ended(const struct course *c)
{
    const struct decision *d = &c->to->decision;
    if (d->reason == REASON_DRAINED)
        return EXPLAIN_DRAIN_DONE;
    if (d->metric == METRIC_ELAPSED)
        return EXPLAIN_DRAIN_CUT;
    if (c->has_exited)
        return EXPLAIN_DRAIN_EXITED;
    return c->has_failed ? EXPLAIN_DRAIN_FAILED : EXPLAIN_DRAIN_CUT;
}

enum explain_drain explain_drained(const struct explain *x, uint64_t *ret_took_us,
                                   enum decision_reason *ret_reason)
{
    struct course c = {0};
    for (size_t i = 0; i < x->steps.count && !c.to; i++)
        course_row(&c, &x->steps.row[i]);
    if (!c.to)
        return c.from && x->judged.end == EXPLAIN_END_OPEN ? EXPLAIN_DRAIN_OPEN : EXPLAIN_DRAIN_NONE;
    const struct decision *d = &c.to->decision;
    *ret_took_us =
        d->metric == METRIC_ELAPSED ? d->observed : d->t_us - (c.from ? c.from->t_us : x->row.t_us);
    *ret_reason = d->reason;
    return how_it_ended(&c);
}

const char *explain_drain_name(enum explain_drain drain)
{
    switch (drain) {
    case EXPLAIN_DRAIN_NONE:
        return "none";
    case EXPLAIN_DRAIN_OPEN:
        return "waiting";
    case EXPLAIN_DRAIN_DONE:
        return "answered";
    case EXPLAIN_DRAIN_CUT:
        return "cut off";
    case EXPLAIN_DRAIN_EXITED:
        return "process ended";
    case EXPLAIN_DRAIN_FAILED:
        return "not possible";
    }
    return "";
}

void explain_put_drain(const struct explain *x, FILE *out)
{
    uint64_t took_us = 0;
    enum decision_reason reason = REASON_NONE;
    enum explain_drain drain = explain_drained(x, &took_us, &reason);
    char took[FORMAT_DURATION_MAX];
    (void)format_duration(took_us, took);
    switch (drain) {
    case EXPLAIN_DRAIN_NONE:
        break;
    case EXPLAIN_DRAIN_OPEN:
        (void)fputs(" The answers in flight are awaited.", out);
        break;
    case EXPLAIN_DRAIN_DONE:
        fprintf(out, " Every request in flight was answered first, %s%s.", took_us ? "within " : "at once",
                took_us ? took : "");
        break;
    case EXPLAIN_DRAIN_CUT:
        if (reason == REASON_DRAIN_TIMEOUT)
            fprintf(out, " Requests in flight were cut off: they were not answered within %s.", took);
        else
            fprintf(out, " Requests in flight were cut off after %s: %s.", took,
                    decision_reason_text(reason));
        break;
    case EXPLAIN_DRAIN_EXITED:
        fprintf(out, " Its process ended by itself, %s into the wait for its last answers.", took);
        break;
    case EXPLAIN_DRAIN_FAILED:
        (void)fputs(" Nobody waited for the answers in flight: its gate could not do it.", out);
        break;
    }
}
