/* SPDX-License-Identifier: MIT */
/* Types whose values own memory: commands, lists, paths, names of commands. See key.h. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "argv.h"
#include "key.h"
#include "unit.h"
#include "weir/base/cleanup.h"

static void words_clear(const struct key *key, void *owner)
{
    char ***words = KEY_FIELD(char **, owner, key->offset);
    words_free(steal_ptr(words));
}

static void words_format(const struct key *key, const void *owner, struct text *out)
{
    argv_join(*KEY_CONST_FIELD(char **, owner, key->offset), out);
}

static void words_replace(const struct key *key, void *owner, char **words)
{
    words_clear(key, owner);
    *KEY_FIELD(char **, owner, key->offset) = words;
}

static int argv_parse(const struct key *key, void *owner, const char *text, struct why *why)
{
    _cleanup_(words_cleanup) char **words = NULL;
    int r = argv_split(text, &words, why);
    if (r < 0)
        return r;
    if (words[0][0] == '\0')
        return why_set(why, "the program's name is empty\nbegin with the program, such as /usr/bin/node");
    words_replace(key, owner, steal_ptr(&words));
    return 0;
}

const struct value_type type_argv = {.name = "command",
                                     .has_own_comments = true,
                                     .parse = argv_parse,
                                     .format = words_format,
                                     .clear = words_clear};

bool environment_name_is_valid(const char *name, size_t length)
{
    if (length == 0 || (!isalpha((unsigned char)name[0]) && name[0] != '_'))
        return false;
    for (size_t i = 0; i < length; i++)
        if (!isalnum((unsigned char)name[i]) && name[i] != '_')
            return false;
    return true;
}

bool environment_has(char *const *environment, const char *name, size_t length)
{
    for (size_t i = 0; environment && environment[i]; i++)
        if (strncmp(environment[i], name, length) == 0 && environment[i][length] == '=')
            return true;
    return false;
}

/* Values may be secrets: messages name an item by its name, or its number where it has none. */
static int environment_check(char *const *have, char *const *items, size_t i, struct why *why)
{
    size_t length = strcspn(items[i], "=");
    if (items[i][length] == '\0')
        return why_set(
            why, "item %zu has no '='\nwrite NAME=value, with \"...\" around an item that has blanks", i + 1);
    if (!environment_name_is_valid(items[i], length))
        return why_set(
            why, "item %zu has no valid name before its '='\nletters, digits and '_', no digit first", i + 1);
    for (size_t j = 0; j < i; j++)
        if (strncmp(items[j], items[i], length + 1) == 0)
            return why_set(why, "%.*s is set twice\nkeep one of them", (int)length, items[i]);
    if (environment_has(have, items[i], length))
        return why_set(why, "%.*s is set twice\nan earlier line sets it; keep one of them", (int)length,
                       items[i]);
    return 0;
}

static int environment_parse(const struct key *key, void *owner, const char *text, struct why *why)
{
    char ***have = KEY_FIELD(char **, owner, key->offset);
    _cleanup_(words_cleanup) char **items = NULL;
    int r = argv_split(text, &items, why);
    if (r < 0)
        return r;
    size_t count = words_count(items);
    for (size_t i = 0; i < count; i++) {
        r = environment_check(*have, items, i, why);
        if (r < 0)
            return r;
    }
    if (words_count(*have) + count > CONFIG_ENVIRONMENT_MAX)
        return why_set(why, "more than %d variables\nput fewer, or start the program from a script",
                       CONFIG_ENVIRONMENT_MAX);
    for (size_t i = 0; i < count; i++) {
        r = words_add(have, items[i], strlen(items[i]));
        if (r < 0)
            return r;
    }
    return 0;
}

const struct value_type type_environment = {.name = "list of NAME=value",
                                            .has_own_comments = true,
                                            .parse = environment_parse,
                                            .format = words_format,
                                            .clear = words_clear};

#define LIST_BLANKS ", \t"

/* "A, B". -ENODATA: no name at all. */
static int names_split(const char *text, char ***ret)
{
    _cleanup_(words_cleanup) char **words = NULL;
    for (const char *p = text + strspn(text, LIST_BLANKS); *p; p += strspn(p, LIST_BLANKS)) {
        size_t length = strcspn(p, LIST_BLANKS);
        int r = words_add(&words, p, length);
        if (r < 0)
            return r;
        p += length;
    }
    if (!words)
        return -ENODATA;
    *ret = steal_ptr(&words);
    return 0;
}

static bool names_repeat(char *const *words)
{
    for (size_t i = 0; words && words[i]; i++)
        for (size_t j = i + 1; words[j]; j++)
            if (strcmp(words[i], words[j]) == 0)
                return true;
    return false;
}

static int units_split(const char *text, char ***ret, struct why *why)
{
    int r = names_split(text, ret);
    return r == -ENODATA ? why_set(why, "names no unit\nwrite unit names, such as server, worker") : r;
}

static int after_parse(const struct key *key, void *owner, const char *text, struct why *why)
{
    _cleanup_(words_cleanup) char **words = NULL;
    int r = units_split(text, &words, why);
    if (r < 0)
        return r;
    if (words_count(words) > POLICY_AFTER_MAX)
        return why_set(why, "more than %d units\nname only those it needs itself", POLICY_AFTER_MAX);
    if (names_repeat(words))
        return why_set(why, "names a unit twice\nkeep one of them");
    words_replace(key, owner, steal_ptr(&words));
    return 0;
}

