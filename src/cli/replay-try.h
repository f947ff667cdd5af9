/* SPDX-License-Identifier: MIT */
/* One policy tried on one input. */
#ifndef WEIR_CLI_REPLAY_TRY_H
#define WEIR_CLI_REPLAY_TRY_H

#include "replay-input.h"
#include "weir/config/config.h"

struct attempt {
    const struct replay_input *in;
    struct policy policy; /* units and rules are this struct's; unit i is the input's unit i */
    struct whatif_unit *units;
    struct whatif *model;
    struct record record;   /* of a run: the recorded policies, for the recorded deadlines */
    uint64_t machine_bytes; /* its memory, where a limit is a share of it; else 0 */
    bool *left_out;         /* units of the input that the config does not have */
    whatif_fn *on_decision;
    void *user;
    /* the event at hand, and what was decided on it then */
    struct event event;
    bool has_event;
    struct decision *recorded;
    size_t recorded_count, recorded_room;
};

/* Fills the policy from the config; unit: which of the config's units a trace stands for. 0, or a cli_exit after
 * telling. On failure too: attempt_deinit. */
int attempt_init(struct attempt *a, const struct replay_input *in, struct config *config, const char *unit);
void attempt_deinit(struct attempt *a);
/* Feeds all of the input; on_decision and user as in struct whatif_options. 0 or a cli_exit after telling. */
int attempt_run(struct attempt *a, whatif_fn *on_decision, void *user);

#endif
