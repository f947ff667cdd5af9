/* SPDX-License-Identifier: MIT */
/*
 * piped: starts a program from PATH with pipes at its stdin, stdout and stderr.
 *
 * Our ends do not block (the child may be stopped at any moment) and are closed on exec. The child starts
 * with no signal blocked and SIGPIPE at its default, whatever its parent does with signals.
 */
#ifndef WORKLOADS_PIPED_H
#define WORKLOADS_PIPED_H

#include <sys/types.h>

struct piped {
    pid_t pid;
    int pid_fd, stdin_fd, stdout_fd, stderr_fd; /* the caller's to close */
};

/* Returns 0 or a negative errno (-ENOENT: argv[0] is not in PATH); on failure ret_piped is untouched. */
int piped_spawn(struct piped *ret_piped, char *const *argv);

#endif
