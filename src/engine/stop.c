/* SPDX-License-Identifier: MIT */
/*
 * How a life ends: by weir (STOP or RESTART, then these steps), or by itself.
 *
 *   phase   entered by                        EXITED         EMPTY            timer
 *   ------  --------------------------------  -------------  ---------------  -------------------------------
 *   TERM    STOP, RESTART (SIGTERM is out)    KILL the rest  EXIT             stop_timeout: KILL
 *   KILL    grace over, critical, EXITED      noted          CLEAN, or EXIT   500 ms: KILL again, 10 times
 *   EXIT    EMPTY before EXITED               CLEAN          -                1 s: exit unknown, CLEAN
 *   CLEAN   both seen (or spawn failed)       -              -                5 s: go on without CLEANED
 *   STUCK   killed 10 times, still there      noted          CLEAN, or EXIT   none: a NOTE told a person
 *
 * After EXITED the tree is killed without asking whether anything is left: on an empty cgroup that does
 * nothing, and no process of an earlier life can meet the next one. A further stop while stopping only
 * changes what follows.
 *
 * The cause of an end, from evidence in this order: weir's own stop under way; the server that started it is
 * going (wrapped units); a kernel OOM kill; a signal; pids limit and a non-zero exit; the exit code; unknown.
 * An OOM kill that the main process outlived for OOM_RECENT_US is no cause any more. One that overtakes weir's own
 * stop for memory is the cause of the end all the same.
 */
#include "state.h"

#include <errno.h>
#include <signal.h>

#define OOM_RECENT_US (10 * USEC_PER_SEC) /* chosen: a parent may wait that long for its killed child */

static void term(struct turn *t, struct engine_unit *u)
{
    u->stop.phase = STOP_PHASE_TERM;
    engine_emit(t, u, DECISION_TERM, &u->stop.why);
    unit_arm(u, TIMER_STOP, engine_later(t->event->t_us, unit_policy(t, u)->stop_timeout_us));
}

static void kill_once(struct turn *t, struct engine_unit *u)
{
    struct why why = u->stop.why;
    if (u->stop.kill_reason != why.reason)
        why = why_of(lifecycle_rule, u->stop.kill_reason);
    if (u->stop.kill_reason == REASON_STOP_TIMEOUT)
        why_measure(&why, METRIC_ELAPSED, t->event->t_us - u->state_since_us,
                    unit_policy(t, u)->stop_timeout_us);
    engine_emit(t, u, DECISION_KILL, &why);
    u->stop.kills++;
    unit_arm(u, TIMER_STOP, engine_later(t->event->t_us, KILL_RETRY_US));
}

void unit_kill(struct turn *t, struct engine_unit *u, enum decision_reason reason)
{
    u->stop.phase = STOP_PHASE_KILL;
    u->stop.kill_reason = reason;
    u->stop.kills = 0;
    kill_once(t, u);
}

void unit_signal_again(struct turn *t, struct engine_unit *u)
{
    if (u->stop.phase == STOP_PHASE_TERM)
        engine_emit(t, u, DECISION_TERM, &u->stop.why);
    else if (u->stop.phase == STOP_PHASE_KILL)
        unit_kill(t, u, u->stop.kill_reason);
}

/* Leaves the running states: nothing that weir did to the unit outlives this. */
static void leave(struct turn *t, struct engine_unit *u, const struct unit_stop *stop,
                  const struct why *moved)
{
    ladder_let_go(t, u, &stop->why);
    reclaim_forget(u);
    u->frozen = false;
    u->stop = *stop;
    unit_move(t, u, UNIT_STATE_STOPPING, moved);
}

void unit_end(struct turn *t, struct engine_unit *u, const struct stop_order *order, const struct why *moved)
{
    struct unit_stop stop = {
        .phase = STOP_PHASE_TERM, .then = order->then, .why = order->why, .memory = order->memory};
    leave(t, u, &stop, moved);
    if (order->kill_now)
        unit_kill(t, u, moved->reason);
    else
        term(t, u);
}

void unit_stop(struct turn *t, struct engine_unit *u, const struct stop_order *order)
{
    struct decision *d = engine_emit(t, u, order->kind, &order->why);
    d->amount[0] = order->planned;
    d->amount[1] = order->held_back_us;
    ladder_tell_shape(t, u, d);
    u->cause_id = d->id;

    if (u->state == UNIT_STATE_STOPPING) {
        u->stop.then = order->then;
        u->stop.why = order->why;
        if (u->stop.phase == STOP_PHASE_STUCK)
            unit_kill(t, u, order->why.reason);
        return;
    }
    if (!drain_begin(t, u, order))
        unit_end(t, u, order, &order->why);
}

