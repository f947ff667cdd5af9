/* SPDX-License-Identifier: MIT */
/* Conditions of rules: what each text means, written canonically, and what is said about each that means nothing. */
#include "check.h"

#include <errno.h>
#include <string.h>

#include "rule_tables.h"
#include "weir/model/text_out.h"

static int parse(const char *text, struct rule *ret, struct rule_error *reterr)
{
    return rule_parse_condition(text, &ret->when, reterr);
}

static int format(const struct rule *r, char *buf, size_t size)
{
    return rule_condition_format(&r->when, buf, size);
}

static void good_ones_have_one_canonical_form(void **state)
{
    (void)state;
    static const struct good_text texts[] = {
        {"memory.current > 85% of memory.max for 3s or memory.eta < 20s",
         "memory.current > 85% of memory.max for 3s or memory.eta < 20s"},
        {"memory.current < 60% of memory.max", "memory.current < 60% of memory.max"},
        {"memory.current > 512M", "memory.current > 512M"},
        {"memory.current > 1.5G", "memory.current > 1536M"},
        {"memory.current>512M", "memory.current > 512M"},
        {" \011memory.current  >  64 KiB  ", "memory.current > 64K"},
        {"MEMORY.Current > 512m", "memory.current > 512M"},
        {"memory.current >= 1048577", "memory.current >= 1048577B"},
        {"memory.current > 17B", "memory.current > 17B"},
        {"memory.current > 0", "memory.current > 0B"},
        {"memory.current > 18446744073709551615", "memory.current > 18446744073709551615B"},
        {"memory.used >= memory.high", "memory.used >= memory.high"},
        {"memory.used > 100% of memory.high", "memory.used > memory.high"},
        {"memory.peak <= 12.5 % of memory.max", "memory.peak <= 12.5% of memory.max"},
        {"memory.peak <= 0.01% of memory.max", "memory.peak <= 0.01% of memory.max"},
        {"memory.headroom < 64M", "memory.headroom < 64M"},
        {"memory.swap > 1G", "memory.swap.current > 1G"},
        {"memory.swap.current > 1G", "memory.swap.current > 1G"},
        {"memory.anon > 1T and memory.file < 2P", "memory.stat.anon > 1T and memory.stat.file < 2P"},
        {"memory.stat.anon != memory.stat.file", "memory.stat.anon != memory.stat.file"},
        {"memory.jump > 1E", "memory.jump > 1E"},
        {"rss > 150% of memory.current", "rss > 150% of memory.current"},
        {"vsz = 0", "vsz = 0B"},
        {"memory.growth > 40M/s", "memory.growth > 40M/s over 1s"},
        {"memory.growth > 40 M/s over 5s", "memory.growth > 40M/s over 5s"},
        {"memory.growth > 1024/S", "memory.growth > 1K/s over 1s"},
        {"memory.growth > 0/s over 1m", "memory.growth > 0B/s over 1min"},
        {"memory.eta < 20", "memory.eta < 20s"},
        {"memory.eta < 1.5s", "memory.eta < 1500ms"},
        {"memory.eta < 1min 30s", "memory.eta < 90s"},
        {"memory.eta < 2h30m for 1 min 30 s", "memory.eta < 150min for 90s"},
        {"memory.eta < 250us", "memory.eta < 250us"},
        {"memory.eta < uptime", "memory.eta < uptime"},
        {"uptime > 1d", "uptime > 1d"},
        {"uptime > 1w", "uptime > 7d"},
        {"uptime = 0", "uptime = 0s"},
        {"memory.pressure.full > 10%", "memory.pressure.full > 10% over 10s"},
        {"memory.pressure.some > 10% over 10s", "memory.pressure.some > 10% over 10s"},
        {"memory.pressure.some > 12.5% over 30s for 1m", "memory.pressure.some > 12.5% over 30s for 1min"},
        {"memory.pressure.full > 50% of memory.pressure.some over 1h",
         "memory.pressure.full > 50% of memory.pressure.some over 1h"},
        {"cpu.pressure.some > 99.99% and cpu.pressure.full > 0%",
         "cpu.pressure.some > 99.99% over 10s and cpu.pressure.full > 0% over 10s"},
        {"io.pressure.some > 10% or io.pressure.full > 5% over 100ms",
         "io.pressure.some > 10% over 10s or io.pressure.full > 5% over 100ms"},
        {"memory.events.oom_kill > 0", "memory.events.oom_kill > 0 over 10s"},
        {"memory.events.high > 100 over 1s", "memory.events.high > 100 over 1s"},
        {"memory.events.max > memory.events.high", "memory.events.max > memory.events.high over 10s"},
        {"memory.events.oom = 1 over 1h", "memory.events.oom = 1 over 1h"},
        {"pids.events.max > 0 over 1m", "pids.events.max > 0 over 1min"},
        {"reclaim.efficiency < 20%", "reclaim.efficiency < 20% over 10s"},
        {"pids.current > 90% of pids.max", "pids.current > 90% of pids.max"},
        {"pids.current > pids.events.max", "pids.current > pids.events.max over 10s"},
        {"pids.events.max > pids.current over 30s", "pids.events.max > pids.current over 30s"},
        {"processes > 5", "processes > 5"},
        {"threads > 200", "threads > 200"},
        {"threads > 100 and threads < 200", "threads > 100 and threads < 200"},
        {"cpu.usage > 250%", "cpu.usage > 250% over 1s"},
        {"cpu.usage > cpu.throttled", "cpu.usage > cpu.throttled over 1s"},
        {"cpu.throttled > 10% over 10000ms", "cpu.throttled > 10% over 10s"},
        {"gate.inflight > 3 or gate.queued > 100", "gate.inflight > 3 or gate.queued > 100"},
        {"gate.latency_p99 > 2500ms", "gate.latency_p99 > 2500ms"},
        {"not threads > 5", "not threads > 5"},
        {"not not threads > 5", "not not threads > 5"},
        {"not threads > 5 for 3s", "not threads > 5 for 3s"},
        {"(not threads > 5) for 3s", "(not threads > 5) for 3s"},
        {"not (threads > 5 or rss > 1G) for 3s", "not (threads > 5 or rss > 1G) for 3s"},
        {"((threads > 5))", "threads > 5"},
        {"(threads > 5)", "threads > 5"},
        {"(threads > 5) for 3s", "threads > 5 for 3s"},
        {"(threads > 5 for 3s) for 1d", "(threads > 5 for 3s) for 1d"},
        {"threads > 5 and rss > 1G and vsz > 2G", "threads > 5 and rss > 1G and vsz > 2G"},
        {"threads > 5 and (rss > 1G and vsz > 2G)", "threads > 5 and (rss > 1G and vsz > 2G)"},
        {"(threads > 5 and rss > 1G) and vsz > 2G", "threads > 5 and rss > 1G and vsz > 2G"},
        {"threads > 5 or rss > 1G and vsz > 2G", "threads > 5 or rss > 1G and vsz > 2G"},
        {"threads > 5 or (rss > 1G and vsz > 2G)", "threads > 5 or rss > 1G and vsz > 2G"},
        {"(threads > 5 or rss > 1G) and vsz > 2G", "(threads > 5 or rss > 1G) and vsz > 2G"},
        {"threads > 5 and rss > 1G or vsz > 2G", "threads > 5 and rss > 1G or vsz > 2G"},
        {"threads > 5 or (rss > 1G or vsz > 2G)", "threads > 5 or (rss > 1G or vsz > 2G)"},
        {"threads > 5 AND Not rss > 1G OR vsz > 2G FOR 3S",
         "threads > 5 and not rss > 1G or vsz > 2G for 3s"},
        {"(threads > 5 and rss > 1G or vsz > 2G) for 1ms", "(threads > 5 and rss > 1G or vsz > 2G) for 1ms"},
        {"threads > 5 for 3600s", "threads > 5 for 1h"},
        {"((((((((((((((((threads > 5))))))))))))))))", "threads > 5"},
        {"threads > 1 and threads > 2 and threads > 3 and threads > 4 and threads > 5 and threads > 6 and "
         "threads > 7 and threads > 8 and threads > 9 and threads > 10 and threads > 11 and threads > 12 and "
         "threads > 13 and threads > 14 and threads > 15 and not threads > 16",
         "threads > 1 and threads > 2 and threads > 3 and threads > 4 and threads > 5 and threads > 6 and "
         "threads > 7 and threads > 8 and threads > 9 and threads > 10 and threads > 11 and threads > 12 and "
         "threads > 13 and threads > 14 and threads > 15 and not threads > 16"},
        {"threads>5 and rss>1G", "threads > 5 and rss > 1G"},
    };
    check_good_texts(parse, format, texts, ARRAY_SIZE(texts));
}

