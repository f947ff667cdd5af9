/* SPDX-License-Identifier: MIT */
/* Copies of lines: what goes in comes out, memory keeps its bound, the file gives back its room, a full disk costs the copy. */
#include "check.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "copies.h"
#include "scratch.h"
#include "weir/base/cleanup.h"

struct fixture {
    struct scratch scratch;
    struct copies copies;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    assert_non_null(f);
    scratch_init(&f->scratch);
    copies_init(&f->copies);
    copies_set(&f->copies, 1000, f->scratch.path);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(f->copies.memory_used, 0);
    assert_int_equal(f->copies.file_live, 0);
    copies_deinit(&f->copies);
    scratch_deinit(&f->scratch);
    free(f);
    return 0;
}

static char *text_of(size_t size, uint64_t seed)
{
    char *text = malloc(size);
    assert_non_null(text);
    for (size_t i = 0; i < size; i++)
        text[i] = (char)('a' + rng_below(&seed, 26));
    return text;
}

static void expect(const struct copies *c, const struct copy *copy, const char *text, uint64_t size)
{
    char buf[777];
    uint64_t at = 0;
    assert_int_equal(copy->size, size);
    while (at < size) {
        const char *data = NULL;
        ssize_t n = copy_read(c, copy, at, buf, sizeof(buf), &data);
        assert_true(n > 0);
        assert_memory_equal(data, text + at, (size_t)n);
        at += (uint64_t)n;
    }
    const char *data = NULL;
    assert_int_equal(copy_read(c, copy, size, buf, sizeof(buf), &data), 0);
}

static off_t blocks_of(int fd)
{
    struct stat st;
    assert_int_equal(fstat(fd, &st), 0);
    return st.st_blocks * 512;
}

static void in_memory(void **state)
{
    struct fixture *f = *state;
    struct copy copy = COPY_NULL;
    assert_false(copy_is_kept(&copy));
    assert_int_equal(copy_append(&f->copies, &copy, "one ", 4), 0);
    assert_int_equal(copy_append(&f->copies, &copy, "two", 3), 0);
    assert_int_equal(copy.place, COPY_MEMORY);
    assert_int_equal(f->copies.fd, -1);
    expect(&f->copies, &copy, "one two", 7);
    copy_drop(&f->copies, &copy);
    assert_false(copy_is_kept(&copy));
    copy_drop(&f->copies, &copy); /* nothing to drop */
}

static void nothing_appended_is_nothing_kept(void **state)
{
    struct fixture *f = *state;
    struct copy copy = COPY_NULL;
    assert_int_equal(copy_append(&f->copies, &copy, "", 0), 0);
    assert_false(copy_is_kept(&copy));
}

/* The last byte that fits, and one more. */
static void memory_keeps_its_bound(void **state)
{
    struct fixture *f = *state;
    struct copy fits = COPY_NULL, one_more = COPY_NULL;
    _cleanup_free_ char *text = text_of(1001, 1);
    assert_int_equal(copy_append(&f->copies, &fits, text, 1000), 0);
    assert_int_equal(fits.place, COPY_MEMORY);
    assert_int_equal(f->copies.memory_used, 1000);
    assert_int_equal(copy_append(&f->copies, &one_more, text, 1), 0);
    assert_int_equal(one_more.place, COPY_FILE);
    copy_drop(&f->copies, &fits);
    copy_drop(&f->copies, &one_more);
    assert_int_equal(copy_append(&f->copies, &fits, text, 1001), 0);
    assert_int_equal(fits.place, COPY_FILE);
    expect(&f->copies, &fits, text, 1001);
    copy_drop(&f->copies, &fits);
}

/* One that outgrows memory takes what it has along. */
static void grows_out_of_memory(void **state)
{
    struct fixture *f = *state;
    struct copy copy = COPY_NULL;
    _cleanup_free_ char *text = text_of(100000, 2);
    for (size_t at = 0; at < 100000; at += 100)
        assert_int_equal(copy_append(&f->copies, &copy, text + at, 100), 0);
    assert_int_equal(copy.place, COPY_FILE);
    assert_int_equal(f->copies.memory_used, 0);
    expect(&f->copies, &copy, text, 100000);
    copy_drop(&f->copies, &copy);
    assert_int_equal(blocks_of(f->copies.fd), 0);
    assert_int_equal(f->copies.file_end, 0);
}

static void no_memory_at_all(void **state)
{
    struct fixture *f = *state;
    struct copy copy = COPY_NULL;
    copies_set(&f->copies, 0, f->scratch.path);
    assert_int_equal(copy_append(&f->copies, &copy, "x", 1), 0);
    assert_int_equal(copy.place, COPY_FILE);
    expect(&f->copies, &copy, "x", 1);
    copy_drop(&f->copies, &copy);
}

