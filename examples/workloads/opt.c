/* SPDX-License-Identifier: MIT */
/*
 * opt: see opt.h.
 */
#include "opt.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void opt_fail(const struct opt_program *program, const char *format, ...)
{
    va_list args;
    fprintf(stderr, "%s: ", program->name);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fprintf(stderr, " (see %s --help)\n", program->name);
    exit(2);
}

bool opt_parse_count(const char *text, int64_t *ret_count)
{
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (errno || end == text || *end || value < 0 || *text < '0' || *text > '9')
        return false;
    *ret_count = value;
    return true;
}

/* Finite decimal number without hex, inf or nan; *ret_end is left at the first character behind it. */
static bool parse_decimal(const char *text, double *ret_value, char **ret_end)
{
    if (strspn(text, "0123456789.") == 0)
        return false;
    errno = 0;
    double value = strtod(text, ret_end);
    if (errno || *ret_end == text || !isfinite(value) || memchr(text, 'x', (size_t)(*ret_end - text)))
        return false;
    *ret_value = value;
    return true;
}

bool opt_parse_size(const char *text, int64_t *ret_bytes)
{
    char *end;
    double value;
    if (!parse_decimal(text, &value, &end))
        return false;
    static const char units[] = "KMGT";
    const char *unit = *end ? strchr(units, *end & ~0x20) : NULL;
    if (unit) {
        value *= (double)(INT64_C(1) << (10 * (unit - units + 1)));
        end++;
        if (strcmp(end, "iB") == 0 || strcmp(end, "B") == 0)
            end += strlen(end);
    }
    if (*end || value > 1e18)
        return false;
    *ret_bytes = (int64_t)value;
    return true;
}

bool opt_parse_ratio(const char *text, double *ret_ratio)
{
    char *end;
    double value, divisor = 1;
    if (!parse_decimal(text, &value, &end))
        return false;
    if (*end == '/' && !parse_decimal(end + 1, &divisor, &end))
        return false;
    if (*end || value <= 0 || divisor <= 0)
        return false;
    *ret_ratio = value / divisor;
    return true;
}

static bool parse_seconds(const char *text, double *ret_seconds)
{
    char *end;
    double value;
    if (!parse_decimal(text, &value, &end) || *end)
        return false;
    *ret_seconds = value;
    return true;
}

static bool parse_flag(const char *text, bool *ret_flag)
{
    if (strcmp(text, "0") != 0 && strcmp(text, "1") != 0)
        return false;
    *ret_flag = *text == '1';
    return true;
}

static bool parse_value(const struct opt *opt, const char *text)
{
    switch (opt->kind) {
    case OPT_FLAG:
        return parse_flag(text, opt->value);
    case OPT_COUNT:
        return opt_parse_count(text, opt->value);
    case OPT_SIZE:
        return opt_parse_size(text, opt->value);
    case OPT_RATIO:
        return opt_parse_ratio(text, opt->value);
    case OPT_SECONDS:
        return parse_seconds(text, opt->value);
    case OPT_STRING:
        *(const char **)opt->value = text;
        return true;
    }
    return false;
}

static const char *kind_wants(enum opt_kind kind)
{
    switch (kind) {
    case OPT_FLAG:
        return "0 or 1";
    case OPT_COUNT:
        return "a whole number, 0 or more";
    case OPT_SIZE:
        return "a size such as 512K, 64M or 2G";
    case OPT_RATIO:
        return "a number above 0, such as 0.0625 or 1/16";
    case OPT_SECONDS:
        return "seconds, such as 2 or 0.5";
    case OPT_STRING:
        return "a text";
    }
    return "";
}

static void print_help(const struct opt_program *program)
{
    printf("usage: %s %s\n\n%s\n\noptions:\n", program->name, program->usage, program->summary);
    for (const struct opt *opt = program->table; opt->name; opt++) {
        char left[64];
        snprintf(left, sizeof left, "--%s%s%s", opt->name, opt->arg ? " " : "", opt->arg ? opt->arg : "");
        printf("  %-26s %s\n", left, opt->help);
        if (opt->env)
            printf("  %-26s   (environment: %s)\n", "", opt->env);
    }
    printf("  %-26s %s\n", "--help", "this text");
    if (program->notes)
        printf("\n%s\n", program->notes);
}

void opt_read_env(const struct opt_program *program)
{
    for (const struct opt *opt = program->table; opt->name; opt++) {
        const char *text = opt->env ? getenv(opt->env) : NULL;
        if (text && *text && !parse_value(opt, text))
            opt_fail(program, "%s=%s: wants %s", opt->env, text, kind_wants(opt->kind));
    }
}

static const struct opt *find_option(const struct opt_program *program, const char *name, size_t length)
{
    for (const struct opt *opt = program->table; opt->name; opt++)
        if (strlen(opt->name) == length && memcmp(opt->name, name, length) == 0)
            return opt;
    return NULL;
}

/* Handles argv[index], which starts with "--". Returns how many further arguments it took. */
static int take_option(const struct opt_program *program, int argc, char **argv, int index)
{
    const char *name = argv[index] + 2;
    size_t length = strcspn(name, "=");
    const struct opt *opt = find_option(program, name, length);
    if (!opt && program->unknown_ok)
        return 0;
    if (!opt)
        opt_fail(program, "unknown option --%.*s", (int)length, name);
    const char *text = name[length] == '=' ? name + length + 1 : NULL;
    if (opt->kind == OPT_FLAG) {
        if (text)
            opt_fail(program, "--%s takes no value", opt->name);
        *(bool *)opt->value = true;
        return 0;
    }
    int taken = 0;
    if (!text) {
        if (index + 1 >= argc)
            opt_fail(program, "--%s wants %s", opt->name, kind_wants(opt->kind));
        text = argv[index + 1];
        taken = 1;
    }
    if (!parse_value(opt, text))
        opt_fail(program, "--%s %s: wants %s", opt->name, text, kind_wants(opt->kind));
    return taken;
}

int opt_parse(const struct opt_program *program, int argc, char **argv)
{
    int positionals = 0;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            print_help(program);
            exit(0);
        }
        if (strncmp(argv[i], "--", 2) == 0 && argv[i][2]) {
            i += take_option(program, argc, argv, i);
            continue;
        }
        if (argv[i][0] == '-' || positionals == program->positionals_max)
            opt_fail(program, "unexpected argument \"%s\"", argv[i]);
        argv[++positionals] = argv[i];
    }
    return positionals;
}
