/* SPDX-License-Identifier: MIT */
/*
 * An event: anything the engine is told. Recorded before the engine sees it, so that a recorded run can be
 * replayed. The text form is lossless and is also the scenario tests' language.
 */
#ifndef WEIR_MODEL_EVENT_H
#define WEIR_MODEL_EVENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weir/model/decision.h"
#include "weir/model/sample.h"

#define EVENT_KINDS(X)                                                                                       \
    X(RUN, "run") /* the supervisor began; start the units */                                                \
    X(SAMPLE, "sample")                                                                                      \
    X(DEADLINE, "deadline")         /* engine_next_deadline() has come */                                    \
    X(ARRIVED, "arrived")           /* a wrapped command asks to run: pid, via = the unit it came from */    \
    X(SPAWNED, "spawned")           /* the main process exists, in its cgroup: pid, how */                   \
    X(SPAWN_FAILED, "spawn-failed") /* error = errno of the step that failed */                              \
    X(READY, "ready")               /* the readiness check succeeded */                                      \
    X(EXITED, "exited")             /* the main process ended: exit */                                       \
    X(EMPTY, "empty")               /* no process is left in the unit's cgroup */                            \
    X(CLEANED, "cleaned")           /* the unit's cgroup is removed (error != 0: could not be, ignoring) */  \
    X(GATE_LOST, "gate-lost")       /* no gate stands on the unit's pipe any more */                         \
    X(OPERATOR, "operator")         /* verb, uid; of a pace its bounds */                                    \
    X(OUTCOME, "outcome")           /* what came of a decision: decision_id, result, error */                \
    X(POLICY, "policy")     /* the unit's policy was changed (reload, set); the new one is in force */       \
    X(SHUTDOWN, "shutdown") /* stop everything, then end */

enum event_kind {
#define X(id, name) EVENT_##id,
    EVENT_KINDS(X)
#undef X
        EVENT_KIND_COUNT,
};

enum event_how { EVENT_HOW_SPAWNED, EVENT_HOW_WRAPPED, EVENT_HOW_ADOPTED, EVENT_HOW_COUNT };

enum event_verb {
    EVENT_VERB_START,
    EVENT_VERB_STOP,
    EVENT_VERB_RESTART,
    EVENT_VERB_FREEZE,
    EVENT_VERB_THAW,
    EVENT_VERB_HOLD,
    EVENT_VERB_PACE,
    EVENT_VERB_RELEASE,
    EVENT_VERB_COUNT,
};

enum event_result {
    EVENT_RESULT_DONE,
    EVENT_RESULT_FAILED,
    EVENT_RESULT_UNSUPPORTED,
    EVENT_RESULT_PARTIAL,
    EVENT_RESULT_COUNT,
};

/* Evidence of a process's end, read before anything is removed. */
struct event_exit {
    bool status_known;     /* false: weir is not its parent and the kernel tells nobody else */
    int32_t code;          /* exit code, when status_known and signal == 0 */
    int32_t signal;        /* ending signal, 0 = exited */
    uint64_t oom_kills;    /* memory.events oom_kill of its cgroup since the start of this generation */
    uint64_t pids_refused; /* pids.events max since the start of this generation */
};

struct event {
    uint64_t seq;  /* from 1, in order, per run */
    uint64_t t_us; /* CLOCK_MONOTONIC; never falls within a run */
    enum event_kind kind;
    uint16_t unit;       /* UNIT_NONE for RUN, DEADLINE, SHUTDOWN */
    uint32_t generation; /* the start it belongs to; stale ones are ignored by the engine */
    union {
        struct sample sample;
        struct {
            int32_t pid;
            uint16_t via;    /* the unit whose process started it; UNIT_NONE = not known */
            uint64_t ticket; /* names the waiting command; ADMIT/REFUSE carry it in amount[0] */
        } arrived;
        struct {
            int32_t pid;
            enum event_how how;
            bool ready;  /* adopted only: it was ready before */
            bool frozen; /* adopted only: an operator froze it, and it still is */
        } spawned;
        struct event_exit exit;
        struct {
            enum event_verb verb;
            uint32_t uid;
            uint32_t inflight;    /* PACE: at most so many requests in flight; 0 = no bound */
            uint64_t interval_us; /* PACE: at least this long between two; 0 = no bound */
        } operator_;
        struct {
            uint64_t decision_id;
            enum event_result result;
            int32_t error;   /* errno, 0 = none */
            uint64_t amount; /* RECLAIM: bytes by which memory.current fell; else 0 */
        } outcome;
        int32_t error; /* SPAWN_FAILED, CLEANED */
    };
};

const char *event_kind_name(enum event_kind kind);
const char *event_verb_name(enum event_verb verb);
const char *event_result_name(enum event_result result);
const char *event_how_name(enum event_how how);
/* By name; the _COUNT value when unknown. */
enum event_kind event_kind_by_name(const char *name);
enum event_verb event_verb_by_name(const char *name);
enum event_result event_result_by_name(const char *name);

#define EVENT_TEXT_MAX 2048

/*
 * One line, lossless: "T_US KIND [UNIT] [gen=N] key=value ...", a sample's invalid fields left out:
 *   21000000 sample worker gen=1 cause=tick late_us=180 memory.current=2542440 top=5597:124:2542440:416263000:python3
 *   21050000 exited worker gen=1 status=unknown oom_kills=1 pids_refused=0
 *   21060000 operator worker verb=restart uid=1000
 * seq is not part of the text (it is the line's number). comm bytes other than letters, digits, '-', '_', '.', '/'
 * are written as %XX, in unit names too (which have at least one byte). Left out: UNIT_NONE, generation 0, and
 * most members at their default. A sample's t_us is written as read_us= when it is not the event's. An exit with
 * a known status has no status= but code= or signal=. Returns the length, or -EMSGSIZE.
 */
int event_format(const struct event *e, const char *const *unit_names, char *buf, size_t size);

/* Parses what event_format wrote. Times may also be written with a suffix ("21s", "21.05s") and sizes as
 * people write them ("memory.current=217M"), for scenario files. 0, or -EINVAL with *ret_what (static text)
 * telling what was wrong. */
int event_parse(const char *text, const char *const *unit_names, size_t unit_count, struct event *ret,
                const char **ret_what);

/* One plain sentence for the time line ("worker exited with code 3; kernel OOM kills 1"). Returns buf. */
const char *event_narrate(const struct event *e, const char *const *unit_names, char *buf, size_t size);

#endif
