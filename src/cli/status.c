/* SPDX-License-Identifier: MIT */
/* `weir status`: the status document as a table. A figure the unit does not have is shown as "-". */
#include "status.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "weir/base/units.h"

#define CELL_MAX 32

static int64_t number(json_t *object, const char *key)
{
    json_t *value = json_object_get(object, key);
    return value ? json_integer_value(value) : -1;
}

static const char *string(json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "-";
}

static const char *size_cell(int64_t bytes, char buf[static FORMAT_SIZE_MAX])
{
    if (bytes < 0)
        return "-";
    return format_size((uint64_t)bytes, buf);
}

/* Whole seconds, as a person reads them. */
static const char *seconds_cell(int64_t us, char buf[static FORMAT_DURATION_MAX])
{
    if (us < (int64_t)USEC_PER_SEC)
        return "0s";
    return format_duration((uint64_t)us / USEC_PER_SEC * USEC_PER_SEC, buf);
}

static void share_cell(int64_t permyriad, char buf[static CELL_MAX])
{
    if (permyriad < 0)
        (void)snprintf(buf, CELL_MAX, "-");
    else
        (void)snprintf(buf, CELL_MAX, "%" PRId64 ".%" PRId64 "%%", permyriad / 100, permyriad % 100 / 10);
}

static void print_unit(json_t *unit, int width)
{
    json_t *reading = json_object_get(unit, "reading");
    json_t *pressure = json_object_get(json_object_get(unit, "pressure"), "memory");
    json_t *restarts = json_object_get(unit, "restarts");
    char current[FORMAT_SIZE_MAX], peak[FORMAT_SIZE_MAX], limit[FORMAT_SIZE_MAX], state[CELL_MAX];
    char since[FORMAT_DURATION_MAX], some[CELL_MAX], full[CELL_MAX], used[CELL_MAX], pid[CELL_MAX] = "-",
                                                                                     pids[CELL_MAX] = "-";
    int64_t memory = number(reading, "memory.current"), max = number(unit, "memory_max");
    share_cell(memory >= 0 && max > 0 ? (int64_t)mul_div_u64((uint64_t)memory, PERMYRIAD_ONE, (uint64_t)max)
                                      : -1,
               used);
    share_cell(number(pressure, "some_permyriad"), some);
    share_cell(number(pressure, "full_permyriad"), full);
    if (number(unit, "pid") > 0)
        (void)snprintf(pid, sizeof(pid), "%" PRId64, number(unit, "pid"));
    if (number(reading, "pids.current") >= 0)
        (void)snprintf(pids, sizeof(pids), "%" PRId64, number(reading, "pids.current"));
    (void)snprintf(state, sizeof(state), "%s%s", string(unit, "state"),
                   json_is_true(json_object_get(unit, "frozen")) ? ", frozen" : "");
    int64_t state_us = number(unit, "state_since_us");
    printf("%-*s %-16s %-12s %7s %8s %8s %6s %8s %6s %6s %5s  %" PRId64 "/%" PRId64 "/%" PRId64 "  %s%s\n",
           width, string(unit, "name"), state, seconds_cell(state_us, since), pid, size_cell(memory, current),
           size_cell(max, limit), used, size_cell(number(reading, "memory.peak"), peak), some, full, pids,
           number(restarts, "recycle"), number(restarts, "failure"), number(restarts, "operator"),
           string(unit, "ladder"),
           json_is_true(json_object_get(unit, "recycling_off")) ? " (recycling is off)" : "");
    if (json_object_get(unit, "status_text"))
        printf("%-*s %s\n", width, "", string(unit, "status_text"));
}

static int name_width(json_t *units)
{
    size_t i, width = 16;
    json_t *unit;
    json_array_foreach(units, i, unit)
    {
        size_t length = strlen(string(unit, "name"));
        width = length > width ? length : width;
    }
    return (int)width;
}

static void print_table(json_t *root)
{
    int width = name_width(json_object_get(root, "units"));
    char up[FORMAT_DURATION_MAX];
    json_t *history = json_object_get(root, "history");
    printf("%s: pid %" PRId64 ", run %" PRId64 ", up %s, %s cgroup layout, kernel %s\n",
           string(root, "supervisor"), number(root, "pid"), number(root, "run"),
           seconds_cell(number(root, "uptime_us"), up), string(root, "layout"), string(root, "kernel"));
    if (json_object_get(history, "problem"))
        printf("history is not being written: %s\n", string(history, "problem"));
    printf("%-*s %-16s %-12s %7s %8s %8s %6s %8s %6s %6s %5s  %s  %s\n", width, "UNIT", "STATE", "SINCE",
           "PID", "MEMORY", "LIMIT", "USED", "PEAK", "SOME", "FULL", "PIDS", "RESTARTS*", "LADDER");
    size_t i;
    json_t *unit;
    json_array_foreach(json_object_get(root, "units"), i, unit) print_unit(unit, width);
    puts("* planned recycles/after failures/by operator");
}

int status_print(json_t *root, const struct cli_args *args)
{
    json_t *units = json_object_get(root, "units");
    if (args->word_count == 1) {
        for (size_t i = json_array_size(units); i-- > 0;)
            if (strcmp(string(json_array_get(units, i), "name"), args->words[0]) != 0)
                (void)json_array_remove(units, i);
        if (json_array_size(units) == 0) {
            fprintf(stderr, "weir status: no unit '%s' in supervisor '%s'\n", args->words[0],
                    string(root, "supervisor"));
            return CLI_EXIT_FAILED;
        }
    }
    if (args->format == CLI_FORMAT_JSON) {
        (void)json_dumpf(root, stdout, JSON_INDENT(2));
        putchar('\n');
    } else {
        print_table(root);
    }
    return CLI_EXIT_OK;
}
