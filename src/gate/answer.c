/* SPDX-License-Identifier: MIT */
/* Error answers; see the header. */
#include "answer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What is put in must stay JSON whatever a method or a cause is made of. */
static size_t utf8_length(const unsigned char *p)
{
    size_t length = p[0] < 0x80                   ? 1
                    : p[0] >= 0xc2 && p[0] < 0xe0 ? 2
                    : p[0] >= 0xe0 && p[0] < 0xf0 ? 3
                    : p[0] >= 0xf0 && p[0] < 0xf5 ? 4
                                                  : 0;
    for (size_t i = 1; i < length; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) || (p[0] == 0xf0 && p[1] < 0x90) ||
        (p[0] == 0xf4 && p[1] > 0x8f))
        return 0;
    return length;
}

static void put_escaped(FILE *out, const char *text)
{
    for (const unsigned char *p = (const unsigned char *)text; *p;) {
        size_t length = utf8_length(p);
        if (length == 0) {
            (void)fputc('?', out);
            length = 1;
        } else if (*p == '"' || *p == '\\') {
            (void)fprintf(out, "\\%c", *p);
        } else if (*p < 0x20 || *p == 0x7f) {
            (void)fprintf(out, "\\u%04x", *p);
        } else {
            (void)fwrite(p, 1, length, out);
        }
        p += length;
    }
}

const char *answer_failure_name(enum gate_failure failure)
{
    switch (failure) {
    case GATE_FAILURE_ENDED:
        return "ended";
    case GATE_FAILURE_POISON:
        return "poison";
    case GATE_FAILURE_IMPATIENT:
        return "impatient";
    case GATE_FAILURE_DOWN:
        return "down";
    }
    return "";
}

static void put_cause(FILE *out, const struct answer *a)
{
    if (a->cause[0] == '\0')
        return;
    (void)fputs(" (", out);
    put_escaped(out, a->cause);
    (void)fputc(')', out);
}

static void put_message(FILE *out, const struct answer *a, const char *method)
{
    const char *name = method[0] ? method : "a request";
    switch (a->failure) {
    case GATE_FAILURE_ENDED:
        (void)fputs("worker ended", out);
        put_cause(out, a);
        (void)fputs(" while ", out);
        put_escaped(out, name);
        (void)fputs(" was in flight", out);
        break;
    case GATE_FAILURE_POISON:
        (void)fputs("worker ended", out);
        put_cause(out, a);
        (void)fputs(" each time ", out);
        put_escaped(out, name);
        (void)fprintf(out, " was sent to it (%u times)", a->tries);
        break;
    case GATE_FAILURE_IMPATIENT:
        put_escaped(out, name);
        (void)fputs(" waited longer than gate_patience for a worker", out);
        put_cause(out, a);
        break;
    case GATE_FAILURE_DOWN:
        (void)fputs("there is no worker for ", out);
        put_escaped(out, name);
        put_cause(out, a);
        break;
    }
}

static void put_error(FILE *out, const struct answer *a, const struct scan_id *id, const char *method)
{
    (void)fputs("{\"jsonrpc\":\"2.0\",\"id\":", out);
    (void)fwrite(id->raw, 1, id->raw_length, out);
    (void)fprintf(out, ",\"error\":{\"code\":%d,\"message\":\"", ANSWER_ERROR_CODE);
    put_message(out, a, method);
    (void)fputs("\",\"data\":{\"weir\":{\"unit\":\"", out);
    put_escaped(out, a->unit);
    (void)fputs("\",\"cause\":\"", out);
    put_escaped(out, a->cause);
    (void)fputs("\",\"method\":\"", out);
    put_escaped(out, method);
    (void)fprintf(out, "\",\"generation\":%u,\"failure\":\"%s\"}}}}", a->generation,
                  answer_failure_name(a->failure));
}

/* NULL when it is empty, or memory ran out on the way. */
static char *finish(FILE *out, char **text, size_t *ret_size, bool is_empty)
{
    bool failed = ferror(out) != 0;
    if (fclose(out) != 0 || failed || is_empty) {
        free(*text);
        *text = NULL;
        *ret_size = 0;
    }
    return *text;
}

char *answer_for_slot(const struct answer *a, const struct ledger *l, int slot, const struct figures *f,
                      size_t *ret_size)
{
    const struct ledger_slot *s = &l->slots[slot];
    char *text = NULL;
    FILE *out = open_memstream(&text, ret_size);
    if (!out)
        return NULL;
    if (s->is_batch)
        (void)fputc('[', out);
    for (uint16_t at = s->first; at != LEDGER_NONE; at = l->ids[at].next_of_slot) {
        if (at != s->first)
            (void)fputc(',', out);
        put_error(out, a, &l->ids[at].id, f->method[l->ids[at].method].name);
    }
    (void)fputs(s->is_batch ? "]\n" : "\n", out);
    return finish(out, &text, ret_size, s->count == 0);
}

char *answer_for_line(const struct answer *a, const struct scan_line *line, size_t *ret_size)
{
    char *text = NULL;
    bool is_empty = true;
    FILE *out = open_memstream(&text, ret_size);
    if (!out)
        return NULL;
    if (line->is_batch)
        (void)fputc('[', out);
    for (uint32_t i = 0; i < line->count; i++) {
        const struct scan_message *m = &line->message[i];
        if (m->kind != SCAN_REQUEST || m->id.raw_length == 0)
            continue;
        if (!is_empty)
            (void)fputc(',', out);
        put_error(out, a, &m->id, m->method);
        is_empty = false;
    }
    (void)fputs(line->is_batch ? "]\n" : "\n", out);
    return finish(out, &text, ret_size, is_empty);
}
