/* SPDX-License-Identifier: MIT */
/* Every timed rule, at its duration less 1 us, at it, and 1 us later. */
#include "engine_kit.h"

/* Nothing of that kind one microsecond before, it at the instant: and the engine asked for that instant. */
static const struct decision *due_at(struct kit *k, uint64_t t_us, enum decision_kind kind)
{
    assert_int_equal(engine_next_deadline(k->engine), t_us);
    assert_int_equal(kit_deadline(k, t_us - 1), 0);
    assert_int_equal(engine_next_deadline(k->engine), t_us);
    assert_true(kit_deadline(k, t_us) > 0);
    const struct decision *d = kit_find(k, kind);
    assert_non_null(d);
    return d;
}

/* The same for a rule that samples confirm: bytes at t - 1 lead to nothing, at t to the decision. */
static const struct decision *sampled_at(struct kit *k, uint64_t t_us, uint64_t bytes,
                                         enum decision_kind kind)
{
    kit_memory(k, t_us - 1, 0, bytes);
    assert_null(kit_find(k, kind));
    kit_memory(k, t_us, 0, bytes);
    const struct decision *d = kit_find(k, kind);
    assert_non_null(d);
    return d;
}

static void test_ready_timeout(void **state)
{
    (void)state;
    struct kit k;
    kit_init(&k, 1);
    k.units[0].has_ready = true;
    kit_up(&k, 1);
    const struct decision *d = due_at(&k, 60 * SEC, DECISION_STOP);
    assert_int_equal(d->reason, REASON_READY_TIMEOUT);
    assert_int_equal(d->observed, 60 * SEC);
    kit_deinit(&k);

    kit_init(&k, 1); /* ready in the last microsecond */
    k.units[0].has_ready = true;
    kit_up(&k, 1);
    kit_event(&k, 60 * SEC, EVENT_READY, 0);
    assert_int_equal(kit_deadline(&k, 60 * SEC + 1), 0);
    assert_int_equal(kit_state(&k, 0), UNIT_STATE_READY);
    kit_deinit(&k);
}

static void test_stop_timeout_and_kill_retries(void **state)
{
    (void)state;
    struct kit k;
    kit_init(&k, 1);
    kit_up(&k, 1);
    kit_verb(&k, SEC, 0, EVENT_VERB_STOP);
    assert_non_null(kit_find(&k, DECISION_TERM));
    assert_int_equal(due_at(&k, 11 * SEC, DECISION_KILL)->reason, REASON_STOP_TIMEOUT);
    uint64_t t = 11 * SEC;
    for (int tries = 1; tries < 10; tries++)
        assert_int_equal(due_at(&k, t += 500 * MS, DECISION_KILL)->reason, REASON_STOP_TIMEOUT);
    assert_int_equal(due_at(&k, t += 500 * MS, DECISION_NOTE)->amount[0], 10);
    assert_int_equal(engine_next_deadline(k.engine), USEC_INFINITY);
    kit_exited(&k, t + SEC, 0, 0); /* it goes after all */
    kit_event(&k, t + SEC, EVENT_EMPTY, 0);
    assert_non_null(kit_find(&k, DECISION_CLEAN));
    kit_deinit(&k);
}

static void test_exit_and_clean_wait(void **state)
{
    (void)state;
    struct kit k;
    kit_init(&k, 2);
    kit_up(&k, 2);
    kit_event(&k, SEC, EVENT_EMPTY, 0);
    assert_int_equal(due_at(&k, 2 * SEC, DECISION_CLEAN)->reason, REASON_EXIT_UNKNOWN);
    due_at(&k, 7 * SEC, DECISION_BACKOFF); /* CLEANED never came */
    kit_deinit(&k);
}

static void test_backoff(void **state)
{
    (void)state;
    struct kit k;
    kit_init(&k, 2);
    kit_up(&k, 2);
    kit_gone(&k, SEC, 0, 1);
    assert_int_equal(kit_find(&k, DECISION_BACKOFF)->amount[0], 0);
    kit_spawned(&k, SEC, 0);
    kit_gone(&k, 2 * SEC, 0, 1);
    uint64_t delay = kit_find(&k, DECISION_BACKOFF)->amount[0];
    assert_in_range(delay, 90 * MS, 110 * MS);
    assert_int_equal(due_at(&k, 2 * SEC + delay, DECISION_START)->reason, REASON_FAILURE);
    kit_deinit(&k);
}

