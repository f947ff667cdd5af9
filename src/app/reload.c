/* SPDX-License-Identifier: MIT */
/*
 * From a config to the running tables, at start-up, at `weir reload` and at `weir set`.
 *
 * A unit's index never changes within a run: the record and the engine name units by it. A reload keeps the
 * indices of units it knows by name, appends new ones, and disables removed ones (the engine stops them). What
 * the kernel can change on a live cgroup is changed at once; the rest is in force from the unit's next start.
 */
#include "supervisor.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gates.h"
#include "weir/app/supervisor.h"
#include "weir/base/cleanup.h"
#include "weir/base/log.h"

uint32_t supervisor_abilities(const struct host_info *info)
{
    /* the low bits of enum host_feature are the engine's abilities (host.h) */
    const uint32_t shared = ABILITY_MEMORY_MAX | ABILITY_MEMORY_HIGH | ABILITY_CPU_MAX | ABILITY_FREEZE |
                            ABILITY_KILL | ABILITY_PRESSURE | ABILITY_RECLAIM;
    return (info->features & shared) | ABILITY_NOTIFY;
}

/* The policy of a config, in room that policy->units (config->unit_count entries) and policy->rules give. */
static int resolve(struct supervisor *s, struct config *config, struct policy *policy)
{
    _cleanup_free_ uint32_t *abilities = calloc(config->unit_count, sizeof(*abilities));
    if (!abilities)
        return -ENOMEM;
    for (uint32_t i = 0; i < config->unit_count; i++)
        abilities[i] = supervisor_abilities(&s->info);
    config_resolve(config, s->info.memory_total_bytes, abilities, policy);
    return 0;
}

static void attach_unit(struct supervisor *s, uint16_t index, struct config_unit *config)
{
    struct unit_runtime *u = &s->units[index];
    if (!u->s) {
        *u =
            (struct unit_runtime){.s = s, .index = index, .pidfd = -1, .pressure_fifo = -1, .via = UNIT_NONE};
        s->unit_names[index] = u->name;
    }
    u->config = config;
    (void)snprintf(u->name, sizeof(u->name), "%s", config->name);
}

int reload_build(struct supervisor *s, struct err *reterr)
{
    struct config *config = s->config;
    uint32_t capacity = config->unit_count + SUPERVISOR_UNITS_SPARE;
    if (capacity > POLICY_UNITS_MAX)
        capacity = POLICY_UNITS_MAX; /* the engine's bound, and the config's */
    s->unit_capacity = (uint16_t)capacity;
    s->units = calloc(capacity, sizeof(*s->units));
    s->policy_units = calloc(capacity, sizeof(*s->policy_units));
    s->unit_names = calloc(capacity, sizeof(*s->unit_names));
    s->decisions = calloc(engine_decisions_max(capacity), sizeof(*s->decisions));
    s->engine = engine_new(capacity);
    if (!s->units || !s->policy_units || !s->unit_names || !s->decisions || !s->engine)
        return err_errno(reterr, -ENOMEM, "unit tables");
    s->policy.units = s->policy_units;
    s->policy.rules = calloc(RULES_MAX, sizeof(*s->policy.rules));
    int r = s->policy.rules ? resolve(s, config, &s->policy) : -ENOMEM;
    if (r >= 0)
        r = engine_prepare(s->engine, &s->policy);
    if (r < 0)
        return err_errno(reterr, r, "policy");
    s->policy.seed = now_wall_us();
    s->unit_count = (uint16_t)config->unit_count;
    for (uint16_t i = 0; i < s->unit_count; i++)
        attach_unit(s, i, &config->units[i]);
    return 0;
}

static int apply_limits(struct supervisor *s, struct unit_runtime *u, struct err *reterr)
{
    if (!u->cgroup)
        return 0;
    struct host_limits limits;
    launch_limits(s, u, &limits);
    int r = u->cgroup->ops->unit_set_limits(u->cgroup, &limits, reterr);
    if (u->output)
        output_set_limits(u->output, u->config->log_size_bytes, u->config->log_files,
                          u->config->log_rate_bytes);
    /* usage thresholds stand where the new limit's ladder steps are */
    sampling_unwatch(u);
    sampling_watch(u);
    return r;
}

