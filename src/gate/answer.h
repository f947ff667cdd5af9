/* SPDX-License-Identifier: MIT */
/* The lines the gate answers in a worker's place: JSON-RPC errors that name what happened. No I/O. */
#ifndef WEIR_GATE_ANSWER_H
#define WEIR_GATE_ANSWER_H

#include "core.h"
#include "figures.h"
#include "ledger.h"

#define ANSWER_ERROR_CODE (-32001) /* of JSON-RPC's range for servers' own errors, -32000 to -32099 */

struct answer {
    const char *unit, *cause; /* cause: what the worker died of, or why there is none; "" = not known */
    enum gate_failure failure;
    uint32_t generation, tries;
};

const char *answer_failure_name(enum gate_failure failure);

/* The error for each open id of the slot, in a line with its newline: an array when the slot is a batch.
 * malloc'ed, *ret_size long; NULL: no memory. */
char *answer_for_slot(const struct answer *a, const struct ledger *l, int slot, const struct figures *f,
                      size_t *ret_size);
/* The same for the requests of a line that never had a slot. NULL and *ret_size 0 also when there are none. */
char *answer_for_line(const struct answer *a, const struct scan_line *line, size_t *ret_size);

#endif
