/* SPDX-License-Identifier: MIT */
/* The canonical text of a decision is the decision; its sentence is for people. */
#include "check.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "weir/base/cleanup.h"
#include "weir/base/units.h"
#include "weir/model/decision.h"
#include "weir/model/event.h"

static const char *const units[] = {"server", "worker", "odd name=:%", "-",
                                    "0123456789012345678901234567890"};
#define UNIT_COUNT ARRAY_SIZE(units)

/* --- text ---------------------------------------------------------------------------------------- */

static struct decision random_decision(uint64_t *rng)
{
    struct decision d;
    memset(&d, 0, sizeof(d));
    d.id = rng_edgy(rng);
    d.event_seq = rng_edgy(rng);
    d.t_us = rng_edgy(rng);
    d.cause_id = rng_edgy(rng);
    size_t unit = rng_below(rng, UNIT_COUNT + 1);
    d.unit = unit == UNIT_COUNT ? UNIT_NONE : (uint16_t)unit;
    d.generation = (uint32_t)rng_edgy(rng);
    d.kind = (enum decision_kind)rng_below(rng, DECISION_KIND_COUNT);
    d.reason = (enum decision_reason)rng_below(rng, REASON_COUNT);
    d.metric = (enum decision_metric)rng_below(rng, METRIC_COUNT);
    d.observed = rng_edgy(rng);
    d.threshold = rng_edgy(rng);
    d.held_us = rng_edgy(rng);
    d.amount[0] = rng_edgy(rng);
    d.amount[1] = rng_edgy(rng);
    d.rejected = (uint32_t)rng_edgy(rng);
    d.observe = rng_below(rng, 2);
    size_t length = rng_below(rng, DECISION_RULE_MAX);
    for (size_t i = 0; i < length; i++)
        d.rule[i] = (char)(1 + rng_below(rng, 255));
    return d;
}

static void check_equal(const struct decision *a, const struct decision *b)
{
    assert_true(a->id == b->id && a->event_seq == b->event_seq && a->t_us == b->t_us &&
                a->cause_id == b->cause_id);
    assert_true(a->unit == b->unit && a->generation == b->generation && a->kind == b->kind);
    assert_true(a->reason == b->reason && a->metric == b->metric && a->observed == b->observed);
    assert_true(a->threshold == b->threshold && a->held_us == b->held_us);
    assert_true(a->amount[0] == b->amount[0] && a->amount[1] == b->amount[1]);
    assert_true(a->rejected == b->rejected && a->observe == b->observe);
    assert_true(a->shape == b->shape && a->shape_bytes == b->shape_bytes && a->shape_us == b->shape_us);
    assert_memory_equal(a->rule, b->rule, sizeof(a->rule));
}

static void any_decision_survives_its_text(void **state)
{
    (void)state;
    uint64_t rng = 5;
    for (int i = 0; i < 50000; i++) {
        struct decision d = random_decision(&rng), back;
        char text[DECISION_TEXT_MAX], again[DECISION_TEXT_MAX];
        int length = decision_format(&d, units, text, sizeof(text));
        assert_int_equal(length, strlen(text));
        assert_int_equal(decision_parse(text, units, UNIT_COUNT, &back), 0);
        check_equal(&d, &back);
        assert_int_equal(decision_format(&back, units, again, sizeof(again)), length);
        assert_string_equal(text, again);
    }
}

