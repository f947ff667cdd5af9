/* SPDX-License-Identifier: MIT */
/*
 * What weir-gate costs, beside a direct pipe and beside socat, in one run: latency of a request, throughput of lines of
 * 100 B, 10 kB and 64 MB each way, resident memory. Usage: bench_gate WEIR_GATE [ROUNDS]
 *
 * The three ways take turns, round by round, so that a busy machine is busy for all of them; the median round counts.
 * Beside the time that passed stands the processor time of what is in the middle, which others' work does not blur.
 * The server's pipes are as pipe(2) makes them. The worker is this program: it answers each line with one of the size that
 * the request names, and does nothing else.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "weir/gate/link.h"

#define CHUNK      (256 * 1024)
#define LINE_MAX_B (64 * 1000 * 1000)
#define PINGS      3000
#define ROUNDS_MAX 31

enum way { DIRECT, SOCAT, GATE, WAYS };
static const char *const way_names[WAYS] = {"direct", "socat", "gate"};

struct load {
    const char *name;
    size_t request, answer; /* bytes of a line */
    uint32_t count, window; /* lines; in flight */
};
static const struct load loads[] = {
    {"100 B there, 100 B back", 100, 100, 100000, 128}, {"10 kB there, 100 B back", 10000, 100, 20000, 64},
    {"100 B there, 10 kB back", 100, 10000, 20000, 64}, {"64 MB there, 100 B back", LINE_MAX_B, 100, 8, 1},
    {"100 B there, 64 MB back", 100, LINE_MAX_B, 8, 1},
};
#define LOADS (sizeof(loads) / sizeof(loads[0]))

static uint64_t now_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000U + (uint64_t)t.tv_nsec;
}

static _Noreturn void die(const char *what)
{
    fprintf(stderr, "bench_gate: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void write_all(int fd, const char *data, size_t size)
{
    while (size > 0) {
        ssize_t n = write(fd, data, size);
        if (n < 0)
            die("write");
        data += n;
        size -= (size_t)n;
    }
}

/* A request or an answer of exactly `size` bytes, the newline included. */
static size_t make_line(char *out, size_t size, uint64_t id, size_t answer)
{
    int n = answer > 0
                ? sprintf(out, "{\"jsonrpc\":\"2.0\",\"id\":%llu,\"method\":\"m%zu\",\"params\":\"",
                          (unsigned long long)id, answer)
                : sprintf(out, "{\"jsonrpc\":\"2.0\",\"id\":%llu,\"result\":\"", (unsigned long long)id);
    size_t at = (size_t)n;
    while (at < size - 3)
        out[at++] = 'x';
    memcpy(out + at, "\"}\n", 3);
    return at + 3;
}

/* ------------------------------------------ the worker ------------------------------------------ */

static int worker_main(void)
{
    char *in = malloc(CHUNK), *out = malloc(LINE_MAX_B + 256), *pending = malloc(CHUNK * 4);
    char head[256];
    size_t head_size = 0, pending_size = 0;
    for (ssize_t n; (n = read(0, in, CHUNK)) > 0;) {
        for (char *p = in, *end = in + n; p < end;) {
            char *newline = memchr(p, '\n', (size_t)(end - p));
            size_t part = (size_t)((newline ? newline + 1 : end) - p);
            size_t keep = part < sizeof(head) - 1 - head_size ? part : sizeof(head) - 1 - head_size;
            memcpy(head + head_size, p, keep);
            head_size += keep;
            p += part;
            if (!newline)
                continue;
            head[head_size] = '\0';
            unsigned long long id = strtoull(strstr(head, "\"id\":") + 5, NULL, 10);
            size_t size = strtoull(strstr(head, "\"method\":\"m") + 11, NULL, 10);
            head_size = 0;
            if (size > CHUNK) {
                write_all(1, out, make_line(out, size, id, 0));
                continue;
            }
            if (pending_size + size + 64 > CHUNK * 4) {
                write_all(1, pending, pending_size);
                pending_size = 0;
            }
            pending_size += make_line(pending + pending_size, size, id, 0);
        }
        write_all(1, pending, pending_size);
        pending_size = 0;
    }
    return 0;
}

/* ------------------------------------------ the supervisor ------------------------------------------ */

static void *supervise(void *argument)
{
    int listener = *(int *)argument;
    for (;;) {
        int fd = accept(listener, NULL, NULL);
        struct gate_told_message *told = calloc(1, sizeof(*told));
        struct gate_says_message said;
        *told = (struct gate_told_message){.version = GATE_LINK_VERSION, .kind = GATE_TOLD_WELCOME};
        told->settings = (struct gate_settings){
            .format = GATE_FORMAT_JSONL, .replay_max = 1, .patience_us = 60000000, .memory_bytes = 1 << 20};
        (void)send(fd, told, sizeof(*told), MSG_NOSIGNAL);
        while (recv(fd, &said, sizeof(said), 0) == (ssize_t)sizeof(said)) {
            if (said.kind != GATE_SAYS_ASK)
                continue;
            told->kind = GATE_TOLD_GO;
            told->generation = 1;
            (void)send(fd, told, sizeof(*told), MSG_NOSIGNAL);
        }
        free(told);
        close(fd);
    }
    return NULL;
}

static void start_supervisor(const char *folder)
{
    static int listener;
    pthread_t thread;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s/gate.sock", folder);
    listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof(address)) < 0 ||
        listen(listener, 4) < 0 || pthread_create(&thread, NULL, supervise, &listener) != 0)
        die("supervisor");
}

