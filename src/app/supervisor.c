/* SPDX-License-Identifier: MIT */
/*
 * Set-up, the event queue, and the end.
 *
 * The queue is where the one direction is kept: an event is numbered and stamped, recorded, told to the
 * engine; its decisions are recorded, announced and carried out, which posts further events. Nothing here
 * judges; nothing else calls engine_step.
 */
#include "supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-id128.h>
#include <time.h>

#include "reclaim.h"
#include "weir/app/supervisor.h"
#include "gates.h"
#include "weir/base/cleanup.h"
#include "weir/base/fdio.h"
#include "weir/base/log.h"
#include "weir/engine/policy_text.h"

#define FDS_PER_UNIT   34  /* measured on the hybrid layout */
#define FDS_OWN        64  /* measured 19; and control and wrap connections */
#define LOCK_TRIES_MAX 100 /* chosen: one is enough but for a supervisor that ends just now */

static uint64_t clock_us(clockid_t clock)
{
    struct timespec ts;
    clock_gettime(clock, &ts);
    return (uint64_t)ts.tv_sec * USEC_PER_SEC + (uint64_t)ts.tv_nsec / 1000;
}

uint64_t now_us(void)
{
    return clock_us(CLOCK_MONOTONIC);
}

uint64_t now_wall_us(void)
{
    return clock_us(CLOCK_REALTIME);
}

struct unit_runtime *supervisor_unit(struct supervisor *s, const char *name)
{
    for (uint16_t i = 0; i < s->unit_count; i++)
        if (strcmp(s->unit_names[i], name) == 0)
            return &s->units[i];
    return NULL;
}

/* ------------------------------------------------ the queue ------------------------------------------------ */

void supervisor_post(struct supervisor *s, const struct event *e)
{
    if (s->queue_count == SUPERVISOR_QUEUE_MAX) {
        /* cannot happen with bounded handlers; a lost event is worse than a dead supervisor: units go on, the
         * next weir adopts them */
        log_error("event queue is full (%d events in one turn): this is a bug in weir, ending",
                  SUPERVISOR_QUEUE_MAX);
        abort();
    }
    s->queue[(s->queue_head + s->queue_count++) % SUPERVISOR_QUEUE_MAX] = *e;
}

void supervisor_post_simple(struct supervisor *s, enum event_kind kind, uint16_t unit, uint32_t generation)
{
    struct event e = {.kind = kind, .unit = unit, .generation = generation};
    supervisor_post(s, &e);
}

void supervisor_post_outcome(struct supervisor *s, const struct decision *d, enum event_result result,
                             int error)
{
    struct event e = {.kind = EVENT_OUTCOME, .unit = d->unit, .generation = d->generation};
    e.outcome.decision_id = d->id;
    e.outcome.result = result;
    e.outcome.error = error;
    supervisor_post(s, &e);
}

/* An operator lifted what a gate was refused for. */
static void let_gates_ask(struct supervisor *s, const struct event *e)
{
    bool lifts = e->kind == EVENT_OPERATOR &&
                 (e->operator_.verb == EVENT_VERB_START || e->operator_.verb == EVENT_VERB_RESTART);
    if (lifts || (e->kind == EVENT_POLICY && s->policy_units[e->unit].enabled))
        gates_ask_again(&s->units[e->unit]);
}

static void step(struct supervisor *s, struct event *e)
{
    uint64_t now = now_us();
    s->last_us = now > s->last_us ? now : s->last_us;
    e->seq = ++s->seq;
    e->t_us = s->last_us;
    if (e->kind == EVENT_SAMPLE)
        e->sample.t_us = e->t_us;
    store_event(s->store, e);
    announce_event(s, e);
    int count = engine_step(s->engine, &s->policy, e, s->decisions);
    if (count < 0) {
        log_error("the engine refused an event of kind %s (unit %u): %s", event_kind_name(e->kind), e->unit,
                  strerror(-count));
        return;
    }
    /* all of one event's decisions are on record, and told, before the first is carried out */
    for (int i = 0; i < count; i++)
        store_decision(s->store, &s->decisions[i]);
    for (int i = 0; i < count; i++)
        announce_decision(s, &s->decisions[i]);
    for (int i = 0; i < count; i++)
        actuate(s, &s->decisions[i]);
    let_gates_ask(s, e);
}

void supervisor_drain(struct supervisor *s)
{
    if (s->draining)
        return;
    s->draining = true;
    while (s->queue_count > 0) {
        struct event e = s->queue[s->queue_head];
        s->queue_head = (s->queue_head + 1) % SUPERVISOR_QUEUE_MAX;
        s->queue_count--;
        step(s, &e);
    }
    s->draining = false;
    sampling_rearm(s);
    if (!s->ready_told)
        announce_status(s);
}

