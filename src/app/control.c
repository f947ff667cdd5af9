/* SPDX-License-Identifier: MIT */
/*
 * The control socket: sd-bus, peer to peer, at RUN_DIR/control.sock.
 *
 * Reading (Status) is for everyone who can reach the socket; everything that changes something is for root and
 * for the user weir runs as: sd-bus checks the peer's credentials, as the kernel tells them, against the method's
 * flag. Connections are capped, and a peer that does not take its answers is dropped (sd-bus's own queue bound).
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

struct control_client {
    struct control_client *next;
    struct supervisor *s;
    sd_bus *bus;
    sd_bus_slot *vtable, *closed;
};

static uint32_t sender_uid(sd_bus_message *m)
{
    _cleanup_(sd_bus_creds_unrefp) sd_bus_creds *creds = NULL;
    uid_t uid = (uid_t)-1;
    if (sd_bus_query_sender_creds(m, SD_BUS_CREDS_EUID, &creds) >= 0)
        (void)sd_bus_creds_get_euid(creds, &uid);
    return uid;
}

static int method_status(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    (void)error;
    struct control_client *c = userdata;
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
    if (verb == EVENT_VERB_COUNT)
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
    r = sd_bus_reply_method_return(m, "");
    (void)sd_bus_flush(c->bus);
    if (keep) {
        s->keep = true;
        supervisor_mark(s, UNIT_NONE, "ending without its units (uid %u): the next weir adopts them",
                        sender_uid(m));
        state_save(s);
        (void)sd_event_exit(s->event, 0);
    } else {
        s->shutting_down = true;
        supervisor_mark(s, UNIT_NONE, "stopping all units (uid %u asked)", sender_uid(m));
        supervisor_post_simple(s, EVENT_SHUTDOWN, UNIT_NONE, 0);
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
    sd_bus_flush_close_unref(c->bus);
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

static int on_listen(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
    (void)source;
    (void)revents;
    struct supervisor *s = userdata;
    int client_fd = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (client_fd < 0)
        return 0;
    struct control_client *c = s->control_client_count < CONTROL_CLIENTS_MAX ? calloc(1, sizeof(*c)) : NULL;
    if (!c) {
        close(client_fd);
        return 0;
    }
    *c = (struct control_client){.s = s, .next = s->control_clients};
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
        (void)sd_bus_emit_signal(c->bus, CONTROL_PATH, CONTROL_INTERFACE, "Intervention", "tsss", d->id, unit,
                                 decision_kind_name(d->kind), sentence);
}

int control_open(struct supervisor *s, struct err *reterr)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int n = snprintf(address.sun_path, sizeof(address.sun_path), "%s/control.sock", s->config->run_dir);
    if (n < 0 || (size_t)n >= sizeof(address.sun_path))
        return err_set(reterr, -ENAMETOOLONG, "run_dir %s: too long for a socket's path (at most %zu bytes)",
                       s->config->run_dir, sizeof(address.sun_path) - sizeof("/control.sock"));
    (void)unlink(address.sun_path);
    s->control_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (s->control_fd < 0 || bind(s->control_fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
        chmod(address.sun_path, 0666) < 0 || listen(s->control_fd, 16) < 0)
        return err_errno(reterr, -errno, "%s", address.sun_path);
    int r = sd_event_add_io(s->event, &s->control_source, s->control_fd, EPOLLIN, on_listen, s);
    return r < 0 ? err_errno(reterr, r, "%s", address.sun_path) : 0;
}

void control_close(struct supervisor *s)
{
    while (s->control_clients)
        client_free(s->control_clients);
    s->control_source = sd_event_source_disable_unref(s->control_source);
    cleanup_close(&s->control_fd);
    s->control_fd = -1;
}
