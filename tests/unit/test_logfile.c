/* SPDX-License-Identifier: MIT */
/* The rotated output file: whole lines, a hard bound on size, and a disk that fails at every single call. */
#include "scratch.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/resource.h>

#include "../../src/app/logfile.h"
#include "weir/base/units.h"

static struct scratch dir;
static struct logfile log_file;

static int setup(void **state)
{
    (void)state;
    scratch_init(&dir);
    log_file = LOGFILE_NULL;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    logfile_deinit(&log_file);
    scratch_deinit(&dir);
    return 0;
}

static void open_log(uint64_t max_bytes, uint32_t files)
{
    struct err e = ERR_NULL;
    assert_int_equal(logfile_init(&log_file, scratch_path(&dir, "log/u.log"), max_bytes, files, 0, NULL, &e),
                     0);
}

static int put_at(const char *text, uint64_t now_us, struct err *e)
{
    return logfile_write(&log_file, text, strlen(text), now_us, e);
}

static void put(const char *text)
{
    struct err e = ERR_NULL;
    assert_int_equal(put_at(text, 0, &e), 0);
    assert_int_equal(e.code, 0);
}

static void appends_and_makes_the_folder(void **state)
{
    (void)state;
    open_log(UINT64_MAX, 2);
    put("one\n");
    put("two");
    assert_true(log_file.mid_line);
    logfile_deinit(&log_file);
    open_log(UINT64_MAX, 2);
    assert_true(log_file.mid_line);
    put("!\n");
    assert_false(log_file.mid_line);
    scratch_expect(&dir, "log/u.log", "one\ntwo!\n");
}

static void rotates_between_lines_and_keeps_n_files(void **state)
{
    (void)state;
    open_log(10, 2);
    put("aaaa\nbbbb\ncccc\ndddd\neeee\nffff\ngggg\n");
    scratch_expect(&dir, "log/u.log", "gggg\n");
    scratch_expect(&dir, "log/u.log.1", "eeee\nffff\n");
    scratch_expect(&dir, "log/u.log.2", "cccc\ndddd\n");
    assert_false(scratch_exists(&dir, "log/u.log.3"));
    assert_int_equal(log_file.rotations, 3);
}

static void a_file_of_exactly_the_size_is_not_rotated(void **state)
{
    (void)state;
    open_log(10, 1);
    put("aaaa\nbbbb\n");
    assert_int_equal(log_file.rotations, 0);
    put("c\n");
    assert_int_equal(log_file.rotations, 1);
    scratch_expect(&dir, "log/u.log.1", "aaaa\nbbbb\n");
    scratch_expect(&dir, "log/u.log", "c\n");
}

static void no_rotated_files_begins_the_file_anew(void **state)
{
    (void)state;
    open_log(10, 0);
    put("aaaa\nbbbb\ncccc\n");
    scratch_expect(&dir, "log/u.log", "cccc\n");
    assert_false(scratch_exists(&dir, "log/u.log.1"));
}

static void a_line_longer_than_a_file_is_cut(void **state)
{
    (void)state;
    open_log(10, 3);
    put("a\n0123456789012345678901234\nz\n");
    scratch_expect(&dir, "log/u.log.3", "a\n");
    scratch_expect(&dir, "log/u.log.2", "0123456789");
    scratch_expect(&dir, "log/u.log.1", "0123456789");
    scratch_expect(&dir, "log/u.log", "01234\nz\n");
}

static void no_file_ever_grows_above_the_bound(void **state)
{
    (void)state;
    uint64_t seed = 4242;
    open_log(100, 1);
    for (int i = 0; i < 2000; i++) {
        char text[256];
        size_t n = rng_below(&seed, sizeof(text));
        for (size_t j = 0; j < n; j++)
            text[j] = rng_below(&seed, 20) ? 'x' : '\n';
        assert_int_equal(logfile_write(&log_file, text, n, 0, NULL), 0);
        struct stat st;
        assert_int_equal(stat(scratch_path(&dir, "log/u.log"), &st), 0);
        assert_true(st.st_size <= 100);
        if (stat(scratch_path(&dir, "log/u.log.1"), &st) == 0)
            assert_true(st.st_size > 0 && st.st_size <= 100);
    }
}

