/* SPDX-License-Identifier: MIT */
/*
 * Configs: any bytes either load, or are refused with at least one problem, in the order of lines, each a
 * line of text. One that loads equals itself and can be resolved.
 */
#include "fuzz.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "weir/base/cleanup.h"
#include "weir/base/fdio.h"
#include "weir/config/config.h"

static void check_report(const struct config_report *report)
{
    for (size_t i = 0; i < report->count; i++) {
        const struct config_problem *p = &report->problems[i];
        HOLDS(*p->text && !strchr(p->text, '\n'));
        HOLDS(!p->hint || (*p->hint && !strchr(p->hint, '\n')));
        HOLDS((p->column > 0) == (p->excerpt != NULL) && (p->line > 0 || p->column == 0));
        HOLDS(!p->excerpt ||
              (!strchr(p->excerpt, '\n') && p->length > 0 && p->caret + p->length <= strlen(p->excerpt) + 1));
        HOLDS(i == 0 || p[-1].line < p->line ||
              (p[-1].line == p->line && (p[-1].column < p->column || strcmp(p[-1].text, p->text) != 0)));
    }
}

/* A rule of a config that loads can be told, and is the same once it was recorded. */
static void check_rules(const struct config *c, const struct policy *policy)
{
    static char text[RULE_TEXT_MAX], again[RULE_TEXT_MAX], words[RULE_WORDS_MAX];
    HOLDS(policy->rule_count == c->rule_count && c->rule_count <= RULES_MAX);
    for (uint32_t i = 0; i < policy->rule_count; i++) {
        struct rule read = {0};
        HOLDS(rule_format(&policy->rules[i], text, sizeof(text)) > 0 && rule_parse(text, &read) == 0);
        HOLDS(rule_format(&read, again, sizeof(again)) > 0 && strcmp(text, again) == 0);
        HOLDS(rule_describe(&read, words, sizeof(words)) > 0);
        HOLDS(strcmp(read.name, c->rules[i].name) == 0 && read.when.count > 0 && read.action_count > 0);
    }
}

static void check_config(struct config *c)
{
    struct config_change *changes;
    size_t count;
    HOLDS(*c->name && c->state_dir && c->run_dir && c->unit_count > 0);
    HOLDS(config_compare(c, c, &changes, &count) == 0 && count == 0);
    config_changes_free(changes, count);
    _cleanup_free_ struct unit_policy *units = calloc(c->unit_count, sizeof(*units));
    _cleanup_free_ uint32_t *abilities = calloc(c->unit_count, sizeof(*abilities));
    if (!units || !abilities)
        abort();
    static struct rule rules[RULES_MAX];
    struct policy policy = {.units = units, .rules = rules};
    config_resolve(c, UINT64_C(1) << 34, abilities, &policy);
    check_rules(c, &policy);
    for (uint32_t i = 0; i < c->unit_count; i++) {
        HOLDS((c->units[i].argv != NULL) != (c->units[i].wrap != NULL));
        HOLDS(strcmp(units[i].name, c->units[i].name) == 0 && *units[i].name);
        HOLDS(units[i].ladder.restart_permyriad == 0 ||
              units[i].ladder.throttle_permyriad < units[i].ladder.restart_permyriad);
        HOLDS(c->rule_count == RULES_MAX || units[i].rules >> c->rule_count == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int fd = -1;
    static char path[64];
    struct config config;
    struct config_report report;
    if (fd < 0) {
        fd = memfd_create("config", MFD_CLOEXEC);
        (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    }
    if (fd < 0 || ftruncate(fd, 0) < 0 || lseek(fd, 0, SEEK_SET) < 0 || fd_write_all(fd, data, size) < 0)
        abort();
    int r = config_load(path, &config, &report);
    HOLDS(r == 0 ? report.count == 0 : report.count > 0 && (r == -EINVAL || r == -EFBIG));
    check_report(&report);
    if (r == 0) {
        check_config(&config);
        config_deinit(&config);
    }
    config_report_deinit(&report);
    return 0;
}
