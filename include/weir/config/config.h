/* SPDX-License-Identifier: MIT */
/*
 * The config file: INI, one file per supervisor, read whole; every error is reported with its line, what is
 * wrong and what would be right, and a file with any error gives no config at all.
 *
 * One table (src/config/table.c) has a row for every key: name, type, default, whether it can be changed on
 * a running unit, one sentence of documentation, an example. The parser, the sample config, the man page
 * weir.conf(5), the hints and `weir set` all come from it.
 */
#ifndef WEIR_CONFIG_CONFIG_H
#define WEIR_CONFIG_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "weir/base/err.h"
#include "weir/engine/policy.h"

/* A size that may be relative: "512M" or "85%" (of the parent's limit, or of the machine where there is none). */
struct config_size {
    bool is_set;
    bool is_share;
    uint64_t bytes;     /* !is_share; UINT64_MAX = "max" */
    uint32_t permyriad; /* is_share */
};

/* cpu_max = "150%" (1.5 CPUs): permyriad of one cpu; 0 = no limit. */
#define CONFIG_ENVIRONMENT_MAX 256
#define CONFIG_ARGV_MAX        256

enum config_ready_type {
    CONFIG_READY_NONE,
    CONFIG_READY_TCP,    /* "tcp:127.0.0.1:24280", "tcp:[::1]:80", "tcp:24280" (loopback) */
    CONFIG_READY_HTTP,   /* "http://127.0.0.1:24280/health": ready on a 2xx answer */
    CONFIG_READY_EXEC,   /* "exec:/usr/bin/check arg": ready on exit 0 */
    CONFIG_READY_NOTIFY, /* "notify": READY=1 on NOTIFY_SOCKET (sd_notify protocol) */
    CONFIG_READY_LOG,    /* "log:PATTERN": a line of the unit's output matches (PCRE2) */
};

struct config_ready {
    enum config_ready_type type;
    char *host;    /* TCP, HTTP: address as given, numeric ("127.0.0.1", "::1") or "localhost" */
    uint16_t port; /* TCP, HTTP */
    char *path;    /* HTTP: "/health"; LOG: the pattern */
    char **argv;   /* EXEC */
};

struct config_rlimit {
    bool is_set;
    struct rlimit value;
};

/* limit_nofile, limit_nproc, limit_core, limit_stack, limit_as, limit_data, limit_memlock, limit_fsize,
 * limit_cpu, limit_rtprio, limit_nice, limit_msgqueue, limit_sigpending: "N", "SOFT:HARD", "infinity". */
#define CONFIG_RLIMIT_COUNT RLIM_NLIMITS

/* What stands between a wrapped command and its caller. */
enum config_gate {
    CONFIG_GATE_NONE,  /* nothing: the command keeps its caller's pipes */
    CONFIG_GATE_JSONL, /* JSON-RPC, one object a line */
    CONFIG_GATE_LINES, /* lines of any protocol: what is in flight is not known */
};

#define CONFIG_METHODS_MAX     32 /* of a list: GATE_LIST_MAX */
#define CONFIG_METHOD_NAME_MAX 63 /* GATE_NAME_MAX without the NUL */

struct config_unit {
    char name[UNIT_NAME_MAX];
    unsigned line; /* of its section */
    char **argv;   /* exec; NULL for a wrapped unit. NULL-terminated, owned */
    char *wrap;    /* command name; NULL for a service unit */
    enum config_gate gate;
    char **gate_handshake, **gate_replay; /* method names, NULL-terminated; NULL = none */
    uint32_t gate_replay_max;             /* a request is sent again at most this often */
    uint64_t gate_memory_bytes;           /* copies kept in memory; beyond it in an unlinked file */
    char *working_directory;
    char **environment;     /* "NAME=value" in file order, environment_file's first; NULL-terminated */
    char *environment_file; /* read by config_load; a leading '-' makes a missing file no error */
    char *user, *group;     /* names or numbers as given; resolved ids follow */
    bool has_user, has_group;
    uid_t uid;
    gid_t gid;
    char *home, *shell; /* of `user`, from the user database; NULL without user */
    bool has_umask;
    mode_t umask;
    bool has_nice;
    int nice;
    bool has_oom_score_adj;
    int oom_score_adj;
    struct config_rlimit rlimits[CONFIG_RLIMIT_COUNT]; /* by RLIMIT_x */
    bool no_new_privileges;                            /* default yes */
    bool has_capabilities; /* capabilities = ... given: the bounding set is cut to the mask */
    uint64_t capabilities; /* bit i = capability i */
    struct config_size memory_max, memory_high, memory_swap_max;
    bool memory_oom_group;      /* default no */
    uint64_t pids_max;          /* UINT64_MAX = no limit */
    uint32_t cpu_max_permyriad; /* of one cpu; 0 = no limit */
    uint32_t cpu_weight;        /* 1..10000, 0 = not set */
    struct config_ready ready;
    bool best_effort;        /* run even where the host cannot enforce a limit that was asked for */
    uint64_t log_size_bytes; /* rotate the unit's log file at this size */
    uint32_t log_files;      /* rotated files kept beside it */
    uint64_t
        log_rate_bytes; /* output above this many bytes per second is dropped and counted; UINT64_MAX = never */
    char **after;       /* unit names as given; NULL-terminated */
    char **notify_argv;         /* notify_exec: run when the unit is asked to give memory back; NULL = none */
    uint64_t notify_timeout_us; /* after this long it is killed */
    struct unit_policy
        policy; /* everything the engine judges by; abilities and sizes are filled by config_resolve */
};

