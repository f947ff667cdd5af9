/* SPDX-License-Identifier: MIT */
/*
 * The engine's state and what its parts share. Private to src/engine.
 *
 *   engine.c     one step: dispatch, timers, what units owe each other (order, dependency, the end)
 *   lifecycle.c  the table of states, the only place that changes a unit's state; emitting decisions
 *   start.c      START, ADMIT, readiness, failures, back-off, what follows an end
 *   stop.c       STOP/RESTART -> TERM -> KILL -> EMPTY -> CLEAN, and the cause of an end
 *   drain.c      before that, with a gate: wait for the answers in flight
 *   operator.c   what people ask
 *   ladder.c     samples: levels, growth, time to the limit, restart for memory
 *   throttle.c   holding back and letting go: throttle, freeze pulses
 *   steer.c      memory.high of a throttle, by progress and headroom
 *   reclaim.c    taking memory back, chunk after chunk
 *   hold.c       fewer requests, or none for now (gate)
 *   recycle.c    what restarting for memory costs, and when to give it up
 *   rules.c      what people wrote: rules at work; rule_eval.c their conditions, rule_book.c their memory
 *   pressure.c   whose pressure it is: the unit's own, or from outside
 *   window.c     the last seconds' readings
 *   jump.c       the largest jump of the last minute
 *   shape.c      what the whole life looks like: leak, burst, step ...
 *
 * Everything here runs inside one engine_step: a `struct turn` is that call. No part reads a clock,
 * allocates or keeps a pointer that outlives the turn (rule names are string literals, or the unit keeps them).
 */
#ifndef WEIR_ENGINE_STATE_H
#define WEIR_ENGINE_STATE_H

#include "weir/base/units.h"
#include "weir/engine/engine.h"

#include "jump.h"
#include "shape.h"
#include "window.h"

#define PENDING_MAX  4  /* chosen: a server that starts more at once while its unit is down is refused */
#define FAILURES_MAX 32 /* chosen: a larger failure_budget counts as this one */
#define RECYCLES_MAX 64 /* 10 min (recycle_window) over 10 s (recycle_min_life), rounded up */

/* Per unit at most: a conclusion with FAIL, four REFUSE, STATE; or RESTART, UNTHROTTLE, RELEASE, STATE, TERM after
 * timers. */
#define DECISIONS_PER_UNIT 16
/* The supervisor's own, the event's unit a second time, and at a sample its rules: a decision for each action, and
 * what they let go. */
#define DECISIONS_EXTRA (8 + RULES_MAX * RULE_ACTIONS_MAX + 4)

#define BASELINE_WAIT_US (2 * USEC_PER_SEC) /* chosen: two base intervals; what rises later is growth */

#define KILL_RETRY_US  (500 * USEC_PER_MSEC) /* measured: 512 MB are gone 45 ms after SIGKILL */
#define KILL_TRIES_MAX 10                    /* chosen: 5 s; what is left then hangs in the kernel */
#define EXIT_WAIT_US   USEC_PER_SEC          /* the status of a process may come after its cgroup is empty */
#define RECLAIM_WAIT_US                                                                                      \
    (10 * USEC_PER_SEC)                  /* chosen: as long as a throttle; a chunk takes some 10 ms per GB */
#define CLEAN_WAIT_US (5 * USEC_PER_SEC) /* chosen: rmdir is retried for some ms; never wait for ever */

enum unit_timer {
    TIMER_READY,    /* starting for too long */
    TIMER_STOP,     /* grace over, kill again, or an answer that does not come */
    TIMER_BACKOFF,  /* start again */
    TIMER_RESPAWN,  /* its server did not start it anew */
    TIMER_OOM_NOTE, /* the main process outlived a kernel OOM kill */
    TIMER_THROTTLE, /* the throttle's time bound */
    TIMER_PULSE,    /* freeze or thaw */
    TIMER_HOLD,     /* a pace's or hold's time bound */
    TIMER_RECLAIM,  /* no outcome of a chunk */
    TIMER_UNDO,     /* the end of a throttle that failed is tried again */
    TIMER_DRAIN,    /* requests in flight are not answered */
    TIMER_COUNT,
};

