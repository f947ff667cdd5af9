/* SPDX-License-Identifier: MIT */
/*
 * Non-blocking copies of lines; see the header.
 *
 * sd_journal_sendv() would be the simpler call, but it blocks while journald does: a supervisor cannot have
 * that. The stream is a socket, and send(MSG_DONTWAIT) leaves the choice here.
 */
#include "linesink.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syslog.h>
#include <systemd/sd-journal.h>
#include <unistd.h>

#include "weir/base/cleanup.h"

void linesink_init(struct linesink *s, sd_event *event, int fd)
{
    struct stat st;
    s->fd = fd;
    s->is_socket = fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode);
    s->event = event;
    s->source = NULL;
    s->length = 0;
    s->dropped_lines = 0;
}

int linesink_reopen_fd(int fd)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return -errno;
    /* A regular file's second description would have an offset of its own and write over the first's lines.
     */
    if (!S_ISREG(st.st_mode) && !S_ISSOCK(st.st_mode)) {
        char path[64];
        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        int r = open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
        if (r >= 0)
            return r;
    }
    int r = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    return r < 0 ? -errno : r;
}

int linesink_open_journal(const char *identifier)
{
    if (access("/run/systemd/journal/stdout", F_OK) < 0)
        return -errno;
    /* level_prefix: a unit that prints sd-daemon's "<3>" gets that level, as under systemd */
    return sd_journal_stream_fd(identifier, LOG_INFO, 1);
}

static void close_sink(struct linesink *s)
{
    s->source = sd_event_source_disable_unref(s->source);
    cleanup_close(&s->fd);
    s->fd = -1;
    s->length = 0;
}

static int on_writable(sd_event_source *source, int fd, uint32_t events, void *user)
{
    (void)source, (void)fd, (void)events;
    linesink_flush(user);
    return 0;
}

/* Asks the loop for a call when there is room again, once. A file that epoll does not take (-EPERM) never
 * waits. */
static void wait_for_room(struct linesink *s)
{
    if (!s->source && sd_event_add_io(s->event, &s->source, s->fd, EPOLLOUT, on_writable, s) < 0)
        return;
    (void)sd_event_source_set_enabled(s->source, SD_EVENT_ONESHOT);
}

void linesink_flush(struct linesink *s)
{
    size_t done = 0;
    while (s->fd >= 0 && done < s->length) {
        const char *data = s->buffer + done;
        ssize_t n = s->is_socket ? send(s->fd, data, s->length - done, MSG_DONTWAIT | MSG_NOSIGNAL)
                                 : write(s->fd, data, s->length - done);
        if (n > 0)
            done += (size_t)n;
        else if (n == 0 || errno == EAGAIN)
            break;
        else if (errno != EINTR)
            close_sink(s); /* the other side is gone: reader of a pipe, restarted journal */
    }
    if (s->fd < 0)
        return;
    s->length -= done;
    memmove(s->buffer, s->buffer + done, s->length);
    if (s->length > 0)
        wait_for_room(s);
}

void linesink_put(struct linesink *s, const char *prefix, const char *line, size_t length)
{
    size_t prefix_length = strlen(prefix);
    size_t total = prefix_length + length + 1;
    if (total > sizeof(s->buffer) - s->length)
        linesink_flush(s);
    if (s->fd < 0 || total > sizeof(s->buffer) - s->length) {
        s->dropped_lines++;
        return;
    }
    char *to = s->buffer + s->length;
    memcpy(to, prefix, prefix_length);
    memcpy(to + prefix_length, line, length);
    to[total - 1] = '\n';
    s->length += total;
}

void linesink_deinit(struct linesink *s)
{
    linesink_flush(s);
    close_sink(s);
}
