/* SPDX-License-Identifier: MIT */
/*
 * docs-search: asks a document server a query every N ms, and tells how many failed and how long they took.
 *
 * Queries go out by the clock, not after the answer to the one before: while the server is stuck they pile up,
 * each on a connection of its own, as those of real users do. So a latency is counted from the moment a query
 * was due; one that found no free connection is no shorter for it. A query fails when the connection does, when
 * the answer is not HTTP 200 with a `result`, or when there is none within --timeout.
 *
 * One thread, one poll loop. Connections are kept open; one that the server has closed meanwhile is opened anew.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "opt.h"
#include "sys.h"

enum {
    CONNECTIONS_MAX = 200,           /* chosen: docs-server takes 256 */
    ANSWER_BYTES_MAX = 4 << 20,      /* chosen: more is no answer to a search */
    REASON_BYTES = 160,              /* chosen: one line */
    LATENCIES_MAX = 10 * 1000 * 1000 /* chosen: six days at 20 a second; 80 MB */
};

static struct {
    const char *host, *method, *query;
    int64_t port, interval_ms, count, connections;
    double for_s, timeout_s;
    bool json;
} arg = {
    .host = "127.0.0.1",
    .method = "search",
    .query = "memory",
    .interval_ms = 50,
    .connections = 64,
    .timeout_s = 10, /* chosen: what a patient person waits */
};

static const struct opt options[] = {
    {"port", "N", OPT_COUNT, &arg.port, "the server's port on 127.0.0.1", NULL},
    {"interval", "MS", OPT_COUNT, &arg.interval_ms, "a query this often (default 50)", NULL},
    {"count", "N", OPT_COUNT, &arg.count, "end after N queries (default 0: no end)", NULL},
    {"for", "SEC", OPT_SECONDS, &arg.for_s, "end after so long (default 0: no end)", NULL},
    {"timeout", "SEC", OPT_SECONDS, &arg.timeout_s, "a query without an answer has failed (default 10)",
     NULL},
    {"connections", "N", OPT_COUNT, &arg.connections, "at most so many at once (default 64, at most 200)",
     NULL},
    {"method", "NAME", OPT_STRING, &arg.method, "what is called (default search)", NULL},
    {"query", "TEXT", OPT_STRING, &arg.query,
     "params are {\"query\":TEXT,\"documentPath\":TEXT,\"options\":{\"limit\":3}}", NULL},
    {"json", NULL, OPT_FLAG, &arg.json, "print the result as one JSON object", NULL},
    {0},
};

static const struct opt_program program = {
    .name = "docs-search",
    .usage = "--port N [options]",
    .summary = "Asks a document server at its POST /rpc and measures: sent, failed, latency p50, p99, max.",
    .table = options,
    .notes = "SIGTERM or SIGINT: sends no more, waits for what is open, prints.\n"
             "Exit status: 0 when all were answered with a result, 1 when any failed, 2 for wrong arguments.",
};

struct connection {
    int fd; /* -1: closed */
    bool busy;
    int64_t due_us; /* of the query it carries */
    char *answer;
    size_t size, room;
};

struct reason {
    char text[REASON_BYTES];
    int64_t count;
};

struct client {
    struct connection connection[CONNECTIONS_MAX];
    char *request; /* the same for all */
    size_t request_size;
    int64_t start_us, sent_count, failed_count;
    int64_t *latency_us; /* of those answered with a result */
    size_t latency_count, latency_room;
    struct reason reason[8]; /* chosen: more kinds of failure are counted with the last */
};

static volatile sig_atomic_t stop;

static void note_stop(int signal)
{
    (void)signal;
    stop = 1;
}

/* ---- what came of a query ---- */

static void failed(struct client *client, const char *text)
{
    size_t i = 0, last = sizeof client->reason / sizeof client->reason[0] - 1;
    while (i < last && client->reason[i].count && strcmp(client->reason[i].text, text) != 0)
        i++;
    if (client->reason[i].count == 0)
        snprintf(client->reason[i].text, REASON_BYTES, "%s", text);
    client->reason[i].count++;
    client->failed_count++;
}

