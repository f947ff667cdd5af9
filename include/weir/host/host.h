/* SPDX-License-Identifier: MIT */
/*
 * The host: everything weir asks of the kernel for a unit: its cgroup, limits, readings, notifications,
 * spawning, freezing, killing.
 *
 * A table of functions (struct host_ops) stands between the loop and the kernel, so that the same loop runs
 * on the real host (hybrid or unified layout), on the tests' fakehost, and on a host whose Nth operation
 * fails. What the layout lacks answers -EOPNOTSUPP; the caller turns that into an "unsupported" outcome.
 * Nothing here decides, logs, or keeps a clock of its own (spawn and remove wait, bounded as said).
 */
#ifndef WEIR_HOST_HOST_H
#define WEIR_HOST_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "weir/base/err.h"
#include "weir/model/event.h"
#include "weir/model/sample.h"

enum host_layout {
    HOST_LAYOUT_NONE,    /* no cgroups, or only v1: refused */
    HOST_LAYOUT_HYBRID,  /* v1 controllers, and a cgroup2 mount for pressure, events, freeze, kill */
    HOST_LAYOUT_UNIFIED, /* cgroup v2 only */
};

enum host_controller {
    HOST_CONTROLLER_MEMORY = 1 << 0,
    HOST_CONTROLLER_PIDS = 1 << 1,
    HOST_CONTROLLER_CPU = 1 << 2,
    HOST_CONTROLLER_IO = 1 << 3,
};

/* Same bits as the engine's enum host_ability (a unit test holds them together). */
enum host_feature {
    HOST_FEATURE_MEMORY_MAX = 1 << 0,
    HOST_FEATURE_MEMORY_HIGH = 1 << 1,
    HOST_FEATURE_CPU_MAX = 1 << 2,
    HOST_FEATURE_FREEZE = 1 << 3,
    HOST_FEATURE_KILL = 1 << 4,
    HOST_FEATURE_PRESSURE = 1 << 5,
    /* bit 6 is the engine's ABILITY_NOTIFY, given per unit */
    HOST_FEATURE_PIDS_MAX = 1 << 8,
    HOST_FEATURE_SWAP_MAX = 1 << 9,
    HOST_FEATURE_RECLAIM = 1 << 10,
    HOST_FEATURE_OOM_GROUP = 1 << 11,
    HOST_FEATURE_CPU_WEIGHT = 1 << 12,
    HOST_FEATURE_MEMORY_EVENTS = 1 << 13, /* oom_kill counter */
    HOST_FEATURE_PIDS_EVENTS = 1 << 14,
    HOST_FEATURE_PRESSURE_TRIGGER = 1 << 15, /* poll on memory.pressure */
    HOST_FEATURE_FAST_TRIGGER = 1 << 16,     /* windows below 2 s (CAP_SYS_RESOURCE) */
    HOST_FEATURE_OOM_ADJUST_DOWN = 1 << 17,  /* may lower oom_score_adj */
    HOST_FEATURE_EXIT_INFO = 1 << 18,        /* PIDFD_GET_INFO tells a non-child's exit status */
    HOST_FEATURE_PEAK = 1 << 19,             /* memory.peak or memory.max_usage_in_bytes */
};

#define HOST_PATH_MAX 1024

/* What this host is; filled by host_detect, printed by `weir doctor`. */
struct host_info {
    enum host_layout layout;
    uint32_t controllers;              /* enum host_controller: usable for children of our cgroup */
    uint32_t features;                 /* enum host_feature */
    char kernel[64];                   /* uname release */
    char unified_mount[HOST_PATH_MAX]; /* the cgroup2 mount point */
    char v1_mount[4][HOST_PATH_MAX];   /* hybrid: mount points of memory, pids, cpu, blkio; "" = none */
    char own_unified[HOST_PATH_MAX];   /* our cgroup's path in the cgroup2 hierarchy ("/...") */
    char own_v1[4][HOST_PATH_MAX];     /* hybrid: our path in each */
    bool systemd;                      /* PID 1 is systemd */
    bool delegated;                    /* our cgroup was delegated to us (Delegate=yes) */
    bool is_root;
    uint64_t memory_total_bytes; /* the machine's, or the limit of our own cgroup where that is smaller */
    uint32_t cpus;
};

