/* SPDX-License-Identifier: MIT */
/*
 * docs-server: stands in for a document server that spawns one worker and talks to it over pipes.
 *
 * It starts its worker by the name `uv`, found through PATH, with the arguments of the real server; so
 * whatever stands first in PATH under that name gets between the two. By default it is a friendly server: a
 * worker that dies is started again, the handshake is made again, and the document in flight is indexed
 * again, not twice. With --as-real it fails as the real one was measured to: a dead worker is never started
 * again, what was in flight hangs for 300 s, all else is answered "Not connected to database" while /health
 * stays ok, and a write to a broken pipe ends the server.
 *
 * The main thread opens things in order, waits for SIGTERM or SIGINT, and closes them in reverse order; link,
 * indexer and rpc do the work on their own threads.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "corpus.h"
#include "indexer.h"
#include "link.h"
#include "opt.h"
#include "rpc.h"
#include "sys.h"

static struct {
    const char *bind, *docs, *db_path, *data_dir, *port_file, *model, *ledger;
    int64_t port, generate, doc_interval_ms, ready_after_ms;
    double call_timeout_s;
    bool loop, as_real, never_respawn, die_on_epipe, never_ready;
} arg = {
    .bind = "127.0.0.1",
    .data_dir = "./.search-docs",
    .model = "cl-nagoya/ruri-v3-30m", /* the real server's default */
    .port = 24280,                    /* likewise */
    .ready_after_ms = 500,            /* measured: the real server's /health answers after 0.5 s */
    .call_timeout_s = 300,            /* likewise: its requests fail after 300 s */
};

static const struct opt options[] = {
    {"port", "N", OPT_COUNT, &arg.port, "TCP port; 0 takes a free one and logs it (default 24280)", NULL},
    {"port-file", "FILE", OPT_STRING, &arg.port_file, "write the port here once it is open", NULL},
    {"bind", "ADDRESS", OPT_STRING, &arg.bind, "IPv4 address (default 127.0.0.1)", NULL},
    {"docs", "DIR", OPT_STRING, &arg.docs, "index all *.md below DIR", NULL},
    {"generate", "N", OPT_COUNT, &arg.generate, "index N made-up documents", NULL},
    {"data-dir", "DIR", OPT_STRING, &arg.data_dir, "for server.pid (default ./.search-docs)", NULL},
    {"db-path", "DIR", OPT_STRING, &arg.db_path, "the worker's database (default: index in --data-dir)",
     NULL},
    {"model", "NAME", OPT_STRING, &arg.model, "passed on to the worker", NULL},
    {"doc-interval", "MS", OPT_COUNT, &arg.doc_interval_ms, "wait after each added document (default 0)",
     NULL},
    {"loop", NULL, OPT_FLAG, &arg.loop, "when all are indexed, all change and are indexed again", NULL},
    {"call-timeout", "SEC", OPT_SECONDS, &arg.call_timeout_s, "limit for one request (default 300)", NULL},
    {"as-real", NULL, OPT_FLAG, &arg.as_real,
     "fail as the real server: --never-respawn --die-on-epipe, 300 s for a lost answer", NULL},
    {"never-respawn", NULL, OPT_FLAG, &arg.never_respawn, "as the real server: a dead worker stays dead",
     NULL},
    {"die-on-epipe", NULL, OPT_FLAG, &arg.die_on_epipe,
     "as the real server may: end when writing to it fails", NULL},
    {"ledger", "FILE", OPT_STRING, &arg.ledger, "append each request and what came of it, a line each", NULL},
    {"ready-after", "MS", OPT_COUNT, &arg.ready_after_ms, "open the port this late (default 500)", NULL},
    {"never-ready", NULL, OPT_FLAG, &arg.never_ready, "do everything but open the port", NULL},
    {0},
};

