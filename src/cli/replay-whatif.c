/* SPDX-License-Identifier: MIT */
/*
 * `weir replay -c CONFIG`: which input, which policy, which unit; then one try with its report, or a sweep of them.
 * A word that names a file is a trace; else it is a run of the supervisor that -n names, or of the config's own.
 */
#include "replay-whatif.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "replay-print.h"
#include "weir/base/cleanup.h"
#include "weir/base/nearest.h"
#include "weir/base/units.h"

static void list_units(const struct config *c, char *buf, size_t size)
{
    size_t length = 0;
    buf[0] = '\0';
    for (uint32_t i = 0; i < c->unit_count && length < size; i++)
        length += (size_t)snprintf(buf + length, size - length, "%s%s", i ? ", " : "", c->units[i].name);
}

static int unknown_unit(const struct trial *t)
{
    char names[512];
    list_units(&t->config, names, sizeof(names));
    fprintf(stderr, "weir replay: %s has no unit '%s'; it has %s\n", t->args->config, t->args->unit, names);
    return CLI_EXIT_USAGE;
}

/* A trace stands for the unit that -u names, else for the only wrapped one, else for the only one. */
static int choose_unit(struct trial *t)
{
    const struct config *c = &t->config;
    const struct config_unit *only = NULL;
    char names[512];
    uint32_t wrapped = 0;
    for (uint32_t i = 0; i < c->unit_count; i++) {
        const struct config_unit *u = &c->units[i];
        if (t->args->unit && strcmp(u->name, t->args->unit) == 0) {
            t->unit_name = u->name;
            return 0;
        }
        wrapped += u->wrap != NULL;
        if (u->wrap || c->unit_count == 1)
            only = u;
    }
    if (t->args->unit)
        return unknown_unit(t);
    if (only && (wrapped == 1 || c->unit_count == 1)) {
        t->unit_name = only->name;
        return 0;
    }
    list_units(c, names, sizeof(names));
    fprintf(stderr, "weir replay: which unit is %s a trace of? Say it with -u: %s\n", t->in.path, names);
    return CLI_EXIT_USAGE;
}

static int open_trace(struct trial *t)
{
    struct err err = ERR_NULL;
    if (trace_log_read(t->in.path, &t->in.trace, &err) < 0) {
        fprintf(stderr, "weir replay: %s\n", err.text);
        return CLI_EXIT_FAILED;
    }
    t->in.start_us = 0; /* the log's own seconds */
    return choose_unit(t);
}

static int open_run(struct trial *t)
{
    struct cli_args whose = *t->args;
    if (whose.name)
        whose.config = NULL;
    whose.run = whose.word_count ? whose.words[0] : NULL;
    int r = cli_query_open(&whose, &t->in.query);
    if (r != CLI_EXIT_OK)
        return r;
    if (!t->in.query.filter.run) {
        fputs("weir: replay takes one run: a number, or none for the last ('weir history runs' lists them)\n",
              stderr);
        return CLI_EXIT_USAGE;
    }
    t->in.run = t->in.query.filter.run;
    r = replay_input_run(&t->in);
    for (uint16_t i = 0; r == 0 && t->args->unit && i < t->in.name_count; i++)
        if (strcmp(t->in.name_list[i], t->args->unit) == 0) {
            t->unit = i;
            t->unit_name = t->in.name_list[i];
        }
    return r;
}

static int load_config(const char *path, struct config *ret)
{
    struct config_report report = {0};
    int e = config_load(path, ret, &report);
    if (e < 0)
        config_report_print(&report, path, stderr);
    config_report_deinit(&report);
    return e < 0 ? CLI_EXIT_FAILED : 0;
}

static int try_once(struct trial *t)
{
    struct attempt a = {0};
    int r = attempt_init(&a, &t->in, &t->config, t->unit_name);
    struct report report = {
        .attempt = &a,
        .config = &t->config,
        .config_path = t->args->config,
        .names = t->in.path ? &t->unit_name : t->in.name_list,
        .unit = t->unit,
        .all = t->args->all,
        .format = t->args->format,
    };
    if (r == 0)
        r = report_begin(&report);
    if (r == 0) {
        r = attempt_run(&a, report_decision, &report);
        report_end(&report, r == 0);
    }
    attempt_deinit(&a);
    return r;
}

static bool is_file(const char *word)
{
    struct stat st;
    return stat(word, &st) == 0;
}

int replay_whatif(const struct cli_args *args)
{
    struct trial t = {.args = args, .unit = UNIT_NONE};
    uint64_t run;
    const char *word = args->word_count ? args->words[0] : NULL;
    if (word && is_file(word))
        t.in.path = word;
    else if (word && cli_parse_run(word, 1, &run) < 0) {
        fprintf(stderr, "weir replay: there is no file '%s', and it is no run; a run is a number or last\n",
                word);
        return CLI_EXIT_USAGE;
    }
    if (t.in.path && args->name) {
        fprintf(stderr,
                "weir replay: -n names a supervisor, and %s is a trace, which has none; leave it out\n",
                word);
        return CLI_EXIT_USAGE;
    }
    int r = load_config(args->config, &t.config);
    if (r)
        return r;
    r = t.in.path ? open_trace(&t) : open_run(&t);
    if (r == 0)
        r = args->sweep_count ? replay_sweep(&t) : try_once(&t);
    replay_input_deinit(&t.in);
    config_deinit(&t.config);
    return r;
}
