/* SPDX-License-Identifier: MIT */
/* Types that ask the system: users, groups, capabilities. See key.h. */
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>

#include "key.h"
#include "weir/base/cleanup.h"
#include "weir/base/nearest.h"
#include "weir/base/units.h"

#define DATABASE_ROOM_MAX (1 << 20) /* chosen: a group with ten thousand members fits */

/* One look-up with a buffer of that size. 0, 1 = no such entry, -ERANGE = more room, other negative errno. */
typedef int lookup_fn(const char *name, char *buffer, size_t size, void *ret);

static int lookup(lookup_fn *fn, const char *name, void *ret, char **ret_buffer)
{
    for (size_t size = 4096;; size *= 4) {
        _cleanup_free_ char *buffer = malloc(size);
        if (!buffer)
            return -ENOMEM;
        int r = fn(name, buffer, size, ret);
        if (r == -ERANGE && size < DATABASE_ROOM_MAX)
            continue;
        if (r == 0)
            *ret_buffer = steal_ptr(&buffer);
        return r;
    }
}

/* -1 and the largest number mean "unchanged" to the kernel: neither is an id. */
static bool parse_id(const char *text, uint32_t *ret)
{
    uint64_t id;
    if (parse_u64(text, &id) < 0 || id >= UINT32_MAX)
        return false;
    *ret = (uint32_t)id;
    return true;
}

/* The database functions answer a positive errno; several of them mean "no such entry" (getpwnam(3)). */
static int lookup_result(int r, const void *found)
{
    if (found)
        return 0;
    return r == 0 || r == ENOENT || r == ESRCH || r == EBADF || r == EPERM ? 1 : -r;
}

static int lookup_user(const char *name, char *buffer, size_t size, void *ret)
{
    struct passwd *found = NULL;
    uint32_t id;
    int r = parse_id(name, &id) ? getpwuid_r(id, ret, buffer, size, &found)
                                : getpwnam_r(name, ret, buffer, size, &found);
    return lookup_result(r, found);
}

static int lookup_group(const char *name, char *buffer, size_t size, void *ret)
{
    struct group *found = NULL;
    uint32_t id;
    int r = parse_id(name, &id) ? getgrgid_r(id, ret, buffer, size, &found)
                                : getgrnam_r(name, ret, buffer, size, &found);
    return lookup_result(r, found);
}

static int lookup_failed(int r, const char *what, struct why *why)
{
    if (r == -ENOMEM)
        return r;
    if (r < 0)
        return why_set(why, "the %s database did not answer (%s)\nwrite a number instead", what,
                       strerror(-r));
    return why_set(why, "no such %s\ncreate it, or write a number", what);
}

static void user_clear(const struct key *key, void *owner)
{
    struct config_unit *unit = owner;
    (void)key;
    free(steal_ptr(&unit->user));
    free(steal_ptr(&unit->home));
    free(steal_ptr(&unit->shell));
}

/* Takes what is copied, all or nothing; home and shell may be NULL (a number without an entry). */
static int user_set(struct config_unit *unit, const char *text, const struct passwd *entry)
{
    _cleanup_free_ char *name = text_copy(text, strlen(text));
    _cleanup_free_ char *home = NULL, *shell = NULL;
    if (entry) {
        home = text_copy(entry->pw_dir, strlen(entry->pw_dir));
        shell = text_copy(entry->pw_shell, strlen(entry->pw_shell));
    }
    if (!name || (entry && (!home || !shell)))
        return -ENOMEM;
    user_clear(NULL, unit);
    unit->user = steal_ptr(&name);
    unit->home = steal_ptr(&home);
    unit->shell = steal_ptr(&shell);
    return 0;
}

static int user_parse(const struct key *key, void *owner, const char *text, struct why *why)
{
    struct config_unit *unit = owner;
    struct passwd entry;
    _cleanup_free_ char *buffer = NULL;
    uint32_t id = 0;
    (void)key;
    int r = lookup(lookup_user, text, &entry, &buffer);
    bool is_bare_number = r == 1 && parse_id(text, &id);
    if (r != 0 && !is_bare_number)
        return lookup_failed(r, "user", why);
    r = user_set(unit, text, is_bare_number ? NULL : &entry);
    if (r < 0)
        return r;
    unit->uid = is_bare_number ? id : entry.pw_uid;
    if (!unit->has_group)
        unit->gid = is_bare_number ? (gid_t)-1 : entry.pw_gid;
    return 0;
}

static void user_format(const struct key *key, const void *owner, struct text *out)
{
    const char *name = *KEY_CONST_FIELD(char *, owner, key->offset);
    if (name)
        text_add(out, "%s", name);
}

const struct value_type type_user = {
    .name = "user name or number", .parse = user_parse, .format = user_format, .clear = user_clear};

