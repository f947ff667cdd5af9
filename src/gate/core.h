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
 *   ^ ^      | |                     |                 |
 *   | |      | +----- ended ------+  | ended           | ended
 *   | |      | refused            v  v                 v
 *   | |      v                   ENDED <---------------+     (what was in flight: sent again, or answered with an error)
 *   | +--- DOWN                    |
 *   |  ask again                   |
 *   +------- next worker ----------+--> OVER: the worker ended cleanly of its own accord, or no other may follow
 *
 * The same as a table, in which the test looks each row up (gate_core_may_move); no other move exists:
 *
 *   NONE      -> ASKED       the next worker was asked for
 *   NONE      -> OVER        no worker may follow
 *   ASKED     -> HANDSHAKE   it has its place and runs
 *   ASKED     -> ENDED       the child ended while it waited
 *   ASKED     -> DOWN        refused
 *   ASKED     -> OVER        no worker may follow
 *   HANDSHAKE -> UP          the last handshake line was answered, or there was none
 *   HANDSHAKE -> ENDED
 *   UP        -> ENDED
 *   ENDED     -> NONE        another one follows
 *   ENDED     -> OVER        this was the last
 *   DOWN      -> NONE        asked to try again
 *   DOWN      -> OVER        no worker may follow
 *
 * "No worker may follow" once gate_core_stop() was called, and once the server has closed, but for a first worker that
 * never ran: that one still gets to see the end of file.
 *
 *   flow:  OPEN  <->  PACED  <->  HELD      by order
 *   drain: no further request passes until the *next* worker is UP; told once nothing is in flight
 *
 * Patience. A line in front waits, and so do slots to be sent again, for one of two reasons that have a bound: an order,
 * or that no worker is UP. When both together have lasted for patience_us, an order ends by itself (flow and drain), and
 * for want of a worker they are answered with an error; lines that are read in that same turn were behind it in the pipe
 * and have waited with it, so they go the same way. Waiting for other requests (slots to be sent again, no free slot) has
 * no bound: a slow worker is the server's to judge.
 *
 * Invariants, each held by the explorer: lines pass in their order; every slot is answered exactly once, by the worker
 * of the generation it was last sent to, or by an error; a request not marked replay is read by one worker; nothing passes but
 * to a worker that is UP; while anything waits to be sent again, or was and is not answered yet, nothing new passes, and
 * what waits goes out one at a time in order, so that a request that kills its workers is told from its neighbours.
 *
 * How the caller goes about it, each turn: the events; then gate_core_next() and what it says, until NONE; then
 * gate_core_judge() on the line in front if there is one, again each turn until it is not WAIT; sleep until
 * gate_core_deadline(). Events that do not fit the state (a REFUSE for a child that died meanwhile) change nothing.
 */
#ifndef WEIR_GATE_CORE_H
#define WEIR_GATE_CORE_H

#include <stdbool.h>
#include <stdint.h>

#define GATE_SLOTS_MAX 256 /* chosen: lines in flight; beyond that the pipe itself holds */

enum gate_line {
    GATE_LINE_REQUEST, /* awaits an answer; also what is not known yet, of a line longer than the buffer */
    GATE_LINE_ONE_WAY, /* a notification: obeys holds, gets no slot */
    GATE_LINE_RESPONSE, /* to a request of the worker: passes holds and drains, or the worker could never finish */
    GATE_LINE_OTHER, /* not JSON-RPC: obeys holds, gets no slot */
};

enum gate_worker {
    GATE_WORKER_NONE,  /* the next one is to be asked for */
    GATE_WORKER_ASKED, /* a child waits for its place */
    GATE_WORKER_HANDSHAKE,
    GATE_WORKER_UP,
    GATE_WORKER_ENDED, /* its output is read to the end; what was in flight is being dealt with */
    GATE_WORKER_DOWN,  /* refused: requests are answered with an error */
    GATE_WORKER_OVER,  /* the gate ends */
    GATE_WORKER_COUNT,
};

enum gate_flow { GATE_FLOW_OPEN, GATE_FLOW_PACED, GATE_FLOW_HELD };

/* What the line in front, or the first slot to be sent again, waits for. */
enum gate_why {
    GATE_WHY_NONE,   /* it does not wait */
    GATE_WHY_WORKER, /* none is UP: bounded by patience */
    GATE_WHY_ORDER,  /* hold, drain, or pace by count: bounded by patience */
    GATE_WHY_RATE,   /* pace by rate: bounded by patience, and over by itself when its time has come */
    GATE_WHY_TURN,   /* others are to be sent again, or answered, first */
    GATE_WHY_SLOTS,  /* slot_limit lines are in flight */
};
struct gate_wait {
    enum gate_why why;
    uint64_t since_us; /* waits since then for a reason that has a bound; UINT64_MAX = none */
};

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
    bool unread;         /* its worker, which has ended, never read it: that was no try */
    uint32_t tries;      /* how often it was sent */
    uint32_t generation; /* of the worker it was last sent to */
    uint64_t order;      /* place in the server's stream */
};