static const struct opt_program program = {
    .name = "docs-server",
    .usage = "[options]",
    .summary =
        "Stands in for a document server: GET /health, POST /rpc (getStatus, search, getStats,\n"
        "getSectionsByPath, getSectionById). Its worker is the first `uv` in PATH. Every error that comes\n"
        "from the worker is logged (`Worker error N: ...`) and counted (getStatus: worker.errors, .calls).",
    .table = options,
    .notes =
        "SIGTERM or SIGINT: closes the worker's stdin, waits up to 2 s, kills it, exits 0.\n"
        "Exit status: 1 when something failed (no `uv`, port taken, second server), 2 for wrong arguments.",
};

struct server {
    struct corpus corpus;
    struct link link;
    struct indexer indexer;
    struct rpc rpc;
    char *worker_argv[10];
    char *db_option, *model_option;
};

static sigset_t stop_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    return set;
}

/* Waits for a signal to stop; timeout_ms < 0 is for ever. Returns false when the time was over first. */
static bool wait_stop(int64_t timeout_ms)
{
    const sigset_t set = stop_signals();
    int64_t due_us = sys_now_us() + timeout_ms * 1000;
    for (;;) {
        int64_t left_us = timeout_ms < 0 ? INT64_C(3600000000) : due_us - sys_now_us();
        if (left_us < 0)
            left_us = 0;
        const struct timespec left = {.tv_sec = left_us / 1000000, .tv_nsec = left_us % 1000000 * 1000};
        int signal = sigtimedwait(&set, NULL, &left);
        if (signal > 0)
            return true;
        if (errno == EAGAIN && timeout_ms >= 0)
            return false;
    }
}

static void read_arguments(int argc, char **argv)
{
    opt_parse(&program, argc, argv);
    if (arg.port > 65535)
        opt_fail(&program, "--port %lld: wants 0 to 65535", (long long)arg.port);
    if (arg.docs && arg.generate)
        opt_fail(&program, "--docs and --generate exclude each other");
    if (arg.generate > 10 * 1000 * 1000)
        opt_fail(&program, "--generate %lld: wants at most 10000000", (long long)arg.generate);
}

/* Held open for the life of the process: the lock goes with it, so a kill -9 leaves nothing to clean up. */
static int lock_data_dir(void)
{
    char path[4096], text[24];
    if (mkdir(arg.data_dir, 0777) < 0 && errno != EEXIST)
        opt_fail(&program, "--data-dir %s: %s", arg.data_dir, strerror(errno));
    snprintf(path, sizeof path, "%s/server.pid", arg.data_dir);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0)
        opt_fail(&program, "%s: %s", path, strerror(errno));
    if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        sys_log_line(STDOUT_FILENO, "Another server works on %s", arg.data_dir);
        exit(1);
    }
    int n = snprintf(text, sizeof text, "%d\n", (int)getpid());
    if (ftruncate(fd, 0) < 0 || sys_write_all(fd, text, (size_t)n) < 0)
        sys_log_line(STDOUT_FILENO, "Warning: %s: %s", path, strerror(errno));
    return fd;
}

static void load_corpus(struct server *server)
{
    int result = 0;
    if (arg.docs)
        result = corpus_scan(&server->corpus, arg.docs);
    else
        corpus_generate(&server->corpus, (size_t)arg.generate);
    if (result < 0)
        opt_fail(&program, "--docs %s: %s", arg.docs, strerror(-result));
    sys_log_line(STDOUT_FILENO, "%zu documents to index", server->corpus.count);
}

static int format_worker_argv(struct server *server)
{
    int n = arg.db_path ? asprintf(&server->db_option, "--db-path=%s", arg.db_path)
                        : asprintf(&server->db_option, "--db-path=%s/index", arg.data_dir);
    if (n < 0 || asprintf(&server->model_option, "--model=%s", arg.model) < 0)
        return -ENOMEM;
    static char uv[] = "uv", project[] = "--project", package[] = ".", run[] = "run", python[] = "python",
                script[] = "./worker.py", tokens[] = "--max-batch-tokens=8192";
    char *const words[] = {uv,     project,           package, run, python, script, server->model_option,
                           tokens, server->db_option, NULL};
    memcpy(server->worker_argv, words, sizeof words);
    return 0;
}

