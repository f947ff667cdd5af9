/* SPDX-License-Identifier: MIT */
/* The events: what happens, and each call of the core held against the books; see world.h. */
#include "world_inside.h"

#include <string.h>

#define X(id, text, count) [WORLD_##id] = text,
const char *const world_event_text[WORLD_EVENT_COUNT] = {WORLD_EVENTS(X)};
#undef X
#define X(id, text, count) [WORLD_##id] = count,
const uint8_t world_event_variants[WORLD_EVENT_COUNT] = {WORLD_EVENTS(X)};
#undef X

/* --- a line goes to the worker ------------------------------------------------------------------------------- */

static void send(struct world *w, int i)
{
    struct fate *f = &w->fates[i];
    const struct world_line *line = world_line_of(w->s, i);
    HOLDS(w, world_is_up(w) && !w->stdin_closed);
    HOLDS(w, w->handshaken == w->s->handshakes);
    HOLDS(w, f->sends == 0 || (line->replay && !f->touched));
    if (line->kind != GATE_LINE_RESPONSE) { /* that one overtakes what waits */
        HOLDS(w, i >= w->last_sent);        /* in the order in which they came */
        w->last_sent = (uint8_t)(i + 1);
        HOLDS(w, !world_is_held(w) || w->mid); /* a line that has begun goes on */
        HOLDS(w, !world_is_alone(w));
        HOLDS(w, !world_rate_forbids(w) || w->mid);
        HOLDS(w, f->resent || world_first_again(w) < 0);
    }
    HOLDS(w, line->parts == 0 || f->open);
    f->sends++;
    f->sent_to = w->generation;
    HOLDS(w, f->sends <= 1 + (line->replay ? w->s->replay_max : 0));
}

static void take_slot(struct world *w, int i, int slot)
{
    if (world_line_of(w->s, i)->kind != GATE_LINE_REQUEST) {
        HOLDS(w, slot == -1);
        return;
    }
    HOLDS(w, slot >= 0 && slot < w->s->slots && world_line_in_slot(w, slot) < 0);
    w->fates[i].slot = (uint8_t)(slot + 1);
}

static void passed(struct world *w)
{
    int i = w->taken - 1, slot = -1;
    if (w->flow == GATE_FLOW_PACED && world_line_of(w->s, i)->kind != GATE_LINE_RESPONSE)
        w->pace_age = 0;
    w->mid = w->mid_begun = false;
    CALL(w, slot = gate_core_passed(&w->core, world_line_of(w->s, i)->kind, w->fates[i].copy, WORLD_NOW_US));
    take_slot(w, i, slot);
}

/* --- the line in front ------------------------------------------------------------------------------------------ */

/* Counts how long it has waited. Whether that is too long. */
static bool waited(const struct world *w, uint8_t *age, enum gate_why why)
{
    if (why != GATE_WHY_WORKER && why != GATE_WHY_ORDER && why != GATE_WHY_RATE)
        *age = WORLD_NO_AGE;
    else if (*age == WORLD_NO_AGE)
        *age = 0;
    return *age != WORLD_NO_AGE && *age >= world_patience(w);
}

static enum gate_verdict expected(struct world *w, const struct world_line *line, uint8_t *ret_failures)
{
    *ret_failures = BIT(DOWN);
    if (world_rejects(w))
        return GATE_REJECT;
    *ret_failures = 0xff;
    if (w->process != PROCESS_RUNS && line->kind == GATE_LINE_RESPONSE)
        return GATE_REJECT;
    enum gate_why why = world_front_why(w, line);
    bool too_long = waited(w, &w->front_age, why);
    *ret_failures = BIT(IMPATIENT);
    if (why == GATE_WHY_WORKER && (too_long || w->impatient_now)) {
        w->impatient_now = true;
        return GATE_REJECT;
    }
    if (too_long) {
        world_orders_end(w);
        why = world_front_why(w, line);
        waited(w, &w->front_age, why);
    }
    return why == GATE_WHY_NONE ? GATE_PASS : GATE_WAIT;
}