/* ------------------------------------------ the server ------------------------------------------ */

struct chain {
    pid_t pid;
    int in, out; /* for writing, for reading */
};

static struct chain start(enum way way, const char *self, const char *gate, const char *folder)
{
    int to[2], from[2];
    char exec[600];
    (void)snprintf(exec, sizeof(exec), "EXEC:%s --worker,pipes", self);
    if (pipe2(to, O_CLOEXEC) < 0 || pipe2(from, O_CLOEXEC) < 0)
        die("pipe");
    pid_t pid = fork();
    if (pid == 0) {
        dup2(to[0], 0);
        dup2(from[1], 1);
        if (way == DIRECT)
            execl(self, self, "--worker", (char *)NULL);
        else if (way == SOCAT)
            execlp("socat", "socat", "-", exec, (char *)NULL);
        else
            execl(gate, gate, "--unit", "worker", "--run-dir", folder, "--path", "/nowhere", "--", self,
                  "--worker", (char *)NULL);
        _exit(127);
    }
    close(to[0]);
    close(from[1]);
    return (struct chain){pid, to[1], from[0]};
}

static void stop(struct chain *c)
{
    int status;
    close(c->in);
    char rest[4096];
    while (read(c->out, rest, sizeof(rest)) > 0)
        ;
    close(c->out);
    if (waitpid(c->pid, &status, 0) != c->pid || status != 0)
        fprintf(stderr, "bench_gate: pid %d ended with %x\n", (int)c->pid, (unsigned)status);
}

static long resident_kb(pid_t pid)
{
    char path[64], line[256];
    long kb = 0;
    (void)snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
    FILE *f = fopen(path, "re");
    while (f && fgets(line, sizeof(line), f))
        if (sscanf(line, "VmRSS: %ld", &kb) == 1)
            break;
    if (f)
        fclose(f);
    return kb;
}