void supervisor_mark(struct supervisor *s, uint16_t unit, const char *fmt, ...)
{
    char text[STORE_TEXT_MAX];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    log_notice("%s%s%s", unit == UNIT_NONE ? "" : s->unit_names[unit], unit == UNIT_NONE ? "" : ": ", text);
    store_mark(s->store, now_us(), unit, text);
}

/* ------------------------------------------------ set-up ------------------------------------------------ */

void supervisor_shut_down(struct supervisor *s)
{
    s->shutting_down = true;
    (void)sd_notify(0, "STOPPING=1");
    supervisor_post_simple(s, EVENT_SHUTDOWN, UNIT_NONE, 0);
}

void supervisor_leave(struct supervisor *s)
{
    s->keep = true;
    (void)sd_notify(0, "STOPPING=1");
    for (uint16_t i = 0; i < s->unit_count; i++) {
        struct unit_runtime *u = &s->units[i];
        struct unit_view view;
        engine_unit_view(s->engine, i, &view);
        if (!u->cgroup)
            continue;
        if (view.frozen)
            supervisor_mark(s, i, "stays frozen, until 'weir thaw %s' of the next run", s->unit_names[i]);
        else
            (void)u->cgroup->ops->unit_freeze(u->cgroup, HOST_FREEZE_THAW, NULL);
        (void)u->cgroup->ops->unit_throttle(u->cgroup, 0, UINT64_MAX, &(uint32_t){0}, NULL);
    }
    state_save(s);
    (void)sd_event_exit(s->event, 0);
}

static int on_signal(sd_event_source *source, const struct signalfd_siginfo *si, void *userdata)
{
    (void)source;
    struct supervisor *s = userdata;
    if (si->ssi_signo == SIGHUP) {
        char *text = NULL;
        if (reload_config(s, &text) < 0 && !text)
            log_error("reload: out of memory");
        char *save = NULL;
        for (char *line = text ? strtok_r(text, "\n", &save) : NULL; line; line = strtok_r(NULL, "\n", &save))
            log_notice("reload: %s", line);
        free(text);
    } else if (s->signals_seen++ == 0) {
        supervisor_mark(s, UNIT_NONE, "%s: stopping all units (once more: kill them)",
                        strsignal((int)si->ssi_signo));
        s->shutting_down = true;
        (void)sd_notify(0, "STOPPING=1");
        supervisor_post_simple(s, EVENT_SHUTDOWN, UNIT_NONE, 0);
    } else {
        supervisor_mark(s, UNIT_NONE, "%s again: killing what is left", strsignal((int)si->ssi_signo));
        for (uint16_t i = 0; i < s->unit_count; i++)
            if (s->units[i].cgroup)
                (void)s->units[i].cgroup->ops->unit_kill(s->units[i].cgroup, NULL);
    }
    supervisor_drain(s);
    return 0;
}

static int open_loop(struct supervisor *s, struct err *reterr)
{
    static const int handled[] = {SIGTERM, SIGINT, SIGHUP};
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < ARRAY_SIZE(handled); i++)
        sigaddset(&set, handled[i]);
    (void)sigprocmask(SIG_BLOCK, &set, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGXFSZ, SIG_IGN); /* a log above RLIMIT_FSIZE is a failed write, no end of weir */
    int r = sd_event_default(&s->event);
    for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(handled); i++)
        r = sd_event_add_signal(s->event, NULL, handled[i], on_signal, s);
    if (r >= 0)
        r = sd_event_set_watchdog(s->event, true); /* the service manager's, at its own pace; none: nothing */
    return r < 0 ? err_errno(reterr, r, "event loop") : 0;
}

/* A supervisor that ended just now may have removed what we opened: the lock must be that of the path. */
static bool is_lock_of_path(const struct supervisor *s)
{
    struct stat held, there;
    return fstat(s->lock_fd, &held) == 0 && fstatat(s->run_dirfd, "lock", &there, 0) == 0 &&
           held.st_ino == there.st_ino;
}

