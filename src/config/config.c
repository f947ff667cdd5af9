/* SPDX-License-Identifier: MIT */
/*
 * Loading a config: lines.c looks at the raw file, sections are made of its headers, inih hands over the
 * keys, each goes to its row of the table, and check.c judges what needs more than one key. Every step goes
 * on after a problem, so that one pass tells them all; only out of memory ends it early.
 */
#include "load.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INI_HANDLER_LINENO 1 /* Debian's build passes it; src/config/meson.build has tried that */
#include <ini.h>

#include "text.h"
#include "unit.h"
#include "weir/base/cleanup.h"
#include "weir/base/nearest.h"

enum target_kind { TARGET_SKIP, TARGET_SUPERVISOR, TARGET_UNIT };

struct section_target {
    enum target_kind kind;
    uint32_t unit;
};

static void loader_deinit(struct loader *l)
{
    lines_deinit(&l->lines);
    free(l->units);
    free(l->targets);
}

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

/* Reports what is wrong with the name. 0 = fine, 1 = reported, -ENOMEM. */
static int judge_unit_name(struct loader *l, unsigned line, const char *name)
{
    struct why why = WHY_NULL;
    char shown[WHY_SHOWN_MAX];
    uint32_t same = unit_index(l->config, name);
    int r;
    if (*name == '\0')
        r = problem_add(l->report, line, "a unit needs a name", "write [unit NAME], such as [unit worker]");
    else if (name_check(name, &why) < 0)
        r = problem_addf(l->report, line, "[unit %s]: %s\n%s", why_show(name, shown), why.text, why.hint);
    else if (same < l->config->unit_count)
        r = problem_addf(l->report, line, "[unit %s] is here twice\nthe first is in line %u", name,
                         l->config->units[same].line);
    else
        return 0;
    return r < 0 ? r : 1;
}

/* A unit that is reported here is made all the same, so that its keys are looked at. */
static int add_unit(struct loader *l, const struct lines_section *section, const char *name,
                    struct section_target *target)
{
    struct config *c = l->config;
    if (c->unit_count == POLICY_UNITS_MAX)
        return problem_addf(l->report, section->line,
                            "more than %d units\ndivide them between several supervisors", POLICY_UNITS_MAX);
    int r = judge_unit_name(l, section->line, name);
    if (r < 0 || reserve_unit(l) < 0)
        return -ENOMEM;
    struct config_unit *unit = &c->units[c->unit_count];
    struct section_notes *notes = &l->units[c->unit_count];
    *notes = (struct section_notes){.is_broken = r > 0, .has_bad_line = section->has_bad_line};
    *target = (struct section_target){TARGET_UNIT, c->unit_count};
    c->unit_count++;
    r = config_unit_init(unit);
    unit->line = section->line;
    if (!notes->is_broken)
        (void)snprintf(unit->name, sizeof(unit->name), "%s", name);
    memcpy(unit->policy.name, unit->name, sizeof(unit->name));
    return r;
}

static int refuse_section(struct loader *l, const struct lines_section *section, const char *word)
{
    static const char *const words[] = {"supervisor", "unit"};
    char shown[WHY_SHOWN_MAX];
    l->has_bad_section = true;
    (void)why_show(section->title, shown);
    if (strcmp(word, "rule") == 0 || strcmp(word, "metric") == 0)
        return problem_addf(l->report, section->line,
                            "[%s]: %ss are not supported in this version\nremove the section", shown, word);
    const char *near = nearest_word(word, words, ARRAY_SIZE(words));
    return near ? problem_addf(l->report, section->line, "unknown section [%s]\ndid you mean [%s%s]?", shown,
                               near, near == words[1] ? " NAME" : "")
                : problem_addf(l->report, section->line,
                               "unknown section [%s]\nsections are [supervisor] and [unit NAME]", shown);
}

