/* SPDX-License-Identifier: MIT */
/*
 * indexer: see indexer.h.
 */
#include "indexer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "sys.h"

enum {
    ATTEMPTS_MAX = 10,             /* chosen: answered errors on one document */
    RETRY_FIRST_US = 100 * 1000,   /* chosen */
    RETRY_MAX_US = 2 * 1000 * 1000 /* chosen */
};

static json_t *path_and_hash(const struct document *document)
{
    return json_pack("{s:s, s:s}", "documentPath", document->path, "documentHash", document->hash);
}

/* Calls with params, whose reference it takes. An answered error (LINK_ERROR) is logged by the link's ledger. */
static int call(struct indexer *indexer, const char *method, json_t *params, json_t **ret_answer)
{
    json_t *answer = NULL;
    int result = link_call(indexer->link, method, params, &answer);
    json_decref(params);
    if (result == LINK_ERROR)
        json_decref(answer);
    else if (result == 0)
        *ret_answer = answer;
    return result;
}

static int call_and_forget(struct indexer *indexer, const char *method, json_t *params)
{
    json_t *answer = NULL;
    int result = call(indexer, method, params, &answer);
    json_decref(answer);
    return result;
}

static int update_totals(struct indexer *indexer)
{
    json_t *stats = NULL;
    int result = call(indexer, "getStats", NULL, &stats);
    if (result != 0)
        return result;
    pthread_mutex_lock(&indexer->lock);
    indexer->status.known = true;
    indexer->status.documents_count = json_integer_value(json_object_get(stats, "totalDocuments"));
    indexer->status.sections_count = json_integer_value(json_object_get(stats, "totalSections"));
    pthread_mutex_unlock(&indexer->lock);
    json_decref(stats);
    return 0;
}

static int add_document(struct indexer *indexer, const struct document *document)
{
    size_t count = json_array_size(document->sections);
    int result = call_and_forget(indexer, "addSections", json_pack("{s:O}", "sections", document->sections));
    if (result == 0)
        sys_log_line(STDOUT_FILENO, "[IndexWorker] Created %zu sections for %s", count, document->path);
    return result;
}

/* One try. *ret_added tells whether the worker had real work to do. Returns as link_call(). */
static int index_document(struct indexer *indexer, const struct document *document, bool *ret_added)
{
    json_t *found = NULL;
    int result = call(indexer, "findSectionsByPathAndHash", path_and_hash(document), &found);
    if (result != 0)
        return result;
    bool present = json_array_size(json_object_get(found, "sections")) > 0;
    json_decref(found);
    if (!present)
        result = add_document(indexer, document);
    else
        sys_log_line(STDOUT_FILENO, "[IndexWorker] Index already exists for %s", document->path);
    if (result == 0)
        result = call_and_forget(indexer, "deleteSectionsByPathExceptHash", path_and_hash(document));
    if (result == 0)
        result = update_totals(indexer);
    *ret_added = !present;
    return result;
}

/* Sleeps, or returns early because the indexer is being stopped. Returns false then. */
static bool pause_for(struct indexer *indexer, int64_t duration_us)
{
    int64_t due_us = sys_now_us() + duration_us;
    const struct timespec due = {.tv_sec = due_us / 1000000, .tv_nsec = due_us % 1000000 * 1000};
    pthread_mutex_lock(&indexer->lock);
    while (!indexer->stopping && pthread_cond_timedwait(&indexer->changed, &indexer->lock, &due) == 0)
        ;
    bool go_on = !indexer->stopping;
    pthread_mutex_unlock(&indexer->lock);
    return go_on;
}

static void add_to(struct indexer *indexer, int64_t *counter, int64_t difference)
{
    pthread_mutex_lock(&indexer->lock);
    *counter += difference;
    pthread_mutex_unlock(&indexer->lock);
}

/* Tries until it is done, given up or the server has no worker any more. Returns false when there is no use
 * in going on with the queue. */
