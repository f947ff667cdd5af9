/* SPDX-License-Identifier: MIT */
/*
 * The raw file, before inih sees it.
 *
 * inih is lenient where a person needs to be told: it cuts long lines and names, takes an indented line for
 * the continuation of the one above, drops what follows a ']' and reads a folder as an empty file. So every
 * line is looked at first; one that inih would misread is reported and blanked out, and inih gets what is
 * left, line numbers kept.
 */
#ifndef WEIR_CONFIG_LINES_H
#define WEIR_CONFIG_LINES_H

#include <stddef.h>

#include "weir/config/config.h"

#define LINE_MAX_BYTES                                                                                       \
    16384                 /* chosen: 255 arguments of 64 bytes each; inih's buffer is this and a little   \
                              */
#define LINE_NAME_MAX  49 /* inih keeps 50 bytes of a section or key with the NUL */
#define FILE_MAX_BYTES (1 << 20) /* chosen: POLICY_UNITS_MAX units of twenty lines each */

struct lines_section {
    unsigned line;
    char *title;       /* between the brackets, blanks at both ends removed; owned; NULL = not readable */
    bool has_bad_line; /* a line of it was reported: what is missing may stand there */
};

struct lines {
    char *data; /* NUL-terminated; problem lines are blanked out, but for a section's title */
    size_t size;
    unsigned count;
    size_t *starts; /* of each line, in data */
    struct lines_section *sections;
    size_t section_count;
};

/* Reads and looks at the file. 0: *ret is filled (lines_deinit), problems are added to the report. Negative
 * errno: could not be read (one problem was added), or -ENOMEM. */
int lines_read(const char *path, struct lines *ret, struct config_report *report);

/* A line (1..count) without blanks and newline at its end. */
const char *lines_get(const struct lines *l, unsigned line, size_t *ret_length);

/* Column (from 1) where the value of a "KEY = VALUE" line begins. line is 1..count. */
unsigned lines_value_column(const struct lines *l, unsigned line);

void lines_deinit(struct lines *l);

#endif
