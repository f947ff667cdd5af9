/* SPDX-License-Identifier: MIT */
/* The rotated output file: whole lines, a hard bound on size, and a disk that fails at every single call. */
#include "scratch.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/resource.h>

#include "../../src/app/logfile.h"
#include "../../src/app/peek.h"
#include "weir/base/units.h"

static struct scratch dir;
static struct logfile log_file;
static int ends[2];      /* of a pipe, as the unit's */
static int splice_error; /* of every faulty_splice(); 0: none, it takes a half at a time */

static int setup(void **state)
{
    (void)state;
    scratch_init(&dir);
    log_file = LOGFILE_NULL;
    splice_error = 0;
    return pipe2(ends, O_CLOEXEC | O_NONBLOCK);
}

static int teardown(void **state)
{
    (void)state;
    logfile_deinit(&log_file);
    close(ends[0]);
    close(ends[1]);
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

/* --- from a pipe --- */

static void print(const char *text)
{
    assert_int_equal(write(ends[1], text, strlen(text)), strlen(text));
}

static void expect_in_pipe(const char *text)
{
    char buf[256];
    struct peek p;
    assert_int_equal(peek_init(&p), 0);
    ssize_t n = peek_copy(&p, ends[0], buf, sizeof(buf));
    peek_deinit(&p);
    peek_deinit(&p);
    assert_int_equal(n, strlen(text));
    assert_memory_equal(buf, text, n);
}

static int move(const char *text, uint64_t now_us, struct err *e)
{
    return logfile_move(&log_file, ends[0], text, strlen(text), now_us, e);
}

static void a_look_leaves_all_in_the_pipe(void **state)
{
    (void)state;
    char buf[4];
    struct peek p;
    assert_int_equal(peek_init(&p), 0);
    assert_int_equal(peek_copy(&p, ends[0], buf, sizeof(buf)), 0);
    print("one\ntwo\n");
    for (int i = 0; i < 3; i++) {
        assert_int_equal(peek_copy(&p, ends[0], buf, sizeof(buf)), 4);
        assert_memory_equal(buf, "one\n", 4);
    }
    expect_in_pipe("one\ntwo\n");
    assert_int_equal(peek_discard(ends[0], 5), 5);
    expect_in_pipe("wo\n");
    assert_int_equal(peek_discard(ends[0], 100), 3);
    peek_deinit(&p);
    assert_int_equal(peek_copy(&p, ends[0], buf, sizeof(buf)), -EBADF);
}

/* Each buffer of the pipe holds a byte, and there are more of them than the private pipe takes. */
static void a_look_at_many_small_buffers_is_short(void **state)
{
    (void)state;
    enum { BUFFERS = 64 };
    char buf[BUFFERS];
    struct peek p;
    int small[2];
    assert_true(fcntl(ends[1], F_SETPIPE_SZ, BUFFERS * 4096) >= 0);
    assert_int_equal(peek_init(&p), 0);
    assert_int_equal(pipe2(small, O_CLOEXEC | O_NONBLOCK), 0);
    for (char i = 0; i < BUFFERS; i++) {
        assert_int_equal(write(small[1], &i, 1), 1);
        assert_int_equal(splice(small[0], NULL, ends[1], NULL, 1, 0), 1);
    }
    ssize_t n = 0;
    for (char at = 0; at < BUFFERS; at += (char)n) {
        n = peek_copy(&p, ends[0], buf, sizeof(buf));
        assert_in_range(n, 1, BUFFERS - 1);
        assert_int_equal(buf[0], at);
        assert_int_equal(buf[n - 1], at + n - 1);
        assert_int_equal(peek_discard(ends[0], (size_t)n), n);
    }
    peek_deinit(&p);
    close(small[0]);
    close(small[1]);
}

static void moves_exactly_what_it_was_told(void **state)
{
    (void)state;
    open_log(10, 2);
    put("a\n");
    print("bbbb\ncccc\ndddd\nrest");
    assert_int_equal(move("bbbb\ncccc\ndddd\n", 0, NULL), 0);
    expect_in_pipe("rest");
    put("\n"); /* weir's own words between the unit's */
    assert_int_equal(move("re", 0, NULL), 0);
    expect_in_pipe("st");
    assert_true(log_file.mid_line);
    scratch_expect(&dir, "log/u.log.2", "a\nbbbb\n");
    scratch_expect(&dir, "log/u.log.1", "cccc\ndddd\n");
    scratch_expect(&dir, "log/u.log", "\nre");
}

static void a_pipe_goes_on_at_the_end_of_a_torn_line(void **state)
{
    (void)state;
    assert_int_equal(mkdir(scratch_path(&dir, "log"), 0755), 0);
    scratch_write(&dir, "log/u.log", "first ha");
    open_log(UINT64_MAX, 1);
    print("lf\n");
    assert_int_equal(move("lf\n", 0, NULL), 0);
    scratch_expect(&dir, "log/u.log", "first half\n");
}

static void a_full_disk_takes_what_fits_from_the_pipe(void **state)
{
    (void)state;
    struct rlimit old, small;
    struct err e = ERR_NULL;
    open_log(UINT64_MAX, 1);
    print("aaaa\nbbbb\nnext\n");
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    small = (struct rlimit){.rlim_cur = 8, .rlim_max = old.rlim_max};
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    int r = move("aaaa\nbbbb\n", 0, &e);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    assert_int_equal(r, -EFBIG);
    assert_int_equal(log_file.unwritten_bytes, 2);
    expect_in_pipe("next\n");
    assert_int_equal(move("next\n", USEC_PER_SEC - 1, NULL), -EFBIG); /* not even tried */
    expect_in_pipe("");
    print("cccc\n");
    assert_int_equal(move("cccc\n", USEC_PER_SEC, NULL), 0);
    scratch_expect(&dir, "log/u.log", "aaaa\nbbb\nweir: 7 bytes of output could not be written here\ncccc\n");
}

/* Another reader is none of the design, but loses nothing that was seen. */
static void bytes_that_somebody_took_are_written_from_the_copy(void **state)
{
    (void)state;
    open_log(UINT64_MAX, 1);
    assert_int_equal(move("taken\n", 0, NULL), 0);
    scratch_expect(&dir, "log/u.log", "taken\n");
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
static ssize_t faulty_write(int fd, const void *data, size_t size, off_t at)
{
    return is_failing() ? (errno = ENOSPC, -1) : pwrite(fd, data, size > 7 ? size / 2 : size, at);
}

static ssize_t faulty_splice(int pipe, int fd, size_t size, off_t at)
{
    if (splice_error)
        return errno = splice_error, -1;
    if (is_failing())
        return errno = ENOSPC, -1;
    return splice(pipe, NULL, fd, &at, size > 7 ? size / 2 : size, SPLICE_F_NONBLOCK);
}

static int faulty_rename(int from_at, const char *from, int to_at, const char *to)
{
    return is_failing() ? (errno = EROFS, -1) : renameat(from_at, from, to_at, to);
}

static int faulty_unlink(int at, const char *name, int flags)
{
    return is_failing() ? (errno = EROFS, -1) : unlinkat(at, name, flags);
}

static const struct logfile_ops faulty = {faulty_open, faulty_write, faulty_splice, faulty_rename,
                                          faulty_unlink};

static void without_splice_it_is_written_and_then_taken(void **state)
{
    (void)state;
    static const int refusals[] = {EINVAL, EOPNOTSUPP, ENOSYS, EPERM};
    calls_left = -1;
    assert_int_equal(logfile_init(&log_file, scratch_path(&dir, "u.log"), 10, 2, 0, &faulty, NULL), 0);
    for (size_t i = 0; i < 4; i++) {
        splice_error = refusals[i];
        print("aaaa\nbbbb\nleft");
        assert_int_equal(move("aaaa\nbbbb\n", 0, NULL), 0);
        expect_in_pipe("left");
        assert_int_equal(peek_discard(ends[0], 4), 4);
    }
    scratch_expect(&dir, "u.log.1", "aaaa\nbbbb\n");
    scratch_expect(&dir, "u.log", "aaaa\nbbbb\n");
    splice_error = EIO; /* a failure of the disk is one */
    print("lost\n");
    assert_int_equal(move("lost\n", 0, NULL), -EIO);
    expect_in_pipe("");
    assert_int_equal(log_file.unwritten_bytes, 5);
}

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

/* As a unit's output: in the pipe, and seen there. */
static void put_from_pipe(const char *text, uint64_t now_us)
{
    print(text);
    (void)logfile_move(&log_file, ends[0], text, strlen(text), now_us, NULL);
    expect_in_pipe("");
}

/* Three writes, a second apart, with one rotation; the Nth system call fails. */
static bool survives_failure_of_call(int n, void (*put_text)(const char *text, uint64_t now_us))
{
    static const char *const texts[] = {
        "first line\nsecond line\n", "third line\n",
        "a line so long that the file has to be rotated before it goes in there\n"};
    size_t offered = 0;
    calls_left = n;
    (void)logfile_init(&log_file, scratch_path(&dir, "log/u.log"), 100, 2, 0, &faulty, NULL);
    for (uint64_t i = 0; i < 3; i++) {
        offered += strlen(texts[i]);
        put_text(texts[i], (i + 1) * USEC_PER_SEC);
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

static void put_from_memory(const char *text, uint64_t now_us)
{
    (void)put_at(text, now_us, NULL);
}

static void fail_every_call(void **state, void (*put_text)(const char *text, uint64_t now_us))
{
    int n = 0;
    while (survives_failure_of_call(n, put_text)) {
        (void)teardown(state);
        (void)setup(state);
        n++;
    }
    assert_true(n > 10);
}

static void survives_the_failure_of_every_call(void **state)
{
    fail_every_call(state, put_from_memory);
}

static void survives_the_failure_of_every_call_with_a_pipe(void **state)
{
    fail_every_call(state, put_from_pipe);
}

static void survives_the_failure_of_every_call_without_splice(void **state)
{
    splice_error = EINVAL;
    fail_every_call(state, put_from_pipe);
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
        TEST(a_look_leaves_all_in_the_pipe),
        TEST(a_look_at_many_small_buffers_is_short),
        TEST(moves_exactly_what_it_was_told),
        TEST(a_pipe_goes_on_at_the_end_of_a_torn_line),
        TEST(a_full_disk_takes_what_fits_from_the_pipe),
        TEST(bytes_that_somebody_took_are_written_from_the_copy),
        TEST(without_splice_it_is_written_and_then_taken),
        TEST(survives_the_failure_of_every_call),
        TEST(survives_the_failure_of_every_call_with_a_pipe),
        TEST(survives_the_failure_of_every_call_without_splice),
        TEST(is_idempotent_when_it_was_never_opened),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
