/* SPDX-License-Identifier: MIT */
/* See fakehost.h. */
#include "fakehost.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "spawn.h"
#include "weir/base/cleanup.h"

#define FAKE_UNITS     16
#define FAKE_PROCESSES 32
#define FAKE_FAILURES  8
#define FAKE_LOG       65536

struct fake_process {
    pid_t pid; /* 0 = free */
    int pidfd;
    bool spawned; /* ours to signal by its session */
};

struct fake_unit {
    struct host_unit unit;
    struct fake_host *host;
    bool exists; /* its cgroup is there */
    char name[64];
    char path[128];
    uint64_t inode;
    bool frozen;
    struct host_limits limits;
    struct fake_process process[FAKE_PROCESSES];
    uint64_t set; /* bits of value */
    uint64_t value[SAMPLE_FIELD_COUNT];
    int watch[HOST_NOTIFY_COUNT];
};

struct fake_host {
    struct host host;
    struct host_info info;
    uint64_t next_inode;
    struct fake_unit unit[FAKE_UNITS];
    struct {
        char op[32];  /* "" = any */
        unsigned nth; /* 0 = free */
        int error;
    } failure[FAKE_FAILURES];
    char log[FAKE_LOG];
};

static struct fake_unit *fake_of(struct host_unit *u)
{
    return (struct fake_unit *)u;
}

__attribute__((format(printf, 2, 0))) static void log_line(struct fake_host *h, const char *fmt, va_list ap)
{
    size_t n = strlen(h->log);
    int length = vsnprintf(h->log + n, sizeof(h->log) - n, fmt, ap);
    if (length < 0 || (size_t)length + 2 > sizeof(h->log) - n) {
        fprintf(stderr, "fakehost: the log is full\n");
        abort();
    }
}

/* Records the operation and says what it is to fail with, or 0. */
__attribute__((format(printf, 3, 4))) static int operate(struct fake_host *h, const char *op, const char *fmt,
                                                         ...)
{
    int error = 0;
    for (size_t i = 0; i < FAKE_FAILURES; i++)
        if (h->failure[i].nth > 0 && (!h->failure[i].op[0] || strcmp(h->failure[i].op, op) == 0) &&
            --h->failure[i].nth == 0 && error == 0)
            error = h->failure[i].error;
    va_list ap;
    va_start(ap, fmt);
    strcat(h->log, op);
    strcat(h->log, " ");
    log_line(h, fmt, ap);
    va_end(ap);
    if (error)
        sprintf(h->log + strlen(h->log), " = %d", error);
    strcat(h->log, "\n");
    return error;
}

static bool has_ended(const struct fake_process *p)
{
    struct pollfd one = {.fd = p->pidfd, .events = POLLIN};
    return poll(&one, 1, 0) == 1;
}

static int living(struct fake_unit *u)
{
    int count = 0;
    for (size_t i = 0; i < FAKE_PROCESSES; i++) {
        struct fake_process *p = &u->process[i];
        if (p->pid > 0 && has_ended(p)) {
            close(p->pidfd);
            *p = (struct fake_process){0};
        }
        count += p->pid > 0;
    }
    return count;
}

static void signal_all(struct fake_unit *u, int sig)
{
    (void)living(u);
    for (size_t i = 0; i < FAKE_PROCESSES; i++)
        if (u->process[i].pid > 0)
            (void)kill(u->process[i].spawned ? -u->process[i].pid : u->process[i].pid, sig);
}

static int keep_process(struct fake_unit *u, pid_t pid, bool spawned)
{
    (void)living(u);
    for (size_t i = 0; i < FAKE_PROCESSES; i++) {
        if (u->process[i].pid > 0)
            continue;
        int fd = (int)syscall(SYS_pidfd_open, pid, 0);
        if (fd < 0)
            return -errno;
        u->process[i] = (struct fake_process){.pid = pid, .pidfd = fd, .spawned = spawned};
        return 0;
    }
    return -ENOSPC;
}

static struct fake_unit *find(struct fake_host *h, const char *name)
{
    for (size_t i = 0; i < FAKE_UNITS; i++)
        if (h->unit[i].exists && strcmp(h->unit[i].name, name) == 0)
            return &h->unit[i];
    return NULL;
}

static struct fake_unit *must_find(struct host *h, const char *name)
{
    struct fake_unit *u = find((struct fake_host *)h, name);
    if (!u) {
        fprintf(stderr, "fakehost: no unit '%s'\n", name);
        abort();
    }
    return u;
}

