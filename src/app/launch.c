/* SPDX-License-Identifier: MIT */
/*
 * From the decision START to a running main process in its cgroup, and its readiness check.
 *
 * Order: output FIFO, notify socket, pressure FIFO, the port its readiness check asks is free, the cgroup with its
 * limits, the process. Each step that fails says what it is; a failed start leaves nothing behind.
 */
#include "supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gates.h"
#include "weir/base/cleanup.h"
#include "weir/base/log.h"

#define GROUPS_MAX 256

char *run_path(const struct supervisor *s, const char *unit, const char *suffix)
{
    char *path = NULL;
    return asprintf(&path, "%s/%s%s", s->config->run_dir, unit, suffix) < 0 ? NULL : path;
}

/* ------------------------------------------------ parts ------------------------------------------------ */

void launch_limits(const struct supervisor *s, const struct unit_runtime *u, struct host_limits *ret)
{
    const struct config_unit *c = u->config;
    const struct unit_policy *p = &s->policy_units[u->index];
    *ret = (struct host_limits){
        .memory_max_bytes = p->memory_max_bytes,
        .memory_high_bytes = p->memory_high_bytes,
        .memory_swap_max_bytes =
            config_size_resolve(&c->memory_swap_max, s->info.memory_total_bytes, UINT64_MAX),
        .memory_oom_group = c->memory_oom_group,
        .pids_max = c->pids_max,
        .cpu_max_permyriad = c->cpu_max_permyriad,
        .cpu_weight = c->cpu_weight,
    };
}

/* Where the counters stand now; readings of another cgroup are none of this one's. */
void launch_read_base(struct unit_runtime *u)
{
    u->last = u->tick[1] = (struct sample){0};
    u->tick_count = 0;
    (void)u->cgroup->ops->unit_read(u->cgroup, false, &u->last);
    u->oom_base = sample_has(&u->last, SAMPLE_EVENTS_OOM_KILL) ? u->last.value[SAMPLE_EVENTS_OOM_KILL] : 0;
    u->pids_base = sample_has(&u->last, SAMPLE_PIDS_EVENTS_MAX) ? u->last.value[SAMPLE_PIDS_EVENTS_MAX] : 0;
}

int launch_make_cgroup(struct unit_runtime *u, struct err *reterr)
{
    struct supervisor *s = u->s;
    if (u->cgroup)
        return 0;
    struct host_limits limits;
    reload_pending_limits(u);
    launch_limits(s, u, &limits);
    u->is_second_name = false;
    int r = s->host->ops->unit_create(s->host, u->config->name, &limits, u->config->best_effort, &u->cgroup,
                                      &u->missing, reterr);
    if (r < 0)
        return r;
    if (u->missing) {
        const char *use;
        for (unsigned bit = 0; bit < 32; bit++)
            if (u->missing & (1U << bit))
                supervisor_mark(s, u->index, "%s is not enforced: this host cannot (best_effort = yes)",
                                host_feature_name(bit, &use));
    }
    launch_read_base(u);
    /* before there is a process in it: killed between the two, the next weir knows the cgroup as ours */
    state_save(s);
    return 0;
}

static void on_output_line(void *userdata, const char *line, size_t length)
{
    struct unit_runtime *u = userdata;
    if (u->probe)
        probe_feed_line(u->probe, line, length);
}

static void on_output_dropped(void *userdata, uint64_t lines, uint64_t bytes)
{
    struct unit_runtime *u = userdata;
    char size[FORMAT_SIZE_MAX];
    supervisor_mark(u->s, u->index, "output above log_rate: %llu lines (%s) dropped in the last second",
                    (unsigned long long)lines, format_size(bytes, size));
}

static void on_log_state(void *userdata, const struct err *failure)
{
    struct unit_runtime *u = userdata;
    if (failure)
        supervisor_mark(u->s, u->index, "its output is not kept: %s (trying again)", failure->text);
    else
        supervisor_mark(u->s, u->index, "its output is kept again");
}

