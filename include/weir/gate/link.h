/* SPDX-License-Identifier: MIT */
/*
 * What a gate and the supervisor say to each other over RUN_DIR/gate.sock (SOCK_SEQPACKET, one message a packet, all
 * of one fixed size).
 *
 *   gate                                            supervisor
 *   HELLO unit, own life so far           -->
 *                                         <--       WELCOME settings (again after a reload)
 *   ASK pid of a child that waits         -->       (the engine: ARRIVED ... ADMIT)
 *                                         <--       GO generation, environment; a descriptor of memory.current
 *                                         <--       or REFUSE text: no worker for now
 *   READY generation                      -->       (handshake replayed, or none to replay)
 *                                         <--       ORDER hold, pace, release, drain
 *   STATE figures, orders as they stand   -->
 *   DRAINED order                         -->
 *                                         <--       ENDING: weir ends this worker now; another one follows, or not
 *   ENDED pid, wait status                -->
 *                                         <--       CAUSE text: what it died of
 *                                         <--       PREPARE: make the next worker ready beside this one:
 *   ASK, READY, ENDED with `beside` set   -->         as for any, GO or REFUSE with `beside` set; its handshake is replayed
 *                                         <--         and its answers swallowed, nothing else is sent to it. When this one
 *                                                   has ended, the ASK for its successor names the one that is ready
 *   NOTE something for the record         -->
 *   METHOD one method's figures           -->       (all that changed, once a second)
 *
 * The gate connects, and connects again for as long as it lives: while no supervisor is there the pipe flows on, with
 * every order undone. A peer that breaks the protocol is dropped. Both ends come from one build; the version is checked
 * because an upgrade may replace one under the other.
 */
#ifndef WEIR_GATE_LINK_H
#define WEIR_GATE_LINK_H

#include <stdint.h>

#define GATE_LINK_VERSION 1
#define GATE_NAME_MAX     64 /* unit and method names, with the final NUL; a longer method is cut */
#define GATE_TEXT_MAX     1024
#define GATE_METHODS_MAX                                                                                     \
    64 /* chosen: the first workload has 18; further ones are counted together as "(other)" */
#define GATE_LIST_MAX        32 /* names in gate_handshake and in gate_replay each */
#define GATE_LATENCY_BUCKETS 56
#define GATE_FORMAT_JSONL    1
#define GATE_FORMAT_LINES    2 /* lines of any protocol: nothing is known of what is in flight */

/* X(ENUM_SUFFIX, "name"): from the gate */
#define GATE_SAYS(X)                                                                                         \
    X(HELLO, "hello")                                                                                        \
    X(ASK, "ask")                                                                                            \
    X(READY, "ready")                                                                                        \
    X(STATE, "state")                                                                                        \
    X(DRAINED, "drained")                                                                                    \
    X(ENDED, "ended")                                                                                        \
    X(NOTE, "note")                                                                                          \
    X(METHOD, "method")

enum gate_says {
#define X(id, name) GATE_SAYS_##id,
    GATE_SAYS(X)
#undef X
        GATE_SAYS_COUNT,
};

/* to the gate */
enum gate_told {
    GATE_TOLD_WELCOME,
    GATE_TOLD_GO,
    GATE_TOLD_REFUSE,
    GATE_TOLD_ORDER,
    GATE_TOLD_ENDING,
    GATE_TOLD_CAUSE,
    GATE_TOLD_ASK_AGAIN, /* after REFUSE: there may be a worker again */
    GATE_TOLD_PREPARE,   /* the next worker, beside this one; nothing where there is one already */
    GATE_TOLD_COUNT
};

enum gate_order { GATE_ORDER_RELEASE, GATE_ORDER_PACE, GATE_ORDER_HOLD, GATE_ORDER_DRAIN, GATE_ORDER_COUNT };

/* X(ENUM_SUFFIX, "name", "sentence"): what goes on record as it happens. amount is a count, or bytes where said. */
#define GATE_NOTES(X)                                                                                        \
    X(REPLAYED, "replayed", "sent again to the next worker")                                                 \
    X(POISON, "poison", "answered with an error: each worker it was sent to died")                           \
    X(FAILED, "failed", "answered with an error: its worker ended, and it must not be sent again")           \
    X(IMPATIENT, "impatient", "answered with an error: it waited longer than gate_patience")                 \
    X(REJECTED, "rejected", "answered with an error: there is no worker")                                    \
    X(LATE, "late", "an answer of an earlier worker, dropped")                                               \
    X(BROKEN, "broken", "a line longer than the buffer, cut off by the worker's end")                        \
    X(NOT_JSON, "not-json", "lines that are no JSON-RPC, passed on untouched")                               \
    X(SPOOLED, "spooled", "kept for sending again in a file: bytes")                                         \
    X(BOUND, "bound", "held for gate_patience: released by the gate itself")                                 \
    X(HANDSHAKE_FAILED, "handshake-failed", "the recorded handshake was answered with an error")             \
    X(UNTRACKED, "untracked", "requests that are not followed: an id or a batch too large")

