/* SPDX-License-Identifier: MIT */
/*
 * A decision as one sentence:
 *     [would have: ] WHAT [: EVIDENCE] [: REASON] [: EVIDENCE] [; no stronger step: REJECTIONS]
 *     note on UNIT: asked to VERB it, nothing done: WHAT STOOD IN THE WAY
 * Evidence against a threshold stands before the reason ("memory.current 217.6M, threshold 217.5M, held 1s:
 * memory stayed above the threshold"), evidence that completes the reason after it ("its main process exited:
 * code 3"). WHAT is a row of `actions`, EVIDENCE a row of `evidences`.
 *
 * Invariant: the same decision gives the same bytes; nothing here depends on locale, time or host.
 */
#include "weir/model/decision.h"

#include <inttypes.h>
#include <string.h>

#include "codec.h"
#include "weir/base/units.h"
#include "weir/model/event.h"

/* --- values -------------------------------------------------------------------------------------- */

/* One decimal for K and M, two from G on: enough to tell an observed value from the threshold it crossed.
 * Rounded to nearest. */
static void put_bytes(struct text_out *o, uint64_t bytes)
{
    static const char letters[] = "BKMGTPE";
    unsigned step = 0;
    if (bytes == UINT64_MAX) {
        text_put(o, "max");
        return;
    }
    while (step < 6 && bytes >> (10 * step) >= 1024)
        step++;
    uint64_t unit = UINT64_C(1) << (10 * step);
    unsigned digits = step >= 3 ? 2 : 1, scale = step >= 3 ? 100 : 10;
    uint64_t fraction = (mul_div_u64(bytes % unit, 2 * scale, unit) + 1) / 2;
    text_put(o, "%" PRIu64, bytes / unit + fraction / scale);
    if (fraction % scale)
        text_put(o, ".%0*" PRIu64, (int)digits, fraction % scale);
    text_put(o, "%c", letters[step]);
}

static void put_rate(struct text_out *o, uint64_t bytes_per_s)
{
    put_bytes(o, bytes_per_s);
    text_put(o, "/s");
}

static void put_usec(struct text_out *o, uint64_t us)
{
    char text[FORMAT_DURATION_MAX];
    text_put(o, "%s", format_duration(us, text));
}

static void put_permyriad(struct text_out *o, uint64_t share)
{
    text_put(o, "%" PRIu64 ".%02u%%", share / 100, (unsigned)(share % 100));
}

static void put_value(struct text_out *o, enum decision_metric metric, uint64_t value)
{
    static void (*const put[])(struct text_out *, uint64_t) = {
        [METRIC_TYPE_BYTES] = put_bytes,       [METRIC_TYPE_BYTES_PER_S] = put_rate,
        [METRIC_TYPE_USEC] = put_usec,         [METRIC_TYPE_PERMYRIAD] = put_permyriad,
        [METRIC_TYPE_COUNT] = text_put_number,
    };
    put[decision_metric_type(metric)](o, value);
}

const char *decision_metric_format(enum decision_metric metric, uint64_t value,
                                   char buf[static METRIC_FORMAT_MAX])
{
    struct text_out o = text_begin(buf, METRIC_FORMAT_MAX);
    put_value(&o, metric, value);
    return buf;
}

/* --- what is done -------------------------------------------------------------------------------- */

static void put_throttle(struct text_out *o, const struct decision *d)
{
    const char *between = " to ";
    if (d->amount[0] != 0 && d->amount[0] != UINT64_MAX) {
        text_put(o, "%s", between);
        put_permyriad(o, d->amount[0]);
        text_put(o, " of a cpu");
        between = ", ";
    }
    if (d->amount[1] != 0 && d->amount[1] != UINT64_MAX) {
        text_put(o, "%smemory.high ", between);
        put_bytes(o, d->amount[1]);
    }
}

static void put_pulse(struct text_out *o, const struct decision *d)
{
    text_put(o, " for ");
    put_usec(o, d->amount[0]);
}

/* Where "after" is evidence, it says so there. */
static void put_lasted(struct text_out *o, const struct decision *d)
{
    if (d->amount[0] == 0 || d->metric == METRIC_ELAPSED)
        return;
    text_put(o, " after ");
    put_usec(o, d->amount[0]);
}

static void put_failures(struct text_out *o, const struct decision *d)
{
    if (d->amount[0])
        text_put(o, " after %" PRIu64 " failure%s", d->amount[0], d->amount[0] == 1 ? "" : "s");
}

