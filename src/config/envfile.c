/* SPDX-License-Identifier: MIT */
/*
 * environment_file: a NAME=value a line, comments (# and ;) and empty lines. A value in "..." or '...' loses
 * the quotes; nothing else is interpreted. Messages name lines and variables, never values.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "text.h"
#include "unit.h"
#include "weir/base/cleanup.h"
#include "weir/base/fdio.h"

#define ENVIRONMENT_FILE_MAX (256 * 1024) /* chosen: 256 variables of 1 KiB each */

static void strip_end(char *s)
{
    size_t length = strlen(s);
    while (length > 0 && isspace((unsigned char)s[length - 1]))
        s[--length] = '\0';
}

/* Joins name and value without the value's quotes into the same buffer. */
static void strip_quotes(char *line, size_t name_length)
{
    char *value = line + name_length + 1;
    size_t length = strlen(value);
    if (length < 2 || (value[0] != '"' && value[0] != '\'') || value[length - 1] != value[0])
        return;
    memmove(value, value + 1, length - 2);
    value[length - 2] = '\0';
}

static int add_line(char *line, unsigned number, char *const *given, char ***variables, struct why *why)
{
    strip_end(line);
    line += strspn(line, " \t");
    if (*line == '\0' || *line == '#' || *line == ';')
        return 0;
    size_t length = strcspn(line, "=");
    if (line[length] == '\0')
        return why_set(why, "line %u of the file has no '='\nwrite NAME=value", number);
    if (!environment_name_is_valid(line, length))
        return why_set(
            why,
            "line %u of the file has no valid name before its '='\nletters, digits and '_', no digit "
            "first, no blanks, no 'export'",
            number);
    if (environment_has(*variables, line, length))
        return why_set(why, "line %u of the file sets %.*s again\nkeep one of them", number, (int)length,
                       line);
    if (environment_has(given, line, length))
        return 0; /* environment wins */
    if (words_count(*variables) + words_count(given) >= CONFIG_ENVIRONMENT_MAX)
        return why_set(why, "more than %d variables\nput fewer into the file", CONFIG_ENVIRONMENT_MAX);
    strip_quotes(line, length);
    return words_add(variables, line, strlen(line));
}

static int read_variables(char *text, char *const *given, char ***variables, struct why *why)
{
    unsigned number = 1;
    for (char *line = text; line; number++) {
        char *end = strchr(line, '\n');
        if (end)
            *end++ = '\0';
        int r = add_line(line, number, given, variables, why);
        if (r < 0)
            return r;
        line = end;
    }
    return 0;
}

/* The length, or a negative errno. Never waits: a FIFO or a device is no file of variables (-EISDIR). */
static ssize_t read_regular(const char *path, char *buffer)
{
    _cleanup_close_ int fd = fd_open_at(AT_FDCWD, path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
    struct stat st;
    if (fd < 0)
        return fd;
    if (fstat(fd, &st) < 0)
        return -errno;
    return S_ISREG(st.st_mode) ? fd_pread_text(fd, buffer, ENVIRONMENT_FILE_MAX) : -EISDIR;
}

/* 0, 1 = missing and that is fine, -EINVAL or -ENOMEM. */
static int read_text(const char *path, bool may_miss, char *buffer, struct why *why)
{
    ssize_t n = read_regular(path, buffer);
    if (n == -ENOENT && may_miss)
        return 1;
    if (n == -EISDIR)
        return why_set(why, "not a file\nname a file with a NAME=value a line");
    if (n == -EMSGSIZE)
        return why_set(why, "larger than %d bytes\nis this the right file?", ENVIRONMENT_FILE_MAX - 1);
    if (n < 0)
        return why_set(why, "%s\n%s", strerror((int)-n),
                       n == -ENOENT ? "make the file, or write a '-' in front of the path"
                                    : "weir must be able to read it");
    if (strlen(buffer) != (size_t)n)
        return why_set(why, "a NUL byte in the file\nis this a text file?");
    return 0;
}

int environment_file_read(struct config_unit *unit, struct why *why)
{
    const char *path = unit->environment_file;
    bool may_miss = *path == '-';
    _cleanup_free_ char *buffer = malloc(ENVIRONMENT_FILE_MAX);
    _cleanup_(words_cleanup) char **variables = NULL;
    if (!buffer)
        return -ENOMEM;
    int r = read_text(path + may_miss, may_miss, buffer, why);
    if (r != 0)
        return r < 0 ? r : 0;
    r = read_variables(buffer, unit->environment, &variables, why);
    for (size_t i = 0; r == 0 && unit->environment && unit->environment[i]; i++)
        r = words_add(&variables, unit->environment[i], strlen(unit->environment[i]));
    if (r < 0)
        return r;
    words_free(unit->environment);
    unit->environment = steal_ptr(&variables);
    return 0;
}
