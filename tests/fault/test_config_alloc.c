/* SPDX-License-Identifier: MIT */
/*
 * Out of memory at the Nth allocation, for every N, in every function of the config layer that allocates:
 * -ENOMEM, nothing leaked (the sanitizers say so), nothing half done. The linker puts the functions below in
 * front of the allocator's (--wrap), for our objects only: libc, inih and PCRE2 keep theirs.
 */
#include "check.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config_text.h"

/* Counts down to the allocation that fails; negative = none does. */
static long allocations_left = -1;
static bool has_failed;

static bool must_fail(void)
{
    if (allocations_left < 0 || allocations_left-- > 0)
        return false;
    has_failed = true;
    return true;
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *p, size_t size);
char *__real_strdup(const char *s);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *p, size_t size);
char *__wrap_strdup(const char *s);

void *__wrap_malloc(size_t size)
{
    return must_fail() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return must_fail() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *p, size_t size)
{
    return must_fail() ? NULL : __real_realloc(p, size);
}

char *__wrap_strdup(const char *s)
{
    return must_fail() ? NULL : __real_strdup(s);
}

static void fail_at(long n)
{
    allocations_left = n;
    has_failed = false;
}

/* The number of allocations that `try` makes is not known: it is tried until none failed. */
static void for_every_allocation(int (*try)(void), int result_without)
{
    long n = 0;
    for (;; n++) {
        fail_at(n);
        int r = try();
        bool is_last = !has_failed;
        fail_at(-1);
        if (is_last) {
            assert_int_equal(r, result_without);
            break;
        }
        assert_int_equal(r, -ENOMEM);
    }
    assert_true(n > 3);
}

static const char good[] = "[supervisor]\nname = docs\nstate_dir = /x\n"
                           "[unit a]\nexec = node \"two words\"\nenvironment = A=1 B=2\nenvironment = C=3\n"
                           "user = root\ngroup = root\nworking_directory = /\nready = http://127.0.0.1:80/x\n"
                           "[unit b]\nexec = b\nafter = a\nready = exec:/bin/check x\ncapabilities = chown\n"
                           "[unit c]\nexec = c\nafter = a, b\nready = tcp:80\n"
                           "[unit d]\nwrap = uv\n"
                           "[unit e]\nexec = e\nready = log:x\nnotify_exec = e \"f g\"\n"
                           "[rule x]\nunit = a, d\nwhen = threads > 3\ndo = note\n"
                           "[rule y]\nwhen = threads > 3 for 3s\nuntil = threads < 3\ndo = restart\n";
static const char bad[] =
    "name = early\n[supervisor]\nname = two words\n"
    "[unit a]\nexec = node \"open\nmemory_mx = 1\nmemory_max = 4 gigs\n  indented\n"
    "[unit b]\nexec = b\nafter = c, nowhere\nmemory_max = 1G\nmemory_high = 2G\nrestart = off\n"
    "capabilities = flying\n"
    "[unit c]\nexec = c\nafter = b\nenvironment = X\nenvironment_file = /nonexistent\n"
    "[rule x]\nunit = wroker, a, a\nwhen = thraeds > 3\ndo = hold, stop\n[rule x]\nunit = *, a\n"
    "[unit c]\nwrap = x/y\n[wibble]\n[unit bro ken\n[unit d] x\nwrap = uv\n[unit e]\nwrap = uv\n";

static int load(const char *text)
{
    struct config config = {0};
    struct config_report report;
    int r = config_text_load(text, &config, &report);
    if (r < 0)
        assert_null(config.path);
    config_deinit(&config);
    config_report_deinit(&report);
    return r;
}

static int load_good(void)
{
    return load(good);
}

static int load_bad(void)
{
    return load(bad);
}

static char variables_path[] = "/tmp/weir-test-XXXXXX";

static int load_variables(void)
{
    char text[256];
    (void)snprintf(text, sizeof(text), "[unit a]\nexec = a\nenvironment = A=1\nenvironment_file = %s\n",
                   variables_path);
    return load(text);
}

static struct config one, other;

static int compare(void)
{
    struct config_change *changes = NULL;
    size_t count = 0;
    int r = config_compare(&one, &other, &changes, &count);
    if (r < 0)
        assert_true(changes == NULL && count == 0);
    config_changes_free(changes, count);
    return r;
}

/* Its only allocations are those of a message. */
static int set_out_of_order(void)
{
    struct err err = ERR_NULL;
    int r = config_unit_set(&one.units[0], "throttle_at", "90%", &err);
    assert_int_equal(err.code, r);
    return r;
}

static int set_wrong_word(void)
{
    struct err err = ERR_NULL;
    return config_unit_set(&one.units[0], "restart", "sometimes", &err);
}

static void loading_a_good_config(void **state)
{
    (void)state;
    for_every_allocation(load_good, 0);
}

static void loading_a_bad_config(void **state)
{
    (void)state;
    for_every_allocation(load_bad, -EINVAL);
}

static void loading_variables(void **state)
{
    (void)state;
    static const char variables[] = "B=\"2\"\nC=3\nA=4\n";
    int fd = mkostemp(variables_path, O_CLOEXEC);
    assert_int_equal(fd_write_all(fd, variables, strlen(variables)), 0);
    close(fd);
    for_every_allocation(load_variables, 0);
    unlink(variables_path);
}

static void comparing(void **state)
{
    (void)state;
    one = config_text_good("[unit a]\nexec = a\nenvironment = A=1\n[unit b]\nexec = b\n");
    other = config_text_good(
        "[unit a]\nexec = x\nenvironment = A=2\nmemory_max = 1G\nready = tcp:80\n[unit c]\nexec = c\n");
    for_every_allocation(compare, 0);
    fail_at(0);
    assert_int_equal(set_out_of_order(), -ENOMEM);
    fail_at(0);
    assert_int_equal(set_wrong_word(), -ENOMEM);
    fail_at(-1);
    assert_int_equal(set_out_of_order(), -EINVAL);
    assert_int_equal(set_wrong_word(), -EINVAL);
    config_deinit(&one);
    config_deinit(&other);
}

/* What prints has no way to fail: it prints less, and does not crash. */
static void printing(void **state)
{
    (void)state;
    FILE *out = fopen("/dev/null", "we");
    for (long n = 0; n < 200; n++) {
        fail_at(n);
        config_print_sample(out);
        fail_at(n);
        config_print_scdoc(out);
    }
    fail_at(-1);
    fclose(out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loading_a_good_config),
        cmocka_unit_test(loading_a_bad_config),
        cmocka_unit_test(loading_variables),
        cmocka_unit_test(comparing),
        cmocka_unit_test(printing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