struct gate_core {
    uint32_t slot_limit; /* at most GATE_SLOTS_MAX */
    uint32_t replay_max;
    uint64_t patience_us;
    bool respawn_clean;

    enum gate_worker worker;
    uint32_t generation; /* of the worker in HANDSHAKE, UP; the last one's otherwise; 0 = none yet */
    uint32_t handshake_next, handshake_count;
    bool handshake_sent;   /* number handshake_next is out */
    bool handshake_failed; /* no more of it is sent */
    bool ready_due;        /* UP is to be told */
    bool kill_due;         /* the handshake failed */
    bool exit_due;         /* ENDED: no other worker follows */
    bool server_closed;
    bool stopped;      /* gate_core_stop() was called */
    bool stdin_closed; /* the worker was given the server's end of file */

    enum gate_flow flow;
    uint32_t pace_inflight;    /* 0 = no bound */
    uint64_t pace_interval_us; /* 0 = no bound */
    uint64_t pace_last_us;     /* when a line last passed under this pace; UINT64_MAX = none did */
    bool bound_due;            /* the order's end by patience is to be told */
    bool drain, drain_told;
    uint32_t drain_generation; /* a worker of a later generation ends the drain */

    bool passing;                /* a line was let through that is not yet sent whole ... */
    uint32_t passing_generation; /* ... to this worker, which may have ended meanwhile */
    bool alone;                  /* what is in flight was sent again: nothing may be sent beside it */

    struct gate_wait front, again;
    uint64_t blocked_since_us;   /* the line in front waits since then, for any reason; UINT64_MAX = none */
    uint64_t impatient_since_us; /* when a line was last rejected as IMPATIENT; UINT64_MAX = never */
    uint64_t next_order;
    uint32_t used, sent, to_send, failed; /* slots that are not free; of these SENT, AGAIN, FAILED */
    struct gate_slot slots[GATE_SLOTS_MAX];
};

/* Everything 0, nothing in force, no worker. Patience is without end until gate_core_set(). slot_limit: 1 to
 * GATE_SLOTS_MAX. */
void gate_core_init(struct gate_core *c, uint32_t slot_limit);
/* New settings; take effect from now on. patience_us of UINT64_MAX: none ends by itself. */
void gate_core_set(struct gate_core *c, uint32_t replay_max, uint64_t patience_us, bool respawn_clean);
/* Whether the table of moves has that row. */
bool gate_core_may_move(enum gate_worker from, enum gate_worker to);

/* ------------------------------------------ the server's lines ------------------------------------------ */

enum gate_verdict {
    GATE_PASS, /* send it, then gate_core_passed(), gate_core_cut...() or gate_core_unsent(); nothing is judged till then */
    GATE_WAIT, /* not now: leave it where it is, and read no further */
    GATE_REJECT, /* do not send it: a request is answered with an error (*ret_failure); anything else is dropped */
};
/* The line in front, whole or as far as the buffer goes. WAIT starts the patience of who is in front: judge it again
 * after every event and at the deadline. An order whose patience is over ends here. *ret_failure is untouched unless
 * REJECT. */
enum gate_verdict gate_core_judge(struct gate_core *c, enum gate_line line, uint64_t now_us,
                                  enum gate_failure *ret_failure);
/* It was sent whole (or all of it stands in a buffer of the caller's, to be sent next: see gate_core_recall), before
 * gate_core_ended() for this worker. replay: a copy is kept and it may be sent again.
 * Returns its slot, or -1 for a line that awaits no answer. */
int gate_core_passed(struct gate_core *c, enum gate_line line, bool replay, uint64_t now_us);
/* A line of which the worker got a part only: that worker has ended (after gate_core_ended(), however much later the
 * rest of the line comes; when OVER at once). `kept`: its copy is whole, and it may be sent again (GATE_SLOT_AGAIN). Else
 * it is FAILED. Returns its slot, or -1 for a line that awaits no answer. */
int gate_core_cut(struct gate_core *c, enum gate_line line, bool kept);
/* The same of a line whose worker had read nothing of it, and whose copy is whole: it is sent again whatever it is, and
 * that was no try. replay: it may be sent again after the next worker, too. */
int gate_core_cut_unread(struct gate_core *c, enum gate_line line, bool replay);
/* A line of which the worker got nothing before it ended: it is in front again. After gate_core_ended(). */
void gate_core_unsent(struct gate_core *c);
/* A slot that was let through, and of which not a byte is written yet (-1: the line under way): its line is in front
 * again, as if it had not been. Before gate_core_ended() for its worker. */