static void broken_ones_are_explained(void **state)
{
    (void)state;
    static const struct broken_text texts[] = {
        {"", 1, 1, "the condition is empty", "write one, as in memory.current > 512M"},
        {"   ", 4, 1, "the condition is empty", "write one, as in memory.current > 512M"},
        {"memory.curent > 85% of memory.max", 1, 13, "unknown metric 'memory.curent'",
         "did you mean 'memory.current'?"},
        {"memory.current > 85% of memory.mx", 25, 9, "unknown metric 'memory.mx'",
         "did you mean 'memory.max'?"},
        {"memory.pressure > 10%", 1, 15, "unknown metric 'memory.pressure'",
         "did you mean 'memory.pressure.some'?"},
        {"zebra > 5", 1, 5, "unknown metric 'zebra'", "weir.conf(5) lists the metrics"},
        {"failures > 3", 1, 8, "unknown metric 'failures'", "weir.conf(5) lists the metrics"},
        {"gate.calls.ping > 5", 1, 15, "'gate.calls.ping': calls are not counted per method in this version",
         "gate.inflight, gate.queued and gate.latency_p99 judge the gate as a whole"},
        {"metric.fragments > 5", 1, 16,
         "'metric.fragments': metrics of one's own are not supported in this version",
         "weir.conf(5) lists those there are"},
        {"gate.calls > 5", 1, 10, "unknown metric 'gate.calls'", "weir.conf(5) lists the metrics"},
        {"metric. > 5", 1, 7, "unknown metric 'metric.'", "weir.conf(5) lists the metrics"},
        {"memory.current > 10%", 18, 3, "'10%' of what?", "write 10% of memory.max"},
        {"memory.current > 10 % for 3s", 18, 4, "'10 %' of what?", "write 10 % of memory.max"},
        {"pids.current > 10%", 16, 3, "'10%' of what?", "write 10% of pids.max"},
        {"threads > 10%", 11, 3, "'10%' is not a whole number", "write a whole number, as in 200"},
        {"memory.growth > 10%", 17, 3, "'10%' is not a rate", "write a rate, as in 40M/s"},
        {"memory.eta < 10%", 14, 3, "'10%' is not a length of time", "write 20s, 500ms, 10m or 2h30m"},
        {"memory.current > 40M/s", 18, 5, "'40M/s' is not a size", "a rate is compared with memory.growth"},
        {"memory.growth > 40M", 17, 3, "'40M' is not a rate", "write 40M/s"},
        {"memory.growth > 40 M", 17, 4, "'40 M' is not a rate", "write 40 M/s"},
        {"memory.growth > 40", 17, 2, "'40' is not a rate", "write a rate, as in 40M/s"},
        {"memory.growth > 40M/min", 17, 7, "'40M/min' is not a rate", "write a rate, as in 40M/s"},
        {"memory.growth > 20s", 17, 3, "'20s' is not a rate", "write a rate, as in 40M/s"},
        {"memory.current > 20s", 18, 3, "'20s' is not a size",
         "write a size, as in 512M, or a share, as in 85% of memory.max"},
        {"memory.current > 64 KX", 18, 5, "'64 KX' is not a size",
         "write a size, as in 512M, or a share, as in 85% of memory.max"},
        {"memory.current > 1.5", 18, 3, "'1.5' is not a size",
         "write a size, as in 512M, or a share, as in 85% of memory.max"},
        {"memory.current > -1", 18, 2, "'-1' is not a size",
         "write a size, as in 512M, or a share, as in 85% of memory.max"},
        {"memory.current > 16E", 18, 3, "'16E' is too large", ""},
        {"memory.current > 99999999999999999999", 18, 20, "'99999999999999999999' is too large", ""},
        {"memory.current > aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 18, 73,
         "unknown metric 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa...'", "weir.conf(5) lists the metrics"},
        {"memory.current > 1111111111111111111111111111111111111111111111111111111111111111111111111", 18, 73,
         "'1111111111111111111111111111111111111...' is not a size",
         "write a size, as in 512M, or a share, as in 85% of memory.max"},
        {"memory.current > max", 18, 3, "'max' is no value to compare with",
         "write a size, as in 512M, or a share, as in 85% of memory.max"},
        {"memory.max = infinity", 14, 8, "'infinity' is no value to compare with",
         "write a size, as in 512M, or a share, as in 85% of memory.max"},
        {"memory.pressure.full > 10", 24, 2, "'10' is not a percentage", "write 10%"},
        {"memory.pressure.full > 10M", 24, 3, "'10M' is not a percentage", "write a percentage, as in 10%"},
        {"memory.pressure.full > 12.345%", 24, 7, "'12.345%' is not a percentage",
         "a percentage has two decimals at most"},
        {"memory.pressure.full > 10001%", 24, 6, "'10001%' is too large", ""},
        {"threads > 1.5", 11, 3, "'1.5' is not a whole number", "write a whole number, as in 200"},
        {"threads > 2K", 11, 2, "'2K' is not a whole number", "write a whole number, as in 200"},
        {"threads > 5 10", 13, 2, "'and' or 'or' is missing before '10'", ""},
        {"memory.eta < 10 parsecs", 14, 10, "'10 parsecs' is not a length of time",
         "write 20s, 500ms, 10m or 2h30m"},
        {"memory.eta < 2h30", 14, 4, "'2h30' is not a length of time", "write 20s, 500ms, 10m or 2h30m"},
        {"memory.current == 5", 16, 2, "'==' is not a sign of the rules", "write ="},
        {"memory.current => 5", 16, 2, "'=>' is not a sign of the rules", "write >="},
        {"memory.current =< 5", 16, 2, "'=<' is not a sign of the rules", "write <="},
        {"memory.current <> 5", 16, 2, "'<>' is not a sign of the rules", "write !="},
        {"memory.current \342\211\245 5", 16, 3, "'\342\211\245' is not a sign of the rules", "write >="},
        {"memory.current \342\211\240 5", 16, 3, "'\342\211\240' is not a sign of the rules", "write !="},
        {"memory.current >>> 5", 16, 3, "a comparison is missing after 'memory.current'",
         "write one of > >= < <= = != and a value"},
        {"memory.current is above 5", 16, 2, "a comparison is missing after 'memory.current'",
         "write one of > >= < <= = != and a value"},
        {"memory.current", 15, 1, "a comparison is missing after 'memory.current'",
         "write one of > >= < <= = != and a value"},
        {"memory.current 5M", 16, 2, "a comparison is missing after 'memory.current'",
         "write one of > >= < <= = != and a value"},
        {"memory.current >", 17, 1, "a value is missing after '>'",
         "write a size, as in 512M, or a share, as in 85% of memory.max"},
        {"memory.current > and threads > 5", 18, 3, "a value is missing after '>'",
         "write a size, as in 512M, or a share, as in 85% of memory.max"},
        {"memory.current > for 3s", 18, 3, "a value is missing after '>'",
         "write a size, as in 512M, or a share, as in 85% of memory.max"},
        {"memory.current > )", 18, 1, "a value is missing after '>'",
         "write a size, as in 512M, or a share, as in 85% of memory.max"},
        {"memory.current > > 5", 18, 1, "a value is missing after '>'",
         "write a size, as in 512M, or a share, as in 85% of memory.max"},
        {"memory.current > threads", 18, 7,
         "'memory.current' is a size, and 'threads' is a whole number: they cannot be compared", ""},
        {"memory.current > 85% of threads", 25, 7,
         "'memory.current' is a size, and 'threads' is a whole number: they cannot be compared", ""},
        {"memory.current > 50% of memory.current", 25, 14, "'memory.current' is compared with itself", ""},
        {"memory.current > memory.current", 18, 14, "'memory.current' is compared with itself", ""},
        {"memory.current > 85 of memory.max", 18, 2, "'85' is not a percentage", "write 85%"},
        {"memory.current > 85% of", 24, 1, "a metric is missing after 'of'", "write 85% of memory.max"},
        {"memory.current > 85% of 5M", 25, 2, "a metric is missing after 'of'", "write 85% of memory.max"},
        {"memory.current > 85% of for 3s", 25, 3, "a metric is missing after 'of'",
         "write 85% of memory.max"},
        {"memory.current > 85% memory.max", 18, 3, "'85%' of what?", "write 85% of memory.max"},
        {"memory.current > of memory.max", 18, 2, "a value is missing after '>'",
         "write a size, as in 512M, or a share, as in 85% of memory.max"},
        {"5 < memory.current", 1, 1, "a comparison begins with its metric, not with '5'",
         "turn it round, as in memory.current > 512M"},
        {"5 < memory.current < 10", 1, 1, "a comparison begins with its metric, not with '5'",
         "turn it round, as in memory.current > 512M"},
        {"threads > 5 < 10", 13, 1, "a second comparison without a metric",
         "repeat the metric after 'and', as in threads > 100 and threads < 200"},
        {"threads > 5 threads < 7", 13, 7, "'and' or 'or' is missing before 'threads'", ""},
        {"threads > 5 adn rss > 1G", 13, 3, "'and' or 'or' is missing before 'adn'", "did you mean 'and'?"},
        {"threads > 5 fro 3s", 13, 3, "'and' or 'or' is missing before 'fro'", "did you mean 'for'?"},
        {"threads > 5, rss > 1G", 12, 1, "'and' or 'or' is missing before ','", ""},
        {"threads > 5 && rss > 1G", 13, 2, "'&&' is not a sign of the rules", "write and"},
        {"threads > 5 || rss > 1G", 13, 2, "'||' is not a sign of the rules", "write or"},
        {"threads > 5 & rss > 1G", 13, 1, "'&' is not a sign of the rules", "write and"},
        {"threads > 5 | rss > 1G", 13, 1, "'|' is not a sign of the rules", "write or"},
        {"!threads > 5", 1, 1, "'!' is not a sign of the rules", "write not"},
        {"!(threads > 5)", 1, 1, "'!' is not a sign of the rules", "write not"},
        {"threads > 5 and", 16, 1, "a comparison is missing after 'and'", "as in memory.current > 512M"},
        {"threads > 5 or   ", 18, 1, "a comparison is missing after 'or'", "as in memory.current > 512M"},
        {"and threads > 5", 1, 3, "a comparison is missing before 'and'", "as in memory.current > 512M"},
        {"threads > 5 and or rss > 1G", 17, 2, "a comparison is missing before 'or'",
         "as in memory.current > 512M"},
        {"not", 4, 1, "a comparison is missing after 'not'", "as in memory.current > 512M"},
        {"threads > 5 for", 16, 1, "a length of time is missing after 'for'",
         "write 20s, 500ms, 10m or 2h30m"},
        {"threads > 5 for ever", 17, 4, "a length of time is missing after 'for'",
         "write 20s, 500ms, 10m or 2h30m"},
        {"threads > 5 for 0s", 17, 2, "'0s' is out of range for 'for'", "from 1ms to 1d"},
        {"threads > 5 for 25h", 17, 3, "'25h' is out of range for 'for'", "from 1ms to 1d"},
        {"threads > 5 for infinity", 17, 8, "a length of time is missing after 'for'",
         "write 20s, 500ms, 10m or 2h30m"},
        {"threads > 5 for 3s for 5s", 20, 3, "a second 'for'",
         "put the first in parentheses: (... for 3s) for 10s"},
        {"threads > 5 over 5s", 13, 4, "'threads' is read at one instant, it has no 'over'",
         "write for TIME: how long it must hold"},
        {"threads > 5 for 3s over 5s", 20, 4, "'over' belongs to one comparison, behind its value",
         "as in memory.pressure.full > 10% over 30s for 1m"},
        {"memory.pressure.full > 10% for 3s over 5s", 35, 4,
         "'over' belongs to one comparison, behind its value",
         "as in memory.pressure.full > 10% over 30s for 1m"},
        {"memory.pressure.full > 10% over 0s", 33, 2, "'0s' is out of range for 'over'", "from 100ms to 1h"},
        {"memory.pressure.full > 10% over 99ms", 33, 4, "'99ms' is out of range for 'over'",
         "from 100ms to 1h"},
        {"memory.pressure.full > 10% over 3601s", 33, 5, "'3601s' is out of range for 'over'",
         "from 100ms to 1h"},
        {"memory.pressure.full > 10% over", 32, 1, "a length of time is missing after 'over'",
         "write 20s, 500ms, 10m or 2h30m"},
        {"memory.pressure.full > 10% over 10%", 33, 3, "'10%' is not a length of time",
         "write 20s, 500ms, 10m or 2h30m"},
        {"(threads > 5) over 5s", 15, 4, "'over' belongs to one comparison, behind its value",
         "as in memory.pressure.full > 10% over 30s for 1m"},
        {"(threads > 5", 1, 1, "this '(' has no ')' after it", ""},
        {"(threads > 5 and (rss > 1G)", 1, 1, "this '(' has no ')' after it", ""},
        {"threads > 5)", 12, 1, "this ')' has no '(' before it", ""},
        {"(threads > 5 rss > 1G)", 14, 3, "'and' or 'or' is missing before 'rss'", ""},
        {"()", 2, 1, "a comparison is missing before ')'", "as in memory.current > 512M"},
        {"threads > (5)", 11, 1, "a value is missing after '>'", "write a whole number, as in 200"},
        {"[threads > 5]", 1, 1, "'[' is not a sign of the rules", "write ("},
        {"threads > \"5\"", 11, 1, "'\"' is not a sign of the rules", "nothing needs quotes here"},
        {"threads > 5 # many", 13, 1, "'#' is not a sign of the rules",
         "a comment stands on a line of its own"},
        {"threads > 5 ; many", 13, 1, "';' is not a sign of the rules",
         "a comment stands on a line of its own"},
        {"threads > 5 \342\202\254", 13, 3, "'and' or 'or' is missing before '\342\202\254'", ""},
        {"threads > 5 x", 13, 1, "'and' or 'or' is missing before 'x'", ""},
        {"threads > 5$", 12, 1, "'and' or 'or' is missing before '$'", ""},
        {"~threads > 5", 1, 1, "a comparison is missing before '~'", "as in memory.current > 512M"},
        {"threads > 5 not rss > 1G", 13, 3, "'and' or 'or' is missing before 'not'", ""},
        {"threads > 5 for 3s and for 5s", 24, 3, "a comparison is missing before 'for'",
         "as in memory.current > 512M"},
        {"(((((((((((((((((threads > 5)))))))))))))))))", 17, 1,
         "nested too deep: 16 levels of ( and not at most", ""},
        {"not not not not not not not not not not not not not not not not not threads > 5", 65, 3,
         "nested too deep: 16 levels of ( and not at most", ""},
        {"threads > 1 and threads > 2 and threads > 3 and threads > 4 and threads > 5 and threads > 6 and "
         "threads > 7 and threads > 8 and threads > 9 and threads > 10 and threads > 11 and threads > 12 and "
         "threads > 13 and threads > 14 and threads > 15 and threads > 16 and threads > 17",
         260, 3, "the condition is too long: comparisons, and, or, not, for: 32 at most",
         "split it into two rules"},
        {"threads>5and rss>1G", 9, 4, "'5and' is not a whole number", "write a whole number, as in 200"},
        {"metric.aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa > 5", 1, 87,
         "'metric.aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa...': metrics of one's own are not supported in this version",
         "weir.conf(5) lists those there are"},
        {"memory.current > 11111111111111111111111111111111111111111111111111111111111111111111111111111111%",
         18, 81, "'1111111111111111111111111111111111111...' of what?", "write 10% of memory.max"},
        {"metric.fragments999999999999999999999999999999999999999999999 > 5", 1, 61,
         "'metric.fragments999999999999999999999...': metrics of one's own are not supported in this version",
         "weir.conf(5) lists those there are"},
        {"threads > 5 over memory.max", 13, 4, "'threads' is read at one instant, it has no 'over'",
         "write for TIME: how long it must hold"},
        {"memory.current\011> 10   %", 18, 6, "'10   %' of what?", "write 10   % of memory.max"},
    };
    check_broken_texts(parse, texts, ARRAY_SIZE(texts));
}

