/* SPDX-License-Identifier: MIT */
/* What several commands say in JSON: numbers, times, samples, decisions, events. */
#ifndef WEIR_CLI_JSON_H
#define WEIR_CLI_JSON_H

#include <jansson.h>

#include "weir/store/store.h"

#define CLI_ISO_MAX 40

/* "2025-11-05T12:23:45.123+01:00", local time. Returns buf. */
const char *cli_iso(uint64_t wall_us, char buf[static CLI_ISO_MAX]);

/* UINT64_MAX is "max"; what does not fit JSON's 63 bits otherwise is a string of digits. */
json_t *cli_json_u64(uint64_t value);

/* Sets wall_us and time. */
void cli_json_time(json_t *object, uint64_t wall_us);

/* The processes of a sample: [{pid, comm, threads, rss, vsz}]. */
json_t *cli_json_processes(const struct sample *s);

/* Sets a decision's members. */
void cli_json_decision(json_t *object, const struct decision *d, const char *const *unit_names);

/* One object for a row of any type: type, run, wall_us, time, unit and what is the type's own. */
json_t *cli_json_row(const struct store_row *row);

#endif