/* Reads mounts, our cgroup, controllers and probes features (changes nothing). -EOPNOTSUPP with a clear text on
 * a host without cgroup2. Takes up to ~50 ms (closing a pressure trigger waits for RCU). Not thread-safe
 * (libcgroup), like all that makes or limits cgroups. */
int host_detect(struct host_info *ret, struct err *reterr);

const char *host_layout_name(enum host_layout layout);
/* "memory.high", "cgroup.freeze", ... for one bit; NULL past the last. what it is used for in *ret_use. */
const char *host_feature_name(unsigned bit, const char **ret_use);

struct host_limits {
    uint64_t memory_max_bytes; /* UINT64_MAX = none, for all of these */
    uint64_t memory_high_bytes;
    uint64_t memory_swap_max_bytes;
    bool memory_oom_group;
    uint64_t pids_max;
    uint32_t cpu_max_permyriad; /* of one cpu, 0 = none */
    uint32_t cpu_weight;        /* 1..10000 (v1: cpu.shares, scaled as systemd does), 0 = leave */
};

/* How to start a unit's command. All pointers are borrowed for the call. */
struct host_spawn {
    const char *const *argv;        /* argv[0] is looked up in PATH of environment unless it has a slash */
    const char *const *environment; /* NULL-terminated, complete */
    const char *working_directory;  /* NULL = "/" */
    int stdin_fd, stdout_fd, stderr_fd; /* -1 = /dev/null */
    bool has_ids;                       /* uid, gid, groups are set */
    uid_t uid;
    gid_t gid;
    const gid_t *groups;
    size_t group_count;
    bool has_umask;
    mode_t umask;
    bool has_nice;
    int nice;
    bool has_oom_score_adj;
    int oom_score_adj;
    struct {
        bool is_set;
        struct rlimit value;
    } rlimits[RLIM_NLIMITS];
    bool no_new_privileges;
    bool has_capabilities;
    uint64_t capabilities; /* bounding set */
};

struct host_child {
    pid_t pid;
    int pidfd;            /* owned by the caller */
    uint64_t start_ticks; /* field 22 of /proc/PID/stat */
};

/* Kernel notifications of one unit; the fds stay owned by the host and live until the cgroup is released. */
enum host_notification {
    HOST_NOTIFY_CGROUP_EVENTS, /* POLLPRI: populated or frozen changed */
    HOST_NOTIFY_MEMORY_EVENTS, /* POLLPRI (unified) */
    HOST_NOTIFY_PIDS_EVENTS,   /* POLLPRI (unified; v1 where the kernel supports it) */
    HOST_NOTIFY_PRESSURE,      /* POLLPRI: memory.pressure trigger; POLLERR = cgroup gone */
    HOST_NOTIFY_USAGE,         /* POLLIN: v1 eventfd, a usage threshold was crossed or OOM */
    HOST_NOTIFY_COUNT,
};

struct host_watch {
    enum host_notification what;
    int fd;
    uint32_t poll_events; /* EPOLLPRI or EPOLLIN */
};
#define HOST_WATCHES_MAX 12

/* How long a freeze is to last, if weir is killed meanwhile. */
enum host_freeze {
    HOST_FREEZE_THAW,
    HOST_FREEZE_PULSE, /* not longer than weir: the guard thaws. -EOPNOTSUPP where there is no guard */
    HOST_FREEZE_KEEP,  /* an operator's: until a thaw, whatever becomes of weir */
};

/* A unit's memory.reclaim and memory.current, open. */
struct host_reclaim {
    int reclaim_fd, current_fd;
};
#define HOST_RECLAIM_NULL ((struct host_reclaim){-1, -1})
#define HOST_RECLAIM_MAX_BYTES                                                                               \
    (UINT64_C(8) << 20) /* of one write; chosen: a few ms of kernel work natively */

struct host;      /* one supervisor's subtree */
struct host_unit; /* one unit's cgroup(s) */

struct host_ops {
    /* Removes the subtree when it is empty and frees. */
    void (*close)(struct host *h);
    /* The guard is the process that undoes freeze pulses and throttles if weir is killed; it is made with the host, and
     * at its end undoes what of that still stands. Makes a new one when it has died. 0 = nothing to tell;
     * 1 = there is a new one; -EOPNOTSUPP = it cannot be had. What happened is in reterr, once each. */
    int (*guard_check)(struct host *h, struct err *reterr);

