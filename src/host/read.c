/* SPDX-License-Identifier: MIT */
/*
 * One reading of a unit: kept-open files, one pread each, no allocation.
 *
 * What can be read is a table per layout, a row per file. A file that is not there is never opened; one that
 * fails clears just its own bits. cgroup.events comes first, since it tells whether the cgroup still lives.
 * The files of the watch (watch.c) are others: reading through those would swallow notifications.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "private.h"
#include "sys.h"
#include "weir/base/cleanup.h"
#include "weir/model/kernel.h"

/* The longest are memory.stat (v2, 6.18: 2.6 KiB; v1: 2 KiB); numbers at their widest still fit. */
#define READ_TEXT_MAX   8192
#define DETAIL_PIDS_MAX 4096
#define DETAIL_TEXT_MAX (DETAIL_PIDS_MAX * 8 + 2) /* pid_max is 4194304: 7 digits and a newline */

enum shape {
    SHAPE_VALUE,
    SHAPE_FLAT,
    SHAPE_FLAT_NSEC, /* values are nanoseconds: kept as microseconds */
    SHAPE_ADD,       /* a value added to what an earlier row read */
    SHAPE_PRESSURE,  /* field = some, field + 1 = full */
};

struct reading {
    const char *file;
    enum tree_id tree;
    enum shape shape;
    enum sample_field field; /* SHAPE_VALUE, SHAPE_PRESSURE */
    const struct kernel_key *keys;
    size_t key_count;
};

static const struct kernel_key cgroup_keys[] = {{"populated", SAMPLE_POPULATED}, {"frozen", SAMPLE_FROZEN}};
static const struct kernel_key memory_stat_keys[] = {{"anon", SAMPLE_MEMORY_ANON},
                                                     {"file", SAMPLE_MEMORY_FILE},
                                                     {"shmem", SAMPLE_MEMORY_SHMEM},
                                                     {"pgscan", SAMPLE_MEMORY_PGSCAN},
                                                     {"pgsteal", SAMPLE_MEMORY_PGSTEAL}};
static const struct kernel_key v1_memory_stat_keys[] = {{"total_rss", SAMPLE_MEMORY_ANON},
                                                        {"total_cache", SAMPLE_MEMORY_FILE},
                                                        {"total_shmem", SAMPLE_MEMORY_SHMEM}};
static const struct kernel_key memory_event_keys[] = {{"high", SAMPLE_EVENTS_HIGH},
                                                      {"max", SAMPLE_EVENTS_MAX},
                                                      {"oom", SAMPLE_EVENTS_OOM},
                                                      {"oom_kill", SAMPLE_EVENTS_OOM_KILL}};
static const struct kernel_key oom_control_keys[] = {{"oom_kill", SAMPLE_EVENTS_OOM_KILL}};
static const struct kernel_key pids_event_keys[] = {{"max", SAMPLE_PIDS_EVENTS_MAX}};
static const struct kernel_key cpu_keys[] = {{"usage_usec", SAMPLE_CPU_USAGE},
                                             {"throttled_usec", SAMPLE_CPU_THROTTLED}};
static const struct kernel_key v1_cpu_keys[] = {{"throttled_time", SAMPLE_CPU_THROTTLED}};

#define VALUE(tree, file, field)                                                                             \
    {                                                                                                        \
        file, tree, SHAPE_VALUE, field, NULL, 0                                                              \
    }
#define FLAT(tree, file, keys)                                                                               \
    {                                                                                                        \
        file, tree, SHAPE_FLAT, SAMPLE_FIELD_COUNT, keys, ARRAY_SIZE(keys)                                   \
    }
#define PRESSURE(file, field)                                                                                \
    {                                                                                                        \
        file, TREE_UNIFIED, SHAPE_PRESSURE, field, NULL, 0                                                   \
    }

