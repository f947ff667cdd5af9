/* SPDX-License-Identifier: MIT */
/*
 * Lines on their way from one end to another, through one buffer of a fixed size.
 *
 *   data: |  sent  | to be sent | front line so far | not looked at |  free  |
 *         0      sent        passed               seen           filled    size
 *
 * Whoever owns the stream looks at the line in front (stream_look), decides, and passes or drops what was seen of it. A line
 * that fits is judged when it is whole; one that fills the buffer is judged by its beginning, and the rest of it follows
 * in parts. Something else (a line of the gate's own) is inserted only between two lines.
 *
 * Nothing is copied but the beginning of a line that came at the end of the buffer. No decisions in here.
 */
#ifndef WEIR_GATE_STREAM_H
#define WEIR_GATE_STREAM_H

#include "copies.h"
#include "end.h"
#include "scan.h"

#define STREAM_BUFFER_BYTES                                                                                  \
    (64U * 1024) /* as large as the server's pipe as pipe(2) makes it; 256 KiB were no faster (bench_gate) */

/* What is known of the line in front. */
enum stream_front {
    STREAM_NOTHING, /* not enough to say anything */
    STREAM_LINE,    /* whole, or the last part of it, the newline included */
    STREAM_TAIL,    /* as LINE, but the stream has ended without a newline */
    STREAM_PART,    /* it fills the buffer, or a further part of such a line */
};

/* What becomes of the parts of a line that does not fit. */
enum stream_mode { STREAM_JUDGE, STREAM_FORWARD, STREAM_SWALLOW };

/* A line of the gate's own that is being written. */
struct insertion {
    char *text; /* owned; NULL: it is a copy */
    const struct copies *copies;
    const struct copy *copy; /* borrowed until it is written */
    uint64_t size, done;
};

struct stream {
    struct end *from, *to;   /* borrowed for good */
    struct scanner *scanner; /* owned; NULL: any lines, not looked into */
    char *data;              /* owned; one byte more than size, for the newline of stream_break() */
    size_t sent, passed, seen, filled;
    enum stream_front front; /* what stream_look said; NOTHING: look anew */
    enum stream_mode mode;
    bool ended;       /* the end of `from` was read */
    bool in_line;     /* the last byte written was not the end of a line */
    uint64_t written; /* bytes written to `to`, since the caller set it to 0 */
    uint64_t read;    /* bytes read from `from`, ever */
    uint64_t lines;   /* that were passed or dropped, and not recalled */
    struct insertion insertion;
};

int stream_init(struct stream *s, struct end *from, struct end *to);
void stream_deinit(struct stream *s);
/* JSON-RPC is looked into from now on. */
int stream_scan(struct stream *s);

/* Reads once. 1: there is more to look at (bytes, or the end); 0: nothing now, or no room. Any error is an end. */
int stream_fill(struct stream *s);
enum stream_front stream_look(struct stream *s);
/* What was seen may be written, or is forgotten. After LINE and TAIL the next line is JUDGE again. */
void stream_pass(struct stream *s);
void stream_drop(struct stream *s);
/* The part in front, without its fate: [*ret_data, + *ret_size) */
static inline const char *stream_seen(const struct stream *s, size_t *ret_size)
{
    *ret_size = s->seen - s->passed;
    return s->data + s->passed;
}
/* Where in what is written to `to` the front line begins. */
static inline uint64_t stream_front_offset(const struct stream *s)
{
    return s->written + (s->insertion.size - s->insertion.done) + (s->passed - s->sent);
}

/* Writes what may be written: 0: all of it; -EAGAIN: not all, an event will tell; another negative errno: nobody reads. */
int stream_flush(struct stream *s);
/* Lines that were passed, and of which not a byte is written, are in front again. The written offset from which on. */
uint64_t stream_recall(struct stream *s);
/* What was passed and is not written yet is forgotten. */
void stream_forget_passed(struct stream *s);
/* The stream has ended in the middle of a line that was forwarded: ends it with a newline. */
void stream_break(struct stream *s);

/* Whether a line of the gate's own may go out now. */
bool stream_may_insert(const struct stream *s);
/* Takes over text. */
void stream_insert_text(struct stream *s, char *text, size_t size);
/* Borrows the copy until stream_may_insert() again. */
void stream_insert_copy(struct stream *s, const struct copies *copies, const struct copy *copy);

#endif
