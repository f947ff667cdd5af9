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
#include <time.h>
#include <unistd.h>

#include "weir/app/control.h"
#include "weir/base/cleanup.h"
#include "weir/base/units.h"
#include "weir/cli/cli.h"
#include "status.h"

#define WAIT_STEP_US 50000
#define WAIT_MAX_US                                                                                          \
    (120 * USEC_PER_SEC) /* chosen: above the default ready_timeout and stop_timeout together */

static uint64_t now_us(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * USEC_PER_SEC + (uint64_t)ts.tv_nsec / 1000;
}

/* How long a supervisor may take to accept a connection and to tell its status: it does both within ms. */
#define ANSWER_US (5 * USEC_PER_SEC)
/* What changes something may wait for the kernel (a lower memory.max reclaims first). */
#define CHANGE_US (30 * USEC_PER_SEC)

/* One command on its way to one supervisor. */
struct request {
    const char *command; /* for errors */
    const char *config;  /* -c */
    struct cli_target target;
};

static int request_begin(struct request *q, const struct cli_args *args, const char *command)
{
    *q = (struct request){.command = command, .config = args->config};
    return cli_target_find(args, CLI_WANT_RUNNING, &q->target);
}

static void request_end(struct request *q)
{
    cli_target_deinit(&q->target);
}

static int tell_not_running(const struct request *q)
{
    fprintf(stderr, "weir %s: supervisor '%s' is not running (no one answers at %s)\n", q->command,
            q->target.name, q->target.socket);
    cli_tell_left_behind(q->target.run_dir, q->config);
    return CLI_EXIT_NOT_RUNNING;
}

static int tell(const struct request *q, int r, const sd_bus_error *error)
{
    const char *name = q->target.name;
    bool is_told = error && error->message;
    if (r == -ECONNREFUSED || r == -ENOENT)
        return tell_not_running(q);
    if (sd_bus_error_has_name(error, SD_BUS_ERROR_ACCESS_DENIED)) {
        fprintf(stderr, "weir %s: not allowed: only root and the user who runs supervisor '%s' may do that\n",
                q->command, name);
        return CLI_EXIT_DENIED;
    }
    if (r == -EACCES || r == -EPERM) {
        fprintf(stderr, "weir %s: %s: %s\n", q->command, q->target.socket, strerror(-r));
        return CLI_EXIT_DENIED;
    }
    if (r == -ETIMEDOUT)
        fprintf(
            stderr,
            "weir %s: supervisor '%s' does not answer: it is stopped (SIGSTOP, a debugger) or the machine is "
            "overloaded\n",
            q->command, name);
    else if ((r == -ECONNRESET || r == -ENOTCONN) && !is_told)
        fprintf(stderr,
                "weir %s: supervisor '%s' closed the connection: it is ending, or too many ask it at once\n",
                q->command, name);
    else
        fprintf(stderr, "weir %s: %s\n", q->command, is_told ? error->message : strerror(-r));
    return CLI_EXIT_FAILED;
}

/* sd-bus gives authentication 25 s, and lets a flush wait as long again: here the whole is bounded, and what was asked
 * for is answered before the bus is closed, so nothing is left to flush. */
static int connect_bus(const struct cli_target *t, sd_bus **ret)
{
    _cleanup_(sd_bus_close_unrefp) sd_bus *bus = NULL;
    _cleanup_free_ char *address = NULL;
    uint64_t end_us = now_us() + ANSWER_US;
    if (asprintf(&address, "unix:path=%s", t->socket) < 0)
        return -ENOMEM;
    int r = sd_bus_new(&bus);
    if (r >= 0)
        r = sd_bus_set_address(bus, address);
    if (r >= 0)
        r = sd_bus_start(bus);
    while (r >= 0 && (r = sd_bus_is_ready(bus)) == 0) {
        uint64_t now = now_us();
        if (now >= end_us)
            return -ETIMEDOUT;
        r = sd_bus_process(bus, NULL);
        if (r == 0)
            r = sd_bus_wait(bus, end_us - now);
    }
    if (r < 0)
        return r;
    *ret = bus;
    bus = NULL;
    return 0;
}