static void close_watches(struct fake_unit *u)
{
    for (size_t i = 0; i < HOST_NOTIFY_COUNT; i++) {
        cleanup_close(&u->watch[i]);
        u->watch[i] = -1;
    }
}

static void end_unit(struct fake_unit *u)
{
    close_watches(u);
    for (size_t i = 0; i < FAKE_PROCESSES; i++)
        if (u->process[i].pid > 0)
            close(u->process[i].pidfd);
    *u = (struct fake_unit){0};
}

static uint32_t missing_of(const struct fake_host *h, const struct host_limits *l)
{
    uint32_t wanted = 0;
    wanted |= l->memory_max_bytes != UINT64_MAX ? HOST_FEATURE_MEMORY_MAX : 0U;
    wanted |= l->memory_high_bytes != UINT64_MAX ? HOST_FEATURE_MEMORY_HIGH : 0U;
    wanted |= l->memory_swap_max_bytes != UINT64_MAX ? HOST_FEATURE_SWAP_MAX : 0U;
    wanted |= l->memory_oom_group ? HOST_FEATURE_OOM_GROUP : 0U;
    wanted |= l->pids_max != UINT64_MAX ? HOST_FEATURE_PIDS_MAX : 0U;
    wanted |= l->cpu_max_permyriad ? HOST_FEATURE_CPU_MAX : 0U;
    wanted |= l->cpu_weight ? HOST_FEATURE_CPU_WEIGHT : 0U;
    return wanted & ~h->info.features;
}

static int refuse(uint32_t missing, struct err *reterr)
{
    char key[32];
    (void)snprintf(key, sizeof(key), "%s", host_feature_name((unsigned)__builtin_ctz(missing), NULL));
    for (char *dot; (dot = strchr(key, '.'));)
        *dot = '_'; /* the config's word for it */
    return err_set(reterr, -EOPNOTSUPP, "%s: this host cannot enforce it", key);
}

/* --- operations --- */

static void fake_close(struct host *host)
{
    struct fake_host *h = (struct fake_host *)host;
    for (size_t i = 0; h && i < FAKE_UNITS; i++) {
        signal_all(&h->unit[i], SIGKILL);
        end_unit(&h->unit[i]);
    }
    free(h);
}

static int fake_unit_create(struct host *host, const char *name, const struct host_limits *limits,
                            bool best_effort, struct host_unit **ret, uint32_t *ret_missing,
                            struct err *reterr)
{
    struct fake_host *h = (struct fake_host *)host;
    int r = operate(h, "unit_create", "%s memory_max=%" PRId64 " memory_high=%" PRId64 " pids_max=%" PRId64,
                    name, (int64_t)limits->memory_max_bytes, (int64_t)limits->memory_high_bytes,
                    (int64_t)limits->pids_max);
    if (r < 0)
        return err_errno(reterr, r, "making the cgroup %s", name);
    uint32_t missing = missing_of(h, limits);
    if (missing && !best_effort)
        return refuse(missing, reterr);
    struct fake_unit *u = find(h, name);
    if (u && living(u) > 0)
        return err_set(reterr, -EBUSY, "the cgroup %s still holds processes of an earlier run", name);
    if (u)
        end_unit(u);
    for (u = h->unit; u < h->unit + FAKE_UNITS && u->exists; u++)
        ;
    if (u == h->unit + FAKE_UNITS)
        return err_set(reterr, -ENOSPC, "fakehost: too many units");
    *u = (struct fake_unit){
        .unit.ops = h->host.ops, .host = h, .exists = true, .inode = ++h->next_inode, .limits = *limits};
    memset(u->watch, -1, sizeof(u->watch));
    (void)snprintf(u->name, sizeof(u->name), "%s", name);
    (void)snprintf(u->path, sizeof(u->path), "/fake/%s", name);
    *ret = &u->unit;
    if (ret_missing)
        *ret_missing = missing;
    return 0;
}

static int fake_unit_open(struct host *host, const char *name, uint64_t inode, struct host_unit **ret,
                          struct err *e)
{
    struct fake_host *h = (struct fake_host *)host;
    struct fake_unit *u = find(h, name);
    int r = operate(h, "unit_open", "%s", name);
    if (r == 0 && !u)
        r = -ENOENT;
    if (r == 0 && inode != 0 && inode != u->inode)
        r = -ESTALE;
    if (r < 0)
        return err_errno(e, r, "opening the cgroup %s", name);
    *ret = &u->unit;
    return 0;
}

