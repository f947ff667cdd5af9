/* SPDX-License-Identifier: MIT */
/*
 * The supervisor: one process that launches the units of one config, watches them and intervenes.
 */
#ifndef WEIR_APP_SUPERVISOR_H
#define WEIR_APP_SUPERVISOR_H

#include <stdbool.h>

#include "weir/base/err.h"
#include "weir/config/config.h"
#include "weir/host/host.h"

struct supervisor_options {
    struct config *config;        /* taken over: freed with the supervisor, also on failure */
    const struct host_info *info; /* copied */
    struct host *host;            /* taken over; NULL = opened by the supervisor (host_open) */
    bool echo;                    /* print the units' output to stderr too */
};

/*
 * Runs until its units have ended or it is told to stop. Blocks. Returns the exit status (0: everything was
 * stopped or ended well, 1: a unit failed) or a negative errno with reterr when it could not begin:
 * -EBUSY: another supervisor of that name runs.
 */
int supervisor_run(const struct supervisor_options *options, struct err *reterr);

/* What a supervisor on this host can do for a unit (enum host_ability). */
uint32_t supervisor_abilities(const struct host_info *info);

/*
 * The other end of a wrap: this process was started by a unit under a name that is weir (execfn is the path
 * it was executed by, .../wrap/NAME). Asks the supervisor for the unit's cgroup and then becomes the real
 * command. Returns only on failure, with the exit status to end with, after printing why.
 */
int shim_main(const char *execfn, char **argv);

/* Is execfn such a path? Its folder is called "wrap" and "wrap.sock" stands beside that folder. */
bool shim_is_wrapped(const char *execfn);

#endif
