/* SPDX-License-Identifier: MIT */
/*
 * growth: see growth.h.
 */
#include "growth.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "sys.h"

enum { STEP_US = 10 * 1000 }; /* chosen: 100 steps a second, as trace-player */

int growth_init(struct growth *growth, const struct growth_options *options, char *ret_why, size_t why_size)
{
    memset(growth, 0, sizeof *growth);
    growth->options = *options;
    if (!options->trace_path)
        return 0;
    return trace_read(&growth->trace, options->trace_path, ret_why, why_size);
}

/* The process ends as a real one would whose allocation fails; the server sees its pipes close. */
static void refuse(int result)
{
    sys_log_line(STDERR_FILENO, "MemoryError: %s", strerror(-result));
    _exit(1);
}

static void *follow_trace(void *argument)
{
    struct growth *growth = argument;
    int64_t due_us = sys_now_us();
    pthread_setname_np(pthread_self(), "growth");
    for (;;) {
        int64_t now_us = sys_now_us();
        if (player_in_lead_in(&growth->player) || now_us < atomic_load(&growth->active_until_us)) {
            growth->player.extra_bytes = atomic_load(&growth->leaked_bytes);
            int result = player_advance(&growth->player, STEP_US);
            if (result < 0 && result != -EAGAIN)
                refuse(result);
        }
        /* A late turn is one step all the same: a frozen worker goes on where it was. */
        due_us = due_us + STEP_US < sys_now_us() ? sys_now_us() + STEP_US : due_us + STEP_US;
        sys_sleep_until_us(due_us);
    }
    return NULL;
}

static int start_thread(struct growth *growth)
{
    struct player_options options = player_options_default(&growth->trace);
    options.memory_scale = growth->options.memory_scale;
    options.time_scale = growth->options.time_scale;
    if (growth->options.from_s >= 0 && growth->options.from_s <= options.to_s)
        options.from_s = growth->options.from_s;
    options.lead_in_s = (double)growth->options.load_us / 1e6 * options.time_scale;
    player_init(&growth->player, &growth->trace, &options);
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&growth->thread, NULL, follow_trace, growth);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    growth->has_thread = error == 0;
    return -error;
}

int growth_load_model(struct growth *growth)
{
    enum { PARTS = 20 }; /* chosen: memory climbs visibly while the model loads */
    if (growth->trace.count && !growth->has_thread) {
        int result = start_thread(growth);
        if (result < 0)
            return result;
    }
    for (int part = 1; part <= PARTS; part++) {
        if (!growth->trace.count) {
            int result = resident_resize(&growth->model, growth->options.model_bytes / PARTS * part);
            if (result < 0)
                return result;
        }
        sys_sleep_us(growth->options.load_us / PARTS);
    }
    return 0;
}

int growth_add_document(struct growth *growth)
{
    atomic_store(&growth->active_until_us, sys_now_us() + growth->options.idle_us);
    if (growth->options.leak_bytes == 0)
        return 0;
    int64_t wanted = atomic_load(&growth->leaked_bytes) + growth->options.leak_bytes;
    atomic_store(&growth->leaked_bytes, wanted);
    return resident_resize(&growth->leaked, wanted);
}
