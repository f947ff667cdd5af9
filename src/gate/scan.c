/* SPDX-License-Identifier: MIT */
/*
 * The grammar of a line. A state says what may come next; each step takes bytes in the present state, as many as it
 * can, and says which state follows. So a chunk may end anywhere, and all that is remembered is in struct scanner.
 *
 *   LINE -- { --> FIRST_KEY -- " --> NAME -- " --> COLON -- : --> VALUE --> (a value) --> VALUE_END
 *     |               |                ^                                                  |  |
 *     |               }               KEY <----------------------- , ---------------------+  }
 *     |               +-> LINE_END, or ENTRY_END in a batch <--------------------------------+
 *     +-- [ --> FIRST_ENTRY --> { or (a value) --> ENTRY_END -- , --> ENTRY --> { or (a value)
 *                                                          +--- ] --> LINE_END
 *   (a value): TEXT (the string of an id or a method), NUMBER, WORD, or skipped: STRING, NESTED
 *
 * A step never takes a newline: that one ends the line, whatever the state; only in LINE_END is the line JSON. What can
 * be no message goes to BROKEN, where only the newline is looked for.
 */
#include "scan.h"

#include <string.h>

#include "scan_part.h"
#include "scan_skip.h"
#include "weir/base/cleanup.h"

enum scan_state {
    STATE_LINE,        /* nothing but white space so far */
    STATE_FIRST_ENTRY, /* of a batch, or its end */
    STATE_ENTRY,
    STATE_ENTRY_END, /* a comma or the batch's end */
    STATE_FIRST_KEY, /* of a message, or its end */
    STATE_KEY,
    STATE_COLON,
    STATE_VALUE,     /* of a member */
    STATE_VALUE_END, /* a comma or the message's end */
    STATE_LINE_END,  /* all is closed: nothing but white space may follow */
    STATE_NAME,      /* in a key */
    STATE_TEXT,      /* in a string that is decoded */
    STATE_NUMBER,
    STATE_WORD,
    STATE_STRING, /* in a string that is skipped */
    STATE_NESTED, /* in an array or object that is skipped */
    STATE_BROKEN,
};

enum scan_member { MEMBER_UNKNOWN, MEMBER_ID, MEMBER_METHOD, MEMBER_RESULT, MEMBER_ERROR };

enum value_type { VALUE_STRING, VALUE_NUMBER, VALUE_NULL, VALUE_OTHER };

#define SEEN(member) (1U << (member))

/* ------------------------------------------ what a line tells ------------------------------------------ */

static void message_reset(struct scan_message *m)
{
    m->kind = SCAN_OTHER;
    m->has_error = false;
    m->method_cut = false;
    m->method[0] = '\0';
    m->id.kind = SCAN_ID_NONE;
    m->id.raw_length = 0;
    m->id.key_length = 0;
}

static void line_reset(struct scanner *s)
{
    s->line.is_batch = false;
    s->line.is_blank = false;
    s->line.count = 1;
    s->line.untold = 0;
    message_reset(&s->line.message[0]);
}

static void line_start(struct scanner *s)
{
    line_reset(s);
    s->line.length = 0;
    s->state = STATE_LINE;
    s->member = MEMBER_UNKNOWN;
    s->seen = 0;
    s->in_message = false;
    s->escaped = false;
    s->ended = false;
    s->depth = 0;
}

static void line_end(struct scanner *s)
{
    bool is_blank = s->state == STATE_LINE;
    if (s->state != STATE_LINE_END)
        line_reset(s);
    s->line.is_blank = is_blank;
    s->ended = true;
}

static struct scan_message *message_now(struct scanner *s)
{
    return s->line.untold > 0 ? &s->spare : &s->line.message[s->line.count - 1];
}

static void entry_start(struct scanner *s)
{
    if (s->line.count < SCAN_BATCH_MAX)
        s->line.count++;
    else
        s->line.untold++;
    message_reset(message_now(s));
    s->seen = 0;
}

