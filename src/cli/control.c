/* SPDX-License-Identifier: MIT */
/*
 * Commands that ask the running supervisor over its control socket, and wait until what was asked has happened.
 */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <systemd/sd-bus.h>
#include <unistd.h>

#include "weir/app/control.h"
#include "weir/base/cleanup.h"
#include "weir/base/units.h"
#include "weir/cli/cli.h"
#include "status.h"

#define WAIT_STEP_US 50000
#define WAIT_MAX_US                                                                                          \
    (120 * USEC_PER_SEC) /* chosen: above the default ready_timeout and stop_timeout together */

static int tell(const char *command, const struct cli_target *t, int r, const sd_bus_error *error)
{
    if (r == -ECONNREFUSED || r == -ENOENT) {
        fprintf(stderr, "weir %s: supervisor '%s' is not running (no one answers at %s)\n", command, t->name,
                t->socket);
        return CLI_EXIT_NOT_RUNNING;
    }
    if (sd_bus_error_has_name(error, SD_BUS_ERROR_ACCESS_DENIED)) {
        fprintf(stderr, "weir %s: not allowed: only root and the user who runs supervisor '%s' may do that\n",
                command, t->name);
        return CLI_EXIT_DENIED;
    }
    if (r == -ECONNRESET && !(error && error->message)) {
        fprintf(stderr,
                "weir %s: supervisor '%s' closed the connection: it is ending, or too many ask it at once\n",
                command, t->name);
        return CLI_EXIT_FAILED;
    }
    fprintf(stderr, "weir %s: %s\n", command, error && error->message ? error->message : strerror(-r));
    return CLI_EXIT_FAILED;
}

/* One method call with an optional signature of strings; *ret_text (owned) gets a returned string, if any. */
static int call(const struct cli_target *t, const char *method, const char *types, const char *a,
                const char *b, char **ret_text, sd_bus_error *error)
{
    _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL, *reply = NULL;
    _cleanup_free_ char *address = NULL;
    if (asprintf(&address, "unix:path=%s", t->socket) < 0)
        return -ENOMEM;
    int r = sd_bus_new(&bus);
    if (r >= 0)
        r = sd_bus_set_address(bus, address);
    if (r >= 0)
        r = sd_bus_start(bus);
    if (r >= 0)
        r = sd_bus_message_new_method_call(bus, &m, NULL, CONTROL_PATH, CONTROL_INTERFACE, method);
    if (r >= 0 && strcmp(types, "ss") == 0)
        r = sd_bus_message_append(m, "ss", a, b);
    if (r >= 0 && strcmp(types, "b") == 0)
        r = sd_bus_message_append(m, "b", a != NULL);
    if (r >= 0)
        r = sd_bus_call(bus, m, 0, error, &reply);
    const char *text = NULL;
    if (r >= 0 && ret_text && sd_bus_message_read(reply, "s", &text) > 0)
        *ret_text = strdup(text);
    return r;
}

/* The status document; NULL and a cli_exit in *ret_exit, told. */
static json_t *fetch_status(const struct cli_target *t, const char *command, int *ret_exit)
{
    _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
    _cleanup_free_ char *text = NULL;
    int r = call(t, "Status", "", NULL, NULL, &text, &error);
    json_t *root = r >= 0 && text ? json_loads(text, 0, NULL) : NULL;
    if (!root)
        *ret_exit = tell(command, t, r < 0 ? r : -EBADMSG, &error);
    return root;
}

int cmd_status(const struct cli_args *args)
{
    struct cli_target t = {0};
    int exit_status = cli_target_find(args, &t);
    json_t *root = exit_status ? NULL : fetch_status(&t, "status", &exit_status);
    if (root)
        exit_status = status_print(root, args);
    json_decref(root);
    cli_target_deinit(&t);
    return exit_status;
}

/* ------------------------------------------------ waiting ------------------------------------------------ */