/* The n-th delay doubles up to the bound; the jitter stays within a tenth. */
static void test_backoff_doubles(void **state)
{
    (void)state;
    struct kit k;
    kit_init(&k, 2);
    k.units[0].failure_budget = 32;
    kit_up(&k, 2);
    uint64_t t = 0, want = 100 * MS;
    for (int failure = 1; failure < 20; failure++) {
        kit_gone(&k, t, 0, 1);
        uint64_t delay = kit_find(&k, DECISION_BACKOFF)->amount[0];
        if (failure > 1) {
            assert_in_range(delay, want - want / 10, want + want / 10);
            want = 2 * want < 30 * SEC ? 2 * want : 30 * SEC;
            kit_deadline(&k, t += delay);
        }
        kit_spawned(&k, t, 0);
        t += SEC;
    }
    kit_deinit(&k);
}

static uint64_t try_after_health(uint64_t healthy_for_us)
{
    struct kit k;
    kit_init(&k, 2);
    kit_up(&k, 2);
    kit_gone(&k, SEC, 0, 1);
    kit_spawned(&k, SEC, 0);
    kit_gone(&k, SEC + healthy_for_us, 0, 1);
    uint64_t try = kit_find(&k, DECISION_BACKOFF)->amount[1];
    kit_deinit(&k);
    return try;
}

static void test_healthy_resets_the_row(void **state)
{
    (void)state;
    assert_int_equal(try_after_health(60 * SEC - 1), 2);
    assert_int_equal(try_after_health(60 * SEC), 1);
    assert_int_equal(try_after_health(60 * SEC + 1), 1);
}

static bool fails_when_second_comes_after(uint64_t us)
{
    struct kit k;
    kit_init(&k, 2);
    k.units[0].failure_budget = 2;
    kit_up(&k, 2);
    kit_gone(&k, SEC, 0, 1);
    kit_spawned(&k, SEC, 0);
    kit_gone(&k, SEC + us, 0, 1);
    bool failed = kit_find(&k, DECISION_FAIL) != NULL;
    kit_deinit(&k);
    return failed;
}

static void test_failure_window(void **state)
{
    (void)state;
    assert_true(fails_when_second_comes_after(600 * SEC - 1));
    assert_false(fails_when_second_comes_after(600 * SEC));
    assert_false(fails_when_second_comes_after(600 * SEC + 1));
}

static void test_respawn_wait(void **state)
{
    (void)state;
    for (int arrives = 0; arrives < 2; arrives++) {
        struct kit k;
        kit_init(&k, 2);
        k.units[1].kind = UNIT_KIND_WRAPPED;
        kit_up(&k, 1);
        kit_arrived(&k, 0, 1, 0, 7);
        kit_spawned(&k, 0, 1);
        kit_gone(&k, SEC, 1, 1);
        if (arrives) {
            kit_arrived(&k, 6 * SEC - 1, 1, 0, 8);
            assert_int_equal(kit_find(&k, DECISION_ADMIT)->amount[0], 8);
            kit_spawned(&k, 6 * SEC - 1, 1);
            assert_int_equal(kit_deadline(&k, 6 * SEC), 0);
        } else {
            const struct decision *d = due_at(&k, 6 * SEC, DECISION_RESTART);
            assert_int_equal(d->unit, 0);
            assert_int_equal(d->reason, REASON_RESPAWN_WAIT);
        }
        kit_deinit(&k);
    }
}

static void kit_counter(struct kit *k, uint64_t t_us, enum sample_field field, uint64_t value)
{
    struct event event = {.kind = EVENT_SAMPLE, .unit = 0};
    sample_set(&event.sample, field, value);
    kit_step(k, t_us, event);
}

static void test_oom_note(void **state)
{
    (void)state;
    struct kit k;
    kit_init(&k, 1);
    kit_up(&k, 1);
    kit_counter(&k, SEC, SAMPLE_EVENTS_OOM_KILL, 2);
    assert_int_equal(engine_next_deadline(k.engine), USEC_INFINITY); /* the first reading is the base */
    kit_counter(&k, 2 * SEC, SAMPLE_EVENTS_OOM_KILL, 5);
    const struct decision *d = due_at(&k, 2 * SEC + 200 * MS, DECISION_NOTE);
    assert_int_equal(d->reason, REASON_OOM_KILL);
    assert_int_equal(d->observed, 3);
    kit_deinit(&k);
}