/* "threads > 1 and threads > 1 and ..." of so many comparisons. */
static void join(char *buf, size_t size, const char *comparison, unsigned count)
{
    struct text_out o = text_begin(buf, size);
    for (unsigned i = 0; i < count; i++)
        text_put(&o, "%s%s", i ? " and " : "", comparison);
    assert_true(text_end(&o) >= 0);
}

static void a_condition_fits_into_the_record(void **state)
{
    (void)state;
    static const char longest[] = "io.pressure.some < io.pressure.full over 100ms";
    char text[2048], canonical[RULE_CONDITION_TEXT_MAX];
    struct rule_condition c;
    struct rule_error e;
    /* twelve times 46 bytes and eleven times " and " are 607, the thirteenth is too many */
    join(text, sizeof(text), longest, 12);
    assert_int_equal(rule_parse_condition(text, &c, &e), 0);
    assert_int_equal(rule_condition_format(&c, canonical, sizeof(canonical)), 607);
    join(text, sizeof(text), longest, 13);
    assert_int_equal(rule_parse_condition(text, &c, &e), -EINVAL);
    assert_string_equal(e.text, "the condition is too long: 639 bytes at most, windows written out");
    assert_string_equal(e.hint, "split it into two rules");
    assert_int_equal(e.column, 1);
    assert_int_equal(e.length, strlen(text));
    /* short ones run into the number of nodes */
    join(text, sizeof(text), "vsz > 1", 16);
    assert_int_equal(rule_parse_condition(text, &c, &e), 0);
    assert_int_equal(c.count, 31);
    join(text, sizeof(text), "vsz > 1", 17);
    assert_int_equal(rule_parse_condition(text, &c, &e), -EINVAL);
    assert_string_equal(e.text, "the condition is too long: comparisons, and, or, not, for: 32 at most");
}