static void put_backoff(struct text_out *o, const struct decision *d)
{
    if (d->amount[0]) {
        text_put(o, " in ");
        put_usec(o, d->amount[0]);
    } else {
        text_put(o, " at once");
    }
    if (d->amount[1])
        text_put(o, " (try %" PRIu64 ")", d->amount[1]);
}

static const char *state_name(uint64_t state)
{
    return state < UNIT_STATE_COUNT ? unit_state_name((enum unit_state)state) : "?";
}

static void put_states(struct text_out *o, const struct decision *d)
{
    text_put(o, " goes from %s to %s", state_name(d->amount[0]), state_name(d->amount[1]));
}

static void put_status(struct text_out *o, const struct decision *d)
{
    text_put(o, " with status %" PRIu64, d->amount[0]);
}

/* before UNIT after, then what detail adds. */
struct action {
    const char *before;
    const char *after;
    void (*detail)(struct text_out *, const struct decision *);
};

static void put_requests(struct text_out *o, const struct decision *d)
{
    if (d->amount[0])
        text_put(o, " to %" PRIu64 " request%s in flight", d->amount[0], d->amount[0] == 1 ? "" : "s");
    if (d->amount[1]) {
        text_put(o, "%s one each ", d->amount[0] ? "," : " to");
        put_usec(o, d->amount[1]);
    }
}

static void put_bound(struct text_out *o, const struct decision *d)
{
    text_put(o, " for at most ");
    put_usec(o, d->amount[0]);
}

static void put_reclaim(struct text_out *o, const struct decision *d)
{
    text_put(o, ": up to ");
    put_bytes(o, d->amount[0]);
    if (d->amount[1] > 1)
        text_put(o, ", chunk %" PRIu64, d->amount[1]);
}

static const struct action actions[DECISION_KIND_COUNT] = {
    [DECISION_START] = {"start ", "", NULL},
    [DECISION_ADMIT] = {"admit ", "", NULL},
    [DECISION_REFUSE] = {"refuse to run ", "", NULL},
    [DECISION_TERM] = {"send SIGTERM to ", "", NULL},
    [DECISION_KILL] = {"kill every process of ", "", NULL},
    [DECISION_CLEAN] = {"remove the cgroup of ", "", NULL},
    [DECISION_NOTIFY] = {"ask ", " to give memory back", NULL},
    [DECISION_PACE] = {"pace the requests to ", "", put_requests},
    [DECISION_HOLD] = {"hold the requests to ", "", put_bound},
    [DECISION_RELEASE] = {"release the requests to ", "", put_lasted},
    [DECISION_PREPARE] = {"start the next process of ", " beside it", put_bound},
    [DECISION_DRAIN] = {"wait for the answers of ", "", put_bound},
    [DECISION_RECLAIM] = {"take memory back from ", "", put_reclaim},
    [DECISION_RECLAIM_MORE] = {"take more memory back from ", "", put_reclaim},
    [DECISION_THROTTLE] = {"throttle ", "", put_throttle},
    [DECISION_STEER] = {"steer the throttle of ", "", put_throttle},
    [DECISION_UNTHROTTLE] = {"stop throttling ", "", put_lasted},
    [DECISION_FREEZE] = {"freeze ", "", NULL},
    [DECISION_THAW] = {"thaw ", "", NULL},
    [DECISION_PULSE_FREEZE] = {"freeze ", "", put_pulse},
    [DECISION_PULSE_THAW] = {"thaw ", " between pulses", NULL},
    [DECISION_RESTART] = {"restart ", "", NULL},
    [DECISION_STOP] = {"stop ", "", NULL},
    [DECISION_FAIL] = {"give up ", "", put_failures},
    [DECISION_BACKOFF] = {"start ", " again", put_backoff},
    [DECISION_STATE] = {"", "", put_states},
    [DECISION_NOTE] = {"note on ", "", NULL},
    [DECISION_EXIT] = {"end ", "", put_status},
};

/* A back-off that only says when a unit may be started by another. */
static const struct action backoff_of_server = {"", " may be started again by its server", put_backoff};

static bool is_rejected(const struct decision *d, enum decision_rejection rejection)
{
    return d->rejected >> rejection & 1U;
}

static bool is_backoff_of_server(const struct decision *d)
{
    return d->kind == DECISION_BACKOFF && is_rejected(d, REJECTED_SERVER);
}

