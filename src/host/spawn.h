/* SPDX-License-Identifier: MIT */
/*
 * Starting a command: the parent's half prepares everything that needs memory or look-ups (spawn.c), the
 * child's half makes system calls only (child.c), since it runs as the copy of one thread of a
 * multi-threaded process: any lock may be held for ever.
 *
 * One socket pair joins them: the parent sends "go" when the child stands in all its cgroups; the child sends
 * back the step that failed and its errno, or the socket closes by itself at execve (close-on-exec).
 */
#ifndef WEIR_HOST_SPAWN_H
#define WEIR_HOST_SPAWN_H

#include <stdint.h>

#include "weir/base/err.h"
#include "weir/host/host.h"

enum spawn_step {
    SPAWN_SESSION,
    SPAWN_STDIO,
    SPAWN_CLOSE,
    SPAWN_OOM,
    SPAWN_NICE,
    SPAWN_RLIMIT,
    SPAWN_BOUNDING,
    SPAWN_GROUPS,
    SPAWN_GID,
    SPAWN_UID,
    SPAWN_DIRECTORY,
    SPAWN_CAPABILITIES,
    SPAWN_PRIVILEGES,
    SPAWN_EXEC,
};

struct spawn_failure {
    int32_t step;
    int32_t error;  /* errno */
    int32_t detail; /* rlimit, or which path of the candidates */
};

struct spawn_plan {
    const struct host_spawn *spec;
    char **candidates; /* what to execve, in order; NULL-terminated */
    int stdio[3];      /* all above 2 */
    int channel;       /* the child's end */
    int parents_end;   /* of the channel: the child's copy of it would hide weir's death from the child */
};

/* Where the child goes. attach may be NULL; it is called with the child blocked. */
struct spawn_place {
    int cgroup_fd; /* cgroup2 folder, or -1 */
    const char *path;
    int (*attach)(void *userdata, pid_t pid, bool in_cgroup2, struct err *reterr);
    void *userdata;
};

/* As host_ops.unit_spawn; tests' fakehost uses it without a cgroup. */
int spawn_process(const struct host_spawn *spec, const struct spawn_place *place, struct host_child *ret,
                  struct err *reterr);

/* The child's life up to execve. */
_Noreturn void spawn_child_main(const struct spawn_plan *plan);

/* execvpe's candidates of file for a PATH; NULL when out of memory. Free with spawn_free_candidates. */
char **spawn_candidates(const char *file, const char *path);
void spawn_free_candidates(char ***candidates);

#endif