enum gate_note {
#define X(id, name, text) GATE_NOTE_##id,
    GATE_NOTES(X)
#undef X
        GATE_NOTE_COUNT,
};

/* The upper bound of a bucket of latencies: 2^(i/2) * 10 us, rounded up. The last one's is infinite; this gives what it
 * would be. */
static inline uint64_t gate_latency_bound_us(unsigned bucket)
{
    const uint64_t millionths = bucket % 2 == 0 ? 10000000 : 14142136; /* 10, 10 * sqrt(2) */
    return ((millionths << bucket / 2) + 999999) / 1000000;
}

/* What one method did since the gate began. Latencies: bucket i counts answers within gate_latency_bound_us(i), the last
 * one all that took longer: 10 us to about 32 min in steps of 41 %. */
struct gate_method {
    char name[GATE_NAME_MAX]; /* "" = the slot is free */
    uint64_t calls, answers, errors;
    uint64_t notifications; /* of that name, from the server */
    uint64_t replays;
    uint64_t bytes_to_worker, bytes_to_server;
    uint64_t latency_sum_us, latency_max_us;
    uint64_t latency[GATE_LATENCY_BUCKETS];
    uint64_t growth_calls; /* answered alone in flight, with memory.current read before and after ... */
    int64_t growth_bytes;  /* ... and by how much it rose over all of these */
};

struct gate_state {
    uint32_t inflight;  /* requests that were sent and not answered */
    uint32_t waiting;   /* requests to be sent again */
    uint32_t queued;    /* 1: a request, or more in the pipe, is held back now */
    uint32_t order;     /* enum gate_order in force */
    uint64_t order_id;  /* of the last ORDER obeyed */
    uint64_t queued_us; /* for how long the one in front has been held back */
    uint64_t calls, answers, errors, notes[GATE_NOTE_COUNT];
    uint64_t latency_p99_us; /* of the answers in the last 10 s at least; UINT64_MAX = none */
    uint64_t resident_bytes; /* the gate's own */
};

struct gate_settings {
    uint32_t format;     /* GATE_FORMAT_x */
    uint32_t replay_max; /* a request is sent again at most this often */
    uint32_t
        respawn_clean; /* a worker that exits 0, unasked and with nothing in flight, is started anew, too */
    uint32_t handshake_count, replay_count;
    uint64_t patience_us;
    uint64_t memory_bytes; /* kept in memory for sending again, above it in an unlinked file in spool_dir */
    char spool_dir[256];
    char handshake[GATE_LIST_MAX][GATE_NAME_MAX], replay[GATE_LIST_MAX][GATE_NAME_MAX];
};

/* gate -> supervisor */
struct gate_says_message {
    uint32_t version, kind; /* enum gate_says */
    uint32_t generation;    /* of the worker it is about; 0 = none yet */
    int32_t pid; /* HELLO: the worker's, 0 = none. ASK: the child that waits. ENDED: the worker that ended */
    int32_t status;           /* ENDED: as of waitpid(2) */
    uint32_t ready;           /* HELLO: the worker is past its handshake */
    uint32_t beside;          /* ASK, READY, ENDED: of the worker that is prepared beside the present one */
    uint64_t order_id;        /* DRAINED */
    uint32_t note;            /* NOTE: enum gate_note */
    uint64_t amount;          /* NOTE */
    uint64_t bytes;           /* NOTE: of the line of the request that it is about; 0 = not known */
    char unit[GATE_NAME_MAX]; /* HELLO */
    char method[GATE_NAME_MAX],
        id[136]; /* NOTE: of the request, where it is about one; id as it was written */
    union {
        struct gate_state state;           /* STATE, HELLO */
        struct gate_method method_figures; /* METHOD */
    };
};

/* supervisor -> gate */
struct gate_told_message {
    uint32_t version, kind; /* enum gate_told */
    uint32_t generation;    /* GO, ENDING, CAUSE */
    uint32_t order;         /* ORDER: enum gate_order */
    uint64_t order_id;      /* ORDER: tells one from the next; DRAINED names it */
    uint32_t inflight;      /* PACE: at most so many in flight; 0 = no bound */
    uint64_t interval_us;   /* PACE: at least this long between two; 0 = no bound */
    uint32_t beside;        /* GO, REFUSE: to such an ASK */
    uint32_t follows;       /* ENDING: another worker will be allowed */
    char text
        [GATE_TEXT_MAX]; /* GO: one NAME=value to add to the environment, or ""; REFUSE, CAUSE: in words */
    struct gate_settings settings; /* WELCOME */
};

#endif
