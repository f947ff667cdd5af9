/* SPDX-License-Identifier: MIT */
/*
 * check-configs DIR [regenerate]
 *
 * Loads every DIR/NAME.ini and compares the printed report with DIR/NAME.expected; every DIR/good/NAME.ini
 * must load without a problem; what every DIR/explain/NAME.ini means, on the two hosts below, is compared with
 * DIR/explain/NAME.expected. With "regenerate" the expected files are written instead; the diff is then
 * reviewed.
 */
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check-explain.h"
#include "weir/app/supervisor.h"
#include "weir/base/cleanup.h"
#include "weir/base/fdio.h"
#include "weir/config/config.h"

#define REPORT_MAX (64 * 1024)

struct tally {
    unsigned count, wrong;
    bool regenerate;
};

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* The report as `weir check` would print it, into text; returns config_load's result. */
static int load_report(const char *path, char *text, size_t size)
{
    struct config config = {0};
    struct config_report report;
    int r = config_load(path, &config, &report);
    FILE *out = fmemopen(text, size, "w");
    if (!out)
        abort();
    config_report_print(&report, base_name(path), out);
    fclose(out);
    config_report_deinit(&report);
    config_deinit(&config);
    return r;
}

static void fail(struct tally *t, const char *path, const char *why, const char *text)
{
    t->wrong++;
    printf("not ok: %s: %s\n%s", base_name(path), why, text);
}

static void write_expected(const char *path, const char *text)
{
    FILE *out = fopen(path, "we");
    if (!out || fputs(text, out) < 0 || fclose(out) != 0) {
        perror(path);
        exit(2);
    }
}

/* text against what stands beside path. */
static void compare(struct tally *t, const char *path, const char *text)
{
    static char expected[REPORT_MAX];
    char expected_path[4096];
    (void)snprintf(expected_path, sizeof(expected_path), "%.4000s", path);
    strcpy(strrchr(expected_path, '.'), ".expected");
    if (t->regenerate)
        write_expected(expected_path, text);
    else if (fd_read_text_at(AT_FDCWD, expected_path, expected, sizeof(expected)) < 0)
        fail(t, path, "has no expected file; it says:", text);
    else if (strcmp(text, expected) != 0)
        fail(t, path, "says something else:", text);
}

static void check_broken(struct tally *t, const char *path)
{
    static char text[REPORT_MAX];
    if (load_report(path, text, sizeof(text)) >= 0)
        fail(t, path, "was accepted", "");
    else
        compare(t, path, text);
}

/* An old host and a new one. */
static const struct host_info hosts[] = {
    {.layout = HOST_LAYOUT_HYBRID,
     .memory_total_bytes = 16ULL << 30,
     .cpus = 1,
     .features = HOST_FEATURE_MEMORY_MAX | HOST_FEATURE_CPU_MAX | HOST_FEATURE_FREEZE | HOST_FEATURE_KILL},
    {.layout = HOST_LAYOUT_UNIFIED,
     .memory_total_bytes = 64ULL << 30,
     .cpus = 8,
     .features = HOST_FEATURE_MEMORY_MAX | HOST_FEATURE_MEMORY_HIGH | HOST_FEATURE_CPU_MAX |
                 HOST_FEATURE_FREEZE | HOST_FEATURE_KILL | HOST_FEATURE_PRESSURE | HOST_FEATURE_RECLAIM},
    /* neither limits nor readings of memory, and nothing to hold a unit back with */
    {.layout = HOST_LAYOUT_UNIFIED,
     .memory_total_bytes = 1ULL << 30,
     .cpus = 2,
     .features = HOST_FEATURE_KILL},
};

static void explain(struct config *c, const char *path, FILE *out)
{
    uint32_t *abilities = calloc(c->unit_count, sizeof(*abilities));
    struct unit_policy *units = calloc(c->unit_count, sizeof(*units));
    static struct rule rules[RULES_MAX];
    for (size_t h = 0; h < ARRAY_SIZE(hosts); h++) {
        for (uint32_t i = 0; i < c->unit_count; i++)
            abilities[i] = supervisor_abilities(&hosts[h]);
        struct policy policy = {.units = units, .rules = rules};
        struct check_subject subject = {base_name(path), c, &policy, &hosts[h]};
        config_resolve(c, hosts[h].memory_total_bytes, abilities, &policy);
        check_print(&subject, out);
        json_t *json = check_json(&subject);
        fprintf(out, "\n");
        json_dumpf(json, out, JSON_INDENT(1));
        fprintf(out, "\n\n");
        json_decref(json);
    }
    free(abilities);
    free(units);
}

static void check_explained(struct tally *t, const char *path)
{
    static char text[REPORT_MAX];
    struct config config = {0};
    struct config_report report;
    int r = config_load(path, &config, &report);
    FILE *out = fmemopen(text, sizeof(text), "w");
    if (!out)
        abort();
    if (r < 0)
        config_report_print(&report, base_name(path), out);
    else
        explain(&config, path, out);
    fclose(out);
    if (r < 0)
        fail(t, path, "is no good config", text);
    else
        compare(t, path, text);
    config_report_deinit(&report);
    config_deinit(&config);
}

static void check_good(struct tally *t, const char *path)
{
    static char text[REPORT_MAX];
    int r = load_report(path, text, sizeof(text));
    if (r < 0)
        fail(t, path, strerror(-r), text);
}

static void check_each(struct tally *t, const char *folder, const char *pattern,
                       void (*check)(struct tally *t, const char *path))
{
    char path[512];
    glob_t found = {0};
    (void)snprintf(path, sizeof(path), "%s/%s", folder, pattern);
    if (glob(path, 0, NULL, &found) != 0)
        fail(t, path, "no such files", "");
    for (size_t i = 0; i < found.gl_pathc; i++, t->count++)
        check(t, found.gl_pathv[i]);
    globfree(&found);
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        (void)fputs("usage: check-configs DIR [regenerate]\n", stderr);
        return 2;
    }
    struct tally t = {.regenerate = argc > 2 && strcmp(argv[2], "regenerate") == 0};
    setenv("HOME", "/home/somebody", 1);
    check_each(&t, argv[1], "*.ini", check_broken);
    check_each(&t, argv[1], "good/*.ini", check_good);
    check_each(&t, argv[1], "explain/*.ini", check_explained);
    printf("%u configs, %u wrong\n", t.count, t.wrong);
    return t.wrong > 0;
}