/* The engine sees the change as an event of its own, after the record has the new policy. */
static void tell_engine(struct supervisor *s, uint16_t unit)
{
    supervisor_post_simple(s, EVENT_POLICY, unit, s->units[unit].generation);
}

/* The unit's policy as its config now says; what the config does not decide stays. */
static int resolve_unit(struct supervisor *s, const struct unit_runtime *u, struct unit_policy *ret)
{
    _cleanup_free_ struct unit_policy *all = calloc(s->config->unit_count, sizeof(*all));
    struct policy scratch = {.units = all};
    int r = all ? resolve(s, s->config, &scratch) : -ENOMEM;
    if (r < 0)
        return r;
    const struct unit_policy *before = &s->policy_units[u->index], *now = &all[u->config - s->config->units];
    *ret = *now;
    ret->after_count = before->after_count; /* by this run's indices, not by the config's */
    memcpy(ret->after, before->after, sizeof(ret->after));
    return 0;
}

int reload_set(struct supervisor *s, const char *unit, const char *assignment, uint32_t uid,
               struct err *reterr)
{
    struct unit_runtime *u = supervisor_unit(s, unit);
    struct unit_policy *policy = &s->policy_units[u->index];
    const char *equals = strchr(assignment, '=');
    if (!equals)
        return err_set(reterr, -EINVAL, "'%s' is not KEY=VALUE; e.g. memory_max=3G", assignment);
    if (!policy->enabled)
        return err_set(reterr, -EINVAL, "%s was removed by a reload; put it into the config again", unit);
    _cleanup_free_ char *key = strndup(assignment, (size_t)(equals - assignment));
    if (!key)
        return err_errno(reterr, -ENOMEM, "set");
    const struct config_unit config_before = *u->config; /* keys that can be set own no memory */
    const struct unit_policy before = *policy;
    int r = config_unit_set(u->config, key, equals + 1, reterr);
    if (r < 0)
        return r;
    r = resolve_unit(s, u, policy);
    bool sets_memory = strcmp(key, "memory_max") == 0 || strcmp(key, "memory_high") == 0;
    if (u->limits_pending && !sets_memory) { /* a reload's refused limits wait on */
        policy->memory_max_bytes = before.memory_max_bytes;
        policy->memory_high_bytes = before.memory_high_bytes;
    }
    if (r < 0)
        err_errno(reterr, r, "set");
    else
        r = apply_limits(s, u, reterr);
    if (r < 0) {
        /* or the refused value would come back with the next one that is set */
        *u->config = config_before;
        *policy = before;
        (void)apply_limits(s, u, NULL);
        return err_wrap(reterr, "%s: not changed", unit);
    }
    u->limits_pending &= !sets_memory;
    supervisor_mark(s, u->index, "set %s (uid %u)", assignment, uid);
    supervisor_record_policy(s);
    tell_engine(s, u->index);
    gates_tell_settings(s);
    return 0;
}

/* ------------------------------------------------ reload ------------------------------------------------ */

static bool is_needed(const struct supervisor *s, const struct config *config)
{
    for (uint16_t i = 0; i < s->unit_count; i++)
        if (s->units[i].config >= config->units && s->units[i].config < config->units + config->unit_count)
            return true;
    return false;
}

static struct config *config_free(struct config *c)
{
    config_deinit(c);
    free(c);
    return NULL;
}

/* An older config stays for as long as a removed unit goes by it; the others are freed. */
static void retire(struct supervisor *s, struct config *old)
{
    struct config **room = NULL;
    for (size_t i = 0; i < ARRAY_SIZE(s->retired); i++) {
        if (s->retired[i] && !is_needed(s, s->retired[i]))
            s->retired[i] = config_free(s->retired[i]);
        if (!s->retired[i])
            room = &s->retired[i];
    }
    if (is_needed(s, old))
        *room = old; /* has_retired_room said so */
    else
        config_free(old);
}

