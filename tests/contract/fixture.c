/* SPDX-License-Identifier: MIT */
/* See fixture.h. */
#include "fixture.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

struct host *the_host;
struct host_info the_info;
bool the_host_is_fake;

const struct host_limits no_limits = {.memory_max_bytes = UINT64_MAX,
                                      .memory_high_bytes = UINT64_MAX,
                                      .memory_swap_max_bytes = UINT64_MAX,
                                      .pids_max = UINT64_MAX};

void pause_ms(unsigned ms)
{
    struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    nanosleep(&t, NULL);
}

struct host_unit *make_unit(const char *name, const struct host_limits *limits)
{
    struct host_unit *u = NULL;
    struct err e = ERR_NULL;
    if (the_host->ops->unit_create(the_host, name, limits, false, &u, NULL, &e) < 0)
        fail_msg("unit_create: %s", e.text);
    return u;
}

void drop_unit(struct host_unit *u)
{
    struct err e = ERR_NULL;
    (void)u->ops->unit_kill(u, NULL);
    assert_true(await_populated(u, 0));
    if (u->ops->unit_remove(u, &e) < 0)
        fail_msg("unit_remove: %s", e.text);
}

struct host_spawn command(const char *const *argv)
{
    static char libraries[256]; /* a guest has them in the payload */
    static const char *const environment[] = {"PATH=/usr/local/bin:/usr/bin:/bin", "WEIR_TEST=fish",
                                              libraries, NULL};
    const char *path = getenv("LD_LIBRARY_PATH");
    (void)snprintf(libraries, sizeof(libraries), "LD_LIBRARY_PATH=%s", path ? path : "");
    return (struct host_spawn){
        .argv = argv, .environment = environment, .stdin_fd = -1, .stdout_fd = -1, .stderr_fd = -1};
}

const char *const *load(const char *argv[6], const char *what, const char *a, const char *b)
{
    static char self[1024];
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    assert_true(n > 0);
    self[n] = '\0';
    argv[0] = self;
    argv[1] = "--load";
    argv[2] = what;
    argv[3] = a;
    argv[4] = a ? b : NULL;
    argv[5] = NULL;
    return argv;
}

struct host_child start(struct host_unit *u, const struct host_spawn *spec)
{
    struct host_child c = {.pidfd = -1};
    struct err e = ERR_NULL;
    if (u->ops->unit_spawn(u, spec, &c, &e) < 0)
        fail_msg("unit_spawn: %s", e.text);
    assert_true(c.pid > 1 && c.pidfd >= 0 && c.start_ticks > 0);
    return c;
}

short await_poll(int fd, short events, int ms)
{
    struct pollfd p = {.fd = fd, .events = events};
    return poll(&p, 1, ms) == 1 ? p.revents : 0;
}

struct event_exit await_end(struct host_child *c)
{
    struct event_exit end = {0};
    assert_int_equal(await_poll(c->pidfd, POLLIN, PATIENCE_MS) & POLLIN, POLLIN);
    assert_int_equal(host_process_end(c->pid, c->pidfd, true, &end), 0);
    close(c->pidfd);
    c->pidfd = -1;
    return end;
}

struct event_exit run_to_end(struct host_unit *u, struct host_spawn *spec, char *ret_text)
{
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    spec->stdout_fd = pair[1];
    struct host_child c = start(u, spec);
    close(pair[1]);
    size_t length = 0;
    while (await_poll(pair[0], POLLIN, PATIENCE_MS)) {
        ssize_t n = read(pair[0], ret_text + length, 255 - length);
        if (n <= 0)
            break;
        length += (size_t)n;
    }
    ret_text[length] = '\0';
    close(pair[0]);
    return await_end(&c);
}

void await_text(int fd, const char *word)
{
    char text[256] = "";
    size_t length = 0;
    while (!strstr(text, word)) {
        assert_int_equal(await_poll(fd, POLLIN, PATIENCE_MS) & POLLIN, POLLIN);
        ssize_t n = read(fd, text + length, sizeof(text) - 1 - length);
        assert_true(n > 0);
        length += (size_t)n;
        text[length] = '\0';
    }
}

bool await_populated(struct host_unit *u, int wanted)
{
    for (int waited = 0; waited < PATIENCE_MS; waited += 2) {
        if (u->ops->unit_populated(u) == wanted)
            return true;
        pause_ms(2);
    }
    return false;
}

uint64_t reading(struct host_unit *u, enum sample_field field)
{
    struct sample s = {0};
    assert_int_equal(u->ops->unit_read(u, true, &s), 0);
    if (!sample_has(&s, field))
        fail_msg("%s is not valid", sample_field_info(field)->name);
    return s.value[field];
}

bool has_reading(struct host_unit *u, enum sample_field field)
{
    struct sample s = {0};
    assert_int_equal(u->ops->unit_read(u, true, &s), 0);
    return sample_has(&s, field);
}

bool await_reading(struct host_unit *u, enum sample_field field, uint64_t at_least)
{
    for (int waited = 0; waited < PATIENCE_MS; waited += 5) {
        if (reading(u, field) >= at_least)
            return true;
        pause_ms(5);
    }
    return false;
}
