/* SPDX-License-Identifier: MIT */
/*
 * What the files of the real host share: the supervisor's subtree, a unit's cgroups, and the small functions
 * that one file offers another. Nothing here may be included from outside src/host and its tests.
 *
 * A unit owns one cgroup per hierarchy. The cgroup2 one is its identity (inode): it is made first and
 * removed last.
 */
#ifndef WEIR_HOST_PRIVATE_H
#define WEIR_HOST_PRIVATE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "guard.h"
#include "layout.h"
#include "weir/base/err.h"
#include "weir/host/host.h"

#define HOST_NAME_MAX_BYTES 128 /* chosen: config names are shorter */
#define READINGS_MAX        20  /* rows of the longer table in read.c */

struct tree {
    bool used;
    bool made;   /* base was made by us, not found */
    int base_fd; /* the folder "weir-NAME" */
    char mount[HOST_PATH_MAX];
    char base[HOST_PATH_MAX]; /* "/.../weir-NAME", relative to the mount */
};

/* The real host behind struct host. */
struct subtree {
    struct host host; /* first */
    enum host_layout layout;
    uint32_t controllers; /* that units' cgroups really have */
    uint32_t features;
    struct tree tree[TREE_COUNT];
    char reason[256];     /* why a controller is missing, for error texts; "" = none is */
    uint32_t enabled;     /* controllers we switched on in the parent of base */
    bool moved;           /* we moved into the leaf "supervisor" */
    bool nonblock_limits; /* memory.high takes O_NONBLOCK (6.16) */
    pid_t dying[8];       /* killed helpers (limits.c) not yet reaped; 0 = free */
    int proc_fd;
    struct guard guard; /* undoes pulses and throttles if we are killed */
};

/* The real unit behind struct host_unit. */
struct unit {
    struct host_unit unit; /* first */
    struct subtree *host;  /* borrowed: a unit never outlives its host */
    uint64_t inode;
    int dir[TREE_COUNT];
    int reading[READINGS_MAX]; /* kept-open files, by the row of the layout's table; -1 = not there */
    int procs_fd;
    int watch[HOST_NOTIFY_COUNT];
    struct host_limits limits;       /* the user's own */
    bool limits_known;               /* false: adopted, limits not yet set by this run */
    uint32_t throttle_cpu_permyriad; /* 0 = none */
    uint64_t throttle_high_bytes;    /* UINT64_MAX = none */
    char written[2][64];             /* cpu and memory.high as last written by us; "" = not known */
    bool was_killed;                 /* cgroup.kill was used: see spawn_into_unit */
    pid_t helper;                    /* writes memory.high for us where that blocks; 0 = none */
    char name[HOST_NAME_MAX_BYTES];
    char path[HOST_PATH_MAX]; /* for a person */
};

static inline struct unit *unit_of(struct host_unit *u)
{
    return (struct unit *)u;
}

#define FEATURES_BY_MEMORY                                                                                   \
    (HOST_FEATURE_MEMORY_MAX | HOST_FEATURE_MEMORY_HIGH | HOST_FEATURE_SWAP_MAX | HOST_FEATURE_RECLAIM |     \
     HOST_FEATURE_OOM_GROUP | HOST_FEATURE_MEMORY_EVENTS | HOST_FEATURE_PEAK)
#define FEATURES_BY_PIDS (HOST_FEATURE_PIDS_MAX | HOST_FEATURE_PIDS_EVENTS)
#define FEATURES_BY_CPU  (HOST_FEATURE_CPU_MAX | HOST_FEATURE_CPU_WEIGHT)

/* --- detect.c --- */
int layout_read(struct layout *ret, struct err *reterr); /* of this process, with a text on failure */
uint32_t features_of_controllers(uint32_t controllers, uint32_t features); /* without those of missing ones */
uint32_t controllers_in(int dirfd, const char *file); /* cgroup.controllers or cgroup.subtree_control */

