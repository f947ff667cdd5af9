/* SPDX-License-Identifier: MIT */
/*
 * The control socket: sd-bus, peer to peer, at RUN_DIR/control.sock.
 *
 * Reading (Status) is for everyone who can reach the socket; everything that changes something is for root and
 * for the user weir runs as: sd-bus checks the peer's credentials, as the kernel tells them, against the method's
 * flag. Connections are capped, those of other users lower, so that they cannot lock the operator out; a peer that does
 * not take its answers is dropped: sd-bus itself would queue hundreds of thousands of messages for it.
 */
#include "supervisor.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "weir/app/control.h"
#include "weir/base/cleanup.h"
#include "weir/base/log.h"

#define CONTROL_CLIENTS_MAX 32 /* chosen: a few people and a dashboard; bounds fds and memory */
#define CONTROL_OTHERS_MAX  16 /* chosen: of these, for users who may only look */
#define CONTROL_QUEUE_MAX   64 /* chosen: messages a peer has not taken; a live one takes each within ms */
#define CONTROL_ACCEPTS_PER_S                                                                                \
    200 /* chosen: 'weir start' asks 20 times a second; a flood, or fds that ran out, costs no more */

struct control_client {
    struct control_client *next;
    struct supervisor *s;
    sd_bus *bus;
    sd_bus_slot *vtable, *closed;
    bool is_other; /* neither root nor weir's own user */
    bool is_stuck; /* does not take its answers: to be dropped */
};

static uint32_t sender_uid(sd_bus_message *m)
{
    _cleanup_(sd_bus_creds_unrefp) sd_bus_creds *creds = NULL;
    uid_t uid = (uid_t)-1;
    if (sd_bus_query_sender_creds(m, SD_BUS_CREDS_EUID, &creds) >= 0)
        (void)sd_bus_creds_get_euid(creds, &uid);
    return uid;
}

/* It goes with the next tick: never within its own callback, whose caller still uses the bus. */
static bool is_stuck(struct control_client *c)
{
    uint64_t queued = 0;
    c->is_stuck =
        c->is_stuck || (sd_bus_get_n_queued_write(c->bus, &queued) >= 0 && queued > CONTROL_QUEUE_MAX);
    return c->is_stuck;
}

static int method_status(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    (void)error;
    struct control_client *c = userdata;
    if (is_stuck(c))
        return 1; /* not a byte more */
    _cleanup_free_ char *text = status_json(c->s);
    return text ? sd_bus_reply_method_return(m, "s", text) : -ENOMEM;
}

static enum event_verb verb_by_name(const char *name)
{
    for (unsigned v = 0; v < EVENT_VERB_COUNT; v++)
        if (strcmp(event_verb_name((enum event_verb)v), name) == 0)
            return (enum event_verb)v;
    return EVENT_VERB_COUNT;
}

static int unknown_unit(struct supervisor *s, const char *name, sd_bus_error *error)
{
    char names[256] = "";
    for (uint16_t i = 0; i < s->unit_count; i++) {
        size_t n = strlen(names);
        (void)snprintf(names + n, sizeof(names) - n, "%s%s", n ? ", " : "", s->unit_names[i]);
    }
    return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS, "no unit '%s' in supervisor '%s'; units: %s",
                             name, s->config->name, names);
}

static int method_command(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    struct control_client *c = userdata;
    struct supervisor *s = c->s;
    const char *verb_name, *unit;
    int r = sd_bus_message_read(m, "ss", &verb_name, &unit);
    if (r < 0)
        return r;
    enum event_verb verb = verb_by_name(verb_name);
    if (verb == EVENT_VERB_COUNT || verb == EVENT_VERB_PACE)
        return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS, "unknown verb '%s'", verb_name);
    struct unit_runtime *u = supervisor_unit(s, unit);
    if (!u)
        return unknown_unit(s, unit, error);
    if (verb == EVENT_VERB_FREEZE && !(s->info.features & HOST_FEATURE_FREEZE))
        return sd_bus_error_setf(error, SD_BUS_ERROR_NOT_SUPPORTED, "this host has no cgroup.freeze");
    struct event e = {.kind = EVENT_OPERATOR, .unit = u->index};
    e.operator_.verb = verb;
    e.operator_.uid = sender_uid(m);
    supervisor_post(s, &e);
    supervisor_drain(s);
    return sd_bus_reply_method_return(m, "");
}

