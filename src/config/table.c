/* SPDX-License-Identifier: MIT */
/*
 * The key table: a row for every key. The parser, the sample config, weir.conf(5), the hints, `weir set` and
 * the comparison of two configs all read these rows and nothing else. A new key is a field in config.h (or
 * policy.h) and a row here.
 *
 * Defaults of what the engine judges by are policy_unit_defaults()'s; a row has `initial` only for the rest.
 */
#include "key.h"

#include <errno.h>
#include <string.h>

#include "weir/base/cleanup.h"
#include "weir/base/nearest.h"
#include "weir/base/units.h"

#define MSEC      USEC_PER_MSEC
#define SEC       USEC_PER_SEC
#define HOUR      (3600 * USEC_PER_SEC)
#define DAY       (86400 * USEC_PER_SEC)
#define KIB       (1ULL << 10)
#define MIB       (1ULL << 20)
#define GIB       (1ULL << 30)
#define SIGNED(n) ((n) + 100000) /* a signed bound of type_int */

#define SUPERVISOR(field) offsetof(struct config, field)
#define UNIT(field)       offsetof(struct config_unit, field)
#define POLICY(field)     offsetof(struct config_unit, policy.field)
#define LADDER(field)     offsetof(struct config_unit, policy.ladder.field)

/* a row is read as a line */
/* clang-format off */
static const struct key supervisor_keys[] = {
    {.name = "name", .type = &type_name, .offset = SUPERVISOR(name),
     .unset = "the config file's name without its suffix",
     .doc = "Name of this supervisor; commands find it by this name.", .example = "search-docs"},
    {.name = "state_dir", .type = &type_path, .offset = SUPERVISOR(state_dir),
     .unset = "/var/lib/weir/NAME; not as root $XDG_STATE_HOME/weir/NAME",
     .doc = "Folder of the history and of what a restarted weir takes over.",
     .example = "/var/lib/weir/search-docs"},
    {.name = "run_dir", .type = &type_path, .offset = SUPERVISOR(run_dir),
     .unset = "/run/weir/NAME; not as root $XDG_RUNTIME_DIR/weir/NAME", .doc = "Folder of sockets and pipes.",
     .example = "/run/weir/search-docs"},
    /* range: below 100 ms the readings themselves cost; above 1 h nothing is watched */
    {.name = "interval", .type = &type_duration, .offset = SUPERVISOR(interval_us), .min = 100 * MSEC,
     .max = HOUR, .flags = KEY_LIVE, .initial = "1s",
     .doc = "Time between two samples while nothing happens; near a limit weir samples faster by itself.",
     .example = "1s"},
    {.name = "retention", .type = &type_duration, .offset = SUPERVISOR(retention_us), .min = HOUR,
     .max = 3650 * DAY, .flags = KEY_LIVE, .initial = "30d", .doc = "History older than this is removed.",
     .example = "90d"},
    {.name = "history_max", .type = &type_bytes, .offset = SUPERVISOR(history_max_bytes), .min = 16 * MIB,
     .max = 1024 * 1024 * GIB, .flags = KEY_LIVE, .initial = "1G",
     .doc = "The history file grows no larger than this; the oldest samples go first.", .example = "1G"},
};

#define RLIMIT_ROW(key, kind, of, sentence, value)                                                           \
    {                                                                                                        \
        .name = key, .type = &kind, .offset = UNIT(rlimits), .resource = of, .flags = KEY_SERVICE,           \
        .unset = "as weir's own", .doc = sentence " (" #of " of getrlimit(2)).", .example = value            \
    }

static const char *const restart_words[] = {
    [UNIT_RESTART_NO] = "no", [UNIT_RESTART_ON_FAILURE] = "on-failure", [UNIT_RESTART_ALWAYS] = "always",
    NULL};
static const char *const gate_words[] = {
    [CONFIG_GATE_NONE] = "none", [CONFIG_GATE_JSONL] = "jsonl", [CONFIG_GATE_LINES] = "lines", NULL};
static const char *const mode_words[] = {[UNIT_MODE_ACT] = "act", [UNIT_MODE_OBSERVE] = "observe", NULL};

