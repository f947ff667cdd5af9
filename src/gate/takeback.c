/* SPDX-License-Identifier: MIT */
/*
 * What a worker that ended has never read is still in the pipe that was its stdin. Read back, it is known for certain that
 * nobody acted upon it: such a request may be sent again whatever it asks for, and that is no try that failed. (What the
 * worker had read ahead into its own memory looks read from here; it is dealt with as if it had been begun.)
 *
 * The bytes are the end of what was written: the rest of the pipe, then what of the line being written is in the buffer
 * still. Lines are told apart by their offsets, which the ledger has.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "gate.h"
#include "weir/base/cleanup.h"

struct taker {
    struct gate *g;
    uint64_t offset; /* of the next byte */
    int slot;        /* the line that the next byte belongs to; -1: nobody's, or the long one */
    bool is_long;    /* the line that is still being read from the server */
    bool needs_copy;
    struct copy copy;
};

static int slot_at(const struct gate *g, uint64_t offset)
{
    for (int slot = 0; slot < GATE_SLOTS_MAX; slot++)
        if (g->core.slots[slot].state == GATE_SLOT_SENT &&
            g->core.slots[slot].generation == g->core.generation &&
            g->ledger.slots[slot].line.offset == offset)
            return slot;
    return -1;
}

static void line_starts(struct taker *t)
{
    const struct requests *r = &t->g->requests;
    t->slot = slot_at(t->g, t->offset);
    t->is_long = r->stream.mode == STREAM_FORWARD && r->long_offset == t->offset;
    t->needs_copy = t->is_long ? !copy_is_kept(&r->copy)
                               : t->slot >= 0 && !copy_is_kept(&t->g->ledger.slots[t->slot].line.copy);
}

static void line_ends(struct taker *t)
{
    struct gate *g = t->g;
    if (t->slot >= 0) {
        struct copy *own = &g->ledger.slots[t->slot].line.copy;
        if (t->needs_copy)
            copy_move(&g->copies, own, &t->copy);
        if (copy_is_kept(own))
            gate_core_unread(&g->core, t->slot);
    }
    copy_drop(&g->copies, &t->copy);
}

static void take(struct taker *t, const char *data, size_t size)
{
    while (size > 0) {
        const char *newline = memchr(data, '\n', size);
        size_t part = newline ? (size_t)(newline - data) + 1 : size;
        if (t->needs_copy && copy_append(&t->g->copies, &t->copy, data, part) < 0)
            t->needs_copy = false;
        t->offset += part;
        data += part;
        size -= part;
        if (newline) {
            line_ends(t);
            line_starts(t);
        }
    }
}

/* The read end of a pipe of which we have the other: the worker's is closed, or about to be. */
static int open_read_end(int write_end)
{
    char path[40];
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", write_end);
    return open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
}

/* All that is left, with one read: another process that still has the pipe open cannot come in between, so that we know
 * which bytes these are. The size, *ret is the caller's; 0 = nothing. */
static size_t read_rest(int fd, char **ret)
{
    int left = 0;
    if (fd < 0 || ioctl(fd, FIONREAD, &left) < 0 || left <= 0)
        return 0;
    *ret = malloc((size_t)left);
    ssize_t n = *ret ? read(fd, *ret, (size_t)left) : 0;
    return n > 0 ? (size_t)n : 0;
}

void takeback(struct gate *g)
{
    struct stream *s = &g->requests.stream;
    struct taker t = {.g = g, .slot = -1};
    _cleanup_free_ char *rest = NULL;
    _cleanup_close_ int fd = open_read_end(g->child.in.fd);
    size_t size = read_rest(fd, &rest);
    t.offset = s->written - size;
    line_starts(&t);
    take(&t, rest, size);
    take(&t, s->data + s->sent, s->passed - s->sent);
    if (t.slot >= 0 && !t.needs_copy) /* a copy that was being written */
        gate_core_unread(&g->core, t.slot);
    if (t.is_long && t.needs_copy && copy_is_kept(&t.copy)) {
        copy_move(&g->copies, &g->requests.copy, &t.copy);
        g->requests.copy_off = false;
    }
    g->requests.unread = t.is_long && copy_is_kept(&g->requests.copy);
    copy_drop(&g->copies, &t.copy);
}
