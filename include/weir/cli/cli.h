/* SPDX-License-Identifier: MIT */
/*
 * The command line's table: one row per command gives its name, arguments, options, help and function; the
 * parser, `weir help`, the man page weir(1) and the shell completions come from it.
 */
#ifndef WEIR_CLI_CLI_H
#define WEIR_CLI_CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* Exit statuses, as documented in weir(1). */
enum cli_exit {
    CLI_EXIT_OK = 0,
    CLI_EXIT_FAILED = 1,      /* the command could not do it; also: the config has errors, a unit failed */
    CLI_EXIT_USAGE = 2,       /* wrong words on the command line */
    CLI_EXIT_NOT_RUNNING = 3, /* no supervisor runs, or none (or no history) of that name */
    CLI_EXIT_DENIED = 4,      /* not allowed: by the supervisor, or the file system */
};

enum cli_format { CLI_FORMAT_TABLE, CLI_FORMAT_JSON, CLI_FORMAT_CSV };

/* Options every command may take; a command's row says which. */
struct cli_args {
    const char *config; /* -c, --config */
    const char *name;   /* -n, --name */
    const char *unit;   /* -u, --unit */
    const char *since, *until;
    const char *run; /* --run N: history of one run; "last" (default for some), "all" */
    enum cli_format format;
    bool follow;        /* -f */
    bool keep;          /* stop --keep */
    bool verbose;       /* -v */
    bool explain;       /* check --explain */
    bool all;           /* -a, --all: also what is left out by default */
    bool recorded;      /* replay --recorded */
    unsigned limit;     /* --limit N; 0 = not given */
    const char **sweep; /* replay --sweep KEY=A,B,...: each one given */
    size_t sweep_count;
    const char *const *words; /* positional arguments, without the command's own name(s) */
    size_t word_count;
};

/* Where a supervisor's things are; by -c, -n, or the only one there is. All paths owned. */
struct cli_target {
    char *name;
    char *run_dir;
    char *state_dir;
    char *history; /* STATE_DIR/history.db */
    char *socket;  /* RUN_DIR/control.sock */
};

enum cli_want {
    CLI_WANT_RUNNING, /* a command that asks the supervisor */
    CLI_WANT_HISTORY, /* a command that reads the record */
};

/* Finds it: -c CONFIG reads the file; -n NAME; else the only one that runs, respectively has a history (of several
 * histories the one whose supervisor runs). Root looks in /run/weir and /var/lib/weir; others in the XDG places
 * first. Prints what is wrong to stderr and returns a cli_exit. */
int cli_target_find(const struct cli_args *args, enum cli_want want, struct cli_target *ret);
/* Does its supervisor answer connections? */
bool cli_target_is_running(const struct cli_target *t);
/* Tells on stderr what a killed supervisor has left running, and what to do; nothing when it left nothing (or who
 * asks may not know). config: as given with -c, or NULL. */
void cli_tell_left_behind(const char *run_dir, const char *config);
void cli_target_deinit(struct cli_target *t);

/* Commands; each returns a cli_exit and prints its own errors to stderr ("weir: ..."). */
/* words: samples|interventions|restarts|pressure|gate|runs, default interventions */
int cmd_history(const struct cli_args *args);
int cmd_explain(const struct cli_args *args); /* word: ID or RUN:ID or "last" */
int cmd_log(const struct cli_args *args);
int cmd_replay(const struct cli_args *args);
int cmd_run(const struct cli_args *args); /* word: CONFIG */
int cmd_check(const struct cli_args *args);
int cmd_doctor(const struct cli_args *args);
int cmd_status(const struct cli_args *args);
int cmd_start(const struct cli_args *args);
int cmd_stop(const struct cli_args *args);
int cmd_restart(const struct cli_args *args);
int cmd_freeze(const struct cli_args *args);
int cmd_thaw(const struct cli_args *args);
int cmd_hold(const struct cli_args *args);
int cmd_release(const struct cli_args *args);
int cmd_pace(const struct cli_args *args);
int cmd_set(const struct cli_args *args);
int cmd_reload(const struct cli_args *args);

#endif