enum stop_phase {
    STOP_PHASE_NONE,
    STOP_PHASE_TERM,  /* SIGTERM is out, within the grace */
    STOP_PHASE_KILL,  /* cgroup.kill is out, until EMPTY */
    STOP_PHASE_EXIT,  /* EMPTY came before EXITED */
    STOP_PHASE_CLEAN, /* the cgroup is being removed */
    STOP_PHASE_STUCK, /* killed KILL_TRIES_MAX times and still there */
};

/* What follows an end. */
enum stop_then {
    THEN_JUDGE,   /* it ended by itself: the evidence says whether it failed */
    THEN_STOPPED, /* stays down */
    THEN_START,   /* planned or asked for: up again, no failure */
    THEN_FAILURE, /* weir ended it, and it counts as a failure */
};

/* The grounds of a decision. */
struct why {
    const char *rule; /* string literal, or kept by the unit */
    enum decision_reason reason;
    enum decision_metric metric;
    uint64_t observed;
    uint64_t threshold;
    uint64_t held_us;
};

struct unit_stop {
    enum stop_phase phase;
    enum stop_then then;
    struct why why; /* weir's reason, or the evidence's */
    enum decision_reason kill_reason;
    uint32_t kills;
    bool exited;
    bool clean;  /* ended by itself with nothing to complain about */
    bool memory; /* stopped for memory: samples may still cut the grace short */
};

/* A condition that must hold: since when, on how many samples in a row. */
struct hold {
    uint64_t since_us;
    uint32_t count; /* 0 = it does not hold */
};

#define NOT_HELD UINT64_MAX

struct stop_order {
    enum decision_kind kind; /* DECISION_STOP or DECISION_RESTART */
    enum stop_then then;
    struct why why;
    bool planned;          /* amount[0] of a RESTART */
    uint64_t held_back_us; /* amount[1] of a RESTART */
    bool kill_now;         /* no grace */
    bool memory;
};

/* A stop that waits for answers in flight. */
struct unit_drain {
    struct stop_order order;
    uint64_t since_us; /* of what is asked for now */
    bool preparing;    /* the next process is being started; requests go on */
    uint64_t id;       /* the PREPARE, then the DRAIN decision; 0 = nobody was asked */
};

struct memory_view {
    bool valid;    /* a sample of this life had memory.current and there is a limit */
    uint64_t used; /* memory.current less the page cache that the kernel can drop */
    uint64_t current;
    uint64_t limit;
    uint64_t growth; /* bytes per second */
    uint64_t eta_us;
    uint64_t jump;               /* the largest one that is remembered; 0 = none */
    uint64_t eta_alone_us;       /* by the newest reading alone: a reason to look again soon */
    enum decision_metric metric; /* what `used` is called */
    bool cache_known;
    uint64_t cache, cache_us; /* page cache that the kernel can drop, when it was read */
};

/* Who began what lasts: only they may end it before its time. */
struct owner {
    bool is_rule; /* not the ladder */
    char name[DECISION_RULE_MAX];
};

/* Readings at the last look at a throttle's memory.high; UINT64_MAX = not read. */
struct unit_steer {
    uint64_t id; /* the last STEER */
    uint64_t look_us;
    uint64_t current, cpu_us, scanned, stolen, climbs;
    bool parked;                     /* it was at its high */
    uint64_t stall_us, stall_climbs; /* nothing done since, memory.events.high then; USEC_INFINITY = not so */
};

struct unit_throttle {
    bool on;
    struct owner owner;
    bool observe;      /* only as if */
    bool frozen;       /* by a pulse */
    uint64_t id;       /* the THROTTLE decision */
    uint64_t pulse_id; /* the last PULSE_* decision */
    uint64_t end_id;   /* the last UNTHROTTLE ... */
    enum decision_reason end_reason;
    uint32_t undos;              /* ... how often it was done again because it failed */
    bool reached_level;          /* memory was at the throttle level since it began */
    enum decision_reason reason; /* it began for */
    uint64_t since_us;
    uint64_t bound_us; /* how long it may last */
    uint64_t start_used;
    uint64_t high; /* the memory.high it set; 0 = none */
    struct unit_steer steer;
    struct hold still; /* not growing, of its own accord */
    uint64_t cooldown_until_us, level_cooldown_until_us;
    uint64_t ended_us;
    uint64_t rearm_used; /* released on a plateau: not again below this; 0 = none */
};

