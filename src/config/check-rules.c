/* SPDX-License-Identifier: MIT */
/*
 * Rules, judged with the units: which they are for, and whether what a rule asks for is there. Fills each unit's
 * mask of rules. What is wrong with the language itself was told when the key was read.
 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "load.h"
#include "text.h"
#include "weir/base/cleanup.h"
#include "weir/base/nearest.h"

/* Units by name, sorted: 64 rules may name a thousand units each. */
struct name_row {
    const char *name;
    uint32_t unit;
};

struct rules_check {
    struct loader *loader;
    struct name_row *rows;
    size_t row_count;
    /* the rule at hand */
    uint32_t index;
    struct config_rule *rule;
    const struct section_notes *notes;
};

static int compare_rows(const void *a, const void *b)
{
    const struct name_row *x = a, *y = b;
    return strcmp(x->name, y->name);
}

static int index_names(struct rules_check *k)
{
    const struct config *c = k->loader->config;
    k->rows = calloc(c->unit_count + 1, sizeof(*k->rows));
    if (!k->rows)
        return -ENOMEM;
    for (uint32_t i = 0; i < c->unit_count; i++)
        if (*c->units[i].name)
            k->rows[k->row_count++] = (struct name_row){c->units[i].name, i};
    qsort(k->rows, k->row_count, sizeof(*k->rows), compare_rows);
    return 0;
}

static const struct key_note *note_of(const struct rules_check *k, const char *key)
{
    return note_find(k->notes, KEY_SECTION_RULE, key);
}

static bool is_word_byte(char c)
{
    return isalnum((unsigned char)c) || c == '_' || c == '.' || c == '-';
}

/* Where the word stands in the value of that key; the line as a whole when it does not. */
static struct place find_word(const struct rules_check *k, const char *key, const char *word)
{
    unsigned line = note_of(k, key)->line;
    if (line == 0)
        return (struct place){.line = k->rule->line};
    struct place at = line_place(k->loader, line, 0, strlen(word));
    for (size_t i = lines_value_column(&k->loader->lines, line) - 1; i + at.length <= at.source_length; i++) {
        bool begins = i == 0 || !is_word_byte(at.source[i - 1]);
        bool ends = i + at.length == at.source_length || !is_word_byte(at.source[i + at.length]);
        if (begins && ends && strncasecmp(at.source + i, word, at.length) == 0) {
            at.column = (unsigned)i + 1;
            return at;
        }
    }
    return at;
}

static bool is_in(const struct place *at)
{
    return at->column > 0;
}

/* In do, when or until: the first of them that has the word. */
static struct place find_word_anywhere(const struct rules_check *k, const char *word)
{
    static const char *const keys[] = {"do", "when", "until"};
    struct place at = {.line = k->rule->line};
    for (size_t i = 0; i < ARRAY_SIZE(keys) && !is_in(&at); i++)
        at = find_word(k, keys[i], word);
    return at;
}

static int report_unknown_unit(struct rules_check *k, const char *name)
{
    const struct config *c = k->loader->config;
    struct place at = find_word(k, "unit", name);
    char shown[WHY_SHOWN_MAX];
    _cleanup_free_ const char **names = malloc((c->unit_count + 1) * sizeof(*names));
    if (!names)
        return -ENOMEM;
    for (size_t i = 0; i < k->row_count; i++)
        names[i] = k->rows[i].name;
    const char *near = nearest_word(name, names, k->row_count);
    (void)why_show(name, shown);
    return near ? problem_addf_at(k->loader->report, &at, "no unit '%s'\ndid you mean '%s'?", shown, near)
                : problem_addf_at(k->loader->report, &at,
                                  "no unit '%s'\nname a [unit NAME] of this file, or *", shown);
}

static int mark_unit(struct rules_check *k, const char *name)
{
    struct name_row wanted = {.name = name};
    const struct name_row *row =
        k->row_count ? bsearch(&wanted, k->rows, k->row_count, sizeof(*k->rows), compare_rows) : NULL;
    /* in a broken section the unit may be one that is not known */
    if (!row)
        return k->loader->has_bad_section ? 0 : report_unknown_unit(k, name);
    uint64_t *mask = &k->loader->config->units[row->unit].policy.rules;
    if (*mask >> k->index & 1)
        return problem_addf(k->loader->report, note_of(k, "unit")->line,
                            "unit: names '%s' twice\nkeep one of them", name);
    *mask |= UINT64_C(1) << k->index;
    return 0;
}

