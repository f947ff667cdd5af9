/* SPDX-License-Identifier: MIT */
/* A unit's output through a real FIFO and a real loop: nothing lost, nothing blocked, every byte accounted
 * for. */
#include "loop.h"
#include "scratch.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "../../src/app/linesink.h"
#include "weir/app/output.h"
#include "weir/base/cleanup.h"
#include "weir/base/units.h"

static struct scratch dir;
static sd_event *event;
static struct output *out;
static struct output_options options;
static int unit_fd;

static struct {
    char text[1 << 16]; /* "[line][line]" */
    size_t length;
    unsigned lines;
    size_t longest;
    uint64_t dropped_lines, dropped_bytes;
    unsigned dropped_calls;
    unsigned log_failures, log_recoveries;
    char failure[ERR_TEXT_MAX];
} seen;

static void on_line(void *user, const char *line, size_t length)
{
    assert_ptr_equal(user, &seen);
    seen.lines++;
    if (length > seen.longest)
        seen.longest = length;
    if (seen.length + length + 2 > sizeof(seen.text))
        return;
    seen.text[seen.length++] = '[';
    memcpy(seen.text + seen.length, line, length);
    seen.length += length;
    seen.text[seen.length++] = ']';
}

static void on_dropped(void *user, uint64_t lines, uint64_t bytes)
{
    (void)user;
    seen.dropped_calls++;
    seen.dropped_lines += lines;
    seen.dropped_bytes += bytes;
}

static void on_log_state(void *user, const struct err *failure)
{
    (void)user;
    if (!failure) {
        seen.log_recoveries++;
        return;
    }
    seen.log_failures++;
    snprintf(seen.failure, sizeof(seen.failure), "%s", failure->text);
}

static void open_output(void)
{
    struct err e = ERR_NULL;
    char fifo[128], log[128];
    snprintf(fifo, sizeof(fifo), "%s/u.out", dir.path);
    snprintf(log, sizeof(log), "%s/log/u.log", dir.path);
    options.fifo_path = fifo;
    options.log_path = log;
    int r = output_open(&options, &out, &e);
    assert_string_equal(e.text, "");
    assert_int_equal(r, 0);
}

static int setup(void **state)
{
    (void)state;
    scratch_init(&dir);
    memset(&seen, 0, sizeof(seen));
    assert_int_equal(sd_event_new(&event), 0);
    options = (struct output_options){.event = event,
                                      .unit = "u",
                                      .log_size_bytes = UINT64_MAX,
                                      .log_files = 2,
                                      .rate_bytes = UINT64_MAX,
                                      .on_line = on_line,
                                      .on_dropped = on_dropped,
                                      .on_log_state = on_log_state,
                                      .user = &seen};
    open_output();
    unit_fd = output_unit_fd(out, NULL);
    return unit_fd < 0 ? -1 : 0;
}

static int teardown(void **state)
{
    (void)state;
    out = output_close(out, true);
    cleanup_close(&unit_fd);
    sd_event_unref(event);
    scratch_deinit(&dir);
    return 0;
}

static void print_bytes(const char *data, size_t size)
{
    assert_int_equal(write(unit_fd, data, size), size);
}

static void print(const char *text)
{
    print_bytes(text, strlen(text));
}

static void expect_lines(const char *text)
{
    assert_int_equal(seen.length, strlen(text));
    assert_memory_equal(seen.text, text, seen.length);
}

static struct output_stats stats(void)
{
    struct output_stats s;
    output_get_stats(out, &s);
    return s;
}

/* --- lines --- */

static void each_line_goes_to_file_callback_and_tail(void **state)
{
    (void)state;
    char tail[100];
    print("one\n\ntwo\n");
    loop_settle(event);
    expect_lines("[one][][two]");
    scratch_expect(&dir, "log/u.log", "one\n\ntwo\n");
    assert_string_equal(output_tail(out, tail, sizeof(tail)), "one\n\ntwo\n");
    assert_int_equal(stats().lines, 3);
    assert_int_equal(stats().bytes, 9);
}

