/* SPDX-License-Identifier: MIT */
/*
 * From the headers of a file to its units and rules. One with a slip in its header is made all the same, where it
 * can be, so that its keys are looked at.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "load.h"
#include "text.h"
#include "unit.h"
#include "weir/base/cleanup.h"
#include "weir/base/nearest.h"

/* Room for one more unit, in the config and beside it. */
static int reserve_unit(struct loader *l)
{
    if (l->config->unit_count < l->unit_room)
        return 0;
    uint32_t room = l->unit_room ? 2 * l->unit_room : 4;
    struct config_unit *units = realloc(l->config->units, room * sizeof(*units));
    if (!units)
        return -ENOMEM;
    l->config->units = units;
    struct section_notes *notes = realloc(l->units, room * sizeof(*notes));
    if (!notes)
        return -ENOMEM;
    l->units = notes;
    l->unit_room = room;
    return 0;
}

/* For all the rules there can be. */
static int reserve_rules(struct loader *l)
{
    if (!l->config->rules)
        l->config->rules = calloc(RULES_MAX, sizeof(*l->config->rules));
    if (!l->rules)
        l->rules = calloc(RULES_MAX, sizeof(*l->rules));
    return l->config->rules && l->rules ? 0 : -ENOMEM;
}

/* The header at hand: "[WORD NAME]". */
struct header {
    const struct lines_section *section;
    const char *word, *name;
    unsigned first_line; /* of the section of that name that is there already; 0 = none */
};

/* Reports what is wrong with the name. 0 = fine, 1 = reported, -ENOMEM. */
static int judge_name(struct loader *l, const struct header *h)
{
    struct why why = WHY_NULL;
    char shown[WHY_SHOWN_MAX];
    unsigned line = h->section->line;
    int r;
    if (*h->name == '\0')
        r = problem_addf(l->report, line, "a %s needs a name\nwrite [%s NAME], such as [%s %s]", h->word,
                         h->word, h->word, strcmp(h->word, "unit") == 0 ? "worker" : "recycle-worker");
    else if (name_check(h->name, &why) < 0)
        r = problem_addf(l->report, line, "[%s %s]: %s\n%s", h->word, why_show(h->name, shown), why.text,
                         why.hint);
    else if (h->first_line > 0)
        r = problem_addf(l->report, line, "[%s %s] is here twice\nthe first is in line %u", h->word, h->name,
                         h->first_line);
    else
        return 0;
    return r < 0 ? r : 1;
}

static int add_unit(struct loader *l, struct header *h, struct section_target *target)
{
    struct config *c = l->config;
    if (c->unit_count == POLICY_UNITS_MAX)
        return problem_addf(l->report, h->section->line,
                            "more than %d units\ndivide them between several supervisors", POLICY_UNITS_MAX);
    uint32_t same = unit_index(c, h->name);
    h->first_line = same < c->unit_count ? c->units[same].line : 0;
    int r = judge_name(l, h);
    if (r < 0 || reserve_unit(l) < 0)
        return -ENOMEM;
    struct config_unit *unit = &c->units[c->unit_count];
    struct section_notes *notes = &l->units[c->unit_count];
    *notes = (struct section_notes){.is_broken = r > 0, .has_bad_line = h->section->has_bad_line};
    *target = (struct section_target){.section = KEY_SECTION_UNIT, .index = c->unit_count};
    c->unit_count++;
    r = config_unit_init(unit);
    unit->line = h->section->line;
    if (!notes->is_broken)
        (void)snprintf(unit->name, sizeof(unit->name), "%s", h->name);
    memcpy(unit->policy.name, unit->name, sizeof(unit->name));
    return r;
}

static unsigned rule_line(const struct config *c, const char *name)
{
    for (uint32_t i = 0; i < c->rule_count; i++)
        if (strcmp(c->rules[i].name, name) == 0)
            return c->rules[i].line;
    return 0;
}

static int add_rule(struct loader *l, struct header *h, struct section_target *target)
{
    struct config *c = l->config;
    if (c->rule_count == RULES_MAX)
        return problem_addf(l->report, h->section->line,
                            "more than %d rules\njoin some with 'or', or divide the units between several "
                            "supervisors",
                            RULES_MAX);
    h->first_line = rule_line(c, h->name);
    int r = judge_name(l, h);
    if (r < 0 || reserve_rules(l) < 0)
        return -ENOMEM;
    struct config_rule *rule = &c->rules[c->rule_count];
    l->rules[c->rule_count] =
        (struct section_notes){.is_broken = r > 0, .has_bad_line = h->section->has_bad_line};
    *target = (struct section_target){.section = KEY_SECTION_RULE, .index = c->rule_count};
    c->rule_count++;
    rule->line = h->section->line;
    if (r == 0)
        (void)snprintf(rule->name, sizeof(rule->name), "%s", h->name);
    return key_table_init(KEY_SECTION_RULE, rule);
}

static int add_supervisor(struct loader *l, const struct header *h, struct section_target *target)
{
    unsigned line = h->section->line;
    if (*h->name)
        return problem_addf(l->report, line, "[supervisor] takes no name\nwrite name = NAME below it");
    *target = (struct section_target){.section = KEY_SECTION_SUPERVISOR};
    if (l->supervisor_line > 0)
        return problem_addf(l->report, line, "[supervisor] is here twice\nthe first is in line %u",
                            l->supervisor_line);
    l->supervisor_line = line;
    return 0;
}

static int refuse_section(struct loader *l, const struct header *h)
{
    static const char *const words[] = {"supervisor", "unit", "rule"};
    const struct lines_section *section = h->section;
    char shown[WHY_SHOWN_MAX];
    l->has_bad_section = true;
    (void)why_show(section->title, shown);
    if (strcmp(h->word, "metric") == 0)
        return problem_addf(l->report, section->line,
                            "[%s]: metrics are not supported in this version\nremove the section", shown);
    const char *near = nearest_word(h->word, words, ARRAY_SIZE(words));
    return near ? problem_addf(l->report, section->line, "unknown section [%s]\ndid you mean [%s%s]?", shown,
                               near, near == words[0] ? "" : " NAME")
                : problem_addf(l->report, section->line,
                               "unknown section [%s]\nsections are [supervisor], [unit NAME] and [rule NAME]",
                               shown);
}

static int add_section(struct loader *l, const struct lines_section *section, struct section_target *target)
{
    char word[16];
    *target = (struct section_target){.is_skipped = true};
    if (!section->title) {
        l->has_bad_section = true;
        return 0;
    }
    size_t length = strcspn(section->title, " \t");
    (void)snprintf(word, sizeof(word), "%.*s", (int)length, section->title);
    struct header h = {.section = section,
                       .word = word,
                       .name = section->title + length + strspn(section->title + length, " \t")};
    if (strcmp(word, "unit") == 0)
        return add_unit(l, &h, target);
    if (strcmp(word, "rule") == 0)
        return add_rule(l, &h, target);
    if (strcmp(word, "supervisor") == 0)
        return add_supervisor(l, &h, target);
    return refuse_section(l, &h);
}

int add_sections(struct loader *l)
{
    l->targets = calloc(l->lines.section_count + 1, sizeof(*l->targets));
    if (!l->targets)
        return -ENOMEM;
    for (size_t i = 0; i < l->lines.section_count; i++) {
        int r = add_section(l, &l->lines.sections[i], &l->targets[i]);
        if (r < 0)
            return r;
    }
    return 0;
}
