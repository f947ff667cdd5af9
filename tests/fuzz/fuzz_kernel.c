/* SPDX-License-Identifier: MIT */
/*
 * Kernel texts: every parser sees every text. A parser that fails leaves its
 * output alone; one that succeeds gives values in range; an iterator ends.
 */
#include "fuzz.h"

#include "weir/base/cleanup.h"
#include "weir/model/kernel.h"

#define UNTOUCHED 0x5a

static const struct kernel_key keys[] = {
    {"high", SAMPLE_EVENTS_HIGH},         {"max", SAMPLE_EVENTS_MAX},        {"oom", SAMPLE_EVENTS_OOM},
    {"oom_kill", SAMPLE_EVENTS_OOM_KILL}, {"populated", SAMPLE_POPULATED},   {"frozen", SAMPLE_FROZEN},
    {"anon", SAMPLE_MEMORY_ANON},         {"total_rss", SAMPLE_MEMORY_ANON}, {"usage_usec", SAMPLE_CPU_USAGE},
};

static void check_value(const char *text)
{
    uint64_t value = UNTOUCHED, again;
    if (kernel_parse_value(text, &value) < 0) {
        HOLDS(value == UNTOUCHED);
        return;
    }
    char canonical[32];
    (void)snprintf(canonical, sizeof(canonical), "%llu\n", (unsigned long long)value);
    HOLDS(kernel_parse_value(canonical, &again) == 0 && again == value);
}

static void check_flat(const char *text)
{
    struct sample s, before;
    memset(&s, UNTOUCHED, sizeof(s));
    s.valid = 0;
    before = s;
    int found = kernel_parse_flat(text, keys, ARRAY_SIZE(keys), &s);
    HOLDS(found == __builtin_popcountll(s.valid) || found < 0);
    if (found <= 0)
        HOLDS(memcmp(&s, &before, sizeof(s)) == 0);
    for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
        uint64_t value = UNTOUCHED;
        int r = kernel_flat_value(text, keys[i].key, &value);
        HOLDS(r == 0 || value == UNTOUCHED);
        if (r == 0 && found >= 0)
            HOLDS(sample_has(&s, keys[i].field));
    }
}

static void check_pressure(const char *text)
{
    struct kernel_pressure p, before;
    memset(&p, UNTOUCHED, sizeof(p));
    before = p;
    if (kernel_parse_pressure(text, &p) < 0)
        HOLDS(memcmp(&p, &before, sizeof(p)) == 0);
    else if (!p.has_full)
        HOLDS(p.full_total_us == 0 && p.full_avg10_permyriad == 0);
}

static void check_stat(const char *text)
{
    struct kernel_process p, before;
    memset(&p, UNTOUCHED, sizeof(p));
    before = p;
    if (kernel_parse_process_stat(text, &p) < 0) {
        HOLDS(memcmp(&p, &before, sizeof(p)) == 0);
        return;
    }
    HOLDS(p.pid > 0 && p.ppid >= 0 && p.exit_code >= 0);
    HOLDS(memchr(p.comm, '\0', sizeof(p.comm)) != NULL);
}

static void check_rows(const char *text)
{
    struct kernel_cgroup_row row;
    const char *at = text, *end = text + strlen(text), *before = text;
    int r;
    while ((r = kernel_next_cgroup_row(&at, &row)) > 0) {
        HOLDS(at > before && at <= end);
        HOLDS(row.path[0] == '/' && row.path + row.path_length <= end);
        HOLDS(row.controllers + row.controllers_length < row.path);
        before = at;
    }
    HOLDS(r < 0 || *at == '\0');
    at = before = text;
    int32_t pid;
    while ((r = kernel_next_pid(&at, &pid)) > 0) {
        HOLDS(pid > 0 && at > before && at <= end);
        before = at;
    }
    HOLDS(r < 0 || *at == '\0');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_free_ char *text = fuzz_text(data, size);
    check_value(text);
    check_flat(text);
    check_pressure(text);
    check_stat(text);
    check_rows(text);
    return 0;
}
