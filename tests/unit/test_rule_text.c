/* SPDX-License-Identifier: MIT */
/* Rules as text: what they do and how often, their record, their plain words, the table of metrics. */
#include "check.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "rule_tables.h"
#include "weir/model/text_out.h"

static void good_actions_have_one_canonical_form(void **state)
{
    (void)state;
    static const struct good_text texts[] = {
        {"note", "note"},
        {"hold, restart", "hold, restart"},
        {"HOLD , Restart", "hold, restart"},
        {"notify, pace 2, hold, reclaim", "notify, pace 2, hold, reclaim"},
        {"reclaim 64M, throttle", "reclaim 64M, throttle"},
        {"reclaim 64 MiB", "reclaim 64M"},
        {"reclaim 10%", "reclaim 10%"},
        {"reclaim 12.5 % of memory.max, stop", "reclaim 12.5%, stop"},
        {"pace 65535", "pace 65535"},
        {"pace 5/s", "pace 5/s"},
        {"pace 30/min, note", "pace 30/min, note"},
        {"stop", "stop"},
        {"note,notify,throttle,stop", "note, notify, throttle, stop"},
    };
    check_good_texts(rule_parse_actions, rule_actions_format, texts, ARRAY_SIZE(texts));
}

static void broken_actions_are_explained(void **state)
{
    (void)state;
    static const struct broken_text texts[] = {
        {"", 1, 1, "no action", "write one or more, as in throttle, or hold, restart"},
        {"  ", 3, 1, "no action", "write one or more, as in throttle, or hold, restart"},
        {"restrat", 1, 7, "unknown action 'restrat'", "did you mean 'restart'?"},
        {"kill", 1, 4, "unknown action 'kill'",
         "write note, notify, pace N, hold, reclaim, throttle, restart or stop"},
        {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 1, 56,
         "unknown action 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa...'",
         "write note, notify, pace N, hold, reclaim, throttle, restart or stop"},
        {"hold restart", 6, 7, "',' is missing before 'restart'", "as in hold, restart"},
        {"hold; restart", 5, 1, "',' is missing before ';'", "as in hold, restart"},
        {"hold && restart", 6, 2, "',' is missing before '&&'", "as in hold, restart"},
        {"hold and restart", 6, 3, "',' is missing before 'and'", "as in hold, restart"},
        {", hold", 1, 1, "an action is missing before ','", ""},
        {"hold,", 6, 1, "an action is missing after ','", ""},
        {"hold,, restart", 6, 1, "an action is missing after ','", ""},
        {"hold, hold", 7, 4, "'hold' is in the list already", ""},
        {"stop, restart", 7, 7, "stop or restart, not both", ""},
        {"restart, note", 10, 4, "nothing is done after 'restart'", "put 'note' before it"},
        {"note, notify, pace 2, hold, throttle", 29, 8, "too many actions: 4 at most", ""},
        {"pace", 5, 1, "pace needs a number", "write pace 2: at most two requests in flight"},
        {"pace, hold", 5, 1, "pace needs a number", "write pace 2: at most two requests in flight"},
        {"pace 0", 6, 1, "pace 0 lets nothing through", "write hold"},
        {"pace 65536", 6, 5, "'65536' is too large", "from 1 to 65535"},
        {"pace -1", 6, 2, "'-1' is no pace", "write pace 2 (in flight), pace 5/s or pace 30/min"},
        {"pace 5/h", 6, 3, "'5/h' is no pace", "write pace 2 (in flight), pace 5/s or pace 30/min"},
        {"pace 0/s", 6, 3, "pace 0 lets nothing through", "write hold"},
        {"pace 99999999999999999999/s", 6, 22, "'99999999999999999999/s' is too large", "from 1 to 65535"},
        {"pace 2 3", 8, 1, "',' is missing before '3'", "as in hold, restart"},
        {"pace two", 6, 3, "pace needs a number", "write pace 2: at most two requests in flight"},
        {"hold 5s", 6, 2, "'hold' stands alone, it takes no value", ""},
        {"reclaim 0", 9, 1, "reclaim of nothing", "write reclaim alone for the ladder's amount"},
        {"reclaim 0%", 9, 2, "reclaim of nothing", "write reclaim alone for the ladder's amount"},
        {"reclaim 101%", 9, 4, "'101%' is too large", "no more than 100% can be taken back"},
        {"reclaim 64X", 9, 3, "'64X' is not a size",
         "write a size, as in 512M, or a share, as in 85% of memory.max"},
        {"reclaim 10% of memory.high", 16, 11, "reclaim takes a share of memory.max",
         "write 10% of memory.max"},
        {"reclaim 10% of", 15, 1, "reclaim takes a share of memory.max", "write 10% of memory.max"},
        {"reclaim 16E", 9, 3, "'16E' is too large", ""},
        {"reclaim lots", 9, 4, "',' is missing before 'lots'", "as in hold, restart"},
        {"5", 1, 1, "an action is missing before '5'", ""},
    };
    check_broken_texts(rule_parse_actions, texts, ARRAY_SIZE(texts));
}

