/* SPDX-License-Identifier: MIT */
/*
 * The guard's process, and weir's side of it; see guard.h.
 *
 * It is a fork without exec: made at host_open, before weir has threads and before it locks its memory, so the copy
 * is small; made anew later it is the copy of one thread of several, so it makes system calls only. Its exit signal
 * is none: no child watcher is to see it.
 *
 * weir's end is told by two things: the channel's end of file, which comes also at an orderly end, and a pidfd of
 * weir, which no child between fork and exec can hold back.
 *
 * Invariant: a slot is complete while `armed` is set. A cgroup is known by device and inode, a path alone could lead
 * to a later one of the same name.
 */
#include "guard.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "sys.h"
#include "weir/base/cleanup.h"
#include "weir/host/host.h"

#define SLOTS_MAX     1024 /* chosen: 300 units held back at once; a page each third slot, when it is used */
#define START_WAIT_MS 5000 /* chosen: as long as a unit's exec may take */
#define END_WAIT_US                                                                                          \
    2000000 /* chosen: a write to memory.high may reclaim; weir's end does not wait for that */
#define END_STEP_US    1000
#define RETRY_CHECKS   60 /* chosen: about once a minute, for what kept it from being started may be over */
#define LATE_WRITE_NS  50000000 /* chosen: a helper that was forked has written by then */
#define OOM_SCORE_TEXT "-900"   /* as weir's own (supervisor.c) */

struct guard_slot {
    atomic_uint armed;
    enum guard_kind kind;
    dev_t device;
    ino_t inode;
    char path[HOST_PATH_MAX];
    struct guard_step steps[GUARD_STEPS_MAX];
};

struct guard_table {
    atomic_uint used; /* slots that were ever armed */
    bool late_writes;
    struct guard_slot slots[SLOTS_MAX];
};

/* ------------------------------------------ the guard's process ------------------------------------------ */

static void write_step(int dirfd, const struct guard_step *step)
{
    int fd = openat(dirfd, step->file, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return;
    (void)!write(fd, step->text, strlen(step->text));
    (void)close(fd);
}

static void undo(const struct guard_slot *s)
{
    struct stat st;
    int dirfd = open(s->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dirfd < 0)
        return;
    if (fstat(dirfd, &st) == 0 && st.st_dev == s->device && st.st_ino == s->inode)
        for (size_t i = 0; i < GUARD_STEPS_MAX && s->steps[i].file[0]; i++)
            write_step(dirfd, &s->steps[i]);
    (void)close(dirfd);
}

/* Returns how many there were. */
static unsigned undo_kind(struct guard_table *t, enum guard_kind kind)
{
    unsigned count = 0;
    unsigned used = atomic_load(&t->used);
    for (unsigned i = 0; i < used; i++)
        if (atomic_load(&t->slots[i].armed) && t->slots[i].kind == kind) {
            undo(&t->slots[i]);
            count++;
        }
    return count;
}

static void undo_all(struct guard_table *t)
{
    for (unsigned kind = 0; kind < GUARD_KIND_COUNT; kind++) {
        if (undo_kind(t, (enum guard_kind)kind) == 0 || kind != GUARD_HIGH || !t->late_writes)
            continue;
        struct timespec pause = {.tv_nsec = LATE_WRITE_NS};
        (void)nanosleep(&pause, NULL);
        (void)undo_kind(t, GUARD_HIGH);
    }
}

/* Ctrl-C, a stop of the session, a closed terminal: weir answers those, and needs the guard for it. */
static void ignore_signals(void)
{
    static const int ignored[] = {SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGQUIT, SIGUSR1, SIGUSR2};
    struct sigaction sa = {0};
    sigset_t none;
    sa.sa_handler = SIG_DFL;
    for (int sig = 1; sig < NSIG; sig++)
        (void)sigaction(sig, &sa, NULL);
    sa.sa_handler = SIG_IGN;
    for (size_t i = 0; i < ARRAY_SIZE(ignored); i++)
        (void)sigaction(ignored[i], &sa, NULL);
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
}

/* All of weir's files but these two, both above 2. -1 = none. */
static int keep_only(int a, int b)
{
    int low = a < b ? a : b;
    int high = a < b ? b : a;
    if (low < 0)
        low = high;
    long r = syscall(SYS_close_range, 0U, (unsigned)low - 1, 0U);
    if (r == 0 && high > low + 1)
        r = syscall(SYS_close_range, (unsigned)low + 1, (unsigned)high - 1, 0U);
    if (r == 0)
        r = syscall(SYS_close_range, (unsigned)high + 1, ~0U, 0U);
    if (r == 0 && open("/dev/null", O_RDWR) == 0) /* so that nothing opened later stands there */
        (void)!(dup(0) + dup(0));
    return (int)r;
}

/* title: stays where it is for good. Only root may move what `ps` reads; comm says it as well. */
static void take_name(char *title, size_t size)
{
    (void)prctl(PR_SET_NAME, title);
    if (prctl(PR_SET_MM, PR_SET_MM_ARG_START, title, 0, 0) == 0)
        (void)prctl(PR_SET_MM, PR_SET_MM_ARG_END, title + size, 0, 0);
}

static void protect_from_oom(void)
{
    int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    (void)!write(fd, OOM_SCORE_TEXT, sizeof(OOM_SCORE_TEXT) - 1); /* not allowed: then not */
    (void)close(fd);
}

static _Noreturn void guard_main(struct guard_table *t, int channel, int weir_fd)
{
    char title[] =
        "weir-guard"; /* on the stack: below the arguments, as the kernel wants a new start of them */
    struct pollfd p[] = {{.fd = channel, .events = POLLIN}, {.fd = weir_fd, .events = POLLIN}};
    ignore_signals();
    (void)setsid();
    (void)!chdir("/");
    if (keep_only(channel, weir_fd) < 0)
        _exit(1); /* it would keep weir's output open */
    take_name(title, sizeof(title));
    protect_from_oom();
    (void)!write(channel, "r", 1);
    while (poll(p, ARRAY_SIZE(p), -1) < 0 && errno == EINTR)
        ;
    undo_all(t);
    _exit(0);
}

/* ------------------------------------------------ weir's side ------------------------------------------------ */

static pid_t give_birth(void)
{
    struct clone_args args = {0};
    pid_t pid = host_sys.clone3(&args, sizeof(args));
    if (pid < 0 && (errno == ENOSYS || errno == EPERM)) /* a sandbox's filter */
        pid = host_sys.fork();
    return pid < 0 ? -errno : pid;
}

static pid_t fork_guard(struct guard *g, int channel, int weir_fd)
{
    sigset_t all;
    sigset_t before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before); /* no handler of ours may run in the child */
    pid_t pid = give_birth();
    if (pid == 0)
        guard_main(g->table, channel, weir_fd);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return pid;
}