/* The longest of everything fits into DECISION_TEXT_MAX. */
static void the_longest_decision_fits(void **state)
{
    (void)state;
    static const char *const longest[] = {"%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%"};
    const uint64_t n = UINT64_MAX - 1;
    struct decision d = {.id = n,
                         .event_seq = n,
                         .t_us = n,
                         .cause_id = n,
                         .generation = UINT32_MAX,
                         .observed = n,
                         .threshold = n,
                         .held_us = n,
                         .amount = {n, n},
                         .rejected = UINT32_MAX,
                         .observe = true,
                         .shape = SHAPE_BASELINE, /* the longest name */
                         .shape_bytes = n,
                         .shape_us = n};
    assert_int_equal(strlen(longest[0]), UNIT_NAME_MAX - 1);
    memset(d.rule, '%', sizeof(d.rule) - 1);
    for (unsigned i = 0; i < DECISION_KIND_COUNT; i++)
        if (strlen(decision_kind_name((enum decision_kind)i)) > strlen(decision_kind_name(d.kind)))
            d.kind = (enum decision_kind)i;
    for (unsigned i = 0; i < REASON_COUNT; i++)
        if (strlen(decision_reason_name((enum decision_reason)i)) > strlen(decision_reason_name(d.reason)))
            d.reason = (enum decision_reason)i;
    for (unsigned i = 0; i < METRIC_COUNT; i++)
        if (strlen(decision_metric_name((enum decision_metric)i)) > strlen(decision_metric_name(d.metric)))
            d.metric = (enum decision_metric)i;
    char text[DECISION_TEXT_MAX];
    struct decision back;
    int length = decision_format(&d, longest, text, sizeof(text));
    assert_true(length > 0);
    assert_int_equal(decision_parse(text, longest, 1, &back), 0);
    check_equal(&d, &back);
    assert_int_equal(decision_format(&d, longest, text, (size_t)length), -EMSGSIZE);
    assert_int_equal(decision_format(&d, longest, text, 0), -EMSGSIZE);
}

static void the_text_is_stable(void **state)
{
    (void)state;
    struct decision d = {.id = 7,
                         .event_seq = 21,
                         .t_us = 21000000,
                         .cause_id = 5,
                         .unit = 1,
                         .generation = 2,
                         .kind = DECISION_THROTTLE,
                         .reason = REASON_MEMORY_ETA,
                         .metric = METRIC_MEMORY_ETA,
                         .observed = 19000000,
                         .threshold = 20000000,
                         .held_us = 1000000,
                         .amount = {2000, UINT64_MAX},
                         .rejected = 1U << REJECTED_COOLDOWN | 1U << REJECTED_COST,
                         .observe = true,
                         .rule = "ladder.throttle",
                         .shape = SHAPE_LEAK,
                         .shape_bytes = 851443712,
                         .shape_us = 40000000};
    char text[DECISION_TEXT_MAX];
    decision_format(&d, units, text, sizeof(text));
    assert_string_equal(
        text, "id=7 event=21 t_us=21000000 cause=5 unit=worker gen=2 kind=throttle reason=memory-eta "
              "metric=memory.eta observed=19000000 threshold=20000000 held_us=1000000 amount0=2000 "
              "amount1=max rejected=cooldown,cost observe=1 rule=ladder.throttle shape=leak "
              "shape_bytes=851443712 shape_us=40000000");
    d = (struct decision){.id = 1, .event_seq = 1, .unit = UNIT_NONE, .kind = DECISION_EXIT};
    decision_format(&d, units, text, sizeof(text));
    assert_string_equal(text, "id=1 event=1 t_us=0 kind=exit");
}

static void broken_texts_are_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "id=1",
        "id=1 event=1 t_us=0",                /* no kind */
        "id=1 event=1 t_us=0 kind=begin",     /* no such kind */
        "id=1 event=1 t_us=0 kind=exit id=1", /* twice */
        "id=1 event=1 t_us=0 kind=exit colour=1",
        "id=1 event=1 t_us=0 kind=exit gen",
        "id=1 event=1 t_us=0 kind=exit gen=",
        "id=1 event=1 t_us=0 kind=exit gen=4294967296",
        "id=1 event=1 t_us=0 kind=exit gen=-1",
        "id=-1 event=1 t_us=0 kind=exit",
        "id=18446744073709551616 event=1 t_us=0 kind=exit",
        "id=1 event=1 t_us=0 kind=exit unit=nobody",
        "id=1 event=1 t_us=0 kind=exit observe=2",
        "id=1 event=1 t_us=0 kind=exit rejected=",
        "id=1 event=1 t_us=0 kind=exit rejected=cost,",
        "id=1 event=1 t_us=0 kind=exit rejected=0x",
        "id=1 event=1 t_us=0 kind=exit rejected=0x123456789",
        "id=1 event=1 t_us=0 kind=exit rule=a%0",
        "id=1 event=1 t_us=0 kind=exit rule=a%00b",
        "id=1 event=1 t_us=0 kind=exit rule=a:b",
        "id=1 event=1 t_us=0 kind=exit rule=1234567890123456789012345678901234567890",
        "id=1 event=1 t_us=0 kind=exit\nid=2",
    };
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        struct decision d = {.id = 4711};
        if (decision_parse(texts[i], units, UNIT_COUNT, &d) != -EINVAL)
            fail_msg("\"%s\" was accepted", texts[i]);
        assert_int_equal(d.id, 4711);
    }
}

