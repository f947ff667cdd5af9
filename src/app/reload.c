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

#include "weir/base/cleanup.h"
#include "weir/base/log.h"

static uint32_t unit_abilities(const struct supervisor *s)
{
    /* the low bits of enum host_feature are the engine's abilities (host.h) */
    const uint32_t shared = ABILITY_MEMORY_MAX | ABILITY_MEMORY_HIGH | ABILITY_CPU_MAX | ABILITY_FREEZE |
                            ABILITY_KILL | ABILITY_PRESSURE;
    return (s->info.features & shared) | ABILITY_NOTIFY;
}

/* Policies of s->config's units, in its own order, into ret (config->unit_count entries). */
static int resolve(struct supervisor *s, struct config *config, struct policy *ret_policy,
                   struct unit_policy *ret)
{
    _cleanup_free_ uint32_t *abilities = calloc(config->unit_count, sizeof(*abilities));
    if (!abilities)
        return -ENOMEM;
    for (uint32_t i = 0; i < config->unit_count; i++)
        abilities[i] = unit_abilities(s);
    config_resolve(config, s->info.memory_total_bytes, abilities, ret_policy, ret);
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
    s->unit_capacity = (uint16_t)capacity;
    s->units = calloc(capacity, sizeof(*s->units));
    s->policy_units = calloc(capacity, sizeof(*s->policy_units));
    s->unit_names = calloc(capacity, sizeof(*s->unit_names));
    s->decisions = calloc(engine_decisions_max(capacity), sizeof(*s->decisions));
    s->engine = engine_new(capacity);
    if (!s->units || !s->policy_units || !s->unit_names || !s->decisions || !s->engine)
        return err_errno(reterr, -ENOMEM, "unit tables");
    policy_defaults(&s->policy);
    int r = resolve(s, config, &s->policy, s->policy_units);
    if (r < 0)
        return err_errno(reterr, r, "policy");
    s->policy.units = s->policy_units;
    s->policy.unit_count = config->unit_count;
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
    supervisor_record_policy(s);
    supervisor_post_simple(s, EVENT_POLICY, unit, s->units[unit].generation);
}

int reload_set(struct supervisor *s, const char *unit, const char *assignment, uint32_t uid,
               struct err *reterr)
{
    struct unit_runtime *u = supervisor_unit(s, unit);
    const char *equals = strchr(assignment, '=');
    if (!equals)
        return err_set(reterr, -EINVAL, "'%s' is not KEY=VALUE; e.g. memory_max=3G", assignment);
    _cleanup_free_ char *key = strndup(assignment, (size_t)(equals - assignment));
    if (!key)
        return err_errno(reterr, -ENOMEM, "set");
    int r = config_unit_set(u->config, key, equals + 1, reterr);
    if (r < 0)
        return r;
    struct unit_policy before = s->policy_units[u->index], after;
    struct policy scratch;
    policy_defaults(&scratch);
    _cleanup_free_ struct unit_policy *all = calloc(s->config->unit_count, sizeof(*all));
    r = all ? resolve(s, s->config, &scratch, all) : -ENOMEM;
    if (r < 0)
        return err_errno(reterr, r, "set");
    after = before;
    for (uint32_t i = 0; i < s->config->unit_count; i++)
        if (strcmp(all[i].name, unit) == 0) {
            after = all[i];
            after.after_count = before.after_count;
            memcpy(after.after, before.after, sizeof(after.after));
        }
    s->policy_units[u->index] = after;
    r = apply_limits(s, u, reterr);
    if (r < 0) {
        s->policy_units[u->index] = before;
        return err_wrap(reterr, "%s: not changed", unit);
    }
    supervisor_mark(s, u->index, "set %s (uid %u)", assignment, uid);
    tell_engine(s, u->index);
    return 0;
}

/* ------------------------------------------------ reload ------------------------------------------------ */

static struct config_unit *config_find(struct config *c, const char *name)
{
    for (uint32_t i = 0; i < c->unit_count; i++)
        if (strcmp(c->units[i].name, name) == 0)
            return &c->units[i];
    return NULL;
}

/* The old config stays while a removed unit still runs by it; otherwise it is freed. */
static void retire(struct supervisor *s, struct config *old)
{
    bool needed = false;
    for (uint16_t i = 0; i < s->unit_count; i++)
        needed |= s->units[i].config >= old->units && s->units[i].config < old->units + old->unit_count;
    for (size_t i = 0; needed && i < ARRAY_SIZE(s->retired); i++)
        if (!s->retired[i]) {
            s->retired[i] = old;
            return;
        }
    config_deinit(old);
    free(old);
}

