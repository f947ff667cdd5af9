/* SPDX-License-Identifier: MIT */
/* What came of an intervention, from the rows it is to be judged by; see explain.h. */
#include <stdio.h>

#include "explain.h"
#include "weir/base/units.h"

bool explain_counts(const struct store_row *row)
{
    return sample_has(&row->event.sample, SAMPLE_MEMORY_CURRENT) &&
           row->event.sample.cause != SAMPLE_CAUSE_FINAL;
}

uint64_t explain_memory(const struct store_row *row)
{
    return row->event.sample.value[SAMPLE_MEMORY_CURRENT];
}

bool explain_is_restart(const struct explain *x)
{
    return x->row.decision.kind == DECISION_RESTART || x->row.decision.kind == DECISION_BACKOFF;
}

bool explain_holds_back(enum decision_kind kind)
{
    return kind == DECISION_THROTTLE || kind == DECISION_PACE || kind == DECISION_HOLD;
}

bool explain_undoes(enum decision_kind kind)
{
    return kind == DECISION_UNTHROTTLE || kind == DECISION_RELEASE;
}

/* A hold that a pace became names it as its cause, and is a step beyond it all the same. */
bool explain_is_next(const struct explain *x, const struct store_row *row)
{
    const struct decision *d = &row->decision, *own = &x->row.decision;
    return row->type == STORE_ROW_DECISION && decision_kind_class(d->kind) == DECISION_CLASS_INTERVENTION &&
           d->unit == own->unit && d->id > own->id && (d->cause_id != own->id || d->kind == DECISION_HOLD) &&
           !d->observe && d->kind != DECISION_NOTE && !explain_undoes(d->kind);
}

static void end_with(struct explain_judged *j, enum explain_end end, const struct store_row *row)
{
    j->end = end;
    j->has_end = true;
    j->end_row = *row;
}

static bool is_event(const struct store_row *row, enum event_kind kind)
{
    return row->type == STORE_ROW_EVENT && row->event.kind == kind;
}

static bool is_ready(const struct store_row *row, uint32_t generation)
{
    if (is_event(row, EVENT_READY))
        return row->event.generation == generation;
    return row->type == STORE_ROW_DECISION && row->decision.kind == DECISION_STATE &&
           row->decision.amount[1] == UNIT_STATE_READY && row->decision.generation == generation;
}

/* --------------------------------------------- restart ---------------------------------------------------- */

/* The next generation's readings: the first one once it is ready, then the first as high as before. */
static void restart_sample(struct explain *x, const struct store_row *row)
{
    struct explain_judged *j = &x->judged;
    if (!j->has_ready || row->event.generation != j->generation || !explain_counts(row))
        return;
    if (!j->has_reading) {
        j->reading = *row;
        j->has_reading = true;
    } else if (!j->has_back && x->before.last && explain_memory(row) >= explain_memory(x->before.last)) {
        j->back = *row;
        j->has_back = true;
    }
}

static void restart_row(struct explain *x, const struct store_row *row)
{
    struct explain_judged *j = &x->judged;
    uint32_t old = x->row.decision.generation;
    bool begins = is_event(row, EVENT_SPAWNED) || is_event(row, EVENT_SAMPLE);
    if (!j->generation && begins && row->event.generation > old)
        j->generation = row->event.generation;
    if (j->generation && !j->has_ready && is_ready(row, j->generation)) {
        j->ready = *row;
        j->has_ready = true;
    }
    if (is_event(row, EVENT_SAMPLE))
        restart_sample(x, row);
    if (j->has_end || j->has_reading)
        return;
    if (j->generation && is_event(row, EVENT_EXITED) && row->event.generation == j->generation)
        end_with(j, EXPLAIN_END_EXITED, row);
    else if (explain_is_next(x, row) && row->decision.kind == DECISION_FAIL)
        end_with(j, EXPLAIN_END_GIVEN_UP, row);
    else if (explain_is_next(x, row) &&
             (row->decision.kind == DECISION_STOP || row->decision.kind == DECISION_RESTART))
        end_with(j, EXPLAIN_END_NEXT, row);
}

/* ------------------------------------ throttle, pace, hold and notify ------------------------------------- */

static void hold_row(struct explain *x, const struct store_row *row)
{
    struct explain_judged *j = &x->judged;
    const struct decision *own = &x->row.decision;
    j->generation = own->generation;
    if (j->end != EXPLAIN_END_OPEN)
        return;
    if (row->t_us > x->row.t_us + EXPLAIN_AFTER_US)
        j->end = EXPLAIN_END_TIME;
    else if (explain_is_next(x, row))
        end_with(j, EXPLAIN_END_NEXT, row);
    else if (row->type == STORE_ROW_DECISION && explain_undoes(row->decision.kind) &&
             row->decision.cause_id == own->id)
        end_with(j, EXPLAIN_END_UNDONE, row);
    else if (is_event(row, EVENT_EXITED) && row->event.generation == own->generation)
        end_with(j, EXPLAIN_END_EXITED, row);
    else if (is_event(row, EVENT_SAMPLE) && row->event.generation == own->generation && explain_counts(row)) {
        j->reading = *row;
        j->has_reading = true;
    }
}

