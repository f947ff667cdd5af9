/* SPDX-License-Identifier: MIT */
/*
 * weir-gate --unit NAME --run-dir RUN_DIR --path PATH_FOLDER -- COMMAND ARGS...
 *
 * Started by weir's shim in its own place: what a server takes for its worker. COMMAND is looked up in PATH without
 * PATH_FOLDER, in which it is weir.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gate.h"

#define EXIT_USAGE       64    /* EX_USAGE, sysexits.h */
#define EXIT_UNAVAILABLE 69    /* EX_UNAVAILABLE */
#define MMAP_THRESHOLD   65536 /* chosen: copies above it go back to the system as soon as they are dropped */

/* PATH without a folder, in place: the strings of the environment are ours. */
static void leave_path(const char *folder)
{
    char *path = getenv("PATH"), *out = path;
    size_t length = strlen(folder);
    if (!path || length == 0)
        return;
    for (const char *p = path;;) {
        size_t part = strcspn(p, ":"), bare = part;
        bool last = p[part] == '\0';
        while (bare > 1 && p[bare - 1] == '/') /* ".../wrap/" is the same */
            bare--;
        if (bare != length || memcmp(p, folder, length) != 0) {
            if (out != path)
                *out++ = ':';
            memmove(out, p, part);
            out += part;
        }
        if (last)
            break;
        p += part + 1;
    }
    *out = '\0';
}

/* A worker's pipe must not get one of the first three numbers. */
static void have_stdio(void)
{
    int fd;
    do
        fd = open("/dev/null", O_RDWR); /* NOLINT: inherited on purpose */
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0)
        close(fd);
}

static int usage(void)
{
    fputs("usage: weir-gate --unit NAME --run-dir RUN_DIR --path PATH_FOLDER -- COMMAND [ARGS...]\n"
          "weir starts it; see weir.conf(5), gate\n",
          stderr);
    return EXIT_USAGE;
}

static int parse(int argc, char **argv, struct gate_arguments *ret, const char **ret_path)
{
    static const struct option options[] = {
        {"unit", required_argument, NULL, 'u'},
        {"run-dir", required_argument, NULL, 'r'},
        {"path", required_argument, NULL, 'p'},
        {NULL, 0, NULL, 0},
    };
    for (int c; (c = getopt_long(argc, argv, "+", options, NULL)) != -1;) {
        if (c == 'u')
            ret->unit = optarg;
        else if (c == 'r')
            ret->run_dir = optarg;
        else if (c == 'p')
            *ret_path = optarg;
        else
            return -EINVAL;
    }
    ret->argv = argv + optind;
    return ret->unit && ret->run_dir && strlen(ret->unit) < GATE_NAME_MAX && argv[optind] ? 0 : -EINVAL;
}

int main(int argc, char **argv)
{
    struct gate_arguments arguments = {0};
    struct err error = ERR_NULL;
    const char *path = "";
    if (parse(argc, argv, &arguments, &path) < 0)
        return usage();
    (void)mallopt(M_MMAP_THRESHOLD, MMAP_THRESHOLD);
    have_stdio();
    leave_path(path);
    int status = gate_run(&arguments, &error);
    if (status < 0) {
        fprintf(stderr, "weir: gate of %s: %s\n", arguments.unit, error.text);
        return EXIT_UNAVAILABLE;
    }
    if (WIFSIGNALED(status))
        signals_die_of(WTERMSIG(status));
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}