/* One method call with an optional signature of strings; *ret_text (owned) gets a returned string, if any. */
static int call(const struct cli_target *t, const char *method, const char *types, const char *a,
                const char *b, char **ret_text, sd_bus_error *error)
{
    _cleanup_(sd_bus_close_unrefp) sd_bus *bus = NULL;
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL, *reply = NULL;
    int r = connect_bus(t, &bus);
    if (r >= 0)
        r = sd_bus_message_new_method_call(bus, &m, NULL, CONTROL_PATH, CONTROL_INTERFACE, method);
    if (r >= 0 && strcmp(types, "ss") == 0)
        r = sd_bus_message_append(m, "ss", a, b);
    if (r >= 0 && strcmp(types, "b") == 0)
        r = sd_bus_message_append(m, "b", a != NULL);
    if (r >= 0)
        r = sd_bus_call(bus, m, strcmp(method, "Status") == 0 ? ANSWER_US : CHANGE_US, error, &reply);
    const char *text = NULL;
    if (r >= 0 && ret_text && sd_bus_message_read(reply, "s", &text) > 0)
        *ret_text = strdup(text);
    return r;
}

/* The status document; NULL and a cli_exit in *ret_exit, told. */
static json_t *fetch_status(const struct request *q, int *ret_exit)
{
    _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
    _cleanup_free_ char *text = NULL;
    int r = call(&q->target, "Status", "", NULL, NULL, &text, &error);
    json_t *root = r >= 0 && text ? json_loads(text, 0, NULL) : NULL;
    *ret_exit = root ? CLI_EXIT_OK : tell(q, r < 0 ? r : -EBADMSG, &error);
    return root;
}

