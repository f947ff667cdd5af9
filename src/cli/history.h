/* SPDX-License-Identifier: MIT */
/* The kinds of `weir history`, and the figures they share with explain. */
#ifndef WEIR_CLI_HISTORY_H
#define WEIR_CLI_HISTORY_H

#include "query.h"

/* Each prints its table; a cli_exit. */
int history_pressure(struct cli_query *q, const struct cli_args *args);
int history_gate(struct cli_query *q, const struct cli_args *args);
int history_restarts(struct cli_query *q, const struct cli_args *args);

/* Stalled share of the time between two samples of one generation, in permyriad, from the kernel's totals.
 * False: one of them lacks the figure, or it went backwards, or no time passed. */
bool history_share(const struct sample *from, const struct sample *to, enum sample_field field,
                   uint64_t *ret);

#endif
