/* SPDX-License-Identifier: MIT */
/*
 * weir under another name: what a server starts when it starts its worker.
 *
 * Small on purpose: it asks the supervisor for the worker's cgroup, waits for the answer, takes its own folder
 * out of PATH and becomes the command that the server meant. Nothing of it stays: no process in between, no
 * copy of a pipe, no changed signal mask.
 *
 * When no supervisor answers (weir was killed and is being started again) it waits, because a worker outside its
 * cgroup is what weir is there to prevent; after SHIM_PATIENCE_S it gives up, loudly.
 */
#include "weir/app/supervisor.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "weir/base/cleanup.h"
#include "wrap_protocol.h"

#define SHIM_PATIENCE_S                                                                                      \
    30 /* chosen: longer than systemd takes to start weir anew, shorter than callers' own limits */
#define SHIM_RETRY_NS    100000000L
#define EXIT_UNAVAILABLE 69  /* EX_UNAVAILABLE, sysexits.h */
#define EXIT_NOT_FOUND   127 /* as shells say */
#define EXIT_CANNOT_EXEC 126

static int split_path(const char *execfn, char folder[static PATH_MAX], char socket_path[static PATH_MAX],
                      const char **ret_name)
{
    const char *slash = strrchr(execfn, '/');
    size_t length = slash ? (size_t)(slash - execfn) : 0;
    if (length < 5 || length >= PATH_MAX || memcmp(execfn + length - 5, "/wrap", 5) != 0 || slash[1] == '\0')
        return -EINVAL;
    memcpy(folder, execfn, length);
    folder[length] = '\0';
    *ret_name = slash + 1;
    int n = snprintf(socket_path, PATH_MAX, "%.*s/wrap.sock", (int)(length - 5), folder);
    return n < 0 || n >= PATH_MAX ? -ENAMETOOLONG : 0;
}

bool shim_is_wrapped(const char *execfn)
{
    char folder[PATH_MAX], socket_path[PATH_MAX];
    const char *name;
    struct stat link, socket_stat;
    if (split_path(execfn, folder, socket_path, &name) < 0)
        return false;
    return lstat(execfn, &link) == 0 && S_ISLNK(link.st_mode) &&
           /* a dead weir's socket may be gone while its folder stays: it is a wrap all the same */
           (stat(socket_path, &socket_stat) == 0 || strcmp(name, "weir") != 0);
}

static void pause_briefly(void)
{
    const struct timespec pause = {.tv_nsec = SHIM_RETRY_NS};
    (void)nanosleep(&pause, NULL);
}

/* Connects, waiting for a supervisor that is being started again. */
static int connect_patiently(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(address.sun_path))
        return -ENAMETOOLONG;
    memcpy(address.sun_path, path, strlen(path) + 1);
    for (long tries = SHIM_PATIENCE_S * (1000000000L / SHIM_RETRY_NS);; tries--) {
        int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
        if (fd < 0)
            return -errno;
        if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
            return fd;
        int error = errno;
        close(fd);
        if (tries <= 0 || (error != ECONNREFUSED && error != ENOENT && error != EAGAIN && error != EINTR))
            return -error;
        pause_briefly();
    }
}

static int ask(const char *socket_path, const char *name, struct wrap_answer *ret)
{
    struct wrap_request request = {.version = WRAP_VERSION};
    (void)snprintf(request.name, sizeof(request.name), "%s", name);
    for (;;) {
        _cleanup_close_ int fd = connect_patiently(socket_path);
        if (fd < 0)
            return fd;
        ssize_t n = send(fd, &request, sizeof(request), MSG_NOSIGNAL);
        if (n == (ssize_t)sizeof(request)) /* else it died just now: wait for the next one */
            do
                n = recv(fd, ret, sizeof(*ret), 0);
            while (n < 0 && errno == EINTR);
        else
            n = -1;
        if (n == (ssize_t)sizeof(*ret) && ret->version == WRAP_VERSION)
            return 0;
        if (n > 0)
            return -EPROTO;
        pause_briefly(); /* it ends, or has no room for now */
    }
}

