/* SPDX-License-Identifier: MIT */
/* What the supervisor says. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "gate.h"
#include "weir/base/cleanup.h"

/* Copies of the handshake keep their method's place in the new list, or go. */
static void move_handshakes(struct gate *g, const struct gate_settings *fresh)
{
    struct handshake old[GATE_LIST_MAX];
    memcpy(old, g->handshake, sizeof(old));
    memset(g->handshake, 0, sizeof(g->handshake));
    for (uint32_t i = 0; i < fresh->handshake_count; i++) {
        int at = requests_handshake_at(g, fresh->handshake[i]);
        if (at < 0)
            continue;
        g->handshake[i] = old[at];
        old[at] = (struct handshake){0};
    }
    for (int i = 0; i < GATE_LIST_MAX; i++)
        copy_drop(&g->copies, &old[i].copy);
}

void told_apply_settings(struct gate *g)
{
    if (!g->has_new_settings || g->core.worker == GATE_WORKER_HANDSHAKE || beside_shakes_hands(g))
        return; /* the numbers of its lines must not change under it */
    struct gate_settings *s = &g->new_settings;
    g->has_new_settings = false;
    if (g->welcomed)
        s->format = g->settings.format; /* lines that were read under one are not judged by the other */
    move_handshakes(g, s);
    g->settings = *s;
    gate_core_set(&g->core, s->replay_max, s->patience_us, s->respawn_clean != 0);
    copies_set(&g->copies, s->memory_bytes, s->spool_dir);
    if (!g->welcomed && gate_is_jsonl(g) &&
        (stream_scan(&g->requests.stream) < 0 || stream_scan(&g->answers.stream) < 0))
        g->settings.format = GATE_FORMAT_LINES; /* no memory: at least the lines flow */
    g->welcomed = true;
    g->moved = true;
}

static void obey(struct gate *g, const struct gate_told_message *m)
{
    g->order_id = m->order_id;
    if (m->order != GATE_ORDER_RELEASE)
        requests_recall(g);
    switch ((enum gate_order)m->order) {
    case GATE_ORDER_RELEASE:
        gate_core_release(&g->core);
        break;
    case GATE_ORDER_PACE:
        gate_core_pace(&g->core, m->inflight, m->interval_us);
        break;
    case GATE_ORDER_HOLD:
        gate_core_hold(&g->core);
        break;
    case GATE_ORDER_DRAIN:
        g->drain_id = m->order_id;
        gate_core_drain(&g->core);
        break;
    case GATE_ORDER_COUNT:
        break;
    }
    tell_changed(g);
}

static void take_cause(struct gate *g, const struct gate_told_message *m)
{
    if (m->generation == 0 || m->generation != g->child.generation || !m->text[0])
        return;
    (void)snprintf(g->cause, sizeof(g->cause), "%s", m->text);
    g->cause_generation = m->generation; /* the supervisor may have seen the end before we do */
}

/* *fd is the caller's unless it is taken over. */
static void take(struct gate *g, const struct gate_told_message *m, int *fd)
{
    switch ((enum gate_told)m->kind) {
    case GATE_TOLD_WELCOME:
        g->new_settings = m->settings;
        g->has_new_settings = true;
        told_apply_settings(g);
        break;
    case GATE_TOLD_PREPARE:
        beside_prepare(g);
        break;
    case GATE_TOLD_GO:
        if (m->beside)
            beside_go(g, m->generation, m->text, steal_fd(fd));
        else
            life_go(g, m->generation, m->text, steal_fd(fd));
        break;
    case GATE_TOLD_REFUSE:
        beside_discard(g); /* where there is to be no worker there is to be no next one */
        if (!m->beside)
            life_refuse(g, m->text);
        break;
    case GATE_TOLD_ORDER:
        obey(g, m);
        break;
    case GATE_TOLD_ENDING:
        g->ending_generation = m->generation;
        break;
    case GATE_TOLD_CAUSE:
        take_cause(g, m);
        break;
    case GATE_TOLD_ASK_AGAIN:
        gate_core_ask_again(&g->core);
        break;
    case GATE_TOLD_COUNT:
        break;
    }
    g->moved = true;
}

void told_link_lost(struct gate *g)
{
    link_drop(&g->link, g->now_us);
    beside_discard(g); /* the next supervisor knows nothing of it */
    gate_core_release(&g->core);
    g->moved = true;
}

void told_turn(struct gate *g)
{
    struct gate_told_message m;
    int r;
    for (;;) {
        _cleanup_close_ int fd = -1;
        r = link_receive(&g->link, &m, &fd);
        if (r <= 0)
            break;
        take(g, &m, &fd);
    }
    if (r == -EPROTONOSUPPORT && !g->link.other_version) {
        g->link.other_version = true;
        fprintf(
            stderr,
            "weir: %s: the supervisor is of another version than this gate (%u); waiting for one that fits\n",
            g->unit, GATE_LINK_VERSION);
    }
    if (r < 0)
        told_link_lost(g);
}
