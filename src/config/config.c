/* SPDX-License-Identifier: MIT */
/*
 * Loading a config: lines.c looks at the raw file, sections.c makes units and rules of its headers, inih hands over
 * the keys, each goes to its row of the table, and check.c judges what needs more than one key. Every step goes
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
#include "weir/base/cleanup.h"

static void loader_deinit(struct loader *l)
{
    lines_deinit(&l->lines);
    free(l->units);
    free(l->rules);
    free(l->targets);
}

/* The section that the line at hand is in. */
struct here {
    enum key_section section;
    void *owner;
    struct section_notes *notes;
    const char *title;
    unsigned line; /* the line at hand */
};

static int report_unknown(struct loader *l, const struct here *here, const char *name)
{
    const char *near = key_nearest(here->section, name);
    char shown[WHY_SHOWN_MAX];
    (void)why_show(name, shown);
    for (unsigned other = 0; other < KEY_SECTION_COUNT; other++)
        if (key_find((enum key_section)other, name))
            return problem_addf(l->report, here->line, "unknown key '%s' in [%s]\nit belongs into %s", shown,
                                here->title, key_tables[other].title);
    if (near && (key_find(here->section, near)->flags & KEY_NEEDED))
        here->notes->has_bad_line = true;
    if (near)
        return problem_addf(l->report, here->line, "unknown key '%s' in [%s]\ndid you mean '%s'?", shown,
                            here->title, near);
    return problem_addf(l->report, here->line, "unknown key '%s' in [%s]\nweir.conf(5) lists the keys of %s",
                        shown, here->title, key_tables[here->section].title);
}

/* A value that was refused; with a caret where it is known which part of it. */
static int report_value(struct loader *l, unsigned line, const struct why *why)
{
    if (why->length == 0)
        return problem_add(l->report, line, why->text, why->hint);
    struct place at = line_place(l, line, why->column + (unsigned)why->at, why->length);
    return problem_add_at(l->report, &at, why->text, why->hint);
}

/* One key of a section that is known. */
static int take_key(struct loader *l, const struct here *here, const char *name, const char *value)
{
    const struct key *key = key_find(here->section, name);
    if (!key)
        return report_unknown(l, here, name);
    struct key_note *note = &here->notes->keys[key_index(here->section, key)];
    /* a key of a second section of that name was not repeated where it stands */
    bool is_repeated = note->line > l->lines.sections[l->section - 1].line;
    if (is_repeated && !(key->flags & KEY_ADDS))
        return problem_addf(l->report, here->line, "%s is set twice in [%s]\nthe first is in line %u", name,
                            here->title, note->line);
    struct why why = {.column = lines_value_column(&l->lines, here->line)};
    int r = key_parse(key, here->owner, value, &why);
    note->line = here->line;
    if (r != -EINVAL)
        return r;
    note->is_bad = true;
    return report_value(l, here->line, &why);
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
    struct here here = {
        .section = target->section, .title = lines->sections[l->section - 1].title, .line = line};
    if (target->is_skipped)
        return 0;
    switch (target->section) {
    case KEY_SECTION_SUPERVISOR:
        here.owner = l->config;
        here.notes = &l->supervisor;
        break;
    case KEY_SECTION_UNIT:
        here.owner = &l->config->units[target->index];
        here.notes = &l->units[target->index];
        break;
    case KEY_SECTION_RULE:
        here.owner = &l->config->rules[target->index];
        here.notes = &l->rules[target->index];
        break;
    }
    return take_key(l, &here, name, value);
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
    for (uint32_t i = 0; i < c->rule_count; i++)
        key_table_deinit(KEY_SECTION_RULE, &c->rules[i]);
    free(c->units);
    free(c->rules);
    free(c->path);
    key_table_deinit(KEY_SECTION_SUPERVISOR, c);
    *c = (struct config){0};
}