static void test_pids_note(void **state)
{
    (void)state;
    struct kit k;
    kit_init(&k, 1);
    kit_up(&k, 1);
    kit_counter(&k, SEC, SAMPLE_PIDS_EVENTS_MAX, 0);
    kit_counter(&k, 2 * SEC, SAMPLE_PIDS_EVENTS_MAX, 1);
    assert_int_equal(kit_find(&k, DECISION_NOTE)->observed, 1);
    kit_counter(&k, 12 * SEC - 1, SAMPLE_PIDS_EVENTS_MAX, 4);
    assert_int_equal(k.count, 0);
    kit_counter(&k, 12 * SEC, SAMPLE_PIDS_EVENTS_MAX, 4);
    assert_int_equal(kit_find(&k, DECISION_NOTE)->observed, 3);
    kit_deinit(&k);
}

static void ready_at_half(struct kit *k)
{
    kit_init(k, 1);
    kit_up(k, 1);
    kit_memory(k, 0, 0, 500 * MB);
    for (uint64_t t = SEC; t <= 20 * SEC; t += SEC)
        kit_memory(k, t, 0, 500 * MB);
}

static void test_restart_hold(void **state)
{
    (void)state;
    struct kit k;
    ready_at_half(&k);
    kit_memory(&k, 21 * SEC, 0, 870 * MB);
    const struct decision *d = sampled_at(&k, 22 * SEC, 870 * MB, DECISION_RESTART);
    assert_int_equal(d->reason, REASON_MEMORY_LEVEL);
    assert_int_equal(d->held_us, SEC);
    assert_int_equal(d->amount[0], 1);
    kit_deinit(&k);

    ready_at_half(&k); /* one reading below: the time begins anew */
    kit_memory(&k, 21 * SEC, 0, 870 * MB);
    kit_memory(&k, 21 * SEC + 500 * MS, 0, 849 * MB);
    kit_memory(&k, 21 * SEC + 600 * MS, 0, 870 * MB);
    kit_memory(&k, 22 * SEC, 0, 870 * MB);
    assert_null(kit_find(&k, DECISION_RESTART));
    sampled_at(&k, 22 * SEC + 600 * MS, 870 * MB, DECISION_RESTART);
    kit_deinit(&k);
}

static void test_eta_is_confirmed(void **state)
{
    (void)state;
    struct kit k;
    ready_at_half(&k);
    kit_memory(&k, 20 * SEC + 450 * MS, 0, 620 * MB); /* 267 MB/s by one reading: that is no growth yet */
    kit_memory(&k, 20 * SEC + 500 * MS, 0, 640 * MB); /* 267 MB/s by both: 1.3 s are left, from now on */
    assert_null(kit_find(&k, DECISION_THROTTLE));
    const struct decision *d = sampled_at(&k, 20 * SEC + 800 * MS, 700 * MB, DECISION_THROTTLE);
    assert_int_equal(d->reason, REASON_MEMORY_ETA);
    assert_int_equal(d->held_us, 300 * MS);
    kit_deinit(&k);
}

static uint64_t planned_when_life_was(uint64_t life_us)
{
    struct kit k;
    kit_init(&k, 2);
    kit_up(&k, 2);
    kit_memory(&k, 0, 0, 100 * MB);
    kit_memory(&k, life_us - 50 * MS, 0, 960 * MB);
    assert_null(kit_find(&k, DECISION_RESTART)); /* one reading restarts nobody */
    kit_memory(&k, life_us, 0, 960 * MB);
    const struct decision *d = kit_find(&k, DECISION_RESTART);
    assert_non_null(d);
    assert_int_equal(d->reason, REASON_MEMORY_CRITICAL);
    assert_int_equal(d->held_us, 50 * MS);
    assert_non_null(kit_find(&k, DECISION_KILL));
    assert_null(kit_find(&k, DECISION_TERM));
    uint64_t planned = d->amount[0];
    kit_deinit(&k);
    return planned;
}

static void test_min_life(void **state)
{
    (void)state;
    assert_int_equal(planned_when_life_was(10 * SEC - 1), 0);
    assert_int_equal(planned_when_life_was(10 * SEC), 1);
    assert_int_equal(planned_when_life_was(10 * SEC + 1), 1);
}

static void test_notify_cooldown(void **state)
{
    (void)state;
    struct kit k;
    ready_at_half(&k);
    kit_memory(&k, 21 * SEC, 0, 610 * MB);
    assert_non_null(kit_find(&k, DECISION_NOTIFY));
    sampled_at(&k, 51 * SEC, 610 * MB, DECISION_NOTIFY);
    kit_deinit(&k);
}