static void an_unfinished_line_is_in_the_file_at_once(void **state)
{
    (void)state;
    char tail[100];
    print("Password: ");
    loop_settle(event);
    scratch_expect(&dir, "log/u.log", "Password: ");
    expect_lines("");
    assert_string_equal(output_tail(out, tail, sizeof(tail)), "Password: \n");
    print("ok\n");
    loop_settle(event);
    scratch_expect(&dir, "log/u.log", "Password: ok\n");
    expect_lines("[Password: ok]");
    assert_int_equal(stats().lines, 1);
}

static void bytes_are_kept_as_they_are(void **state)
{
    (void)state;
    static const char odd[] = "a\0b\n\xff\xfe\x80\n\xc3\n\xa4\n\r\n\033[31m\n";
    size_t size;
    char tail[100];
    print_bytes(odd, sizeof(odd) - 1);
    loop_settle(event);
    char *data = scratch_read(&dir, "log/u.log", &size);
    assert_int_equal(size, sizeof(odd) - 1);
    assert_memory_equal(data, odd, size);
    free(data);
    assert_memory_equal(seen.text, "[a\0b][\xff\xfe\x80]", 10);
    assert_memory_equal(output_tail(out, tail, sizeof(tail)), "a b\n", 4);
}

/* A line of n bytes: pieces as on_line gets them; the file has it whole. */
static void expect_pieces(size_t n, unsigned pieces, size_t last)
{
    char *line = malloc(n + 1);
    assert_non_null(line);
    memset(line, 'x', n);
    line[n] = '\n';
    uint64_t before = stats().lines;
    seen.lines = 0;
    seen.length = seen.longest = 0;
    print_bytes(line, n + 1);
    loop_settle(event);
    assert_int_equal(seen.lines, pieces);
    assert_int_equal(stats().lines, before + 1);
    assert_true(seen.longest <= OUTPUT_LINE_MAX);
    assert_int_equal(seen.text[seen.length - last - 2], '[');
    for (unsigned i = 0; i + 1 < pieces; i++)
        assert_memory_equal(seen.text + (i + 1) * (OUTPUT_LINE_MAX + 2) - 4, "...]", 4);
    free(line);
}

static void a_long_line_is_cut_for_all_but_the_file(void **state)
{
    (void)state;
    size_t size;
    expect_pieces(4096, 1, 4096);
    expect_pieces(4097, 2, 4);
    expect_pieces(10000, 3, 10000 - 2 * 4093);
    free(scratch_read(&dir, "log/u.log", &size));
    assert_int_equal(size, 4097 + 4098 + 10001);
}

/* Any bytes in writes of any size: the file is the very same, and the lines are counted. */
static void the_file_is_what_the_unit_wrote(void **state)
{
    (void)state;
    enum { SIZE = 1 << 20 };
    uint64_t seed = 99, newlines = 0;
    char *data = malloc(SIZE);
    assert_non_null(data);
    for (size_t i = 0; i < SIZE; i++) {
        bool is_long = i > SIZE / 2;
        data[i] = rng_below(&seed, is_long ? 5000 : 40) ? (char)rng_below(&seed, 256) : '\n';
        newlines += data[i] == '\n';
    }
    for (size_t at = 0, n; at < SIZE; at += n) {
        n = 1 + rng_below(&seed, 20000);
        n = n < SIZE - at ? n : SIZE - at;
        print_bytes(data + at, n);
        loop_settle(event);
    }
    size_t size;
    char *file = scratch_read(&dir, "log/u.log", &size);
    assert_int_equal(size, SIZE);
    assert_memory_equal(file, data, SIZE);
    assert_int_equal(stats().lines, newlines);
    assert_int_equal(stats().bytes, SIZE);
    free(file);
    free(data);
}

static void the_tail_is_the_last_20_lines_oldest_first(void **state)
{
    (void)state;
    char line[32], tail[1000], small[16];
    for (int i = 1; i <= 25; i++) {
        snprintf(line, sizeof(line), "line %d\n", i);
        print(line);
    }
    loop_settle(event);
    output_tail(out, tail, sizeof(tail));
    assert_memory_equal(tail, "line 6\nline 7\n", 14);
    assert_string_equal(tail + strlen(tail) - 8, "line 25\n");
    assert_string_equal(output_tail(out, small, sizeof(small)),
                        "line 25\n"); /* 16 would be needed for two, and the NUL */
    assert_string_equal(output_tail(out, small, 3), "");
    assert_string_equal(output_tail(out, tail, 17), "line 24\nline 25\n");
}