static int method_pace(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    struct control_client *c = userdata;
    const char *unit, *pace;
    struct event e = {.kind = EVENT_OPERATOR};
    uint32_t count;
    uint64_t per_us;
    int r = sd_bus_message_read(m, "ss", &unit, &pace);
    if (r < 0)
        return r;
    struct unit_runtime *u = supervisor_unit(c->s, unit);
    if (!u)
        return unknown_unit(c->s, unit, error);
    if (parse_pace(pace, &count, &per_us) < 0)
        return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS,
                                 "'%s' is no pace; write 2 (in flight), 5/s or 30/min, up to %d", pace,
                                 PACE_MAX);
    e.unit = u->index;
    e.operator_.verb = EVENT_VERB_PACE;
    e.operator_.uid = sender_uid(m);
    e.operator_.inflight = per_us ? 0 : count;
    e.operator_.interval_us = per_us / count;
    supervisor_post(c->s, &e);
    supervisor_drain(c->s);
    return sd_bus_reply_method_return(m, "");
}

static int method_set(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    struct control_client *c = userdata;
    const char *unit, *assignment;
    int r = sd_bus_message_read(m, "ss", &unit, &assignment);
    if (r < 0)
        return r;
    struct err e = ERR_NULL;
    if (!supervisor_unit(c->s, unit))
        return unknown_unit(c->s, unit, error);
    r = reload_set(c->s, unit, assignment, sender_uid(m), &e);
    if (r < 0)
        return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS, "%s", e.text);
    supervisor_drain(c->s);
    return sd_bus_reply_method_return(m, "");
}

static int method_reload(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    struct control_client *c = userdata;
    _cleanup_free_ char *text = NULL;
    int r = reload_config(c->s, &text);
    if (r < 0)
        return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS, "%s", text ? text : "out of memory");
    supervisor_drain(c->s);
    return sd_bus_reply_method_return(m, "s", text ? text : "");
}

static int method_shutdown(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    (void)error;
    struct control_client *c = userdata;
    struct supervisor *s = c->s;
    int keep;
    int r = sd_bus_message_read(m, "b", &keep);
    if (r < 0)
        return r;
    r = sd_bus_reply_method_return(m, ""); /* written at once: nothing else waits in its queue */
    if (keep) {
        supervisor_mark(s, UNIT_NONE, "ending without its units (uid %u): the next weir adopts them",
                        sender_uid(m));
        supervisor_leave(s);
    } else {
        supervisor_mark(s, UNIT_NONE, "stopping all units (uid %u asked)", sender_uid(m));
        supervisor_shut_down(s);
        supervisor_drain(s);
    }
    return r;
}

static const sd_bus_vtable control_vtable[] = {
    SD_BUS_VTABLE_START(0),
    SD_BUS_METHOD_WITH_ARGS("Status", SD_BUS_NO_ARGS, SD_BUS_RESULT("s", document), method_status,
                            SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD_WITH_ARGS("Command", SD_BUS_ARGS("s", verb, "s", unit), SD_BUS_NO_RESULT, method_command,
                            0),
    SD_BUS_METHOD_WITH_ARGS("Pace", SD_BUS_ARGS("s", unit, "s", pace), SD_BUS_NO_RESULT, method_pace, 0),
    SD_BUS_METHOD_WITH_ARGS("Set", SD_BUS_ARGS("s", unit, "s", assignment), SD_BUS_NO_RESULT, method_set, 0),
    SD_BUS_METHOD_WITH_ARGS("Reload", SD_BUS_NO_ARGS, SD_BUS_RESULT("s", changes), method_reload, 0),
    SD_BUS_METHOD_WITH_ARGS("Shutdown", SD_BUS_ARGS("b", keep), SD_BUS_NO_RESULT, method_shutdown, 0),
    SD_BUS_SIGNAL_WITH_ARGS("Intervention", SD_BUS_ARGS("t", id, "s", unit, "s", action, "s", sentence), 0),
    SD_BUS_VTABLE_END,
};

static void client_free(struct control_client *c)
{
    struct control_client **p = &c->s->control_clients;
    while (*p != c)
        p = &(*p)->next;
    *p = c->next;
    c->s->control_client_count--;
    sd_bus_slot_unref(c->vtable);
    sd_bus_slot_unref(c->closed);
    (void)sd_bus_close_unref(c->bus); /* no flush: that waits for the peer, for ever */
    free(c);
}

static int on_closed(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    (void)m;
    (void)error;
    client_free(userdata);
    return 0;
}

static int client_start(struct control_client *c, int fd)
{
    sd_id128_t id;
    int r = sd_bus_new(&c->bus);
    if (r >= 0)
        r = sd_bus_set_fd(c->bus, fd, fd);
    if (r < 0) {
        close(fd);
        return r;
    }
    r = sd_id128_randomize(&id);
    if (r >= 0)
        r = sd_bus_set_server(c->bus, 1, id);
    if (r >= 0)
        r = sd_bus_negotiate_creds(c->bus, 1, SD_BUS_CREDS_EUID | SD_BUS_CREDS_EFFECTIVE_CAPS);
    if (r >= 0)
        r = sd_bus_add_object_vtable(c->bus, &c->vtable, CONTROL_PATH, CONTROL_INTERFACE, control_vtable, c);
    if (r >= 0)
        r = sd_bus_match_signal_async(c->bus, &c->closed, "org.freedesktop.DBus.Local",
                                      "/org/freedesktop/DBus/Local", "org.freedesktop.DBus.Local",
                                      "Disconnected", on_closed, NULL, c);
    if (r >= 0)
        r = sd_bus_start(c->bus);
    if (r >= 0)
        r = sd_bus_attach_event(c->bus, c->s->event, SD_EVENT_PRIORITY_NORMAL);
    return r;
}

void control_drop_stuck(struct supervisor *s)
{
    for (struct control_client *c = s->control_clients, *next; c; c = next) {
        next = c->next;
        if (is_stuck(c))
            client_free(c);
    }
}

static bool is_other_user(int fd)
{
    struct ucred cred;
    socklen_t length = sizeof(cred);
    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &length) < 0 ||
           (cred.uid != 0 && cred.uid != geteuid());
}

