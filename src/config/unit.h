/* SPDX-License-Identifier: MIT */
/* What the files of the config layer share about units: variables and their file. */
#ifndef WEIR_CONFIG_UNIT_H
#define WEIR_CONFIG_UNIT_H

#include <stdbool.h>
#include <stddef.h>

#include "weir/config/config.h"
#include "why.h"

/* The index of the unit of that name; unit_count when there is none. */
uint32_t unit_index(const struct config *c, const char *name);

/* Letters, digits and '_', no digit first. */
bool environment_name_is_valid(const char *name, size_t length);

/* Whether the list sets the variable of that name. */
bool environment_has(char *const *environment, const char *name, size_t length);

/* Reads unit->environment_file and puts its variables in front of unit->environment, which wins where both
 * name one. 0, -EINVAL (why: the reason) or -ENOMEM; the unit is untouched on failure. */
int environment_file_read(struct config_unit *unit, struct why *why);

#endif
