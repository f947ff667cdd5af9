/* SPDX-License-Identifier: MIT */
/*
 * What the next weir needs when this one is killed: RUN_DIR/state.json, written anew at every change.
 *
 * A process is known by pid and start time, a cgroup by its inode. Where both hold, the unit is adopted. A main
 * process that is gone leaves its children: they are ours (the inode says so) and are ended. Where identity is in
 * doubt nothing is touched, and the start is refused with what was found.
 */
#include "beside.h"
#include "supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "weir/base/cleanup.h"
#include "weir/base/fdio.h"
#include "weir/base/log.h"

#define STATE_FILE    "state.json"
#define STATE_VERSION 1
#define LEFTOVER_WAIT_MS                                                                                     \
    2000 /* chosen: cgroup.kill takes ms; a process in uninterruptible I/O may take longer */

static void cleanup_json(json_t **j)
{
    json_decref(*j);
}

static bool is_ready(const struct unit_runtime *u)
{
    return u->ready || (u->config->ready.type == CONFIG_READY_NONE && !u->gated);
}

void state_save(struct supervisor *s)
{
    if (s->adopting)
        return; /* killed now, the next weir must find the ones that are still to come */
    _cleanup_(cleanup_json) json_t *root = json_pack("{s:i, s:i, s:s, s:[]}", "version", STATE_VERSION, "pid",
                                                     (int)getpid(), "base", host_base(s->host), "units");
    json_t *units = json_object_get(root, "units");
    for (uint16_t i = 0; units && i < s->unit_count; i++) {
        const struct unit_runtime *u = &s->units[i];
        if (!u->cgroup || u->generation == 0)
            continue;
        const char *via = u->via == UNIT_NONE ? "" : s->unit_names[u->via];
        (void)json_array_append_new(
            units, json_pack("{s:s, s:I, s:I, s:I, s:I, s:b, s:b, s:b, s:b, s:s}", "name", s->unit_names[i],
                             "pid", (json_int_t)u->pid, "start_ticks", (json_int_t)u->start_ticks, "inode",
                             (json_int_t)u->cgroup->ops->unit_inode(u->cgroup), "generation",
                             (json_int_t)u->generation, "ready", is_ready(u), "frozen", u->frozen, "gated",
                             u->gated, "second", u->is_second_name, "via", via));
    }
    _cleanup_free_ char *text = root ? json_dumps(root, JSON_INDENT(1)) : NULL;
    int r = text ? fd_replace_file_at(s->run_dirfd, STATE_FILE, text, strlen(text), 0600) : -ENOMEM;
    if (r < 0)
        log_warning("%s/" STATE_FILE ": %s; after a crash the units could not be adopted", s->config->run_dir,
                    strerror(-r));
}

/* *ret is NULL where there is none, or a damaged one (told in reterr): there is nothing to be had from it. Negative
 * errno: what it says is not known, but may be to the next weir, so it must stay. */
static int state_load(const char *run_dir, json_t **ret, struct err *reterr)
{
    _cleanup_free_ char *path = NULL;
    *ret = NULL;
    if (asprintf(&path, "%s/" STATE_FILE, run_dir) < 0)
        return err_errno(reterr, -ENOMEM, STATE_FILE);
    _cleanup_fclose_ FILE *in = fopen(path, "re");
    if (!in)
        return errno == ENOENT ? 0 : err_errno(reterr, -errno, "%s", path);
    json_error_t error;
    json_t *root = json_loadf(in, 0, &error);
    if (!root || !json_is_object(root)) {
        (void)err_set(reterr, -EINVAL, "%s is damaged: %s", path, root ? "no object" : error.text);
        json_decref(root);
        return 0;
    }
    if (json_integer_value(json_object_get(root, "version")) != STATE_VERSION) {
        json_decref(root);
        return err_set(reterr, -EPROTO,
                       "%s was written by another version of weir: start that one, or remove the file", path);
    }
    *ret = root;
    return 0;
}

char *state_base(const char *run_dir)
{
    _cleanup_(cleanup_json) json_t *root = NULL;
    (void)state_load(run_dir, &root, NULL);
    const char *base = json_string_value(json_object_get(root, "base"));
    return base ? strdup(base) : NULL;
}

