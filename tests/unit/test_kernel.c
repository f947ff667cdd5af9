/* SPDX-License-Identifier: MIT */
/* The kernel's own texts, copied from machines, and what a broken one gives. */
#include "check.h"

#include <errno.h>
#include <string.h>

#include "weir/base/cleanup.h"
#include "weir/model/kernel.h"

#define UNTOUCHED 4711

/* --- single values ------------------------------------------------------------------------------- */

static void values(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int r;
        uint64_t value;
    } cases[] = {
        {"0\n", 0, 0},
        {"2603458560\n", 0, 2603458560},
        {"2603458560", 0, 2603458560}, /* no newline */
        {"max\n", 0, UINT64_MAX},
        {"max", 0, UINT64_MAX},
        {"9223372036854771712\n", 0, UINT64_MAX}, /* v1 memory.limit_in_bytes, 4 KiB pages */
        {"9223372036854710272\n", 0, UINT64_MAX}, /* 64 KiB pages */
        {"9223372036854710271\n", 0, 9223372036854710271ULL},
        {"18446744073709551615\n", 0, UINT64_MAX},
        {"18446744073709551616\n", -EINVAL, 0},
        {"", -EINVAL, 0},
        {"\n", -EINVAL, 0},
        {"-1\n", -EINVAL, 0},
        {" 1\n", -EINVAL, 0},
        {"12x\n", -EINVAL, 0},
        {"1 2\n", -EINVAL, 0},
        {"1\n2\n", -EINVAL, 0},
        {"maximum\n", -EINVAL, 0},
        {"ma", -EINVAL, 0},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        uint64_t value = UNTOUCHED;
        int r = kernel_parse_value(cases[i].text, &value);
        if (r != cases[i].r || value != (r < 0 ? UNTOUCHED : cases[i].value))
            fail_msg("\"%s\": returned %d, value %llu", cases[i].text, r, (unsigned long long)value);
    }
}

/* --- flat-keyed files ---------------------------------------------------------------------------- */

static const char v2_memory_events[] = "low 0\nhigh 556267\nmax 12\noom 3\noom_kill 2\noom_group_kill 0\n";

static const char v2_memory_stat[] = "anon 2603458560\n"
                                     "file 485175296\n"
                                     "kernel 9216000\n"
                                     "file_mapped 24076288\n"
                                     "anon_thp 0\n"
                                     "pgscan 149956\n"
                                     "pgsteal 4498\n"
                                     "pgscan_kswapd 0\n"
                                     "pgsteal_direct 4498\n";

static const char v1_memory_stat[] = "cache 9216000\n"
                                     "rss 6606848\n"
                                     "rss_huge 0\n"
                                     "workingset_refault_file 108\n"
                                     "hierarchical_memory_limit 9223372036854771712\n"
                                     "total_cache 485175296\n"
                                     "total_rss 99074048\n"
                                     "total_rss_huge 0\n";

static const struct kernel_key memory_events[] = {
    {"high", SAMPLE_EVENTS_HIGH},
    {"max", SAMPLE_EVENTS_MAX},
    {"oom", SAMPLE_EVENTS_OOM},
    {"oom_kill", SAMPLE_EVENTS_OOM_KILL},
};

static void memory_events_by_whole_keys(void **state)
{
    (void)state;
    struct sample s = {0};
    assert_int_equal(kernel_parse_flat(v2_memory_events, memory_events, ARRAY_SIZE(memory_events), &s), 4);
    assert_int_equal(s.value[SAMPLE_EVENTS_HIGH], 556267);
    assert_int_equal(s.value[SAMPLE_EVENTS_MAX], 12);
    assert_int_equal(s.value[SAMPLE_EVENTS_OOM], 3); /* not oom_kill's, nor oom_group_kill's */
    assert_int_equal(s.value[SAMPLE_EVENTS_OOM_KILL], 2);
    assert_false(sample_has(&s, SAMPLE_MEMORY_CURRENT));
}