static void good_limits_have_one_canonical_form(void **state)
{
    (void)state;
    static const struct good_text texts[] = {
        {"4 per 10m", "4 per 10min"},
        {"1 per 1", "1 per 1s"},
        {"32 PER 30d", "32 per 30d"},
        {"4 per 1h 30min", "4 per 90min"},
    };
    check_good_texts(rule_parse_limit, rule_limit_format, texts, ARRAY_SIZE(texts));
}

static void broken_limits_are_explained(void **state)
{
    (void)state;
    static const struct broken_text texts[] = {
        {"", 1, 1, "a number of times is missing", "write 4 per 10m"},
        {"4", 2, 1, "'per' is missing after '4'", "write 4 per 10m"},
        {"0 per 10m", 1, 1, "'0' is out of range", "from 1 to 32"},
        {"33 per 10m", 1, 2, "'33' is out of range", "from 1 to 32"},
        {"4/10m", 1, 5, "'4/10m' is not a number of times", "write 4 per 10m"},
        {"4 10m", 3, 3, "'per' is missing after '4'", "write 4 per 10m"},
        {"four per 10m", 1, 4, "a number of times is missing", "write 4 per 10m"},
        {"per 10m", 1, 3, "a number of times is missing", "write 4 per 10m"},
        {"4 per", 6, 1, "a length of time is missing after 'per'", "write 20s, 500ms, 10m or 2h30m"},
        {"4 per hour", 7, 4, "a length of time is missing after 'per'", "write 20s, 500ms, 10m or 2h30m"},
        {"4 per 0s", 7, 2, "'0s' is out of range for 'per'", "from 1s to 30d"},
        {"4 per 31d", 7, 3, "'31d' is out of range for 'per'", "from 1s to 30d"},
        {"4 per 10m and 5 per 1h", 11, 3, "nothing may follow the limit, but here is 'and'", ""},
        {"1.5 per 10m", 1, 3, "'1.5' is not a whole number", "write a whole number, as in 200"},
        {"4 in 10m", 3, 2, "'per' is missing after '4'", "write 4 per 10m"},
        {"<= 4 per 10m", 1, 2, "a number of times is missing", "write 4 per 10m"},
    };
    check_broken_texts(rule_parse_limit, texts, ARRAY_SIZE(texts));
}

