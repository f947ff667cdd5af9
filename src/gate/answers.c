/* SPDX-License-Identifier: MIT */
/*
 * The worker's lines: matched with what is open, delivered. An answer to the replayed handshake is swallowed: the server
 * had it long ago. An answer that fits into the buffer goes out whole or not at all; of a longer one that its worker's end
 * cuts off the beginning is gone, so it is ended with a newline, and what follows is readable.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "gate.h"

int answers_init(struct gate *g)
{
    return stream_init(&g->answers.stream, &g->child.out, &g->server_out);
}

void answers_forget_slot(struct gate *g, int slot)
{
    struct ledger_line *l = &g->ledger.slots[slot].line;
    copy_drop(&g->copies, &l->copy);
    ledger_close(&g->ledger, slot);
    if (g->alone_slot == slot)
        g->alone_slot = -1;
}

void answers_insert(struct gate *g, char *text, size_t size)
{
    if (!text || g->answers.dead) {
        free(text);
        return;
    }
    stream_insert_text(&g->answers.stream, text, size);
    g->moved = true;
}

/* ------------------------------------------ what an answer means ------------------------------------------ */

/* The answer to the handshake line that is out? Nothing else is in flight then. */
static bool is_handshake_answer(const struct gate *g, const struct scan_message *m)
{
    if (g->core.worker != GATE_WORKER_HANDSHAKE || g->handshake_out < 0)
        return false;
    const struct scan_id *id = &g->handshake[g->handshake_out].id;
    return m->id.kind == id->kind && m->id.key_length == id->key_length &&
           memcmp(m->id.key, id->key, id->key_length) == 0;
}

static void handshake_answered(struct gate *g, bool ok)
{
    if (!ok)
        tell_note(g, GATE_NOTE_HANDSHAKE_FAILED, 1, g->settings.handshake[g->handshake_out],
                  &g->handshake[g->handshake_out].id);
    g->handshake_out = -1;
    gate_core_handshake_answered(&g->core, ok);
    g->moved = true;
}

/* The request that a worker accepted is what the next one is told. */
static void record_handshake(struct gate *g, int slot, const struct scan_id *id)
{
    struct ledger_line *l = &g->ledger.slots[slot].line;
    if (!l->handshake || !copy_is_kept(&l->copy) || l->handshake_at >= g->settings.handshake_count)
        return;
    struct handshake *h = &g->handshake[l->handshake_at];
    beside_copy_goes(g, &h->copy);
    copy_move(&g->copies, &h->copy, &l->copy);
    h->id = *id;
}

static void end_growth(struct gate *g, int slot, uint16_t method)
{
    if (g->alone_slot != slot)
        return;
    uint64_t after = child_memory(&g->child);
    if (after > 0)
        figures_growth(&g->figures, method, (int64_t)(after - g->ledger.slots[slot].line.memory_before));
    g->alone_slot = -1;
}

/* One message that answers a request. False: it is an earlier worker's, and goes no further. */
static bool answered(struct gate *g, uint16_t at, const struct scan_message *m)
{
    const struct ledger_id *id = &g->ledger.ids[at];
    int slot = id->slot;
    const struct ledger_slot *s = &g->ledger.slots[slot];
    bool last = s->count == 1;
    if (!gate_core_answered(&g->core, slot, g->core.generation, last)) {
        tell_note(g, GATE_NOTE_LATE, 1, g->figures.method[id->method].name, &m->id);
        return false;
    }
    figures_answer(&g->figures, id->method, m->has_error, g->now_us - id->since_us, g->now_us);
    if (last && !s->is_batch)
        end_growth(g, slot, id->method);
    if (last && !s->is_batch && !m->has_error)
        record_handshake(g, slot, &id->id);
    (void)ledger_answer(&g->ledger, at); /* *id is free now */
    if (last)
        answers_forget_slot(g, slot);
    tell_changed(g);
    return true;
}

/* An array answers a whole batch: what it leaves out will not come. */
static void close_batch(struct gate *g, int slot)
{
    if (slot < 0 || g->ledger.slots[slot].count == 0)
        return;
    if (gate_core_answered(&g->core, slot, g->core.generation, true))
        answers_forget_slot(g, slot);
}

/* Enters what the line answers. False: it must not be delivered. */
static bool settle_line(struct gate *g, const struct scan_line *line)
{
    int batch = -1;
    uint64_t bytes = line->length;
    for (uint32_t i = 0; i < line->count; i++) {
        const struct scan_message *m = &line->message[i];
        if (m->kind == SCAN_REQUEST)
            asked_add(&g->asked, &m->id, g->lives);
        if (m->kind != SCAN_RESPONSE)
            continue;
        if (!line->is_batch && is_handshake_answer(g, m)) {
            handshake_answered(g, !m->has_error);
            return false;
        }
        uint16_t at = ledger_find(&g->ledger, &m->id);
        if (at == LEDGER_NONE)
            continue; /* nobody's; but it is not ours to say so */
        int slot = g->ledger.ids[at].slot;
        uint16_t method = g->ledger.ids[at].method;
        if (line->is_batch && g->ledger.slots[slot].is_batch)
            batch = slot;
        if (!answered(g, at, m) && !line->is_batch)
            return false;
        figures_answer_bytes(&g->figures, method, bytes);
        bytes = 0; /* of a batch: the first one's */
    }
    close_batch(g, batch);
    if (line->count == 1 && line->message[0].kind == SCAN_OTHER && !line->is_batch && !line->is_blank)
        tell_note(g, GATE_NOTE_NOT_JSON, 1, NULL, NULL);
    return true;
}

