/* SPDX-License-Identifier: MIT */
/*
 * worker-methods: the JSON-RPC methods of the stand-in worker, as a table.
 *
 * Names, parameters and results have the shapes of the real worker (documentPath in parameters of section
 * calls, snake_case inside sections, camelCase in index requests). Contents and vectors are made up: what
 * counts for a supervisor is which calls there are, how long they take and what they leave behind.
 */
#ifndef WORKLOADS_WORKER_METHODS_H
#define WORKLOADS_WORKER_METHODS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "docdb.h"
#include "growth.h"

enum worker_point { WORKER_CRASH_BEFORE_WRITE, WORKER_CRASH_AFTER_WRITE };

struct worker {
    struct docdb db;
    struct growth growth;
    const char *model;
    bool model_loaded;
    int64_t add_count;     /* addSections calls of this process */
    int64_t compact_every; /* 0: never */
    int64_t compact_us;
    int64_t work_us;                 /* CPU time for each document */
    int64_t search_us;               /* CPU time for each search */
    int64_t crash_after, hang_after; /* at this addSections call; 0: never */
    int64_t hang_us;
    enum worker_point crash_point;
};

/* Answers one line of the protocol. Returns the answer as a new line with its newline, or NULL (out of
 * memory). */
char *worker_answer(struct worker *worker, const char *line, size_t length);

#endif
