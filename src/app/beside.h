/* SPDX-License-Identifier: MIT */
/*
 * The next process of a unit with a gate, made ready beside the present one (gate_overlap).
 *
 *   PREPARE -> the gate forks it and asks -> a second cgroup with the unit's limits, the child moved into it, GO
 *           -> READY: the outcome of PREPARE. The engine drains and ends the present one, whose cgroup is removed
 *           -> the gate asks for a successor and names the one that is ready: its cgroup becomes the unit's
 *
 * A unit has two cgroup names, its own and its own with '~' (no unit can have that in its name), and uses them in turn.
 * What is prepared is not sampled before it is the unit's process; its limits hold all the same.
 */
#ifndef WEIR_APP_BESIDE_H
#define WEIR_APP_BESIDE_H

#include "gates.h"

#define BESIDE_NAME_MAX (UNIT_NAME_MAX + 2)
/* The unit's first or second cgroup name. Returns buf. */
const char *beside_name(const char *unit, bool second, char buf[static BESIDE_NAME_MAX]);

/* PREPARE: asks the gate. The outcome is posted here, or when the gate tells. */
void beside_prepare(struct unit_runtime *u, const struct decision *d);
/* The gate's child `pid` asks to be prepared: places it. 0, or why not. */
int beside_place(struct unit_runtime *u, pid_t pid, struct err *reterr);
/* It is ready, or it ended. */
void beside_is_ready(struct unit_runtime *u);
void beside_has_ended(struct unit_runtime *u, int status);
/* It becomes the unit's process: its cgroup the unit's. False: pid is not the one that was prepared. */
bool beside_take_over(struct unit_runtime *u, pid_t pid);
/* Ends it and removes its cgroup, if there is one. */
void beside_discard(struct unit_runtime *u);
/* What an earlier weir left under the name that the unit does not use now. */
void beside_clean_up(struct unit_runtime *u);

#endif
