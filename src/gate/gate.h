/* SPDX-License-Identifier: MIT */
/*
 * The process on the pipe between a server and its worker. struct gate is all of it; each of these files does one part:
 *
 *   gate.c      the loop: events in, a turn of each part, sleep until the next bound
 *   requests.c  the server's lines; takeback.c: of a worker that ended, what it never read
 *   answers.c   the worker's lines
 *   action.c    what the core says is to be done
 *   life.c      a worker from GO to its end; beside.c: the next one, made ready beside it
 *   told.c      what the supervisor says; tell.c: what it is told
 *
 * The core (core.h) decides, everything here carries out. Time is read once a turn, into now_us.
 */
#ifndef WEIR_GATE_GATE_H
#define WEIR_GATE_GATE_H

#include "answer.h"
#include "asked.h"
#include "child.h"
#include "copies.h"
#include "core.h"
#include "figures.h"
#include "ledger.h"
#include "link.h"
#include "signals.h"
#include "stream.h"
#include "weir/base/err.h"

/* What epoll says an event is about. */
enum gate_tag {
    TAG_SERVER_IN,
    TAG_SERVER_OUT,
    TAG_WORKER_IN,
    TAG_WORKER_OUT,
    TAG_EXEC,
    TAG_BESIDE_IN,
    TAG_BESIDE_OUT,
    TAG_BESIDE_EXEC,
    TAG_SIGNAL,
    TAG_LINK,
};

/* A request of the server's handshake that a worker answered without an error: the newest of its method. */
struct handshake {
    struct copy copy; /* NONE: there is none yet */
    struct scan_id id;
};

struct requests {
    struct stream stream;
    struct copy copy; /* of the line that is on its way in parts */
    bool copy_off;    /* not to be kept, or could not be */
    bool cut;         /* the line's worker ended in the middle of it: it is read on, for the copy */
    bool unread;      /* cut, and the worker had read none of it: it may be sent again, once */
    bool rejecting;   /* the line is swallowed, and answered with an error at its end */
    enum gate_failure failure;
    uint64_t long_offset; /* where it begins in what was written to the worker */
    uint64_t long_memory; /* memory.current then; 0 = not known, or others were in flight */
    uint64_t counted;     /* lines that are in the figures: one that was recalled is not counted again */
    bool waits;           /* the line in front must wait */
    bool closed_told;
    uint64_t hungup_us; /* since when the worker's stdin is closed, while it lives; 0 = it is not */
};

struct answers {
    struct stream stream;
    bool dead; /* nothing more reaches the server: it reads no more, or its end of file was passed on */
    uint64_t ended_us; /* since when the worker's output is closed, while it lives; 0 = it is not */
    bool unended;      /* the last line of a worker that ended is delivered, and lacked its newline */
};

/* The end of a worker, from its exit until the core is told. */
struct ending {
    bool active;
    pid_t pid;
    int status; /* as of waitpid(2) */
    uint64_t since_us;
    uint64_t read_until; /* bytes of its output, with those that were in the pipe when it ended */
    uint64_t told_us;    /* 0 = the supervisor does not know yet */
    bool waited;         /* it never ran: it ended while it waited for its place */
};

/* The next worker while it is made ready. */
struct beside {
    struct child child; /* pid 0: there is none */
    bool changed;       /* it may have ended */
    struct end none;    /* the side of its streams that nobody uses */
    struct stream requests, answers;
    uint32_t at; /* the place of the handshake line that is next, or out */
    bool sent;   /* it is out; with this id: */
    struct scan_id out;
    bool is_ready;
    bool ask_due, ready_due, ended_due; /* to be told */
    pid_t ended_pid;
    int ended_status;
};

#define TELL_NOTES_MAX                                                                                       \
    64U /* chosen: notes that wait for the link; older ones give way, their counts do not */

struct tell_note {
    enum gate_note note;
    uint64_t amount, bytes;
    uint32_t generation;
    char method[GATE_NAME_MAX], id[sizeof(((struct gate_says_message *)0)->id)];
};

struct tell {
    bool hello_due, ask_due, ended_due, state_due;
    struct gate_says_message ended;
    struct tell_note notes[TELL_NOTES_MAX];
    uint32_t note_first, note_count;
    uint64_t totals[GATE_NOTE_COUNT];
    uint64_t pending[GATE_NOTE_COUNT]; /* of those that are told together, once a second */
    uint64_t state_us, second_us;      /* when STATE was sent; when the once-a-second ones were */
    uint64_t resident_bytes;
};

struct gate {
    const char *unit;
    struct child_origin origin;
    int epoll_fd, signal_fd;
    uint64_t now_us;
    uint64_t wake_us; /* the earliest bound that a part has named this turn */
    bool moved;       /* something was done this turn: look again before sleeping */

    struct end server_in, server_out;
    struct gate_core core;
    struct ledger ledger;
    struct asked asked;
    struct figures figures;
    struct copies copies;
    struct handshake handshake[GATE_LIST_MAX];
    int handshake_out; /* the place of the one that awaits its answer; -1 = none does */
    struct gate_settings settings;
    bool welcomed;
    struct gate_settings new_settings; /* during a handshake: taken over after it */
    bool has_new_settings;

    struct beside beside;
    struct child child;
    bool is_prepared;   /* the child that is asked for runs already: it was made ready beside the last one */
    bool child_changed; /* it may have ended */
    struct ending ending;
    struct requests requests;
    struct answers answers;
    int alone_slot; /* the only one in flight since it was sent; -1 = none is */