/* PATH without our folder, in place. */
static void leave_path(const char *folder)
{
    const char *old = getenv("PATH");
    char *fresh = old ? calloc(1, strlen(old) + 1) : NULL;
    if (!fresh)
        return;
    size_t length = strlen(folder);
    char *out = fresh;
    for (const char *p = old;;) {
        size_t part = strcspn(p, ":"), bare = part;
        while (bare > 1 && p[bare - 1] == '/') /* ".../wrap/" is our folder too */
            bare--;
        if (bare != length || memcmp(p, folder, length) != 0) {
            if (out != fresh)
                *out++ = ':';
            memcpy(out, p, part);
            out += part;
        }
        if (p[part] == '\0')
            break;
        p += part + 1;
    }
    (void)setenv("PATH", fresh, 1);
    free(fresh);
}

/* As it is now: setenv leaves the strings alone. NULL = out of memory. */
static char **copy_environment(void)
{
    size_t count = 0;
    while (environ[count])
        count++;
    char **copy = calloc(count + 1, sizeof(*copy));
    if (copy)
        memcpy(copy, environ, count * sizeof(*copy));
    return copy;
}

/* weir-gate --unit UNIT --run-dir RUN_DIR --path FOLDER -- NAME ARGUMENTS: it looks the command up as we would. */
static int become_gate(const struct wrap_answer *answer, const char *folder, const char *name, char **argv)
{
    char run_dir[PATH_MAX];
    size_t count = 0;
    while (argv[0] && argv[count + 1])
        count++;
    (void)snprintf(run_dir, sizeof(run_dir), "%.*s", (int)(strlen(folder) - strlen("/wrap")), folder);
    const char *own[] = {"weir-gate", "--unit", answer->unit, "--run-dir", run_dir,
                         "--path",    folder,   "--",         name};
    const char **all = calloc(ARRAY_SIZE(own) + count + 1, sizeof(*all));
    if (all) {
        memcpy(all, own, sizeof(own));
        memcpy(all + ARRAY_SIZE(own), argv + 1, count * sizeof(*argv));
        (void)execv(answer->text, (char *const *)all);
    }
    fprintf(stderr, "weir: %s: exec: %s: %s\n", name, answer->text, strerror(errno));
    free(all);
    return EXIT_UNAVAILABLE;
}

int shim_main(const char *execfn, char **argv)
{
    char folder[PATH_MAX], socket_path[PATH_MAX];
    const char *name = NULL;
    if (split_path(execfn, folder, socket_path, &name) < 0)
        return EXIT_UNAVAILABLE;
    struct wrap_answer answer = {0};
    int r = ask(socket_path, name, &answer);
    answer.text[sizeof(answer.text) - 1] = '\0';
    if (r < 0) {
        fprintf(stderr, "weir: %s: no supervisor answers at %s: %s\n", name, socket_path, strerror(-r));
        return EXIT_UNAVAILABLE;
    }
    answer.unit[sizeof(answer.unit) - 1] = '\0';
    if (answer.kind == WRAP_ANSWER_GATE)
        return become_gate(&answer, folder, name, argv);
    if (answer.kind != WRAP_ANSWER_GO && answer.kind != WRAP_ANSWER_STAY) {
        fprintf(stderr, "weir: %s: %s\n", name, answer.text);
        return EXIT_UNAVAILABLE;
    }
    /* what it starts by the same name is to be wrapped: only the search goes without our folder */
    char **unchanged = answer.kind == WRAP_ANSWER_STAY ? copy_environment() : NULL;
    leave_path(folder);
    char *equals = strchr(answer.text, '=');
    if (equals) {
        *equals = '\0';
        (void)setenv(answer.text, equals + 1, 1); /* the server's own is inherited, and is not this unit's */
    }
    execvpe(name, argv, unchanged ? unchanged : environ);
    r = errno;
    fprintf(stderr, "weir: exec: %s: %s (looked for in PATH=%s)\n", name, strerror(r), getenv("PATH"));
    return r == ENOENT ? EXIT_NOT_FOUND : EXIT_CANNOT_EXEC;
}