static int add_section(struct loader *l, const struct lines_section *section, unsigned *first_supervisor,
                       struct section_target *target)
{
    char word[16];
    if (!section->title) {
        l->has_bad_section = true;
        return 0;
    }
    size_t length = strcspn(section->title, " \t");
    (void)snprintf(word, sizeof(word), "%.*s", (int)length, section->title);
    const char *rest = section->title + length + strspn(section->title + length, " \t");
    if (strcmp(word, "unit") == 0)
        return add_unit(l, section, rest, target);
    if (strcmp(word, "supervisor") != 0)
        return refuse_section(l, section, word);
    if (*rest)
        return problem_addf(l->report, section->line,
                            "[supervisor] takes no name\nwrite name = NAME below it");
    target->kind = TARGET_SUPERVISOR;
    if (*first_supervisor > 0)
        return problem_addf(l->report, section->line, "[supervisor] is here twice\nthe first is in line %u",
                            *first_supervisor);
    *first_supervisor = section->line;
    return 0;
}

static int add_sections(struct loader *l)
{
    unsigned first_supervisor = 0;
    l->targets = calloc(l->lines.section_count + 1, sizeof(*l->targets));
    if (!l->targets)
        return -ENOMEM;
    for (size_t i = 0; i < l->lines.section_count; i++) {
        int r = add_section(l, &l->lines.sections[i], &first_supervisor, &l->targets[i]);
        if (r < 0)
            return r;
    }
    return 0;
}

static int report_unknown(struct loader *l, enum key_section section, const char *name, unsigned line)
{
    enum key_section other = section == KEY_SECTION_UNIT ? KEY_SECTION_SUPERVISOR : KEY_SECTION_UNIT;
    const char *title = l->lines.sections[l->section - 1].title;
    const char *near = key_nearest(section, name);
    char shown[WHY_SHOWN_MAX];
    (void)why_show(name, shown);
    if (key_find(other, name))
        return problem_addf(l->report, line, "unknown key '%s' in [%s]\nit belongs into %s", shown, title,
                            key_tables[other].title);
    if (strncmp(name, "gate_", 5) == 0)
        return problem_addf(l->report, line,
                            "unknown key '%s' in [%s]\ngates are not supported in this version", shown,
                            title);
    if (near && section == KEY_SECTION_UNIT && (strcmp(near, "exec") == 0 || strcmp(near, "wrap") == 0))
        l->units[l->targets[l->section - 1].unit].has_bad_line = true;
    if (near)
        return problem_addf(l->report, line, "unknown key '%s' in [%s]\ndid you mean '%s'?", shown, title,
                            near);
    return problem_addf(l->report, line, "unknown key '%s' in [%s]\nweir.conf(5) lists the keys of %s", shown,
                        title, key_tables[section].title);
}

/* One key of a section that is known. */
static int take_key(struct loader *l, enum key_section section, void *owner, struct key_note *notes,
                    const char *name, const char *value, unsigned line)
{
    const struct key *key = key_find(section, name);
    if (!key)
        return report_unknown(l, section, name, line);
    struct key_note *note = &notes[key_index(section, key)];
    /* a key of a second section of that name was not repeated where it stands */
    bool is_repeated = note->line > l->lines.sections[l->section - 1].line;
    if (is_repeated && !(key->flags & KEY_ADDS))
        return problem_addf(l->report, line, "%s is set twice in [%s]\nthe first is in line %u", name,
                            l->lines.sections[l->section - 1].title, note->line);
    struct why why = {.column = lines_value_column(&l->lines, line)};
    int r = key_parse(key, owner, value, &why);
    note->line = line;
    if (r == -EINVAL) {
        note->is_bad = true;
        r = problem_add(l->report, line, why.text, why.hint);
    }
    return r;
}

