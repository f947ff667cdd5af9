/* SPDX-License-Identifier: MIT */
/*
 * What needs more than one key, or more than one unit. Each check passes over keys whose value was refused
 * and sections that are broken: one slip, one problem.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "load.h"
#include "text.h"
#include "unit.h"
#include "weir/base/cleanup.h"

const struct key_order key_orders[] = {
    {"release_at", "throttle_at", .is_next = true},
    {"throttle_at", "restart_at", .is_next = true},
    {"restart_at", "critical_at", .is_next = true},
    {"memory_high", "memory_max", .is_next = true},
    {"backoff_min", "backoff_max", .is_next = true, .may_be_equal = true},
    {"pace_at", "hold_at", .is_next = true},
    {"gate_drain", "gate_patience", .is_next = true, .may_be_equal = true},
    {"release_at", "reclaim_at", .is_next = false},
    {"release_at", "pace_at", .is_next = false},
    {"release_at", "hold_at", .is_next = false},
    {"hold_at", "restart_at", .is_next = false},
    /* any step between them may be off */
    {"release_at", "restart_at", .is_next = false},
    {"release_at", "critical_at", .is_next = false},
    {"throttle_at", "critical_at", .is_next = false},
};
const size_t key_order_count = ARRAY_SIZE(key_orders);

const struct key_note *note_find(const struct section_notes *notes, enum key_section section, const char *key)
{
    return &notes->keys[key_index(section, key_find(section, key))];
}

static const struct key_note *note_of(const struct section_notes *notes, const char *key)
{
    return note_find(notes, KEY_SECTION_UNIT, key);
}

struct place line_place(const struct loader *l, unsigned line, unsigned column, size_t length)
{
    struct place at = {.line = line, .column = column, .length = length};
    at.source = lines_get(&l->lines, line, &at.source_length);
    return at;
}

static bool is_given(const struct section_notes *notes, const char *key)
{
    return note_of(notes, key)->line > 0;
}

/* A value to compare; false = there is none (off is none), or none that compares with others of its type.
 * *ret_scale tells shares from sizes. */
static bool order_value(const struct key *key, const struct config_unit *unit, uint64_t *ret, int *ret_scale)
{
    *ret_scale = 0;
    if ((key->flags & KEY_GATE) && unit->gate == CONFIG_GATE_NONE)
        return false;
    if (key->type == &type_percent || key->type == &type_percent_off) {
        *ret = *KEY_CONST_FIELD(uint32_t, unit, key->offset);
        return key->type == &type_percent || *ret > 0;
    }
    if (key->type == &type_duration) {
        *ret = *KEY_CONST_FIELD(uint64_t, unit, key->offset);
        return true;
    }
    const struct config_size *size = KEY_CONST_FIELD(struct config_size, unit, key->offset);
    *ret = size->is_share ? size->permyriad : size->bytes;
    *ret_scale = size->is_share;
    return size->is_set && *ret != UINT64_MAX;
}

int check_order(const struct config_unit *unit, const struct key_order *order, struct why *why)
{
    const struct key *low = key_find(KEY_SECTION_UNIT, order->low),
                     *high = key_find(KEY_SECTION_UNIT, order->high);
    uint64_t low_value, high_value;
    int low_scale, high_scale;
    if (!order_value(low, unit, &low_value, &low_scale) ||
        !order_value(high, unit, &high_value, &high_scale) || low_scale != high_scale)
        return 0;
    if (low_value < high_value || (order->may_be_equal && low_value == high_value))
        return 0;
    struct text a = TEXT_NULL, b = TEXT_NULL;
    key_format(low, unit, &a);
    key_format(high, unit, &b);
    int r =
        why_set(why, "%s (%s) must be %s %s (%s)\nlower %s or raise %s", low->name, text_peek(&a),
                order->may_be_equal ? "at most" : "below", high->name, text_peek(&b), low->name, high->name);
    if (a.failed || b.failed)
        r = -ENOMEM;
    text_deinit(&a);
    text_deinit(&b);
    return r;
}