static void memory_stat_of_both_versions(void **state)
{
    (void)state;
    static const struct kernel_key v2[] = {{"anon", SAMPLE_MEMORY_ANON},
                                           {"file", SAMPLE_MEMORY_FILE},
                                           {"pgscan", SAMPLE_MEMORY_PGSCAN},
                                           {"pgsteal", SAMPLE_MEMORY_PGSTEAL}};
    static const struct kernel_key v1[] = {{"total_rss", SAMPLE_MEMORY_ANON},
                                           {"total_cache", SAMPLE_MEMORY_FILE}};
    struct sample s = {0};
    assert_int_equal(kernel_parse_flat(v2_memory_stat, v2, ARRAY_SIZE(v2), &s), 4);
    assert_int_equal(s.value[SAMPLE_MEMORY_ANON], 2603458560);
    assert_int_equal(s.value[SAMPLE_MEMORY_PGSTEAL], 4498);
    s = (struct sample){0};
    assert_int_equal(kernel_parse_flat(v1_memory_stat, v1, ARRAY_SIZE(v1), &s), 2);
    assert_int_equal(s.value[SAMPLE_MEMORY_ANON], 99074048);
    assert_int_equal(s.value[SAMPLE_MEMORY_FILE], 485175296);
}

static void missing_keys_stay_invalid(void **state)
{
    (void)state;
    struct sample s = {0};
    assert_int_equal(kernel_parse_flat("", memory_events, ARRAY_SIZE(memory_events), &s), 0);
    assert_int_equal(kernel_parse_flat("\n\nlow 0\nnew_in_7.0 a b c\n", memory_events, 4, &s), 0);
    assert_int_equal(s.valid, 0);
    assert_int_equal(kernel_parse_flat("oom_kill_disable 0\nunder_oom 0\noom_kill 7", memory_events, 4, &s),
                     1);
    assert_int_equal(s.valid, UINT64_C(1) << SAMPLE_EVENTS_OOM_KILL);
    assert_int_equal(s.value[SAMPLE_EVENTS_OOM_KILL], 7);
}

static void a_broken_known_key_changes_nothing(void **state)
{
    (void)state;
    static const char *const texts[] = {"high 1\noom",
                                        "high 1\nmax \n",
                                        "high 1\nmax -3\n",
                                        "high 1\noom 1 2\n",
                                        "high 1\nmax 18446744073709551616\n",
                                        "high 1\noom_kill 0x1\n"};
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        struct sample s = {0};
        sample_set(&s, SAMPLE_EVENTS_HIGH, UNTOUCHED);
        struct sample before = s;
        assert_int_equal(kernel_parse_flat(texts[i], memory_events, ARRAY_SIZE(memory_events), &s), -EINVAL);
        assert_memory_equal(&s, &before, sizeof(s));
    }
}

static void one_value_of_a_file(void **state)
{
    (void)state;
    uint64_t value = UNTOUCHED;
    assert_int_equal(kernel_flat_value("populated 1\nfrozen 0\n", "frozen", &value), 0);
    assert_int_equal(value, 0);
    assert_int_equal(kernel_flat_value("max 12", "max", &value), 0);
    assert_int_equal(value, 12);
    assert_int_equal(kernel_flat_value(v1_memory_stat, "hierarchical_memory_limit", &value), 0);
    assert_int_equal(value, UINT64_MAX);
    value = UNTOUCHED;
    assert_int_equal(kernel_flat_value("populated 1\nfrozen 0\n", "froze", &value), -ENOENT);
    assert_int_equal(kernel_flat_value("", "max", &value), -ENOENT);
    assert_int_equal(kernel_flat_value("max", "max", &value), -EINVAL);
    assert_int_equal(value, UNTOUCHED);
}

/* --- pressure ------------------------------------------------------------------------------------ */

static void pressure_of_this_machine(void **state)
{
    (void)state;
    struct kernel_pressure p;
    assert_int_equal(kernel_parse_pressure("some avg10=1.94 avg60=1.48 avg300=0.75 total=6981797\n"
                                           "full avg10=100.00 avg60=1.14 avg300=0.61 total=6340922\n",
                                           &p),
                     0);
    assert_int_equal(p.some_total_us, 6981797);
    assert_int_equal(p.some_avg10_permyriad, 194);
    assert_int_equal(p.full_total_us, 6340922);
    assert_int_equal(p.full_avg10_permyriad, 10000);
    assert_true(p.has_full);
}

static void pressure_without_full(void **state)
{
    (void)state;
    struct kernel_pressure p;
    assert_int_equal(
        kernel_parse_pressure("some avg10=7.28 avg60=4.39 avg300=1.73 total=18446744073709551615", &p), 0);
    assert_int_equal(p.some_total_us, UINT64_MAX);
    assert_int_equal(p.some_avg10_permyriad, 728);
    assert_false(p.has_full);
    assert_int_equal(p.full_total_us, 0);
}

