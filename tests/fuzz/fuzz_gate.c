/* SPDX-License-Identifier: MIT */
/*
 * Lines for the gate's scanner, against jansson.
 *
 * 1. What jansson accepts as it stands must give the facts that follow from jansson's tree.
 * 2. The scanner is lenient on purpose inside of the values that it skips, jansson is not. So each line is also reduced:
 *    token by token, a value that is skipped becomes an empty one of its type, an id becomes an array of what it is and
 *    how it was written; all other bytes stay. Of a reduced line the scanner must say what jansson says, in both
 *    directions: what jansson rejects is no message. The reducer looks at a line as a whole, and shares nothing with the
 *    scanner.
 * 3. All of it fed whole, and in chunks that the input chooses.
 */
#include "fuzz.h"

#include <ctype.h>
#include <jansson.h>
#include <regex.h>

#include "rng.h"
#include "scan.h"
#include "weir/base/cleanup.h"

#define DECODE (JSON_DECODE_ANY | JSON_ALLOW_NUL)
/* Longer than that a number's key may not fit: digits, a sign, an exponent of 10 digits and its sign. */
#define KEY_SURE_MAX 110
/* Beyond that the power of ten may be above 1000000000: the digits add or take as many as there are of them. */
#define EXPONENT_SURE_MAX 999999800

static void cleanup_json(json_t **j)
{
    json_decref(*j);
}
#define _cleanup_json_ _cleanup_(cleanup_json)

struct span {
    const char *p, *end;
};

static json_t *load(struct span s)
{
    json_error_t e;
    return json_loadb(s.p, (size_t)(s.end - s.p), DECODE, &e);
}

/* ------------------------------------------ facts from a tree ------------------------------------------ */

struct number_text {
    char text[SCAN_ID_MAX + 1];
};

static struct number_text number_text(const char *bytes, size_t length)
{
    struct number_text n;
    HOLDS(length > 0 && length < sizeof(n.text));
    memcpy(n.text, bytes, length);
    n.text[length] = '\0';
    HOLDS(strlen(n.text) == length);
    return n;
}

static bool is_number(const char *text)
{
    static regex_t number;
    static bool compiled;
    const char *grammar = "^-?(0|[1-9][0-9]*)(\\.[0-9]+)?([eE][-+]?[0-9]+)?$";
    if (!compiled)
        HOLDS(regcomp(&number, grammar, REG_EXTENDED | REG_NOSUB) == 0);
    compiled = true;
    return regexec(&number, text, 0, NULL, 0) == 0;
}

/* The key means what raw means, and no other key does. */
static void check_number_key(const struct scan_id *id)
{
    struct number_text raw = number_text(id->raw, id->raw_length), key = number_text(id->key, id->key_length);
    HOLDS(is_number(raw.text) && is_number(key.text));
    HOLDS(strtod(raw.text, NULL) == strtod(key.text, NULL));
    const char *digits = key.text[0] == '-' ? key.text + 1 : key.text, *e = strchr(digits, 'e');
    HOLDS(!strpbrk(key.text, ".E+"));
    HOLDS(digits[0] != '0' || strcmp(key.text, "0") == 0);
    HOLDS(!e || e[-1] != '0');
    HOLDS(e ? e[1] == '-' || e - digits + atoll(e + 1) > 21 : strlen(digits) <= 21);
}

static bool is_bytes(const char *bytes, size_t length, const json_t *string)
{
    return json_string_length(string) == length && memcmp(bytes, json_string_value(string), length) == 0;
}

/* raw: the text of a valid number, of any size. */
static void check_number(const struct scan_id *id, const json_t *raw)
{
    if (id->kind == SCAN_ID_LONG) {
        const char *e = strpbrk(json_string_value(raw), "eE");
        double exponent = e ? strtod(e + 1, NULL) : 0;
        HOLDS(json_string_length(raw) > KEY_SURE_MAX || exponent > EXPONENT_SURE_MAX ||
              exponent < -EXPONENT_SURE_MAX);
        return;
    }
    HOLDS(id->kind == SCAN_ID_NUMBER);
    HOLDS(is_bytes(id->raw, id->raw_length, raw));
    check_number_key(id);
}

/* An id of a reduced line: [raw] of a number, [value, raw] of a string. */
static void check_reduced_id(const struct scan_id *id, const json_t *j)
{
    const json_t *raw = json_array_get(j, json_array_size(j) - 1);
    if (json_array_size(j) == 1) {
        check_number(id, raw);
        return;
    }
    if (json_string_length(raw) > SCAN_ID_MAX) {
        HOLDS(id->kind == SCAN_ID_LONG);
        return;
    }
    HOLDS(id->kind == SCAN_ID_STRING);
    HOLDS(is_bytes(id->raw, id->raw_length, raw));
    HOLDS(is_bytes(id->key, id->key_length, json_array_get(j, 0)));
}

