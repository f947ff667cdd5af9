/* SPDX-License-Identifier: MIT */
/*
 * rpc: see rpc.h.
 */
#include "rpc.h"

#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sys.h"

enum {
    BODY_BYTES_MAX = 1024 * 1024, /* chosen: a JSON-RPC request of this server is small */
    CONNECTIONS_MAX = 256,        /* chosen: a thread each */
    RPC_PARSE = -32700,
    RPC_INVALID = -32600,
    RPC_NO_METHOD = -32601,
    RPC_WORKER = -32000, /* JSON-RPC: first of the codes left to servers */
};

struct body {
    char *data;
    size_t size;
    bool too_long;
};

static enum MHD_Result reply(struct MHD_Connection *connection, unsigned int status, json_t *value)
{
    char *text = json_dumps(value, JSON_COMPACT);
    json_decref(value);
    if (!text)
        return MHD_NO;
    struct MHD_Response *response =
        MHD_create_response_from_buffer(strlen(text), text, MHD_RESPMEM_MUST_FREE);
    if (!response) {
        free(text);
        return MHD_NO;
    }
    MHD_add_response_header(response, "Content-Type", "application/json");
    enum MHD_Result result = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return result;
}

static json_t *rpc_error(json_t *id, int code, const char *message)
{
    return json_pack("{s:s, s:O?, s:{s:i, s:s}}", "jsonrpc", "2.0", "id", id, "error", "code", code,
                     "message", message);
}

/* ---- methods ---- */

static const char *failure_text(int result)
{
    switch (result) {
    case -ETIMEDOUT:
        return "Request timeout";
    case -ESHUTDOWN:
        return "Server is stopping";
    case -ENOTCONN:
    case -EPIPE:
        return "Not connected to database";
    default:
        return strerror(-result);
    }
}

/* What came back from the worker since this server began: asked, result, error, stray and so on. */
static json_t *calls_json(const int64_t *count)
{
    json_t *calls = json_object();
    for (int i = 0; i < LEDGER_EVENT_COUNT; i++)
        json_object_set_new(calls, ledger_event_name(i), json_integer(count[i]));
    return calls;
}

static json_t *status_result(struct rpc *rpc, const struct indexer_status *index)
{
    struct link_status worker = link_status(rpc->link);
    json_t *requests = json_pack("{s:I, s:I}", "total", (json_int_t)atomic_load(&rpc->requests_count),
                                 "search", (json_int_t)atomic_load(&rpc->searches_count));
    json_t *server = json_pack("{s:s, s:i, s:b, s:o}", "status", "running", "pid", (int)getpid(), "syncing",
                               (int)index->syncing, "requests", requests);
    json_t *totals = json_pack("{s:I, s:I}", "totalDocuments", (json_int_t)index->documents_count,
                               "totalSections", (json_int_t)index->sections_count);
    int64_t count[LEDGER_EVENT_COUNT];
    int64_t errors_count = ledger_read(&rpc->link->ledger, count);
    json_t *workers =
        json_pack("{s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o}", "running", worker.state == LINK_READY,
                  "processing", (json_int_t)index->processing_count, "queue", (json_int_t)index->queue_count,
                  "restarts", (json_int_t)worker.restarts_count, "pid", (json_int_t)worker.pid, "failed",
                  (json_int_t)index->failed_count, "requeued", (json_int_t)index->requeued_count, "errors",
                  (json_int_t)errors_count, "calls", calls_json(count));
    return json_pack("{s:o, s:o, s:o}", "server", server, "index", totals, "worker", workers);
}

/* An error until the database was read once, and when there will be no worker any more. */
static json_t *get_status(struct rpc *rpc, json_t *id)
{
    struct indexer_status index = indexer_status(rpc->indexer);
    if (!index.known || link_status(rpc->link).state == LINK_GONE)
        return rpc_error(id, RPC_WORKER, failure_text(-ENOTCONN));
    return json_pack("{s:s, s:O?, s:o}", "jsonrpc", "2.0", "id", id, "result", status_result(rpc, &index));
}

/* `search` of this server carries its options in an object; the worker wants them beside the query. */
static json_t *worker_params(json_t *params)
{
    json_t *flat = json_is_object(params) ? json_copy(params) : json_object();
    json_t *options = json_object_get(flat, "options");
    if (json_is_object(options))
        json_object_update_missing(flat, options);
    json_object_del(flat, "options");
    return flat;
}

static json_t *pass_on(struct rpc *rpc, const char *method, json_t *params, json_t *id)
{
    json_t *answer = NULL, *flat = worker_params(params);
    int result = link_call_again(rpc->link, method, flat, &answer);
    json_decref(flat);
    if (result < 0)
        return rpc_error(id, RPC_WORKER, failure_text(result));
    return json_pack("{s:s, s:O?, s:o}", "jsonrpc", "2.0", "id", id, result == 0 ? "result" : "error",
                     answer);
}

