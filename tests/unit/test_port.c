/* SPDX-License-Identifier: MIT */
/* Who holds a port: real listeners of this process, and a /proc of literals for what a test cannot be. */
#include "scratch.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>

#include "../../src/app/address.h"
#include "../../src/app/port.h"
#include "weir/app/probe.h"
#include "weir/base/cleanup.h"

/* Listens on a free port. -1: this machine has no such address. */
static int listen_on(const char *host, bool is_wildcard, bool v6only, uint16_t *ret_port)
{
    struct in6_addr addresses[ADDRESS_MAX];
    struct sockaddr_storage at;
    assert_int_equal(address_parse(host, addresses), 1);
    socklen_t length = address_to_sockaddr(&addresses[0], 0, &at);
    if (is_wildcard && at.ss_family == AF_INET)
        ((struct sockaddr_in *)&at)->sin_addr.s_addr = htonl(INADDR_ANY);
    if (is_wildcard && at.ss_family == AF_INET6)
        ((struct sockaddr_in6 *)&at)->sin6_addr = in6addr_any;
    int fd = socket(at.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0), only = v6only;
    if (fd >= 0 && at.ss_family == AF_INET6)
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof(only));
    if (fd < 0 || bind(fd, (struct sockaddr *)&at, length) < 0 || listen(fd, 5) < 0) {
        cleanup_close(&fd);
        return -1;
    }
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &length), 0);
    *ret_port = ntohs(((struct sockaddr_in *)&at)->sin_port); /* at the same place in both families */
    return fd;
}

static void expect_me(const char *host, uint16_t port)
{
    char text[256], wanted[256], where[ADDRESS_TEXT_MAX];
    pid_t pid = 0;
    assert_int_equal(port_find_holder(host, port, &pid, text, sizeof(text)), 1);
    assert_int_equal(pid, getpid());
    snprintf(wanted, sizeof(wanted), "%s is taken by test_port (pid %d)", address_format(host, port, where),
             (int)getpid());
    assert_string_equal(text, wanted);
}

static void expect_free(const char *host, uint16_t port)
{
    char text[256];
    pid_t pid;
    assert_int_equal(port_find_holder(host, port, &pid, text, sizeof(text)), 0);
}

static void names_the_holder_of_an_address(void **state)
{
    (void)state;
    uint16_t port;
    _cleanup_close_ int fd = listen_on("127.0.0.1", false, false, &port);
    assert_true(fd >= 0);
    expect_me("127.0.0.1", port);
    expect_me("localhost", port);
    expect_me("0.0.0.0", port);
    expect_me("::ffff:127.0.0.1", port);
    expect_me(NULL, port);
    expect_free("127.0.0.2", port);
    expect_free("::1", port);
    close(steal_fd(&fd));
    expect_free("127.0.0.1", port);
}

static void a_connection_is_no_listener(void **state)
{
    (void)state;
    uint16_t port;
    struct in6_addr address[ADDRESS_MAX];
    struct sockaddr_storage to;
    _cleanup_close_ int server = listen_on("127.0.0.1", false, false, &port);
    _cleanup_close_ int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(address_parse("127.0.0.1", address), 1);
    socklen_t length = address_to_sockaddr(&address[0], port, &to);
    assert_int_equal(connect(client, (struct sockaddr *)&to, length), 0);
    _cleanup_close_ int accepted = accept4(server, NULL, NULL, SOCK_CLOEXEC);
    assert_true(accepted >= 0);
    close(steal_fd(&server));
    expect_free("127.0.0.1", port);
}

static void a_wildcard_holds_every_address(void **state)
{
    (void)state;
    uint16_t port;
    _cleanup_close_ int fd = listen_on("127.0.0.1", true, false, &port);
    assert_true(fd >= 0);
    expect_me("127.0.0.1", port);
    expect_me("127.0.0.2", port);
    expect_free("::1", port);
}

static void an_ipv6_wildcard_holds_ipv4_unless_it_is_v6only(void **state)
{
    (void)state;
    uint16_t port;
    _cleanup_close_ int both = listen_on("::1", true, false, &port);
    if (both < 0)
        skip();
    expect_me("127.0.0.1", port);
    expect_me("::1", port);
    expect_me("[::1]", port);
    _cleanup_close_ int only = listen_on("::1", true, true, &port);
    assert_true(only >= 0);
    expect_me("::1", port);
    expect_free("127.0.0.1", port);
}

static void what_is_no_address_is_an_error(void **state)
{
    (void)state;
    char text[64] = "untouched";
    pid_t pid = 7;
    assert_int_equal(port_find_holder("example.org", 80, &pid, text, sizeof(text)), -EINVAL);
    assert_int_equal(port_find_holder("[127.0.0.1]", 80, &pid, text, sizeof(text)), -EINVAL);
    assert_int_equal(port_find_holder("1.2.3.4.5", 80, &pid, text, sizeof(text)), -EINVAL);
    assert_string_equal(text, "untouched");
    assert_int_equal(pid, 7);
}

/* --- a /proc of literals --- */

#define HEAD                                                                                                 \
    "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