static bool has_retired_room(const struct supervisor *s)
{
    for (size_t i = 0; i < ARRAY_SIZE(s->retired); i++)
        if (!s->retired[i])
            return true;
    return false;
}

static void swap_strings(char **a, char **b)
{
    char *c = *a;
    *a = *b;
    *b = c;
}

/* What this run stands on cannot change under it: the name its cgroups have, the folders of its sockets, FIFOs and
 * history. The next reload tells the difference again. */
static void keep_places(struct config *fresh, struct config *old)
{
    memcpy(fresh->name, old->name, sizeof(fresh->name));
    swap_strings(&fresh->run_dir, &old->run_dir);
    swap_strings(&fresh->state_dir, &old->state_dir);
}

/* The policy that a reload puts into force: by this run's indices. */
struct next_policy {
    struct policy policy;
    struct unit_policy *resolved; /* in the new config's order ... */
    uint16_t *index;              /* ... and each one's index: its old one, or one at the end */
};

static void next_policy_deinit(struct next_policy *n)
{
    free(n->policy.units);
    free(n->policy.rules);
    free(n->resolved);
    free(n->index);
}

static void place_policies(const struct supervisor *s, const struct config *fresh, struct next_policy *n)
{
    struct policy *p = &n->policy;
    memcpy(p->units, s->policy_units, s->unit_capacity * sizeof(*p->units));
    for (uint16_t i = 0; i < s->unit_count;
         i++) { /* a removed one is stopped by the engine, not judged any more */
        p->units[i].enabled = false;
        p->units[i].rules = 0;
    }
    p->unit_count = s->unit_count;
    for (uint32_t i = 0; i < fresh->unit_count; i++) {
        const struct unit_runtime *known = supervisor_unit((struct supervisor *)s, fresh->units[i].name);
        n->index[i] = known ? known->index : (uint16_t)p->unit_count++;
    }
    for (uint32_t i = 0; i < fresh->unit_count; i++) {
        struct unit_policy *u = &p->units[n->index[i]];
        *u = n->resolved[i];
        for (uint16_t k = 0; k < u->after_count; k++)
            u->after[k] = n->index[u->after[k]];
    }
}

/* Nothing of the running tables is changed; the engine has room for the new rules then. */
static int plan_policy(struct supervisor *s, struct config *fresh, struct next_policy *n)
{
    *n = (struct next_policy){.policy = s->policy};
    n->policy.units = calloc(s->unit_capacity, sizeof(*n->policy.units));
    n->policy.rules = calloc(RULES_MAX, sizeof(*n->policy.rules));
    n->resolved = calloc(fresh->unit_count, sizeof(*n->resolved));
    n->index = calloc(fresh->unit_count, sizeof(*n->index));
    if (!n->policy.units || !n->policy.rules || !n->resolved || !n->index)
        return -ENOMEM;
    struct policy scratch = {.units = n->resolved, .rules = n->policy.rules};
    int r = resolve(s, fresh, &scratch);
    if (r < 0)
        return r;
    n->policy.rule_count = scratch.rule_count;
    place_policies(s, fresh, n);
    return engine_prepare(s->engine, &n->policy);
}

/* The planned policy is in force; *n keeps the one before. */
static void adopt_new_config(struct supervisor *s, struct config *fresh, struct next_policy *n)
{
    struct config *old = s->config;
    const struct policy before = s->policy;
    for (uint32_t i = 0; i < fresh->unit_count; i++) {
        struct unit_runtime *u = &s->units[n->index[i]];
        u->probe = probe_stop(u->probe); /* it reads the old config's text */
        attach_unit(s, n->index[i], &fresh->units[i]);
    }
    s->policy = n->policy;
    s->policy_units = s->policy.units;
    s->unit_count = (uint16_t)s->policy.unit_count;
    n->policy = before;
    keep_places(fresh, old);
    s->config = fresh;
    retire(s, old);
}