static void pressure_in_another_order(void **state)
{
    (void)state;
    struct kernel_pressure p;
    assert_int_equal(
        kernel_parse_pressure(
            "idle total=9\nsomewhat x\nfull total=2 avg10=0.5 new=?\nsome avg10=3 total=1\n", &p),
        0);
    assert_int_equal(p.some_total_us, 1);
    assert_int_equal(p.some_avg10_permyriad, 300);
    assert_int_equal(p.full_avg10_permyriad, 50);
}

static void broken_pressure_is_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "\n",
        "full avg10=0.00 avg60=0.00 avg300=0.00 total=0\n", /* irq.pressure */
        "some avg10=0.00 avg60=0.00 avg300=0.00 total=\n",
        "some avg10=0.00 avg60=0.00 avg300=0.00\n",
        "some avg10=0. total=1\n",
        "some avg10=x total=1\n",
        "some total=1\n",
        "some",
        "some avg10=0.00 total=1x\n",
        "some avg10=0.00 total=18446744073709551616\n",
        "some avg10=99999999999.00 total=1\n",
        "some avg10=0.00 total=1\nfull avg10=0.00 to",
    };
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        struct kernel_pressure p = {.some_total_us = UNTOUCHED};
        assert_int_equal(kernel_parse_pressure(texts[i], &p), -EINVAL);
        assert_int_equal(p.some_total_us, UNTOUCHED);
    }
}

/* --- /proc/PID/stat ------------------------------------------------------------------------------ */

/* A process that named itself "a) b (c", as this machine's kernel showed it. */
static const char strange_stat[] =
    "28815 (a) b (c) R 28774 28771 16833 0 -1 4194368 319 0 0 0 5 7 0 0 20 0 124 0 218276 17145856 2804 "
    "18446744073709551615 94576531836928 94576531837269 140735034944176 0 0 0 0 16781312 2 0 0 0 17 1 0 0 0 "
    "0 0 "
    "94576531848624 94576531849240 94576869236736 140735034951841 140735034951893 140735034951893 "
    "140735034953679 9\n";

static void stat_of_a_strange_name(void **state)
{
    (void)state;
    struct kernel_process p;
    assert_int_equal(kernel_parse_process_stat(strange_stat, &p), 0);
    assert_int_equal(p.pid, 28815);
    assert_string_equal(p.comm, "a) b (c");
    assert_int_equal(p.state, 'R');
    assert_int_equal(p.ppid, 28774);
    assert_int_equal(p.cpu_ticks, 12);
    assert_int_equal(p.threads, 124);
    assert_int_equal(p.start_ticks, 218276);
    assert_int_equal(p.vsz_bytes, 17145856);
    assert_int_equal(p.rss_pages, 2804);
    assert_int_equal(p.exit_code, 9);
}

/* strange_stat with another head in the place of "28815 (a) b (c) R". */
static int parse_with_head(const char *head, struct kernel_process *ret)
{
    char text[1024];
    const char *rest = strstr(strange_stat, " 28774");
    size_t length = strlen(head);
    memcpy(text, head, length);
    memcpy(text + length, rest, strlen(rest) + 1);
    return kernel_parse_process_stat(text, ret);
}

static void stat_of_other_names(void **state)
{
    (void)state;
    struct kernel_process p;
    assert_int_equal(parse_with_head("7 () Z", &p), 0);
    assert_string_equal(p.comm, "");
    assert_int_equal(p.state, 'Z');
    assert_int_equal(parse_with_head("7 (two\nlines) S", &p), 0);
    assert_string_equal(p.comm, "two\nlines");
    assert_int_equal(parse_with_head("7 (kworker/u8:3-events_unbound) I", &p), 0);
    assert_string_equal(p.comm, "kworker/u8:3-ev");
    assert_int_equal(parse_with_head("2147483647 (x) S", &p), 0);
}