static const struct reading unified_readings[] = {
    FLAT(TREE_UNIFIED, "cgroup.events", cgroup_keys), /* first */
    VALUE(TREE_UNIFIED, "memory.current", SAMPLE_MEMORY_CURRENT),
    VALUE(TREE_UNIFIED, "memory.peak", SAMPLE_MEMORY_PEAK),
    VALUE(TREE_UNIFIED, "memory.max", SAMPLE_MEMORY_MAX),
    VALUE(TREE_UNIFIED, "memory.high", SAMPLE_MEMORY_HIGH),
    VALUE(TREE_UNIFIED, "memory.swap.current", SAMPLE_MEMORY_SWAP),
    FLAT(TREE_UNIFIED, "memory.stat", memory_stat_keys),
    FLAT(TREE_UNIFIED, "memory.events", memory_event_keys),
    PRESSURE("memory.pressure", SAMPLE_MEMORY_SOME),
    PRESSURE("cpu.pressure", SAMPLE_CPU_SOME),
    PRESSURE("io.pressure", SAMPLE_IO_SOME),
    VALUE(TREE_UNIFIED, "pids.current", SAMPLE_PIDS_CURRENT),
    VALUE(TREE_UNIFIED, "pids.max", SAMPLE_PIDS_MAX),
    FLAT(TREE_UNIFIED, "pids.events", pids_event_keys),
    FLAT(TREE_UNIFIED, "cpu.stat", cpu_keys),
};

static const struct reading hybrid_readings[] = {
    FLAT(TREE_UNIFIED, "cgroup.events", cgroup_keys), /* first */
    VALUE(TREE_MEMORY, "memory.usage_in_bytes", SAMPLE_MEMORY_CURRENT),
    VALUE(TREE_MEMORY, "memory.max_usage_in_bytes", SAMPLE_MEMORY_PEAK),
    VALUE(TREE_MEMORY, "memory.limit_in_bytes", SAMPLE_MEMORY_MAX),
    /* memory and swap together: read_sample takes the memory off */
    VALUE(TREE_MEMORY, "memory.memsw.usage_in_bytes", SAMPLE_MEMORY_SWAP),
    FLAT(TREE_MEMORY, "memory.stat", v1_memory_stat_keys),
    VALUE(TREE_MEMORY, "memory.failcnt", SAMPLE_EVENTS_MAX),
    /* a charge that hits memory-and-swap first never reaches the other counter (mm/memcontrol.c, try_charge) */
    {"memory.memsw.failcnt", TREE_MEMORY, SHAPE_ADD, SAMPLE_EVENTS_MAX, NULL, 0},
    FLAT(TREE_MEMORY, "memory.oom_control", oom_control_keys),
    PRESSURE("memory.pressure", SAMPLE_MEMORY_SOME),
    PRESSURE("cpu.pressure", SAMPLE_CPU_SOME),
    PRESSURE("io.pressure", SAMPLE_IO_SOME),
    VALUE(TREE_PIDS, "pids.current", SAMPLE_PIDS_CURRENT),
    VALUE(TREE_PIDS, "pids.max", SAMPLE_PIDS_MAX),
    FLAT(TREE_PIDS, "pids.events", pids_event_keys),
    FLAT(TREE_UNIFIED, "cpu.stat",
         cpu_keys), /* usage is there without the controller, so v1 cpuacct is not needed */
    {"cpu.stat", TREE_CPU, SHAPE_FLAT_NSEC, SAMPLE_FIELD_COUNT, v1_cpu_keys, ARRAY_SIZE(v1_cpu_keys)},
};
_Static_assert(ARRAY_SIZE(hybrid_readings) <= READINGS_MAX, "struct unit holds an fd for each row");
_Static_assert(ARRAY_SIZE(unified_readings) <= READINGS_MAX, "struct unit holds an fd for each row");

