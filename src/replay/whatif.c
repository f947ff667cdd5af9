/* SPDX-License-Identifier: MIT */
/*
 * Record and engine side by side, until they part; see the header.
 *
 * Each unit is on record until the first decision about it that does something else than the recorded one, or until the
 * server that starts it, itself off the record, is started or ended. What the
 * record tells of it after that is put on its tape only, and host.c answers in its place. Readings of a unit of the model
 * all come from its tape: those of the life in which it left the record at the same times, those of a new life from its
 * beginning.
 *
 * Deadlines: the recorded engine's were kept by the recorded loop, some microseconds late, and are fed as they came. One
 * that the recorded engine did not wait for, or not yet, is fed on time. So the same policy sees exactly the same events.
 *
 * Numbers: events that are not on record carry the seq of the one before them. Outcomes on record name recorded
 * decisions; the pairs of the last ones are kept to name those of this engine.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "host.h"
#include "sum.h"
#include "tape.h"
#include "weir/base/units.h"

#define PAIRS     64 /* chosen: outcomes come within a second, decisions a few at a time */
#define PAGE_MASK UINT64_C(4095)

struct pair {
    uint64_t recorded, now;
};

/* A unit's place on its tape. */
struct play {
    struct tape tape;
    bool on; /* a life of the model goes on */
    bool beyond;
    struct whatif_difference difference; /* where it left the record */
    uint64_t start_us;                   /* of the life that is played */
    uint64_t last_us;                    /* of the last reading that was given */
    size_t next;
};

struct whatif {
    struct whatif_options o;
    struct engine *engine;
    struct decision *decided;
    struct play *plays;
    struct host host;
    struct sum sum;
    struct pair pairs[PAIRS];
    uint64_t pair_count;
    bool left; /* some unit left the record before this step */
    uint64_t now_us, seq, policies_skipped;
};

struct whatif *whatif_free(struct whatif *w)
{
    if (!w)
        return NULL;
    for (uint32_t i = 0; w->plays && i < w->o.policy->unit_count; i++)
        tape_free(&w->plays[i].tape);
    free(w->plays);
    free(w->decided);
    host_deinit(&w->host);
    sum_deinit(&w->sum);
    engine_free(w->engine);
    free(w);
    return NULL;
}

int whatif_new(const struct whatif_options *options, struct whatif **ret)
{
    uint32_t units = options->policy->unit_count;
    struct whatif *w = calloc(1, sizeof(*w));
    if (!w)
        return -ENOMEM;
    w->o = *options;
    w->plays = calloc(units ? units : 1, sizeof(*w->plays));
    w->decided = calloc(engine_decisions_max(units), sizeof(*w->decided));
    w->engine = engine_new(units);
    int r = w->plays && w->decided && w->engine ? 0 : -ENOMEM;
    if (r == 0)
        r = engine_prepare(w->engine, options->policy);
    if (r == 0)
        r = host_init(&w->host, options->policy, options->units);
    if (r == 0)
        r = sum_init(&w->sum, options->policy, options->hole_us);
    if (r < 0) {
        whatif_free(w);
        return r;
    }
    *ret = w;
    return 0;
}

/* --- what decisions do ---------------------------------------------------------------------------- */

/* Nothing is done: it tells, or it is only as if. */
static bool does_nothing(const struct decision *d)
{
    return d->observe || d->kind == DECISION_STATE || d->kind == DECISION_NOTE ||
           d->kind == DECISION_RESTART || d->kind == DECISION_STOP || d->kind == DECISION_FAIL ||
           d->kind == DECISION_BACKOFF || d->kind == DECISION_EXIT; /* their steps do it */
}

/* Amounts that only tell how long something lasted, or will at most. */
static bool amounts_tell(enum decision_kind kind)
{
    return kind == DECISION_UNTHROTTLE || kind == DECISION_RELEASE || kind == DECISION_PULSE_FREEZE ||
           kind == DECISION_PULSE_THAW || kind == DECISION_HOLD;
}

static bool do_the_same(const struct decision *a, const struct decision *b)
{
    return a->kind == b->kind && a->generation == b->generation &&
           (amounts_tell(a->kind) || memcmp(a->amount, b->amount, sizeof(a->amount)) == 0);
}

struct decisions {
    const struct decision *list;
    size_t count;
};

/* The nth decision that does something about the unit; NULL when there are not so many. */
static const struct decision *nth(const struct decisions *d, uint16_t unit, size_t n)
{
    for (size_t i = 0; i < d->count; i++)
        if (d->list[i].unit == unit && !does_nothing(&d->list[i]) && n-- == 0)
            return &d->list[i];
    return NULL;
}

