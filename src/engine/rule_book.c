/* SPDX-License-Identifier: MIT */
/*
 * Makes room for what rules keep between steps: one allocation, laid out from the policy. A new book takes over what
 * the old one knew of a rule whose canonical text (its name is part of it) is the same, on the same unit; everything
 * else begins anew. What a rule that is gone had begun is ended by the POLICY event that follows (rules.c).
 *
 * Invariants: the slots of a unit are in the order of the policy's rules, one for each bit of the unit's mask. The book
 * has its own copy of the rules, so a step never judges by a condition other than the one that room was made for.
 */
#include "rules.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* How many of each the book holds. */
struct extent {
    size_t slots, holds, rings, begun;
};

/* A rule of a damaged record may be missing: it has no condition. */
static bool judges(const struct policy *policy, uint32_t unit, uint32_t rule)
{
    return ((policy->units[unit].rules >> rule) & 1U) && policy->rules[rule].when.count > 0;
}

static void add_needs(struct extent *ext, const struct rule *rule)
{
    size_t holds, rings;
    rule_eval_needs(&rule->when, &holds, &rings);
    ext->holds += holds;
    ext->rings += rings;
    rule_eval_needs(&rule->until, &holds, &rings);
    ext->holds += holds;
    ext->rings += rings;
    ext->begun += rule->limit_count;
    ext->slots++;
}

static struct extent measure(const struct policy *policy)
{
    struct extent ext = {0};
    for (uint32_t i = 0; i < policy->unit_count; i++)
        for (uint32_t r = 0; r < policy->rule_count; r++)
            if (judges(policy, i, r))
                add_needs(&ext, &policy->rules[r]);
    return ext;
}

/* Takes count things of size bytes off the block; every size is a multiple of the alignment. */
static void *carve(char **block, size_t count, size_t size)
{
    void *p = *block;
    *block += count * size;
    return p;
}

static struct rule_book *book_new(const struct policy *policy, char **ret_rest)
{
    struct extent ext = measure(policy);
    size_t size = sizeof(struct rule_book) + policy->unit_count * sizeof(struct unit_rules) +
                  policy->rule_count * sizeof(struct book_rule) + ext.slots * sizeof(struct rule_slot) +
                  ext.holds * sizeof(struct rule_hold) + ext.rings * sizeof(struct rule_ring) +
                  ext.begun * sizeof(uint64_t);
    char *block = calloc(1, size);
    if (!block)
        return NULL;
    struct rule_book *book = carve(&block, 1, sizeof(*book));
    book->unit_count = policy->unit_count;
    book->units = carve(&block, policy->unit_count, sizeof(struct unit_rules));
    book->rules = carve(&block, policy->rule_count, sizeof(struct book_rule));
    *ret_rest = block;
    return book;
}

static void copy_rule(struct book_rule *own, const struct rule *rule)
{
    own->rule = *rule;
    snprintf(own->name, sizeof(own->name), "rule.%s", rule->name);
    rule_format(rule, own->text, sizeof(own->text)); /* RULE_TEXT_MAX holds any rule */
}

static void lay_out_slot(struct rule_slot *slot, const struct rule *rule, char **block)
{
    size_t holds, until_rings;
    rule_eval_needs(&rule->when, &holds, &slot->ring_count);
    rule_eval_needs(&rule->until, &slot->until_holds, &until_rings);
    slot->hold_count = holds + slot->until_holds;
    slot->ring_count += until_rings;
    slot->holds = carve(block, slot->hold_count, sizeof(struct rule_hold));
    slot->rings = carve(block, slot->ring_count, sizeof(struct rule_ring));
    slot->begun_us = carve(block, rule->limit_count, sizeof(uint64_t));
}

static void lay_out_unit(struct rule_book *book, const struct policy *policy, uint32_t unit, char **block)
{
    struct unit_rules *all = &book->units[unit];
    for (uint32_t r = 0; r < policy->rule_count; r++)
        all->count += judges(policy, unit, r);
    all->slots = carve(block, all->count, sizeof(struct rule_slot));
    struct rule_slot *slot = all->slots;
    for (uint32_t r = 0; r < policy->rule_count; r++)
        if (judges(policy, unit, r)) {
            slot->rule = &book->rules[r];
            lay_out_slot(slot++, &policy->rules[r], block);
        }
}

static void take_over(struct rule_slot *slot, const struct rule_slot *old)
{
    size_t begun = slot->rule->rule.limit_count;
    slot->life = old->life;
    if (begun)
        memcpy(slot->begun_us, old->begun_us, begun * sizeof(*slot->begun_us));
    if (slot->hold_count)
        memcpy(slot->holds, old->holds, slot->hold_count * sizeof(*slot->holds));
    if (slot->ring_count)
        memcpy(slot->rings, old->rings, slot->ring_count * sizeof(*slot->rings));
}

static void take_over_unit(struct unit_rules *all, const struct unit_rules *old)
{
    all->generation = old->generation;
    for (uint32_t i = 0; i < all->count; i++)
        for (uint32_t k = 0; k < old->count; k++)
            if (strcmp(all->slots[i].rule->text, old->slots[k].rule->text) == 0)
                take_over(&all->slots[i], &old->slots[k]);
}

int engine_prepare(struct engine *e, const struct policy *policy)
{
    char *rest;
    struct rule_book *book = book_new(policy, &rest), *old = e->rules;
    if (!book)
        return -ENOMEM;
    for (uint32_t r = 0; r < policy->rule_count; r++)
        copy_rule(&book->rules[r], &policy->rules[r]);
    for (uint32_t i = 0; i < policy->unit_count; i++)
        lay_out_unit(book, policy, i, &rest);
    for (uint32_t i = 0; old && i < book->unit_count && i < old->unit_count; i++)
        take_over_unit(&book->units[i], &old->units[i]);
    free(old);
    e->rules = book;
    return 0;
}
