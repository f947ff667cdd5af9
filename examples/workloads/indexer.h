/* SPDX-License-Identifier: MIT */
/*
 * indexer: works through the documents, one at a time, over a link to the worker.
 *
 * For each document: is it in the database with this hash? If not, add its sections; then delete those of
 * older hashes. When the worker goes away in between, the document goes back to the head of the queue, and
 * the same question keeps it from being added twice. An answered error is tried again up to 10 times, then
 * counted as failed.
 */
#ifndef WORKLOADS_INDEXER_H
#define WORKLOADS_INDEXER_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "corpus.h"
#include "link.h"

struct indexer_status {
    bool syncing; /* the queue is not filled yet */
    bool known;   /* totals are from the database */
    int64_t processing_count, queue_count, failed_count, requeued_count;
    int64_t documents_count, sections_count;
};

struct indexer {
    struct link *link;           /* borrowed */
    const struct corpus *corpus; /* borrowed */
    int64_t interval_us;         /* after each document that was added */
    bool loop;                   /* when done, all documents change and begin anew */
    pthread_t thread;
    pthread_mutex_t lock; /* the rest */
    pthread_cond_t changed;
    bool stopping;
    struct indexer_status status;
};

/* Starts the thread. The indexer must stay at its address. Returns 0 or a negative errno. */
int indexer_start(struct indexer *indexer, struct link *link, const struct corpus *corpus,
                  int64_t interval_us, bool loop);

struct indexer_status indexer_status(struct indexer *indexer);

/* Ends the thread; link_stop() must have been called, so that no call blocks. */
void indexer_stop(struct indexer *indexer);

#endif