static void names_format(const struct key *key, const void *owner, struct text *out)
{
    char **words = *KEY_CONST_FIELD(char **, owner, key->offset);
    for (size_t i = 0; words && words[i]; i++)
        text_add(out, "%s%s", i ? ", " : "", words[i]);
}

const struct value_type type_after = {
    .name = "list of units", .parse = after_parse, .format = names_format, .clear = words_clear};

static int methods_parse(const struct key *key, void *owner, const char *text, struct why *why)
{
    _cleanup_(words_cleanup) char **words = NULL;
    int r = names_split(text, &words);
    if (r == -ENODATA)
        return why_set(why, "names no method\nwrite method names, such as ping, search");
    if (r < 0)
        return r;
    if (words_count(words) > CONFIG_METHODS_MAX)
        return why_set(why, "more than %d methods\nname the ones that matter most", CONFIG_METHODS_MAX);
    for (size_t i = 0; words && words[i]; i++)
        if (strlen(words[i]) > CONFIG_METHOD_NAME_MAX)
            return why_set(why, "a method's name is too long\nat most %d bytes", CONFIG_METHOD_NAME_MAX);
    if (names_repeat(words))
        return why_set(why, "names a method twice\nkeep one of them");
    words_replace(key, owner, steal_ptr(&words));
    return 0;
}

const struct value_type type_methods = {
    .name = "list of methods", .parse = methods_parse, .format = names_format, .clear = words_clear};

static int units_parse(const struct key *key, void *owner, const char *text, struct why *why)
{
    _cleanup_(words_cleanup) char **words = NULL;
    int r = units_split(text, &words, why);
    if (r < 0)
        return r;
    bool is_all = words && strcmp(words[0], "*") == 0;
    for (size_t i = 0; words && words[i]; i++)
        if (strcmp(words[i], "*") == 0 && words[1])
            return why_set(why, "* is every unit already\nwrite * alone, or names alone");
    words_replace(key, owner, is_all ? NULL : steal_ptr(&words));
    return 0;
}

static void units_format(const struct key *key, const void *owner, struct text *out)
{
    if (*KEY_CONST_FIELD(char **, owner, key->offset))
        names_format(key, owner, out);
    else
        text_add(out, "*");
}

const struct value_type type_units = {
    .name = "list of units, or \\*", .parse = units_parse, .format = units_format, .clear = words_clear};

static void string_clear(const struct key *key, void *owner)
{
    char **s = KEY_FIELD(char *, owner, key->offset);
    free(steal_ptr(s));
}

static void string_format(const struct key *key, const void *owner, struct text *out)
{
    const char *s = *KEY_CONST_FIELD(char *, owner, key->offset);
    if (s)
        text_add(out, "%s", s);
}

static int string_replace(const struct key *key, void *owner, const char *text)
{
    char *copy = text_copy(text, strlen(text));
    if (!copy)
        return -ENOMEM;
    string_clear(key, owner);
    *KEY_FIELD(char *, owner, key->offset) = copy;
    return 0;
}

static int path_check(const char *text, struct why *why)
{
    if (*text == '"' || *text == '\'')
        return why_set(why, "quotes would be part of the path\nwrite it without them; blanks need none here");
    if (*text == '~' || *text == '$')
        return why_set(why, "nothing is expanded here\nwrite the whole path, from /");
    if (*text != '/')
        return why_set(why, "not an absolute path\nwrite the whole path, from /");
    if (strlen(text) >= 4096) /* PATH_MAX */
        return why_set(why, "longer than any path can be\nat most 4095 bytes");
    return 0;
}

static int path_parse(const struct key *key, void *owner, const char *text, struct why *why)
{
    int r = path_check(text, why);
    return r < 0 ? r : string_replace(key, owner, text);
}

const struct value_type type_path = {
    .name = "path", .parse = path_parse, .format = string_format, .clear = string_clear};

static int directory_parse(const struct key *key, void *owner, const char *text, struct why *why)
{
    struct stat st;
    int r = path_check(text, why);
    if (r < 0)
        return r;
    if (stat(text, &st) < 0)
        return why_set(why, "%s\nmake the folder, or correct the path", strerror(errno));
    if (!S_ISDIR(st.st_mode))
        return why_set(why, "not a folder\nname the folder that the program is to run in");
    return string_replace(key, owner, text);
}

const struct value_type type_directory = {
    .name = "folder", .parse = directory_parse, .format = string_format, .clear = string_clear};

static int environment_file_parse(const struct key *key, void *owner, const char *text, struct why *why)
{
    int r = path_check(text + (*text == '-'), why);
    return r < 0 ? r : string_replace(key, owner, text);
}

const struct value_type type_environment_file = {
    .name = "path", .parse = environment_file_parse, .format = string_format, .clear = string_clear};

static int wrap_parse(const struct key *key, void *owner, const char *text, struct why *why)
{
    if (strchr(text, '/'))
        return why_set(
            why, "a command's name has no slash\nwrite the name alone, as its caller looks it up in PATH");
    if (strpbrk(text, " \t\"'\\"))
        return why_set(why,
                       "more than a command's name\nwrite the name alone; the caller brings the arguments");
    if (strcmp(text, ".") == 0 || strcmp(text, "..") == 0)
        return why_set(why, "not a command's name\nwrite the name alone, as its caller looks it up in PATH");
    if (strlen(text) > 255) /* NAME_MAX */
        return why_set(why, "longer than any file name can be\nat most 255 bytes");
    return string_replace(key, owner, text);
}

const struct value_type type_wrap = {
    .name = "command name", .parse = wrap_parse, .format = string_format, .clear = string_clear};