/* [rule NAME] */
struct config_rule {
    char name[UNIT_NAME_MAX];
    unsigned line;       /* of its section */
    char **units;        /* unit names as given; NULL = all units */
    enum unit_mode mode; /* the rule's own; rule.observe says the same */
    struct rule rule; /* which units it judges: bit i of their policy.rules, i = its index in config.rules */
};

struct config {
    char *path; /* as given to config_load */
    char name[UNIT_NAME_MAX];
    char *state_dir;            /* default /var/lib/weir/NAME, or $XDG_STATE_HOME/weir/NAME when not root */
    char *run_dir;              /* default /run/weir/NAME, or $XDG_RUNTIME_DIR/weir/NAME */
    uint64_t interval_us;       /* 100ms .. 1h; default 1s */
    uint64_t retention_us;      /* history older than this is removed; default 30d */
    uint64_t history_max_bytes; /* size cap of the history file; default 1G */
    uint32_t unit_count;
    struct config_unit *units; /* in file order */
    uint32_t rule_count;       /* at most RULES_MAX */
    struct config_rule *rules; /* in file order, which is their precedence */
};

struct config_problem {
    unsigned line;   /* 0 = the file as a whole */
    unsigned column; /* from 1: the first byte of what is wrong; 0 = the line as a whole */
    char *text;      /* what is wrong: "unknown key 'memory_mx' in [unit worker]" */
    char *hint;      /* what would be right: "did you mean 'memory_max'?"; may be NULL */
    char *excerpt;   /* with a column: the line, a long one cut around it; else NULL */
    size_t caret;    /* offset in the excerpt of what is wrong ... */
    size_t length;   /* ... and its length, both in bytes; at the end of the line one past it, 1 */
};

struct config_report {
    size_t count;
    struct config_problem *problems; /* ordered by line, then by column */
};

/*
 * Reads and checks the file. 0: *ret is filled (config_deinit it). -EINVAL: the report has at least one
 * problem. Other negative errno: could not be read (also told in the report as line 0). *report is filled
 * in each case; config_report_deinit it.
 */
int config_load(const char *path, struct config *ret, struct config_report *report);

void config_deinit(struct config *c); /* idempotent */
void config_report_deinit(struct config_report *r);

/* Writes "PATH:LINE: TEXT\n    HINT\n" per problem; one with a column as
 *     PATH:LINE:COLUMN: TEXT
 *         when = memory.curent > 1G
 *                ^~~~~~~~~~~~~
 *         HINT */
void config_report_print(const struct config_report *r, const char *path, FILE *out);

/*
 * Turns relative sizes into bytes and fills the policy, in room that the caller gives: policy->units has
 * unit_count entries, policy->rules RULES_MAX, or is NULL where only the units' figures are wanted (rule_count is
 * 0 then). units[i] = c->units[i].policy with `after` indices, sizes, abilities and the rules that judge it; rules
 * are in the file's order. parent_memory_bytes: the limit of weir's own cgroup or the machine's memory, whichever
 * is smaller. abilities[i]: what the host can do for unit i; NULL = nothing.
 */
void config_resolve(struct config *c, uint64_t parent_memory_bytes, const uint32_t *abilities,
                    struct policy *policy);

uint64_t config_size_resolve(const struct config_size *s, uint64_t parent_bytes, uint64_t if_unset);

/* `weir set UNIT KEY=VALUE`: parses value by the key's row into *unit. -EINVAL: unknown key (with the nearest
 * word), bad value, or a key that can only be set in the file (said so). */
int config_unit_set(struct config_unit *unit, const char *key, const char *value, struct err *reterr);

enum config_change_type {
    CONFIG_CHANGE_LIVE,
    CONFIG_CHANGE_RESTART,
    CONFIG_CHANGE_ADDED,
    CONFIG_CHANGE_REMOVED
};

/* The key by which a change of the rules' order is told: from and to list those that both configs have. */
#define CONFIG_KEY_RULES "rules"

struct config_change {
    char unit[UNIT_NAME_MAX]; /* [unit NAME]; "" = [supervisor], or a rule's */
    char rule[UNIT_NAME_MAX]; /* [rule NAME]; "" = [supervisor], or a unit's */
    const char *key;          /* NULL for ADDED and REMOVED */
    enum config_change_type type;
    char *from, *to; /* as a person reads them; environment values are not shown */
};

/* What differs between two configs, in the new one's order. *ret is an array of *ret_count, freed with
 * config_changes_free. */
int config_compare(const struct config *from, const struct config *to, struct config_change **ret,
                   size_t *ret_count);
void config_changes_free(struct config_change *changes, size_t count);

/* Prints a commented sample config (every key with its default), respectively the part of the man page about
 * keys and rules in scdoc syntax. Both come from the tables. */
void config_print_sample(FILE *out);
void config_print_scdoc(FILE *out);

#endif
