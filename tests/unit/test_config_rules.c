/* SPDX-License-Identifier: MIT */
/*
 * Rules in a config: what a section says ends up in the policy, for the units it names, in the file's order; what is
 * wrong is told with its place in the line. What is wrong in how many ways is tests/config/'s.
 */
#include "check.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "config_text.h"
#include "key.h"
#include "weir/base/units.h"

#define UNITS                                                                                                \
    "[unit a]\nexec = a\nmemory_max = 1G\n[unit b]\nexec = b\nmemory_max = 50%\n[unit c]\nexec = c\n"

static void a_section_reaches_its_fields(void **state)
{
    (void)state;
    _cleanup_(config_deinit) struct config c = config_text_good(UNITS "[rule recycle]\n"
                                                                      "unit = c, a\n"
                                                                      "when = threads > 200 for 3s\n"
                                                                      "until = threads < 100\n"
                                                                      "do = reclaim 256M, restart\n"
                                                                      "limit = 4 per 10m\n"
                                                                      "mode = observe\n");
    assert_int_equal(c.rule_count, 1);
    const struct config_rule *r = &c.rules[0];
    assert_string_equal(r->name, "recycle");
    assert_string_equal(r->rule.name, "recycle");
    assert_int_equal(r->line, 9);
    assert_string_equal(r->units[0], "c");
    assert_string_equal(r->units[1], "a");
    assert_true(r->rule.observe);
    assert_int_equal(r->rule.when.count, 2);
    assert_int_equal(r->rule.when.nodes[0].metric, METRIC_THREADS);
    assert_int_equal(r->rule.when.nodes[1].for_us, 3 * USEC_PER_SEC);
    assert_int_equal(r->rule.until.count, 1);
    assert_int_equal(r->rule.action_count, 2);
    assert_int_equal(r->rule.actions[0].amount, 256ULL << 20);
    assert_int_equal(r->rule.actions[1].kind, RULE_ACTION_RESTART);
    assert_int_equal(r->rule.limit_count, 4);
    assert_int_equal(r->rule.limit_window_us, 600 * USEC_PER_SEC);
}

/* Bit i of a unit is the rule in place i of the file; no `unit` and * are all of them. */
static void each_unit_has_the_rules_that_judge_it(void **state)
{
    (void)state;
    _cleanup_(config_deinit) struct config c =
        config_text_good("[rule first]\nunit = b\nwhen = threads > 1\ndo = note\n" UNITS
                         "[rule second]\nwhen = threads > 2\ndo = note\n"
                         "[rule third]\nunit = *\nwhen = threads > 3\ndo = note\n"
                         "[rule fourth]\nunit = a b\nwhen = threads > 4\ndo = note\n");
    struct unit_policy units[3];
    struct rule rules[RULES_MAX];
    struct policy policy = {.units = units, .rules = rules};
    config_resolve(&c, 1ULL << 30, NULL, &policy);
    assert_int_equal(policy.rule_count, 4);
    assert_ptr_equal(policy.rules, rules);
    for (uint64_t i = 0; i < 4; i++) {
        static const char *const names[] = {"first", "second", "third", "fourth"};
        assert_string_equal(rules[i].name, names[i]);
        assert_int_equal(rules[i].when.nodes[0].number, i + 1);
    }
    assert_int_equal(units[0].rules, 0xe);
    assert_int_equal(units[1].rules, 0xf);
    assert_int_equal(units[2].rules, 0x6);
}

/* One unit's figures are asked for without the rules; the units' masks are the same. */
static void a_policy_may_go_without_the_rules(void **state)
{
    (void)state;
    _cleanup_(config_deinit) struct config c =
        config_text_good(UNITS "[rule r]\nunit = c\nwhen = threads > 1\ndo = note\n");
    struct unit_policy units[3];
    struct policy policy = {.units = units};
    config_resolve(&c, 1ULL << 30, NULL, &policy);
    assert_int_equal(policy.rule_count, 0);
    assert_null(policy.rules);
    assert_int_equal(units[2].rules, 1);
}

