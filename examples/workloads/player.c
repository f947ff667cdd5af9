/* SPDX-License-Identifier: MIT */
/*
 * player: see player.h.
 */
#include "player.h"

#include <stdlib.h>

#include "sys.h"

#define MB_BYTES (1024.0 * 1024.0)

/* chosen: below this difference the memory is left alone; the kernel's own count is that coarse on two CPUs
 */
enum { DEAD_BAND_BYTES = 128 * 1024 };

struct player_options player_options_default(const struct trace *trace)
{
    return (struct player_options){
        .memory_scale = 1,
        .time_scale = 1,
        .thread_scale = 1,
        .from_s = trace_first_s(trace),
        .to_s = trace_last_s(trace),
        .lead_in_s = 1,
        .at_end = PLAYER_HOLD,
    };
}

void player_init(struct player *player, const struct trace *trace, const struct player_options *options)
{
    struct sys_self self = {0};
    (void)sys_read_self(&self); /* only the start of the lead-in; player_advance() reports a missing /proc */
    *player = (struct player){
        .trace = trace,
        .options = *options,
        .position_s = options->from_s - options->lead_in_s,
        .baseline_bytes = self.rss_bytes + self.swap_bytes,
    };
    idlers_init(&player->threads);
}

bool player_in_lead_in(const struct player *player)
{
    return player->position_s < player->options.from_s;
}

static void move_on(struct player *player, int64_t step_us)
{
    const struct player_options *options = &player->options;
    player->position_s += (double)step_us / 1e6 * options->time_scale;
    if (player->position_s <= options->to_s)
        return;
    player->position_s = options->at_end == PLAYER_LOOP ? options->from_s : options->to_s;
}

static struct trace_row target_now(const struct player *player)
{
    const struct player_options *options = &player->options;
    bool lead_in = player_in_lead_in(player);
    struct trace_row row = trace_at(player->trace, lead_in ? options->from_s : player->position_s);
    row.time_s = player->position_s;
    row.rss_mb *= options->memory_scale;
    row.threads_count *= options->thread_scale;
    if (lead_in) {
        double start_mb = (double)player->baseline_bytes / MB_BYTES;
        double part = 1 - (options->from_s - player->position_s) / options->lead_in_s;
        row.rss_mb = start_mb + part * (row.rss_mb - start_mb);
        row.threads_count = 1 + part * (row.threads_count - 1);
    }
    return row;
}

static int set_threads(struct player *player, const struct sys_self *self)
{
    int64_t others = self->threads_count - (int64_t)player->threads.count;
    int64_t wanted = (int64_t)(player->target.threads_count + 0.5) - others;
    return idlers_resize(&player->threads, wanted > 0 ? (size_t)wanted : 0);
}

static int set_memory(struct player *player, const struct sys_self *self)
{
    int64_t target = (int64_t)(player->target.rss_mb * MB_BYTES) + player->extra_bytes;
    int64_t difference = target - (self->rss_bytes + self->swap_bytes);
    if (llabs(difference) < DEAD_BAND_BYTES)
        return 0;
    return resident_resize(&player->memory, player->memory.size_bytes + difference);
}

int player_advance(struct player *player, int64_t step_us)
{
    struct sys_self self;
    move_on(player, step_us);
    player->target = target_now(player);
    int result = sys_read_self(&self);
    if (result < 0)
        return result;
    result = set_memory(player, &self);
    int threads = set_threads(player, &self);
    if (result < 0 || threads < 0)
        return result < 0 ? result : threads;
    bool ended = player->options.at_end == PLAYER_EXIT && player->position_s >= player->options.to_s;
    return ended ? PLAYER_ENDED : 0;
}

void player_deinit(struct player *player)
{
    idlers_deinit(&player->threads);
    resident_deinit(&player->memory);
}