/* What is done at the gate. */
struct unit_hold {
    bool on;
    bool observe;
    enum decision_kind kind; /* DECISION_PACE or DECISION_HOLD */
    struct owner owner;
    uint64_t id;     /* that decision */
    uint64_t end_id; /* the last RELEASE */
    uint64_t since_us, bound_us;
    uint64_t kind_us; /* the pace, or the hold after it, began */
    uint64_t cooldown_until_us;
    struct hold idle;   /* held with nothing in flight, and memory does not fall ... */
    uint64_t idle_used; /* ... below this */
};

/* Taking memory back: a series of chunks. */
struct unit_reclaim {
    bool on;
    bool observe;
    bool told; /* that it yields too little; again after it was of use, or memory fell below release */
    struct owner owner;
    uint64_t id; /* the chunk that is under way; 0 = none */
    uint64_t asked_bytes;
    uint64_t left_bytes; /* of a rule's series, without the chunk under way */
    uint64_t chunks;
    uint64_t first_id;
    uint64_t pause_until_us;
    uint64_t budget_bytes,
        budget_until_us; /* what the ladder may still ask for, until it is filled up again */
};

/* What the host said it cannot do; USEC_INFINITY = until the policy changes. */
struct unit_cannot {
    uint64_t throttle_until_us, pulse_until_us, notify_until_us, hold_until_us, reclaim_until_us;
};

struct recycle_span {
    uint64_t from_us, to_us;
};

struct unit_recycle {
    struct recycle_span spans[RECYCLES_MAX];
    uint32_t next, count;
    uint64_t open_us; /* RESTART for memory decided, not READY yet; USEC_INFINITY = none */
    bool off_cost, off_baseline;
    bool baseline_seen;      /* the first sample after ready was judged */
    bool would_have_by_rule; /* the same by a rule; until that is over */
    bool would_have;         /* mode observe: decided, not done; again only after a release */
};

struct ticket {
    uint64_t ticket;
    uint16_t via;
};

struct engine_unit {
    uint16_t index;
    enum unit_state state;
    uint64_t state_since_us;
    uint32_t generation;
    int32_t pid;
    uint64_t started_us;
    uint64_t ready_from_us;    /* its time to get ready counts from here */
    uint64_t ready_us;         /* USEC_INFINITY = not ready in this life */
    uint64_t cause_id;         /* the intervention being carried out */
    uint64_t due[TIMER_COUNT]; /* USEC_INFINITY = not armed */

    bool want_start; /* waits for its `after` units */
    bool ever_ready;
    bool held_down;    /* stopped by an operator, or ... */
    bool held_by_rule; /* ... by a rule */
    bool switched_off; /* stopped because its policy disabled it */
    bool known;        /* was there at RUN, or added since */
    bool needed;       /* at the end: a running service stops before it */
    bool frozen;       /* by an operator */
    struct unit_stop stop;
    struct unit_drain drain;
    char stop_rule
        [DECISION_RULE_MAX]; /* the rule that last stopped it: the stop's why may outlive the policy */

    uint16_t via; /* the unit that started it */
    uint32_t via_generation;
    bool respawn_due;
    struct ticket pending[PENDING_MAX];
    uint32_t pending_count;

    uint64_t failures[FAILURES_MAX]; /* times, a ring */
    uint32_t failure_next, failure_count;
    uint64_t failure_window_us; /* as of the last failure, for unit_view */
    uint32_t attempts;          /* failures in a row */
    uint32_t failure_restarts, recycles, operator_restarts;

