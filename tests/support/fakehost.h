/* SPDX-License-Identifier: MIT */
/*
 * A host without cgroups, for tests of what stands on struct host_ops: units are entries of a table, their
 * processes are real (spawned by the real host's own code, so exec errors, ids and folders are real, too),
 * and their readings are what the test says. Freezing is SIGSTOP to the unit's sessions, killing is SIGKILL.
 *
 * Every operation is recorded as one line, and the nth call of any of them can be told to fail.
 */
#ifndef WEIR_TESTS_FAKEHOST_H
#define WEIR_TESTS_FAKEHOST_H

#include "weir/host/host.h"

/* Ends through ops->close, which also ends what still runs. Never NULL. */
struct host *fakehost_new(void);

/* May be changed before units are made: features that are cleared here are missing. */
struct host_info *fakehost_info(struct host *h);

/* All operations so far, a line each ("unit_kill worker", "unit_spawn worker sleep 60 = -2"); reads and questions
 * (unit_read, unit_populated, unit_pids, unit_inode, unit_path) are left out. */
const char *fakehost_log(struct host *h);
void fakehost_log_clear(struct host *h);

/* The nth call from now on (1 = the next one) of op ("unit_spawn"; NULL = any recorded one) fails with error
 * (negative errno), once. */
void fakehost_fail(struct host *h, const char *op, unsigned nth, int error);

/* What unit_read tells from now on. populated, frozen, processes and the limits are the fakehost's own unless set. */
void fakehost_set(struct host *h, const char *unit, enum sample_field field, uint64_t value);
void fakehost_unset(struct host *h, const char *unit, enum sample_field field);

/* Makes the unit's notification readable, as if the kernel had something to tell. */
void fakehost_notify(struct host *h, const char *unit, enum host_notification what);

/* The limits last set; NULL when there is no such unit. */
const struct host_limits *fakehost_limits(struct host *h, const char *unit);

#endif
