/* SPDX-License-Identifier: MIT */
/*
 * The server's lines: judged by the core, kept where they may have to be sent again, entered into the ledger, written.
 *
 * A line that fits into the buffer is let through whole. Of a longer one the beginning is judged, and the rest follows; if its
 * worker ends meanwhile the rest is still read, into the copy if there is one. Lines that were let through and wait for
 * room in the pipe can be taken back (requests_recall): so an order holds at the next line, and a worker that ends takes
 * nothing with it that it never got.
 */
#include <errno.h>
#include <string.h>

#include "gate.h"

int requests_init(struct gate *g)
{
    return stream_init(&g->requests.stream, &g->server_in, &g->child.in);
}

static int place_of(const char names[][GATE_NAME_MAX], uint32_t count, const char *method)
{
    for (uint32_t i = 0; i < count; i++)
        if (strcmp(names[i], method) == 0)
            return (int)i;
    return -1;
}

int requests_handshake_at(const struct gate *g, const char *method)
{
    return place_of(g->settings.handshake, g->settings.handshake_count, method);
}

static bool is_listed(const struct gate *g, const char *method)
{
    return place_of(g->settings.replay, g->settings.replay_count, method) >= 0 ||
           requests_handshake_at(g, method) >= 0;
}

/* Every message of the line with a method may be sent twice. */
static bool line_may_replay(const struct gate *g, const struct scan_line *line)
{
    for (uint32_t i = 0; i < line->count; i++)
        if (line->message[i].kind != SCAN_RESPONSE && !is_listed(g, line->message[i].method))
            return false;
    return line->untold == 0;
}

/* ------------------------------------------ what a line is ------------------------------------------ */

static enum gate_line line_of(const struct scan_line *line)
{
    uint32_t count[SCAN_RESPONSE + 1] = {0};
    for (uint32_t i = 0; i < line->count; i++)
        count[line->message[i].kind]++;
    if (count[SCAN_REQUEST] > 0)
        return GATE_LINE_REQUEST;
    if (count[SCAN_NOTIFICATION] > 0)
        return GATE_LINE_ONE_WAY;
    return line->count > 0 && count[SCAN_RESPONSE] == line->count ? GATE_LINE_RESPONSE : GATE_LINE_OTHER;
}

/* A line of which only the beginning is known. Who puts the id first puts the method second, in front of what is large:
 * an id and no method is an answer. */
static enum gate_line line_so_far(const struct scan_line *line)
{
    const struct scan_message *m = &line->message[0];
    bool is_response = !line->is_batch && m->method[0] == '\0' && m->id.kind != SCAN_ID_NONE;
    return is_response || line_of(line) == GATE_LINE_RESPONSE ? GATE_LINE_RESPONSE : GATE_LINE_REQUEST;
}

static enum gate_line front_line(const struct gate *g)
{
    const struct stream *s = &g->requests.stream;
    if (!s->scanner)
        return GATE_LINE_OTHER;
    if (s->front == STREAM_PART)
        return line_so_far(&s->scanner->line);
    enum gate_line line = line_of(&s->scanner->line);
    /* what cannot be followed is passed on, and nobody waits for its answer here */
    if (line == GATE_LINE_REQUEST && !ledger_can_follow(&g->ledger, &s->scanner->line))
        return GATE_LINE_ONE_WAY;
    return line;
}

/* ------------------------------------------ figures ------------------------------------------ */

static void note_kind(struct gate *g, enum gate_line kind)
{
    const struct scan_line *line = &g->requests.stream.scanner->line;
    if (kind == GATE_LINE_OTHER && !line->is_blank)
        tell_note(g, GATE_NOTE_NOT_JSON, 1, NULL, NULL);
    if (kind == GATE_LINE_ONE_WAY && line_of(line) == GATE_LINE_REQUEST)
        tell_note(g, GATE_NOTE_UNTRACKED, 1, NULL, NULL);
}