static void test_throttle_bound_and_cooldown(void **state)
{
    (void)state;
    struct kit k;
    ready_at_half(&k);
    kit_memory(&k, 21 * SEC, 0, 760 * MB);
    const struct decision *d = kit_find(&k, DECISION_THROTTLE);
    assert_int_equal(d->amount[0], 2500);
    assert_int_equal(d->amount[1], 805 * MB); /* midway from 760 to 850 */
    kit_memory(&k, 25 * SEC, 0, 740 * MB);
    assert_int_equal(due_at(&k, 31 * SEC, DECISION_UNTHROTTLE)->reason, REASON_TIME_BOUND);
    sampled_at(&k, 41 * SEC, 790 * MB, DECISION_THROTTLE);
    kit_memory(&k, 42 * SEC, 0, 649 * MB);
    assert_int_equal(kit_find(&k, DECISION_UNTHROTTLE)->reason, REASON_RELEASED);
    kit_deinit(&k);
}

/* Held back because the limit is near, at 20.8 s with 700 MB. */
static void throttled_by_eta(struct kit *k)
{
    ready_at_half(k);
    kit_memory(k, 20 * SEC + 450 * MS, 0, 620 * MB);
    kit_memory(k, 20 * SEC + 500 * MS, 0, 640 * MB);
    kit_memory(k, 20 * SEC + 800 * MS, 0, 700 * MB);
    assert_int_equal(kit_find(k, DECISION_THROTTLE)->reason, REASON_MEMORY_ETA);
}

static void test_throttle_ends_when_growth_does(void **state)
{
    (void)state;
    struct kit k;
    throttled_by_eta(&k);
    for (uint64_t t = 20 * SEC + 850 * MS; t < 22 * SEC + 800 * MS; t += 50 * MS) {
        kit_memory(&k, t, 0, 700 * MB);
        assert_null(kit_find(&k, DECISION_UNTHROTTLE));
    }
    /* the last second is without growth from 21.8 s on */
    const struct decision *d = sampled_at(&k, 22 * SEC + 800 * MS, 700 * MB, DECISION_UNTHROTTLE);
    assert_int_equal(d->reason, REASON_STOPPED_GROWING);
    assert_int_equal(d->metric, METRIC_MEMORY_GROWTH);
    assert_int_equal(d->observed, 0);
    assert_int_equal(d->held_us, SEC);
    assert_int_equal(d->amount[0], 2 * SEC);
    kit_deinit(&k);

    throttled_by_eta(&k); /* 4 MB/s are left of its growth: 75 s to the limit, but not without the throttle */
    for (uint64_t t = 50; t < 10000; t += 50) {
        kit_memory(&k, 20 * SEC + 800 * MS + t * MS, 0, 700 * MB + t * 4 * MB / 1000);
        assert_null(kit_find(&k, DECISION_UNTHROTTLE));
    }
    const struct decision *bound = due_at(&k, 30 * SEC + 800 * MS, DECISION_UNTHROTTLE);
    assert_int_equal(bound->reason, REASON_TIME_BOUND);
    assert_int_equal(bound->metric, METRIC_ELAPSED);
    assert_int_equal(bound->observed, 10 * SEC);
    kit_deinit(&k);
}

/* It grows on by 150 MB/s, one reading every 50 ms; the one half a second after the throttle's begin comes at trial_us. */
static void grows_on(struct kit *k, uint64_t trial_us)
{
    throttled_by_eta(k);
    for (uint64_t ms = 50; ms < 800; ms += 50) {
        uint64_t t = ms == 500 ? trial_us : 20 * SEC + 800 * MS + ms * MS;
        kit_memory(k, t, 0, 700 * MB + ms * 150 * MB / 1000);
        assert_null(kit_find(k, DECISION_RESTART));
    }
}

static void test_a_throttle_has_time_to_help(void **state)
{
    (void)state;
    struct kit k;
    grows_on(&k, 21 * SEC + 300 * MS); /* counted from there */
    const struct decision *d = sampled_at(&k, 21 * SEC + 600 * MS, 820 * MB, DECISION_RESTART);
    assert_int_equal(d->reason, REASON_MEMORY_ETA);
    assert_int_equal(d->held_us, 300 * MS);
    kit_deinit(&k);

    grows_on(&k, 21 * SEC + 300 * MS + 1);
    sampled_at(&k, 21 * SEC + 600 * MS + 1, 820 * MB, DECISION_RESTART);
    kit_deinit(&k);

    grows_on(&k, 21 * SEC + 300 * MS - 1); /* too early: the next reading is the first that counts */
    kit_memory(&k, 21 * SEC + 600 * MS, 0, 820 * MB);
    assert_null(kit_find(&k, DECISION_RESTART));
    sampled_at(&k, 21 * SEC + 650 * MS, 827 * MB, DECISION_RESTART);
    kit_deinit(&k);
}

