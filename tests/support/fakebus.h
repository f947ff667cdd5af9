/* SPDX-License-Identifier: MIT */
/*
 * A supervisor at the control socket that only plays one: a child process that answers Status with one document after the
 * other (the last one again and again), and writes down what else it is asked.
 */
#ifndef WEIR_TESTS_FAKEBUS_H
#define WEIR_TESTS_FAKEBUS_H

#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-id128.h>

#include "history.h"
#include "weir/app/control.h"

struct fakebus {
    pid_t pid;
    char log[96];
};

/* What the child knows. */
struct fakebus_play {
    const char *const *status; /* NULL-terminated */
    size_t at;
    const char *refuses; /* NULL: nothing is refused */
    FILE *log;
};

static inline int fakebus_status(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    (void)error;
    struct fakebus_play *p = userdata;
    const char *text = p->status[p->at];
    if (p->status[p->at + 1])
        p->at++;
    return sd_bus_reply_method_return(m, "s", text);
}

static inline int fakebus_ask(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    struct fakebus_play *p = userdata;
    const char *a, *b;
    if (sd_bus_message_read(m, "ss", &a, &b) < 0)
        return -EINVAL;
    fprintf(p->log, "%s %s %s\n", sd_bus_message_get_member(m), a, b);
    fflush(p->log);
    if (p->refuses)
        return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS, "%s", p->refuses);
    return sd_bus_reply_method_return(m, "");
}

static inline void fakebus_serve(struct fakebus_play *p, int fd)
{
    static const sd_bus_vtable vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD("Status", "", "s", fakebus_status, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("Command", "ss", "", fakebus_ask, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("Pace", "ss", "", fakebus_ask, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_VTABLE_END,
    };
    sd_bus *bus = NULL;
    sd_id128_t id;
    int r = sd_id128_randomize(&id);
    if (r >= 0)
        r = sd_bus_new(&bus);
    if (r >= 0)
        r = sd_bus_set_fd(bus, fd, fd);
    if (r >= 0)
        r = sd_bus_set_server(bus, 1, id);
    if (r >= 0)
        r = sd_bus_add_object_vtable(bus, NULL, CONTROL_PATH, CONTROL_INTERFACE, vtable, p);
    if (r >= 0)
        r = sd_bus_start(bus);
    while (r >= 0) {
        r = sd_bus_process(bus, NULL);
        if (r == 0)
            r = sd_bus_wait(bus, UINT64_MAX);
    }
    sd_bus_close_unref(bus);
}

/* status: what it tells, one for each time it is asked. */
static inline void fakebus_start(struct fakebus *f, const struct history *h, const char *const *status,
                                 const char *refuses)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof(address.sun_path), "%.60s/control.sock", h->dir);
    snprintf(f->log, sizeof(f->log), "%.60s/asked", h->dir);
    unlink(address.sun_path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(fd, 16), 0);
    fflush(NULL);
    f->pid = fork();
    assert_true(f->pid >= 0);
    if (f->pid == 0) {
        struct fakebus_play play = {.status = status, .refuses = refuses, .log = fopen(f->log, "w")};
        for (int client; play.log && (client = accept(fd, NULL, NULL)) >= 0;)
            fakebus_serve(&play, client);
        _exit(1);
    }
    close(fd);
}

/* Ends it; what it was asked beside Status, a line each, in buf. */
static inline void fakebus_stop(struct fakebus *f, char *buf, size_t size)
{
    kill(f->pid, SIGKILL);
    waitpid(f->pid, NULL, 0);
    FILE *log = fopen(f->log, "r");
    buf[log ? fread(buf, 1, size - 1, log) : 0] = '\0';
    if (log)
        fclose(log);
}

#endif
