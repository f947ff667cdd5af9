/* SPDX-License-Identifier: MIT */
/* What wrap.c and gates.c share: a process that waits for its place in a wrapped unit's cgroup. */
#ifndef WEIR_APP_WRAP_H
#define WEIR_APP_WRAP_H

#include "supervisor.h"

struct gate_link;

/* The service unit whose cgroup the process is in; UNIT_NONE = none of this supervisor's. */
uint16_t wrap_unit_of_process(struct supervisor *s, pid_t pid);

/* A gate's child asks to be the unit's process. Answered by gates_answer(), maybe at once. */
void wrap_ask(struct unit_runtime *u, uint16_t via, pid_t pid, struct gate_link *gate);
/* NAME=value to add to the environment of the unit's process, or "". buf: WRAP_ENVIRONMENT_MAX bytes. Returns buf. */
const char *wrap_environment(const struct unit_runtime *u, char *buf);

/* The link ends: its child is asked for no more. */
void wrap_forget_gate(struct supervisor *s, const struct gate_link *gate);

#endif
