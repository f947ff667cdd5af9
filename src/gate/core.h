/* SPDX-License-Identifier: MIT */
/*
 * What a gate decides: which line may pass, what becomes of requests in flight when a worker ends, when the next worker
 * may be used. Pure, like the engine: no I/O, no clock (times are handed in), no allocation, no pointers in the state, so
 * that tests/gate can walk through every interleaving of it.
 *
 * A *slot* is a line from the server that awaits at least one answer (a request, or a batch with requests in it). What
 * is in the line, its ids and a copy of its bytes are the caller's (ledger.h), by slot number.
 *
 *                     started              handshaken
 *   NONE -> ASKED -------------> HANDSHAKE ----------> UP
 *    ^       | refused               |                 |
 *    |       v                       | ended           | ended
 *    |     DOWN --ask again--> ASKED v                 v
 *    |                             ENDED <-------------+     (what was in flight: sent again, or answered with an error)
 *    |                               |
 *    +---- next worker --------------+--> OVER: the server has closed, or the worker ended cleanly of its own accord
 *
 *   flow:  OPEN  <->  PACED  <->  HELD      by order; a hold or pace ends by itself after `patience`
 *   drain: no further request passes until the *next* worker is UP; told once nothing is in flight
 *
 * Invariants, each held by the explorer: lines pass in their order; every slot is answered exactly once, by the worker
 * of the generation it was last sent to, or by an error; a request not marked replay is sent once; nothing passes but
 * to a worker that is UP; while anything waits to be sent again nothing new passes, and what waits goes out one at a
 * time in order, so that a request that kills its workers is told from its neighbours.
 */
#ifndef WEIR_GATE_CORE_H
#define WEIR_GATE_CORE_H

#include <stdbool.h>
#include <stdint.h>

#define GATE_SLOTS_MAX 256 /* chosen: lines in flight; beyond that the pipe itself holds */

enum gate_line {
    GATE_LINE_REQUEST, /* awaits an answer */
    GATE_LINE_ONE_WAY, /* a notification: obeys holds, gets no slot */
    GATE_LINE_RESPONSE, /* to a request of the worker: passes holds and drains, or the worker could never finish */
    GATE_LINE_OTHER, /* not JSON-RPC: obeys holds, gets no slot */
};

enum gate_worker {
    GATE_WORKER_NONE,
    GATE_WORKER_ASKED, /* a child waits for its place */
    GATE_WORKER_HANDSHAKE,
    GATE_WORKER_UP,
    GATE_WORKER_ENDED, /* its output is read to the end; what was in flight is being dealt with */
    GATE_WORKER_DOWN,  /* refused: requests are answered with an error */
    GATE_WORKER_OVER,  /* the gate ends */
};

enum gate_flow { GATE_FLOW_OPEN, GATE_FLOW_PACED, GATE_FLOW_HELD };

enum gate_slot_state {
    GATE_SLOT_FREE,
    GATE_SLOT_SENT,
    GATE_SLOT_AGAIN,  /* to be sent again */
    GATE_SLOT_FAILED, /* to be answered with an error */
};

/* Why a slot, or a line that is rejected, is answered with an error. */
enum gate_failure {
    GATE_FAILURE_ENDED,     /* its worker ended, it must not be sent again */
    GATE_FAILURE_POISON,    /* sent again replay_max times, each worker ended */
    GATE_FAILURE_IMPATIENT, /* waited longer than patience for a worker */
    GATE_FAILURE_DOWN,      /* there is no worker, and none is coming by itself */
};

struct gate_slot {
    uint8_t state;       /* enum gate_slot_state */
    uint8_t failure;     /* enum gate_failure, when FAILED */
    bool replay;         /* may be sent again */
    bool touched;        /* part of a batch was answered: not to be sent again */
    uint32_t tries;      /* how often it was sent */
    uint32_t generation; /* of the worker it was last sent to */
    uint64_t order;      /* place in the server's stream */
    uint64_t since_us;   /* when it first passed */
};

struct gate_core {
    uint32_t slot_limit; /* at most GATE_SLOTS_MAX */
    uint32_t replay_max;
    uint64_t patience_us;
    bool respawn_clean;

    enum gate_worker worker;
    uint32_t generation; /* of the worker in HANDSHAKE, UP; the last one's otherwise */
    uint32_t handshake_next, handshake_count;
    bool handshake_sent; /* number handshake_next is out */
    bool ready_due;      /* UP is to be told */
    bool kill_due;       /* the handshake failed */
    bool server_closed;
    bool stdin_closed; /* the worker was given the server's end of file */