void gate_core_recall(struct gate_core *c, int slot);
/* A slot whose worker has ended and never read it (it lay in the pipe), and whose copy is whole: it may be sent again
 * whatever it is, and that was no try. Before gate_core_ended(). */
void gate_core_unread(struct gate_core *c, int slot);
/* The copy of a slot cannot be read or is lost: it is not sent again (if it was to be, it is FAILED). */
void gate_core_copy_lost(struct gate_core *c, int slot);
/* The server has closed its end, and all that came before has been judged and is written, cut or rejected: nothing can
 * be in front again. */
void gate_core_server_closed(struct gate_core *c);
/* No worker after this one (its end was asked for by the server's signal); without a worker: the gate is over. */
void gate_core_stop(struct gate_core *c);

/* ------------------------------------------ the worker's lines ------------------------------------------ */

/* An answer to a slot from the worker of `generation`; last: nothing of the slot is left unanswered, it is free then.
 * Whether to deliver it. False: an earlier worker's, late; drop it. */
bool gate_core_answered(struct gate_core *c, int slot, uint32_t generation, bool last);

/* --------------------------------------------- the worker's life --------------------------------------------- */

/* The child that was asked for runs. `generation` is not 0 and differs from all earlier ones. False: it is not asked for
 * any more (the gate is over, or was refused it meanwhile): end it, and say nothing more of it here. */
bool gate_core_started(struct gate_core *c, uint32_t generation, uint32_t handshake_count);
/* The worker's answer to the handshake line that is out; further ones after one that failed change nothing. */
void gate_core_handshake_answered(struct gate_core *c, bool ok);
/* All that it wrote has been read; or the child ended before it had its place. clean: exit code 0, of its own accord
 * (nobody asked it to end). */
void gate_core_ended(struct gate_core *c, bool clean);
/* There is no place for the child that waits; it is ended without another word here. */
void gate_core_refused(struct gate_core *c);
/* After refused: there may be a worker again. */
void gate_core_ask_again(struct gate_core *c);

/* --------------------------------------------- orders --------------------------------------------- */

/* Hold and pace replace each other; a drain stands beside them. */
void gate_core_hold(struct gate_core *c);
/* At most `inflight` requests in flight, and `interval_us` between any two lines; 0 = no such bound. */
void gate_core_pace(struct gate_core *c, uint32_t inflight, uint64_t interval_us);
void gate_core_release(struct gate_core *c); /* also undoes a drain that has not led to an end */
void gate_core_drain(struct gate_core *c);   /* given again: told again */

/* ------------------------------------------ what there is to do ------------------------------------------ */

enum gate_action_kind {
    GATE_ACTION_NONE,
    GATE_ACTION_KILL,         /* end this worker: its handshake failed */
    GATE_ACTION_ASK,          /* fork the next worker and ask for its place; done when asked */
    GATE_ACTION_TELL_READY,   /* link */
    GATE_ACTION_TELL_DRAINED, /* link */
    GATE_ACTION_TELL_BOUND,   /* link: the flow's order was ended by patience */
    GATE_ACTION_HANDSHAKE,    /* worker: send handshake line number `index` */
    GATE_ACTION_RESEND,       /* worker: send the copy of `slot` */
    GATE_ACTION_CLOSE_STDIN,  /* worker: pass the server's end of file on */
    GATE_ACTION_FAIL,         /* server: answer what is open of `slot` with an error (`failure`) */
    GATE_ACTION_EXIT,         /* with the worker's status; ends a child that still waits */
};
struct gate_action {
    enum gate_action_kind kind;
    int slot;
    uint32_t index;
    enum gate_failure failure;
};
/* Outputs that take nothing now: what would go there is not offered, so that it holds up nothing else. */
enum gate_full {
    GATE_FULL_SERVER = 1 << 0,
    GATE_FULL_WORKER = 1 << 1, /* also while a line, or the rest of one, is still being written to it */
    GATE_FULL_LINK = 1 << 2,
};
/* The next thing to do, made from the state alone: the same again until gate_core_done() says that it was done, so that an
 * output that is full (`full`: enum gate_full, or-ed) loses nothing. Call it until NONE. Time bounds that have passed are
 * acted upon here, and in gate_core_judge(). */
struct gate_action gate_core_next(struct gate_core *c, uint64_t now_us, uint32_t full);
/* HANDSHAKE and RESEND are done as soon as their first byte is out (a worker that dies of the line while it reads it was
 * tried with it); the rest follows before anything else goes to the worker, or not at all once it has ended. Others when
 * they are done. No event may come between gate_core_next() and this. */
void gate_core_done(struct gate_core *c, const struct gate_action *action, uint64_t now_us);
/* When gate_core_next() or gate_core_judge() may say something else although nothing happened: later than now_us if both
 * were asked at now_us. UINT64_MAX = never. */
uint64_t gate_core_deadline(const struct gate_core *c);

#endif