static void amounts_are_what_they_say(void **state)
{
    (void)state;
    struct rule r = {0};
    assert_int_equal(rule_parse_actions("pace 3, reclaim 12.5%", &r, NULL), 0);
    assert_int_equal(r.action_count, 2);
    assert_int_equal(r.actions[0].kind, RULE_ACTION_PACE);
    assert_int_equal(r.actions[0].amount, 3);
    assert_false(r.actions[0].is_share);
    assert_int_equal(r.actions[1].amount, 1250);
    assert_true(r.actions[1].is_share);
    assert_int_equal(rule_parse_actions("reclaim 64M", &r, NULL), 0);
    assert_int_equal(r.action_count, 1);
    assert_int_equal(r.actions[0].amount, 64 << 20);
    assert_false(r.actions[0].is_share);
    assert_int_equal(rule_parse_limit("4 per 10m", &r, NULL), 0);
    assert_int_equal(r.limit_count, 4);
    assert_int_equal(r.limit_window_us, 600000000);
    assert_int_equal(r.action_count, 1); /* the limit is all that it sets */
}

/* --- the record ---------------------------------------------------------------------------------- */

/* The four values of a rule; NULL: it has none. */
struct parts {
    const char *when, *until, *actions, *limit;
};

static struct rule rule_of(const struct parts *p)
{
    struct rule r = {0};
    assert_int_equal(rule_parse_condition(p->when, &r.when, NULL), 0);
    assert_int_equal(p->until ? rule_parse_condition(p->until, &r.until, NULL) : 0, 0);
    assert_int_equal(rule_parse_actions(p->actions, &r, NULL), 0);
    assert_int_equal(p->limit ? rule_parse_limit(p->limit, &r, NULL) : 0, 0);
    return r;
}

static void a_whole_rule_is_its_lines(void **state)
{
    (void)state;
    struct rule back,
        r = rule_of(&(struct parts){"memory.current > 85% of memory.max for 3s or memory.eta < 20",
                                    "memory.current < 60% of memory.max", "hold,restart", "4 per 10m"});
    char text[RULE_TEXT_MAX], again[RULE_TEXT_MAX];
    memcpy(r.name, "recycle-worker", 15);
    assert_true(rule_format(&r, text, sizeof(text)) > 0);
    assert_string_equal(text, "name = recycle-worker\n"
                              "when = memory.current > 85% of memory.max for 3s or memory.eta < 20s\n"
                              "until = memory.current < 60% of memory.max\n"
                              "do = hold, restart\n"
                              "limit = 4 per 10min\n");
    assert_int_equal(rule_parse(text, &back), 0);
    assert_int_equal(rule_format(&back, again, sizeof(again)), strlen(text));
    assert_string_equal(again, text);
}

static void what_a_rule_does_not_say_is_left_out(void **state)
{
    (void)state;
    struct rule back, r = rule_of(&(struct parts){"memory.pressure.full > 10%", NULL, "note", NULL});
    char text[RULE_TEXT_MAX];
    memcpy(r.name, "stalls", 7);
    r.observe = true;
    int length = rule_format(&r, text, sizeof(text));
    assert_string_equal(text, "name = stalls\n"
                              "mode = observe\n"
                              "when = memory.pressure.full > 10% over 10s\n"
                              "do = note\n");
    assert_int_equal(length, strlen(text));
    assert_int_equal(rule_format(&r, text, (size_t)length), -EMSGSIZE);
    assert_int_equal(rule_format(&r, text, (size_t)length + 1), length);
    assert_int_equal(rule_parse(text, &back), 0);
    assert_true(back.observe);
    assert_int_equal(back.until.count, 0);
    assert_int_equal(back.limit_count, 0);
}