/* Finds the methods of the line, and counts it unless that was done before it was recalled. */
static void count_line(struct gate *g, enum gate_line kind, uint16_t *methods)
{
    struct requests *r = &g->requests;
    const struct scan_line *line = &r->stream.scanner->line;
    bool is_new = r->stream.lines >= r->counted;
    uint64_t bytes = line->length;
    for (uint32_t i = 0; i < line->count; i++) {
        const struct scan_message *m = &line->message[i];
        if (m->kind != SCAN_REQUEST && m->kind != SCAN_NOTIFICATION)
            continue;
        methods[i] = figures_find(&g->figures, m->method);
        if (!is_new)
            continue;
        if (m->kind == SCAN_REQUEST)
            figures_call(&g->figures, methods[i], bytes);
        else
            figures_notification(&g->figures, methods[i], bytes);
        bytes = 0; /* of a batch: the first one's */
    }
    if (!is_new)
        return;
    r->counted = r->stream.lines + 1;
    note_kind(g, kind);
}

/* Of a call that has the worker for itself: memory.current before the first byte of it was written. */
static void begin_growth(struct gate *g, int slot, bool is_long)
{
    struct ledger_slot *l = slot < 0 ? NULL : &g->ledger.slots[slot];
    g->alone_slot = -1;
    if (!l || g->core.sent != 1 || l->count != 1)
        return;
    l->line.memory_before = is_long ? g->requests.long_memory : child_memory(&g->child);
    if (l->line.memory_before > 0)
        g->alone_slot = slot;
}

/* ------------------------------------------ copies ------------------------------------------ */

static void keep(struct gate *g, const char *data, size_t size)
{
    struct requests *r = &g->requests;
    if (r->copy_off)
        return;
    if (copy_append(&g->copies, &r->copy, data, size) < 0)
        r->copy_off = true;
}

static void keep_front(struct gate *g)
{
    size_t size;
    const char *data = stream_seen(&g->requests.stream, &size);
    keep(g, data, size);
    if (g->requests.stream.front == STREAM_TAIL)
        keep(g, "\n", 1); /* other lines may follow it when it is sent again */
}

static void drop_copy(struct gate *g)
{
    copy_drop(&g->copies, &g->requests.copy);
    g->requests.copy_off = true;
}

/* A long line of which enough is known: it is not to be sent again. */
static void drop_copy_in_time(struct gate *g)
{
    const struct stream *s = &g->requests.stream;
    bool is_kept_line = s->scanner && line_so_far(&s->scanner->line) == GATE_LINE_REQUEST;
    if (g->requests.unread)
        return;
    for (uint32_t i = 0; is_kept_line && i < s->scanner->line.count; i++) {
        const char *method = s->scanner->line.message[i].method;
        is_kept_line = method[0] == '\0' || is_listed(g, method);
    }
    if (!is_kept_line && !g->requests.copy_off)
        drop_copy(g);
}

/* The copy of a whole line, in its slot from now on. */
static void settle_copy(struct gate *g, int slot)
{
    struct requests *r = &g->requests;
    if (slot < 0) {
        drop_copy(g);
        return;
    }
    struct copy *copy = &g->ledger.slots[slot].line.copy;
    copy_move(&g->copies, copy, &r->copy);
    if (copy->place == COPY_FILE)
        tell_note(g, GATE_NOTE_SPOOLED, copy->size, g->requests.stream.scanner->line.message[0].method,
                  &g->requests.stream.scanner->line.message[0].id);
}

/* ------------------------------------------ responses ------------------------------------------ */

/* The server's response to a worker that has ended. */
static bool is_stale_response(const struct gate *g)
{
    const struct stream *s = &g->requests.stream;
    return g->asked.count > 0 && s->scanner && front_line(g) == GATE_LINE_RESPONSE &&
           asked_is_stale(&g->asked, &s->scanner->line.message[0].id, g->lives);
}

/* The whole line is known, and on its way or dropped. */
static void forget_asked(struct gate *g)
{
    const struct scan_line *line = &g->requests.stream.scanner->line;
    for (uint32_t i = 0; g->asked.count > 0 && i < line->count; i++)
        if (line->message[i].kind == SCAN_RESPONSE)
            asked_forget(&g->asked, &line->message[i].id);
}

/* ------------------------------------------ a line's way ------------------------------------------ */