static int lock_run_dir(struct supervisor *s, struct err *reterr)
{
    const char *path = s->config->run_dir;
    mode_t mask = umask(022); /* units of other users reach their sockets and FIFOs in it */
    int r = path_mkdir_parents(path, 0755);
    (void)umask(mask);
    if (r < 0)
        return err_errno(reterr, r, "run_dir %s", path);
    s->run_dirfd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (s->run_dirfd < 0)
        return err_errno(reterr, -errno, "run_dir %s", path);
    s->lock_fd = openat(s->run_dirfd, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (s->lock_fd < 0)
        return err_errno(reterr, -errno, "%s/lock", path);
    /* not flock(2): a child between clone and exec would hold that lock on for a weir that was killed just then */
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (fcntl(s->lock_fd, F_SETLK, &lock) == 0)
        return 0;
    char pid[16] = "";
    (void)fd_pread_text(s->lock_fd, pid, sizeof(pid));
    pid[strcspn(pid, "\n")] = '\0';
    return err_set(reterr, -EBUSY,
                   "supervisor '%s' is already running (pid %s, %s/lock); 'weir status -n %s' shows it",
                   s->config->name, pid, path, s->config->name);
}

/* The folder of sockets and FIFOs, held by one supervisor at a time. */
static int open_run_dir(struct supervisor *s, struct err *reterr)
{
    for (int tries = 0; tries < LOCK_TRIES_MAX; tries++) {
        int r = lock_run_dir(s, reterr);
        s->owns_run_dir = r >= 0 && is_lock_of_path(s);
        if (r < 0 && r != -ENOENT)
            return r;
        if (s->owns_run_dir) {
            if (ftruncate(s->lock_fd, 0) == 0)
                (void)dprintf(s->lock_fd, "%d\n", (int)getpid());
            return 0;
        }
        cleanup_close(&s->lock_fd);
        cleanup_close(&s->run_dirfd);
        s->lock_fd = s->run_dirfd = -1;
    }
    return err_set(reterr, -EBUSY, "run_dir %s: is removed again and again by another process",
                   s->config->run_dir);
}

static int open_store(struct supervisor *s, struct err *reterr)
{
    _cleanup_free_ char *log_dir = NULL, *path = NULL;
    if (asprintf(&log_dir, "%s/log", s->config->state_dir) < 0 ||
        asprintf(&path, "%s/history.db", s->config->state_dir) < 0)
        return err_errno(reterr, -ENOMEM, "history");
    int r = path_mkdir_parents(log_dir, 0750);
    if (r < 0) /* history and logs fail and retry by themselves; control goes on */
        log_warning("state_dir %s: %s; nothing is kept until that is mended", log_dir, strerror(-r));
    struct store_options options = {
        .path = path, .retention_us = s->config->retention_us, .max_bytes = s->config->history_max_bytes};
    return store_open(&options, &s->store, reterr);
}

/* A line whose value may be a secret: `environment`, also in a comment, with either of INI's separators. */
static bool is_secret(const char *line)
{
    static const char key[] = "environment";
    line += strspn(line, "#; \t");
    return strncmp(line, key, sizeof(key) - 1) == 0 && line[sizeof(key) - 1] != '_';
}

/* The config file's text with the environment's values masked; owned by the caller, NULL = out of memory. */
static char *masked_config_text(const char *path)
{
    _cleanup_fclose_ FILE *in = fopen(path, "re");
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        return NULL;
    _cleanup_free_ char *line = NULL;
    size_t capacity = 0;
    while (in && getline(&line, &capacity, in) > 0)
        fputs(is_secret(line) ? "environment = (masked)\n" : line, out);
    (void)fclose(out); /* moves the text one last time */
    return text;
}

static void begin_run(struct supervisor *s)
{
    char boot_id[SD_ID128_STRING_MAX] = "";
    sd_id128_t id;
    if (sd_id128_get_boot(&id) >= 0)
        (void)sd_id128_to_string(id, boot_id);
    _cleanup_free_ char *text = masked_config_text(s->config->path);
    s->started_us = now_us();
    uint64_t wall = now_wall_us();
    s->clock_offset_us = wall - s->started_us;
    struct store_run run = {
        .supervisor = s->config->name,
        .config_path = s->config->path,
        .config_text = text ? text : "",
        .weir_version = WEIR_VERSION,
        .kernel = s->info.kernel,
        .layout = host_layout_name(s->info.layout),
        .boot_id = boot_id,
        .wall_us = wall,
        .monotonic_us = s->started_us,
        .interval_us = s->policy.interval_us,
        .unit_names = s->unit_names,
        .unit_count = s->unit_count,
    };
    if (store_run_begin(s->store, &run) < 0)
        log_warning("history: the run could not be begun, ignoring");
}

/* Below a limit on locked memory MCL_FUTURE would make later allocations fail. */
static bool may_lock_all(void)
{
    struct rlimit limit;
    return (geteuid() == 0 && prctl(PR_CAPBSET_READ, CAP_IPC_LOCK) == 1) ||
           (getrlimit(RLIMIT_MEMLOCK, &limit) == 0 && limit.rlim_cur == RLIM_INFINITY);
}

/* The soft limit (often 1024, for the sake of select(2)) is soon reached. Units get the one weir was given
 * (launch.c). */
static void raise_fd_limit(struct supervisor *s)
{
    if (getrlimit(RLIMIT_NOFILE, &s->nofile) < 0)
        s->nofile = (struct rlimit){0};
    struct rlimit raised = {.rlim_cur = s->nofile.rlim_max, .rlim_max = s->nofile.rlim_max};
    if (s->nofile.rlim_cur < s->nofile.rlim_max && setrlimit(RLIMIT_NOFILE, &raised) < 0)
        log_debug("limit of open files: %s, ignoring", strerror(errno));
    uint64_t wanted = (uint64_t)s->config->unit_count * FDS_PER_UNIT + FDS_OWN;
    if (s->nofile.rlim_max != RLIM_INFINITY && wanted > s->nofile.rlim_max)
        log_warning("%" PRIu32 " units need about %" PRIu64 " open files, the limit is %" PRIu64
                    "; raise it (LimitNOFILE=, ulimit -Hn)",
                    s->config->unit_count, wanted, (uint64_t)s->nofile.rlim_max);
}

static void protect_self(struct supervisor *s)
{
    /* pages are locked as they are touched, so that control goes on while the machine swaps */
    if (!may_lock_all())
        log_debug("memory is not locked: there is a limit on that");
    else if (mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) < 0)
        log_debug("mlockall: %s, ignoring", strerror(errno));
    if ((s->info.features & HOST_FEATURE_OOM_ADJUST_DOWN) &&
        fd_write_text_at(AT_FDCWD, "/proc/self/oom_score_adj", "-900") < 0)
        log_debug("oom_score_adj cannot be lowered, ignoring");
    char text[16] = "";
    s->is_oom_protected =
        fd_read_text_at(AT_FDCWD, "/proc/self/oom_score_adj", text, sizeof(text)) > 0 && text[0] == '-';
}

