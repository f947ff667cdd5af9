/* SPDX-License-Identifier: MIT */
/* A connected gate, as gates.c keeps it and gate-figures.c adds it up. Private to these two. */
#ifndef WEIR_APP_GATE_LINK_H
#define WEIR_APP_GATE_LINK_H

#include "gates.h"
#include "weir/gate/link.h"

struct gate_link {
    struct gate_link *next;
    struct supervisor *s;
    int fd;
    sd_event_source *source;
    pid_t pid; /* of the gate */
    int pidfd;
    uint16_t unit; /* UNIT_NONE: has not said HELLO yet */
    uint16_t via;  /* the service unit that it runs in */
    bool is_asking;
    bool is_stopped;  /* SIGSTOP was passed on to its worker */
    bool has_drained; /* the order `drain_id` of its unit */
    pid_t ended_pid;  /* the last worker whose end it told ... */
    int ended_status; /* ... as waitpid has it */
    uint64_t rows_us; /* methods were last put on record */
    struct gate_state state;
    bool method_changed[GATE_METHODS_MAX];
    struct gate_method method[GATE_METHODS_MAX];
};

#define FOR_EACH_LINK(u, l)                                                                                  \
    for (struct gate_link *l = (u)->s->gate_links; l; l = l->next)                                           \
        if (l->unit == (u)->index)

/* gate-told.c */
void gate_told_welcome(struct gate_link *l);
/* Of its unit, to one that connected anew: it has undone every order. */
void gate_told_order_in_force(struct gate_link *l);

/* False: no gate is connected. */
bool gate_told_prepare(struct unit_runtime *u);
/* GO or REFUSE to a child that is to be prepared beside the present one, in u->next_cgroup. */
void gate_told_beside(struct gate_link *l, struct unit_runtime *u, bool go, const char *text);

/* gate-figures.c */
void gate_figures_take(struct gate_link *l, const struct gate_method *m);
/* Methods that changed, as rows; `all`: the link ends. */
void gate_figures_store(struct gate_link *l, bool all);

#endif