static enum scan_kind kind_of(const struct scan_message *m, uint8_t seen)
{
    if (seen & SEEN(MEMBER_METHOD))
        return m->id.kind == SCAN_ID_NONE || m->id.kind == SCAN_ID_NULL ? SCAN_NOTIFICATION : SCAN_REQUEST;
    if (m->id.kind != SCAN_ID_NONE && seen & (SEEN(MEMBER_RESULT) | SEEN(MEMBER_ERROR)))
        return SCAN_RESPONSE;
    return SCAN_OTHER;
}

static void set_method(struct scan_message *m, const struct scan_text *t)
{
    size_t length = t->length;
    if (length >= sizeof(m->method)) {
        length = sizeof(m->method) - 1;
        while (length > 0 && ((uint8_t)t->bytes[length] & 0xc0) == 0x80)
            length--;
    }
    if (t->has_nul)
        length = strnlen(t->bytes, length);
    memcpy(m->method, t->bytes, length);
    m->method[length] = '\0';
    m->method_cut = length < t->length || t->over;
}

static void set_id(struct scanner *s, struct scan_id *id, enum value_type type)
{
    static const enum scan_id_kind kinds[] = {[VALUE_STRING] = SCAN_ID_STRING,
                                              [VALUE_NUMBER] = SCAN_ID_NUMBER,
                                              [VALUE_NULL] = SCAN_ID_NULL,
                                              [VALUE_OTHER] = SCAN_ID_OTHER};
    id->kind = kinds[type];
    id->raw_length = id->key_length = 0;
    if (type != VALUE_STRING && type != VALUE_NUMBER)
        return;
    if (s->raw_length > SCAN_ID_MAX) {
        id->kind = SCAN_ID_LONG;
        return;
    }
    if (type == VALUE_STRING) {
        /* no escape is shorter than what it stands for: what fits into raw fits into the text */
        id->key_length = s->text.length;
        memcpy(id->key, s->text.bytes, s->text.length);
    } else {
        id->key_length = scan_number_key(s->raw, s->raw_length, id->key);
        if (id->key_length == 0) {
            id->kind = SCAN_ID_LONG;
            return;
        }
    }
    id->raw_length = s->raw_length;
    memcpy(id->raw, s->raw, s->raw_length);
}

static void member_end(struct scanner *s, enum value_type type)
{
    struct scan_message *m = message_now(s);
    switch ((enum scan_member)s->member) {
    case MEMBER_UNKNOWN:
        return;
    case MEMBER_ID:
        set_id(s, &m->id, type);
        break;
    case MEMBER_METHOD:
        s->seen &= (uint8_t)~SEEN(MEMBER_METHOD);
        m->method[0] = '\0';
        m->method_cut = false;
        if (type == VALUE_STRING) {
            s->seen |= SEEN(MEMBER_METHOD);
            set_method(m, &s->text);
        }
        break;
    case MEMBER_RESULT:
        s->seen |= SEEN(MEMBER_RESULT);
        break;
    case MEMBER_ERROR:
        s->seen |= SEEN(MEMBER_ERROR);
        m->has_error = type != VALUE_NULL;
        break;
    }
    m->kind = kind_of(m, s->seen);
}

/* ------------------------------------------ values ------------------------------------------ */

static void set_broken(struct scanner *s)
{
    line_reset(s);
    s->state = STATE_BROKEN;
}

static const char *broken(struct scanner *s, const char *p)
{
    set_broken(s);
    return p;
}

static void value_end(struct scanner *s, enum value_type type)
{
    s->state = STATE_ENTRY_END;
    if (s->in_message) {
        s->state = STATE_VALUE_END;
        member_end(s, type);
    }
}

