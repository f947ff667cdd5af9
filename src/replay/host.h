/* SPDX-License-Identifier: MIT */
/*
 * The simulated host of the model: it obeys decisions about the units that it has taken over, and answers with events.
 * Of the other units it only knows what the record tells, so that it can take them over at any moment.
 */
#ifndef WEIR_REPLAY_HOST_H
#define WEIR_REPLAY_HOST_H

#include "weir/replay/whatif.h"

struct host_unit {
    bool model;     /* taken over */
    bool alive;     /* its main process */
    bool populated; /* its cgroup */
    uint32_t generation;
    enum unit_state state; /* the engine's */
};

struct answer {
    struct event event;
    uint64_t order; /* of those at the same time, the first one in goes first */
};

struct host {
    const struct policy *policy;
    const struct whatif_unit *manners;
    struct host_unit *units;
    struct answer *queue;
    size_t count, room;
    uint64_t now_us, order, next_ticket;
    int32_t next_pid;
    int error; /* -ENOMEM once an answer could not be kept */
};

/* 0 or -ENOMEM. */
int host_init(struct host *h, const struct policy *policy, const struct whatif_unit *manners);
void host_deinit(struct host *h);

/* What the record tells of a unit that is not taken over. */
void host_note(struct host *h, const struct event *e);
/* From now on decisions about the unit are obeyed here; those of the step in which they parted are still to come. */
void host_take_over(struct host *h, uint16_t unit);
/* Each decision about a unit: carried out when the unit is taken over. */
void host_decided(struct host *h, const struct decision *d);
/* Its main process ends by itself now. */
void host_end(struct host *h, uint16_t unit, const struct event_exit *exit);

/* The time of the next answer; USEC_INFINITY = none. host_take: removes it from the queue; false: it is void (a process
 * ends once). */
uint64_t host_next(const struct host *h);
bool host_take(struct host *h, struct event *ret);

#endif