/* --- features.c: bits that only this kernel, at this place, can tell --- */
uint32_t features_probe(const struct host_info *info);
bool have_capability(unsigned capability);
bool kernel_at_least(const char *release, unsigned major, unsigned minor);

/* --- place.c: where the subtree stands, and our own process --- */
/* Fills h->tree[*].base (paths), moves us, enables controllers. base as in host_open. */
int place_find(struct subtree *h, const struct host_info *info, const char *name, const char *base,
               struct err *reterr);
void place_leave(struct subtree *h);
/* A process beside us in our cgroup2 cgroup keeps controllers from being switched on. */
bool place_is_ours_alone(const struct host_info *info);

/* --- scope.c: systemd over D-Bus. 0 or negative errno with a text --- */
int scope_start(const char *name, const char *service, bool user_manager, struct err *reterr);
int scope_attach(const char *scope, const char *subgroup, bool user_manager, struct err *reterr);

/* --- tree.c: cgroups made and removed, in one hierarchy each --- */
int tree_path(const struct tree *t, const char *name, char *ret, size_t size); /* absolute; name "" = base */
int tree_open_base(struct subtree *h, struct err *reterr); /* makes them where they are missing */
void tree_close_base(struct subtree *h);                   /* removes empty ones */
int tree_make(struct subtree *h, enum tree_id id, const char *name);
int tree_remove(struct subtree *h, enum tree_id id, const char *name); /* 0 also when it was not there */
int tree_v1_write(struct subtree *h, enum tree_id id, const char *name, const char *file, const char *text);

/* --- limits.c --- */
int limits_apply(struct unit *u, const struct host_limits *limits, bool fresh, bool best_effort,
                 uint32_t *ret_missing, struct err *reterr);
void limits_forget(struct unit *u); /* as act_forget, of a throttle */
int limits_throttle(struct unit *u, uint32_t *ret_applied, struct err *reterr);
void limits_cancel_helper(struct unit *u);
/* cfs quota and period for a share of one cpu (permyriad > 0). */
void limits_cpu_quota(uint32_t permyriad, uint64_t *ret_quota_us, uint64_t *ret_period_us);
uint64_t limits_cpu_shares(uint32_t weight); /* v1 cpu.shares of a v2 weight */
uint32_t limits_cpu_weight(uint64_t shares); /* and back */

/* --- read.c --- */
void read_open(struct unit *u);
void read_close(struct unit *u);
int read_sample(struct host_unit *u, bool detail, struct sample *ret);
int read_populated(struct host_unit *u);
int read_pids(struct host_unit *u, pid_t *ret, size_t max);

/* --- watch.c --- */
int watch_arm(struct host_unit *u, uint64_t stall_us, uint64_t window_us, const uint64_t *thresholds,
              size_t threshold_count, struct host_watch *ret, struct err *reterr);
void watch_acknowledge(struct host_unit *u, const struct host_watch *w);
void watch_close(struct unit *u);
/* What the kernel takes: 500 ms .. 10 s, whole multiples of 2 s for the unprivileged; the stall keeps its share. */
void watch_fit_window(bool fast, uint64_t *stall_us, uint64_t *window_us);

/* --- act.c --- */
int act_attach(struct host_unit *u, pid_t pid, struct err *reterr);
int act_kill(struct host_unit *u, struct err *reterr);
int act_freeze(struct host_unit *u, enum host_freeze how, struct err *reterr);
int act_throttle(struct host_unit *u, uint32_t cpu_permyriad, uint64_t memory_high_bytes,
                 uint32_t *ret_applied, struct err *reterr);
/* The unit is gone: nothing is to be undone. */
void act_forget(struct unit *u);
int act_reclaim_open(struct host_unit *u, struct host_reclaim *ret, struct err *reterr);
int act_memory_open(struct host_unit *u, struct err *reterr);

/* --- spawn.c --- */
int spawn_into_unit(struct host_unit *u, const struct host_spawn *spec, struct host_child *ret,
                    struct err *reterr);

#endif
