/* SPDX-License-Identifier: MIT */
/*
 * worker-methods: the JSON-RPC methods of the stand-in worker, as a table.
 *
 * Names, parameters and results have the shapes of the real worker (documentPath in parameters of section
 * calls, snake_case inside sections, camelCase in index requests). Contents and vectors are made up: what
 * counts for a supervisor is which calls there are, how long they take and what they leave behind. Unlike the
 * real worker, which loads its model on first use, this one answers nothing but ping before initModel: whoever
 * puts a new worker behind an old pipe and forgets the handshake sees an error, not a slow answer.
 *
 * Requests stand in two lanes, each with a thread of its own: WORKER_LANE_QUICK (ping, search) and
 * WORKER_LANE_WORK (all else). Within a lane they are answered in order, so a search is answered while a
 * document is being added.
 */
#ifndef WORKLOADS_WORKER_METHODS_H
#define WORKLOADS_WORKER_METHODS_H

#include <jansson.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "docdb.h"
#include "growth.h"

enum worker_point { WORKER_CRASH_BEFORE_WRITE, WORKER_CRASH_AFTER_WRITE };

enum worker_lane { WORKER_LANE_WORK, WORKER_LANE_QUICK, WORKER_LANE_COUNT };

enum worker_model { WORKER_MODEL_NONE, WORKER_MODEL_ASKED, WORKER_MODEL_LOADED, WORKER_MODEL_FAILED };

struct worker {
    pthread_mutex_t lock; /* db, model_state, add_count */
    pthread_cond_t changed;
    struct docdb db;
    struct growth growth; /* of the lane WORK */
    const char *model;
    enum worker_model model_state;
    int64_t add_count;     /* addSections calls of this process */
    int64_t compact_every; /* 0: never */
    int64_t compact_us;
    int64_t work_us;                 /* CPU time for each document */
    int64_t search_us;               /* CPU time for each search */
    int64_t crash_after, hang_after; /* at this addSections call; 0: never */
    int64_t hang_us;
    enum worker_point crash_point;
    const char *poison; /* a search for it is the end; NULL: none is */
};

/*
 * To be called for each request in the order they came, before worker_answer(): notes that the model was asked
 * for and tells where the request belongs. request NULL: a line that is no JSON.
 */
enum worker_lane worker_accept(struct worker *worker, const json_t *request);

/*
 * Answers one request (NULL: a line that is no JSON, parse_error says why). May block: on the model, on CPU work.
 * Returns the answer as a new line with its newline, or NULL (out of memory).
 */
char *worker_answer(struct worker *worker, json_t *request, const char *parse_error);

#endif