int launch_open_output(struct unit_runtime *u, struct err *reterr)
{
    struct supervisor *s = u->s;
    if (u->output)
        return 0;
    _cleanup_free_ char *fifo = run_path(s, u->config->name, ".out"), *log_path = NULL;
    if (!fifo || asprintf(&log_path, "%s/log/%s.log", s->config->state_dir, u->config->name) < 0)
        return err_errno(reterr, -ENOMEM, "output");
    struct output_options options = {
        .event = s->event,
        .unit = u->config->name,
        .fifo_path = fifo,
        .log_path = log_path,
        .log_size_bytes = u->config->log_size_bytes,
        .log_files = u->config->log_files,
        .rate_bytes = u->config->log_rate_bytes,
        .echo = s->echo,
        .on_line = on_output_line,
        .on_dropped = on_output_dropped,
        .on_log_state = on_log_state,
        .user = u,
    };
    return output_open(&options, &u->output, reterr);
}

int launch_open_pressure(struct unit_runtime *u, struct err *reterr)
{
    if (u->pressure_fifo >= 0)
        return 0;
    _cleanup_free_ char *path = run_path(u->s, u->config->name, ".pressure");
    if (!path)
        return err_errno(reterr, -ENOMEM, "memory pressure FIFO");
    /* readable by the unit whatever its uid; only weir writes (as owner) */
    if (mkfifo(path, 0644) < 0 && errno != EEXIST)
        return err_errno(reterr, -errno, "%s", path);
    int fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return err_errno(reterr, -errno, "%s", path);
    (void)fchmod(fd, 0644);
    u->pressure_fifo = fd;
    return 0;
}

static bool notify_allowed(void *userdata, pid_t pid)
{
    struct unit_runtime *u = userdata;
    return u->cgroup && host_process_in(pid, u->cgroup->ops->unit_path(u->cgroup)) == 1;
}

/* STATUS= as a terminal and a JSON text can take it: no control characters, no half or broken UTF-8 character. */
static void keep_status(struct unit_runtime *u, const char *value)
{
    size_t n = 0;
    for (const char *p = value; *p;) {
        unsigned char c = (unsigned char)*p;
        size_t length = c < 0x80 ? 1 : c >= 0xF0 && c < 0xF5 ? 4 : c >= 0xE0 ? 3 : c >= 0xC2 ? 2 : 0;
        size_t have = 1;
        while (have < length && ((unsigned char)p[have] & 0xC0) == 0x80)
            have++;
        bool is_good = c < 0xF5 && have == length && c >= ' ' && c != 0x7F;
        size_t take = is_good ? length : 1;
        if (n + take >= sizeof(u->status_text))
            break;
        memcpy(u->status_text + n, is_good ? p : "?", take);
        n += take;
        p += take;
    }
    u->status_text[n] = '\0';
}

static void on_notify_message(void *userdata, const char *key, const char *value)
{
    struct unit_runtime *u = userdata;
    if (strcmp(key, "STATUS") == 0)
        keep_status(u, value);
    else if (strcmp(key, "READY") == 0 && strcmp(value, "1") == 0 && u->probe)
        probe_feed_ready(u->probe);
}

static int open_notify(struct unit_runtime *u, struct err *reterr)
{
    if (u->config->ready.type != CONFIG_READY_NOTIFY || u->notify)
        return 0;
    _cleanup_free_ char *path = run_path(u->s, u->config->name, ".notify");
    if (!path)
        return err_errno(reterr, -ENOMEM, "notify socket");
    return notify_open(u->s->event, path, notify_allowed, on_notify_message, u, &u->notify, reterr);
}

static int check_port(const struct unit_runtime *u, struct err *reterr)
{
    const struct config_ready *ready = &u->config->ready;
    if (ready->type != CONFIG_READY_TCP && ready->type != CONFIG_READY_HTTP)
        return 0;
    char text[256];
    pid_t pid;
    if (port_find_holder(ready->host, ready->port, &pid, text, sizeof(text)) != 1)
        return 0;
    return err_set(reterr, -EADDRINUSE,
                   "ready: %s before the unit was started; end it, or give the unit another port", text);
}

