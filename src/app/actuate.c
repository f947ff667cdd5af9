/* SPDX-License-Identifier: MIT */
/*
 * Decisions carried out. One row per kind; what came of it goes back to the engine as an OUTCOME event.
 * Under mode = observe nothing is carried out: the decision is on record as a "would have".
 */
#include "supervisor.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "beside.h"
#include "gates.h"
#include "reclaim.h"
#include "weir/base/log.h"

static enum event_result result_of(int r)
{
    if (r >= 0)
        return EVENT_RESULT_DONE;
    return r == -EOPNOTSUPP ? EVENT_RESULT_UNSUPPORTED : EVENT_RESULT_FAILED;
}

/* Tells the engine, and a person when it went wrong. */
static void conclude(struct unit_runtime *u, const struct decision *d, int r, const struct err *e)
{
    if (r < 0 && r != -ESRCH && r != -ENODEV)
        log_warning("%s: %s failed: %s", u->s->unit_names[u->index], decision_kind_name(d->kind),
                    e->text[0] ? e->text : "unknown reason");
    supervisor_post_outcome(u->s, d, result_of(r), r < 0 ? -r : 0);
}

static int send_signal(const struct unit_runtime *u, int signo)
{
    if (u->pidfd < 0 || u->exited_us)
        return -ESRCH;
    return syscall(SYS_pidfd_send_signal, u->pidfd, signo, NULL, 0) < 0 ? -errno : 0;
}

/* An operator's wish is written down before it is carried out: killed between the two, the next weir does it. */
static void keep_frozen(struct unit_runtime *u, bool frozen)
{
    if (u->frozen == frozen)
        return;
    u->frozen = frozen;
    state_save(u->s);
}

static int act_term(struct unit_runtime *u, const struct decision *d, struct err *e)
{
    (void)d;
    keep_frozen(u, false);
    gates_ending(u);
    if (u->cgroup && sample_has(&u->last, SAMPLE_FROZEN)) /* a handled SIGTERM waits for the thaw */
        (void)u->cgroup->ops->unit_freeze(u->cgroup, HOST_FREEZE_THAW, NULL);
    int r = send_signal(u, SIGTERM);
    if (r >= 0)
        (void)send_signal(u, SIGCONT);
    return r < 0 ? err_errno(e, r, "SIGTERM to pid %d", (int)u->pid) : 0;
}

static int act_kill(struct unit_runtime *u, const struct decision *d, struct err *e)
{
    (void)d;
    if (!u->cgroup)
        return -ENODEV;
    gates_ending(u);
    int r = u->cgroup->ops->unit_kill(u->cgroup, e);
    sampling_check_empty(u);
    return r;
}

static int tell_unit(struct unit_runtime *u, struct err *e)
{
    if (u->pressure_fifo < 0)
        return err_set(e, -EOPNOTSUPP, "the unit was given no pressure FIFO");
    /* any byte is an event (systemd's memory pressure protocol, FIFO kind); a full pipe means that the program
     * does not listen, or has not yet taken the last ones */
    return write(u->pressure_fifo, "p", 1) == 1 ? 0 : err_errno(e, -errno, "memory pressure FIFO");
}

/* Where there is a hook, it is what counts: most programs do not listen to the FIFO. */
static void do_notify(struct unit_runtime *u, const struct decision *d)
{
    struct err e = ERR_NULL;
    int r = tell_unit(u, &e);
    if (!u->config->notify_argv) {
        conclude(u, d, r, &e);
        return;
    }
    r = hook_run(u, d, &e);
    if (r < 0)
        supervisor_mark(u->s, u->index, "hook of #%" PRIu64 ": not run: %s", d->id, e.text);
    supervisor_post_outcome(u->s, d, r == -EBUSY ? EVENT_RESULT_PARTIAL : result_of(r), r < 0 ? -r : 0);
}

static int act_throttle(struct unit_runtime *u, const struct decision *d, struct err *e)
{
    uint32_t applied = 0;
    if (!u->cgroup)
        return -ENODEV;
    bool on = d->kind != DECISION_UNTHROTTLE;
    if (!on)
        (void)u->cgroup->ops->unit_freeze(u->cgroup, HOST_FREEZE_THAW, NULL); /* a pulse may be under way */
    uint64_t high = on && d->amount[1] ? d->amount[1] : UINT64_MAX;
    return u->cgroup->ops->unit_throttle(u->cgroup, on ? (uint32_t)d->amount[0] : 0, high, &applied, e);
}

static int act_pulse(struct unit_runtime *u, const struct decision *d, struct err *e)
{
    if (!u->cgroup)
        return -ENODEV;
    bool freeze = d->kind == DECISION_PULSE_FREEZE;
    return u->cgroup->ops->unit_freeze(u->cgroup, freeze ? HOST_FREEZE_PULSE : HOST_FREEZE_THAW, e);
}

static int act_freeze(struct unit_runtime *u, const struct decision *d, struct err *e)
{
    if (!u->cgroup)
        return -ENODEV;
    bool freeze = d->kind == DECISION_FREEZE;
    keep_frozen(u, freeze);
    int r = u->cgroup->ops->unit_freeze(u->cgroup, freeze ? HOST_FREEZE_KEEP : HOST_FREEZE_THAW, e);
    if (r < 0)
        keep_frozen(u, !freeze); /* as the engine has it */
    return r;
}

static int act_gate(struct unit_runtime *u, const struct decision *d, struct err *e)
{
    return gates_order(u, d, e);
}

/* That it is drained is told by the gate. */
static void do_drain(struct unit_runtime *u, const struct decision *d)
{
    struct err e = ERR_NULL;
    int r = gates_order(u, d, &e);
    if (r < 0)
        conclude(u, d, r, &e);
}