struct wait {
    const char *unit;
    const char *const *states; /* any of these ends the wait well */
    int64_t generation_above;  /* and the generation is above this; -1 = any */
    bool want_frozen, check_frozen;
};

static json_t *unit_of(json_t *root, const char *name)
{
    size_t i;
    json_t *unit;
    json_array_foreach(json_object_get(root, "units"), i, unit)
    {
        const char *n = json_string_value(json_object_get(unit, "name"));
        if (n && strcmp(n, name) == 0)
            return unit;
    }
    return NULL;
}

static bool wait_is_over(json_t *unit, const struct wait *w)
{
    const char *state = json_string_value(json_object_get(unit, "state"));
    if (w->check_frozen)
        return json_integer_value(json_object_get(json_object_get(unit, "reading"), "cgroup.frozen")) ==
               w->want_frozen;
    if (json_integer_value(json_object_get(unit, "generation")) <= w->generation_above)
        return false;
    for (const char *const *s = w->states; *s; s++)
        if (state && strcmp(*s, state) == 0)
            return true;
    return false;
}

static int not_done(const char *command, const char *what)
{
    fprintf(stderr, "weir %s: %s: not done after %llu s; 'weir status' and 'weir log' tell more\n", command,
            what, (unsigned long long)(WAIT_MAX_US / USEC_PER_SEC));
    return CLI_EXIT_FAILED;
}

static int wait_for(const struct cli_target *t, const char *command, const struct wait *w)
{
    for (uint64_t waited = 0; waited < WAIT_MAX_US; waited += WAIT_STEP_US) {
        int exit_status = CLI_EXIT_OK;
        json_t *root = fetch_status(t, command, &exit_status);
        if (!root)
            return exit_status;
        json_t *unit = unit_of(root, w->unit);
        const char *state = json_string_value(json_object_get(unit, "state"));
        bool over = unit && wait_is_over(unit, w), failed = state && strcmp(state, "failed") == 0;
        if (w->want_frozen && !json_is_true(json_object_get(unit, "frozen"))) {
            fprintf(stderr, "weir %s: %s is %s: only a running unit can be frozen\n", command, w->unit,
                    state ? state : "gone");
            json_decref(root);
            return CLI_EXIT_FAILED;
        }
        if (over || (failed && !w->check_frozen)) {
            printf("%s: %s\n", w->unit, w->check_frozen ? (w->want_frozen ? "frozen" : "thawed") : state);
            json_decref(root);
            return over ? CLI_EXIT_OK : CLI_EXIT_FAILED;
        }
        json_decref(root);
        (void)usleep(WAIT_STEP_US);
    }
    return not_done(command, w->unit);
}

static int64_t generation_of(const struct cli_target *t, const char *unit, bool *ret_wrapped)
{
    int ignored;
    json_t *root = fetch_status(t, "status", &ignored);
    json_t *u = root ? unit_of(root, unit) : NULL;
    int64_t generation = json_integer_value(json_object_get(u, "generation"));
    const char *kind = json_string_value(json_object_get(u, "kind"));
    *ret_wrapped = kind && strcmp(kind, "wrapped") == 0;
    json_decref(root);
    return generation;
}

static int unit_command(const struct cli_args *args, const char *verb)
{
    static const char *const running[] = {"ready", NULL}, *const stopped[] = {"stopped", "failed", NULL};
    struct cli_target t = {0};
    int exit_status = cli_target_find(args, &t);
    if (exit_status)
        return exit_status;
    const char *unit = args->words[0];
    bool wrapped = false, is_restart = strcmp(verb, "restart") == 0, is_stop = strcmp(verb, "stop") == 0;
    bool is_freeze = strcmp(verb, "freeze") == 0, is_thaw = strcmp(verb, "thaw") == 0;
    struct wait w = {.unit = unit, .states = is_stop ? stopped : running, .generation_above = -1};
    int64_t generation = generation_of(&t, unit, &wrapped);
    if (is_restart)
        w.generation_above = generation;
    w.check_frozen = is_freeze || is_thaw;
    w.want_frozen = is_freeze;
    _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
    int r = call(&t, "Command", "ss", verb, unit, NULL, &error);
    if (r < 0)
        exit_status = tell(verb, &t, r, &error);
    else if (wrapped && strcmp(verb, "start") == 0)
        printf("%s: its server may start it\n", unit);
    else
        exit_status = wait_for(&t, verb, &w);
    cli_target_deinit(&t);
    return exit_status;
}

