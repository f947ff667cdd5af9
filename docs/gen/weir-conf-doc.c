/* SPDX-License-Identifier: MIT */
/*
 * Prints what is made of the key table at build time:
 *
 *     weir-conf-doc man HEAD TAIL    weir.conf(5) in scdoc syntax: file HEAD, the keys, file TAIL
 *     weir-conf-doc sample           the sample config
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "weir/base/cleanup.h"
#include "weir/config/config.h"

/* 0 or 1, with a message. */
static int copy_file(const char *path)
{
    char buffer[4096];
    _cleanup_fclose_ FILE *in = fopen(path, "re");
    if (!in) {
        (void)fprintf(stderr, "weir-conf-doc: %s: %s\n", path, strerror(errno));
        return 1;
    }
    for (size_t n; (n = fread(buffer, 1, sizeof(buffer), in)) > 0;)
        (void)fwrite(buffer, 1, n, stdout);
    return ferror(in) != 0;
}

static int print_man(const char *head, const char *tail)
{
    if (copy_file(head) != 0)
        return 1;
    config_print_scdoc(stdout);
    return copy_file(tail);
}

int main(int argc, char **argv)
{
    int r;
    if (argc == 4 && strcmp(argv[1], "man") == 0) {
        r = print_man(argv[2], argv[3]);
    } else if (argc == 2 && strcmp(argv[1], "sample") == 0) {
        config_print_sample(stdout);
        r = 0;
    } else {
        (void)fputs("usage: weir-conf-doc man HEAD TAIL | sample\n", stderr);
        return 2;
    }
    return r != 0 || fflush(stdout) != 0;
}