void world_judge(struct world *w)
{
    const struct world_line *line = world_line_of(w->s, w->taken - 1);
    struct fate *f = &w->fates[w->taken - 1];
    uint8_t failures;
    enum gate_verdict want = expected(w, line, &failures), verdict;
    enum gate_failure failure = GATE_FAILURE_ENDED;
    CALL(w, verdict = gate_core_judge(&w->core, line->kind, WORLD_NOW_US, &failure));
    HOLDS(w, verdict == want);
    if (verdict == GATE_WAIT)
        return;
    w->front = false;
    w->front_age = WORLD_NO_AGE;
    if (verdict == GATE_REJECT) {
        HOLDS(w, (failures >> failure) & 1U);
        f->open = 0;
        return;
    }
    w->mid_generation = w->generation;
    if (line->is_long) {
        w->mid = true;
        return;
    }
    send(w, w->taken - 1);
    passed(w);
}

/* --- what there is to do ------------------------------------------------------------------------------------------ */

static void act_resend(struct world *w, int i)
{
    HOLDS(w, i >= 0 && i == world_first_again(w));
    if (i < 0)
        return;
    HOLDS(w, world_count_in_flight(w) == 0 && !world_mid_alive(w));
    w->fates[i].again = false;
    w->fates[i].resent = true;
    send(w, i);
    if (w->flow == GATE_FLOW_PACED)
        w->pace_age = 0;
}

static void act_fail(struct world *w, int i, enum gate_failure failure)
{
    HOLDS(w, i >= 0 && w->fates[i].open);
    if (i < 0)
        return;
    HOLDS(w, (w->fates[i].may_fail >> failure) & 1U);
    w->fates[i].open = w->fates[i].slot = w->fates[i].may_fail = 0;
}

static void act_exit(struct world *w)
{
    HOLDS(w, w->core.worker == GATE_WORKER_OVER && !w->front && !w->mid);
    for (int i = 0; i < w->taken; i++)
        HOLDS(w, !w->fates[i].open); /* nothing is lost */
    w->exited = true;
}

static void carry_out(struct world *w, const struct gate_action *a)
{
    switch (a->kind) {
    case GATE_ACTION_NONE:
        return;
    case GATE_ACTION_KILL:
        HOLDS(w, w->process == PROCESS_RUNS && w->handshake_failed && !w->killed);
        w->killed = true;
        break;
    case GATE_ACTION_ASK:
        HOLDS(w, w->process == PROCESS_NONE && !world_over_due(w, w->core.worker));
        w->process = PROCESS_CHILD;
        break;
    case GATE_ACTION_TELL_READY:
        HOLDS(w, w->ready_owed && world_is_up(w));
        w->ready_owed = false;
        break;
    case GATE_ACTION_TELL_DRAINED:
        HOLDS(w, w->drain && !w->told && world_count_in_flight(w) == 0 && !world_mid_alive(w));
        w->told = true;
        break;
    case GATE_ACTION_TELL_BOUND:
        HOLDS(w, w->bound_owed);
        w->bound_owed = false;
        break;
    case GATE_ACTION_HANDSHAKE:
        HOLDS(w, w->process == PROCESS_RUNS && !w->handshake_out && !w->handshake_failed);
        HOLDS(w, a->index == w->handshaken && a->index < w->s->handshakes);
        w->handshake_out = true;
        break;
    case GATE_ACTION_RESEND:
        act_resend(w, world_line_in_slot(w, a->slot));
        break;
    case GATE_ACTION_CLOSE_STDIN:
        HOLDS(w, w->closed && world_is_up(w) && !w->stdin_closed && world_first_again(w) < 0 && !w->mid);
        w->stdin_closed = true;
        break;
    case GATE_ACTION_FAIL:
        act_fail(w, world_line_in_slot(w, a->slot), a->failure);
        break;
    case GATE_ACTION_EXIT:
        act_exit(w);
        break;
    }
    CALL(w, gate_core_done(&w->core, a, WORLD_NOW_US));
}

enum gate_action_kind world_act(struct world *w, uint32_t full)
{
    struct gate_action a;
    CALL(w, a = gate_core_next(&w->core, WORLD_NOW_US, full));
    enum gate_why why = world_again_why(w);
    if (waited(w, &w->again_age, why)) {
        if (why == GATE_WHY_WORKER)
            world_none_again(w, BIT(IMPATIENT));
        else
            world_orders_end(w);
        waited(w, &w->again_age, world_again_why(w));
    }
    world_check_books(w);
    bool idle = w->process != PROCESS_RUNS && w->core.worker != GATE_WORKER_OVER;
    HOLDS(w, !idle || !world_over_due(w, w->core.worker));
    carry_out(w, &a);
    return a.kind;
}

/* --- the worker's life ------------------------------------------------------------------------------------------------ */

