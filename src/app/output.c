/* SPDX-License-Identifier: MIT */
/*
 * A unit's output: FIFO -> lines -> rate limit -> file, and copies to journal and terminal.
 *
 * The FIFO is held O_RDWR: with no writer a read-only end would report hang-up for ever. One bounded read a
 * loop turn, with less urgency than the rest of the loop, so that a flood slows nothing but itself.
 *
 * Exactly once, whenever weir is killed: a turn looks at the pipe's first bytes and leaves them there (peek.h),
 * finds lines and fates in the copy, and then moves each run of kept bytes from the pipe into the file by a
 * call that SIGKILL does not split (logfile_move), and reads dropped ones away. What of it was not done the
 * next weir finds in the pipe; lines it gets so are told to on_line, journal and echo once more. The price: the
 * unit waits, if it prints in that moment, for the write of at most READ_MAX_BYTES to the page cache.
 *
 * A line is judged once, when its first bytes are to be written, and a long line piece by piece. At the end of a
 * turn all it looked at has left the pipe, an unfinished line too. Once a line is dropped, all are until the
 * second is over: one gap in the file rather than a sieve.
 *
 * Invariants: bytes + dropped_bytes is what was read, less an undecided line; `written` of the line's bytes
 * are with the file already, or in the run; the pipe's first byte is chunk[done]. No allocation after
 * output_open. What must not go in here: what lines mean.
 */
#include "weir/app/output.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "linesink.h"
#include "logfile.h"
#include "peek.h"
#include "weir/base/cleanup.h"
#include "weir/base/units.h"
#include "weir/model/decision.h"

#define READ_MAX_BYTES    (32 * 1024) /* chosen: some 8,000 shortest lines, a few ms with patterns on them */
#define PIPE_WANTED_BYTES (1024 * 1024) /* pipe(7): the default of /proc/sys/fs/pipe-max-size */
#define TAIL_LINE_MAX     1024          /* chosen: 20 KiB a unit */
#define CUT_MARK          "..."
#define CUT_LENGTH        (OUTPUT_LINE_MAX - (sizeof(CUT_MARK) - 1)) /* of a long line's own bytes in a piece */
#define JOURNAL_RETRY_US  (10 * USEC_PER_SEC) /* chosen: a restarted journald is back by then */
#define TIMER_ACCURACY_US USEC_PER_MSEC

enum fate { FATE_OPEN, FATE_KEPT, FATE_DROPPED };

struct tail_line {
    uint16_t length;
    char text[TAIL_LINE_MAX];
};

struct output {
    struct output_options options; /* strings: NULL, the copies are below */
    char unit[UNIT_NAME_MAX];
    char prefix[UNIT_NAME_MAX + 2]; /* "UNIT| " */
    char *fifo_path;
    int fd;
    size_t pipe_bytes;
    sd_event_source *source, *timer;
    uint64_t now_us;
    bool is_reading; /* a callback must not read anew */

    char line[OUTPUT_LINE_MAX]; /* the unfinished line, or its unfinished piece */
    size_t length, written;     /* written: of these, already with the file (or dropped) */
    enum fate fate;             /* of this piece */
    bool is_begun;              /* pieces of this line have gone before */
    bool is_damaged;            /* a piece of this line was dropped */

    uint64_t window_us, window_bytes; /* the second in which bytes are counted, and how many it took */
    bool is_dropping;                 /* until it is over */
    uint64_t told_lines, told_bytes;  /* dropped, and already told */

    struct logfile log;
    struct linesink echo, journal;
    uint64_t journal_retry_us, skipped_before; /* lines skipped by journal streams that are closed */

    struct tail_line tail[OUTPUT_TAIL_LINES];
    unsigned tail_next, tail_count;
    struct output_stats stats;

    struct peek peek;
    char chunk[READ_MAX_BYTES]; /* a copy of what is in chunk_pipe, less the first `done` bytes */
    int chunk_pipe;             /* fd, or -1: the chunk is all there is of these bytes */
    size_t done, run; /* of the chunk: gone to where they belong; after these: judged, of one fate */
    enum fate run_fate;
};

/* --- the file --- */

