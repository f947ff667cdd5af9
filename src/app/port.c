/* SPDX-License-Identifier: MIT */
/*
 * Who listens on a port: /proc/net/tcp{,6} gives the socket's inode, /proc/PID/fd the process that holds it.
 *
 * A service that finds its port taken dies with its own words, or, worse, the readiness check finds the
 * stranger healthy. So this is asked before the launch. One thing the files do not tell: whether a listener
 * on [::] is IPV6_V6ONLY and thus leaves 127.0.0.1 free; there a trial bind(2) decides.
 */
#include "port.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "address.h"
#include "weir/app/probe.h"
#include "weir/base/cleanup.h"
#include "weir/base/fdio.h"
#include "weir/base/units.h"

#define TCP_LISTEN_STATE 0x0A /* TCP_LISTEN, include/net/tcp_states.h */
#define LINE_BYTES       512  /* a line of /proc/net/tcp6 is about 170 bytes */

enum match { MATCH_NONE, MATCH_SURE, MATCH_UNLESS_V6ONLY };

struct listener {
    struct in6_addr address; /* IPv4 ones mapped */
    bool is_v6;              /* stands in tcp6 */
    uint16_t port;
    uint32_t uid;
    uint64_t inode;
};

/* "0100007F" or four such words: each is the address's 32 bits in network order, printed as a number of this
 * host. */
static bool parse_address(const char *hex, bool is_v6, struct in6_addr *ret)
{
    unsigned words[4] = {0};
    struct in6_addr a = {0};
    if (is_v6) {
        if (sscanf(hex, "%8x%8x%8x%8x", &words[0], &words[1], &words[2], &words[3]) != 4)
            return false;
        memcpy(a.s6_addr, words, sizeof(words));
    } else {
        if (sscanf(hex, "%8x", &words[0]) != 1)
            return false;
        a.s6_addr[10] = a.s6_addr[11] = 0xff;
        memcpy(&a.s6_addr[12], &words[0], 4);
    }
    *ret = a;
    return true;
}

/* "0: 0100007F:5ED8 00000000:0000 0A 00000000:00000000 00:00000000 00000000 33 0 4711 ..."; false: not a
 * listener. */
static bool parse_listener(const char *line, bool is_v6, struct listener *ret)
{
    char address[33];
    unsigned port, state, uid;
    uint64_t inode;
    if (sscanf(line,
               " %*u: %32[0-9A-Fa-f]:%4x %*32[0-9A-Fa-f]:%*4x %2x %*8x:%*8x %*2x:%*8x %*8x %u %*u %" SCNu64,
               address, &port, &state, &uid, &inode) != 5 ||
        state != TCP_LISTEN_STATE)
        return false;
    *ret = (struct listener){.is_v6 = is_v6, .port = (uint16_t)port, .uid = uid, .inode = inode};
    return parse_address(address, is_v6, &ret->address);
}

static enum match match(const struct listener *l, const struct in6_addr *asked)
{
    bool asked_v4 = IN6_IS_ADDR_V4MAPPED(asked);
    if (memcmp(&l->address, asked, sizeof(*asked)) == 0)
        return MATCH_SURE;
    if (IN6_IS_ADDR_V4MAPPED(&l->address)) /* 0.0.0.0, or ::ffff:0.0.0.0 */
        return asked_v4 && memcmp(&l->address.s6_addr[12], "\0\0\0\0", 4) == 0 ? MATCH_SURE : MATCH_NONE;
    if (!IN6_IS_ADDR_UNSPECIFIED(&l->address))
        return MATCH_NONE;
    return asked_v4 ? MATCH_UNLESS_V6ONLY : MATCH_SURE;
}

/* Whether the address could be listened on now. */
static bool can_bind(const struct in6_addr *address, uint16_t port)
{
    const int yes = 1;
    struct sockaddr_storage at;
    socklen_t length = address_to_sockaddr(address, port, &at);
    _cleanup_close_ int fd = socket(at.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) == 0 &&
           bind(fd, (struct sockaddr *)&at, length) == 0;
}

static bool holds(const struct listener *l, const struct in6_addr *asked, int count, uint16_t port)
{
    for (int i = 0; l->port == port && i < count; i++) {
        enum match m = match(l, &asked[i]);
        if (m == MATCH_SURE || (m == MATCH_UNLESS_V6ONLY && !can_bind(&asked[i], port)))
            return true;
    }
    return false;
}