static const struct key unit_keys[] = {
    {.heading = "Command", .name = "exec", .type = &type_argv, .offset = UNIT(argv),
     .flags = KEY_SERVICE | KEY_NEEDED,
     .unset = "none: a unit has either exec or wrap",
     .doc = "The command of a service unit, started by weir without a shell. A program without a slash is "
            "looked up in PATH when it starts.", .example = "node /opt/search-docs/server.js \"two words\""},
    {.name = "wrap", .type = &type_wrap, .offset = UNIT(wrap), .flags = KEY_NEEDED, .unset = "none",
     .doc = "Name of a command that another unit starts. The caller finds weir under that name, and the "
            "command runs as this unit.", .example = "uv"},
    {.name = "gate", .type = &type_word, .offset = UNIT(gate), .words = gate_words, .flags = KEY_WRAPPED,
     .doc = "What stands between a wrapped command and its caller. none: the command keeps its caller's pipes. "
            "jsonl: a gate on them that can hold requests back and swap the command behind its caller's back, for "
            "JSON-RPC with one message a line. lines: the same for other protocols of lines, where what is in "
            "flight is not known. See weir-gate(7).", .example = "jsonl"},
    {.name = "gate_handshake", .type = &type_methods, .offset = UNIT(gate_handshake),
     .flags = KEY_LIVE | KEY_FILE | KEY_WRAPPED | KEY_GATE, .unset = "none",
     .doc = "Requests that a new command needs before all others: the gate keeps the last one of each method that "
            "was answered, and sends it to each new command itself.", .example = "initModel"},
    {.name = "gate_replay", .type = &type_methods, .offset = UNIT(gate_replay),
     .flags = KEY_LIVE | KEY_FILE | KEY_WRAPPED | KEY_GATE, .unset = "none",
     .doc = "Methods whose requests may be sent again when the command ended before it answered. Requests of other "
            "methods are answered with an error then.", .example = "ping, search, getStats"},
    {.name = "gate_replay_max", .type = &type_count32, .offset = UNIT(gate_replay_max), .min = 1, .max = 100,
     .flags = KEY_LIVE | KEY_WRAPPED | KEY_GATE, .initial = "3", /* chosen: two deaths may be chance */
     .doc = "A request is sent again at most this often; then it is answered with an error, for it may be what the "
            "command dies of.", .example = "3"},
    {.name = "gate_memory", .type = &type_bytes, .offset = UNIT(gate_memory_bytes), .min = 0, .max = GIB,
     .flags = KEY_LIVE | KEY_WRAPPED | KEY_GATE, .initial = "256K", /* chosen: the gate stays below 3 MB */
     .doc = "Requests kept for sending again take this much memory; beyond it they are kept in a file without a name "
            "in state_dir.", .example = "256K"},
    {.name = "gate_overlap", .type = &type_bool, .offset = POLICY(overlap),
     .flags = KEY_LIVE | KEY_WRAPPED | KEY_GATE,
     .doc = "A planned restart starts the next command first, in a cgroup of its own, and lets requests go on until it is "
            "ready. Both take memory meanwhile.", .example = "no"},
    {.name = "gate_drain", .type = &type_duration, .offset = POLICY(drain_us), .min = 0, .max = HOUR,
     .flags = KEY_LIVE | KEY_WRAPPED | KEY_GATE,
     .doc = "Before the command is stopped the gate lets nothing more through and waits this long for the answers "
            "in flight.", .example = "10s"},
    {.name = "working_directory", .type = &type_directory, .offset = UNIT(working_directory),
     .flags = KEY_SERVICE, .unset = "/", .doc = "Folder the command runs in; an absolute path.",
     .example = "/"},
    {.name = "environment", .type = &type_environment, .offset = UNIT(environment),
     .flags = KEY_SERVICE | KEY_ADDS | KEY_SECRET, .unset = "none",
     .doc = "Variables for the command, NAME=value items with \"...\" around one that has blanks. May be "
            "repeated; the lines add up.", .example = "OMP_NUM_THREADS=4 \"GREETING=good morning\""},
    {.name = "environment_file", .type = &type_environment_file, .offset = UNIT(environment_file),
     .flags = KEY_SERVICE, .unset = "none",
     .doc = "File with a NAME=value a line. Where environment sets one of them too, that wins. A '-' "
            "in front makes a missing file no error.", .example = "-/etc/default/search-docs"},
    {.name = "after", .type = &type_after, .offset = UNIT(after), .flags = KEY_LIVE | KEY_FILE | KEY_SERVICE,
     .unset = "none", .doc = "Units that must be ready before this one starts; it stops before they do.",
     .example = "server"},

    {.heading = "Identity and limits of the process", .name = "user", .type = &type_user,
     .offset = UNIT(user), .has = UNIT(has_user), .flags = KEY_SERVICE, .unset = "weir's own",
     .doc = "User the command runs as.", .example = "root"},
    {.name = "group", .type = &type_group, .offset = UNIT(group), .has = UNIT(has_group),
     .flags = KEY_SERVICE, .unset = "the user's own", .doc = "Group the command runs as.", .example = "root"},
    {.name = "umask", .type = &type_octal, .offset = UNIT(umask), .has = UNIT(has_umask),
     .flags = KEY_SERVICE, .unset = "as weir's own", .doc = "File mode bits that new files never get.",
     .example = "0027"},
    {.name = "nice", .type = &type_int, .offset = UNIT(nice), .has = UNIT(has_nice), .min = SIGNED(-20),
     .max = SIGNED(19), .flags = KEY_SERVICE, .unset = "as weir's own",
     .doc = "Scheduling niceness; below 0 needs a privilege.", .example = "5"},
    {.name = "oom_score_adj", .type = &type_int, .offset = UNIT(oom_score_adj),
     .has = UNIT(has_oom_score_adj), .min = SIGNED(-1000), .max = SIGNED(1000), .flags = KEY_SERVICE,
     .unset = "as weir's own",
     .doc = "How readily the kernel kills the command when the machine runs out of memory; higher goes "
            "first.", .example = "500"},
    RLIMIT_ROW("limit_nofile", type_rlimit, RLIMIT_NOFILE, "Open files", "4096:65536"),
    RLIMIT_ROW("limit_nproc", type_rlimit, RLIMIT_NPROC, "Processes of the user", "512"),
    RLIMIT_ROW("limit_core", type_rlimit_bytes, RLIMIT_CORE, "Size of a core file", "0:infinity"),
    RLIMIT_ROW("limit_stack", type_rlimit_bytes, RLIMIT_STACK, "Stack", "8M:infinity"),
    RLIMIT_ROW("limit_as", type_rlimit_bytes, RLIMIT_AS, "Address space", "infinity"),
    RLIMIT_ROW("limit_data", type_rlimit_bytes, RLIMIT_DATA, "Data segment", "infinity"),
    RLIMIT_ROW("limit_memlock", type_rlimit_bytes, RLIMIT_MEMLOCK, "Locked memory", "64M"),
    RLIMIT_ROW("limit_fsize", type_rlimit_bytes, RLIMIT_FSIZE, "Size of a file it writes", "10G"),
    RLIMIT_ROW("limit_cpu", type_rlimit, RLIMIT_CPU, "Processor time in seconds", "3600"),
    RLIMIT_ROW("limit_rtprio", type_rlimit, RLIMIT_RTPRIO, "Real-time priority", "0"),
    RLIMIT_ROW("limit_nice", type_rlimit, RLIMIT_NICE, "Ceiling of niceness, 20 minus nice", "20"),
    RLIMIT_ROW("limit_msgqueue", type_rlimit_bytes, RLIMIT_MSGQUEUE, "POSIX message queues", "800K"),
    RLIMIT_ROW("limit_sigpending", type_rlimit, RLIMIT_SIGPENDING, "Queued signals", "1024"),
    {.name = "no_new_privileges", .type = &type_bool, .offset = UNIT(no_new_privileges), .flags = KEY_SERVICE,
     .initial = "yes", .doc = "The command cannot gain privileges through setuid programs.",
     .example = "yes"},
    {.name = "capabilities", .type = &type_capabilities, .offset = UNIT(capabilities),
     .has = UNIT(has_capabilities), .flags = KEY_SERVICE, .unset = "as weir's own",
     .doc = "The command can have no capability but these; none takes all away.",
     .example = "net_bind_service"},

    /* 1M: chosen, no process lives in less */
    {.heading = "Limits of the unit", .name = "memory_max", .type = &type_size, .offset = UNIT(memory_max),
     .min = MIB, .max = UINT64_MAX, .flags = KEY_LIVE, .unset = "no limit",
     .doc = "Hard memory limit: a size, or a share of what weir itself may use. The thresholds below are "
            "shares of it.", .example = "4G"},
    {.name = "memory_high", .type = &type_size, .offset = UNIT(memory_high), .min = MIB, .max = UINT64_MAX,
     .flags = KEY_LIVE, .unset = "no limit",
     .doc = "The kernel slows the unit down above this; below memory_max.", .example = "85%"},
    {.name = "memory_swap_max", .type = &type_size, .offset = UNIT(memory_swap_max), .min = 0,
     .max = UINT64_MAX, .flags = KEY_LIVE, .unset = "no limit", .doc = "Swap the unit may use.",
     .example = "0"},
    {.name = "memory_oom_group", .type = &type_bool, .offset = UNIT(memory_oom_group), .flags = KEY_LIVE,
     .initial = "no", .doc = "A kernel memory kill takes the whole unit, not one process of it.",
     .example = "yes"},
    {.name = "pids_max", .type = &type_count64, .offset = UNIT(pids_max), .min = 1, .max = UINT64_MAX,
     .flags = KEY_LIVE, .initial = "max", .doc = "Processes and threads the unit may have.",
     .example = "256"},
    {.name = "cpu_max", .type = &type_cpu, .offset = UNIT(cpu_max_permyriad), .min = 100, .max = 1000000,
     .flags = KEY_LIVE, .initial = "max", .doc = "Processor time the unit may use; 100% is one CPU.",
     .example = "150%"},
    {.name = "cpu_weight", .type = &type_count32, .offset = UNIT(cpu_weight), .min = 1, .max = 10000,
     .flags = KEY_LIVE, .unset = "the kernel's, 100",
     .doc = "Share of processor time where units compete for it.", .example = "100"},
    {.name = "best_effort", .type = &type_bool, .offset = UNIT(best_effort), .flags = KEY_LIVE | KEY_FILE,
     .initial = "no", .doc = "Run even where this host cannot enforce a limit that was asked for.",
     .example = "yes"},

    {.heading = "Life", .name = "ready", .type = &type_ready, .offset = UNIT(ready), .initial = "none",
     .doc = "How it is found out that the unit does its work: tcp:PORT or tcp:HOST:PORT, "
            "http://HOST:PORT/PATH (a 2xx answer), exec:/PROGRAM (exit 0), notify (READY=1 of sd_notify(3)), "
            "log:PATTERN (a line of its output matches). None: ready once started.",
     .example = "http://127.0.0.1:24280/health"},
    {.name = "ready_timeout", .type = &type_duration, .offset = POLICY(ready_timeout_us), .min = 10 * MSEC,
     .max = DAY, .flags = KEY_LIVE,
     .doc = "A start that takes longer is a failure, and its whole process tree is ended.", .example = "60s"},
    {.name = "stop_timeout", .type = &type_duration, .offset = POLICY(stop_timeout_us), .min = 0, .max = DAY,
     .flags = KEY_LIVE, .doc = "Time from SIGTERM until what is left is killed.", .example = "10s"},
    {.name = "restart", .type = &type_word, .offset = POLICY(restart), .words = restart_words,
     .flags = KEY_LIVE, .doc = "Whether a unit that ended is started again: no, on-failure or always.",
     .example = "on-failure"},
    {.name = "mode", .type = &type_word, .offset = POLICY(mode), .words = mode_words, .flags = KEY_LIVE,
     .doc = "act, or observe: decide and record everything, intervene in nothing.", .example = "observe"},
    /* the engine remembers 32 failures */
    {.name = "failure_budget", .type = &type_count32, .offset = POLICY(failure_budget), .min = 1, .max = 32,
     .flags = KEY_LIVE, .doc = "So many failures within failure_window, and the unit is given up. A service unit whose first start "
            "does not become ready is given up at once.",
     .example = "5"},
    {.name = "failure_window", .type = &type_duration, .offset = POLICY(failure_window_us), .min = SEC,
     .max = 30 * DAY, .flags = KEY_LIVE, .doc = "See failure_budget.", .example = "10min"},
    {.name = "backoff_min", .type = &type_duration, .offset = POLICY(backoff_min_us), .min = MSEC, .max = DAY,
     .flags = KEY_LIVE,
     .doc = "Wait before the start after a second failure in a row; it doubles with each further one.",
     .example = "100ms"},
    {.name = "backoff_max", .type = &type_duration, .offset = POLICY(backoff_max_us), .min = MSEC, .max = DAY,
     .flags = KEY_LIVE, .doc = "The wait grows no longer than this.", .example = "30s"},
    {.name = "healthy_after", .type = &type_duration, .offset = POLICY(healthy_us), .min = MSEC,
     .max = 30 * DAY, .flags = KEY_LIVE,
     .doc = "Ready for this long, and failures in a row count from 0 again.", .example = "1min"},
    {.name = "recycle_min_life", .type = &type_duration, .offset = POLICY(recycle_min_life_us), .min = 0,
     .max = 30 * DAY, .flags = KEY_LIVE,
     .doc = "A unit restarted for its memory after living this long did useful work: that is no failure.",
     .example = "10s"},
    {.name = "recycle_cost", .type = &type_percent, .offset = POLICY(recycle_cost_permyriad), .min = 0,
     .max = 10000, .flags = KEY_LIVE,
     .doc = "Recycling ends when restarts take a larger share of recycle_window than this.",
     .example = "25%"},
    {.name = "recycle_window", .type = &type_duration, .offset = POLICY(recycle_window_us), .min = SEC,
     .max = 30 * DAY, .flags = KEY_LIVE, .doc = "See recycle_cost.", .example = "10min"},
    {.name = "respawn_wait", .type = &type_duration, .offset = POLICY(respawn_wait_us), .min = 0, .max = DAY,
     .flags = KEY_LIVE | KEY_WRAPPED,
     .doc = "Time a wrapped command's caller has to start it anew before the caller itself is restarted.",
     .example = "5s"},

    {.heading = "The ladder: what happens as memory runs out", .name = "notify_at", .type = &type_percent_off,
     .offset = LADDER(notify_permyriad), .min = 0, .max = 10000, .flags = KEY_LIVE,
     .doc = "At this share of memory_max the unit is told to give memory back, by a byte on the FIFO that "
            "MEMORY_PRESSURE_WATCH names, see weir(1), and by notify_exec; off never tells it. Each step with off "
            "can be left out so.",
     .example = "60%"},
    {.name = "notify_cooldown", .type = &type_duration, .offset = LADDER(notify_cooldown_us), .min = 0,
     .max = DAY, .flags = KEY_LIVE, .doc = "Time between two such messages.", .example = "30s"},
    {.name = "notify_exec", .type = &type_argv, .offset = UNIT(notify_argv), .flags = KEY_LIVE | KEY_FILE,
     .unset = "none",
     .doc = "A command that is run, without a shell, each time the unit is told to give memory back: for a "
            "program that does not know MEMORY_PRESSURE_WATCH.",
     .example = "/usr/bin/curl -s -X POST http://127.0.0.1:24280/gc"},
    {.name = "notify_timeout", .type = &type_duration, .offset = UNIT(notify_timeout_us), .min = 10 * MSEC,
     .max = HOUR, .flags = KEY_LIVE, .initial = "10s", /* chosen: as long as a stop may take */
     .doc = "notify_exec's command is killed when it takes longer.", .example = "10s"},
    {.name = "pace_at", .type = &type_percent_off, .offset = LADDER(pace_permyriad), .min = 0, .max = 10000,
     .flags = KEY_LIVE | KEY_WRAPPED | KEY_GATE,
     .doc = "At this share the gate lets one request through at a time.", .example = "68%"},
    {.name = "reclaim_at", .type = &type_percent_off, .offset = LADDER(reclaim_permyriad), .min = 0,
     .max = 10000, .flags = KEY_LIVE,
     .doc = "At this share the kernel is asked to take memory of the unit back, in small pieces, for as long as "
            "that yields something; above release_at. Needs memory.reclaim (Linux 5.19, cgroup v2).",
     .example = "70%"},
    {.name = "hold_at", .type = &type_percent_off, .offset = LADDER(hold_permyriad), .min = 0, .max = 10000,
     .flags = KEY_LIVE | KEY_WRAPPED | KEY_GATE,
     .doc = "At this share the gate lets no request through; those that wait keep their order.",
     .example = "72%"},
    {.name = "gate_patience", .type = &type_duration, .offset = LADDER(hold_max_us), .min = 100 * MSEC,
     .max = HOUR, .flags = KEY_LIVE | KEY_WRAPPED | KEY_GATE,
     .doc = "The gate holds requests back no longer than this: less than what their callers wait.",
     .example = "2min"},
    {.name = "release_at", .type = &type_percent, .offset = LADDER(release_permyriad), .min = 0, .max = 10000,
     .flags = KEY_LIVE, .doc = "Below this share all that holds the unit back is undone; below throttle_at.",
     .example = "65%"},
    {.name = "throttle_at", .type = &type_percent_off, .offset = LADDER(throttle_permyriad), .min = 0,
     .max = 10000, .flags = KEY_LIVE, .doc = "At this share the unit is held back.", .example = "75%"},
    {.name = "restart_at", .type = &type_percent_off, .offset = LADDER(restart_permyriad), .min = 0, .max = 10000,
     .flags = KEY_LIVE, .doc = "Above this share for restart_hold the unit is restarted.", .example = "85%"},
    {.name = "critical_at", .type = &type_percent, .offset = LADDER(critical_permyriad), .min = 0,
     .max = 10000, .flags = KEY_LIVE, .doc = "At this share, in two readings 50ms apart, it is restarted without grace.",
     .example = "95%"},
    {.name = "restart_hold", .type = &type_duration, .offset = LADDER(restart_hold_us), .min = 0, .max = HOUR,
     .flags = KEY_LIVE, .doc = "See restart_at.", .example = "1s"},
    {.name = "throttle_max", .type = &type_duration, .offset = LADDER(throttle_max_us), .min = 100 * MSEC,
     .max = HOUR, .flags = KEY_LIVE,
     .doc = "A unit is held back no longer than this; a restart follows where it did not help.",
     .example = "10s"},
    {.name = "throttle_cpu", .type = &type_percent, .offset = LADDER(throttle_cpu_permyriad), .min = 100,
     .max = 1000000, .flags = KEY_LIVE, .doc = "Processor time left to a unit held back; 100% is one CPU.",
     .example = "25%"},
    {.name = "throttle_eta", .type = &type_duration, .offset = LADDER(throttle_eta_us), .min = 0, .max = HOUR,
     .flags = KEY_LIVE, .doc = "Hold the unit back when at its present growth the limit is nearer than this.",
     .example = "10s"},
    {.name = "restart_eta", .type = &type_duration, .offset = LADDER(restart_eta_us), .min = 0, .max = HOUR,
     .flags = KEY_LIVE, .doc = "Restart it when the limit is nearer than this: about what a stop takes.",
     .example = "2s"},
    {.name = "pressure_at", .type = &type_percent_off, .offset = LADDER(pressure_permyriad), .min = 0,
     .max = 10000, .flags = KEY_LIVE,
     .doc = "Hold the unit back when all of it waited for memory for this share of pressure_window, and its own "
            "limit makes it wait; pressure from outside is only told.",
     .example = "20%"},
    /* the engine remembers 15 s of samples */
    {.name = "pressure_window", .type = &type_duration, .offset = LADDER(pressure_window_us),
     .min = 500 * MSEC, .max = 15 * SEC, .flags = KEY_LIVE, .doc = "See pressure_at.", .example = "10s"},
    /* at most 10 s frozen: frozen workers trip watchdogs and hold locks */
    {.name = "pulse_freeze", .type = &type_duration, .offset = LADDER(pulse_freeze_us), .min = MSEC,
     .max = 10 * SEC, .flags = KEY_LIVE,
     .doc = "Where the host has no memory_high, a unit that is held back is frozen for this long, then runs for "
            "pulse_thaw, in turn.", .example = "200ms"},
    {.name = "pulse_thaw", .type = &type_duration, .offset = LADDER(pulse_thaw_us), .min = MSEC, .max = HOUR,
     .flags = KEY_LIVE, .doc = "How long a unit that is held back by pulses runs between two of them.", .example = "200ms"},

    {.heading = "Output", .name = "log_size", .type = &type_bytes, .offset = UNIT(log_size_bytes),
     .min = 4 * KIB, .max = 1024 * GIB, .flags = KEY_LIVE | KEY_SERVICE, .initial = "16M",
     .doc = "The unit's log file is rotated at this size.", .example = "16M"},
    {.name = "log_files", .type = &type_count32, .offset = UNIT(log_files), .min = 0, .max = 1000,
     .flags = KEY_LIVE | KEY_SERVICE, .initial = "5", .doc = "Rotated files kept beside it.", .example = "5"},
    {.name = "log_rate", .type = &type_bytes, .offset = UNIT(log_rate_bytes), .min = KIB, .max = UINT64_MAX,
     .flags = KEY_LIVE | KEY_SERVICE, .initial = "1M",
     .doc = "Output above this much a second is dropped and counted; max drops nothing.", .example = "1M"},
};

