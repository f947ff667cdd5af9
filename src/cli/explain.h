/* SPDX-License-Identifier: MIT */
/*
 * What `weir explain` (explain.c) gathers (explain-collect.c), judges (explain-judge.c, explain-drain.c) and tells
 * (explain-text.c, explain-json.c). Every figure carries the raw row it comes from. Facts and conclusion are kept apart.
 *
 * The conclusion compares readings of what the intervention touched, and of nothing else:
 *   restart           the last reading before it, and the first one of the next generation once that is ready
 *   throttle, notify, pace, hold
 *                     the same generation's last reading before it, and its last one until it was undone, the unit's
 *                     next intervention, the end of the process, or EXPLAIN_AFTER_US
 * so the answer is the same whenever it is asked, once these rows are on record.
 */
#ifndef WEIR_CLI_EXPLAIN_H
#define WEIR_CLI_EXPLAIN_H

#include "query.h"
#include "weir/engine/rule.h"

#define EXPLAIN_BEFORE_US (30 * USEC_PER_SEC)
#define EXPLAIN_AFTER_US  (60 * USEC_PER_SEC)
/* A slow stop and start, with back-off, come later than the readings that are shown. */
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
    EXPLAIN_TOO_EARLY,
    EXPLAIN_HELPED,
    EXPLAIN_NO_EFFECT,
    EXPLAIN_WORSE
};

/* A stretch of samples of one unit, in order of time, whatever their generation. The figures are of one generation
 * alone, without its FINAL reading: a cgroup that its processes have left says nothing of the unit. */
struct explain_window {
    struct explain_rows samples;
    uint32_t generation;                  /* of the figures; 0 = none yet */
    const struct store_row *first, *last; /* with memory.current; NULL = none */
    const struct store_row *lowest, *highest;
};

/* What ended the stretch that is judged. */
enum explain_end {
    EXPLAIN_END_OPEN,     /* nothing on record yet */
    EXPLAIN_END_TIME,     /* its bound in time */
    EXPLAIN_END_UNDONE,   /* row: the UNTHROTTLE or RELEASE */
    EXPLAIN_END_NEXT,     /* row: the unit's next intervention */
    EXPLAIN_END_EXITED,   /* row: the end of the process */
    EXPLAIN_END_GIVEN_UP, /* row: the FAIL */
    EXPLAIN_END_RUN,      /* the supervisor's own end */
};

struct explain_judged {
    uint32_t generation; /* whose readings are compared; 0 = that one has not begun */
    enum explain_end end;
    bool has_end, has_reading, has_ready, has_back;
    struct store_row end_row;
    struct store_row reading; /* compared with the last one before */
    struct store_row ready;   /* restart: the next generation was ready */
    struct store_row back;    /* restart: its first reading that is no lower than the last one before */
};

struct explain {
    struct store_row row; /* the decision */
    char unit[UNIT_NAME_MAX];
    char rule_text
        [RULE_TEXT_MAX]; /* of a [rule], as it was then: "when = ...\ndo = ...\n"; "" = the ladder, an operator */
    struct explain_window before, after;
    struct explain_rows
        steps; /* decisions of this cause, their outcomes, what the unit did meanwhile, until it was over */
    bool has_next; /* the unit's next intervention: `after` ends there */
    struct store_row next;
    struct explain_judged judged;
    enum explain_verdict verdict;
};

int explain_collect(struct cli_query *q, struct explain *x);
void explain_deinit(struct explain *x);

/* The rows told one by one, in order of time; then the verdict. run_is_over: no row will come any more. last_wall_us:
 * of the newest row of the run. */
void explain_judge_row(struct explain *x, const struct store_row *row);
void explain_conclude(struct explain *x, bool run_is_over, uint64_t last_wall_us);
const char *explain_verdict_name(enum explain_verdict verdict);

/* How the wait for the answers in flight ended, where there was one. */
enum explain_drain {
    EXPLAIN_DRAIN_NONE, /* there was none, or another intervention took it over */
    EXPLAIN_DRAIN_OPEN,
    EXPLAIN_DRAIN_DONE,
    EXPLAIN_DRAIN_CUT,
    EXPLAIN_DRAIN_EXITED, /* the process ended meanwhile */
    EXPLAIN_DRAIN_FAILED, /* the gate could not wait */
};
/* *ret_took_us and *ret_reason: once it is over. */
enum explain_drain explain_drained(const struct explain *x, uint64_t *ret_took_us,
                                   enum decision_reason *ret_reason);
const char *explain_drain_name(enum explain_drain drain);
/* A sentence with a blank in front, or nothing. */
void explain_put_drain(const struct explain *x, FILE *out);

/* Does it last, and hold the unit back until it is undone? */
bool explain_holds_back(enum decision_kind kind);
/* Does it only undo another one? */
bool explain_undoes(enum decision_kind kind);
/* Does it start the unit anew, so that the next generation tells what came of it? */
bool explain_is_restart(const struct explain *x);
/* Is the row an intervention of its own on the same unit, after this one? */
bool explain_is_next(const struct explain *x, const struct store_row *row);
/* A reading that says something of the unit's memory. */
bool explain_counts(const struct store_row *row);
uint64_t explain_memory(const struct store_row *row);

/* Change of memory.current per second over first..last; false: not known. */
bool explain_growth(const struct explain_window *w, int64_t *ret_bytes_per_s);

/* The conclusion in words. Returns buf. */
#define EXPLAIN_SENTENCE_MAX 768
const char *explain_sentence(const struct explain *x, char *buf, size_t size);

void explain_print_text(const struct explain *x, FILE *out);
void explain_print_json(const struct explain *x, FILE *out);

#endif
