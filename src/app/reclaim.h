/* SPDX-License-Identifier: MIT */
/*
 * Memory taken back off the loop: a write to memory.reclaim blocks for as long as the kernel works on it, so a thread of
 * its own does the writing, a small piece at a time, and tells the loop when a job is done.
 *
 * One job a unit at a time; the jobs of several units take turns, a piece each. A job has descriptors of its own
 * (struct host_reclaim) and is forgotten by reclaimer_cancel before its cgroup is removed: removing one waits for a
 * write that is under way. Every function is the loop's; the thread touches nothing but the jobs.
 */
#ifndef WEIR_APP_RECLAIM_H
#define WEIR_APP_RECLAIM_H

#include <stdint.h>
#include <systemd/sd-event.h>

#include "weir/host/host.h"

struct reclaimer;

struct reclaim_job {
    uint16_t unit;
    uint32_t generation;
    uint64_t decision_id;
    uint64_t bytes; /* to be taken, all together */
    struct host_reclaim host;
};

struct reclaim_done {
    uint16_t unit;
    uint32_t generation;
    uint64_t decision_id;
    int result; /* 0; -EAGAIN: only a part could be taken; other negative errno: the kernel refused */
    uint64_t fell_bytes; /* by how much memory.current is lower than when the job began; 0: it is not */
};

/* Starts the thread. units: jobs of units below this. on_done is called from the loop, once for each job that was not
 * cancelled; it may begin another one. 0, or a negative errno. */
int reclaimer_new(sd_event *event, uint16_t units,
                  void (*on_done)(void *user, const struct reclaim_done *done), void *user,
                  struct reclaimer **ret);

/* Takes job->host over, also on failure. -EBUSY: the unit's last job is not over. */
int reclaimer_begin(struct reclaimer *r, struct reclaim_job *job);

/* Forgets the unit's job. Waits until a write of it has ended, 50 ms at most. */
void reclaimer_cancel(struct reclaimer *r, uint16_t unit);

/* Forgets all and ends the thread; waits for it 1 s at most. Accepts NULL, returns NULL. */
struct reclaimer *reclaimer_free(struct reclaimer *r);

#endif
