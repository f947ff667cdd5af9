/* SPDX-License-Identifier: MIT */
/* "did you mean" finds typing errors and nothing else. */
#include "check.h"

#include <string.h>

#include "weir/base/cleanup.h"
#include "weir/base/nearest.h"

static const char *const keys[] = {"memory_max", "memory_high", "pids_max", "exec", "ready", "after", "wrap"};

static void typing_errors_are_found(void **state)
{
    (void)state;
    static const struct {
        const char *word, *nearest;
    } cases[] = {
        {"memory_max", "memory_max"},
        {"memroy_max", "memory_max"},
        {"memory-max", "memory_max"},
        {"MEMORY_MAX", "memory_max"},
        {"pid_max", "pids_max"},
        {"exce", "exec"},
        {"redy", "ready"},
        {"warp", "wrap"},
        {"afterr", "after"},
        {"memory_hihg", "memory_high"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        const char *nearest = nearest_word(cases[i].word, keys, ARRAY_SIZE(keys));
        assert_non_null(nearest);
        assert_string_equal(nearest, cases[i].nearest);
    }
}

static void other_words_are_not(void **state)
{
    (void)state;
    static const char *const words[] = {"", "colour", "memory", "x", "maximum_memory_of_the_unit"};
    for (size_t i = 0; i < ARRAY_SIZE(words); i++)
        assert_null(nearest_word(words[i], keys, ARRAY_SIZE(keys)));
    assert_null(nearest_word("exec", keys, 0));
}

static void long_words_are_never_near(void **state)
{
    (void)state;
    char word[65], longer[66];
    memset(word, 'a', 64);
    word[64] = '\0';
    memset(longer, 'a', 65);
    longer[65] = '\0';
    const char *const list[] = {longer, word};
    assert_null(nearest_word(word, list, 2));
    word[63] = '\0'; /* the longest that is compared */
    assert_ptr_equal(nearest_word(word, list, 2), word);
}

static void ties_go_to_the_first(void **state)
{
    (void)state;
    static const char *const list[] = {"stop", "step"};
    assert_string_equal(nearest_word("stp", list, 2), "stop");
    assert_string_equal(nearest_word("ste", list, 2), "step");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(typing_errors_are_found),
        cmocka_unit_test(other_words_are_not),
        cmocka_unit_test(long_words_are_never_near),
        cmocka_unit_test(ties_go_to_the_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
