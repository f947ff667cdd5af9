/* SPDX-License-Identifier: MIT */
/* Readiness checks against real sockets and processes on one real loop; time limits are shortened where
 * noted. */
#include "loop.h"
#include "scratch.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "../../src/app/probe_internal.h"
#include "weir/base/cleanup.h"

static sd_event *event;
static struct scratch dir;
static struct config_ready ready;
static struct probe *probe;
static unsigned ready_count;
static bool stop_when_ready;

/* A server of one answer, on the same loop. */
static struct {
    int fd;
    sd_event_source *source;
    const char *answer;
    bool is_silent;   /* keeps the connections open and says nothing */
    bool is_bytewise; /* one byte a packet */
    unsigned accepted;
    int connections[64];
    char request[4096];
} server;

static void on_ready(void *user)
{
    assert_ptr_equal(user, &ready);
    ready_count++;
    if (stop_when_ready)
        probe = probe_stop(probe);
}

static bool is_ready(void *user)
{
    (void)user;
    return ready_count > 0;
}

static bool has_failed(void *user)
{
    (void)user;
    return probe_last_failure(probe)[0] != '\0';
}

static int setup(void **state)
{
    (void)state;
    scratch_init(&dir);
    assert_int_equal(sd_event_new(&event), 0);
    memset(&server, 0, sizeof(server));
    server.fd = -1;
    ready = (struct config_ready){.host = (char *)"127.0.0.1", .port = 1};
    ready_count = 0;
    stop_when_ready = false;
    probe = NULL;
    return 0;
}

static void stop_server(void)
{
    server.source = sd_event_source_disable_unref(server.source);
    cleanup_close(&server.fd);
    server.fd = -1;
    for (unsigned i = 0; server.is_silent && i < server.accepted; i++)
        close(server.connections[i]);
    server.accepted = 0;
}

static int teardown(void **state)
{
    (void)state;
    probe = probe_stop(probe);
    stop_server();
    sd_event_unref(event);
    scratch_deinit(&dir);
    return 0;
}

static int start(enum config_ready_type type, struct err *e)
{
    static const char *const environment[] = {"PATH=/usr/bin:/bin", "COLOUR=blue", NULL};
    ready.type = type;
    struct probe_options options = {.event = event,
                                    .ready = &ready,
                                    .environment = environment,
                                    .working_directory = dir.path,
                                    .on_ready = on_ready,
                                    .user = &ready};
    return probe_start(&options, &probe, e);
}

static void started(enum config_ready_type type)
{
    struct err e = ERR_NULL;
    assert_int_equal(start(type, &e), 0);
    assert_int_equal(ready_count, 0);
    assert_int_equal(e.code, 0);
}

static void expect_failure(const char *text)
{
    assert_true(loop_until(event, has_failed, NULL));
    assert_string_equal(probe_last_failure(probe), text);
    assert_int_equal(ready_count, 0);
}

static void expect_ready(void)
{
    assert_true(loop_until(event, is_ready, NULL));
    loop_for(event, 250000); /* a retry would show by now */
    assert_int_equal(ready_count, 1);
    if (probe)
        assert_string_equal(probe_last_failure(probe), "");
}

/* --- the server --- */

static void answer(int fd)
{
    ssize_t n = recv(fd, server.request, sizeof(server.request) - 1, MSG_DONTWAIT);
    server.request[n > 0 ? n : 0] = '\0';
    size_t size = server.answer ? strlen(server.answer) : 0, step = server.is_bytewise ? 1 : size;
    const int yes = 1;
    (void)setsockopt(fd, IPPROTO_TCP, 1 /* TCP_NODELAY */, &yes, sizeof(yes));
    for (size_t at = 0; at < size; at += step)
        if (send(fd, server.answer + at, step, MSG_NOSIGNAL) < 0)
            break;
    (void)shutdown(fd, SHUT_WR);
    close(fd);
}

static int on_request(sd_event_source *source, int fd, uint32_t events, void *user)
{
    (void)events, (void)user;
    answer(fd);
    sd_event_source_disable_unref(source);
    return 0;
}