static bool has_retired_room(const struct supervisor *s)
{
    for (size_t i = 0; i < ARRAY_SIZE(s->retired); i++)
        if (!s->retired[i])
            return true;
    return false;
}

/* Gives every unit of the new config an index: its old one, or one at the end. */
static uint16_t place_unit(struct supervisor *s, struct config_unit *config)
{
    struct unit_runtime *known = supervisor_unit(s, config->name);
    uint16_t index = known ? known->index : s->unit_count++;
    if (known)
        known->probe = probe_stop(known->probe); /* it reads the old config's text; see adopt_new_config */
    attach_unit(s, index, config);
    return index;
}

static void adopt_new_config(struct supervisor *s, struct config *fresh, const struct unit_policy *resolved)
{
    struct config *old = s->config;
    _cleanup_free_ uint16_t *index = calloc(fresh->unit_count, sizeof(*index));
    for (uint32_t i = 0; index && i < fresh->unit_count; i++)
        index[i] = place_unit(s, &fresh->units[i]);
    for (uint16_t i = 0; i < s->unit_count; i++)
        if (!config_find(fresh, s->unit_names[i]))
            s->policy_units[i].enabled = false;
    for (uint32_t i = 0; index && i < fresh->unit_count; i++) {
        struct unit_policy *p = &s->policy_units[index[i]];
        *p = resolved[i];
        for (uint16_t k = 0; k < p->after_count; k++)
            p->after[k] = index[p->after[k]];
    }
    s->config = fresh;
    s->policy.unit_count = s->unit_count;
    retire(s, old);
}

static char *changes_text(const struct config_change *changes, size_t count)
{
    static const char *const how[] = {
        [CONFIG_CHANGE_LIVE] = "in force now",
        [CONFIG_CHANGE_RESTART] = "from its next start",
        [CONFIG_CHANGE_ADDED] = "new unit, starting",
        [CONFIG_CHANGE_REMOVED] = "removed, stopping",
    };
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        return NULL;
    if (count == 0)
        fputs("nothing changed\n", out);
    for (size_t i = 0; i < count; i++) {
        const struct config_change *c = &changes[i];
        const char *unit = c->unit[0] ? c->unit : "[supervisor]";
        if (c->key)
            fprintf(out, "%s: %s: %s -> %s (%s)\n", unit, c->key, c->from, c->to,
                    c->unit[0] ? how[c->type] : "when weir is started again");
        else
            fprintf(out, "%s: %s\n", unit, how[c->type]);
    }
    fclose(out);
    return text;
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

static int apply_change(struct supervisor *s, struct config *fresh)
{
    _cleanup_free_ struct unit_policy *resolved = calloc(fresh->unit_count, sizeof(*resolved));
    struct policy scratch;
    policy_defaults(&scratch);
    int r = resolved ? resolve(s, fresh, &scratch, resolved) : -ENOMEM;
    if (r < 0)
        return r;
    uint16_t known = s->unit_count;
    adopt_new_config(s, fresh, resolved);
    for (uint16_t i = known; i < s->unit_count; i++)
        store_unit(s->store, i, s->unit_names[i]);
    for (uint16_t i = 0; i < s->unit_count; i++) {
        struct err e = ERR_NULL;
        if (s->policy_units[i].enabled && apply_limits(s, &s->units[i], &e) < 0)
            supervisor_mark(s, i, "limits not changed: %s", e.text);
        launch_restart_probe(&s->units[i]);
        tell_engine(s, i);
        if (i >= known && s->policy_units[i].kind == UNIT_KIND_SERVICE) {
            struct event start = {.kind = EVENT_OPERATOR, .unit = i};
            start.operator_.verb = EVENT_VERB_START;
            supervisor_post(s, &start);
        }
    }
    if (s->wrap_fd >= 0)
        r = wrap_link(s, NULL);
    return r;
}

int reload_config(struct supervisor *s, char **ret_text)
{
    struct config_report report = {0};
    struct config *fresh = calloc(1, sizeof(*fresh));
    int r = fresh ? config_load(s->config_path, fresh, &report) : -ENOMEM;
    if (r < 0) {
        *ret_text = report_text(&report, s->config_path);
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
        config_deinit(fresh);
        free(fresh);
        return -E2BIG;
    }
    struct config_change *changes = NULL;
    size_t count = 0;
    r = config_compare(s->config, fresh, &changes, &count);
    if (r >= 0) {
        *ret_text = changes_text(changes, count);
        config_changes_free(changes, count);
        supervisor_mark(s, UNIT_NONE, "config reloaded: %zu changes", count);
        r = apply_change(s, fresh);
    }
    if (r < 0 && s->config != fresh) {
        config_deinit(fresh);
        free(fresh);
    }
    return r;
}
