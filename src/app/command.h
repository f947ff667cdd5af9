/* SPDX-License-Identifier: MIT */
/*
 * A helper program that weir itself runs beside the units, from the loop, without blocking it: readiness checks (exec:),
 * hooks (notify_exec).
 *
 * It runs in weir's own cgroup, in a session of its own, with /dev/null as stdin; what it prints comes to on_output as it
 * is read, so that a talkative program never hangs on a full pipe. Its end is seen through a pidfd. It is killed with
 * weir, and with its whole process group by command_end. Who reaps with waitid(P_ALL) leaves it alone, or costs it its
 * exit status.
 */
#ifndef WEIR_APP_COMMAND_H
#define WEIR_APP_COMMAND_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <systemd/sd-event.h>

#include "weir/base/err.h"

struct command_options {
    sd_event *event;   /* borrowed for the life */
    char *const *argv; /* borrowed for the call, as all pointers below; looked up in environment's PATH */
    const char *const *environment; /* NULL = weir's own */
    const char *working_directory;  /* NULL = "/" */
    bool has_ids;                   /* it runs as this uid, gid */
    uid_t uid;
    gid_t gid;
    bool keeps_stdout; /* stdout goes where stderr goes; else it is /dev/null */
    /* Any bytes, as they come; stderr's, and stdout's where kept. */
    void (*on_output)(void *user, const char *bytes, size_t size);
    /* It ended, and all it printed was told. info: as of waitid; NULL: its status was lost (*ret_errno-style text in
     * `why`). command_end must be called in it or later. */
    void (*on_end)(void *user, const siginfo_t *info, const char *why);
    void *user;
};

struct command {
    pid_t pid; /* 0 = none runs; leader of its own session */
    int pidfd, output_fd;
    sd_event_source *end_source, *output_source;
    void (*on_output)(void *user, const char *bytes, size_t size);
    void (*on_end)(void *user, const siginfo_t *info, const char *why);
    void *user;
};

#define COMMAND_NULL ((struct command){.pidfd = -1, .output_fd = -1})

/* Starts it: 0, or a negative errno with a text. A program that cannot be run says so on its stderr and exits with 127.
 * *c is COMMAND_NULL, or was ended. */
int command_start(struct command *c, const struct command_options *options, struct err *reterr);

/* Kills what is left of its process group, waits for its end 0.1 s at most, reaps, detaches. Idempotent. */
void command_end(struct command *c);

/* "exit code 3", "killed by signal SIGKILL". Returns buf. */
#define COMMAND_END_TEXT_MAX 48
const char *command_end_text(const siginfo_t *info, char buf[static COMMAND_END_TEXT_MAX]);

#endif
