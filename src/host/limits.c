/* SPDX-License-Identifier: MIT */
/*
 * Limits: what the user set, what a throttle lays over it, and how each is written in either layout.
 *
 * One table row per limit names the files; one function makes the text. The traps, all from the kernel's
 * documentation or sources:
 * - v1 wants memory.memsw >= memory at every instant, so memsw is opened first and set last;
 * - v1 checks quota and period together, so the quota is lifted before the period changes;
 * - lowering memory.max below usage kills on v2 and reclaims in the writer on v1: refused here, on both;
 * - memory.high reclaims in the writer unless O_NONBLOCK is understood (6.16): before that a short-lived
 *   helper process writes it, and is killed when the next value comes.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "private.h"
#include "sys.h"
#include "weir/base/cleanup.h"
#include "weir/base/units.h"

#define CPU_PERIOD_US      100000  /* the kernel's default */
#define CPU_PERIOD_LONG_US 1000000 /* the largest period the kernel takes; for shares below 1 % */
#define CPU_QUOTA_MIN_US   1000    /* kernel/sched/core.c, min_cfs_quota_period */

enum limit_key {
    LIMIT_MEMORY_MAX,
    LIMIT_SWAP_MAX,
    LIMIT_MEMORY_HIGH,
    LIMIT_OOM_GROUP,
    LIMIT_PIDS_MAX,
    LIMIT_CPU_MAX,
    LIMIT_CPU_WEIGHT,
    LIMIT_COUNT,
};

static const struct limit_row {
    const char *key; /* in the config */
    const char *unified_file;
    const char *v1_file; /* NULL: v1 has none */
    enum tree_id v1_tree;
    uint32_t feature;
} rows[LIMIT_COUNT] = {
    [LIMIT_MEMORY_MAX] = {"memory_max", "memory.max", "memory.limit_in_bytes", TREE_MEMORY,
                          HOST_FEATURE_MEMORY_MAX},
    [LIMIT_SWAP_MAX] = {"memory_swap_max", "memory.swap.max", "memory.memsw.limit_in_bytes", TREE_MEMORY,
                        HOST_FEATURE_SWAP_MAX},
    [LIMIT_MEMORY_HIGH] = {"memory_high", "memory.high", NULL, TREE_MEMORY, HOST_FEATURE_MEMORY_HIGH},
    [LIMIT_OOM_GROUP] = {"memory_oom_group", "memory.oom.group", NULL, TREE_MEMORY, HOST_FEATURE_OOM_GROUP},
    [LIMIT_PIDS_MAX] = {"pids_max", "pids.max", "pids.max", TREE_PIDS, HOST_FEATURE_PIDS_MAX},
    [LIMIT_CPU_MAX] = {"cpu_max", "cpu.max", "cpu.cfs_quota_us", TREE_CPU, HOST_FEATURE_CPU_MAX},
    [LIMIT_CPU_WEIGHT] = {"cpu_weight", "cpu.weight", "cpu.shares", TREE_CPU, HOST_FEATURE_CPU_WEIGHT},
};

void limits_cpu_quota(uint32_t permyriad, uint64_t *ret_quota_us, uint64_t *ret_period_us)
{
    uint64_t period = CPU_PERIOD_US;
    uint64_t quota = period * permyriad / PERMYRIAD_ONE;
    if (quota < CPU_QUOTA_MIN_US) {
        period = CPU_PERIOD_LONG_US;
        quota = period * permyriad / PERMYRIAD_ONE;
    }
    *ret_quota_us = quota < CPU_QUOTA_MIN_US ? CPU_QUOTA_MIN_US : quota;
    *ret_period_us = period;
}

/* weight 100 = shares 1024, as systemd's cgroup_weight_to_shares(); kernel limits 2..262144. */
uint64_t limits_cpu_shares(uint32_t weight)
{
    uint64_t shares = (uint64_t)weight * 1024 / 100;
    return shares < 2 ? 2 : shares > 262144 ? 262144 : shares;
}

uint32_t limits_cpu_weight(uint64_t shares)
{
    uint64_t weight = (shares * 100 + 1023) / 1024;
    return weight < 1 ? 1 : weight > 10000 ? 10000 : (uint32_t)weight;
}