static void broken_stat_is_refused(void **state)
{
    (void)state;
    static const char *const heads[] = {"",        "0 (x) S", "2147483648 (x) S", "-1 (x) S",
                                        "x (x) S", "7 x) S",  "7 (x S",           "7 (x)",
                                        "7 (x)S",  "7)( S"};
    struct kernel_process p = {.pid = UNTOUCHED};
    for (size_t i = 0; i < ARRAY_SIZE(heads); i++)
        assert_int_equal(parse_with_head(heads[i], &p), -EINVAL);
    /* cut anywhere before its last field, it is no stat */
    char text[sizeof(strange_stat)];
    size_t last = (size_t)(strrchr(strange_stat, ' ') - strange_stat);
    for (size_t length = 0; length <= last; length++) {
        memcpy(text, strange_stat, length);
        text[length] = '\0';
        assert_int_equal(kernel_parse_process_stat(text, &p), -EINVAL);
    }
    assert_int_equal(p.pid, UNTOUCHED);
}

/* --- rows ---------------------------------------------------------------------------------------- */

static void check_row(const char **text, uint32_t hierarchy, const char *controllers, const char *path)
{
    struct kernel_cgroup_row row;
    assert_int_equal(kernel_next_cgroup_row(text, &row), 1);
    assert_int_equal(row.hierarchy, hierarchy);
    assert_int_equal(row.controllers_length, strlen(controllers));
    assert_memory_equal(row.controllers, controllers, row.controllers_length);
    assert_int_equal(row.path_length, strlen(path));
    assert_memory_equal(row.path, path, row.path_length);
}

static void cgroup_rows_of_a_hybrid_host(void **state)
{
    (void)state;
    struct kernel_cgroup_row row;
    const char *text = "9:name=systemd:/\n4:cpu,cpuacct:/a:b c/d\n3:memory:/gone (deleted)\n0::/";
    check_row(&text, 9, "name=systemd", "/");
    check_row(&text, 4, "cpu,cpuacct", "/a:b c/d");
    check_row(&text, 3, "memory", "/gone (deleted)");
    check_row(&text, 0, "", "/");
    assert_int_equal(kernel_next_cgroup_row(&text, &row), 0);
    assert_int_equal(kernel_next_cgroup_row(&text, &row), 0);
}

static void broken_cgroup_rows(void **state)
{
    (void)state;
    static const char *const texts[] = {"\n",  ":",    "0",    "0:",           "0:\n:/",
                                        "0::", "0::x", "x::/", "4294967296::/"};
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        const char *text = texts[i];
        struct kernel_cgroup_row row = {.hierarchy = UNTOUCHED};
        assert_int_equal(kernel_next_cgroup_row(&text, &row), -EINVAL);
        assert_ptr_equal(text, texts[i]);
        assert_int_equal(row.hierarchy, UNTOUCHED);
    }
}

static void pids_of_a_cgroup(void **state)
{
    (void)state;
    const char *text = "5597\n0\n0\n20081\n0\n";
    int32_t pid;
    assert_int_equal(kernel_next_pid(&text, &pid), 1);
    assert_int_equal(pid, 5597);
    assert_int_equal(kernel_next_pid(&text, &pid), 1);
    assert_int_equal(pid, 20081); /* never 0: that would be ourselves */
    assert_int_equal(kernel_next_pid(&text, &pid), 0);
    assert_int_equal(kernel_next_pid(&text, &pid), 0);
    static const char *const broken[] = {"\n", "x", "-5\n", "5 6\n", "2147483648\n", "0\nx\n"};
    for (size_t i = 0; i < ARRAY_SIZE(broken); i++) {
        text = broken[i];
        pid = UNTOUCHED;
        assert_int_equal(kernel_next_pid(&text, &pid), -EINVAL);
        assert_int_equal(pid, UNTOUCHED);
        assert_ptr_equal(text, broken[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values),
        cmocka_unit_test(memory_events_by_whole_keys),
        cmocka_unit_test(memory_stat_of_both_versions),
        cmocka_unit_test(missing_keys_stay_invalid),
        cmocka_unit_test(a_broken_known_key_changes_nothing),
        cmocka_unit_test(one_value_of_a_file),
        cmocka_unit_test(pressure_of_this_machine),
        cmocka_unit_test(pressure_without_full),
        cmocka_unit_test(pressure_in_another_order),
        cmocka_unit_test(broken_pressure_is_refused),
        cmocka_unit_test(stat_of_a_strange_name),
        cmocka_unit_test(stat_of_other_names),
        cmocka_unit_test(broken_stat_is_refused),
        cmocka_unit_test(cgroup_rows_of_a_hybrid_host),
        cmocka_unit_test(broken_cgroup_rows),
        cmocka_unit_test(pids_of_a_cgroup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
