/* SPDX-License-Identifier: MIT */
/* What the commands that read the record have in common; see query.h. */
#include "query.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "weir/base/nearest.h"
#include "weir/base/units.h"
#include "weir/base/when.h"

int cli_read_failed(const struct cli_query *q, int error)
{
    fprintf(stderr, "weir: cannot read %s: %s\n", q->target.history, strerror(-error));
    return CLI_EXIT_FAILED;
}

int cli_parse_run(const char *text, uint64_t last, uint64_t *ret)
{
    if (!text || strcmp(text, "last") == 0)
        *ret = last;
    else if (strcmp(text, "all") == 0)
        *ret = 0;
    else
        return parse_u64(text, ret) < 0 || *ret == 0 ? -EINVAL : 0;
    return 0;
}

static int keep_run(void *user, const struct store_run_row *row)
{
    *(uint64_t *)user = row->run;
    return 0;
}

static int check_unit(struct cli_query *q, const char *unit)
{
    const char *const *names;
    int n = store_read_units(q->reader, q->filter.run ? q->filter.run : q->last_run, &names);
    for (int i = 0; i < n; i++)
        if (strcmp(names[i], unit) == 0)
            return CLI_EXIT_OK;
    if (n < 0 || !q->filter.run) /* an earlier run may have had it */
        return CLI_EXIT_OK;
    const char *near = nearest_word(unit, names, (size_t)n);
    fprintf(stderr, "weir: run %llu has no unit '%s'%s%s%s\n", (unsigned long long)q->filter.run, unit,
            near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
    return CLI_EXIT_USAGE;
}

static uint64_t wall_now_us(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    return (uint64_t)ts.tv_sec * USEC_PER_SEC + (uint64_t)ts.tv_nsec / 1000;
}

static int parse_time(const char *option, const char *text, uint64_t *ret)
{
    if (!text || parse_when(text, wall_now_us(), ret) == 0)
        return CLI_EXIT_OK;
    fprintf(stderr, "weir: %s '%s' is no time; say -10m, 12:23, today or \"2025-11-05 12:23\"\n", option,
            text);
    return CLI_EXIT_USAGE;
}

static int fill_filter(const struct cli_args *args, struct cli_query *q)
{
    int e = store_read_runs(q->reader, keep_run, &q->last_run);
    if (e < 0)
        return cli_read_failed(q, e);
    if (cli_parse_run(args->run, q->last_run, &q->filter.run) < 0) {
        fprintf(stderr, "weir: '%s' is no run; say a number, last or all ('weir history runs' lists them)\n",
                args->run);
        return CLI_EXIT_USAGE;
    }
    if (q->filter.run > q->last_run) {
        fprintf(stderr, "weir: there is no run %llu; the last one is %llu\n",
                (unsigned long long)q->filter.run, (unsigned long long)q->last_run);
        return CLI_EXIT_FAILED;
    }
    q->filter.unit = args->unit;
    q->filter.limit = args->limit;
    q->filter.ticks_only = !args->all;
    int r = parse_time("--since", args->since, &q->filter.since_wall_us);
    if (r == CLI_EXIT_OK)
        r = parse_time("--until", args->until, &q->filter.until_wall_us);
    if (r == CLI_EXIT_OK && args->unit && q->last_run)
        r = check_unit(q, args->unit);
    return r;
}

int cli_query_open(const struct cli_args *args, struct cli_query *ret)
{
    struct err err = ERR_NULL;
    *ret = (struct cli_query){0};
    int r = cli_target_find(args, CLI_WANT_HISTORY, &ret->target);
    if (r != CLI_EXIT_OK)
        return r;
    int e = store_reader_open(ret->target.history, &ret->reader, &err);
    if (e == -ENOENT)
        fprintf(stderr, "weir: %s has no history yet (%s)\n", ret->target.name, err.text);
    else if (e == -EACCES) /* SQLite says "unable to open" */
        fprintf(stderr, "weir: %s: %s\n", ret->target.history, strerror(-e));
    else if (e < 0)
        fprintf(stderr, "weir: %s\n", err.text);
    if (e < 0)
        r = e == -ENOENT ? CLI_EXIT_NOT_RUNNING : e == -EACCES ? CLI_EXIT_DENIED : CLI_EXIT_FAILED;
    else
        r = fill_filter(args, ret);
    if (r != CLI_EXIT_OK)
        cli_query_close(ret);
    return r;
}

void cli_query_close(struct cli_query *q)
{
    q->reader = store_reader_close(q->reader);
    cli_target_deinit(&q->target);
}