static void answered(struct client *client, int64_t latency_us)
{
    if (client->latency_count == client->latency_room) {
        size_t room = client->latency_room ? client->latency_room * 2 : 4096;
        int64_t *grown = room > LATENCIES_MAX ? NULL : realloc(client->latency_us, room * sizeof *grown);
        if (!grown)
            opt_fail(&program, "too many answers to remember");
        client->latency_us = grown;
        client->latency_room = room;
    }
    client->latency_us[client->latency_count++] = latency_us;
}

static void close_connection(struct connection *c)
{
    if (c->fd >= 0)
        close(c->fd);
    c->fd = -1;
    c->busy = false;
    c->size = 0;
}

static void fail_connection(struct client *client, struct connection *c, const char *text)
{
    failed(client, text);
    close_connection(c);
}

/* ---- HTTP, as little as it takes ---- */

static void format_request(struct client *client)
{
    json_t *body =
        json_pack("{s:s, s:i, s:s, s:{s:s, s:s, s:{s:i}}}", "jsonrpc", "2.0", "id", 1, "method", arg.method,
                  "params", "query", arg.query, "documentPath", arg.query, "options", "limit", 3);
    char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
    int n = text ? asprintf(&client->request,
                            "POST /rpc HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                            "Content-Length: %zu\r\n\r\n%s",
                            strlen(text), text)
                 : -1;
    if (n < 0)
        opt_fail(&program, "--query: not UTF-8, or out of memory");
    client->request_size = (size_t)n;
    free(text);
    json_decref(body);
}

/* Points ret_body at the body once all of it is there. Returns its length, -1 for not yet, -2 for no HTTP. */
static ssize_t whole_body(const struct connection *c, const char **ret_body)
{
    const char *end = c->size ? memmem(c->answer, c->size, "\r\n\r\n", 4) : NULL;
    if (!end)
        return c->size > 65536 ? -2 : -1;
    const char *line = c->answer;
    ssize_t length = -2;
    while ((line = memmem(line, (size_t)(end - line), "\r\n", 2))) {
        line += 2;
        if (strncasecmp(line, "Content-Length:", 15) == 0)
            length = strtol(line + 15, NULL, 10);
    }
    *ret_body = end + 4;
    size_t there = c->size - (size_t)(*ret_body - c->answer);
    if (length < 0 || length > ANSWER_BYTES_MAX)
        return -2;
    return there >= (size_t)length ? length : -1;
}

/* Says in ret_text what is wrong with an answer. Returns false then. */
static bool is_result(const struct connection *c, const char *body, size_t length, char *ret_text)
{
    if (c->size < 12 || strncmp(c->answer + 8, " 200", 4) != 0) {
        snprintf(ret_text, REASON_BYTES, "HTTP %.3s", c->size < 12 ? "?" : c->answer + 9);
        return false;
    }
    json_t *answer = json_loadb(body, length, 0, NULL);
    bool ok = json_object_get(answer, "result") != NULL;
    const char *message = json_string_value(json_object_get(json_object_get(answer, "error"), "message"));
    snprintf(ret_text, REASON_BYTES, "%s", message ? message : "neither result nor error");
    json_decref(answer);
    return ok;
}

static void take_answer(struct client *client, struct connection *c)
{
    char text[REASON_BYTES];
    const char *body = NULL;
    ssize_t length = whole_body(c, &body);
    if (length == -1)
        return;
    if (length < 0) {
        fail_connection(client, c, "not HTTP");
        return;
    }
    if (is_result(c, body, (size_t)length, text))
        answered(client, sys_now_us() - c->due_us);
    else
        failed(client, text);
    c->busy = false;
    c->size = 0;
}