/* An id of a line as it stands; that its text says the same is checked by reading that. */
static void check_plain_id(const struct scan_id *id, const json_t *j)
{
    if (id->kind == SCAN_ID_LONG) {
        HOLDS(json_is_string(j) || json_is_number(j));
        return;
    }
    _cleanup_json_ json_t *raw = load((struct span){id->raw, id->raw + id->raw_length});
    HOLDS(json_equal(raw, j));
    HOLDS(id->kind == (json_is_string(j) ? SCAN_ID_STRING : SCAN_ID_NUMBER));
    if (json_is_string(j)) {
        HOLDS(is_bytes(id->key, id->key_length, j));
        return;
    }
    check_number_key(id);
    if (json_is_integer(j)) {
        char text[32];
        int length = snprintf(text, sizeof(text), "%lld", (long long)json_integer_value(j));
        HOLDS(length == id->key_length && memcmp(text, id->key, id->key_length) == 0);
    }
}

static void check_id(const struct scan_id *id, const json_t *j, bool is_reduced)
{
    if (is_reduced && json_array_size(j) > 0) {
        check_reduced_id(id, j);
        return;
    }
    if (json_is_string(j) || json_is_number(j)) {
        HOLDS(!is_reduced);
        check_plain_id(id, j);
        return;
    }
    HOLDS(id->kind == (!j ? SCAN_ID_NONE : json_is_null(j) ? SCAN_ID_NULL : SCAN_ID_OTHER));
    HOLDS(id->raw_length == 0 && id->key_length == 0);
}

/* The bytes that are told: whole characters, before a NUL. */
static size_t method_length(const json_t *method)
{
    const char *text = json_string_value(method);
    size_t length = json_string_length(method), told = 0;
    for (size_t i = 1; i <= length; i++)
        if (i < SCAN_METHOD_MAX && (i == length || ((unsigned char)text[i] & 0xc0) != 0x80))
            told = i;
    return strnlen(text, told);
}

static void check_message(const struct scan_message *m, const json_t *j, bool is_reduced)
{
    const json_t *method = json_object_get(j, "method"), *error = json_object_get(j, "error"),
                 *id = json_object_get(j, "id");
    bool has_id = id && !json_is_null(id);
    enum scan_kind kind = SCAN_OTHER;
    if (json_is_string(method))
        kind = has_id ? SCAN_REQUEST : SCAN_NOTIFICATION;
    else if (id && (error || json_object_get(j, "result")))
        kind = SCAN_RESPONSE;
    HOLDS(m->kind == kind);
    HOLDS(m->has_error == (error && !json_is_null(error)));
    size_t length = json_is_string(method) ? method_length(method) : 0;
    HOLDS(memchr(m->method, '\0', sizeof(m->method)) && strlen(m->method) == length);
    HOLDS(!length || memcmp(m->method, json_string_value(method), length) == 0);
    HOLDS(m->method_cut == (json_is_string(method) && json_string_length(method) > length));
    check_id(&m->id, id, is_reduced);
}

static void check_no_message(const struct scan_line *line)
{
    HOLDS(!line->is_batch && line->count == 1 && line->untold == 0);
    check_message(&line->message[0], NULL, false);
}

static void check_tree(const struct scan_line *line, const json_t *tree, bool is_reduced)
{
    size_t size = json_array_size(tree);
    if (size == 0) {
        HOLDS(!line->is_batch && line->count == 1 && line->untold == 0);
        check_message(&line->message[0], tree, is_reduced);
        return;
    }
    HOLDS(line->is_batch && line->count <= SCAN_BATCH_MAX && line->count + line->untold == size);
    HOLDS(line->untold == 0 || line->count == SCAN_BATCH_MAX);
    for (size_t i = 0; i < line->count; i++)
        check_message(&line->message[i], json_array_get(tree, i), is_reduced);
}

/* ------------------------------------------ the reducer ------------------------------------------ */

struct reducer {
    struct span in;
    char *out;
    size_t length, room;
    bool is_batch;
    bool in_message;
    bool behind_colon;
    char key[8]; /* of the member in whose value it is, decoded; "" for those that do not matter */
};

static void put(struct reducer *r, const char *bytes, size_t count)
{
    HOLDS(count <= r->room - r->length);
    memcpy(r->out + r->length, bytes, count);
    r->length += count;
}