static int fill_spec(const struct unit_runtime *u, int output_fd, gid_t *groups, struct host_spawn *ret,
                     struct err *e)
{
    const struct config_unit *c = u->config;
    *ret = (struct host_spawn){
        .argv = (const char *const *)c->argv,
        .environment = (const char *const *)u->environment,
        .working_directory = c->working_directory,
        .stdin_fd = -1,
        .stdout_fd = output_fd,
        .stderr_fd = output_fd,
        .has_ids = c->has_user || c->has_group,
        .uid = c->has_user ? c->uid : geteuid(),
        .gid = c->has_user || c->has_group ? c->gid : getegid(),
        .has_umask = c->has_umask,
        .umask = c->umask,
        .has_nice = c->has_nice,
        .nice = c->nice,
        /* weir's own protection is not inherited: the machine's OOM killer would take anything but the leaker */
        .has_oom_score_adj = c->has_oom_score_adj || u->s->is_oom_protected,
        .oom_score_adj = c->oom_score_adj,
        .no_new_privileges = c->no_new_privileges,
        .has_capabilities = c->has_capabilities,
        .capabilities = c->capabilities,
    };
    for (size_t i = 0; i < RLIM_NLIMITS; i++) {
        ret->rlimits[i].is_set = c->rlimits[i].is_set;
        ret->rlimits[i].value = c->rlimits[i].value;
    }
    if (!c->rlimits[RLIMIT_NOFILE].is_set && u->s->nofile.rlim_max) { /* weir's own was raised */
        ret->rlimits[RLIMIT_NOFILE].is_set = true;
        ret->rlimits[RLIMIT_NOFILE].value = u->s->nofile;
    }
    if (!c->has_user)
        return 0;
    int count = GROUPS_MAX;
    if (getgrouplist(c->user, c->gid, groups, &count) < 0)
        return err_set(e, -E2BIG, "user: '%s' is in more than %d groups", c->user, GROUPS_MAX);
    ret->groups = groups;
    ret->group_count = (size_t)count;
    return 0;
}

/* ------------------------------------------------ the end ------------------------------------------------ */

static void post_exited(struct unit_runtime *u, const struct event_exit *end)
{
    struct event e = {.kind = EVENT_EXITED, .unit = u->index, .generation = u->generation};
    e.exit = *end;
    const struct sample *last = &u->last;
    if (sample_has(last, SAMPLE_EVENTS_OOM_KILL) && last->value[SAMPLE_EVENTS_OOM_KILL] > u->oom_base)
        e.exit.oom_kills = last->value[SAMPLE_EVENTS_OOM_KILL] - u->oom_base;
    if (sample_has(last, SAMPLE_PIDS_EVENTS_MAX) && last->value[SAMPLE_PIDS_EVENTS_MAX] > u->pids_base)
        e.exit.pids_refused = last->value[SAMPLE_PIDS_EVENTS_MAX] - u->pids_base;
    u->exit_retry = sd_event_source_disable_unref(u->exit_retry);
    if (gates_are_lost(u) &&
        u->gate_lost_told != u->generation) { /* it ended of that, however clean it looks */
        u->gate_lost_told = u->generation;
        supervisor_post_simple(u->s, EVENT_GATE_LOST, u->index, u->generation);
    }
    u->pid = 0;
    supervisor_post(u->s, &e);
    gates_tell_cause(u, &e);
    sampling_check_empty(u);
}

static int on_exit_retry(sd_event_source *source, uint64_t due, void *userdata);

/* Its gate is its parent, and tells the status on every kernel. */
static bool know_from_gate(const struct unit_runtime *u, struct event_exit *ret)
{
    int status;
    if (!gates_exit_status(u, &status))
        return false;
    ret->status_known = true;
    ret->signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    ret->code = WIFEXITED(status) ? WEXITSTATUS(status) : 0;
    return true;
}

/* Evidence first, then the event. A non-child's status is told only once its parent has reaped it: ask again for a
 * while, then say that it is not known. A gated one's end waits for its gate to tell it or to be dead as well, its status
 * known or not: a worker ends with code 0 when its gate was killed, and may be seen to have ended first. */