static void put_action(struct text_out *o, const struct decision *d, const char *const *unit_names)
{
    if ((unsigned)d->kind >= DECISION_KIND_COUNT) {
        text_put(o, "?");
        return;
    }
    const struct action *a = is_backoff_of_server(d) ? &backoff_of_server : &actions[d->kind];
    text_put(o, "%s%s%s", a->before, d->unit == UNIT_NONE ? "weir" : unit_names[d->unit], a->after);
    if (a->detail)
        a->detail(o, d);
}

/* --- why ----------------------------------------------------------------------------------------- */

struct evidence {
    const char *label;                       /* before the observed value; NULL: the metric's name */
    const char *threshold;                   /* before the threshold; NULL: "threshold " */
    bool completes_reason;                   /* stands after the reason */
    void (*put)(struct text_out *, int64_t); /* NULL: as the metric's type says */
};

static const struct evidence evidences[METRIC_COUNT] = {
    [METRIC_MEMORY_JUMP] = {NULL, "left to the limit ", false, NULL},
    [METRIC_OOM_KILL] = {"OOM kills ", NULL, true, NULL},
    [METRIC_PIDS_EVENTS_MAX] = {"forks refused ", NULL, true, NULL},
    [METRIC_EXIT_STATUS] = {"code ", "expected ", true, NULL},
    [METRIC_EXIT_SIGNAL] = {"signal ", "expected ", true, text_put_signal},
    [METRIC_ERRNO] = {"", "expected ", true, text_put_errno},
    [METRIC_FAILURES] = {"failures ", "budget ", true, NULL},
    [METRIC_RESTART_SHARE] = {"", "limit ", true, NULL},
    [METRIC_UPTIME] = {"up for ", "limit ", true, NULL},
    [METRIC_ELAPSED] = {"after ", "limit ", true, NULL},
};

static bool has_evidence(const struct decision *d)
{
    return d->metric != METRIC_NONE && (unsigned)d->metric < METRIC_COUNT;
}

/* The figures are those of what a person wrote, whatever the engine itself compares that metric with. */
static bool is_of_condition(const struct decision *d)
{
    return d->reason == REASON_RULE || d->reason == REASON_RULE_OVER || d->reason == REASON_RULE_LIMIT;
}

static void put_evidence(struct text_out *o, const struct decision *d)
{
    const struct evidence *e = &evidences[d->metric];
    const char *threshold = e->threshold && !is_of_condition(d) ? e->threshold : "threshold ";
    if (e->label)
        text_put(o, ": %s", e->label);
    else
        text_put(o, ": %s ", decision_metric_name(d->metric));
    if (e->put)
        e->put(o, (int64_t)d->observed);
    else
        put_value(o, d->metric, d->observed);
    if (d->threshold) {
        text_put(o, ", %s", threshold);
        put_value(o, d->metric, d->threshold);
    }
    if (d->held_us) {
        text_put(o, ", held ");
        put_usec(o, d->held_us);
    }
}

static bool is_of_rule(const struct decision *d)
{
    return strncmp(d->rule, "rule.", 5) == 0;
}

/* A rule's action that cannot be done is a note; a step of the ladder was done, and a stronger one was not. */
static void put_rejections(struct text_out *o, const struct decision *d, uint32_t rejected)
{
    const char *between = "; no stronger step: ";
    if (rejected && d->kind == DECISION_NOTE && is_of_rule(d)) {
        bool names = d->amount[0] >= 1 && d->amount[0] <= DECISION_KIND_COUNT;
        text_put(o, "; %s%snot done", names ? decision_kind_name((enum decision_kind)(d->amount[0] - 1)) : "",
                 names ? " " : "");
        between = ": ";
    }
    for (unsigned i = 0; i < REJECTED_COUNT; i++)
        if (rejected >> i & 1U) {
            text_put(o, "%s%s", between, decision_rejection_text((enum decision_rejection)i));
            between = ", ";
        }
}

/* What was seen of its memory, apart from what was concluded from it. */
static void put_shape(struct text_out *o, const struct decision *d)
{
    static const char *const texts[SHAPE_COUNT] = {
#define X(id, name, text) [SHAPE_##id] = text,
        DECISION_SHAPES(X)
#undef X
    };
    bool said = d->reason == REASON_BASELINE || d->reason == REASON_OUTSIDE;
    if (d->shape == SHAPE_NONE || (unsigned)d->shape >= SHAPE_COUNT || said)
        return;
    text_put(o, "; %s", texts[d->shape]);
    if (!d->shape_bytes)
        return;
    text_put(o, " (rose ");
    put_bytes(o, d->shape_bytes);
    if (d->shape_us) {
        text_put(o, " in ");
        put_usec(o, d->shape_us);
    }
    text_put(o, ")");
}

