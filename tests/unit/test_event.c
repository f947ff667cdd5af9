/* SPDX-License-Identifier: MIT */
/* The text of an event is the event, but for its seq. */
#include "check.h"

#include <errno.h>
#include <string.h>

#include "weir/base/cleanup.h"
#include "weir/model/event.h"

static const char *const units[] = {"server", "worker", "odd name=:%", "-", "21s"};
#define UNIT_COUNT ARRAY_SIZE(units)

/* --- any event ----------------------------------------------------------------------------------- */

static uint16_t random_unit(uint64_t *rng)
{
    size_t unit = rng_below(rng, UNIT_COUNT + 1);
    return unit == UNIT_COUNT ? UNIT_NONE : (uint16_t)unit;
}

static void fill_sample(struct sample *s, uint64_t t_us, uint64_t *rng)
{
    s->t_us = rng_below(rng, 2) ? t_us : rng_edgy(rng);
    s->late_us = rng_edgy(rng);
    s->cause = (enum sample_cause)rng_below(rng, SAMPLE_CAUSE_COUNT);
    s->missed_ticks = (uint32_t)rng_edgy(rng);
    for (unsigned i = 0; i < SAMPLE_FIELD_COUNT; i++)
        if (rng_below(rng, 2))
            sample_set(s, (enum sample_field)i, rng_edgy(rng));
    s->top_count = (uint32_t)rng_below(rng, SAMPLE_TOP_MAX + 1);
    for (uint32_t i = 0; i < s->top_count; i++) {
        struct sample_process *p = &s->top[i];
        p->pid = (int32_t)rng_edgy(rng);
        p->threads = (uint32_t)rng_edgy(rng);
        p->rss_bytes = rng_edgy(rng);
        p->vsz_bytes = rng_edgy(rng);
        size_t length = rng_below(rng, SAMPLE_COMM_MAX);
        for (size_t j = 0; j < length; j++)
            p->comm[j] = (char)(1 + rng_below(rng, 255));
    }
}

static void fill_arrived(struct event *e, uint64_t *rng)
{
    e->arrived.pid = (int32_t)rng_edgy(rng);
    e->arrived.via = random_unit(rng);
    e->arrived.ticket = rng_edgy(rng);
}

static void fill_spawned(struct event *e, uint64_t *rng)
{
    e->spawned.pid = (int32_t)rng_edgy(rng);
    e->spawned.how = (enum event_how)rng_below(rng, EVENT_HOW_COUNT);
    e->spawned.ready = rng_below(rng, 2);
    e->spawned.frozen = rng_below(rng, 2);
}

static void fill_exit(struct event *e, uint64_t *rng)
{
    e->exit.status_known = rng_below(rng, 2);
    e->exit.code = (int32_t)rng_edgy(rng);
    e->exit.signal = (int32_t)rng_edgy(rng);
    e->exit.oom_kills = rng_edgy(rng);
    e->exit.pids_refused = rng_edgy(rng);
}

static void fill_operator(struct event *e, uint64_t *rng)
{
    e->operator_.verb = (enum event_verb)rng_below(rng, EVENT_VERB_COUNT);
    e->operator_.uid = (uint32_t)rng_edgy(rng);
}

static void fill_outcome(struct event *e, uint64_t *rng)
{
    e->outcome.decision_id = rng_edgy(rng);
    e->outcome.result = (enum event_result)rng_below(rng, EVENT_RESULT_COUNT);
    e->outcome.error = (int32_t)rng_edgy(rng);
}

static void fill_error(struct event *e, uint64_t *rng)
{
    e->error = (int32_t)rng_edgy(rng);
}

static void random_event(enum event_kind kind, uint64_t *rng, struct event *ret)
{
    static void (*const fill[EVENT_KIND_COUNT])(struct event *, uint64_t *) = {
        [EVENT_ARRIVED] = fill_arrived, [EVENT_SPAWNED] = fill_spawned, [EVENT_SPAWN_FAILED] = fill_error,
        [EVENT_EXITED] = fill_exit,     [EVENT_CLEANED] = fill_error,   [EVENT_OPERATOR] = fill_operator,
        [EVENT_OUTCOME] = fill_outcome,
    };
    memset(ret, 0, sizeof(*ret));
    ret->t_us = rng_edgy(rng);
    ret->kind = kind;
    ret->unit = random_unit(rng);
    ret->generation = (uint32_t)rng_edgy(rng);
    if (kind == EVENT_SAMPLE)
        fill_sample(&ret->sample, ret->t_us, rng);
    else if (fill[kind])
        fill[kind](ret, rng);
}