static void the_file_has_no_name(void **state)
{
    struct fixture *f = *state;
    struct copy copy = COPY_NULL;
    struct stat st;
    copies_set(&f->copies, 0, f->scratch.path);
    assert_int_equal(copy_append(&f->copies, &copy, "secret", 6), 0);
    assert_int_equal(fstat(f->copies.fd, &st), 0);
    assert_int_equal(st.st_nlink, 0);
    assert_int_equal(st.st_mode & 077, 0);
    assert_int_equal(fcntl(f->copies.fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    assert_int_equal(rmdir(f->scratch.path), 0); /* it is empty */
    copy_drop(&f->copies, &copy);
}

/* A folder that is not there: one of the system's own. */
static void another_folder_will_do(void **state)
{
    struct fixture *f = *state;
    struct copy copy = COPY_NULL;
    copies_set(&f->copies, 0, "/nowhere/at/all");
    assert_int_equal(copy_append(&f->copies, &copy, "x", 1), 0);
    expect(&f->copies, &copy, "x", 1);
    copy_drop(&f->copies, &copy);
}

/* Room in the middle is given back while others stay. */
static void a_dropped_copy_leaves_a_hole(void **state)
{
    struct fixture *f = *state;
    struct copy copy[3] = {COPY_NULL, COPY_NULL, COPY_NULL};
    _cleanup_free_ char *text = text_of(1 << 20, 3);
    copies_set(&f->copies, 0, f->scratch.path);
    for (int i = 0; i < 3; i++)
        assert_int_equal(copy_append(&f->copies, &copy[i], text, 1 << 20), 0);
    off_t before = blocks_of(f->copies.fd);
    copy_drop(&f->copies, &copy[1]);
    assert_true(blocks_of(f->copies.fd) <= before - (1 << 20) + 8192);
    expect(&f->copies, &copy[0], text, 1 << 20);
    expect(&f->copies, &copy[2], text, 1 << 20);
    copy_drop(&f->copies, &copy[0]);
    copy_drop(&f->copies, &copy[2]);
    assert_int_equal(blocks_of(f->copies.fd), 0);
}

/* Two that grow in turn. */
static void one_that_grows_behind_another_moves(void **state)
{
    struct fixture *f = *state;
    struct copy a = COPY_NULL, b = COPY_NULL;
    _cleanup_free_ char *text = text_of(300000, 4);
    copies_set(&f->copies, 0, f->scratch.path);
    for (size_t at = 0; at < 300000; at += 30000) {
        assert_int_equal(copy_append(&f->copies, &a, text + at, 30000), 0);
        assert_int_equal(copy_append(&f->copies, &b, text + at, 30000), 0);
    }
    expect(&f->copies, &a, text, 300000);
    expect(&f->copies, &b, text, 300000);
    copy_drop(&f->copies, &a);
    expect(&f->copies, &b, text, 300000);
    copy_drop(&f->copies, &b);
}

static void a_move_drops_what_was_there(void **state)
{
    struct fixture *f = *state;
    struct copy from = COPY_NULL, to = COPY_NULL;
    assert_int_equal(copy_append(&f->copies, &from, "new", 3), 0);
    assert_int_equal(copy_append(&f->copies, &to, "old", 3), 0);
    copy_move(&f->copies, &to, &from);
    assert_false(copy_is_kept(&from));
    expect(&f->copies, &to, "new", 3);
    copy_drop(&f->copies, &to);
}

/* The disk is full: the copy is gone, the others are not, and there is no more of it in the file. */
static void a_full_disk_costs_the_copy(void **state)
{
    struct fixture *f = *state;
    struct copy small = COPY_NULL, large = COPY_NULL;
    _cleanup_free_ char *text = text_of(200000, 5);
    struct rlimit before, bound = {100000, 100000};
    copies_set(&f->copies, 0, f->scratch.path);
    assert_int_equal(copy_append(&f->copies, &small, text, 5000), 0);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    bound.rlim_max = before.rlim_max;
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &bound), 0);
    assert_int_equal(copy_append(&f->copies, &large, text, 50000), 0);
    assert_int_equal(copy_append(&f->copies, &large, text, 200000), -EFBIG);
    assert_false(copy_is_kept(&large));
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    expect(&f->copies, &small, text, 5000);
    assert_int_equal(copy_append(&f->copies, &large, text, 200000), 0);
    expect(&f->copies, &large, text, 200000);
    copy_drop(&f->copies, &large);
    copy_drop(&f->copies, &small);
}

/* Many, of all sizes, made, grown, moved and dropped in any order. */
static void at_random(void **state)
{
    struct fixture *f = *state;
    enum { COUNT = 20, LARGEST = 3000 };
    struct copy copies[COUNT];
    uint64_t sizes[COUNT] = {0}, rng = 6;
    _cleanup_free_ char *text = text_of(LARGEST, 7);
    for (int i = 0; i < COUNT; i++)
        copies[i] = COPY_NULL;
    for (int step = 0; step < 20000; step++) {
        size_t i = rng_below(&rng, COUNT), j = rng_below(&rng, COUNT);
        uint64_t n = rng_below(&rng, LARGEST - sizes[i] + 1);
        switch (rng_below(&rng, 4)) {
        case 0:
            copy_drop(&f->copies, &copies[i]);
            sizes[i] = 0;
            break;
        case 1:
            if (i == j)
                break;
            copy_move(&f->copies, &copies[j], &copies[i]);
            sizes[j] = sizes[i];
            sizes[i] = 0;
            break;
        default:
            assert_int_equal(copy_append(&f->copies, &copies[i], text + sizes[i], n), 0);
            sizes[i] += n;
            break;
        }
        assert_true(f->copies.memory_used <= 1000);
        if (step % 50 == 0)
            for (int k = 0; k < COUNT; k++)
                expect(&f->copies, &copies[k], text, sizes[k]);
    }
    for (int i = 0; i < COUNT; i++)
        copy_drop(&f->copies, &copies[i]);
    if (f->copies.fd >= 0)
        assert_int_equal(blocks_of(f->copies.fd), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(in_memory),
        TEST(nothing_appended_is_nothing_kept),
        TEST(memory_keeps_its_bound),
        TEST(grows_out_of_memory),
        TEST(no_memory_at_all),
        TEST(the_file_has_no_name),
        TEST(another_folder_will_do),
        TEST(a_dropped_copy_leaves_a_hole),
        TEST(one_that_grows_behind_another_moves),
        TEST(a_move_drops_what_was_there),
        TEST(a_full_disk_costs_the_copy),
        TEST(at_random),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
