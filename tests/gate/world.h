/* SPDX-License-Identifier: MIT */
/*
 * All that may happen around a gate's core, as events of a small closed world: a server, its lines, workers that come and
 * go, a supervisor, time. The core in it is the real one (src/gate/core.c); the rest keeps its own books of what was
 * sent, answered and ordered, and holds each call of the core against them. explore.c walks through all of it.
 *
 * Time: the core is always told that it is WORLD_NOW_US. A tick makes all times that it keeps one older, and what is
 * older than any bound is as old as the bound: so that a state that differs only in when it is, is the same state.
 */
#ifndef WEIR_TESTS_GATE_WORLD_H
#define WEIR_TESTS_GATE_WORLD_H

#include "core.h"

#include <stddef.h>

#define WORLD_NOW_US    UINT64_C(1000)
#define WORLD_LINES_MAX 5
#define WORLD_NO_AGE    0xff

/* What a story is made of; each one is walked through to its end. */
struct scenario {
    const char *name;
    bool large;        /* only when asked for */
    const char *lines; /* one letter each; see world_lines in world.c */
    uint8_t slots, replay_max, patience, handshakes, generations;
    bool respawn_clean;
    uint8_t refusals, orders; /* at most so many */
    const char *order_kinds;  /* of "hold", "count", "rate", "drain": their first letters */
    bool closes, stops, loses_copy, reloads, takes_back, full, ticks;
};

enum process { PROCESS_NONE, PROCESS_CHILD, PROCESS_RUNS };

struct fate {         /* of a line */
    uint8_t slot;     /* its number + 1; 0 = none */
    uint8_t open;     /* bits: answers that its sender still waits for */
    uint8_t sends;    /* how often a worker got at least its first byte, and not known not to have read it */
    uint8_t sent_to;  /* the last of these */
    uint8_t may_fail; /* bits of enum gate_failure: it is to be answered with one of these */
    bool again;       /* it is to be sent again */
    bool touched;     /* partly answered */
    bool resent;      /* where it is now, it was sent again */
    bool copy;        /* it could be sent again */
};

struct world {
    const struct scenario *s;

    struct fate fates[WORLD_LINES_MAX];
    uint8_t taken;       /* lines that have come; the last one may be ... */
    bool front;          /* ... held back */
    bool mid, mid_begun; /* ... on its way, its first byte out */
    uint8_t mid_generation;
    bool closed, stopped, exited, reloaded;

    enum process process;
    uint8_t generation; /* of the last one that ran */
    uint8_t last_sent;  /* number + 1 of the last line that it got */
    uint8_t handshaken; /* lines that it answered */
    bool handshake_out, handshake_failed, killed, stdin_closed, over_by_clean;

    enum gate_flow flow; /* as ordered */
    uint8_t pace_count, pace_interval, pace_age;
    bool drain, told, bound_owed, ready_owed;
    uint8_t drain_generation;
    uint8_t orders, refusals; /* how many there were */

    uint8_t front_age, again_age; /* in ticks; WORLD_NO_AGE = does not wait for what has a bound */
    bool impatient_now;           /* a line was rejected for impatience since the last tick */

    const char *broken; /* what did not hold; NULL = all does */
    const char *broken_file;
    int broken_line;

    struct gate_core core; /* last: only the slots that the scenario has are copied */
};

/* X(SUFFIX, "what happened", number of variants): one text, or one for each variant */
#define WORLD_EVENTS(X)                                                                                      \
    X(ACT, "the gate acts|it acts, its server full|it acts, its worker full|it acts, its link full", 4)      \
    X(LINE, "a line comes from the server", 1)                                                               \
    X(JUDGE, "the line in front is judged again", 1)                                                         \
    X(BEGIN, "the first byte of the long line goes out", 1)                                                  \
    X(WHOLE, "the long line is sent whole", 1)                                                               \
    X(CUT, "the long line was cut by its worker's end|it was cut, its copy is whole|it was not read", 3)     \
    X(UNSENT, "the long line was not begun before its worker's end", 1)                                      \
    X(CLOSE, "the server closes", 1)                                                                         \
    X(STOP, "the server stops the gate", 1)                                                                  \
    X(GO, "the supervisor gives the child its place", 1)                                                     \
    X(REFUSE, "the supervisor refuses", 1)                                                                   \
    X(ASK_AGAIN, "the supervisor has the gate ask again", 1)                                                 \
    X(HANDSHAKE, "the worker answers the handshake with an error|the worker answers the handshake", 2)       \
    X(ANSWER, "the worker answers line 1|line 2|line 3|line 4|line 5", WORLD_LINES_MAX)                      \
    X(END,                                                                                                   \
      "the worker ends badly|the worker ends cleanly|it ends, the last request unread|"                      \
      "it ends, the last two unread|it ends, the last request not yet written|"                              \
      "it ends, the last request not yet written and the one before unread|"                                 \
      "it ends cleanly, the last request not yet written|it ends cleanly, the last request unread",          \
      8)                                                                                                     \
    X(HOLD, "the supervisor holds", 1)                                                                       \
    X(PACE_COUNT, "the supervisor paces by count", 1)                                                        \
    X(PACE_RATE, "the supervisor paces by rate", 1)                                                          \
    X(DRAIN, "the supervisor drains", 1)                                                                     \
    X(RELEASE, "the supervisor releases, or disappears", 1)                                                  \
    X(COPY_LOST, "the copy is lost of line 1|line 2|line 3|line 4|line 5", WORLD_LINES_MAX)                  \
    X(RELOAD, "the settings are reloaded", 1)                                                                \
    X(TICK, "time passes", 1)

enum world_event {
#define X(id, text, count) WORLD_##id,
    WORLD_EVENTS(X)
#undef X
        WORLD_EVENT_COUNT,
};
/* Which rule is broken in a core that tests/gate/mutate has made; 0 = none. The real one does not look at it. */
extern int gate_mutant;

extern const char *const world_event_text[WORLD_EVENT_COUNT];
extern const uint8_t world_event_variants[WORLD_EVENT_COUNT];

/* How often each row of the core's table was taken by an event so far. */
extern uint64_t world_moves[GATE_WORKER_COUNT][GATE_WORKER_COUNT];

void world_init(struct world *w, const struct scenario *s);
void world_copy(struct world *to, const struct world *from); /* `to` is a world of the same scenario */
/* Lets it happen. False: it cannot happen in this state (which is then not to be used any more). */
bool world_happens(struct world *w, enum world_event event, uint8_t variant);
/* Whatever its state is, all that must hold of it, and of what may come: calls that change nothing, late answers, that a
 * kind world leads to an answer of everything and to the end, and that a silent one leaves nobody waiting. */
void world_check(struct world *w);
void world_broken(struct world *w, const char *what, const char *file, int line);

/* As bytes; two worlds of a scenario are the same if their bytes are. Returns how many. */
#define WORLD_BYTES_MAX 192
size_t world_pack(struct world *w, uint8_t *bytes);
void world_unpack(struct world *w, const struct scenario *s, const uint8_t *bytes);

#endif