static void test_early_release_leaves_the_level(void **state)
{
    (void)state;
    struct kit k;
    throttled_by_eta(&k);
    kit_memory(&k, 21 * SEC, 0, 649 * MB);
    assert_int_equal(kit_find(&k, DECISION_UNTHROTTLE)->reason, REASON_RELEASED);
    kit_memory(&k, 22 * SEC, 0, 749 * MB); /* within the cool-down: not for the time to the limit */
    kit_memory(&k, 22 * SEC + 300 * MS, 0, 749 * MB);
    assert_null(kit_find(&k, DECISION_THROTTLE));
    kit_memory(&k, 22 * SEC + 400 * MS, 0, 750 * MB); /* but for the level */
    assert_int_equal(kit_find(&k, DECISION_THROTTLE)->reason, REASON_MEMORY_LEVEL);
    kit_memory(&k, 23 * SEC, 0, 649 * MB);
    assert_int_equal(kit_find(&k, DECISION_UNTHROTTLE)->reason, REASON_RELEASED);
    sampled_at(&k, 33 * SEC, 760 * MB, DECISION_THROTTLE); /* once */
    kit_deinit(&k);
}

/* Begun below the release level, at 640 MB: 2 % of the limit below that it ends. */
static void test_fell_back(void **state)
{
    (void)state;
    struct kit k;
    ready_at_half(&k);
    kit_memory(&k, 20 * SEC + 450 * MS, 0, 600 * MB);
    kit_memory(&k, 20 * SEC + 500 * MS, 0, 610 * MB);
    kit_memory(&k, 20 * SEC + 800 * MS, 0, 640 * MB);
    assert_non_null(kit_find(&k, DECISION_THROTTLE));
    kit_memory(&k, 20 * SEC + 900 * MS, 0, 620 * MB);
    assert_null(kit_find(&k, DECISION_UNTHROTTLE));
    kit_memory(&k, 21 * SEC, 0, 620 * MB - 1);
    const struct decision *d = kit_find(&k, DECISION_UNTHROTTLE);
    assert_int_equal(d->reason, REASON_FELL_BACK);
    assert_int_equal(d->threshold, 620 * MB);
    assert_int_equal(d->amount[0], 200 * MS);
    kit_deinit(&k);
}

static void test_no_help_tells_what_was_held(void **state)
{
    (void)state;
    struct kit k;
    throttled_by_eta(&k);
    kit_memory(&k, 25 * SEC, 0, 740 * MB);
    kit_memory(&k, 29 * SEC, 0, 760 * MB);
    kit_memory(&k, 30 * SEC, 0, 790 * MB);
    const struct decision *d = due_at(&k, 30 * SEC + 800 * MS, DECISION_RESTART);
    assert_int_equal(d->reason, REASON_NO_HELP);
    assert_int_equal(d->observed, 790 * MB);
    assert_int_equal(d->threshold, 750 * MB);
    assert_int_equal(d->held_us, 1800 * MS);  /* above the threshold */
    assert_int_equal(d->amount[1], 10 * SEC); /* throttled */
    assert_int_equal(kit_find(&k, DECISION_UNTHROTTLE)->amount[0], 10 * SEC);
    kit_deinit(&k);
}

static enum decision_metric metric_when_cache_is_as_old(uint64_t age_us)
{
    struct kit k;
    ready_at_half(&k);
    struct event event = {.kind = EVENT_SAMPLE, .unit = 0};
    sample_set(&event.sample, SAMPLE_MEMORY_CURRENT, 500 * MB);
    sample_set(&event.sample, SAMPLE_MEMORY_FILE, 0);
    kit_step(&k, 21 * SEC, event);
    kit_memory(&k, 21 * SEC + age_us, 0, 960 * MB);
    kit_memory(&k, 21 * SEC + age_us, 0, 960 * MB);
    enum decision_metric metric = kit_find(&k, DECISION_RESTART)->metric;
    kit_deinit(&k);
    return metric;
}

static void test_cache_is_kept(void **state)
{
    (void)state;
    assert_int_equal(metric_when_cache_is_as_old(0), METRIC_MEMORY_USED);
    assert_int_equal(metric_when_cache_is_as_old(2 * SEC), METRIC_MEMORY_USED);
    assert_int_equal(metric_when_cache_is_as_old(2 * SEC + 1), METRIC_MEMORY_CURRENT);
}