#define RULE(field) offsetof(struct config_rule, field)
#define RULE_LIVE   (KEY_LIVE | KEY_FILE) /* a rule is set in the file only, and in force once it is reloaded */

static const struct key rule_keys[] = {
    {.name = "unit", .type = &type_units, .offset = RULE(units), .flags = RULE_LIVE,
     .doc = "The units that the rule judges, each by itself; * is all of them.", .example = "server, worker"},
    {.name = "when", .type = &type_condition, .offset = RULE(rule.when), .flags = RULE_LIVE | KEY_NEEDED,
     .unset = "none: it must be given", .doc = "The condition; see RULES. The actions are done once when it becomes true.",
     .example = "memory.current > 85% of memory.max for 3s or memory.eta < 20s"},
    {.name = "do", .type = &type_actions, .offset = RULE(rule), .flags = RULE_LIVE | KEY_NEEDED,
     .unset = "none: it must be given", .doc = "What is done, in this order: at most four actions with commas between them.",
     .example = "reclaim 256M, restart"},
    {.name = "until", .type = &type_condition, .offset = RULE(rule.until), .flags = RULE_LIVE,
     .unset = "when has not been true for 5s",
     .doc = "When the rule is over: what it holds back is let go, and it may begin again 5s later.",
     .example = "memory.current < 60% of memory.max"},
    {.name = "limit", .type = &type_limit, .offset = RULE(rule), .flags = RULE_LIVE, .unset = "none",
     .doc = "The rule begins at most so many times in so long on each unit; once more is a note only.",
     .example = "4 per 10m"},
    {.name = "mode", .type = &type_word, .offset = RULE(mode), .words = mode_words, .flags = RULE_LIVE,
     .doc = "act, or observe: the rule decides and records what it would have done, and does nothing.",
     .example = "observe"},
};