static int on_connection(sd_event_source *source, int fd, uint32_t events, void *user)
{
    (void)source, (void)events, (void)user;
    int c = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
    assert_true(c >= 0);
    assert_true(server.accepted < 64);
    server.connections[server.accepted++] = c;
    sd_event_source *request;
    if (!server.is_silent)
        assert_int_equal(sd_event_add_io(event, &request, c, EPOLLIN, on_request, NULL), 0);
    return 0;
}

/* port 0: any; ready.port is set. */
static bool serve(const char *host, uint16_t port, const char *text)
{
    struct in6_addr addresses[ADDRESS_MAX];
    struct sockaddr_storage at;
    const int yes = 1;
    assert_int_equal(address_parse(host, addresses), 1);
    socklen_t length = address_to_sockaddr(&addresses[0], port, &at);
    server.fd = socket(at.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    (void)setsockopt(server.fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
    if (server.fd < 0 || bind(server.fd, (struct sockaddr *)&at, length) < 0)
        return false;
    assert_int_equal(listen(server.fd, 64), 0);
    assert_int_equal(getsockname(server.fd, (struct sockaddr *)&at, &length), 0);
    ready.port = ntohs(((struct sockaddr_in *)&at)->sin_port);
    server.answer = text;
    assert_int_equal(sd_event_add_io(event, &server.source, server.fd, EPOLLIN, on_connection, NULL), 0);
    return true;
}

/* A port on which nobody listens. */
static void serve_nowhere(void)
{
    assert_true(serve("127.0.0.1", 0, NULL));
    stop_server();
}

static const char *http_failure(const char *reason)
{
    static char text[512];
    snprintf(text, sizeof(text), "GET http://127.0.0.1:%u/health: %s", ready.port, reason);
    return text;
}

static void http_fails_with(const char *given, const char *reason)
{
    assert_true(serve("127.0.0.1", 0, given));
    ready.path = (char *)"/health";
    started(CONFIG_READY_HTTP);
    expect_failure(http_failure(reason));
    probe = probe_stop(probe);
    stop_server();
}

static void http_is_ready_with(const char *given)
{
    assert_true(serve("127.0.0.1", 0, given));
    ready.path = (char *)"/health";
    started(CONFIG_READY_HTTP);
    assert_true(loop_until(event, is_ready, NULL));
    ready_count = 0;
    probe = probe_stop(probe);
    stop_server();
}

/* --- tcp --- */

static void tcp_waits_for_a_listener(void **state)
{
    (void)state;
    char text[64];
    serve_nowhere();
    started(CONFIG_READY_TCP);
    assert_string_equal(probe_last_failure(probe), "");
    snprintf(text, sizeof(text), "tcp:127.0.0.1:%u: connection refused", ready.port);
    expect_failure(text);
    assert_true(serve("127.0.0.1", ready.port, NULL));
    expect_ready();
    assert_int_equal(server.accepted, 1);
}

static void localhost_is_both_loopbacks(void **state)
{
    (void)state;
    if (!serve("::1", 0, NULL))
        skip();
    ready.host = (char *)"localhost";
    started(CONFIG_READY_TCP);
    expect_ready();
}

static void tries_every_200_ms(void **state)
{
    (void)state;
    assert_true(serve("127.0.0.1", 0, "HTTP/1.1 503 Service Unavailable\r\n\r\n"));
    ready.path = (char *)"/health";
    started(CONFIG_READY_HTTP);
    loop_for(event, 1100000); /* tries at 0, 200 ... 1000 ms */
    assert_in_range(server.accepted, 4, 6);
}

static void the_probe_may_be_stopped_in_the_callback(void **state)
{
    (void)state;
    stop_when_ready = true;
    assert_true(serve("127.0.0.1", 0, NULL));
    started(CONFIG_READY_TCP);
    expect_ready();
    assert_null(probe);
}

/* In a network of its own, where the kernel may take only this one port for the near end of a connection.
 * Exit codes, as an assert in a forked child would run the rest of the suite twice. 77: not allowed here. */
static void __attribute__((noreturn)) meet_oneself(void)
{
    if (unshare(CLONE_NEWNET) < 0)
        _exit(77);
    struct ifreq lo = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
    int control = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    int range = open("/proc/sys/net/ipv4/ip_local_port_range", O_WRONLY | O_CLOEXEC);
    if (control < 0 || ioctl(control, SIOCSIFFLAGS, &lo) < 0 || range < 0 ||
        write(range, "24280 24280", 11) != 11)
        _exit(77);
    ready.port = 24280;
    ready.type = CONFIG_READY_TCP;
    struct probe_options options = {.event = event, .ready = &ready, .on_ready = on_ready, .user = &ready};
    if (probe_start(&options, &probe, NULL) < 0 || !loop_until(event, has_failed, NULL))
        _exit(1);
    bool is_told = strcmp(probe_last_failure(probe), "tcp:127.0.0.1:24280: connection refused") == 0;
    _exit(ready_count == 0 && is_told ? 0 : 2);
}

static void a_connection_to_itself_is_nobody(void **state)
{
    (void)state;
    int status;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        event = NULL; /* an epoll set is not shared with a child */
        if (sd_event_new(&event) < 0)
            _exit(1);
        alarm(30);
        meet_oneself();
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
        skip();
    assert_int_equal(status, 0);
}

static void what_is_no_address_is_refused_at_the_start(void **state)
{
    (void)state;
    struct err e = ERR_NULL;
    ready.host = (char *)"example.org";
    assert_int_equal(start(CONFIG_READY_TCP, &e), -EINVAL);
    assert_string_equal(e.text, "ready: 'example.org' is no numeric address and not localhost");
    ready.host = (char *)"127.0.0.1";
    ready.path = (char *)"/a\r\nX: y";
    assert_int_equal(start(CONFIG_READY_HTTP, &e), -EINVAL);
    char path[3000];
    memset(path, 'x', sizeof(path));
    path[sizeof(path) - 1] = '\0';
    ready.path = path;
    assert_int_equal(start(CONFIG_READY_HTTP, &e), -ENAMETOOLONG);
    assert_null(probe);
}

/* --- http --- */

static void http_asks_properly(void **state)
{
    (void)state;
    char wanted[256];
    assert_true(serve("127.0.0.1", 0, "HTTP/1.1 204 No Content\r\n\r\n"));
    ready.path = (char *)"/health?deep=1";
    started(CONFIG_READY_HTTP);
    expect_ready();
    snprintf(wanted, sizeof(wanted),
             "GET /health?deep=1 HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nUser-Agent: weir/" WEIR_VERSION
             "\r\nAccept: */*\r\nConnection: close\r\n\r\n",
             ready.port);
    assert_string_equal(server.request, wanted);
}

static void http_is_ready_on_any_2xx(void **state)
{
    (void)state;
    http_is_ready_with("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    http_is_ready_with("HTTP/1.0 299\n\n");
    http_is_ready_with("\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 200 OK\r\n\r\n");
    server.is_bytewise = true;
    http_is_ready_with("HTTP/1.1 200 OK\r\nServer: slow\r\n\r\n");
}

static void http_failures_are_told_in_full(void **state)
{
    (void)state;
    http_fails_with("HTTP/1.1 503 Service Unavailable\r\n\r\n", "503 Service Unavailable");
    http_fails_with("HTTP/1.1 302\r\nLocation: /login\r\n\r\n", "302");
    http_fails_with("HTTP/1.1 404 No\033[31mt\r\n\r\n", "404 No?[31mt");
    http_fails_with("SSH-2.0-OpenSSH_9.2\r\n", "the answer is not HTTP");
    http_fails_with("", "the connection was closed without an answer");
    http_fails_with("HTTP/1.1 20", "the connection was closed in the middle of the answer");
    serve_nowhere();
    ready.path = (char *)"/health";
    started(CONFIG_READY_HTTP);
    expect_failure(http_failure("connection refused"));
}

static void an_endless_head_is_cut_off(void **state)
{
    (void)state;
    static char head[6000];
    memset(head, 'x', sizeof(head) - 1);
    memcpy(head, "HTTP/1.1 200 ", 13);
    http_fails_with(head, "no status in the first 4096 bytes of the answer");
}

static void silence_is_told_after_the_limit(void **state)
{
    (void)state;
    server.is_silent = true;
    assert_true(serve("127.0.0.1", 0, NULL));
    ready.path = (char *)"/health";
    started(CONFIG_READY_HTTP);
    uint64_t begin = loop_now_us();
    expect_failure(http_failure("no answer in 2s"));
    assert_in_range(loop_now_us() - begin, 2000000, 4000000);
    loop_for(event, 100000);
    assert_int_equal(server.accepted, 2); /* and goes on */
}

static void status_of(const char *text, int r, unsigned status, const char *reason)
{
    unsigned got = 0;
    char got_reason[HTTP_REASON_MAX] = "";
    assert_int_equal(http_parse_status(text, strlen(text), &got, got_reason), r);
    assert_int_equal(got, status);
    assert_string_equal(got_reason, reason);
}

static void the_status_line_is_read_tolerantly(void **state)
{
    (void)state;
    status_of("HTTP/1.1 200 OK\r\n", 0, 200, "OK");
    status_of("HTTP/1.1  404  Not Found\n", 0, 404, "Not Found");
    status_of("HTTP/2 999\n", 0, 999, "");
    status_of("", -EAGAIN, 0, "");
    status_of("\r\n\nHTT", -EAGAIN, 0, "");
    status_of("HTTP/1.1 200 OK", -EAGAIN, 0, "");
    status_of("HTTP/1.1 100 Continue\r\n\r\n", -EAGAIN, 0, "");
    status_of("HTTP/1.1 100 Continue\r\nHTTP/1.1 200 OK\r\n", -EAGAIN, 0, "");
    status_of("HTTX", -EBADMSG, 0, "");
    status_of("x", -EBADMSG, 0, "");
    status_of("HTTP/1.1 20\n", -EBADMSG, 0, "");
    status_of("HTTP/1.1 2000 OK\n", -EBADMSG, 0, "");
    status_of("HTTP/1.1 099 OK\n", -EBADMSG, 0, "");
    status_of("HTTP/1.1200 OK\n", -EBADMSG, 0, "");
    status_of("HTTP/1.1 OK\n", -EBADMSG, 0, "");
}

static void any_bytes_give_one_of_three_answers(void **state)
{
    (void)state;
    static const char *const words[] = {"HTTP/", "1.1", " ", "200", "103", "\r\n", "\n", "\r", "x", "\0"};
    uint64_t seed = 7;
    for (int i = 0; i < 20000; i++) {
        char text[128], reason[HTTP_REASON_MAX];
        size_t n = 0;
        unsigned status;
        for (uint64_t k = rng_below(&seed, 14); k > 0; k--) {
            const char *word = words[rng_below(&seed, ARRAY_SIZE(words))];
            memcpy(text + n, word, strlen(word));
            n += strlen(word);
        }
        char *exact = malloc(n ? n : 1); /* so that the sanitizer sees a byte too far */
        assert_non_null(exact);
        memcpy(exact, text, n);
        int r = http_parse_status(exact, n, &status, reason);
        assert_true(r == 0 || r == -EAGAIN || r == -EBADMSG);
        if (r == 0)
            assert_in_range(status, 200, 999);
        free(exact);
    }
}

/* --- exec --- */

static void run_shell(const char *script)
{
    static char *argv[4];
    argv[0] = (char *)"sh";
    argv[1] = (char *)"-c";
    argv[2] = (char *)script;
    ready.argv = argv;
    started(CONFIG_READY_EXEC);
}

static void exec_is_ready_on_exit_0(void **state)
{
    (void)state;
    run_shell("[ \"$COLOUR\" = blue ] && [ -z \"$NOTIFY_SOCKET\" ] && touch here && ! read x && echo lost");
    expect_ready();
    assert_true(scratch_exists(&dir, "here"));
}

static void exec_failures_are_told_in_full(void **state)
{
    (void)state;
    run_shell("exit 3");
    expect_failure("exec:sh: exit code 3");
    probe = probe_stop(probe);
    run_shell("echo cannot connect >&2; echo more >&2; exit 1");
    expect_failure("exec:sh: exit code 1: cannot connect");
    probe = probe_stop(probe);
    run_shell("kill -SEGV $$");
    expect_failure("exec:sh: killed by signal SIGSEGV");
    probe = probe_stop(probe);
    ready.argv = (char *[]){(char *)"no-such-program", NULL};
    started(CONFIG_READY_EXEC);
    expect_failure(
        "exec:no-such-program: exit code 127: cannot run no-such-program: No such file or directory");
}

static void exec_goes_on_until_it_succeeds(void **state)
{
    (void)state;
    run_shell("echo x >>tries; [ $(wc -l <tries) -ge 3 ]");
    expect_ready();
    scratch_expect(&dir, "tries", "x\nx\nx\n");
}

static void a_talkative_check_does_not_hang(void **state)
{
    (void)state;
    run_shell("head -c 1000000 /dev/zero >&2");
    expect_ready();
}

static bool child_is_known(void *user)
{
    (void)user;
    char *text = scratch_read(&dir, "child", NULL);
    bool is_known = strchr(text, '\n') != NULL;
    free(text);
    return is_known;
}

static pid_t child_pid(void)
{
    assert_true(loop_until(event, child_is_known, NULL));
    char *text = scratch_read(&dir, "child", NULL);
    pid_t pid = (pid_t)atol(text);
    free(text);
    assert_true(pid > 1);
    return pid;
}

/* Dead, or a zombie that its new parent has not reaped yet. */
static bool is_dead(void *user)
{
    char path[64], text[512] = "";
    snprintf(path, sizeof(path), "/proc/%d/stat", (int)*(pid_t *)user);
    FILE *f = fopen(path, "re");
    if (!f)
        return true;
    bool is_read = fgets(text, sizeof(text), f) != NULL;
    fclose(f);
    return !is_read || strstr(text, ") Z ") != NULL;
}

static void the_session_is_its_own_and_is_killed_by_stop(void **state)
{
    (void)state;
    run_shell("sleep 1000 & echo $! >child; wait");
    pid_t child = child_pid();
    assert_true(getsid(child) != getsid(0));
    probe = probe_stop(probe);
    assert_true(loop_until(event, is_dead, &child));
}

static void a_late_check_is_killed_with_its_children(void **state)
{
    (void)state;
    run_shell("sleep 1000 & echo $! >child; wait");
    assert_int_equal(probe->kind->limit_us, 10 * USEC_PER_SEC);
    struct probe_kind quick = *probe->kind;
    quick.limit_us = USEC_PER_SEC;
    probe->kind = &quick; /* a second instead of ten */
    pid_t child = child_pid();
    expect_failure("exec:sh: no exit in 10s");
    assert_true(loop_until(event, is_dead, &child));
    probe = probe_stop(probe);
}

static void what_a_check_leaves_behind_is_killed(void **state)
{
    (void)state;
    run_shell("sleep 1000 & echo $! >child; exit 1");
    pid_t child = child_pid();
    expect_failure("exec:sh: exit code 1");
    assert_true(loop_until(event, is_dead, &child));
}

static void exec_runs_as_the_units_user(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    static char *argv[] = {(char *)"sh", (char *)"-c",
                           (char *)"[ \"$(id -u):$(id -g):$(id -G)\" = 65534:65534:65534 ]", NULL};
    ready.type = CONFIG_READY_EXEC;
    ready.argv = argv;
    struct probe_options options = {.event = event,
                                    .ready = &ready,
                                    .has_ids = true,
                                    .uid = 65534,
                                    .gid = 65534,
                                    .on_ready = on_ready,
                                    .user = &ready};
    assert_int_equal(probe_start(&options, &probe, NULL), 0);
    expect_ready();
}

/* --- fed from outside --- */

static void log_waits_for_a_line(void **state)
{
    (void)state;
    ready.path = (char *)"^listening on .*:\\d+$";
    started(CONFIG_READY_LOG);
    assert_string_equal(probe_last_failure(probe), "log:^listening on .*:\\d+$: no line of output yet");
    probe_feed_line(probe, "starting", 8);
    probe_feed_line(probe, "\xff\xfe\0zero", 7);
    assert_string_equal(probe_last_failure(probe), "log:^listening on .*:\\d+$: none of 2 lines matched");
    probe_feed_ready(probe);
    loop_settle(event);
    assert_int_equal(ready_count, 0);
    probe_feed_line(probe, "listening on 127.0.0.1:80", 25);
    probe_feed_line(probe, "listening on 127.0.0.1:80", 25);
    assert_int_equal(ready_count, 1);
}

static void log_matches_beside_invalid_bytes(void **state)
{
    (void)state;
    ready.path = (char *)"fähig";
    started(CONFIG_READY_LOG);
    stop_when_ready = true;
    probe_feed_line(probe, "\xff\0 f\xc3\xa4hig", 9);
    assert_int_equal(ready_count, 1);
    assert_null(probe);
}

static void a_pattern_that_explodes_is_given_up(void **state)
{
    (void)state;
    ready.path = (char *)"^(a+)+$";
    started(CONFIG_READY_LOG);
    probe_feed_line(probe, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab", 51);
    assert_string_equal(probe_last_failure(probe),
                        "log:^(a+)+$: the pattern takes too long on a line (of 51 bytes)");
}

static void what_is_no_pattern_is_refused_at_the_start(void **state)
{
    (void)state;
    struct err e = ERR_NULL;
    ready.path = (char *)"a(b";
    assert_int_equal(start(CONFIG_READY_LOG, &e), -EINVAL);
    assert_string_equal(e.text, "the pattern 'a(b' is wrong at its character 4: missing closing parenthesis");
}

static void notify_waits_for_its_message(void **state)
{
    (void)state;
    started(CONFIG_READY_NOTIFY);
    assert_string_equal(probe_last_failure(probe), "notify: no READY=1 on NOTIFY_SOCKET yet");
    probe_feed_line(probe, "x", 1);
    loop_for(event, 300000);
    assert_int_equal(ready_count, 0);
    probe_feed_ready(probe);
    probe_feed_ready(probe);
    assert_int_equal(ready_count, 1);
}

static void no_check_is_ready_in_the_first_turn(void **state)
{
    (void)state;
    started(CONFIG_READY_NONE);
    expect_ready();
    assert_null(probe_stop(NULL));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(tcp_waits_for_a_listener),
        TEST(localhost_is_both_loopbacks),
        TEST(tries_every_200_ms),
        TEST(the_probe_may_be_stopped_in_the_callback),
        TEST(a_connection_to_itself_is_nobody),
        TEST(what_is_no_address_is_refused_at_the_start),
        TEST(http_asks_properly),
        TEST(http_is_ready_on_any_2xx),
        TEST(http_failures_are_told_in_full),
        TEST(an_endless_head_is_cut_off),
        TEST(silence_is_told_after_the_limit),
        TEST(the_status_line_is_read_tolerantly),
        TEST(any_bytes_give_one_of_three_answers),
        TEST(exec_is_ready_on_exit_0),
        TEST(exec_failures_are_told_in_full),
        TEST(exec_goes_on_until_it_succeeds),
        TEST(a_talkative_check_does_not_hang),
        TEST(the_session_is_its_own_and_is_killed_by_stop),
        TEST(a_late_check_is_killed_with_its_children),
        TEST(what_a_check_leaves_behind_is_killed),
        TEST(exec_runs_as_the_units_user),
        TEST(log_waits_for_a_line),
        TEST(log_matches_beside_invalid_bytes),
        TEST(a_pattern_that_explodes_is_given_up),
        TEST(what_is_no_pattern_is_refused_at_the_start),
        TEST(notify_waits_for_its_message),
        TEST(no_check_is_ready_in_the_first_turn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