bool world_go(struct world *w)
{
    bool asked = w->core.worker == GATE_WORKER_ASKED, goes;
    if (w->process != PROCESS_CHILD)
        return false;
    if (asked)
        w->generation++;
    CALL(w, goes = gate_core_started(&w->core, asked ? w->generation : 0xfeU, w->s->handshakes));
    HOLDS(w, goes == asked);
    w->process = goes ? PROCESS_RUNS : PROCESS_NONE;
    w->last_sent = w->handshaken = 0;
    w->handshake_out = w->handshake_failed = w->killed = w->stdin_closed = false;
    return true;
}

static bool refuse(struct world *w)
{
    if (w->process != PROCESS_CHILD || w->core.worker != GATE_WORKER_ASKED)
        return false;
    w->process = PROCESS_NONE;
    world_none_again(w, BIT(DOWN));
    CALL(w, gate_core_refused(&w->core));
    return true;
}

bool world_handshake(struct world *w, bool ok)
{
    if (w->process != PROCESS_RUNS || !w->handshake_out || w->handshake_failed)
        return false;
    if (ok) {
        w->handshaken++;
        w->handshake_out = false;
    } else {
        w->handshake_failed = true;
    }
    CALL(w, gate_core_handshake_answered(&w->core, ok));
    return true;
}

bool world_answer(struct world *w, int i)
{
    if (i >= w->taken || !world_in_flight(w, i))
        return false;
    struct fate *f = &w->fates[i];
    int slot = f->slot - 1;
    f->open = (uint8_t)(f->open & (f->open - 1));
    f->touched = true;
    if (!f->open)
        f->slot = 0;
    bool deliver;
    CALL(w, deliver = gate_core_answered(&w->core, slot, w->generation, !f->open));
    HOLDS(w, deliver);
    return true;
}

/* The last request in flight before line `before`, or -1. */
static int last_in_flight(const struct world *w, int before)
{
    int i = before - 1;
    while (i >= 0 && !world_in_flight(w, i))
        i--;
    return i;
}

/* The last line was let through, and not a byte of it is written yet: it is in front again. */
static bool recall(struct world *w)
{
    int i = w->taken - (w->front ? 2 : 1), slot = -1;
    if (w->closed || w->mid_begun || (w->mid && !world_mid_alive(w)) || i < 0 ||
        (!w->mid && (!world_in_flight(w, i) || w->fates[i].resent)))
        return false;
    if (!w->mid) {
        slot = w->fates[i].slot - 1;
        w->fates[i].slot = w->fates[i].sends = w->fates[i].sent_to = 0;
    }
    if (w->fates[i].touched)
        return false;
    w->mid = false;
    w->taken = (uint8_t)(i + 1);
    w->front = true;
    CALL(w, gate_core_recall(&w->core, slot));
    return true;
}

/* `i` lay in the pipe all the time: it may be sent again, whatever it is. */
static bool unread(struct world *w, int i)
{
    if (i < 0 || w->fates[i].touched)
        return false;
    CALL(w, gate_core_unread(&w->core, w->fates[i].slot - 1));
    return true;
}

static void outlive(struct world *w, struct fate *f, bool was_unread)
{
    bool may = (f->copy || was_unread) && !f->touched;
    f->sends = (uint8_t)(f->sends - was_unread);
    f->resent = false;
    f->again = may && f->sends <= world_replay_max(w);
    if (!f->again)
        f->may_fail = may && f->sends > 1 ? BIT(POISON) : BIT(ENDED);
}

static bool ends(struct world *w, bool clean, bool recalled, int unread_count)
{
    bool runs = w->process == PROCESS_RUNS;
    if (w->process == PROCESS_NONE || (clean && (!runs || w->killed)))
        return false;
    if ((recalled || unread_count) && (!w->s->takes_back || !world_is_up(w)))
        return false;
    if (recalled && !recall(w))
        return false;
    int from = w->taken;
    for (int k = 0; k < unread_count; k++) {
        from = last_in_flight(w, from);
        if (!unread(w, from))
            return false;
    }
    bool busy = world_count_in_flight(w) > 0 || world_first_again(w) >= 0 || w->mid || w->front;
    w->over_by_clean = w->over_by_clean || (clean && world_is_up(w) && !busy && !w->s->respawn_clean);
    for (int i = 0; i < w->taken; i++)
        if (world_in_flight(w, i))
            outlive(w, &w->fates[i], i >= from);
    w->process = PROCESS_NONE;
    w->ready_owed = w->killed = false;
    CALL(w, gate_core_ended(&w->core, clean));
    return true;
}

