/* SPDX-License-Identifier: MIT */
/*
 * The ladder in plain words: one row a step, its level from the unit's policy, its words from what the host can do.
 * What the steps do is the engine's (src/engine/ladder.c); this tells it.
 */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "check-explain.h"
#include "weir/base/cleanup.h"
#include "weir/base/units.h"

const char *const check_precedence[2] = {
    "At each sample: first the restart at critical_at; then the rules, in this order; then the ladder's "
    "other steps.",
    "Who began a throttle, pace or hold ends it; after a stop or restart nothing more is done; stop goes "
    "before "
    "restart.",
};

#define NO_GATE    "it has no gate"
#define NO_RECLAIM "this host has no memory.reclaim"

static void add(struct check_step *step, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void add(struct check_step *step, const char *fmt, ...)
{
    size_t length = strlen(step->text);
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(step->text + length, sizeof(step->text) - length, fmt, ap);
    va_end(ap);
}

struct duration_text {
    char text[FORMAT_DURATION_MAX];
};

static struct duration_text duration(uint64_t us)
{
    struct duration_text t;
    (void)format_duration(us, t.text);
    return t;
}

static double percent(uint32_t permyriad)
{
    return permyriad / 100.0;
}

static void tell_notify(struct check_step *step, const struct config_unit *unit, const struct unit_policy *p)
{
    add(step, "tell it to give memory back, by a byte on MEMORY_PRESSURE_WATCH");
    if (unit->notify_argv)
        add(step, " and by running %s", unit->notify_argv[0]);
    add(step, "; at most every %s", duration(p->ladder.notify_cooldown_us).text);
}

static void tell_release(struct check_step *step, const struct config_unit *unit, const struct unit_policy *p)
{
    (void)unit;
    (void)p;
    add(step, "below this all that holds it back is undone");
}

static void tell_gate(struct check_step *step, const struct unit_policy *p, const char *what)
{
    add(step, "%s, for at most %s", what, duration(p->ladder.hold_max_us).text);
    if (!(p->abilities & ABILITY_GATE))
        step->off = NO_GATE;
}

static void tell_pace(struct check_step *step, const struct config_unit *unit, const struct unit_policy *p)
{
    (void)unit;
    tell_gate(step, p,
              p->ladder.pace_inflight == 1 ? "let one request through at a time"
                                           : "let few requests through");
}

static void tell_hold(struct check_step *step, const struct config_unit *unit, const struct unit_policy *p)
{
    (void)unit;
    tell_gate(step, p, "let no request through");
}

static void tell_reclaim(struct check_step *step, const struct config_unit *unit, const struct unit_policy *p)
{
    char size[FORMAT_SIZE_MAX];
    uint64_t chunk = mul_div_u64(p->memory_max_bytes, p->ladder.reclaim_chunk_permyriad, PERMYRIAD_ONE);
    (void)unit;
    add(step, "take memory back, %s at a time; less than %.0f%% of that got: not again for %s",
        format_size(chunk, size), percent(p->ladder.reclaim_yield_permyriad),
        duration(p->ladder.reclaim_cooldown_us).text);
    if (!(p->abilities & ABILITY_RECLAIM))
        step->off = NO_RECLAIM;
}

/* How it is held back here. Returns whether it can be at all. */
static bool add_means(struct check_step *step, const struct unit_policy *p)
{
    const struct ladder_policy *l = &p->ladder;
    bool has_cpu = p->abilities & ABILITY_CPU_MAX, has_high = p->abilities & ABILITY_MEMORY_HIGH,
         has_freeze = p->abilities & ABILITY_FREEZE;
    if (has_cpu)
        add(step, "%.4g%% of a cpu", percent(l->throttle_cpu_permyriad));
    if (has_high)
        add(step, "%smemory.high a little above what it uses", has_cpu ? " and " : "");
    else if (has_freeze)
        add(step, "%sfrozen for %s of every %s (no memory.high on this host)", has_cpu ? " and " : "",
            duration(l->pulse_freeze_us).text, duration(l->pulse_freeze_us + l->pulse_thaw_us).text);
    return has_cpu || has_high || has_freeze;
}

static void tell_throttle(struct check_step *step, const struct config_unit *unit,
                          const struct unit_policy *p)
{
    const struct ladder_policy *l = &p->ladder;
    (void)unit;
    add(step, "hold it back for at most %s: ", duration(l->throttle_max_us).text);
    if (!add_means(step, p))
        step->off = "this host has neither cpu quota nor memory.high nor freezing";
    /* where notify stands higher, only the level counts */
    uint32_t floor = l->notify_permyriad ? l->notify_permyriad : l->release_permyriad;
    if (floor >= l->throttle_permyriad)
        return;
    add(step, ". Lower, above %s, when the limit is less than %s away",
        l->notify_permyriad ? "notify" : "release", duration(l->throttle_eta_us).text);
    if (l->jump_permyriad)
        add(step, " or one more jump like the last would reach it");
    if (l->pressure_permyriad && (p->abilities & ABILITY_PRESSURE))
        add(step, " or all its tasks waited for memory, by its own doing, for %.4g%% of %s",
            percent(l->pressure_permyriad), duration(l->pressure_window_us).text);
}

static void tell_restart(struct check_step *step, const struct config_unit *unit, const struct unit_policy *p)
{
    const struct ladder_policy *l = &p->ladder;
    (void)unit;
    add(step, "restart it when it stays above for %s", duration(l->restart_hold_us).text);
    if (!l->restart_eta_us && !l->throttle_permyriad)
        return;
    add(step, ". Lower, above %s, when ", l->throttle_permyriad ? "throttle" : "release");
    if (l->restart_eta_us)
        add(step, "the limit is less than %s away", duration(l->restart_eta_us).text);
    if (l->throttle_permyriad)
        add(step, "%sholding it back for %s did not help", l->restart_eta_us ? " or " : "",
            duration(l->throttle_max_us).text);
    if (l->throttle_permyriad && (p->abilities & ABILITY_MEMORY_HIGH))
        add(step, ", or at once when memory.high lets it get nothing done for %s",
            duration(l->throttle_stall_us).text);
}

static void tell_critical(struct check_step *step, const struct config_unit *unit,
                          const struct unit_policy *p)
{
    (void)unit;
    (void)p;
    add(step, "restart it at once, without grace");
}

static const struct row {
    const char *name;
    size_t level; /* offset of its share in struct ladder_policy */
    void (*tell)(struct check_step *step, const struct config_unit *unit, const struct unit_policy *p);
} rows[] = {
    {"notify", offsetof(struct ladder_policy, notify_permyriad), tell_notify},
    {"release", offsetof(struct ladder_policy, release_permyriad), tell_release},
    {"pace", offsetof(struct ladder_policy, pace_permyriad), tell_pace},
    {"reclaim", offsetof(struct ladder_policy, reclaim_permyriad), tell_reclaim},
    {"hold", offsetof(struct ladder_policy, hold_permyriad), tell_hold},
    {"throttle", offsetof(struct ladder_policy, throttle_permyriad), tell_throttle},
    {"restart", offsetof(struct ladder_policy, restart_permyriad), tell_restart},
    {"critical", offsetof(struct ladder_policy, critical_permyriad), tell_critical},
};
_Static_assert(ARRAY_SIZE(rows) == CHECK_STEPS_MAX, "one struct check_step a row");

/* By level, what is off last; equal ones in the order of the rows. */
static bool stands_before(const struct check_step *a, const struct check_step *b)
{
    return b->permyriad == 0 ? a->permyriad > 0 : a->permyriad > 0 && a->permyriad < b->permyriad;
}

static void sort_steps(struct check_step steps[static CHECK_STEPS_MAX])
{
    for (size_t i = 1; i < CHECK_STEPS_MAX; i++)
        for (size_t k = i; k > 0 && stands_before(&steps[k], &steps[k - 1]); k--) {
            struct check_step lower = steps[k];
            steps[k] = steps[k - 1];
            steps[k - 1] = lower;
        }
}

size_t check_ladder(const struct config_unit *unit, const struct unit_policy *p,
                    struct check_step ret[static CHECK_STEPS_MAX])
{
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct check_step *step = &ret[i];
        *step = (struct check_step){.name = rows[i].name};
        memcpy(&step->permyriad, (const char *)&p->ladder + rows[i].level, sizeof(step->permyriad));
        rows[i].tell(step, unit, p);
        if (step->permyriad == 0)
            step->off = "off";
        step->bytes = mul_div_u64(p->memory_max_bytes, step->permyriad, PERMYRIAD_ONE);
    }
    sort_steps(ret);
    return ARRAY_SIZE(rows);
}

