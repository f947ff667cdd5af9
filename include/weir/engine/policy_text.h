/* SPDX-License-Identifier: MIT */
/*
 * A policy as text, lossless: what the record keeps, so that a run can be replayed years later against the
 * policy it really had. "key=value key=value ..."; keys are the fields' names.
 */
#ifndef WEIR_ENGINE_POLICY_TEXT_H
#define WEIR_ENGINE_POLICY_TEXT_H

#include <stddef.h>

#include "weir/engine/policy.h"

#define POLICY_TEXT_MAX 2048

/* The supervisor's part (intervals, seed), or with unit the unit's part (its name included). Returns the
 * length, or -EMSGSIZE. */
int policy_text_format(const struct policy *p, char *buf, size_t size);
int policy_text_format_unit(const struct unit_policy *u, char *buf, size_t size);

/* Parses what the two wrote, over what *ret holds (keys that are missing keep their value). -EINVAL for an
 * unknown key or a broken value. policy_text_apply leaves units and unit_count alone. */
int policy_text_apply(struct policy *ret, const char *text);
int policy_text_apply_unit(struct unit_policy *ret, const char *text);

/*
 * The rows of the record: one for the supervisor's part (unit = UNIT_NONE; it has rule_count), one a unit (its index),
 * one a rule (POLICY_ROW_RULE + its index; the text is rule_format's).
 *
 * policy_text_apply_row takes any of them. p->units has POLICY_UNITS_MAX entries and p->rules RULES_MAX, both zeroed at
 * first; unit_count grows with the highest index seen, and new units begin with their defaults. -EINVAL as above.
 */
#define POLICY_ROW_RULE 0x8000
int policy_text_apply_row(struct policy *p, uint16_t unit, const char *text);

#endif