static bool server_is_going(const struct turn *t, const struct engine_unit *u)
{
    if (unit_policy(t, u)->kind != UNIT_KIND_WRAPPED || u->via >= t->policy->unit_count)
        return false;
    const struct engine_unit *server = &t->e->units[u->via];
    return server->generation != u->via_generation || !unit_is_running(server);
}

static bool was_oom_killed(const struct turn *t, const struct engine_unit *u, const struct event_exit *exit)
{
    if (exit->oom_kills == 0 || (exit->status_known && exit->signal == 0 && exit->code == 0))
        return false;
    return exit->oom_kills > u->oom_noted ||
           (u->oom_last_us != USEC_INFINITY && t->event->t_us - u->oom_last_us < OOM_RECENT_US);
}

/* A server ends its worker with these; from anyone else they are a request to end, too. */
static bool is_polite_signal(int32_t signal)
{
    return signal == SIGTERM || signal == SIGINT || signal == SIGHUP;
}

/* Fills in what a unit that ended by itself ended of. */
static void judge(const struct turn *t, const struct engine_unit *u, struct unit_stop *stop)
{
    const struct event_exit *exit = &t->event->exit;
    struct why why = why_of(lifecycle_rule, REASON_EXIT_UNKNOWN);

    if (was_oom_killed(t, u, exit)) {
        why.reason = REASON_OOM_KILL;
        why_measure(&why, METRIC_OOM_KILL, exit->oom_kills, 0);
    } else if (server_is_going(t, u)) {
        why.reason = REASON_DEPENDENCY;
        stop->then = THEN_STOPPED;
    } else if (exit->status_known && exit->signal != 0) {
        why.reason = REASON_SIGNAL;
        why_measure(&why, METRIC_EXIT_SIGNAL, (uint64_t)exit->signal, 0);
        stop->clean = unit_policy(t, u)->kind == UNIT_KIND_WRAPPED && is_polite_signal(exit->signal);
    } else if (exit->status_known && exit->code != 0 && exit->pids_refused > 0) {
        why.reason = REASON_PIDS_LIMIT;
        why_measure(&why, METRIC_PIDS_EVENTS_MAX, exit->pids_refused, 0);
    } else if (exit->status_known) {
        why.reason = REASON_EXIT_CODE;
        why_measure(&why, METRIC_EXIT_STATUS, (uint64_t)exit->code, 0);
        stop->clean = exit->code == 0;
    }
    stop->why = why;
}

static void clean(struct turn *t, struct engine_unit *u)
{
    u->stop.phase = STOP_PHASE_CLEAN;
    struct why why = u->stop.why;
    engine_emit(t, u, DECISION_CLEAN, &why);
    unit_arm(u, TIMER_STOP, engine_later(t->event->t_us, CLEAN_WAIT_US));
}

/* Not any more when a further stop came for another reason. A rule restarts as the ladder does. */
static bool is_for_memory(const struct unit_stop *stop)
{
    enum decision_reason reason = stop->why.reason;
    return reason == REASON_MEMORY_LEVEL || reason == REASON_MEMORY_ETA || reason == REASON_MEMORY_CRITICAL ||
           reason == REASON_NO_HELP || reason == REASON_STALLED || (reason == REASON_RULE && stop->memory);
}

static void exited_while_stopping(struct turn *t, struct engine_unit *u)
{
    if (u->stop.exited || u->stop.phase == STOP_PHASE_CLEAN)
        return;
    u->stop.exited = true;
    if (is_for_memory(&u->stop) && was_oom_killed(t, u, &t->event->exit)) {
        /* the kernel was faster: what follows names the cause of the end, not what weir meant to do */
        u->stop.why = why_of(lifecycle_rule, REASON_OOM_KILL);
        why_measure(&u->stop.why, METRIC_OOM_KILL, t->event->exit.oom_kills, 0);
    }
    if (u->stop.phase == STOP_PHASE_TERM) {
        unit_kill(t, u, REASON_LEFT_BEHIND);
    } else if (u->stop.phase == STOP_PHASE_EXIT) {
        if (u->stop.then == THEN_JUDGE)
            judge(t, u, &u->stop);
        clean(t, u);
    }
}

