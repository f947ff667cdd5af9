/* SPDX-License-Identifier: MIT */
/* `weir replay -c CONFIG`: a policy tried on a run or a trace, once or for each value of a sweep. */
#ifndef WEIR_CLI_REPLAY_WHATIF_H
#define WEIR_CLI_REPLAY_WHATIF_H

#include "replay-try.h"

/* A cli_exit, after telling. */
int replay_whatif(const struct cli_args *args);

/* What is tried on what. */
struct trial {
    const struct cli_args *args;
    struct replay_input in;
    struct config config;
    uint16_t unit;         /* of the input: the one that -u names, or that stands alone; UNIT_NONE = all */
    const char *unit_name; /* a trace: which of the config's units it stands for; a run: of `unit`, or NULL */
};

/* `--sweep`. A cli_exit, after telling. */
int replay_sweep(struct trial *t);

#endif
