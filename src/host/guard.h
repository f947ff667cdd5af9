/* SPDX-License-Identifier: MIT */
/*
 * The guard: a tiny process beside weir that outlives it. What weir does to a unit for a moment only (a freeze
 * pulse, a throttle's cpu quota and memory.high) must not stay when weir is killed in that moment; the guard undoes
 * it then. An operator's freeze is not for the guard: it stays.
 *
 * weir writes each undo into a table in memory that both share, before it does what would have to be undone: no
 * message has to arrive, and a new guard after the death of one finds all of them. The guard only waits for weir's
 * end, acts, and exits. It holds nothing of weir's but its end of the channel.
 */
#ifndef WEIR_HOST_GUARD_H
#define WEIR_HOST_GUARD_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "weir/base/err.h"

/* In the order in which they are undone: nothing else helps a frozen unit. */
enum guard_kind { GUARD_FREEZE, GUARD_CPU, GUARD_HIGH, GUARD_KIND_COUNT };

#define GUARD_STEPS_MAX 3 /* v1 cpu: quota off, period, quota */

/* One write into a file of a cgroup. */
struct guard_step {
    char file[32];
    char text[64];
};

struct guard_table;

enum guard_news { GUARD_NEWS_NONE, GUARD_NEWS_ANEW, GUARD_NEWS_LOST };

struct guard {
    struct guard_table *table; /* NULL: no memory for it */
    pid_t pid;                 /* our child; 0 = there is none */
    int channel;               /* the guard's sign of our life */
    bool is_lost;              /* could not be started; told */
    unsigned checks;           /* since then */
    enum guard_news news;      /* not told yet */
    struct err text;           /* of the news */
};

#define GUARD_NULL ((struct guard){.channel = -1})

/* Starts it. Never fails: what went wrong is news. late_writes: memory.high is written by helper processes
 * (limits.c), which may still run when weir is dead. Waits until the guard is ready, bounded: 5 s. */
void guard_open(struct guard *g, bool late_writes);
/* Lets it undo what is still armed, waits for its end (bounded: 2 s) and reaps it. */
void guard_close(struct guard *g);

/* From now on, were weir to die, the steps are written into the cgroup at path (absolute), if it is still the one that
 * dirfd holds open. Replaces what was armed for this kind and path. -EOPNOTSUPP: there is no guard to do it. */
int guard_arm(struct guard *g, enum guard_kind kind, int dirfd, const char *path,
              const struct guard_step steps[static GUARD_STEPS_MAX], struct err *reterr);
void guard_forget(struct guard *g, enum guard_kind kind, const char *path);

/* As host_ops.guard_check. */
int guard_check(struct guard *g, struct err *reterr);

#endif