/* The units it judges, in their masks. */
static int mark_units(struct rules_check *k)
{
    struct config *c = k->loader->config;
    int r = 0;
    for (uint32_t i = 0; !k->rule->units && i < c->unit_count; i++)
        c->units[i].policy.rules |= UINT64_C(1) << k->index;
    for (size_t i = 0; r == 0 && k->rule->units && k->rule->units[i]; i++)
        r = mark_unit(k, k->rule->units[i]);
    return r;
}

static int check_needed(struct rules_check *k)
{
    static const struct {
        const char *key, *what;
    } needed[] = {
        {"when", "CONDITION, such as when = memory.current > 85% of memory.max for 3s"},
        {"do", "ACTIONS, such as do = restart"},
    };
    int r = 0;
    if (k->notes->has_bad_line || k->notes->is_broken)
        return 0;
    for (size_t i = 0; r == 0 && i < ARRAY_SIZE(needed); i++)
        if (note_of(k, needed[i].key)->line == 0)
            r = problem_addf(k->loader->report, k->rule->line, "[rule %s] has no %s\nwrite %s = %s",
                             k->rule->name, needed[i].key, needed[i].key, needed[i].what);
    return r;
}

static int check_actions(struct rules_check *k)
{
    const struct rule *rule = &k->rule->rule;
    enum rule_action_kind last = RULE_ACTION_NOTE;
    bool stops = false, restarts = false;
    for (uint32_t i = 0; i < rule->action_count; i++) {
        stops |= rule->actions[i].kind == RULE_ACTION_STOP;
        restarts |= rule->actions[i].kind == RULE_ACTION_RESTART;
        if (rule->actions[i].kind == RULE_ACTION_STOP || rule->actions[i].kind == RULE_ACTION_RESTART)
            last = rule->actions[i].kind;
    }
    if (!stops || !restarts)
        return 0;
    struct place at = find_word(k, "do", rule_action_name(last));
    return problem_addf_at(k->loader->report, &at,
                           "stop or restart, not both\nstop keeps the unit down; restart starts it again");
}

/* The one unit that the rule names, or NULL: several, or all. */
static const struct config_unit *only_unit(const struct rules_check *k)
{
    const struct config *c = k->loader->config;
    uint32_t i = 0;
    if (!k->rule->units || k->rule->units[1])
        return NULL;
    while (i < c->unit_count && !(c->units[i].policy.rules >> k->index & 1))
        i++;
    return i < c->unit_count ? &c->units[i] : NULL;
}

static const char *gate_word(const struct config_unit *unit)
{
    return unit->wrap ? "gate = none" : "none: only a wrapped unit can have one";
}

/* A unit that is named must have a gate; of all units (*) one must. */
static int check_gate(struct rules_check *k)
{
    const struct config *c = k->loader->config;
    const char *word = rule_needs_gate(&k->rule->rule);
    const struct config_unit *without = NULL;
    bool one_has = false;
    if (!word)
        return 0;
    for (uint32_t i = 0; i < c->unit_count; i++) {
        if (!(c->units[i].policy.rules >> k->index & 1))
            continue;
        if (c->units[i].gate != CONFIG_GATE_NONE)
            one_has = true;
        else if (!without)
            without = &c->units[i];
    }
    struct place at = find_word_anywhere(k, word);
    if (!without || (one_has && !k->rule->units))
        return 0;
    if (!k->rule->units)
        return problem_addf_at(
            k->loader->report, &at,
            "%s needs a gate, and no unit has one\nwrite gate = jsonl in the wrapped unit that is meant",
            word);
    return problem_addf_at(k->loader->report, &at, "%s needs a gate, and [unit %s] has %s\n%s", word,
                           without->name, gate_word(without),
                           without->wrap ? "write gate = jsonl there" : "name units with a gate only");
}

static bool has_memory_max(const struct config_unit *u)
{
    return u->memory_max.is_set && (u->memory_max.is_share || u->memory_max.bytes != UINT64_MAX);
}

static bool has_pids_max(const struct config_unit *u)
{
    return u->pids_max != UINT64_MAX;
}