bool world_end(struct world *w, uint8_t variant)
{
    static const struct {
        bool clean, recalled;
        uint8_t unread;
    } how[] = {{0},
               {.clean = true},
               {.unread = 1},
               {.unread = 2},
               {.recalled = true},
               {.recalled = true, .unread = 1},
               {.clean = true, .recalled = true},
               {.clean = true, .unread = 1}};
    return ends(w, how[variant].clean, how[variant].recalled, how[variant].unread);
}

/* kept: there is a copy of all of it. unread: the worker had read nothing of it. */
static bool is_cut(struct world *w, bool kept, bool unread)
{
    if (!w->mid || !w->mid_begun || world_mid_alive(w) || (unread && !w->s->takes_back))
        return false;
    int i = w->taken - 1, slot;
    struct fate *f = &w->fates[i];
    enum gate_line kind = world_line_of(w->s, i)->kind;
    if (kept && !unread && !f->copy)
        return false;
    w->mid = w->mid_begun = false;
    if (unread)
        CALL(w, slot = gate_core_cut_unread(&w->core, kind, f->copy));
    else
        CALL(w, slot = gate_core_cut(&w->core, kind, kept));
    take_slot(w, i, slot);
    f->copy = f->copy && kept;
    f->sends = (uint8_t)(f->sends - unread);
    if (!f->open)
        return true;
    f->again = kept && f->sends <= world_replay_max(w) && !world_rejects(w);
    if (!f->again)
        f->may_fail = kept && w->core.worker == GATE_WORKER_DOWN ? BIT(DOWN) : BIT(ENDED);
    return true;
}

bool world_cut(struct world *w, uint8_t variant)
{
    return is_cut(w, variant > 0, variant > 1);
}

bool world_unsent(struct world *w)
{
    if (!w->mid || w->mid_begun || world_mid_alive(w))
        return false;
    w->mid = false;
    w->front = true;
    CALL(w, gate_core_unsent(&w->core));
    return true;
}

static bool copy_lost(struct world *w, int i)
{
    if (!w->s->loses_copy || i >= w->taken || !(w->fates[i].copy || w->fates[i].again) || !w->fates[i].slot ||
        w->fates[i].may_fail)
        return false;
    w->fates[i].copy = false;
    if (w->fates[i].again) {
        w->fates[i].again = false;
        w->fates[i].may_fail = BIT(ENDED);
    }
    CALL(w, gate_core_copy_lost(&w->core, w->fates[i].slot - 1));
    return true;
}

/* --- the server and the supervisor ---------------------------------------------------------------------------------------- */

static bool line_comes(struct world *w)
{
    if (w->closed || w->front || w->mid || !w->s->lines[w->taken])
        return false;
    w->taken++;
    w->front = true;
    world_judge(w);
    return true;
}

bool world_closes(struct world *w)
{
    if (w->closed || w->front || w->mid)
        return false;
    w->closed = true;
    CALL(w, gate_core_server_closed(&w->core));
    return true;
}

static bool stops(struct world *w)
{
    if (w->stopped)
        return false;
    w->stopped = true;
    CALL(w, gate_core_stop(&w->core));
    return true;
}

static bool may_order(struct world *w, char kind)
{
    if (!strchr(w->s->order_kinds, kind) || w->orders >= w->s->orders)
        return false;
    w->orders++;
    return true;
}

static bool hold(struct world *w)
{
    if (!may_order(w, 'h'))
        return false;
    w->flow = GATE_FLOW_HELD;
    w->pace_count = w->pace_interval = 0;
    w->pace_age = WORLD_NO_AGE;
    CALL(w, gate_core_hold(&w->core));
    return true;
}

static bool pace(struct world *w, char kind)
{
    if (!may_order(w, kind))
        return false;
    if (w->flow != GATE_FLOW_PACED)
        w->pace_age = WORLD_NO_AGE;
    w->flow = GATE_FLOW_PACED;
    w->pace_count = kind == 'c' ? 1 : 0;
    w->pace_interval = kind == 'r' ? 2 : 0;
    CALL(w, gate_core_pace(&w->core, w->pace_count, w->pace_interval));
    return true;
}

static bool drains(struct world *w)
{
    if (!may_order(w, 'd'))
        return false;
    w->drain = true;
    w->told = false;
    w->drain_generation = w->generation;
    CALL(w, gate_core_drain(&w->core));
    return true;
}

