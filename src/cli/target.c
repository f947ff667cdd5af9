/* SPDX-License-Identifier: MIT */
/*
 * Which supervisor is meant, and where its things are: the config says so, or the name does, or there is only one: that
 * runs, for the commands that ask it; that has a history, for those that read.
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

/* Where supervisors have their run and state folders: root's, or the user's and then root's. */
struct place {
    char *run, *state;
};
#define PLACES_MAX 2

static void places_deinit(struct place places[static PLACES_MAX])
{
    for (size_t i = 0; i < PLACES_MAX; i++) {
        free(places[i].run);
        free(places[i].state);
    }
}

static int user_dir(bool state, char **ret)
{
    const char *xdg = getenv(state ? "XDG_STATE_HOME" : "XDG_RUNTIME_DIR");
    const char *home = getenv("HOME");
    if (xdg && *xdg)
        return asprintf(ret, "%s/weir", xdg);
    if (state)
        return asprintf(ret, "%s/.local/state/weir", home ? home : "");
    return asprintf(ret, "/run/user/%u/weir", (unsigned)geteuid());
}

/* Returns how many; 0: out of memory. */
static size_t places_fill(struct place places[static PLACES_MAX])
{
    size_t n = 0;
    if (geteuid() != 0) {
        if (user_dir(false, &places[0].run) < 0 || user_dir(true, &places[0].state) < 0)
            return 0;
        n++;
    }
    places[n] = (struct place){strdup("/run/weir"), strdup("/var/lib/weir")};
    return places[n].run && places[n].state ? n + 1 : 0;
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

/* Is somebody listening? A socket file alone is what a killed supervisor leaves. */
static bool answers(const char *socket_path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int n = snprintf(address.sun_path, sizeof(address.sun_path), "%s", socket_path);
    if (n < 0 || (size_t)n >= sizeof(address.sun_path))
        return false;
    _cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return false;
    return connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0 || errno == EAGAIN ||
           errno == EACCES;
}

bool cli_target_is_running(const struct cli_target *t)
{
    return answers(t->socket);
}

static bool exists(const char *dir, const char *name, const char *file)
{
    struct stat st;
    _cleanup_free_ char *path = NULL;
    if (asprintf(&path, "%s/%s/%s", dir, name, file) < 0)
        return false;
    return stat(path, &st) == 0;
}

static bool is_running(const struct place *p, const char *name)
{
    _cleanup_free_ char *path = NULL;
    return asprintf(&path, "%s/%s/control.sock", p->run, name) >= 0 && answers(path);
}

static bool has_history(const struct place *p, const char *name)
{
    return exists(p->state, name, "history.db");
}

static bool has_left(const struct place *p, const char *name)
{
    return exists(p->run, name, "state.json") && !is_running(p, name);
}

static int fill_in(const struct place *p, const char *name, struct cli_target *ret)
{
    _cleanup_free_ char *run = NULL, *state = NULL;
    if (asprintf(&run, "%s/%s", p->run, name) < 0 || asprintf(&state, "%s/%s", p->state, name) < 0)
        return out_of_memory();
    return fill(ret, name, run, state);
}

static int by_name(const struct place *places, size_t count, const char *name, enum cli_want want,
                   struct cli_target *ret)
{
    if (!*name || strchr(name, '/') || name[0] == '.') {
        fprintf(stderr, "weir: '%s' cannot be a supervisor's name\n", name);
        return CLI_EXIT_USAGE;
    }
    for (size_t i = 0; i < count; i++)
        if (want == CLI_WANT_RUNNING ? is_running(&places[i], name) : has_history(&places[i], name))
            return fill_in(&places[i], name, ret);
    return fill_in(&places[0], name, ret);
}

/* Supervisors for which `is` holds: how many, and the first of them; all are listed. */
struct found {
    size_t count;
    const struct place *place;
    char name[NAME_MAX + 1];
    char list[512];
};

typedef bool is_fn(const struct place *p, const char *name);

static void look_in(const struct place *p, const char *dir, is_fn *is, struct found *found)
{
    _cleanup_closedir_ DIR *d = opendir(dir);
    struct dirent *entry;
    while (d && (entry = readdir(d))) {
        if (entry->d_name[0] == '.' || !is(p, entry->d_name))
            continue;
        size_t length = strlen(found->list);
        (void)snprintf(found->list + length, sizeof(found->list) - length, "%s%s", length ? ", " : "",
                       entry->d_name);
        if (found->count++ == 0) {
            (void)snprintf(found->name, sizeof(found->name), "%s", entry->d_name);
            found->place = p;
        }
    }
}

/* The user's own come before root's. */
static struct found look(const struct place *places, size_t count, bool state, is_fn *is)
{
    struct found found = {0};
    for (size_t i = 0; i < count && !found.count; i++)
        look_in(&places[i], state ? places[i].state : places[i].run, is, &found);
    return found;
}

static int too_many(const char *what, const struct found *found)
{
    fprintf(stderr, "weir: there is more than one %s (%s); say which with -n NAME or -c CONFIG\n", what,
            found->list);
    return CLI_EXIT_USAGE;
}

static int none_runs(const struct place *places, size_t count)
{
    struct found left = look(places, count, false, has_left);
    _cleanup_free_ char *run = NULL;
    fputs("weir: no supervisor runs ('weir run CONFIG' starts one; -n NAME or -c CONFIG when it has a "
          "run_dir of its "
          "own)\n",
          stderr);
    if (left.count && asprintf(&run, "%s/%s", left.place->run, left.name) >= 0)
        cli_tell_left_behind(run, NULL);
    return CLI_EXIT_NOT_RUNNING;
}

static int the_running_one(const struct place *places, size_t count, struct cli_target *ret)
{
    struct found found = look(places, count, false, is_running);
    if (found.count == 1)
        return fill_in(found.place, found.name, ret);
    return found.count ? too_many("supervisor", &found) : none_runs(places, count);
}

static int the_one_with_history(const struct place *places, size_t count, struct cli_target *ret)
{
    struct found found = look(places, count, true, has_history);
    struct found running = look(places, count, false, is_running);
    if (found.count != 1 && running.count == 1)
        return fill_in(running.place, running.name, ret);
    if (found.count == 1)
        return fill_in(found.place, found.name, ret);
    if (found.count)
        return too_many("history", &found);
    fprintf(stderr, "weir: no supervisor has a history in %s; say which with -c CONFIG\n", places[0].state);
    return CLI_EXIT_NOT_RUNNING;
}

static int find(const struct cli_args *args, const struct place *places, size_t count, enum cli_want want,
                struct cli_target *ret)
{
    if (args->name)
        return by_name(places, count, args->name, want, ret);
    return want == CLI_WANT_RUNNING ? the_running_one(places, count, ret)
                                    : the_one_with_history(places, count, ret);
}

int cli_target_find(const struct cli_args *args, enum cli_want want, struct cli_target *ret)
{
    struct place places[PLACES_MAX] = {0};
    *ret = (struct cli_target){0};
    if (args->config && args->name) {
        fputs("weir: -c and -n both say which supervisor; give one of them\n", stderr);
        return CLI_EXIT_USAGE;
    }
    if (args->config)
        return by_config(args->config, ret);
    size_t count = places_fill(places);
    int r = count ? find(args, places, count, want, ret) : out_of_memory();
    places_deinit(places);
    return r;
}