    /* Makes the unit's cgroup(s) in every hierarchy, with its limits. A limit the host cannot enforce is
     * -EOPNOTSUPP with its key in reterr, unless best_effort, then *ret_missing (host_feature bits) tells.
     * An existing, empty cgroup of that name is made anew; a populated one is -EBUSY. */
    int (*unit_create)(struct host *h, const char *name, const struct host_limits *limits, bool best_effort,
                       struct host_unit **ret, uint32_t *ret_missing, struct err *reterr);
    /* Opens a unit's existing cgroup (adoption). inode as told by unit_inode before; 0 = any. -ENOENT: not
     * there; -ESTALE: another cgroup stands in its place. The user's limits are not known until unit_set_limits,
     * which also lifts what an earlier run's throttle left. */
    int (*unit_open)(struct host *h, const char *name, uint64_t inode, struct host_unit **ret,
                     struct err *reterr);
    /* Forgets the unit; the cgroup stays. Accepts NULL. */
    void (*unit_release)(struct host_unit *u);
    /* rmdir in every hierarchy, EBUSY is retried for up to 200 ms; then frees u. On failure u stays. */
    int (*unit_remove)(struct host_unit *u, struct err *reterr);

    /* Live change of limits. Lowering memory.max below usage is refused with -EBUSY on both layouts. A limit the
     * host lacks is -EOPNOTSUPP only when it is new. A throttle in force stays over them. On failure the limits
     * from before are restored. */
    int (*unit_set_limits)(struct host_unit *u, const struct host_limits *limits, struct err *reterr);

    /* Moves a process (pid, all its threads) into the unit. -ESRCH when it is gone. */
    int (*unit_attach)(struct host_unit *u, pid_t pid, struct err *reterr);

    /* Spawns into the unit: placed before exec, own session, close-on-exec everything else. Waits until exec
     * has happened or failed (bounded: 5 s). On failure reterr says which step and why, as a person needs it:
     * "exec: /no/such: No such file or directory". -EBUSY: the unit is frozen. */
    int (*unit_spawn)(struct host_unit *u, const struct host_spawn *spec, struct host_child *ret,
                      struct err *reterr);

    /* One reading into *ret (t_us, cause, late_us, missed_ticks are the caller's). Process table figures
     * (processes, threads, rss, vsz, top) only with `detail`. Readings that fail or do not exist stay invalid.
     * -ENODEV when the cgroup is gone. */
    int (*unit_read)(struct host_unit *u, bool detail, struct sample *ret);

    /* 1 = populated, 0 = empty, negative errno (-ENODEV: gone). */
    int (*unit_populated)(struct host_unit *u);
    /* cgroup.kill, or a signal loop where that is missing (hybrid before 5.14). Asynchronous. */
    int (*unit_kill)(struct host_unit *u, struct err *reterr);
    /* Asynchronous; cgroup.events tells. */
    int (*unit_freeze)(struct host_unit *u, enum host_freeze how, struct err *reterr);
    /* cpu_permyriad of one cpu (0 = the user's own limit again), memory_high (UINT64_MAX = the user's own again).
     * The smaller of the user's and the throttle's counts. Never blocks: memory.high is written O_NONBLOCK, before
     * Linux 6.16 by a short-lived helper process (no SIGCHLD). Lifted by the guard if weir is killed. -EOPNOTSUPP when the host can do none of what is
     * wanted; *ret_applied: host_feature bits of what is in force, or was lifted. */
    int (*unit_throttle)(struct host_unit *u, uint32_t cpu_permyriad, uint64_t memory_high_bytes,
                         uint32_t *ret_applied, struct err *reterr);
    /* What host_reclaim needs to take memory back from the unit, on another thread: descriptors of its own, so that the
     * unit may be removed meanwhile. -EOPNOTSUPP: this host has no memory.reclaim. */
    int (*unit_reclaim_open)(struct host_unit *u, struct host_reclaim *ret, struct err *reterr);

    /* A descriptor of the unit's memory usage (memory.current, v1 memory.usage_in_bytes), open for reading: to be handed
     * to a process that may not open it itself. Owned by the caller. -EOPNOTSUPP: no memory controller. */
    int (*unit_memory_open)(struct host_unit *u, struct err *reterr);