static bool work_on(struct indexer *indexer, const struct document *document, bool *ret_added)
{
    int64_t retry_us = RETRY_FIRST_US;
    int errors = 0;
    for (;;) {
        int result = index_document(indexer, document, ret_added);
        if (result == 0) {
            sys_log_line(STDOUT_FILENO, "[IndexWorker] Completed: %s", document->path);
            return true;
        }
        if (result == -ESHUTDOWN || result == -ENOTCONN)
            return false;
        errors += result == LINK_ERROR || result == -ETIMEDOUT;
        if (errors >= ATTEMPTS_MAX) {
            sys_log_line(STDOUT_FILENO, "[IndexWorker] Failed to process %s", document->path);
            add_to(indexer, &indexer->status.failed_count, 1);
            return true;
        }
        sys_log_line(STDOUT_FILENO, "[IndexWorker] Requeued: %s", document->path);
        add_to(indexer, &indexer->status.requeued_count, 1);
        if (!pause_for(indexer, retry_us))
            return false;
        retry_us = retry_us * 2 < RETRY_MAX_US ? retry_us * 2 : RETRY_MAX_US;
    }
}

/* One document from the queue; one that cannot be read is skipped with a line in the log. */
static bool take_next(struct indexer *indexer, size_t index, int64_t revision)
{
    struct document document;
    bool go_on = true, added = false;
    pthread_mutex_lock(&indexer->lock);
    indexer->status.queue_count--;
    indexer->status.processing_count = 1;
    pthread_mutex_unlock(&indexer->lock);
    int result = corpus_read(indexer->corpus, index, revision, &document);
    if (result < 0) {
        sys_log_line(STDOUT_FILENO, "[IndexWorker] Document not found: %s", strerror(-result));
        add_to(indexer, &indexer->status.failed_count, 1);
    } else {
        go_on = work_on(indexer, &document, &added);
        document_deinit(&document);
    }
    if (!go_on)
        return false;
    add_to(indexer, &indexer->status.processing_count, -1);
    return !added || pause_for(indexer, indexer->interval_us);
}

static void fill_queue(struct indexer *indexer)
{
    pthread_mutex_lock(&indexer->lock);
    indexer->status.queue_count = (int64_t)indexer->corpus->count;
    indexer->status.syncing = false;
    pthread_mutex_unlock(&indexer->lock);
}

static void *index_all(void *argument)
{
    struct indexer *indexer = argument;
    pthread_setname_np(pthread_self(), "indexer");
    int result;
    do {
        result = update_totals(indexer);
        if (result != 0 && result != -ESHUTDOWN && !pause_for(indexer, RETRY_FIRST_US))
            return NULL;
    } while (result != 0 && result != -ESHUTDOWN && result != -ENOTCONN);
    if (result != 0)
        return NULL;
    for (int64_t revision = 0; revision == 0 || indexer->loop; revision++) {
        fill_queue(indexer);
        for (size_t i = 0; i < indexer->corpus->count; i++)
            if (!take_next(indexer, i, revision))
                return NULL;
        if (indexer->corpus->count == 0)
            break;
    }
    return NULL;
}

int indexer_start(struct indexer *indexer, struct link *link, const struct corpus *corpus,
                  int64_t interval_us, bool loop)
{
    *indexer = (struct indexer){.link = link, .corpus = corpus, .interval_us = interval_us, .loop = loop};
    indexer->status.syncing = true;
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&indexer->changed, &attr);
    pthread_condattr_destroy(&attr);
    pthread_mutex_init(&indexer->lock, NULL);
    return -pthread_create(&indexer->thread, NULL, index_all, indexer);
}

struct indexer_status indexer_status(struct indexer *indexer)
{
    pthread_mutex_lock(&indexer->lock);
    struct indexer_status status = indexer->status;
    pthread_mutex_unlock(&indexer->lock);
    return status;
}

void indexer_stop(struct indexer *indexer)
{
    pthread_mutex_lock(&indexer->lock);
    indexer->stopping = true;
    pthread_cond_broadcast(&indexer->changed);
    pthread_mutex_unlock(&indexer->lock);
    pthread_join(indexer->thread, NULL);
    pthread_cond_destroy(&indexer->changed);
    pthread_mutex_destroy(&indexer->lock);
}
