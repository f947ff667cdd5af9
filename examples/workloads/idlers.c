/* SPDX-License-Identifier: MIT */
/*
 * idlers: see idlers.h.
 */
#include "idlers.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>

enum {
    STACK_BYTES = 128 * 1024
}; /* chosen: above PTHREAD_STACK_MIN with room for a sanitizer's thread data */

struct idler_start {
    struct idlers *idlers;
    size_t index;
};

static const char *idler_name(size_t index)
{
    static const char *const names[] = {"lance-cpu", "tokio-rt-worker"}; /* at most 15 characters each */
    return names[index % 2];
}

static void *idler_main(void *argument)
{
    struct idler_start start = *(struct idler_start *)argument;
    free(argument);
    pthread_setname_np(pthread_self(), idler_name(start.index));
    pthread_mutex_lock(&start.idlers->lock);
    while (start.index < start.idlers->wanted_count)
        pthread_cond_wait(&start.idlers->changed, &start.idlers->lock);
    pthread_mutex_unlock(&start.idlers->lock);
    return NULL;
}

/* Signals are for the program's own threads: the new one starts with all of them blocked. */
static int start_one(struct idlers *idlers)
{
    struct idler_start *start = malloc(sizeof *start);
    pthread_t *threads = realloc(idlers->threads, (idlers->count + 1) * sizeof *threads);
    if (threads)
        idlers->threads = threads;
    if (!start || !threads) {
        free(start);
        return -ENOMEM;
    }
    *start = (struct idler_start){idlers, idlers->count};
    sigset_t all, before;
    pthread_attr_t attr;
    sigfillset(&all);
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, STACK_BYTES);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&threads[idlers->count], &attr, idler_main, start);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attr);
    if (error) {
        free(start);
        return -error;
    }
    idlers->count++;
    return 0;
}

static void set_wanted(struct idlers *idlers, size_t count)
{
    pthread_mutex_lock(&idlers->lock);
    idlers->wanted_count = count;
    pthread_cond_broadcast(&idlers->changed);
    pthread_mutex_unlock(&idlers->lock);
}

void idlers_init(struct idlers *idlers)
{
    *idlers = (struct idlers){0};
    pthread_mutex_init(&idlers->lock, NULL);
    pthread_cond_init(&idlers->changed, NULL);
}

int idlers_resize(struct idlers *idlers, size_t count)
{
    if (count != idlers->wanted_count)
        set_wanted(idlers, count);
    while (idlers->count > count)
        pthread_join(idlers->threads[--idlers->count], NULL);
    while (idlers->count < count) {
        int result = start_one(idlers);
        if (result < 0)
            return result;
    }
    return 0;
}

void idlers_deinit(struct idlers *idlers)
{
    (void)idlers_resize(idlers, 0);
    free(idlers->threads);
    idlers->threads = NULL;
    pthread_cond_destroy(&idlers->changed);
    pthread_mutex_destroy(&idlers->lock);
}
