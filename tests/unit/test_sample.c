/* SPDX-License-Identifier: MIT */
/* The table of fields. */
#include "check.h"

#include <string.h>

#include "weir/base/cleanup.h"
#include "weir/model/sample.h"

static void every_field_has_its_own_name(void **state)
{
    (void)state;
    for (unsigned i = 0; i < SAMPLE_FIELD_COUNT; i++) {
        const struct sample_field_info *info = sample_field_info((enum sample_field)i);
        assert_int_equal(sample_field_by_name(info->name), i);
        assert_true(strlen(info->name) > 0);
        assert_null(strpbrk(info->name, " =:,%")); /* they are keys of the event text */
    }
    assert_int_equal(sample_field_by_name("memory.curren"), SAMPLE_FIELD_COUNT);
    assert_int_equal(sample_field_by_name(""), SAMPLE_FIELD_COUNT);
}

static void counters_are_marked(void **state)
{
    (void)state;
    assert_true(sample_field_info(SAMPLE_MEMORY_FULL)->cumulative);
    assert_int_equal(sample_field_info(SAMPLE_MEMORY_FULL)->type, SAMPLE_TYPE_USEC);
    assert_false(sample_field_info(SAMPLE_MEMORY_CURRENT)->cumulative);
    assert_int_equal(sample_field_info(SAMPLE_FROZEN)->type, SAMPLE_TYPE_FLAG);
}

static void a_value_is_valid_once_set(void **state)
{
    (void)state;
    struct sample s = {0};
    assert_false(sample_has(&s, SAMPLE_FROZEN));
    sample_set(&s, SAMPLE_FROZEN, 0); /* read, and 0: not the same as not read */
    assert_true(sample_has(&s, SAMPLE_FROZEN));
    assert_false(sample_has(&s, SAMPLE_POPULATED));
    assert_false(sample_has(&s, SAMPLE_MEMORY_CURRENT));
}

static void causes_have_names(void **state)
{
    (void)state;
    static const char *const names[] = {"tick", "fast", "kernel", "final"};
    assert_int_equal(ARRAY_SIZE(names), SAMPLE_CAUSE_COUNT);
    for (unsigned i = 0; i < SAMPLE_CAUSE_COUNT; i++)
        assert_string_equal(sample_cause_name((enum sample_cause)i), names[i]);
    assert_string_equal(sample_cause_name(SAMPLE_CAUSE_COUNT), "?");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_field_has_its_own_name),
        cmocka_unit_test(counters_are_marked),
        cmocka_unit_test(a_value_is_valid_once_set),
        cmocka_unit_test(causes_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
