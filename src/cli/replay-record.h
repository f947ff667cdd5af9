/* SPDX-License-Identifier: MIT */
/* A recorded run fed to the engine again with the policies that were recorded with it. */
#ifndef WEIR_CLI_REPLAY_RECORD_H
#define WEIR_CLI_REPLAY_RECORD_H

#include "weir/engine/engine.h"
#include "weir/store/store.h"

struct policy_change {
    uint64_t event_seq;
    uint16_t unit;
    char *text;
};

struct record {
    struct policy policy; /* in force at the event that was fed last; all memory is this struct's */
    struct policy_change *changes;
    size_t change_count, change_next;
    struct engine *engine;
    struct decision *decided; /* by the last step */
    size_t decided_count;
    uint64_t refused; /* events that name a unit without a policy */
};

/* Reads the run's policies; those of its first event are in force at once. 0, -ENODATA when it has none (it was cut
 * off before they were on record), -EINVAL when they are not understood, or another negative errno. On failure too:
 * record_deinit. */
int record_init(struct record *r, struct store_reader *reader, uint64_t run);
void record_deinit(struct record *r);

/* Feeds a recorded event; sets decided and decided_count. 0; -ENOTSUP for an event, -EINVAL for a policy that is not
 * understood; -ENOMEM. */
int record_step(struct record *r, const struct event *e);

#endif