static void names_lead_back(void **state)
{
    (void)state;
    for (unsigned i = 0; i < DECISION_KIND_COUNT; i++)
        assert_int_equal(decision_kind_by_name(decision_kind_name((enum decision_kind)i)), i);
    for (unsigned i = 0; i < REASON_COUNT; i++)
        assert_int_equal(decision_reason_by_name(decision_reason_name((enum decision_reason)i)), i);
    for (unsigned i = 0; i < METRIC_COUNT; i++)
        assert_int_equal(decision_metric_by_name(decision_metric_name((enum decision_metric)i)), i);
    for (unsigned i = 0; i < UNIT_STATE_COUNT; i++)
        assert_int_equal(unit_state_by_name(unit_state_name((enum unit_state)i)), i);
    assert_int_equal(decision_kind_by_name("?"), DECISION_KIND_COUNT);
    assert_int_equal(decision_reason_by_name(""), REASON_COUNT);
    assert_int_equal(unit_state_by_name("Ready"), UNIT_STATE_COUNT);
    assert_string_equal(decision_kind_name(DECISION_KIND_COUNT), "?");
    assert_string_equal(decision_rejection_text(REJECTED_COUNT), "?");
    assert_int_equal(decision_kind_class(DECISION_RESTART), DECISION_CLASS_INTERVENTION);
    assert_int_equal(decision_kind_class(DECISION_KILL), DECISION_CLASS_STEP);
    assert_int_equal(decision_kind_class(DECISION_STATE), DECISION_CLASS_MARK);
}

/* --- sentences ----------------------------------------------------------------------------------- */

static void values_as_people_read_them(void **state)
{
    (void)state;
    static const struct {
        enum decision_metric metric;
        uint64_t value;
        const char *text;
    } cases[] = {
        {METRIC_MEMORY_CURRENT, 227855565, "217.3M"},
        {METRIC_MEMORY_CURRENT, 17, "17B"},
        {METRIC_MEMORY_CURRENT, 812 << 10, "812K"},
        {METRIC_MEMORY_CURRENT, 3650722202, "3.40G"},
        {METRIC_MEMORY_CURRENT, 4ULL << 30, "4G"},
        {METRIC_MEMORY_CURRENT, (4ULL << 30) - 1, "4G"}, /* to nearest */
        {METRIC_MEMORY_CURRENT, UINT64_MAX, "max"},
        {METRIC_MEMORY_CURRENT, UINT64_MAX - 1, "16E"},
        {METRIC_MEMORY_GROWTH, 40 << 20, "40M/s"},
        {METRIC_MEMORY_PRESSURE_FULL, 1250, "12.50%"},
        {METRIC_RESTART_SHARE, 7, "0.07%"},
        {METRIC_MEMORY_ETA, 1250000, "1.250s"},
        {METRIC_MEMORY_ETA, USEC_INFINITY, "infinity"},
        {METRIC_FAILURES, 7, "7"},
        {METRIC_NONE, 0, "0"},
    };
    char buf[METRIC_FORMAT_MAX];
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        assert_string_equal(decision_metric_format(cases[i].metric, cases[i].value, buf), cases[i].text);
    for (unsigned metric = 0; metric < METRIC_COUNT; metric++)
        assert_true(strlen(decision_metric_format((enum decision_metric)metric, UINT64_MAX - 1, buf)) <
                    METRIC_FORMAT_MAX - 1);
}

#define MB(n) ((uint64_t)(n) << 20)

