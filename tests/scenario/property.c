/* SPDX-License-Identifier: MIT */
/*
 * Random events, and what must hold whatever comes:
 *   - a unit's state moves as the table allows; nothing is done to a unit that is not there
 *   - a throttle and each freeze pulse end in time, and with the unit; a throttle is let go below a level only where
 *     memory is below it; in one cool-down there is one throttle, and one by level after one that was let go early
 *   - memory.high is steered within a throttle only, not more often than the policy says, and never below memory
 *   - a pace or hold ends in time, also when it changes from one to the other, and with the unit; none begins in the
 *     pause after one that ran into its bound
 *   - one chunk of reclaim at most is under way, none longer than 10 s; never more is asked for than is above release,
 *     and than lies between release and the limit in one cool-down; never while starting or frozen
 *   - a unit frozen by an operator is neither held back nor notified; a step whose level is 0 is never taken
 *   - a rule begins only where a unit is ready, at most as often as its limit allows; RULE_OVER ends what that rule
 *     began; what it began is bounded as the ladder's; a unit that a rule stopped stays down until an operator starts it
 *   - failures stay below the budget until an operator starts the unit anew
 *   - ids count up; no more decisions than engine_decisions_max; nothing after EXIT; deadlines lie ahead
 *   - the same units in another order get the same decisions
 *   - a step allocates nothing (malloc and its kin are wrapped by the linker)
 *
 * WEIR_PROPERTY_EVENTS sets how many (default 200,000), WEIR_PROPERTY_SEED the seed; a failure prints both.
 */
#include "property.h"

#include <stdlib.h>
#include <string.h>

#include "count_alloc.h"

/* --- two engines ------------------------------------------------------------------------------------ */

static uint64_t below(struct world *w, uint64_t n)
{
    return rng_below(&w->rng, n);
}

/* Any step may be off. */
static void switch_off(struct world *w, struct ladder_policy *l)
{
    uint32_t *levels[] = {&l->notify_permyriad,   &l->pace_permyriad,     &l->reclaim_permyriad,
                          &l->hold_permyriad,     &l->throttle_permyriad, &l->restart_permyriad,
                          &l->critical_permyriad, &l->pressure_permyriad};
    for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++)
        if (below(w, 8) == 0)
            *levels[i] = 0;
}

static const char *pick(struct world *w, const char *const *texts, size_t count)
{
    return texts[below(w, count)];
}
#define PICK(w, texts) pick(w, texts, sizeof(texts) / sizeof(texts[0]))

static void random_rule(struct world *w, struct rule *r, uint32_t i)
{
    static const char *const whens[] = {
        "memory.current > 70% of memory.max",
        "memory.used > 600M for 1s",
        "threads > 50",
        "threads > 90 for 200ms and uptime > 1s",
        "memory.growth > 1M/s or memory.eta < 30s",
        "memory.eta < 60s or memory.current > 80% of memory.max for 500ms",
        "not memory.pressure.full < 10% over 2s",
        "not (threads < 30 or memory.jump < 1M) and not cpu.usage > 20%",
        "memory.events.high > 5 over 3s",
        "memory.headroom < 10% of memory.max or memory.events.oom_kill > 0 over 1s",
        "uptime > 2s",
    };
    static const char *const untils[] = {"memory.current < 60% of memory.max", "threads < 40 for 300ms",
                                         "uptime > 8s", "memory.used < 500M or threads < 10"};
    static const char *const dos[] = {
        "note",          "notify",         "pace 2",   "hold",         "reclaim",
        "reclaim 50M",   "reclaim 10%",    "throttle", "restart",      "stop",
        "hold, restart", "throttle, note", "throttle", "pace 1, hold", "reclaim 100M, throttle"};
    static const char *const limits[] = {"1 per 10s", "3 per 5s", "2 per 1m"};
    struct rule_error error;
    *r = (struct rule){.observe = below(w, 8) == 0};
    snprintf(r->name, sizeof(r->name), "r%u", i);
    assert_int_equal(rule_parse_condition(PICK(w, whens), &r->when, &error), 0);
    assert_int_equal(rule_parse_actions(PICK(w, dos), r, &error), 0);
    if (below(w, 2))
        assert_int_equal(rule_parse_condition(PICK(w, untils), &r->until, &error), 0);
    if (below(w, 3))
        assert_int_equal(rule_parse_limit(PICK(w, limits), r, &error), 0);
}