static void try_exit(struct unit_runtime *u)
{
    struct event_exit end = {0};
    int r = host_process_end(u->pid, u->pidfd, u->how == EVENT_HOW_SPAWNED, &end);
    bool told = know_from_gate(u, &end);
    bool open = gates_has(u) ||
                ((u->s->info.features & HOST_FEATURE_EXIT_INFO) && (r == -EAGAIN || !end.status_known));
    bool wait = !told && open && u->how != EVENT_HOW_SPAWNED && now_us() < u->exited_us + EXIT_RETRY_MAX_US;
    if (!wait) {
        post_exited(u, &end);
        return;
    }
    if (u->exit_retry)
        (void)sd_event_source_set_time_relative(u->exit_retry, EXIT_RETRY_US);
    else
        (void)sd_event_add_time_relative(u->s->event, &u->exit_retry, CLOCK_MONOTONIC, EXIT_RETRY_US, 1,
                                         on_exit_retry, u);
    if (u->exit_retry)
        (void)sd_event_source_set_enabled(u->exit_retry, SD_EVENT_ONESHOT);
    else
        post_exited(u, &end);
}

static int on_exit_retry(sd_event_source *source, uint64_t due, void *userdata)
{
    (void)source;
    (void)due;
    struct unit_runtime *u = userdata;
    try_exit(u);
    supervisor_drain(u->s);
    return 0;
}

void launch_ended(struct unit_runtime *u)
{
    if (u->exit_source)
        (void)sd_event_source_set_enabled(u->exit_source, SD_EVENT_OFF);
    if (u->exited_us == 0) {
        u->exited_us = now_us();
        if (u->output)
            output_drain(u->output);
        sampling_read(u, SAMPLE_CAUSE_FINAL, 0, 0);
    }
    try_exit(u);
}

static int on_pidfd(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
    (void)source;
    (void)fd;
    (void)revents;
    struct unit_runtime *u = userdata;
    launch_ended(u);
    supervisor_drain(u->s);
    return 0;
}

void launch_forget(struct unit_runtime *u)
{
    u->exit_source = sd_event_source_disable_unref(u->exit_source);
    u->exit_retry = sd_event_source_disable_unref(u->exit_retry);
    u->probe = probe_stop(u->probe);
    u->notify = notify_close(u->notify);
    cleanup_close(&u->pidfd);
    u->pidfd = -1;
    u->pid = 0;
    u->ready = u->frozen = false;
    u->status_text[0] = '\0';
    u->environment = environment_free(u->environment);
}

/* ------------------------------------------------ the start ------------------------------------------------ */

void launch_become_ready(struct unit_runtime *u)
{
    u->ready = true;
    supervisor_post_simple(u->s, EVENT_READY, u->index, u->generation);
    state_save(u->s);
}

static void on_probe_ready(void *userdata)
{
    struct unit_runtime *u = userdata;
    launch_become_ready(u);
    supervisor_drain(u->s);
}

static void start_probe(struct unit_runtime *u)
{
    if (u->config->ready.type == CONFIG_READY_NONE || u->ready)
        return;
    struct probe_options options = {
        .event = u->s->event,
        .ready = &u->config->ready,
        .environment = (const char *const *)u->environment,
        .working_directory = u->config->working_directory,
        .has_ids = u->config->has_user,
        .uid = u->config->uid,
        .gid = u->config->gid,
        .on_ready = on_probe_ready,
        .user = u,
    };
    struct err e = ERR_NULL;
    if (probe_start(&options, &u->probe, &e) < 0)
        supervisor_mark(u->s, u->index, "readiness check not started: %s", e.text);
}

void launch_restart_probe(struct unit_runtime *u)
{
    if (u->pid <= 0 || u->probe || u->ready)
        return;
    /* a check that is gone, or one that the running process was not told of, will never succeed: the start must not
     * be given up for that */
    enum config_ready_type type = u->config->ready.type;
    bool by_gate = type == CONFIG_READY_NONE && u->gated;
    if (!by_gate && (type == CONFIG_READY_NONE || (type == CONFIG_READY_NOTIFY && !u->notify)))
        launch_become_ready(u);
    else
        start_probe(u);
}

