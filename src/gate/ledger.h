/* SPDX-License-Identifier: MIT */
/*
 * What is open: for each slot of the core the ids that await an answer, in the order they stand in the line, and what goes
 * with the line. Found by id, the oldest first (a server that uses an id twice gets its answers in order).
 *
 * No I/O, no allocation; ids come from one pool, because most lines have one and a few have many.
 */
#ifndef WEIR_GATE_LEDGER_H
#define WEIR_GATE_LEDGER_H

#include "copies.h"
#include "core.h"
#include "scan.h"

#define LEDGER_IDS_MAX                                                                                       \
    1024U /* chosen: four for each slot; a line whose ids do not fit is passed on and not followed */
#define LEDGER_CHAINS 256U /* chosen: a slot each on average; a power of two */
#define LEDGER_NONE   UINT16_MAX

struct ledger_id {
    struct scan_id id;
    uint64_t since_us; /* when it first passed */
    uint16_t method;   /* figures.h */
    uint16_t slot;
    uint16_t next_of_chain, next_of_slot;
};

/* What the ledger's user keeps of a line. */
struct ledger_line {
    struct copy copy;
    bool handshake;         /* its method is in the setting's list; then */
    uint8_t handshake_at;   /* the place there */
    bool alone;             /* nothing else was in flight since it was sent, and */
    uint64_t memory_before; /* memory.current then */
    uint64_t offset;        /* where it begins in what was written to the worker */
};

struct ledger_slot {
    uint16_t first, last, count; /* of its open ids */
    bool is_batch;
    struct ledger_line line;
};

struct ledger {
    uint16_t chain_first[LEDGER_CHAINS], chain_last[LEDGER_CHAINS];
    uint16_t free_first, fresh; /* ids that were used before; how many ever were */
    uint32_t used;
    struct ledger_slot slots[GATE_SLOTS_MAX];
    struct ledger_id ids[LEDGER_IDS_MAX];
};

void ledger_init(struct ledger *l);

/* Whether every request of the line can be followed: ids of ordinary length, none left out, room for all. */
bool ledger_can_follow(const struct ledger *l, const struct scan_line *line);
/* The open ids of a slot that is free: the requests of the line. methods: of each message of the line. */
void ledger_open(struct ledger *l, int slot, const struct scan_line *line, const uint16_t *methods,
                 uint64_t now_us);
/* The place in ids of the oldest open one that means the same; LEDGER_NONE = there is none. */
uint16_t ledger_find(const struct ledger *l, const struct scan_id *id);
/* It is answered. True: it was the last one of its slot. */
bool ledger_answer(struct ledger *l, uint16_t at);
/* Forgets what is open of a slot. The copy is the caller's. */
void ledger_close(struct ledger *l, int slot);

#endif
