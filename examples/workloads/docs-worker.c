/* SPDX-License-Identifier: MIT */
/*
 * docs-worker: stands in for a Python embedding worker that grows.
 *
 * It speaks the worker's protocol (one JSON object a line, stdin to stdout), keeps its state in --db-path,
 * takes real memory and CPU for every document, and can be told to crash or to hang. A server that starts its
 * worker as uv --project P run python X/worker.py --model=... --db-path=... gets this program if it is found
 * in PATH under the name `uv`: everything up to the script is skipped, options behind it that are not known
 * here too, and what is special to the demo comes from the environment. Documents are worked on one after the
 * other, searches are answered beside them (lanes.h); on end-of-file it ends after the requests it has taken.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lanes.h"
#include "opt.h"
#include "sys.h"
#include "worker-methods.h"

static struct {
    const char *db_path, *model, *max_batch_tokens, *trace, *crash_point, *poison;
    double memory_scale, time_scale, trace_from_s;
    int64_t load_ms, model_bytes, leak_bytes, work_ms, search_ms, idle_ms;
    int64_t compact_every, compact_ms, crash_after, hang_after, hang_s;
    bool wrapper, calls_log;
} arg = {
    .db_path = "./.search-docs/index",
    .model = "demo-model",
    .crash_point = "before",
    .memory_scale = 1,
    .time_scale = 1,
    .trace_from_s = -1,
    .idle_ms = 1000,
    .compact_every = 100, /* as the recorded worker */
    .hang_s = 600,
};

#define ENV(name) "WEIR_DEMO_" name

static const struct opt options[] = {
    {"db-path", "DIR", OPT_STRING, &arg.db_path, "where the state is kept (default ./.search-docs/index)",
     NULL},
    {"model", "NAME", OPT_STRING, &arg.model, "only told back by initModel", NULL},
    {"max-batch-tokens", "N", OPT_STRING, &arg.max_batch_tokens, "accepted, no effect", NULL},
    {"load-time", "MS", OPT_COUNT, &arg.load_ms, "how long initModel takes (default 0)", ENV("LOAD_TIME_MS")},
    {"model-bytes", "SIZE", OPT_SIZE, &arg.model_bytes, "memory of the loaded model, without a trace",
     ENV("MODEL_BYTES")},
    {"trace", "FILE", OPT_STRING, &arg.trace, "grow as recorded in FILE while there is work", ENV("TRACE")},
    {"memory-scale", "RATIO", OPT_RATIO, &arg.memory_scale, "part of the recorded memory (default 1)",
     ENV("MEMORY_SCALE")},
    {"time-scale", "RATIO", OPT_RATIO, &arg.time_scale, "speed of the trace (default 1)", ENV("TIME_SCALE")},
    {"trace-from", "SEC", OPT_SECONDS, &arg.trace_from_s, "trace time to begin at", ENV("TRACE_FROM")},
    {"idle", "MS", OPT_COUNT, &arg.idle_ms, "the trace stops this long after a document (default 1000)",
     ENV("IDLE_MS")},
    {"leak-bytes-per-doc", "SIZE", OPT_SIZE, &arg.leak_bytes, "leak this much for each document",
     ENV("LEAK_BYTES_PER_DOC")},
    {"work", "MS", OPT_COUNT, &arg.work_ms, "CPU time for each document (default 0)", ENV("WORK_MS")},
    {"search-work", "MS", OPT_COUNT, &arg.search_ms, "CPU time for each search (default 0)",
     ENV("SEARCH_MS")},
    {"compact-every", "N", OPT_COUNT, &arg.compact_every, "compact after N adds, 0 never (default 100)",
     ENV("COMPACT_EVERY")},
    {"compact-work", "MS", OPT_COUNT, &arg.compact_ms, "CPU time for a compaction (default 0)",
     ENV("COMPACT_MS")},
    {"crash-after", "N", OPT_COUNT, &arg.crash_after, "abort in the Nth addSections of each process",
     ENV("CRASH_AFTER")},
    {"crash-point", "WHEN", OPT_STRING, &arg.crash_point,
     "before or after it is in the database (default before)", ENV("CRASH_POINT")},
    {"poison", "TEXT", OPT_STRING, &arg.poison, "abort at each search for TEXT", ENV("POISON")},
    {"hang-after", "N", OPT_COUNT, &arg.hang_after, "stop answering in the Nth addSections",
     ENV("HANG_AFTER")},
    {"hang-for", "SEC", OPT_COUNT, &arg.hang_s, "for how long (default 600)", ENV("HANG_FOR")},
    {"calls-log", NULL, OPT_FLAG, &arg.calls_log, "append each request that arrives to DIR/calls.log",
     ENV("CALLS_LOG")},
    {"wrapper", NULL, OPT_FLAG, &arg.wrapper, "work in a child, as uv runs python", ENV("WRAPPER")},
    {0},
};

static struct opt_program program = {
    .name = "docs-worker",
    .usage = "[options]   or   uv --project P run python X/worker.py [options]",
    .summary =
        "Stands in for the Python worker of a document server: JSON-RPC, one object a line, on stdin and\n"
        "stdout. Growth by trace and by leak add up, and begin anew with each process.",
    .table = options,
    .notes = "In DIR: documents.log (one line an add), requests.log, data/*.lance (one fragment an add),\n"
             "calls.log (METHOD, ID, PID of each request that arrived; with --calls-log).\n"
             "Exit status: 0 at end of input, 1 when memory or a pipe failed, 2 for wrong arguments.",
};

