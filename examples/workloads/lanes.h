/* SPDX-License-Identifier: MIT */
/*
 * lanes: the stand-in worker's threads, one a lane, between a line that was read and its answer on stdout.
 *
 *   reader --lanes_take()--> queue WORK  --thread--> worker_answer() --\
 *                       \--> queue QUICK --thread--> worker_answer() ---+--> stdout, one whole line at a time
 *
 * Queues are short: what a worker cannot take yet stays in the pipe, as with a worker that reads one line at a
 * time. All requests that were taken are answered before lanes_finish() returns; where an answer cannot be
 * written the process ends with status 1.
 */
#ifndef WORKLOADS_LANES_H
#define WORKLOADS_LANES_H

#include "worker-methods.h"

enum { LANE_ROOM = 16 }; /* chosen: enough that a search never waits for the reader */

struct lane_request {
    json_t *request; /* NULL: not JSON */
    char parse_error[JSON_ERROR_TEXT_LENGTH];
};

struct lane {
    struct lanes *lanes;
    pthread_t thread;
    struct lane_request queue[LANE_ROOM];
    size_t first, count;
};

struct lanes {
    struct worker *worker; /* borrowed */
    pthread_mutex_t lock;  /* queues, finishing */
    pthread_cond_t changed;
    bool finishing;
    pthread_mutex_t write_lock; /* stdout */
    struct lane lane[WORKER_LANE_COUNT];
};

/* Starts the threads. Neither lanes nor worker may move until lanes_finish(). Returns 0 or a negative errno. */
int lanes_start(struct lanes *lanes, struct worker *worker);

/* Takes the reference to request (NULL: no JSON, error says why). Blocks while its lane is full. */
void lanes_take(struct lanes *lanes, json_t *request, const json_error_t *error);

/* Answers what was taken and ends the threads. */
void lanes_finish(struct lanes *lanes);

#endif
