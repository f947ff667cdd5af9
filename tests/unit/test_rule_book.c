/* SPDX-License-Identifier: MIT */
/* What rules keep over a change of the policy: engine_prepare, and an allocation that fails. */
#include "engine_kit.h"

#include <errno.h>

static bool fail_next;
void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);

void *__wrap_calloc(size_t count, size_t size)
{
    if (!fail_next)
        return __real_calloc(count, size);
    fail_next = false;
    return NULL;
}

/* Two units, and rules that the test writes. */
struct book {
    struct kit kit;
    struct rule rules[4];
};

static void write_rule(struct book *b, uint32_t i, const char *text)
{
    if (rule_parse(text, &b->rules[i]) < 0)
        fail_msg("%s", text);
}

static void open_book(struct book *b)
{
    kit_init(&b->kit, 2);
    b->kit.policy.rules = b->rules;
    for (uint16_t i = 0; i < 2; i++)
        b->kit.units[i].rules = UINT64_MAX; /* bits beyond rule_count mean nothing */
}

static void prepare(struct book *b, uint32_t rule_count)
{
    b->kit.policy.rule_count = rule_count;
    assert_int_equal(engine_prepare(b->kit.engine, &b->kit.policy), 0);
}

static void start(struct book *b)
{
    kit_event(&b->kit, 0, EVENT_RUN, UNIT_NONE);
    for (uint16_t i = 0; i < 2; i++)
        kit_spawned(&b->kit, 0, i);
}

/* The rule of the first decision at this sample, or "". */
static const char *threads_at(struct book *b, uint64_t t_us, uint16_t unit, uint64_t threads)
{
    struct event event = {.kind = EVENT_SAMPLE, .unit = unit};
    sample_set(&event.sample, SAMPLE_THREADS, threads);
    kit_step(&b->kit, t_us, event);
    return b->kit.count ? b->kit.decisions[0].rule : "";
}

static void what_holds_goes_on_wherever_the_rule_moves(void **state)
{
    (void)state;
    struct book b;
    open_book(&b);
    write_rule(&b, 0, "name = first\nwhen = threads > 900\ndo = note\n");
    write_rule(&b, 1, "name = stays\nwhen = threads > 200 for 3s\ndo = note\n");
    prepare(&b, 2);
    start(&b);
    threads_at(&b, SEC, 0, 201);
    threads_at(&b, 2 * SEC, 0, 201);
    threads_at(&b, 2 * SEC, 1, 1);

    b.rules[0] = b.rules[1];
    write_rule(&b, 1, "name = new\nwhen = threads > 200 for 3s\ndo = note\n");
    prepare(&b, 2);
    assert_string_equal(threads_at(&b, 3 * SEC, 0, 201), "");
    threads_at(&b, 3 * SEC, 1, 201); /* the other unit's rule held nothing */
    assert_string_equal(threads_at(&b, 4 * SEC, 0, 201), "rule.stays");
    assert_string_equal(threads_at(&b, 4 * SEC, 1, 201), "");
    assert_string_equal(threads_at(&b, 5 * SEC, 0, 201), "");
    assert_string_equal(threads_at(&b, 6 * SEC, 0, 201), "rule.new"); /* began anew at 3 s */
    kit_deinit(&b.kit);
}

/* The same name with another text is another rule; and what the limit counts belongs to the rule. */
static void a_changed_rule_begins_anew(void **state)
{
    (void)state;
    struct book b;
    open_book(&b);
    write_rule(&b, 0,
               "name = crowd\nwhen = threads > 200\nuntil = threads < 9\ndo = note\nlimit = 1 per 1h\n");
    prepare(&b, 1);
    start(&b);
    assert_string_equal(threads_at(&b, SEC, 0, 201), "rule.crowd");
    threads_at(&b, 2 * SEC, 0, 1);
    prepare(&b, 1);
    threads_at(&b, 10 * SEC, 0, 201);
    assert_int_equal(b.kit.decisions[0].reason, REASON_RULE_LIMIT);
    write_rule(&b, 0,
               "name = crowd\nwhen = threads > 199\nuntil = threads < 9\ndo = note\nlimit = 1 per 1h\n");
    prepare(&b, 1);
    assert_string_equal(threads_at(&b, 11 * SEC, 0, 201), "rule.crowd");
    assert_int_equal(b.kit.decisions[0].reason, REASON_RULE);
    kit_deinit(&b.kit);
}

static void without_memory_all_is_as_before(void **state)
{
    (void)state;
    struct book b;
    open_book(&b);
    write_rule(&b, 0, "name = crowd\nwhen = threads > 200 for 3s\ndo = note\n");
    prepare(&b, 1);
    start(&b);
    threads_at(&b, SEC, 0, 201);
    threads_at(&b, 3 * SEC, 0, 201);
    fail_next = true;
    assert_int_equal(engine_prepare(b.kit.engine, &b.kit.policy), -ENOMEM);
    assert_string_equal(threads_at(&b, 4 * SEC, 0, 201), "rule.crowd");
    kit_deinit(&b.kit);
}

/* A unit that no rule judges, a rule whose row is missing in a damaged record, and no rules at all. */
static void what_does_not_judge(void **state)
{
    (void)state;
    struct book b;
    open_book(&b);
    write_rule(&b, 0, "name = crowd\nwhen = threads > 200\ndo = note\n");
    b.rules[1] = (struct rule){0};
    b.kit.units[1].rules = 1U << 1;
    prepare(&b, 2);
    start(&b);
    assert_string_equal(threads_at(&b, SEC, 1, 201), "");
    assert_string_equal(threads_at(&b, SEC, 0, 201), "rule.crowd");
    prepare(&b, 0);
    assert_string_equal(threads_at(&b, 20 * SEC, 0, 1), "");
    assert_string_equal(threads_at(&b, 30 * SEC, 0, 201), "");
    kit_deinit(&b.kit);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_holds_goes_on_wherever_the_rule_moves),
        cmocka_unit_test(a_changed_rule_begins_anew),
        cmocka_unit_test(without_memory_all_is_as_before),
        cmocka_unit_test(what_does_not_judge),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