/* The unit leaves the record here, because of this decision, its own or its server's. */
static void part(struct whatif *w, uint16_t unit, const struct decision *d, bool missing)
{
    w->plays[unit].difference =
        (struct whatif_difference){.is_there = true, .t_us = w->now_us, .missing = missing, .decision = *d};
}

/* Does the unit go on as on record? */
static bool agree(struct whatif *w, uint16_t unit, const struct decisions *recorded,
                  const struct decisions *now)
{
    for (size_t n = 0;; n++) {
        const struct decision *then = nth(recorded, unit, n), *d = nth(now, unit, n);
        if (!then && !d)
            return true;
        if (!then || !d || !do_the_same(then, d)) {
            part(w, unit, d ? d : then, !d);
            return false;
        }
        w->pairs[w->pair_count++ % PAIRS] = (struct pair){then->id, d->id};
    }
}

static uint64_t decision_now(const struct whatif *w, uint64_t recorded)
{
    for (size_t i = 0; i < PAIRS; i++)
        if (w->pairs[i].recorded == recorded && recorded)
            return w->pairs[i].now;
    return recorded;
}

/* --- one step of the engine ----------------------------------------------------------------------- */

static void take_over(struct whatif *w, uint16_t unit)
{
    struct play *p = &w->plays[unit];
    host_take_over(&w->host, unit);
    p->on = p->tape.count > 0 && w->host.units[unit].alive;
    p->start_us = p->tape.start_us;
    p->last_us = w->now_us;
    p->next = p->tape.count;
}

static bool is_named(const struct decisions *d, uint16_t unit)
{
    for (size_t i = 0; i < d->count; i++)
        if (d->list[i].unit == unit)
            return true;
    return false;
}

/* A server that left the record is started or ended, on record or now: what it starts cannot go on as on record. */
static void take_along(struct whatif *w, const struct decisions *of, bool missing)
{
    static const uint64_t kinds =
        UINT64_C(1) << DECISION_START | UINT64_C(1) << DECISION_TERM | UINT64_C(1) << DECISION_KILL;
    for (size_t i = 0; i < of->count; i++) {
        const struct decision *d = &of->list[i];
        if (d->unit >= w->o.policy->unit_count || d->observe || !w->host.units[d->unit].model ||
            !(kinds >> d->kind & 1U))
            continue;
        for (uint16_t unit = 0; unit < w->o.policy->unit_count; unit++)
            if (w->o.units[unit].server == d->unit && !w->host.units[unit].model) {
                part(w, unit, d, missing);
                take_over(w, unit);
            }
    }
}

/* Units whose decisions part from the record with this step leave it; the event's own unit is asked first. */
static void compare(struct whatif *w, const struct decisions *recorded, const struct decisions *now,
                    uint16_t first)
{
    uint32_t count = w->o.policy->unit_count;
    if (recorded->count == 0 && now->count == 0)
        return;
    for (uint32_t i = 0; i < count; i++) {
        uint16_t unit = (uint16_t)((i + (first < count ? first : 0)) % count);
        if (!w->host.units[unit].model && (is_named(recorded, unit) || is_named(now, unit)) &&
            !agree(w, unit, recorded, now))
            take_over(w, unit);
    }
    take_along(w, now, false);
    take_along(w, recorded, true);
}

/* Tells what was decided and carries it out. event_of_model: all of it rests on the model; else only what is about units that had
 * left the record before. */
static int carry_out(struct whatif *w, const struct decisions *now, bool event_of_model)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < now->count; i++) {
        const struct decision *d = &now->list[i];
        bool model = event_of_model || (d->unit == UNIT_NONE ? w->left : w->sum.units[d->unit].model);
        sum_decision(&w->sum, d, model);
        if (w->o.on_decision)
            r = w->o.on_decision(w->o.user, d, model);
        if (d->unit != UNIT_NONE)
            host_decided(&w->host, d);
    }
    return r == 0 ? w->host.error : r;
}

/* What a reading says of the limit follows the policy; the kernel rounds a limit down to a page. */
static void fit(const struct whatif *w, struct event *e)
{
    uint64_t limit = w->o.policy->units[e->unit].memory_max_bytes;
    if (sample_has(&e->sample, SAMPLE_MEMORY_MAX) && limit != w->o.units[e->unit].recorded_max_bytes)
        e->sample.value[SAMPLE_MEMORY_MAX] = limit == UINT64_MAX ? limit : limit & ~PAGE_MASK;
}

/* What comes after this step is of the model, for the units that left the record. */
static void note_left(struct whatif *w)
{
    for (uint32_t i = 0; i < w->o.policy->unit_count; i++) {
        w->sum.units[i].model = w->host.units[i].model;
        w->left = w->left || w->host.units[i].model;
    }
}

