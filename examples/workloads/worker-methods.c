/* SPDX-License-Identifier: MIT */
/*
 * worker-methods: see worker-methods.h.
 */
#include "worker-methods.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "sys.h"

enum {
    RPC_PARSE = -32700,
    RPC_INVALID = -32600,
    RPC_NO_METHOD = -32601,
    RPC_INTERNAL = -32603
}; /* JSON-RPC 2.0 */

enum {
    VECTOR_DIMENSION = 256,
    FIND_LIMIT = 1000,
    DIRTY_LIMIT = 100,
    SEARCH_LIMIT = 10
}; /* as the real worker */

/* A method returns its result (a new reference), or NULL with a sentence in error. */
struct failure {
    char text[256];
};

typedef json_t *method_fn(struct worker *worker, json_t *params, struct failure *failure);

__attribute__((format(printf, 2, 3))) static json_t *fail(struct failure *failure, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(failure->text, sizeof failure->text, format, args);
    va_end(args);
    return NULL;
}

/* A required, non-empty string parameter, or NULL with the message of the real worker. */
static const char *need_string(json_t *params, const char *name, struct failure *failure)
{
    const char *text = json_string_value(json_object_get(params, name));
    if (text && *text)
        return text;
    fail(failure, "%s parameter is required", name);
    return NULL;
}

static int64_t limit_of(json_t *params, int64_t otherwise)
{
    json_t *limit = json_object_get(params, "limit");
    return json_is_integer(limit) && json_integer_value(limit) >= 0 ? json_integer_value(limit) : otherwise;
}

static json_t *now_text(void)
{
    char text[40];
    struct timespec now;
    struct tm utc;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    size_t n = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &utc);
    snprintf(text + n, sizeof text - n, ".%03ldZ", now.tv_nsec / 1000000);
    return json_string(text);
}

/* ---- model ---- */

static json_t *ping(struct worker *worker, json_t *params, struct failure *failure)
{
    (void)worker, (void)params, (void)failure;
    return json_pack("{s:s}", "status", "ok");
}

static void set_model_state(struct worker *worker, enum worker_model state)
{
    pthread_mutex_lock(&worker->lock);
    worker->model_state = state;
    pthread_cond_broadcast(&worker->changed);
    pthread_mutex_unlock(&worker->lock);
}

static enum worker_model model_state(struct worker *worker)
{
    pthread_mutex_lock(&worker->lock);
    enum worker_model state = worker->model_state;
    pthread_mutex_unlock(&worker->lock);
    return state;
}

static json_t *init_model(struct worker *worker, json_t *params, struct failure *failure)
{
    (void)params;
    int result = model_state(worker) == WORKER_MODEL_LOADED ? 0 : growth_load_model(&worker->growth);
    set_model_state(worker, result == 0 ? WORKER_MODEL_LOADED : WORKER_MODEL_FAILED);
    if (result < 0)
        return fail(failure, "model: %s", strerror(-result));
    return json_pack("{s:b, s:s, s:i}", "success", 1, "model_name", worker->model, "dimension",
                     VECTOR_DIMENSION);
}

/* Under lock. A request that came behind initModel waits for it; one that came without is refused. */
static bool wait_model(struct worker *worker, struct failure *failure)
{
    while (worker->model_state == WORKER_MODEL_ASKED)
        pthread_cond_wait(&worker->changed, &worker->lock);
    if (worker->model_state == WORKER_MODEL_LOADED)
        return true;
    fail(failure, "Model not initialized: initModel must come first");
    return false;
}

/* ---- sections ---- */

static json_t *section_json(const char *path, const char *hash, int64_t index, bool dirty)
{
    char id[160], heading[40];
    snprintf(id, sizeof id, "%.128s-%lld", hash, (long long)index);
    snprintf(heading, sizeof heading, "Section %lld", (long long)index);
    return json_pack("{s:s, s:s, s:s, s:s, s:i, s:s, s:i, s:I, s:b, s:n}", "id", id, "document_path", path,
                     "document_hash", hash, "heading", heading, "depth", index ? 1 : 0, "content", "",
                     "token_count", 0, "order", (json_int_t)index, "is_dirty", (int)dirty, "summary");
}

