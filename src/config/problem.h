/* SPDX-License-Identifier: MIT */
/* Collecting problems into a struct config_report. */
#ifndef WEIR_CONFIG_PROBLEM_H
#define WEIR_CONFIG_PROBLEM_H

#include "weir/config/config.h"
#include "why.h"

/* Where in the file something is wrong, to be shown with a caret below it. */
struct place {
    unsigned line;
    unsigned column;      /* from 1; at most one past the line's end */
    size_t length;        /* in bytes, at least 1 */
    const char *source;   /* the line; borrowed for the call */
    size_t source_length; /* of the line */
};

/* Appends a problem. text and hint are copied; hint may be NULL or "". 0 or -ENOMEM (nothing is added). */
int problem_add(struct config_report *r, unsigned line, const char *text, const char *hint);
int problem_add_at(struct config_report *r, const struct place *at, const char *text, const char *hint);

/* The same from "TEXT\nHINT". */
int problem_addf(struct config_report *r, unsigned line, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
int problem_addf_at(struct config_report *r, const struct place *at, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* By line, column and text; the same text in one place once. */
void problems_sort(struct config_report *r);

#endif