#define TCP_ROW(local, state, uid, inode)                                                                    \
    "   0: " local " 00000000:0000 " state " 00000000:00000000 00:00000000 00000000 " uid "        0 " inode \
    " 1 0000000000000000 100 0 0 10 0\n"
#define TCP6_ROW(local, state, uid, inode)                                                                   \
    "   0: " local " 00000000000000000000000000000000:0000 " state                                           \
    " 00000000:00000000 00:00000000 00000000 " uid "        0 " inode " 1 0000000000000000 100 0 0 10 0\n"

static struct scratch proc;

static int setup(void **state)
{
    (void)state;
    scratch_init(&proc);
    return mkdir(scratch_path(&proc, "net"), 0755);
}

static int teardown(void **state)
{
    (void)state;
    scratch_deinit(&proc);
    return 0;
}

static void add_process(const char *pid, const char *comm, const char *link)
{
    char name[64];
    assert_int_equal(mkdir(scratch_path(&proc, pid), 0755), 0);
    snprintf(name, sizeof(name), "%s/comm", pid);
    scratch_write(&proc, name, comm);
    snprintf(name, sizeof(name), "%s/fd", pid);
    assert_int_equal(mkdir(scratch_path(&proc, name), 0755), 0);
    snprintf(name, sizeof(name), "%s/fd/3", pid);
    assert_int_equal(symlink(link, scratch_path(&proc, name)), 0);
}

static int find(const char *host, uint16_t port, pid_t *ret_pid, char text[static 256])
{
    _cleanup_close_ int fd = open(proc.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(fd >= 0);
    return port_find_holder_at(fd, host, port, ret_pid, text, 256);
}

static void tells_of_a_process_of_another_user(void **state)
{
    (void)state;
    char text[256];
    pid_t pid = -1;
    scratch_write(&proc, "net/tcp", HEAD TCP_ROW("0100007F:5ED8", "0A", "   33", "4711"));
    assert_int_equal(find("127.0.0.1", 24280, &pid, text), 1);
    assert_int_equal(pid, 0);
    assert_string_equal(text, "127.0.0.1:24280 is taken by a process of another user (uid 33)");
}

static void the_lowest_pid_of_those_that_share_it_is_named(void **state)
{
    (void)state;
    char text[256];
    pid_t pid;
    scratch_write(&proc, "net/tcp", HEAD TCP_ROW("00000000:5ED8", "0A", "    0", "4711"));
    add_process("4250", "node\n", "socket:[4711]");
    add_process("942", "no\033de\n", "socket:[4711]");
    add_process("17", "other\n", "socket:[47110]");
    assert_int_equal(find("localhost", 24280, &pid, text), 1);
    assert_int_equal(pid, 942);
    assert_string_equal(text, "localhost:24280 is taken by no?de (pid 942)");
}

static void reads_mapped_and_ipv6_rows(void **state)
{
    (void)state;
    char text[256];
    pid_t pid;
    scratch_write(&proc, "net/tcp", HEAD TCP_ROW("0100007F:5ED8", "01", "    0", "1"));
    scratch_write(&proc, "net/tcp6",
                  HEAD TCP6_ROW("0000000000000000FFFF00000100007F:5ED8", "0A", " 1000", "12")
                      TCP6_ROW("00000000000000000000000001000000:0050", "0A", " 1001", "13"));
    assert_int_equal(find("127.0.0.1", 24280, &pid, text), 1);
    assert_string_equal(text, "127.0.0.1:24280 is taken by a process of another user (uid 1000)");
    assert_int_equal(find("::1", 80, &pid, text), 1);
    assert_string_equal(text, "[::1]:80 is taken by a process of another user (uid 1001)");
    assert_int_equal(find("127.0.0.1", 80, &pid, text), 0);
}

static void garbage_and_a_missing_tcp6_are_no_holders(void **state)
{
    (void)state;
    char text[256];
    pid_t pid;
    scratch_write(&proc, "net/tcp", "\n:::\n 0: 0100007F 0A\n 1: 0100007F:5ED8 00000000:0000 0A\nzz");
    assert_int_equal(find("127.0.0.1", 24280, &pid, text), 0);
    assert_int_equal(unlink(scratch_path(&proc, "net/tcp")), 0);
    assert_int_equal(find("127.0.0.1", 24280, &pid, text), -ENOENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_the_holder_of_an_address),
        cmocka_unit_test(a_connection_is_no_listener),
        cmocka_unit_test(a_wildcard_holds_every_address),
        cmocka_unit_test(an_ipv6_wildcard_holds_ipv4_unless_it_is_v6only),
        cmocka_unit_test(what_is_no_address_is_an_error),
        cmocka_unit_test_setup_teardown(tells_of_a_process_of_another_user, setup, teardown),
        cmocka_unit_test_setup_teardown(the_lowest_pid_of_those_that_share_it_is_named, setup, teardown),
        cmocka_unit_test_setup_teardown(reads_mapped_and_ipv6_rows, setup, teardown),
        cmocka_unit_test_setup_teardown(garbage_and_a_missing_tcp6_are_no_holders, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