int cmd_start(const struct cli_args *args)
{
    return unit_command(args, "start");
}

int cmd_restart(const struct cli_args *args)
{
    return unit_command(args, "restart");
}

int cmd_freeze(const struct cli_args *args)
{
    return unit_command(args, "freeze");
}

int cmd_thaw(const struct cli_args *args)
{
    return unit_command(args, "thaw");
}

/* Has the supervisor ended in time? Without its pidfd (another pid namespace): does nobody answer any more? */
static bool wait_end(const struct cli_target *t, int pidfd)
{
    struct pollfd end = {.fd = pidfd, .events = POLLIN};
    if (pidfd >= 0)
        return poll(&end, 1, (int)(WAIT_MAX_US / USEC_PER_MSEC)) == 1;
    for (uint64_t waited = 0; waited < WAIT_MAX_US; waited += WAIT_STEP_US) {
        _cleanup_free_ char *text = NULL;
        int r = call(t, "Status", "", NULL, NULL, &text, NULL);
        if (r == -ENOENT || r == -ECONNREFUSED)
            return true;
        (void)usleep(WAIT_STEP_US);
    }
    return false;
}

static int stop_supervisor(const struct cli_args *args)
{
    struct cli_target t = {0};
    int exit_status = cli_target_find(args, &t);
    if (exit_status)
        return exit_status;
    json_t *root = fetch_status(&t, "stop", &exit_status);
    pid_t pid = (pid_t)json_integer_value(json_object_get(root, "pid"));
    json_decref(root);
    /* over when the process is: only then its folders and its lock are free for the next one */
    _cleanup_close_ int pidfd = pid > 0 ? (int)syscall(SYS_pidfd_open, pid, 0) : -1;
    _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
    int r = exit_status ? 0 : call(&t, "Shutdown", "b", args->keep ? "" : NULL, NULL, NULL, &error);
    if (r < 0)
        exit_status = tell("stop", &t, r, &error);
    if (exit_status == CLI_EXIT_OK && wait_end(&t, pidfd))
        printf("%s: %s\n", t.name, args->keep ? "ended, its units go on" : "stopped");
    else if (exit_status == CLI_EXIT_OK)
        exit_status = not_done("stop", t.name);
    cli_target_deinit(&t);
    return exit_status;
}

int cmd_stop(const struct cli_args *args)
{
    if (args->word_count == 0)
        return stop_supervisor(args);
    if (args->keep) {
        fprintf(stderr, "weir stop: --keep is for the supervisor as a whole, without UNIT\n");
        return CLI_EXIT_USAGE;
    }
    return unit_command(args, "stop");
}

static int simple_call(const struct cli_args *args, const char *command, const char *method,
                       const char *types, const char *a, const char *b, const char *done)
{
    struct cli_target t = {0};
    int exit_status = cli_target_find(args, &t);
    if (exit_status)
        return exit_status;
    _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
    _cleanup_free_ char *text = NULL;
    int r = call(&t, method, types, a, b, &text, &error);
    if (r < 0)
        exit_status = tell(command, &t, r, &error);
    else
        printf("%s", text && text[0] ? text : done);
    cli_target_deinit(&t);
    return exit_status;
}

int cmd_set(const struct cli_args *args)
{
    return simple_call(args, "set", "Set", "ss", args->words[0], args->words[1],
                       "set; it holds until the next reload\n");
}

int cmd_reload(const struct cli_args *args)
{
    return simple_call(args, "reload", "Reload", "", NULL, NULL, "nothing changed\n");
}