/* pipe: where these bytes still are (see logfile_move), or -1. */
static void put_file(struct output *o, int pipe, const char *data, size_t size)
{
    struct err failure = ERR_NULL;
    bool was_failing = o->log.failing != 0;
    (void)logfile_move(&o->log, pipe, data, size, o->now_us, &failure);
    if (was_failing != (o->log.failing != 0) && o->options.on_log_state)
        o->options.on_log_state(o->options.user, was_failing ? NULL : &failure);
}

/* The bytes of one fate leave the pipe: into the file, or for good. */
static void flush_run(struct output *o)
{
    const char *data = o->chunk + o->done;
    size_t size = o->run;
    if (size == 0)
        return;
    o->done += size;
    o->run = 0;
    if (o->run_fate == FATE_KEPT)
        put_file(o, o->chunk_pipe, data, size);
    else if (o->chunk_pipe >= 0)
        (void)peek_discard(o->chunk_pipe, size);
}

/* Nothing while the file cannot be written: its first words after that begin a line. */
static void put_file_newline(struct output *o)
{
    flush_run(o);
    if (o->log.mid_line && !o->log.failing)
        put_file(o, -1, "\n", 1);
}

/* The next bytes of the chunk are judged. */
static void extend_run(struct output *o, enum fate fate, size_t size)
{
    if (o->run > 0 && o->run_fate != fate)
        flush_run(o);
    if (o->run == 0 && fate == FATE_DROPPED)
        put_file_newline(o);
    o->run_fate = fate;
    o->run += size;
}

/* --- the rate limit --- */

static void tell_dropped(struct output *o)
{
    uint64_t lines = o->stats.dropped_lines - o->told_lines, bytes = o->stats.dropped_bytes - o->told_bytes;
    if (lines == 0 && bytes == 0)
        return;
    o->told_lines += lines;
    o->told_bytes += bytes;
    char mark[160];
    int n = snprintf(mark, sizeof(mark),
                     "weir: %" PRIu64 " lines (%" PRIu64 " bytes) above log_rate were dropped here\n", lines,
                     bytes);
    put_file_newline(o);
    put_file(o, -1, mark, (size_t)n);
    if (o->options.on_dropped)
        o->options.on_dropped(o->options.user, lines, bytes);
}

/* Begins a new second when the old one is over. */
static void roll_window(struct output *o)
{
    if (o->now_us - o->window_us < USEC_PER_SEC)
        return;
    tell_dropped(o);
    o->window_us = o->now_us;
    o->window_bytes = 0;
    o->is_dropping = false;
}

static void start_dropping(struct output *o)
{
    o->is_dropping = true;
    if (sd_event_source_set_time(o->timer, o->window_us + USEC_PER_SEC) >= 0)
        (void)sd_event_source_set_enabled(o->timer, SD_EVENT_ONESHOT);
}

/* The first line of a second passes whatever its length, so that a low rate still shows something. */
static enum fate judge(struct output *o, size_t size)
{
    uint64_t rate = o->options.rate_bytes;
    bool is_first = o->window_bytes == 0 && rate > 0;
    bool fits = rate == UINT64_MAX || is_first || (o->window_bytes <= rate && size <= rate - o->window_bytes);
    if (!o->is_dropping && !fits)
        start_dropping(o);
    return o->is_dropping ? FATE_DROPPED : FATE_KEPT;
}

/* --- lines --- */

/* Decides about the line's bytes up to `end` (and a newline), and counts them. All that are undecided were read in this
 * turn: they are the chunk's next. */
static void settle(struct output *o, size_t end, bool has_newline)
{
    size_t size = end > o->written ? end - o->written : 0;
    size_t total = size + has_newline;
    if (total == 0)
        return;
    if (o->fate == FATE_OPEN)
        o->fate = judge(o, total);
    o->window_bytes += o->fate == FATE_KEPT ? total : 0;
    if (o->fate == FATE_DROPPED) {
        o->stats.dropped_bytes += total;
        o->is_damaged = true;
    } else {
        o->stats.bytes += total;
    }
    extend_run(o, o->fate, total);
    o->written += size;
}

