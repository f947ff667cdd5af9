/* SPDX-License-Identifier: MIT */
/*
 * misbehave: one way to be a bad process per subcommand.
 *
 * For tests and demos of a supervisor. The table below is the whole list; each subcommand has its own options
 * and
 * --help. No run lasts longer than --for seconds (default 60): an alarm ends the process with status 0, and
 * each process that a subcommand makes arms its own.
 */
#include "misbehave.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "sys.h"

static struct misbehave_args arg = {
    .for_s = 60,
    .threads_count = 1,
    .limit_bytes = INT64_C(1) << 30,
    .size_bytes = INT64_C(64) << 20,
    .hold_s = 1,
    .rest_s = 1,
    .length_bytes = 80,
    .after_ms = 0,
    .status = "starting",
};

#define FOR                                                                                                  \
    {                                                                                                        \
        "for", "SEC", OPT_SECONDS, &arg.for_s, "end after this time, at most (default 60)", NULL             \
    }
#define AFTER                                                                                                \
    {                                                                                                        \
        "after", "MS", OPT_COUNT, &arg.after_ms, "wait first (default 0)", NULL                              \
    }
#define LIMIT                                                                                                \
    {                                                                                                        \
        "limit", "SIZE", OPT_SIZE, &arg.limit_bytes, "hold once this is reached (default 1G)", NULL          \
    }
#define END                                                                                                  \
    {                                                                                                        \
        0                                                                                                    \
    }

static const struct opt hog_options[] = {
    {"threads", "N", OPT_COUNT, &arg.threads_count, "on how many threads (default 1)", NULL}, FOR, END};
static const struct opt leak_options[] = {
    {"rate", "MB", OPT_RATIO, &arg.rate, "MB a second (default 10)", NULL}, LIMIT, FOR, END};
static const struct opt burst_options[] = {
    {"size", "SIZE", OPT_SIZE, &arg.size_bytes, "grow to (default 64M)", NULL},
    {"hold", "SEC", OPT_SECONDS, &arg.hold_s, "hold it (default 1)", NULL},
    {"rest", "SEC", OPT_SECONDS, &arg.rest_s, "stay small (default 1)", NULL},
    FOR,
    END};
static const struct opt step_options[] = {
    {"size", "SIZE", OPT_SIZE, &arg.size_bytes, "height of a step (default 64M)", NULL},
    {"every", "SEC", OPT_SECONDS, &arg.hold_s, "length of a step (default 1)", NULL},
    LIMIT,
    FOR,
    END};
static const struct opt bomb_options[] = {LIMIT, FOR, END};
static const struct opt fork_options[] = {
    {"count", "N", OPT_COUNT, &arg.count, "children alive at most (default 1000)", NULL},
    {"rate", "N", OPT_RATIO, &arg.rate, "forks a second (default: as fast as possible)", NULL},
    FOR,
    END};
static const struct opt flood_options[] = {
    {"rate", "N", OPT_RATIO, &arg.rate, "lines a second (default: as fast as possible)", NULL},
    {"length", "N", OPT_COUNT, &arg.length_bytes, "characters in a line, 1 to 1000000 (default 80)", NULL},
    {"count", "N", OPT_COUNT, &arg.count, "end after so many lines (default 0: no limit)", NULL},
    FOR,
    END};
static const struct opt hang_options[] = {
    {"all", NULL, OPT_FLAG, &arg.all, "also SIGINT, SIGHUP and SIGQUIT", NULL}, FOR, END};
static const struct opt tree_options[] = {
    {"count", "N", OPT_COUNT, &arg.count, "processes, 1 to 1000 (default 5)", NULL},
    {"chain", NULL, OPT_FLAG, &arg.chain, "each the parent of the next", NULL},
    FOR,
    END};
static const struct opt orphan_options[] = {
    {"keep-output", NULL, OPT_FLAG, &arg.keep_output, "the orphan keeps stdin, stdout and stderr", NULL},
    FOR,
    END};
static const struct opt after_options[] = {AFTER, FOR, END};
static const struct opt notify_options[] = {
    {"after", "MS", OPT_COUNT, &arg.after_ms, "send READY=1 after this time (default 0)", NULL},
    {"never", NULL, OPT_FLAG, &arg.never, "never send READY=1", NULL},
    {"watchdog", "MS", OPT_COUNT, &arg.watchdog_ms, "send WATCHDOG=1 this often (default 0: not)", NULL},
    {"status", "TEXT", OPT_STRING, &arg.status, "sent as STATUS= at the start", NULL},
    FOR,
    END};

