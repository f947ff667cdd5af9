/* SPDX-License-Identifier: MIT */
/*
 * exec checks: a program (command.h) that is ready when it exits with 0. The first words it prints on stderr are kept
 * for the failure text, the rest is thrown away.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "probe_internal.h"

static void exec_end(struct probe *p)
{
    command_end(&p->exec.command);
    p->exec.said_length = 0;
}

static void on_output(void *user, const char *bytes, size_t size)
{
    struct probe_exec *e = &((struct probe *)user)->exec;
    size_t room = sizeof(e->said) - e->said_length;
    size_t kept = size < room ? size : room;
    memcpy(e->said + e->said_length, bytes, kept);
    e->said_length += kept;
}

/* The length of the first line said. */
static int first_line(const struct probe_exec *e)
{
    const char *newline = memchr(e->said, '\n', e->said_length);
    return (int)(newline ? newline - e->said : (ssize_t)e->said_length);
}

static void on_end(void *user, const siginfo_t *info, const char *why)
{
    struct probe *p = user;
    char how[COMMAND_END_TEXT_MAX];
    if (info && info->si_code == CLD_EXITED && info->si_status == 0) {
        probe_try_succeeded(p);
        return;
    }
    int length = first_line(&p->exec);
    if (info)
        (void)probe_set_failure(p, "%s%s%.*s", command_end_text(info, how), length ? ": " : "", length,
                                p->exec.said);
    else
        (void)probe_set_failure(p, "its exit code was lost: %s", why);
    probe_try_failed(p);
}

static int exec_begin(struct probe *p)
{
    const struct probe_options *o = &p->options;
    const struct command_options options = {
        .event = o->event,
        .argv = o->ready->argv,
        .environment = o->environment,
        .working_directory = o->working_directory,
        .has_ids = o->has_ids,
        .uid = o->uid,
        .gid = o->gid,
        .on_output = on_output,
        .on_end = on_end,
        .user = p,
    };
    struct err e = ERR_NULL;
    return command_start(&p->exec.command, &options, &e) < 0 ? probe_set_failure(p, "%s", e.text) : 0;
}

static int exec_init(struct probe *p, struct err *reterr)
{
    p->exec.command = COMMAND_NULL;
    char **argv = p->options.ready->argv;
    if (!argv || !argv[0])
        return err_set(reterr, -EINVAL, "ready: exec: names no program");
    snprintf(p->target, sizeof(p->target), "exec:%.300s", argv[0]);
    return 0;
}

const struct probe_kind probe_exec = {
    .limit_us = PROBE_EXEC_LIMIT_US,
    .init = exec_init,
    .begin = exec_begin,
    .end = exec_end,
    .late_text = "no exit in 10s",
};
