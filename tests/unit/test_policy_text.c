/* SPDX-License-Identifier: MIT */
/* A policy's text gives the same policy back, and nothing else is taken for one. */
#include "check.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "weir/engine/policy_text.h"

static void every_figure_comes_back(void **state)
{
    (void)state;
    char text[POLICY_TEXT_MAX], again[POLICY_TEXT_MAX];
    for (uint64_t seed = 1; seed <= 200; seed++) {
        struct unit_policy u;
        policy_unit_defaults(&u);
        memcpy(u.name, "worker", 7);
        uint64_t rng = seed;
        u.kind = UNIT_KIND_WRAPPED;
        u.has_ready = rng_next(&rng) & 1;
        u.memory_max_bytes = rng_next(&rng) & 1 ? UINT64_MAX : rng_next(&rng);
        u.abilities = (uint32_t)rng_next(&rng);
        u.failure_budget = (uint32_t)rng_next(&rng);
        u.backoff_max_us = rng_next(&rng);
        u.ladder.restart_permyriad = (uint32_t)rng_next(&rng);
        u.ladder.notify_cooldown_us = rng_next(&rng);
        u.after_count = 2;
        u.after[0] = 3;
        u.after[1] = (uint16_t)rng_next(&rng);
        assert_true(policy_text_format_unit(&u, text, sizeof(text)) > 0);
        struct unit_policy back;
        memset(&back, 0, sizeof(back));
        assert_int_equal(policy_text_apply_unit(&back, text), 0);
        assert_true(policy_text_format_unit(&back, again, sizeof(again)) > 0);
        assert_string_equal(text, again);
        assert_string_equal(back.name, "worker");
        assert_int_equal(back.after[1], u.after[1]);
        assert_true(back.memory_max_bytes == u.memory_max_bytes);
        assert_true(back.ladder.notify_cooldown_us == u.ladder.notify_cooldown_us);
    }
}

static void the_supervisors_part_comes_back(void **state)
{
    (void)state;
    struct policy p, back;
    char text[POLICY_TEXT_MAX];
    policy_defaults(&p);
    policy_defaults(&back);
    p.seed = UINT64_MAX;
    p.interval_us = 250000;
    p.rule_count = 7;
    assert_true(policy_text_format(&p, text, sizeof(text)) > 0);
    assert_int_equal(policy_text_apply(&back, text), 0);
    assert_true(back.seed == UINT64_MAX);
    assert_int_equal(back.interval_us, 250000);
    assert_int_equal(back.rule_count, 7);
}

static void nothing_else_is_taken(void **state)
{
    (void)state;
    static const char *const broken[] = {
        "memory_max_byte=1",    /* unknown key */
        "memory_max_bytes",     /* no value */
        "memory_max_bytes=",    /* empty */
        "memory_max_bytes=12x", /* not a number */
        "has_ready=2",          /* not a bool */
        "failure_budget=4294967296" /* above the field */,
        "memory_max_bytes=18446744073709551616",
        "name=0123456789012345678901234567890123",
        "after=1 after=1 after=1 after=1 after=1 after=1 after=1 after=1 after=1",
    };
    for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
        struct unit_policy u;
        policy_unit_defaults(&u);
        assert_int_equal(policy_text_apply_unit(&u, broken[i]), -EINVAL);
    }
    char small[16];
    struct unit_policy u;
    policy_unit_defaults(&u);
    assert_int_equal(policy_text_format_unit(&u, small, sizeof(small)), -EMSGSIZE);
}

/* Room for every row that a record may hold. */
struct room {
    struct policy policy;
    struct unit_policy units[POLICY_UNITS_MAX];
    struct rule rules[RULES_MAX];
};

static struct room *room_new(void)
{
    struct room *room = calloc(1, sizeof(*room));
    assert_non_null(room);
    policy_defaults(&room->policy);
    room->policy.units = room->units;
    room->policy.rules = room->rules;
    return room;
}

static void the_rows_of_a_record_make_a_policy(void **state)
{
    (void)state;
    struct room *room = room_new();
    const struct policy *p = &room->policy;
    const char *rule = "name = crowd\nwhen = threads > 200 for 3s\ndo = hold\nlimit = 4 per 10min\n";
    char text[RULE_TEXT_MAX];
    assert_int_equal(policy_text_apply_row(&room->policy, UNIT_NONE, "interval_us=250000 rule_count=2"), 0);
    assert_int_equal(policy_text_apply_row(&room->policy, 2, "name=worker rules=3"), 0);
    assert_int_equal(policy_text_apply_row(&room->policy, POLICY_ROW_RULE + 1, rule), 0);
    assert_int_equal(p->rule_count, 2);
    assert_int_equal(p->unit_count, 3);
    assert_int_equal(p->units[2].rules, 3);
    assert_int_equal(p->units[2].failure_budget, 5); /* a new unit begins with its defaults */
    assert_true(rule_format(&p->rules[1], text, sizeof(text)) > 0);
    assert_string_equal(text, rule);

    /* a later row of the same unit changes what it names */
    assert_int_equal(policy_text_apply_row(&room->policy, 2, "failure_budget=9"), 0);
    assert_int_equal(policy_text_apply_row(&room->policy, 2, "rules=1"), 0);
    assert_int_equal(p->unit_count, 3);
    assert_int_equal(p->units[2].failure_budget, 9);
    assert_string_equal(p->units[2].name, "worker");
    free(room);
}

static void a_broken_row_changes_nothing(void **state)
{
    (void)state;
    static const struct {
        uint16_t unit;
        const char *text;
    } broken[] = {
        {UNIT_NONE, "interval_us=1 rule_count=65"},
        {UNIT_NONE, "rule_count=1 interval=1"},
        {0, "failure_budget=9 name"},
        {POLICY_UNITS_MAX, "name=worker"},
        {POLICY_ROW_RULE - 1, "name=worker"},
        {POLICY_ROW_RULE, "name = crowd\nwhen = thread > 200\ndo = hold\n"},
        {POLICY_ROW_RULE + RULES_MAX, "name = crowd\nwhen = threads > 200\ndo = hold\n"},
    };
    struct room *room = room_new(), *before = room_new();
    for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++)
        assert_int_equal(policy_text_apply_row(&room->policy, broken[i].unit, broken[i].text), -EINVAL);
    before->policy.units = room->units;
    before->policy.rules = room->rules;
    assert_memory_equal(room, before, sizeof(*room));
    free(before);
    free(room);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_figure_comes_back),      cmocka_unit_test(the_supervisors_part_comes_back),
        cmocka_unit_test(nothing_else_is_taken),        cmocka_unit_test(the_rows_of_a_record_make_a_policy),
        cmocka_unit_test(a_broken_row_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
