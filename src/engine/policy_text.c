/* SPDX-License-Identifier: MIT */
/*
 * A policy as text; see the header. One table of fields per struct: name, offset, size. All fields are
 * unsigned numbers, but for the unit's name and its `after` list.
 */
#include "weir/engine/policy_text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "weir/base/cleanup.h"

struct field {
    const char *name;
    size_t offset;
    size_t size;
};

#define P(f)                                                                                                 \
    {                                                                                                        \
#f, offsetof(struct policy, f), sizeof(((struct policy *)0)->f)                                      \
    }
#define U(f)                                                                                                 \
    {                                                                                                        \
#f, offsetof(struct unit_policy, f), sizeof(((struct unit_policy *)0)->f)                            \
    }
#define L(f)                                                                                                 \
    {                                                                                                        \
#f, offsetof(struct unit_policy, ladder.f), sizeof(((struct ladder_policy *)0)->f)                   \
    }

static const struct field policy_fields[] = {P(interval_us), P(fast_interval_us), P(seed), P(rule_count)};

static const struct field unit_fields[] = {
    U(kind),
    U(mode),
    U(restart),
    U(has_ready),
    U(enabled),
    U(abilities),
    U(memory_max_bytes),
    U(memory_high_bytes),
    U(ready_timeout_us),
    U(overlap),
    U(drain_us),
    U(stop_timeout_us),
    U(respawn_wait_us),
    U(backoff_min_us),
    U(backoff_max_us),
    U(healthy_us),
    U(failure_budget),
    U(failure_window_us),
    U(recycle_min_life_us),
    U(recycle_cost_permyriad),
    U(recycle_window_us),
    U(rules),
    L(notify_permyriad),
    L(pace_permyriad),
    L(reclaim_permyriad),
    L(hold_permyriad),
    L(throttle_permyriad),
    L(restart_permyriad),
    L(critical_permyriad),
    L(release_permyriad),
    L(pressure_permyriad),
    L(pressure_window_us),
    L(restart_hold_us),
    L(throttle_eta_us),
    L(restart_eta_us),
    L(throttle_max_us),
    L(throttle_cpu_permyriad),
    L(throttle_steer_us),
    L(throttle_stall_us),
    L(jump_permyriad),
    L(jump_memory_us),
    L(pace_inflight),
    L(hold_settle_us),
    L(hold_max_us),
    L(reclaim_chunk_permyriad),
    L(reclaim_yield_permyriad),
    L(reclaim_cooldown_us),
    L(pulse_freeze_us),
    L(pulse_thaw_us),
    L(notify_cooldown_us),
};

static uint64_t field_get(const void *base, const struct field *f)
{
    uint64_t value = 0;
    /* little-endian or not, the sizes are those of the members themselves */
    const char *p = (const char *)base + f->offset;
    switch (f->size) {
    case 1:
        value = *(const uint8_t *)p;
        break;
    case 2:
        value = *(const uint16_t *)p;
        break;
    case 4:
        value = *(const uint32_t *)p;
        break;
    case 8:
        value = *(const uint64_t *)p;
        break;
    }
    return value;
}

static int field_set(void *base, const struct field *f, uint64_t value)
{
    char *p = (char *)base + f->offset;
    if (f->size < 8 && value >> (8 * f->size))
        return -EINVAL;
    switch (f->size) {
    case 1:
        if (value > 1) /* the one-byte fields are bool */
            return -EINVAL;
        *(uint8_t *)p = (uint8_t)value;
        break;
    case 2:
        *(uint16_t *)p = (uint16_t)value;
        break;
    case 4:
        *(uint32_t *)p = (uint32_t)value;
        break;
    case 8:
        *(uint64_t *)p = value;
        break;
    }
    return 0;
}

static int append(char *buf, size_t size, size_t *length, const char *key, uint64_t value)
{
    int n = snprintf(buf + *length, size - *length, "%s%s=%" PRIu64, *length ? " " : "", key, value);
    if (n < 0 || (size_t)n >= size - *length)
        return -EMSGSIZE;
    *length += (size_t)n;
    return 0;
}

static int format_fields(const void *base, const struct field *fields, size_t count, char *buf, size_t size,
                         size_t *length)
{
    for (size_t i = 0; i < count; i++) {
        int r = append(buf, size, length, fields[i].name, field_get(base, &fields[i]));
        if (r < 0)
            return r;
    }
    return 0;
}