static void surplus_files_go_when_the_number_is_lowered(void **state)
{
    (void)state;
    open_log(5, 4);
    put("aaaa\nbbbb\ncccc\ndddd\neeee\n");
    assert_true(scratch_exists(&dir, "log/u.log.4"));
    log_file.files = 1;
    put("ffff\n");
    assert_true(scratch_exists(&dir, "log/u.log.1"));
    for (int i = 2; i <= 4; i++) {
        char name[32];
        snprintf(name, sizeof(name), "log/u.log.%d", i);
        assert_false(scratch_exists(&dir, name));
    }
}

static void an_operator_may_delete_or_empty_it(void **state)
{
    (void)state;
    open_log(10, 1);
    put("aaaa\n");
    assert_int_equal(unlink(scratch_path(&dir, "log/u.log")), 0);
    put("bbbb\n");
    scratch_expect(&dir, "log/u.log", "bbbb\n");
    assert_int_equal(truncate(scratch_path(&dir, "log/u.log"), 0), 0);
    put("cccc\ndddd\n");
    assert_int_equal(log_file.rotations, 0);
    scratch_expect(&dir, "log/u.log", "cccc\ndddd\n");
    assert_int_equal(unlink(scratch_path(&dir, "log/u.log")), 0);
    assert_int_equal(rmdir(scratch_path(&dir, "log")), 0);
    put("eeee\n");
    scratch_expect(&dir, "log/u.log", "eeee\n");
}

static void what_is_no_plain_file_is_refused_and_never_waited_for(void **state)
{
    (void)state;
    struct err e = ERR_NULL;
    assert_int_equal(mkfifo(scratch_path(&dir, "fifo"), 0600), 0);
    assert_true(logfile_init(&log_file, scratch_path(&dir, "fifo"), 10, 1, 0, NULL, &e) < 0);
    logfile_deinit(&log_file);
    assert_int_equal(symlink("/dev/full", scratch_path(&dir, "link")), 0);
    assert_int_equal(logfile_init(&log_file, scratch_path(&dir, "link"), 10, 1, 0, NULL, &e), -ELOOP);
    assert_non_null(strstr(e.text, "/link"));
}

static void an_unusable_folder_is_tried_again_each_second(void **state)
{
    (void)state;
    struct err e = ERR_NULL;
    scratch_write(&dir, "log", "in the way");
    assert_int_equal(logfile_init(&log_file, scratch_path(&dir, "log/u.log"), 1000, 1, 0, NULL, &e),
                     -ENOTDIR);
    assert_non_null(strstr(e.text, "log/u.log: Not a directory"));
    assert_int_equal(put_at("lost\n", USEC_PER_SEC - 1, NULL), -ENOTDIR);
    assert_int_equal(log_file.write_errors, 1);
    assert_int_equal(put_at("lost\n", USEC_PER_SEC, NULL), -ENOTDIR);
    assert_int_equal(log_file.write_errors, 2);
    assert_int_equal(unlink(scratch_path(&dir, "log")), 0);
    assert_int_equal(put_at("kept\n", 2 * USEC_PER_SEC, NULL), 0);
    scratch_expect(&dir, "log/u.log", "weir: 10 bytes of output could not be written here\nkept\n");
    assert_int_equal(log_file.unwritten_bytes, 10);
}

/* A real limit of the kernel: write(2) gives EFBIG (with SIGXFSZ ignored) as a full disk gives ENOSPC. */
static void a_full_disk_keeps_what_fits_and_recovers(void **state)
{
    (void)state;
    struct rlimit old, small;
    struct err e = ERR_NULL;
    open_log(UINT64_MAX, 1);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    small = (struct rlimit){.rlim_cur = 8, .rlim_max = old.rlim_max};
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    int r = put_at("aaaa\nbbbb\n", 0, &e);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    assert_int_equal(r, -EFBIG);
    assert_int_equal(log_file.unwritten_bytes, 2);
    assert_int_equal(put_at("cccc\n", USEC_PER_SEC, NULL), 0);
    scratch_expect(&dir, "log/u.log", "aaaa\nbbb\nweir: 2 bytes of output could not be written here\ncccc\n");
}

