/* SPDX-License-Identifier: MIT */
/*
 * The thread that takes memory back, with pipes for memory.reclaim (what is written can be read, and a full one blocks as a
 * slow kernel does) and a file for memory.current. Also run under TSan.
 */
#include "loop.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../../src/app/reclaim.h"
#include "weir/base/fdio.h"

#define MIB   (UINT64_C(1) << 20)
#define UNITS 3

/* A unit's files as the kernel would have them. */
struct files {
    int told; /* what was written to memory.reclaim */
    int current;
    struct host_reclaim host; /* the job's own */
};

static sd_event *event;
static struct reclaimer *reclaimer;
static struct reclaim_done done[8];
static unsigned done_count;

static void on_done(void *user, const struct reclaim_done *d)
{
    assert_ptr_equal(user, &done_count);
    done[done_count++] = *d;
}

static bool is_one_done(void *user)
{
    (void)user;
    return done_count >= 1;
}

static bool are_two_done(void *user)
{
    (void)user;
    return done_count >= 2;
}

static int setup(void **state)
{
    (void)state;
    (void)signal(SIGPIPE, SIG_IGN);
    done_count = 0;
    assert_true(sd_event_new(&event) >= 0);
    assert_int_equal(reclaimer_new(event, UNITS, on_done, &done_count, &reclaimer), 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    reclaimer = reclaimer_free(reclaimer);
    event = sd_event_unref(event);
    return 0;
}

static void set_current(const struct files *f, uint64_t bytes)
{
    char text[32];
    int n = snprintf(text, sizeof(text), "%llu\n", (unsigned long long)bytes);
    assert_int_equal(ftruncate(f->current, 0), 0);
    assert_int_equal(pwrite(f->current, text, (size_t)n, 0), n);
}

static void files_init(struct files *f, uint64_t current)
{
    int fds[2];
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    f->told = fds[0];
    f->current = memfd_create("memory.current", MFD_CLOEXEC);
    assert_true(f->current >= 0);
    f->host = (struct host_reclaim){fds[1], dup(f->current)};
    set_current(f, current);
}

static void files_deinit(struct files *f)
{
    if (f->told >= 0)
        close(f->told);
    close(f->current);
}

/* Full: the next write waits, or with O_NONBLOCK is EAGAIN. */
static void fill(const struct files *f, bool and_block)
{
    char page[4096] = "";
    (void)fcntl(f->host.reclaim_fd, F_SETFL, O_NONBLOCK);
    while (write(f->host.reclaim_fd, page, sizeof(page)) > 0)
        ;
    if (and_block)
        (void)fcntl(f->host.reclaim_fd, F_SETFL, 0);
}

static int begin(uint16_t unit, uint64_t bytes, struct files *f)
{
    struct reclaim_job job = {
        .unit = unit, .generation = 7, .decision_id = 40U + unit, .bytes = bytes, .host = f->host};
    f->host = HOST_RECLAIM_NULL;
    return reclaimer_begin(reclaimer, &job);
}

static void a_job_is_done_in_pieces(void **state)
{
    (void)state;
    struct files f;
    char told[256] = "";
    files_init(&f, 100 * MIB);
    assert_int_equal(begin(1, 20 * MIB, &f), 0);
    assert_true(loop_until(event, is_one_done, NULL));
    assert_true(read(f.told, told, sizeof(told) - 1) > 0);
    assert_string_equal(told, "8388608"
                              "8388608"
                              "4194304");
    assert_int_equal(done[0].unit, 1);
    assert_int_equal(done[0].generation, 7);
    assert_int_equal(done[0].decision_id, 41);
    assert_int_equal(done[0].result, 0);
    assert_int_equal(done[0].fell_bytes, 0); /* it stands where it stood */
    files_deinit(&f);
}

/* The thread's first reading is taken by the time it writes. proc_pid_syscall(5): the number of the call it is in. */
static bool is_writing(void *user)
{
    (void)user;
    bool found = false;
    DIR *tasks = opendir("/proc/self/task");
    for (struct dirent *e; tasks && (e = readdir(tasks));) {
        char path[64], text[256] = "";
        (void)snprintf(path, sizeof(path), "/proc/self/task/%.20s/syscall", e->d_name);
        found |= fd_read_text_at(AT_FDCWD, path, text, sizeof(text)) > 0 &&
                 strtol(text, NULL, 10) == SYS_write && text[0] >= '0' && text[0] <= '9';
    }
    if (tasks)
        closedir(tasks);
    return found;
}

/* The write waits until the pipe is read, which is when memory has fallen. */
static void by_how_much_memory_fell_is_told(void **state)
{
    (void)state;
    struct files f;
    static char drained[1 << 20];
    files_init(&f, 100 * MIB);
    fill(&f, true);
    assert_int_equal(begin(0, 8 * MIB, &f), 0);
    assert_true(loop_until(event, is_writing, NULL));
    assert_int_equal(done_count, 0);
    set_current(&f, 93 * MIB);
    assert_true(read(f.told, drained, sizeof(drained)) > 0);
    assert_true(loop_until(event, is_one_done, NULL));
    assert_int_equal(done[0].result, 0);
    assert_int_equal(done[0].fell_bytes, 7 * MIB);
    files_deinit(&f);
}

static void eagain_ends_a_job_in_part(void **state)
{
    (void)state;
    struct files f;
    files_init(&f, 100 * MIB);
    fill(&f, false);
    assert_int_equal(begin(0, 64 * MIB, &f), 0);
    assert_true(loop_until(event, is_one_done, NULL));
    assert_int_equal(done[0].result, -EAGAIN);
    files_deinit(&f);
}

static void what_the_kernel_refuses_is_told(void **state)
{
    (void)state;
    struct files f;
    files_init(&f, 100 * MIB);
    close(f.told);
    f.told = -1;
    assert_int_equal(begin(0, 8 * MIB, &f), 0);
    assert_true(loop_until(event, is_one_done, NULL));
    assert_int_equal(done[0].result, -EPIPE);
    files_deinit(&f);
}

static void a_unit_has_one_job_at_a_time_and_others_do_not_wait_for_it(void **state)
{
    (void)state;
    struct files slow, second, other;
    files_init(&slow, 100 * MIB);
    files_init(&second, 100 * MIB);
    files_init(&other, 100 * MIB);
    assert_int_equal(begin(2, 8 * MIB, &other), 0);
    assert_int_equal(begin(0, 64 * MIB, &slow), 0);
    assert_int_equal(begin(0, 8 * MIB, &second), -EBUSY);
    char byte;
    assert_int_equal(read(second.told, &byte, 1),
                     0); /* its descriptors were closed: nobody is left to write */
    assert_true(loop_until(event, are_two_done, NULL));
    assert_int_equal(done[0].decision_id + done[1].decision_id, 40 + 42);
    assert_int_equal(done[0].result, 0);
    assert_int_equal(done[1].result, 0);
    files_deinit(&slow);
    files_deinit(&second);
    files_deinit(&other);
}

/* The thread is in the middle of a write that never ends: the loop gets on, and nobody hears of that job again. */
static void a_cancelled_job_is_interrupted_and_forgotten(void **state)
{
    (void)state;
    struct files stuck, next;
    files_init(&stuck, 100 * MIB);
    files_init(&next, 100 * MIB);
    fill(&stuck, true);
    int stuck_fd = stuck.host.reclaim_fd;
    assert_int_equal(begin(1, 64 * MIB, &stuck), 0);
    loop_for(event, 20000);
    reclaimer_cancel(reclaimer, 1);
    assert_int_equal(fcntl(stuck_fd, F_GETFD), -1); /* let go before the cancel returned */
    assert_int_equal(begin(1, 8 * MIB, &next), 0);
    assert_true(loop_until(event, is_one_done, NULL));
    loop_for(event, 20000);
    assert_int_equal(done_count, 1);
    assert_int_equal(done[0].result, 0);
    files_deinit(&stuck);
    files_deinit(&next);
}

static void a_job_done_but_not_yet_told_is_forgotten_too(void **state)
{
    (void)state;
    struct files f;
    char told[32];
    files_init(&f, 100 * MIB);
    assert_int_equal(begin(1, MIB, &f), 0);
    assert_true(read(f.told, told, sizeof(told)) > 0); /* written */
    reclaimer_cancel(reclaimer, 1);
    loop_for(event, 20000);
    assert_int_equal(done_count, 0);
    files_deinit(&f);
}

static void the_end_does_not_wait_for_a_stuck_write(void **state)
{
    (void)state;
    struct files f;
    files_init(&f, 100 * MIB);
    fill(&f, true);
    assert_int_equal(begin(1, 64 * MIB, &f), 0);
    loop_for(event, 20000);
    uint64_t before = loop_now_us();
    reclaimer = reclaimer_free(reclaimer);
    assert_true(loop_now_us() - before < 1000000);
    files_deinit(&f);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_job_is_done_in_pieces),
        TEST(by_how_much_memory_fell_is_told),
        TEST(eagain_ends_a_job_in_part),
        TEST(what_the_kernel_refuses_is_told),
        TEST(a_unit_has_one_job_at_a_time_and_others_do_not_wait_for_it),
        TEST(a_cancelled_job_is_interrupted_and_forgotten),
        TEST(a_job_done_but_not_yet_told_is_forgotten_too),
        TEST(the_end_does_not_wait_for_a_stuck_write),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
