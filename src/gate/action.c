/* SPDX-License-Identifier: MIT */
/* Carries out what the core says is to be done, one row a kind. */
#include <errno.h>
#include <signal.h>

#include "gate.h"

static uint32_t full_outputs(const struct gate *g)
{
    uint32_t full = 0;
    if (!answers_take_insertion(g))
        full |= GATE_FULL_SERVER;
    if (!end_is_open(&g->child.in) || !g->child.in.ready || g->child.in.hungup ||
        !stream_may_insert(&g->requests.stream) || g->ending.active)
        full |= GATE_FULL_WORKER;
    if (tell_is_full(g))
        full |= GATE_FULL_LINK;
    return full;
}

/* Begins to write a copy to the worker. False: not a byte of it went out. */
static bool send_copy(struct gate *g, const struct copy *copy)
{
    struct stream *s = &g->requests.stream;
    uint64_t before = s->written;
    stream_insert_copy(s, &g->copies, copy);
    int r = stream_flush(s);
    if (s->written > before)
        return true;
    stream_forget_passed(s);
    if (r == -EPIPE)
        g->child.in.hungup = true;
    return false;
}

/* The kept ones are numbered in the order of the setting's list. */
static int handshake_at(const struct gate *g, uint32_t index)
{
    for (int i = 0; i < GATE_LIST_MAX; i++)
        if (copy_is_kept(&g->handshake[i].copy) && index-- == 0)
            return i;
    return -1;
}

static bool send_handshake(struct gate *g, const struct gate_action *a)
{
    int at = handshake_at(g, a->index);
    g->handshake_out = at;
    return at >= 0 && send_copy(g, &g->handshake[at].copy);
}

static bool resend(struct gate *g, const struct gate_action *a)
{
    struct ledger_slot *s = &g->ledger.slots[a->slot];
    s->line.offset = g->requests.stream.written;
    if (!send_copy(g, &s->line.copy))
        return false;
    uint16_t method = g->ledger.ids[s->first].method;
    figures_replay(&g->figures, method);
    tell_note(g, GATE_NOTE_REPLAYED, 1, g->figures.method[method].name, &g->ledger.ids[s->first].id);
    return true;
}

static enum gate_note note_of(enum gate_failure failure)
{
    switch (failure) {
    case GATE_FAILURE_ENDED:
        return GATE_NOTE_FAILED;
    case GATE_FAILURE_POISON:
        return GATE_NOTE_POISON;
    case GATE_FAILURE_IMPATIENT:
        return GATE_NOTE_IMPATIENT;
    case GATE_FAILURE_DOWN:
        break;
    }
    return GATE_NOTE_REJECTED;
}

static bool fail_slot(struct gate *g, const struct gate_action *action)
{
    const struct gate_slot *slot = &g->core.slots[action->slot];
    const struct answer a = {.unit = g->unit,
                             .cause = action->failure == GATE_FAILURE_DOWN ? g->refusal : g->cause,
                             .failure = action->failure,
                             .generation = g->generation,
                             .tries = slot->tries};
    uint64_t bytes = g->ledger.slots[action->slot].line.copy.size;
    size_t size = 0;
    char *text = answer_for_slot(&a, &g->ledger, action->slot, &g->figures, &size);
    for (uint16_t at = g->ledger.slots[action->slot].first; at != LEDGER_NONE;
         at = g->ledger.ids[at].next_of_slot)
        tell_request(g, note_of(action->failure), g->figures.method[g->ledger.ids[at].method].name,
                     &g->ledger.ids[at].id, bytes);
    answers_insert(g, text, size);
    answers_forget_slot(g, action->slot);
    return true;
}

static bool carry_out(struct gate *g, const struct gate_action *a)
{
    switch (a->kind) {
    case GATE_ACTION_NONE:
        break;
    case GATE_ACTION_KILL:
        if (g->child.pid > 0)
            (void)kill(g->child.pid, SIGKILL);
        return true;
    case GATE_ACTION_ASK:
        if (beside_is_coming(g))
            return false; /* sooner than a new one could be ready */
        life_ask(g);
        return true;
    case GATE_ACTION_TELL_READY:
        tell_ready(g);
        return true;
    case GATE_ACTION_TELL_DRAINED:
        tell_drained(g);
        return true;
    case GATE_ACTION_TELL_BOUND:
        tell_note(g, GATE_NOTE_BOUND, 1, NULL, NULL);
        return true;
    case GATE_ACTION_HANDSHAKE:
        return send_handshake(g, a);
    case GATE_ACTION_RESEND:
        return resend(g, a);
    case GATE_ACTION_CLOSE_STDIN:
        end_close(&g->child.in);
        return true;
    case GATE_ACTION_FAIL:
        return fail_slot(g, a);
    case GATE_ACTION_EXIT:
        /* a line that is rejected waits for room: the core has done its part, we have not */
        g->is_over = !g->requests.rejecting || g->requests.stream.front == STREAM_NOTHING;
        return false;
    }
    return false;
}

void action_turn(struct gate *g)
{
    for (;;) {
        struct gate_action a = gate_core_next(&g->core, g->now_us, full_outputs(g));
        if (a.kind == GATE_ACTION_NONE || !carry_out(g, &a))
            return;
        gate_core_done(&g->core, &a, g->now_us);
        if (a.kind == GATE_ACTION_FAIL && !stream_may_insert(&g->answers.stream))
            (void)stream_flush(&g->answers.stream); /* more of them may follow at once */
        tell_changed(g);
        g->moved = true;
    }
}
