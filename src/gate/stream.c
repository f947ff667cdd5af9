/* SPDX-License-Identifier: MIT */
/* Lines through a buffer; see the header. */
#include "stream.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "weir/base/cleanup.h"

#define INSERTION_PIECE 16384U /* chosen: on the stack, for a copy that comes from a file */

int stream_init(struct stream *s, struct end *from, struct end *to)
{
    *s = (struct stream){.from = from, .to = to};
    s->data = malloc(STREAM_BUFFER_BYTES + 1); /* not calloc: what is not used stays untouched */
    return s->data ? 0 : -ENOMEM;
}

static void end_insertion(struct stream *s)
{
    free(s->insertion.text);
    s->insertion = (struct insertion){0};
}

void stream_deinit(struct stream *s)
{
    end_insertion(s);
    free(s->scanner);
    free(s->data);
    *s = (struct stream){0};
}

int stream_scan(struct stream *s)
{
    if (!s->scanner)
        s->scanner = malloc(sizeof(*s->scanner));
    if (!s->scanner)
        return -ENOMEM;
    scan_init(s->scanner);
    return 0;
}

/* Moves what is in the buffer to its beginning, when that is worth it. */
static void make_room(struct stream *s)
{
    size_t used = s->filled - s->sent;
    if (s->sent == 0 || (s->filled < STREAM_BUFFER_BYTES && used > STREAM_BUFFER_BYTES / 8))
        return;
    memmove(s->data, s->data + s->sent, used);
    s->passed -= s->sent;
    s->seen -= s->sent;
    s->filled -= s->sent;
    s->sent = 0;
}

int stream_fill(struct stream *s)
{
    if (s->ended || !end_is_open(s->from) || !s->from->ready)
        return 0;
    make_room(s);
    if (s->filled >= STREAM_BUFFER_BYTES)
        return 0;
    ssize_t n = end_read(s->from, s->data + s->filled, STREAM_BUFFER_BYTES - s->filled);
    if (n == -EAGAIN)
        return 0;
    if (n <= 0) {
        s->ended = true;
    } else {
        s->filled += (size_t)n;
        s->read += (uint64_t)n;
    }
    return 1;
}

static bool look_for_end(struct stream *s)
{
    const char *at = s->data + s->seen;
    size_t size = s->filled - s->seen;
    bool end = false;
    if (size == 0)
        return false;
    if (s->scanner) {
        s->seen += scan_feed(s->scanner, at, size, &end);
        return end;
    }
    const char *newline = memchr(at, '\n', size);
    s->seen = newline ? (size_t)(newline - s->data) + 1 : s->filled;
    return newline != NULL;
}

enum stream_front stream_look(struct stream *s)
{
    bool end = false;
    if (s->front != STREAM_NOTHING)
        return s->front;
    if (look_for_end(s)) {
        s->front = STREAM_LINE;
    } else if (s->ended && (s->seen > s->passed || s->mode != STREAM_JUDGE)) {
        if (s->scanner)
            (void)scan_feed(s->scanner, "\n", 1, &end);
        s->front = STREAM_TAIL;
    } else if (s->mode == STREAM_JUDGE ? s->passed == 0 && s->filled >= STREAM_BUFFER_BYTES
                                       : s->seen > s->passed) {
        s->front = STREAM_PART;
    }
    return s->front;
}

static void leave_front(struct stream *s)
{
    if (s->front != STREAM_PART) {
        s->mode = STREAM_JUDGE;
        s->lines++;
    }
    s->front = STREAM_NOTHING;
}

/* An empty buffer begins at its beginning: it stays in the cache. */
static void rewind_empty(struct stream *s)
{
    if (s->sent == s->filled)
        s->sent = s->passed = s->seen = s->filled = 0;
}

void stream_pass(struct stream *s)
{
    if (s->front == STREAM_PART)
        s->mode = STREAM_FORWARD;
    s->passed = s->seen;
    leave_front(s);
}

void stream_drop(struct stream *s)
{
    memmove(s->data + s->passed, s->data + s->seen, s->filled - s->seen);
    s->filled -= s->seen - s->passed;
    s->seen = s->passed;
    if (s->front == STREAM_PART && s->mode == STREAM_JUDGE)
        s->mode = STREAM_SWALLOW;
    leave_front(s);
    rewind_empty(s);
}

static int flush_insertion(struct stream *s)
{
    struct insertion *in = &s->insertion;
    char piece[INSERTION_PIECE];
    while (in->done < in->size) {
        const char *from = in->text ? in->text + in->done : NULL;
        ssize_t n = (ssize_t)(in->size - in->done);
        if (in->copy)
            n = copy_read(in->copies, in->copy, in->done, piece, sizeof(piece), &from);
        if (n <= 0)
            return n < 0 ? (int)n : -EIO;
        n = end_write(s->to, from, (size_t)n);
        if (n < 0)
            return (int)n;
        in->done += (uint64_t)n;
        s->written += (uint64_t)n;
    }
    end_insertion(s);
    return 0;
}

int stream_flush(struct stream *s)
{
    if (!s->to->ready && (s->insertion.size > 0 || s->sent < s->passed))
        return -EAGAIN;
    int r = s->insertion.size > 0 ? flush_insertion(s) : 0;
    if (r < 0)
        return r;
    while (s->sent < s->passed) {
        ssize_t n = end_write(s->to, s->data + s->sent, s->passed - s->sent);
        if (n < 0)
            return (int)n;
        s->sent += (size_t)n;
        s->written += (uint64_t)n;
        s->in_line = s->data[s->sent - 1] != '\n';
        if (!s->to->ready && s->sent < s->passed)
            return -EAGAIN;
    }
    rewind_empty(s);
    return 0;
}

static uint64_t count_lines(const char *data, size_t size)
{
    uint64_t count = 0;
    for (const char *end = data + size; (data = memchr(data, '\n', (size_t)(end - data))); data++)
        count++;
    return count;
}

uint64_t stream_recall(struct stream *s)
{
    size_t from = s->sent;
    if (s->in_line) { /* the line that is being written goes on */
        const char *newline = memchr(s->data + s->sent, '\n', s->passed - s->sent);
        from = newline ? (size_t)(newline - s->data) + 1 : s->passed;
    }
    if (from < s->passed) {
        s->lines -= count_lines(s->data + from, s->passed - from);
        s->passed = s->seen = from;
        s->front = STREAM_NOTHING;
        s->mode = STREAM_JUDGE;
        if (s->scanner)
            scan_init(s->scanner);
    }
    return stream_front_offset(s);
}

void stream_forget_passed(struct stream *s)
{
    s->sent = s->passed;
    end_insertion(s);
    s->in_line = false;
    rewind_empty(s);
}

void stream_break(struct stream *s)
{
    s->data[s->passed] = '\n';
    s->passed = s->seen = s->filled = s->passed + 1;
    s->mode = STREAM_JUDGE;
    s->front = STREAM_NOTHING;
}

bool stream_may_insert(const struct stream *s)
{
    bool between = !s->in_line || (s->ended && s->sent == s->filled); /* the last line may lack its newline */
    return s->mode != STREAM_FORWARD && s->sent == s->passed && between && s->insertion.size == 0;
}

void stream_insert_text(struct stream *s, char *text, size_t size)
{
    s->insertion = (struct insertion){.text = text, .size = size};
}

void stream_insert_copy(struct stream *s, const struct copies *copies, const struct copy *copy)
{
    s->insertion = (struct insertion){.copies = copies, .copy = copy, .size = copy->size};
}
