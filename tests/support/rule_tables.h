/* SPDX-License-Identifier: MIT */
/* Tables of texts of the rule language: good ones with their canonical form, broken ones with what is said of them. */
#ifndef WEIR_TESTS_RULE_TABLES_H
#define WEIR_TESTS_RULE_TABLES_H

#include <errno.h>
#include <string.h>

#include "check.h"
#include "weir/base/cleanup.h"
#include "weir/engine/rule.h"

struct good_text {
    const char *text;
    const char *canonical;
};

struct broken_text {
    const char *text;
    unsigned column;
    unsigned length;
    const char *error;
    const char *hint;
};

typedef int (*rule_parse_value)(const char *text, struct rule *ret, struct rule_error *reterr);
typedef int (*rule_format_value)(const struct rule *r, char *buf, size_t size);

static inline void check_good_texts(rule_parse_value parse, rule_format_value format,
                                    const struct good_text *texts, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct rule r = {0}, again = {0};
        struct rule_error e = {0};
        char canonical[RULE_TEXT_MAX];
        if (parse(texts[i].text, &r, &e) < 0)
            fail_msg("\"%s\": %u: %s", texts[i].text, e.column, e.text);
        int length = format(&r, canonical, sizeof(canonical));
        if (strcmp(canonical, texts[i].canonical) != 0 || length != (int)strlen(canonical))
            fail_msg("\"%s\": is \"%s\", not \"%s\"", texts[i].text, canonical, texts[i].canonical);
        /* what is written means the same */
        assert_int_equal(parse(canonical, &again, &e), 0);
        assert_int_equal(format(&again, canonical, sizeof(canonical)), length);
        assert_string_equal(canonical, texts[i].canonical);
        /* one byte less than it needs */
        assert_int_equal(format(&r, canonical, (size_t)length), -EMSGSIZE);
    }
}

static inline void check_broken_texts(rule_parse_value parse, const struct broken_text *texts, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct broken_text *t = &texts[i];
        struct rule r, untouched;
        struct rule_error e;
        memset(&r, 0x5a, sizeof(r));
        memset(&untouched, 0x5a, sizeof(untouched));
        if (parse(t->text, &r, &e) != -EINVAL)
            fail_msg("\"%s\": was taken", t->text);
        assert_memory_equal(&r, &untouched, sizeof(r));
        if (e.column != t->column || e.length != t->length || strcmp(e.text, t->error) != 0 ||
            strcmp(e.hint, t->hint) != 0)
            fail_msg("\"%s\": said %u, %u, \"%s\", \"%s\"", t->text, e.column, e.length, e.text, e.hint);
        assert_int_equal(parse(t->text, &r, NULL), -EINVAL);
    }
}

#endif