    struct link link;
    struct tell tell;
    uint64_t order_id; /* of the last one obeyed */
    uint64_t drain_id; /* of the last drain */

    uint32_t generation;        /* of the last worker that ran, as the supervisor counts */
    uint32_t lives;             /* workers that ran: the core's generation, whoever supervises */
    bool end_asked;             /* by the server's signal */
    uint32_t ending_generation; /* weir ends this worker; 0 = none */
    uint32_t fork_failed;
    char cause[GATE_TEXT_MAX];   /* of the last end */
    uint32_t cause_generation;   /* it is the supervisor's word, on this one's; 0 = it is not */
    char refusal[GATE_TEXT_MAX]; /* why there is no worker */
    int status;                  /* what to end with, as of waitpid(2) */
    int last_status;             /* of the last worker */
    bool is_over;                /* EXIT was said */
    uint64_t over_us;
};

/* A bound that the loop must not sleep past. What is past already was looked at, and waits for something else. */
static inline void gate_wake_at(struct gate *g, uint64_t when_us)
{
    if (when_us > g->now_us && when_us < g->wake_us)
        g->wake_us = when_us;
}
static inline bool gate_is_jsonl(const struct gate *g)
{
    return g->settings.format == GATE_FORMAT_JSONL;
}

/* gate.c: returns what to end with, as of waitpid(2), or a negative errno. */
struct gate_arguments {
    const char *unit, *run_dir;
    char **argv;
};
int gate_run(const struct gate_arguments *arguments, struct err *reterr);

/* requests.c */
int requests_init(struct gate *g);
void requests_turn(struct gate *g);
/* Lines that were let through and of which no byte is written are in front again. */
void requests_recall(struct gate *g);
/* The worker has ended: takes back what it has not read, and closes its stdin. After that gate_core_ended(). */
void requests_worker_ended(struct gate *g);
/* The place in the list of the handshake's methods, of those to be sent again; -1 = not there. */
int requests_handshake_at(const struct gate *g, const char *method);

/* takeback.c: reads back what is left in the worker's stdin; requests in it count as never read, copies of them are made.
 * After requests_recall(): of what was passed only the rest of a line that is being written is in the buffer. */
void takeback(struct gate *g);

/* answers.c */
int answers_init(struct gate *g);
void answers_turn(struct gate *g);
static inline bool answers_take_insertion(const struct gate *g)
{
    return g->answers.dead || stream_may_insert(&g->answers.stream);
}
/* Takes over text, which may be NULL. Only when answers_take_insertion(). */
void answers_insert(struct gate *g, char *text, size_t size);
/* All that the worker wrote is read: what is left is no whole line. Before gate_core_ended(). */
void answers_worker_ended(struct gate *g);
/* After it: what becomes of that rest. */
void answers_settle(struct gate *g);
/* The slot is done with: its copy, ids. */
void answers_forget_slot(struct gate *g, int slot);

/* action.c */
void action_turn(struct gate *g);

/* life.c */
void life_signal(struct gate *g, const struct signal_told *told);
void life_exec_result(struct gate *g);
void life_go(struct gate *g, uint32_t generation, const char *setting, int memory_fd);
void life_refuse(struct gate *g, const char *text);
/* Fork; it is asked for by tell.c. */
void life_ask(struct gate *g);
void life_turn(struct gate *g);
bool life_is_running(const struct gate *g);

/* beside.c */
void beside_init(struct gate *g);
/* Nothing where there is one already. */
void beside_prepare(struct gate *g);
void beside_go(struct gate *g, uint32_t generation, const char *setting, int memory_fd);
/* Ends it. Nothing where there is none. */
void beside_discard(struct gate *g);
void beside_turn(struct gate *g);
/* It runs, and is not ready yet. */
bool beside_is_coming(const struct gate *g);
/* It exists, and is not ready: the list of the handshake must not change under it. */
bool beside_shakes_hands(const struct gate *g);
/* This copy is about to be dropped: if half of it was written to that worker, it is of no use. */
void beside_copy_goes(struct gate *g, const struct copy *copy);
/* It becomes g->child, its handshake done. False: there is none that is ready. */
bool beside_take_over(struct gate *g);

/* told.c */
void told_turn(struct gate *g);
void told_link_lost(struct gate *g);
void told_apply_settings(struct gate *g);

/* tell.c */
void tell_init(struct gate *g);
void tell_turn(struct gate *g);
/* The figures as they stand at the gate's own end. */
void tell_last(struct gate *g);
void tell_connected(struct gate *g);
/* True: the link takes no message now (never while there is no supervisor: then there is nobody to wait for). */
bool tell_is_full(const struct gate *g);
void tell_ended(struct gate *g, pid_t pid, int status);
void tell_ready(struct gate *g);
void tell_drained(struct gate *g);
/* For the record. method, id may be NULL. */
void tell_note(struct gate *g, enum gate_note note, uint64_t amount, const char *method,
               const struct scan_id *id);
/* Of a request, with the bytes of its line; 0 = not known. */
void tell_request(struct gate *g, enum gate_note note, const char *method, const struct scan_id *id,
                  uint64_t bytes);
static inline void tell_changed(struct gate *g)
{
    g->tell.state_due = true;
}

#endif