int cmd_status(const struct cli_args *args)
{
    struct request q;
    int exit_status = request_begin(&q, args, "status");
    json_t *root = exit_status ? NULL : fetch_status(&q, &exit_status);
    if (root)
        exit_status = status_print(root, args);
    json_decref(root);
    request_end(&q);
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

static int not_done(const char *command, const char *what, uint64_t waited_us)
{
    fprintf(stderr, "weir %s: %s: not done after %llu s; 'weir status' and 'weir log' tell more\n", command,
            what, (unsigned long long)(waited_us / USEC_PER_SEC));
    return CLI_EXIT_FAILED;
}

static int wait_for(const struct request *q, const struct wait *w)
{
    for (uint64_t waited = 0; waited < WAIT_MAX_US; waited += WAIT_STEP_US) {
        int exit_status;
        json_t *root = fetch_status(q, &exit_status);
        if (!root)
            return exit_status;
        json_t *unit = unit_of(root, w->unit);
        const char *state = json_string_value(json_object_get(unit, "state"));
        bool over = unit && wait_is_over(unit, w), failed = state && strcmp(state, "failed") == 0;
        if (w->want_frozen && !json_is_true(json_object_get(unit, "frozen"))) {
            fprintf(stderr, "weir %s: %s is %s: only a running unit can be frozen\n", q->command, w->unit,
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
    return not_done(q->command, w->unit, WAIT_MAX_US);
}

/* What the unit was before the command: *ret_generation, *ret_wrapped. A cli_exit, told. */
static int look_at_unit(const struct request *q, const char *unit, int64_t *ret_generation, bool *ret_wrapped)
{
    int exit_status;
    json_t *root = fetch_status(q, &exit_status);
    json_t *u = root ? unit_of(root, unit) : NULL;
    const char *kind = json_string_value(json_object_get(u, "kind"));
    *ret_generation = json_integer_value(json_object_get(u, "generation"));
    *ret_wrapped = kind && strcmp(kind, "wrapped") == 0;
    json_decref(root);
    return exit_status;
}

static int carry_out(const struct request *q, const char *unit)
{
    static const char *const running[] = {"ready", NULL}, *const stopped[] = {"stopped", "failed", NULL};
    const char *verb = q->command;
    bool wrapped, is_freeze = strcmp(verb, "freeze") == 0;
    int64_t generation;
    int exit_status = look_at_unit(q, unit, &generation, &wrapped);
    if (exit_status)
        return exit_status;
    struct wait w = {.unit = unit, .states = strcmp(verb, "stop") == 0 ? stopped : running};
    w.generation_above = strcmp(verb, "restart") == 0 ? generation : -1;
    w.check_frozen = is_freeze || strcmp(verb, "thaw") == 0;
    w.want_frozen = is_freeze;
    _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
    int r = call(&q->target, "Command", "ss", verb, unit, NULL, &error);
    if (r < 0)
        return tell(q, r, &error);
    if (!wrapped || strcmp(verb, "start") != 0)
        return wait_for(q, &w);
    printf("%s: its server may start it\n", unit);
    return CLI_EXIT_OK;
}

static int unit_command(const struct cli_args *args, const char *verb)
{
    struct request q;
    int exit_status = request_begin(&q, args, verb);
    if (exit_status == CLI_EXIT_OK)
        exit_status = carry_out(&q, args->words[0]);
    request_end(&q);
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

/* ---------------------------------------------- requests held back ---------------------------------------------- */

/* A gate tells within 50 ms which order it obeys. */
#define ORDER_US ANSWER_US

enum order_state { ORDER_PENDING, ORDER_OBEYED, ORDER_REFUSED };

static bool is_text(json_t *object, const char *key, const char *text)
{
    const char *value = json_string_value(json_object_get(object, key));
    return value && strcmp(value, text) == 0;
}

/* The ladder's step while something stronger does not hide it: the engine holds requests back, or lets them through. */
static bool is_held(json_t *unit)
{
    return is_text(unit, "ladder", "hold") || is_text(unit, "ladder", "pace");
}

static enum order_state refused(const struct request *q, const char *unit, const char *why)
{
    fprintf(stderr, "weir %s: %s %s\n", q->command, unit, why);
    return ORDER_REFUSED;
}

/* Of hold and pace; order is what the gate is to say. */
static enum order_state judge_hold(const struct request *q, const char *name, json_t *unit, const char *order)
{
    json_t *gate = json_object_get(unit, "gate");
    const char *state = json_string_value(json_object_get(unit, "state"));
    char text[128];
    if (!state || strcmp(state, "ready") != 0) {
        (void)snprintf(text, sizeof(text), "is %s: requests are held back only of a unit that is ready",
                       state ? state : "gone");
        return refused(q, name, text);
    }
    if (json_is_true(json_object_get(unit, "frozen")))
        return refused(q, name, "is frozen: it answers nothing, so nothing is held back from it");
    if (json_integer_value(json_object_get(gate, "gates")) == 0)
        return refused(q, name, "has no gate connected: nothing stands on its pipe now");
    if (!is_text(unit, "ladder", order) && !is_text(unit, "ladder", "throttle"))
        return refused(q, name, "is not held back: its gate could not do it; 'weir log' tells why");
    return is_text(gate, "order", order) ? ORDER_OBEYED : ORDER_PENDING;
}

static enum order_state judge_release(const struct request *q, const char *name, json_t *unit)
{
    json_t *gate = json_object_get(unit, "gate");
    if (is_text(gate, "order", "drain"))
        return refused(q, name,
                       "is to end once its last requests are answered: new ones wait for the next process");
    if (!is_text(gate, "order", "hold") && !is_text(gate, "order", "pace"))
        return ORDER_OBEYED;
    if (is_held(unit))
        return refused(q, name, "is held back anew, by its ladder or a rule; 'weir log' tells why");
    return ORDER_PENDING;
}

static enum order_state judge_order(const struct request *q, const char *name, json_t *unit)
{
    if (!json_object_get(unit, "gate"))
        return refused(
            q, name, "has no gate: requests are held back only where its config says gate = jsonl or lines");
    if (strcmp(q->command, "release") == 0)
        return judge_release(q, name, unit);
    return judge_hold(q, name, unit, q->command);
}

/* The order was given: what came of it. done: what to print then. */
static int wait_for_order(const struct request *q, const char *name, const char *done)
{
    for (uint64_t waited = 0; waited < ORDER_US; waited += WAIT_STEP_US) {
        int exit_status;
        json_t *root = fetch_status(q, &exit_status);
        if (!root)
            return exit_status;
        enum order_state state = judge_order(q, name, unit_of(root, name));
        json_decref(root);
        if (state == ORDER_OBEYED)
            printf("%s: %s\n", name, done);
        if (state != ORDER_PENDING)
            return state == ORDER_OBEYED ? CLI_EXIT_OK : CLI_EXIT_FAILED;
        (void)usleep(WAIT_STEP_US);
    }
    return not_done(q->command, name, ORDER_US);
}

static int order(const struct cli_args *args, const char *verb, const char *method, const char *a,
                 const char *b, const char *done)
{
    struct request q;
    int exit_status = request_begin(&q, args, verb);
    _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
    int r = exit_status ? 0 : call(&q.target, method, "ss", a, b, NULL, &error);
    if (r < 0)
        exit_status = tell(&q, r, &error);
    else if (!exit_status)
        exit_status = wait_for_order(&q, args->words[0], done);
    request_end(&q);
    return exit_status;
}

int cmd_hold(const struct cli_args *args)
{
    return order(args, "hold", "Command", "hold", args->words[0], "held");
}

int cmd_release(const struct cli_args *args)
{
    return order(args, "release", "Command", "release", args->words[0], "released");
}

int cmd_pace(const struct cli_args *args)
{
    uint32_t count;
    uint64_t per_us;
    char pace[FORMAT_PACE_MAX], done[64];
    if (parse_pace(args->words[1], &count, &per_us) < 0) {
        fprintf(stderr,
                "weir pace: '%s' is no pace; say 4 (requests in flight), 5/s or 30/min, from 1 to %d\n",
                args->words[1], PACE_MAX);
        return CLI_EXIT_USAGE;
    }
    (void)format_pace(count, per_us, pace);
    (void)snprintf(done, sizeof(done), per_us ? "paced, %s" : "paced, %s in flight", pace);
    return order(args, "pace", "Pace", args->words[0], args->words[1], done);
}

/* Has the supervisor ended in time? Without its pidfd (another pid namespace): does nobody answer any more? */
static bool wait_end(const struct cli_target *t, int pidfd)
{
    struct pollfd end = {.fd = pidfd, .events = POLLIN};
    if (pidfd >= 0)
        return poll(&end, 1, (int)(WAIT_MAX_US / USEC_PER_MSEC)) == 1;
    for (uint64_t waited = 0; waited < WAIT_MAX_US; waited += WAIT_STEP_US) {
        if (!cli_target_is_running(t))
            return true;
        (void)usleep(WAIT_STEP_US);
    }
    return false;
}

static int shut_down(const struct request *q, bool keep)
{
    int exit_status;
    json_t *root = fetch_status(q, &exit_status);
    if (!root)
        return exit_status;
    pid_t pid = (pid_t)json_integer_value(json_object_get(root, "pid"));
    json_decref(root);
    /* over when the process is: only then its folders and its lock are free for the next one */
    _cleanup_close_ int pidfd = pid > 0 ? (int)syscall(SYS_pidfd_open, pid, 0) : -1;
    _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
    int r = call(&q->target, "Shutdown", "b", keep ? "" : NULL, NULL, NULL, &error);
    if (r < 0)
        return tell(q, r, &error);
    if (!wait_end(&q->target, pidfd))
        return not_done("stop", q->target.name, WAIT_MAX_US);
    printf("%s: %s\n", q->target.name, keep ? "ended, its units go on" : "stopped");
    return CLI_EXIT_OK;
}

static int stop_supervisor(const struct cli_args *args)
{
    struct request q;
    int exit_status = request_begin(&q, args, "stop");
    if (exit_status == CLI_EXIT_OK)
        exit_status = shut_down(&q, args->keep);
    request_end(&q);
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
    struct request q;
    int exit_status = request_begin(&q, args, command);
    _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
    _cleanup_free_ char *text = NULL;
    int r = exit_status ? 0 : call(&q.target, method, types, a, b, &text, &error);
    if (r < 0)
        exit_status = tell(&q, r, &error);
    else if (!exit_status)
        printf("%s", text && text[0] ? text : done);
    request_end(&q);
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