static bool is_set(const struct host_limits *l, enum limit_key key)
{
    switch (key) {
    case LIMIT_MEMORY_MAX:
        return l->memory_max_bytes != UINT64_MAX;
    case LIMIT_SWAP_MAX:
        return l->memory_swap_max_bytes != UINT64_MAX;
    case LIMIT_MEMORY_HIGH:
        return l->memory_high_bytes != UINT64_MAX;
    case LIMIT_OOM_GROUP:
        return l->memory_oom_group;
    case LIMIT_PIDS_MAX:
        return l->pids_max != UINT64_MAX;
    case LIMIT_CPU_MAX:
        return l->cpu_max_permyriad != 0;
    case LIMIT_CPU_WEIGHT:
        return l->cpu_weight != 0;
    case LIMIT_COUNT:
        break;
    }
    return false;
}

#define LIMIT_TEXT_MAX 64

static void value_text(char *text, uint64_t value, const char *none)
{
    if (value == UINT64_MAX)
        (void)snprintf(text, LIMIT_TEXT_MAX, "%s", none);
    else
        (void)snprintf(text, LIMIT_TEXT_MAX, "%" PRIu64, value);
}

/* v1 limits memory and swap together. With both limits equal a hit is counted nowhere (measured on 6.18: neither
 * failcnt moves), so "no swap" leaves one page above. */
static uint64_t v1_sum(const struct host_limits *l)
{
    uint64_t swap = l->memory_swap_max_bytes ? l->memory_swap_max_bytes : (uint64_t)getpagesize();
    return l->memory_max_bytes > UINT64_MAX - swap ? UINT64_MAX : l->memory_max_bytes + swap;
}

static void limit_text(const struct host_limits *l, enum limit_key key, bool v1, char *text)
{
    const char *none = v1 && key != LIMIT_PIDS_MAX ? "-1" : "max";
    uint64_t quota;
    uint64_t period;
    switch (key) {
    case LIMIT_MEMORY_MAX:
        value_text(text, l->memory_max_bytes, none);
        break;
    case LIMIT_SWAP_MAX:
        value_text(text, v1 && is_set(l, key) ? v1_sum(l) : l->memory_swap_max_bytes, none);
        break;
    case LIMIT_MEMORY_HIGH:
        value_text(text, l->memory_high_bytes, none);
        break;
    case LIMIT_OOM_GROUP:
        value_text(text, l->memory_oom_group, none);
        break;
    case LIMIT_PIDS_MAX:
        value_text(text, l->pids_max, none);
        break;
    case LIMIT_CPU_MAX:
        limits_cpu_quota(l->cpu_max_permyriad, &quota, &period);
        if (v1)
            value_text(text, is_set(l, key) ? quota : UINT64_MAX, none);
        else if (is_set(l, key))
            (void)snprintf(text, LIMIT_TEXT_MAX, "%" PRIu64 " %" PRIu64, quota, period);
        else
            (void)snprintf(text, LIMIT_TEXT_MAX, "max %d", CPU_PERIOD_US);
        break;
    case LIMIT_CPU_WEIGHT:
        value_text(text, v1 ? limits_cpu_shares(l->cpu_weight) : l->cpu_weight, none);
        break;
    case LIMIT_COUNT:
        break;
    }
}

/* --- writing --- */

static void keep_dying(struct subtree *h, pid_t pid)
{
    for (size_t i = 0; i < ARRAY_SIZE(h->dying); i++) {
        siginfo_t info = {0};
        if (h->dying[i] > 0 &&
            host_sys.waitid(P_PID, (id_t)h->dying[i], &info, WEXITED | WNOHANG | __WALL) == 0 &&
            info.si_pid != 0)
            h->dying[i] = 0;
    }
    for (size_t i = 0; i < ARRAY_SIZE(h->dying); i++)
        if (h->dying[i] == 0) {
            h->dying[i] = pid;
            return;
        }
    (void)host_sys.waitid(P_PID, (id_t)pid, &(siginfo_t){0}, WEXITED | __WALL);
}

void limits_cancel_helper(struct unit *u)
{
    if (u->helper <= 0)
        return;
    (void)host_sys.kill(u->helper, SIGKILL); /* not reaped yet, so the pid is still its own */
    keep_dying(u->host, u->helper);
    u->helper = 0;
}

/* Runs in the helper: a copy of a multi-threaded process, so system calls only. No exit signal: nobody's child
 * watcher is to see it. */
static _Noreturn void helper_main(int fd, const char *text)
{
    (void)syscall(SYS_close_range, 0U, (unsigned)fd - 1, 0U);
    (void)syscall(SYS_close_range, (unsigned)fd + 1, ~0U, 0U);
    _exit(write(fd, text, strlen(text)) < 0);
}

