/* SPDX-License-Identifier: MIT */
/* What the commands that read the record have in common: which supervisor, which run, which unit, what time. */
#ifndef WEIR_CLI_QUERY_H
#define WEIR_CLI_QUERY_H

#include "weir/cli/cli.h"
#include "weir/store/store.h"

struct cli_query {
    struct cli_target target;
    struct store_reader *reader;
    struct store_filter
        filter;        /* of --run, --unit, --since, --until, --limit; the last run unless told otherwise */
    uint64_t last_run; /* newest run in the file */
};

/* Finds the target, opens its history and fills the filter; tells what is wrong on stderr. A cli_exit. */
int cli_query_open(const struct cli_args *args, struct cli_query *ret);
void cli_query_close(struct cli_query *q);

/* "weir: TEXT" on stderr for a failed read; CLI_EXIT_FAILED. */
int cli_read_failed(const struct cli_query *q, int error);

/* Reads a run's number; "last" (or NULL) is `last`, "all" is 0. Negative errno. */
int cli_parse_run(const char *text, uint64_t last, uint64_t *ret);

#endif
