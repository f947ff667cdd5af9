/* SPDX-License-Identifier: MIT */
/*
 * The supervisor's own state, shared by the files of src/app; nothing outside includes it.
 *
 *   kernel, clock, operator, processes
 *        |  sampling.c  wrap.c  control.c  launch.c
 *        v
 *   supervisor_post(event)  -> queue -> recorded (store) -> engine_step -> decisions
 *                                                                            |  recorded, announced (announce.c)
 *        ^                                                                   v
 *        +------------- outcome, spawned, cleaned, ... ------------ actuate.c, launch.c
 *
 * Everything runs on one thread, the event loop's. Handlers never call each other's effects: they post
 * events, and the queue is worked off in order before the loop sleeps again.
 */
#ifndef WEIR_APP_SUPERVISOR_PRIVATE_H
#define WEIR_APP_SUPERVISOR_PRIVATE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "weir/app/output.h"
#include "weir/app/probe.h"
#include "weir/base/units.h"
#include "weir/config/config.h"
#include "weir/engine/engine.h"
#include "weir/host/host.h"
#include "weir/store/store.h"

#define SUPERVISOR_QUEUE_MAX   4096 /* chosen: a turn posts a few events per unit; bounds a runaway */
#define SUPERVISOR_UNITS_SPARE 32   /* units a reload may add before weir must be restarted */
#define SUPERVISOR_RETIRED_MAX 16   /* reloads that removed running units, at the same time */
#define EXIT_RETRY_US          10000 /* PIDFD_GET_INFO tells once the parent has reaped: ask again this often */
#define EXIT_RETRY_MAX_US      800000 /* ... this long; below the engine's own bound of 1 s */

struct supervisor;

/* A kernel notification of a unit, wired into the loop. */
struct unit_watch {
    struct supervisor *s;
    uint16_t unit;
    struct host_watch watch;
    sd_event_source *source;
};

struct unit_runtime {
    struct supervisor *s;
    uint16_t index;
    char name[UNIT_NAME_MAX];
    struct config_unit *config; /* into one of s->configs */

    uint32_t reported_generation; /* its failed start was told */
    bool limits_pending;          /* a reload's limits were refused: they wait for the next start */
    struct host_unit *cgroup;     /* NULL: no cgroup now */
    bool is_second_name;          /* it has the second of the unit's two cgroup names (beside.c) */
    uint32_t generation;          /* of the processes in it */
    uint32_t missing;             /* host_feature bits asked for and not enforced (best_effort) */
    pid_t pid;                    /* main process, 0 = none */
    int pidfd;
    uint64_t start_ticks;
    enum event_how how;
    uint16_t via;
    bool ready;
    bool frozen; /* by an operator, until thawed; the next weir goes by it */
    bool empty_posted;
    uint64_t oom_base, pids_base; /* counters when this generation began */
    sd_event_source *exit_source;
    sd_event_source *exit_retry;
    uint64_t exited_us; /* when the pidfd told; 0 = lives */

    struct output *output;
    struct probe *probe;
    struct notify_socket *notify;
    char **environment;    /* of the running generation: borrowed by its exec probe */
    int pressure_fifo;     /* written to on NOTIFY; -1 = none */
    struct hook *hook;     /* its hook command while it runs; NULL = none does */
    char status_text[128]; /* STATUS= of the notify protocol */

    struct unit_watch watches[HOST_WATCHES_MAX];
    size_t watch_count;
    uint64_t next_fast_us; /* not before this, other than for a tick or an end */
    bool kernel_due;       /* a notification waits for it */

    /* with a gate (gates.c) */
    bool gated; /* this life's process is a gate's child, whatever the config says by now */
    struct host_unit
        *next_cgroup; /* of the process that is made ready beside this one (beside.c); NULL = none */
    pid_t next_pid;
    uint64_t prepare_id;        /* the PREPARE that waits for its outcome; 0 = none */
    struct decision gate_order; /* the last order that was sent */
    uint64_t gate_drain_id;     /* the DRAIN that waits for its outcome; 0 = none */
    uint64_t gate_lost_us;      /* no gate is connected since then; 0 = not so, or not looked yet */
    uint32_t gate_lost_told;    /* the generation that GATE_LOST was posted for */
    uint64_t notes_second;      /* of gates' notes */
    unsigned notes, notes_left_out;

