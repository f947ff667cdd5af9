/* SPDX-License-Identifier: MIT */
/* weir check --explain for a person: the host, each unit's ladder with its sizes, the rules. See check-explain.h. */
#include <inttypes.h>
#include <string.h>

#include "check-explain.h"
#include "commands.h"
#include "weir/base/units.h"

#define STEP_INDENT 29 /* of a step's words: behind its name, share and size */
#define RULE_INDENT 6

static void print_host(const struct host_info *info, FILE *out)
{
    char memory[FORMAT_SIZE_MAX];
    (void)fprintf(out, "On this host (%s cgroups, %s memory, %" PRIu32 " cpu%s):\n",
                  host_layout_name(info->layout), format_size(info->memory_total_bytes, memory), info->cpus,
                  info->cpus == 1 ? "" : "s");
}

static void print_step(const struct check_step *step, FILE *out)
{
    char size[FORMAT_SIZE_MAX], level[FORMAT_SIZE_MAX + 16] = "-", text[CHECK_TEXT_MAX + 64];
    if (step->permyriad)
        (void)snprintf(level, sizeof(level), "%5.4g%%  %s", step->permyriad / 100.0,
                       format_size(step->bytes, size));
    bool is_switched_off = step->permyriad == 0;
    (void)snprintf(text, sizeof(text), "%s%s", step->off && !is_switched_off ? "off: " : "",
                   step->off ? step->off : step->text);
    int column = fprintf(out, "  %-9s %-16s", step->name, level);
    (void)fputc(' ', out);
    cli_print_wrapped(text, (unsigned)column + 1, STEP_INDENT, out);
}

static void print_restarts(const struct unit_policy *p, FILE *out)
{
    char life[FORMAT_DURATION_MAX], window[FORMAT_DURATION_MAX], failures[FORMAT_DURATION_MAX],
        text[CHECK_TEXT_MAX];
    (void)snprintf(
        text, sizeof(text),
        "A restart after %s of life is a planned recycle, and no more follow when they take over %.4g%% of "
        "%s; an earlier one is a failure, and %" PRIu32 " of those in %s give the unit up.",
        format_duration(p->recycle_min_life_us, life), p->recycle_cost_permyriad / 100.0,
        format_duration(p->recycle_window_us, window), p->failure_budget,
        format_duration(p->failure_window_us, failures));
    (void)fputs("  ", out);
    cli_print_wrapped(text, 2, 2, out);
}

static void print_limit(const struct check_subject *s, uint32_t unit, FILE *out)
{
    const struct config_size *size = &s->config->units[unit].memory_max;
    char bytes[FORMAT_SIZE_MAX], memory[FORMAT_SIZE_MAX];
    uint64_t limit = s->policy->units[unit].memory_max_bytes;
    if (limit == UINT64_MAX)
        return;
    (void)fprintf(out, ", memory_max %s", format_size(limit, bytes));
    if (size->is_share)
        (void)fprintf(out, " (%.4g%% of %s)", size->permyriad / 100.0,
                      format_size(s->info->memory_total_bytes, memory));
}

static void print_unit(const struct check_subject *s, uint32_t unit, FILE *out)
{
    const struct unit_policy *p = &s->policy->units[unit];
    const char *idle = check_ladder_is_idle(p);
    struct check_step steps[CHECK_STEPS_MAX];
    (void)fprintf(out, "\nunit %s", p->name);
    print_limit(s, unit, out);
    (void)fputs(p->mode == UNIT_MODE_OBSERVE
                    ? "; mode = observe: all this is recorded as \"would have\", nothing is done\n"
                    : "\n",
                out);
    if (idle) {
        (void)fprintf(out, "  %s\n", idle);
        return;
    }
    size_t count = check_ladder(&s->config->units[unit], p, steps);
    for (size_t i = 0; i < count; i++)
        print_step(&steps[i], out);
    print_restarts(p, out);
}

/* What a rule's action cannot do here, once for all the units that cannot have it. */
static void print_idle_actions(const struct check_subject *s, uint32_t rule, FILE *out)
{
    const struct rule *r = &s->policy->rules[rule];
    for (uint32_t a = 0; a < r->action_count; a++) {
        const char *told = NULL;
        for (uint32_t i = 0; i < s->policy->unit_count; i++) {
            const struct unit_policy *p = &s->policy->units[i];
            const char *why = p->rules >> rule & 1 ? check_action_is_idle(&r->actions[a], p) : NULL;
            if (why)
                (void)fprintf(out, told ? ", %s" : "      a note only instead of %s: %s: %s",
                              told ? p->name : rule_action_name(r->actions[a].kind), why, p->name);
            told = why ? why : told;
        }
        (void)fputs(told ? "\n" : "", out);
    }
}

static void print_rule(const struct check_subject *s, uint32_t rule, FILE *out)
{
    const struct config_rule *c = &s->config->rules[rule];
    char words[RULE_WORDS_MAX] = "";
    (void)fprintf(out, "  %" PRIu32 ". %s, for ", rule + 1, c->name);
    for (size_t i = 0; c->units && c->units[i]; i++)
        (void)fprintf(out, "%s%s", i ? ", " : "", c->units[i]);
    (void)fprintf(out, "%s\n%*s", c->units ? "" : "every unit", RULE_INDENT, "");
    (void)rule_describe(&c->rule, words, sizeof(words));
    cli_print_wrapped(words, RULE_INDENT, RULE_INDENT, out);
    print_idle_actions(s, rule, out);
}

void check_print(const struct check_subject *s, FILE *out)
{
    print_host(s->info, out);
    for (uint32_t i = 0; i < s->config->unit_count; i++)
        print_unit(s, i, out);
    if (s->config->rule_count == 0)
        return;
    (void)fputs("\nrules\n", out);
    for (uint32_t i = 0; i < s->config->rule_count; i++)
        print_rule(s, i, out);
    for (size_t i = 0; i < sizeof(check_precedence) / sizeof(check_precedence[0]); i++) {
        (void)fputs("  ", out);
        cli_print_wrapped(check_precedence[i], 2, 2, out);
    }
}
