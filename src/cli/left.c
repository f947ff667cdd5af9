/* SPDX-License-Identifier: MIT */
/* What a killed supervisor has left running: RUN_DIR/state.json names it, for the next weir and for a person. */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <unistd.h>

#include "weir/base/cleanup.h"
#include "weir/cli/cli.h"
#include "weir/host/host.h"

static bool lives(json_t *unit)
{
    _cleanup_close_ int pidfd = -1;
    int64_t pid = json_integer_value(json_object_get(unit, "pid"));
    uint64_t ticks = (uint64_t)json_integer_value(json_object_get(unit, "start_ticks"));
    return pid > 0 && host_process_open((pid_t)pid, ticks, &pidfd) >= 0;
}

void cli_tell_left_behind(const char *run_dir, const char *config)
{
    _cleanup_free_ char *path = NULL;
    if (asprintf(&path, "%s/state.json", run_dir) < 0)
        return;
    json_t *root = json_load_file(path, 0, NULL), *unit;
    size_t i, count = 0;
    json_array_foreach(json_object_get(root, "units"), i, unit)
    {
        const char *name = json_string_value(json_object_get(unit, "name"));
        if (!name || !lives(unit))
            continue;
        fprintf(stderr, "%s%s (pid %" PRId64 ")",
                count++ ? ", " : "an earlier one left units that live on: ", name,
                (int64_t)json_integer_value(json_object_get(unit, "pid")));
    }
    if (count)
        fprintf(stderr, "\n'weir run %s' adopts them; after that 'weir stop' ends them\n",
                config ? config : "CONFIG");
    json_decref(root);
}