/* clang-format on */

_Static_assert(ARRAY_SIZE(unit_keys) <= KEY_COUNT_MAX, "raise KEY_COUNT_MAX");

const struct key_table key_tables[KEY_SECTION_COUNT] = {
    [KEY_SECTION_SUPERVISOR] = {"[supervisor]", "The supervisor itself. The section may be left out.",
                                supervisor_keys, ARRAY_SIZE(supervisor_keys)},
    [KEY_SECTION_UNIT] =
        {"[unit NAME]",
         "One supervised thing. NAME: letters, digits, '-', '_' and '.', at most 31, not beginning "
         "with '.'.",
         unit_keys, ARRAY_SIZE(unit_keys)},
    [KEY_SECTION_RULE] =
        {"[rule NAME]",
         "What is to be done to a unit over and above the ladder, and when. NAME as for units.", rule_keys,
         ARRAY_SIZE(rule_keys)},
};

const struct key *key_find(enum key_section section, const char *name)
{
    const struct key_table *table = &key_tables[section];
    for (size_t i = 0; i < table->count; i++)
        if (strcmp(table->keys[i].name, name) == 0)
            return &table->keys[i];
    return NULL;
}

bool key_is_known(const char *name)
{
    for (unsigned section = 0; section < KEY_SECTION_COUNT; section++)
        if (key_find((enum key_section)section, name))
            return true;
    return false;
}

