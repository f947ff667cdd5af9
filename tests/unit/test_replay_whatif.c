/* SPDX-License-Identifier: MIT */
/*
 * Another policy on what is on record. The record here is a worker of 1000 MB that leaks 50 MB a second from 300 MB on, as
 * the defaults treat it: told, held back, restarted, again and again. Each story changes one figure of that policy.
 */
#include "engine_kit.h"

#include <signal.h>
#include <stdlib.h>

#include "rng.h"
#include "tape.h"
#include "weir/base/cleanup.h"
#include "weir/replay/whatif.h"

#define STEPS_MAX 1200
#define LATE_US   40 /* the recorded loop kept its deadlines so much late */
#define LEAK      (50 * MB)
#define BASE      (300 * MB)

struct step {
    struct event event;
    struct decision decided[12];
    size_t count;
    uint64_t deadline_us;
};

struct world {
    struct kit k;
    struct step steps[STEPS_MAX];
    size_t count;
    struct event pending[16];
    size_t pending_count;
    uint64_t now_us, spawned_us;
    bool alive;
};

static struct world *w; /* too large for the stack */
static const char *const names[] = {"unit0", "unit1"};

/* --- the record ----------------------------------------------------------------------------------- */

static void answer(uint64_t after_us, enum event_kind kind, uint32_t generation)
{
    struct event e = {.kind = kind, .generation = generation, .t_us = w->now_us + after_us};
    if (kind == EVENT_SPAWNED)
        e.spawned.pid = 100;
    if (kind == EVENT_EXITED)
        e.exit = (struct event_exit){.status_known = true, .signal = SIGTERM};
    assert_true(w->pending_count < ARRAY_SIZE(w->pending));
    w->pending[w->pending_count++] = e;
}

static void give(struct event e)
{
    struct step *s = &w->steps[w->count++];
    assert_true(w->count <= STEPS_MAX);
    w->now_us = e.t_us;
    s->deadline_us = engine_next_deadline(w->k.engine);
    if (e.kind == EVENT_SPAWNED) {
        w->alive = true;
        w->spawned_us = e.t_us;
    }
    w->alive = w->alive && e.kind != EVENT_EXITED;
    kit_step(&w->k, e.t_us, e);
    e.seq = w->k.seq;
    s->event = e;
    s->count = (size_t)w->k.count;
    assert_true(s->count <= ARRAY_SIZE(s->decided));
    memcpy(s->decided, w->k.decisions, s->count * sizeof(*s->decided));
    for (size_t i = 0; i < s->count; i++) {
        const struct decision *d = &s->decided[i];
        if (d->kind == DECISION_START)
            answer(10 * MS, EVENT_SPAWNED, d->generation);
        else if (d->kind == DECISION_TERM && w->alive)
            answer(300 * MS, EVENT_EXITED, d->generation);
        else if (d->kind == DECISION_KILL) {
            if (w->alive)
                answer(5 * MS, EVENT_EXITED, d->generation);
            answer(5 * MS, EVENT_EMPTY, d->generation);
        } else if (d->kind == DECISION_CLEAN)
            answer(MS, EVENT_CLEANED, d->generation);
    }
}

/* Answers and deadlines that come before t_us. */
static void pass(uint64_t t_us)
{
    for (;;) {
        size_t first = 0;
        for (size_t i = 1; i < w->pending_count; i++)
            if (w->pending[i].t_us < w->pending[first].t_us)
                first = i;
        uint64_t due = engine_next_deadline(w->k.engine);
        due = due == USEC_INFINITY ? due : due + LATE_US;
        uint64_t next = w->pending_count ? w->pending[first].t_us : USEC_INFINITY;
        if (next >= t_us && due >= t_us)
            return;
        if (next <= due) {
            struct event e = w->pending[first];
            memmove(&w->pending[first], &w->pending[first + 1], (--w->pending_count - first) * sizeof(e));
            give(e);
        } else {
            give((struct event){.kind = EVENT_DEADLINE, .unit = UNIT_NONE, .t_us = due});
        }
    }
}

static void second(uint64_t s)
{
    struct unit_view view;
    pass(s * SEC);
    engine_unit_view(w->k.engine, 0, &view);
    if (!w->alive)
        return;
    struct event e = {.kind = EVENT_SAMPLE, .generation = view.generation, .t_us = s * SEC};
    e.sample.t_us = e.t_us;
    sample_set(&e.sample, SAMPLE_MEMORY_CURRENT, BASE + LEAK * (s * SEC - w->spawned_us) / SEC);
    sample_set(&e.sample, SAMPLE_MEMORY_MAX, w->k.units[0].memory_max_bytes);
    give(e);
}