static void read_answer(struct client *client, struct connection *c)
{
    if (c->room - c->size < 16384) {
        size_t room = c->room ? c->room * 2 : 32768;
        char *grown = room > 2 * ANSWER_BYTES_MAX ? NULL : realloc(c->answer, room);
        if (!grown) {
            fail_connection(client, c, "answer too long");
            return;
        }
        c->answer = grown;
        c->room = room;
    }
    ssize_t n = recv(c->fd, c->answer + c->size, c->room - c->size, MSG_DONTWAIT);
    if (n > 0) {
        c->size += (size_t)n;
        take_answer(client, c);
    } else if (n == 0) {
        fail_connection(client, c, "connection closed");
    } else if (errno != EAGAIN && errno != EINTR) {
        fail_connection(client, c, strerror(errno));
    }
}

/* ---- sending ---- */

/* The server may have closed it, or ended, since the last answer: that is no failure of the next query. */
static bool still_open(const struct connection *c)
{
    char byte;
    return c->fd >= 0 && recv(c->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

static int open_connection(struct connection *c)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)arg.port)};
    const int one = 1;
    (void)inet_pton(AF_INET, arg.host, &address.sin_addr);
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0)
        return -errno;
    (void)setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one); /* only speed; ignoring */
    return connect(c->fd, (struct sockaddr *)&address, sizeof address) < 0 ? -errno : 0;
}

static void send_query(struct client *client, struct connection *c, int64_t due_us)
{
    int result = 0;
    if (!still_open(c)) {
        close_connection(c);
        result = open_connection(c);
    }
    client->sent_count++;
    c->busy = true;
    c->due_us = due_us;
    c->size = 0;
    if (result == 0 && send(c->fd, client->request, client->request_size, MSG_NOSIGNAL) < 0)
        result = -errno;
    if (result < 0)
        fail_connection(client, c, strerror(-result));
}

static struct connection *free_connection(struct client *client)
{
    for (int64_t i = 0; i < arg.connections; i++)
        if (!client->connection[i].busy)
            return &client->connection[i];
    return NULL;
}

/* When the next query is due; -1: there is none. */
static int64_t next_due_us(const struct client *client)
{
    int64_t due_us = client->start_us + client->sent_count * arg.interval_ms * 1000;
    bool over = stop || (arg.count && client->sent_count >= arg.count) ||
                (arg.for_s > 0 && due_us >= client->start_us + (int64_t)(arg.for_s * 1e6));
    return over ? -1 : due_us;
}

static void send_due(struct client *client)
{
    for (;;) {
        int64_t due_us = next_due_us(client), now_us = sys_now_us();
        struct connection *c = free_connection(client);
        if (due_us < 0 || due_us > now_us || !c)
            return;
        send_query(client, c, due_us);
    }
}

/* ---- the loop ---- */

static int64_t timeout_us(void)
{
    return (int64_t)(arg.timeout_s * 1e6);
}

static int wait_ms(const struct client *client)
{
    int64_t now_us = sys_now_us(), due_us = next_due_us(client), soonest_us = due_us < 0 ? INT64_MAX : due_us;
    bool full = true;
    for (int64_t i = 0; i < arg.connections; i++)
        full = full && client->connection[i].busy;
    if (full)
        soonest_us = INT64_MAX; /* nothing can be sent before an answer, or a time-out */
    for (int64_t i = 0; i < arg.connections; i++)
        if (client->connection[i].busy && client->connection[i].due_us + timeout_us() < soonest_us)
            soonest_us = client->connection[i].due_us + timeout_us();
    if (soonest_us <= now_us)
        return 0;
    return soonest_us - now_us > 1000000 ? 1000 : (int)((soonest_us - now_us + 999) / 1000);
}

static void fail_late(struct client *client)
{
    int64_t now_us = sys_now_us();
    for (int64_t i = 0; i < arg.connections; i++)
        if (client->connection[i].busy && now_us >= client->connection[i].due_us + timeout_us())
            fail_connection(client, &client->connection[i], "no answer in time");
}