static void fake_unit_release(struct host_unit *hu)
{
    if (!hu)
        return;
    (void)operate(fake_of(hu)->host, "unit_release", "%s", fake_of(hu)->name);
    close_watches(fake_of(hu));
}

static int fake_unit_remove(struct host_unit *hu, struct err *reterr)
{
    struct fake_unit *u = fake_of(hu);
    int r = operate(u->host, "unit_remove", "%s", u->name);
    if (r == 0 && living(u) > 0)
        r = -EBUSY;
    if (r < 0)
        return err_errno(reterr, r, "removing the cgroup %s", u->name);
    end_unit(u);
    return 0;
}

static int fake_unit_set_limits(struct host_unit *hu, const struct host_limits *limits, struct err *reterr)
{
    struct fake_unit *u = fake_of(hu);
    int r = operate(u->host, "unit_set_limits",
                    "%s memory_max=%" PRId64 " memory_high=%" PRId64 " pids_max=%" PRId64, u->name,
                    (int64_t)limits->memory_max_bytes, (int64_t)limits->memory_high_bytes,
                    (int64_t)limits->pids_max);
    if (r < 0)
        return err_errno(reterr, r, "limits of %s", u->name);
    struct host_limits changed =
        *limits; /* what was missing before, and stays as it was, is no reason to refuse */
    if (limits->memory_high_bytes == u->limits.memory_high_bytes)
        changed.memory_high_bytes = UINT64_MAX;
    uint32_t missing = missing_of(u->host, &changed);
    if (missing)
        return refuse(missing, reterr);
    if ((u->set >> SAMPLE_MEMORY_CURRENT & 1) && limits->memory_max_bytes < u->value[SAMPLE_MEMORY_CURRENT])
        return err_set(reterr, -EBUSY, "memory_max: below what is in use");
    u->limits = *limits;
    return 0;
}

static int fake_unit_attach(struct host_unit *hu, pid_t pid, struct err *reterr)
{
    struct fake_unit *u = fake_of(hu);
    int r = operate(u->host, "unit_attach", "%s", u->name);
    if (r == 0)
        r = keep_process(u, pid, false);
    return r < 0 ? err_errno(reterr, r, "moving process %d into %s", (int)pid, u->path) : 0;
}

static int fake_unit_spawn(struct host_unit *hu, const struct host_spawn *spec, struct host_child *ret,
                           struct err *e)
{
    struct fake_unit *u = fake_of(hu);
    struct spawn_place place = {.cgroup_fd = -1, .path = u->path};
    int r = operate(u->host, "unit_spawn", "%s %s", u->name, spec->argv[0]);
    if (r < 0)
        return err_errno(e, r, "exec: %s", spec->argv[0]);
    if (u->frozen)
        return err_set(e, -EBUSY, "%s is frozen: thaw it before anything is started there", u->path);
    r = spawn_process(spec, &place, ret, e);
    return r < 0 ? r : keep_process(u, ret->pid, true);
}

static int fake_unit_read(struct host_unit *hu, bool detail, struct sample *ret)
{
    struct fake_unit *u = fake_of(hu);
    if (!u->exists)
        return -ENODEV;
    ret->valid = 0;
    ret->top_count = 0;
    memset(ret->value, 0, sizeof(ret->value));
    sample_set(ret, SAMPLE_POPULATED, living(u) > 0);
    sample_set(ret, SAMPLE_FROZEN, u->frozen);
    sample_set(ret, SAMPLE_PIDS_CURRENT, (uint64_t)living(u));
    if (u->host->info.features & HOST_FEATURE_MEMORY_MAX)
        sample_set(ret, SAMPLE_MEMORY_MAX, u->limits.memory_max_bytes);
    if (u->host->info.features & HOST_FEATURE_MEMORY_HIGH)
        sample_set(ret, SAMPLE_MEMORY_HIGH, u->limits.memory_high_bytes);
    if (u->host->info.features & HOST_FEATURE_PIDS_MAX)
        sample_set(ret, SAMPLE_PIDS_MAX, u->limits.pids_max);
    if (detail)
        sample_set(ret, SAMPLE_PROCESSES, (uint64_t)living(u));
    for (unsigned f = 0; f < SAMPLE_FIELD_COUNT; f++)
        if (u->set >> f & 1)
            sample_set(ret, (enum sample_field)f, u->value[f]);
    return 0;
}