static void remember(struct output *o, const char *text, size_t length)
{
    struct tail_line *t = &o->tail[o->tail_next];
    t->length = (uint16_t)(length < TAIL_LINE_MAX ? length : TAIL_LINE_MAX);
    memcpy(t->text, text, t->length);
    o->tail_next = (o->tail_next + 1) % OUTPUT_TAIL_LINES;
    if (o->tail_count < OUTPUT_TAIL_LINES)
        o->tail_count++;
}

static void copy_to_journal(struct output *o, const char *text, size_t length)
{
    if (o->journal.fd < 0 && o->now_us >= o->journal_retry_us) {
        o->journal_retry_us = o->now_us + JOURNAL_RETRY_US;
        int fd = linesink_open_journal(o->unit);
        o->skipped_before += o->journal.dropped_lines;
        o->journal.dropped_lines = 0;
        if (fd >= 0)
            linesink_init(&o->journal, o->options.event, fd);
    }
    if (o->journal.fd >= 0)
        linesink_put(&o->journal, "", text, length);
}

/* A line or a piece of one, judged already, to all but the file. */
static void publish(struct output *o, const char *text, size_t length)
{
    remember(o, text, length);
    if (o->options.on_line)
        o->options.on_line(o->options.user, text, length);
    if (o->fate == FATE_DROPPED)
        return;
    copy_to_journal(o, text, length);
    if (o->echo.fd >= 0)
        linesink_put(&o->echo, o->prefix, text, length);
}

static void end_line(struct output *o, bool has_newline)
{
    settle(o, o->length, has_newline);
    publish(o, o->line, o->length);
    if (o->is_damaged)
        o->stats.dropped_lines++;
    else
        o->stats.lines++;
    o->length = o->written = 0;
    o->fate = FATE_OPEN;
    o->is_begun = o->is_damaged = false;
}

/* The buffer is full and the line goes on: the last bytes make room for the mark and open the next piece. */
static void end_piece(struct output *o)
{
    char rest[sizeof(CUT_MARK) - 1];
    settle(o, CUT_LENGTH, false);
    memcpy(rest, o->line + CUT_LENGTH, sizeof(rest));
    memcpy(o->line + CUT_LENGTH, CUT_MARK, sizeof(rest));
    publish(o, o->line, OUTPUT_LINE_MAX);
    memcpy(o->line, rest, sizeof(rest));
    o->length = sizeof(rest);
    o->written -= CUT_LENGTH;
    o->is_begun = true;
    if (o->written == 0)
        o->fate = FATE_OPEN;
}

static void add(struct output *o, const char *data, size_t size)
{
    memcpy(o->line + o->length, data, size);
    o->length += size;
}

static void take(struct output *o, const char *data, size_t size)
{
    while (size > 0) {
        size_t room = OUTPUT_LINE_MAX - o->length;
        /* + 1: the newline of a line that just fits needs no room */
        const char *newline = memchr(data, '\n', size < room + 1 ? size : room + 1);
        size_t n = newline ? (size_t)(newline - data) : size < room ? size : room;
        add(o, data, n);
        if (newline)
            end_line(o, true);
        else if (n < size)
            end_piece(o);
        n += newline != NULL;
        data += n;
        size -= n;
    }
}

/* --- the loop --- */

static void begin_turn(struct output *o)
{
    uint64_t now;
    if (sd_event_now(o->options.event, CLOCK_MONOTONIC, &now) >= 0)
        o->now_us = now;
    roll_window(o);
}

static void end_turn(struct output *o)
{
    if (o->length > 0 || o->is_begun)
        settle(o, o->length, false);
    flush_run(o);
    if (o->journal.fd >= 0)
        linesink_flush(&o->journal);
    if (o->echo.fd >= 0)
        linesink_flush(&o->echo);
}

/* Fills the chunk with the pipe's first bytes, which stay there if that is possible at all. */
static size_t look(struct output *o)
{
    ssize_t n = peek_copy(&o->peek, o->fd, o->chunk, sizeof(o->chunk));
    o->chunk_pipe = n < 0 ? -1 : o->fd;
    if (n < 0) {
        do
            n = read(o->fd, o->chunk, sizeof(o->chunk));
        while (n < 0 && errno == EINTR);
    }
    return n > 0 ? (size_t)n : 0;
}