/* --- the FIFO --- */

static void the_fifo_is_private_and_the_units_end_blocks(void **state)
{
    (void)state;
    struct stat st;
    assert_int_equal(stat(scratch_path(&dir, "u.out"), &st), 0);
    assert_int_equal(st.st_mode, S_IFIFO | 0600);
    assert_int_equal(fcntl(unit_fd, F_GETFL) & (O_NONBLOCK | O_ACCMODE), O_RDWR);
    assert_int_equal(fcntl(unit_fd, F_GETFD), FD_CLOEXEC);
}

static void lines_wait_in_the_pipe_while_weir_is_away(void **state)
{
    (void)state;
    print("before\n");
    loop_settle(event);
    print("unread\n");
    out = output_close(out, false);
    print("while away\n"); /* no SIGPIPE: the unit has a reading end itself */
    assert_true(scratch_exists(&dir, "u.out"));
    open_output();
    print("after\n");
    loop_settle(event);
    expect_lines("[before][unread][while away][after]");
    scratch_expect(&dir, "log/u.log", "before\nunread\nwhile away\nafter\n");
}

static void a_line_cut_by_a_change_of_weir_is_whole_in_the_file(void **state)
{
    (void)state;
    print("first ha");
    loop_settle(event);
    out = output_close(out, false);
    print("lf\nnext\n");
    open_output();
    loop_settle(event);
    scratch_expect(&dir, "log/u.log", "first half\nnext\n");
}

static void the_end_of_a_unit_ends_its_last_line(void **state)
{
    (void)state;
    print("Segmentation fault");
    out = output_close(out, true); /* reads what is there */
    expect_lines("[Segmentation fault]");
    scratch_expect(&dir, "log/u.log", "Segmentation fault\n");
    assert_false(scratch_exists(&dir, "u.out"));
    assert_null(output_close(NULL, true));
}

static void drain_reads_the_last_words(void **state)
{
    (void)state;
    char tail[100];
    print("panic: out of ch");
    print("eese");
    output_drain(out);
    expect_lines("[panic: out of cheese]");
    assert_string_equal(output_tail(out, tail, sizeof(tail)), "panic: out of cheese\n");
    output_drain(out);
    print("next life\n");
    output_drain(out);
    scratch_expect(&dir, "log/u.log", "panic: out of cheese\nnext life\n");
    assert_int_equal(stats().lines, 2);
}

static void something_else_in_the_way_is_told(void **state)
{
    (void)state;
    struct err e = ERR_NULL;
    struct output *second = NULL;
    scratch_write(&dir, "file", "x");
    options.fifo_path = scratch_path(&dir, "file");
    options.log_path = scratch_path(&dir, "log/u.log");
    assert_int_equal(output_open(&options, &second, &e), -EEXIST);
    assert_non_null(strstr(e.text, "/file is in the way"));
    assert_int_equal(symlink("u.out", scratch_path(&dir, "link")), 0);
    options.fifo_path = scratch_path(&dir, "link");
    assert_int_equal(output_open(&options, &second, &e), -ELOOP);
    options.fifo_path = scratch_path(&dir, "none/u.out");
    assert_int_equal(output_open(&options, &second, &e), -ENOENT);
    assert_null(second);
    scratch_expect(&dir, "file", "x");
}

/* --- floods --- */

static void fill_pipe(void)
{
    static char block[4096];
    for (size_t i = 0; i < sizeof(block); i++)
        block[i] = i % 8 == 7 ? '\n' : 'f';
    assert_int_equal(fcntl(unit_fd, F_SETFL, O_NONBLOCK), 0);
    while (write(unit_fd, block, sizeof(block)) == (ssize_t)sizeof(block))
        ;
    assert_int_equal(fcntl(unit_fd, F_SETFL, 0), 0);
}

static int count_turn(sd_event_source *source, int fd, uint32_t events, void *user)
{
    (void)source, (void)events;
    uint64_t n;
    assert_int_equal(read(fd, &n, sizeof(n)), sizeof(n));
    ++*(int *)user;
    return 0;
}