static void on_reclaimed(void *userdata, const struct reclaim_done *done)
{
    struct supervisor *s = userdata;
    struct unit_runtime *u = &s->units[done->unit];
    if (done->generation != u->generation)
        return;
    struct event e = {.kind = EVENT_OUTCOME, .unit = done->unit, .generation = done->generation};
    bool is_partial = done->result == -EAGAIN;
    if (done->result < 0 && !is_partial && done->result != -ENODEV)
        log_warning("%s: reclaim failed: %s", s->unit_names[done->unit], strerror(-done->result));
    e.outcome.decision_id = done->decision_id;
    e.outcome.result = is_partial ? EVENT_RESULT_PARTIAL : result_of(done->result);
    e.outcome.error = -done->result;
    e.outcome.amount = done->fell_bytes;
    supervisor_post(s, &e);
    supervisor_drain(s);
}

/* What comes of it is told by on_reclaimed. */
static void do_reclaim(struct unit_runtime *u, const struct decision *d)
{
    struct err e = ERR_NULL;
    struct reclaim_job job = {.unit = d->unit,
                              .generation = d->generation,
                              .decision_id = d->id,
                              .bytes = d->amount[0],
                              .host = HOST_RECLAIM_NULL};
    int r = u->s->reclaimer ? 0 : err_set(&e, -EOPNOTSUPP, "this host has no memory.reclaim");
    if (r >= 0)
        r = u->cgroup ? u->cgroup->ops->unit_reclaim_open(u->cgroup, &job.host, &e) : -ENODEV;
    if (r >= 0)
        r = reclaimer_begin(u->s->reclaimer, &job);
    if (r == -EBUSY)
        err_set(&e, r, "the last one is not over yet");
    if (r < 0)
        conclude(u, d, r, &e);
}

static void do_clean(struct unit_runtime *u, const struct decision *d)
{
    struct supervisor *s = u->s;
    struct event cleaned = {.kind = EVENT_CLEANED, .unit = u->index, .generation = d->generation};
    if (s->reclaimer)
        reclaimer_cancel(s->reclaimer, u->index); /* a write under way would hold the removal up */
    if (u->output)
        output_drain(u->output);
    sampling_unwatch(u);
    launch_forget(u);
    if (u->cgroup) {
        struct err e = ERR_NULL;
        int r = u->cgroup->ops->unit_remove(u->cgroup, &e);
        if (r < 0) {
            log_warning("%s: cgroup not removed: %s; it is used anew at the next start",
                        s->unit_names[u->index], e.text);
            u->cgroup->ops->unit_release(u->cgroup);
            cleaned.error = -r;
        }
        u->cgroup = NULL;
    }
    u->generation = 0;
    state_save(s);
    supervisor_post(s, &cleaned);
}

static void do_exit(struct supervisor *s, const struct decision *d)
{
    s->exit_status = (int)d->amount[0];
    (void)sd_event_exit(s->event, 0);
}

typedef int action_fn(struct unit_runtime *u, const struct decision *d, struct err *e);

/* Rows without a function are only told (RESTART's and STOP's steps follow as decisions of their own), or are
 * handled below because they post more than an outcome. */
static action_fn *const actions[DECISION_KIND_COUNT] = {
    [DECISION_TERM] = act_term,          [DECISION_KILL] = act_kill,
    [DECISION_THROTTLE] = act_throttle,  [DECISION_UNTHROTTLE] = act_throttle,
    [DECISION_FREEZE] = act_freeze,      [DECISION_THAW] = act_freeze,
    [DECISION_PULSE_FREEZE] = act_pulse, [DECISION_PULSE_THAW] = act_pulse,
    [DECISION_STEER] = act_throttle,     [DECISION_PACE] = act_gate,
    [DECISION_HOLD] = act_gate,          [DECISION_RELEASE] = act_gate,
};

void actuate(struct supervisor *s, const struct decision *d)
{
    if (d->observe)
        return;
    if (d->kind == DECISION_EXIT) {
        do_exit(s, d);
        return;
    }
    if (d->unit == UNIT_NONE)
        return;
    struct unit_runtime *u = &s->units[d->unit];
    if (d->kind == DECISION_START)
        launch_start(u, d);
    else if (d->kind == DECISION_ADMIT)
        wrap_admit(u, d);
    else if (d->kind == DECISION_REFUSE)
        wrap_refuse(u, d);
    else if (d->kind == DECISION_CLEAN)
        do_clean(u, d);
    else if (d->kind == DECISION_NOTIFY)
        do_notify(u, d);
    else if (d->kind == DECISION_PREPARE)
        beside_prepare(u, d);
    else if (d->kind == DECISION_DRAIN)
        do_drain(u, d);
    else if (d->kind == DECISION_RECLAIM || d->kind == DECISION_RECLAIM_MORE)
        do_reclaim(u, d);
    else if (actions[d->kind]) {
        struct err e = ERR_NULL;
        conclude(u, d, actions[d->kind](u, d, &e), &e);
    }
}

int actuate_open(struct supervisor *s, struct err *reterr)
{
    if (!(s->info.features & HOST_FEATURE_RECLAIM))
        return 0;
    int r = reclaimer_new(s->event, s->unit_capacity, on_reclaimed, s, &s->reclaimer);
    return r < 0 ? err_errno(reterr, r, "starting the thread that takes memory back") : 0;
}

void actuate_check_guard(struct supervisor *s)
{
    struct err e = ERR_NULL;
    if (s->host->ops->guard_check(s->host, &e) != 0)
        supervisor_mark(s, UNIT_NONE, "%s", e.text);
}