/* A row that is not of neighbours is passed over where one of its keys was told already. */
static int check_orders(struct loader *l, const struct config_unit *unit, const struct section_notes *notes)
{
    bool is_told[KEY_COUNT_MAX] = {0};
    for (size_t i = 0; i < key_order_count; i++) {
        const struct key_note *low = note_of(notes, key_orders[i].low),
                              *high = note_of(notes, key_orders[i].high);
        bool *low_told = &is_told[low - notes->keys], *high_told = &is_told[high - notes->keys];
        struct why why = WHY_NULL;
        if (low->is_bad || high->is_bad || (!key_orders[i].is_next && (*low_told || *high_told)))
            continue;
        int r = check_order(unit, &key_orders[i], &why);
        if (r == -EINVAL) {
            *low_told = *high_told = true;
            r = problem_add(l->report, low->line > high->line ? low->line : high->line, why.text, why.hint);
        }
        if (r < 0)
            return r;
    }
    return 0;
}

/* Exactly one of exec and wrap. */
static int check_kind(struct loader *l, const struct config_unit *unit, const struct section_notes *notes)
{
    unsigned exec = note_of(notes, "exec")->line, wrap = note_of(notes, "wrap")->line;
    if (exec && wrap)
        return problem_addf(
            l->report, exec > wrap ? exec : wrap,
            "[unit %s] has exec and wrap\nexec: weir starts it; wrap: another unit starts it. Keep one",
            unit->name);
    if (!exec && !wrap && !notes->has_bad_line)
        return problem_addf(
            l->report, unit->line,
            "[unit %s] has neither exec nor wrap\nwrite exec = COMMAND, or wrap = NAME for a command that "
            "another unit starts",
            unit->name);
    return 0;
}

/* Keys that a unit of this kind cannot have. A unit with both exec and wrap was told so already. */
static int check_kind_keys(struct loader *l, const struct config_unit *unit,
                           const struct section_notes *notes)
{
    const struct key_table *table = &key_tables[KEY_SECTION_UNIT];
    bool is_wrapped = is_given(notes, "wrap"), is_service = is_given(notes, "exec");
    for (size_t i = 0; i < table->count; i++) {
        const struct key *key = &table->keys[i];
        unsigned line = notes->keys[i].line;
        int r = 0;
        if (line == 0 || is_wrapped == is_service)
            continue;
        if (is_wrapped && (key->flags & KEY_SERVICE))
            r = problem_addf(l->report, line, "%s is not for a wrapped unit\nthe command '%s' %s", key->name,
                             unit->wrap ? unit->wrap : "",
                             key->type == &type_after ? "starts when its caller says" : "keeps its caller's");
        else if (is_service && (key->flags & KEY_WRAPPED))
            r = problem_addf(l->report, line,
                             "%s is for wrapped units only\n[unit %s] has exec; remove the line", key->name,
                             unit->name);
        else if ((key->flags & KEY_GATE) && unit->gate == CONFIG_GATE_NONE)
            r = problem_addf(
                l->report, line,
                "%s needs a gate, and [unit %s] has gate = none\nwrite gate = jsonl, or remove the "
                "line",
                key->name, unit->name);
        else if (unit->gate == CONFIG_GATE_LINES && key->type == &type_methods)
            r = problem_addf(
                l->report, line,
                "%s is about methods, and gate = lines knows of none\nwrite gate = jsonl, or remove "
                "the line",
                key->name);
        if (r < 0)
            return r;
    }
    return 0;
}

static int check_ready(struct loader *l, const struct config_unit *unit, const struct section_notes *notes)
{
    const struct key_note *note = note_of(notes, "ready");
    bool is_log = unit->ready.type == CONFIG_READY_LOG;
    if (!is_given(notes, "wrap") || is_given(notes, "exec") || note->is_bad ||
        (!is_log && unit->ready.type != CONFIG_READY_NOTIFY))
        return 0;
    return problem_addf(l->report, note->line,
                        "ready = %s is not for a wrapped unit\nthe command keeps its caller's %s; "
                        "use tcp:, http:// or exec:",
                        is_log ? "log:" : "notify", is_log ? "output" : "environment");
}

/* A program with a slash that is not absolute means something only with a working_directory. */
static bool is_relative(const struct key_note *note, char *const *argv)
{
    return note->line > 0 && !note->is_bad && argv[0][0] != '/' && strchr(argv[0], '/');
}

