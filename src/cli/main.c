/* SPDX-License-Identifier: MIT */
/*
 * The command line: finds the row of the commands' table, reads the options the row allows, runs it.
 * Under a wrapped name this same program is the shim (weir/app/supervisor.h) and never gets here.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>

#include "commands.h"
#include "weir/app/supervisor.h"
#include "weir/base/cleanup.h"
#include "weir/base/nearest.h"
#include "weir/base/units.h"

static const struct cli_command *find_command(const char *name)
{
    for (size_t i = 0; i < cli_command_count; i++)
        if (strcmp(cli_commands[i].name, name) == 0)
            return &cli_commands[i];
    return NULL;
}

static int usage_error(const struct cli_command *c, const char *what, const char *word)
{
    fprintf(stderr, "weir%s%s: %s%s%s; 'weir%s%s --help' shows what is possible\n", c ? " " : "",
            c ? c->name : "", what, word ? " " : "", word ? word : "", c ? " " : "", c ? c->name : "");
    return CLI_EXIT_USAGE;
}

static int unknown_command(const char *name)
{
    const char *names[64];
    size_t count = 0;
    for (; count < cli_command_count && count < ARRAY_SIZE(names); count++)
        names[count] = cli_commands[count].name;
    const char *near = nearest_word(name, names, count);
    fprintf(stderr, "weir: unknown command '%s'%s%s%s; 'weir --help' lists them\n", name,
            near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
    return CLI_EXIT_USAGE;
}

static const struct cli_option_info *find_option(const struct cli_command *c, const char *word, size_t length)
{
    for (size_t i = 0; i < cli_option_count; i++) {
        const struct cli_option_info *o = &cli_options[i];
        bool is_long = length > 2 && word[0] == '-' && word[1] == '-' && strlen(o->name) == length - 2 &&
                       memcmp(o->name, word + 2, length - 2) == 0;
        bool is_short = length == 2 && word[0] == '-' && o->letter && word[1] == o->letter;
        if ((c->options & o->bit) && (is_long || is_short))
            return o;
    }
    return NULL;
}

/* 0, or CLI_EXIT_USAGE after telling. */
static int set_option(const struct cli_command *c, const struct cli_option_info *o, const char *value,
                      struct cli_args *args)
{
    uint64_t number;
    if (strcmp(o->name, "config") == 0)
        args->config = value;
    else if (strcmp(o->name, "name") == 0)
        args->name = value;
    else if (strcmp(o->name, "unit") == 0)
        args->unit = value;
    else if (strcmp(o->name, "since") == 0)
        args->since = value;
    else if (strcmp(o->name, "until") == 0)
        args->until = value;
    else if (strcmp(o->name, "run") == 0)
        args->run = value;
    else if (strcmp(o->name, "sweep") == 0)
        args->sweep[args->sweep_count++] = value;
    else if (strcmp(o->name, "limit") == 0) {
        if (parse_u64(value, &number) < 0 || number == 0 || number > UINT32_MAX)
            return usage_error(c, "--limit takes a number from 1 on, not", value);
        args->limit = (unsigned)number;
    } else if (o->bit == OPTION_JSON || o->bit == OPTION_CSV) {
        enum cli_format format = o->bit == OPTION_JSON ? CLI_FORMAT_JSON : CLI_FORMAT_CSV;
        if (args->format != CLI_FORMAT_TABLE && args->format != format)
            return usage_error(c, "JSON and CSV are asked for; give one of", "--json and --csv");
        args->format = format;
    }
    args->follow |= o->bit == OPTION_FOLLOW;
    args->keep |= o->bit == OPTION_KEEP;
    args->all |= o->bit == OPTION_ALL;
    args->explain |= o->bit == OPTION_EXPLAIN;
    args->verbose |= o->bit == OPTION_VERBOSE;
    args->recorded |= o->bit == OPTION_RECORDED;
    return 0;
}