static void put_text(struct reducer *r, const char *text)
{
    put(r, text, strlen(text));
}

/* No JSON: jansson rejects what this stands in. */
static void put_broken(struct reducer *r)
{
    put_text(r, "!");
}

/* In: at the opening quote. Returns behind the closing one, or NULL: there is none, or a control character. */
static const char *string_end(const char *p, const char *end)
{
    for (p++; p < end && *p != '"'; p++) {
        if (*p == '\\' && ++p == end)
            return NULL;
        if ((unsigned char)*p < ' ')
            return NULL;
    }
    return p < end ? p + 1 : NULL;
}

/* In: at a bracket, `depth` are open around it. Returns behind the one that closes it, or NULL. */
static const char *nested_end(const char *p, const char *end, size_t depth)
{
    char closing[SCAN_DEPTH_MAX];
    size_t count = 0;
    for (; p < end; p++) {
        if (*p == '"') {
            p = string_end(p, end);
            if (!p)
                return NULL;
            p--;
        } else if (*p == '[' || *p == '{') {
            if (depth + count >= SCAN_DEPTH_MAX)
                return NULL;
            closing[count++] = *p == '[' ? ']' : '}';
        } else if (*p == ']' || *p == '}') {
            HOLDS(count > 0);
            if (closing[--count] != *p)
                return NULL;
            if (count == 0)
                return p + 1;
        }
    }
    return NULL;
}

static bool is_member(const struct reducer *r, const char *name)
{
    return r->in_message && r->behind_colon && strcmp(r->key, name) == 0;
}

/* [value, raw]: with the last one in jansson's own spelling. */
static void put_id(struct reducer *r, const char *value, struct span raw)
{
    size_t length = (size_t)(raw.end - raw.p);
    _cleanup_json_ json_t *string = json_stringn(raw.p, length);
    HOLDS(string);
    _cleanup_free_ char *text = json_dumps(string, JSON_ENCODE_ANY | JSON_ENSURE_ASCII);
    HOLDS(text);
    put_text(r, "[");
    if (value) {
        put(r, value, length);
        put_text(r, ",");
    }
    put_text(r, text);
    put_text(r, "]");
}

static void note_key(struct reducer *r, struct span raw)
{
    _cleanup_json_ json_t *name = load(raw);
    size_t length = name ? json_string_length(name) : sizeof(r->key);
    r->key[0] = '\0';
    if (length < sizeof(r->key) && strlen(json_string_value(name)) == length)
        memcpy(r->key, json_string_value(name), length + 1);
}

static const char *reduce_string(struct reducer *r, const char *p)
{
    struct span raw = {p, string_end(p, r->in.end)};
    if (!raw.end) {
        put_broken(r);
        return r->in.end;
    }
    if (r->in_message && !r->behind_colon) {
        note_key(r, raw);
        put(r, raw.p, (size_t)(raw.end - raw.p));
    } else if (is_member(r, "id")) {
        _cleanup_json_ json_t *valid = load(raw);
        if (valid)
            put_id(r, raw.p, raw);
        else
            put_broken(r);
    } else if (is_member(r, "method")) {
        put(r, raw.p, (size_t)(raw.end - raw.p));
    } else {
        put_text(r, "\"\"");
    }
    return raw.end;
}

/* In: at a digit or minus. The longest number that begins there, or NULL. */
static const char *number_end(const char *p, const char *end)
{
    bool is_zero;
    p += *p == '-' ? 1 : 0;
    if (p == end || !isdigit((unsigned char)*p))
        return NULL;
    is_zero = *p++ == '0';
    while (!is_zero && p < end && isdigit((unsigned char)*p))
        p++;
    if (p < end && *p == '.') {
        if (++p == end || !isdigit((unsigned char)*p))
            return NULL;
        while (p < end && isdigit((unsigned char)*p))
            p++;
    }
    if (p < end && (*p == 'e' || *p == 'E')) {
        p++;
        if (p < end && (*p == '+' || *p == '-'))
            p++;
        if (p == end || !isdigit((unsigned char)*p))
            return NULL;
        while (p < end && isdigit((unsigned char)*p))
            p++;
    }
    return p;
}

/* A number becomes 0, because jansson rejects those that no int64 or double holds; and a blank, or 1.5.5 would become
 * 0.0. */
static const char *reduce_number(struct reducer *r, const char *p)
{
    const char *end = number_end(p, r->in.end);
    if (!end) {
        put_broken(r);
        return r->in.end;
    }
    if (is_member(r, "id"))
        put_id(r, NULL, (struct span){p, end});
    else
        put_text(r, "0 ");
    return end;
}

