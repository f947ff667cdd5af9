/* SPDX-License-Identifier: MIT */
/* What a policy is tried on: a recorded run, or a trace (a monitor log). */
#ifndef WEIR_CLI_REPLAY_INPUT_H
#define WEIR_CLI_REPLAY_INPUT_H

#include "query.h"
#include "replay-record.h"
#include "weir/base/err.h"
#include "weir/model/trace.h"
#include "weir/replay/whatif.h"

struct trace_log {
    struct trace_row *rows;
    size_t count;
    uint64_t spacing_us;     /* between two readings: the shortest there is */
    uint64_t holes, missing; /* how many, and how many readings are missing in them */
    bool terminated;         /* "Process N terminated" */
};

/* Reads a monitor log. 0, or a negative errno with reterr: not a file, not such a log (which line), no readings. */
int trace_log_read(const char *path, struct trace_log *ret, struct err *reterr);
void trace_log_deinit(struct trace_log *t);

/* How long things took on record, of one unit. */
#define USUAL_MAX 64 /* chosen: the latest so many make the median */
struct usual {
    uint64_t us[WHATIF_HABIT_COUNT][USUAL_MAX];
    uint64_t count[WHATIF_HABIT_COUNT]; /* all there were */
    uint16_t server;
};

struct replay_input {
    const char *path; /* a trace's; NULL: a run */
    struct trace_log trace;
    struct cli_query query; /* a run's */
    uint64_t run;
    struct usual *usual; /* a run's, by unit */
    size_t unit_count;   /* of the run as it began; a trace: 1 */
    char (*names)[UNIT_NAME_MAX];
    const char **name_list;
    size_t name_count;                      /* with the units that reloads added */
    uint64_t samples, events, samples_lost; /* of a run */
    uint64_t start_us;                      /* what times are told from */
};

/* Looks into the run: units, usual times, its begin. 0 or a cli_exit after telling. */
int replay_input_run(struct replay_input *in);
void replay_input_deinit(struct replay_input *in);

/* The median of what there is on record; the model's default where there is nothing. */
uint64_t usual_time(const struct usual *u, enum whatif_habit habit);

#endif