static void put_reason(struct text_out *o, const struct decision *d)
{
    const char *text = decision_reason_text(d->reason);
    if (d->reason == REASON_RULE && is_of_rule(d)) {
        text_put(o, ": rule %s", d->rule + 5);
        return;
    }
    if (d->reason == REASON_RULE_OVER && is_of_rule(d)) {
        text_put(o, ": rule %s is over", d->rule + 5);
        return;
    }
    if (d->reason == REASON_RULE_LIMIT && is_of_rule(d)) {
        text_put(o, ": rule %s has done that as often as its limit allows", d->rule + 5);
        return;
    }
    if (d->reason == REASON_NO_HELP && d->kind == DECISION_RESTART && d->amount[1]) {
        text_put(o, ": holding it back for ");
        put_usec(o, d->amount[1]);
        text_put(o, " did not help");
    } else if (*text) {
        text_put(o, ": %s", text);
    }
}

/* --- asked for in vain ----------------------------------------------------------------------------- */

static bool is_asked_in_vain(const struct decision *d)
{
    return d->kind == DECISION_NOTE && d->amount[1] >= 1 && d->amount[1] <= EVENT_VERB_COUNT;
}

static const char *state_clause(uint64_t state)
{
    static const char *const clauses[UNIT_STATE_COUNT] = {
        [UNIT_STATE_STOPPED] = "it is stopped",
        [UNIT_STATE_STARTING] = "it is starting",
        [UNIT_STATE_READY] = "it is running",
        [UNIT_STATE_DRAINING] = "it is to end once its last requests are answered",
        [UNIT_STATE_STOPPING] = "it is stopping",
        [UNIT_STATE_BACKOFF] = "it waits for its next start",
        [UNIT_STATE_FAILED] = "it was given up",
        [UNIT_STATE_ADOPTED] = "it is running",
    };
    return state < UNIT_STATE_COUNT ? clauses[state] : "?";
}

static const char *hindrance(const struct decision *d, enum event_verb verb)
{
    uint64_t state = d->amount[0];
    bool runs = state == UNIT_STATE_READY || state == UNIT_STATE_ADOPTED;
    if (is_rejected(d, REJECTED_UNSUPPORTED))
        return decision_rejection_text(REJECTED_UNSUPPORTED);
    if (is_rejected(d, REJECTED_GATE))
        return decision_rejection_text(REJECTED_GATE);
    if (d->reason != REASON_OPERATOR)
        return decision_reason_text(d->reason);
    if (verb == EVENT_VERB_THAW)
        return "it is not frozen";
    if ((verb == EVENT_VERB_HOLD || verb == EVENT_VERB_PACE) && runs)
        return "it is frozen";
    if (verb == EVENT_VERB_RELEASE)
        return "no request to it is held back";
    if (verb == EVENT_VERB_FREEZE && runs)
        return "it is frozen already";
    if ((verb == EVENT_VERB_START || verb == EVENT_VERB_RESTART) && state == UNIT_STATE_STOPPING)
        return "it starts again once it has stopped";
    return state_clause(state);
}

static void put_asked(struct text_out *o, const struct decision *d)
{
    enum event_verb verb = (enum event_verb)(d->amount[1] - 1);
    text_put(o, ": asked to %s it", event_verb_name(verb));
    if (is_rejected(d, REJECTED_SERVER))
        text_put(o, ": %s, and may do so now", decision_rejection_text(REJECTED_SERVER));
    else
        text_put(o, ", nothing done: %s", hindrance(d, verb));
}

const char *decision_narrate(const struct decision *d, const char *const *unit_names, char *buf, size_t size)
{
    struct text_out o = text_begin(buf, size);
    bool after = has_evidence(d) && evidences[d->metric].completes_reason;
    uint32_t rejected = d->rejected;
    if (d->observe)
        text_put(&o, "would have: ");
    put_action(&o, d, unit_names);
    if (is_asked_in_vain(d)) {
        put_asked(&o, d);
        return buf;
    }
    if (is_backoff_of_server(d))
        rejected &= ~(1U << REJECTED_SERVER);
    if (has_evidence(d) && !after)
        put_evidence(&o, d);
    put_reason(&o, d);
    if (after)
        put_evidence(&o, d);
    put_shape(&o, d);
    put_rejections(&o, d, rejected);
    return buf;
}
