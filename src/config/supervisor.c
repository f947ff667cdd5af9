/* SPDX-License-Identifier: MIT */
/* [supervisor]: the name and the two folders where the file does not give them. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "load.h"
#include "text.h"
#include "weir/base/cleanup.h"

static bool is_given(const struct loader *l, const char *key)
{
    return l->supervisor.keys[key_index(KEY_SECTION_SUPERVISOR, key_find(KEY_SECTION_SUPERVISOR, key))].line >
           0;
}

/* The file's name without its folder and its last suffix. */
static int default_name(struct loader *l)
{
    const char *slash = strrchr(l->config->path, '/'), *base = slash ? slash + 1 : l->config->path;
    const char *dot = strrchr(base, '.');
    struct why why = WHY_NULL;
    char shown[WHY_SHOWN_MAX];
    _cleanup_free_ char *name = text_copy(base, dot && dot > base ? (size_t)(dot - base) : strlen(base));
    if (!name)
        return -ENOMEM;
    if (name_check(name, &why) < 0)
        return problem_addf(l->report, 0,
                            "the file's name '%s' cannot be the supervisor's: %s\nset name in [supervisor]",
                            why_show(name, shown), why.text);
    (void)snprintf(l->config->name, sizeof(l->config->name), "%s", name);
    return 0;
}

static char *join(const char *folder, const char *between, const char *name)
{
    struct text path = TEXT_NULL;
    text_add(&path, "%s%s%s", folder, between, name);
    return text_steal(&path);
}

/* An XDG folder counts only when it is absolute (XDG Base Directory Specification). */
static const char *xdg_folder(const char *variable)
{
    const char *folder = getenv(variable);
    return folder && *folder == '/' ? folder : NULL;
}

/* *ret may be NULL: no place is known. */
static int default_state_dir(const char *name, char **ret)
{
    const char *state = xdg_folder("XDG_STATE_HOME"), *home = xdg_folder("HOME");
    *ret = NULL;
    if (geteuid() == 0)
        *ret = join("/var/lib", "/weir/", name);
    else if (state)
        *ret = join(state, "/weir/", name);
    else if (home)
        *ret = join(home, "/.local/state/weir/", name);
    else
        return 0;
    return *ret ? 0 : -ENOMEM;
}

/* Without XDG_RUNTIME_DIR: beside the state, which is the user's own; a folder in /tmp could be anybody's. */
static int default_run_dir(const char *name, const char *state_dir, char **ret)
{
    const char *run = xdg_folder("XDG_RUNTIME_DIR");
    if (geteuid() == 0)
        *ret = join("/run", "/weir/", name);
    else if (run)
        *ret = join(run, "/weir/", name);
    else
        *ret = join(state_dir, "/run", "");
    return *ret ? 0 : -ENOMEM;
}

int check_supervisor(struct loader *l)
{
    struct config *c = l->config;
    int r = is_given(l, "name") ? 0 : default_name(l);
    if (r == 0 && !is_given(l, "state_dir"))
        r = default_state_dir(c->name, &c->state_dir);
    if (r < 0)
        return r;
    if (!c->state_dir && !is_given(l, "state_dir"))
        return problem_add(l->report, 0, "no place for the state: neither XDG_STATE_HOME nor HOME is set",
                           "set state_dir in [supervisor]");
    return is_given(l, "run_dir") || !c->state_dir ? 0 : default_run_dir(c->name, c->state_dir, &c->run_dir);
}
