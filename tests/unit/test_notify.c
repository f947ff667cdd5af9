/* SPDX-License-Identifier: MIT */
/* The notify socket against libsystemd's own sd_notify(), and against what a stranger may send. */
#include "loop.h"
#include "scratch.h"

#include <errno.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <systemd/sd-daemon.h>

#include "weir/app/probe.h"
#include "weir/base/cleanup.h"

static struct scratch dir;
static sd_event *event;
static struct notify_socket *sock;
static char heard[20000];
static pid_t asked_about;
static bool is_allowed;

static bool on_allowed(void *user, pid_t pid)
{
    assert_ptr_equal(user, heard);
    asked_about = pid;
    return is_allowed;
}

static void on_message(void *user, const char *key, const char *value)
{
    assert_ptr_equal(user, heard);
    size_t n = strlen(heard);
    snprintf(heard + n, sizeof(heard) - n, "<%s|%s>", key, value);
}

static int setup(void **state)
{
    (void)state;
    struct err e = ERR_NULL;
    scratch_init(&dir);
    heard[0] = '\0';
    asked_about = 0;
    is_allowed = true;
    assert_int_equal(sd_event_new(&event), 0);
    assert_int_equal(
        notify_open(event, scratch_path(&dir, "u.notify"), on_allowed, on_message, heard, &sock, &e), 0);
    assert_int_equal(setenv("NOTIFY_SOCKET", scratch_path(&dir, "u.notify"), 1), 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    sock = notify_close(sock);
    sd_event_unref(event);
    scratch_deinit(&dir);
    return 0;
}

static int client(void)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    snprintf(to.sun_path, sizeof(to.sun_path), "%s/u.notify", dir.path);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
    return fd;
}

static void say(const char *data, size_t size)
{
    _cleanup_close_ int fd = client();
    assert_int_equal(send(fd, data, size, 0), size);
    loop_settle(event);
}

static void hears_sd_notify(void **state)
{
    (void)state;
    assert_int_equal(sd_notify(0, "READY=1\nSTATUS=Serving = well\nno assignment\n=nameless\nEMPTY="), 1);
    loop_settle(event);
    assert_string_equal(heard, "<READY|1><STATUS|Serving = well><EMPTY|>");
    assert_int_equal(asked_about, getpid());
    assert_int_equal(notify_ignored_count(sock), 0);
}

static void any_user_may_write_and_the_socket_goes_with_close(void **state)
{
    (void)state;
    struct stat st;
    assert_int_equal(stat(scratch_path(&dir, "u.notify"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0666);
    sock = notify_close(sock);
    assert_false(scratch_exists(&dir, "u.notify"));
    assert_null(notify_close(NULL));
}

static void the_sender_is_who_the_kernel_says(void **state)
{
    (void)state;
    pid_t child = fork();
    if (child == 0)
        _exit(sd_notify(0, "READY=1") == 1 ? 0 : 1);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    is_allowed = false;
    loop_settle(event);
    assert_int_equal(asked_about, child);
    assert_string_equal(heard, "");
    assert_int_equal(notify_ignored_count(sock), 1);
}

static void a_message_is_bounded(void **state)
{
    (void)state;
    static char text[8193];
    memset(text, 'x', sizeof(text));
    memcpy(text, "STATUS=", 7);
    say(text, 8193);
    assert_string_equal(heard, "");
    assert_int_equal(notify_ignored_count(sock), 1);
    say(text, 8192);
    assert_int_equal(strlen(heard), 8192 + 2);
}

static void a_nul_inside_spoils_it_one_at_the_end_does_not(void **state)
{
    (void)state;
    say("READY=1\0STATUS=x", 16);
    assert_string_equal(heard, "");
    assert_int_equal(notify_ignored_count(sock), 1);
    say("READY=1", 8);
    assert_string_equal(heard, "<READY|1>");
    say("", 0);
    say("\n\n", 2);
    assert_string_equal(heard, "<READY|1>");
}

static void received_fds_are_closed(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(sd_pid_notify_with_fds(0, 0, "FDSTORE=1", (int[]){ends[1], ends[1], ends[1]}, 3), 1);
    close(ends[1]);
    struct pollfd closed = {.fd = ends[0], .events = POLLIN};
    assert_int_equal(poll(&closed, 1, 0), 0);
    loop_settle(event);
    assert_int_equal(poll(&closed, 1, 0), 1);
    assert_int_equal(closed.revents, POLLHUP);
    assert_string_equal(heard, "<FDSTORE|1>");
    close(ends[0]);
}

static void the_barrier_is_answered(void **state)
{
    (void)state;
    pid_t child = fork();
    if (child == 0)
        _exit(sd_notify_barrier(0, 10 * 1000 * 1000) > 0 ? 0 : 1);
    int status;
    uint64_t end = loop_now_us() + LOOP_LIMIT_US;
    while (waitpid(child, &status, WNOHANG) == 0 && loop_now_us() < end)
        assert_true(sd_event_run(event, 10000) >= 0);
    assert_int_equal(status, 0);
    assert_string_equal(heard, "<BARRIER|1>");
}

static int count_turn(sd_event_source *source, int fd, uint32_t events, void *user)
{
    (void)source, (void)fd, (void)events;
    ++*(int *)user;
    return 0;
}

static void a_flood_leaves_turns_to_others(void **state)
{
    (void)state;
    int turns = 0;
    sd_event_source *other = NULL;
    _cleanup_close_ int fd = client();
    int sent = 0;
    while (sent < 200 && send(fd, "X=1", 3, MSG_DONTWAIT) == 3)
        sent++;
    assert_true(sent >= 5);
    _cleanup_close_ int ready = eventfd(1, EFD_CLOEXEC); /* something else that always has work */
    assert_int_equal(sd_event_add_io(event, &other, ready, EPOLLIN, count_turn, &turns), 0);
    for (int i = 0; i < 6; i++)
        assert_true(sd_event_run(event, 0) >= 0);
    assert_in_range(turns, 2, 4);
    sd_event_source_disable_unref(other);
}

static void a_left_over_socket_is_replaced_and_a_long_path_refused(void **state)
{
    (void)state;
    struct err e = ERR_NULL;
    struct notify_socket *second = NULL;
    assert_int_equal(
        notify_open(event, scratch_path(&dir, "u.notify"), on_allowed, on_message, heard, &second, &e), 0);
    say("READY=1", 7);
    assert_string_equal(heard, "<READY|1>");
    second = notify_close(second);
    char path[200];
    memset(path, 'x', sizeof(path));
    path[sizeof(path) - 1] = '\0';
    assert_int_equal(notify_open(event, path, on_allowed, on_message, heard, &second, &e), -ENAMETOOLONG);
    assert_non_null(strstr(e.text, "choose a shorter run_dir"));
    assert_int_equal(notify_open(event, "/proc/none/x", on_allowed, on_message, heard, &second, &e), -ENOENT);
    assert_null(second);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(hears_sd_notify),
        TEST(any_user_may_write_and_the_socket_goes_with_close),
        TEST(the_sender_is_who_the_kernel_says),
        TEST(a_message_is_bounded),
        TEST(a_nul_inside_spoils_it_one_at_the_end_does_not),
        TEST(received_fds_are_closed),
        TEST(the_barrier_is_answered),
        TEST(a_flood_leaves_turns_to_others),
        TEST(a_left_over_socket_is_replaced_and_a_long_path_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
