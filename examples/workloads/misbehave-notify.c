/* SPDX-License-Identifier: MIT */
/*
 * misbehave, notify: a program that uses systemd's readiness protocol, with nothing but a socket.
 *
 * The protocol: datagrams of KEY=VALUE lines to the AF_UNIX socket named by NOTIFY_SOCKET; a leading '@'
 * stands for the NUL of an abstract address. (sd_notify(3))
 */
#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "misbehave.h"
#include "sys.h"

/* Sends one message. Returns 0; 1 where nobody asked for any; a negative errno. */
static int notify(const char *message)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (!path || !*path)
        return 1;
    size_t length = strlen(path);
    if (length >= sizeof address.sun_path)
        return -ENAMETOOLONG;
    memcpy(address.sun_path, path, length);
    if (*path == '@')
        address.sun_path[0] = '\0';
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
    ssize_t n = sendto(fd, message, strlen(message), MSG_NOSIGNAL, (struct sockaddr *)&address, size);
    int result = n < 0 ? -errno : 0;
    close(fd);
    return result;
}

static void notify_and_tell(const char *message)
{
    int result = notify(message);
    if (result < 0)
        sys_log_line(STDERR_FILENO, "misbehave: NOTIFY_SOCKET: %s", strerror(-result));
    else
        sys_log_line(STDOUT_FILENO, result == 0 ? "sent %s" : "NOTIFY_SOCKET is not set, not sent: %s",
                     message);
}

/* Waits for a signal to stop, or timeout_ms. Returns true for a signal. */
static bool wait_stop(const sigset_t *set, int64_t timeout_ms)
{
    const struct timespec left = {.tv_sec = timeout_ms / 1000, .tv_nsec = timeout_ms % 1000 * 1000000};
    return sigtimedwait(set, NULL, &left) > 0;
}

int misbehave_notify(const struct misbehave_args *args)
{
    char text[256];
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigprocmask(SIG_BLOCK, &set, NULL);
    snprintf(text, sizeof text, "STATUS=%s", args->status);
    notify_and_tell(text);
    if (wait_stop(&set, args->after_ms))
        return 0;
    if (!args->never)
        notify_and_tell("READY=1");
    while (!wait_stop(&set, args->watchdog_ms ? args->watchdog_ms : 1000))
        if (args->watchdog_ms)
            (void)notify("WATCHDOG=1"); /* told once is enough; ignoring */
    notify_and_tell("STOPPING=1");
    return 0;
}
