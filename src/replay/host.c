/* SPDX-License-Identifier: MIT */
/*
 * The simulated host; see the header. Answers wait in an unordered queue; the earliest (then the first put in) goes
 * next. Nothing ever fails here, and what weir does to memory has no effect: the caller's tapes say what memory does.
 */
#include "host.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>

#include "weir/base/units.h"

#define PID_FIRST    INT32_C(1000000000) /* chosen: above the kernel's PID_MAX_LIMIT, so never a recorded one */
#define TICKET_FIRST (UINT64_C(1) << 62) /* chosen: never a recorded one */
#define CLEAN_US     USEC_PER_MSEC       /* measured: rmdir of an empty cgroup */

int host_init(struct host *h, const struct policy *policy, const struct whatif_unit *manners)
{
    *h = (struct host){
        .policy = policy, .manners = manners, .next_pid = PID_FIRST, .next_ticket = TICKET_FIRST};
    h->units = calloc(policy->unit_count ? policy->unit_count : 1, sizeof(*h->units));
    return h->units ? 0 : -ENOMEM;
}

void host_deinit(struct host *h)
{
    free(h->units);
    free(h->queue);
    *h = (struct host){0};
}

static void put(struct host *h, uint64_t after_us, struct event event)
{
    if (h->count == h->room) {
        size_t room = h->room ? 2 * h->room : 16;
        struct answer *queue = realloc(h->queue, room * sizeof(*queue));
        if (!queue) {
            h->error = -ENOMEM;
            return;
        }
        h->queue = queue;
        h->room = room;
    }
    event.t_us = h->now_us + after_us;
    h->queue[h->count++] = (struct answer){event, h->order++};
}

static struct event of_unit(const struct host *h, uint16_t unit, enum event_kind kind)
{
    return (struct event){.kind = kind, .unit = unit, .generation = h->units[unit].generation};
}

static void put_arrival(struct host *h, uint16_t unit, uint64_t after_us)
{
    struct event arrived = of_unit(h, unit, EVENT_ARRIVED);
    arrived.arrived.pid = h->next_pid++;
    arrived.arrived.via = h->manners[unit].server;
    arrived.arrived.ticket = h->next_ticket++;
    put(h, after_us, arrived);
}

static void put_exit(struct host *h, uint16_t unit, uint64_t after_us, int32_t signal)
{
    struct event exited = of_unit(h, unit, EVENT_EXITED);
    exited.exit = (struct event_exit){.status_known = true, .signal = signal};
    if (h->units[unit].alive)
        put(h, after_us, exited);
}

static void put_spawned(struct host *h, uint16_t unit)
{
    struct event event = of_unit(h, unit, EVENT_SPAWNED);
    const uint64_t *habits = h->manners[unit].habits;
    bool wrapped = h->policy->units[unit].kind == UNIT_KIND_WRAPPED;
    event.spawned.pid = h->next_pid++;
    event.spawned.how = wrapped ? EVENT_HOW_WRAPPED : EVENT_HOW_SPAWNED;
    put(h, habits[WHATIF_HABIT_START], event);
    if (h->policy->units[unit].has_ready)
        put(h, habits[WHATIF_HABIT_START] + habits[WHATIF_HABIT_READY], of_unit(h, unit, EVENT_READY));
}

static void start(struct host *h, const struct decision *d)
{
    if (d->kind == DECISION_ADMIT && d->amount[1])
        return; /* joins a cgroup; nothing to tell */
    h->units[d->unit].alive = h->units[d->unit].populated = false;
    h->units[d->unit].generation = d->generation;
    put_spawned(h, d->unit);
}

static void kill_all(struct host *h, uint16_t unit)
{
    uint64_t after_us = h->manners[unit].habits[WHATIF_HABIT_KILL];
    if (!h->units[unit].populated)
        return;
    put_exit(h, unit, after_us, SIGKILL);
    put(h, after_us, of_unit(h, unit, EVENT_EMPTY));
    h->units[unit].populated = false;
}

static void put_done(struct host *h, const struct decision *d, uint64_t after_us)
{
    struct event outcome = of_unit(h, d->unit, EVENT_OUTCOME);
    outcome.outcome.decision_id = d->id;
    outcome.outcome.result = EVENT_RESULT_DONE;
    put(h, after_us, outcome);
}

/* Memory goes as on record: nothing could be taken back. */
static void answer_reclaim(struct host *h, const struct decision *d)
{
    struct event outcome = of_unit(h, d->unit, EVENT_OUTCOME);
    outcome.outcome.decision_id = d->id;
    outcome.outcome.result = EVENT_RESULT_PARTIAL;
    put(h, USEC_PER_MSEC, outcome);
}

/* A server starts the wrapped units of its own when it is ready, and one of them anew when it ended. */
static void moved(struct host *h, const struct decision *d)
{
    for (uint16_t i = 0; d->amount[1] == UNIT_STATE_READY && i < h->policy->unit_count; i++)
        if (h->policy->units[i].kind == UNIT_KIND_WRAPPED && h->manners[i].server == d->unit &&
            h->units[i].model && !h->units[i].alive)
            put_arrival(h, i, h->manners[i].habits[WHATIF_HABIT_RESPAWN]);
    uint16_t server = h->manners[d->unit].server;
    if (d->amount[0] == UNIT_STATE_STOPPING && h->policy->units[d->unit].kind == UNIT_KIND_WRAPPED &&
        (server == UNIT_NONE || h->units[server].state == UNIT_STATE_READY))
        put_arrival(h, d->unit, h->manners[d->unit].habits[WHATIF_HABIT_RESPAWN]);
}

