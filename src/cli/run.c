/* SPDX-License-Identifier: MIT */
/* weir run. */
#include <stdio.h>
#include <stdlib.h>

#include "weir/app/supervisor.h"
#include "weir/base/cleanup.h"
#include "weir/base/log.h"
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
