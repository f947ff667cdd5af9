/* SPDX-License-Identifier: MIT */
/* A load in progress: the config being filled and which line each key of it came from. */
#ifndef WEIR_CONFIG_LOAD_H
#define WEIR_CONFIG_LOAD_H

#include <stdbool.h>

#include "key.h"
#include "lines.h"
#include "problem.h"

struct key_note {
    unsigned line; /* 0 = not given */
    bool is_bad;   /* its value was refused: no check reads it */
};

struct section_notes {
    bool is_broken;    /* a second section of its name, or one without a valid name: not judged as a whole */
    bool has_bad_line; /* nothing is missed in it: it may stand in the line that was refused */
    struct key_note keys[KEY_COUNT_MAX];
};

/* Where the keys of a section of the file go. */
struct section_target {
    bool is_skipped;
    enum key_section section;
    uint32_t index; /* of config->units, or of config->rules */
};

struct loader {
    struct config *config;
    struct config_report *report;
    struct lines lines;
    struct section_notes supervisor;
    unsigned supervisor_line;       /* of its section; 0 = none so far */
    struct section_notes *units;    /* one per config->units */
    uint32_t unit_room;             /* of units and config->units */
    struct section_notes *rules;    /* RULES_MAX, or NULL while there is none; as config->rules */
    bool has_bad_section;           /* a section was refused: its units are not missed */
    size_t section;                 /* index of the section that the line at hand is in, plus 1; 0 = none */
    struct section_target *targets; /* one per lines.sections */
    int error;                      /* -ENOMEM: nothing more is done */
};

/* Units and rules for all sections of the file. 0 or -ENOMEM. */
int add_sections(struct loader *l);

/* A place in the file as it was read. */
struct place line_place(const struct loader *l, unsigned line, unsigned column, size_t length);

/* Everything that needs more than one key, added to the report. 0 or -ENOMEM. */
int check_all(struct loader *l);

/* Its parts that live in files of their own. */
int check_supervisor(struct loader *l); /* fills the defaults of [supervisor] */
int check_after(struct loader *l);
int check_rules(struct loader *l); /* and fills the units' masks */

/* The note of a key of that name. */
const struct key_note *note_find(const struct section_notes *notes, enum key_section section,
                                 const char *key);

/* What must be below what, among the keys of one unit: one row a pair. */
struct key_order {
    const char *low, *high;
    bool is_next; /* neighbours: both are told where two such rows are broken */
    bool may_be_equal;
};
extern const struct key_order key_orders[];
extern const size_t key_order_count;

/* 0, or -EINVAL with why when the unit breaks the rule. */
int check_order(const struct config_unit *unit, const struct key_order *order, struct why *why);

#endif
