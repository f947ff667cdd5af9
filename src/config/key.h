/* SPDX-License-Identifier: MIT */
/*
 * Rows of the key table, and the types of their values.
 *
 * A row says where a key's value lives in its owner (struct config for [supervisor], struct config_unit for
 * [unit NAME], struct config_rule for [rule NAME]) and what it is; its type parses, formats and clears it. Formats are exact: parsing what a type
 * wrote gives the same value (tests/unit/test_config.c holds that for every default and example).
 */
#ifndef WEIR_CONFIG_KEY_H
#define WEIR_CONFIG_KEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "text.h"
#include "weir/config/config.h"
#include "why.h"

enum key_flags {
    KEY_LIVE = 1 << 0,    /* takes effect without a restart */
    KEY_FILE = 1 << 1,    /* not by `weir set`, though live: it is judged together with other sections */
    KEY_SERVICE = 1 << 2, /* service units only: a wrapped command keeps its caller's */
    KEY_WRAPPED = 1 << 3, /* wrapped units only */
    KEY_ADDS = 1 << 4,    /* may be repeated; the lines add up */
    KEY_SECRET = 1 << 5,  /* values are never shown */
    KEY_GATE = 1 << 6,    /* units with a gate only */
    KEY_NEEDED = 1 << 7,  /* a section is not whole without it, or without another of these */
};

struct key;

struct value_type {
    const char *name;      /* as the man page calls it */
    bool has_own_comments; /* judges " #" and " ;" itself */
    /* 0, -EINVAL (why is set: the reason only, without key and value) or -ENOMEM. The owner is untouched on
     * failure. */
    int (*parse)(const struct key *key, void *owner, const char *text, struct why *why);
    /* Adds nothing when the key is not set. */
    void (*format)(const struct key *key, const void *owner, struct text *out);
    void (*clear)(const struct key *key, void *owner); /* NULL = plain memory, copied by assignment */
};

struct key {
    const char *name;
    const struct value_type *type;
    size_t offset;            /* of the value in its owner */
    size_t has;               /* of the bool that says it was given; 0 = none */
    uint64_t min, max;        /* plain numbers, in the type's unit; max 0 = no range */
    const char *const *words; /* type_word: by enum value, NULL-terminated */
    int resource;             /* type_rlimit: RLIMIT_x */
    unsigned flags;           /* enum key_flags */
    const char *initial;      /* default, parsed at init; NULL = all zero, or policy_unit_defaults() */
    const char *unset;        /* what a person reads where it is not set */
    const char *heading;      /* begins a group of keys in the sample and the man page */
    const char *doc;          /* one sentence or two */
    const char *example;
};

#define KEY_FIELD(type, owner, offset)       ((type *)((char *)(owner) + (offset)))
#define KEY_CONST_FIELD(type, owner, offset) ((type const *)((const char *)(owner) + (offset)))

enum key_section { KEY_SECTION_SUPERVISOR, KEY_SECTION_UNIT, KEY_SECTION_RULE };
#define KEY_SECTION_COUNT 3
#define KEY_COUNT_MAX     96 /* above the longest table; checked at compile time */

struct key_table {
    const char *title; /* "[unit NAME]" */
    const char *doc;
    const struct key *keys;
    size_t count;
};

extern const struct key_table key_tables[KEY_SECTION_COUNT];

/* The row of that name, or NULL. */
const struct key *key_find(enum key_section section, const char *name);

/* Whether any section has a key of that name. */
bool key_is_known(const char *name);

/* The index of a key's row. The key is one of key_tables'. */
size_t key_index(enum key_section section, const struct key *key);

/* Nearest known name in that section, or NULL. */
const char *key_nearest(enum key_section section, const char *name);

/* Parses text by the row into its owner. On -EINVAL why->text is the whole sentence ("KEY = VALUE: REASON", or
 * REASON alone where why->length says which part of the value it is about). */
int key_parse(const struct key *key, void *owner, const char *text, struct why *why);

/* As a person reads it: the value, or what stands for none; secrets are not hidden. */
void key_format(const struct key *key, const void *owner, struct text *out);

/* Every default of the section into a zeroed owner, respectively all that it owns freed. */
int key_table_init(enum key_section section, void *owner);
void key_table_deinit(enum key_section section, void *owner);

/* A service unit with every default. Deinit with key_table_deinit. */
int config_unit_init(struct config_unit *unit);

/* Rules of a name (unit, supervisor): 0 or -EINVAL with why. */
int name_check(const char *name, struct why *why);

/* A value that carries a comment is refused: -EINVAL with why, else 0. */
int comment_check(const char *text, struct why *why);

/* "85%" of a permyriad, "16M", "90s": exact. Return buf. */
#define FORMAT_EXACT_MAX 32
const char *format_percent_exact(uint64_t permyriad, char buf[static FORMAT_EXACT_MAX]);
const char *format_bytes_exact(uint64_t bytes, char buf[static FORMAT_EXACT_MAX]);
const char *format_duration_exact(uint64_t us, char buf[static FORMAT_EXACT_MAX]);

/* plain.c */
extern const struct value_type type_bool, type_word, type_int, type_octal, type_count32, type_count64,
    type_bytes, type_size, type_duration, type_percent, type_percent_off, type_cpu, type_rlimit,
    type_rlimit_bytes, type_name;
/* owned.c */
extern const struct value_type type_argv, type_environment, type_after, type_units, type_methods, type_path,
    type_directory, type_environment_file, type_wrap;
/* system.c: what asks the system */
extern const struct value_type type_user, type_group, type_capabilities;
/* ready.c */
extern const struct value_type type_ready;
/* rule.c */
extern const struct value_type type_condition, type_actions, type_limit;

#endif