static void open_slot(struct gate *g, int slot, const uint16_t *methods, uint64_t offset)
{
    const struct scan_line *line = &g->requests.stream.scanner->line;
    struct ledger_line *l = &g->ledger.slots[slot].line;
    int at = line->is_batch ? -1 : requests_handshake_at(g, line->message[0].method);
    ledger_open(&g->ledger, slot, line, methods, g->now_us);
    l->handshake = at >= 0;
    l->handshake_at = (uint8_t)(at >= 0 ? at : 0);
    l->offset = offset;
}

/* The slot it gets, or -1. */
static int enter_line(struct gate *g, enum gate_line kind, bool may_replay)
{
    const struct requests *r = &g->requests;
    bool is_kept = copy_is_kept(&r->copy);
    if (!r->cut)
        return gate_core_passed(&g->core, kind, is_kept, g->now_us);
    if (r->unread && is_kept)
        return gate_core_cut_unread(&g->core, kind, may_replay);
    return gate_core_cut(&g->core, kind, is_kept);
}

/* The end of a line that is let through: it is whole, in the buffer or behind it. */
static void finish_line(struct gate *g, uint64_t offset, bool is_long)
{
    struct requests *r = &g->requests;
    uint16_t methods[SCAN_BATCH_MAX];
    enum gate_line kind = front_line(g);
    bool may_keep = kind == GATE_LINE_REQUEST && line_may_replay(g, &r->stream.scanner->line);
    if (!is_long)
        r->copy_off = !may_keep;
    keep_front(g);
    if (!may_keep && !r->unread)
        drop_copy(g);
    count_line(g, kind, methods);
    forget_asked(g);
    int slot = enter_line(g, kind, may_keep);
    settle_copy(g, slot);
    if (slot >= 0)
        open_slot(g, slot, methods, offset);
    if (!r->cut)
        begin_growth(g, slot, is_long);
    r->cut = r->unread = false;
    tell_changed(g);
}

static void pass_whole(struct gate *g)
{
    struct stream *s = &g->requests.stream;
    if (s->scanner)
        finish_line(g, stream_front_offset(s), false);
    else
        (void)gate_core_passed(&g->core, GATE_LINE_OTHER, false, g->now_us);
    stream_pass(s);
}

static void begin_long(struct gate *g)
{
    struct requests *r = &g->requests;
    r->long_offset = stream_front_offset(&r->stream);
    r->long_memory = g->core.sent == 0 ? child_memory(&g->child) : 0;
    r->copy_off = r->cut = r->unread = false;
    drop_copy_in_time(g);
    keep_front(g);
    stream_pass(&r->stream);
}

static void go_on_long(struct gate *g)
{
    struct requests *r = &g->requests;
    drop_copy_in_time(g);
    if (r->stream.front == STREAM_PART)
        keep_front(g);
    else if (r->stream.scanner)
        finish_line(g, r->long_offset, true);
    else if (r->cut)
        (void)gate_core_cut(&g->core, GATE_LINE_OTHER, false);
    else
        (void)gate_core_passed(&g->core, GATE_LINE_OTHER, false, g->now_us);
    if (r->stream.mode == STREAM_FORWARD)
        stream_pass(&r->stream);
    else
        stream_drop(&r->stream);
}

static void note_rejected(struct gate *g, enum gate_failure failure)
{
    const struct scan_line *line = &g->requests.stream.scanner->line;
    enum gate_note note = failure == GATE_FAILURE_IMPATIENT ? GATE_NOTE_IMPATIENT : GATE_NOTE_REJECTED;
    for (uint32_t i = 0; i < line->count; i++)
        if (line->message[i].kind == SCAN_REQUEST)
            tell_note(g, note, 1, line->message[i].method, &line->message[i].id);
}

/* The front line is answered with an error, once it is known. False: the server's side has no room now. */
static bool reject(struct gate *g, enum gate_failure failure)
{
    struct requests *r = &g->requests;
    size_t size = 0;
    r->rejecting = true;
    r->failure = failure;
    if (r->stream.front != STREAM_PART && r->stream.scanner) {
        const struct answer a = {.unit = g->unit,
                                 .cause = failure == GATE_FAILURE_DOWN ? g->refusal : g->cause,
                                 .failure = failure,
                                 .generation = g->generation};
        if (!answers_take_insertion(g))
            return false;
        note_rejected(g, failure);
        forget_asked(g);
        char *text = answer_for_line(&a, &r->stream.scanner->line, &size);
        answers_insert(g, text, size);
    }
    if (r->stream.front != STREAM_PART)
        r->rejecting = false;
    stream_drop(&r->stream);
    tell_changed(g);
    return true;
}