static int fake_unit_populated(struct host_unit *hu)
{
    return fake_of(hu)->exists ? living(fake_of(hu)) > 0 : -ENODEV;
}

static int fake_unit_kill(struct host_unit *hu, struct err *reterr)
{
    struct fake_unit *u = fake_of(hu);
    int r = operate(u->host, "unit_kill", "%s", u->name);
    if (r < 0)
        return err_errno(reterr, r, "killing %s", u->path);
    signal_all(u, SIGKILL);
    return 0;
}

static int fake_unit_freeze(struct host_unit *hu, enum host_freeze how, struct err *reterr)
{
    bool freeze = how != HOST_FREEZE_THAW;
    struct fake_unit *u = fake_of(hu);
    int r = operate(u->host, freeze ? "unit_freeze" : "unit_thaw", "%s%s", u->name,
                    how == HOST_FREEZE_PULSE ? " pulse" : "");
    if (r == 0 && !(u->host->info.features & HOST_FEATURE_FREEZE))
        r = -EOPNOTSUPP;
    if (r < 0)
        return err_errno(reterr, r, "freezing %s", u->path);
    signal_all(u, freeze ? SIGSTOP : SIGCONT);
    u->frozen = freeze;
    return 0;
}

static int fake_unit_throttle(struct host_unit *hu, uint32_t cpu, uint64_t high, uint32_t *ret_applied,
                              struct err *e)
{
    struct fake_unit *u = fake_of(hu);
    int r = operate(u->host, "unit_throttle", "%s cpu=%u memory_high=%" PRId64, u->name, cpu, (int64_t)high);
    uint32_t wanted =
        (cpu ? HOST_FEATURE_CPU_MAX : 0U) | (high != UINT64_MAX ? HOST_FEATURE_MEMORY_HIGH : 0U);
    uint32_t can = u->host->info.features & (HOST_FEATURE_CPU_MAX | HOST_FEATURE_MEMORY_HIGH);
    if (r == 0 && wanted && !(wanted & can))
        r = -EOPNOTSUPP;
    if (r < 0)
        return err_errno(e, r, "throttle of %s", u->path);
    if (ret_applied)
        *ret_applied = wanted ? wanted & can : can;
    return 0;
}

static int fake_unit_reclaim_open(struct host_unit *hu, struct host_reclaim *ret, struct err *reterr)
{
    struct fake_unit *u = fake_of(hu);
    int r = operate(u->host, "unit_reclaim_open", "%s", u->name);
    if (r == 0 && !(u->host->info.features & HOST_FEATURE_RECLAIM))
        r = -EOPNOTSUPP;
    if (r < 0)
        return err_errno(reterr, r, "reclaiming from %s", u->path);
    /* taking back succeeds and changes nothing */
    *ret = (struct host_reclaim){open("/dev/null", O_WRONLY | O_CLOEXEC),
                                 memfd_create("memory.current", MFD_CLOEXEC)};
    (void)dprintf(ret->current_fd, "%" PRIu64 "\n", u->value[SAMPLE_MEMORY_CURRENT]);
    return 0;
}

static int fake_unit_memory_open(struct host_unit *hu, struct err *reterr)
{
    struct fake_unit *u = fake_of(hu);
    int r = operate(u->host, "unit_memory_open", "%s", u->name);
    if (r < 0)
        return err_errno(reterr, r, "memory of %s", u->path);
    int fd = memfd_create("memory.current", MFD_CLOEXEC);
    (void)dprintf(fd, "%" PRIu64 "\n", u->value[SAMPLE_MEMORY_CURRENT]);
    return fd;
}

