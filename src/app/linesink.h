/* SPDX-License-Identifier: MIT */
/*
 * Lines to somebody who may be slow: the journal, a terminal, the pipe behind `weir run`'s stderr.
 *
 * Never blocks: what the other side does not take waits in a buffer of fixed size, and a line that does not
 * fit there is left out whole and counted. Used only for copies; the log file is where every line is.
 */
#ifndef WEIR_APP_LINESINK_H
#define WEIR_APP_LINESINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#define LINESINK_BUFFER_BYTES (16 * 1024) /* chosen: four of the longest lines (OUTPUT_LINE_MAX) */

struct linesink {
    int fd; /* owned; -1 = closed, after an error too */
    bool is_socket;
    sd_event *event;         /* borrowed */
    sd_event_source *source; /* POLLOUT, while something waits */
    size_t length;
    uint64_t dropped_lines;
    char buffer[LINESINK_BUFFER_BYTES];
};

/* Takes fd over. A non-socket should be O_NONBLOCK. */
void linesink_init(struct linesink *s, sd_event *event, int fd);

/* A private descriptor of what fd is, non-blocking where that is possible without changing fd itself (its
 * file description is shared with the shell). Returns the fd (owned by the caller) or a negative errno. */
int linesink_reopen_fd(int fd);

/* The journal's stream for lines named `identifier`. -ENOENT when there is no journal. */
int linesink_open_journal(const char *identifier);

/* prefix + line + newline. */
void linesink_put(struct linesink *s, const char *prefix, const char *line, size_t length);

/* Writes what can be written now; the rest follows from the loop. */
void linesink_flush(struct linesink *s);

void linesink_deinit(struct linesink *s); /* a last flush, closes; idempotent */

#endif
