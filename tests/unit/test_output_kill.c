/* SPDX-License-Identifier: MIT */
/* kill -9 at any instant: the log file has each byte the unit printed exactly once, in order. First at every boundary of
 * a system call, one by one; then 200 times at random moments while a unit prints. */
#include "loop.h"
#include "scratch.h"

#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

#include "weir/app/output.h"
#include "weir/base/units.h"

enum { KILLS = 200, LINE_MAX_BYTES = 256, ROTATED_MAX = 9, BURST_BYTES = 100 * 1024 };

static struct scratch dir;
static int unit_fd;
static struct output_options options;

/* Between the processes. */
static struct shared {
    _Atomic unsigned ready, rounds; /* weirs that have opened the output; that were begun */
    _Atomic bool is_over;
    _Atomic unsigned lines; /* printed, whole */
} * shared;

static int setup(void **state)
{
    (void)state;
    scratch_init(&dir);
    assert_int_equal(mkfifo(scratch_path(&dir, "u.out"), 0600), 0);
    unit_fd = open(scratch_path(&dir, "u.out"), O_RDWR | O_CLOEXEC);
    shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    options = (struct output_options){
        .unit = "u", .log_size_bytes = UINT64_MAX, .log_files = ROTATED_MAX, .rate_bytes = UINT64_MAX};
    return unit_fd < 0 || shared == MAP_FAILED ? -1 : 0;
}

static int teardown(void **state)
{
    (void)state;
    close(unit_fd);
    munmap(shared, sizeof(*shared));
    scratch_deinit(&dir);
    return 0;
}

/* --- what the unit prints --- */

static size_t line_text(unsigned number, char text[static LINE_MAX_BYTES])
{
    int n = snprintf(text, LINE_MAX_BYTES, "line %u %.*s\n", number, (int)(number * 37 % 200),
                     "................................................................................"
                     "................................................................................"
                     "........................................");
    return (size_t)n;
}

static bool print(const char *data, size_t size)
{
    while (size > 0) {
        ssize_t n = write(unit_fd, data, size);
        if (n < 0)
            return false;
        data += n;
        size -= (size_t)n;
    }
    return true;
}

/* --- what the files hold --- */

/* All of the log, oldest file first. */
static char *read_log(size_t *ret_size)
{
    char *all = NULL, name[32];
    size_t total = 0;
    for (int i = ROTATED_MAX; i >= 0; i--) {
        size_t size;
        snprintf(name, sizeof(name), i ? "u.log.%d" : "u.log", i);
        char *data = scratch_read(&dir, name, &size);
        all = realloc(all, total + size + 1);
        assert_non_null(all);
        memcpy(all + total, data, size + 1);
        total += size;
        free(data);
    }
    *ret_size = total;
    return all;
}

static void expect_every_line(unsigned lines)
{
    char text[LINE_MAX_BYTES];
    size_t size, at = 0;
    char *all = read_log(&size);
    for (unsigned i = 0; i < lines; i++) {
        size_t n = line_text(i, text);
        if (n > size - at || memcmp(all + at, text, n) != 0)
            fail_msg("instead of line %u: %.60s", i, all + at);
        at += n;
    }
    assert_int_equal(size, at);
    free(all);
}

/* None twice, none out of order. A killed weir does not tell what it dropped, and of a line it had dropped one half of
 * the next one may keep the other: at most one of both a kill. */
static void expect_rising_lines(unsigned lines, unsigned kills)
{
    char text[LINE_MAX_BYTES];
    size_t size;
    unsigned next = 0, unmarked = 0, torn = 0, number;
    bool is_marked = false;
    char *all = read_log(&size);
    for (char *line = all, *end; *line; line = end + 1) {
        end = strchr(line, '\n');
        assert_non_null(end);
        bool is_mark = strncmp(line, "weir: ", 6) == 0;
        bool is_line = sscanf(line, "line %u ", &number) == 1;
        if (is_line) {
            assert_in_range(number, next, lines - 1);
            assert_int_equal(line_text(number, text), end + 1 - line);
            assert_memory_equal(line, text, end + 1 - line);
            unmarked += number != next && !is_marked;
            next = number + 1;
        }
        torn += !is_line && !is_mark;
        is_marked = is_mark || (is_marked && !is_line);
    }
    assert_true(unmarked <= kills && torn <= kills);
    assert_true(next > 0);
    free(all);
}

/* --- weir --- */

static struct output *open_output(sd_event **event)
{
    struct err e = ERR_NULL;
    struct output *out = NULL;
    options.fifo_path = scratch_path(&dir, "u.out");
    options.log_path = scratch_path(&dir, "u.log");
    if (sd_event_new(event) < 0)
        return NULL;
    options.event = *event;
    return output_open(&options, &out, &e) < 0 ? NULL : out;
}

/* The last weir, which nobody kills. */
static void finish(void)
{
    sd_event *event = NULL;
    struct output *out = open_output(&event);
    assert_non_null(out);
    loop_settle(event);
    output_close(out, true);
    sd_event_unref(event);
}

/* A process that ends with the test. */
static pid_t begin(void)
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    return pid;
}

/* --- at each boundary of a system call --- */

_Noreturn static void be_a_traced_weir(void)
{
    if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
        _exit(2);
    (void)raise(SIGSTOP);
    sd_event *event = NULL;
    if (!open_output(&event))
        _exit(1);
    while (sd_event_run(event, 0) > 0)
        ;
    _exit(0);
}

