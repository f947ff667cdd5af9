/* SPDX-License-Identifier: MIT */
/*
 * What `weir explain` finds (explain.c) and how it is told (explain-text.c, explain-json.c). Every figure
 * carries the raw row it comes from. Facts and conclusion are kept apart: the conclusion follows from the
 * facts by the rules of explain_conclude() alone.
 */
#ifndef WEIR_CLI_EXPLAIN_H
#define WEIR_CLI_EXPLAIN_H

#include "query.h"

#define EXPLAIN_BEFORE_US (30 * USEC_PER_SEC)
#define EXPLAIN_AFTER_US  (60 * USEC_PER_SEC)
/* Steps of a slow stop, and their outcomes, come later than the readings that are shown. */
#define EXPLAIN_STEPS_US (15 * 60 * USEC_PER_SEC)
/* Memory that moved by less than this share says nothing; chosen: a tenth is beyond a worker's ordinary noise. */
#define EXPLAIN_EFFECT_PERMYRIAD 1000

struct explain_rows {
    struct store_row *row;
    size_t count;
};

enum explain_verdict {
    EXPLAIN_NOT_KNOWN,
    EXPLAIN_NOT_DONE,
    EXPLAIN_NOT_JUDGED,
    EXPLAIN_HELPED,
    EXPLAIN_NO_EFFECT,
    EXPLAIN_WORSE
};

/* A stretch of samples of one unit, in order of time. The figures leave FINAL readings out: a cgroup that its
 * processes have left says nothing of the unit. */
struct explain_window {
    struct explain_rows samples;
    const struct store_row *first, *last;     /* with memory.current; NULL = none */
    const struct store_row *lowest, *highest; /* by memory.current */
    /* from `from` to `to`, the longest stretch of one generation at the window's end: growth and pressure */
    const struct store_row *from, *to;
};

struct explain {
    struct store_row row; /* the decision */
    char unit[UNIT_NAME_MAX];
    struct explain_window before, after;
    struct explain_rows steps; /* decisions of this cause, their outcomes, what the unit did meanwhile */
    enum explain_verdict verdict;
};

int explain_collect(struct cli_query *q, struct explain *x);
void explain_deinit(struct explain *x);
void explain_conclude(struct explain *x);
const char *explain_verdict_name(enum explain_verdict verdict);

/* Change of memory.current per second over window.from..to; false: not known. */
bool explain_growth(const struct explain_window *w, int64_t *ret_bytes_per_s);

/* The conclusion as one sentence. Returns buf. */
const char *explain_sentence(const struct explain *x, char *buf, size_t size);

void explain_print_text(const struct explain *x, FILE *out);
void explain_print_json(const struct explain *x, FILE *out);

#endif
