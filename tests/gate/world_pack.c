/* SPDX-License-Identifier: MIT */
/* A world as bytes, and back. */
#include "world_inside.h"

#include <string.h>

/* Only the slots that there are: a core is copied very often. */
size_t world_core_size(const struct world *w)
{
    return offsetof(struct gate_core, slots) + w->s->slots * sizeof(struct gate_slot);
}

void world_copy(struct world *to, const struct world *from)
{
    memcpy(to, from, offsetof(struct world, core) + world_core_size(from));
}

struct tape {
    struct world *w;
    uint8_t *bytes;
    size_t n;
    bool reads;
};

static uint64_t tape_number(struct tape *t, uint64_t value)
{
    if (t->reads)
        return t->bytes[t->n++];
    HOLDS(t->w, value <= 0xff);
    t->bytes[t->n++] = (uint8_t)value;
    return value;
}

/* A time as its age; one older than `most` is as old as that. */
static void tape_time(struct tape *t, uint64_t *t_us, uint64_t most)
{
    uint64_t age_us = *t_us == UINT64_MAX ? WORLD_NO_AGE : WORLD_NOW_US - *t_us;
    if (age_us != WORLD_NO_AGE && age_us > most)
        age_us = most;
    age_us = tape_number(t, age_us);
    *t_us = age_us == WORLD_NO_AGE ? UINT64_MAX : WORLD_NOW_US - age_us;
}

#define NUMBER(field) (field) = (__typeof__(field))tape_number(t, (uint64_t)(field))

static void tape_slot(struct tape *t, struct gate_slot *s)
{
    uint8_t flags = (uint8_t)(s->state | s->failure << 2 | s->replay << 4 | s->touched << 5 | s->unread << 6);
    NUMBER(flags);
    s->state = flags & 3;
    s->failure = flags >> 2 & 3;
    s->replay = flags >> 4 & 1;
    s->touched = flags >> 5 & 1;
    s->unread = flags >> 6 & 1;
    NUMBER(s->tries);
    NUMBER(s->generation);
    NUMBER(s->order);
}

static void tape_flags(struct tape *t, bool *const flags[], size_t count)
{
    for (size_t from = 0; from < count; from += 8) {
        uint8_t byte = 0;
        for (size_t i = from; i < count && i < from + 8; i++)
            byte = (uint8_t)(byte | *flags[i] << (i - from));
        NUMBER(byte);
        for (size_t i = from; i < count && i < from + 8; i++)
            *flags[i] = byte >> (i - from) & 1;
    }
}

static void tape_core(struct tape *t, struct gate_core *c)
{
    bool *const flags[] = {
        &c->handshake_sent, &c->handshake_failed, &c->ready_due,    &c->kill_due,  &c->exit_due,
        &c->server_closed,  &c->stopped,          &c->stdin_closed, &c->bound_due, &c->drain,
        &c->drain_told,     &c->passing,          &c->alone};
    tape_flags(t, flags, sizeof(flags) / sizeof(flags[0]));
    NUMBER(c->worker);
    NUMBER(c->generation);
    NUMBER(c->handshake_next);
    NUMBER(c->handshake_count);
    NUMBER(c->flow);
    NUMBER(c->pace_inflight);
    NUMBER(c->pace_interval_us);
    tape_time(t, &c->pace_last_us, 2);
    NUMBER(c->drain_generation);
    NUMBER(c->passing_generation);
    NUMBER(c->front.why);
    tape_time(t, &c->front.since_us, t->w->s->patience);
    NUMBER(c->again.why);
    tape_time(t, &c->again.since_us, t->w->s->patience);
    tape_time(t, &c->blocked_since_us, 0); /* for figures only: nothing is decided by it */
    if (c->impatient_since_us != WORLD_NOW_US)
        c->impatient_since_us = UINT64_MAX; /* only "now" counts */
    tape_time(t, &c->impatient_since_us, 0);
    NUMBER(c->next_order);
    NUMBER(c->used);
    NUMBER(c->sent);
    NUMBER(c->to_send);
    NUMBER(c->failed);
    for (int i = 0; i < t->w->s->slots; i++)
        tape_slot(t, &c->slots[i]);
}

static void tape_world(struct tape *t, struct world *w)
{
    bool *const flags[] = {
        &w->front,  &w->mid,          &w->mid_begun,     &w->closed,           &w->stopped,       &w->exited,
        &w->killed, &w->stdin_closed, &w->handshake_out, &w->handshake_failed, &w->over_by_clean, &w->drain,
        &w->told,   &w->bound_owed,   &w->ready_owed,    &w->reloaded,         &w->impatient_now};
    tape_flags(t, flags, sizeof(flags) / sizeof(flags[0]));
    for (int i = 0; w->s->lines[i]; i++) {
        struct fate *f = &w->fates[i];
        bool *const fate_flags[] = {&f->again, &f->touched, &f->copy, &f->resent};
        tape_flags(t, fate_flags, 4);
        NUMBER(f->slot);
        NUMBER(f->open);
        NUMBER(f->sends);
        NUMBER(f->sent_to);
        NUMBER(f->may_fail);
    }
    NUMBER(w->taken);
    NUMBER(w->mid_generation);
    NUMBER(w->process);
    NUMBER(w->generation);
    NUMBER(w->last_sent);
    NUMBER(w->handshaken);
    NUMBER(w->flow);
    NUMBER(w->pace_count);
    NUMBER(w->pace_interval);
    NUMBER(w->pace_age);
    NUMBER(w->drain_generation);
    NUMBER(w->orders);
    NUMBER(w->refusals);
    NUMBER(w->front_age);
    NUMBER(w->again_age);
    if (t->reads)
        world_settings(w);
}

#undef NUMBER

/* Books of what is over say nothing any more, and must not keep equal states apart. */
static void forget(struct world *w)
{
    if (w->process != PROCESS_RUNS) {
        w->last_sent = w->handshaken = 0;
        w->handshake_out = w->handshake_failed = w->killed = w->stdin_closed = false;
    }
    if (!w->mid)
        w->mid_generation = 0;
    if (w->flow != GATE_FLOW_PACED)
        w->pace_count = w->pace_interval = 0;
    if (!w->drain) {
        w->told = false;
        w->drain_generation = 0;
    }
    for (int i = 0; i < w->taken; i++)
        if (!w->fates[i].open)
            w->fates[i] = (struct fate){0};
}

size_t world_pack(struct world *w, uint8_t *bytes)
{
    static struct world back;
    forget(w);
    struct tape t = {.w = w, .bytes = bytes};
    tape_core(&t, &w->core);
    tape_world(&t, w);
    /* all of the core is in the bytes: a field that is not known here must not go unnoticed */
    world_unpack(&back, w->s, bytes);
    HOLDS(w, memcmp(&back.core, &w->core, world_core_size(w)) == 0);
    return t.n;
}

void world_unpack(struct world *w, const struct scenario *s, const uint8_t *bytes)
{
    world_init(w, s);
    struct tape t = {.w = w, .bytes = (uint8_t *)(uintptr_t)bytes, .reads = true};
    tape_core(&t, &w->core);
    tape_world(&t, w);
}