static void append_sections(const struct docdb *db, json_t *list, const char *path, const char *only_hash)
{
    json_t *count;
    const char *hash;
    bool dirty = json_object_get(db->dirty, path) != NULL;
    json_object_foreach(json_object_get(db->documents, path), hash,
                        count) for (int64_t i = 0; i < json_integer_value(count);
                                    i++) if (!only_hash || strcmp(only_hash, hash) == 0)
        json_array_append_new(list, section_json(path, hash, i, dirty));
}

/* Under lock, and kept: nothing else is answered either. */
static void hang_on_purpose(struct worker *worker)
{
    if (worker->hang_after > 0 && worker->add_count == worker->hang_after) {
        sys_log_line(STDERR_FILENO, "hanging on purpose (add_count=%lld)", (long long)worker->add_count);
        sys_sleep_us(worker->hang_us);
    }
}

static _Noreturn void crash(const char *why)
{
    sys_log_line(STDERR_FILENO, "crashing on purpose (%s)", why);
    sys_disable_core();
    abort();
}

static void crash_on_purpose(struct worker *worker, enum worker_point point)
{
    char why[40];
    if (worker->crash_after <= 0 || worker->add_count != worker->crash_after || worker->crash_point != point)
        return;
    snprintf(why, sizeof why, "add_count=%lld", (long long)worker->add_count);
    crash(why);
}

static void compact_if_due(struct worker *worker)
{
    if (worker->compact_every <= 0 || worker->add_count % worker->compact_every != 0)
        return;
    sys_log_line(STDERR_FILENO, "Compacting table (add_count=%lld)...", (long long)worker->add_count);
    pthread_mutex_unlock(&worker->lock); /* only this lane changes the database */
    sys_burn_cpu_us(worker->compact_us);
    int result = docdb_compact(&worker->db);
    pthread_mutex_lock(&worker->lock);
    if (result < 0)
        sys_log_line(STDERR_FILENO, "Warning: Compaction failed: %s", strerror(-result));
    else
        sys_log_line(STDERR_FILENO, "Compaction completed");
}

/* Adds the sections of the document that section `first` belongs to, and returns the index behind its run. */
static size_t add_run(struct worker *worker, json_t *sections, size_t first, struct failure *failure)
{
    json_t *section = json_array_get(sections, first);
    const char *path = need_string(section, "document_path", failure);
    const char *hash = path ? need_string(section, "document_hash", failure) : NULL;
    if (!hash)
        return 0;
    size_t end = first + 1;
    while (end < json_array_size(sections)) {
        const char *next = json_string_value(json_object_get(json_array_get(sections, end), "document_path"));
        if (!next || strcmp(next, path) != 0)
            break;
        end++;
    }
    pthread_mutex_unlock(&worker->lock);
    sys_burn_cpu_us(worker->work_us);
    int result = growth_add_document(&worker->growth);
    pthread_mutex_lock(&worker->lock);
    if (result == 0)
        result = docdb_add(&worker->db, path, hash, (int64_t)(end - first));
    if (result < 0)
        fail(failure, "%s: %s", path, strerror(-result));
    return result < 0 ? 0 : end;
}

/* Under lock, which is free meanwhile: a slow disk is not to hold up searches. */
static int write_fragment(struct worker *worker, json_t *sections)
{
    char *content = json_dumps(sections, JSON_COMPACT);
    pthread_mutex_unlock(&worker->lock);
    int result = content ? docdb_write_fragment(&worker->db, content) : -ENOMEM;
    pthread_mutex_lock(&worker->lock);
    free(content);
    return result;
}

