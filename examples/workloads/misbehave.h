/* SPDX-License-Identifier: MIT */
/*
 * misbehave: what its subcommands share.
 *
 * Each subcommand is a function that runs until it is done; the program's alarm ends it after --for seconds
 * whatever it does. A process that is forked off must arm its own with misbehave_bound(): alarms are not
 * inherited.
 */
#ifndef WORKLOADS_MISBEHAVE_H
#define WORKLOADS_MISBEHAVE_H

#include <stdbool.h>
#include <stdint.h>

#include "opt.h"

struct misbehave_args {
    double for_s;
    int64_t threads_count; /* hog */
    double rate;           /* leak, cache: MB/s; flood: lines/s; fork: forks/s; 0: as fast as possible */
    int64_t limit_bytes, size_bytes;     /* leak, step, bomb, cache; burst, step */
    double hold_s, rest_s;               /* burst; step: hold */
    int64_t count;                       /* tree, fork, flood */
    int64_t length_bytes;                /* flood */
    int64_t after_ms, watchdog_ms;       /* exit, signal, notify */
    const char *status;                  /* notify */
    bool chain, all, keep_output, never; /* tree, hang, orphan, notify */
    int64_t number;                      /* exit, signal: the positional argument */
};

/*
 * Arms the alarm that ends this process with status 0 once for_s seconds have passed since the program's
 * first call: a child that is made late does not live longer for it.
 */
void misbehave_bound(double for_s);

/* Each returns the exit status of the program. */
int misbehave_leak(const struct misbehave_args *args);
int misbehave_burst(const struct misbehave_args *args);
int misbehave_step(const struct misbehave_args *args);
int misbehave_bomb(const struct misbehave_args *args);
int misbehave_cache(const struct misbehave_args *args);

int misbehave_hog(const struct misbehave_args *args);
int misbehave_fork(const struct misbehave_args *args);
int misbehave_flood(const struct misbehave_args *args);
int misbehave_hang(const struct misbehave_args *args);
int misbehave_tree(const struct misbehave_args *args);
int misbehave_orphan(const struct misbehave_args *args);
int misbehave_exit(const struct misbehave_args *args);
int misbehave_signal(const struct misbehave_args *args);

int misbehave_notify(const struct misbehave_args *args);

#endif