/* The text of an id, for an answer in its name. */
static void keep_raw(struct scanner *s, const char *p, const char *end)
{
    size_t count = (size_t)(end - p);
    if (s->member != MEMBER_ID || s->raw_length > SCAN_ID_MAX)
        return;
    if (count > SCAN_ID_MAX - (size_t)s->raw_length) {
        s->raw_length = SCAN_ID_MAX + 1;
        return;
    }
    memcpy(s->raw + s->raw_length, p, count);
    s->raw_length = (uint16_t)(s->raw_length + count);
}

static enum scan_member member_of(const struct scan_text *name)
{
    static const struct {
        char name[7];
        uint8_t length;
        enum scan_member member;
    } members[] = {
        {"id", 2, MEMBER_ID},
        {"method", 6, MEMBER_METHOD},
        {"result", 6, MEMBER_RESULT},
        {"error", 5, MEMBER_ERROR},
    };
    for (size_t i = 0; i < ARRAY_SIZE(members); i++)
        if (name->length == members[i].length && name->bytes[0] == members[i].name[0] &&
            memcmp(name->bytes, members[i].name, name->length) == 0)
            return members[i].member;
    return MEMBER_UNKNOWN;
}

static const char *step_text(struct scanner *s, const char *p, const char *end)
{
    enum scan_text_outcome outcome;
    const char *next = scan_text_take(&s->text, p, end, &outcome);
    keep_raw(s, p, next);
    switch (outcome) {
    case SCAN_TEXT_MORE:
        return next;
    case SCAN_TEXT_BAD:
        return broken(s, next);
    case SCAN_TEXT_END:
        break;
    }
    if (s->state == STATE_TEXT) {
        value_end(s, VALUE_STRING);
        return next;
    }
    if (s->text.has_nul)
        return broken(s, next);
    s->member = (uint8_t)member_of(&s->text);
    s->state = STATE_COLON;
    return next;
}

static const char *step_number(struct scanner *s, const char *p, const char *end)
{
    const char *next = scan_number_take(&s->number_step, p, end);
    keep_raw(s, p, next);
    if (next == end)
        return next;
    if (!scan_number_is_whole(s->number_step))
        return broken(s, next);
    value_end(s, VALUE_NUMBER);
    return next;
}

static const char *step_word(struct scanner *s, const char *p, const char *end)
{
    const char *word = s->word == 't' ? "true" : s->word == 'f' ? "false" : "null";
    for (; p < end && word[s->word_length]; p++, s->word_length++)
        if (*p != word[s->word_length])
            return broken(s, p);
    if (!word[s->word_length])
        value_end(s, s->word == 'n' ? VALUE_NULL : VALUE_OTHER);
    return p;
}

/* ------------------------------------------ what is skipped ------------------------------------------ */

static const char *step_string(struct scanner *s, const char *p, const char *end)
{
    while (p < end) {
        if (s->escaped) {
            s->escaped = false;
            if ((uint8_t)*p < 0x20)
                return broken(s, p);
            p++;
        }
        p = skip_to(p, end, skip_string_bytes, skip_string_byte);
        if (p == end)
            break;
        if (*p == '"') {
            value_end(s, VALUE_STRING);
            return p + 1;
        }
        if (*p != '\\')
            return broken(s, p);
        s->escaped = true;
        p++;
    }
    return p;
}

/* False: too deep. Bit 0x20 tells a brace from a bracket. */
static bool push(struct scanner *s, char c)
{
    uint64_t bit = UINT64_C(1) << (s->depth % 64), *word = &s->is_object[s->depth / 64];
    *word = c & 0x20 ? *word | bit : *word & ~bit;
    return ++s->depth <= SCAN_DEPTH_MAX;
}

/* False: the other kind is open. */
static bool pop(struct scanner *s, char c)
{
    s->depth--;
    return (s->is_object[s->depth / 64] >> (s->depth % 64) & 1) == (c & 0x20 ? 1 : 0);
}