/* ------------------------------------------ a line's way ------------------------------------------ */

/* Of an answer that is longer than the buffer, while its id may not have come: during the handshake it is the answer to
 * that, unless it is something the worker says by itself. */
static bool is_for_server(const struct gate *g, const struct scan_line *line)
{
    const struct scan_message *m = &line->message[0];
    if (g->core.worker != GATE_WORKER_HANDSHAKE || g->handshake_out < 0)
        return true;
    return m->method[0] != '\0' || (m->id.kind != SCAN_ID_NONE && !is_handshake_answer(g, m));
}

/* What becomes of the front, which is not the rest that a worker's end left. */
static void decide(struct gate *g)
{
    struct stream *s = &g->answers.stream;
    bool deliver = true;
    if (s->scanner && s->front == STREAM_PART)
        deliver = s->mode != STREAM_JUDGE || is_for_server(g, &s->scanner->line);
    else if (s->scanner)
        deliver = settle_line(g, &s->scanner->line);
    if (s->mode == STREAM_FORWARD)
        deliver = true; /* it is on its way */
    if (deliver && s->mode != STREAM_SWALLOW && !g->answers.dead)
        stream_pass(s);
    else
        stream_drop(s);
    g->moved = true;
}

static void judge_all(struct gate *g)
{
    struct stream *s = &g->answers.stream;
    while (stream_look(s) != STREAM_NOTHING && s->front != STREAM_TAIL)
        decide(g);
}

/* The server reads no more. The worker shall know as it would without us: its next write fails. */
static void server_is_gone(struct gate *g)
{
    g->answers.dead = true;
    stream_forget_passed(&g->answers.stream);
    end_close(&g->server_out);
    end_close(&g->child.out);
    g->moved = true;
}

static void flush(struct gate *g)
{
    if (g->answers.dead)
        return;
    int r = stream_flush(&g->answers.stream);
    if (r < 0 && r != -EAGAIN)
        server_is_gone(g);
}

/* It closed its output, and lives: that is passed on, after a while in which it may turn out to end. */
static void pass_on_close(struct gate *g)
{
    struct answers *a = &g->answers;
    struct stream *s = &a->stream;
    const uint64_t patience_us = 1000000; /* as designed */
    if (!s->ended || a->dead || !life_is_running(g))
        return;
    if (a->ended_us == 0)
        a->ended_us = g->now_us;
    gate_wake_at(g, a->ended_us + patience_us);
    if (g->now_us < a->ended_us + patience_us)
        return;
    if (s->front == STREAM_TAIL) {
        if (s->scanner)
            (void)settle_line(g, &s->scanner->line);
        stream_pass(s);
        flush(g);
    }
    if (s->sent < s->passed || s->insertion.size > 0)
        return;
    a->dead = true; /* a next worker would not reach the server either */
    end_close(&g->server_out);
}

void answers_turn(struct gate *g)
{
    struct answers *a = &g->answers;
    flush(g);
    if (stream_fill(&a->stream) > 0)
        g->moved = true;
    judge_all(g);
    flush(g);
    pass_on_close(g);
}

/* ------------------------------------------ a worker's end ------------------------------------------ */

static bool is_whole_message(const struct scan_line *line)
{
    return line->is_batch || line->message[0].kind != SCAN_OTHER;
}

void answers_worker_ended(struct gate *g)
{
    struct stream *s = &g->answers.stream;
    s->ended = true;
    judge_all(g);
    if (s->front != STREAM_TAIL || s->mode != STREAM_JUDGE || !s->scanner ||
        !is_whole_message(&s->scanner->line))
        return;
    /* it only lacks the newline */
    if (!settle_line(g, &s->scanner->line) || g->answers.dead) {
        stream_drop(s);
        return;
    }
    stream_pass(s);
    g->answers.unended = true;
}

/* As it is when nothing follows it: what is read then is what was written. Else without the half of a line, or with an
 * end to it if the server has its beginning. */
void answers_settle(struct gate *g)
{
    struct stream *s = &g->answers.stream;
    bool is_last = (g->core.exit_due || g->core.stopped || g->core.server_closed) && g->core.used == 0;
    if (g->answers.unended && !is_last)
        stream_break(s);
    if (s->front == STREAM_TAIL && is_last && s->mode != STREAM_SWALLOW && !g->answers.dead) {
        stream_pass(s);
    } else if (s->front == STREAM_TAIL) {
        bool begun = s->mode == STREAM_FORWARD;
        bool counts = s->mode != STREAM_SWALLOW;
        stream_drop(s);
        if (begun)
            stream_break(s);
        if (counts)
            tell_note(g, GATE_NOTE_BROKEN, 1, NULL, NULL);
    }
    s->ended = g->answers.unended = false;
    g->answers.ended_us = 0;
    if (s->scanner)
        scan_init(s->scanner);
}