static void one_turn_reads_a_bounded_amount_and_control_goes_first(void **state)
{
    (void)state;
    int turns = 0;
    const uint64_t one = 1;
    sd_event_source *control = NULL;
    _cleanup_close_ int fd = eventfd(0, EFD_CLOEXEC);
    assert_int_equal(sd_event_add_io(event, &control, fd, EPOLLIN, count_turn, &turns), 0);
    fill_pipe();
    for (int i = 1; i <= 10; i++) {
        uint64_t before = stats().bytes;
        assert_int_equal(write(fd, &one, sizeof(one)), sizeof(one));
        assert_true(sd_event_run(event, 0) > 0); /* both are ready */
        assert_int_equal(turns, i);
        assert_int_equal(stats().bytes, before);
        assert_true(sd_event_run(event, 0) > 0);
        assert_in_range(stats().bytes - before, 1, 32 * 1024);
    }
    sd_event_source_disable_unref(control);
}

static uint64_t written_lines, written_bytes;

static void print_numbered(unsigned from, unsigned count)
{
    char line[64];
    for (unsigned i = from; i < from + count; i++) {
        int n = snprintf(line, sizeof(line), "this is line number %u of a flood\n", i);
        print_bytes(line, (size_t)n);
        written_lines++;
        written_bytes += (uint64_t)n;
    }
}

static bool flood_is_told(void *user)
{
    (void)user;
    struct output_stats s = stats();
    return seen.dropped_lines == s.dropped_lines && seen.dropped_bytes == s.dropped_bytes &&
           s.dropped_lines > 0;
}

/* The lines of the unit that are in the file, and weir's own remarks. */
static void count_file_lines(uint64_t *ret_lines, uint64_t *ret_marks)
{
    char *file = scratch_read(&dir, "log/u.log", NULL);
    *ret_lines = *ret_marks = 0;
    for (char *line = file; *line; line = strchr(line, '\n') + 1) {
        assert_non_null(strchr(line, '\n'));
        bool is_mark = strncmp(line, "weir: ", 6) == 0;
        assert_true(is_mark || strncmp(line, "this is line number ", 20) == 0);
        *(is_mark ? ret_marks : ret_lines) += 1;
    }
    free(file);
}

static void a_flood_is_dropped_and_counted_exactly(void **state)
{
    (void)state;
    uint64_t lines, marks;
    written_lines = written_bytes = 0;
    output_set_limits(out, UINT64_MAX, 2, 10000);
    for (unsigned i = 0; i < 100; i++) {
        print_numbered(i * 100, 100);
        loop_settle(event);
    }
    assert_true(loop_until(event, flood_is_told, NULL)); /* within the second, without further output */
    struct output_stats s = stats();
    assert_int_equal(s.lines + s.dropped_lines, written_lines);
    assert_int_equal(s.bytes + s.dropped_bytes, written_bytes);
    assert_int_equal(seen.lines, written_lines); /* on_line gets all */
    assert_true(s.lines >= 200 && s.dropped_lines > 1000);
    assert_int_equal(seen.dropped_lines, s.dropped_lines);
    count_file_lines(&lines, &marks);
    assert_int_equal(lines, s.lines);
    assert_int_equal(marks, seen.dropped_calls);
    print_numbered(0, 1); /* the next second takes lines again */
    loop_settle(event);
    assert_int_equal(stats().lines, s.lines + 1);
}

static void a_low_rate_still_shows_one_line_a_second(void **state)
{
    (void)state;
    output_set_limits(out, UINT64_MAX, 2, 3);
    print("longer than three\nsecond\nthird\n");
    loop_settle(event);
    assert_int_equal(stats().lines + stats().dropped_lines, 3);
    assert_true(stats().lines >= 1);
    out = output_close(out, false); /* tells what was not told yet */
    assert_true(seen.dropped_calls == 1 && seen.dropped_lines == 2 && seen.dropped_bytes == 13);
    scratch_expect(&dir, "log/u.log",
                   "longer than three\nweir: 2 lines (13 bytes) above log_rate were dropped here\n");
}