static const char *reduce_nested(struct reducer *r, const char *p)
{
    const char *end = nested_end(p, r->in.end, (r->is_batch ? 1 : 0) + (r->in_message ? 1 : 0));
    if (!end) {
        put_broken(r);
        return r->in.end;
    }
    put_text(r, *p == '[' ? "[]" : "{}");
    return end;
}

/* Any byte that starts no value. */
static const char *reduce_mark(struct reducer *r, const char *p)
{
    if (*p == ':')
        r->behind_colon = true;
    if (*p == ',')
        r->behind_colon = false;
    if (*p == '}')
        r->in_message = false;
    if (*p == '\0')
        put_broken(r); /* jansson 2.14 loses it behind a number or a word, and accepts the line */
    else
        put(r, p, 1);
    return p + 1;
}

static const char *reduce_open(struct reducer *r, const char *p)
{
    bool is_first = strspn(r->in.p, " \t\r") == (size_t)(p - r->in.p);
    if (is_first && *p == '[') {
        r->is_batch = true;
    } else if (!r->in_message && *p == '{' && (is_first || r->is_batch)) {
        r->in_message = true;
        r->behind_colon = false;
    } else {
        return reduce_nested(r, p);
    }
    return reduce_mark(r, p);
}

/* `line` ends in a NUL, which is not part of it. The caller frees what is returned. */
static char *reduce(const char *line, size_t size, size_t *ret_length)
{
    /* an id doubles, and each of its bytes may become \u00XX */
    struct reducer r = {.in = {line, line + size}, .room = 8 * size + 16};
    r.out = malloc(r.room);
    HOLDS(r.out);
    for (const char *p = r.in.p; p < r.in.end;) {
        if (*p == '"')
            p = reduce_string(&r, p);
        else if (*p == '[' || *p == '{')
            p = reduce_open(&r, p);
        else if (*p == '-' || isdigit((unsigned char)*p))
            p = reduce_number(&r, p);
        else
            p = reduce_mark(&r, p);
    }
    *ret_length = r.length;
    return r.out;
}

/* ------------------------------------------ the property ------------------------------------------ */

static void check_line(const struct scan_line *line, const char *text, size_t size)
{
    size_t length;
    _cleanup_free_ char *reduced = reduce(text, size, &length);
    bool has_nul = memchr(text, '\0', size); /* see reduce_mark() */
    _cleanup_json_ json_t *as_it_stands = has_nul ? NULL : load((struct span){text, text + size});
    _cleanup_json_ json_t *tree = load((struct span){reduced, reduced + length});
    bool is_blank = strspn(text, " \t\r") == size;
    HOLDS(line->is_blank == is_blank);
    HOLDS(line->length == size + 1);
    HOLDS(!as_it_stands || tree);
    if (as_it_stands)
        check_tree(line, as_it_stands, false);
    if (tree)
        check_tree(line, tree, true);
    else
        check_no_message(line);
}

/* One line, which ends in a newline, in chunks of at most chunk_max bytes; each on the heap, to the byte. */
static void feed_line(struct scanner *s, const char *text, size_t size, size_t chunk_max, uint64_t *rng)
{
    bool end = false;
    for (size_t at = 0; at < size;) {
        size_t chunk = 1 + rng_below(rng, chunk_max);
        chunk = chunk < size - at ? chunk : size - at;
        _cleanup_free_ char *exact = malloc(chunk);
        HOLDS(exact);
        memcpy(exact, text + at, chunk);
        HOLDS(!end && scan_feed(s, exact, chunk, &end) == chunk);
        at += chunk;
        HOLDS(s->line.length == at && s->line.count <= SCAN_BATCH_MAX);
    }
    HOLDS(end);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct scanner whole, chunked;
    _cleanup_free_ char *text = fuzz_text(data, size);
    uint64_t rng = size;
    size_t at = 0;
    for (size_t i = 0; i < size; i++)
        rng = rng * 31 + data[i];
    text[size] = '\n'; /* the last line has its end too */
    scan_init(&whole);
    scan_init(&chunked);
    while (at <= size) {
        bool end;
        size_t length = scan_feed(&whole, text + at, size + 1 - at, &end);
        HOLDS(end && length > 0 && text[at + length - 1] == '\n');
        feed_line(&chunked, text + at, length, rng_below(&rng, 4) ? 4 : 64, &rng);
        text[at + length - 1] = '\0';
        check_line(&whole.line, text + at, length - 1);
        check_line(&chunked.line, text + at, length - 1);
        at += length;
    }
    return 0;
}