static void the_last_rule_has_the_last_bit(void **state)
{
    (void)state;
    struct text text = TEXT_NULL;
    text_add(&text, "%s", UNITS);
    for (int i = 0; i < RULES_MAX; i++)
        text_add(&text, "[rule r%d]\nunit = %s\nwhen = threads > %d\ndo = note\n", i, i == 63 ? "c" : "a", i);
    _cleanup_(config_deinit) struct config c = config_text_good(text_peek(&text));
    assert_int_equal(c.rule_count, 64);
    assert_true(c.units[0].policy.rules == ~(UINT64_C(1) << 63));
    assert_true(c.units[2].policy.rules == UINT64_C(1) << 63);
    text_deinit(&text);
}

/* The only problem of a file whose rule has this line. */
static struct config_problem problem_of(const char *line, struct config_report *report)
{
    struct text text = TEXT_NULL;
    struct config c = {0};
    text_add(&text, "%s[rule r]\n%s\ndo = note\n", UNITS, line);
    assert_int_equal(config_text_load(text_peek(&text), &c, report), -EINVAL);
    assert_int_equal(report->count, 1);
    assert_int_equal(report->problems[0].line, 10);
    text_deinit(&text);
    return report->problems[0];
}

static void a_problem_has_its_place(void **state)
{
    (void)state;
    _cleanup_(config_report_deinit) struct config_report report;
    struct config_problem p = problem_of("when  =\t memory.curent > 1G", &report);
    assert_int_equal(p.column, 10);
    assert_int_equal(p.caret, 9);
    assert_int_equal(p.length, 13);
    assert_string_equal(p.excerpt, "when  =  memory.curent > 1G"); /* a tab would shift the caret */
    assert_string_equal(p.text, "unknown metric 'memory.curent'");
    assert_string_equal(p.hint, "did you mean 'memory.current'?");
}

static void what_is_missing_at_the_end_is_one_past_it(void **state)
{
    (void)state;
    _cleanup_(config_report_deinit) struct config_report report;
    struct config_problem p = problem_of("when = threads >   ", &report);
    assert_int_equal(p.column, 17);
    assert_string_equal(p.excerpt, "when = threads >");
    assert_int_equal(p.caret, strlen(p.excerpt));
    assert_int_equal(p.length, 1);
}

/* A long line is cut between characters, and the caret stands below the character that is meant. */
static void a_long_line_is_cut_around_its_problem(void **state)
{
    (void)state;
    static char line[4096], printed[8192], names[600];
    for (size_t i = 0; i + 3 < sizeof(names); i += 3)
        memcpy(names + i, "a, ", 3);
    for (int before = 0; before < 200; before++) {
        _cleanup_(config_report_deinit) struct config_report report;
        (void)snprintf(line, sizeof(line), "unit = %.*swörker, %.*sa", 3 * before, names, 600 - 3 * before,
                       names);
        struct config c = {0};
        struct text text = TEXT_NULL;
        text_add(&text, "%s[rule r]\n%s\nwhen = threads > 1\ndo = note\n", UNITS, line);
        assert_int_equal(config_text_load(text_peek(&text), &c, &report), -EINVAL);
        text_deinit(&text);
        const struct config_problem *p = NULL;
        for (size_t i = 0; i < report.count; i++)
            if (report.problems[i].excerpt)
                p = &report.problems[i];
        assert_non_null(p);
        assert_true(strlen(p->excerpt) <= 100 + 2 * strlen("...") + 3);
        assert_memory_equal(p->excerpt + p->caret, "wörker", strlen("wörker"));
        FILE *out = fmemopen(printed, sizeof(printed), "w");
        config_report_print(&report, "f", out);
        fclose(out);
        assert_non_null(strstr(printed, "^~~~~~\n"));
    }
}

