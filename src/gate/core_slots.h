/* SPDX-License-Identifier: MIT */
/* What core.c needs of core_slots.c. Nothing else includes this. */
#ifndef WEIR_GATE_CORE_SLOTS_H
#define WEIR_GATE_CORE_SLOTS_H

#include "core.h"

/* A free one for the line that was passing, its state still FREE: the caller sets it. -1: the line awaits no answer, or
 * all are in use. */
int slots_take(struct gate_core *c, enum gate_line line, bool replay);
/* The oldest in that state, or -1. */
int slots_first(const struct gate_core *c, enum gate_slot_state state);
/* Not counted in any state any more. */
void slots_free(struct gate_core *c, int slot);
/* Its worker ended before it was answered: AGAIN or FAILED. */
void slots_outlived(struct gate_core *c, int slot);
/* Those that were to be sent again are FAILED. */
void slots_give_up(struct gate_core *c, enum gate_failure failure);

#endif
