/* SPDX-License-Identifier: MIT */
/*
 * What a unit finds in its environment: weir's own without weir's relations with its manager, the basics of its
 * user, what the config gives, and weir's own additions (PATH with the wrap folder first, sockets and FIFOs).
 */
#include "supervisor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "weir/base/cleanup.h"

extern char **environ;

/* weir's own relations with its manager: not the unit's business. */
static const char *const not_inherited[] = {"NOTIFY_SOCKET",        "WATCHDOG_USEC", "WATCHDOG_PID",
                                            "LISTEN_FDS",           "LISTEN_PID",    "LISTEN_FDNAMES",
                                            "JOURNAL_STREAM",       "INVOCATION_ID", "MEMORY_PRESSURE_WATCH",
                                            "MEMORY_PRESSURE_WRITE"};

struct environment {
    char **entries;
    size_t count, capacity;
    bool failed;
};

static size_t name_length(const char *entry)
{
    return strcspn(entry, "=");
}

/* Takes entry over. A later entry of the same name replaces the earlier one. */
static void environment_put(struct environment *env, char *entry)
{
    if (!entry) {
        env->failed = true;
        return;
    }
    size_t length = name_length(entry);
    for (size_t i = 0; i < env->count; i++)
        if (name_length(env->entries[i]) == length && memcmp(env->entries[i], entry, length) == 0) {
            free(env->entries[i]);
            env->entries[i] = entry;
            return;
        }
    if (env->count + 2 > env->capacity) {
        size_t capacity = env->capacity ? env->capacity * 2 : 64;
        char **grown = realloc(env->entries, capacity * sizeof(*grown));
        if (!grown) {
            env->failed = true;
            free(entry);
            return;
        }
        env->entries = grown;
        env->capacity = capacity;
    }
    env->entries[env->count++] = entry;
    env->entries[env->count] = NULL;
}

static void environment_put_pair(struct environment *env, const char *name, const char *value)
{
    char *entry = NULL;
    if (value)
        environment_put(env, asprintf(&entry, "%s=%s", name, value) < 0 ? NULL : entry);
}

static const char *environment_get(const struct environment *env, const char *name)
{
    size_t length = strlen(name);
    for (size_t i = 0; i < env->count; i++)
        if (name_length(env->entries[i]) == length && memcmp(env->entries[i], name, length) == 0)
            return env->entries[i] + length + 1;
    return NULL;
}

char **environment_free(char **entries)
{
    for (char **p = entries; p && *p; p++)
        free(*p);
    free(entries);
    return NULL;
}

static bool is_inherited(const char *entry)
{
    size_t length = name_length(entry);
    for (size_t i = 0; i < ARRAY_SIZE(not_inherited); i++)
        if (strlen(not_inherited[i]) == length && memcmp(not_inherited[i], entry, length) == 0)
            return false;
    return true;
}

/* weir's own environment, then the user's basics, then the config's. */
static void put_common(struct environment *env, const struct config_unit *c)
{
    for (char **p = environ; *p; p++)
        if (is_inherited(*p))
            environment_put(env, strdup(*p));
    if (c->user) {
        environment_put_pair(env, "USER", c->user);
        environment_put_pair(env, "LOGNAME", c->user);
        environment_put_pair(env, "HOME", c->home);
        environment_put_pair(env, "SHELL", c->shell);
    }
    for (char **p = c->environment; p && *p; p++)
        environment_put(env, strdup(*p));
}

char **environment_build_with(const struct unit_runtime *u, const struct environment_pair *pairs,
                              size_t count)
{
    struct environment env = {0};
    put_common(&env, u->config);
    for (size_t i = 0; i < count; i++)
        environment_put_pair(&env, pairs[i].name, pairs[i].value);
    return env.failed ? environment_free(env.entries) : env.entries;
}

/* And what weir itself provides. */
char **environment_build(const struct unit_runtime *u)
{
    const struct supervisor *s = u->s;
    const struct config_unit *c = u->config;
    struct environment env = {0};
    put_common(&env, c);
    _cleanup_free_ char *wrap = run_path(s, "wrap", ""), *notify = run_path(s, c->name, ".notify"),
                        *pressure = run_path(s, c->name, ".pressure"), *path = NULL;
    const char *old = environment_get(&env, "PATH");
    if (s->wrap_fd >= 0 && wrap &&
        asprintf(&path, "%s:%s", wrap,
                 old ? old : "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin") > 0)
        environment_put_pair(&env, "PATH", path);
    if (c->ready.type == CONFIG_READY_NOTIFY)
        environment_put_pair(&env, "NOTIFY_SOCKET", notify);
    if (u->pressure_fifo >= 0)
        environment_put_pair(&env, "MEMORY_PRESSURE_WATCH", pressure);
    return env.failed ? environment_free(env.entries) : env.entries;
}