size_t key_index(enum key_section section, const struct key *key)
{
    return (size_t)(key - key_tables[section].keys);
}

const char *key_nearest(enum key_section section, const char *name)
{
    const struct key_table *table = &key_tables[section];
    const char *names[KEY_COUNT_MAX];
    for (size_t i = 0; i < table->count; i++)
        names[i] = table->keys[i].name;
    return nearest_word(name, names, table->count);
}

/* Where a comment would begin: '#' or ';' behind a blank, outside double quotes. NULL = nowhere. */
static const char *find_comment(const char *text)
{
    bool is_quoted = false;
    for (const char *p = text; *p; p++) {
        if (*p == '"')
            is_quoted = !is_quoted;
        if (!is_quoted && (*p == '#' || *p == ';') && (p == text || p[-1] == ' ' || p[-1] == '\t'))
            return p;
    }
    return NULL;
}

int comment_check(const char *text, struct why *why)
{
    const char *comment = find_comment(text);
    if (!comment)
        return 0;
    return why_set(why, "a comment after the value (column %u)\nput comments on lines of their own",
                   (why->column ? why->column : 1) + (unsigned)(comment - text));
}

static int parse_value(const struct key *key, void *owner, const char *text, struct why *why)
{
    if (*text == '\0')
        return why_set(why, "no value\nwrite a value, such as %s = %s, or remove the line", key->name,
                       key->example);
    int r = key->type->has_own_comments ? 0 : comment_check(text, why);
    if (r == 0)
        r = key->type->parse(key, owner, text, why);
    if (r == 0 && key->has)
        *KEY_FIELD(bool, owner, key->has) = true;
    return r;
}

