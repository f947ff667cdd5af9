/* SPDX-License-Identifier: MIT */
/*
 * idlers: real threads that do nothing but exist.
 *
 * They carry the names seen in the recorded process (`lance-cpu`, `tokio-rt-worker`), sleep on a condition
 * variable and go in reverse order of their coming. One thread at a time may resize.
 */
#ifndef WORKLOADS_IDLERS_H
#define WORKLOADS_IDLERS_H

#include <pthread.h>
#include <stddef.h>

struct idlers {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    size_t wanted_count;
    pthread_t *threads;
    size_t count;
};

/* Must stay at its address from init to deinit: the threads hold it. */
void idlers_init(struct idlers *idlers);

/*
 * Starts or ends threads until there are count of them. Returns 0 or a negative errno (-EAGAIN at a pids
 * limit); then as many as could be started are there, and calling again tries again.
 */
int idlers_resize(struct idlers *idlers, size_t count);

/* Ends and joins all of them. */
void idlers_deinit(struct idlers *idlers);

#endif
