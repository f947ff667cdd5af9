/* SPDX-License-Identifier: MIT */
/* What a try says: decisions as they come, then sums and assumptions. */
#ifndef WEIR_CLI_REPLAY_PRINT_H
#define WEIR_CLI_REPLAY_PRINT_H

#include <jansson.h>

#include "replay-try.h"
#include "table.h"

struct report {
    const struct attempt *attempt;
    const struct config *config;
    const char *config_path;
    const char *const *names; /* of the units of the input */
    uint16_t unit;            /* only this one; UNIT_NONE = all */
    bool all;                 /* steps and marks, too */
    enum cli_format format;
    struct table *table; /* table, CSV */
    json_t *decisions;   /* JSON */
    bool *parted;        /* by unit: the row that says so is out */
};

int report_begin(struct report *r);                                    /* 0, or a cli_exit after telling */
int report_decision(void *user, const struct decision *d, bool model); /* a whatif_fn; user: the report */
void report_end(struct report *r, bool complete);

/* "21.000s", from an hour on "1:02:03.000". Returns buf. */
#define REPLAY_TIME_MAX 32
const char *replay_time(uint64_t us, char buf[static REPLAY_TIME_MAX]);

#endif
