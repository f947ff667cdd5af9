/* SPDX-License-Identifier: MIT */
/* What was recorded is what is read: every field of random events and decisions, and the policies. */
#include "history.h"

#define EVENTS 3000

static uint32_t some_u32(uint64_t *rng)
{
    return (uint32_t)rng_edgy(rng);
}

static void random_sample(uint64_t *rng, struct event *e)
{
    struct sample *s = &e->sample;
    s->t_us = rng_below(rng, 2) ? e->t_us : e->t_us + rng_below(rng, 1000);
    s->late_us = rng_below(rng, 3) ? rng_below(rng, 100000) : rng_edgy(rng);
    s->cause = (enum sample_cause)rng_below(rng, SAMPLE_CAUSE_COUNT);
    s->missed_ticks = some_u32(rng);
    for (int f = 0; f < SAMPLE_FIELD_COUNT; f++) {
        bool flag = sample_field_info(f)->type == SAMPLE_TYPE_FLAG;
        if (rng_below(rng, 4))
            sample_set(s, f, flag ? rng_below(rng, 2) : rng_edgy(rng));
    }
    s->top_count = (uint32_t)rng_below(rng, SAMPLE_TOP_MAX + 1);
    for (uint32_t i = 0; i < s->top_count; i++) {
        struct sample_process *p = &s->top[i];
        *p = (struct sample_process){.pid = (int32_t)rng_below(rng, INT32_MAX), .threads = some_u32(rng)};
        p->rss_bytes = rng_edgy(rng);
        p->vsz_bytes = rng_edgy(rng);
        size_t length = 1 + rng_below(rng, SAMPLE_COMM_MAX - 1);
        for (size_t c = 0; c < length; c++)
            p->comm[c] = (char)(1 + rng_below(rng, 255));
    }
}

static void random_payload(uint64_t *rng, struct event *e)
{
    switch (e->kind) {
    case EVENT_SAMPLE:
        random_sample(rng, e);
        break;
    case EVENT_ARRIVED:
        e->arrived.pid = (int32_t)rng_below(rng, INT32_MAX);
        e->arrived.via = rng_below(rng, 2) ? UNIT_NONE : 0;
        e->arrived.ticket = rng_edgy(rng);
        break;
    case EVENT_SPAWNED:
        e->spawned.pid = (int32_t)rng_below(rng, INT32_MAX);
        e->spawned.how = (enum event_how)rng_below(rng, EVENT_HOW_COUNT);
        e->spawned.ready = e->spawned.how == EVENT_HOW_ADOPTED && rng_below(rng, 2);
        e->spawned.frozen = e->spawned.how == EVENT_HOW_ADOPTED && rng_below(rng, 2);
        break;
    case EVENT_EXITED:
        e->exit.status_known = rng_below(rng, 2);
        if (e->exit.status_known && rng_below(rng, 2))
            e->exit.code = (int32_t)rng_below(rng, 256);
        else if (e->exit.status_known)
            e->exit.signal = (int32_t)(1 + rng_below(rng, 64));
        e->exit.oom_kills = rng_edgy(rng);
        e->exit.pids_refused = rng_edgy(rng);
        break;
    case EVENT_OPERATOR:
        e->operator_.verb = (enum event_verb)rng_below(rng, EVENT_VERB_COUNT);
        e->operator_.uid = (uint32_t)rng_edgy(rng);
        break;
    case EVENT_OUTCOME:
        e->outcome.decision_id = rng_edgy(rng);
        e->outcome.result = (enum event_result)rng_below(rng, EVENT_RESULT_COUNT);
        e->outcome.error = (int32_t)rng_below(rng, 134);
        break;
    case EVENT_SPAWN_FAILED:
    case EVENT_CLEANED:
        e->error = (int32_t)rng_below(rng, 134);
        break;
    case EVENT_GATE_LOST:
    case EVENT_RUN:
    case EVENT_DEADLINE:
    case EVENT_READY:
    case EVENT_EMPTY:
    case EVENT_POLICY:
    case EVENT_SHUTDOWN:
    case EVENT_KIND_COUNT:
        break;
    }
}

