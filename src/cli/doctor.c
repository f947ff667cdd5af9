/* SPDX-License-Identifier: MIT */
/*
 * `weir doctor`: what this host can, what that is used for, and what follows where it cannot. What takes a cgroup of
 * one's own is no "yes" to a user who may not make one.
 */
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <unistd.h>

#include "weir/base/cleanup.h"
#include "weir/base/units.h"
#include "weir/cli/cli.h"
#include "weir/host/host.h"

/* What weir does where the host lacks it. */
static const struct {
    uint32_t feature;
    const char *consequence;
} consequences[] = {
    {HOST_FEATURE_MEMORY_MAX, "memory_max is not enforced (*), and nothing is done before memory runs out"},
    {HOST_FEATURE_MEMORY_HIGH, "throttling uses cpu quota and freeze pulses instead; no memory_high (*)"},
    {HOST_FEATURE_CPU_MAX, "throttling uses memory.high or freeze pulses alone; no cpu_max (*)"},
    {HOST_FEATURE_FREEZE, "no weir freeze; throttling uses cpu quota and memory.high alone"},
    {HOST_FEATURE_KILL, "a unit's tree is ended by signals, until none is left"},
    {HOST_FEATURE_PRESSURE, "stalls are not seen: memory's level and growth decide alone"},
    {HOST_FEATURE_PIDS_MAX, "no pids_max (*)"},
    {HOST_FEATURE_SWAP_MAX, "no memory_swap_max (*)"},
    {HOST_FEATURE_RECLAIM, "cold memory is not taken back before a throttle"},
    {HOST_FEATURE_OOM_GROUP, "no memory_oom_group (*): the kernel may kill one process of a unit"},
    {HOST_FEATURE_CPU_WEIGHT, "no cpu_weight (*)"},
    {HOST_FEATURE_MEMORY_EVENTS, "a kernel OOM kill shows as signal 9 alone"},
    {HOST_FEATURE_PIDS_EVENTS, "forks that pids_max refused are not told"},
    {HOST_FEATURE_PRESSURE_TRIGGER, "stalls are seen at the next sample, not at once"},
    {HOST_FEATURE_FAST_TRIGGER, "stalls shorter than 2 s are seen at the next sample, not at once"},
    {HOST_FEATURE_OOM_ADJUST_DOWN, "weir is not shielded when the machine itself runs out of memory"},
    {HOST_FEATURE_EXIT_INFO, "exit statuses of adopted and wrapped processes may stay unknown"},
    {HOST_FEATURE_PEAK, "weir status has no PEAK"},
};

static const char *consequence_of(uint32_t feature)
{
    for (size_t i = 0; i < ARRAY_SIZE(consequences); i++)
        if (consequences[i].feature == feature)
            return consequences[i].consequence;
    return "";
}

/* May who asks divide the cgroup he is in, or does a systemd of his own do it for him? */
static bool may_make_cgroups(const struct host_info *info)
{
    _cleanup_free_ char *path = NULL;
    bool by_systemd = info->systemd && info->layout == HOST_LAYOUT_UNIFIED && info->controllers;
    if (info->is_root || by_systemd)
        return true;
    return asprintf(&path, "%s%s/cgroup.procs", info->unified_mount, info->own_unified) >= 0 &&
           faccessat(AT_FDCWD, path, W_OK, AT_EACCESS) == 0;
}

/* Has it, for who asks. */
static bool has(const struct host_info *info, bool may, unsigned bit)
{
    return (may || 1U << bit == HOST_FEATURE_EXIT_INFO) && info->features & (1U << bit);
}

static void print_features(const struct host_info *info, bool may)
{
    const char *use;
    for (unsigned bit = 0; bit < 32; bit++) {
        const char *name = host_feature_name(bit, &use);
        if (!name || !name[0])
            continue;
        bool here = info->features & (1U << bit);
        printf("  %-4s  %-24s %s\n", has(info, may, bit) ? "yes" : here ? "root" : "NO", name, use);
        if (!here)
            printf("  %-4s  %-24s -> %s\n", "", "", consequence_of(1U << bit));
    }
    puts("\n(*) a unit that asks for it is refused, unless it has best_effort = yes");
    if (!may)
        printf("root: this host can, but this user may not make cgroups in %s%s: run weir as root.\n",
               info->unified_mount, info->own_unified);
}

static void print_doctor(const struct host_info *info, bool may)
{
    static const struct {
        uint32_t bit;
        const char *name;
    } controllers[] = {{HOST_CONTROLLER_MEMORY, "memory"},
                       {HOST_CONTROLLER_PIDS, "pids"},
                       {HOST_CONTROLLER_CPU, "cpu"},
                       {HOST_CONTROLLER_IO, "io"}};
    char memory[FORMAT_SIZE_MAX];
    printf("kernel       %s\nlayout       %s\ncgroup       %s%s\nsystemd      %s%s\nmemory       %s\ncpus    "
           "     %u\n",
           info->kernel, host_layout_name(info->layout), info->unified_mount, info->own_unified,
           info->systemd ? "yes" : "no", info->delegated ? ", this cgroup is delegated" : "",
           format_size(info->memory_total_bytes, memory), info->cpus);
    printf("controllers ");
    for (size_t i = 0; i < ARRAY_SIZE(controllers); i++)
        printf(" %s%s", controllers[i].name, info->controllers & controllers[i].bit ? "" : "(missing)");
    printf("\n\n");
    print_features(info, may);
}

static void print_doctor_json(const struct host_info *info, bool may)
{
    json_t *root =
        json_pack("{s:s, s:s, s:s, s:s, s:b, s:b, s:b, s:b, s:I, s:i, s:{}, s:{}}", "kernel", info->kernel,
                  "layout", host_layout_name(info->layout), "unified_mount", info->unified_mount,
                  "own_cgroup", info->own_unified, "systemd", info->systemd, "delegated", info->delegated,
                  "root", info->is_root, "may_make_cgroups", may, "memory_total",
                  (json_int_t)info->memory_total_bytes, "cpus", (int)info->cpus, "features", "as_root");
    const char *use;
    for (unsigned bit = 0; bit < 32; bit++) {
        const char *name = host_feature_name(bit, &use);
        if (!name || !name[0])
            continue;
        (void)json_object_set_new(json_object_get(root, "features"), name, json_boolean(has(info, may, bit)));
        (void)json_object_set_new(json_object_get(root, "as_root"), name,
                                  json_boolean(info->features & (1U << bit)));
    }
    (void)json_dumpf(root, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(root);
}

int cmd_doctor(const struct cli_args *args)
{
    struct err e = ERR_NULL;
    struct host_info info;
    if (host_detect(&info, &e) < 0) {
        fprintf(stderr, "weir doctor: %s\n", e.text);
        return CLI_EXIT_FAILED;
    }
    if (args->format == CLI_FORMAT_JSON)
        print_doctor_json(&info, may_make_cgroups(&info));
    else
        print_doctor(&info, may_make_cgroups(&info));
    return CLI_EXIT_OK;
}