/* A bracket or brace; whether the skipped value goes on. */
static bool take_bracket(struct scanner *s, char c)
{
    bool is_open = (c | 0x20) == '{';
    if (!(is_open ? push(s, c) : pop(s, c)))
        set_broken(s);
    else if (s->depth == s->floor)
        value_end(s, VALUE_OTHER);
    return s->state == STATE_NESTED;
}

/* Of a block of `count` bytes those that matter, a bit of `hits` for each. Returns how many bytes were taken: all of them
 * unless the value ends, by a bracket, a newline, or by a byte that cannot be. */
static size_t take_hits(struct scanner *s, const char *block, size_t count, uint64_t hits)
{
    bool in_string = s->in_string;
    for (; hits; hits &= hits - 1) {
        size_t at = (size_t)__builtin_ctzll(hits);
        uint8_t c = (uint8_t)block[at];
        if (c == '"') {
            in_string = !in_string;
        } else if (c < 0x20) {
            if (in_string)
                set_broken(s);
            if (in_string || c == '\n')
                return at;
        } else if (!in_string) {
            if (c != '\\' && !take_bracket(s, (char)c))
                return at + 1;
        } else if (c == '\\') {
            if (at + 1 == count)
                s->escaped = true;
            else if ((uint8_t)block[at + 1] >= 0x20)
                hits &= ~(UINT64_C(2) << at);
        }
    }
    s->in_string = in_string;
    return count;
}

static const char *step_nested(struct scanner *s, const char *p, const char *end)
{
    while (p < end) {
        size_t count = (size_t)(end - p), taken;
        char padded[SKIP_BLOCK];
        const char *block = p;
        if (count < SKIP_BLOCK) {
            memset(padded, 'x', sizeof(padded));
            block = memcpy(padded, p, count);
        } else {
            count = SKIP_BLOCK;
        }
        uint64_t hits = skip_nested(block);
        if (s->escaped && (uint8_t)*p >= 0x20)
            hits &= ~UINT64_C(1);
        s->escaped = false;
        taken = take_hits(s, block, count, hits);
        p += taken;
        if (taken < count || s->state != STATE_NESTED)
            break;
    }
    return p;
}

/* ------------------------------------------ the grammar ------------------------------------------ */

static bool is_decoded(const struct scanner *s)
{
    return s->member == MEMBER_ID || s->member == MEMBER_METHOD;
}

/* At the first character of a value, which is not blank; returns where the value's step goes on. */
static const char *value_start(struct scanner *s, const char *p)
{
    s->raw_length = 0;
    switch (*p) {
    case '"':
        s->state = is_decoded(s) ? STATE_TEXT : STATE_STRING;
        scan_text_start(&s->text);
        keep_raw(s, p, p + 1);
        return p + 1;
    case '{':
    case '[':
        s->state = STATE_NESTED;
        s->in_string = false;
        s->floor = s->depth;
        return push(s, *p) ? p + 1 : broken(s, p);
    case 't':
    case 'f':
    case 'n':
        s->state = STATE_WORD;
        s->word = (uint8_t)*p;
        s->word_length = 1;
        return p + 1;
    default:
        s->state = STATE_NUMBER;
        s->number_step = SCAN_NUMBER_START;
        return p;
    }
}

static const char *message_start(struct scanner *s, const char *p)
{
    s->in_message = true;
    s->depth++;
    s->state = STATE_FIRST_KEY;
    return p + 1;
}

static const char *message_end(struct scanner *s, const char *p)
{
    s->in_message = false;
    s->member = MEMBER_UNKNOWN;
    s->depth--;
    s->state = s->line.is_batch ? STATE_ENTRY_END : STATE_LINE_END;
    return p + 1;
}

static const char *batch_start(struct scanner *s, const char *p)
{
    s->line.is_batch = true;
    s->line.count = 0;
    s->depth++;
    s->state = STATE_FIRST_ENTRY;
    return p + 1;
}

