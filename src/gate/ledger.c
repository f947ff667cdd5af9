/* SPDX-License-Identifier: MIT */
/* Open ids; see the header. */
#include "ledger.h"

#include <string.h>

void ledger_init(struct ledger *l)
{
    /* the ids stay untouched until they are used */
    for (unsigned i = 0; i < LEDGER_CHAINS; i++)
        l->chain_first[i] = l->chain_last[i] = LEDGER_NONE;
    l->free_first = LEDGER_NONE;
    l->fresh = 0;
    l->used = 0;
    for (unsigned i = 0; i < GATE_SLOTS_MAX; i++)
        l->slots[i] = (struct ledger_slot){.first = LEDGER_NONE, .last = LEDGER_NONE};
}

/* FNV-1a: ids are short. */
static unsigned chain_of(const struct scan_id *id)
{
    uint32_t hash = UINT32_C(2166136261) ^ (uint32_t)id->kind;
    for (unsigned i = 0; i < id->key_length; i++)
        hash = (hash ^ (uint8_t)id->key[i]) * UINT32_C(16777619);
    return (hash ^ hash >> 16) % LEDGER_CHAINS;
}

static bool is_same(const struct scan_id *a, const struct scan_id *b)
{
    return a->kind == b->kind && a->key_length == b->key_length && memcmp(a->key, b->key, a->key_length) == 0;
}

static bool is_followed(const struct scan_id *id)
{
    return id->kind == SCAN_ID_NUMBER || id->kind == SCAN_ID_STRING;
}

bool ledger_can_follow(const struct ledger *l, const struct scan_line *line)
{
    uint32_t requests = 0;
    for (uint32_t i = 0; i < line->count; i++) {
        if (line->message[i].kind != SCAN_REQUEST)
            continue;
        if (!is_followed(&line->message[i].id))
            return false;
        requests++;
    }
    return line->untold == 0 && l->used + requests <= LEDGER_IDS_MAX;
}

static uint16_t take_free(struct ledger *l)
{
    uint16_t at = l->free_first;
    if (at == LEDGER_NONE)
        at = l->fresh++;
    else
        l->free_first = l->ids[at].next_of_slot;
    l->used++;
    return at;
}

static void copy_id(struct scan_id *to, const struct scan_id *from)
{
    to->kind = from->kind;
    to->raw_length = from->raw_length;
    to->key_length = from->key_length;
    memcpy(to->raw, from->raw, from->raw_length);
    memcpy(to->key, from->key, from->key_length);
}

static void append(struct ledger *l, int slot, uint16_t at)
{
    struct ledger_slot *s = &l->slots[slot];
    unsigned chain = chain_of(&l->ids[at].id);
    if (l->chain_first[chain] == LEDGER_NONE)
        l->chain_first[chain] = at;
    else
        l->ids[l->chain_last[chain]].next_of_chain = at;
    l->chain_last[chain] = at;
    if (s->first == LEDGER_NONE)
        s->first = at;
    else
        l->ids[s->last].next_of_slot = at;
    s->last = at;
    s->count++;
}

void ledger_open(struct ledger *l, int slot, const struct scan_line *line, const uint16_t *methods,
                 uint64_t now_us)
{
    l->slots[slot].is_batch = line->is_batch;
    for (uint32_t i = 0; i < line->count; i++) {
        if (line->message[i].kind != SCAN_REQUEST)
            continue;
        uint16_t at = take_free(l);
        struct ledger_id *id = &l->ids[at];
        copy_id(&id->id, &line->message[i].id);
        id->since_us = now_us;
        id->method = methods[i];
        id->slot = (uint16_t)slot;
        id->next_of_chain = id->next_of_slot = LEDGER_NONE;
        append(l, slot, at);
    }
}

uint16_t ledger_find(const struct ledger *l, const struct scan_id *id)
{
    if (!is_followed(id))
        return LEDGER_NONE;
    uint16_t at = l->chain_first[chain_of(id)];
    while (at != LEDGER_NONE && !is_same(&l->ids[at].id, id))
        at = l->ids[at].next_of_chain;
    return at;
}

static void leave_chain(struct ledger *l, uint16_t at)
{
    unsigned chain = chain_of(&l->ids[at].id);
    uint16_t before = LEDGER_NONE;
    for (uint16_t i = l->chain_first[chain]; i != at; i = l->ids[i].next_of_chain)
        before = i;
    if (before == LEDGER_NONE)
        l->chain_first[chain] = l->ids[at].next_of_chain;
    else
        l->ids[before].next_of_chain = l->ids[at].next_of_chain;
    if (l->chain_last[chain] == at)
        l->chain_last[chain] = before;
}

static void leave_slot(struct ledger *l, uint16_t at)
{
    struct ledger_slot *s = &l->slots[l->ids[at].slot];
    uint16_t before = LEDGER_NONE;
    for (uint16_t i = s->first; i != at; i = l->ids[i].next_of_slot)
        before = i;
    if (before == LEDGER_NONE)
        s->first = l->ids[at].next_of_slot;
    else
        l->ids[before].next_of_slot = l->ids[at].next_of_slot;
    if (s->last == at)
        s->last = before;
    s->count--;
}

bool ledger_answer(struct ledger *l, uint16_t at)
{
    uint16_t slot = l->ids[at].slot;
    leave_chain(l, at);
    leave_slot(l, at);
    l->ids[at].next_of_slot = l->free_first;
    l->free_first = at;
    l->used--;
    return l->slots[slot].count == 0;
}

void ledger_close(struct ledger *l, int slot)
{
    while (l->slots[slot].count > 0)
        (void)ledger_answer(l, l->slots[slot].first);
}