static void random_policy(struct world *w, struct unit_policy *p, uint16_t i)
{
    memset(p, 0, sizeof(*p));
    policy_unit_defaults(p);
    snprintf(p->name, sizeof(p->name), "unit%u", i);
    p->kind = i < 4 ? UNIT_KIND_SERVICE : UNIT_KIND_WRAPPED;
    p->mode = below(w, 5) == 0 ? UNIT_MODE_OBSERVE : UNIT_MODE_ACT;
    p->restart = below(w, 4) == 0 ? UNIT_RESTART_ALWAYS : UNIT_RESTART_ON_FAILURE;
    p->has_ready = below(w, 2);
    p->abilities = (uint32_t)below(w, 256) | (below(w, 2) ? ABILITY_RECLAIM : 0);
    p->memory_max_bytes = below(w, 6) == 0 ? UINT64_MAX : 1000 << 20;
    p->memory_high_bytes = below(w, 4) == 0 ? 700 << 20 : UINT64_MAX;
    p->ready_timeout_us = USEC_PER_SEC * (1 + below(w, 20));
    p->overlap = below(w, 3) == 0;
    p->drain_us = USEC_PER_MSEC * below(w, 3000);
    p->stop_timeout_us = USEC_PER_SEC * below(w, 4);
    p->respawn_wait_us = USEC_PER_SEC * below(w, 4);
    p->failure_budget = (uint32_t)below(w, 40);
    p->healthy_us = USEC_PER_SEC * below(w, 10);
    p->failure_window_us = USEC_PER_SEC * (1 + below(w, 120));
    p->recycle_min_life_us = USEC_PER_SEC * below(w, 3);
    p->ladder.throttle_max_us = USEC_PER_SEC * (1 + below(w, 5));
    p->ladder.restart_hold_us = USEC_PER_MSEC * below(w, 1000);
    p->ladder.pulse_freeze_us = USEC_PER_MSEC * (1 + below(w, 300));
    p->ladder.pulse_thaw_us = USEC_PER_MSEC * (1 + below(w, 300));
    p->ladder.throttle_steer_us = USEC_PER_MSEC * below(w, 500);
    p->ladder.throttle_stall_us = USEC_PER_MSEC * below(w, 3000);
    p->ladder.hold_max_us = USEC_PER_SEC * (1 + below(w, 5));
    p->ladder.reclaim_cooldown_us = USEC_PER_SEC * (1 + below(w, 30));
    p->ladder.reclaim_chunk_permyriad = (uint32_t)(200 + below(w, 500));
    switch_off(w, &p->ladder);
    p->rules = below(w, 2) ? 0 : below(w, 1 << RULES);
    p->after_count = i > 0 && i < 4 ? (uint16_t)below(w, 2) : 0;
    p->after[0] = (uint16_t)(i - 1);
}

static void side_init(struct side *s, const struct unit_policy *units, const uint16_t *place,
                      const struct rule *rules)
{
    memset(s, 0, sizeof(*s));
    policy_defaults(&s->policy);
    s->policy.units = s->units;
    s->policy.unit_count = UNITS;
    s->policy.seed = 42;
    memcpy(s->rules, rules, sizeof(s->rules));
    s->policy.rules = s->rules;
    s->policy.rule_count = RULES;
    s->engine = engine_new(UNITS);
    assert_non_null(s->engine);
    for (uint16_t i = 0; i < UNITS; i++) {
        s->place[i] = place[i];
        s->units[place[i]] = units[i];
        for (uint16_t k = 0; k < units[i].after_count; k++)
            s->units[place[i]].after[k] = place[units[i].after[k]];
        s->known[i].throttled_us = s->known[i].pulsed_us = s->known[i].held_us = USEC_INFINITY;
    }
    assert_int_equal(engine_prepare(s->engine, &s->policy), 0);
}