static void nodes_stand_in_postfix_order(void **state)
{
    (void)state;
    struct rule_condition c;
    static const enum rule_op order[] = {RULE_OP_COMPARE, RULE_OP_HELD,    RULE_OP_COMPARE, RULE_OP_NOT,
                                         RULE_OP_AND,     RULE_OP_COMPARE, RULE_OP_OR};
    assert_int_equal(
        rule_parse_condition("memory.current >= 85% of memory.max for 3s and not threads > 200 or "
                             "memory.pressure.full > 12.5%",
                             &c, NULL),
        0);
    assert_int_equal(c.count, ARRAY_SIZE(order));
    for (size_t i = 0; i < ARRAY_SIZE(order); i++)
        assert_int_equal(c.nodes[i].op, order[i]);
    assert_int_equal(c.nodes[0].metric, METRIC_MEMORY_CURRENT);
    assert_int_equal(c.nodes[0].compare, RULE_GE);
    assert_int_equal(c.nodes[0].of, METRIC_MEMORY_MAX);
    assert_int_equal(c.nodes[0].number, 8500);
    assert_int_equal(c.nodes[0].over_us, 0);
    assert_int_equal(c.nodes[1].for_us, 3000000);
    assert_int_equal(c.nodes[2].of, METRIC_NONE);
    assert_int_equal(c.nodes[2].number, 200);
    assert_int_equal(c.nodes[5].number, 1250);
    assert_int_equal(c.nodes[5].over_us, 10000000);
}