static void a_long_line_that_loses_a_part_is_a_dropped_line(void **state)
{
    (void)state;
    static char line[20001];
    memset(line, 'x', sizeof(line));
    line[20000] = '\n';
    output_set_limits(out, UINT64_MAX, 2, 6000);
    print_bytes(line, sizeof(line));
    loop_settle(event);
    struct output_stats s = stats();
    assert_int_equal(s.bytes + s.dropped_bytes, sizeof(line));
    assert_int_equal(s.dropped_lines, 1);
    assert_int_equal(s.lines, 0);
    char *file = scratch_read(&dir, "log/u.log", NULL);
    assert_true(strlen(file) > 4000 && file[strlen(file) - 1] == '\n');
    free(file);
}

static void exact_counts_whatever_comes(void **state)
{
    (void)state;
    uint64_t seed = 5, bytes = 0, newlines = 0;
    output_set_limits(out, 50000, 2, 20000);
    for (int i = 0; i < 300; i++) {
        char data[9000];
        size_t n = 1 + rng_below(&seed, sizeof(data));
        for (size_t j = 0; j < n; j++) {
            data[j] = rng_below(&seed, 300) ? 'y' : '\n';
            newlines += data[j] == '\n';
        }
        print_bytes(data, n);
        bytes += n;
        loop_settle(event);
    }
    struct output_stats s = stats();
    assert_int_equal(s.bytes + s.dropped_bytes, bytes);
    assert_int_equal(s.lines + s.dropped_lines, newlines);
}

/* --- the disk --- */

static void rotates_by_size_and_keeps_n(void **state)
{
    (void)state;
    output_set_limits(out, 20, 2, UINT64_MAX);
    print("line one\nline two\nline three\nline four\nline five\nline six\n");
    loop_settle(event);
    scratch_expect(&dir, "log/u.log.2", "line three\n");
    scratch_expect(&dir, "log/u.log.1", "line four\nline five\n");
    scratch_expect(&dir, "log/u.log", "line six\n");
    assert_int_equal(stats().rotations, 3);
}

static void a_full_disk_is_told_once_and_never_stops_reading(void **state)
{
    (void)state;
    struct rlimit old, small;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    small = (struct rlimit){.rlim_cur = 4, .rlim_max = old.rlim_max};
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    for (int i = 0; i < 3; i++) {
        print("full\n");
        loop_settle(event);
    }
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    expect_lines("[full][full][full]");
    assert_int_equal(seen.log_failures, 1);
    assert_non_null(strstr(seen.failure, "log/u.log: File too large"));
    assert_int_equal(stats().write_errors, 1);
    assert_int_equal(stats().unwritten_bytes, 11);
    loop_for(event, 1100000);
    print("room\n");
    loop_settle(event);
    assert_int_equal(seen.log_failures, 1);
    assert_int_equal(seen.log_recoveries, 1);
    scratch_expect(&dir, "log/u.log", "full\nweir: 11 bytes of output could not be written here\nroom\n");
}

static void an_unusable_log_folder_is_no_reason_not_to_start(void **state)
{
    (void)state;
    out = output_close(out, false);
    assert_int_equal(unlink(scratch_path(&dir, "log/u.log")), 0);
    assert_int_equal(rmdir(scratch_path(&dir, "log")), 0);
    scratch_write(&dir, "log", "in the way");
    open_output();
    assert_int_equal(seen.log_failures, 1);
    assert_non_null(strstr(seen.failure, "log/u.log: Not a directory"));
    print("heard\n");
    loop_settle(event);
    expect_lines("[heard]");
    assert_int_equal(seen.log_failures, 1);
}

/* --- copies --- */

/* stderr is this fd while the output is opened. */
static void open_with_stderr(int fd)
{
    _cleanup_close_ int saved = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 10);
    out = output_close(out, false);
    options.echo = true;
    assert_int_equal(dup2(fd, STDERR_FILENO), STDERR_FILENO);
    open_output();
    assert_int_equal(dup2(saved, STDERR_FILENO), STDERR_FILENO);
}

static void echo_names_the_unit(void **state)
{
    (void)state;
    int ends[2];
    char text[100];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    open_with_stderr(ends[1]);
    print("hello\nworld\n");
    loop_settle(event);
    ssize_t n = read(ends[0], text, sizeof(text));
    assert_int_equal(n, 18);
    assert_memory_equal(text, "u| hello\nu| world\n", 18);
    assert_int_equal(fcntl(ends[1], F_GETFL) & O_NONBLOCK, 0); /* the shell's description is untouched */
    close(ends[0]);
    close(ends[1]);
}

