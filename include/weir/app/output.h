/* SPDX-License-Identifier: MIT */
/*
 * What a unit prints: a FIFO that outlives weir, read without ever blocking the unit, written to rotated
 * files and, where there is one, the journal.
 *
 * The unit's stdout and stderr are the FIFO opened O_RDWR, so that a dead weir means neither SIGPIPE nor a
 * lost line: the pipe (1 MiB where allowed) holds what the next weir reads. A byte leaves the pipe by the call
 * that writes it to the log file: however weir is killed, the file gets it exactly once (twice in the worst case
 * on a file system without splice(2)). A flood above the rate is dropped and counted, so the unit never waits for
 * more than a turn's write (32 KiB) to the page cache. A full disk is told once and never stops reading.
 */
#ifndef WEIR_APP_OUTPUT_H
#define WEIR_APP_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "weir/base/err.h"

/* Chosen: what a person still reads as a line. on_line, the tail, the journal and the echo get a longer line in
 * pieces of this size, each but the last marked "..." at its end; the file gets the unit's bytes as they are. */
#define OUTPUT_LINE_MAX   4096
#define OUTPUT_TAIL_LINES 20 /* kept in memory for a failed start-up's report */

struct output;

struct output_options {
    sd_event *event; /* borrowed, outlives the output */
    const char *unit;
    const char *fifo_path; /* RUN_DIR/UNIT.out */
    const char *log_path;  /* STATE_DIR/log/UNIT.log; rotated to UNIT.log.1 ... */
    uint64_t log_size_bytes;
    uint32_t log_files;
    uint64_t rate_bytes; /* per second; UINT64_MAX = no limit */
    bool echo;           /* also print to weir's stderr as "UNIT| line" (foreground run) */
    /* Each whole line, without its newline, as it is read (before the rate limit); any bytes, NUL too. Borrowed for
     * the call. Must not close the output. A line that a killed weir had seen and not yet written comes again after
     * the adoption, possibly its end only. May be NULL. */
    void (*on_line)(void *user, const char *line, size_t length);
    /* A second's flood is over or goes on: so many lines/bytes were dropped since the last call (at most one call a
     * second, and one at output_close). The log file has a line that says so too. May be NULL. */
    void (*on_dropped)(void *user, uint64_t lines, uint64_t bytes);
    /* The log file cannot be written (once; weir goes on trying, once a second), and NULL: it can again. Called from
     * output_open too. May be NULL. */
    void (*on_log_state)(void *user, const struct err *failure);
    void *user;
};

/* Makes the FIFO (0600) when it is not there, opens it and the log file, attaches to the loop. A FIFO of an
 * earlier weir is used as it is: what it holds is read. A log file that cannot be opened is no failure of this
 * call (see on_log_state). SIGPIPE and SIGXFSZ must be ignored by the program. Returns 0 or a negative errno
 * (-EEXIST: something else than a FIFO stands at fifo_path). The strings are copied. */
int output_open(const struct output_options *options, struct output **ret, struct err *reterr);

/* A new fd (O_RDWR, O_CLOEXEC, blocking) for the unit's stdout and stderr; owned by the caller. A unit that runs as
 * another user can open /dev/stdout anew only after fchown(fd) to that user. */
int output_unit_fd(const struct output *o, struct err *reterr);

/* Reads what is in the pipe now (at most its size), so that the last lines of a dead unit are there. A last line
 * without its newline counts as ended when the pipe was read empty. */
void output_drain(struct output *o);

/* The last lines (each cut at 1 KiB), oldest first, as one text with newlines, NUL bytes as spaces; an unfinished
 * line is the last. Where the buffer is too small the oldest lines are left out. Returns buf. */
const char *output_tail(const struct output *o, char *buf, size_t size);

/* Changes what a reload may change. */
void output_set_limits(struct output *o, uint64_t log_size_bytes, uint32_t log_files, uint64_t rate_bytes);

struct output_stats {
    /* Every byte read is in one of the two bytes, every line in one of the two lines; a line that lost a part is a
     * dropped one. */
    uint64_t lines, bytes, dropped_lines, dropped_bytes;
    uint64_t rotations, write_errors; /* failed attempts */
    uint64_t unwritten_bytes;         /* of bytes: lost to write errors */
    uint64_t skipped_lines;           /* the journal or the terminal was too slow for them */
};
void output_get_stats(const struct output *o, struct output_stats *ret);

/* Detaches and closes; an unfinished line is written as it is, and what is still in the pipe stays there for as
 * long as the unit has it open. unlink_fifo: the unit is gone for good. Accepts NULL, returns NULL. */
struct output *output_close(struct output *o, bool unlink_fifo);

#endif
