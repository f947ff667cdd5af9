/* SPDX-License-Identifier: MIT */
/* What must be true of whatever may come of a state. */
#include "world_inside.h"

#include <string.h>

static void check_strays(struct world *w)
{
    struct gate_core was;
    size_t size = world_core_size(w);
    memcpy(&was, &w->core, size);
    if (w->core.worker != GATE_WORKER_ASKED) {
        gate_core_refused(&w->core);
        HOLDS(w, !gate_core_started(&w->core, 0xfe, 0));
    }
    if (w->core.worker != GATE_WORKER_DOWN)
        gate_core_ask_again(&w->core);
    if (!w->handshake_out || w->process != PROCESS_RUNS || w->handshake_failed)
        gate_core_handshake_answered(&w->core, true);
    if (w->process == PROCESS_NONE)
        gate_core_ended(&w->core, true);
    HOLDS(w, memcmp(&was, &w->core, size) == 0);
    /* answers: only from the worker that runs, to what it has got */
    for (int slot = 0; slot < w->s->slots; slot++)
        for (uint32_t generation = 1; generation <= w->generation; generation++) {
            int i = world_line_in_slot(w, slot);
            bool its = i >= 0 && world_in_flight(w, i) && generation == w->generation;
            HOLDS(w, gate_core_answered(&w->core, slot, generation, true) == its);
            memcpy(&w->core, &was, size);
        }
}

static bool all_answered(const struct world *w)
{
    for (int i = 0; i < w->taken; i++)
        if (w->fates[i].open)
            return false;
    return !w->front && !w->mid;
}

/* The gate says that there is nothing to do, though every output takes something. */
static void check_rest(struct world *w)
{
    HOLDS(w, !w->ready_owed && !w->bound_owed);
    HOLDS(w, !w->drain || w->told || world_count_in_flight(w) > 0 || world_mid_alive(w));
    HOLDS(w, w->process != PROCESS_RUNS || world_is_up(w) || w->handshake_out);
    HOLDS(w, w->process != PROCESS_RUNS || !w->handshake_failed || w->killed);
    HOLDS(w, !w->closed || !world_is_up(w) || world_first_again(w) >= 0 || w->stdin_closed);
    HOLDS(w, world_first_again(w) < 0 || world_again_why(w) != GATE_WHY_NONE);
    HOLDS(w, w->process != PROCESS_NONE || w->core.worker == GATE_WORKER_DOWN ||
                 w->core.worker == GATE_WORKER_OVER);
    for (int i = 0; i < w->taken; i++)
        HOLDS(w, !w->fates[i].may_fail);
}

/* The gate's own part: all that it may do at once, a bounded number of steps. Whether anything was done. */
static bool busy_turn(struct world *w)
{
    int steps = 0;
    while (!w->broken && !w->exited && world_act(w, 0) != GATE_ACTION_NONE)
        if (++steps > 2 * w->s->slots + 8)
            world_broken(w, "the gate comes to rest", __FILE__, __LINE__);
    if (!w->broken && !w->exited)
        check_rest(w);
    if (w->mid && !world_mid_alive(w) && !w->exited)
        steps += world_cut(w, w->fates[w->taken - 1].copy) || world_unsent(w);
    bool fronted = w->front;
    if (w->front && !w->exited)
        world_judge(w);
    return steps > 0 || fronted != w->front;
}

/* Workers come and answer, the supervisor lets them. */
static bool kindness(struct world *w)
{
    if (world_begin(w) || world_whole(w))
        return true;
    if (w->core.worker == GATE_WORKER_DOWN && !world_over_due(w, w->core.worker)) {
        CALL(w, gate_core_ask_again(&w->core));
        return true;
    }
    if (w->killed && world_end(w, false))
        return true;
    if (world_go(w) || world_handshake(w, true))
        return true;
    for (int i = 0; i < w->taken; i++)
        if (world_answer(w, i))
            return true;
    return false;
}

static void check_kind_world(const struct world *from, struct world *w)
{
    int steps = 0;
    bool ended = false;
    world_copy(w, from);
    while (!w->broken && !w->exited && ++steps < 200) {
        if (busy_turn(w) || (!w->exited && kindness(w)))
            continue;
        if (w->exited)
            break;
        if (!all_answered(w))
            world_tick(w);
        else if (!w->closed)
            world_closes(w);
        else if (!ended)
            ended = world_end(w, true);
        else
            break;
    }
    HOLDS(w, w->exited && all_answered(w));
}

/* Neither worker nor supervisor do anything any more. */
static void check_silent_world(const struct world *from, struct world *w)
{
    world_copy(w, from);
    for (int i = 0; i <= 3 * w->s->patience + 3 && !w->broken && !w->exited; i++) {
        for (int again = 0; again < 8 && busy_turn(w); again++)
            ;
        if (!w->exited)
            world_tick(w);
    }
    if (w->exited || w->broken)
        return;
    HOLDS(w, world_first_again(w) < 0 || world_again_why(w) == GATE_WHY_TURN);
    if (w->front) {
        enum gate_why why = world_front_why(w, world_line_of(w->s, w->taken - 1));
        HOLDS(w, why == GATE_WHY_TURN || why == GATE_WHY_SLOTS);
    }
}

void world_check(struct world *w)
{
    static struct world copy; /* too large for a stack */
    if (w->exited || w->broken)
        return;
    check_strays(w);
    world_counts_moves = false;
    check_kind_world(w, &copy);
    if (!copy.broken)
        check_silent_world(w, &copy);
    world_counts_moves = true;
    if (copy.broken)
        world_broken(w, copy.broken, copy.broken_file, copy.broken_line);
}
