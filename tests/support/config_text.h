/* SPDX-License-Identifier: MIT */
/* A config from a string literal, through a file of its own, as a program would load it. */
#ifndef WEIR_TESTS_CONFIG_TEXT_H
#define WEIR_TESTS_CONFIG_TEXT_H

#include <stdlib.h>
#include <string.h>
#include <fcntl.h>
#include <sys/mman.h>

#include "weir/base/cleanup.h"
#include "weir/base/fdio.h"
#include "weir/config/config.h"

/* config_load's result. The name is "test" unless the text gives one. */
static inline int config_text_load(const char *text, struct config *ret, struct config_report *report)
{
    char path[64];
    _cleanup_close_ int fd = memfd_create("config", MFD_CLOEXEC);
    if (fd < 0 || fd_write_all(fd, text, strlen(text)) < 0)
        abort();
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    return config_load(path, ret, report);
}

/* One that must load; the report is printed when it does not. */
static inline struct config config_text_good(const char *text)
{
    struct config config;
    struct config_report report;
    if (config_text_load(text, &config, &report) < 0) {
        config_report_print(&report, "config", stderr);
        abort();
    }
    config_report_deinit(&report);
    return config;
}

#endif
