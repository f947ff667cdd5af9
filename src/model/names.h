/* SPDX-License-Identifier: MIT */
/* Name tables that more than one file of this layer reads. Private to this layer. */
#ifndef WEIR_MODEL_NAMES_H
#define WEIR_MODEL_NAMES_H

#include <stddef.h>

#include "weir/model/sample.h"

extern const char *const sample_cause_names[SAMPLE_CAUSE_COUNT];

/* "?" for a number outside of the table: it comes from a newer weir or from broken memory, and is only shown.
 */
static inline const char *name_of(const char *const *names, size_t count, unsigned value)
{
    return value < count ? names[value] : "?";
}

#endif