static int take_line(struct loader *l, const char *name, const char *value, unsigned line)
{
    const struct lines *lines = &l->lines;
    char shown[WHY_SHOWN_MAX];
    while (l->section < lines->section_count && lines->sections[l->section].line < line)
        l->section++;
    if (l->section == 0)
        return problem_addf(l->report, line,
                            "'%s' stands before any section\nput it below [supervisor] or [unit NAME]",
                            why_show(name, shown));
    const struct section_target *target = &l->targets[l->section - 1];
    switch (target->kind) {
    case TARGET_SKIP:
        return 0;
    case TARGET_SUPERVISOR:
        return take_key(l, KEY_SECTION_SUPERVISOR, l->config, l->supervisor.keys, name, value, line);
    case TARGET_UNIT:
        return take_key(l, KEY_SECTION_UNIT, &l->config->units[target->unit], l->units[target->unit].keys,
                        name, value, line);
    }
    return 0;
}

/* inih's: non-zero = go on. */
static int handle_line(void *user, const char *section, const char *name, const char *value, int line)
{
    struct loader *l = user;
    (void)section; /* its own idea of it, cut at 49 bytes */
    if (l->error == 0)
        l->error = take_line(l, name, value, (unsigned)line);
    return 1;
}

struct feed {
    const struct lines *lines;
    unsigned line;
};

/* inih's fgets: a line at a time, which fits because lines.c saw to that. */
static char *feed_line(char *buffer, int size, void *stream)
{
    struct feed *feed = stream;
    size_t length;
    if (feed->line >= feed->lines->count)
        return NULL;
    const char *text = lines_get(feed->lines, ++feed->line, &length);
    if (length + 2 > (size_t)size)
        length = 0;
    memcpy(buffer, text, length);
    memcpy(buffer + length, "\n", 2);
    return buffer;
}

/* inih's switches are its globals; they are set each time, to what this file relies on. */
static void set_inih(void)
{
    ini_allow_multiline = false;
    ini_allow_inline_comments = false;
    ini_allow_no_value = false;
    ini_allow_bom = false;
    ini_stop_on_first_error = false;
    ini_use_stack = true;
    ini_max_line = LINE_MAX_BYTES + 3;
    ini_start_comment_prefixes = (char *)";#";
}

static int parse_lines(struct loader *l)
{
    struct feed feed = {.lines = &l->lines};
    set_inih();
    int r = ini_parse_stream(feed_line, &feed, handle_line, l);
    if (l->error < 0)
        return l->error;
    /* lines.c should have seen it: never let it pass in silence */
    if (r > 0)
        return problem_add(l->report, (unsigned)r, "the line is not understood", "write KEY = VALUE");
    return r < 0 ? -ENOMEM : 0;
}

static int load(struct loader *l, const char *path)
{
    struct config *c = l->config;
    c->path = text_copy(path, strlen(path));
    if (!c->path)
        return -ENOMEM;
    int r = key_table_init(KEY_SECTION_SUPERVISOR, c);
    if (r == 0)
        r = lines_read(path, &l->lines, l->report);
    if (r == 0)
        r = add_sections(l);
    if (r == 0)
        r = parse_lines(l);
    if (r == 0)
        r = check_all(l);
    return r;
}

int config_load(const char *path, struct config *ret, struct config_report *report)
{
    _cleanup_(config_deinit) struct config config = {0};
    *report = (struct config_report){0};
    _cleanup_(loader_deinit) struct loader l = {.config = &config, .report = report};
    int r = load(&l, path);
    problems_sort(report);
    if (r == 0 && report->count > 0)
        r = -EINVAL;
    if (r < 0)
        return r;
    *ret = config;
    config = (struct config){0};
    return 0;
}

void config_deinit(struct config *c)
{
    for (uint32_t i = 0; i < c->unit_count; i++)
        key_table_deinit(KEY_SECTION_UNIT, &c->units[i]);
    free(c->units);
    free(c->rules);
    free(c->path);
    key_table_deinit(KEY_SECTION_SUPERVISOR, c);
    *c = (struct config){0};
}