/* --- any condition at all ------------------------------------------------------------------------ */

static void random_comparison(uint64_t *rng, struct rule_node *n)
{
    const struct rule_metric_info *row = &rule_metrics[rng_below(rng, rule_metric_count)];
    const struct rule_metric_info *other = &rule_metrics[rng_below(rng, rule_metric_count)];
    enum metric_type type = decision_metric_type(row->metric);
    uint64_t window_us = row->window_us;
    *n = (struct rule_node){.op = RULE_OP_COMPARE, .metric = row->metric};
    n->compare = (enum rule_compare)rng_below(rng, 6);
    n->number = type == METRIC_TYPE_PERMYRIAD ? rng_below(rng, 1000001) : rng_edgy(rng);
    if (other != row && decision_metric_type(other->metric) == type) {
        n->of = other->metric;
        n->number = rng_below(rng, 2) ? 10000 : rng_below(rng, 1000001);
        window_us = window_us ? window_us : other->window_us;
    }
    if (window_us > 0)
        n->over_us = rng_below(rng, 4) ? 100000 + rng_below(rng, 3600000000 - 100000 + 1) : window_us;
}

/* A tree of at most `room` nodes, its root last. `depth` bounds the parentheses that its text needs. */
static void random_tree(uint64_t *rng, struct rule_condition *c, unsigned room, unsigned depth)
{
    struct rule_node n = {0};
    uint64_t pick = room >= 2 && depth >= 2 ? rng_below(rng, room >= 3 ? 6 : 3) : 0;
    if (pick == 0) {
        random_comparison(rng, &n);
    } else if (pick <= 2) {
        random_tree(rng, c, room - 1, depth - 2);
        n.op = pick == 1 ? RULE_OP_NOT : RULE_OP_HELD;
        n.for_us = pick == 1 ? 0 : 1000 + rng_below(rng, 86400000000 - 1000 + 1);
    } else {
        unsigned left = 1 + (unsigned)rng_below(rng, room - 2);
        random_tree(rng, c, left, depth - 2);
        random_tree(rng, c, room - 1 - left, depth - 2);
        n.op = rng_below(rng, 2) ? RULE_OP_AND : RULE_OP_OR;
    }
    c->nodes[c->count++] = n;
}