static struct event random_event(uint64_t *rng, uint64_t seq, uint64_t t_us)
{
    struct event e = {.seq = seq, .t_us = t_us, .unit = UNIT_NONE};
    e.kind = (enum event_kind)rng_below(rng, EVENT_KIND_COUNT);
    if (e.kind != EVENT_RUN && e.kind != EVENT_DEADLINE && e.kind != EVENT_SHUTDOWN) {
        e.unit = (uint16_t)rng_below(rng, 2);
        e.generation = some_u32(rng);
    }
    random_payload(rng, &e);
    return e;
}

/* Fields, not bytes: padding and unused members of the union are nobody's. */
static void assert_sample_equal(const struct sample *a, const struct sample *b)
{
    assert_int_equal(a->t_us, b->t_us);
    assert_int_equal(a->late_us, b->late_us);
    assert_int_equal(a->valid, b->valid);
    assert_int_equal(a->cause, b->cause);
    assert_int_equal(a->missed_ticks, b->missed_ticks);
    for (int f = 0; f < SAMPLE_FIELD_COUNT; f++)
        assert_int_equal(a->value[f], b->value[f]);
    assert_int_equal(a->top_count, b->top_count);
    for (uint32_t i = 0; i < a->top_count; i++) {
        assert_int_equal(a->top[i].pid, b->top[i].pid);
        assert_int_equal(a->top[i].threads, b->top[i].threads);
        assert_int_equal(a->top[i].rss_bytes, b->top[i].rss_bytes);
        assert_int_equal(a->top[i].vsz_bytes, b->top[i].vsz_bytes);
        assert_string_equal(a->top[i].comm, b->top[i].comm);
    }
}

static void assert_event_equal(const struct event *a, const struct event *b)
{
    char text_a[EVENT_TEXT_MAX], text_b[EVENT_TEXT_MAX];
    assert_int_equal(a->seq, b->seq);
    assert_int_equal(a->t_us, b->t_us);
    assert_int_equal(a->kind, b->kind);
    assert_int_equal(a->unit, b->unit);
    assert_int_equal(a->generation, b->generation);
    if (a->kind == EVENT_SAMPLE) {
        assert_sample_equal(&a->sample, &b->sample);
        return;
    }
    assert_true(event_format(a, history_units, text_a, sizeof(text_a)) > 0);
    assert_true(event_format(b, history_units, text_b, sizeof(text_b)) > 0);
    assert_string_equal(text_a, text_b);
}

/* Records random events into a new history; the caller frees them. */
static struct event *record_events(struct history *h)
{
    history_make(h);
    struct event *given = calloc(EVENTS, sizeof(*given));
    struct store *s = history_open(h);
    uint64_t rng = 20251105, t_us = HISTORY_START_US, seq = 0;
    assert_non_null(given);
    history_begin(s);
    for (size_t i = 0; i < EVENTS; i++) {
        t_us += rng_below(&rng, 3) ? 0 : rng_below(&rng, 100000);
        seq += 1 + rng_below(&rng, 3);
        given[i] = random_event(&rng, seq, t_us);
        store_event(s, &given[i]);
    }
    store_close(s);
    return given;
}

static void test_the_time_line_gives_back_every_field(void **state)
{
    (void)state;
    struct history h;
    struct event *given = record_events(&h);
    struct history_rows rows = {0};
    struct store_reader *r = history_read(&h);
    assert_int_equal(store_read_timeline(r, &(struct store_filter){.run = 1}, history_keep, &rows), 0);
    assert_int_equal(rows.count, EVENTS);
    for (size_t i = 0; i < EVENTS; i++)
        assert_event_equal(&given[i], &rows.row[i].event);
    store_reader_close(r);
    history_rows_free(&rows);
    free(given);
    history_remove(&h);
}

