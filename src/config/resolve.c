/* SPDX-License-Identifier: MIT */
/* From a config to what the engine judges by, and one key of a unit changed while it runs. See config.h. */
#include <errno.h>
#include <string.h>

#include "load.h"
#include "unit.h"
#include "weir/base/units.h"

uint64_t config_size_resolve(const struct config_size *s, uint64_t parent_bytes, uint64_t if_unset)
{
    if (!s->is_set)
        return if_unset;
    if (!s->is_share)
        return s->bytes;
    return parent_bytes == UINT64_MAX ? UINT64_MAX : mul_div_u64(parent_bytes, s->permyriad, PERMYRIAD_ONE);
}

uint32_t unit_index(const struct config *c, const char *name)
{
    uint32_t i = 0;
    while (i < c->unit_count && strcmp(c->units[i].name, name) != 0)
        i++;
    return i;
}

static void resolve_after(const struct config *c, const struct config_unit *unit, struct unit_policy *ret)
{
    ret->after_count = 0;
    for (size_t i = 0; unit->after && unit->after[i] && ret->after_count < POLICY_AFTER_MAX; i++)
        ret->after[ret->after_count++] = (uint16_t)unit_index(c, unit->after[i]);
}

static void resolve_unit(const struct config *c, struct config_unit *unit, uint64_t parent_memory_bytes,
                         uint32_t abilities)
{
    struct unit_policy *policy = &unit->policy;
    policy->memory_max_bytes = config_size_resolve(&unit->memory_max, parent_memory_bytes, UINT64_MAX);
    policy->memory_high_bytes = config_size_resolve(&unit->memory_high, parent_memory_bytes, UINT64_MAX);
    policy->abilities = abilities | (unit->gate != CONFIG_GATE_NONE ? ABILITY_GATE : 0);
    resolve_after(c, unit, policy);
}

void config_resolve(struct config *c, uint64_t parent_memory_bytes, const uint32_t *abilities,
                    struct policy *policy)
{
    struct unit_policy *units = policy->units;
    struct rule *rules = policy->rules;
    policy_defaults(policy);
    policy->interval_us = c->interval_us;
    if (policy->fast_interval_us > c->interval_us)
        policy->fast_interval_us = c->interval_us;
    policy->units = units;
    policy->unit_count = c->unit_count;
    for (uint32_t i = 0; i < c->unit_count; i++) {
        resolve_unit(c, &c->units[i], parent_memory_bytes, abilities ? abilities[i] : 0);
        units[i] = c->units[i].policy;
    }
    policy->rules = rules;
    policy->rule_count = rules ? c->rule_count : 0;
    for (uint32_t i = 0; i < policy->rule_count; i++)
        rules[i] = c->rules[i].rule;
}

static int find_settable(const struct config_unit *unit, const char *name, const struct key **ret,
                         struct err *reterr)
{
    const struct key *key = key_find(KEY_SECTION_UNIT, name);
    char shown[WHY_SHOWN_MAX];
    for (unsigned other = 0; !key && other < KEY_SECTION_COUNT; other++)
        if (key_find((enum key_section)other, name))
            return err_set(reterr, -EINVAL,
                           "%s is a key of %s, not of a unit; change it in the file and reload", name,
                           key_tables[other].title);
    if (!key) {
        const char *near = key_nearest(KEY_SECTION_UNIT, name);
        return near ? err_set(reterr, -EINVAL, "unknown key '%s'; did you mean '%s'?", why_show(name, shown),
                              near)
                    : err_set(reterr, -EINVAL, "unknown key '%s'; weir.conf(5) lists them",
                              why_show(name, shown));
    }
    if (!(key->flags & KEY_LIVE))
        return err_set(reterr, -EINVAL,
                       "%s cannot be set on a running unit; change the file, reload and restart [unit %s]",
                       name, unit->name);
    if (key->flags & KEY_FILE || key->type->clear)
        return err_set(reterr, -EINVAL, "%s can only be set in the file; change it there and reload", name);
    if (unit->wrap && (key->flags & KEY_SERVICE))
        return err_set(reterr, -EINVAL, "%s is not for a wrapped unit; the command keeps its caller's", name);
    if (!unit->wrap && (key->flags & KEY_WRAPPED))
        return err_set(reterr, -EINVAL, "%s is for wrapped units only", name);
    if (unit->gate == CONFIG_GATE_NONE && (key->flags & KEY_GATE))
        return err_set(reterr, -EINVAL, "%s needs a gate, and [unit %s] has gate = none", name, unit->name);
    *ret = key;
    return 0;
}

int config_unit_set(struct config_unit *unit, const char *key, const char *value, struct err *reterr)
{
    const struct key *row = NULL;
    struct why why = WHY_NULL;
    int r = find_settable(unit, key, &row, reterr);
    if (r < 0)
        return r;
    /* a live key's value is plain memory, so the copy owns nothing and is dropped on failure */
    struct config_unit changed = *unit;
    r = key_parse(row, &changed, value, &why);
    for (size_t i = 0; r == 0 && i < key_order_count; i++)
        r = check_order(&changed, &key_orders[i], &why);
    if (r == -EINVAL)
        return err_set(reterr, r, "%s%s%s", why.text, *why.hint ? "; " : "", why.hint);
    if (r < 0)
        return err_errno(reterr, r, "%s", key);
    *unit = changed;
    return 0;
}