static void every_condition_comes_back(void **state)
{
    (void)state;
    unsigned parsed = 0, deep = 0;
    for (uint64_t seed = 0; seed < 150000; seed++) {
        uint64_t rng = seed;
        struct rule_condition c = {0}, back;
        struct rule_error e;
        char text[4096];
        random_tree(&rng, &c, 1 + (unsigned)rng_below(&rng, RULE_NODES_MAX), RULE_DEPTH_MAX);
        int length = rule_condition_format(&c, text, sizeof(text));
        assert_true(length > 0);
        if (length >= RULE_CONDITION_TEXT_MAX) {
            assert_int_equal(rule_parse_condition(text, &back, &e), -EINVAL);
            continue;
        }
        if (rule_parse_condition(text, &back, &e) < 0)
            fail_msg("seed %llu: \"%s\": %u: %s", (unsigned long long)seed, text, e.column, e.text);
        if (back.count != c.count || memcmp(c.nodes, back.nodes, c.count * sizeof(c.nodes[0])) != 0)
            fail_msg("seed %llu: \"%s\" means something else", (unsigned long long)seed, text);
        parsed++;
        deep += c.count > 20;
    }
    assert_true(parsed > 100000); /* the seeds do what this test is for */
    assert_true(deep > 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_ones_have_one_canonical_form), cmocka_unit_test(broken_ones_are_explained),
        cmocka_unit_test(a_condition_fits_into_the_record),  cmocka_unit_test(nodes_stand_in_postfix_order),
        cmocka_unit_test(every_condition_comes_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