static void tell_host(const struct supervisor *s)
{
    log_notice("weir %s: supervisor '%s', kernel %s, %s cgroup layout, controllers:%s%s%s", WEIR_VERSION,
               s->config->name, s->info.kernel, host_layout_name(s->info.layout),
               s->info.controllers & HOST_CONTROLLER_MEMORY ? " memory" : "",
               s->info.controllers & HOST_CONTROLLER_PIDS ? " pids" : "",
               s->info.controllers & HOST_CONTROLLER_CPU ? " cpu" : "");
    char missing[256] = "";
    const char *use;
    for (unsigned bit = 0; bit < 32; bit++) {
        const char *name = host_feature_name(bit, &use);
        if (!name || !name[0] || s->info.features & (1U << bit))
            continue;
        size_t n = strlen(missing);
        (void)snprintf(missing + n, sizeof(missing) - n, "%s%s", n ? ", " : "", name);
    }
    if (missing[0])
        log_notice("this host lacks: %s ('weir doctor' says what that means)", missing);
}

/* What is left in the run folder when no unit is: nothing. */
static void remove_run_dir(struct supervisor *s)
{
    static const char *const files[] = {"control.sock", "wrap.sock", "gate.sock", "state.json", "lock"};
    for (uint16_t i = 0; i < s->unit_count; i++) {
        if (s->units[i].cgroup)
            return;
        _cleanup_free_ char *fifo = run_path(s, s->unit_names[i], ".pressure");
        if (fifo)
            (void)unlink(fifo);
    }
    wrap_unlink(s);
    for (size_t i = 0; i < ARRAY_SIZE(files); i++)
        (void)unlinkat(s->run_dirfd, files[i], 0);
    (void)rmdir(s->config->run_dir);
}