static int write_high(struct unit *u, const char *text)
{
    limits_cancel_helper(u);
    if (u->host->nonblock_limits)
        return io_write_at(u->dir[TREE_UNIFIED], "memory.high", text, O_NONBLOCK);
    _cleanup_close_ int fd = io_open_at(u->dir[TREE_UNIFIED], "memory.high", O_WRONLY);
    if (fd < 0)
        return fd;
    struct clone_args args = {0};
    pid_t pid = host_sys.clone3(&args, sizeof(args));
    if (pid < 0)
        return -errno;
    if (pid == 0)
        helper_main(fd, text);
    u->helper = pid;
    return 0;
}

static int write_v1(struct unit *u, enum tree_id id, const char *file, const char *text)
{
    if (u->dir[id] < 0)
        return -ENOENT;
    return tree_v1_write(u->host, id, u->name, file, text);
}

/* Quota off, period, quota: any pair in between could be refused against the parent's. */
static int write_v1_cpu(struct unit *u, const struct host_limits *l, const char *quota_text)
{
    if (u->dir[TREE_CPU] < 0)
        return -ENOENT;
    char text[LIMIT_TEXT_MAX];
    uint64_t quota;
    uint64_t period = CPU_PERIOD_US;
    if (is_set(l, LIMIT_CPU_MAX))
        limits_cpu_quota(l->cpu_max_permyriad, &quota, &period);
    int r = io_write_at(u->dir[TREE_CPU], "cpu.cfs_quota_us", "-1", 0);
    if (r < 0)
        return r;
    value_text(text, period, "");
    r = io_write_at(u->dir[TREE_CPU], "cpu.cfs_period_us", text, 0);
    return r < 0 ? r : io_write_at(u->dir[TREE_CPU], "cpu.cfs_quota_us", quota_text, 0);
}

static int write_limit(struct unit *u, const struct host_limits *l, enum limit_key key, bool fresh)
{
    const struct limit_row *row = &rows[key];
    char text[LIMIT_TEXT_MAX];
    bool v1 = u->host->layout == HOST_LAYOUT_HYBRID;
    limit_text(l, key, v1, text);
    if (!v1 && key == LIMIT_MEMORY_HIGH && !fresh)
        return write_high(u, text);
    if (!v1)
        return io_write_at(u->dir[TREE_UNIFIED], row->unified_file, text, O_NONBLOCK);
    if (!row->v1_file)
        return -ENOENT;
    if (key == LIMIT_CPU_MAX)
        return write_v1_cpu(u, l, text);
    if (key == LIMIT_MEMORY_MAX && !fresh)
        (void)write_v1(u, TREE_MEMORY, "memory.memsw.limit_in_bytes", "-1");
    return write_v1(u, row->v1_tree, row->v1_file, text);
}

/* Is the file not there at all? */
static bool is_missing(int error)
{
    return error == -ENOENT || error == -EOPNOTSUPP || error == -ENODEV;
}

static int refuse(const struct unit *u, enum limit_key key, const char *hint, struct err *reterr)
{
    const char *why = u->host->reason;
    char text[96];
    if (u->host->layout == HOST_LAYOUT_HYBRID) {
        (void)snprintf(text, sizeof(text), "cgroup v1 has no %s",
                       rows[key].v1_file ? rows[key].v1_file : rows[key].unified_file);
        why = text;
    }
    return err_set(reterr, -EOPNOTSUPP, "%s: this host cannot enforce it%s%s%s", rows[key].key,
                   *why ? ": " : "", why, hint);
}

/* What a throttle changes is remembered, so that it writes (and on older kernels forks) only for a change. */
static char *written_of(struct unit *u, enum limit_key key)
{
    return key == LIMIT_CPU_MAX ? u->written[0] : key == LIMIT_MEMORY_HIGH ? u->written[1] : NULL;
}

static int write_remembering(struct unit *u, const struct host_limits *l, enum limit_key key, bool fresh)
{
    char *written = written_of(u, key);
    int r = write_limit(u, l, key, fresh);
    if (written && r == 0)
        limit_text(l, key, false, written);
    else if (written)
        written[0] = '\0';
    return r;
}

static bool is_in_force(struct unit *u, const struct host_limits *l, enum limit_key key)
{
    char text[LIMIT_TEXT_MAX];
    limit_text(l, key, false, text);
    return strcmp(text, written_of(u, key)) == 0;
}

