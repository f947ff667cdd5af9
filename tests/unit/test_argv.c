/* SPDX-License-Identifier: MIT */
/* Command lines without a shell: what becomes of each kind of quoting, what is refused and where. */
#include "check.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "argv.h"
#include "weir/base/cleanup.h"
#include "weir/config/config.h"

static void words_come_apart(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *words[6];
    } cases[] = {
        {"node", {"node"}},
        {"  node \t server.js  ", {"node", "server.js"}},
        {"echo \"two words\"", {"echo", "two words"}},
        {"echo a\"b c\"d", {"echo", "ab cd"}},
        {"echo \"\" x", {"echo", "", "x"}},
        {"echo \"a\\\"b\" \"c\\\\d\"", {"echo", "a\"b", "c\\d"}},
        {"grep \"\\d+\"", {"grep", "\\d+"}},
        {"echo a\\ b \\\"c", {"echo", "a b", "\"c"}},
        {"echo \\\\", {"echo", "\\"}},
        {"echo \"|\" \\; a|b x;y d#e", {"echo", "|", ";", "a|b", "x;y", "d#e"}},
        {"echo it's \\'x", {"echo", "it's", "'x"}},
        {"echo $HOME *", {"echo", "$HOME", "*"}},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct why why = WHY_NULL;
        _cleanup_(words_cleanup) char **words = NULL;
        assert_int_equal(argv_split(cases[i].text, &words, &why), 0);
        for (size_t j = 0; j < 6; j++) {
            if (!cases[i].words[j]) {
                assert_int_equal(words_count(words), j);
                break;
            }
            assert_string_equal(words[j], cases[i].words[j]);
        }
    }
}

static void refusals_name_the_column(void **state)
{
    (void)state;
    static const struct {
        const char *text, *part;
    } cases[] = {
        {"", "no word"},
        {" \t", "no word"},
        {"a \"b", "column 3 is never closed"},
        {"a b\"c", "column 4 is never closed"},
        {"a \"b\\\"", "column 3 is never closed"},
        {"a \\", "(column 3)"},
        {"a 'b c'", "single quotes mean nothing here (column 3)"},
        {"a | b", "'|' in column 3"},
        {"a b >x >", "'>' in column 8"},
        {"a && b", "'&&' in column 3"},
        {"a ; b", "';' in column 3"},
        {"a # b", "a comment after the value (column 3)"},
        {"a ;b", "a comment after the value (column 3)"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct why why = WHY_NULL;
        char **words = NULL;
        assert_int_equal(argv_split(cases[i].text, &words, &why), -EINVAL);
        assert_null(words);
        if (!strstr(why.text, cases[i].part))
            fail_msg("'%s' says: %s", cases[i].text, why.text);
    }
}

static void columns_count_from_where_the_value_begins(void **state)
{
    (void)state;
    struct why why = {.column = 8};
    char **words = NULL;
    assert_int_equal(argv_split("a \"b", &words, &why), -EINVAL);
    assert_string_equal(why.text, "the quote in column 10 is never closed");
}

static void too_many_words_are_refused(void **state)
{
    (void)state;
    char text[2 * CONFIG_ARGV_MAX + 1];
    for (size_t i = 0; i < CONFIG_ARGV_MAX; i++)
        memcpy(text + 2 * i, "a ", 2);
    text[2 * CONFIG_ARGV_MAX] = '\0';
    struct why why = WHY_NULL;
    _cleanup_(words_cleanup) char **words = NULL;
    assert_int_equal(argv_split(text, &words, &why), -EINVAL);
    text[2 * (CONFIG_ARGV_MAX - 1)] = '\0';
    assert_int_equal(argv_split(text, &words, &why), 0);
    assert_int_equal(words_count(words), CONFIG_ARGV_MAX - 1);
}

static void what_join_writes_split_reads(void **state)
{
    (void)state;
    static const char alphabet[] = "ab \t\"\\'#;|&><$*=";
    uint64_t rng = 20251105;
    for (int round = 0; round < 20000; round++) {
        _cleanup_(words_cleanup) char **words = NULL, **again = NULL;
        struct text joined = TEXT_NULL;
        struct why why = WHY_NULL;
        for (uint64_t i = 1 + rng_below(&rng, 4); i > 0; i--) {
            char word[8];
            size_t length = rng_below(&rng, sizeof(word));
            for (size_t j = 0; j < length; j++)
                word[j] = alphabet[rng_below(&rng, sizeof(alphabet) - 1)];
            assert_int_equal(words_add(&words, word, length), 0);
        }
        argv_join(words, &joined);
        if (argv_split(text_peek(&joined), &again, &why) < 0)
            fail_msg("%s: %s", text_peek(&joined), why.text);
        assert_int_equal(words_count(again), words_count(words));
        for (size_t i = 0; words[i]; i++)
            assert_string_equal(again[i], words[i]);
        text_deinit(&joined);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_come_apart),
        cmocka_unit_test(refusals_name_the_column),
        cmocka_unit_test(columns_count_from_where_the_value_begins),
        cmocka_unit_test(too_many_words_are_refused),
        cmocka_unit_test(what_join_writes_split_reads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