static void test_replay_gives_back_all_but_the_processes(void **state)
{
    (void)state;
    struct history h;
    struct event *given = record_events(&h);
    struct history_rows rows = {0};
    struct store_reader *r = history_read(&h);
    assert_int_equal(store_read_replay(r, 1, history_keep, &rows), 0);
    assert_int_equal(rows.count, EVENTS);
    for (size_t i = 0; i < EVENTS; i++) {
        given[i].sample.top_count = given[i].kind == EVENT_SAMPLE ? 0 : given[i].sample.top_count;
        assert_event_equal(&given[i], &rows.row[i].event);
    }
    store_reader_close(r);
    history_rows_free(&rows);
    free(given);
    history_remove(&h);
}

static void test_replay_has_each_decision_behind_its_event(void **state)
{
    (void)state;
    struct history h;
    history_make(&h);
    struct store *s = history_open(&h);
    history_begin(s);
    for (uint64_t seq = 1; seq <= 4; seq++) {
        /* all within one instant: the times alone would not tell the order */
        struct event e =
            seq % 2 ? history_sample(seq, 0, 1, 900) : history_event(seq, 0, EVENT_DEADLINE, UNIT_NONE);
        struct decision d = history_decision(seq * 10, seq, 0, DECISION_NOTE);
        store_event(s, &e);
        if (seq != 2)
            store_decision(s, &d);
    }
    store_close(s);
    struct history_rows rows = {0};
    struct store_reader *r = history_read(&h);
    assert_int_equal(store_read_replay(r, 1, history_keep, &rows), 0);
    static const uint64_t order[] = {1, 10, 2, 3, 30, 4, 40}; /* seq of an event, id of a decision */
    assert_int_equal(rows.count, ARRAY_SIZE(order));
    for (size_t i = 0; i < ARRAY_SIZE(order); i++) {
        const struct store_row *row = &rows.row[i];
        assert_int_equal(row->type == STORE_ROW_EVENT ? row->event.seq : row->decision.id, order[i]);
    }
    store_reader_close(r);
    history_rows_free(&rows);
    history_remove(&h);
}

static struct decision random_decision(uint64_t *rng, uint64_t id)
{
    struct decision d = {.id = id, .event_seq = id, .t_us = HISTORY_START_US + id, .unit = UNIT_NONE};
    d.cause_id = rng_below(rng, 2) ? 0 : rng_below(rng, id);
    d.unit = rng_below(rng, 4) ? (uint16_t)rng_below(rng, 2) : UNIT_NONE;
    d.generation = some_u32(rng);
    d.kind = (enum decision_kind)rng_below(rng, DECISION_KIND_COUNT);
    d.reason = (enum decision_reason)rng_below(rng, REASON_COUNT);
    d.metric = (enum decision_metric)rng_below(rng, METRIC_COUNT);
    d.observed = rng_edgy(rng);
    d.threshold = rng_edgy(rng);
    d.held_us = rng_edgy(rng);
    d.amount[0] = rng_edgy(rng);
    d.amount[1] = rng_edgy(rng);
    d.rejected = (uint32_t)rng_below(rng, 1u << REJECTED_COUNT);
    d.observe = rng_below(rng, 2);
    d.shape = (enum decision_shape)rng_below(rng, SHAPE_COUNT);
    d.shape_bytes = rng_edgy(rng);
    d.shape_us = rng_edgy(rng);
    snprintf(d.rule, sizeof(d.rule), "rule-%llu", (unsigned long long)rng_below(rng, 1000));
    return d;
}