/* False: it was over before. */
static bool kill_at_boundary(unsigned n)
{
    int status;
    pid_t pid = begin();
    if (pid == 0)
        be_a_traced_weir();
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 2) {
        print_message("ptrace(2) is not allowed here\n");
        skip();
    }
    for (unsigned i = 0; i <= n && WIFSTOPPED(status); i++) {
        assert_int_equal(ptrace(PTRACE_SYSCALL, pid, NULL, NULL), 0);
        assert_int_equal(waitpid(pid, &status, 0), pid);
    }
    if (WIFEXITED(status)) {
        assert_int_equal(WEXITSTATUS(status), 0);
        return false;
    }
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return true;
}

/* Two turns of the loop and some rotations. */
static unsigned print_two_turns(void)
{
    char text[LINE_MAX_BYTES];
    unsigned lines = 0;
    for (size_t total = 0, n; total < 48 * 1024; total += n) {
        n = line_text(lines++, text);
        assert_true(print(text, n));
    }
    return lines;
}

static void kill_at_every_boundary(void **state, uint64_t rate_bytes)
{
    unsigned n = 0;
    for (bool was_killed = true; was_killed; n++) {
        options.log_size_bytes = 12 * 1024;
        options.rate_bytes = rate_bytes;
        unsigned lines = print_two_turns();
        was_killed = kill_at_boundary(n);
        finish();
        if (rate_bytes == UINT64_MAX)
            expect_every_line(lines);
        else
            expect_rising_lines(lines, 1);
        (void)teardown(state);
        (void)setup(state);
    }
    assert_true(n > 50);
}

static void killed_at_every_system_call(void **state)
{
    kill_at_every_boundary(state, UINT64_MAX);
}

static void killed_at_every_system_call_while_it_drops(void **state)
{
    kill_at_every_boundary(state, 20000);
}

/* --- at random moments --- */

static void wait_us(uint64_t us)
{
    struct timespec t = {(time_t)(us / USEC_PER_SEC), (long)(us % USEC_PER_SEC) * 1000};
    (void)nanosleep(&t, NULL);
}

/* Prints in writes of any size, a bounded amount for each weir; steady: with pauses in between. */
_Noreturn static void be_the_unit(uint64_t seed, bool is_steady)
{
    static char data[BURST_BYTES + LINE_MAX_BYTES];
    for (unsigned round = 1, number = 0; !shared->is_over; round++) {
        while (shared->rounds < round && !shared->is_over)
            wait_us(20);
        size_t size = 0;
        while (size < BURST_BYTES)
            size += line_text(number++, data + size);
        for (size_t at = 0, n; at < size; at += n) {
            n = 1 + rng_below(&seed, is_steady ? 3000 : 20000);
            n = n < size - at ? n : size - at;
            if (!print(data + at, n))
                _exit(1);
            if (is_steady)
                wait_us(rng_below(&seed, 50));
        }
        shared->lines = number;
    }
    _exit(0);
}

_Noreturn static void be_weir(void)
{
    sd_event *event = NULL;
    if (!open_output(&event))
        _exit(1);
    shared->ready++;
    (void)sd_event_loop(event);
    _exit(1);
}

/* Every other one is killed as soon as while it opens the output. */
static void run_and_kill(uint64_t *seed)
{
    int status;
    unsigned ready = shared->ready;
    bool is_ready_first = ++shared->rounds % 2;
    pid_t pid = begin();
    if (pid == 0)
        be_weir();
    for (unsigned i = 0; is_ready_first && shared->ready == ready && i < 100000; i++)
        wait_us(20);
    wait_us(rng_below(seed, is_ready_first ? 1000 : 3000));
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

/* Reads all the rest; the unit may wait for room in the pipe until then. */
static void wait_for_unit(pid_t unit)
{
    int status;
    sd_event *event = NULL;
    struct output *out = open_output(&event);
    assert_non_null(out);
    while (waitpid(unit, &status, WNOHANG) == 0)
        assert_true(sd_event_run(event, 1000) >= 0);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    loop_settle(event);
    output_close(out, true);
    sd_event_unref(event);
}

static void kill_at_random_moments(uint64_t seed, bool is_steady)
{
    pid_t unit = begin();
    if (unit == 0)
        be_the_unit(seed, is_steady);
    for (unsigned i = 0; i < KILLS; i++)
        run_and_kill(&seed);
    shared->is_over = true;
    wait_for_unit(unit);
}

static void killed_200_times_with_a_steady_unit(void **state)
{
    (void)state;
    kill_at_random_moments(1, true);
    expect_every_line(shared->lines);
}

static void killed_200_times_in_a_flood(void **state)
{
    (void)state;
    options.log_size_bytes = 4 * 1024 * 1024;
    kill_at_random_moments(2, false);
    expect_every_line(shared->lines);
}

static void killed_200_times_while_it_drops(void **state)
{
    (void)state;
    options.rate_bytes = 30000;
    kill_at_random_moments(3, false);
    expect_rising_lines(shared->lines, KILLS);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(killed_at_every_system_call),         TEST(killed_at_every_system_call_while_it_drops),
        TEST(killed_200_times_with_a_steady_unit), TEST(killed_200_times_in_a_flood),
        TEST(killed_200_times_while_it_drops),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