static void record_begin(void)
{
    w = calloc(1, sizeof(*w));
    assert_non_null(w);
    kit_init(&w->k, 1);
    give((struct event){.kind = EVENT_RUN, .unit = UNIT_NONE});
}

static int setup(void **state)
{
    (void)state;
    record_begin();
    for (uint64_t s = 1; s <= 60; s++)
        second(s);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    kit_deinit(&w->k);
    free(w);
    return 0;
}

/* --- the try -------------------------------------------------------------------------------------- */

struct told {
    struct decision decided[2000];
    bool model[2000];
    size_t count;
    struct whatif *whatif;
    struct policy policy;
    struct unit_policy unit;
    struct whatif_unit habits;
};

static int keep(void *user, const struct decision *d, bool model)
{
    struct told *t = user;
    assert_true(t->count < ARRAY_SIZE(t->decided));
    t->model[t->count] = model;
    t->decided[t->count++] = *d;
    return 0;
}

/* The recorded policy, to be changed. */
static struct told *told_new(void)
{
    struct told *t = calloc(1, sizeof(*t));
    assert_non_null(t);
    t->policy = w->k.policy;
    t->unit = w->k.units[0];
    t->policy.units = &t->unit;
    t->habits = (struct whatif_unit){.server = UNIT_NONE, .recorded_max_bytes = t->unit.memory_max_bytes};
    t->habits.habits[WHATIF_HABIT_START] = 10 * MS;
    t->habits.habits[WHATIF_HABIT_STOP] = 300 * MS;
    t->habits.habits[WHATIF_HABIT_KILL] = 5 * MS;
    return t;
}

static void try(struct told *t)
{
    const struct whatif_options o = {
        .policy = &t->policy, .units = &t->habits, .hole_us = 1500 * MS, .on_decision = keep, .user = t};
    assert_int_equal(whatif_new(&o, &t->whatif), 0);
    for (size_t i = 0; i < w->count; i++) {
        const struct step *s = &w->steps[i];
        struct whatif_input in = {.event = &s->event,
                                  .recorded = s->decided,
                                  .recorded_count = s->count,
                                  .recorded_deadline_us = s->deadline_us};
        assert_int_equal(whatif_feed(t->whatif, &in), 0);
    }
    assert_int_equal(whatif_end(t->whatif, w->now_us, engine_next_deadline(w->k.engine)), 0);
}

static void told_free(struct told *t)
{
    whatif_free(t->whatif);
    free(t);
}

static size_t count_of(const struct told *t, enum decision_kind kind)
{
    size_t n = 0;
    for (size_t i = 0; i < t->count; i++)
        n += t->decided[i].kind == kind;
    return n;
}

static const struct decision *nth(const struct told *t, enum decision_kind kind, size_t n)
{
    for (size_t i = 0; i < t->count; i++)
        if (t->decided[i].kind == kind && n-- == 0)
            return &t->decided[i];
    fail_msg("there is no such decision");
    return NULL;
}

static size_t recorded_of(enum decision_kind kind)
{
    size_t n = 0;
    for (size_t i = 0; i < w->count; i++)
        for (size_t d = 0; d < w->steps[i].count; d++)
            n += w->steps[i].decided[d].kind == kind;
    return n;
}

/* --- stories -------------------------------------------------------------------------------------- */

static void assert_same_text(const struct decision *a, const struct decision *b)
{
    char then[DECISION_TEXT_MAX], now[DECISION_TEXT_MAX];
    assert_true(decision_format(a, names, then, sizeof(then)) > 0);
    assert_true(decision_format(b, names, now, sizeof(now)) > 0);
    assert_string_equal(then, now);
}

static void same_bytes(void)
{
    struct told *t = told_new();
    try(t);
    size_t n = 0;
    for (size_t i = 0; i < w->count; i++)
        for (size_t d = 0; d < w->steps[i].count; d++, n++) {
            assert_true(n < t->count);
            assert_same_text(&w->steps[i].decided[d], &t->decided[n]);
            assert_false(t->model[n]);
        }
    assert_int_equal(n, t->count);
    assert_false(whatif_difference(t->whatif, 0)->is_there);
    assert_false(whatif_is_model(t->whatif, 0));
    assert_int_equal(whatif_sum(t->whatif, 0, true)->readings, 0);
    told_free(t);
}