/* Whose line of the file it is, as a person says it. */
static const char *section_text(const struct config_change *c, char buf[static UNIT_NAME_MAX + 8])
{
    if (c->rule[0])
        (void)snprintf(buf, UNIT_NAME_MAX + 8, "rule %s", c->rule);
    else
        (void)snprintf(buf, UNIT_NAME_MAX + 8, "%s", c->unit[0] ? c->unit : "[supervisor]");
    return buf;
}

/* When it is in force. The order of the rules is no key of a section, and in force like a rule. */
static const char *when_text(const struct config_change *c, const struct unit_runtime *u)
{
    bool is_rule = c->rule[0] || (c->key && strcmp(c->key, CONFIG_KEY_RULES) == 0);
    if (!is_rule && !c->unit[0])
        return "when weir is started again";
    switch (c->type) {
    case CONFIG_CHANGE_LIVE:
        return u && u->limits_pending ? "from its next start" : "in force now";
    case CONFIG_CHANGE_RESTART:
        return "from its next start";
    case CONFIG_CHANGE_ADDED:
        if (is_rule)
            return "new rule, in force now";
        return u && u->config->wrap ? "new unit, for its server to start" : "new unit, starting";
    case CONFIG_CHANGE_REMOVED:
        return is_rule ? "removed" : "removed, stopping";
    }
    return "";
}

static void print_changes(struct supervisor *s, const struct config_change *changes, size_t count, FILE *out)
{
    char section[UNIT_NAME_MAX + 8];
    if (count == 0)
        fputs("nothing changed\n", out);
    for (size_t i = 0; i < count; i++) {
        const struct config_change *c = &changes[i];
        const char *when = when_text(c, supervisor_unit(s, c->unit));
        if (c->key)
            fprintf(out, "%s: %s: %s -> %s (%s)\n", section_text(c, section), c->key, c->from, c->to, when);
        else
            fprintf(out, "%s: %s\n", section_text(c, section), when);
    }
}

static char *report_text(const struct config_report *report, const char *path)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        return NULL;
    fprintf(out, "the config has errors; nothing was changed\n");
    config_report_print(report, path, out);
    fclose(out);
    return text;
}

static bool is_changed(const struct config_change *changes, size_t count, const char *unit)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(changes[i].unit, unit) == 0)
            return true;
    return false;
}

/* What the kernel refuses now (a limit below what is in use) waits for the unit's next start; until then the
 * ladder judges by the limit that is really there, and the person who reloads is told. */
static void apply_or_postpone(struct supervisor *s, struct unit_runtime *u, const struct unit_policy *before,
                              FILE *notes)
{
    struct err e = ERR_NULL;
    u->limits_pending = false;
    if (apply_limits(s, u, &e) >= 0)
        return;
    supervisor_mark(s, u->index, "limits not changed, until its next start: %s", e.text);
    fprintf(notes, "%s: NOT in force: %s; its limits stay as they are until its next start\n",
            u->config->name, e.text);
    if (before) {
        s->policy_units[u->index].memory_max_bytes = before->memory_max_bytes;
        s->policy_units[u->index].memory_high_bytes = before->memory_high_bytes;
        u->limits_pending = true;
    }
}

void reload_pending_limits(struct unit_runtime *u)
{
    struct supervisor *s = u->s;
    if (!u->limits_pending)
        return;
    u->limits_pending = false;
    if (resolve_unit(s, u, &s->policy_units[u->index]) < 0)
        return;
    supervisor_record_policy(s);
    tell_engine(s, u->index);
}

static void apply_all_limits(struct supervisor *s, const struct policy *before,
                             const struct config_change *changes, size_t count, FILE *notes)
{
    for (uint16_t i = 0; i < s->unit_count; i++)
        /* some 20 ms a unit (closing a pressure trigger waits for the kernel): only where there is a reason */
        if (s->policy_units[i].enabled && is_changed(changes, count, s->unit_names[i]))
            apply_or_postpone(s, &s->units[i], i < before->unit_count ? &before->units[i] : NULL, notes);
}