static const struct command {
    const char *name, *usage, *summary;
    const struct opt *options;
    int (*run)(const struct misbehave_args *args);
    const char *positional; /* what the number behind the options is; NULL: none */
    int64_t number_max;
    double rate;   /* default of --rate */
    int64_t count; /* default of --count */
} commands[] = {
    {"hog", "[options]", "Burns CPU.", hog_options, misbehave_hog, NULL, 0, 0, 0},
    {"leak", "[options]", "Takes memory at a rate and never gives it back.", leak_options, misbehave_leak,
     NULL, 0, 10, 0},
    {"burst", "[options]", "Takes memory at once, holds it, gives it back, again and again.", burst_options,
     misbehave_burst, NULL, 0, 0, 0},
    {"step", "[options]", "Takes memory in steps.", step_options, misbehave_step, NULL, 0, 0, 0},
    {"bomb", "[options]", "Takes and touches memory at full speed.", bomb_options, misbehave_bomb, NULL, 0, 0,
     0},
    {"cache", "[options]",
     "Fills a cache at a rate and gives it back when MEMORY_PRESSURE_WATCH tells it to.", leak_options,
     misbehave_cache, NULL, 0, 10, 0},
    {"fork", "[options]", "Forks for as long as it can; a refused fork is counted and tried again.",
     fork_options, misbehave_fork, NULL, 0, 0, 1000},
    {"flood", "[options]", "Writes log lines to stdout.", flood_options, misbehave_flood, NULL, 0, 0, 0},
    {"hang", "[options]", "Ignores SIGTERM.", hang_options, misbehave_hang, NULL, 0, 0, 0},
    {"tree", "[options]", "Makes processes, each in a session of its own.", tree_options, misbehave_tree,
     NULL, 0, 0, 5},
    {"orphan", "[options]", "Leaves a process behind, in a session of its own, and exits.", orphan_options,
     misbehave_orphan, NULL, 0, 0, 0},
    {"exit", "[options] CODE", "Exits with CODE, 0 to 255.", after_options, misbehave_exit, "CODE", 255, 0,
     0},
    {"signal", "[options] N", "Kills itself with signal N, 1 to 64.", after_options, misbehave_signal, "N",
     64, 0, 0},
    {"notify", "[options]", "Tells its readiness through NOTIFY_SOCKET; ends cleanly on SIGTERM.",
     notify_options, misbehave_notify, NULL, 0, 0, 0},
};

enum { COMMANDS = sizeof commands / sizeof commands[0] };

static void time_is_over(int signal)
{
    (void)signal;
    _exit(0);
}

void misbehave_bound(double for_s)
{
    const struct sigaction action = {.sa_handler = time_is_over};
    sigaction(SIGALRM, &action, NULL);
    static int64_t end_us;
    if (end_us == 0)
        end_us = sys_now_us() + (int64_t)(for_s * 1e6);
    int64_t us = end_us - sys_now_us() < 1000 ? 1000 : end_us - sys_now_us();
    const struct itimerval timer = {.it_value = {.tv_sec = us / 1000000, .tv_usec = us % 1000000}};
    setitimer(ITIMER_REAL, &timer, NULL);
}

static void print_help(FILE *out)
{
    fprintf(
        out,
        "usage: misbehave COMMAND [options]\n\nOne way to be a bad process per command, for at most --for "
        "SEC (default 60).\n\ncommands:\n");
    for (int i = 0; i < COMMANDS; i++)
        fprintf(out, "  %-8s %s\n", commands[i].name, commands[i].summary);
    fprintf(out, "\nmisbehave COMMAND --help tells its options.\n");
}

static const struct command *find_command(const char *name)
{
    for (int i = 0; i < COMMANDS; i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

static void check_ranges(const struct opt_program *program, const struct command *command)
{
    if (arg.for_s > 86400)
        opt_fail(program, "--for %g: wants at most 86400", arg.for_s);
    if (arg.length_bytes < 1 || arg.length_bytes > 1000000)
        opt_fail(program, "--length %lld: wants 1 to 1000000", (long long)arg.length_bytes);
    if (command->run == misbehave_tree && (arg.count < 1 || arg.count > 1000))
        opt_fail(program, "--count %lld: wants 1 to 1000", (long long)arg.count);
    if (arg.threads_count < 1 || arg.threads_count > 4096)
        opt_fail(program, "--threads %lld: wants 1 to 4096", (long long)arg.threads_count);
    if (arg.size_bytes < 4096)
        opt_fail(program, "--size %lld: wants 4096 or more", (long long)arg.size_bytes);
}

static void read_arguments(const struct command *command, int argc, char **argv)
{
    char name[32];
    snprintf(name, sizeof name, "misbehave %s", command->name);
    const struct opt_program program = {
        .name = name,
        .usage = command->usage,
        .summary = command->summary,
        .table = command->options,
        .positionals_max = command->positional ? 1 : 0,
    };
    arg.rate = command->rate;
    arg.count = command->count;
    int positionals = opt_parse(&program, argc, argv);
    check_ranges(&program, command);
    if (!command->positional)
        return;
    int64_t lowest = command->run == misbehave_signal ? 1 : 0;
    if (positionals == 0)
        opt_fail(&program, "which %s?", command->positional);
    if (!opt_parse_count(argv[1], &arg.number) || arg.number < lowest || arg.number > command->number_max)
        opt_fail(&program, "%s: wants %lld to %lld", argv[1], (long long)lowest,
                 (long long)command->number_max);
}

int main(int argc, char **argv)
{
    if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        print_help(argc < 2 ? stderr : stdout);
        return argc < 2 ? 2 : 0;
    }
    const struct command *command = find_command(argv[1]);
    if (!command) {
        fprintf(stderr, "misbehave: unknown command \"%s\" (see misbehave --help)\n", argv[1]);
        return 2;
    }
    read_arguments(command, argc - 1, argv + 1);
    signal(SIGPIPE, SIG_IGN);
    misbehave_bound(arg.for_s);
    return command->run(&arg);
}
