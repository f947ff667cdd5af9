/* SPDX-License-Identifier: MIT */
/* weir check: reads a config and tells what is wrong with it or, when nothing is, what it means on this host. */
#include "check-explain.h"

#include <inttypes.h>
#include <stdlib.h>

#include "weir/app/supervisor.h"
#include "weir/base/cleanup.h"
#include "weir/cli/cli.h"

/* Takes the object. */
static void print_json(json_t *root)
{
    (void)json_dumpf(root, stdout, JSON_INDENT(2));
    (void)putchar('\n');
    json_decref(root);
}

static int tell_problems(const struct cli_args *args, const struct config_report *report)
{
    if (args->format == CLI_FORMAT_JSON)
        print_json(check_problems_json(args->words[0], report));
    else
        config_report_print(report, args->words[0], stderr);
    return CLI_EXIT_FAILED;
}

static void print_ok(const char *path, const struct config *c)
{
    printf("%s: ok, %" PRIu32 " unit%s", path, c->unit_count, c->unit_count == 1 ? "" : "s");
    for (uint32_t i = 0; i < c->unit_count; i++)
        printf("%s %s", i ? "" : ":", c->units[i].name);
    if (c->rule_count)
        printf(", %" PRIu32 " rule%s", c->rule_count, c->rule_count == 1 ? "" : "s");
    for (uint32_t i = 0; i < c->rule_count; i++)
        printf("%s %s", i ? "" : ":", c->rules[i].name);
    putchar('\n');
}

static int explain(const struct cli_args *args, struct config *config)
{
    struct err e = ERR_NULL;
    struct host_info info;
    if (host_detect(&info, &e) < 0) {
        (void)fprintf(stderr, "weir: %s\n", e.text);
        return CLI_EXIT_FAILED;
    }
    _cleanup_free_ uint32_t *abilities = calloc(config->unit_count, sizeof(*abilities));
    _cleanup_free_ struct unit_policy *units = calloc(config->unit_count, sizeof(*units));
    _cleanup_free_ struct rule *rules = calloc(RULES_MAX, sizeof(*rules));
    if (!abilities || !units || !rules) {
        (void)fputs("weir: out of memory\n", stderr);
        return CLI_EXIT_FAILED;
    }
    for (uint32_t i = 0; i < config->unit_count; i++)
        abilities[i] = supervisor_abilities(&info);
    struct policy policy = {.units = units, .rules = rules};
    config_resolve(config, info.memory_total_bytes, abilities, &policy);
    struct check_subject subject = {
        .path = args->words[0], .config = config, .policy = &policy, .info = &info};
    if (args->format == CLI_FORMAT_JSON)
        print_json(check_json(&subject));
    else
        check_print(&subject, stdout);
    return CLI_EXIT_OK;
}

int cmd_check(const struct cli_args *args)
{
    struct config config = {0};
    struct config_report report = {0};
    if (args->word_count == 0) {
        config_print_sample(stdout);
        return CLI_EXIT_OK;
    }
    bool is_json = args->format == CLI_FORMAT_JSON;
    int r = config_load(args->words[0], &config, &report) < 0 ? tell_problems(args, &report) : CLI_EXIT_OK;
    if (r == CLI_EXIT_OK && is_json && !args->explain)
        print_json(check_problems_json(args->words[0], &report));
    else if (r == CLI_EXIT_OK && !is_json)
        print_ok(args->words[0], &config);
    if (r == CLI_EXIT_OK && args->explain)
        r = explain(args, &config);
    config_report_deinit(&report);
    config_deinit(&config);
    return r;
}