/* Time on a processor so far, of what stands in the middle: what a busy machine does not blur. */
static double cpu_seconds(pid_t pid)
{
    char path[64];
    unsigned long long ns = 0;
    (void)snprintf(path, sizeof(path), "/proc/%d/schedstat", (int)pid);
    FILE *f = fopen(path, "re");
    if (f && fscanf(f, "%llu", &ns) != 1)
        ns = 0;
    if (f)
        fclose(f);
    return (double)ns / 1e9;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double quantile(double *values, size_t count, double q)
{
    qsort(values, count, sizeof(*values), compare);
    return values[(size_t)(q * (double)(count - 1))];
}

static void ping(const struct chain *c, char *line, double *ret_us)
{
    char answer[4096];
    for (int i = -PINGS / 10; i < PINGS; i++) {
        size_t size = make_line(line, 120, (uint64_t)(i + PINGS), 120);
        uint64_t begin = now_ns();
        write_all(c->in, line, size);
        for (size_t got = 0; got < 120;) {
            ssize_t n = read(c->out, answer, sizeof(answer));
            if (n <= 0)
                die("no answer");
            got += (size_t)n;
        }
        if (i >= 0)
            ret_us[i] = (double)(now_ns() - begin) / 1000.0;
    }
}

/* Returns seconds. *ret_kb: resident memory of what stands in the middle, near the end. */
static double throughput(const struct chain *c, const struct load *l, char *line, long *ret_kb)
{
    static char answer[CHUNK];
    uint32_t sent = 0, done = 0;
    size_t size = 0, at = 0;
    uint64_t begin = now_ns(), answered = 0;
    (void)fcntl(c->in, F_SETFL, O_NONBLOCK);
    while (done < l->count) {
        struct pollfd p[2] = {{c->out, POLLIN, 0}, {c->in, 0, 0}};
        if (at == size && sent < l->count && sent - done < l->window) {
            /* as many lines as may go, in one write, as a server's stream does */
            uint32_t lines = l->window - (sent - done);
            size = at = 0;
            if (l->request > CHUNK)
                lines = 1;
            for (; lines > 0 && sent < l->count && size < CHUNK; lines--)
                size += make_line(line + size, l->request, ++sent, l->answer);
        }
        if (at < size)
            p[1].events = POLLOUT;
        if (poll(p, 2, -1) < 0)
            die("poll");
        if (p[1].revents & POLLOUT) {
            ssize_t n = write(c->in, line + at, size - at);
            if (n > 0)
                at += (size_t)n;
        }
        if (p[0].revents) {
            ssize_t n = read(c->out, answer, sizeof(answer));
            if (n <= 0)
                die("the stream ended");
            answered += (uint64_t)n;
            done = (uint32_t)(answered / l->answer);
        }
    }
    double seconds = (double)(now_ns() - begin) / 1e9;
    *ret_kb = resident_kb(c->pid);
    (void)fcntl(c->in, F_SETFL, 0);
    return seconds;
}

/* ------------------------------------------ the table ------------------------------------------ */

static double pings[WAYS][PINGS];
static double p50[WAYS][ROUNDS_MAX], p99[WAYS][ROUNDS_MAX], seconds[WAYS][LOADS][ROUNDS_MAX];
static double cpu[WAYS][LOADS][ROUNDS_MAX], ping_cpu[WAYS][ROUNDS_MAX];
static long resident[WAYS][LOADS + 1];

static void measure(const char *self, const char *gate, const char *folder, int rounds)
{
    char *line = malloc(LINE_MAX_B + CHUNK + 256);
    for (int round = 0; round < rounds; round++)
        for (enum way way = DIRECT; way < WAYS; way++) {
            struct chain c = start(way, self, gate, folder);
            double before = cpu_seconds(c.pid);
            ping(&c, line, pings[way]);
            ping_cpu[way][round] = (cpu_seconds(c.pid) - before) / (PINGS + PINGS / 10);
            p50[way][round] = quantile(pings[way], PINGS, 0.5);
            p99[way][round] = quantile(pings[way], PINGS, 0.99);
            resident[way][LOADS] = resident_kb(c.pid);
            for (size_t i = 0; i < LOADS; i++) {
                long kb;
                before = cpu_seconds(c.pid);
                seconds[way][i][round] = throughput(&c, &loads[i], line, &kb);
                cpu[way][i][round] = cpu_seconds(c.pid) - before;
                if (kb > resident[way][i])
                    resident[way][i] = kb;
            }
            stop(&c);
        }
    free(line);
}

static void print_latency(int rounds)
{
    printf("%-24s %10s %10s %12s %12s %12s %10s\n", "round trip of 120 B", "p50 us", "p99 us", "p50 added",
           "p99 added", "cpu us", "RSS kB");
    double base50 = quantile(p50[DIRECT], (size_t)rounds, 0.5),
           base99 = quantile(p99[DIRECT], (size_t)rounds, 0.5);
    for (enum way way = DIRECT; way < WAYS; way++) {
        double m50 = quantile(p50[way], (size_t)rounds, 0.5), m99 = quantile(p99[way], (size_t)rounds, 0.5);
        printf("%-24s %10.1f %10.1f %12.1f %12.1f %12.1f %10ld\n", way_names[way], m50, m99, m50 - base50,
               m99 - base99, way == DIRECT ? 0 : quantile(ping_cpu[way], (size_t)rounds, 0.5) * 1e6,
               way == DIRECT ? 0 : resident[way][LOADS]);
    }
}

static void print_throughput(int rounds)
{
    printf("\n%-24s %8s %10s %10s %10s %10s %12s %12s %8s\n", "throughput", "", "lines/s", "MB/s",
           "of direct", "of socat", "cpu us/line", "MB/cpu s", "RSS kB");
    for (size_t i = 0; i < LOADS; i++) {
        double s[WAYS];
        for (enum way way = DIRECT; way < WAYS; way++)
            s[way] = quantile(seconds[way][i], (size_t)rounds, 0.5);
        double bytes = (double)(loads[i].request + loads[i].answer) * loads[i].count / 1e6;
        for (enum way way = DIRECT; way < WAYS; way++) {
            double c = quantile(cpu[way][i], (size_t)rounds, 0.5);
            printf("%-24s %8s %10.0f %10.0f %10.2f %10.2f", way == DIRECT ? loads[i].name : "",
                   way_names[way], loads[i].count / s[way], bytes / s[way], s[DIRECT] / s[way],
                   s[SOCAT] / s[way]);
            if (way == DIRECT)
                printf("\n");
            else
                printf(" %12.2f %12.0f %8ld\n", c / loads[i].count * 1e6, bytes / c, resident[way][i]);
        }
    }
}

int main(int argc, char **argv)
{
    char self[512], folder[] = "/tmp/bench-gate.XXXXXX", path[128];
    if (argc > 1 && strcmp(argv[1], "--worker") == 0)
        return worker_main();
    int rounds = argc > 2 ? atoi(argv[2]) : 5;
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    if (argc < 2 || n < 0 || rounds < 1 || rounds > ROUNDS_MAX || !mkdtemp(folder)) {
        fputs("usage: bench_gate WEIR_GATE [ROUNDS]\n", stderr);
        return 2;
    }
    self[n] = '\0';
    (void)signal(SIGPIPE, SIG_IGN);
    start_supervisor(folder);
    measure(self, argv[1], folder, rounds);
    print_latency(rounds);
    print_throughput(rounds);
    (void)snprintf(path, sizeof(path), "%s/gate.sock", folder);
    (void)unlink(path);
    (void)rmdir(folder);
    return 0;
}
