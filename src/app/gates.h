/* SPDX-License-Identifier: MIT */
/*
 * The supervisor's side of the gates: a link to each weir-gate process (weir/gate/link.h), by unit.
 *
 * A gate connects by itself, stands for one worker at a time, and outlives this supervisor. What it tells becomes
 * events (ARRIVED, READY, EXITED's status, the outcome of a DRAIN, GATE_LOST), figures in the samples and rows of the
 * record; what the engine decides about requests is sent to it as an order. Nothing here decides anything.
 */
#ifndef WEIR_APP_GATES_H
#define WEIR_APP_GATES_H

#include "supervisor.h"
#include "weir/gate/link.h"

struct gate_link;

/* Where units have a gate: the socket, and the program that shims become. Nothing without such units. */
int gates_open(struct supervisor *s, struct err *reterr);
void gates_close(struct supervisor *s);
/* What a shim is to exec; NULL: no unit has a gate. */
const char *gates_program(const struct supervisor *s);

/* Is a gate connected that stands for the unit? */
bool gates_has(const struct unit_runtime *u);
/* None is connected, but one lives and will be: it connects again within a second. */
bool gates_may_come(const struct unit_runtime *u);
/* The decision as an order to every gate of the unit, now or as soon as it connects. -ENOTCONN: there is none. */
int gates_order(struct unit_runtime *u, const struct decision *d, struct err *reterr);
/* weir is about to end the unit's processes: their end is not of their own accord. */
void gates_ending(struct unit_runtime *u);
/* The engine knows of the end: in words, for the callers whose requests it cost. */
void gates_tell_cause(struct unit_runtime *u, const struct event *exited);
/* What was refused may be allowed now. */
void gates_ask_again(struct unit_runtime *u);
/* The answer to the child that a gate has waiting. Forgets the link's question. */
void gates_answer(struct gate_link *link, struct unit_runtime *u, bool go, const char *text);
/* Exit status of the unit's main process as its parent, the gate, saw it. False: not told (yet). */
bool gates_exit_status(const struct unit_runtime *u, int *ret_status);

/* The unit's process is a gate's child, and that gate is dead. */
bool gates_are_lost(const struct unit_runtime *u);

void gates_fill_sample(const struct unit_runtime *u, struct sample *s);
/* After a reload: settings. */
void gates_tell_settings(struct supervisor *s);
/* Once a tick: gates that are stopped or gone, figures for the record. */
void gates_tick(struct supervisor *s);

/* The sum over the unit's gates; returns how many there are. */
unsigned gates_state(const struct unit_runtime *u, struct gate_state *ret);

#endif