/* Fills args from argv (after the command's name); words point into argv. 0, or CLI_EXIT_USAGE after telling. */
static int read_args(const struct cli_command *c, char **argv, const char **words, struct cli_args *args)
{
    bool options_over = false;
    for (char **p = argv; *p; p++) {
        if (options_over || (*p)[0] != '-' || strcmp(*p, "-") == 0) {
            words[args->word_count++] = *p;
            continue;
        }
        if (strcmp(*p, "--") == 0) {
            options_over = true;
            continue;
        }
        const char *equals = strncmp(*p, "--", 2) == 0 ? strchr(*p, '=') : NULL;
        size_t length = equals ? (size_t)(equals - *p) : strlen(*p);
        const struct cli_option_info *o = find_option(c, *p, length);
        if (!o)
            return usage_error(c, "unknown option", *p);
        const char *value = equals ? equals + 1 : NULL;
        if (o->value && !value && !(value = *++p))
            return usage_error(c, "a value is missing after", p[-1]);
        if (!o->value && equals)
            return usage_error(c, "this option takes no value:", *p);
        int r = set_option(c, o, value, args);
        if (r)
            return r;
    }
    args->words = words;
    if (args->word_count < c->words_min)
        return usage_error(c, "missing:", c->words);
    if (args->word_count > c->words_max)
        return usage_error(c, "too many words:", words[c->words_max]);
    return 0;
}

static int special(const char *word, const char *next)
{
    if (strcmp(word, "--version") == 0 || strcmp(word, "-V") == 0) {
        printf("weir %s\n", WEIR_VERSION);
        return CLI_EXIT_OK;
    }
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "help") == 0) {
        const struct cli_command *c = next ? find_command(next) : NULL;
        if (next && !c)
            return unknown_command(next);
        cli_print_help(c, stdout);
        return CLI_EXIT_OK;
    }
    /* for the build: the man page and the completions come from the table */
    if (strcmp(word, "--print-scdoc") == 0) {
        cli_print_scdoc(stdout);
        return CLI_EXIT_OK;
    }
    if (strcmp(word, "--print-completion") == 0 && next)
        return cli_print_completion(next, stdout) < 0
                   ? usage_error(NULL, "completions are for bash and zsh, not", next)
                   : CLI_EXIT_OK;
    return -1;
}

static int run_command(int argc, char **argv)
{
    if (argc < 2) {
        cli_print_help(NULL, stderr);
        return CLI_EXIT_USAGE;
    }
    int r = special(argv[1], argv[2]);
    if (r >= 0)
        return r;
    const struct cli_command *command = find_command(argv[1]);
    if (!command)
        return unknown_command(argv[1]);
    for (char **p = argv + 2; *p; p++)
        if (strcmp(*p, "--help") == 0 || strcmp(*p, "-h") == 0) {
            cli_print_help(command, stdout);
            return CLI_EXIT_OK;
        }
    _cleanup_free_ const char **words = calloc((size_t)argc, sizeof(*words));
    _cleanup_free_ const char **sweep = calloc((size_t)argc, sizeof(*sweep));
    struct cli_args args = {.sweep = sweep};
    if (!words || !sweep)
        return CLI_EXIT_FAILED;
    r = read_args(command, argv + 2, words, &args);
    return r ? r : command->run(&args);
}

int main(int argc, char **argv)
{
    const char *execfn = (const char *)getauxval(AT_EXECFN);
    if (execfn && shim_is_wrapped(execfn))
        return shim_main(execfn, argv);
    int r = run_command(argc, argv);
    errno = 0;
    if (fflush(stdout) == 0 && !ferror(stdout))
        return r;
    if (errno == EPIPE) /* `| head` is no failure */
        return r;
    fprintf(stderr, "weir: standard output: %s\n",
            errno ? strerror(errno) : "not all of it could be written");
    return CLI_EXIT_FAILED;
}