static void test_the_same_policy_decides_the_same_bytes(void **state)
{
    (void)state;
    assert_true(recorded_of(DECISION_RESTART) >= 3);
    same_bytes();
}

/* Throttles that end by their time bound, each told some microseconds late. */
static void test_late_deadlines_are_fed_as_they_came(void **state)
{
    (void)state;
    size_t deadlines = 0;
    record_begin();
    w->k.units[0].ladder.throttle_max_us = 1500 * MS;
    for (uint64_t s = 1; s <= 60; s++)
        second(s);
    for (size_t i = 0; i < w->count; i++)
        deadlines += w->steps[i].event.kind == EVENT_DEADLINE && w->steps[i].count > 0;
    assert_true(deadlines >= 3);
    same_bytes();
    teardown(NULL);
}

static void test_what_only_tells_parts_nothing(void **state)
{
    (void)state;
    struct told *t = told_new();
    t->unit.recycle_cost_permyriad = 9000; /* asked for only when recycling costs a lot */
    t->policy.fast_interval_us = 10 * MS;  /* the record has the readings that it has */
    try(t);
    assert_false(whatif_difference(t->whatif, 0)->is_there);
    assert_int_equal(count_of(t, DECISION_RESTART), recorded_of(DECISION_RESTART));
    told_free(t);
}

static void test_a_later_restart_is_a_guess_from_the_recorded_one_on(void **state)
{
    (void)state;
    struct told *t = told_new();
    const struct decision *then = NULL;
    for (size_t i = 0; i < w->count && !then; i++)
        for (size_t d = 0; d < w->steps[i].count && !then; d++)
            if (w->steps[i].decided[d].kind == DECISION_UNTHROTTLE)
                then = &w->steps[i].decided[d];
    t->unit.ladder.restart_hold_us = 3 * SEC; /* it is held back for longer before the level says restart */
    t->unit.ladder.restart_eta_us = 0;
    try(t);
    const struct whatif_difference *d = whatif_difference(t->whatif, 0);
    assert_true(d->is_there);
    assert_true(d->missing); /* what was done then is not done now */
    assert_int_equal(d->t_us, then->t_us);
    assert_true(whatif_went_beyond(t->whatif, 0));
    const struct decision *restart = nth(t, DECISION_RESTART, 0);
    assert_true(restart->t_us > d->t_us);
    assert_true(restart->observed >= 930 * MB);
    for (size_t i = 0; i < t->count; i++)
        assert_int_equal(t->model[i], t->decided[i].t_us > d->t_us);
    told_free(t);
}

/* Throttle lower: from there on the model; the restarts that follow are those of lives that go like the first. */
static void test_new_lives_go_like_the_recorded_one(void **state)
{
    (void)state;
    struct told *t = told_new();
    t->unit.ladder.restart_permyriad = 7800;
    t->unit.ladder.throttle_permyriad = 7000;
    try(t);
    assert_true(whatif_difference(t->whatif, 0)->is_there);
    assert_false(whatif_difference(t->whatif, 0)->missing);
    assert_int_equal(whatif_difference(t->whatif, 0)->decision.kind, DECISION_THROTTLE);
    size_t restarts = count_of(t, DECISION_RESTART);
    assert_true(restarts >= 3);
    /* one life is as long as the other, within a reading */
    for (size_t i = 2; i < restarts; i++) {
        uint64_t last = nth(t, DECISION_RESTART, i)->t_us - nth(t, DECISION_RESTART, i - 1)->t_us;
        uint64_t before = nth(t, DECISION_RESTART, i - 1)->t_us - nth(t, DECISION_RESTART, i - 2)->t_us;
        assert_true(last + SEC > before && before + SEC > last);
        assert_int_equal(nth(t, DECISION_RESTART, i)->observed, nth(t, DECISION_RESTART, 1)->observed);
    }
    assert_false(whatif_went_beyond(t->whatif, 0));
    told_free(t);
}

static void test_a_deadline_of_the_new_policy_is_kept_on_time(void **state)
{
    (void)state;
    struct told *t = told_new();
    t->unit.ladder.throttle_max_us = 1234 * MS;
    try(t);
    const struct decision *throttle = nth(t, DECISION_THROTTLE, 0), *end = nth(t, DECISION_UNTHROTTLE, 0);
    assert_int_equal(end->t_us, throttle->t_us + 1234 * MS);
    assert_int_equal(whatif_difference(t->whatif, 0)->t_us, end->t_us);
    told_free(t);
}