static void obey(struct host *h, const struct decision *d)
{
    const uint64_t *habits = h->manners[d->unit].habits;
    switch (d->kind) {
    case DECISION_START:
    case DECISION_ADMIT:
        start(h, d);
        break;
    case DECISION_TERM:
        put_exit(h, d->unit, habits[WHATIF_HABIT_STOP], SIGTERM);
        break;
    case DECISION_KILL:
        kill_all(h, d->unit);
        break;
    case DECISION_CLEAN:
        put(h, CLEAN_US, of_unit(h, d->unit, EVENT_CLEANED));
        break;
    case DECISION_PREPARE:
        put_done(h, d, habits[WHATIF_HABIT_START] + habits[WHATIF_HABIT_READY]);
        break;
    case DECISION_DRAIN:
        put_done(h, d, habits[WHATIF_HABIT_DRAIN]);
        break;
    case DECISION_RECLAIM:
    case DECISION_RECLAIM_MORE:
        answer_reclaim(h, d);
        break;
    case DECISION_STATE:
        moved(h, d);
        break;
    case DECISION_REFUSE:
    case DECISION_NOTIFY:
    case DECISION_PACE:
    case DECISION_HOLD:
    case DECISION_RELEASE:
    case DECISION_THROTTLE:
    case DECISION_STEER:
    case DECISION_UNTHROTTLE:
    case DECISION_FREEZE:
    case DECISION_THAW:
    case DECISION_PULSE_FREEZE:
    case DECISION_PULSE_THAW:
    case DECISION_RESTART:
    case DECISION_STOP:
    case DECISION_FAIL:
    case DECISION_BACKOFF:
    case DECISION_NOTE:
    case DECISION_EXIT:
    case DECISION_KIND_COUNT:
        break;
    }
}

void host_decided(struct host *h, const struct decision *d)
{
    struct host_unit *u = &h->units[d->unit];
    if (d->kind == DECISION_STATE) {
        u->state = (enum unit_state)d->amount[1];
        u->generation = d->generation;
    }
    if (u->model && !d->observe)
        obey(h, d);
}

void host_note(struct host *h, const struct event *e)
{
    struct host_unit *u = &h->units[e->unit];
    switch (e->kind) {
    case EVENT_SPAWNED:
        u->alive = u->populated = true;
        u->generation = e->generation;
        break;
    case EVENT_EXITED:
        u->alive = u->alive && e->generation != u->generation;
        break;
    case EVENT_EMPTY:
        u->populated = u->populated && e->generation != u->generation;
        break;
    case EVENT_RUN:
    case EVENT_SAMPLE:
    case EVENT_DEADLINE:
    case EVENT_ARRIVED:
    case EVENT_SPAWN_FAILED:
    case EVENT_READY:
    case EVENT_CLEANED:
    case EVENT_GATE_LOST:
    case EVENT_OPERATOR:
    case EVENT_OUTCOME:
    case EVENT_POLICY:
    case EVENT_SHUTDOWN:
    case EVENT_KIND_COUNT:
        break;
    }
}

/* What the record still owed to the unit it will not tell any more: it is put here. */
void host_take_over(struct host *h, uint16_t unit)
{
    struct host_unit *u = &h->units[unit];
    const uint64_t *habits = h->manners[unit].habits;
    enum unit_state state = u->state;
    u->model = true;
    if (state == UNIT_STATE_STARTING && !u->alive)
        put_spawned(h, unit);
    else if ((state == UNIT_STATE_STARTING || state == UNIT_STATE_ADOPTED) &&
             h->policy->units[unit].has_ready)
        put(h, habits[WHATIF_HABIT_READY], of_unit(h, unit, EVENT_READY));
    else if (state == UNIT_STATE_STOPPING)
        put_exit(h, unit, habits[WHATIF_HABIT_STOP], SIGTERM);
}

void host_end(struct host *h, uint16_t unit, const struct event_exit *exit)
{
    struct event exited = of_unit(h, unit, EVENT_EXITED);
    exited.exit = *exit;
    put(h, 0, exited);
}

static size_t earliest(const struct host *h)
{
    size_t best = 0;
    for (size_t i = 1; i < h->count; i++) {
        const struct answer *a = &h->queue[i], *b = &h->queue[best];
        if (a->event.t_us < b->event.t_us || (a->event.t_us == b->event.t_us && a->order < b->order))
            best = i;
    }
    return best;
}

uint64_t host_next(const struct host *h)
{
    return h->count ? h->queue[earliest(h)].event.t_us : USEC_INFINITY;
}

bool host_take(struct host *h, struct event *ret)
{
    size_t i = earliest(h);
    *ret = h->queue[i].event;
    h->queue[i] = h->queue[--h->count];
    struct host_unit *u = &h->units[ret->unit];
    bool present = ret->generation == u->generation;
    if (ret->kind == EVENT_SPAWNED && present)
        u->alive = u->populated = true;
    if (ret->kind != EVENT_EXITED || !present)
        return true; /* the engine knows what is stale */
    bool ends = u->alive;
    u->alive = false;
    return ends;
}
