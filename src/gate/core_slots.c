/* SPDX-License-Identifier: MIT */
/*
 * The slots of a gate's core: lines that were sent to a worker and are not answered yet, and what becomes of one when its
 * worker ends before that. Who may send it when is core.c's.
 *
 * Invariant: `used` is the number of slots that are not free, `sent`, `to_send` and `failed` of those in each state; a
 * free slot is all 0. slots_outlived() leaves `sent` to its caller, who goes through all of them.
 */
#include "core_slots.h"

#include <assert.h>
#include <string.h>

void slots_free(struct gate_core *c, int slot)
{
    memset(&c->slots[slot], 0, sizeof(c->slots[slot]));
    c->used--;
}

static void fail(struct gate_core *c, struct gate_slot *s, enum gate_failure failure)
{
    s->state = GATE_SLOT_FAILED;
    s->failure = (uint8_t)failure;
    c->failed++;
}

void slots_outlived(struct gate_core *c, int slot)
{
    struct gate_slot *s = &c->slots[slot];
    bool may = (s->replay || s->unread) && !s->touched;
    if (s->unread)
        s->tries--;
    s->unread = false;
    if (may && s->tries > c->replay_max) {
        fail(c, s, s->tries > 1 ? GATE_FAILURE_POISON : GATE_FAILURE_ENDED);
    } else if (!may || c->worker == GATE_WORKER_OVER) {
        fail(c, s, GATE_FAILURE_ENDED);
    } else if (c->worker == GATE_WORKER_DOWN) {
        fail(c, s, GATE_FAILURE_DOWN);
    } else {
        s->state = GATE_SLOT_AGAIN;
        c->to_send++;
    }
}

void slots_give_up(struct gate_core *c, enum gate_failure failure)
{
    for (uint32_t i = 0; i < c->slot_limit && c->to_send > 0; i++)
        if (c->slots[i].state == GATE_SLOT_AGAIN) {
            fail(c, &c->slots[i], failure);
            c->to_send--;
        }
}

int slots_first(const struct gate_core *c, enum gate_slot_state state)
{
    int first = -1;
    for (uint32_t i = 0; i < c->slot_limit; i++)
        if (c->slots[i].state == state && (first < 0 || c->slots[i].order < c->slots[first].order))
            first = (int)i;
    return first;
}

int slots_take(struct gate_core *c, enum gate_line line, bool replay)
{
    if (line != GATE_LINE_REQUEST || c->used == c->slot_limit)
        return -1;
    int slot = 0; /* the first that is free, without a look at the rest: each request comes by here */
    while (c->slots[slot].state != GATE_SLOT_FREE)
        slot++;
    struct gate_slot *s = &c->slots[slot];
    s->replay = replay;
    s->tries = 1;
    s->generation = c->passing_generation;
    s->order = ++c->next_order;
    c->used++;
    return slot;
}

bool gate_core_answered(struct gate_core *c, int slot, uint32_t generation, bool last)
{
    if (slot < 0 || (uint32_t)slot >= c->slot_limit)
        return false;
    struct gate_slot *s = &c->slots[slot];
    if (s->state != GATE_SLOT_SENT || s->generation != generation)
        return false;
    if (!last) {
        s->touched = true;
        return true;
    }
    c->sent--;
    c->alone = c->alone && c->sent > 0;
    slots_free(c, slot);
    return true;
}

void gate_core_unread(struct gate_core *c, int slot)
{
    assert(c->slots[slot].state == GATE_SLOT_SENT && c->slots[slot].generation == c->generation);
    c->slots[slot].unread = true;
}

void gate_core_copy_lost(struct gate_core *c, int slot)
{
    assert(slot >= 0 && (uint32_t)slot < c->slot_limit);
    struct gate_slot *s = &c->slots[slot];
    s->replay = s->unread = false;
    if (s->state == GATE_SLOT_AGAIN) {
        c->to_send--;
        fail(c, s, GATE_FAILURE_ENDED);
    }
}
