/* SPDX-License-Identifier: MIT */
/* The commands' table; see weir/cli/cli.h. */
#ifndef WEIR_CLI_COMMANDS_H
#define WEIR_CLI_COMMANDS_H

#include "weir/cli/cli.h"

/* Which options a command takes (bit mask). */
enum cli_option {
    OPTION_TARGET = 1 << 0, /* -c, -n */
    OPTION_UNIT = 1 << 1,   /* -u */
    OPTION_RANGE = 1 << 2,  /* --since, --until */
    OPTION_RUN = 1 << 3,    /* --run */
    OPTION_JSON = 1 << 4,
    OPTION_CSV = 1 << 5,
    OPTION_FOLLOW = 1 << 6,
    OPTION_KEEP = 1 << 7,
    OPTION_ALL = 1 << 8,
    OPTION_LIMIT = 1 << 9,
    OPTION_VERBOSE = 1 << 10,
    OPTION_RECORDED = 1 << 11,
    OPTION_SWEEP = 1 << 12,
    OPTION_EXPLAIN = 1 << 13,
};

struct cli_command {
    const char *name;
    const char *words; /* "UNIT", "[samples|interventions|...]": for usage */
    size_t words_min, words_max;
    unsigned options;
    const char *summary;  /* one line */
    const char *text;     /* a paragraph for the man page and --help */
    const char *examples; /* lines, each "command  # what for" */
    int (*run)(const struct cli_args *args);
};

extern const struct cli_command cli_commands[];
extern const size_t cli_command_count;

struct cli_option_info {
    enum cli_option bit;
    char letter;       /* 0 = none */
    const char *name;  /* long name */
    const char *value; /* "FILE"; NULL = a flag */
    const char *text;
};

extern const struct cli_option_info cli_options[];
extern const size_t cli_option_count;

/* Words in lines of at most 80 columns; the first line goes on at column `at`, the others begin at `indent`. */
void cli_print_wrapped(const char *text, unsigned at, unsigned indent, FILE *out);

void cli_print_help(const struct cli_command *command, FILE *out); /* NULL: of weir itself */
void cli_print_scdoc(FILE *out);
int cli_print_completion(const char *shell, FILE *out); /* "bash", "zsh"; -EINVAL */

#endif