    enum gate_flow flow;
    uint32_t pace_inflight; /* 0 = no bound */
    uint64_t pace_interval_us, pace_next_us;
    uint64_t flow_since_us;
    bool bound_due; /* the flow's end by patience is to be told */
    bool drain, drain_told;
    uint32_t drain_generation; /* a worker of a later generation ends the drain */
    uint64_t drain_since_us;

    uint64_t blocked_since_us; /* a line has been refused passage since then; UINT64_MAX = none */
    uint64_t next_order;
    uint32_t used, sent; /* slots in use; of these SENT */
    struct gate_slot slots[GATE_SLOTS_MAX];
};

void gate_core_init(struct gate_core *c, uint32_t slot_limit);
/* New settings; take effect from now on. */
void gate_core_set(struct gate_core *c, uint32_t replay_max, uint64_t patience_us, bool respawn_clean);

/* ------------------------------------------ the server's lines ------------------------------------------ */

enum gate_verdict {
    GATE_PASS, /* send it, then gate_core_passed() */
    GATE_WAIT, /* not now: leave it where it is, and read no further */
    GATE_REJECT, /* do not send it: a request is answered with an error (*ret_failure); anything else is dropped */
};
/* The line in front, whole or as far as the buffer goes. WAIT starts the patience of who is in front. */
enum gate_verdict gate_core_judge(struct gate_core *c, enum gate_line line, uint64_t now_us,
                                  enum gate_failure *ret_failure);
/* It was sent whole. Returns its slot, or -1 for a line that awaits no answer. */
int gate_core_passed(struct gate_core *c, enum gate_line line, bool replay, uint64_t now_us);
/* A long line whose worker ended before all of it was sent; `kept`: its copy is whole, and it may be sent again
 * (GATE_SLOT_AGAIN). Else it is FAILED. Returns its slot. */
int gate_core_cut(struct gate_core *c, bool kept, uint64_t now_us);
/* The server has closed its end, and all that came before has been judged. */
void gate_core_server_closed(struct gate_core *c);

/* ------------------------------------------ the worker's lines ------------------------------------------ */

/* An answer to a slot from the worker of `generation`; last: nothing of the slot is left unanswered, it is free then.
 * Whether to deliver it. False: an earlier worker's, late; drop it. */
bool gate_core_answered(struct gate_core *c, int slot, uint32_t generation, bool last);

/* --------------------------------------------- the worker's life --------------------------------------------- */

void gate_core_started(struct gate_core *c, uint32_t generation, uint32_t handshake_count);
void gate_core_handshake_answered(struct gate_core *c, bool ok);
/* All that it wrote has been read. clean: exit code 0, of its own accord (nobody asked it to end). */
void gate_core_ended(struct gate_core *c, bool clean, uint64_t now_us);
void gate_core_refused(struct gate_core *c);
void gate_core_ask_again(struct gate_core *c);

/* --------------------------------------------- orders --------------------------------------------- */

void gate_core_hold(struct gate_core *c, uint64_t now_us);
void gate_core_pace(struct gate_core *c, uint32_t inflight, uint64_t interval_us, uint64_t now_us);
void gate_core_release(struct gate_core *c); /* also undoes a drain that has not led to an end */
void gate_core_drain(struct gate_core *c, uint64_t now_us);

/* ------------------------------------------ what there is to do ------------------------------------------ */

enum gate_action_kind {
    GATE_ACTION_NONE,
    GATE_ACTION_ASK,       /* fork the next worker and ask for its place; done when asked */
    GATE_ACTION_HANDSHAKE, /* send handshake line number `index` */
    GATE_ACTION_RESEND,    /* send the copy of `slot` */
    GATE_ACTION_FAIL,      /* answer what is open of `slot` with an error (`failure`) */
    GATE_ACTION_TELL_READY,
    GATE_ACTION_TELL_DRAINED,
    GATE_ACTION_TELL_BOUND,  /* the flow's order was ended by patience */
    GATE_ACTION_KILL,        /* end this worker: its handshake failed */
    GATE_ACTION_CLOSE_STDIN, /* pass the server's end of file on */
    GATE_ACTION_EXIT,        /* with the worker's status */
};
struct gate_action {
    enum gate_action_kind kind;
    int slot;
    uint32_t index;
    enum gate_failure failure;
};
/* The next thing to do, made from the state alone: the same again until gate_core_done() says that it was done, so that an
 * output that is full loses nothing. Time bounds that have passed are acted upon here. */
struct gate_action gate_core_next(struct gate_core *c, uint64_t now_us);
void gate_core_done(struct gate_core *c, const struct gate_action *action, uint64_t now_us);
/* When gate_core_next() or gate_core_judge() may say something else although nothing happened; UINT64_MAX = never. */
uint64_t gate_core_deadline(const struct gate_core *c);

#endif
