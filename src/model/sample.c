/* SPDX-License-Identifier: MIT */
/* The table of sample fields, made from SAMPLE_FIELDS; see the header. Nothing here but look-ups. */
#include "weir/model/sample.h"

#include <string.h>

#include "names.h"

static const struct sample_field_info fields[SAMPLE_FIELD_COUNT] = {
#define X(id, name, type, cumulative) [SAMPLE_##id] = {name, SAMPLE_TYPE_##type, cumulative},
    SAMPLE_FIELDS(X)
#undef X
};

const char *const sample_cause_names[SAMPLE_CAUSE_COUNT] = {
    [SAMPLE_CAUSE_TICK] = "tick",
    [SAMPLE_CAUSE_FAST] = "fast",
    [SAMPLE_CAUSE_KERNEL] = "kernel",
    [SAMPLE_CAUSE_FINAL] = "final",
};

const struct sample_field_info *sample_field_info(enum sample_field field)
{
    return &fields[field];
}

enum sample_field sample_field_by_name(const char *name)
{
    unsigned i = 0;
    while (i < SAMPLE_FIELD_COUNT && strcmp(fields[i].name, name) != 0)
        i++;
    return (enum sample_field)i;
}

const char *sample_cause_name(enum sample_cause cause)
{
    return name_of(sample_cause_names, SAMPLE_CAUSE_COUNT, cause);
}