static void see_limit(struct known *k, const struct unit_policy *p, const struct sample *s)
{
    uint64_t limit = sample_has(s, SAMPLE_MEMORY_MAX) ? s->value[SAMPLE_MEMORY_MAX] : UINT64_MAX;
    k->limit = limit < p->memory_max_bytes ? limit : p->memory_max_bytes;
    if (k->limit > k->limit_most)
        k->limit_most = k->limit;
}

static void side_step(struct world *w, struct side *s, struct event event)
{
    if (event.unit != UNIT_NONE)
        event.unit = s->place[event.unit];
    if (event.kind == EVENT_ARRIVED && event.arrived.via != UNIT_NONE)
        event.arrived.via = s->place[event.arrived.via];
    if (event.kind == EVENT_OUTCOME) {
        struct known *k = &s->known[unit_of(s, event.unit)];
        event.outcome.decision_id =
            event.outcome.decision_id < RECENT ? k->recent[event.outcome.decision_id] : k->reclaim_id;
        if (event.outcome.decision_id == k->reclaim_id)
            k->reclaim_id = 0;
    }
    if (event.kind == EVENT_SAMPLE)
        see_limit(&s->known[unit_of(s, event.unit)], &s->units[event.unit], &event.sample);
    uint64_t allocated = allocations;
    s->count = engine_step(s->engine, &s->policy, &event, s->decisions);
    HOLDS(w, allocations == allocated);
    HOLDS(w, s->count >= 0 && (size_t)s->count <= engine_decisions_max(UNITS));
    if (event.kind == EVENT_OPERATOR &&
        (event.operator_.verb == EVENT_VERB_START || event.operator_.verb == EVENT_VERB_RESTART)) {
        s->known[unit_of(s, event.unit)].failure_count = 0;
        s->known[unit_of(s, event.unit)].rule_stopped = false;
    }
    for (int i = 0; i < s->count; i++)
        check_decision(w, s, &s->decisions[i]);
    for (uint16_t i = 0; i < UNITS; i++) {
        struct unit_view v;
        engine_unit_view(s->engine, s->place[i], &v);
        s->known[i].frozen = v.frozen;
    }
    HOLDS(w, s->count == 0 || s->over || engine_next_deadline(s->engine) >= w->now_us);
}

/* The next decision of the unit from *at on; NULL when there is none. */
static const struct decision *next_of(const struct side *s, uint16_t unit, int *at)
{
    for (; *at < s->count; (*at)++)
        if (s->decisions[*at].unit == (unit == UNIT_NONE ? UNIT_NONE : s->place[unit]))
            return &s->decisions[(*at)++];
    return NULL;
}

static void check_same(struct world *w, uint16_t unit)
{
    int i = 0, j = 0;
    for (;;) {
        const struct decision *a = next_of(&w->a, unit, &i), *b = next_of(&w->b, unit, &j);
        HOLDS(w, !a == !b);
        if (!a)
            return;
        HOLDS(w, strcmp(a->rule, b->rule) == 0 && a->shape == b->shape);
        HOLDS(w, a->kind == b->kind && a->reason == b->reason && a->metric == b->metric);
        HOLDS(w, a->observed == b->observed && a->threshold == b->threshold && a->held_us == b->held_us);
        HOLDS(w, a->rejected == b->rejected && a->generation == b->generation && a->observe == b->observe);
        /* a NOTE on an outcome names a decision: ids differ between the two */
        if (!(a->kind == DECISION_NOTE && a->metric == METRIC_ERRNO))
            HOLDS(w, a->amount[0] == b->amount[0] && a->amount[1] == b->amount[1]);
    }
}