    struct memory_view memory;
    struct hold critical_hold, level_hold, restart_eta_hold, throttle_level_hold, throttle_eta_hold;
    uint64_t notified_us; /* USEC_INFINITY = not yet */
    uint64_t notify_id, freeze_id;
    uint64_t outside_noted_us; /* USEC_INFINITY = not yet */
    uint32_t rejected;         /* this sample: why no stronger step was taken */
    uint32_t owed;             /* to be told with the next ladder decision, once */
    uint32_t told;             /* owed before; 1 << DECISION_NOTIFY, 1 << DECISION_THROTTLE */
    struct unit_throttle throttle;
    struct unit_hold hold;
    struct unit_reclaim reclaim;
    struct unit_cannot cannot;
    struct unit_recycle recycle;

    uint64_t counters_sum;        /* of what a kernel notification may have changed */
    uint64_t oom_kills, pids_max; /* last readings; UINT64_MAX = none in this life */
    uint64_t oom_new, oom_noted;  /* kills not told yet, and told, in this life */
    uint64_t oom_last_us;         /* USEC_INFINITY = none */
    uint64_t pids_new, pids_noted_us;
    uint64_t fast_until_us;
    bool notifying; /* at or above the notify level */
    struct window window;
    struct jumps jumps;
    struct trend trend;
    bool settled;          /* BASELINE_WAIT_US have passed since it was ready */
    uint64_t answers_base; /* gate.answers at the first reading of this life; UINT64_MAX = none */
    bool has_answered;     /* since then */
};

struct rule_book;

struct engine {
    size_t capacity;
    struct rule_book *rules; /* NULL before engine_prepare */
    uint64_t now_us;
    uint64_t next_id;
    uint64_t next_due_us;        /* not later than the earliest armed timer */
    uint64_t first_start_us;     /* USEC_INFINITY = nothing started yet */
    bool running;                /* RUN came */
    bool over;                   /* EXIT was decided */
    enum decision_reason ending; /* REASON_NONE, REASON_SHUTDOWN, REASON_ALL_ENDED */
    struct engine_unit units[];
};

/* One engine_step. */
struct turn {
    struct engine *e;
    const struct policy *policy;
    const struct event *event;
    struct decision *out;
    size_t count, capacity;
    bool moved; /* some unit changed state: others may have to follow */
};

/* lifecycle.c */
extern const char lifecycle_rule[], supervisor_rule[], operator_rule[];
bool lifecycle_may_move(enum unit_state from, enum unit_state to);
bool unit_is_running(const struct engine_unit *u); /* starting, ready, draining, adopted */
bool unit_is_down(const struct engine_unit *u);    /* stopped, failed, or beyond weir's reach */
void unit_move(struct turn *t, struct engine_unit *u, enum unit_state to, const struct why *why);
void unit_arm(struct engine_unit *u, enum unit_timer timer, uint64_t at_us);
uint64_t unit_due(const struct engine_unit *u);
uint64_t engine_later(uint64_t t_us, uint64_t delay_us); /* saturating */
struct decision *engine_emit(struct turn *t, const struct engine_unit *u, enum decision_kind kind,
                             const struct why *why);
struct why why_of(const char *rule, enum decision_reason reason);
void why_measure(struct why *why, enum decision_metric metric, uint64_t observed, uint64_t threshold);
const struct unit_policy *unit_policy(const struct turn *t, const struct engine_unit *u);

/* start.c */
void unit_reset(struct engine_unit *u);
void unit_start(struct turn *t, struct engine_unit *u, const struct why *why);
void unit_spawned(struct turn *t, struct engine_unit *u);
void unit_ready(struct turn *t, struct engine_unit *u);
void unit_ready_timeout(struct turn *t, struct engine_unit *u);
void unit_arrived(struct turn *t, struct engine_unit *u);
void unit_refuse_pending(struct turn *t, struct engine_unit *u, const struct why *why);
void unit_backoff_over(struct turn *t, struct engine_unit *u, const struct why *why);
void unit_forgive(struct engine_unit *u); /* failures and budget */
void unit_await_server(struct turn *t, struct engine_unit *u);
void unit_conclude(struct turn *t, struct engine_unit *u);
uint32_t unit_failures_in_window(const struct engine_unit *u, uint64_t now_us, uint64_t window_us);