static bool release(struct world *w)
{
    if (w->flow == GATE_FLOW_OPEN && !w->drain)
        return false;
    w->flow = GATE_FLOW_OPEN;
    w->drain = false;
    w->pace_age = WORLD_NO_AGE;
    CALL(w, gate_core_release(&w->core));
    return true;
}

static bool reload(struct world *w)
{
    if (w->reloaded)
        return false;
    w->reloaded = true;
    world_settings(w);
    return true;
}

/* --- time ------------------------------------------------------------------------------------------------------------------ */

/* What a gate does in a turn even if no output takes anything: nobody sleeps before that. */
static void turn(struct world *w)
{
    while (!w->broken && !w->exited && world_act(w, EVERYTHING_FULL) != GATE_ACTION_NONE)
        ;
    if (w->front && !w->exited)
        world_judge(w);
}

static void older(uint64_t *t_us)
{
    if (*t_us != UINT64_MAX)
        --*t_us;
}

static void age(uint8_t *ticks, uint8_t most)
{
    if (*ticks < most)
        ++*ticks;
}

bool world_tick(struct world *w)
{
    struct gate_core *c = &w->core;
    turn(w);
    HOLDS(w, w->exited || gate_core_deadline(c) > WORLD_NOW_US);
    older(&c->front.since_us);
    older(&c->again.since_us);
    older(&c->pace_last_us);
    older(&c->blocked_since_us);
    older(&c->impatient_since_us);
    age(&w->front_age, w->s->patience);
    age(&w->again_age, w->s->patience);
    age(&w->pace_age, 2);
    w->impatient_now = false;
    if (!w->exited)
        turn(w);
    return true;
}

/* --- events ------------------------------------------------------------------------------------------------------------------ */

bool world_begin(struct world *w)
{
    if (!world_mid_alive(w) || w->mid_begun)
        return false;
    w->mid_begun = true;
    send(w, w->taken - 1);
    return true;
}

bool world_whole(struct world *w)
{
    if (!world_mid_alive(w) || !w->mid_begun)
        return false;
    passed(w);
    return true;
}

static bool happens(struct world *w, enum world_event event, uint8_t variant)
{
    static const uint32_t fulls[] = {0, GATE_FULL_SERVER, GATE_FULL_WORKER, GATE_FULL_LINK};
    switch (event) {
    case WORLD_ACT:
        return (variant == 0 || w->s->full) && (world_act(w, fulls[variant]), true);
    case WORLD_LINE:
        return line_comes(w);
    case WORLD_JUDGE:
        return w->front && (world_judge(w), true);
    case WORLD_BEGIN:
        return world_begin(w);
    case WORLD_WHOLE:
        return world_whole(w);
    case WORLD_CUT:
        return world_cut(w, variant);
    case WORLD_UNSENT:
        return world_unsent(w);
    case WORLD_CLOSE:
        return w->s->closes && world_closes(w);
    case WORLD_STOP:
        return w->s->stops && stops(w);
    case WORLD_GO:
        return (w->generation < w->s->generations || w->core.worker != GATE_WORKER_ASKED) && world_go(w);
    case WORLD_REFUSE:
        return w->refusals < w->s->refusals && (w->refusals++, refuse(w));
    case WORLD_ASK_AGAIN:
        return w->core.worker == GATE_WORKER_DOWN &&
               (gate_core_ask_again(&w->core), world_follow(w, GATE_WORKER_DOWN), true);
    case WORLD_HANDSHAKE:
        return world_handshake(w, variant);
    case WORLD_ANSWER:
        return world_answer(w, variant);
    case WORLD_END:
        return world_end(w, variant);
    case WORLD_HOLD:
        return hold(w);
    case WORLD_PACE_COUNT:
        return pace(w, 'c');
    case WORLD_PACE_RATE:
        return pace(w, 'r');
    case WORLD_DRAIN:
        return drains(w);
    case WORLD_RELEASE:
        return release(w);
    case WORLD_COPY_LOST:
        return copy_lost(w, variant);
    case WORLD_RELOAD:
        return w->s->reloads && reload(w);
    case WORLD_TICK:
        return w->s->ticks && world_tick(w);
    case WORLD_EVENT_COUNT:
        break;
    }
    return false;
}

bool world_happens(struct world *w, enum world_event event, uint8_t variant)
{
    if (w->exited || !happens(w, event, variant))
        return false;
    world_check_books(w);
    return true;
}