static int check_exec(struct loader *l, const struct config_unit *unit, const struct section_notes *notes)
{
    const struct key_note *exec = note_of(notes, "exec"), *notify = note_of(notes, "notify_exec");
    char shown[WHY_SHOWN_MAX];
    int r = 0;
    if (is_relative(exec, unit->argv) && !is_given(notes, "working_directory"))
        r = problem_addf(l->report, exec->line,
                         "exec: '%s' is relative to no folder\nwrite the whole path, or set "
                         "working_directory",
                         why_show(unit->argv[0], shown));
    if (r == 0 && is_relative(notify, unit->notify_argv))
        r = problem_addf(l->report, notify->line,
                         "notify_exec: '%s' is relative to no folder\nwrite the whole path",
                         why_show(unit->notify_argv[0], shown));
    return r;
}

static int check_user(struct loader *l, const struct config_unit *unit, const struct section_notes *notes)
{
    const struct key_note *note = note_of(notes, "user");
    if (!unit->has_user || note->is_bad || is_given(notes, "group") || unit->gid != (gid_t)-1)
        return 0;
    return problem_addf(l->report, note->line,
                        "user = %s has no entry in the user database, so no group\nadd group = NAME "
                        "or NUMBER",
                        unit->user);
}

static int check_environment(struct loader *l, struct config_unit *unit, const struct section_notes *notes)
{
    const struct key_note *note = note_of(notes, "environment_file");
    struct why why = WHY_NULL;
    char shown[WHY_SHOWN_MAX];
    if (!unit->environment_file || note->is_bad || is_given(notes, "wrap"))
        return 0;
    int r = environment_file_read(unit, &why);
    if (r != -EINVAL)
        return r;
    return problem_addf(l->report, note->line, "environment_file = %s: %s\n%s",
                        why_show(unit->environment_file, shown), why.text, why.hint);
}

static int check_unit(struct loader *l, struct config_unit *unit, const struct section_notes *notes)
{
    int r = check_orders(l, unit, notes);
    if (r == 0 && !notes->is_broken)
        r = check_kind(l, unit, notes);
    if (r == 0)
        r = check_kind_keys(l, unit, notes);
    if (r == 0)
        r = check_ready(l, unit, notes);
    if (r == 0)
        r = check_exec(l, unit, notes);
    if (r == 0)
        r = check_user(l, unit, notes);
    if (r == 0)
        r = check_environment(l, unit, notes);
    unit->policy.kind = unit->wrap ? UNIT_KIND_WRAPPED : UNIT_KIND_SERVICE;
    /* a gate tells when the handshake is through */
    unit->policy.has_ready = unit->ready.type != CONFIG_READY_NONE || unit->gate != CONFIG_GATE_NONE;
    return r;
}

/* One command name leads to one unit. */
static int check_wraps(struct loader *l)
{
    const struct config *c = l->config;
    for (uint32_t i = 0; i < c->unit_count; i++) {
        uint32_t j = 0;
        while (j < i &&
               !(c->units[i].wrap && c->units[j].wrap && strcmp(c->units[i].wrap, c->units[j].wrap) == 0))
            j++;
        if (j == i || l->units[i].is_broken)
            continue;
        int r = problem_addf(l->report, note_of(&l->units[i], "wrap")->line,
                             "wrap = %s is [unit %s]'s already\nweir could not tell which of them is meant",
                             c->units[i].wrap, c->units[j].name);
        if (r < 0)
            return r;
    }
    return 0;
}

static int check_has_service(struct loader *l)
{
    const struct config *c = l->config;
    bool has_service = l->has_bad_section;
    for (uint32_t i = 0; i < c->unit_count; i++)
        has_service |= !is_given(&l->units[i], "wrap") || is_given(&l->units[i], "exec");
    if (has_service)
        return 0;
    if (c->unit_count == 0)
        return problem_add(l->report, 0, "no unit", "write a [unit NAME] section with exec = COMMAND");
    return problem_add(l->report, 0, "every unit is wrapped, so nothing would be started",
                       "add the unit that starts them, with exec = COMMAND");
}

int check_all(struct loader *l)
{
    int r = check_supervisor(l);
    for (uint32_t i = 0; r == 0 && i < l->config->unit_count; i++)
        r = check_unit(l, &l->config->units[i], &l->units[i]);
    if (r == 0)
        r = check_wraps(l);
    if (r == 0)
        r = check_has_service(l);
    if (r == 0)
        r = check_after(l);
    if (r == 0)
        r = check_rules(l);
    return r;
}