static void test_observing_does_nothing(void **state)
{
    (void)state;
    struct told *t = told_new();
    t->unit.mode = UNIT_MODE_OBSERVE;
    try(t);
    assert_true(whatif_difference(t->whatif, 0)->missing);
    assert_int_equal(count_of(t, DECISION_TERM), 0);
    assert_true(count_of(t, DECISION_RESTART) > 0);
    assert_true(nth(t, DECISION_RESTART, 0)->observe);
    told_free(t);
}

static void test_the_limit_in_the_readings_follows_the_policy(void **state)
{
    (void)state;
    struct told *t = told_new();
    t->unit.memory_max_bytes = 4000 * MB;
    try(t);
    /* 60 s of 50 MB a second from 300 MB on, less what the record never let it reach: no 60 % of 4000 MB before it
     * grew on beyond its record */
    const struct decision *notify = nth(t, DECISION_NOTIFY, 0);
    assert_int_equal(notify->threshold, 2400 * MB);
    assert_int_equal(count_of(t, DECISION_RESTART), 0);
    assert_int_equal(whatif_level_bytes(&t->unit, WHATIF_LEVEL_LIMIT), 4000 * MB);
    assert_int_equal(whatif_sum(t->whatif, 0, true)->above_us[WHATIF_LEVEL_LIMIT], 0);
    told_free(t);
}

static void random_policy(uint64_t *rng, struct unit_policy *p)
{
    struct ladder_policy *l = &p->ladder;
    l->notify_permyriad = (uint32_t)rng_below(rng, 9000);
    l->reclaim_permyriad = (uint32_t)rng_below(rng, 9000);
    l->throttle_permyriad = (uint32_t)rng_below(rng, 9000);
    l->restart_permyriad = (uint32_t)rng_below(rng, 9500);
    l->critical_permyriad = 9000 + (uint32_t)rng_below(rng, 1000);
    l->throttle_max_us = 100 * MS + rng_below(rng, 10 * SEC);
    l->restart_hold_us = rng_below(rng, 5 * SEC);
    p->mode = rng_below(rng, 4) ? UNIT_MODE_ACT : UNIT_MODE_OBSERVE;
    p->kind = rng_below(rng, 4) ? UNIT_KIND_SERVICE : UNIT_KIND_WRAPPED;
    p->has_ready = rng_below(rng, 2);
    p->stop_timeout_us = rng_below(rng, 2 * SEC);
    p->ready_timeout_us = 100 * MS + rng_below(rng, 20 * SEC);
    p->memory_max_bytes = (200 + rng_below(rng, 2000)) * MB;
    p->abilities = (uint32_t)rng_below(rng, 2048) & ~(uint32_t)ABILITY_GATE;
}

/* Whatever is asked: time goes on, facts come before the model, what begins ends once, and the same comes out again. */
static void test_any_policy_can_be_tried(void **state)
{
    (void)state;
    uint64_t rng = 20251105;
    size_t models = 0;
    for (int round = 0; round < 150; round++) {
        struct told *a = told_new(), *b = told_new();
        random_policy(&rng, &a->unit);
        b->unit = a->unit;
        a->habits.habits[WHATIF_HABIT_STOP] = b->habits.habits[WHATIF_HABIT_STOP] = rng_below(&rng, 3 * SEC);
        try(a);
        try(b);
        assert_int_equal(a->count, b->count);
        bool throttled = false;
        for (size_t i = 0; i < a->count; i++) {
            const struct decision *d = &a->decided[i];
            assert_same_text(d, &b->decided[i]);
            assert_true(i == 0 || d->t_us >= a->decided[i - 1].t_us);
            assert_true(d->t_us <= w->now_us);
            assert_true(i == 0 || a->model[i] || !a->model[i - 1]);
            if (d->kind == DECISION_THROTTLE || d->kind == DECISION_UNTHROTTLE) {
                assert_int_equal(throttled, d->kind == DECISION_UNTHROTTLE);
                throttled = d->kind == DECISION_THROTTLE;
            }
        }
        models += whatif_is_model(a->whatif, 0);
        told_free(a);
        told_free(b);
    }
    assert_true(models > 100);
}