static const struct reading *readings_of(const struct unit *u, size_t *ret_count)
{
    bool hybrid = u->host->layout == HOST_LAYOUT_HYBRID;
    *ret_count = hybrid ? ARRAY_SIZE(hybrid_readings) : ARRAY_SIZE(unified_readings);
    return hybrid ? hybrid_readings : unified_readings;
}

void read_open(struct unit *u)
{
    size_t count;
    const struct reading *rows = readings_of(u, &count);
    for (size_t i = 0; i < count; i++)
        if (u->dir[rows[i].tree] >= 0)
            u->reading[i] = io_open_at(u->dir[rows[i].tree], rows[i].file, O_RDONLY);
    u->procs_fd = io_open_at(u->dir[TREE_UNIFIED], "cgroup.procs", O_RDONLY);
}

void read_close(struct unit *u)
{
    for (size_t i = 0; i < READINGS_MAX; i++)
        if (u->reading[i] >= 0)
            close(steal_fd(&u->reading[i]));
    if (u->procs_fd >= 0)
        close(steal_fd(&u->procs_fd));
}

static void take_pressure(const char *text, enum sample_field some, struct sample *s)
{
    struct kernel_pressure p;
    if (kernel_parse_pressure(text, &p) < 0)
        return;
    sample_set(s, some, p.some_total_us);
    if (p.has_full)
        sample_set(s, some + 1, p.full_total_us);
}

static void take_nsec(const char *text, const struct reading *row, struct sample *s)
{
    for (size_t i = 0; i < row->key_count; i++) {
        uint64_t value;
        if (kernel_flat_value(text, row->keys[i].key, &value) == 0)
            sample_set(s, row->keys[i].field, value / 1000);
    }
}

static void take(const char *text, const struct reading *row, struct sample *s)
{
    uint64_t value;
    switch (row->shape) {
    case SHAPE_VALUE:
        if (kernel_parse_value(text, &value) == 0)
            sample_set(s, row->field, value);
        break;
    case SHAPE_ADD:
        if (sample_has(s, row->field) && kernel_parse_value(text, &value) == 0)
            s->value[row->field] += value;
        break;
    case SHAPE_FLAT:
        (void)kernel_parse_flat(text, row->keys, row->key_count, s);
        break;
    case SHAPE_FLAT_NSEC:
        take_nsec(text, row, s);
        break;
    case SHAPE_PRESSURE:
        take_pressure(text, row->field, s);
        break;
    }
}

/* --- processes --- */

static void keep_top(struct sample *s, const struct sample_process *p)
{
    size_t at = s->top_count;
    while (at > 0 && s->top[at - 1].rss_bytes < p->rss_bytes)
        at--;
    if (at == SAMPLE_TOP_MAX)
        return;
    size_t kept = s->top_count < SAMPLE_TOP_MAX ? s->top_count : SAMPLE_TOP_MAX - 1;
    memmove(&s->top[at + 1], &s->top[at], (kept - at) * sizeof(s->top[0]));
    s->top[at] = *p;
    s->top_count = (uint32_t)kept + 1;
}

struct totals {
    uint64_t processes, threads, rss_bytes, vsz_bytes;
};

/* One process; gone in between or unreadable: not counted. */
static void add_process(const struct unit *u, int32_t pid, struct totals *t, struct sample *s)
{
    char path[32];
    char text[1024];
    struct kernel_process p;
    (void)snprintf(path, sizeof(path), "%d/stat", pid);
    if (io_read_at(u->host->proc_fd, path, text, sizeof(text)) < 0 || kernel_parse_process_stat(text, &p) < 0)
        return;
    struct sample_process one = {.pid = pid,
                                 .threads = p.threads,
                                 .rss_bytes = p.rss_pages * (uint64_t)getpagesize(),
                                 .vsz_bytes = p.vsz_bytes};
    memcpy(one.comm, p.comm, sizeof(one.comm));
    t->processes++;
    t->threads += one.threads;
    t->rss_bytes += one.rss_bytes;
    t->vsz_bytes += one.vsz_bytes;
    keep_top(s, &one);
}

