/* SPDX-License-Identifier: MIT */
/*
 * Which supervisor is meant, and where its things are: the config says so, or the name does, or there is
 * only one.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "weir/base/cleanup.h"
#include "weir/cli/cli.h"
#include "weir/config/config.h"

void cli_target_deinit(struct cli_target *t)
{
    free(t->name);
    free(t->run_dir);
    free(t->state_dir);
    free(t->history);
    free(t->socket);
    *t = (struct cli_target){0};
}

static int out_of_memory(void)
{
    fputs("weir: out of memory\n", stderr);
    return CLI_EXIT_FAILED;
}

/* Folder of all supervisors' run or state folders; NULL: out of memory. */
static char *base_dir(bool state)
{
    const char *xdg = getenv(state ? "XDG_STATE_HOME" : "XDG_RUNTIME_DIR");
    const char *home = getenv("HOME");
    char *path = NULL;
    int n;
    if (geteuid() == 0)
        n = asprintf(&path, "%s", state ? "/var/lib/weir" : "/run/weir");
    else if (xdg && *xdg)
        n = asprintf(&path, "%s/weir", xdg);
    else if (state)
        n = asprintf(&path, "%s/.local/state/weir", home ? home : "");
    else
        n = asprintf(&path, "/run/user/%u/weir", (unsigned)geteuid());
    return n < 0 ? NULL : path;
}

static int fill(struct cli_target *ret, const char *name, const char *run_dir, const char *state_dir)
{
    *ret =
        (struct cli_target){.name = strdup(name), .run_dir = strdup(run_dir), .state_dir = strdup(state_dir)};
    bool ok = ret->name && ret->run_dir && ret->state_dir;
    if (asprintf(&ret->history, "%s/history.db", state_dir) < 0)
        ret->history = NULL;
    if (asprintf(&ret->socket, "%s/control.sock", run_dir) < 0)
        ret->socket = NULL;
    if (ok && ret->history && ret->socket)
        return CLI_EXIT_OK;
    cli_target_deinit(ret);
    return out_of_memory();
}

static int by_config(const char *path, struct cli_target *ret)
{
    struct config config = {0};
    struct config_report report = {0};
    int e = config_load(path, &config, &report);
    int r = CLI_EXIT_FAILED;
    if (e < 0)
        config_report_print(&report, path, stderr);
    else
        r = fill(ret, config.name, config.run_dir, config.state_dir);
    config_report_deinit(&report);
    if (e == 0)
        config_deinit(&config);
    return r;
}

static int by_name(const char *name, struct cli_target *ret)
{
    _cleanup_free_ char *run_base = base_dir(false), *state_base = base_dir(true), *run = NULL, *state = NULL;
    if (!*name || strchr(name, '/') || name[0] == '.') {
        fprintf(stderr, "weir: '%s' cannot be a supervisor's name\n", name);
        return CLI_EXIT_USAGE;
    }
    if (!run_base || !state_base || asprintf(&run, "%s/%s", run_base, name) < 0)
        return out_of_memory();
    if (asprintf(&state, "%s/%s", state_base, name) < 0)
        return out_of_memory();
    return fill(ret, name, run, state);
}

/* Is somebody listening? A socket file alone is what a killed supervisor leaves. */
static bool is_running(const char *dir, const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int n = snprintf(address.sun_path, sizeof(address.sun_path), "%s/%s/control.sock", dir, name);
    if (n < 0 || (size_t)n >= sizeof(address.sun_path))
        return false;
    _cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return false;
    return connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0 || errno == EAGAIN ||
           errno == EACCES;
}

static bool has_history(const char *dir, const char *name)
{
    struct stat st;
    _cleanup_free_ char *path = NULL;
    if (asprintf(&path, "%s/%s/history.db", dir, name) < 0)
        return false;
    return stat(path, &st) == 0;
}

/* Names of folders under dir for which `is` holds: how many, and one of them; all are listed in *ret_list. */
struct found {
    size_t count;
    char name[NAME_MAX + 1];
    char list[512];
};

static struct found look(const char *dir, bool (*is)(const char *dir, const char *name))
{
    struct found found = {0};
    _cleanup_closedir_ DIR *d = opendir(dir);
    struct dirent *entry;
    while (d && (entry = readdir(d))) {
        if (entry->d_name[0] == '.' || !is(dir, entry->d_name))
            continue;
        size_t length = strlen(found.list);
        (void)snprintf(found.list + length, sizeof(found.list) - length, "%s%s", length ? ", " : "",
                       entry->d_name);
        (void)snprintf(found.name, sizeof(found.name), "%s", entry->d_name);
        found.count++;
    }
    return found;
}

static int by_being_alone(struct cli_target *ret)
{
    _cleanup_free_ char *run_base = base_dir(false), *state_base = base_dir(true);
    if (!run_base || !state_base)
        return out_of_memory();
    struct found found = look(run_base, is_running);
    if (!found.count)
        found = look(state_base, has_history);
    if (found.count == 1)
        return by_name(found.name, ret);
    if (found.count)
        fprintf(stderr, "weir: there is more than one supervisor (%s); say which with -n NAME or -c CONFIG\n",
                found.list);
    else
        fprintf(stderr, "weir: no supervisor runs and none has a history in %s; say which with -c CONFIG\n",
                state_base);
    return found.count ? CLI_EXIT_USAGE : CLI_EXIT_NOT_RUNNING;
}

int cli_target_find(const struct cli_args *args, struct cli_target *ret)
{
    *ret = (struct cli_target){0};
    if (args->config)
        return by_config(args->config, ret);
    if (args->name)
        return by_name(args->name, ret);
    return by_being_alone(ret);
}