/* stop.c */
void unit_stop(struct turn *t, struct engine_unit *u, const struct stop_order *order);
void unit_kill(struct turn *t, struct engine_unit *u, enum decision_reason reason);
void unit_signal_again(struct turn *t, struct engine_unit *u); /* the pid came late */
void unit_exited(struct turn *t, struct engine_unit *u);
void unit_empty(struct turn *t, struct engine_unit *u);
void unit_spawn_failed(struct turn *t, struct engine_unit *u);
void unit_cleaned(struct turn *t, struct engine_unit *u);
void unit_stop_timer(struct turn *t, struct engine_unit *u);

/* Leaves the running states and begins the end. *moved: why just now. */
void unit_end(struct turn *t, struct engine_unit *u, const struct stop_order *order, const struct why *moved);

/* drain.c */
bool drain_begin(struct turn *t, struct engine_unit *u,
                 const struct stop_order *order); /* false: end it now */
void drain_time_bound(struct turn *t, struct engine_unit *u);
bool drain_outcome(struct turn *t, struct engine_unit *u); /* whether it was about a drain */
void drain_judge(struct turn *t, struct engine_unit *u, bool critical);
bool drain_is_last(const struct engine_unit *u); /* draining, to stay down after it */
void unit_gate_lost(struct turn *t, struct engine_unit *u);

/* operator.c */
void unit_operator(struct turn *t, struct engine_unit *u);

/* ladder.c */
void ladder_reset(struct engine_unit *u);
void ladder_sample(struct turn *t, struct engine_unit *u);
void ladder_oom_note(struct turn *t, struct engine_unit *u);
uint64_t ladder_level(uint64_t limit, uint32_t permyriad);
bool ladder_reached(const struct memory_view *m, uint32_t permyriad); /* 0 = never */
uint32_t ladder_floor(const struct ladder_policy *l);
void ladder_let_go(struct turn *t, struct engine_unit *u, const struct why *why);
void ladder_note_errno(struct turn *t, struct engine_unit *u, const char *rule);
uint64_t ladder_cannot_until(const struct turn *t); /* after an OUTCOME that failed */
struct owner owner_of(const struct why *why);
bool owner_is(const struct owner *owner, const char *rule);
uint64_t ladder_hold(struct hold *h, bool condition, uint64_t now_us);
bool ladder_hold_lasts(const struct hold *h, uint64_t now_us, uint64_t least_us);
bool ladder_hold_confirmed(struct hold *h, bool condition, uint64_t now_us, uint64_t *ret_held_us);
struct decision *ladder_emit(struct turn *t, struct engine_unit *u, enum decision_kind kind,
                             const struct why *why);
void ladder_tell_shape(const struct turn *t, const struct engine_unit *u, struct decision *d);
void ladder_restart(struct turn *t, struct engine_unit *u, const struct why *why, bool kill_now);
bool ladder_is_planned(const struct turn *t, const struct engine_unit *u); /* a restart now is no failure */
uint64_t ladder_memory_limit(const struct unit_policy *p, const struct sample *s); /* UINT64_MAX = none */
/* What hinders it, as a mask of 1 << enum decision_rejection; 0 = told. */
uint32_t ladder_notify_rejects(const struct turn *t, const struct engine_unit *u);
uint32_t ladder_notify(struct turn *t, struct engine_unit *u, const struct why *why);

/* steer.c */
uint64_t steer_high(const struct turn *t, const struct engine_unit *u);
void steer_begin(const struct turn *t, struct engine_unit *u);
void steer_judge(struct turn *t, struct engine_unit *u);

/* throttle.c */
extern const char throttle_rule[];
void throttle_judge(struct turn *t, struct engine_unit *u);
void throttle_time_bound(struct turn *t, struct engine_unit *u);
void throttle_pulse(struct turn *t, struct engine_unit *u);
void throttle_undo(struct turn *t, struct engine_unit *u);
void throttle_end(struct turn *t, struct engine_unit *u, const struct why *why);
void throttle_policy(struct turn *t, struct engine_unit *u);
bool throttle_may_restart(const struct turn *t, const struct engine_unit *u);
void throttle_end_in_vain(struct turn *t, struct engine_unit *u, const struct why *why); /* it did not help */
void ladder_outcome(struct turn *t, struct engine_unit *u);

