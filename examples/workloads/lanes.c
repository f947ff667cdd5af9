/* SPDX-License-Identifier: MIT */
/*
 * lanes: see lanes.h.
 */
#include "lanes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sys.h"

/* Nobody reads its answers, or there is no memory for them: the process ends as a real one would. */
static void give_up(int result)
{
    sys_log_line(STDERR_FILENO, "stdout: %s", strerror(-result));
    _exit(1);
}

static void answer(struct lanes *lanes, const struct lane_request *taken)
{
    char *line = worker_answer(lanes->worker, taken->request, taken->parse_error);
    pthread_mutex_lock(&lanes->write_lock);
    int result = line ? sys_write_all(STDOUT_FILENO, line, strlen(line)) : -ENOMEM;
    pthread_mutex_unlock(&lanes->write_lock);
    free(line);
    json_decref(taken->request);
    if (result < 0)
        give_up(result);
}

/* Returns false when there is nothing left to do and nothing more will come. */
static bool next(struct lane *lane, struct lane_request *ret_taken)
{
    struct lanes *lanes = lane->lanes;
    pthread_mutex_lock(&lanes->lock);
    while (lane->count == 0 && !lanes->finishing)
        pthread_cond_wait(&lanes->changed, &lanes->lock);
    bool some = lane->count > 0;
    if (some) {
        *ret_taken = lane->queue[lane->first];
        lane->first = (lane->first + 1) % LANE_ROOM;
        lane->count--;
        pthread_cond_broadcast(&lanes->changed);
    }
    pthread_mutex_unlock(&lanes->lock);
    return some;
}

static void *work(void *argument)
{
    struct lane *lane = argument;
    struct lane_request taken;
    while (next(lane, &taken))
        answer(lane->lanes, &taken);
    return NULL;
}

int lanes_start(struct lanes *lanes, struct worker *worker)
{
    *lanes = (struct lanes){.worker = worker};
    pthread_mutex_init(&lanes->lock, NULL);
    pthread_mutex_init(&lanes->write_lock, NULL);
    pthread_cond_init(&lanes->changed, NULL);
    for (int i = 0; i < WORKER_LANE_COUNT; i++) {
        lanes->lane[i].lanes = lanes;
        int error = pthread_create(&lanes->lane[i].thread, NULL, work, &lanes->lane[i]);
        if (error)
            return -error;
    }
    return 0;
}

void lanes_take(struct lanes *lanes, json_t *request, const json_error_t *error)
{
    struct lane *lane = &lanes->lane[worker_accept(lanes->worker, request)];
    pthread_mutex_lock(&lanes->lock);
    while (lane->count == LANE_ROOM)
        pthread_cond_wait(&lanes->changed, &lanes->lock);
    struct lane_request *slot = &lane->queue[(lane->first + lane->count++) % LANE_ROOM];
    slot->request = request;
    memcpy(slot->parse_error, error->text, sizeof slot->parse_error);
    pthread_cond_broadcast(&lanes->changed);
    pthread_mutex_unlock(&lanes->lock);
}

void lanes_finish(struct lanes *lanes)
{
    pthread_mutex_lock(&lanes->lock);
    lanes->finishing = true;
    pthread_cond_broadcast(&lanes->changed);
    pthread_mutex_unlock(&lanes->lock);
    for (int i = 0; i < WORKER_LANE_COUNT; i++)
        pthread_join(lanes->lane[i].thread, NULL);
}