static void both(struct world *w, struct event *event)
{
    event->seq = ++w->seq;
    event->t_us = w->now_us;
    side_step(w, &w->a, *event);
    side_step(w, &w->b, *event);
    for (uint16_t i = 0; i < UNITS; i++)
        check_same(w, i);
    check_same(w, UNIT_NONE);
    check_bounds(w, &w->a);
}

/* --- what comes ------------------------------------------------------------------------------------- */

static void random_sample(struct world *w, struct event *event)
{
    struct known *k = &w->a.known[event->unit];
    /* mostly it stands still or creeps; every other unit gets nothing done */
    uint64_t change = below(w, 2) ? 0 : below(w, 8) ? below(w, 20 << 20) : below(w, 1000 << 20);
    k->memory = below(w, 3) ? k->memory + change : k->memory > change ? k->memory - change : 0;
    if (k->memory > 1100 << 20)
        k->memory = below(w, 1000 << 20);
    event->sample.cause = (enum sample_cause)below(w, SAMPLE_CAUSE_COUNT);
    if (below(w, 20))
        sample_set(&event->sample, SAMPLE_MEMORY_CURRENT, k->memory);
    if (below(w, 4) == 0)
        sample_set(&event->sample, SAMPLE_MEMORY_FILE, below(w, 300 << 20));
    if (below(w, 3) == 0)
        sample_set(&event->sample, SAMPLE_MEMORY_MAX, below(w, 10) ? 1000 << 20 : rng_edgy(&w->rng));
    sample_set(&event->sample, SAMPLE_MEMORY_FULL, w->now_us / (1 + below(w, 5)));
    if (below(w, 10))
        sample_set(&event->sample, SAMPLE_THREADS, below(w, 100));
    sample_set(&event->sample, SAMPLE_CPU_USAGE, event->unit % 2 ? 1000 : w->now_us / 2);
    sample_set(&event->sample, SAMPLE_EVENTS_HIGH, below(w, 50) ? w->seq / 10 : rng_edgy(&w->rng));
    if (below(w, 8) && event->unit < 2) {
        sample_set(&event->sample, SAMPLE_MEMORY_PGSCAN, w->seq);
        sample_set(&event->sample, SAMPLE_MEMORY_PGSTEAL, w->seq / 50);
    }
    sample_set(&event->sample, SAMPLE_EVENTS_OOM_KILL, w->seq / 500);
    sample_set(&event->sample, SAMPLE_PIDS_EVENTS_MAX, w->seq / 100);
    if (below(w, 6)) {
        sample_set(&event->sample, SAMPLE_GATE_INFLIGHT, below(w, 3) ? 0 : below(w, 20));
        sample_set(&event->sample, SAMPLE_GATE_ANSWERS, w->seq / 10);
    }
}