static json_t *add_sections(struct worker *worker, json_t *params, struct failure *failure)
{
    json_t *sections = json_object_get(params, "sections");
    if (json_array_size(sections) == 0)
        return fail(failure, "sections parameter is required");
    worker->add_count++;
    hang_on_purpose(worker);
    crash_on_purpose(worker, WORKER_CRASH_BEFORE_WRITE);
    int result = write_fragment(worker, sections);
    if (result < 0)
        return fail(failure, "fragment: %s", strerror(-result));
    for (size_t i = 0; i < json_array_size(sections);) {
        i = add_run(worker, sections, i, failure);
        if (i == 0)
            return NULL;
    }
    crash_on_purpose(worker, WORKER_CRASH_AFTER_WRITE);
    compact_if_due(worker);
    return json_pack("{s:I}", "count", (json_int_t)json_array_size(sections));
}

static json_t *search(struct worker *worker, json_t *params, struct failure *failure)
{
    const char *query = need_string(params, "query", failure), *path;
    if (!query)
        return NULL;
    if (worker->poison && strcmp(query, worker->poison) == 0)
        crash("a search for the poison");
    pthread_mutex_unlock(&worker->lock);
    sys_burn_cpu_us(worker->search_us);
    pthread_mutex_lock(&worker->lock);
    json_t *results = json_array(), *hashes;
    int64_t limit = limit_of(params, SEARCH_LIMIT);
    json_object_foreach(worker->db.documents, path, hashes)
    {
        if ((int64_t)json_array_size(results) >= limit)
            break;
        json_t *section = section_json(path, json_object_iter_key(json_object_iter(hashes)), 0, false);
        json_object_set_new(section, "score", json_real(1.0 / (2.0 + (double)json_array_size(results))));
        json_array_append_new(results, section);
    }
    return json_pack("{s:I, s:o}", "total", (json_int_t)json_array_size(results), "results", results);
}

static json_t *get_sections_by_path(struct worker *worker, json_t *params, struct failure *failure)
{
    const char *path = need_string(params, "documentPath", failure);
    if (!path)
        return NULL;
    json_t *sections = json_array();
    append_sections(&worker->db, sections, path, NULL);
    return json_pack("{s:o}", "sections", sections);
}

static json_t *find_sections_by_path_and_hash(struct worker *worker, json_t *params, struct failure *failure)
{
    const char *path = need_string(params, "documentPath", failure);
    const char *hash = path ? need_string(params, "documentHash", failure) : NULL;
    if (!hash)
        return NULL;
    json_t *sections = json_array();
    append_sections(&worker->db, sections, path, hash);
    return json_pack("{s:o}", "sections", sections);
}

static json_t *get_section_by_id(struct worker *worker, json_t *params, struct failure *failure)
{
    const char *id = need_string(params, "sectionId", failure), *path, *dash = id ? strrchr(id, '-') : NULL;
    if (!id)
        return NULL;
    json_t *hashes;
    char *hash = dash ? strndup(id, (size_t)(dash - id)) : NULL;
    int64_t index = dash ? strtoll(dash + 1, NULL, 10) : -1;
    json_t *found = NULL;
    json_object_foreach(worker->db.documents, path, hashes)
    {
        bool dirty = json_object_get(worker->db.dirty, path) != NULL;
        if (hash && index >= 0 && index < json_integer_value(json_object_get(hashes, hash)))
            found = section_json(path, hash, index, dirty);
        if (found)
            break;
    }
    free(hash);
    return found ? json_pack("{s:o}", "section", found) : fail(failure, "Section not found: %.128s", id);
}

static json_t *deleted(int64_t count, struct failure *failure)
{
    if (count < 0)
        return fail(failure, "delete: %s", strerror((int)-count));
    return json_pack("{s:b, s:I}", "deleted", 1, "count", (json_int_t)count);
}

static json_t *delete_sections_by_path(struct worker *worker, json_t *params, struct failure *failure)
{
    const char *path = need_string(params, "documentPath", failure);
    return path ? deleted(docdb_delete(&worker->db, path, NULL), failure) : NULL;
}

static json_t *delete_sections_by_path_except_hash(struct worker *worker, json_t *params,
                                                   struct failure *failure)
{
    const char *path = need_string(params, "documentPath", failure);
    const char *hash = path ? need_string(params, "documentHash", failure) : NULL;
    return hash ? deleted(docdb_delete(&worker->db, path, hash), failure) : NULL;
}

