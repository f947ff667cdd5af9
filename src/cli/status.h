/* SPDX-License-Identifier: MIT */
/* Prints the status document; returns a cli_exit. */
#ifndef WEIR_CLI_STATUS_H
#define WEIR_CLI_STATUS_H

#include <jansson.h>

#include "weir/cli/cli.h"

int status_print(json_t *root, const struct cli_args *args);

#endif