static enum decision_reason end_of_throttle(uint64_t begin_mb, uint64_t end_mb)
{
    struct kit k;
    ready_at_half(&k);
    kit_memory(&k, 21 * SEC, 0, begin_mb * MB);
    kit_memory(&k, 30 * SEC, 0, end_mb * MB);
    kit_deadline(&k, 31 * SEC);
    const struct decision *d = kit_find(&k, DECISION_RESTART);
    enum decision_reason reason = d ? d->reason : kit_find(&k, DECISION_UNTHROTTLE)->reason;
    kit_deinit(&k);
    return reason;
}

static void test_plateau_or_no_help(void **state)
{
    (void)state;
    assert_int_equal(end_of_throttle(760, 760), REASON_TIME_BOUND);
    assert_int_equal(end_of_throttle(760, 780), REASON_TIME_BOUND); /* 2 %: still */
    assert_int_equal(end_of_throttle(760, 781), REASON_NO_HELP);
    assert_int_equal(end_of_throttle(845, 850), REASON_NO_HELP); /* the restart level, one reading */
    assert_int_equal(end_of_throttle(760, 700), REASON_TIME_BOUND);
}

static void test_pulses(void **state)
{
    (void)state;
    struct kit k;
    kit_init(&k, 1);
    k.units[0].abilities = ABILITY_FREEZE;
    k.units[0].ladder.throttle_max_us = SEC;
    kit_up(&k, 1);
    for (uint64_t t = 0; t <= 20 * SEC; t += SEC)
        kit_memory(&k, t, 0, 500 * MB);
    kit_memory(&k, 21 * SEC, 0, 760 * MB);
    assert_int_equal(kit_find(&k, DECISION_PULSE_FREEZE)->amount[0], 200 * MS);
    due_at(&k, 21 * SEC + 200 * MS, DECISION_PULSE_THAW);
    due_at(&k, 21 * SEC + 400 * MS, DECISION_PULSE_FREEZE);
    due_at(&k, 21 * SEC + 600 * MS, DECISION_PULSE_THAW);
    kit_exited(&k, 21 * SEC + 700 * MS, 0, 1);
    assert_non_null(kit_find(&k, DECISION_UNTHROTTLE));
    kit_deinit(&k);
}

static enum decision_kind first_of(uint64_t sampled_after_ready_us)
{
    struct kit k;
    kit_init(&k, 1);
    kit_up(&k, 1);
    kit_memory(&k, sampled_after_ready_us, 0, 900 * MB);
    enum decision_kind kind = k.decisions[0].kind;
    kit_deinit(&k);
    return kind;
}

static void test_baseline(void **state)
{
    (void)state;
    assert_int_equal(first_of(2 * SEC - 1), DECISION_NOTE);
    assert_int_equal(first_of(2 * SEC), DECISION_NOTE);
    assert_int_equal(first_of(2 * SEC + 1), DECISION_NOTIFY);
}

static void test_fast_sampling_falls_back(void **state)
{
    (void)state;
    struct kit k;
    kit_init(&k, 1);
    assert_int_equal(engine_sample_interval(k.engine, &k.policy, 0), 0);
    kit_event(&k, 0, EVENT_RUN, UNIT_NONE);
    assert_int_equal(engine_sample_interval(k.engine, &k.policy, 0), 50 * MS);
    kit_spawned(&k, 0, 0);
    kit_memory(&k, 0, 0, 500 * MB);
    assert_int_equal(engine_sample_interval(k.engine, &k.policy, 0), SEC);
    kit_memory(&k, 10 * SEC, 0, 600 * MB);
    kit_memory(&k, 11 * SEC, 0, 500 * MB);
    kit_deadline(&k, 12 * SEC - 1);
    assert_int_equal(engine_sample_interval(k.engine, &k.policy, 0), 50 * MS);
    kit_deadline(&k, 12 * SEC);
    assert_int_equal(engine_sample_interval(k.engine, &k.policy, 0), SEC);
    kit_deinit(&k);
}