/* Returns how many bytes were taken; 0 = the pipe is empty. */
static size_t read_once(struct output *o)
{
    size_t n = look(o);
    if (n == 0)
        return 0;
    o->done = o->run = 0;
    o->is_reading = true;
    take(o, o->chunk, n);
    end_turn(o);
    o->is_reading = false;
    return n;
}

static int on_readable(sd_event_source *source, int fd, uint32_t events, void *user)
{
    (void)source, (void)fd, (void)events;
    struct output *o = user;
    begin_turn(o);
    (void)read_once(o);
    return 0;
}

/* The second with a flood in it is over. */
static int on_timer(sd_event_source *source, uint64_t usec, void *user)
{
    (void)source, (void)usec;
    struct output *o = user;
    begin_turn(o);
    end_turn(o);
    return 0;
}

void output_drain(struct output *o)
{
    if (o->is_reading)
        return;
    begin_turn(o);
    size_t total = 0, n;
    while (total < o->pipe_bytes && (n = read_once(o)) > 0)
        total += n;
    if (total < o->pipe_bytes && (o->length > 0 || o->is_begun)) {
        end_line(o, false);
        put_file_newline(o);
    }
    end_turn(o);
}

/* --- open, close, look --- */

static int open_fifo(struct output *o, const char *path, struct err *reterr)
{
    if (mkfifo(path, 0600) < 0 && errno != EEXIST)
        return err_errno(reterr, -errno, "making the FIFO %s", path);
    o->fd = open(path, O_RDWR | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
    struct stat st;
    if (o->fd < 0 || fstat(o->fd, &st) < 0)
        return err_errno(reterr, -errno, "opening the FIFO %s", path);
    if (!S_ISFIFO(st.st_mode))
        return err_set(reterr, -EEXIST, "%s is in the way: it should be a FIFO for the unit's output", path);
    (void)fcntl(o->fd, F_SETPIPE_SZ, PIPE_WANTED_BYTES); /* without the right to it the default size does */
    int size = fcntl(o->fd, F_GETPIPE_SZ);
    o->pipe_bytes = size > 0 ? (size_t)size : READ_MAX_BYTES;
    int r = peek_init(&o->peek);
    return r < 0 ? err_errno(reterr, r, "making a pipe to look into %s", path) : 0;
}

static int attach(struct output *o, struct err *reterr)
{
    sd_event *event = o->options.event;
    int r = sd_event_add_io(event, &o->source, o->fd, EPOLLIN, on_readable, o);
    if (r >= 0)
        r = sd_event_source_set_priority(o->source, SD_EVENT_PRIORITY_NORMAL + 10);
    if (r >= 0)
        r = sd_event_add_time(event, &o->timer, CLOCK_MONOTONIC, 0, TIMER_ACCURACY_US, on_timer, o);
    if (r >= 0)
        r = sd_event_source_set_enabled(o->timer, SD_EVENT_OFF);
    return r < 0 ? err_errno(reterr, r, "watching the output of %s", o->unit) : 0;
}

static int open_log(struct output *o, const struct output_options *options, struct err *reterr)
{
    struct err failure = ERR_NULL;
    int r = logfile_init(&o->log, options->log_path, options->log_size_bytes, options->log_files, o->now_us,
                         NULL, &failure);
    if (!o->log.path)
        return err_set(reterr, r, "%s", failure.text);
    if (r < 0 && options->on_log_state)
        options->on_log_state(options->user, &failure);
    return 0;
}

static void open_echo(struct output *o)
{
    int fd = linesink_reopen_fd(STDERR_FILENO);
    if (fd >= 0)
        linesink_init(&o->echo, o->options.event, fd);
}

static struct output *output_new(const struct output_options *options)
{
    struct output *o = calloc(1, sizeof(*o));
    if (!o)
        return NULL;
    o->fd = o->echo.fd = o->journal.fd = o->chunk_pipe = -1;
    o->peek = PEEK_NULL;
    o->log = LOGFILE_NULL;
    o->options = *options;
    o->options.unit = o->options.fifo_path = o->options.log_path = NULL;
    snprintf(o->unit, sizeof(o->unit), "%s", options->unit);
    snprintf(o->prefix, sizeof(o->prefix), "%s| ", o->unit);
    o->fifo_path = strdup(options->fifo_path);
    return o->fifo_path ? o : output_close(o, false);
}

static void cleanup_output(struct output **o)
{
    output_close(*o, false);
}

int output_open(const struct output_options *options, struct output **ret, struct err *reterr)
{
    _cleanup_(cleanup_output) struct output *o = output_new(options);
    if (!o)
        return err_errno(reterr, -ENOMEM, "opening the output of %s", options->unit);
    begin_turn(o);
    int r = open_fifo(o, options->fifo_path, reterr);
    if (r == 0)
        r = attach(o, reterr);
    if (r == 0)
        r = open_log(o, options, reterr);
    if (r < 0)
        return r;
    if (options->echo)
        open_echo(o);
    *ret = steal_ptr(&o);
    return 0;
}

int output_unit_fd(const struct output *o, struct err *reterr)
{
    /* through /proc: this very pipe, whatever stands at the path by now */
    char path[64];
    snprintf(path, sizeof(path), "/proc/self/fd/%d", o->fd);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    return fd < 0 ? err_errno(reterr, -errno, "opening the FIFO %s for the unit", o->fifo_path) : fd;
}

/* One line into buf at *at, NUL bytes as spaces; false: no room. */
static bool put_tail(const char *text, size_t length, char *buf, size_t size, size_t *at)
{
    if (*at + length + 2 > size)
        return false;
    for (size_t i = 0; i < length; i++)
        buf[*at + i] = text[i] ? text[i] : ' ';
    *at += length;
    buf[(*at)++] = '\n';
    buf[*at] = '\0';
    return true;
}

/* i-th remembered line, 0 = the oldest. */
static const struct tail_line *tail_line(const struct output *o, unsigned i)
{
    return &o->tail[(o->tail_next + OUTPUT_TAIL_LINES - o->tail_count + i) % OUTPUT_TAIL_LINES];
}

const char *output_tail(const struct output *o, char *buf, size_t size)
{
    if (size == 0)
        return buf;
    size_t last = o->length < TAIL_LINE_MAX ? o->length : TAIL_LINE_MAX;
    size_t total = last ? last + 1 : 0, at = 0;
    unsigned first = o->tail_count;
    while (first > 0 && total + tail_line(o, first - 1)->length + 2 <= size)
        total += tail_line(o, --first)->length + 1u;
    buf[0] = '\0';
    for (unsigned i = first; i < o->tail_count; i++)
        (void)put_tail(tail_line(o, i)->text, tail_line(o, i)->length, buf, size, &at);
    if (last)
        (void)put_tail(o->line, last, buf, size, &at);
    return buf;
}

void output_set_limits(struct output *o, uint64_t log_size_bytes, uint32_t log_files, uint64_t rate_bytes)
{
    o->log.max_bytes = log_size_bytes;
    o->log.files = log_files;
    o->options.rate_bytes = rate_bytes;
}

void output_get_stats(const struct output *o, struct output_stats *ret)
{
    *ret = o->stats;
    ret->rotations = o->log.rotations;
    ret->write_errors = o->log.write_errors;
    ret->unwritten_bytes = o->log.unwritten_bytes;
    ret->skipped_lines = o->skipped_before + o->journal.dropped_lines + o->echo.dropped_lines;
}

/* What is in memory goes where it belongs. */
static void finish(struct output *o, bool is_last)
{
    begin_turn(o);
    if (o->length > 0 || o->is_begun)
        end_line(o, false);
    if (is_last)
        put_file_newline(o); /* the unit's next life begins on a line of its own */
    tell_dropped(o);
    end_turn(o);
}

struct output *output_close(struct output *o, bool unlink_fifo)
{
    if (!o)
        return NULL;
    if (o->log.path && unlink_fifo)
        output_drain(o);
    if (o->log.path)
        finish(o, unlink_fifo);
    sd_event_source_disable_unref(o->source);
    sd_event_source_disable_unref(o->timer);
    linesink_deinit(&o->journal);
    linesink_deinit(&o->echo);
    peek_deinit(&o->peek);
    cleanup_close(&o->fd);
    if (unlink_fifo)
        (void)unlink(o->fifo_path);
    logfile_deinit(&o->log);
    free(o->fifo_path);
    free(o);
    return NULL;
}