static void half_a_record_is_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "name = x\n",
        "name = x\nwhen = threads > 5\n",
        "when = threads > 5\ndo = note\n",
        "name = x\ndo = note\n",
        "name = \nwhen = threads > 5\ndo = note\n",
        "name = a-name-of-thirty-two-characters-\nwhen = threads > 5\ndo = note\n",
        "name = x\nwhen = threads > 5\ndo = note",
        "name = x\nwhen = threads > 5\ndo = note\n\n",
        "name = x\nwhen = threads > 5\ndo = note\ndo = note\n",
        "name = x\nwhen = threads > 5\ndo = note\nuntil = threads < 5\n",
        "name = x\nwhen = threads > 5\nuntil = \ndo = note\n",
        "name = x\nmode = act\nwhen = threads > 5\ndo = note\n",
        "name = x\nwhen = thread > 5\ndo = note\n",
        "name = x\nwhen = threads > 5\ndo = explode\n",
        "name = x\nwhen = threads > 5\ndo = note\nlimit = 33 per 1h\n",
        "name = x\nwhen = threads > 5\ndo = note\nsince = 2031\n",
        "name=x\nwhen=threads > 5\ndo=note\n",
    };
    struct rule r, untouched;
    memset(&r, 0x5a, sizeof(r));
    memset(&untouched, 0x5a, sizeof(untouched));
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        if (rule_parse(texts[i], &r) != -EINVAL)
            fail_msg("taken: %s", texts[i]);
        assert_memory_equal(&r, &untouched, sizeof(r));
    }
    assert_int_equal(rule_parse("name = x\nwhen = threads > 5\ndo = note\n", &r), 0);
}

/* `comparison` so often with "and" between, and `last` behind. */
static void join(struct text_out *o, const char *comparison, unsigned count, const char *last)
{
    for (unsigned i = 0; i < count; i++)
        text_put(o, "%s and ", comparison);
    text_put(o, "%s", last);
    assert_true(text_end(o) >= 0);
}

static void the_longest_rule_fits(void **state)
{
    (void)state;
    char condition[RULE_CONDITION_TEXT_MAX], text[RULE_TEXT_MAX];
    struct text_out o = text_begin(condition, sizeof(condition));
    join(&o, "io.pressure.some < io.pressure.full over 100ms", 12, "threads > 12345678901234567");
    assert_int_equal(strlen(condition), RULE_CONDITION_TEXT_MAX - 1);
    struct rule back, r = rule_of(&(struct parts){
                          condition, condition, "notify, pace 65535, reclaim 18446744073709551615, throttle",
                          "32 per 2591999999999us"});
    memset(r.name, 'n', sizeof(r.name) - 1);
    r.observe = true;
    assert_true(rule_format(&r, text, sizeof(text)) > 2 * RULE_CONDITION_TEXT_MAX);
    assert_int_equal(rule_parse(text, &back), 0);
    assert_string_equal(back.name, r.name);
}

static void the_longest_words_fit(void **state)
{
    (void)state;
    char condition[RULE_CONDITION_TEXT_MAX], words[RULE_WORDS_MAX];
    struct text_out o = text_begin(condition, sizeof(condition));
    /* no metric says more in words than in its name and value */
    join(&o, "io.pressure.some = io.pressure.full over 1h", 12,
         "io.pressure.some = io.pressure.full over 1h");
    struct rule r = rule_of(&(struct parts){
        condition, condition, "notify, pace 65535, reclaim 99.99%, throttle", "32 per 2591999999999us"});
    r.observe = true;
    assert_true(rule_describe(&r, words, sizeof(words)) > RULE_WORDS_MAX * 3 / 4);
}

/* --- plain words --------------------------------------------------------------------------------- */

