/* SPDX-License-Identifier: MIT */
/*
 * Reads newline-delimited JSON-RPC a chunk at a time and tells of each line what a gate must know: is it a request, a
 * notification, a response, a batch of these, or no JSON-RPC at all; `id`, `method` and whether there is an `error`.
 *
 * One pass, no allocation, memory that does not depend on the line's length; nothing is looked at twice. Values that are
 * not asked for are skipped: of strings only the end is looked for, of nested arrays and objects only that brackets and
 * strings close (so a line that is broken *inside* of a nested value may still count as a message). At the top level,
 * and one level down in a batch, the grammar is JSON's (RFC 8259), keys in any order, the last of two equal keys counts.
 */
#ifndef WEIR_GATE_SCAN_H
#define WEIR_GATE_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SCAN_ID_MAX                                                                                          \
    128 /* chosen: an id's text as written; UUIDs have 38 bytes. A longer one is SCAN_ID_LONG */
#define SCAN_METHOD_MAX 64 /* GATE_NAME_MAX: with the final NUL, a longer method is cut */
#define SCAN_BATCH_MAX                                                                                       \
    256 /* chosen: messages of a batch that are told; further ones are counted in `untold` */
#define SCAN_DEPTH_MAX 2048 /* JSON_PARSER_MAX_DEPTH of jansson; deeper is no message */

enum scan_id_kind {
    SCAN_ID_NONE, /* no id at all */
    SCAN_ID_NULL,
    SCAN_ID_NUMBER,
    SCAN_ID_STRING,
    SCAN_ID_LONG,  /* a number or string of more than SCAN_ID_MAX bytes: cannot be followed */
    SCAN_ID_OTHER, /* true, false, an array or an object: nobody may use that as an id */
};

struct scan_id {
    enum scan_id_kind kind;
    uint16_t raw_length, key_length;
    char raw[SCAN_ID_MAX]; /* as written, quotes included: for an answer in its name */
    /* What two ids that mean the same have in common: of a number its shortest form (1, 1.0 and 10e-1 are one), of a
     * string its bytes with the escapes resolved. Compare kind and key. */
    char key[SCAN_ID_MAX];
};

enum scan_kind {
    SCAN_OTHER,   /* not JSON, or JSON that is no message (no method, and no id with a result or an error) */
    SCAN_REQUEST, /* method and an id that is not null */
    SCAN_NOTIFICATION, /* method, and no id or a null one */
    SCAN_RESPONSE,     /* no method; result or error (an id of null included) */
};

struct scan_message {
    enum scan_kind kind;
    bool has_error; /* a member "error" that is not null */
    bool method_cut;
    char method[SCAN_METHOD_MAX]; /* escapes resolved; "" = none */
    struct scan_id id;
};

struct scan_line {
    bool is_batch;   /* an array; messages in order. Else one message, which may be SCAN_OTHER */
    bool is_blank;   /* nothing but white space */
    uint32_t count;  /* entries of message */
    uint32_t untold; /* messages of a batch beyond SCAN_BATCH_MAX */
    uint64_t length; /* bytes so far, the newline included */
    struct scan_message message[SCAN_BATCH_MAX];
};

struct scanner {
    struct scan_line line; /* valid up to the next scan_feed after one that ended a line */
    /* private: the state of the parser */
};

void scan_init(struct scanner *s);

/* Takes bytes up to and including the first newline of data. Returns how many; *ret_end: a line is complete and
 * s->line tells of it. Else all were taken, and s->line tells what is known so far (method and id of a message that is
 * still going on may stand there already, and may be overruled by a later key of the same name). */
size_t scan_feed(struct scanner *s, const char *data, size_t size, bool *ret_end);

#endif
