/* SPDX-License-Identifier: MIT */
/*
 * trace-player: replays a recorded memory and thread log in real memory and real threads.
 *
 * One loop: sleep one step, tell the player that one step was made. A turn that comes late, because the
 * process was stopped, frozen, throttled or simply not scheduled, still counts as one step only; the lost
 * time stays lost. With --report it prints what the kernel says about it, in the format of the recording, by
 * trace time.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "opt.h"
#include "player.h"
#include "sys.h"

static struct {
    double memory_scale, time_scale, thread_scale;
    double from_s, to_s, lead_in_s, for_s, report_s;
    int64_t step_ms;
    const char *at_end;
} arg = {.memory_scale = 1,
         .time_scale = 1,
         .thread_scale = 1,
         .from_s = -1,
         .to_s = -1,
         .lead_in_s = 1,
         .step_ms = 10,
         .at_end = "hold"};

static const struct opt options[] = {
    {"memory-scale", "RATIO", OPT_RATIO, &arg.memory_scale,
     "part of the recorded memory, such as 1/16 (default 1)", NULL},
    {"time-scale", "RATIO", OPT_RATIO, &arg.time_scale, "speed; 2 is twice as fast (default 1)", NULL},
    {"thread-scale", "RATIO", OPT_RATIO, &arg.thread_scale, "part of the recorded threads (default 1)", NULL},
    {"from", "SEC", OPT_SECONDS, &arg.from_s, "trace time to begin at (default: first row)", NULL},
    {"to", "SEC", OPT_SECONDS, &arg.to_s, "trace time that counts as the end (default: last row)", NULL},
    {"lead-in", "SEC", OPT_SECONDS, &arg.lead_in_s, "trace time to climb to the first value in (default 1)",
     NULL},
    {"at-end", "WHAT", OPT_STRING, &arg.at_end, "hold, exit or loop (default hold)", NULL},
    {"step", "MS", OPT_COUNT, &arg.step_ms, "step length, wall time, 1 to 1000 (default 10)", NULL},
    {"for", "SEC", OPT_SECONDS, &arg.for_s, "end after this wall time (default 0: no limit)", NULL},
    {"report", "SEC", OPT_SECONDS, &arg.report_s, "print a row each SEC of trace time (default 0: none)",
     NULL},
    {0},
};

static const struct opt_program program = {
    .name = "trace-player",
    .usage = "[options] TRACE",
    .summary =
        "Follows a recorded \"Time(s), RSS(MB), VSZ(MB), Threads\" log in resident memory and threads.\n"
        "Trace time goes on by progress, not by the clock: stopped for 3 s, it goes on where it was.",
    .table = options,
    .notes = "Its own memory counts towards the target. Recorded VSZ is not followed.",
    .positionals_max = 1,
};

static enum player_at_end at_end_from_name(const char *name)
{
    if (strcmp(name, "hold") == 0)
        return PLAYER_HOLD;
    if (strcmp(name, "exit") == 0)
        return PLAYER_EXIT;
    if (strcmp(name, "loop") == 0)
        return PLAYER_LOOP;
    opt_fail(&program, "--at-end %s: wants hold, exit or loop", name);
}

static struct player_options player_options_from_args(const struct trace *trace)
{
    struct player_options result = player_options_default(trace);
    result.memory_scale = arg.memory_scale;
    result.time_scale = arg.time_scale;
    result.thread_scale = arg.thread_scale;
    result.lead_in_s = arg.lead_in_s;
    result.at_end = at_end_from_name(arg.at_end);
    if (arg.from_s >= 0)
        result.from_s = arg.from_s;
    if (arg.to_s >= 0)
        result.to_s = arg.to_s;
    if (result.from_s > result.to_s)
        opt_fail(&program, "--from %g lies behind the end, %g", result.from_s, result.to_s);
    if (arg.step_ms < 1 || arg.step_ms > 1000)
        opt_fail(&program, "--step %lld: wants 1 to 1000", (long long)arg.step_ms);
    return result;
}

static void report(const struct player *player)
{
    struct sys_self self;
    if (sys_read_self(&self) < 0)
        return;
    double mb = 1024 * 1024;
    sys_log_line(STDOUT_FILENO, "%.2f, %.2f, %.2f, %lld", player->position_s, (double)self.rss_bytes / mb,
                 (double)self.vsz_bytes / mb, (long long)self.threads_count);
}

/* Refused memory ends a real program; a refused thread is told once and tried again. */
static int judge(int result, bool *told)
{
    if (result >= 0)
        return result;
    if (result != -EAGAIN) {
        fprintf(stderr, "%s: %s\n", program.name, strerror(-result));
        return result;
    }
    if (!*told)
        fprintf(stderr, "%s: a thread was refused (%s), going on with fewer\n", program.name,
                strerror(EAGAIN));
    *told = true;
    return 0;
}

/* When the next step is due. A turn that is late by more than a step starts a new count: what was lost is
 * lost. */
static int64_t next_due(int64_t due_us, int64_t step_us)
{
    int64_t now_us = sys_now_us();
    return due_us + step_us < now_us - step_us ? now_us + step_us : due_us + step_us;
}

static int play(struct player *player)
{
    int64_t step_us = arg.step_ms * 1000;
    int64_t start_us = sys_now_us(), due_us = start_us;
    double next_report_s = player->options.from_s;
    bool told = false;
    for (;;) {
        int result = judge(player_advance(player, step_us), &told);
        if (result)
            return result;
        if (player->position_s < next_report_s - 2 * arg.report_s) /* looped */
            next_report_s = player->options.from_s;
        if (arg.report_s > 0 && player->position_s >= next_report_s - 1e-6) {
            report(player);
            next_report_s += arg.report_s;
        }
        if (arg.for_s > 0 && (double)(sys_now_us() - start_us) / 1e6 >= arg.for_s)
            return 0;
        due_us = next_due(due_us, step_us);
        sys_sleep_until_us(due_us);
    }
}

int main(int argc, char **argv)
{
    if (opt_parse(&program, argc, argv) != 1)
        opt_fail(&program, "which trace?");
    struct trace trace = TRACE_NULL;
    char why[128];
    if (trace_read(&trace, argv[1], why, sizeof why) < 0)
        opt_fail(&program, "%s: %s", argv[1], why);
    struct player_options wanted = player_options_from_args(&trace);
    struct player player;
    player_init(&player, &trace, &wanted);
    if (arg.report_s > 0) {
        sys_log_line(STDOUT_FILENO, "Monitoring PID %d, by trace time", (int)getpid());
        sys_log_line(STDOUT_FILENO, "Time(s), RSS(MB), VSZ(MB), Threads");
    }
    int result = play(&player);
    if (arg.report_s > 0 && result >= 0)
        sys_log_line(STDOUT_FILENO, "Process %d terminated", (int)getpid());
    player_deinit(&player);
    trace_deinit(&trace);
    return result < 0 ? 1 : 0;
}
