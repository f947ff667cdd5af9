/* SPDX-License-Identifier: MIT */
/* Ends of pipes, sockets and files: never blocking, flags of the other side's description as they were, no event after the end. */
#include "check.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "end.h"
#include "weir/base/cleanup.h"

static int events_of(int epoll_fd, uint64_t *ret_tag, uint32_t *ret_events)
{
    struct epoll_event event = {0};
    int n = epoll_wait(epoll_fd, &event, 1, 0);
    *ret_tag = event.data.u64;
    *ret_events = event.events;
    return n;
}

static void a_servers_pipe_keeps_its_flags(void **state)
{
    int fds[2];
    char buf[8];
    struct end e;
    (void)state;
    assert_int_equal(pipe(fds), 0); /* NOLINT: as a server makes it */
    int shared = dup(fds[0]);       /* the server's own idea of it */
    end_adopt(&e, fds[0], true);
    assert_int_equal(e.kind, END_PIPE);
    assert_int_equal(fcntl(shared, F_GETFL) & O_NONBLOCK, 0);
    assert_int_equal(fcntl(e.fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    assert_int_equal(end_read(&e, buf, sizeof(buf)), -EAGAIN);
    assert_false(e.ready);
    assert_int_equal(write(fds[1], "abc", 3), 3);
    assert_int_equal(end_read(&e, buf, sizeof(buf)), 3);
    close(fds[1]);
    assert_int_equal(end_read(&e, buf, sizeof(buf)), 0);
    end_close(&e);
    close(shared);
}

static void a_pipe_of_our_own_is_empty_after_a_short_read(void **state)
{
    int fds[2];
    char buf[8];
    struct end e;
    (void)state;
    assert_int_equal(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
    end_own(&e, fds[0], true);
    assert_int_equal(write(fds[1], "abc", 3), 3);
    assert_int_equal(end_read(&e, buf, sizeof(buf)), 3);
    assert_false(e.ready);
    /* but its end may have come with the same event */
    end_event(&e, EPOLLIN | EPOLLHUP);
    assert_int_equal(write(fds[1], "abc", 3), 3);
    close(fds[1]);
    assert_int_equal(end_read(&e, buf, sizeof(buf)), 3);
    assert_true(e.ready);
    assert_int_equal(end_read(&e, buf, sizeof(buf)), 0);
    end_close(&e);
}

static void a_full_pipe_takes_what_fits(void **state)
{
    enum { SIZE = 100000 };
    int fds[2];
    struct end e;
    _cleanup_free_ char *data = calloc(1, SIZE);
    (void)state;
    assert_non_null(data);
    assert_int_equal(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
    end_own(&e, fds[1], false);
    assert_int_equal(end_write(&e, data, SIZE), 65536);
    assert_false(e.ready);
    assert_int_equal(end_write(&e, data, SIZE), -EAGAIN);
    close(fds[0]);
    assert_int_equal(end_write(&e, data, SIZE), -EPIPE);
    end_close(&e);
}

static void a_socket_is_not_made_nonblocking(void **state)
{
    enum { SIZE = 1 << 20 };
    int fds[2];
    struct end in, out;
    _cleanup_free_ char *data = calloc(1, SIZE);
    (void)state;
    assert_non_null(data);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    end_adopt(&in, fds[0], true);
    end_adopt(&out, fds[1], false);
    assert_int_equal(in.kind, END_SOCKET);
    assert_int_equal(fcntl(in.fd, F_GETFL) & O_NONBLOCK, 0);
    assert_int_equal(end_read(&in, data, SIZE), -EAGAIN);
    ssize_t n = end_write(&out, data, SIZE);
    assert_true(n > 0 && n < SIZE);
    while (out.ready)
        (void)end_write(&out, data, SIZE);
    assert_true(end_read(&in, data, SIZE) > 0);
    end_close(&in);
    assert_int_equal(end_write(&out, data, 1), -EPIPE); /* no signal */
    end_close(&out);
}

/* What cannot be opened anew, and is not to be changed. */
static void a_plain_end_is_asked_first(void **state)
{
    enum { SIZE = 100000 };
    int fds[2];
    struct end in, out;
    size_t total = 0;
    _cleanup_free_ char *data = calloc(1, SIZE);
    (void)state;
    assert_non_null(data);
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    end_adopt(&in, fds[0], true);
    end_adopt(&out, fds[1], false);
    in.kind = out.kind = END_PLAIN;
    /* the descriptions that end_adopt() made do not block; these must not be asked to */
    assert_int_equal(fcntl(in.fd, F_SETFL, O_RDONLY), 0);
    assert_int_equal(fcntl(out.fd, F_SETFL, O_WRONLY), 0);
    assert_int_equal(end_read(&in, data, SIZE), -EAGAIN);
    for (ssize_t n; (n = end_write(&out, data, SIZE)) > 0;)
        total += (size_t)n;
    assert_int_equal(total, 65536);
    assert_false(out.ready);
    assert_int_equal(end_read(&in, data, SIZE), 65536);
    end_close(&out);
    assert_int_equal(end_read(&in, data, SIZE), 0);
    end_close(&in);
}

static void a_file_is_always_ready(void **state)
{
    int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    int fd = open("/dev/null", O_RDWR | O_CLOEXEC), zero = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
    struct end e, f;
    char buf[8];
    (void)state;
    end_adopt(&e, fd, false);
    end_adopt(&f, zero, true);
    assert_int_equal(end_watch(&f, epoll_fd, 1), 0);
    assert_int_equal(end_watch(&e, epoll_fd, 1), 0);
    assert_int_equal(end_write(&e, "abc", 3), 3);
    assert_int_equal(end_read(&f, buf, sizeof(buf)), 8);
    end_close(&e);
    end_close(&f);
    close(epoll_fd);
}

/* A child that was just forked still has the pipe: the kernel would go on telling of it. */
static void no_event_after_it_is_closed(void **state)
{
    int fds[2], epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    uint64_t tag;
    uint32_t events;
    struct end e;
    (void)state;
    assert_int_equal(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
    int childs = dup(fds[1]);
    end_own(&e, fds[1], false);
    assert_int_equal(end_watch(&e, epoll_fd, 7), 0);
    assert_int_equal(events_of(epoll_fd, &tag, &events), 1);
    assert_int_equal(tag, 7);
    assert_true(events & EPOLLOUT);
    end_close(&e);
    close(fds[0]);
    assert_int_equal(events_of(epoll_fd, &tag, &events), 0);
    close(childs);
    close(epoll_fd);
}

static void the_other_side_is_seen_to_close(void **state)
{
    int fds[2], epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    uint64_t tag;
    uint32_t events;
    struct end e;
    (void)state;
    assert_int_equal(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
    end_own(&e, fds[1], false);
    assert_int_equal(end_watch(&e, epoll_fd, 7), 0);
    (void)events_of(epoll_fd, &tag, &events);
    end_event(&e, events);
    assert_false(e.hungup);
    close(fds[0]);
    assert_int_equal(events_of(epoll_fd, &tag, &events), 1);
    end_event(&e, events);
    assert_true(e.hungup);
    end_close(&e);
    assert_false(end_is_open(&e));
    close(epoll_fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_servers_pipe_keeps_its_flags),
        cmocka_unit_test(a_pipe_of_our_own_is_empty_after_a_short_read),
        cmocka_unit_test(a_full_pipe_takes_what_fits),
        cmocka_unit_test(a_socket_is_not_made_nonblocking),
        cmocka_unit_test(a_plain_end_is_asked_first),
        cmocka_unit_test(a_file_is_always_ready),
        cmocka_unit_test(no_event_after_it_is_closed),
        cmocka_unit_test(the_other_side_is_seen_to_close),
    };
    (void)signal(SIGPIPE, SIG_IGN); /* as the gate does */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