static int start_worker_and_index(struct server *server)
{
    const struct link_options link = {
        .argv = server->worker_argv,
        .never_respawn = arg.never_respawn || arg.as_real,
        .die_on_epipe = arg.die_on_epipe || arg.as_real,
        .ledger_path = arg.ledger,
        .call_timeout_us = (int64_t)(arg.call_timeout_s * 1e6),
    };
    int result = format_worker_argv(server);
    if (result == 0)
        result = link_start(&server->link, &link);
    if (result < 0) {
        sys_log_line(STDOUT_FILENO, "Failed to start the worker (uv): %s", strerror(-result));
        return result;
    }
    result =
        indexer_start(&server->indexer, &server->link, &server->corpus, arg.doc_interval_ms * 1000, arg.loop);
    if (result < 0)
        (void)link_stop(&server->link);
    return result;
}

static void write_port_file(int port)
{
    char text[16], temporary[4096];
    int n = snprintf(text, sizeof text, "%d\n", port);
    snprintf(temporary, sizeof temporary, "%s.new", arg.port_file);
    int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    int result = fd < 0 ? -errno : sys_write_all(fd, text, (size_t)n);
    if (fd >= 0)
        close(fd);
    if (result < 0 || rename(temporary, arg.port_file) < 0) /* whoever sees the file sees all of it */
        sys_log_line(STDOUT_FILENO, "Warning: %s: %s", arg.port_file, strerror(result < 0 ? -result : errno));
}

static int open_port(struct server *server)
{
    server->rpc.link = &server->link;
    server->rpc.indexer = &server->indexer;
    int port = rpc_start(&server->rpc, arg.bind, (uint16_t)arg.port);
    if (port < 0) {
        sys_log_line(STDOUT_FILENO, "Cannot listen on %s:%lld: %s", arg.bind, (long long)arg.port,
                     strerror(-port));
        return port;
    }
    sys_log_line(STDOUT_FILENO, "Listening on http://%s:%d", arg.bind, port);
    if (arg.port_file)
        write_port_file(port);
    return 0;
}

/* From the started worker to the signal. Returns 0 or a negative errno. */
static int serve(struct server *server)
{
    if (wait_stop(arg.ready_after_ms))
        return 0;
    int result = arg.never_ready ? 0 : open_port(server);
    if (result == 0)
        wait_stop(-1);
    return result;
}

static int close_all(struct server *server)
{
    sys_log_line(STDOUT_FILENO, "Stopping");
    int result = link_stop(&server->link);
    indexer_stop(&server->indexer);
    rpc_stop(&server->rpc);
    if (result < 0) {
        sys_log_line(STDOUT_FILENO, "The worker was killed and does not end; leaving it");
        _exit(1);
    }
    if (arg.port_file)
        (void)unlink(arg.port_file); /* a stale one only misleads; ignoring */
    corpus_deinit(&server->corpus);
    free(server->db_option);
    free(server->model_option);
    sys_log_line(STDOUT_FILENO, "Stopped");
    return 0;
}

int main(int argc, char **argv)
{
    static struct server server; /* its threads may look at it until the process is gone */
    const sigset_t set = stop_signals();
    read_arguments(argc, argv);
    signal(SIGPIPE, SIG_IGN);
    pthread_sigmask(SIG_BLOCK, &set, NULL); /* before any thread: they inherit it */
    json_object_seed(0);                    /* before any thread, as jansson asks */
    (void)lock_data_dir();
    load_corpus(&server);
    if (start_worker_and_index(&server) < 0)
        return 1;
    int result = serve(&server);
    close_all(&server);
    return result < 0 ? 1 : 0;
}