/* --- other records -------------------------------------------------------------------------------- */

/* A server, and a wrapped unit. The policy that is tried does not start the server; at the
 * end of the record: where the second unit left it. */
static struct whatif_difference without_the_server(uint16_t server)
{
    struct kit k;
    struct whatif *whatif;
    kit_init(&k, 2);
    k.units[1].kind = UNIT_KIND_WRAPPED;
    struct unit_policy tried[2] = {k.units[0], k.units[1]};
    struct policy policy = k.policy;
    policy.units = tried;
    tried[0].enabled = false;
    struct whatif_unit habits[2] = {{.server = UNIT_NONE}, {.server = server}};
    const struct whatif_options o = {.policy = &policy, .units = habits, .hole_us = SEC};
    assert_int_equal(whatif_new(&o, &whatif), 0);
    struct event events[] = {{.kind = EVENT_RUN, .unit = UNIT_NONE},
                             {.kind = EVENT_SPAWNED, .generation = 1, .spawned = {.pid = 100}}};
    for (uint64_t s = 0; s < ARRAY_SIZE(events); s++) {
        kit_step(&k, s * SEC, events[s]);
        events[s].t_us = s * SEC;
        events[s].seq = k.seq;
        struct whatif_input in = {.event = &events[s],
                                  .recorded = k.decisions,
                                  .recorded_count = (size_t)k.count,
                                  .recorded_deadline_us = USEC_INFINITY};
        assert_int_equal(whatif_feed(whatif, &in), 0);
    }
    assert_true(whatif_is_model(whatif, 0));
    struct whatif_difference d = *whatif_difference(whatif, 1);
    assert_int_equal(d.is_there, whatif_is_model(whatif, 1));
    whatif_free(whatif);
    kit_deinit(&k);
    return d;
}

static void test_units_leave_the_record_each_for_itself(void **state)
{
    (void)state;
    assert_false(without_the_server(UNIT_NONE).is_there);
    struct whatif_difference started = without_the_server(0);
    assert_true(started.is_there && started.missing);
    assert_int_equal(started.decision.unit, 0);
    assert_int_equal(started.decision.kind, DECISION_START);
}

static void test_an_operator_is_obeyed_in_the_model(void **state)
{
    (void)state;
    record_begin();
    for (uint64_t s = 1; s <= 12; s++)
        second(s);
    struct event stop = {.kind = EVENT_OPERATOR, .t_us = 12 * SEC + 500 * MS};
    stop.operator_.verb = EVENT_VERB_STOP;
    give(stop);
    for (uint64_t s = 13; s <= 20; s++)
        second(s);
    struct told *t = told_new();
    t->unit.ladder.notify_permyriad = 5000;
    try(t);
    assert_int_equal(whatif_difference(t->whatif, 0)->decision.kind, DECISION_NOTIFY);
    const struct decision *d = nth(t, DECISION_STOP, 0);
    assert_int_equal(d->t_us, 12 * SEC + 500 * MS);
    assert_int_equal(nth(t, DECISION_CLEAN, 0)->t_us, d->t_us + 305 * MS);
    assert_int_equal(t->decided[t->count - 1].kind, DECISION_STATE);
    assert_int_equal(t->decided[t->count - 1].amount[1], UNIT_STATE_STOPPED);
    /* from the stop on it is not ready: to the last event on record */
    assert_int_equal(whatif_sum(t->whatif, 0, true)->down_us, w->now_us - d->t_us);
    told_free(t);
    teardown(NULL);
}

static void test_a_process_that_ends_by_itself_does_so_in_the_model(void **state)
{
    (void)state;
    record_begin();
    for (uint64_t s = 1; s <= 9; s++)
        second(s);
    struct event crash = {.kind = EVENT_EXITED, .t_us = 9 * SEC + 200 * MS, .generation = 1};
    crash.exit = (struct event_exit){.status_known = true, .code = 3};
    give(crash);
    for (uint64_t s = 10; s <= 15; s++)
        second(s);
    struct told *t = told_new();
    t->unit.ladder.notify_permyriad = 5000;
    try(t);
    const struct decision *d = nth(t, DECISION_BACKOFF, 0);
    assert_int_equal(d->reason, REASON_EXIT_CODE);
    assert_int_equal(d->observed, 3);
    assert_true(d->t_us > 9 * SEC + 200 * MS && d->t_us < 9 * SEC + 300 * MS);
    assert_true(t->model[t->count - 1]);
    told_free(t);
    teardown(NULL);
}