/*
 * For rules, whose name is why->rule. What cannot begin now returns why as a mask of 1 << enum decision_rejection and
 * decides nothing; 0 = begun. `observe`: only as if. _end_of ends what this rule began, if it still lasts.
 */
/* What each is given up for, as a mask of rejections; 0 = it may begin. */
uint32_t throttle_rejects(const struct turn *t, const struct engine_unit *u);
/* What a throttle that begins now is made of: cpu share and memory.high, 0 = not. */
void throttle_means(const struct turn *t, const struct engine_unit *u, uint64_t ret_amount[2]);
uint32_t throttle_begin_rule(struct turn *t, struct engine_unit *u, const struct why *why, bool observe);
void throttle_end_of(struct turn *t, struct engine_unit *u, const struct why *why);

/* hold.c */
struct hold_order {
    enum decision_kind kind; /* DECISION_PACE or DECISION_HOLD */
    uint64_t inflight;       /* PACE: at most so many in flight, 0 = no bound ... */
    uint64_t interval_us;    /* ... and this long between two, 0 = no bound */
    bool observe;
};
void hold_judge(struct turn *t, struct engine_unit *u); /* it may have begun a restart */
/* By an operator, of a unit that is ready, in place of what lasts. Returns why not, as a mask; 0 = begun. */
uint32_t hold_begin_operator(struct turn *t, struct engine_unit *u, const struct why *why,
                             const struct hold_order *order);
void hold_time_bound(struct turn *t, struct engine_unit *u);
void hold_end(struct turn *t, struct engine_unit *u, const struct why *why);
void hold_policy(struct turn *t, struct engine_unit *u);
bool hold_outcome(struct turn *t, struct engine_unit *u); /* whether it was about a hold */
uint32_t hold_rejects(const struct turn *t, const struct engine_unit *u, const struct why *why,
                      enum decision_kind kind);
uint32_t hold_begin_rule(struct turn *t, struct engine_unit *u, const struct why *why,
                         const struct hold_order *order);
void hold_end_of(struct turn *t, struct engine_unit *u, const struct why *why);

/* reclaim.c; bytes 0 = one chunk of the ladder's */
void reclaim_judge(struct turn *t, struct engine_unit *u);
void reclaim_overdue(struct turn *t, struct engine_unit *u);
void reclaim_end(struct engine_unit *u); /* no further chunk; one that is under way is let finish */
void reclaim_forget(struct engine_unit *u);
void reclaim_policy(struct turn *t, struct engine_unit *u);
bool reclaim_outcome(struct turn *t, struct engine_unit *u); /* whether it was about a chunk */
uint32_t reclaim_rejects(const struct turn *t, const struct engine_unit *u);
uint32_t reclaim_begin_rule(struct turn *t, struct engine_unit *u, const struct why *why, bool observe,
                            uint64_t bytes);
void reclaim_end_of(struct engine_unit *u, const char *rule);

/* pressure.c */
enum pressure { PRESSURE_NONE, PRESSURE_OWN, PRESSURE_OUTSIDE };
/* Sets *why unless there is none. */
enum pressure pressure_of(const struct turn *t, const struct engine_unit *u, struct why *why);
void pressure_note(struct turn *t,
                   struct engine_unit *u); /* tells that it comes from outside, once in a while */

/* recycle.c */
bool recycle_is_off(const struct engine_unit *u);
bool recycle_would_have(const struct engine_unit *u);   /* mode observe: what follows tells nothing */
uint32_t recycle_rejected(const struct engine_unit *u); /* why, as a mask of 1 << enum decision_rejection */
void recycle_reset(struct engine_unit *u);
void recycle_allow(struct engine_unit *u); /* an operator or a new policy */
void recycle_began(struct turn *t, struct engine_unit *u);
void recycle_ready(struct turn *t, struct engine_unit *u);
void recycle_sample(struct turn *t, struct engine_unit *u);

/* rules.c */
bool rules_sample(struct turn *t,
                  struct engine_unit *u); /* whether nothing more is to be done at this sample */
void rules_policy(struct turn *t, struct engine_unit *u);
/* unit_view.rules_active */
uint64_t rules_active(const struct engine *e, uint16_t unit);

#endif