/* recorded: what was decided on this event; NULL: what is decided now is as good as on record. */
static int step(struct whatif *w, struct event *e, const struct decisions *recorded)
{
    bool model = e->unit < w->o.policy->unit_count && w->sum.units[e->unit].model;
    w->now_us = e->t_us > w->now_us ? e->t_us : w->now_us;
    w->seq = e->seq > w->seq ? e->seq : w->seq;
    e->t_us = w->host.now_us = w->now_us;
    e->seq = w->seq;
    sum_advance(&w->sum, w->now_us);
    if (e->kind == EVENT_SAMPLE) {
        fit(w, e);
        sum_reading(&w->sum, e);
    }
    int n = engine_step(w->engine, w->o.policy, e, w->decided);
    struct decisions now = {w->decided, n < 0 ? 0 : (size_t)n};
    if (recorded)
        compare(w, recorded, &now, e->unit);
    int r = carry_out(w, &now, model);
    note_left(w);
    return r;
}

/* --- time of the model ---------------------------------------------------------------------------- */

static const struct decisions nothing = {NULL, 0};

/* When the unit's tape has its next reading, or its end; USEC_INFINITY = not before the record goes on. */
static uint64_t play_due(const struct whatif *w, const struct play *p)
{
    if (!p->on)
        return USEC_INFINITY;
    if (p->next < p->tape.count)
        return p->start_us + p->tape.rows[p->next].age_us;
    if (p->tape.open)
        return USEC_INFINITY;
    if (p->tape.ended)
        return p->start_us + p->tape.end_age_us;
    return p->last_us + w->o.policy->interval_us;
}

/* The unit whose tape is due first. */
static uint16_t play_first(const struct whatif *w, uint64_t *ret_due)
{
    uint16_t best = UNIT_NONE;
    *ret_due = USEC_INFINITY;
    for (uint16_t i = 0; i < w->o.policy->unit_count; i++) {
        uint64_t due = play_due(w, &w->plays[i]);
        if (due < *ret_due) {
            *ret_due = due;
            best = i;
        }
    }
    return best;
}

static int play(struct whatif *w, uint16_t unit, uint64_t due)
{
    struct play *p = &w->plays[unit];
    if (p->next >= p->tape.count && p->tape.ended) {
        p->on = false;
        w->host.now_us = due;
        host_end(&w->host, unit, &p->tape.exit);
        return 0;
    }
    p->beyond = p->beyond || p->next >= p->tape.count;
    struct tape_row row =
        tape_row(&p->tape, p->next, due - p->start_us, w->o.policy->units[unit].memory_max_bytes);
    p->next += p->next < p->tape.count;
    p->last_us = due;
    struct event e = {
        .kind = EVENT_SAMPLE, .unit = unit, .t_us = due, .generation = w->host.units[unit].generation};
    e.sample = (struct sample){.t_us = due, .valid = row.valid, .cause = row.cause};
    memcpy(e.sample.value, row.value, sizeof(row.value));
    return step(w, &e, &nothing);
}

static int answer(struct whatif *w)
{
    struct event e;
    if (!host_take(&w->host, &e))
        return 0;
    struct play *p = &w->plays[e.unit];
    if (e.kind == EVENT_EXITED && e.generation == w->host.units[e.unit].generation)
        p->on = false;
    if (e.kind == EVENT_SPAWNED && w->host.units[e.unit].alive) {
        p->on = p->tape.count > 0;
        p->next = 0;
        p->start_us = p->last_us = e.t_us;
    }
    return step(w, &e, &nothing);
}

/* Lets the model go on to t_us, what is due then included; deadlines only before it, and before the recorded one. */
static int advance(struct whatif *w, uint64_t t_us, uint64_t recorded_deadline_us)
{
    for (int r = 0; r == 0;) {
        uint64_t play_us, answer_us = host_next(&w->host), deadline_us = engine_next_deadline(w->engine);
        uint16_t unit = play_first(w, &play_us);
        if (deadline_us < w->now_us)
            deadline_us = w->now_us;
        bool is_due = deadline_us < t_us && engine_next_deadline(w->engine) < recorded_deadline_us;
        if (answer_us <= t_us && answer_us <= play_us && (!is_due || answer_us <= deadline_us)) {
            r = answer(w);
        } else if (play_us <= t_us && (!is_due || play_us <= deadline_us)) {
            r = play(w, unit, play_us);
        } else if (is_due) {
            struct event e = {.kind = EVENT_DEADLINE, .unit = UNIT_NONE, .t_us = deadline_us};
            r = step(w, &e, &nothing);
        } else {
            return 0;
        }
        if (r < 0 || r > 0)
            return r;
    }
    return 0;
}

/* --- the record ----------------------------------------------------------------------------------- */

