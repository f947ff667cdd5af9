/* SPDX-License-Identifier: MIT */
/* A command run in the test's own process, with what it prints caught; its history is the test's. */
#ifndef WEIR_TESTS_CAUGHT_H
#define WEIR_TESTS_CAUGHT_H

#include "history.h"

#include "weir/cli/cli.h"

static char cli_config_path[96];
static char output[65536], errors[4096];

/* A config whose state folder is the history's. */
static inline void cli_caught_config(const struct history *h)
{
    snprintf(cli_config_path, sizeof(cli_config_path), "%.60s/weir.ini", h->dir);
    FILE *f = fopen(cli_config_path, "w");
    assert_non_null(f);
    fprintf(
        f,
        "[supervisor]\nname = search-docs\nstate_dir = %s\nrun_dir = %s\n[unit server]\nexec = /bin/true\n",
        h->dir, h->dir);
    fclose(f);
}

static inline void cli_catch(int fd, const char *path, int *ret_saved)
{
    fflush(NULL);
    *ret_saved = dup(fd);
    assert_non_null(freopen(path, "w", fd == 1 ? stdout : stderr));
}

static inline void cli_give_back(int fd, int saved, const char *path, char *buf, size_t size)
{
    fflush(NULL);
    dup2(saved, fd);
    close(saved);
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    buf[fread(buf, 1, size - 1, f)] = '\0';
    fclose(f);
}

/* Runs the command with stdout and stderr caught. */
static inline int cli_caught(const struct history *h, int (*command)(const struct cli_args *),
                             struct cli_args args)
{
    char out[96], err[96];
    int saved_out, saved_err;
    args.config = cli_config_path;
    snprintf(out, sizeof(out), "%.60s/stdout", h->dir);
    snprintf(err, sizeof(err), "%.60s/stderr", h->dir);
    cli_catch(1, out, &saved_out);
    cli_catch(2, err, &saved_err);
    int r = command(&args);
    cli_give_back(2, saved_err, err, errors, sizeof(errors));
    cli_give_back(1, saved_out, out, output, sizeof(output));
    return r;
}

#endif
