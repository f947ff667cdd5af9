/* SPDX-License-Identifier: MIT */
/*
 * misbehave, memory: leak, burst, step, bomb.
 *
 * All of it is touched and filled (see resident.h). They say what they do on stdout, a line a second at most.
 * When memory is refused they end with status 1, as a program that checks its allocations would.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "misbehave.h"
#include "resident.h"
#include "sys.h"

#define MB_BYTES (1024.0 * 1024.0)

enum { STEP_US = 10 * 1000 }; /* chosen: growth in hundredths of a second */

static void resize(struct resident *memory, int64_t size_bytes)
{
    int result = resident_resize(memory, size_bytes);
    if (result == 0)
        return;
    sys_log_line(STDERR_FILENO, "misbehave: at %.1f MB: %s", (double)memory->size_bytes / MB_BYTES,
                 strerror(-result));
    _exit(1);
}

static void tell(const char *what, const struct resident *memory)
{
    sys_log_line(STDOUT_FILENO, "%s %.1f MB", what, (double)memory->size_bytes / MB_BYTES);
}

static void hold_for_ever(void)
{
    for (;;)
        sys_sleep_us(1000000);
}

/* Progress, not the clock: held back for a while, it goes on at its rate and catches nothing up. */
int misbehave_leak(const struct misbehave_args *args)
{
    struct resident memory = RESIDENT_NULL;
    double wanted_bytes = 0;
    int64_t due_us = sys_now_us();
    for (int64_t turn = 1; memory.size_bytes + 4096 <= args->limit_bytes; turn++) {
        wanted_bytes += args->rate * MB_BYTES * STEP_US / 1e6;
        if (wanted_bytes > (double)args->limit_bytes)
            wanted_bytes = (double)args->limit_bytes;
        resize(&memory, (int64_t)wanted_bytes);
        if (turn % 100 == 0)
            tell("leaked", &memory);
        due_us = due_us + STEP_US < sys_now_us() ? sys_now_us() + STEP_US : due_us + STEP_US;
        sys_sleep_until_us(due_us);
    }
    tell("holding", &memory);
    hold_for_ever();
    return 0;
}

int misbehave_burst(const struct misbehave_args *args)
{
    struct resident memory = RESIDENT_NULL;
    for (;;) {
        resize(&memory, args->size_bytes);
        tell("holding", &memory);
        sys_sleep_us((int64_t)(args->hold_s * 1e6));
        resize(&memory, 0);
        tell("released, at", &memory);
        sys_sleep_us((int64_t)(args->rest_s * 1e6));
    }
}

int misbehave_step(const struct misbehave_args *args)
{
    struct resident memory = RESIDENT_NULL;
    while (memory.size_bytes + args->size_bytes <= args->limit_bytes) {
        resize(&memory, memory.size_bytes + args->size_bytes);
        tell("stepped to", &memory);
        sys_sleep_us((int64_t)(args->hold_s * 1e6));
    }
    tell("holding", &memory);
    hold_for_ever();
    return 0;
}

int misbehave_bomb(const struct misbehave_args *args)
{
    struct resident memory = RESIDENT_NULL;
    resize(&memory, args->limit_bytes);
    tell("holding", &memory);
    hold_for_ever();
    return 0;
}