/* 1 = reaped, 0 = lives. */
static int try_reap(pid_t pid, siginfo_t *ret)
{
    *ret = (siginfo_t){0};
    int r = host_sys.waitid(P_PID, (id_t)pid, ret, WEXITED | WNOHANG | __WALL);
    return r < 0 ? errno == ECHILD : ret->si_pid != 0;
}

static void end_guard(struct guard *g)
{
    siginfo_t ignored;
    (void)host_sys.kill(g->pid, SIGKILL);
    while (!try_reap(g->pid, &ignored))
        io_pause_us(END_STEP_US);
    g->pid = 0;
}

static int await_ready(int channel)
{
    char c;
    struct pollfd p = {.fd = channel, .events = POLLIN};
    int r;
    do
        r = host_sys.poll(&p, 1, START_WAIT_MS);
    while (r < 0 && errno == EINTR);
    if (r <= 0)
        return r < 0 ? -errno : -ETIMEDOUT;
    ssize_t n = host_sys.read(channel, &c, 1);
    return n < 0 ? -errno : n == 1 ? 0 : -ECHILD;
}

static int high_fd(int fd)
{
    int r = host_sys.dup_above(fd, 3);
    r = r < 0 ? -errno : r;
    close(fd);
    return r;
}

static int start(struct guard *g)
{
    int pair[2];
    if (host_sys.socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        return -errno;
    _cleanup_close_ int own = high_fd(pair[0]);
    _cleanup_close_ int its = high_fd(pair[1]);
    if (own < 0 || its < 0)
        return own < 0 ? own : its;
    int weir_fd = host_sys.pidfd_open(getpid(), 0); /* the channel does alone, nearly always */
    _cleanup_close_ int weir_high_fd = weir_fd >= 0 ? high_fd(weir_fd) : -1;
    pid_t pid = fork_guard(g, its, weir_high_fd);
    if (pid < 0)
        return pid;
    cleanup_close(&its); /* or its death would never be seen */
    its = -1;
    g->pid = pid;
    int r = await_ready(own);
    if (r < 0) {
        end_guard(g);
        return r;
    }
    g->channel = steal_fd(&own);
    return 0;
}

static int lose(struct guard *g, int error)
{
    if (!g->is_lost)
        g->news = GUARD_NEWS_LOST;
    g->is_lost = true;
    g->checks = 0;
    return err_errno(
        &g->text, error,
        "the guard, which thaws units if weir is killed, could not be started, so no freeze pulses are "
        "used");
}

static void say_death(struct guard *g, const siginfo_t *info, pid_t pid)
{
    char how[32] = "";
    if (info->si_code == CLD_KILLED || info->si_code == CLD_DUMPED)
        (void)snprintf(how, sizeof(how), " (SIG%s)", sigabbrev_np(info->si_status));
    g->news = GUARD_NEWS_ANEW;
    (void)err_set(&g->text, 0,
                  "the guard, which thaws units if weir is killed, was ended%s; a new one is there, pid %d",
                  how, (int)pid);
}

/* Is there a guard? A dead one is replaced. 0 or negative errno. */
static int keep_up(struct guard *g)
{
    siginfo_t info = {0};
    if (g->pid > 0 && !try_reap(g->pid, &info))
        return 0;
    if (g->pid == 0)
        return -EOPNOTSUPP;
    g->pid = 0;
    cleanup_close(&g->channel);
    g->channel = -1;
    int r = start(g);
    if (r < 0)
        return lose(g, r);
    say_death(g, &info, g->pid);
    return 0;
}

void guard_open(struct guard *g, bool late_writes)
{
    *g = GUARD_NULL;
    void *table = host_sys.map_shared(sizeof(*g->table));
    if (!table) {
        (void)lose(g, -ENOMEM);
        return;
    }
    g->table = table;
    g->table->late_writes = late_writes;
    int r = start(g);
    if (r < 0)
        (void)lose(g, r);
}

void guard_close(struct guard *g)
{
    siginfo_t ignored;
    cleanup_close(&g->channel);
    g->channel = -1;
    bool is_over = g->pid <= 0;
    for (unsigned waited = 0; !is_over && waited < END_WAIT_US; waited += END_STEP_US) {
        is_over = try_reap(g->pid, &ignored);
        if (!is_over)
            io_pause_us(END_STEP_US);
    }
    g->pid = 0; /* one that still writes is PID 1's, once we are gone */
    if (g->table)
        host_sys.unmap(g->table, sizeof(*g->table));
    g->table = NULL;
}

static bool is_slot_of(const struct guard_slot *s, enum guard_kind kind, const char *path)
{
    return s->kind == kind && strcmp(s->path, path) == 0;
}

static struct guard_slot *find_slot(struct guard_table *t, enum guard_kind kind, const char *path)
{
    unsigned used = atomic_load(&t->used);
    for (unsigned i = 0; i < used; i++)
        if (is_slot_of(&t->slots[i], kind, path))
            return &t->slots[i];
    return NULL;
}

static struct guard_slot *take_slot(struct guard_table *t, enum guard_kind kind, const char *path)
{
    struct guard_slot *s = find_slot(t, kind, path);
    unsigned used = atomic_load(&t->used);
    for (unsigned i = 0; !s && i < used; i++)
        if (!atomic_load(&t->slots[i].armed))
            s = &t->slots[i];
    if (!s && used < SLOTS_MAX) {
        s = &t->slots[used];
        atomic_store(&t->used, used + 1);
    }
    return s;
}

static bool is_armed_so(const struct guard_slot *s, const struct stat *st, const struct guard_step *steps)
{
    return atomic_load(&s->armed) && s->device == st->st_dev && s->inode == st->st_ino &&
           memcmp(s->steps, steps, sizeof(s->steps)) == 0;
}

int guard_arm(struct guard *g, enum guard_kind kind, int dirfd, const char *path,
              const struct guard_step steps[static GUARD_STEPS_MAX], struct err *reterr)
{
    struct stat st;
    struct guard_slot *s = g->table ? take_slot(g->table, kind, path) : NULL;
    if (!s || fstat(dirfd, &st) < 0 || strlen(path) >= sizeof(s->path))
        return err_set(reterr, -EOPNOTSUPP, "%s: weir's guard has no room for it", path);
    if (!is_armed_so(s, &st, steps)) {
        atomic_store(&s->armed, 0);
        s->kind = kind;
        s->device = st.st_dev;
        s->inode = st.st_ino;
        (void)snprintf(s->path, sizeof(s->path), "%s", path);
        memcpy(s->steps, steps, sizeof(s->steps));
        atomic_store(&s->armed, 1);
    }
    /* after the slot: a guard that is started for this finds it */
    if (keep_up(g) < 0)
        return err_set(reterr, -EOPNOTSUPP, "%s", g->text.text);
    return 0;
}

void guard_forget(struct guard *g, enum guard_kind kind, const char *path)
{
    struct guard_slot *s = g->table ? find_slot(g->table, kind, path) : NULL;
    if (s)
        atomic_store(&s->armed, 0);
}

static void try_again(struct guard *g)
{
    if (++g->checks % RETRY_CHECKS != 0 || !g->table || start(g) < 0)
        return;
    g->is_lost = false;
    g->news = GUARD_NEWS_ANEW;
    (void)err_set(&g->text, 0, "the guard, which thaws units if weir is killed, could be started now, pid %d",
                  (int)g->pid);
}

int guard_check(struct guard *g, struct err *reterr)
{
    if (g->pid == 0)
        try_again(g);
    else
        (void)keep_up(g);
    enum guard_news news = g->news;
    g->news = GUARD_NEWS_NONE;
    if (news == GUARD_NEWS_NONE)
        return 0;
    if (reterr)
        *reterr = g->text;
    return news == GUARD_NEWS_ANEW ? 1 : -EOPNOTSUPP;
}