/* Readings that are there only under a limit: a comparison with them is never true without it. */
static const struct limited_metric {
    enum decision_metric metric;
    const char *key;
    bool (*is_there)(const struct config_unit *u);
} limited_metrics[] = {
    {METRIC_MEMORY_MAX, "memory_max", has_memory_max}, {METRIC_MEMORY_HEADROOM, "memory_max", has_memory_max},
    {METRIC_MEMORY_ETA, "memory_max", has_memory_max}, {METRIC_MEMORY_JUMP, "memory_max", has_memory_max},
    {METRIC_PIDS_MAX, "pids_max", has_pids_max},
};

static const struct limited_metric *find_limited(enum decision_metric metric)
{
    for (size_t i = 0; i < ARRAY_SIZE(limited_metrics); i++)
        if (limited_metrics[i].metric == metric)
            return &limited_metrics[i];
    return NULL;
}

/* Does any unit of the rule have the limit? One with a bad value for it was told so already. */
static bool one_has_limit(const struct rules_check *k, const struct limited_metric *limit)
{
    const struct config *c = k->loader->config;
    for (uint32_t i = 0; i < c->unit_count; i++)
        if ((c->units[i].policy.rules >> k->index & 1) &&
            (limit->is_there(&c->units[i]) ||
             note_find(&k->loader->units[i], KEY_SECTION_UNIT, limit->key)->is_bad ||
             k->loader->units[i].has_bad_line))
            return true;
    return false;
}

static int report_no_limit(const struct rules_check *k, const struct place *at, const char *word,
                           const char *key)
{
    const struct config_unit *unit = only_unit(k);
    if (unit)
        return problem_addf_at(k->loader->report, at, "%s: [unit %s] has no %s\nset %s in [unit %s]", word,
                               unit->name, key, key, unit->name);
    return problem_addf_at(k->loader->report, at,
                           "%s: no unit that the rule judges has a %s\nset it in one of them", word, key);
}

static int check_limit_of(const struct rules_check *k, const char *key, enum decision_metric metric)
{
    const struct limited_metric *limit = find_limited(metric);
    if (!limit || one_has_limit(k, limit))
        return 0;
    const char *word = decision_metric_name(metric);
    struct place at = find_word(k, key, word);
    return report_no_limit(k, &at, word, limit->key);
}

static int check_condition(const struct rules_check *k, const char *key,
                           const struct rule_condition *condition)
{
    int r = 0;
    for (uint32_t i = 0; r == 0 && i < condition->count; i++) {
        if (condition->nodes[i].op != RULE_OP_COMPARE)
            continue;
        r = check_limit_of(k, key, condition->nodes[i].metric);
        if (r == 0)
            r = check_limit_of(k, key, condition->nodes[i].of);
    }
    return r;
}

/* "reclaim 10%" is a share of the limit. */
static int check_shares(const struct rules_check *k)
{
    const struct rule *rule = &k->rule->rule;
    for (uint32_t i = 0; i < rule->action_count; i++)
        if (rule->actions[i].is_share && !one_has_limit(k, find_limited(METRIC_MEMORY_MAX))) {
            struct place at = find_word(k, "do", rule_action_name(rule->actions[i].kind));
            return report_no_limit(k, &at, rule_action_name(rule->actions[i].kind), "memory_max");
        }
    return 0;
}

static bool judges_any(const struct rules_check *k)
{
    const struct config *c = k->loader->config;
    for (uint32_t i = 0; i < c->unit_count; i++)
        if (c->units[i].policy.rules >> k->index & 1)
            return true;
    return false;
}

static int check_rule(struct rules_check *k)
{
    struct rule *rule = &k->rule->rule;
    memcpy(rule->name, k->rule->name, sizeof(rule->name));
    rule->observe = k->rule->mode == UNIT_MODE_OBSERVE;
    int r = check_needed(k);
    if (r == 0 && !note_of(k, "unit")->is_bad)
        r = mark_units(k);
    if (r == 0)
        r = check_actions(k);
    if (r < 0 || !judges_any(k)) /* units that are not there were told */
        return r;
    r = check_gate(k);
    if (r == 0)
        r = check_condition(k, "when", &rule->when);
    if (r == 0)
        r = check_condition(k, "until", &rule->until);
    return r < 0 ? r : check_shares(k);
}

int check_rules(struct loader *l)
{
    struct rules_check k = {.loader = l};
    int r = l->config->rule_count ? index_names(&k) : 0;
    for (; r == 0 && k.index < l->config->rule_count; k.index++) {
        k.rule = &l->config->rules[k.index];
        k.notes = &l->rules[k.index];
        r = check_rule(&k);
    }
    free(k.rows);
    return r;
}
