/* SPDX-License-Identifier: MIT */
/* weir run, check, doctor: what needs no running supervisor. */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "weir/app/supervisor.h"
#include "weir/base/cleanup.h"
#include "weir/base/log.h"
#include "weir/base/units.h"
#include "weir/cli/cli.h"
#include "weir/config/config.h"
#include "weir/host/host.h"

/* Reads the config; on failure tells every problem. */
static int load(const char *path, struct config *ret)
{
    struct config_report report = {0};
    int r = config_load(path, ret, &report);
    if (r < 0)
        config_report_print(&report, path, stderr);
    config_report_deinit(&report);
    return r;
}

int cmd_run(const struct cli_args *args)
{
    struct err e = ERR_NULL;
    struct host_info info;
    struct config *config = calloc(1, sizeof(*config));
    if (!config || load(args->words[0], config) < 0) {
        free(config);
        return CLI_EXIT_FAILED;
    }
    if (args->verbose)
        log_set_level(LOG_LEVEL_DEBUG);
    int r = host_detect(&info, &e);
    if (r < 0) {
        log_error("%s", e.text);
        config_deinit(config);
        free(config);
        return CLI_EXIT_FAILED;
    }
    struct supervisor_options options = {.config = config, .info = &info, .echo = args->verbose};
    r = supervisor_run(&options, &e);
    if (r < 0)
        log_error("%s", e.text);
    return r < 0 ? CLI_EXIT_FAILED : r;
}

int cmd_check(const struct cli_args *args)
{
    if (args->word_count == 0) {
        config_print_sample(stdout);
        return CLI_EXIT_OK;
    }
    struct config config = {0};
    if (load(args->words[0], &config) < 0)
        return CLI_EXIT_FAILED;
    printf("%s: ok, %" PRIu32 " units:", args->words[0], config.unit_count);
    for (uint32_t i = 0; i < config.unit_count; i++)
        printf(" %s", config.units[i].name);
    putchar('\n');
    config_deinit(&config);
    return CLI_EXIT_OK;
}

/* ------------------------------------------------ doctor ------------------------------------------------ */

static void print_doctor(const struct host_info *info)
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
    const char *use;
    for (unsigned bit = 0; bit < 32; bit++) {
        const char *name = host_feature_name(bit, &use);
        if (name && name[0])
            printf("  %-3s  %-24s %s\n", info->features & (1U << bit) ? "yes" : "NO", name, use);
    }
}

static void print_doctor_json(const struct host_info *info)
{
    json_t *root = json_pack("{s:s, s:s, s:s, s:s, s:b, s:b, s:b, s:I, s:i, s:{}}", "kernel", info->kernel,
                             "layout", host_layout_name(info->layout), "unified_mount", info->unified_mount,
                             "own_cgroup", info->own_unified, "systemd", info->systemd, "delegated",
                             info->delegated, "root", info->is_root, "memory_total",
                             (json_int_t)info->memory_total_bytes, "cpus", (int)info->cpus, "features");
    const char *use;
    for (unsigned bit = 0; bit < 32; bit++) {
        const char *name = host_feature_name(bit, &use);
        if (name && name[0])
            (void)json_object_set_new(json_object_get(root, "features"), name,
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
        print_doctor_json(&info);
    else
        print_doctor(&info);
    return CLI_EXIT_OK;
}
