/* SPDX-License-Identifier: MIT */
/*
 * What a person reads about the keys: the sample config and the key part of weir.conf(5). Both walk the
 * table, so a new row shows up in both.
 */
#include <stdlib.h>
#include <string.h>

#include "key.h"
#include "weir/base/cleanup.h"

#define SAMPLE_WIDTH 98 /* chosen: comments wrap below the house's line length */

/* An owner of each section with every default. */
struct defaults {
    struct config supervisor;
    struct config_unit unit;
    struct config_rule rule;
};

static void defaults_deinit(struct defaults *d)
{
    key_table_deinit(KEY_SECTION_SUPERVISOR, &d->supervisor);
    key_table_deinit(KEY_SECTION_UNIT, &d->unit);
    key_table_deinit(KEY_SECTION_RULE, &d->rule);
}

static int defaults_init(struct defaults *d)
{
    *d = (struct defaults){0};
    int r = config_unit_init(&d->unit);
    if (r == 0)
        r = key_table_init(KEY_SECTION_SUPERVISOR, &d->supervisor);
    return r < 0 ? r : key_table_init(KEY_SECTION_RULE, &d->rule);
}

static const void *defaults_owner(const struct defaults *d, enum key_section section)
{
    switch (section) {
    case KEY_SECTION_SUPERVISOR:
        return &d->supervisor;
    case KEY_SECTION_UNIT:
        return &d->unit;
    case KEY_SECTION_RULE:
        break;
    }
    return &d->rule;
}

/* Whether the default is a value, or only words that stand for none. */
static bool has_default(const struct key *key, const void *owner)
{
    struct text value = TEXT_NULL;
    key->type->format(key, owner, &value);
    bool has = value.length > 0;
    text_deinit(&value);
    return has;
}

/* "# " in front of every line, wrapped between words. */
static void print_comment(const char *text, FILE *out)
{
    size_t column = 0;
    while (*text) {
        size_t length = strcspn(text, " ");
        if (column > 0 && column + 1 + length > SAMPLE_WIDTH) {
            (void)fputc('\n', out);
            column = 0;
        }
        column += (size_t)fprintf(out, "%s%.*s", column ? " " : "# ", (int)length, text);
        text += length + (text[length] == ' ');
    }
    (void)fputc('\n', out);
}

/* The key commented out with its default, or with the example where there is none. */
static void print_sample_key(const struct key *key, const void *owner, FILE *out)
{
    struct text value = TEXT_NULL;
    (void)fputc('\n', out);
    if (key->heading)
        (void)fprintf(out, "# --- %s ---\n\n", key->heading);
    print_comment(key->doc, out);
    key_format(key, owner, &value);
    if (has_default(key, owner)) {
        (void)fprintf(out, "#%s = %s\n", key->name, text_peek(&value));
    } else {
        (void)fprintf(out, "# Default: %s. Example:\n#%s = %s\n", text_peek(&value), key->name, key->example);
    }
    text_deinit(&value);
}

/* What stands above the keys of a section. */
static const char *const sample_heads[KEY_SECTION_COUNT] = {
    [KEY_SECTION_SUPERVISOR] = "[supervisor]\n",
    [KEY_SECTION_UNIT] = "\n# One section for each unit.\n[unit example]\nexec = /bin/sleep infinity\n",
    [KEY_SECTION_RULE] =
        "\n# One section for each rule, if any. Take the '#' of the lines you need away.\n#[rule example]\n",
};

void config_print_sample(FILE *out)
{
    _cleanup_(defaults_deinit) struct defaults defaults;
    if (defaults_init(&defaults) < 0)
        return;
    (void)fputs("# A config of weir; weir.conf(5) tells more. `weir check FILE` names every error.\n"
                "# Keys are commented out and show their defaults. Comments stand on lines of their own.\n"
                "\n",
                out);
    for (unsigned section = 0; section < KEY_SECTION_COUNT; section++) {
        (void)fputs(sample_heads[section], out);
        for (size_t i = 0; i < key_tables[section].count; i++)
            print_sample_key(&key_tables[section].keys[i],
                             defaults_owner(&defaults, (enum key_section)section), out);
    }
}