/* 1: found. 0: nobody in this file. */
static int find_listener(int proc_fd, bool is_v6, const struct in6_addr *asked, int count, uint16_t port,
                         struct listener *ret)
{
    _cleanup_close_ int fd = fd_open_at(proc_fd, is_v6 ? "net/tcp6" : "net/tcp", O_RDONLY);
    if (fd < 0)
        return fd;
    _cleanup_fclose_ FILE *f = fdopen(fd, "re");
    if (!f)
        return -errno;
    (void)steal_fd(&fd);
    char line[LINE_BYTES];
    while (fgets(line, sizeof(line), f)) {
        struct listener l;
        if (parse_listener(line, is_v6, &l) && holds(&l, asked, count, port)) {
            *ret = l;
            return 1;
        }
    }
    return ferror(f) ? -EIO : 0;
}

/* --- the process --- */

/* Whether the process has the socket open; false also when it may not be looked at. */
static bool process_holds(int proc_fd, const char *pid, uint64_t inode)
{
    char path[32], wanted[48];
    snprintf(path, sizeof(path), "%.16s/fd", pid);
    snprintf(wanted, sizeof(wanted), "socket:[%" PRIu64 "]", inode);
    _cleanup_close_ int fd = fd_open_at(proc_fd, path, O_RDONLY | O_DIRECTORY);
    if (fd < 0)
        return false;
    _cleanup_closedir_ DIR *dir = fdopendir(fd);
    if (!dir)
        return false;
    (void)steal_fd(&fd);
    for (struct dirent *d; (d = readdir(dir));) {
        char target[sizeof(wanted)];
        ssize_t n = readlinkat(dirfd(dir), d->d_name, target, sizeof(target) - 1);
        if (n > 0 && (size_t)n == strlen(wanted) && memcmp(target, wanted, (size_t)n) == 0)
            return true;
    }
    return false;
}

/* The lowest pid that has the socket open: the parent, where forked children share it. 0: none was found. */
static pid_t find_process(int proc_fd, uint64_t inode)
{
    _cleanup_close_ int fd = fd_open_at(proc_fd, ".", O_RDONLY | O_DIRECTORY);
    if (fd < 0 || inode == 0)
        return 0;
    _cleanup_closedir_ DIR *dir = fdopendir(fd);
    if (!dir)
        return 0;
    (void)steal_fd(&fd);
    uint64_t lowest = 0;
    for (struct dirent *d; (d = readdir(dir));) {
        uint64_t pid;
        bool is_pid = isdigit((unsigned char)d->d_name[0]) && parse_u64(d->d_name, &pid) == 0 && pid > 0;
        if (is_pid && (lowest == 0 || pid < lowest) && process_holds(proc_fd, d->d_name, inode))
            lowest = pid;
    }
    return (pid_t)lowest;
}

static void read_comm(int proc_fd, pid_t pid, char *comm, size_t size)
{
    char path[32];
    snprintf(path, sizeof(path), "%d/comm", (int)pid);
    if (fd_read_text_at(proc_fd, path, comm, size) <= 0)
        snprintf(comm, size, "a process");
    comm[strcspn(comm, "\n")] = '\0';
    for (char *c = comm; *c; c++)
        if (iscntrl((unsigned char)*c))
            *c = '?'; /* a process names itself */
}

static void tell(int proc_fd, const char *where, const struct listener *l, pid_t pid, char *ret_text,
                 size_t size)
{
    char comm[64];
    if (pid > 0) {
        read_comm(proc_fd, pid, comm, sizeof(comm));
        snprintf(ret_text, size, "%s is taken by %s (pid %d)", where, comm, (int)pid);
    } else if (l->uid != geteuid()) {
        snprintf(ret_text, size, "%s is taken by a process of another user (uid %u)", where,
                 (unsigned)l->uid);
    } else {
        snprintf(ret_text, size, "%s is taken by a process weir cannot see", where);
    }
}

int port_find_holder_at(int proc_fd, const char *host, uint16_t port, pid_t *ret_pid, char *ret_text,
                        size_t size)
{
    struct in6_addr asked[ADDRESS_MAX];
    int count = address_parse(host, asked);
    if (count < 0)
        return count;
    struct listener l = {0};
    int r = find_listener(proc_fd, false, asked, count, port, &l);
    if (r == 0) {
        r = find_listener(proc_fd, true, asked, count, port, &l);
        if (r == -ENOENT) /* a kernel without IPv6 */
            r = 0;
    }
    if (r <= 0)
        return r;
    char where[ADDRESS_TEXT_MAX];
    *ret_pid = find_process(proc_fd, l.inode);
    tell(proc_fd, address_format(host, port, where), &l, *ret_pid, ret_text, size);
    return 1;
}

int port_find_holder(const char *host, uint16_t port, pid_t *ret_pid, char *ret_text, size_t size)
{
    _cleanup_close_ int proc_fd = fd_open_at(AT_FDCWD, "/proc", O_RDONLY | O_DIRECTORY);
    if (proc_fd < 0)
        return proc_fd;
    return port_find_holder_at(proc_fd, host, port, ret_pid, ret_text, size);
}