static json_t *mark_dirty(struct worker *worker, json_t *params, struct failure *failure)
{
    const char *path = need_string(params, "documentPath", failure);
    if (!path)
        return NULL;
    int result = docdb_mark_dirty(&worker->db, path);
    if (result < 0)
        return fail(failure, "markDirty: %s", strerror(-result));
    return json_pack("{s:b}", "marked", 1);
}

static json_t *get_dirty_sections(struct worker *worker, json_t *params, struct failure *failure)
{
    (void)failure;
    json_t *sections = json_array(), *value;
    const char *path;
    json_object_foreach(worker->db.dirty, path, value) append_sections(&worker->db, sections, path, NULL);
    for (size_t limit = (size_t)limit_of(params, DIRTY_LIMIT); json_array_size(sections) > limit;)
        json_array_remove(sections, json_array_size(sections) - 1);
    return json_pack("{s:o}", "sections", sections);
}

static json_t *get_stats(struct worker *worker, json_t *params, struct failure *failure)
{
    (void)params, (void)failure;
    struct docdb_totals totals = docdb_totals(&worker->db);
    return json_pack("{s:I, s:I, s:I, s:I, s:I}", "totalDocuments", (json_int_t)totals.documents_count,
                     "totalSections", (json_int_t)totals.sections_count, "dirtyCount",
                     (json_int_t)totals.dirty_count, "fragments", (json_int_t)totals.fragments_count,
                     "addCount", (json_int_t)worker->add_count);
}

/* ---- index requests ---- */

/* The stored name behind a name in `updates` or in a filter: both spellings are accepted. */
static const char *stored_name(const char *name)
{
    static const char *const names[][2] = {
        {"document_path", "documentPath"}, {"document_hash", "documentHash"}, {"created_at", "createdAt"},
        {"started_at", "startedAt"},       {"completed_at", "completedAt"},
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(names[i][0], name) == 0)
            return names[i][1];
    return name;
}

static const char *either(json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text ? text : json_string_value(json_object_get(object, stored_name(name)));
}

static bool equals_or_holds(json_t *wanted, json_t *value)
{
    json_t *item;
    size_t i;
    if (!json_is_array(wanted))
        return json_equal(wanted, value);
    json_array_foreach(wanted, i, item) if (json_equal(item, value)) return true;
    return false;
}

static bool request_matches(json_t *request, json_t *filter)
{
    static const char *const names[] = {"document_path", "documentPath", "document_hash", "documentHash",
                                        "status"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        json_t *wanted = json_object_get(filter, names[i]);
        if (wanted && !json_is_null(wanted) &&
            !equals_or_holds(wanted, json_object_get(request, stored_name(names[i]))))
            return false;
    }
    json_t *created = json_object_get(filter, "created_at"), *before = json_object_get(created, "$lt");
    const char *at = json_string_value(json_object_get(request, "createdAt"));
    return !json_is_string(before) || (at && strcmp(at, json_string_value(before)) < 0);
}

static json_t *create_index_request(struct worker *worker, json_t *params, struct failure *failure)
{
    const char *path = either(params, "document_path"), *hash = either(params, "document_hash");
    if (!path || !hash)
        return fail(failure, "Missing required field: %s", path ? "document_hash" : "document_path");
    char id[32];
    snprintf(id, sizeof id, "request-%lld", (long long)++worker->db.request_last);
    json_t *request =
        json_pack("{s:s, s:s, s:s, s:s, s:o, s:n, s:n, s:n}", "id", id, "documentPath", path, "documentHash",
                  hash, "status", "pending", "createdAt", now_text(), "startedAt", "completedAt", "error");
    int result = request ? docdb_put_request(&worker->db, request) : -ENOMEM;
    if (result == 0)
        return request;
    json_decref(request);
    return fail(failure, "createIndexRequest: %s", strerror(-result));
}