/* What becomes of the line in front, or of the next part of one. False: it waits. */
static bool decide(struct gate *g)
{
    struct requests *r = &g->requests;
    enum gate_failure failure = GATE_FAILURE_DOWN;
    if (r->rejecting)
        return reject(g, r->failure);
    if (r->stream.mode != STREAM_JUDGE) {
        go_on_long(g);
        return true;
    }
    if (is_stale_response(g)) {
        tell_note(g, GATE_NOTE_LATE, 1, NULL, &r->stream.scanner->line.message[0].id);
        return reject(g, GATE_FAILURE_ENDED);
    }
    switch (gate_core_judge(&g->core, front_line(g), g->now_us, &failure)) {
    case GATE_WAIT:
        return false;
    case GATE_REJECT:
        return reject(g, failure);
    case GATE_PASS:
        break;
    }
    if (r->stream.front == STREAM_PART)
        begin_long(g);
    else
        pass_whole(g);
    return true;
}

static void flush(struct gate *g)
{
    if (!end_is_open(&g->child.in))
        return;
    int r = stream_flush(&g->requests.stream);
    if (r == -EAGAIN || r == 0)
        return;
    if (r == -EPIPE) /* it reads no more: most likely it is about to end */
        g->child.in.hungup = true;
    else /* half of a copy was written, the rest cannot be read */
        (void)kill(g->child.pid, SIGKILL);
}

/* A line that is let through in parts goes out as it comes; one that waits leaves the pipe alone. */
static void judge_all(struct gate *g)
{
    struct requests *r = &g->requests;
    r->waits = false;
    while (stream_look(&r->stream) != STREAM_NOTHING) {
        if (!decide(g)) {
            r->waits = true;
            return;
        }
        g->moved = true;
    }
}

void requests_turn(struct gate *g)
{
    struct requests *r = &g->requests;
    if (!g->welcomed || g->ending.active)
        return;
    flush(g);
    if (!r->waits && stream_fill(&r->stream) > 0)
        g->moved = true;
    judge_all(g);
    flush(g);
    const struct stream *s = &r->stream;
    if (s->ended && !r->closed_told && s->sent == s->filled && s->front == STREAM_NOTHING &&
        s->mode == STREAM_JUDGE) { /* and written: nothing can come back to the front */
        r->closed_told = true;
        g->moved = true;
        gate_core_server_closed(&g->core);
    }
}

/* ------------------------------------------ taking back ------------------------------------------ */

static void recall_slots(struct gate *g, uint64_t from)
{
    for (int slot = 0; slot < GATE_SLOTS_MAX; slot++) {
        const struct gate_slot *s = &g->core.slots[slot];
        if (s->state != GATE_SLOT_SENT || s->generation != g->core.generation ||
            g->ledger.slots[slot].line.offset < from)
            continue;
        gate_core_recall(&g->core, slot);
        answers_forget_slot(g, slot);
    }
}

void requests_recall(struct gate *g)
{
    struct requests *r = &g->requests;
    bool was_long = r->stream.mode == STREAM_FORWARD;
    uint64_t from = stream_recall(&r->stream);
    recall_slots(g, from);
    if (was_long && r->stream.mode == STREAM_JUDGE) {
        drop_copy(g);
        gate_core_recall(&g->core, -1);
    }
}

void requests_worker_ended(struct gate *g)
{
    struct requests *r = &g->requests;
    requests_recall(g);
    if (end_is_open(&g->child.in))
        takeback(g);
    if (r->stream.mode == STREAM_FORWARD) {
        r->cut = true;
        r->stream.mode = STREAM_SWALLOW;
    }
    stream_forget_passed(&r->stream);
    r->stream.written = 0;
    r->waits = false;
    end_close(&g->child.in);
}
