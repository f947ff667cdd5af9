/* SPDX-License-Identifier: MIT */
/*
 * The largest jump of the last minute.
 *
 * Growth (window.c) foresees what rises on and on. The recorded worker does something else as well: it takes 1.4 GB
 * within one second and then stands still. Nothing foresees the first such jump; but who jumped once jumps again, and
 * a unit with less room left than its last jump took is in danger while it stands still.
 *
 * A jump is the rise from the higher of the last two readings to the newest one, so one reading that is too low makes
 * none. It counts from the first reading that sees it. When the reading after that takes half of it back, it was a
 * reading that is too high, or a jump that is over: it is forgotten.
 *
 * Kept are those jumps that no later one has outdone: a queue in which size falls as time rises. Its head is the
 * largest; it leaves when it is too old, and the next one was the largest since. When the queue is full, the smaller
 * of its last two is forgotten and the larger one is given the later time: what is told is never too small.
 */
#include "jump.h"

#include <stddef.h>

void jumps_reset(struct jumps *j)
{
    *j = (struct jumps){0};
}

static void forget_old(struct jumps *j, uint64_t now_us, uint64_t memory_us)
{
    uint32_t old = 0;
    while (old < j->count && now_us - j->rows[old].t_us > memory_us)
        old++;
    for (uint32_t i = old; i < j->count; i++)
        j->rows[i - old] = j->rows[i];
    j->count -= old;
}

static void keep(struct jumps *j, struct jump jump)
{
    while (j->count > 0 && j->rows[j->count - 1].bytes <= jump.bytes)
        j->count--;
    if (j->count == JUMPS_MAX)
        j->rows[JUMPS_MAX - 1].t_us = jump.t_us;
    else
        j->rows[j->count++] = jump;
}

void jumps_part(struct jumps *j)
{
    if (j->fresh.bytes > 0)
        keep(j, j->fresh);
    j->fresh = (struct jump){0};
    j->readings = 0;
}

/* The newest reading but one saw a jump: it stays unless the newest takes half of it back. */
static void settle_fresh(struct jumps *j, uint64_t used_bytes)
{
    if (j->fresh.bytes == 0)
        return;
    bool is_back = used_bytes < j->last_used && j->last_used - used_bytes > j->fresh.bytes / 2;
    if (!is_back)
        keep(j, j->fresh);
    j->fresh = (struct jump){0};
}

static uint64_t rise_to(const struct jumps *j, uint64_t used_bytes)
{
    uint64_t from = j->last_used;
    if (j->readings > 1 && j->used_before > from)
        from = j->used_before;
    return used_bytes > from ? used_bytes - from : 0;
}

bool jumps_push(struct jumps *j, uint64_t now_us, uint64_t used_bytes, const struct jump_bounds *bounds)
{
    settle_fresh(j, used_bytes);
    forget_old(j, now_us, bounds->memory_us);
    if (j->readings > 0 && now_us - j->last_us <= bounds->apart_us) {
        uint64_t rise = rise_to(j, used_bytes);
        if (rise > 0 && rise >= bounds->least_bytes)
            j->fresh = (struct jump){now_us, rise, now_us - j->last_us, used_bytes};
    }
    j->used_before = j->last_used;
    j->last_used = used_bytes;
    j->last_us = now_us;
    if (j->readings < 2)
        j->readings++;
    return j->fresh.bytes > 0;
}

const struct jump *jumps_largest(const struct jumps *j)
{
    return j->count > 0 && j->rows[0].bytes > j->fresh.bytes ? &j->rows[0] : &j->fresh;
}
