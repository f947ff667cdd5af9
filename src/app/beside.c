/* SPDX-License-Identifier: MIT */
/* See beside.h. */
#include "beside.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gate-link.h"
#include "weir/base/log.h"

const char *beside_name(const char *unit, bool second, char buf[static BESIDE_NAME_MAX])
{
    (void)snprintf(buf, BESIDE_NAME_MAX, "%s%s", unit, second ? "~" : "");
    return buf;
}

/* Once for each PREPARE. */
static void conclude(struct unit_runtime *u, enum event_result result, int error)
{
    struct event e = {.kind = EVENT_OUTCOME, .unit = u->index, .generation = u->generation};
    if (u->prepare_id == 0)
        return;
    e.outcome.decision_id = u->prepare_id;
    e.outcome.result = result;
    e.outcome.error = error;
    u->prepare_id = 0;
    supervisor_post(u->s, &e);
}

void beside_prepare(struct unit_runtime *u, const struct decision *d)
{
    u->prepare_id = d->id;
    if (u->next_cgroup) /* the last PREPARE's, not used */
        beside_is_ready(u);
    else if (!gate_told_prepare(u) && !gates_may_come(u))
        conclude(u, EVENT_RESULT_FAILED, ENOTCONN);
}

int beside_place(struct unit_runtime *u, pid_t pid, struct err *reterr)
{
    struct supervisor *s = u->s;
    char name[BESIDE_NAME_MAX];
    struct host_limits limits;
    if (u->next_cgroup || u->prepare_id == 0)
        return err_set(reterr, -EBUSY, "nobody asked for it");
    launch_limits(s, u, &limits);
    int r = s->host->ops->unit_create(s->host, beside_name(u->name, !u->is_second_name, name), &limits,
                                      u->config->best_effort, &u->next_cgroup, NULL, reterr);
    if (r >= 0)
        r = u->next_cgroup->ops->unit_attach(u->next_cgroup, pid, reterr);
    if (r < 0) {
        beside_discard(u);
        return r;
    }
    u->next_pid = pid;
    return 0;
}

void beside_is_ready(struct unit_runtime *u)
{
    conclude(u, EVENT_RESULT_DONE, 0);
}

void beside_has_ended(struct unit_runtime *u, int status)
{
    if (!u->next_cgroup)
        return;
    supervisor_mark(u->s, u->index, "the next process (pid %d) ended before it was used: %s %d",
                    (int)u->next_pid, WIFSIGNALED(status) ? "signal" : "exit code",
                    WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    beside_discard(u);
}

bool beside_take_over(struct unit_runtime *u, pid_t pid)
{
    if (!u->next_cgroup || u->next_pid != pid || u->cgroup)
        return false;
    u->cgroup = u->next_cgroup;
    u->next_cgroup = NULL;
    u->next_pid = 0;
    u->is_second_name = !u->is_second_name;
    launch_read_base(u);
    return true;
}

/* Its processes were killed; the kernel needs a moment. */
static void remove_cgroup(const struct unit_runtime *u, struct host_unit *cgroup)
{
    struct err e = ERR_NULL;
    (void)cgroup->ops->unit_kill(cgroup, NULL);
    for (int tries = 0; tries < 10 && cgroup->ops->unit_populated(cgroup) == 1; tries++)
        (void)usleep(10000); /* measured: 45 ms per 512 MB */
    if (cgroup->ops->unit_remove(cgroup, &e) >= 0)
        return;
    log_warning("%s: cgroup of its next process not removed: %s", u->name, e.text);
    cgroup->ops->unit_release(cgroup);
}

void beside_discard(struct unit_runtime *u)
{
    conclude(u, EVENT_RESULT_FAILED, ECHILD);
    if (u->next_cgroup)
        remove_cgroup(u, u->next_cgroup);
    u->next_cgroup = NULL;
    u->next_pid = 0;
}

void beside_clean_up(struct unit_runtime *u)
{
    struct host_unit *left = NULL;
    char name[BESIDE_NAME_MAX];
    bool second = !u->cgroup || !u->is_second_name;
    if (u->s->host->ops->unit_open(u->s->host, beside_name(u->name, second, name), 0, &left, NULL) < 0)
        return;
    supervisor_mark(u->s, u->index, "an earlier weir left a process beside it: ended");
    remove_cgroup(u, left);
}
