/* SPDX-License-Identifier: MIT */
/* What the world knows by itself of lines, workers and orders, and what must agree with it after every call. */
#include "world_inside.h"

#include <string.h>

uint64_t world_moves[GATE_WORKER_COUNT][GATE_WORKER_COUNT];
bool world_counts_moves = true;

static const struct world_line world_lines[] = {
    {'r', GATE_LINE_REQUEST, 1, true, false},  /* may be sent again */
    {'n', GATE_LINE_REQUEST, 1, false, false}, /* must not */
    {'b', GATE_LINE_REQUEST, 2, true, false},  /* a batch */
    {'l', GATE_LINE_REQUEST, 1, true, true},   /* long, may be sent again */
    {'m', GATE_LINE_REQUEST, 1, false, true},  /* long, must not */
    {'o', GATE_LINE_ONE_WAY, 0, false, false},  {'w', GATE_LINE_ONE_WAY, 0, false, true},
    {'p', GATE_LINE_RESPONSE, 0, false, false}, {'x', GATE_LINE_OTHER, 0, false, false},
};

void world_broken(struct world *w, const char *what, const char *file, int line)
{
    if (w->broken)
        return;
    w->broken = what;
    w->broken_file = file;
    w->broken_line = line;
}

const struct world_line *world_line_of(const struct scenario *s, int i)
{
    for (size_t k = 0; k < sizeof(world_lines) / sizeof(world_lines[0]); k++)
        if (world_lines[k].letter == s->lines[i])
            return &world_lines[k];
    return &world_lines[0];
}

/* Of a reload: less of both. */
uint8_t world_patience(const struct world *w)
{
    return w->reloaded ? 1 : w->s->patience;
}

uint8_t world_replay_max(const struct world *w)
{
    return w->reloaded ? 1 : w->s->replay_max;
}

void world_settings(struct world *w)
{
    gate_core_set(&w->core, world_replay_max(w), world_patience(w), w->s->respawn_clean);
}

void world_init(struct world *w, const struct scenario *s)
{
    memset(w, 0, sizeof(*w));
    w->s = s;
    gate_core_init(&w->core, s->slots);
    world_settings(w);
    w->front_age = w->again_age = w->pace_age = WORLD_NO_AGE;
    for (int i = 0; s->lines[i]; i++) {
        w->fates[i].open = (uint8_t)((1U << world_line_of(s, i)->parts) - 1);
        w->fates[i].copy = world_line_of(s, i)->replay;
    }
}

/* --- what the world knows ----------------------------------------------------------------------------- */

bool world_is_up(const struct world *w)
{
    return w->process == PROCESS_RUNS && w->core.worker == GATE_WORKER_UP;
}

bool world_in_flight(const struct world *w, int i)
{
    const struct fate *f = &w->fates[i];
    return w->process == PROCESS_RUNS && f->slot && f->open && f->sent_to == w->generation && !f->again &&
           !f->may_fail;
}

int world_count_in_flight(const struct world *w)
{
    int count = 0;
    for (int i = 0; i < w->taken; i++)
        count += world_in_flight(w, i);
    return count;
}

int world_first_again(const struct world *w)
{
    for (int i = 0; i < w->taken; i++)
        if (w->fates[i].again)
            return i;
    return -1;
}

/* One that was sent again is in flight: nothing goes beside it. */
bool world_is_alone(const struct world *w)
{
    for (int i = 0; i < w->taken; i++)
        if (world_in_flight(w, i) && w->fates[i].resent)
            return true;
    return false;
}

bool world_mid_alive(const struct world *w)
{
    return w->mid && world_is_up(w) && w->mid_generation == w->generation;
}

bool world_rate_forbids(const struct world *w)
{
    return w->flow == GATE_FLOW_PACED && w->pace_interval > 0 && w->pace_age < w->pace_interval;
}

bool world_is_held(const struct world *w)
{
    return w->flow == GATE_FLOW_HELD || w->drain;
}