bool state_is_needed(const char *run_dir)
{
    _cleanup_(cleanup_json) json_t *root = NULL;
    return state_load(run_dir, &root, NULL) < 0 || json_array_size(json_object_get(root, "units")) > 0;
}

/* Ends what is left in a cgroup that is ours and has lost its main process. */
static int end_leftover(struct supervisor *s, const char *name, struct host_unit *cgroup, struct err *reterr)
{
    pid_t pids[8];
    int count = cgroup->ops->unit_pids(cgroup, pids, ARRAY_SIZE(pids));
    if (count > 0)
        supervisor_mark(s, UNIT_NONE,
                        "%s: its main process is gone, %d processes were left (pid %d ...): ending them",
                        name, count, (int)pids[0]);
    for (int waited = 0; cgroup->ops->unit_populated(cgroup) == 1; waited += 10) {
        if (waited > LEFTOVER_WAIT_MS) {
            (void)err_set(reterr, -EBUSY, "%s: processes left by an earlier weir do not end (%s)", name,
                          cgroup->ops->unit_path(cgroup));
            cgroup->ops->unit_release(cgroup);
            return -EBUSY;
        }
        (void)cgroup->ops->unit_freeze(cgroup, HOST_FREEZE_THAW, NULL);
        (void)cgroup->ops->unit_kill(cgroup, NULL);
        (void)usleep(10000);
    }
    int r = cgroup->ops->unit_remove(cgroup, reterr);
    if (r < 0)
        cgroup->ops->unit_release(cgroup);
    return r;
}

/* The pipes and the socket of a unit that the config no longer has. */
static void remove_files(struct supervisor *s, const char *name)
{
    static const char *const suffixes[] = {".out", ".pressure", ".notify"};
    for (size_t i = 0; i < ARRAY_SIZE(suffixes); i++) {
        _cleanup_free_ char *path = run_path(s, name, suffixes[i]);
        if (path)
            (void)unlink(path);
    }
}

static uint16_t unit_index(struct supervisor *s, const char *name)
{
    struct unit_runtime *u = name ? supervisor_unit(s, name) : NULL;
    return u ? u->index : UNIT_NONE;
}

/* Another cgroup stands there than the one we knew. With a process in it it is not ours to touch; an empty one is
 * what a weir leaves that is killed after making it and before writing that down. */
static int check_stale(struct supervisor *s, const char *name)
{
    struct host_unit *cgroup = NULL;
    struct err ignored = ERR_NULL;
    int r = s->host->ops->unit_open(s->host, name, 0, &cgroup, &ignored);
    if (r < 0)
        return r == -ENOENT ? 0 : -ESTALE;
    r = cgroup->ops->unit_populated(cgroup);
    cgroup->ops->unit_release(cgroup);
    return r == 0 ? 0 : -ESTALE;
}

/* Is it the process that was written down, in its unit's cgroup? 1: yes, *ret_pidfd is its (owned by the caller);
 * 0: it is gone; negative errno: that cannot be told, or it lives elsewhere now. */
static int find_process(const char *name, pid_t pid, uint64_t ticks, struct host_unit *cgroup, int *ret_pidfd,
                        struct err *reterr)
{
    _cleanup_close_ int pidfd = -1;
    int r = host_process_open(pid, ticks, &pidfd);
    if (r >= 0)
        r = host_process_in(pid, cgroup->ops->unit_path(cgroup));
    if (r == -ESRCH)
        return 0;
    if (r < 0)
        return err_errno(reterr, r, "%s: its main process (pid %d)", name, (int)pid);
    if (r == 0)
        return err_set(reterr, -ESTALE,
                       "%s: its main process (pid %d) was moved out of %s; move it back, or end it", name,
                       (int)pid, cgroup->ops->unit_path(cgroup));
    *ret_pidfd = steal_fd(&pidfd);
    return 1;
}