const char *check_ladder_is_idle(const struct unit_policy *p)
{
    if (!(p->abilities & ABILITY_MEMORY_MAX))
        return "this host has no memory controller for it: nothing is done about its memory";
    if (p->memory_max_bytes == UINT64_MAX)
        return "it has no memory_max: the ladder has nothing to measure by";
    return NULL;
}

const char *check_action_is_idle(const struct rule_action *action, const struct unit_policy *p)
{
    const uint32_t means = ABILITY_CPU_MAX | ABILITY_FREEZE | ABILITY_MEMORY_HIGH;
    switch (action->kind) {
    case RULE_ACTION_PACE:
    case RULE_ACTION_HOLD:
        return p->abilities & ABILITY_GATE ? NULL : NO_GATE;
    case RULE_ACTION_RECLAIM:
        return p->abilities & ABILITY_RECLAIM ? NULL : NO_RECLAIM;
    case RULE_ACTION_THROTTLE:
        return p->abilities & means ? NULL : "this host has no means to hold it back";
    case RULE_ACTION_NOTE:
    case RULE_ACTION_NOTIFY:
    case RULE_ACTION_RESTART:
    case RULE_ACTION_STOP:
    case RULE_ACTION_KIND_COUNT:
        break;
    }
    return NULL;
}