static int fake_unit_watch(struct host_unit *hu, uint64_t stall_us, uint64_t window_us,
                           const uint64_t *thresholds, size_t threshold_count, struct host_watch *ret,
                           struct err *reterr)
{
    struct fake_unit *u = fake_of(hu);
    (void)thresholds;
    int r = operate(u->host, "unit_watch", "%s stall=%" PRIu64 " window=%" PRIu64 " thresholds=%zu", u->name,
                    stall_us, window_us, threshold_count);
    if (r < 0)
        return err_errno(reterr, r, "watching %s", u->path);
    close_watches(u);
    for (unsigned i = 0; i < HOST_NOTIFY_COUNT; i++) {
        u->watch[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        ret[i] =
            (struct host_watch){.what = (enum host_notification)i, .fd = u->watch[i], .poll_events = EPOLLIN};
    }
    return HOST_NOTIFY_COUNT;
}

static void fake_unit_watch_acknowledge(struct host_unit *hu, const struct host_watch *w)
{
    uint64_t count;
    (void)hu;
    (void)!read(w->fd, &count, sizeof(count));
}

static int fake_unit_pids(struct host_unit *hu, pid_t *ret, size_t max)
{
    struct fake_unit *u = fake_of(hu);
    int count = 0;
    (void)living(u);
    for (size_t i = 0; i < FAKE_PROCESSES; i++)
        if (u->process[i].pid > 0 && (size_t)count++ < max)
            ret[count - 1] = u->process[i].pid;
    return count;
}

static uint64_t fake_unit_inode(const struct host_unit *u)
{
    return ((const struct fake_unit *)u)->inode;
}

static const char *fake_unit_path(const struct host_unit *u)
{
    return ((const struct fake_unit *)u)->path;
}

static int fake_guard_check(struct host *host, struct err *reterr)
{
    (void)host;
    (void)reterr;
    return 0;
}

static const struct host_ops fake_ops = {
    .close = fake_close,
    .guard_check = fake_guard_check,
    .unit_create = fake_unit_create,
    .unit_open = fake_unit_open,
    .unit_release = fake_unit_release,
    .unit_remove = fake_unit_remove,
    .unit_set_limits = fake_unit_set_limits,
    .unit_attach = fake_unit_attach,
    .unit_spawn = fake_unit_spawn,
    .unit_read = fake_unit_read,
    .unit_populated = fake_unit_populated,
    .unit_kill = fake_unit_kill,
    .unit_freeze = fake_unit_freeze,
    .unit_throttle = fake_unit_throttle,
    .unit_reclaim_open = fake_unit_reclaim_open,
    .unit_memory_open = fake_unit_memory_open,
    .unit_watch = fake_unit_watch,
    .unit_watch_acknowledge = fake_unit_watch_acknowledge,
    .unit_pids = fake_unit_pids,
    .unit_inode = fake_unit_inode,
    .unit_path = fake_unit_path,
};

/* --- the test's side --- */

struct host *fakehost_new(void)
{
    struct fake_host *h = calloc(1, sizeof(*h));
    if (!h)
        abort();
    h->host.ops = &fake_ops;
    h->info =
        (struct host_info){.layout = HOST_LAYOUT_UNIFIED,
                           .controllers = HOST_CONTROLLER_MEMORY | HOST_CONTROLLER_PIDS | HOST_CONTROLLER_CPU,
                           .kernel = "6.1.0-fake",
                           .unified_mount = "/fake",
                           .own_unified = "/",
                           .is_root = true,
                           .memory_total_bytes = UINT64_C(8) << 30,
                           .cpus = 2};
    for (unsigned bit = 0; host_feature_name(bit, NULL); bit++)
        if (*host_feature_name(bit, NULL))
            h->info.features |= 1U << bit;
    return &h->host;
}

struct host_info *fakehost_info(struct host *h)
{
    return &((struct fake_host *)h)->info;
}

const char *fakehost_log(struct host *h)
{
    return ((struct fake_host *)h)->log;
}

void fakehost_log_clear(struct host *h)
{
    ((struct fake_host *)h)->log[0] = '\0';
}

void fakehost_fail(struct host *host, const char *op, unsigned nth, int error)
{
    struct fake_host *h = (struct fake_host *)host;
    for (size_t i = 0; i < FAKE_FAILURES; i++) {
        if (h->failure[i].nth > 0)
            continue;
        (void)snprintf(h->failure[i].op, sizeof(h->failure[i].op), "%s", op ? op : "");
        h->failure[i].nth = nth;
        h->failure[i].error = error;
        return;
    }
    abort();
}

void fakehost_set(struct host *h, const char *unit, enum sample_field field, uint64_t value)
{
    struct fake_unit *u = must_find(h, unit);
    u->set |= UINT64_C(1) << field;
    u->value[field] = value;
}

void fakehost_unset(struct host *h, const char *unit, enum sample_field field)
{
    must_find(h, unit)->set &= ~(UINT64_C(1) << field);
}

void fakehost_notify(struct host *h, const char *unit, enum host_notification what)
{
    uint64_t one = 1;
    int fd = must_find(h, unit)->watch[what];
    if (fd >= 0)
        (void)!write(fd, &one, sizeof(one));
}

const struct host_limits *fakehost_limits(struct host *h, const char *unit)
{
    struct fake_unit *u = find((struct fake_host *)h, unit);
    return u ? &u->limits : NULL;
}
