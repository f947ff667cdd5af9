/* SPDX-License-Identifier: MIT */
/*
 * Configs: any bytes either load, or are refused with at least one problem, in the order of lines, each a
 * line of text. One that loads equals itself and can be resolved.
 */
#include "fuzz.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "weir/base/cleanup.h"
#include "weir/base/fdio.h"
#include "weir/config/config.h"

static void check_report(const struct config_report *report)
{
    for (size_t i = 0; i < report->count; i++) {
        const struct config_problem *p = &report->problems[i];
        HOLDS(*p->text && !strchr(p->text, '\n'));
        HOLDS(!p->hint || (*p->hint && !strchr(p->hint, '\n')));
        HOLDS(i == 0 || p[-1].line < p->line || (p[-1].line == p->line && strcmp(p[-1].text, p->text) != 0));
    }
}

static void check_config(struct config *c)
{
    struct config_change *changes;
    size_t count;
    HOLDS(*c->name && c->state_dir && c->run_dir && c->unit_count > 0);
    HOLDS(config_compare(c, c, &changes, &count) == 0 && count == 0);
    config_changes_free(changes, count);
    _cleanup_free_ struct unit_policy *units = calloc(c->unit_count, sizeof(*units));
    _cleanup_free_ uint32_t *abilities = calloc(c->unit_count, sizeof(*abilities));
    if (!units || !abilities)
        abort();
    struct policy policy = {.units = units};
    config_resolve(c, UINT64_C(1) << 34, abilities, &policy);
    for (uint32_t i = 0; i < c->unit_count; i++) {
        HOLDS((c->units[i].argv != NULL) != (c->units[i].wrap != NULL));
        HOLDS(strcmp(units[i].name, c->units[i].name) == 0 && *units[i].name);
        HOLDS(units[i].ladder.throttle_permyriad < units[i].ladder.restart_permyriad);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int fd = -1;
    static char path[64];
    struct config config;
    struct config_report report;
    if (fd < 0) {
        fd = memfd_create("config", MFD_CLOEXEC);
        (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    }
    if (fd < 0 || ftruncate(fd, 0) < 0 || lseek(fd, 0, SEEK_SET) < 0 || fd_write_all(fd, data, size) < 0)
        abort();
    int r = config_load(path, &config, &report);
    HOLDS(r == 0 ? report.count == 0 : report.count > 0 && (r == -EINVAL || r == -EFBIG));
    check_report(&report);
    if (r == 0) {
        check_config(&config);
        config_deinit(&config);
    }
    config_report_deinit(&report);
    return 0;
}