/* The recorded life of the unit's tape, as it goes on. */
static int note_on_tape(struct whatif *w, const struct event *e)
{
    struct play *p = &w->plays[e->unit];
    bool same_life = p->tape.open && e->generation == p->tape.generation;
    if (e->kind == EVENT_SPAWNED && !same_life) {
        if (!w->host.units[e->unit].model)
            tape_begin(&p->tape, e->t_us, e->generation);
        else
            p->tape.open = false;
    } else if (e->kind == EVENT_SAMPLE && same_life) {
        return tape_add(&p->tape, &e->sample, e->t_us, &p->next);
    } else if (e->kind == EVENT_EXITED && same_life) {
        p->tape.open = false;
        p->tape.ended = true;
        p->tape.end_age_us = e->t_us - p->tape.start_us;
        p->tape.exit = e->exit;
    }
    return 0;
}

/* A life that was being ended tells nothing more of how it would have gone on. */
static void close_tapes(struct whatif *w, const struct whatif_input *in)
{
    for (size_t i = 0; i < in->recorded_count; i++) {
        const struct decision *d = &in->recorded[i];
        if ((d->kind == DECISION_TERM || d->kind == DECISION_KILL) && d->unit < w->o.policy->unit_count &&
            !d->observe && d->generation == w->plays[d->unit].tape.generation)
            w->plays[d->unit].tape.open = false;
    }
}

/* What came of decisions, as far as the record tells it. */
static bool is_consequence(enum event_kind kind)
{
    static const uint32_t kinds = 1U << EVENT_SAMPLE | 1U << EVENT_ARRIVED | 1U << EVENT_SPAWNED |
                                  1U << EVENT_SPAWN_FAILED | 1U << EVENT_READY | 1U << EVENT_EXITED |
                                  1U << EVENT_EMPTY | 1U << EVENT_CLEANED | 1U << EVENT_OUTCOME;
    return kinds >> kind & 1U;
}

static int feed_unit(struct whatif *w, struct event *e, const struct decisions *recorded)
{
    if (w->host.units[e->unit].model && is_consequence(e->kind)) { /* readings went onto the tape */
        if (recorded)
            compare(w, recorded, &nothing, e->unit); /* what it meant for other units is missing now */
        note_left(w);
        return 0;
    }
    host_note(&w->host, e);
    if (e->kind == EVENT_OUTCOME)
        e->outcome.decision_id = decision_now(w, e->outcome.decision_id);
    return step(w, e, recorded);
}

int whatif_feed(struct whatif *w, const struct whatif_input *in)
{
    struct event e = *in->event;
    bool of_unit = e.unit < w->o.policy->unit_count;
    struct decisions recorded = {in->recorded, in->recorded_count};
    if (e.kind == EVENT_POLICY) {
        w->policies_skipped++;
        return 0;
    }
    if (e.unit != UNIT_NONE && !of_unit)
        return 0; /* a unit that a reload added */
    int r = of_unit ? note_on_tape(w, &e) : 0;
    if (r == 0)
        r = advance(w, e.t_us, in->recorded_deadline_us);
    if (r == 0)
        r = of_unit ? feed_unit(w, &e, in->taken_as_given ? NULL : &recorded)
                    : step(w, &e, in->taken_as_given ? NULL : &recorded);
    close_tapes(w, in);
    return r;
}

int whatif_end(struct whatif *w, uint64_t t_us, uint64_t recorded_deadline_us)
{
    int r = advance(w, t_us, recorded_deadline_us);
    if (t_us > w->now_us)
        sum_advance(&w->sum, t_us);
    return r;
}

/* --- what is asked -------------------------------------------------------------------------------- */

const struct whatif_difference *whatif_difference(const struct whatif *w, uint16_t unit)
{
    return &w->plays[unit].difference;
}

const struct whatif_sum *whatif_sum(const struct whatif *w, uint16_t unit, bool model)
{
    return &w->sum.units[unit].sums[model];
}

uint64_t whatif_policies_skipped(const struct whatif *w)
{
    return w->policies_skipped;
}

bool whatif_is_model(const struct whatif *w, uint16_t unit)
{
    return w->host.units[unit].model;
}

bool whatif_went_beyond(const struct whatif *w, uint16_t unit)
{
    return w->plays[unit].beyond;
}

#define X(id, what, us) what,
static const char *const habit_names[WHATIF_HABIT_COUNT] = {WHATIF_HABITS(X)};
#undef X
#define X(id, what, us) us,
static const uint64_t habit_defaults[WHATIF_HABIT_COUNT] = {WHATIF_HABITS(X)};
#undef X

const char *whatif_habit_name(enum whatif_habit habit)
{
    return habit_names[habit];
}

uint64_t whatif_habit_default(enum whatif_habit habit)
{
    return habit_defaults[habit];
}