static void group_clear(const struct key *key, void *owner)
{
    (void)key;
    free(steal_ptr(&((struct config_unit *)owner)->group));
}

static int group_parse(const struct key *key, void *owner, const char *text, struct why *why)
{
    struct config_unit *unit = owner;
    struct group entry;
    _cleanup_free_ char *buffer = NULL;
    uint32_t id = 0;
    int r = lookup(lookup_group, text, &entry, &buffer);
    bool is_bare_number = r == 1 && parse_id(text, &id);
    if (r != 0 && !is_bare_number)
        return lookup_failed(r, "group", why);
    char *name = text_copy(text, strlen(text));
    if (!name)
        return -ENOMEM;
    group_clear(key, owner);
    unit->group = name;
    unit->gid = is_bare_number ? id : entry.gr_gid;
    return 0;
}

const struct value_type type_group = {
    .name = "group name or number", .parse = group_parse, .format = user_format, .clear = group_clear};

#define CAPABILITY_BLANKS   ", \t"
#define CAPABILITY_NAME_MAX 64 /* chosen: twice the longest name of capabilities(7) */

/* The name nearest to word into ret, "" when none is near. The list is libcap's own. */
static void capability_nearest(const char *word, char ret[static CAPABILITY_NAME_MAX])
{
    char *names[64] = {NULL};
    size_t count = 0;
    while (count < ARRAY_SIZE(names) && count <= CAP_LAST_CAP &&
           (names[count] = cap_to_name((int)count)) != NULL)
        count++;
    const char *near = nearest_word(word, (const char *const *)names, count);
    (void)snprintf(ret, CAPABILITY_NAME_MAX, "%s", near ? near : "");
    for (size_t i = 0; i < count; i++)
        cap_free(names[i]);
}

/* Writes "cap_" + the word in lower case; false when it is too long to be one. */
static bool capability_name(const char *word, size_t length, char ret[static CAPABILITY_NAME_MAX])
{
    bool has_prefix = length > 4 && strncasecmp(word, "cap_", 4) == 0;
    if (length > 50)
        return false;
    strcpy(ret, has_prefix ? "" : "cap_");
    size_t at = strlen(ret);
    for (size_t i = 0; i < length; i++)
        ret[at + i] = (char)(word[i] >= 'A' && word[i] <= 'Z' ? word[i] + ('a' - 'A') : word[i]);
    ret[at + length] = '\0';
    return true;
}

static int capability_parse_word(const char *word, size_t length, uint64_t *mask, struct why *why)
{
    char name[CAPABILITY_NAME_MAX];
    cap_value_t value;
    if (!capability_name(word, length, name))
        return why_set(
            why, "no such capability\nwrite names of capabilities(7), such as net_bind_service, or none");
    if (cap_from_name(name, &value) < 0 || value < 0 || value > 63) {
        char near[CAPABILITY_NAME_MAX];
        capability_nearest(name, near);
        if (*near)
            return why_set(why, "no capability '%s'\ndid you mean '%s'?", name + 4, near + 4);
        return why_set(
            why, "no capability '%s'\nwrite names of capabilities(7), such as net_bind_service, or none",
            name + 4);
    }
    *mask |= 1ULL << value;
    return 0;
}

static int capabilities_parse(const struct key *key, void *owner, const char *text, struct why *why)
{
    uint64_t mask = 0;
    const char *p = text + strspn(text, CAPABILITY_BLANKS);
    if (strcmp(text, "none") == 0)
        p = "";
    else if (*p == '\0')
        return why_set(why, "names no capability\nwrite none to take all away");
    for (; *p; p += strspn(p, CAPABILITY_BLANKS)) {
        size_t length = strcspn(p, CAPABILITY_BLANKS);
        int r = capability_parse_word(p, length, &mask, why);
        if (r < 0)
            return r;
        p += length;
    }
    *KEY_FIELD(uint64_t, owner, key->offset) = mask;
    return 0;
}

static void capabilities_format(const struct key *key, const void *owner, struct text *out)
{
    uint64_t mask = *KEY_CONST_FIELD(uint64_t, owner, key->offset);
    if (!*KEY_CONST_FIELD(bool, owner, key->has))
        return;
    if (mask == 0)
        text_add(out, "none");
    const char *comma = "";
    for (int i = 0; i < 64; i++) {
        if (!(mask & (1ULL << i)))
            continue;
        char *name = cap_to_name(i);
        if (!name) {
            out->failed = true;
            return;
        }
        text_add(out, "%s%s", comma, strncmp(name, "cap_", 4) == 0 ? name + 4 : name);
        cap_free(name);
        comma = ", ";
    }
}

const struct value_type type_capabilities = {
    .name = "list of capabilities", .parse = capabilities_parse, .format = capabilities_format};