/* A first reading at the critical level is looked at again at once, whatever else is switched off. */
static void test_critical_is_looked_at_again_at_once(void **state)
{
    (void)state;
    struct kit k;
    ready_at_half(&k);
    k.units[0].ladder = (struct ladder_policy){.critical_permyriad = 9500};
    kit_memory(&k, 21 * SEC, 0, 949 * MB);
    kit_memory(&k, 26 * SEC, 0, 949 * MB);
    assert_int_equal(engine_sample_interval(k.engine, &k.policy, 0), SEC);
    kit_memory(&k, 27 * SEC, 0, 950 * MB);
    assert_int_equal(engine_sample_interval(k.engine, &k.policy, 0), 50 * MS);
    kit_memory(&k, 27 * SEC + 50 * MS, 0, 949 * MB); /* it was not so */
    assert_null(kit_find(&k, DECISION_RESTART));
    kit_memory(&k, 27 * SEC + 100 * MS, 0, 950 * MB);
    assert_null(kit_find(&k, DECISION_RESTART));
    kit_memory(&k, 27 * SEC + 150 * MS, 0, 950 * MB);
    assert_int_equal(kit_find(&k, DECISION_RESTART)->reason, REASON_MEMORY_CRITICAL);
    kit_deinit(&k);
}

static int pressed_sample(struct kit *k, uint64_t t_us, uint64_t used, uint64_t full_us)
{
    struct event event = {.kind = EVENT_SAMPLE, .unit = 0};
    sample_set(&event.sample, SAMPLE_MEMORY_CURRENT, used);
    sample_set(&event.sample, SAMPLE_MEMORY_FULL, full_us);
    sample_set(&event.sample, SAMPLE_EVENTS_MAX, 7);
    return kit_step(k, t_us, event);
}

/* Stalled for 20 % of the last 10 s and for less; below the notify level and at it. */
static const struct decision *decided_when_stalled(struct kit *k, uint64_t used, uint64_t stalled_us)
{
    kit_init(k, 1);
    kit_up(k, 1);
    for (uint64_t t = 0; t < 20; t++)
        pressed_sample(k, t * SEC, used, 0);
    pressed_sample(k, 20 * SEC, used, stalled_us);
    kit_deinit(k);
    return k->count ? &k->decisions[k->count - 1] : NULL;
}

static void test_whose_pressure_it_is(void **state)
{
    (void)state;
    struct kit k;
    assert_null(decided_when_stalled(&k, 600 * MB - 1, 2000 * MS - 1000));
    const struct decision *d = decided_when_stalled(&k, 600 * MB - 1, 2000 * MS);
    assert_int_equal(d->kind, DECISION_NOTE);
    assert_int_equal(d->reason, REASON_OUTSIDE);
    assert_int_equal(d->shape, SHAPE_OUTSIDE);
    assert_int_equal(d->observed, 2000);
    assert_int_equal(d->held_us, 10 * SEC);
    d = decided_when_stalled(&k, 600 * MB + 1, 2000 * MS);
    assert_int_equal(d->kind, DECISION_THROTTLE);
    assert_int_equal(d->reason, REASON_PRESSURE);
}

static void test_outside_is_told_once_a_minute(void **state)
{
    (void)state;
    struct kit k;
    kit_init(&k, 1);
    kit_up(&k, 1);
    for (uint64_t t = 0; t <= 70; t++) {
        pressed_sample(&k, t * SEC + (t == 70 ? -1ULL : 0), 400 * MB, t * 300 * MS);
        assert_int_equal(kit_find(&k, DECISION_NOTE) != NULL, t == 10);
    }
    pressed_sample(&k, 70 * SEC, 400 * MB, 70 * 300 * MS);
    assert_int_equal(kit_find(&k, DECISION_NOTE)->reason, REASON_OUTSIDE);
    kit_deinit(&k);
}

static void test_failed_action_is_not_repeated(void **state)
{
    (void)state;
    struct kit k;
    ready_at_half(&k);
    kit_memory(&k, 21 * SEC, 0, 760 * MB);
    struct event outcome = {.kind = EVENT_OUTCOME, .unit = 0};
    outcome.outcome.decision_id = kit_find(&k, DECISION_THROTTLE)->id;
    outcome.outcome.result = EVENT_RESULT_FAILED;
    outcome.outcome.error = 5;
    kit_step(&k, 21 * SEC, outcome);
    assert_non_null(kit_find(&k, DECISION_UNTHROTTLE));
    kit_memory(&k, 60 * SEC, 0, 760 * MB);
    assert_null(kit_find(&k, DECISION_THROTTLE));
    sampled_at(&k, 81 * SEC, 760 * MB, DECISION_THROTTLE);
    kit_deinit(&k);
}