static void a_rule_reads_as_a_sentence(void **state)
{
    (void)state;
    static const struct {
        struct parts parts;
        const char *words;
    } cases[] = {
        {{"memory.current > 85% of memory.max for 3s or memory.eta < 20s",
          "memory.current < 60% of memory.max", "hold, restart", "4 per 10m"},
         "when its memory (memory.current) has been above 85% of its memory limit (memory.max) for 3s or the "
         "time left "
         "to its memory limit at this growth (memory.eta) is below 20s: hold its requests, then restart it; "
         "over when "
         "its memory (memory.current) is below 60% of its memory limit (memory.max); at most 4 times in "
         "10min"},
        {{"memory.events.oom_kill > 0", NULL, "note", NULL},
         "when the number of its processes that the kernel killed for lack of memory (memory.events.oom_kill "
         "over 10s) "
         "is above 0: put it on record; over when that has not been so for 5s"},
        {{"threads > 200 or rss >= vsz and uptime <= 1h", NULL, "notify, pace 2, reclaim, throttle",
          "1 per 1h"},
         "when the number of its threads (threads) is above 200 or (the resident size of its processes (rss) "
         "is at least "
         "the virtual size of its processes (vsz) and the time since its start (uptime) is at most 1h): tell "
         "it to give "
         "memory back, then let at most 2 of its requests be in flight, then take memory back from it, then "
         "throttle it; "
         "over when that has not been so for 5s; at most 1 time in 1h"},
        {{"(threads = 5 or processes != 2 or pids.current < 9) and cpu.usage > 250%", NULL,
          "reclaim 64M, stop", NULL},
         "when (the number of its threads (threads) is exactly 5 or the number of its processes (processes) "
         "is other than "
         "2 or the number of its tasks (pids.current) is below 9) and its cpu time as a share of one cpu "
         "(cpu.usage over "
         "1s) is above 250%: take 64M of memory back from it, then stop it; over when that has not been so "
         "for 5s"},
        {{"not (threads > 5 and memory.growth > 40M/s over 5s) for 1m", "(not threads > 5) for 10s",
          "reclaim 10%", NULL},
         "when not ((the number of its threads (threads) is above 5 and the growth of its memory "
         "(memory.growth over 5s) "
         "is above 40M/s) has held for 1min): take memory worth 10% of its limit back from it; over when "
         "(not (the "
         "number of its threads (threads) is above 5)) has held for 10s"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        char words[RULE_WORDS_MAX];
        struct rule r = rule_of(&cases[i].parts);
        int length = rule_describe(&r, words, sizeof(words));
        assert_string_equal(words, cases[i].words);
        assert_int_equal(length, strlen(words));
        assert_int_equal(rule_describe(&r, words, (size_t)length), -EMSGSIZE);
    }
}

static void observing_is_said_first(void **state)
{
    (void)state;
    char words[RULE_WORDS_MAX];
    struct rule r = rule_of(&(struct parts){"threads > 5", NULL, "stop", NULL});
    r.observe = true;
    assert_true(rule_describe(&r, words, sizeof(words)) > 0);
    assert_string_equal(
        words, "watched only, nothing is done: when the number of its threads (threads) is above 5: stop "
               "it; over when that has not been so for 5s");
}

/* --- what it asks for ---------------------------------------------------------------------------- */

static void what_asks_for_a_gate_is_named(void **state)
{
    (void)state;
    static const struct {
        struct parts parts;
        const char *word; /* NULL: nothing does */
    } cases[] = {
        {{"threads > 5", "threads < 3", "notify, reclaim, throttle, restart", NULL}, NULL},
        {{"threads > 5", NULL, "note, hold", NULL}, "hold"},
        {{"threads > 5", NULL, "pace 3", NULL}, "pace"},
        {{"threads > 5 or gate.queued > 3", NULL, "note", NULL}, "gate.queued"},
        {{"threads > gate.inflight", NULL, "note", NULL}, "gate.inflight"},
        {{"threads > 5", "not gate.latency_p99 > 5s for 3s", "note", NULL}, "gate.latency_p99"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct rule r = rule_of(&cases[i].parts);
        const char *word = rule_needs_gate(&r);
        if (cases[i].word)
            assert_string_equal(word, cases[i].word);
        else
            assert_null(word);
    }
}

/* --- the table of metrics ------------------------------------------------------------------------ */

static void metrics_go_by_the_names_of_the_record(void **state)
{
    (void)state;
    for (size_t i = 0; i < rule_metric_count; i++) {
        const struct rule_metric_info *row = &rule_metrics[i];
        assert_string_equal(row->name, decision_metric_name(row->metric));
        assert_ptr_equal(rule_metric_row(row->metric), row);
        assert_ptr_equal(rule_metric_by_name(row->name, strlen(row->name)), row);
        assert_null(rule_metric_by_name(row->name, strlen(row->name) - 1));
        assert_true(strlen(row->words) > 0);
    }
    assert_ptr_equal(rule_metric_by_name("memory.swap", 11), rule_metric_row(METRIC_MEMORY_SWAP));
    assert_ptr_equal(rule_metric_by_name("MEMORY.ANON > 5", 11), rule_metric_row(METRIC_MEMORY_ANON));
    assert_ptr_equal(rule_metric_by_name("memory.file", 11), rule_metric_row(METRIC_MEMORY_FILE));
    assert_null(rule_metric_row(METRIC_NONE));
    assert_null(rule_metric_row(METRIC_FAILURES));
}

static void every_metric_is_suggested(void **state)
{
    (void)state;
    for (size_t i = 0; i < rule_metric_count; i++) {
        char text[64], hint[96];
        struct rule_condition c;
        struct rule_error e;
        (void)snprintf(text, sizeof(text), "%sq > 5", rule_metrics[i].name);
        (void)snprintf(hint, sizeof(hint), "did you mean '%s'?", rule_metrics[i].name);
        assert_int_equal(rule_parse_condition(text, &c, &e), -EINVAL);
        assert_string_equal(e.hint, hint);
    }
}

static void rates_have_a_window_and_levels_have_none(void **state)
{
    (void)state;
    static const struct {
        enum decision_metric metric;
        uint64_t window_us;
    } windows[] = {
        {METRIC_MEMORY_GROWTH, 1000000},         {METRIC_CPU_USAGE, 1000000},
        {METRIC_CPU_THROTTLED, 10000000},        {METRIC_RECLAIM_EFFICIENCY, 10000000},
        {METRIC_MEMORY_PRESSURE_SOME, 10000000}, {METRIC_MEMORY_PRESSURE_FULL, 10000000},
        {METRIC_CPU_PRESSURE_SOME, 10000000},    {METRIC_CPU_PRESSURE_FULL, 10000000},
        {METRIC_IO_PRESSURE_SOME, 10000000},     {METRIC_IO_PRESSURE_FULL, 10000000},
        {METRIC_EVENTS_HIGH, 10000000},          {METRIC_EVENTS_MAX, 10000000},
        {METRIC_EVENTS_OOM, 10000000},           {METRIC_OOM_KILL, 10000000},
        {METRIC_PIDS_EVENTS_MAX, 10000000},
    };
    size_t with_window = 0;
    for (size_t i = 0; i < ARRAY_SIZE(windows); i++)
        assert_int_equal(rule_metric_row(windows[i].metric)->window_us, windows[i].window_us);
    for (size_t i = 0; i < rule_metric_count; i++)
        with_window += rule_metrics[i].window_us > 0;
    assert_int_equal(with_window, ARRAY_SIZE(windows));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_actions_have_one_canonical_form),
        cmocka_unit_test(broken_actions_are_explained),
        cmocka_unit_test(good_limits_have_one_canonical_form),
        cmocka_unit_test(broken_limits_are_explained),
        cmocka_unit_test(amounts_are_what_they_say),
        cmocka_unit_test(a_whole_rule_is_its_lines),
        cmocka_unit_test(what_a_rule_does_not_say_is_left_out),
        cmocka_unit_test(half_a_record_is_refused),
        cmocka_unit_test(the_longest_rule_fits),
        cmocka_unit_test(the_longest_words_fit),
        cmocka_unit_test(a_rule_reads_as_a_sentence),
        cmocka_unit_test(observing_is_said_first),
        cmocka_unit_test(what_asks_for_a_gate_is_named),
        cmocka_unit_test(metrics_go_by_the_names_of_the_record),
        cmocka_unit_test(every_metric_is_suggested),
        cmocka_unit_test(rates_have_a_window_and_levels_have_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
