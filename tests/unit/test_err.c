/* SPDX-License-Identifier: MIT */
/* An error is a code and one sentence, wrapped on its way up, never longer than its buffer. */
#include "check.h"

#include <errno.h>
#include <string.h>

#include "weir/base/err.h"

static void sets_code_and_text(void **state)
{
    (void)state;
    struct err e = ERR_NULL;
    assert_int_equal(e.code, 0);
    assert_int_equal(err_set(&e, -EINVAL, "line %d: unknown key \"%s\"", 7, "exce"), -EINVAL);
    assert_int_equal(e.code, -EINVAL);
    assert_string_equal(e.text, "line 7: unknown key \"exce\"");
}

static void appends_the_systems_text(void **state)
{
    (void)state;
    struct err e = ERR_NULL;
    assert_int_equal(err_errno(&e, -ENOENT, "open %s", "/nowhere"), -ENOENT);
    assert_string_equal(e.text, "open /nowhere: No such file or directory");
}

static void wraps_on_the_way_up(void **state)
{
    (void)state;
    struct err e = ERR_NULL;
    err_errno(&e, -EACCES, "open memory.max");
    assert_int_equal(err_wrap(&e, "limit unit %s", "worker"), -EACCES);
    assert_string_equal(e.text, "limit unit worker: open memory.max: Permission denied");
}

static void nobody_listens(void **state)
{
    (void)state;
    assert_int_equal(err_set(NULL, -EIO, "x"), -EIO);
    assert_int_equal(err_errno(NULL, -EIO, "x"), -EIO);
    assert_int_equal(err_wrap(NULL, "x"), 0);
}

static void long_texts_are_cut(void **state)
{
    (void)state;
    char path[2 * ERR_TEXT_MAX];
    memset(path, 'p', sizeof(path) - 1);
    path[sizeof(path) - 1] = '\0';
    struct err e = ERR_NULL;
    assert_int_equal(err_errno(&e, -ENAMETOOLONG, "open %s", path), -ENAMETOOLONG);
    assert_int_equal(strlen(e.text), ERR_TEXT_MAX - 1);
    assert_int_equal(err_wrap(&e, "start"), -ENAMETOOLONG);
    assert_int_equal(strncmp(e.text, "start: open ppp", 15), 0);
    assert_int_equal(strlen(e.text), ERR_TEXT_MAX - 1);
    assert_int_equal(err_wrap(&e, "%s", path), -ENAMETOOLONG);
    assert_int_equal(strlen(e.text), ERR_TEXT_MAX - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sets_code_and_text),  cmocka_unit_test(appends_the_systems_text),
        cmocka_unit_test(wraps_on_the_way_up), cmocka_unit_test(nobody_listens),
        cmocka_unit_test(long_texts_are_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