static json_t *find_index_requests(struct worker *worker, json_t *params, struct failure *failure)
{
    (void)failure;
    json_t *found = json_array(), *request;
    const char *id;
    const char *order = json_string_value(json_object_get(params, "order"));
    size_t limit = (size_t)limit_of(params, FIND_LIMIT);
    json_object_foreach(worker->db.requests, id, request)
    {
        if (!request_matches(request, params))
            continue;
        if (order && strstr(order, "DESC"))
            json_array_insert(found, 0, request);
        else
            json_array_append(found, request);
    }
    while (json_array_size(found) > limit)
        json_array_remove(found, json_array_size(found) - 1);
    return json_pack("{s:o}", "requests", found);
}

static json_t *count_index_requests(struct worker *worker, json_t *params, struct failure *failure)
{
    (void)failure;
    json_int_t count = 0;
    json_t *request;
    const char *id;
    json_object_foreach(worker->db.requests, id, request) count += request_matches(request, params);
    return json_pack("{s:I}", "count", count);
}

static int change_request(struct worker *worker, json_t *request, json_t *updates)
{
    json_t *value;
    const char *name;
    json_object_foreach(updates, name, value) if (strcmp(name, "id") != 0)
        json_object_set(request, stored_name(name), value);
    return docdb_put_request(&worker->db, request);
}

static json_t *update_index_request(struct worker *worker, json_t *params, struct failure *failure)
{
    const char *id = json_string_value(json_object_get(params, "id"));
    json_t *updates = json_object_get(params, "updates");
    if (!id || json_object_size(updates) == 0)
        return fail(failure, "Missing required field: %s", id ? "updates" : "id");
    json_t *request = json_object_get(worker->db.requests, id);
    if (!request)
        return fail(failure, "Request not found: %.128s", id);
    int result = change_request(worker, request, updates);
    return result < 0 ? fail(failure, "updateIndexRequest: %s", strerror(-result)) : json_incref(request);
}

static json_t *update_many_index_requests(struct worker *worker, json_t *params, struct failure *failure)
{
    json_t *filter = json_object_get(params, "filter"), *updates = json_object_get(params, "updates"),
           *request;
    const char *id;
    void *next;
    json_int_t count = 0;
    if (json_object_size(updates) == 0 || json_object_size(filter) == 0)
        return fail(failure, "Missing required field: %s", json_object_size(updates) ? "filter" : "updates");
    json_object_foreach_safe(worker->db.requests, next, id, request)
    {
        if (!request_matches(request, filter))
            continue;
        int result = change_request(worker, request, updates);
        if (result < 0)
            return fail(failure, "updateManyIndexRequests: %s", strerror(-result));
        count++;
    }
    return json_pack("{s:b, s:I}", "updated", 1, "count", count);
}

static json_t *get_paths_with_status(struct worker *worker, json_t *params, struct failure *failure)
{
    json_t *statuses = json_object_get(params, "statuses"), *request, *seen;
    const char *id, *path;
    if (json_array_size(statuses) == 0)
        return fail(failure, "Missing required field: statuses");
    json_t *paths = json_array(), *unique = json_object();
    json_object_foreach(worker->db.requests, id,
                        request) if (equals_or_holds(statuses, json_object_get(request, "status")))
        json_object_set_new(unique, json_string_value(json_object_get(request, "documentPath")), json_true());
    json_object_foreach(unique, path, seen) json_array_append_new(paths, json_string(path));
    json_decref(unique);
    return json_pack("{s:o}", "paths", paths);
}

/* ---- one line in, one line out ---- */