/* It ended while it was drained: what it was drained for follows. */
static void follow_drain(const struct engine_unit *u, struct unit_stop *stop)
{
    if (u->state != UNIT_STATE_DRAINING)
        return;
    stop->then = u->drain.order.then;
    stop->why = u->drain.order.why;
}

void unit_exited(struct turn *t, struct engine_unit *u)
{
    if (u->state == UNIT_STATE_STOPPING) {
        exited_while_stopping(t, u);
    } else if (unit_is_running(u)) {
        struct unit_stop stop = {.phase = STOP_PHASE_KILL, .then = THEN_JUDGE, .exited = true};
        judge(t, u, &stop);
        if (stop.clean || drain_is_last(u))
            follow_drain(u, &stop);
        leave(t, u, &stop, &stop.why);
        unit_kill(t, u, REASON_LEFT_BEHIND);
    }
}

void unit_empty(struct turn *t, struct engine_unit *u)
{
    if (unit_is_running(u)) {
        if (u->pid == 0)
            return; /* a cgroup is born empty */
        struct unit_stop stop = {
            .phase = STOP_PHASE_EXIT, .then = THEN_JUDGE, .why = why_of(lifecycle_rule, REASON_POPULATED_0)};
        follow_drain(u, &stop);
        leave(t, u, &stop, &stop.why);
    } else if (u->state != UNIT_STATE_STOPPING || u->stop.phase == STOP_PHASE_EXIT ||
               u->stop.phase == STOP_PHASE_CLEAN) {
        return;
    } else if (u->stop.exited) {
        clean(t, u);
        return;
    }
    u->stop.phase = STOP_PHASE_EXIT;
    unit_arm(u, TIMER_STOP, engine_later(t->event->t_us, EXIT_WAIT_US));
}

void unit_spawn_failed(struct turn *t, struct engine_unit *u)
{
    struct why why = why_of(lifecycle_rule, REASON_SPAWN_FAILED);
    why_measure(&why, METRIC_ERRNO, (uint64_t)t->event->error, 0);

    if (u->state == UNIT_STATE_STARTING && u->pid == 0) {
        struct unit_stop stop = {.phase = STOP_PHASE_CLEAN, .then = THEN_JUDGE, .why = why, .exited = true};
        /* a command that went away while it waited for its place did nothing wrong, and nothing of it is left */
        stop.clean = unit_policy(t, u)->kind == UNIT_KIND_WRAPPED && t->event->error == ESRCH;
        leave(t, u, &stop, &stop.why);
        clean(t, u);
    } else if (u->state == UNIT_STATE_STOPPING && u->pid == 0 && u->stop.phase != STOP_PHASE_CLEAN) {
        u->stop.exited = true;
        clean(t, u);
    } else if (unit_is_running(u)) {
        engine_emit(t, u, DECISION_NOTE, &why)->amount[0] = u->state; /* a further member did not come up */
    }
}

void unit_cleaned(struct turn *t, struct engine_unit *u)
{
    if (u->state == UNIT_STATE_STOPPING && u->stop.phase == STOP_PHASE_CLEAN)
        unit_conclude(t, u);
}

static void stuck(struct turn *t, struct engine_unit *u)
{
    struct why why = why_of(lifecycle_rule, REASON_LEFT_BEHIND);
    why_measure(&why, METRIC_ELAPSED, t->event->t_us - u->state_since_us, 0);
    engine_emit(t, u, DECISION_NOTE, &why)->amount[0] = u->stop.kills;
    u->stop.phase = STOP_PHASE_STUCK;
    t->moved = true; /* a shutdown does not wait for it */
}

void unit_stop_timer(struct turn *t, struct engine_unit *u)
{
    switch (u->stop.phase) {
    case STOP_PHASE_TERM:
        unit_kill(t, u, REASON_STOP_TIMEOUT);
        break;
    case STOP_PHASE_KILL:
        if (u->stop.kills < KILL_TRIES_MAX)
            kill_once(t, u);
        else
            stuck(t, u);
        break;
    case STOP_PHASE_EXIT:
        u->stop.exited = true;
        if (u->stop.then == THEN_JUDGE)
            u->stop.why.reason = REASON_EXIT_UNKNOWN;
        clean(t, u);
        break;
    case STOP_PHASE_CLEAN:
        unit_conclude(t, u);
        break;
    case STOP_PHASE_NONE:
    case STOP_PHASE_STUCK:
        break;
    }
}