/* --- every call fails once --- */

static int calls_left; /* until one fails; negative: all are well */

static bool is_failing(void)
{
    return calls_left >= 0 && calls_left-- == 0;
}

static int faulty_open(int at, const char *name, int flags, mode_t mode)
{
    return is_failing() ? (errno = EACCES, -1) : openat(at, name, flags, mode);
}

/* Fails as a full disk does: half of it is taken, the rest is not. */
static ssize_t faulty_write(int fd, const void *data, size_t size)
{
    return is_failing() ? (errno = ENOSPC, -1) : write(fd, data, size > 7 ? size / 2 : size);
}

static int faulty_rename(int from_at, const char *from, int to_at, const char *to)
{
    return is_failing() ? (errno = EROFS, -1) : renameat(from_at, from, to_at, to);
}

static int faulty_unlink(int at, const char *name, int flags)
{
    return is_failing() ? (errno = EROFS, -1) : unlinkat(at, name, flags);
}

static const struct logfile_ops faulty = {faulty_open, faulty_write, faulty_rename, faulty_unlink};

static uint64_t size_of_all_files(void)
{
    static const char *const names[] = {"log/u.log", "log/u.log.1", "log/u.log.2"};
    uint64_t total = 0;
    for (size_t i = 0; i < 3; i++) {
        char *data = scratch_read(&dir, names[i], NULL);
        for (char *line = data; *line; line = strchr(line, '\n') + 1) {
            assert_non_null(strchr(line, '\n')); /* each file ends with a whole line */
            if (strncmp(line, "weir: ", 6) != 0)
                total += strcspn(line, "\n") + 1;
        }
        free(data);
    }
    return total;
}

/* Three writes, a second apart, with one rotation; the Nth system call fails. */
static bool survives_failure_of_call(int n)
{
    static const char *const texts[] = {
        "first line\nsecond line\n", "third line\n",
        "a line so long that the file has to be rotated before it goes in there\n"};
    size_t offered = 0;
    calls_left = n;
    (void)logfile_init(&log_file, scratch_path(&dir, "log/u.log"), 100, 2, 0, &faulty, NULL);
    for (uint64_t i = 0; i < 3; i++) {
        offered += strlen(texts[i]);
        (void)put_at(texts[i], (i + 1) * USEC_PER_SEC, NULL);
    }
    bool was_reached = calls_left < 0;
    calls_left = -1;
    offered += strlen("last\n");
    assert_int_equal(put_at("last\n", 10 * USEC_PER_SEC, NULL), 0);
    assert_int_equal(log_file.failing, 0);
    /* what was offered is in the files or counted; a line cut off by the failure got a newline of the mark's
     */
    uint64_t there = size_of_all_files() + log_file.unwritten_bytes;
    assert_in_range(there, offered, offered + 1);
    assert_true(log_file.write_errors <= 1);
    return was_reached;
}

static void survives_the_failure_of_every_call(void **state)
{
    int n = 0;
    while (survives_failure_of_call(n)) {
        (void)teardown(state);
        (void)setup(state);
        n++;
    }
    assert_true(n > 10);
}

static void is_idempotent_when_it_was_never_opened(void **state)
{
    (void)state;
    logfile_deinit(&log_file);
    logfile_deinit(&log_file);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(appends_and_makes_the_folder),
        TEST(rotates_between_lines_and_keeps_n_files),
        TEST(a_file_of_exactly_the_size_is_not_rotated),
        TEST(no_rotated_files_begins_the_file_anew),
        TEST(a_line_longer_than_a_file_is_cut),
        TEST(no_file_ever_grows_above_the_bound),
        TEST(surplus_files_go_when_the_number_is_lowered),
        TEST(an_operator_may_delete_or_empty_it),
        TEST(what_is_no_plain_file_is_refused_and_never_waited_for),
        TEST(an_unusable_folder_is_tried_again_each_second),
        TEST(a_full_disk_keeps_what_fits_and_recovers),
        TEST(survives_the_failure_of_every_call),
        TEST(is_idempotent_when_it_was_never_opened),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