static void test_sums_leave_holes_out(void **state)
{
    (void)state;
    record_begin();
    w->k.units[0].memory_max_bytes = 10000 * MB; /* nothing is done then */
    for (uint64_t s = 1; s <= 10; s++)
        if (s != 8)
            second(s);
    struct told *t = told_new();
    t->unit.ladder.notify_permyriad = 450; /* 450 MB: from 4 s on */
    t->unit.mode = UNIT_MODE_OBSERVE;
    try(t);
    const struct whatif_sum *s = whatif_sum(t->whatif, 0, false);
    assert_int_equal(s->readings, 9);
    assert_int_equal(s->holes, 1);
    assert_int_equal(s->peak_us, 10 * SEC);
    /* 4 to 7 and 9 to 10: between 7 and 9 nobody looked */
    assert_int_equal(s->above_us[WHATIF_LEVEL_NOTIFY], 4 * SEC);
    told_free(t);
    teardown(NULL);
}

static void test_a_long_life_is_kept_within_bounds(void **state)
{
    (void)state;
    struct tape tape = {0};
    struct sample s = {0};
    size_t next = 0;
    tape_begin(&tape, 5 * SEC, 1);
    for (uint64_t i = 0; i < 100000; i++) {
        sample_set(&s, SAMPLE_MEMORY_CURRENT, i);
        assert_int_equal(tape_add(&tape, &s, 5 * SEC + i * SEC, &next), 0);
        next = tape.count;
    }
    assert_true(tape.count <= TAPE_ROWS && tape.count > TAPE_ROWS / 4);
    for (size_t i = 0; i < tape.count; i++) {
        assert_int_equal(tape.rows[i].age_us, i * tape.stride * SEC);
        assert_int_equal(tape.rows[i].value[SAMPLE_MEMORY_CURRENT], i * tape.stride);
    }
    tape_free(&tape);
}

static void test_beyond_its_end_memory_grows_on_up_to_the_limit(void **state)
{
    (void)state;
    struct tape tape = {0};
    struct sample s = {0};
    size_t next = 0;
    tape_begin(&tape, 0, 1);
    for (uint64_t i = 0; i <= 20; i++) {
        /* flat, then 10 MB a second over the last 10 s */
        sample_set(&s, SAMPLE_MEMORY_CURRENT, (100 + 10 * (i > 10 ? i - 10 : 0)) * MB);
        assert_int_equal(tape_add(&tape, &s, i * SEC, &next), 0);
    }
    assert_int_equal(tape_row(&tape, 20, 20 * SEC, 1000 * MB).value[SAMPLE_MEMORY_CURRENT], 200 * MB);
    assert_int_equal(tape_row(&tape, 21, 25 * SEC, 1000 * MB).value[SAMPLE_MEMORY_CURRENT], 250 * MB);
    assert_int_equal(tape_row(&tape, 21, 1000 * SEC, 1000 * MB).value[SAMPLE_MEMORY_CURRENT], 1000 * MB);
    /* what was above the limit already stays there */
    assert_int_equal(tape_row(&tape, 21, 25 * SEC, 150 * MB).value[SAMPLE_MEMORY_CURRENT], 200 * MB);
    tape_free(&tape);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_the_same_policy_decides_the_same_bytes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_only_tells_parts_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_later_restart_is_a_guess_from_the_recorded_one_on, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_new_lives_go_like_the_recorded_one, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_deadline_of_the_new_policy_is_kept_on_time, setup, teardown),
        cmocka_unit_test_setup_teardown(test_observing_does_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_limit_in_the_readings_follows_the_policy, setup, teardown),
        cmocka_unit_test_setup_teardown(test_any_policy_can_be_tried, setup, teardown),
        cmocka_unit_test(test_late_deadlines_are_fed_as_they_came),
        cmocka_unit_test(test_units_leave_the_record_each_for_itself),
        cmocka_unit_test(test_an_operator_is_obeyed_in_the_model),
        cmocka_unit_test(test_a_process_that_ends_by_itself_does_so_in_the_model),
        cmocka_unit_test(test_sums_leave_holes_out),
        cmocka_unit_test(test_a_long_life_is_kept_within_bounds),
        cmocka_unit_test(test_beyond_its_end_memory_grows_on_up_to_the_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