    struct sample last;    /* newest reading */
    struct sample tick[2]; /* the two newest ticks: pressure over the interval */
    uint32_t tick_count;
    uint64_t ticks_total, ticks_missed, late_max_us;
};

/* A wrapped command waiting for its place (wrap.c). */
struct wrap_client;

struct supervisor {
    sd_event *event;
    struct host_info info;
    struct host *host;
    struct config *config;                          /* the newest */
    struct config *retired[SUPERVISOR_RETIRED_MAX]; /* older ones that removed units still refer to */
    char *config_path;
    struct policy policy;
    struct unit_policy *policy_units;
    const char **unit_names;
    struct unit_runtime *units;
    uint16_t unit_count, unit_capacity;
    struct engine *engine;
    struct decision *decisions;
    struct store *store;
    struct reclaimer *reclaimer; /* NULL: this host has no memory.reclaim */

    struct event *queue; /* ring of SUPERVISOR_QUEUE_MAX */
    size_t queue_head, queue_count;
    bool draining;
    uint64_t seq, last_us;

    int run_dirfd;
    int lock_fd;
    struct rlimit nofile; /* as weir was given it; its own is raised */
    sd_event_source *tick_source, *deadline_source;
    uint64_t tick_us; /* when the next tick is due */
    uint64_t started_us;
    uint64_t clock_offset_us; /* wall - monotonic, last told to the store */

    int wrap_fd;
    sd_event_source *wrap_source;
    struct wrap_client *wrap_clients;
    uint64_t wrap_ticket;

    int gate_fd;
    sd_event_source *gate_source;
    struct gate_link *gate_links;
    char *gate_program; /* path of weir-gate; NULL: no unit has a gate */

    int control_fd;
    sd_event_source *control_source;
    struct control_client *control_clients;
    unsigned control_client_count;

    bool echo;
    bool owns_run_dir;
    bool is_oom_protected; /* weir is: its units must not be */
    bool keep;             /* end without stopping the units */
    bool shutting_down, ready_told;
    bool adopting; /* the state file still names units that are not looked at yet */
    unsigned signals_seen;
    int exit_status;
};

/* --- supervisor.c --- */
uint64_t now_us(void);
uint64_t now_wall_us(void);
struct unit_runtime *supervisor_unit(struct supervisor *s, const char *name);
/* Puts the event into the queue (seq and t_us are filled in when it is taken out). */
void supervisor_post(struct supervisor *s, const struct event *e);
void supervisor_post_simple(struct supervisor *s, enum event_kind kind, uint16_t unit, uint32_t generation);
void supervisor_post_outcome(struct supervisor *s, const struct decision *d, enum event_result result,
                             int error);
