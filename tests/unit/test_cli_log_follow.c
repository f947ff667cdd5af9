/* SPDX-License-Identifier: MIT */
/* `weir log -f` shows each row once as it comes, and goes on into the next run. */
#include "caught.h"

#include <poll.h>
#include <signal.h>
#include <sys/wait.h>

static struct history h;

static pid_t start_follow(int *ret_fd)
{
    int pipe_fd[2];
    assert_int_equal(pipe(pipe_fd), 0);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(pipe_fd[1], 1);
        close(pipe_fd[0]);
        close(pipe_fd[1]);
        exit(cmd_log(&(struct cli_args){.config = cli_config_path, .follow = true}));
    }
    close(pipe_fd[1]);
    *ret_fd = pipe_fd[0];
    return pid;
}

/* Reads until the text has come. */
static void wait_for(int fd, char *buf, size_t size, const char *text)
{
    size_t length = strlen(buf);
    while (!strstr(buf, text)) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        assert_int_equal(poll(&p, 1, 60000), 1);
        ssize_t n = read(fd, buf + length, size - 1 - length);
        assert_true(n > 0);
        length += (size_t)n;
        buf[length] = '\0';
    }
}

static size_t count(const char *buf, const char *text)
{
    size_t n = 0;
    for (; (buf = strstr(buf, text)); buf++)
        n++;
    return n;
}

static void mark(struct store *s, uint64_t second, const char *text)
{
    store_mark(s, HISTORY_START_US + second * USEC_PER_SEC, UNIT_NONE, text);
    history_flush(s);
}

static void test_follow_tells_each_row_once(void **state)
{
    (void)state;
    static char buf[65536];
    int fd;
    setenv("TZ", "UTC", 1);
    history_make(&h);
    cli_caught_config(&h);
    struct store *s = history_open(&h);
    history_begin(s);
    mark(s, 1, "first mark");
    pid_t pid = start_follow(&fd);
    wait_for(fd, buf, sizeof(buf), "first mark\n");
    mark(s, 1, "same instant");
    wait_for(fd, buf, sizeof(buf), "same instant\n");
    struct event e = history_sample(1, 2 * USEC_PER_SEC, 1, 1 << 20);
    store_event(s, &e);
    mark(s, 3, "third mark");
    wait_for(fd, buf, sizeof(buf), "third mark\n");
    history_begin_at(s, HISTORY_START_US + 4 * USEC_PER_SEC, HISTORY_WALL_US); /* the wall clock went back */
    mark(s, 5, "next run");
    wait_for(fd, buf, sizeof(buf), "next run\n");
    assert_int_equal(count(buf, "first mark"), 1);
    assert_int_equal(count(buf, "same instant"), 1);
    assert_int_equal(count(buf, "third mark"), 1);
    assert_int_equal(count(buf, "memory 1M"), 1);
    kill(pid, SIGTERM);
    waitpid(pid, NULL, 0);
    close(fd);
    store_close(s);
    history_remove(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_follow_tells_each_row_once)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
