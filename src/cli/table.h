/* SPDX-License-Identifier: MIT */
/*
 * Rows for a person, for jq and for a spreadsheet, from one description: the columns are told once, each cell
 * is given once with its type, and the format decides how it looks (3.4G, 3650722201, or "3650722201").
 *
 * A table is as wide as its rows need (the first TABLE_LOOK_AHEAD of them set the widths, the rest streams);
 * on a terminal lines are cut at its width (COLUMNS, or what it says itself) and the header is bold, unless NO_COLOR is
 * set or TERM is dumb. JSON is an array with one object a line. CSV follows RFC 4180, with a header line.
 */
#ifndef WEIR_CLI_TABLE_H
#define WEIR_CLI_TABLE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "weir/cli/cli.h"

#define TABLE_LOOK_AHEAD 500 /* chosen: a screenful many times over */

struct table_column {
    const char *key;   /* JSON key, CSV header; a time column adds wall_us */
    const char *title; /* NULL: only in JSON and CSV */
    bool right;        /* numbers are right-aligned */
    bool is_time;
};

struct table;

/* columns are borrowed until table_end. limit: only the last so many rows are printed; 0 = all. NULL: out of memory. */
struct table *table_new(enum cli_format format, FILE *out, const struct table_column *columns, size_t count,
                        uint64_t limit);

/* Cells, in the columns' order. NULL text is the same as table_none. UINT64_MAX is "max". */
void table_text(struct table *t, const char *text);
void table_count(struct table *t, uint64_t value);
void table_size(struct table *t, uint64_t bytes);
/* "-512K"; a whole number in JSON. */
void table_signed_size(struct table *t, int64_t bytes);
void table_duration(struct table *t, uint64_t us);
void table_percent(struct table *t, uint64_t permyriad);
void table_time(struct table *t, uint64_t wall_us);
void table_none(struct table *t);
/* Takes the value over. In a table: its text form. */
void table_json(struct table *t, json_t *value);
/* The row is complete. */
void table_row(struct table *t);

/* Prints what is left, or `empty` and a newline when there was no row (table only), and frees. */
void table_end(struct table *t, const char *empty);

/* For output that is no table: whether to colour, and the width to cut at (0 = do not). */
bool terminal_has_colour(FILE *out);
unsigned terminal_width(FILE *out);

#define FORMAT_PERCENT_MAX 32
/* "12.34%" */
const char *format_percent(uint64_t permyriad, char buf[static FORMAT_PERCENT_MAX]);

#endif
