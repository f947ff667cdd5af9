/* SPDX-License-Identifier: MIT */
/* Collecting problems into a struct config_report. */
#ifndef WEIR_CONFIG_PROBLEM_H
#define WEIR_CONFIG_PROBLEM_H

#include "weir/config/config.h"
#include "why.h"

/* Appends a problem. text and hint are copied; hint may be NULL or "". 0 or -ENOMEM (nothing is added). */
int problem_add(struct config_report *r, unsigned line, const char *text, const char *hint);

/* The same from "TEXT\nHINT". */
int problem_addf(struct config_report *r, unsigned line, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* By line, then by text; the same text on one line once. */
void problems_sort(struct config_report *r);

#endif