void explain_judge_row(struct explain *x, const struct store_row *row)
{
    if (explain_is_restart(x))
        restart_row(x, row);
    else
        hold_row(x, row);
}

/* --------------------------------------------- conclusion ------------------------------------------------- */

/* Is it there to bring memory down? The others are not judged by it. */
static bool is_against_memory(const struct decision *d)
{
    bool relieves = d->kind == DECISION_NOTIFY || d->kind == DECISION_RECLAIM ||
                    explain_holds_back(d->kind) || d->kind == DECISION_RESTART;
    return relieves && d->reason != REASON_OPERATOR && d->reason != REASON_SHUTDOWN &&
           d->reason != REASON_DEPENDENCY;
}

static enum explain_verdict compare(uint64_t before, uint64_t after)
{
    uint64_t effect = mul_div_u64(before, EXPLAIN_EFFECT_PERMYRIAD, PERMYRIAD_ONE);
    if (after + effect <= before)
        return EXPLAIN_HELPED;
    return after >= before + effect ? EXPLAIN_WORSE : EXPLAIN_NO_EFFECT;
}

static enum explain_verdict judge(const struct explain *x)
{
    const struct explain_judged *j = &x->judged;
    bool restart = explain_is_restart(x);
    if (x->row.decision.observe)
        return EXPLAIN_NOT_DONE;
    if (!is_against_memory(&x->row.decision))
        return EXPLAIN_NOT_JUDGED;
    if (!x->before.last)
        return EXPLAIN_NOT_KNOWN;
    if (j->has_reading && (restart || j->end != EXPLAIN_END_OPEN))
        return compare(explain_memory(x->before.last), explain_memory(&j->reading));
    if (j->end == EXPLAIN_END_OPEN)
        return EXPLAIN_TOO_EARLY;
    bool again = j->end == EXPLAIN_END_NEXT && j->end_row.decision.kind == DECISION_RESTART;
    bool failed = again || j->end == EXPLAIN_END_EXITED || j->end == EXPLAIN_END_GIVEN_UP;
    return restart && failed ? EXPLAIN_WORSE : EXPLAIN_NOT_KNOWN;
}

void explain_conclude(struct explain *x, bool run_is_over, uint64_t last_wall_us)
{
    struct explain_judged *j = &x->judged;
    uint64_t bound_us = explain_is_restart(x) ? EXPLAIN_STEPS_US : EXPLAIN_AFTER_US;
    if (j->end == EXPLAIN_END_OPEN && last_wall_us > x->row.wall_us + bound_us)
        j->end = EXPLAIN_END_TIME;
    else if (j->end == EXPLAIN_END_OPEN && run_is_over)
        j->end = EXPLAIN_END_RUN;
    x->verdict = judge(x);
}

const char *explain_verdict_name(enum explain_verdict verdict)
{
    switch (verdict) {
    case EXPLAIN_NOT_KNOWN:
        return "not known";
    case EXPLAIN_NOT_DONE:
        return "not done";
    case EXPLAIN_NOT_JUDGED:
        return "not judged";
    case EXPLAIN_TOO_EARLY:
        return "too early to tell";
    case EXPLAIN_HELPED:
        return "helped";
    case EXPLAIN_NO_EFFECT:
        return "no effect";
    case EXPLAIN_WORSE:
        return "worse";
    }
    return "";
}

/* ---------------------------------------------- in words -------------------------------------------------- */

/* "#9 restart" or "seq 17": the row that ended it. */
static const char *row_name(const struct store_row *row, char buf[static 64])
{
    if (row->type == STORE_ROW_DECISION)
        (void)snprintf(buf, 64, "#%llu %s", (unsigned long long)row->decision.id,
                       decision_kind_name(row->decision.kind));
    else
        (void)snprintf(buf, 64, "seq %llu", (unsigned long long)row->event.seq);
    return buf;
}

/* What stands behind "within 4s": why the reading is the last one that counts. */
static void put_end(const struct explain_judged *j, FILE *out)
{
    char name[64];
    switch (j->end) {
    case EXPLAIN_END_UNDONE:
        fprintf(out, ", until it was undone (%s)", row_name(&j->end_row, name));
        break;
    case EXPLAIN_END_NEXT:
    case EXPLAIN_END_GIVEN_UP:
        fprintf(out, ", until the next intervention (%s)", row_name(&j->end_row, name));
        break;
    case EXPLAIN_END_EXITED:
        fprintf(out, ", until its process ended (%s)", row_name(&j->end_row, name));
        break;
    case EXPLAIN_END_RUN:
        (void)fputs(", until the run ended", out);
        break;
    case EXPLAIN_END_OPEN:
    case EXPLAIN_END_TIME:
        break;
    }
}