int key_parse(const struct key *key, void *owner, const char *text, struct why *why)
{
    char shown[WHY_SHOWN_MAX], reason[WHY_TEXT_MAX], hint[WHY_TEXT_MAX];
    int r = parse_value(key, owner, text, why);
    if (r != -EINVAL || why->length > 0)
        return r;
    memcpy(reason, why->text, sizeof(reason));
    memcpy(hint, why->hint, sizeof(hint));
    if (*text == '\0' || (key->flags & KEY_SECRET))
        return why_set(why, "%s: %s\n%s", key->name, reason, hint);
    return why_set(why, "%s = %s: %s\n%s", key->name, why_show(text, shown), reason, hint);
}

void key_format(const struct key *key, const void *owner, struct text *out)
{
    size_t before = out->length;
    key->type->format(key, owner, out);
    if (out->length == before && key->unset)
        text_add(out, "%s", key->unset);
}

int key_table_init(enum key_section section, void *owner)
{
    const struct key_table *table = &key_tables[section];
    struct why why = WHY_NULL;
    for (size_t i = 0; i < table->count; i++) {
        if (!table->keys[i].initial)
            continue;
        int r = key_parse(&table->keys[i], owner, table->keys[i].initial, &why);
        if (r < 0)
            return r;
    }
    return 0;
}

void key_table_deinit(enum key_section section, void *owner)
{
    const struct key_table *table = &key_tables[section];
    for (size_t i = 0; i < table->count; i++)
        if (table->keys[i].type->clear)
            table->keys[i].type->clear(&table->keys[i], owner);
}

int config_unit_init(struct config_unit *unit)
{
    *unit = (struct config_unit){.uid = (uid_t)-1, .gid = (gid_t)-1};
    policy_unit_defaults(&unit->policy);
    unit->policy.memory_max_bytes = UINT64_MAX;
    unit->policy.memory_high_bytes = UINT64_MAX;
    return key_table_init(KEY_SECTION_UNIT, unit);
}