static void fill(struct world *w, struct event *event)
{
    switch (event->kind) {
    case EVENT_SAMPLE:
        random_sample(w, event);
        break;
    case EVENT_ARRIVED:
        event->unit = (uint16_t)(4 + below(w, 2));
        event->arrived.via = below(w, 5) ? (uint16_t)below(w, 2) : UNIT_NONE;
        event->arrived.ticket = ++w->ticket;
        break;
    case EVENT_SPAWNED:
        event->spawned.pid = (int32_t)(1 + below(w, 30000));
        event->spawned.how = below(w, 30) ? EVENT_HOW_SPAWNED : EVENT_HOW_ADOPTED;
        event->spawned.ready = below(w, 2);
        event->spawned.frozen = event->spawned.how == EVENT_HOW_ADOPTED && below(w, 2);
        break;
    case EVENT_EXITED:
        event->exit.status_known = below(w, 5);
        event->exit.code = (int32_t)below(w, 3);
        event->exit.signal = below(w, 3) ? 0 : (int32_t)below(w, 16);
        event->exit.oom_kills = below(w, 3) ? 0 : below(w, 3);
        event->exit.pids_refused = below(w, 2);
        break;
    case EVENT_OPERATOR:
        event->operator_.verb = (enum event_verb)below(w, EVENT_VERB_COUNT);
        event->operator_.inflight = (uint32_t)below(w, 5);
        break;
    case EVENT_OUTCOME:
        event->outcome.decision_id = below(w, 2 * RECENT); /* which of the recent ones, or a chunk's */
        event->outcome.result =
            below(w, 3) ? EVENT_RESULT_DONE : (enum event_result)below(w, EVENT_RESULT_COUNT);
        event->outcome.error = 5;
        event->outcome.amount = below(w, 4) ? below(w, 30 << 20) : rng_edgy(&w->rng);
        break;
    case EVENT_POLICY: {
        bool enabled = below(w, 4);
        enum unit_mode mode = below(w, 4) ? UNIT_MODE_ACT : UNIT_MODE_OBSERVE;
        w->a.units[w->a.place[event->unit]].enabled = w->b.units[w->b.place[event->unit]].enabled = enabled;
        w->a.units[w->a.place[event->unit]].mode = w->b.units[w->b.place[event->unit]].mode = mode;
        struct ladder_policy ladder = w->a.units[w->a.place[event->unit]].ladder;
        switch_off(w, &ladder);
        w->a.units[w->a.place[event->unit]].ladder = w->b.units[w->b.place[event->unit]].ladder = ladder;
        break;
    }
    case EVENT_RUN:
    case EVENT_DEADLINE:
    case EVENT_SPAWN_FAILED:
    case EVENT_READY:
    case EVENT_EMPTY:
    case EVENT_CLEANED:
    case EVENT_GATE_LOST:
    case EVENT_SHUTDOWN:
    case EVENT_KIND_COUNT:
        break;
    }
}

static enum event_kind random_kind(struct world *w)
{
    static const struct {
        enum event_kind kind;
        uint32_t weight;
    } weights[] = {
        {EVENT_SAMPLE, 60},  {EVENT_ARRIVED, 5}, {EVENT_SPAWNED, 12}, {EVENT_SPAWN_FAILED, 1},
        {EVENT_READY, 10},   {EVENT_EXITED, 6},  {EVENT_EMPTY, 8},    {EVENT_CLEANED, 12},
        {EVENT_OPERATOR, 2}, {EVENT_OUTCOME, 8}, {EVENT_POLICY, 1},   {EVENT_GATE_LOST, 1},
    };
    uint32_t sum = 0;
    for (size_t i = 0; i < sizeof(weights) / sizeof(weights[0]); i++)
        sum += weights[i].weight;
    uint64_t pick = below(w, sum);
    size_t i = 0;
    while (pick >= weights[i].weight)
        pick -= weights[i++].weight;
    return weights[i].kind;
}

/* What a host would answer: without it most units would be down most of the time. */
static enum event_kind likely_kind(struct world *w, const struct known *k)
{
    static const enum event_kind starts[] = {EVENT_SPAWNED, EVENT_READY, EVENT_SAMPLE};
    static const enum event_kind ends[] = {EVENT_EXITED, EVENT_EMPTY, EVENT_CLEANED};
    static const enum event_kind downs[] = {EVENT_OPERATOR, EVENT_ARRIVED, EVENT_CLEANED};
    if (below(w, 8) == 0)
        return random_kind(w);
    if (k->state == UNIT_STATE_STARTING)
        return starts[below(w, 3)];
    if (k->state == UNIT_STATE_STOPPING)
        return ends[below(w, 3)];
    return runs(k) ? EVENT_SAMPLE : downs[below(w, 3)];
}