    /* Arms notifications: pressure trigger of stall_us within window_us (rounded up to what the host allows;
     * 0 = none; the stall keeps its share of it), v1 usage thresholds (bytes, may be 0 entries; ignored on unified).
     * Fills at most HOST_WATCHES_MAX. Returns the count; what the host refuses is left out. A second call closes the
     * fds of the first. Event files report EPOLLERR together with EPOLLPRI: that is no error, and only
     * HOST_NOTIFY_PRESSURE means "gone" by EPOLLERR alone. Once the cgroup is removed they are always ready: stop
     * polling before unit_remove or unit_release. */
    int (*unit_watch)(struct host_unit *u, uint64_t stall_us, uint64_t window_us, const uint64_t *thresholds,
                      size_t threshold_count, struct host_watch *ret, struct err *reterr);
    /* Re-arms after a wake-up (re-reads through the same fd). */
    void (*unit_watch_acknowledge)(struct host_unit *u, const struct host_watch *w);

    /* Pids in the unit, up to max. Returns how many there are (may be more than max). */
    int (*unit_pids)(struct host_unit *u, pid_t *ret, size_t max);

    /* Inode of the unit's cgroup2 directory; its path for a person ("/sys/fs/cgroup/..."); the limit files read back. */
    uint64_t (*unit_inode)(const struct host_unit *u);
    const char *(*unit_path)(const struct host_unit *u);
};

/* Every implementation of struct host and struct host_unit begins with these. */
struct host {
    const struct host_ops *ops;
};
struct host_unit {
    const struct host_ops *ops;
};

/*
 * Opens (or makes) the supervisor's subtree "weir-NAME" below our own cgroup in every hierarchy used.
 * unified: on a systemd host a delegated scope (weir-NAME.scope) is asked for over D-Bus, unless our cgroup was
 * delegated to us alone and is not a service's; we move into the leaf "supervisor" there and enable controllers.
 * A service is given a scope even with Delegate=yes: systemd could not start it again (219/CGROUP) while units of
 * a killed weir live in its own cgroup. Without systemd the subtree is made in our own cgroup.
 * base: a path (cgroup2) recorded by an earlier run for adoption, or NULL; ignored when it no longer stands.
 */
int host_open(const struct host_info *info, const char *name, const char *base, struct host **ret,
              struct err *reterr);

/* The cgroup2 path of the subtree ("/.../weir-NAME"), to be recorded for adoption. */
const char *host_base(const struct host *h);

/*
 * One write to memory.reclaim, of at most HOST_RECLAIM_MAX_BYTES; what memory.current is after it into *ret_current, also
 * when the write failed (0 bytes: only the reading). Blocks while the kernel works (a handled signal interrupts it):
 * never on the loop. Safe on any thread. -EAGAIN: only a part could be taken; -EINTR; -ENODEV: the cgroup is gone.
 */
int host_reclaim(const struct host_reclaim *r, uint64_t bytes, uint64_t *ret_current);
void host_reclaim_close(struct host_reclaim *r); /* idempotent */

/* --- processes, without a cgroup --- */

/* Evidence of the end of the process behind pidfd: for our child, waitid (reaps it); else PIDFD_GET_INFO, or the
 * zombie's /proc/PID/stat where it tells. Fills status_known, code, signal of *ret. 0; -EAGAIN: it still runs.
 * A non-child with status_known false may be asked again a little later where HOST_FEATURE_EXIT_INFO is: the
 * kernel tells once its parent has reaped it. */
int host_process_end(pid_t pid, int pidfd, bool is_child, struct event_exit *ret);

/* Opens a pidfd and checks that the process has this start time. -ESRCH: gone or another process. */
int host_process_open(pid_t pid, uint64_t start_ticks, int *ret_pidfd);

/* start_ticks of a live process. 0 or negative errno. */
int host_process_start_ticks(pid_t pid, uint64_t *ret);

/* The parent of a process (NULL: not wanted), and its state as proc_pid_stat(5) has it: 'T' is stopped, 'Z' a zombie. 0 or
 * negative errno (-ESRCH). */
int host_process_state(pid_t pid, pid_t *ret_parent, char *ret_state);

/* Is the process in the cgroup2 path given, or below it? unified_path: as of host_base, or of unit_path.
 * 1, 0, negative errno. */
int host_process_in(pid_t pid, const char *unified_path);

#endif
