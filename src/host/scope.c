/* SPDX-License-Identifier: MIT */
/*
 * A delegated scope from systemd, for a weir that was started by hand: StartTransientUnit with Delegate=yes,
 * holding our own process (org.freedesktop.systemd1(5), systemd's CGROUP_DELEGATION.md).
 *
 * The scope outlives us as long as units live in it, so a following run may find its name taken: then it
 * joins that scope instead. The kernel forbids an ordinary user to move itself in from another place, so
 * that, too, is systemd's work (AttachProcessesToUnit).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <systemd/sd-bus.h>
#include <unistd.h>

#include "private.h"
#include "sys.h"
#include "weir/base/cleanup.h"

#define SCOPE_WAIT_MS                                                                                        \
    5000 /* chosen: a start job of a scope takes milliseconds, a busy systemd a second or two */
#define SCOPE_STEP_US 5000

#define ADVICE                                                                                               \
    "start weir as a service with Delegate=yes, or with systemd-run --scope -p Delegate=yes weir run CONFIG"

#define SYSTEMD_NAME    "org.freedesktop.systemd1"
#define SYSTEMD_PATH    "/org/freedesktop/systemd1"
#define SYSTEMD_MANAGER "org.freedesktop.systemd1.Manager"

static int open_bus(bool user_manager, sd_bus **ret, struct err *reterr)
{
    int r = user_manager ? sd_bus_open_user(ret) : sd_bus_open_system(ret);
    if (r < 0)
        return err_set(reterr, -EOPNOTSUPP,
                       "no delegated cgroup, and the %s bus on which to ask systemd for one cannot be "
                       "reached (%s): " ADVICE,
                       user_manager ? "user" : "system", strerror(-r));
    return 0;
}

/* service: the unit we run as, or NULL. At shutdown it must end, and with it the units in good order, before
 * systemd takes the scope down. */
static int append_properties(sd_bus_message *m, const char *name, const char *service)
{
    char description[HOST_NAME_MAX_BYTES + 32];
    (void)snprintf(description, sizeof(description), "weir supervisor %s", name);
    int r = sd_bus_message_open_container(m, 'a', "(sv)");
    if (r >= 0)
        r = sd_bus_message_append(m, "(sv)", "Description", "s", description);
    if (r >= 0)
        r = sd_bus_message_append(m, "(sv)", "Delegate", "b", 1);
    if (r >= 0)
        r = sd_bus_message_append(m, "(sv)", "CollectMode", "s", "inactive-or-failed");
    if (r >= 0)
        r = service ? sd_bus_message_append(m, "(sv)", "Before", "as", 1, service) : 0;
    if (r >= 0)
        r = sd_bus_message_append(m, "(sv)", "PIDs", "au", 1, (uint32_t)getpid());
    return r < 0 ? r : sd_bus_message_close_container(m);
}

static int start_scope(sd_bus *bus, const char *scope, const char *name, const char *service,
                       sd_bus_error *error)
{
    sd_bus_message *m = NULL;
    int r = sd_bus_message_new_method_call(bus, &m, SYSTEMD_NAME, SYSTEMD_PATH, SYSTEMD_MANAGER,
                                           "StartTransientUnit");
    if (r >= 0)
        r = sd_bus_message_append(m, "ss", scope, "fail");
    if (r >= 0)
        r = append_properties(m, name, service);
    if (r >= 0)
        r = sd_bus_message_append(m, "a(sa(sv))", 0);
    if (r >= 0)
        r = sd_bus_call(bus, m, 0, error, NULL);
    sd_bus_message_unref(m);
    return r < 0 ? r : 0;
}

static int attach(sd_bus *bus, const char *scope, const char *subgroup, sd_bus_error *error)
{
    int r = sd_bus_call_method(bus, SYSTEMD_NAME, SYSTEMD_PATH, SYSTEMD_MANAGER, "AttachProcessesToUnit",
                               error, NULL, "ssau", scope, subgroup, 1, (uint32_t)getpid());
    return r < 0 ? r : 0;
}

/* Into a scope of an earlier run: its leaf if units live there (the controllers are on, the top is barred), else
 * the top. */
static int join(sd_bus *bus, const char *scope, sd_bus_error *error)
{
    int r = attach(bus, scope, "/supervisor", error);
    if (r >= 0)
        return r;
    sd_bus_error_free(error);
    return attach(bus, scope, "", error);
}

/* The job runs on after the call; /proc tells when it is done, without a second D-Bus conversation. */
static int await_place(const char *scope, struct err *reterr)
{
    for (int waited = 0; waited < SCOPE_WAIT_MS * 1000; waited += SCOPE_STEP_US) {
        char text[4096];
        if (io_read_at(AT_FDCWD, "/proc/self/cgroup", text, sizeof(text)) > 0 && strstr(text, scope))
            return 0;
        io_pause_us(SCOPE_STEP_US);
    }
    return err_set(reterr, -ETIMEDOUT, "systemd accepted %s but did not move us into it within %d s", scope,
                   SCOPE_WAIT_MS / 1000);
}

static int refused(int code, const char *scope, const sd_bus_error *error, struct err *reterr)
{
    return err_set(reterr, -EOPNOTSUPP, "systemd gave no delegated cgroup (%s: %s): " ADVICE, scope,
                   error->message ? error->message : strerror(-code));
}

int scope_start(const char *name, const char *service, bool user_manager, struct err *reterr)
{
    char scope[HOST_NAME_MAX_BYTES + 16];
    (void)snprintf(scope, sizeof(scope), "weir-%s.scope", name);
    sd_bus *bus = NULL;
    sd_bus_error error = SD_BUS_ERROR_NULL;
    int r = open_bus(user_manager, &bus, reterr);
    if (r < 0)
        return r;
    r = start_scope(bus, scope, name, service, &error);
    if (r < 0 && sd_bus_error_has_name(&error, SYSTEMD_NAME ".UnitExists")) {
        sd_bus_error_free(&error);
        r = join(bus, scope, &error);
    }
    r = r < 0 ? refused(r, scope, &error, reterr) : await_place(scope, reterr);
    sd_bus_error_free(&error);
    sd_bus_flush_close_unref(bus);
    return r;
}

int scope_attach(const char *scope, const char *subgroup, bool user_manager, struct err *reterr)
{
    sd_bus *bus = NULL;
    sd_bus_error error = SD_BUS_ERROR_NULL;
    int r = open_bus(user_manager, &bus, reterr);
    if (r < 0)
        return r;
    r = attach(bus, scope, subgroup, &error);
    r = r < 0 ? refused(r, scope, &error, reterr) : await_place(scope, reterr);
    sd_bus_error_free(&error);
    sd_bus_flush_close_unref(bus);
    return r;
}