/* Works the queue off. Called by every handler of the loop at its end. */
void supervisor_drain(struct supervisor *s);
/* Stops all units, then ends. The caller drains. */
void supervisor_shut_down(struct supervisor *s);
/* Ends without the units: what holds them back is lifted, the next weir adopts them. */
void supervisor_leave(struct supervisor *s);
/* A line in weir's log and in the record's time line. */
void supervisor_mark(struct supervisor *s, uint16_t unit, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* The policy now in force, for the record, before the event that makes the engine see it. */
void supervisor_record_policy(struct supervisor *s);

/* --- sampling.c --- */
int sampling_start(struct supervisor *s, struct err *reterr);
void sampling_read(struct unit_runtime *u, enum sample_cause cause, uint64_t late_us, uint32_t missed);
/* Wires the unit's kernel notifications into the loop / takes them out. */
void sampling_watch(struct unit_runtime *u);
void sampling_unwatch(struct unit_runtime *u);
void sampling_check_empty(struct unit_runtime *u);
/* After each drain: arms the loop for the engine's deadline and the fast readings. */
void sampling_rearm(struct supervisor *s);
/* Share of the newest tick interval, permyriad; -1 = not known. */
int64_t sampling_pressure(const struct unit_runtime *u, enum sample_field field);

/* --- launch.c --- */
void launch_start(struct unit_runtime *u, const struct decision *d);
void launch_adopt(struct unit_runtime *u, pid_t pid, int pidfd, uint64_t start_ticks, uint32_t generation,
                  uint16_t via, bool ready);
/* The unit's new main process, after its placement: watches it, starts its readiness check, posts SPAWNED. */
void launch_follow(struct unit_runtime *u, pid_t pid, int pidfd, enum event_how how);
int launch_make_cgroup(struct unit_runtime *u, struct err *reterr);
int launch_open_output(struct unit_runtime *u, struct err *reterr);
int launch_open_pressure(struct unit_runtime *u, struct err *reterr);
/* Its readiness check, or its gate, says that it is. The caller drains. */
void launch_become_ready(struct unit_runtime *u);
/* Its main process has ended: evidence, then EXITED. The caller drains. */
void launch_ended(struct unit_runtime *u);
/* After a reload put another config under a unit that is not ready yet. */
void launch_restart_probe(struct unit_runtime *u);
void launch_forget(struct unit_runtime *u); /* the generation is over: pidfd, probe, sockets */
/* Where the counters of its cgroup stand now: what comes is this generation's. */
void launch_read_base(struct unit_runtime *u);
void launch_limits(const struct supervisor *s, const struct unit_runtime *u, struct host_limits *ret);
char *run_path(const struct supervisor *s, const char *unit, const char *suffix);

/* --- environment.c --- */
/* NULL-terminated; owned by the caller (environment_free); NULL = out of memory. */
char **environment_build(const struct unit_runtime *u);
/* For a helper of the unit's: without what weir provides to the unit itself (the wrap folder, sockets), with the pairs. */
struct environment_pair {
    const char *name, *value;
};
char **environment_build_with(const struct unit_runtime *u, const struct environment_pair *pairs,
                              size_t count);
char **environment_free(char **entries); /* accepts NULL, returns NULL */

/* --- hook.c --- */
/* Starts the unit's hook command for a decision. -EBUSY: the last one still runs. */
int hook_run(struct unit_runtime *u, const struct decision *d, struct err *reterr);
/* Kills a running one, nothing is told. */
void hook_stop(struct unit_runtime *u);

/* --- actuate.c --- */
/* What actuation needs of threads. */
int actuate_open(struct supervisor *s, struct err *reterr);
void actuate(struct supervisor *s, const struct decision *d);
/* Tells what became of the guard, once each. */
void actuate_check_guard(struct supervisor *s);

/* --- announce.c --- */
void announce_decision(struct supervisor *s, const struct decision *d);
void announce_event(struct supervisor *s, const struct event *e);
void announce_status(struct supervisor *s); /* sd_notify READY=, STATUS= */

/* --- state.c --- */
void state_save(struct supervisor *s);
int state_adopt(struct supervisor *s, struct err *reterr);
/* The subtree recorded by an earlier run; NULL = none. Owned by the caller. */
char *state_base(const char *run_dir);
/* Does it, or may it, name units, adopted or not? */
bool state_is_needed(const char *run_dir);

/* --- wrap.c --- */
/* Nothing where no unit is wrapped. */
int wrap_open(struct supervisor *s, struct err *reterr);
/* Makes the folder of names as the config has them: also removes those that are no longer wrapped. */
int wrap_link(struct supervisor *s, struct err *reterr);
/* Removes the folder: no unit is left that could look into it. */
void wrap_unlink(struct supervisor *s);
void wrap_admit(struct unit_runtime *u, const struct decision *d);
void wrap_refuse(struct unit_runtime *u, const struct decision *d);
void wrap_close(struct supervisor *s);

/* --- control.c --- */
int control_open(struct supervisor *s, struct err *reterr);
void control_close(struct supervisor *s);
/* Peers that do not take their answers. Not from a peer's own callback. */
void control_drop_stuck(struct supervisor *s);
void control_signal(struct supervisor *s, const struct decision *d, const char *sentence);

/* --- reload.c --- */
/* Builds policy, runtime table and abilities from s->config. */
int reload_build(struct supervisor *s, struct err *reterr);
/* Reads the config file again. *ret_text (owned by the caller): what changed, or the problems; NULL: out of
 * memory. */
int reload_config(struct supervisor *s, char **ret_text);
/* Before the unit's cgroup is made: what a reload could not change then. */
void reload_pending_limits(struct unit_runtime *u);
int reload_set(struct supervisor *s, const char *unit, const char *assignment, uint32_t uid,
               struct err *reterr);

/* --- status.c --- */
char *status_json(struct supervisor *s); /* owned by the caller; NULL = out of memory */

#endif