static void test_recycle_cost_comes_back(void **state)
{
    (void)state;
    struct kit k;
    struct unit_view v;
    kit_init(&k, 1);
    k.units[0].has_ready = true;
    kit_event(&k, 0, EVENT_RUN, UNIT_NONE);
    uint64_t t = 0;
    for (int i = 0; i < 4; i++) {
        kit_spawned(&k, t, 0);
        kit_event(&k, t += 10 * SEC, EVENT_READY, 0); /* each start takes 10 s, each life 10 s */
        engine_unit_view(k.engine, 0, &v);
        assert_int_equal(v.recycling_off, i == 3);
        assert_int_equal(kit_find(&k, DECISION_NOTE) != NULL, i == 3);
        kit_memory(&k, t, 0, 100 * MB);
        kit_memory(&k, t += 10 * SEC - 50 * MS, 0, 960 * MB);
        kit_memory(&k, t += 50 * MS, 0, 960 * MB);
        assert_int_equal(kit_find(&k, DECISION_RESTART) != NULL, i < 3);
        if (i < 3)
            kit_gone(&k, t, 0, 0);
    }
    /* 30 s of restarting: below half of 25 % once 240 s have passed since the first start */
    kit_memory(&k, 240 * SEC - MS, 0, 100 * MB);
    engine_unit_view(k.engine, 0, &v);
    assert_true(v.recycling_off);
    kit_memory(&k, 241 * SEC, 0, 100 * MB);
    engine_unit_view(k.engine, 0, &v);
    assert_false(v.recycling_off);
    kit_deinit(&k);
}

/* What could not be undone is undone again each second, ten times; the first and the last failure are told. */
static void test_a_throttle_that_does_not_end(void **state)
{
    (void)state;
    struct kit k;
    kit_init(&k, 1);
    kit_up(&k, 1);
    uint64_t t = 20 * SEC;
    kit_memory(&k, t, 0, 800 * MB);
    uint64_t throttle = kit_find(&k, DECISION_THROTTLE)->id;
    kit_memory(&k, t += SEC, 0, 100 * MB);
    assert_non_null(kit_find(&k, DECISION_UNTHROTTLE));
    uint64_t end = kit_find(&k, DECISION_UNTHROTTLE)->id;
    for (int i = 0; i <= 10; i++) {
        struct event failed = {.kind = EVENT_OUTCOME, .unit = 0};
        failed.outcome.decision_id = end;
        failed.outcome.result = EVENT_RESULT_FAILED;
        failed.outcome.error = 5;
        kit_step(&k, t, failed);
        assert_int_equal(kit_find(&k, DECISION_NOTE) != NULL, i == 0 || i == 10);
        if (i == 10)
            break;
        const struct decision *d = due_at(&k, t += SEC, DECISION_UNTHROTTLE);
        assert_int_equal(d->cause_id, throttle);
        assert_int_equal(d->reason, REASON_RELEASED);
        end = d->id;
    }
    assert_int_equal(engine_next_deadline(k.engine), USEC_INFINITY);
    kit_deinit(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ready_timeout),
        cmocka_unit_test(test_stop_timeout_and_kill_retries),
        cmocka_unit_test(test_exit_and_clean_wait),
        cmocka_unit_test(test_backoff),
        cmocka_unit_test(test_a_throttle_that_does_not_end),
        cmocka_unit_test(test_backoff_doubles),
        cmocka_unit_test(test_healthy_resets_the_row),
        cmocka_unit_test(test_failure_window),
        cmocka_unit_test(test_respawn_wait),
        cmocka_unit_test(test_oom_note),
        cmocka_unit_test(test_pids_note),
        cmocka_unit_test(test_restart_hold),
        cmocka_unit_test(test_eta_is_confirmed),
        cmocka_unit_test(test_a_throttle_has_time_to_help),
        cmocka_unit_test(test_min_life),
        cmocka_unit_test(test_notify_cooldown),
        cmocka_unit_test(test_throttle_bound_and_cooldown),
        cmocka_unit_test(test_throttle_ends_when_growth_does),
        cmocka_unit_test(test_early_release_leaves_the_level),
        cmocka_unit_test(test_fell_back),
        cmocka_unit_test(test_no_help_tells_what_was_held),
        cmocka_unit_test(test_cache_is_kept),
        cmocka_unit_test(test_plateau_or_no_help),
        cmocka_unit_test(test_pulses),
        cmocka_unit_test(test_baseline),
        cmocka_unit_test(test_fast_sampling_falls_back),
        cmocka_unit_test(test_critical_is_looked_at_again_at_once),
        cmocka_unit_test(test_whose_pressure_it_is),
        cmocka_unit_test(test_outside_is_told_once_a_minute),
        cmocka_unit_test(test_failed_action_is_not_repeated),
        cmocka_unit_test(test_recycle_cost_comes_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
