/* SPDX-License-Identifier: MIT */
/* Signals as events: all that may be meant for the worker, and the end of the worker. */
#ifndef WEIR_GATE_SIGNALS_H
#define WEIR_GATE_SIGNALS_H

#include <signal.h>
#include <stdbool.h>

#include "child.h"

struct signal_told {
    int number;
    bool is_child;      /* SIGCHLD */
    bool asks_to_end;   /* TERM, INT, HUP, QUIT */
    bool from_terminal; /* the kernel sent it to the whole group: the worker has it, too */
};

/* Blocks them, ignores SIGPIPE, and says in *ret what was so before. Returns the descriptor, or a negative errno. */
int signals_open(struct child_origin *ret);
/* 1: *ret; 0: none is there. */
int signals_next(int fd, struct signal_told *ret);
/* Ends this process by that signal, as it would have ended without us; without a core of our own. Returns if it cannot. */
void signals_die_of(int number);

#endif