static void supervisor_deinit(struct supervisor *s)
{
    control_close(s);
    gates_close(s);
    wrap_close(s);
    s->reclaimer = reclaimer_free(s->reclaimer);
    for (uint16_t i = 0; i < s->unit_count; i++) {
        struct unit_runtime *u = &s->units[i];
        bool over = u->cgroup == NULL;
        hook_stop(u);
        launch_forget(u);
        sampling_unwatch(u);
        output_close(u->output, over);
        if (u->pressure_fifo >= 0)
            close(u->pressure_fifo);
    }
    if (s->owns_run_dir && !s->keep)
        remove_run_dir(s);
    store_close(s->store);
    for (uint16_t i = 0; i < s->unit_count; i++)
        if (s->units[i].cgroup)
            s->units[i].cgroup->ops->unit_release(s->units[i].cgroup);
    if (s->host)
        s->host->ops->close(s->host);
    engine_free(s->engine);
    free(s->decisions);
    free(s->queue);
    free(s->units);
    free(s->policy_units);
    free(s->policy.rules);
    free(s->unit_names);
    free(s->config_path);
    for (size_t i = 0; i < ARRAY_SIZE(s->retired); i++)
        if (s->retired[i]) {
            config_deinit(s->retired[i]);
            free(s->retired[i]);
        }
    if (s->config) {
        config_deinit(s->config);
        free(s->config);
    }
    sd_event_source_unref(s->tick_source);
    sd_event_source_unref(s->deadline_source);
    sd_event_unref(s->event);
    cleanup_close(&s->run_dirfd);
    cleanup_close(&s->lock_fd);
}

static int set_up(struct supervisor *s, struct err *reterr)
{
    int r = open_loop(s, reterr);
    if (r >= 0)
        r = open_run_dir(s, reterr);
    if (r < 0)
        return r;
    raise_fd_limit(s);
    if (!s->host) {
        _cleanup_free_ char *base = state_base(s->config->run_dir);
        r = host_open(&s->info, s->config->name, base, &s->host, reterr);
        if (r < 0)
            return r;
    }
    s->queue = calloc(SUPERVISOR_QUEUE_MAX, sizeof(*s->queue));
    if (!s->queue)
        return err_errno(reterr, -ENOMEM, "event queue");
    r = reload_build(s, reterr);
    if (r >= 0)
        r = actuate_open(s, reterr);
    if (r >= 0)
        r = open_store(s, reterr);
    if (r >= 0)
        r = wrap_open(s, reterr);
    if (r >= 0)
        r = gates_open(s, reterr);
    if (r >= 0)
        r = control_open(s, reterr);
    return r;
}

void supervisor_record_policy(struct supervisor *s)
{
    char text[POLICY_TEXT_MAX];
    if (policy_text_format(&s->policy, text, sizeof(text)) > 0)
        store_policy(s->store, s->seq + 1, UNIT_NONE, text);
    for (uint16_t i = 0; i < s->unit_count; i++)
        if (policy_text_format_unit(&s->policy_units[i], text, sizeof(text)) > 0)
            store_policy(s->store, s->seq + 1, i, text);
    for (uint32_t i = 0; i < s->policy.rule_count; i++)
        if (rule_format(&s->policy.rules[i], text, sizeof(text)) > 0)
            store_policy(s->store, s->seq + 1, (uint16_t)(POLICY_ROW_RULE + i), text);
}

/* Begun and not: what an earlier weir left must still be there for the next one. */
static void leave_as_found(struct supervisor *s, const struct err *e)
{
    if (s->owns_run_dir && state_is_needed(s->config->run_dir))
        s->keep = true;
    if (s->started_us) {
        store_mark(s->store, now_us(), UNIT_NONE, e->text);
        store_run_end(s->store, now_us(), 1);
    }
}

static int run_loop(struct supervisor *s, struct err *reterr)
{
    supervisor_post_simple(s, EVENT_RUN, UNIT_NONE, 0);
    supervisor_drain(s);
    state_save(s);
    int r = sd_event_loop(s->event);
    if (r < 0)
        err_errno(reterr, r, "event loop");
    else
        r = s->exit_status;
    store_run_end(s->store, now_us(), r);
    return r;
}

int supervisor_run(const struct supervisor_options *options, struct err *reterr)
{
    struct supervisor s = {.info = *options->info,
                           .config = options->config,
                           .host = options->host,
                           .run_dirfd = -1,
                           .lock_fd = -1,
                           .wrap_fd = -1,
                           .gate_fd = -1,
                           .control_fd = -1,
                           .echo = options->echo};
    struct err e = ERR_NULL;
    s.config_path = strdup(s.config->path);
    int r = s.config_path ? set_up(&s, &e) : err_errno(&e, -ENOMEM, "config path");
    if (r >= 0) {
        protect_self(&s);
        tell_host(&s);
        begin_run(&s);
        supervisor_record_policy(&s);
        r = state_adopt(&s, &e);
    }
    if (r >= 0)
        r = sampling_start(&s, &e);
    if (r >= 0)
        r = run_loop(&s, &e);
    else
        leave_as_found(&s, &e);
    supervisor_deinit(&s);
    if (r < 0 && reterr)
        *reterr = e;
    return r;
}