static const struct sentence {
    struct decision d;
    const char *text;
} sentences[] = {
    {{.unit = 1,
      .kind = DECISION_RESTART,
      .reason = REASON_MEMORY_LEVEL,
      .metric = METRIC_MEMORY_CURRENT,
      .observed = 228170138,
      .threshold = 228065280,
      .held_us = 1000000,
      .amount = {1, 0}},
     "restart worker: memory.current 217.6M, threshold 217.5M, held 1s: memory stayed above the threshold"},
    {{.unit = 1,
      .kind = DECISION_RESTART,
      .reason = REASON_MEMORY_ETA,
      .metric = METRIC_MEMORY_ETA,
      .observed = 4200000,
      .threshold = 5000000,
      .observe = true},
     "would have: restart worker: memory.eta 4.200s, threshold 5s: at this growth the limit is too near"},
    {{.unit = 1,
      .kind = DECISION_RESTART,
      .reason = REASON_MEMORY_CRITICAL,
      .metric = METRIC_MEMORY_HEADROOM,
      .observed = MB(81),
      .threshold = MB(100)},
     "restart worker: memory.headroom 81M, threshold 100M: memory is almost at the limit"},
    {{.unit = 1,
      .kind = DECISION_RESTART,
      .reason = REASON_NO_HELP,
      .metric = METRIC_ELAPSED,
      .observed = 30000000,
      .threshold = 30000000},
     "restart worker: holding it back did not help: after 30s, limit 30s"},
    {{.unit = 1,
      .kind = DECISION_RESTART,
      .reason = REASON_NO_HELP,
      .metric = METRIC_MEMORY_USED,
      .observed = MB(195),
      .threshold = MB(192),
      .held_us = 1000000,
      .amount = {1, 10000000}},
     "restart worker: memory.used 195M, threshold 192M, held 1s: holding it back for 10s did not help"},
    {{.unit = 1,
      .kind = DECISION_TERM,
      .reason = REASON_NO_HELP,
      .metric = METRIC_MEMORY_USED,
      .observed = MB(195),
      .threshold = MB(192),
      .held_us = 1000000},
     "send SIGTERM to worker: memory.used 195M, threshold 192M, held 1s: holding it back did not help"},
    {{.unit = 0,
      .kind = DECISION_RESTART,
      .reason = REASON_RESPAWN_WAIT,
      .metric = METRIC_ELAPSED,
      .observed = 60000000,
      .threshold = 60000000},
     "restart server: its server did not start its worker anew: after 1min, limit 1min"},
    {{.unit = 0, .kind = DECISION_RESTART, .reason = REASON_OPERATOR},
     "restart server: an operator asked for it"},
    {{.unit = 1,
      .kind = DECISION_NOTIFY,
      .reason = REASON_MEMORY_LEVEL,
      .metric = METRIC_MEMORY_CURRENT,
      .observed = MB(2458),
      .threshold = MB(2457),
      .rejected = 1U << REJECTED_NOT_HELD | 1U << REJECTED_UNSUPPORTED},
     "ask worker to give memory back: memory.current 2.40G, threshold 2.40G: memory stayed above the "
     "threshold; "
     "no stronger step: the host cannot do it, the condition has not held long enough"},
    {{.unit = 1,
      .kind = DECISION_THROTTLE,
      .reason = REASON_PRESSURE,
      .metric = METRIC_MEMORY_PRESSURE_FULL,
      .observed = 2150,
      .threshold = 2000,
      .held_us = 10000000,
      .amount = {2000, MB(3482)}},
     "throttle worker to 20.00% of a cpu, memory.high 3.40G: memory.pressure.full 21.50%, threshold 20.00%, "
     "held 10s: "
     "tasks are stalled on memory"},
    {{.unit = 1,
      .kind = DECISION_RESTART,
      .reason = REASON_MEMORY_LEVEL,
      .metric = METRIC_MEMORY_USED,
      .observed = MB(900),
      .threshold = MB(850),
      .shape = SHAPE_LEAK,
      .shape_bytes = MB(812),
      .shape_us = 40000000},
     "restart worker: memory.used 900M, threshold 850M: memory stayed above the threshold; it looks like a "
     "leak "
     "(rose 812M in 40s)"},
    {{.unit = 1,
      .kind = DECISION_THROTTLE,
      .reason = REASON_MEMORY_JUMP,
      .metric = METRIC_MEMORY_JUMP,
      .observed = MB(400),
      .threshold = MB(350),
      .shape = SHAPE_STEP,
      .shape_bytes = MB(400),
      .rejected = 1U << REJECTED_UNSUPPORTED},
     "throttle worker: memory.jump 400M, left to the limit 350M: one more jump like the last would reach the "
     "limit; "
     "it looks like a single step (rose 400M); no stronger step: the host cannot do it"},
    {{.unit = 1,
      .kind = DECISION_THROTTLE,
      .reason = REASON_RULE,
      .rule = "rule.leaps",
      .metric = METRIC_MEMORY_JUMP,
      .observed = MB(400),
      .threshold = MB(100)},
     "throttle worker: memory.jump 400M, threshold 100M: rule leaps"},
    {{.unit = 1,
      .kind = DECISION_UNTHROTTLE,
      .reason = REASON_TIME_BOUND,
      .rule = "rule.leaps",
      .metric = METRIC_ELAPSED,
      .observed = 10000000,
      .threshold = 10000000},
     "stop throttling worker: its time bound was reached: after 10s, limit 10s"},
    {{.unit = 1,
      .kind = DECISION_NOTE,
      .reason = REASON_OUTSIDE,
      .metric = METRIC_MEMORY_PRESSURE_FULL,
      .observed = 3000,
      .threshold = 2000,
      .held_us = 10000000,
      .shape = SHAPE_OUTSIDE},
     "note on worker: memory.pressure.full 30.00%, threshold 20.00%, held 10s: its own limit does not press "
     "it: the "
     "pressure comes from outside"},
    {{.unit = 1, .kind = DECISION_THROTTLE, .reason = REASON_MEMORY_LEVEL, .amount = {0, MB(512)}},
     "throttle worker to memory.high 512M: memory stayed above the threshold"},
    {{.unit = 1,
      .kind = DECISION_UNTHROTTLE,
      .reason = REASON_RELEASED,
      .metric = METRIC_MEMORY_CURRENT,
      .observed = MB(200),
      .threshold = MB(256)},
     "stop throttling worker: memory.current 200M, threshold 256M: memory fell below the release threshold"},
    {{.unit = 1,
      .kind = DECISION_UNTHROTTLE,
      .reason = REASON_TIME_BOUND,
      .metric = METRIC_ELAPSED,
      .observed = 30000000,
      .threshold = 30000000},
     "stop throttling worker: its time bound was reached: after 30s, limit 30s"},
    {{.unit = 1,
      .kind = DECISION_UNTHROTTLE,
      .reason = REASON_TIME_BOUND,
      .metric = METRIC_ELAPSED,
      .observed = 10000000,
      .threshold = 10000000,
      .amount = {10000000, 0}},
     "stop throttling worker: its time bound was reached: after 10s, limit 10s"},
    {{.unit = 1,
      .kind = DECISION_UNTHROTTLE,
      .reason = REASON_FELL_BACK,
      .metric = METRIC_MEMORY_USED,
      .observed = MB(76),
      .threshold = MB(77),
      .amount = {1200000, 0}},
     "stop throttling worker after 1.200s: memory.used 76M, threshold 77M: memory fell below what it was "
     "when the "
     "throttle began"},
    {{.unit = 1,
      .kind = DECISION_UNTHROTTLE,
      .reason = REASON_STOPPED_GROWING,
      .metric = METRIC_MEMORY_GROWTH,
      .observed = 102400,
      .threshold = MB(4),
      .held_us = 1000000,
      .amount = {2350000, 0}},
     "stop throttling worker after 2.350s: memory.growth 100K/s, threshold 4M/s, held 1s: memory has all but "
     "stopped growing"},
    {{.unit = 1, .kind = DECISION_PULSE_FREEZE, .amount = {80000, 0}}, "freeze worker for 80ms"},
    {{.unit = 1, .kind = DECISION_PULSE_THAW}, "thaw worker between pulses"},
    {{.unit = 1, .kind = DECISION_FREEZE, .reason = REASON_OPERATOR},
     "freeze worker: an operator asked for it"},
    {{.unit = 1, .kind = DECISION_ADMIT, .reason = REASON_ARRIVED}, "admit worker: its server started it"},
    {{.unit = 1, .kind = DECISION_REFUSE, .reason = REASON_DEPENDENCY},
     "refuse to run worker: a unit it depends on is not running"},
    {{.unit = 0, .kind = DECISION_START, .reason = REASON_CONFIGURED},
     "start server: its configuration says so"},
    {{.unit = 0, .kind = DECISION_TERM, .reason = REASON_SHUTDOWN},
     "send SIGTERM to server: weir is shutting down"},
    {{.unit = 0,
      .kind = DECISION_KILL,
      .reason = REASON_STOP_TIMEOUT,
      .metric = METRIC_ELAPSED,
      .observed = 10000000,
      .threshold = 10000000},
     "kill every process of server: it did not stop in time: after 10s, limit 10s"},
    {{.unit = 0, .kind = DECISION_KILL, .reason = REASON_LEFT_BEHIND},
     "kill every process of server: nothing of it may outlive its main process"},
    {{.unit = 0, .kind = DECISION_CLEAN, .reason = REASON_POPULATED_0},
     "remove the cgroup of server: no process is left in it"},
    {{.unit = 0,
      .kind = DECISION_BACKOFF,
      .reason = REASON_EXIT_CODE,
      .metric = METRIC_EXIT_STATUS,
      .observed = 3,
      .amount = {400000, 3}},
     "start server again in 400ms (try 3): its main process exited: code 3"},
    {{.unit = 0,
      .kind = DECISION_BACKOFF,
      .reason = REASON_SIGNAL,
      .metric = METRIC_EXIT_SIGNAL,
      .observed = 11},
     "start server again at once: its main process was ended by a signal: signal 11 (SIGSEGV)"},
    {{.unit = 0,
      .kind = DECISION_BACKOFF,
      .reason = REASON_SPAWN_FAILED,
      .metric = METRIC_ERRNO,
      .observed = 2,
      .amount = {100000, 2}},
     "start server again in 100ms (try 2): its command could not be started: No such file or directory"},
    {{.unit = 1,
      .kind = DECISION_BACKOFF,
      .reason = REASON_OOM_KILL,
      .metric = METRIC_OOM_KILL,
      .observed = 2},
     "start worker again at once: the kernel killed a process of it for lack of memory: OOM kills 2"},
    {{.unit = 1,
      .kind = DECISION_BACKOFF,
      .reason = REASON_EXIT_CODE,
      .metric = METRIC_EXIT_STATUS,
      .observed = 1,
      .amount = {0, 1},
      .rejected = 1U << REJECTED_SERVER},
     "worker may be started again by its server at once (try 1): its main process exited: code 1"},
    {{.unit = 1,
      .kind = DECISION_BACKOFF,
      .reason = REASON_EXIT_CODE,
      .metric = METRIC_EXIT_STATUS,
      .observed = 1,
      .amount = {97000, 2},
      .rejected = 1U << REJECTED_SERVER},
     "worker may be started again by its server in 97ms (try 2): its main process exited: code 1"},
    {{.unit = 0,
      .kind = DECISION_FAIL,
      .reason = REASON_BUDGET_SPENT,
      .metric = METRIC_FAILURES,
      .observed = 6,
      .threshold = 5,
      .amount = {6, 0}},
     "give up server after 6 failures: it failed too often: failures 6, budget 5"},
    {{.unit = 0, .kind = DECISION_FAIL, .reason = REASON_NEVER_READY, .amount = {1, 0}},
     "give up server after 1 failure: its first start failed"},
    {{.unit = 1,
      .kind = DECISION_NOTE,
      .reason = REASON_RECYCLE_COST,
      .metric = METRIC_RESTART_SHARE,
      .observed = 2610,
      .threshold = 2500},
     "note on worker: restarting takes too large a share of the time: 26.10%, limit 25.00%"},
    {{.unit = 1,
      .kind = DECISION_NOTE,
      .reason = REASON_BASELINE,
      .metric = METRIC_MEMORY_CURRENT,
      .observed = MB(900),
      .threshold = MB(870)},
     "note on worker: memory.current 900M, threshold 870M: memory is above the threshold right after its "
     "start"},
    {{.unit = 1,
      .kind = DECISION_NOTE,
      .reason = REASON_PIDS_LIMIT,
      .metric = METRIC_PIDS_EVENTS_MAX,
      .observed = 4},
     "note on worker: it ran into its pids limit: forks refused 4"},
    {{.unit = 1,
      .kind = DECISION_NOTE,
      .reason = REASON_OPERATOR,
      .amount = {UNIT_STATE_READY, 1 + EVENT_VERB_FREEZE}},
     "note on worker: asked to freeze it, nothing done: it is frozen already"},
    {{.unit = 1,
      .kind = DECISION_NOTE,
      .reason = REASON_OPERATOR,
      .amount = {UNIT_STATE_STOPPED, 1 + EVENT_VERB_FREEZE}},
     "note on worker: asked to freeze it, nothing done: it is stopped"},
    {{.unit = 1,
      .kind = DECISION_NOTE,
      .reason = REASON_OPERATOR,
      .amount = {UNIT_STATE_READY, 1 + EVENT_VERB_FREEZE},
      .rejected = 1U << REJECTED_UNSUPPORTED},
     "note on worker: asked to freeze it, nothing done: the host cannot do it"},
    {{.unit = 1,
      .kind = DECISION_NOTE,
      .reason = REASON_SHUTDOWN,
      .amount = {UNIT_STATE_STOPPED, 1 + EVENT_VERB_START}},
     "note on worker: asked to start it, nothing done: weir is shutting down"},
    {{.unit = 1,
      .kind = DECISION_NOTE,
      .reason = REASON_OPERATOR,
      .amount = {UNIT_STATE_STOPPING, 1 + EVENT_VERB_RESTART}},
     "note on worker: asked to restart it, nothing done: it starts again once it has stopped"},
    {{.unit = 1,
      .kind = DECISION_NOTE,
      .reason = REASON_OPERATOR,
      .amount = {UNIT_STATE_STOPPED, 1 + EVENT_VERB_START},
      .rejected = 1U << REJECTED_SERVER},
     "note on worker: asked to start it: only its server can start it, and may do so now"},
    {{.unit = 1, .kind = DECISION_NOTE, .reason = REASON_OPERATOR, .amount = {UNIT_STATE_READY, 0}},
     "note on worker: an operator asked for it"}, /* recorded before the verb was */
    {{.unit = 0,
      .kind = DECISION_STATE,
      .reason = REASON_ADOPTED,
      .amount = {UNIT_STATE_STOPPED, UNIT_STATE_ADOPTED}},
     "server goes from stopped to adopted: it was found running"},
    {{.unit = 0, .kind = DECISION_STATE, .amount = {99, UNIT_STATE_READY}}, "server goes from ? to ready"},
    {{.unit = UNIT_NONE, .kind = DECISION_EXIT, .reason = REASON_ALL_ENDED},
     "end weir with status 0: every unit has ended"},
};

