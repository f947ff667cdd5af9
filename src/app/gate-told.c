/* SPDX-License-Identifier: MIT */
/*
 * What gates are told: settings, orders, answers to a waiting child, how a worker ended.
 *
 * Every message is sent without waiting. A gate that does not take one is hung, or dead: its link is shut, and it finds
 * every order undone when it connects again.
 */
#include "gate-link.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "weir/base/cleanup.h"
#include "weir/base/log.h"

static void send_message(struct gate_link *l, struct gate_told_message *m, int fd)
{
    union {
        char buffer[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control = {0};
    struct iovec part = {.iov_base = m, .iov_len = sizeof(*m)};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    m->version = GATE_LINK_VERSION;
    if (fd >= 0) {
        message.msg_control = control.buffer;
        message.msg_controllen = sizeof(control.buffer);
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(header), &fd, sizeof(int));
    }
    /* one that does not take it is found dead, or hung, by its link: shut it, and the loop closes it */
    if (sendmsg(l->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
        (void)shutdown(l->fd, SHUT_RDWR);
}

static struct gate_told_message *told(enum gate_told kind, uint32_t generation)
{
    struct gate_told_message *m = calloc(1, sizeof(*m));
    if (m) {
        m->kind = kind;
        m->generation = generation;
    }
    return m;
}

static void tell_all(struct unit_runtime *u, struct gate_told_message *m)
{
    FOR_EACH_LINK(u, l)
    {
        send_message(l, m, -1);
    }
}

static void tell_simple(struct unit_runtime *u, enum gate_told kind, const char *text)
{
    _cleanup_free_ struct gate_told_message *m = gates_has(u) ? told(kind, u->generation) : NULL;
    if (!m)
        return;
    m->follows = 1;
    (void)snprintf(m->text, sizeof(m->text), "%s", text);
    tell_all(u, m);
}

static uint32_t copy_names(char (*ret)[GATE_NAME_MAX], char *const *names)
{
    uint32_t count = 0;
    for (; names && names[count] && count < GATE_LIST_MAX; count++)
        (void)snprintf(ret[count], GATE_NAME_MAX, "%s", names[count]);
    return count;
}

void gate_told_welcome(struct gate_link *l)
{
    const struct unit_runtime *u = &l->s->units[l->unit];
    const struct config_unit *c = u->config;
    const struct unit_policy *p = &l->s->policy_units[u->index];
    _cleanup_free_ struct gate_told_message *m = told(GATE_TOLD_WELCOME, u->generation);
    if (!m)
        return;
    struct gate_settings *g = &m->settings;
    g->format = c->gate == CONFIG_GATE_LINES ? GATE_FORMAT_LINES : GATE_FORMAT_JSONL;
    g->replay_max = c->gate_replay_max;
    g->respawn_clean = p->restart == UNIT_RESTART_ALWAYS;
    g->patience_us = p->ladder.hold_max_us;
    g->memory_bytes = c->gate_memory_bytes;
    g->handshake_count = copy_names(g->handshake, c->gate_handshake);
    g->replay_count = copy_names(g->replay, c->gate_replay);
    if (strlen(l->s->config->state_dir) < sizeof(g->spool_dir)) /* else the gate finds a place itself */
        (void)snprintf(g->spool_dir, sizeof(g->spool_dir), "%s", l->s->config->state_dir);
    send_message(l, m, -1);
}

void gates_tell_settings(struct supervisor *s)
{
    for (struct gate_link *l = s->gate_links; l; l = l->next)
        if (l->unit != UNIT_NONE)
            gate_told_welcome(l);
}

static void fill_order(struct gate_told_message *m, const struct decision *d)
{
    static const enum gate_order orders[DECISION_KIND_COUNT] = {
        [DECISION_PACE] = GATE_ORDER_PACE,
        [DECISION_HOLD] = GATE_ORDER_HOLD,
        [DECISION_DRAIN] = GATE_ORDER_DRAIN,
        [DECISION_RELEASE] = GATE_ORDER_RELEASE,
    };
    m->order = orders[d->kind];
    m->order_id = d->id;
    if (d->kind == DECISION_PACE) {
        m->inflight = d->amount[0] < UINT32_MAX ? (uint32_t)d->amount[0] : UINT32_MAX;
        m->interval_us = d->amount[1];
    }
}

int gates_order(struct unit_runtime *u, const struct decision *d, struct err *reterr)
{
    if (!gates_has(u) && !gates_may_come(u))
        return err_set(reterr, -ENOTCONN, "no gate is connected");
    /* what held requests back is undone with the worker that is drained: the next one begins free */
    if (d->kind == DECISION_RELEASE && u->gate_order.kind == DECISION_DRAIN &&
        u->gate_order.generation == u->generation)
        return 0;
    _cleanup_free_ struct gate_told_message *m = told(GATE_TOLD_ORDER, u->generation);
    if (!m)
        return -ENOMEM;
    u->gate_order = *d;
    if (d->kind == DECISION_DRAIN) {
        u->gate_drain_id = d->id;
        FOR_EACH_LINK(u, l)
        {
            l->has_drained = false;
        }
    }
    fill_order(m, d);
    tell_all(u, m);
    return 0;
}

/* One that connected anew has undone every order. */
void gate_told_order_in_force(struct gate_link *l)
{
    const struct unit_runtime *u = &l->s->units[l->unit];
    if (u->gate_order.generation != u->generation || u->gate_order.id == 0 ||
        u->gate_order.kind == DECISION_RELEASE)
        return;
    _cleanup_free_ struct gate_told_message *m = told(GATE_TOLD_ORDER, u->generation);
    if (!m)
        return;
    fill_order(m, &u->gate_order);
    send_message(l, m, -1);
}

void gates_ending(struct unit_runtime *u)
{
    tell_simple(u, GATE_TOLD_ENDING, "");
}

void gates_ask_again(struct unit_runtime *u)
{
    tell_simple(u, GATE_TOLD_ASK_AGAIN, "");
}

void gates_tell_cause(struct unit_runtime *u, const struct event *exited)
{
    char sentence[DECISION_TEXT_MAX];
    if (!gates_has(u))
        return;
    event_narrate(exited, u->s->unit_names, sentence, sizeof(sentence));
    size_t name = strlen(u->name);
    bool begins = strncmp(sentence, u->name, name) == 0 && sentence[name] == ' ';
    tell_simple(u, GATE_TOLD_CAUSE, begins ? sentence + name + 1 : sentence);
}

/* What held the last worker's requests back ended with it. */
static void begin_free(struct gate_link *l)
{
    _cleanup_free_ struct gate_told_message *m = told(GATE_TOLD_ORDER, 0);
    if (!m)
        return;
    m->order = GATE_ORDER_RELEASE;
    send_message(l, m, -1);
}

/* With the memory of `cgroup`, where it is given: for the growth of a call. */
static void send_answer(struct gate_link *l, struct gate_told_message *m, struct host_unit *cgroup,
                        const char *text)
{
    _cleanup_close_ int memory = -1;
    struct err e = ERR_NULL;
    (void)snprintf(m->text, sizeof(m->text), "%s", text);
    if (cgroup) {
        memory = cgroup->ops->unit_memory_open(cgroup, &e);
        if (memory < 0)
            log_debug("growth per call is not known: %s", e.text);
    }
    send_message(l, m, memory);
}

void gates_answer(struct gate_link *l, struct unit_runtime *u, bool go, const char *text)
{
    _cleanup_free_ struct gate_told_message *m = told(go ? GATE_TOLD_GO : GATE_TOLD_REFUSE, u->generation);
    l->is_asking = false;
    if (!m)
        return;
    if (go)
        begin_free(l);
    send_answer(l, m, go ? u->cgroup : NULL, text);
}

bool gate_told_prepare(struct unit_runtime *u)
{
    FOR_EACH_LINK(u, l)
    {
        _cleanup_free_ struct gate_told_message *m = told(GATE_TOLD_PREPARE, u->generation);
        if (m)
            send_message(l, m, -1);
        return m != NULL;
    }
    return false;
}

void gate_told_beside(struct gate_link *l, struct unit_runtime *u, bool go, const char *text)
{
    _cleanup_free_ struct gate_told_message *m =
        told(go ? GATE_TOLD_GO : GATE_TOLD_REFUSE, u->generation + 1);
    if (!m)
        return;
    m->beside = 1;
    send_answer(l, m, go ? u->next_cgroup : NULL, text);
}