static const struct method {
    const char *name;
    method_fn *call;
    enum worker_lane lane;
    bool early; /* answered without a model, and without the lock */
} methods[] = {
    {"ping", ping, WORKER_LANE_QUICK, true},
    {"initModel", init_model, WORKER_LANE_WORK, true},
    {"addSections", add_sections, WORKER_LANE_WORK, false},
    {"search", search, WORKER_LANE_QUICK, false},
    {"getSectionsByPath", get_sections_by_path, WORKER_LANE_WORK, false},
    {"getSectionById", get_section_by_id, WORKER_LANE_WORK, false},
    {"deleteSectionsByPath", delete_sections_by_path, WORKER_LANE_WORK, false},
    {"findSectionsByPathAndHash", find_sections_by_path_and_hash, WORKER_LANE_WORK, false},
    {"deleteSectionsByPathExceptHash", delete_sections_by_path_except_hash, WORKER_LANE_WORK, false},
    {"markDirty", mark_dirty, WORKER_LANE_WORK, false},
    {"getDirtySections", get_dirty_sections, WORKER_LANE_WORK, false},
    {"getStats", get_stats, WORKER_LANE_WORK, false},
    {"createIndexRequest", create_index_request, WORKER_LANE_WORK, false},
    {"findIndexRequests", find_index_requests, WORKER_LANE_WORK, false},
    {"countIndexRequests", count_index_requests, WORKER_LANE_WORK, false},
    {"updateIndexRequest", update_index_request, WORKER_LANE_WORK, false},
    {"updateManyIndexRequests", update_many_index_requests, WORKER_LANE_WORK, false},
    {"getPathsWithStatus", get_paths_with_status, WORKER_LANE_WORK, false},
};

/* NULL: there is no such method, or the request names none. */
static const struct method *method_of(const json_t *request)
{
    const char *name = json_string_value(json_object_get(request, "method"));
    for (size_t i = 0; name && i < sizeof methods / sizeof methods[0]; i++)
        if (strcmp(methods[i].name, name) == 0)
            return &methods[i];
    return NULL;
}

enum worker_lane worker_accept(struct worker *worker, const json_t *request)
{
    const struct method *method = method_of(request);
    if (method && method->call == init_model) {
        pthread_mutex_lock(&worker->lock);
        if (worker->model_state != WORKER_MODEL_LOADED)
            worker->model_state = WORKER_MODEL_ASKED;
        pthread_mutex_unlock(&worker->lock);
    }
    return method ? method->lane : WORKER_LANE_WORK;
}

static json_t *error_answer(json_t *id, int code, const char *message)
{
    return json_pack("{s:s, s:O?, s:{s:i, s:s}}", "jsonrpc", "2.0", "id", id, "error", "code", code,
                     "message", message);
}

static json_t *run_method(struct worker *worker, const struct method *method, json_t *params,
                          struct failure *failure)
{
    if (method->early)
        return method->call(worker, params, failure);
    pthread_mutex_lock(&worker->lock);
    json_t *result = wait_model(worker, failure) ? method->call(worker, params, failure) : NULL;
    pthread_mutex_unlock(&worker->lock);
    return result;
}

static json_t *call_method(struct worker *worker, json_t *request)
{
    json_t *id = json_object_get(request, "id");
    const char *name = json_string_value(json_object_get(request, "method"));
    struct failure failure = {""};
    if (!name)
        return error_answer(id, RPC_INVALID, "Invalid request: no method");
    const struct method *method = method_of(request);
    if (!method) {
        snprintf(failure.text, sizeof failure.text, "Method not found: %.128s", name);
        return error_answer(id, RPC_NO_METHOD, failure.text);
    }
    json_t *result = run_method(worker, method, json_object_get(request, "params"), &failure);
    if (result)
        return json_pack("{s:s, s:O?, s:o}", "jsonrpc", "2.0", "id", id, "result", result);
    sys_log_line(STDERR_FILENO, "Error in %s: %s", name, failure.text);
    return error_answer(id, RPC_INTERNAL, failure.text[0] ? failure.text : "out of memory");
}

/* `id` must stand in every answer, null included; json_pack's "O?" turns a missing one into null. */
char *worker_answer(struct worker *worker, json_t *request, const char *parse_error)
{
    json_t *answer;
    if (!request)
        answer = error_answer(NULL, RPC_PARSE, parse_error);
    else if (!json_is_object(request))
        answer = error_answer(NULL, RPC_INVALID, "Invalid request: not an object");
    else
        answer = call_method(worker, request);
    char *text = answer ? json_dumps(answer, JSON_COMPACT) : NULL, *result = NULL;
    json_decref(answer);
    if (text && asprintf(&result, "%s\n", text) < 0)
        result = NULL;
    free(text);
    return result;
}
