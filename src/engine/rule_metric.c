/* SPDX-License-Identifier: MIT */
/*
 * The metrics that a condition may name: one table for the parser, the man page and the plain words.
 *
 * Names are those of decision.h (held equal by tests/unit/test_rule_text.c), which are the kernel's own. A metric that is
 * here can be judged by the engine from a sample; those of decision.h that are not (exit codes, counts of failures) are
 * facts of a life's end and no readings.
 */
#include "weir/engine/rule.h"

#include <string.h>
#include <strings.h>

#include "weir/base/cleanup.h"
#include "weir/base/units.h"

/* Default windows. Pressure: the kernel's shortest own average. Chosen: as long for counters of events, so that
 * one burst is seen as one; growth and cpu usage over the base interval, so that the next reading shows them. */
#define W_LONG  (10 * USEC_PER_SEC)
#define W_SHORT (1 * USEC_PER_SEC)

#define WAITED "the share of time in which "

const struct rule_metric_info rule_metrics[] = {
    {"memory.current", NULL, METRIC_MEMORY_CURRENT, 0, "its memory"},
    {"memory.used", NULL, METRIC_MEMORY_USED, 0, "its memory without page cache that can be dropped"},
    {"memory.peak", NULL, METRIC_MEMORY_PEAK, 0, "the most memory it has had"},
    {"memory.max", NULL, METRIC_MEMORY_MAX, 0, "its memory limit"},
    {"memory.high", NULL, METRIC_MEMORY_HIGH, 0, "the size above which the kernel slows it down"},
    {"memory.headroom", NULL, METRIC_MEMORY_HEADROOM, 0, "the memory left to its limit"},
    {"memory.growth", NULL, METRIC_MEMORY_GROWTH, W_SHORT, "the growth of its memory"},
    {"memory.eta", NULL, METRIC_MEMORY_ETA, 0, "the time left to its memory limit at this growth"},
    {"memory.jump", NULL, METRIC_MEMORY_JUMP, 0,
     "the largest rise of its memory between two readings in the last minute"},
    {"memory.swap.current", "memory.swap", METRIC_MEMORY_SWAP, 0, "its swap"},
    {"memory.stat.anon", "memory.anon", METRIC_MEMORY_ANON, 0, "its anonymous memory"},
    {"memory.stat.file", "memory.file", METRIC_MEMORY_FILE, 0, "its page cache"},
    {"rss", NULL, METRIC_RSS, 0, "the resident size of its processes"},
    {"vsz", NULL, METRIC_VSZ, 0, "the virtual size of its processes"},
    {"memory.pressure.some", NULL, METRIC_MEMORY_PRESSURE_SOME, W_LONG,
     WAITED "some of its tasks waited for memory"},
    {"memory.pressure.full", NULL, METRIC_MEMORY_PRESSURE_FULL, W_LONG,
     WAITED "all of its tasks waited for memory"},
    {"cpu.pressure.some", NULL, METRIC_CPU_PRESSURE_SOME, W_LONG,
     WAITED "some of its tasks waited for a cpu"},
    {"cpu.pressure.full", NULL, METRIC_CPU_PRESSURE_FULL, W_LONG, WAITED "all of its tasks waited for a cpu"},
    {"io.pressure.some", NULL, METRIC_IO_PRESSURE_SOME, W_LONG,
     WAITED "some of its tasks waited for input or output"},
    {"io.pressure.full", NULL, METRIC_IO_PRESSURE_FULL, W_LONG,
     WAITED "all of its tasks waited for input or output"},
    {"memory.events.high", NULL, METRIC_EVENTS_HIGH, W_LONG,
     "the number of times it was slowed down above memory.high"},
    {"memory.events.max", NULL, METRIC_EVENTS_MAX, W_LONG,
     "the number of times it ran into its memory limit"},
    {"memory.events.oom", NULL, METRIC_EVENTS_OOM, W_LONG, "the number of times it was out of memory"},
    {"memory.events.oom_kill", NULL, METRIC_OOM_KILL, W_LONG,
     "the number of its processes that the kernel killed for lack of memory"},
    {"reclaim.efficiency", NULL, METRIC_RECLAIM_EFFICIENCY, W_LONG,
     "the share of the pages it looked at that the kernel could take back"},
    {"pids.current", NULL, METRIC_PIDS_CURRENT, 0, "the number of its tasks"},
    {"pids.max", NULL, METRIC_PIDS_MAX, 0, "its limit of tasks"},
    {"pids.events.max", NULL, METRIC_PIDS_EVENTS_MAX, W_LONG,
     "the number of times its limit of tasks refused a new one"},
    {"processes", NULL, METRIC_PROCESSES, 0, "the number of its processes"},
    {"threads", NULL, METRIC_THREADS, 0, "the number of its threads"},
    {"cpu.usage", NULL, METRIC_CPU_USAGE, W_SHORT, "its cpu time as a share of one cpu"},
    {"cpu.throttled", NULL, METRIC_CPU_THROTTLED, W_LONG, WAITED "its cpu quota held it back"},
    {"uptime", NULL, METRIC_UPTIME, 0, "the time since its start"},
    {"gate.inflight", NULL, METRIC_GATE_INFLIGHT, 0, "the number of its requests in flight"},
    {"gate.queued", NULL, METRIC_GATE_QUEUED, 0, "the number of its requests that are held back"},
    {"gate.latency_p99", NULL, METRIC_GATE_LATENCY_P99, 0, "the time within which 99% of its answers came"},
};
const size_t rule_metric_count = ARRAY_SIZE(rule_metrics);

static bool same_word(const char *name, const char *word, size_t length)
{
    return name && strlen(name) == length && strncasecmp(name, word, length) == 0;
}

const struct rule_metric_info *rule_metric_by_name(const char *name, size_t length)
{
    for (size_t i = 0; i < rule_metric_count; i++)
        if (same_word(rule_metrics[i].name, name, length) || same_word(rule_metrics[i].alias, name, length))
            return &rule_metrics[i];
    return NULL;
}

const struct rule_metric_info *rule_metric_row(enum decision_metric metric)
{
    for (size_t i = 0; i < rule_metric_count; i++)
        if (rule_metrics[i].metric == metric)
            return &rule_metrics[i];
    return NULL;
}