/* More processes than the bound: no figure of the table would be true, so all stay invalid. */
static void read_processes(const struct unit *u, struct sample *s)
{
    char text[DETAIL_TEXT_MAX];
    struct totals t = {0};
    if (u->procs_fd < 0 || io_read_long_fd(u->procs_fd, text, sizeof(text)) < 0)
        return;
    const char *rest = text;
    int32_t pid;
    while (kernel_next_pid(&rest, &pid) > 0)
        if (pid > 0) /* 0: of a pid namespace that we cannot see */
            add_process(u, pid, &t, s);
    sample_set(s, SAMPLE_PROCESSES, t.processes);
    sample_set(s, SAMPLE_THREADS, t.threads);
    sample_set(s, SAMPLE_RSS, t.rss_bytes);
    sample_set(s, SAMPLE_VSZ, t.vsz_bytes);
}

int read_sample(struct host_unit *hu, bool detail, struct sample *ret)
{
    struct unit *u = unit_of(hu);
    char text[READ_TEXT_MAX];
    size_t count;
    const struct reading *rows = readings_of(u, &count);
    ret->valid = 0;
    ret->top_count = 0;
    memset(ret->value, 0, sizeof(ret->value));
    for (size_t i = 0; i < count; i++) {
        if (u->reading[i] < 0)
            continue;
        ssize_t n = io_read_fd(u->reading[i], text, sizeof(text));
        if (n == -ENODEV && i == 0)
            return -ENODEV;
        if (n >= 0)
            take(text, &rows[i], ret);
    }
    if (u->host->layout == HOST_LAYOUT_HYBRID && sample_has(ret, SAMPLE_MEMORY_SWAP)) {
        uint64_t both = ret->value[SAMPLE_MEMORY_SWAP];
        uint64_t memory = ret->value[SAMPLE_MEMORY_CURRENT];
        ret->value[SAMPLE_MEMORY_SWAP] = both > memory ? both - memory : 0;
        if (!sample_has(ret, SAMPLE_MEMORY_CURRENT)) {
            ret->value[SAMPLE_MEMORY_SWAP] = 0;
            ret->valid &= ~(UINT64_C(1) << SAMPLE_MEMORY_SWAP);
        }
    }
    if (detail)
        read_processes(u, ret);
    return 0;
}

int read_populated(struct host_unit *hu)
{
    struct unit *u = unit_of(hu);
    char text[256];
    uint64_t populated;
    if (u->reading[0] < 0)
        return u->reading[0];
    ssize_t n = io_read_fd(u->reading[0], text, sizeof(text));
    if (n < 0)
        return (int)n;
    int r = kernel_flat_value(text, "populated", &populated);
    return r < 0 ? r : populated != 0;
}

/* Also called from helper threads: opens its own file. */
int read_pids(struct host_unit *hu, pid_t *ret, size_t max)
{
    struct unit *u = unit_of(hu);
    _cleanup_close_ int fd = io_open_at(u->dir[TREE_UNIFIED], "cgroup.procs", O_RDONLY);
    if (fd < 0)
        return fd;
    _cleanup_free_ char *text = NULL;
    size_t size = DETAIL_TEXT_MAX;
    ssize_t n = -EMSGSIZE;
    for (; n == -EMSGSIZE && size <= ((size_t)64 << 20); size *= 8) {
        free(text);
        text = host_sys.calloc(size, 1);
        if (!text)
            return -ENOMEM;
        n = io_read_long_fd(fd, text, size);
    }
    if (n < 0)
        return (int)n;
    const char *rest = text;
    int32_t pid;
    int count = 0;
    while (kernel_next_pid(&rest, &pid) > 0)
        if (pid > 0 && (size_t)count++ < max)
            ret[count - 1] = pid;
    return count;
}