static bool has_room(const struct supervisor *s, bool is_other)
{
    unsigned others = 0;
    for (const struct control_client *c = s->control_clients; c; c = c->next)
        others += c->is_other;
    return s->control_client_count < CONTROL_CLIENTS_MAX && (!is_other || others < CONTROL_OTHERS_MAX);
}

static int on_listen(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
    (void)source;
    (void)revents;
    struct supervisor *s = userdata;
    control_drop_stuck(s);
    int client_fd = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (client_fd < 0)
        return 0;
    bool is_other = is_other_user(client_fd);
    struct control_client *c = has_room(s, is_other) ? calloc(1, sizeof(*c)) : NULL;
    if (!c) {
        close(client_fd);
        return 0;
    }
    *c = (struct control_client){.s = s, .next = s->control_clients, .is_other = is_other};
    s->control_clients = c;
    s->control_client_count++;
    if (client_start(c, client_fd) < 0)
        client_free(c);
    return 0;
}

void control_signal(struct supervisor *s, const struct decision *d, const char *sentence)
{
    const char *unit = d->unit == UNIT_NONE ? "" : s->unit_names[d->unit];
    for (struct control_client *c = s->control_clients; c; c = c->next)
        if (!is_stuck(c))
            (void)sd_bus_emit_signal(c->bus, CONTROL_PATH, CONTROL_INTERFACE, "Intervention", "tsss", d->id,
                                     unit, decision_kind_name(d->kind), sentence);
}

int control_open(struct supervisor *s, struct err *reterr)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int n = snprintf(address.sun_path, sizeof(address.sun_path), "%s/control.sock", s->config->run_dir);
    if (n < 0 || (size_t)n >= sizeof(address.sun_path))
        return err_set(reterr, -ENAMETOOLONG, "run_dir %s: too long for a socket's path (at most %zu bytes)",
                       s->config->run_dir, sizeof(address.sun_path) - sizeof("/control.sock"));
    (void)unlink(address.sun_path);
    _cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
        chmod(address.sun_path, 0666) < 0 || listen(fd, 16) < 0)
        return err_errno(reterr, -errno, "%s", address.sun_path);
    int r = sd_event_add_io(s->event, &s->control_source, fd, EPOLLIN, on_listen, s);
    if (r >= 0)
        r = sd_event_source_set_ratelimit(s->control_source, USEC_PER_SEC, CONTROL_ACCEPTS_PER_S);
    if (r < 0)
        return err_errno(reterr, r, "%s", address.sun_path);
    s->control_fd = steal_fd(&fd);
    return 0;
}

void control_close(struct supervisor *s)
{
    while (s->control_clients)
        client_free(s->control_clients);
    s->control_source = sd_event_source_disable_unref(s->control_source);
    cleanup_close(&s->control_fd);
    s->control_fd = -1;
}