static bool ends_with(const char *text, const char *end)
{
    size_t length = strlen(text), end_length = strlen(end);
    return length >= end_length && strcmp(text + length - end_length, end) == 0;
}

/* Index of the script in `... run python X/worker.py ...`, or 0. */
static int find_script(int argc, char **argv)
{
    bool run = false;
    for (int i = 1; i < argc; i++) {
        run = run || strcmp(argv[i], "run") == 0;
        if (run && ends_with(argv[i], ".py"))
            return i;
    }
    return 0;
}

static void read_arguments(int argc, char **argv)
{
    int script = find_script(argc, argv);
    if (script) {
        program.unknown_ok = true;
        program.positionals_max = argc;
    }
    opt_read_env(&program);
    opt_parse(&program, argc - script, argv + script);
    if (strcmp(arg.crash_point, "before") != 0 && strcmp(arg.crash_point, "after") != 0)
        opt_fail(&program, "--crash-point %s: wants before or after", arg.crash_point);
}

/* As `uv run` does: a small parent that waits for the real worker and ends as it ended. Returns in the child.
 */
static void become_child_of_wrapper(void)
{
    pid_t parent = getpid(), child = fork();
    if (child < 0) {
        fprintf(stderr, "%s: fork: %s\n", program.name, strerror(errno));
        exit(1);
    }
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* a demo leaves nothing behind, even where uv would */
        if (getppid() != parent)
            _exit(1);
        return;
    }
    close(STDIN_FILENO);
    close(STDOUT_FILENO);
    int status;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    if (WIFSIGNALED(status)) {
        sys_disable_core();
        signal(WTERMSIG(status), SIG_DFL);
        raise(WTERMSIG(status));
    }
    _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
}

static void init_growth(struct worker *worker)
{
    char why[128];
    const struct growth_options growth = {
        .trace_path = arg.trace,
        .memory_scale = arg.memory_scale,
        .time_scale = arg.time_scale,
        .from_s = arg.trace_from_s,
        .load_us = arg.load_ms * 1000,
        .model_bytes = arg.model_bytes,
        .leak_bytes = arg.leak_bytes,
        .idle_us = arg.idle_ms * 1000,
    };
    if (growth_init(&worker->growth, &growth, why, sizeof why) < 0)
        opt_fail(&program, "%s: %s", arg.trace, why);
}

static void init_worker(struct worker *worker)
{
    pthread_mutex_init(&worker->lock, NULL);
    pthread_cond_init(&worker->changed, NULL);
    worker->model = arg.model;
    worker->compact_every = arg.compact_every;
    worker->compact_us = arg.compact_ms * 1000;
    worker->work_us = arg.work_ms * 1000;
    worker->search_us = arg.search_ms * 1000;
    worker->crash_after = arg.crash_after;
    worker->poison = arg.poison;
    worker->hang_after = arg.hang_after;
    worker->hang_us = arg.hang_s * 1000000;
    worker->crash_point =
        strcmp(arg.crash_point, "after") == 0 ? WORKER_CRASH_AFTER_WRITE : WORKER_CRASH_BEFORE_WRITE;
    init_growth(worker);
    int result = docdb_open(&worker->db, arg.db_path);
    if (result < 0)
        opt_fail(&program, "--db-path %s: %s", arg.db_path, strerror(-result));
}

/* fd < 0: not asked for. One write a line: it is in the file or it is not. */
static void write_down_call(int fd, const json_t *request)
{
    const char *method = json_string_value(json_object_get(request, "method"));
    char *id = json_dumps(json_object_get(request, "id"), JSON_ENCODE_ANY);
    if (fd >= 0)
        sys_log_line(fd, "%s\t%s\t%d", method ? method : "-", id ? id : "-", (int)getpid());
    free(id);
}

static int open_calls_log(const struct worker *worker)
{
    if (!arg.calls_log)
        return -1;
    int fd = openat(worker->db.dir_fd, "calls.log", O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0)
        opt_fail(&program, "%s/calls.log: %s", arg.db_path, strerror(errno));
    return fd;
}

/* Until end of input. Returns the exit status. */
static int serve(struct worker *worker)
{
    static struct lanes lanes; /* as main's worker */
    char *line = NULL;
    size_t room = 0;
    ssize_t n;
    int calls_fd = open_calls_log(worker);
    int result = lanes_start(&lanes, worker);
    if (result < 0) {
        sys_log_line(STDERR_FILENO, "thread: %s", strerror(-result));
        return 1;
    }
    while ((n = getline(&line, &room, stdin)) > 0) {
        json_error_t error;
        json_t *request = json_loadb(line, (size_t)n, 0, &error);
        write_down_call(calls_fd, request);
        lanes_take(&lanes, request, &error);
    }
    free(line);
    lanes_finish(&lanes);
    return 0;
}

int main(int argc, char **argv)
{
    static struct worker worker; /* its threads may look at it until the process is gone */
    read_arguments(argc, argv);
    signal(SIGPIPE, SIG_IGN);
    json_object_seed(0); /* before any thread, as jansson asks */
    if (arg.wrapper)
        become_child_of_wrapper();
    init_worker(&worker);
    sys_log_line(STDERR_FILENO, "[DBEngine] worker %d: %lld documents in %s", (int)getpid(),
                 (long long)docdb_totals(&worker.db).documents_count, arg.db_path);
    int status = serve(&worker);
    docdb_close(&worker.db);
    return status;
}