static void pass_time(struct world *w)
{
    uint64_t until = w->now_us + (below(w, 10) ? below(w, 80 * USEC_PER_MSEC) : below(w, 4 * USEC_PER_SEC));
    uint64_t last = USEC_INFINITY, repeats = 0;
    for (uint64_t due; (due = engine_next_deadline(w->a.engine)) <= until && !w->a.over;) {
        struct event deadline = {.kind = EVENT_DEADLINE, .unit = UNIT_NONE};
        w->now_us = due > w->now_us ? due : w->now_us;
        HOLDS(w, engine_next_deadline(w->b.engine) == due);
        both(w, &deadline);
        repeats = w->now_us == last ? repeats + 1 : 0;
        last = w->now_us;
        HOLDS(w, repeats < UNITS * TIMER_COUNT); /* timeouts of 0 are due at once, but not for ever */
    }
    w->now_us = until;
}

/* A reload: one rule is another, and one unit is judged by others. */
static void change_rules(struct world *w)
{
    uint32_t i = (uint32_t)below(w, RULES);
    uint16_t unit = (uint16_t)below(w, UNITS);
    random_rule(w, &w->a.rules[i], i);
    w->b.rules[i] = w->a.rules[i];
    uint64_t mask = below(w, 1 << RULES);
    w->a.units[w->a.place[unit]].rules = w->b.units[w->b.place[unit]].rules = mask;
    assert_int_equal(engine_prepare(w->a.engine, &w->a.policy), 0);
    assert_int_equal(engine_prepare(w->b.engine, &w->b.policy), 0);
    forget_rule(&w->a, i, unit);
    forget_rule(&w->b, i, unit);
    for (uint16_t u = 0; u < UNITS; u++) {
        struct event event = {.kind = EVENT_POLICY, .unit = u};
        both(w, &event);
    }
}

/* As a host does mostly: what was asked for came back. */
static void answer_reclaim(struct world *w, uint16_t unit)
{
    struct event event = {.kind = EVENT_OUTCOME, .unit = unit};
    event.outcome.decision_id = RECENT; /* the chunk's */
    event.outcome.result = EVENT_RESULT_DONE;
    event.outcome.amount = 1000 << 20;
    both(w, &event);
}

static void one_run(struct world *w, uint64_t events)
{
    static const uint16_t straight[UNITS] = {0, 1, 2, 3, 4, 5};
    uint16_t place[UNITS];
    struct unit_policy units[UNITS];
    struct rule rules[RULES];
    memcpy(place, straight, sizeof(place));
    for (uint16_t i = UNITS - 1; i > 0; i--) {
        uint16_t j = (uint16_t)below(w, i + 1U), swap = place[i];
        place[i] = place[j];
        place[j] = swap;
    }
    for (uint16_t i = 0; i < UNITS; i++)
        random_policy(w, &units[i], i);
    for (uint32_t i = 0; i < RULES; i++)
        random_rule(w, &rules[i], i);
    side_init(&w->a, units, straight, rules);
    side_init(&w->b, units, place, rules);

    struct event run = {.kind = EVENT_RUN, .unit = UNIT_NONE};
    both(w, &run);
    for (uint64_t n = 0; n < events && !w->a.over; n++) {
        pass_time(w);
        if (below(w, 500) == 0)
            change_rules(w);
        uint16_t unit = (uint16_t)below(w, UNITS);
        struct event event = {.kind = EVENT_SHUTDOWN, .unit = UNIT_NONE};
        if (n + 200 != events) {
            event.kind = likely_kind(w, &w->a.known[unit]);
            event.unit = unit;
            event.generation = w->a.known[event.unit].generation - (below(w, 50) == 0);
            fill(w, &event);
        }
        both(w, &event);
        if (w->a.known[unit].reclaim_id && below(w, 4))
            answer_reclaim(w, unit);
    }
    w->a.engine = engine_free(w->a.engine);
    w->b.engine = engine_free(w->b.engine);
}

static uint64_t number_from(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text ? strtoull(text, NULL, 10) : otherwise;
}

static void test_properties(void **state)
{
    (void)state;
    static struct world w;
    uint64_t events = number_from("WEIR_PROPERTY_EVENTS", 200000);
    w.seed = w.rng = number_from("WEIR_PROPERTY_SEED", 20251105);
    while (w.seq < events)
        one_run(&w, EVENTS_PER_RUN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_properties)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
