/* SPDX-License-Identifier: MIT */
/* The queue: what is refused, what is kept, and two threads at it (run under TSan too). */
#include "history.h"

#include "../../src/store/queue.h"

#define SMALL QUEUE_RECORDS_MIN

static struct record sample_at(uint64_t t_us)
{
    return (struct record){.type = RECORD_EVENT, .event = {.seq = t_us, .t_us = t_us, .kind = EVENT_SAMPLE}};
}

static struct record decision_number(uint64_t id)
{
    return (struct record){.type = RECORD_DECISION, .decision = {.id = id}};
}

static void push_samples(struct queue *q, uint64_t from, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        struct record r = sample_at(from + i);
        queue_push(q, &r, false);
    }
}

static void test_samples_stop_at_three_quarters_and_are_counted(void **state)
{
    (void)state;
    struct queue q;
    assert_int_equal(queue_init(&q, SMALL), 0);
    push_samples(&q, 100, SMALL);
    assert_int_equal(q.count, SMALL * 3 / 4);
    assert_int_equal(q.samples_dropped, SMALL / 4);
    struct queue_gap gap = queue_take_gap(&q);
    assert_int_equal(gap.first_us, 100 + SMALL * 3 / 4);
    assert_int_equal(gap.last_us, 100 + SMALL - 1);
    assert_int_equal(gap.count, SMALL / 4);
    assert_int_equal(queue_take_gap(&q).count, 0);
    queue_return_gap(&q, &gap);
    assert_int_equal(queue_take_gap(&q).count, SMALL / 4);
    queue_deinit(&q);
}

static void test_decisions_make_it_grow_then_push_samples_out(void **state)
{
    (void)state;
    struct queue q;
    struct record out[SMALL * QUEUE_GROWTH_MAX];
    assert_int_equal(queue_init(&q, SMALL), 0);
    push_samples(&q, 1, 8);
    for (uint64_t id = 1; id <= SMALL * QUEUE_GROWTH_MAX; id++) {
        struct record r = decision_number(id);
        queue_push(&q, &r, false);
    }
    assert_int_equal(q.capacity, SMALL * QUEUE_GROWTH_MAX);
    assert_int_equal(q.samples_dropped, 8);
    assert_int_equal(q.lost, 0);
    struct record one_more = decision_number(1000);
    queue_push(&q, &one_more, false);
    assert_int_equal(q.lost, 1);
    size_t n = queue_take(&q, out, ARRAY_SIZE(out));
    assert_int_equal(n, SMALL * QUEUE_GROWTH_MAX);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(out[i].decision.id, i + 1);
    queue_deinit(&q);
}

static struct record method_of(uint64_t calls)
{
    struct store_method *m = calloc(1, sizeof(*m));
    assert_non_null(m);
    m->calls = calls;
    return (struct record){.type = RECORD_METHOD, .method = m};
}

/* Under ASan: what is given up is freed. */
static void test_methods_make_way_uncounted(void **state)
{
    (void)state;
    struct queue q;
    struct record out[SMALL * QUEUE_GROWTH_MAX];
    assert_int_equal(queue_init(&q, SMALL), 0);
    for (uint64_t i = 0; i < SMALL; i++) {
        struct record r = method_of(i);
        queue_push(&q, &r, false);
    }
    assert_int_equal(q.count, SMALL * 3 / 4);
    for (uint64_t id = 1; id <= SMALL * QUEUE_GROWTH_MAX; id++) {
        struct record r = decision_number(id);
        queue_push(&q, &r, false);
    }
    assert_int_equal(q.lost, 0);
    assert_int_equal(q.samples_dropped, 0);
    assert_int_equal(queue_take_gap(&q).count, 0);
    size_t n = queue_take(&q, out, ARRAY_SIZE(out));
    assert_int_equal(n, SMALL * QUEUE_GROWTH_MAX);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(out[i].type, RECORD_DECISION);
    queue_finish(&q, n);
    assert_int_equal(q.finished, q.accepted);
    queue_deinit(&q);
}

static void test_a_run_begins_a_batch(void **state)
{
    (void)state;
    struct queue q;
    struct record out[8], begin = {.type = RECORD_RUN_BEGIN};
    assert_int_equal(queue_init(&q, SMALL), 0);
    push_samples(&q, 1, 2);
    queue_push(&q, &begin, true);
    push_samples(&q, 3, 1);
    assert_int_equal(queue_take(&q, out, 8), 2);
    assert_int_equal(queue_take(&q, out, 8), 2);
    assert_int_equal(out[0].type, RECORD_RUN_BEGIN);
    queue_deinit(&q);
}

#define HANDED_OVER 20000

static void *produce(void *arg)
{
    struct queue *q = arg;
    for (uint64_t i = 1; i <= HANDED_OVER; i++) {
        struct record r = i % 2 ? sample_at(i) : decision_number(i);
        queue_push(q, &r, i % 100 == 0);
    }
    queue_stop(q);
    return NULL;
}

static void test_two_threads_lose_no_decision(void **state)
{
    (void)state;
    struct queue q;
    struct record out[64];
    pthread_t thread;
    uint64_t samples = 0, decisions = 0, last = 0;
    bool stop = false;
    assert_int_equal(queue_init(&q, 20000), 0);
    assert_int_equal(pthread_create(&thread, NULL, produce, &q), 0);
    while (!stop || q.count) {
        stop = queue_wait(&q, monotonic_now_us() + 1000);
        for (size_t n; (n = queue_take(&q, out, ARRAY_SIZE(out)));) {
            for (size_t i = 0; i < n; i++) {
                bool is_decision = out[i].type == RECORD_DECISION;
                uint64_t number = is_decision ? out[i].decision.id : out[i].event.seq;
                assert_true(number > last);
                last = number;
                decisions += is_decision;
                samples += !is_decision;
            }
            queue_finish(&q, n);
        }
    }
    pthread_join(thread, NULL);
    assert_int_equal(decisions, HANDED_OVER / 2);
    assert_int_equal(samples + queue_take_gap(&q).count, HANDED_OVER / 2);
    queue_deinit(&q);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_samples_stop_at_three_quarters_and_are_counted),
        cmocka_unit_test(test_decisions_make_it_grow_then_push_samples_out),
        cmocka_unit_test(test_methods_make_way_uncounted),
        cmocka_unit_test(test_a_run_begins_a_batch),
        cmocka_unit_test(test_two_threads_lose_no_decision),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