static void a_stopped_terminal_stops_nothing(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    (void)fcntl(ends[1], F_SETPIPE_SZ, 4096);
    open_with_stderr(ends[1]);
    for (int i = 0; i < 5; i++) {
        fill_pipe();
        loop_settle(event);
    }
    assert_true(stats().skipped_lines > 0);
    assert_int_equal(stats().dropped_lines, 0);
    (void)signal(SIGPIPE, SIG_IGN);
    close(ends[0]); /* and gone altogether */
    print("on\n");
    loop_settle(event);
    print("and on\n");
    loop_settle(event);
    size_t size;
    char *file = scratch_read(&dir, "log/u.log", &size);
    assert_string_equal(file + size - 10, "on\nand on\n");
    free(file);
    close(ends[1]);
}

static void echo_to_a_file_appends_with_the_shells_offset(void **state)
{
    (void)state;
    int fd = open(scratch_path(&dir, "err"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(write(fd, "weir: hello\n", 12), 12);
    open_with_stderr(fd);
    print("a\n");
    loop_settle(event);
    assert_int_equal(write(fd, "weir: bye\n", 10), 10);
    scratch_expect(&dir, "err", "weir: hello\nu| a\nweir: bye\n");
    close(fd);
}

/* As the journal's stream: a socket whose reader stops, and goes on. Whole lines or none, in order. */
static void a_slow_journal_gets_whole_lines_in_order(void **state)
{
    (void)state;
    int ends[2];
    static struct linesink sink;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    linesink_init(&sink, event, ends[0]);
    char line[1000];
    memset(line, 'j', sizeof(line));
    unsigned put = 0;
    while (sink.dropped_lines < 10) {
        linesink_put(&sink, "", line, sizeof(line));
        linesink_flush(&sink);
        put++;
    }
    uint64_t wanted = (put - sink.dropped_lines) * (sizeof(line) + 1), got = 0;
    while (got < wanted) {
        char text[8192];
        ssize_t n = recv(ends[1], text, sizeof(text), MSG_DONTWAIT);
        for (ssize_t i = 0; i < n; i++)
            assert_int_equal(text[i], (got + (uint64_t)i) % 1001 == 1000 ? '\n' : 'j');
        got += n > 0 ? (uint64_t)n : 0;
        assert_true(sd_event_run(event, 10000) >= 0);
    }
    assert_int_equal(got, wanted);
    assert_int_equal(sink.length, 0);
    close(ends[1]);
    linesink_put(&sink, "", "x", 1);
    linesink_flush(&sink); /* EPIPE without a signal */
    assert_int_equal(sink.fd, -1);
    linesink_deinit(&sink);
    linesink_deinit(&sink);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_line_goes_to_file_callback_and_tail),
        TEST(an_unfinished_line_is_in_the_file_at_once),
        TEST(bytes_are_kept_as_they_are),
        TEST(a_long_line_is_cut_for_all_but_the_file),
        TEST(the_file_is_what_the_unit_wrote),
        TEST(the_tail_is_the_last_20_lines_oldest_first),
        TEST(the_fifo_is_private_and_the_units_end_blocks),
        TEST(lines_wait_in_the_pipe_while_weir_is_away),
        TEST(a_line_cut_by_a_change_of_weir_is_whole_in_the_file),
        TEST(the_end_of_a_unit_ends_its_last_line),
        TEST(drain_reads_the_last_words),
        TEST(something_else_in_the_way_is_told),
        TEST(one_turn_reads_a_bounded_amount_and_control_goes_first),
        TEST(a_flood_is_dropped_and_counted_exactly),
        TEST(a_low_rate_still_shows_one_line_a_second),
        TEST(a_long_line_that_loses_a_part_is_a_dropped_line),
        TEST(exact_counts_whatever_comes),
        TEST(rotates_by_size_and_keeps_n),
        TEST(a_full_disk_is_told_once_and_never_stops_reading),
        TEST(an_unusable_log_folder_is_no_reason_not_to_start),
        TEST(echo_names_the_unit),
        TEST(a_stopped_terminal_stops_nothing),
        TEST(echo_to_a_file_appends_with_the_shells_offset),
        TEST(a_slow_journal_gets_whole_lines_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