/* One turn. Returns false when nothing is open and nothing more is to be sent. */
static bool turn(struct client *client)
{
    struct pollfd fds[CONNECTIONS_MAX];
    struct connection *of[CONNECTIONS_MAX];
    nfds_t count = 0;
    send_due(client);
    for (int64_t i = 0; i < arg.connections; i++) {
        if (!client->connection[i].busy)
            continue;
        fds[count] = (struct pollfd){.fd = client->connection[i].fd, .events = POLLIN};
        of[count++] = &client->connection[i];
    }
    if (count == 0 && next_due_us(client) < 0)
        return false;
    int ready = poll(fds, count, wait_ms(client));
    for (nfds_t i = 0; ready > 0 && i < count; i++)
        if (fds[i].revents)
            read_answer(client, of[i]);
    fail_late(client);
    return true;
}

/* ---- the result ---- */

static int by_size(const void *a, const void *b)
{
    int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;
    return (left > right) - (left < right);
}

/* Nearest rank, in ms; the latencies are sorted. */
static double percentile_ms(const struct client *client, int percent)
{
    if (client->latency_count == 0)
        return 0;
    size_t rank = (client->latency_count * (size_t)percent + 99) / 100;
    return (double)client->latency_us[rank ? rank - 1 : 0] / 1000;
}

static void print_json(const struct client *client)
{
    json_t *reasons = json_object();
    for (size_t i = 0; i < sizeof client->reason / sizeof client->reason[0]; i++)
        if (client->reason[i].count)
            json_object_set_new(reasons, client->reason[i].text, json_integer(client->reason[i].count));
    json_t *result =
        json_pack("{s:I, s:I, s:I, s:f, s:f, s:f, s:o}", "sent", (json_int_t)client->sent_count, "answered",
                  (json_int_t)client->latency_count, "failed", (json_int_t)client->failed_count, "p50_ms",
                  percentile_ms(client, 50), "p99_ms", percentile_ms(client, 99), "max_ms",
                  percentile_ms(client, 100), "reasons", reasons);
    char *text = result ? json_dumps(result, JSON_COMPACT | JSON_REAL_PRECISION(6)) : NULL;
    puts(text ? text : "{}");
    free(text);
    json_decref(result);
}

static void print_text(const struct client *client)
{
    printf("%lld sent, %lld failed; latency p50 %.1f ms, p99 %.1f ms, max %.1f ms\n",
           (long long)client->sent_count, (long long)client->failed_count, percentile_ms(client, 50),
           percentile_ms(client, 99), percentile_ms(client, 100));
    for (size_t i = 0; i < sizeof client->reason / sizeof client->reason[0]; i++)
        if (client->reason[i].count)
            printf("%lld failed: %s\n", (long long)client->reason[i].count, client->reason[i].text);
}

static void read_arguments(int argc, char **argv)
{
    opt_parse(&program, argc, argv);
    if (arg.port < 1 || arg.port > 65535)
        opt_fail(&program, "--port %lld: wants 1 to 65535", (long long)arg.port);
    if (arg.interval_ms < 1)
        opt_fail(&program, "--interval %lld: wants at least 1", (long long)arg.interval_ms);
    if (arg.connections < 1 || arg.connections > CONNECTIONS_MAX)
        opt_fail(&program, "--connections %lld: wants 1 to %d", (long long)arg.connections, CONNECTIONS_MAX);
}

int main(int argc, char **argv)
{
    static struct client client;
    const struct sigaction on_stop = {.sa_handler = note_stop}; /* no SA_RESTART: it ends the poll */
    read_arguments(argc, argv);
    sigaction(SIGTERM, &on_stop, NULL);
    sigaction(SIGINT, &on_stop, NULL);
    for (size_t i = 0; i < CONNECTIONS_MAX; i++)
        client.connection[i].fd = -1;
    format_request(&client);
    client.start_us = sys_now_us();
    while (turn(&client))
        ;
    if (client.latency_count)
        qsort(client.latency_us, client.latency_count, sizeof *client.latency_us, by_size);
    if (arg.json)
        print_json(&client);
    else
        print_text(&client);
    return client.failed_count ? 1 : 0;
}
