/* SPDX-License-Identifier: MIT */
/*
 * What a config means: the ladder in force for each unit, step by step, and its rules, in plain words. Everything is
 * made from the config, the policy it resolves to and what the host can; nothing is asked here.
 */
#ifndef WEIR_CLI_CHECK_EXPLAIN_H
#define WEIR_CLI_CHECK_EXPLAIN_H

#include <jansson.h>
#include <stdio.h>

#include "weir/config/config.h"
#include "weir/host/host.h"

/* A config on a host. policy is what it resolves to, rules included. */
struct check_subject {
    const char *path;
    const struct config *config;
    const struct policy *policy;
    const struct host_info *info;
};

#define CHECK_STEPS_MAX 8
#define CHECK_TEXT_MAX  400 /* chosen: the longest step has 330 */

struct check_step {
    const char *name;          /* "throttle" */
    uint32_t permyriad;        /* of the memory limit; 0 = off */
    uint64_t bytes;            /* the same as a size; 0 = off */
    const char *off;           /* why nothing is done at it; NULL = it is in force */
    char text[CHECK_TEXT_MAX]; /* what is done */
};

/* The steps of a unit in the order in which memory reaches them, those that are switched off last. Returns how many. */
size_t check_ladder(const struct config_unit *unit, const struct unit_policy *p,
                    struct check_step ret[static CHECK_STEPS_MAX]);

/* Why the ladder as a whole does nothing for the unit; NULL = it does. */
const char *check_ladder_is_idle(const struct unit_policy *p);

/* Why the action cannot be done to the unit; NULL = it can. */
const char *check_action_is_idle(const struct rule_action *action, const struct unit_policy *p);

extern const char *const check_precedence[2];

void check_print(const struct check_subject *s, FILE *out);
json_t *check_json(const struct check_subject *s);

/* Errors of a config, for --json. */
json_t *check_problems_json(const char *path, const struct config_report *report);

#endif