static void sentences_read_well(void **state)
{
    (void)state;
    char buf[512];
    for (size_t i = 0; i < ARRAY_SIZE(sentences); i++)
        assert_string_equal(decision_narrate(&sentences[i].d, units, buf, sizeof(buf)), sentences[i].text);
}

/* No combination is left without words, and a short buffer is never overrun. */
static void every_combination_has_a_sentence(void **state)
{
    (void)state;
    uint64_t rng = 9;
    for (int i = 0; i < 20000; i++) {
        struct decision d = random_decision(&rng);
        char whole[1024], cut[40];
        size_t length = strlen(decision_narrate(&d, units, whole, sizeof(whole)));
        assert_true(length > 3 && length < sizeof(whole) - 1);
        assert_null(strstr(whole, "(null)"));
        assert_null(strchr(whole, '\n'));
        decision_narrate(&d, units, cut, sizeof(cut));
        assert_int_equal(strncmp(whole, cut, sizeof(cut) - 1), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_decision_survives_its_text),
        cmocka_unit_test(the_longest_decision_fits),
        cmocka_unit_test(the_text_is_stable),
        cmocka_unit_test(broken_texts_are_refused),
        cmocka_unit_test(names_lead_back),
        cmocka_unit_test(values_as_people_read_them),
        cmocka_unit_test(sentences_read_well),
        cmocka_unit_test(every_combination_has_a_sentence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