static const char *batch_end(struct scanner *s, const char *p)
{
    if (s->line.count == 0)
        line_reset(s);
    s->state = STATE_LINE_END;
    return p + 1;
}

static const char *name_start(struct scanner *s, const char *p)
{
    s->state = STATE_NAME;
    s->member = MEMBER_UNKNOWN;
    scan_text_start(&s->text);
    return p + 1;
}

static const char *state_after(struct scanner *s, const char *p, enum scan_state state)
{
    s->state = (uint8_t)state;
    return p + 1;
}

static const char *entry(struct scanner *s, const char *p)
{
    entry_start(s);
    return *p == '{' ? message_start(s, p) : value_start(s, p);
}

/* One character between values. */
static const char *step_mark(struct scanner *s, const char *p)
{
    switch ((enum scan_state)s->state) {
    case STATE_LINE:
        return *p == '{' ? message_start(s, p) : *p == '[' ? batch_start(s, p) : broken(s, p);
    case STATE_FIRST_ENTRY:
        return *p == ']' ? batch_end(s, p) : entry(s, p);
    case STATE_ENTRY:
        return entry(s, p);
    case STATE_ENTRY_END:
        return *p == ',' ? state_after(s, p, STATE_ENTRY) : *p == ']' ? batch_end(s, p) : broken(s, p);
    case STATE_FIRST_KEY:
        return *p == '"' ? name_start(s, p) : *p == '}' ? message_end(s, p) : broken(s, p);
    case STATE_KEY:
        return *p == '"' ? name_start(s, p) : broken(s, p);
    case STATE_COLON:
        return *p == ':' ? state_after(s, p, STATE_VALUE) : broken(s, p);
    case STATE_VALUE:
        return value_start(s, p);
    case STATE_VALUE_END:
        return *p == ',' ? state_after(s, p, STATE_KEY) : *p == '}' ? message_end(s, p) : broken(s, p);
    case STATE_LINE_END:
    case STATE_NAME:
    case STATE_TEXT:
    case STATE_NUMBER:
    case STATE_WORD:
    case STATE_STRING:
    case STATE_NESTED:
    case STATE_BROKEN:
        break;
    }
    return broken(s, p);
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static const char *step_broken(const char *p, const char *end)
{
    const char *newline = memchr(p, '\n', (size_t)(end - p));
    return newline ? newline : end;
}

/* At a character that is no newline. */
static const char *step(struct scanner *s, const char *p, const char *end)
{
    switch ((enum scan_state)s->state) {
    case STATE_LINE:
    case STATE_FIRST_ENTRY:
    case STATE_ENTRY:
    case STATE_ENTRY_END:
    case STATE_FIRST_KEY:
    case STATE_KEY:
    case STATE_COLON:
    case STATE_VALUE:
    case STATE_VALUE_END:
    case STATE_LINE_END:
        return is_blank(*p) ? p + 1 : step_mark(s, p);
    case STATE_NAME:
    case STATE_TEXT:
        return step_text(s, p, end);
    case STATE_NUMBER:
        return step_number(s, p, end);
    case STATE_WORD:
        return step_word(s, p, end);
    case STATE_STRING:
        return step_string(s, p, end);
    case STATE_NESTED:
        return step_nested(s, p, end);
    case STATE_BROKEN:
        break;
    }
    return step_broken(p, end);
}

void scan_init(struct scanner *s)
{
    line_start(s);
}

size_t scan_feed(struct scanner *s, const char *data, size_t size, bool *ret_end)
{
    const char *p = data, *end = size > 0 ? data + size : data;
    if (s->ended)
        line_start(s);
    while (p < end && *p != '\n')
        p = step(s, p, end);
    *ret_end = p < end;
    size_t taken = size == 0 ? 0 : (size_t)(p - data) + (*ret_end ? 1 : 0);
    s->line.length += taken;
    if (*ret_end)
        line_end(s);
    return taken;
}