static void put_restart_reading(const struct explain *x, FILE *out)
{
    const struct explain_judged *j = &x->judged;
    char size[FORMAT_SIZE_MAX], over[FORMAT_DURATION_MAX], name[64];
    fprintf(out, ", the first reading of generation %u when it was ready. It was ready again after %s (%s).",
            j->generation, format_duration(j->ready.t_us - x->row.t_us, over), row_name(&j->ready, name));
    if (j->has_back)
        fprintf(out, " It was back at %s after %s (seq %llu).", format_size(explain_memory(&j->back), size),
                format_duration(j->back.t_us - x->row.t_us, over), (unsigned long long)j->back.event.seq);
}

static void put_compared(const struct explain *x, FILE *out)
{
    static const char *const openings[] = {[EXPLAIN_HELPED] = "It helped: memory.current fell",
                                           [EXPLAIN_NO_EFFECT] = "No clear effect: memory.current went",
                                           [EXPLAIN_WORSE] = "It did not help: memory.current rose"};
    const struct store_row *from = x->before.last, *to = &x->judged.reading;
    char before[FORMAT_SIZE_MAX], after[FORMAT_SIZE_MAX], over[FORMAT_DURATION_MAX];
    fprintf(out, "%s from %s (seq %llu) to %s (seq %llu)", openings[x->verdict],
            format_size(explain_memory(from), before), (unsigned long long)from->event.seq,
            format_size(explain_memory(to), after), (unsigned long long)to->event.seq);
    if (explain_is_restart(x)) {
        put_restart_reading(x, out);
        return;
    }
    fprintf(out, " within %s", format_duration(to->t_us - from->t_us, over));
    put_end(&x->judged, out);
    (void)fputc('.', out);
}

static void put_too_early(const struct explain *x, FILE *out)
{
    if (!explain_is_restart(x))
        fprintf(out, "Too early to tell: %s.",
                explain_holds_back(x->row.decision.kind)  ? "it is still held back"
                : x->row.decision.kind == DECISION_NOTIFY ? "it was asked less than 60 s ago"
                                                          : "it was done less than 60 s ago");
    else if (!x->judged.generation)
        (void)fputs("Too early to tell: it has not been started again yet.", out);
    else if (!x->judged.has_ready)
        fprintf(out, "Too early to tell: generation %u is not ready yet.", x->judged.generation);
    else
        fprintf(out, "Too early to tell: there is no reading of generation %u yet.", x->judged.generation);
}

static void put_failed_restart(const struct explain *x, FILE *out)
{
    const struct explain_judged *j = &x->judged;
    char name[64];
    (void)row_name(&j->end_row, name);
    if (j->end == EXPLAIN_END_EXITED)
        fprintf(out, "It did not help: generation %u ended (%s) before it was ready.", j->generation, name);
    else
        fprintf(out, "It did not help: %s came before the unit was ready again.", name);
}

/* Was the next intervention decided on the same reading? */
static bool is_joined(const struct explain *x)
{
    const struct explain_judged *j = &x->judged;
    return !explain_is_restart(x) && j->end == EXPLAIN_END_NEXT &&
           j->end_row.decision.event_seq == x->row.decision.event_seq;
}

static void put_not_known(const struct explain *x, FILE *out)
{
    const struct explain_judged *j = &x->judged;
    char name[64], bound[FORMAT_DURATION_MAX];
    if (!x->before.last)
        (void)fputs("Not known: there is no reading of memory.current in the 30 s before it.", out);
    else if (explain_is_restart(x) && j->end == EXPLAIN_END_NEXT)
        fprintf(out, "Not known: %s came before the unit was ready again.", row_name(&j->end_row, name));
    else if (explain_is_restart(x) && j->end == EXPLAIN_END_RUN)
        (void)fputs("Not known: the run ended before the unit was ready again.", out);
    else if (is_joined(x))
        fprintf(out, "Not known: it was done together with %s.", row_name(&j->end_row, name));
    else if (explain_is_restart(x))
        fprintf(out, "Not known: the unit was not ready again within %s.",
                format_duration(EXPLAIN_STEPS_US, bound));
    else {
        (void)fputs("Not known: there is no reading of memory.current after it", out);
        put_end(j, out);
        (void)fputc('.', out);
    }
}

static void put_sentence(const struct explain *x, FILE *out)
{
    switch (x->verdict) {
    case EXPLAIN_NOT_DONE:
        (void)fputs("Nothing was done: mode = observe.", out);
        break;
    case EXPLAIN_NOT_JUDGED:
        (void)fputs("Not judged: it was not done to bring memory down.", out);
        break;
    case EXPLAIN_TOO_EARLY:
        put_too_early(x, out);
        break;
    case EXPLAIN_NOT_KNOWN:
        put_not_known(x, out);
        break;
    case EXPLAIN_HELPED:
    case EXPLAIN_NO_EFFECT:
    case EXPLAIN_WORSE:
        if (x->judged.has_reading)
            put_compared(x, out);
        else
            put_failed_restart(x, out);
        break;
    }
}

const char *explain_sentence(const struct explain *x, char *buf, size_t size)
{
    buf[0] = '\0';
    FILE *out = fmemopen(buf, size, "w");
    if (!out)
        return buf;
    put_sentence(x, out);
    explain_put_drain(x, out);
    (void)fclose(out);
    return buf;
}
