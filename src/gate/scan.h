/* SPDX-License-Identifier: MIT */
/*
 * Reads newline-delimited JSON-RPC a chunk at a time and tells of each line what a gate must know: is it a request, a
 * notification, a response, a batch of these, or no JSON-RPC at all; `id`, `method` and whether there is an `error`.
 *
 * One pass, no allocation, memory that does not depend on the line's length; where the chunks end makes no difference. A
 * newline always ends the line. What is checked, and what is not:
 *   - the line, a message's members, a batch's entries: the grammar of JSON (RFC 8259); keys in any order, the last of
 *     two equal keys counts, also when they are written with different escapes;
 *   - keys and the strings of `id` and `method` are decoded, and as strict as jansson with JSON_ALLOW_NUL: UTF-8 must be
 *     valid, an escaped surrogate needs its other half, \u0000 may stand in a value but not in a key. Else it is no
 *     message;
 *   - all other values are skipped: of strings only the end is looked for, and that no raw control character stands in
 *     them; of nested arrays and objects that brackets and strings close, at most SCAN_DEPTH_MAX deep. A line that is
 *     broken *inside* of such a value still counts as a message; whoever reads it will complain.
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
    SCAN_ID_LONG,  /* raw or key would be longer than SCAN_ID_MAX bytes, or the power of ten in key beyond
                    * 1000000000: cannot be followed */
    SCAN_ID_OTHER, /* true, false, an array or an object: nobody may use that as an id */
};

struct scan_id {
    enum scan_id_kind kind;
    uint16_t raw_length, key_length;
    char raw[SCAN_ID_MAX]; /* as written, quotes included: for an answer in its name */
    /* What two ids that mean the same have in common: of a number its exact value in one form (1, 1.0 and 10e-1 are "1",
     * -0 is "0", 0.25 is "25e-2"), of a string its bytes with the escapes resolved, without a final NUL. Compare kind
     * and key. Both lengths are 0 for the kinds that are neither number nor string. */
    char key[SCAN_ID_MAX];
};

enum scan_kind {
    SCAN_OTHER,   /* not JSON, or JSON that is no message (no method, and no id with a result or an error) */
    SCAN_REQUEST, /* method, a string, and an id that is not null */
    SCAN_NOTIFICATION, /* method, a string, and no id or a null one */
    SCAN_RESPONSE, /* no such method; an id, which may be null, and a member result or error, whatever its value */
};

struct scan_message {
    enum scan_kind kind;
    bool has_error;  /* a member "error" that is not null */
    bool method_cut; /* longer than what stands there, which ends at a character's end or before a \u0000 */
    char method[SCAN_METHOD_MAX]; /* escapes resolved; "" = none, or empty */
    struct scan_id id;
};

struct scan_line {
    bool
        is_batch; /* an array that is not empty; its entries in order, each may be SCAN_OTHER. Else there is one
                      * message, which may be SCAN_OTHER; so it is for a blank line, [], and what is not JSON */
    bool is_blank;   /* nothing but white space; told at the line's end */
    uint32_t count;  /* entries of message */
    uint32_t untold; /* messages of a batch beyond SCAN_BATCH_MAX */
    uint64_t length; /* bytes so far, the newline included */
    struct scan_message message[SCAN_BATCH_MAX];
};

/* A string that is decoded as it comes (scan_text.c). */
struct scan_text {
    uint8_t step;       /* enum text_step */
    uint8_t more;       /* hex digits or bytes of UTF-8 that are still to come */
    uint8_t low, high;  /* bounds of the next byte of UTF-8 */
    uint16_t unit;      /* of \uXXXX, as far as it is read */
    uint16_t surrogate; /* the first half that waits for its second; 0 = none */
    bool has_nul;
    bool over; /* not all of it is in bytes */
    uint16_t length;
    char bytes[SCAN_ID_MAX];
};

struct scanner {
    struct scan_line line; /* valid up to the next scan_feed after one that ended a line */
    /* private: the state of the parser (scan.c) */
    uint8_t state;       /* enum scan_state */
    uint8_t member;      /* enum scan_member, in whose value it is */
    uint8_t seen;        /* bits of the members that this message has */
    uint8_t number_step; /* in the grammar of a number */
    uint8_t word;        /* the first letter of true, false, null */
    uint8_t word_length; /* letters of it that were read */
    bool in_message;     /* in the braces of a message */
    bool in_string;      /* in a string of a nested value */
    bool escaped;        /* the next byte of a skipped string follows a backslash */
    bool ended;          /* `line` is an old one */
    uint16_t raw_length; /* SCAN_ID_MAX + 1 = too long */
    uint32_t depth;      /* brackets that are open */
    uint32_t floor;      /* of which are around the nested value */
    char raw[SCAN_ID_MAX];
    struct scan_text text;
    struct scan_message spare;                   /* read, but not told: beyond SCAN_BATCH_MAX */
    uint64_t is_object[SCAN_DEPTH_MAX / 64 + 1]; /* which of the open brackets are braces, a bit for each */
};

void scan_init(struct scanner *s);

/* Takes bytes up to and including the first newline of data. Returns how many; *ret_end: a line is complete and
 * s->line tells of it. Else all were taken, and s->line tells what is known so far: method and id stand there once their
 * values are whole, and may be overruled by a later key of the same name; all may be when the line turns out to be no
 * JSON. Does not block. A last line without a newline is ended by feeding one. */
size_t scan_feed(struct scanner *s, const char *data, size_t size, bool *ret_end);

#endif
