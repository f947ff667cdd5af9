/* SPDX-License-Identifier: MIT */
/*
 * What another policy would have done with what is on record.
 *
 * The very engine judges recorded inputs (readings, arrivals, operators' verbs, ends of processes by themselves). As long
 * as a unit's decisions do what the recorded ones did, what came of them is taken from the record, too: facts. From the
 * first decision on that does something else, the unit is a model: a simulated host carries its decisions out (stops and
 * starts take as long as `habits` say), and the unit's readings are those of its recorded life at the same age, whatever
 * is done to it; a new life goes like that recorded life from its start. A life that was ended on record and goes on in
 * the model grows on as it did in its last seconds. Nothing here makes up for a throttle that would have helped.
 *
 * Pure: (state, input) -> decisions, told by a callback; no clock, no I/O. The caller reads the record.
 */
#ifndef WEIR_REPLAY_WHATIF_H
#define WEIR_REPLAY_WHATIF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weir/engine/engine.h"

/* How long things take in the model. X(ENUM_SUFFIX, "what", default) */
#define WHATIF_HABITS(X)                                                                                     \
    X(START, "start", UINT64_C(10000))       /* START, ADMIT to SPAWNED; measured: some ms */                \
    X(READY, "get ready", UINT64_C(5000000)) /* to READY; chosen: a worker loads its model in 5 to 20 s */   \
    X(DRAIN, "answer what is in flight", UINT64_C(100000)) /* DRAIN to its outcome; chosen */                \
    X(STOP, "stop", UINT64_C(500000))               /* TERM to EXITED; chosen: an orderly end of a few GB */ \
    X(KILL, "die when killed", UINT64_C(50000))     /* KILL to EMPTY; measured: 45 ms per 512 MB */          \
    X(RESPAWN, "be started anew", UINT64_C(100000)) /* wrapped: the end to the next arrival; chosen */

enum whatif_habit {
#define X(id, what, us) WHATIF_HABIT_##id,
    WHATIF_HABITS(X)
#undef X
        WHATIF_HABIT_COUNT,
};

const char *whatif_habit_name(enum whatif_habit habit);
uint64_t whatif_habit_default(enum whatif_habit habit);

struct whatif_unit {
    uint64_t habits[WHATIF_HABIT_COUNT]; /* microseconds */
    uint16_t server;                     /* wrapped: the unit that starts it; UNIT_NONE = not known */
    uint64_t
        recorded_max_bytes; /* the limit of the recorded policy: readings of memory.max follow the new one */
};

/* The levels over which time is summed up. X(ENUM_SUFFIX, "name", field of ladder_policy; limit: none) */
enum whatif_level {
    WHATIF_LEVEL_NOTIFY,
    WHATIF_LEVEL_THROTTLE,
    WHATIF_LEVEL_RESTART,
    WHATIF_LEVEL_CRITICAL,
    WHATIF_LEVEL_LIMIT,
    WHATIF_LEVEL_COUNT,
};

const char *whatif_level_name(enum whatif_level level);
/* Its bytes under a policy; UINT64_MAX: it has none (no limit, or switched off). */
uint64_t whatif_level_bytes(const struct unit_policy *p, enum whatif_level level);

/* A unit's sums: one for the facts, one for the model. "Memory" is what the ladder looks at: memory.current less the page
 * cache that can be dropped. */
struct whatif_sum {
    uint64_t readings, holes;
    uint64_t peak_bytes, peak_us; /* readings > 0 */
    uint64_t above_us[WHATIF_LEVEL_COUNT];
    uint64_t throttled_us, held_us, down_us; /* down: from when it was ready first, whenever it is not */
    uint64_t count[DECISION_KIND_COUNT];
    uint64_t recycles, failures; /* restarts for memory: planned, and those that count as failures */
};

struct whatif;

/* A decision of the policy that is tried. model: it rests on readings of the model. */
typedef int whatif_fn(void *user, const struct decision *d, bool model);

struct whatif_options {
    const struct policy *policy;     /* all borrowed until whatif_free */
    const struct whatif_unit *units; /* policy->unit_count */
    uint64_t hole_us;                /* two readings farther apart than this have a hole between them */
    whatif_fn *on_decision;          /* a non-zero return stops and is passed on */
    void *user;
};

/* 0 or -ENOMEM. */
int whatif_new(const struct whatif_options *options, struct whatif **ret);
struct whatif *whatif_free(struct whatif *w);

/* One recorded event, and what was decided on it. */
struct whatif_input {
    const struct event *event;
    const struct decision *recorded;
    size_t recorded_count;
    uint64_t
        recorded_deadline_us; /* which deadline the recorded engine waited for before it; USEC_INFINITY = none */
    bool taken_as_given;      /* nothing is on record: what is decided now is taken for what was done */
};

/* In the order of the record; events of units that the policy does not have are passed over. 0, -ENOMEM, or what on_decision returned. */
int whatif_feed(struct whatif *w, const struct whatif_input *in);
/* The record ends here: lets the model go on to this time. */
int whatif_end(struct whatif *w, uint64_t t_us, uint64_t recorded_deadline_us);

/* Where a unit's facts end, and the decision that ended them: about the unit, or about the server that starts it. */
struct whatif_difference {
    bool is_there;
    uint64_t t_us;
    bool missing; /* the decision is on record and is not made now; else: made now, not on record */
    struct decision decision;
};
const struct whatif_difference *whatif_difference(const struct whatif *w, uint16_t unit);
const struct whatif_sum *whatif_sum(const struct whatif *w, uint16_t unit, bool model);
/* Recorded changes of a policy that were passed over. */
uint64_t whatif_policies_skipped(const struct whatif *w);
/* Did the unit leave the record? */
bool whatif_is_model(const struct whatif *w, uint16_t unit);
/* Did the unit's model outlive its recorded life (its growth is then a guess)? */
bool whatif_went_beyond(const struct whatif *w, uint16_t unit);

#endif