int policy_text_format(const struct policy *p, char *buf, size_t size)
{
    size_t length = 0;
    int r = format_fields(p, policy_fields, ARRAY_SIZE(policy_fields), buf, size, &length);
    return r < 0 ? r : (int)length;
}

int policy_text_format_unit(const struct unit_policy *u, char *buf, size_t size)
{
    int n = snprintf(buf, size, "name=%s", u->name);
    if (n < 0 || (size_t)n >= size)
        return -EMSGSIZE;
    size_t length = (size_t)n;
    int r = format_fields(u, unit_fields, ARRAY_SIZE(unit_fields), buf, size, &length);
    for (uint16_t i = 0; r == 0 && i < u->after_count; i++)
        r = append(buf, size, &length, "after", u->after[i]);
    return r < 0 ? r : (int)length;
}

/* Splits "key=value" words; calls set for each. */
static int for_each_word(const char *text, int (*set)(void *base, const char *key, const char *value),
                         void *base)
{
    char copy[POLICY_TEXT_MAX];
    if (strlen(text) >= sizeof(copy))
        return -EINVAL;
    memcpy(copy, text, strlen(text) + 1);
    char *save = NULL;
    for (char *word = strtok_r(copy, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
        char *equals = strchr(word, '=');
        if (!equals)
            return -EINVAL;
        *equals = '\0';
        int r = set(base, word, equals + 1);
        if (r < 0)
            return r;
    }
    return 0;
}

static int set_number(void *base, const struct field *fields, size_t count, const char *key,
                      const char *value)
{
    char *end;
    errno = 0;
    uint64_t number = strtoull(value, &end, 10);
    if (errno || end == value || *end != '\0')
        return -EINVAL;
    for (size_t i = 0; i < count; i++)
        if (strcmp(fields[i].name, key) == 0)
            return field_set(base, &fields[i], number);
    return -EINVAL;
}

static int set_policy_word(void *base, const char *key, const char *value)
{
    return set_number(base, policy_fields, ARRAY_SIZE(policy_fields), key, value);
}

static int set_unit_word(void *base, const char *key, const char *value)
{
    struct unit_policy *u = base;
    if (strcmp(key, "name") == 0) {
        if (strlen(value) >= sizeof(u->name))
            return -EINVAL;
        memcpy(u->name, value, strlen(value) + 1);
        return 0;
    }
    if (strcmp(key, "after") == 0) {
        if (u->after_count >= POLICY_AFTER_MAX)
            return -EINVAL;
        u->after[u->after_count++] = (uint16_t)strtoul(value, NULL, 10);
        return 0;
    }
    return set_number(base, unit_fields, ARRAY_SIZE(unit_fields), key, value);
}

int policy_text_apply(struct policy *ret, const char *text)
{
    return for_each_word(text, set_policy_word, ret);
}

int policy_text_apply_unit(struct unit_policy *ret, const char *text)
{
    ret->after_count = 0;
    return for_each_word(text, set_unit_word, ret);
}

static int apply_rule_row(struct policy *p, uint32_t index, const char *text)
{
    struct rule rule;
    if (index >= RULES_MAX || rule_parse(text, &rule) < 0)
        return -EINVAL;
    p->rules[index] = rule;
    return 0;
}

static int apply_unit_row(struct policy *p, uint16_t unit, const char *text)
{
    if (unit >= POLICY_UNITS_MAX)
        return -EINVAL;
    struct unit_policy row = p->units[unit];
    if (unit >= p->unit_count)
        policy_unit_defaults(&row);
    int r = policy_text_apply_unit(&row, text);
    if (r < 0)
        return r;
    for (uint32_t i = p->unit_count; i < unit; i++)
        policy_unit_defaults(&p->units[i]);
    p->units[unit] = row;
    if (unit >= p->unit_count)
        p->unit_count = unit + 1U;
    return 0;
}

static int apply_supervisor_row(struct policy *p, const char *text)
{
    struct policy row = *p;
    int r = policy_text_apply(&row, text);
    if (r == 0 && row.rule_count > RULES_MAX)
        r = -EINVAL;
    if (r == 0)
        *p = row;
    return r;
}

int policy_text_apply_row(struct policy *p, uint16_t unit, const char *text)
{
    if (unit == UNIT_NONE)
        return apply_supervisor_row(p, text);
    if (unit >= POLICY_ROW_RULE)
        return apply_rule_row(p, unit - POLICY_ROW_RULE, text);
    return apply_unit_row(p, unit, text);
}
