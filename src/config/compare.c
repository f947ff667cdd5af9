/* SPDX-License-Identifier: MIT */
/*
 * What differs between two configs. Values are compared as the text their types write, which is exact; so a
 * type needs no comparison of its own, and what is told is what was compared.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "key.h"
#include "unit.h"
#include "weir/base/cleanup.h"

struct changes {
    struct config_change *items;
    size_t count;
    const char *unit, *rule; /* of the section being compared; "" = it is not one */
};

static void changes_deinit(struct changes *c)
{
    config_changes_free(c->items, c->count);
}

/* Takes from and to (NULL for none). 0 or -ENOMEM; both are taken in any case. */
static int add_change(struct changes *c, const char *key, enum config_change_type type, char *from, char *to)
{
    struct config_change change = {.key = key, .type = type, .from = from, .to = to};
    if ((c->count & (c->count - 1)) == 0) { /* full at every power of two */
        size_t room = c->count ? 2 * c->count : 1;
        struct config_change *grown = realloc(c->items, room * sizeof(*grown));
        if (!grown) {
            free(from);
            free(to);
            return -ENOMEM;
        }
        c->items = grown;
    }
    (void)snprintf(change.unit, sizeof(change.unit), "%s", c->unit);
    (void)snprintf(change.rule, sizeof(change.rule), "%s", c->rule);
    c->items[c->count++] = change;
    return 0;
}

/* "A, B": the names of NAME=value items. */
static void add_names(char *const *items, struct text *out)
{
    for (size_t i = 0; items && items[i]; i++) {
        text_add(out, "%s", i ? ", " : "");
        text_add_bytes(out, items[i], strcspn(items[i], "="));
    }
}

/* The value as a person may see it. */
static char *shown_value(const struct key *key, const void *owner)
{
    struct text value = TEXT_NULL;
    if (key->flags & KEY_SECRET)
        add_names(*KEY_CONST_FIELD(char **, owner, key->offset), &value);
    if (value.length == 0 && key->flags & KEY_SECRET)
        text_add(&value, "%s", key->unset);
    else if (!(key->flags & KEY_SECRET))
        key_format(key, owner, &value);
    return text_steal(&value);
}

/* 1 = they differ, 0, -ENOMEM. */
static int values_differ(const struct key *key, const void *from, const void *to)
{
    struct text a = TEXT_NULL, b = TEXT_NULL;
    key->type->format(key, from, &a);
    key->type->format(key, to, &b);
    int r = a.failed || b.failed ? -ENOMEM : strcmp(text_peek(&a), text_peek(&b)) != 0;
    text_deinit(&a);
    text_deinit(&b);
    return r;
}

static int compare_key(struct changes *c, const struct key *key, const void *from, const void *to)
{
    int r = values_differ(key, from, to);
    if (r <= 0)
        return r;
    _cleanup_free_ char *a = shown_value(key, from);
    _cleanup_free_ char *b = shown_value(key, to);
    if (!a || !b)
        return -ENOMEM;
    if (strcmp(a, b) == 0) { /* the same variables with other values */
        struct text with_note = TEXT_NULL;
        text_add(&with_note, "%s (other values)", b);
        free(b);
        b = text_steal(&with_note);
        if (!b)
            return -ENOMEM;
    }
    return add_change(c, key->name, key->flags & KEY_LIVE ? CONFIG_CHANGE_LIVE : CONFIG_CHANGE_RESTART,
                      steal_ptr(&a), steal_ptr(&b));
}

static int compare_section(struct changes *c, enum key_section section, const void *from, const void *to)
{
    const struct key_table *table = &key_tables[section];
    for (size_t i = 0; i < table->count; i++) {
        int r = compare_key(c, &table->keys[i], from, to);
        if (r < 0)
            return r;
    }
    return 0;
}

static int compare_units(struct changes *c, const struct config *from, const struct config *to)
{
    int r = 0;
    for (uint32_t i = 0; r == 0 && i < to->unit_count; i++) {
        const struct config_unit *unit = &to->units[i];
        uint32_t old = unit_index(from, unit->name);
        c->unit = unit->name;
        r = old < from->unit_count ? compare_section(c, KEY_SECTION_UNIT, &from->units[old], unit)
                                   : add_change(c, NULL, CONFIG_CHANGE_ADDED, NULL, NULL);
    }
    for (uint32_t i = 0; r == 0 && i < from->unit_count; i++) {
        c->unit = from->units[i].name;
        if (unit_index(to, c->unit) == to->unit_count)
            r = add_change(c, NULL, CONFIG_CHANGE_REMOVED, NULL, NULL);
    }
    c->unit = "";
    return r;
}

static const struct config_rule *rule_find(const struct config *c, const char *name)
{
    for (uint32_t i = 0; i < c->rule_count; i++)
        if (strcmp(c->rules[i].name, name) == 0)
            return &c->rules[i];
    return NULL;
}

/* "A, B": the rules of c that the other has, too, in c's order. */
static char *common_rules(const struct config *c, const struct config *other)
{
    struct text names = TEXT_NULL;
    for (uint32_t i = 0; i < c->rule_count; i++)
        if (rule_find(other, c->rules[i].name))
            text_add(&names, "%s%s", names.length ? ", " : "", c->rules[i].name);
    return text_steal(&names);
}

/* Their order is their precedence. */
static int compare_order(struct changes *c, const struct config *from, const struct config *to)
{
    _cleanup_free_ char *before = common_rules(from, to);
    _cleanup_free_ char *after = common_rules(to, from);
    if (!before || !after)
        return -ENOMEM;
    if (strcmp(before, after) == 0)
        return 0;
    return add_change(c, CONFIG_KEY_RULES, CONFIG_CHANGE_LIVE, steal_ptr(&before), steal_ptr(&after));
}

static int compare_rules(struct changes *c, const struct config *from, const struct config *to)
{
    int r = 0;
    for (uint32_t i = 0; r == 0 && i < to->rule_count; i++) {
        const struct config_rule *old = rule_find(from, to->rules[i].name);
        c->rule = to->rules[i].name;
        r = old ? compare_section(c, KEY_SECTION_RULE, old, &to->rules[i])
                : add_change(c, NULL, CONFIG_CHANGE_ADDED, NULL, NULL);
    }
    for (uint32_t i = 0; r == 0 && i < from->rule_count; i++) {
        c->rule = from->rules[i].name;
        if (!rule_find(to, c->rule))
            r = add_change(c, NULL, CONFIG_CHANGE_REMOVED, NULL, NULL);
    }
    c->rule = "";
    return r < 0 ? r : compare_order(c, from, to);
}

int config_compare(const struct config *from, const struct config *to, struct config_change **ret,
                   size_t *ret_count)
{
    _cleanup_(changes_deinit) struct changes changes = {.unit = "", .rule = ""};
    int r = compare_section(&changes, KEY_SECTION_SUPERVISOR, from, to);
    if (r == 0)
        r = compare_units(&changes, from, to);
    if (r == 0)
        r = compare_rules(&changes, from, to);
    if (r < 0)
        return r;
    *ret_count = changes.count;
    *ret = steal_ptr(&changes.items);
    changes.count = 0;
    return 0;
}

void config_changes_free(struct config_change *changes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free(changes[i].from);
        free(changes[i].to);
    }
    free(changes);
}