/* An operator's freeze lasts until the thaw; any other is a freeze pulse that nobody was left to end. */
static void take_over_freeze(struct unit_runtime *u, bool is_operators)
{
    struct err e = ERR_NULL;
    struct sample now = {0};
    struct host_unit *cgroup = u->cgroup;
    if (is_operators) {
        u->frozen = cgroup->ops->unit_freeze(cgroup, HOST_FREEZE_KEEP, &e) >= 0;
        if (!u->frozen)
            supervisor_mark(u->s, u->index, "does not stay frozen, as an operator asked: %s", e.text);
        return;
    }
    (void)cgroup->ops->unit_read(cgroup, false, &now);
    if (sample_has(&now, SAMPLE_FROZEN) && now.value[SAMPLE_FROZEN])
        supervisor_mark(u->s, u->index, "was left frozen, by no operator's wish: thawed");
    (void)cgroup->ops->unit_freeze(cgroup, HOST_FREEZE_THAW, NULL);
}

static int adopt_one(struct supervisor *s, json_t *entry, struct err *reterr)
{
    const char *name = json_string_value(json_object_get(entry, "name"));
    uint64_t inode = (uint64_t)json_integer_value(json_object_get(entry, "inode"));
    pid_t pid = (pid_t)json_integer_value(json_object_get(entry, "pid"));
    uint64_t ticks = (uint64_t)json_integer_value(json_object_get(entry, "start_ticks"));
    uint32_t generation = (uint32_t)json_integer_value(json_object_get(entry, "generation"));
    struct host_unit *cgroup = NULL;
    struct unit_runtime *u = name ? supervisor_unit(s, name) : NULL;
    if (!name || (u && u->cgroup))
        return 0;
    bool is_second = json_is_true(json_object_get(entry, "second"));
    char cgroup_name[BESIDE_NAME_MAX];
    int r =
        s->host->ops->unit_open(s->host, beside_name(name, is_second, cgroup_name), inode, &cgroup, reterr);
    if (r == -ENOENT && !u)
        remove_files(s, name);
    if (r == -ENOENT)
        return 0; /* it ended meanwhile, and nothing is left */
    if (r == -ESTALE)
        return check_stale(s, cgroup_name); /* reterr tells of both inodes */
    if (r < 0)
        return r;
    int pidfd = -1;
    r = u && generation ? find_process(name, pid, ticks, cgroup, &pidfd, reterr) : 0;
    if (r < 0) {
        cgroup->ops->unit_release(cgroup);
        return r;
    }
    if (r == 0) {
        r = end_leftover(s, name, cgroup, reterr);
        if (r >= 0 && !u)
            remove_files(s, name);
        return r;
    }
    u->cgroup = cgroup;
    u->is_second_name = is_second;
    take_over_freeze(u, json_is_true(json_object_get(entry, "frozen")));
    u->gated = json_is_true(json_object_get(entry, "gated"));
    uint16_t via = unit_index(s, json_string_value(json_object_get(entry, "via")));
    bool ready = json_is_true(json_object_get(entry, "ready"));
    supervisor_mark(s, u->index, "found running (pid %d): adopted%s%s%s", (int)pid,
                    u->frozen ? ", still frozen as an operator asked, until 'weir thaw " : "",
                    u->frozen ? name : "", u->frozen ? "'" : "");
    launch_adopt(u, pid, pidfd, ticks, generation, via, ready);
    return 0;
}

int state_adopt(struct supervisor *s, struct err *reterr)
{
    _cleanup_(cleanup_json) json_t *root = NULL;
    struct err damage = ERR_NULL;
    size_t i;
    json_t *entry;
    int r = state_load(s->config->run_dir, &root, &damage);
    if (r < 0)
        return err_set(reterr, r, "%s", damage.text);
    if (!root && damage.text[0])
        log_warning("%s; what an earlier weir left running is not adopted", damage.text);
    s->adopting = true;
    json_array_foreach(json_object_get(root, "units"), i, entry)
    {
        r = adopt_one(s, entry, reterr);
        if (r < 0)
            break;
    }
    s->adopting = false;
    for (uint16_t u = 0; r >= 0 && u < s->unit_count; u++)
        if (s->units[u].config->wrap)
            beside_clean_up(&s->units[u]);
    if (r < 0)
        return err_wrap(reterr, "taking over what %s/" STATE_FILE " names", s->config->run_dir);
    return 0;
}