static int set_one(struct unit *u, const struct host_limits *l, enum limit_key key, bool fresh,
                   struct err *reterr)
{
    int r = write_remembering(u, l, key, fresh);
    if (r == 0 || (is_missing(r) && !is_set(l, key)))
        return 0;
    if (is_missing(r))
        return refuse(u, key, "; best_effort = yes goes on without", reterr);
    char text[LIMIT_TEXT_MAX];
    limit_text(l, key, u->host->layout == HOST_LAYOUT_HYBRID, text);
    return err_errno(reterr, r, "%s: writing %s", rows[key].key, text);
}

/* Memory in use now; 0 when it cannot be told. */
static uint64_t usage_now(const struct unit *u)
{
    bool v1 = u->host->layout == HOST_LAYOUT_HYBRID;
    int dir = u->dir[v1 ? TREE_MEMORY : TREE_UNIFIED];
    uint64_t value;
    if (dir < 0 || io_value_at(dir, v1 ? "memory.usage_in_bytes" : "memory.current", &value) < 0)
        return 0;
    return value;
}

static int check_usage(const struct unit *u, const struct host_limits *l, struct err *reterr)
{
    uint64_t usage = usage_now(u);
    if (l->memory_max_bytes >= usage)
        return 0;
    char wanted[FORMAT_SIZE_MAX];
    char used[FORMAT_SIZE_MAX];
    return err_set(reterr, -EBUSY, "memory_max: %s is below what is in use (%s)",
                   format_size(l->memory_max_bytes, wanted), format_size(usage, used));
}

/* The user's limits with the throttle over them: the smaller one counts. */
static struct host_limits effective(const struct unit *u, const struct host_limits *user)
{
    struct host_limits l = *user;
    if (u->throttle_cpu_permyriad &&
        (!l.cpu_max_permyriad || u->throttle_cpu_permyriad < l.cpu_max_permyriad))
        l.cpu_max_permyriad = u->throttle_cpu_permyriad;
    if (u->throttle_high_bytes < l.memory_high_bytes)
        l.memory_high_bytes = u->throttle_high_bytes;
    return l;
}

/* --- what must not stay when we are killed --- */

static bool is_held(const struct unit *u, const struct host_limits *l, enum limit_key key)
{
    char held[LIMIT_TEXT_MAX];
    char own[LIMIT_TEXT_MAX];
    limit_text(l, key, false, held);
    limit_text(&u->limits, key, false, own);
    return strcmp(held, own) != 0;
}

static enum guard_kind guard_kind_of(enum limit_key key)
{
    return key == LIMIT_CPU_MAX ? GUARD_CPU : GUARD_HIGH;
}

/* Where the row's file is, for the guard. -1: nowhere. */
static int dir_of(const struct unit *u, enum limit_key key, char *ret_path, size_t size)
{
    bool v1 = u->host->layout == HOST_LAYOUT_HYBRID;
    enum tree_id id = v1 ? rows[key].v1_tree : TREE_UNIFIED;
    if ((v1 && !rows[key].v1_file) || u->dir[id] < 0 ||
        tree_path(&u->host->tree[id], u->name, ret_path, size) < 0)
        return -1;
    return u->dir[id];
}

static void steps_to_own(const struct unit *u, enum limit_key key, struct guard_step steps[GUARD_STEPS_MAX])
{
    bool v1 = u->host->layout == HOST_LAYOUT_HYBRID;
    uint64_t quota;
    uint64_t period = CPU_PERIOD_US;
    size_t n = 0;
    if (v1 && key == LIMIT_CPU_MAX) { /* as write_v1_cpu */
        if (is_set(&u->limits, key))
            limits_cpu_quota(u->limits.cpu_max_permyriad, &quota, &period);
        steps[n++] = (struct guard_step){"cpu.cfs_quota_us", "-1"};
        steps[n] = (struct guard_step){.file = "cpu.cfs_period_us"};
        value_text(steps[n++].text, period, "");
    }
    (void)snprintf(steps[n].file, sizeof(steps[n].file), "%s",
                   v1 ? rows[key].v1_file : rows[key].unified_file);
    limit_text(&u->limits, key, v1, steps[n].text);
}

/* Before l is written: the user's own value again if we are killed. A throttle goes on without a guard: it slows, and
 * the next weir lifts it. */
static void guard_own(struct unit *u, const struct host_limits *l, enum limit_key key)
{
    char path[HOST_PATH_MAX];
    struct guard_step steps[GUARD_STEPS_MAX] = {0};
    int dir = is_held(u, l, key) ? dir_of(u, key, path, sizeof(path)) : -1;
    if (dir < 0)
        return;
    steps_to_own(u, key, steps);
    (void)guard_arm(&u->host->guard, guard_kind_of(key), dir, path, steps, NULL);
}