/* No worker may come: the gate is to be over as soon as nothing runs. `now`: the core's state. */
bool world_over_due(const struct world *w, enum gate_worker now)
{
    bool first = w->generation == 0 && (now == GATE_WORKER_NONE || now == GATE_WORKER_ASKED);
    return w->stopped || w->over_by_clean || (w->closed && !first);
}

bool world_rejects(const struct world *w)
{
    return w->core.worker == GATE_WORKER_DOWN || w->core.worker == GATE_WORKER_OVER;
}

int world_line_in_slot(const struct world *w, int slot)
{
    for (int i = 0; i < w->taken; i++)
        if (slot >= 0 && w->fates[i].slot == slot + 1)
            return i;
    return -1;
}

void world_none_again(struct world *w, uint8_t failure)
{
    for (int i = 0; i < w->taken; i++)
        if (w->fates[i].again) {
            w->fates[i].again = false;
            w->fates[i].may_fail = failure;
        }
}

void world_orders_end(struct world *w)
{
    w->flow = GATE_FLOW_OPEN;
    w->drain = false;
    w->bound_owed = true;
    w->pace_age = WORLD_NO_AGE;
}

enum gate_why world_front_why(const struct world *w, const struct world_line *line)
{
    if (!world_is_up(w))
        return GATE_WHY_WORKER;
    if (line->kind == GATE_LINE_RESPONSE)
        return GATE_WHY_NONE;
    if (world_is_held(w))
        return GATE_WHY_ORDER;
    if (world_first_again(w) >= 0 || world_is_alone(w))
        return GATE_WHY_TURN;
    if (line->parts > 0 && w->flow == GATE_FLOW_PACED && w->pace_count &&
        world_count_in_flight(w) >= w->pace_count)
        return GATE_WHY_ORDER;
    if (world_rate_forbids(w))
        return GATE_WHY_RATE;
    return line->parts > 0 && w->core.used >= w->s->slots ? GATE_WHY_SLOTS : GATE_WHY_NONE;
}

enum gate_why world_again_why(const struct world *w)
{
    if (world_first_again(w) < 0)
        return GATE_WHY_NONE;
    if (!world_is_up(w))
        return GATE_WHY_WORKER;
    if (world_count_in_flight(w) > 0 || world_mid_alive(w))
        return GATE_WHY_TURN;
    if (world_is_held(w))
        return GATE_WHY_ORDER;
    return world_rate_forbids(w) ? GATE_WHY_RATE : GATE_WHY_NONE;
}

/* --- what must be true after every call --------------------------------------------------------------------- */

void world_check_books(struct world *w)
{
    const struct gate_core *c = &w->core;
    uint32_t used = 0, sent = 0, again = 0;
    for (int i = 0; i < w->taken; i++) {
        const struct fate *f = &w->fates[i];
        if (!f->slot)
            continue;
        const struct gate_slot *slot = &c->slots[f->slot - 1];
        HOLDS(w, f->open);
        HOLDS(w, (slot->state == GATE_SLOT_AGAIN) == f->again);
        HOLDS(w, (slot->state == GATE_SLOT_FAILED) == (f->may_fail != 0));
        HOLDS(w, (slot->state == GATE_SLOT_SENT) == world_in_flight(w, i));
        used++;
        sent += world_in_flight(w, i);
        again += f->again;
    }
    HOLDS(w, c->used == used && c->sent == sent && c->to_send == again);
    HOLDS(w, c->flow == w->flow && c->drain == w->drain);
}

/* The move that a call made. */
void world_follow(struct world *w, enum gate_worker from)
{
    enum gate_worker to = w->core.worker;
    if (from == to)
        return;
    world_moves[from][to] += world_counts_moves;
    HOLDS(w, gate_core_may_move(from, to));
    if (to == GATE_WORKER_UP) {
        HOLDS(w, w->handshaken == w->s->handshakes && !w->handshake_failed);
        w->ready_owed = true;
        if (w->drain && w->drain_generation != w->generation)
            w->drain = false;
    }
    if (to == GATE_WORKER_OVER) {
        HOLDS(w, world_over_due(w, from));
        world_none_again(w, BIT(ENDED));
    }
}