static void check_sample(const struct sample *a, const struct sample *b)
{
    assert_true(a->t_us == b->t_us && a->late_us == b->late_us && a->valid == b->valid);
    assert_true(a->cause == b->cause && a->missed_ticks == b->missed_ticks && a->top_count == b->top_count);
    assert_memory_equal(a->value, b->value, sizeof(a->value));
    for (uint32_t i = 0; i < a->top_count; i++) {
        const struct sample_process *p = &a->top[i], *q = &b->top[i];
        assert_true(p->pid == q->pid && p->threads == q->threads);
        assert_true(p->rss_bytes == q->rss_bytes && p->vsz_bytes == q->vsz_bytes);
        assert_memory_equal(p->comm, q->comm, sizeof(p->comm));
    }
}

static void check_payload(const struct event *a, const struct event *b)
{
    const struct event_exit *x = &a->exit, *y = &b->exit;
    switch (a->kind) {
    case EVENT_SAMPLE:
        check_sample(&a->sample, &b->sample);
        break;
    case EVENT_ARRIVED:
        assert_true(a->arrived.pid == b->arrived.pid && a->arrived.via == b->arrived.via);
        assert_true(a->arrived.ticket == b->arrived.ticket);
        break;
    case EVENT_SPAWNED:
        assert_true(a->spawned.pid == b->spawned.pid && a->spawned.how == b->spawned.how);
        assert_true(a->spawned.ready == b->spawned.ready);
        assert_true(a->spawned.frozen == b->spawned.frozen);
        break;
    case EVENT_EXITED:
        assert_true(x->status_known == y->status_known && x->code == y->code && x->signal == y->signal);
        assert_true(x->oom_kills == y->oom_kills && x->pids_refused == y->pids_refused);
        break;
    case EVENT_OPERATOR:
        assert_true(a->operator_.verb == b->operator_.verb && a->operator_.uid == b->operator_.uid);
        assert_true(a->operator_.inflight == b->operator_.inflight);
        assert_true(a->operator_.interval_us == b->operator_.interval_us);
        break;
    case EVENT_OUTCOME:
        assert_true(a->outcome.decision_id == b->outcome.decision_id &&
                    a->outcome.result == b->outcome.result);
        assert_true(a->outcome.error == b->outcome.error);
        break;
    case EVENT_SPAWN_FAILED:
    case EVENT_CLEANED:
        assert_int_equal(a->error, b->error);
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

static void any_event_survives_its_text(void **state)
{
    (void)state;
    uint64_t rng = 7;
    for (int i = 0; i < 30000; i++) {
        struct event e, back;
        char text[EVENT_TEXT_MAX], again[EVENT_TEXT_MAX];
        const char *what = "";
        random_event((enum event_kind)(i % EVENT_KIND_COUNT), &rng, &e);
        int length = event_format(&e, units, text, sizeof(text));
        assert_int_equal(length, strlen(text));
        if (event_parse(text, units, UNIT_COUNT, &back, &what) != 0)
            fail_msg("%s: %s", what, text);
        assert_true(e.t_us == back.t_us && e.kind == back.kind && e.unit == back.unit);
        assert_int_equal(e.generation, back.generation);
        check_payload(&e, &back);
        assert_int_equal(event_format(&back, units, again, sizeof(again)), length);
        assert_string_equal(text, again);
    }
}

static void the_longest_sample_fits(void **state)
{
    (void)state;
    static const char *const longest[] = {"%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%"};
    const uint64_t n = UINT64_MAX - 1;
    struct event e = {.t_us = n, .kind = EVENT_SAMPLE, .generation = UINT32_MAX};
    struct sample *s = &e.sample;
    *s = (struct sample){.t_us = n - 1,
                         .late_us = n,
                         .cause = SAMPLE_CAUSE_KERNEL,
                         .missed_ticks = UINT32_MAX,
                         .top_count = SAMPLE_TOP_MAX};
    for (unsigned i = 0; i < SAMPLE_FIELD_COUNT; i++)
        sample_set(s, (enum sample_field)i, n);
    for (unsigned i = 0; i < SAMPLE_TOP_MAX; i++) {
        s->top[i] = (struct sample_process){INT32_MIN, UINT32_MAX, n, n, ""};
        memset(s->top[i].comm, '\n', SAMPLE_COMM_MAX - 1);
    }
    char text[EVENT_TEXT_MAX];
    struct event back;
    int length = event_format(&e, longest, text, sizeof(text));
    assert_true(length > 0);
    assert_int_equal(event_parse(text, longest, 1, &back, NULL), 0);
    check_sample(s, &back.sample);
    assert_int_equal(event_format(&e, longest, text, (size_t)length), -EMSGSIZE);
    assert_int_equal(event_format(&e, longest, text, 0), -EMSGSIZE);
}

/* --- as written by people ------------------------------------------------------------------------ */

static void canonical_lines_stay_as_they_are(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "0 run",
        "21000000 sample worker gen=1 cause=tick late_us=180 memory.current=2542440 "
        "top=5597:124:2542440:416263000:python3",
        "21000000 sample worker cause=final late_us=0 missed=2 read_us=20999000 memory.max=max "
        "cgroup.frozen=0",
        "21000000 deadline",
        "21000000 arrived worker pid=7 via=server ticket=1",
        "21000000 arrived worker pid=7 ticket=1",
        "21000000 spawned worker gen=1 pid=7 how=wrapped",
        "21000000 spawned server gen=1 pid=8 how=adopted ready=1",
        "21000000 spawned server gen=1 pid=8 how=adopted ready=1 frozen=1",
        "21000000 spawn-failed worker gen=1 error=2",
        "21000000 ready worker gen=1",
        "21050000 exited worker gen=1 status=unknown oom_kills=1 pids_refused=0",
        "21050000 exited worker gen=1 code=0 oom_kills=0 pids_refused=0",
        "21050000 exited worker gen=1 code=3 oom_kills=0 pids_refused=0",
        "21050000 exited worker gen=1 signal=9 oom_kills=0 pids_refused=0",
        "21000000 empty worker gen=1",
        "21000000 cleaned worker gen=1",
        "21060000 operator worker verb=restart uid=1000",
        "21060000 outcome worker gen=1 decision=12 result=failed error=16",
        "21060000 policy worker",
        "max shutdown",
        "21060000 ready odd%20name%3D%3A%25 gen=1",
    };
    for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
        struct event e;
        char text[EVENT_TEXT_MAX];
        const char *what = "";
        if (event_parse(lines[i], units, UNIT_COUNT, &e, &what) != 0)
            fail_msg("%s: %s", what, lines[i]);
        event_format(&e, units, text, sizeof(text));
        assert_string_equal(text, lines[i]);
    }
}