static int apply_change(struct supervisor *s, struct config *fresh, const struct config_change *changes,
                        size_t count, FILE *notes)
{
    _cleanup_(next_policy_deinit) struct next_policy next;
    int r = plan_policy(s, fresh, &next);
    if (r < 0)
        return r;
    uint16_t known = s->unit_count;
    adopt_new_config(s, fresh, &next);
    for (uint16_t i = known; i < s->unit_count; i++)
        store_unit(s->store, i, s->unit_names[i]);
    apply_all_limits(s, &next.policy, changes, count, notes);
    supervisor_record_policy(s);
    for (uint16_t i = 0; i < s->unit_count; i++) {
        launch_restart_probe(&s->units[i]);
        tell_engine(s, i); /* starts a new one when what it is `after` is ready */
    }
    struct err e = ERR_NULL;
    r = s->wrap_fd >= 0 ? wrap_link(s, &e) : wrap_open(s, &e);
    if (r >= 0)
        r = gates_open(s, &e);
    if (r < 0)
        supervisor_mark(s, UNIT_NONE, "wrapped units: %s", e.text);
    gates_tell_settings(s);
    return 0;
}

/* Each change goes into the time line, with what it was and what it is. */
static void mark_changes(struct supervisor *s, const struct config_change *changes, size_t count)
{
    supervisor_mark(s, UNIT_NONE, "config reloaded: %zu change%s", count, count == 1 ? "" : "s");
    for (size_t i = 0; i < count; i++) {
        const struct config_change *c = &changes[i];
        const struct unit_runtime *u = supervisor_unit(s, c->unit);
        char section[UNIT_NAME_MAX + 8];
        if (c->rule[0] && !c->key)
            supervisor_mark(s, UNIT_NONE, "reload: %s: %s", section_text(c, section), when_text(c, NULL));
        else if (c->rule[0])
            supervisor_mark(s, UNIT_NONE, "reload: %s: %s: %s -> %s", section_text(c, section), c->key,
                            c->from, c->to);
        else if (c->key)
            supervisor_mark(s, u ? u->index : UNIT_NONE, "reload: %s: %s -> %s", c->key, c->from, c->to);
    }
}

static int apply_and_tell(struct supervisor *s, struct config *fresh, const struct config_change *changes,
                          size_t count, char **ret_text)
{
    size_t size = 0, notes_size = 0;
    _cleanup_free_ char *notes = NULL;
    FILE *out = open_memstream(ret_text, &size), *notes_out = open_memstream(&notes, &notes_size);
    int r = out && notes_out ? 0 : -ENOMEM;
    if (r == 0) {
        mark_changes(s, changes, count);
        r = apply_change(s, fresh, changes, count, notes_out);
    }
    if (notes_out)
        fclose(notes_out);
    if (r == 0) {
        print_changes(s, changes, count, out);
        fputs(notes, out);
    }
    if (out)
        fclose(out);
    return r;
}

int reload_config(struct supervisor *s, char **ret_text)
{
    struct config_report report = {0};
    struct config *fresh = calloc(1, sizeof(*fresh));
    int r = fresh ? config_load(s->config_path, fresh, &report) : -ENOMEM;
    if (r < 0) {
        *ret_text = fresh ? report_text(&report, s->config_path) : NULL;
        config_report_deinit(&report);
        free(fresh);
        return r;
    }
    config_report_deinit(&report);
    uint32_t added = 0;
    for (uint32_t i = 0; i < fresh->unit_count; i++)
        added += supervisor_unit(s, fresh->units[i].name) == NULL;
    if (s->unit_count + added > s->unit_capacity || !has_retired_room(s)) {
        *ret_text = strdup("too many units were added or removed in this run; start weir again "
                           "(weir stop --keep, then weir run: the units go on)");
        config_free(fresh);
        return -E2BIG;
    }
    struct config_change *changes = NULL;
    size_t count = 0;
    r = config_compare(s->config, fresh, &changes, &count);
    if (r >= 0) {
        r = apply_and_tell(s, fresh, changes, count, ret_text);
        config_changes_free(changes, count);
    }
    if (r < 0) {
        config_free(fresh);
        free(*ret_text);
        *ret_text = NULL;
    }
    return r;
}