void launch_follow(struct unit_runtime *u, pid_t pid, int pidfd, enum event_how how)
{
    struct supervisor *s = u->s;
    u->pid = pid;
    u->pidfd = pidfd;
    u->how = how;
    u->exited_us = 0;
    u->empty_posted = false;
    if (u->watch_count == 0)
        sampling_watch(u);
    int r = sd_event_add_io(s->event, &u->exit_source, pidfd, EPOLLIN, on_pidfd, u);
    if (r < 0)
        log_error("%s: pidfd of %d cannot be watched: %s", s->unit_names[u->index], (int)pid, strerror(-r));
    struct event e = {.kind = EVENT_SPAWNED, .unit = u->index, .generation = u->generation};
    e.spawned.pid = pid;
    e.spawned.how = how;
    e.spawned.ready = u->ready;
    e.spawned.frozen = u->frozen;
    supervisor_post(s, &e);
    sampling_read(u, SAMPLE_CAUSE_KERNEL, 0, 0);
    start_probe(u);
    state_save(s);
}

static int try_start(struct unit_runtime *u, struct host_child *ret, struct err *e)
{
    gid_t groups[GROUPS_MAX];
    struct host_spawn spec;
    int r = launch_open_output(u, e);
    if (r >= 0)
        r = launch_open_pressure(u, e);
    if (r >= 0)
        r = open_notify(u, e);
    if (r >= 0)
        r = check_port(u, e);
    if (r >= 0)
        r = launch_make_cgroup(u, e);
    if (r < 0)
        return r;
    environment_free(u->environment);
    u->environment = environment_build(u);
    if (!u->environment)
        return err_errno(e, -ENOMEM, "environment");
    _cleanup_close_ int output_fd = output_unit_fd(u->output, e);
    if (output_fd < 0)
        return output_fd;
    /* the unit may open /dev/stdout again, as its own user */
    if (u->config->has_user && fchown(output_fd, u->config->uid, (gid_t)-1) < 0)
        log_debug("%s: output FIFO: %s, ignoring", u->config->name, strerror(errno));
    r = fill_spec(u, output_fd, groups, &spec, e);
    if (r < 0)
        return r;
    return u->cgroup->ops->unit_spawn(u->cgroup, &spec, ret, e);
}

void launch_start(struct unit_runtime *u, const struct decision *d)
{
    struct supervisor *s = u->s;
    struct err e = ERR_NULL;
    struct host_child child = {.pidfd = -1};
    u->generation = d->generation;
    u->ready = false;
    u->via = UNIT_NONE;
    int r = try_start(u, &child, &e);
    if (r >= 0) {
        u->start_ticks = child.start_ticks;
        launch_follow(u, child.pid, child.pidfd, EVENT_HOW_SPAWNED);
        return;
    }
    supervisor_mark(s, u->index, "could not be started: %s", e.text);
    launch_forget(u);
    if (u->cgroup && u->cgroup->ops->unit_remove(u->cgroup, &e) < 0) {
        log_warning("%s: %s", u->config->name, e.text);
        u->cgroup->ops->unit_release(u->cgroup);
    }
    u->cgroup = NULL;
    u->generation = 0;
    struct event failed = {.kind = EVENT_SPAWN_FAILED, .unit = u->index, .generation = d->generation};
    failed.error = -r;
    supervisor_post(s, &failed);
}

void launch_adopt(struct unit_runtime *u, pid_t pid, int pidfd, uint64_t start_ticks, uint32_t generation,
                  uint16_t via, bool ready)
{
    u->generation = generation;
    u->start_ticks = start_ticks;
    u->via = via;
    u->ready = ready;
    struct err e = ERR_NULL;
    struct host_limits limits;
    /* the config may have changed meanwhile; this also lifts what an earlier run's throttle left */
    launch_limits(u->s, u, &limits);
    if (u->cgroup->ops->unit_set_limits(u->cgroup, &limits, &e) < 0) {
        supervisor_mark(u->s, u->index, "limits not set, until its next start: %s", e.text);
        (void)u->cgroup->ops->unit_throttle(u->cgroup, 0, UINT64_MAX, &(uint32_t){0}, NULL);
    }
    launch_read_base(u);
    if (u->config->argv && launch_open_output(u, &e) < 0)
        log_warning("%s: output: %s", u->config->name, e.text);
    if (launch_open_pressure(u, &e) < 0)
        log_warning("%s: %s", u->config->name, e.text);
    u->environment = environment_build(u);
    if (open_notify(u, &e) < 0)
        log_warning("%s: %s", u->config->name, e.text);
    launch_follow(u, pid, pidfd, EVENT_HOW_ADOPTED);
}