static void changes_of_rules_are_told(void **state)
{
    (void)state;
    static const struct {
        const char *from, *to, *told;
    } cases[] = {
        {"[rule x]\nwhen = threads > 1\ndo = note\n", "[rule x]\nwhen = THREADS  >  1\ndo = Note\nunit = *\n",
         ""},
        {"", "[rule x]\nwhen = threads > 1\ndo = note\n", "x - 2 - -> -\n"},
        {"[rule x]\nwhen = threads > 1\ndo = note\n", "", "x - 3 - -> -\n"},
        {"[rule x]\nwhen = threads > 1\ndo = note\n",
         "[rule x]\nunit = a\nwhen = threads > 2\ndo = restart\nuntil = threads < 1\nlimit = 2 per 1h\nmode "
         "= observe\n",
         "x unit 0 * -> a\n"
         "x when 0 threads > 1 -> threads > 2\n"
         "x do 0 note -> restart\n"
         "x until 0 when has not been true for 5s -> threads < 1\n"
         "x limit 0 none -> 2 per 1h\n"
         "x mode 0 act -> observe\n"},
        {"[rule x]\nwhen = threads > 1\ndo = note\n[rule y]\nwhen = threads > 1\ndo = note\n"
         "[rule gone]\nwhen = threads > 1\ndo = note\n",
         "[rule new]\nwhen = threads > 1\ndo = note\n[rule y]\nwhen = threads > 1\ndo = note\n"
         "[rule x]\nwhen = threads > 1\ndo = note\n",
         "new - 2 - -> -\ngone - 3 - -> -\n- rules 0 x, y -> y, x\n"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct text a = TEXT_NULL, b = TEXT_NULL, told = TEXT_NULL;
        text_add(&a, "%s%s", UNITS, cases[i].from);
        text_add(&b, "%s%s", UNITS, cases[i].to);
        _cleanup_(config_deinit) struct config from = config_text_good(text_peek(&a));
        _cleanup_(config_deinit) struct config to = config_text_good(text_peek(&b));
        struct config_change *changes;
        size_t count;
        assert_int_equal(config_compare(&from, &to, &changes, &count), 0);
        for (size_t k = 0; k < count; k++) {
            const struct config_change *c = &changes[k];
            assert_string_equal(c->unit, "");
            text_add(&told, "%s %s %d %s -> %s\n", *c->rule ? c->rule : "-", c->key ? c->key : "-",
                     (int)c->type, c->from ? c->from : "-", c->to ? c->to : "-");
        }
        assert_string_equal(text_peek(&told), cases[i].told);
        config_changes_free(changes, count);
        text_deinit(&a);
        text_deinit(&b);
        text_deinit(&told);
    }
}

/* weir set changes a unit; a rule is changed in the file. */
static void a_rule_is_not_set_from_outside(void **state)
{
    (void)state;
    _cleanup_(config_deinit) struct config c =
        config_text_good(UNITS "[rule r]\nunit = a\nwhen = threads > 1\ndo = note\n");
    struct err err = ERR_NULL;
    assert_int_equal(config_unit_set(&c.units[0], "when", "threads > 2", &err), -EINVAL);
    assert_string_equal(err.text,
                        "when is a key of [rule NAME], not of a unit; change it in the file and reload");
    assert_int_equal(config_unit_set(&c.units[0], "memory_max", "2G", &err), 0);
    assert_int_equal(c.units[0].policy.rules, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_section_reaches_its_fields),
        cmocka_unit_test(each_unit_has_the_rules_that_judge_it),
        cmocka_unit_test(a_policy_may_go_without_the_rules),
        cmocka_unit_test(the_last_rule_has_the_last_bit),
        cmocka_unit_test(a_problem_has_its_place),
        cmocka_unit_test(what_is_missing_at_the_end_is_one_past_it),
        cmocka_unit_test(a_long_line_is_cut_around_its_problem),
        cmocka_unit_test(changes_of_rules_are_told),
        cmocka_unit_test(a_rule_is_not_set_from_outside),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
