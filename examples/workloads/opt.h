/* SPDX-License-Identifier: MIT */
/*
 * opt: command-line options as a table.
 *
 * One table gives a program its parser, its --help and, where a row names one, the environment variable that
 * sets the same thing (the command line wins). Values are `--name value` or `--name=value`. Anything wrong is
 * told in one line and ends the program with status 2: these are command-line programs, not a library.
 */
#ifndef WORKLOADS_OPT_H
#define WORKLOADS_OPT_H

#include <stdbool.h>
#include <stdint.h>

enum opt_kind {
    OPT_FLAG,    /* bool *, takes no value on the command line; 0 or 1 in the environment */
    OPT_COUNT,   /* int64_t *, whole number >= 0 */
    OPT_SIZE,    /* int64_t *, bytes; K, M, G are powers of 1024 */
    OPT_RATIO,   /* double *, > 0; 0.0625 or 1/16 */
    OPT_SECONDS, /* double *, >= 0 */
    OPT_STRING,  /* const char ** */
};

struct opt {
    const char *name; /* without the dashes */
    const char *arg;  /* what --help calls the value; NULL for a flag */
    enum opt_kind kind;
    void *value;
    const char *help;
    const char *env; /* NULL: command line only */
};

/* What a program (or one of its subcommands) says about itself. The table ends with a row without a name. */
struct opt_program {
    const char *name;
    const char *usage;   /* what follows the name in the usage line */
    const char *summary; /* one paragraph */
    const struct opt *table;
    const char *notes;   /* printed after the options, or NULL */
    bool unknown_ok;     /* an unknown --option is skipped, not an error */
    int positionals_max; /* how many arguments without dashes are accepted */
};

/* Prints a message with the program's name and leaves with status 2. */
void opt_fail(const struct opt_program *program, const char *format, ...)
    __attribute__((format(printf, 2, 3), noreturn));

/* Reads the environment variables named in the table. Leaves the program on a bad value. */
void opt_read_env(const struct opt_program *program);

/*
 * Reads argv[1..argc-1]. Positional arguments are moved to argv[1..]; their number is returned. --help prints
 * and exits 0; anything wrong exits 2.
 */
int opt_parse(const struct opt_program *program, int argc, char **argv);

/* Parsers for a single value; each returns true and sets the result, or false and leaves it alone. */
bool opt_parse_count(const char *text, int64_t *ret_count);
bool opt_parse_size(const char *text, int64_t *ret_bytes);
bool opt_parse_ratio(const char *text, double *ret_ratio);

#endif