/* What scdoc would take for markup gets a backslash. */
static void print_escaped(const char *text, FILE *out)
{
    for (; *text; text++) {
        if (strchr("_*\\#[]|~.<>", *text))
            (void)fputc('\\', out);
        (void)fputc(*text, out);
    }
}

/* Sentences about who may have the key and when it takes effect. */
static void print_scdoc_notes(const struct key *key, enum key_section section, FILE *out)
{
    if (key->flags & KEY_SERVICE)
        (void)fputs(" Not for wrapped units.", out);
    if (key->flags & KEY_WRAPPED)
        (void)fputs(" Wrapped units only.", out);
    if (key->flags & KEY_GATE)
        (void)fputs(" Needs a gate.", out);
    if (!(key->flags & KEY_LIVE))
        (void)fprintf(out, " A change takes effect at the %s's next start.",
                      section == KEY_SECTION_UNIT ? "unit" : "supervisor");
    else if (key->flags & KEY_FILE || section == KEY_SECTION_SUPERVISOR)
        (void)fputs(" A reload changes it live.", out);
    else
        (void)fputs(" *weir set* and a reload change it live.", out);
}

static void print_scdoc_key(const struct key *key, enum key_section section, const void *owner, FILE *out)
{
    struct text value = TEXT_NULL;
    if (key->heading)
        (void)fprintf(out, "## %s\n\n", key->heading);
    (void)fprintf(out, "*%s* = _%s_\n\t", key->name, key->type->name);
    print_escaped(key->doc, out);
    print_scdoc_notes(key, section, out);
    (void)fputs("\n\n\tDefault: ", out);
    key_format(key, owner, &value);
    print_escaped(text_peek(&value), out);
    (void)fputs("++\nExample: *", out);
    (void)fprintf(out, "%s = ", key->name);
    print_escaped(key->example, out);
    (void)fputs("*\n\n", out);
    text_deinit(&value);
}

/* What a condition may name. */
static void print_scdoc_metrics(FILE *out)
{
    static const char *const types[] = {[METRIC_TYPE_BYTES] = "size",
                                        [METRIC_TYPE_BYTES_PER_S] = "size/s",
                                        [METRIC_TYPE_USEC] = "time",
                                        [METRIC_TYPE_PERMYRIAD] = "share",
                                        [METRIC_TYPE_COUNT] = "number"};
    char window[FORMAT_EXACT_MAX];
    (void)fputs(
        "## Metrics\n\nWhat a condition may name, with the kind of value it is compared with, and the window "
        "of one that looks back, where the condition gives none with *over*.\n\n",
        out);
    for (size_t i = 0; i < rule_metric_count; i++) {
        const struct rule_metric_info *m = &rule_metrics[i];
        (void)fputc('*', out);
        print_escaped(m->name, out);
        (void)fprintf(out, "* _%s_%s%s\n\t", types[decision_metric_type(m->metric)],
                      m->window_us ? " over " : "",
                      m->window_us ? format_duration_exact(m->window_us, window) : "");
        print_escaped(m->words, out);
        if (m->alias) {
            (void)fputs("; also written ", out);
            print_escaped(m->alias, out);
        }
        (void)fputs("\n\n", out);
    }
}

void config_print_scdoc(FILE *out)
{
    _cleanup_(defaults_deinit) struct defaults defaults;
    if (defaults_init(&defaults) < 0)
        return;
    for (int section = 0; section < KEY_SECTION_COUNT; section++) {
        const struct key_table *table = &key_tables[section];
        (void)fprintf(out, "# %s\n\n", table->title); /* scdoc reads no markup in headings */
        print_escaped(table->doc, out);
        (void)fputs("\n\n", out);
        for (size_t i = 0; i < table->count; i++)
            print_scdoc_key(&table->keys[i], (enum key_section)section, defaults_owner(&defaults, section),
                            out);
    }
    print_scdoc_metrics(out);
}
