/* SPDX-License-Identifier: MIT */
/*
 * What workers have asked the server, so that a response to one that has ended does not reach the next: that one counts its
 * requests from the beginning, too, and would take it for its own. The oldest question of an id is the one that is answered.
 *
 * No I/O, no allocation. Beyond ASKED_MAX the oldest is forgotten: its response passes, as it would if nobody looked.
 */
#ifndef WEIR_GATE_ASKED_H
#define WEIR_GATE_ASKED_H

#include "scan.h"

#define ASKED_MAX 256U /* chosen: workers rarely ask at all */

struct asked {
    uint32_t first, count; /* a ring, the oldest first */
    struct {
        uint64_t hash; /* of kind and key: one in 2^64 of being wrong */
        uint32_t life; /* of which worker; 0 = answered */
    } entry[ASKED_MAX];
};

void asked_add(struct asked *a, const struct scan_id *id, uint32_t life);
/* The one that a response with that id is for is of another worker than `life`. */
bool asked_is_stale(const struct asked *a, const struct scan_id *id, uint32_t life);
/* It is answered. */
void asked_forget(struct asked *a, const struct scan_id *id);

#endif