static void assert_decision_equal(const struct decision *a, const struct decision *b)
{
    assert_int_equal(a->id, b->id);
    assert_int_equal(a->event_seq, b->event_seq);
    assert_int_equal(a->t_us, b->t_us);
    assert_int_equal(a->cause_id, b->cause_id);
    assert_int_equal(a->unit, b->unit);
    assert_int_equal(a->generation, b->generation);
    assert_int_equal(a->kind, b->kind);
    assert_int_equal(a->reason, b->reason);
    assert_int_equal(a->metric, b->metric);
    assert_int_equal(a->observed, b->observed);
    assert_int_equal(a->threshold, b->threshold);
    assert_int_equal(a->held_us, b->held_us);
    assert_int_equal(a->amount[0], b->amount[0]);
    assert_int_equal(a->amount[1], b->amount[1]);
    assert_int_equal(a->rejected, b->rejected);
    assert_int_equal(a->observe, b->observe);
    assert_int_equal(a->shape, b->shape);
    assert_int_equal(a->shape_bytes, b->shape_bytes);
    assert_int_equal(a->shape_us, b->shape_us);
    assert_string_equal(a->rule, b->rule);
}

static void test_decisions_keep_every_field(void **state)
{
    (void)state;
    struct history h;
    history_make(&h);
    struct decision given[500];
    uint64_t rng = 7;
    struct store *s = history_open(&h);
    history_begin(s);
    for (size_t i = 0; i < ARRAY_SIZE(given); i++) {
        given[i] = random_decision(&rng, i + 1);
        store_decision(s, &given[i]);
    }
    s = store_close(s);
    struct history_rows rows = {0};
    struct store_row one;
    struct store_reader *r = history_read(&h);
    assert_int_equal(store_read_decisions(r, &(struct store_filter){0}, history_keep, &rows), 0);
    assert_int_equal(rows.count, ARRAY_SIZE(given));
    for (size_t i = 0; i < ARRAY_SIZE(given); i++)
        assert_decision_equal(&given[i], &rows.row[i].decision);
    assert_int_equal(store_read_decision(r, 1, 321, &one), 0);
    assert_decision_equal(&given[320], &one.decision);
    assert_int_equal(store_read_decision(r, 1, 501, &one), -ENOENT);
    assert_int_equal(store_read_decision(r, 2, 1, &one), -ENOENT);
    store_reader_close(r);
    history_rows_free(&rows);
    history_remove(&h);
}

struct policy_row {
    uint64_t seq;
    uint16_t unit;
    char text[32];
};

struct policy_rows {
    struct policy_row row[8];
    size_t count;
};

static int keep_policy(void *user, uint64_t seq, uint16_t unit, const char *text)
{
    struct policy_rows *rows = user;
    struct policy_row *row = &rows->row[rows->count++];
    *row = (struct policy_row){.seq = seq, .unit = unit};
    snprintf(row->text, sizeof(row->text), "%s", text);
    return 0;
}

static void test_policies_come_back_by_seq_supervisor_first(void **state)
{
    (void)state;
    struct history h;
    history_make(&h);
    struct store *s = history_open(&h);
    history_begin(s);
    store_policy(s, 1, 0, "zero");
    store_policy(s, 1, 1, "one");
    store_policy(s, 1, UNIT_NONE, "all");
    store_policy(s, 40, 1, "one, changed");
    s = store_close(s);
    struct policy_rows rows = {0};
    struct store_reader *r = history_read(&h);
    assert_int_equal(store_read_policies(r, 1, keep_policy, &rows), 0);
    assert_int_equal(rows.count, 4);
    assert_int_equal(rows.row[0].unit, UNIT_NONE);
    assert_string_equal(rows.row[1].text, "zero");
    assert_string_equal(rows.row[2].text, "one");
    assert_int_equal(rows.row[3].seq, 40);
    assert_string_equal(rows.row[3].text, "one, changed");
    store_reader_close(r);
    history_remove(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_time_line_gives_back_every_field),
        cmocka_unit_test(test_replay_gives_back_all_but_the_processes),
        cmocka_unit_test(test_replay_has_each_decision_behind_its_event),
        cmocka_unit_test(test_decisions_keep_every_field),
        cmocka_unit_test(test_policies_come_back_by_seq_supervisor_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
