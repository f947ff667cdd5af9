/* SPDX-License-Identifier: MIT */
/*
 * check-configs DIR [regenerate]
 *
 * Loads every DIR/NAME.ini and compares the printed report with DIR/NAME.expected; every DIR/good/NAME.ini
 * must load without a problem. With "regenerate" the expected files are written instead; the diff is then
 * reviewed.
 */
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

static void check_broken(struct tally *t, const char *path)
{
    static char text[REPORT_MAX], expected[REPORT_MAX];
    char expected_path[4096];
    int r = load_report(path, text, sizeof(text));
    (void)snprintf(expected_path, sizeof(expected_path), "%.4000s", path);
    strcpy(strrchr(expected_path, '.'), ".expected");
    if (r >= 0)
        fail(t, path, "was accepted", "");
    else if (t->regenerate)
        write_expected(expected_path, text);
    else if (fd_read_text_at(AT_FDCWD, expected_path, expected, sizeof(expected)) < 0)
        fail(t, path, "has no expected file; it says:", text);
    else if (strcmp(text, expected) != 0)
        fail(t, path, "says something else:", text);
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
    printf("%u configs, %u wrong\n", t.count, t.wrong);
    return t.wrong > 0;
}