static void people_write_units(void **state)
{
    (void)state;
    struct event e;
    assert_int_equal(event_parse("  21.05s\tsample worker memory.current=217M memory.max=max late_us=2ms "
                                 "memory.pressure.full=1.5s top=1:1:1K:2G:sh\n",
                                 units, UNIT_COUNT, &e, NULL),
                     0);
    assert_int_equal(e.t_us, 21050000);
    assert_int_equal(e.sample.t_us, 21050000);
    assert_int_equal(e.sample.cause, SAMPLE_CAUSE_TICK);
    assert_int_equal(e.sample.late_us, 2000);
    assert_int_equal(e.sample.value[SAMPLE_MEMORY_CURRENT], 217 << 20);
    assert_int_equal(e.sample.value[SAMPLE_MEMORY_MAX], UINT64_MAX);
    assert_int_equal(e.sample.value[SAMPLE_MEMORY_FULL], 1500000);
    assert_int_equal(e.sample.top[0].rss_bytes, 1024);
    assert_int_equal(event_parse("1m30s exited worker code=3", units, UNIT_COUNT, &e, NULL), 0);
    assert_int_equal(e.t_us, 90000000);
    assert_true(e.exit.status_known);
}

static void what_is_wrong_is_told(void **state)
{
    (void)state;
    static const struct {
        const char *line, *what;
    } cases[] = {
        {"", "begin with a time"},
        {"\n", "begin with a time"},
        {"run", "begin with a time"},
        {"-1 run", "begin with a time"},
        {"21.05 run", "begin with a time"}, /* of which unit? */
        {"18446744073709551616 run", "begin with a time"},
        {"1", "kind of event"},
        {"1 walk", "kind of event"},
        {"1 ready nobody", "no such unit"},
        {"1 ready worker server", "expected key=value"},
        {"1 ready gen=1 worker", "expected key=value"},
        {"1 ready worker pid=1", "no such key"},
        {"1 ready worker gen=x", "cannot be read"},
        {"1 ready worker gen=1 gen=1", "twice"},
        {"1 sample worker memory.currant=1", "no such key"},
        {"1 sample worker memory.current=1 memory.current=1", "twice"},
        {"1 sample worker memory.current=lots", "cannot be read"},
        {"1 sample worker memory.current=-1", "cannot be read"},
        {"1 sample worker cause=whim", "cannot be read"},
        {"1 sample worker top=1:2:3:4", "top entry"},
        {"1 sample worker top=1:2:3:4:a:b", "top entry"},
        {"1 sample worker top=1:2:3:4:sixteen_letters_", "top entry"},
        {"1 sample worker top=1:1:1:1: top=1:1:1:1: top=1:1:1:1: top=1:1:1:1: top=1:1:1:1:", "more top"},
        {"1 arrived worker pid=1 ticket=1 via=nobody", "no such unit"},
        {"1 arrived worker pid=1", "missing"},
        {"1 spawned worker pid=2147483648 how=spawned", "cannot be read"},
        {"1 exited worker", "exited needs"},
        {"1 exited worker oom_kills=1", "exited needs"},
        {"1 operator worker uid=0", "missing"},
        {"1 ready worker\n2 ready worker", "more than one line"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct event e = {.seq = 4711};
        const char *what = "";
        assert_int_equal(event_parse(cases[i].line, units, UNIT_COUNT, &e, &what), -EINVAL);
        if (!strstr(what, cases[i].what))
            fail_msg("\"%s\": told \"%s\"", cases[i].line, what);
        assert_int_equal(e.seq, 4711);
    }
    assert_int_equal(event_parse("1 walk", units, UNIT_COUNT, &(struct event){0}, NULL), -EINVAL);
}

static void names_lead_back(void **state)
{
    (void)state;
    for (unsigned i = 0; i < EVENT_KIND_COUNT; i++)
        assert_int_equal(event_kind_by_name(event_kind_name((enum event_kind)i)), i);
    for (unsigned i = 0; i < EVENT_VERB_COUNT; i++)
        assert_int_equal(event_verb_by_name(event_verb_name((enum event_verb)i)), i);
    for (unsigned i = 0; i < EVENT_RESULT_COUNT; i++)
        assert_int_equal(event_result_by_name(event_result_name((enum event_result)i)), i);
    assert_string_equal(event_how_name(EVENT_HOW_WRAPPED), "wrapped");
    assert_string_equal(event_kind_name(EVENT_KIND_COUNT), "?");
    assert_int_equal(event_verb_by_name("explode"), EVENT_VERB_COUNT);
}

/* --- sentences ----------------------------------------------------------------------------------- */

static void sentences_read_well(void **state)
{
    (void)state;
    static const struct {
        const char *line, *sentence;
    } cases[] = {
        {"0 run", "the supervisor began"},
        {"1s sample worker memory.current=217M memory.max=4G processes=3 threads=124",
         "worker: memory 217M of 4G, processes 3, threads 124"},
        {"1s sample worker rss=863.3M memory.max=max missed=2",
         "worker: resident 863.3M, ticks missed before it 2"},
        {"1s sample worker", "worker: memory not read"},
        {"1s deadline", "a deadline came"},
        {"1s arrived worker pid=7 via=server ticket=1",
         "a command for worker asks to run, pid 7, started by server"},
        {"1s spawned worker pid=7 how=spawned", "worker started, pid 7"},
        {"1s spawned worker pid=7 how=wrapped", "worker was started by its server, pid 7"},
        {"1s spawned worker pid=7 how=adopted ready=1", "worker was found running, pid 7, ready before"},
        {"1s spawned worker pid=7 how=adopted ready=1 frozen=1",
         "worker was found running, pid 7, ready before, still frozen by an operator"},
        {"1s spawn-failed worker error=2", "worker could not be started: No such file or directory"},
        {"1s ready worker", "worker is ready"},
        {"1s exited worker code=3 oom_kills=1", "worker exited with code 3; kernel OOM kills 1"},
        {"1s exited worker signal=9", "worker was ended by signal 9 (SIGKILL)"},
        {"1s exited worker signal=99", "worker was ended by signal 99"},
        {"1s exited worker status=unknown pids_refused=5",
         "worker ended, status visible to its parent only; forks refused at its pids limit 5"},
        {"1s empty worker", "no process is left in worker"},
        {"1s cleaned worker", "the cgroup of worker is removed"},
        {"1s cleaned worker error=16",
         "the cgroup of worker could not be removed: Device or resource busy, ignoring"},
        {"1s operator worker verb=restart uid=1000", "operator (uid 1000) asks to restart worker"},
        {"1s outcome worker decision=12 result=done", "decision 12 on worker was carried out"},
        {"1s outcome worker decision=12 result=failed error=-5", "decision 12 on worker failed: error -5"},
        {"1s outcome worker decision=12 result=unsupported",
         "decision 12 on worker cannot be carried out on this host"},
        {"1s policy worker", "the policy of worker was changed"},
        {"1s shutdown", "shutdown was asked for"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct event e;
        char buf[256];
        assert_int_equal(event_parse(cases[i].line, units, UNIT_COUNT, &e, NULL), 0);
        assert_string_equal(event_narrate(&e, units, buf, sizeof(buf)), cases[i].sentence);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_event_survives_its_text),
        cmocka_unit_test(the_longest_sample_fits),
        cmocka_unit_test(canonical_lines_stay_as_they_are),
        cmocka_unit_test(people_write_units),
        cmocka_unit_test(what_is_wrong_is_told),
        cmocka_unit_test(names_lead_back),
        cmocka_unit_test(sentences_read_well),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