static void forget_own(struct unit *u, enum limit_key key)
{
    char path[HOST_PATH_MAX];
    if (dir_of(u, key, path, sizeof(path)) >= 0)
        guard_forget(&u->host->guard, guard_kind_of(key), path);
}

static const enum limit_key throttled[] = {LIMIT_CPU_MAX, LIMIT_MEMORY_HIGH};

void limits_forget(struct unit *u)
{
    for (size_t i = 0; i < ARRAY_SIZE(throttled); i++)
        forget_own(u, throttled[i]);
}

/* After the user's own values changed. */
static void guard_again(struct unit *u)
{
    struct host_limits l = effective(u, &u->limits);
    for (size_t i = 0; i < ARRAY_SIZE(throttled); i++)
        if (is_held(u, &l, throttled[i]))
            guard_own(u, &l, throttled[i]);
        else
            forget_own(u, throttled[i]);
}

/* A live change is not refused for a limit that was missing before it. */
static bool is_unchanged(const struct unit *u, const struct host_limits *l, enum limit_key key)
{
    char now[LIMIT_TEXT_MAX];
    char before[LIMIT_TEXT_MAX];
    limit_text(l, key, false, now);
    limit_text(&u->limits, key, false, before);
    return !u->limits_known || strcmp(now, before) == 0;
}

static int apply_all(struct unit *u, const struct host_limits *l, bool fresh, bool best_effort,
                     uint32_t *missing, struct err *reterr)
{
    for (unsigned key = 0; key < LIMIT_COUNT; key++) {
        bool set = is_set(l, (enum limit_key)key);
        if (!set && (fresh || key == LIMIT_CPU_WEIGHT))
            continue;
        int r = set_one(u, l, (enum limit_key)key, fresh, reterr);
        if (r == -EOPNOTSUPP && (best_effort || (!fresh && is_unchanged(u, l, (enum limit_key)key))))
            *missing |= rows[key].feature;
        else if (r < 0)
            return r;
    }
    return 0;
}

int limits_apply(struct unit *u, const struct host_limits *limits, bool fresh, bool best_effort,
                 uint32_t *ret_missing, struct err *reterr)
{
    uint32_t missing = 0;
    struct host_limits l = effective(u, limits);
    int r = fresh ? 0 : check_usage(u, &l, reterr);
    if (r < 0)
        return r;
    r = apply_all(u, &l, fresh, best_effort, &missing, reterr);
    if (r < 0 && !fresh) {
        l = effective(u, &u->limits);
        (void)apply_all(u, &l, false, true, &missing, NULL);
    }
    if (r < 0)
        return r;
    u->limits = *limits;
    u->limits_known = true;
    guard_again(u);
    for (unsigned key = 0; fresh && key < LIMIT_COUNT; key++)
        if (written_of(u, (enum limit_key)key))
            limit_text(&l, (enum limit_key)key, false, written_of(u, (enum limit_key)key));
    if (ret_missing)
        *ret_missing = missing;
    return 0;
}

int limits_throttle(struct unit *u, uint32_t *ret_applied, struct err *reterr)
{
    struct host_limits l = effective(u, &u->limits);
    uint32_t wanted = (u->throttle_cpu_permyriad ? HOST_FEATURE_CPU_MAX : 0U) |
                      (u->throttle_high_bytes != UINT64_MAX ? HOST_FEATURE_MEMORY_HIGH : 0U);
    uint32_t applied = 0;
    int failed = 0;
    for (size_t i = 0; i < ARRAY_SIZE(throttled); i++) {
        bool already = is_in_force(u, &l, throttled[i]);
        guard_own(u, &l, throttled[i]);
        int r = already ? 0 : write_remembering(u, &l, throttled[i], false);
        if (!is_held(u, &l, throttled[i]) && r == 0)
            forget_own(u, throttled[i]);
        if (r == 0 && (!already || (wanted & rows[throttled[i]].feature)))
            applied |= rows[throttled[i]].feature;
        else if (!is_missing(r) && failed == 0)
            failed = err_errno(reterr, r, "throttle: %s", rows[throttled[i]].key);
    }
    if (ret_applied)
        *ret_applied = applied;
    if (failed)
        return failed;
    if (wanted && !(applied & wanted))
        return refuse(u, wanted & HOST_FEATURE_CPU_MAX ? LIMIT_CPU_MAX : LIMIT_MEMORY_HIGH, "", reterr);
    return 0;
}