static bool goes_to_worker(const char *method)
{
    static const char *const methods[] = {"search", "getStats", "getSectionsByPath", "getSectionById"};
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++)
        if (strcmp(methods[i], method) == 0)
            return true;
    return false;
}

static json_t *answer_request(struct rpc *rpc, json_t *request)
{
    json_t *id = json_object_get(request, "id");
    const char *method = json_string_value(json_object_get(request, "method"));
    if (!method)
        return rpc_error(id, RPC_INVALID, "Invalid request");
    if (strcmp(method, "getStatus") == 0)
        return get_status(rpc, id);
    if (!goes_to_worker(method))
        return rpc_error(id, RPC_NO_METHOD, "Method not found");
    if (strcmp(method, "search") == 0)
        atomic_fetch_add(&rpc->searches_count, 1);
    return pass_on(rpc, method, json_object_get(request, "params"), id);
}

static enum MHD_Result serve_rpc(struct rpc *rpc, struct MHD_Connection *connection, const struct body *body)
{
    atomic_fetch_add(&rpc->requests_count, 1);
    json_error_t error;
    json_t *request = json_loadb(body->data ? body->data : "", body->size, 0, &error);
    json_t *answer = request ? answer_request(rpc, request) : rpc_error(NULL, RPC_PARSE, error.text);
    json_decref(request);
    return reply(connection, MHD_HTTP_OK, answer);
}

/* ---- HTTP ---- */

static void append_body(struct body *body, const char *data, size_t size)
{
    char *grown = body->size + size <= BODY_BYTES_MAX ? realloc(body->data, body->size + size) : NULL;
    if (!grown) {
        body->too_long = true;
        return;
    }
    memcpy(grown + body->size, data, size);
    body->data = grown;
    body->size += size;
}

static enum MHD_Result serve_whole(struct rpc *rpc, struct MHD_Connection *connection, const char *url,
                                   const char *method, const struct body *body)
{
    bool get = strcmp(method, MHD_HTTP_METHOD_GET) == 0, post = strcmp(method, MHD_HTTP_METHOD_POST) == 0;
    bool health = strcmp(url, "/health") == 0, calls = strcmp(url, "/rpc") == 0;
    if (body->too_long)
        return reply(connection, MHD_HTTP_CONTENT_TOO_LARGE, json_pack("{s:s}", "error", "too long"));
    if (health && get)
        return reply(connection, MHD_HTTP_OK, json_pack("{s:s}", "status", "ok"));
    if (calls && post)
        return serve_rpc(rpc, connection, body);
    if (health || calls)
        return reply(connection, MHD_HTTP_METHOD_NOT_ALLOWED,
                     json_pack("{s:s}", "error", "method not allowed"));
    return reply(connection, MHD_HTTP_NOT_FOUND, json_pack("{s:s}", "error", "not found"));
}

/* Called first without a body, then for each part of it, then once more: only then the request is whole. */
static enum MHD_Result handle(void *context, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *data, size_t *data_size,
                              void **state)
{
    (void)version;
    struct body *body = *state;
    if (!body) {
        *state = calloc(1, sizeof(struct body));
        return *state ? MHD_YES : MHD_NO;
    }
    if (*data_size) {
        append_body(body, data, *data_size);
        *data_size = 0;
        return MHD_YES;
    }
    return serve_whole(context, connection, url, method, body);
}

static void forget_body(void *context, struct MHD_Connection *connection, void **state,
                        enum MHD_RequestTerminationCode code)
{
    (void)context, (void)connection, (void)code;
    struct body *body = *state;
    if (body)
        free(body->data);
    free(body);
    *state = NULL;
}

int rpc_start(struct rpc *rpc, const char *bind, uint16_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    if (inet_pton(AF_INET, bind, &address.sin_addr) != 1)
        return -EINVAL;
    errno = 0;
    rpc->daemon = MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION, port,
                                   NULL, NULL, handle, rpc, MHD_OPTION_SOCK_ADDR, &address,
                                   MHD_OPTION_NOTIFY_COMPLETED, forget_body, rpc, MHD_OPTION_CONNECTION_LIMIT,
                                   (unsigned int)CONNECTIONS_MAX, MHD_OPTION_END);
    if (!rpc->daemon)
        return errno ? -errno : -EADDRINUSE;
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(rpc->daemon, MHD_DAEMON_INFO_BIND_PORT);
    return info ? info->port : port;
}

void rpc_stop(struct rpc *rpc)
{
    if (rpc->daemon)
        MHD_stop_daemon(rpc->daemon);
    rpc->daemon = NULL;
}
