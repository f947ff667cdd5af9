/* SPDX-License-Identifier: MIT */
/* The small calculations of the host layer: cpu quota and weight, pressure windows, PATH candidates, versions, names. */
#include <string.h>

#include "check.h"
#include "private.h"
#include "spawn.h"
#include "weir/base/cleanup.h"
#include "weir/engine/policy.h"

/* The engine may not include host's header, so the two enums are held together here. */
_Static_assert((int)HOST_FEATURE_MEMORY_MAX == (int)ABILITY_MEMORY_MAX, "bit 0");
_Static_assert((int)HOST_FEATURE_MEMORY_HIGH == (int)ABILITY_MEMORY_HIGH, "bit 1");
_Static_assert((int)HOST_FEATURE_CPU_MAX == (int)ABILITY_CPU_MAX, "bit 2");
_Static_assert((int)HOST_FEATURE_FREEZE == (int)ABILITY_FREEZE, "bit 3");
_Static_assert((int)HOST_FEATURE_KILL == (int)ABILITY_KILL, "bit 4");
_Static_assert((int)HOST_FEATURE_PRESSURE == (int)ABILITY_PRESSURE, "bit 5");
_Static_assert((int)HOST_FEATURE_RECLAIM == (int)ABILITY_RECLAIM, "bit 10");

static void cpu_quota(void **state)
{
    (void)state;
    static const struct {
        uint32_t permyriad;
        uint64_t quota, period;
    } rows[] = {{10000, 100000, 100000}, {5000, 50000, 100000}, {40000, 400000, 100000}, {100, 1000, 100000},
                {99, 9900, 1000000},     {10, 1000, 1000000},   {1, 1000, 1000000}};
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        uint64_t quota, period;
        limits_cpu_quota(rows[i].permyriad, &quota, &period);
        assert_int_equal(quota, rows[i].quota);
        assert_int_equal(period, rows[i].period);
    }
}

/* systemd's pairs of CPUWeight= and cpu.shares, and the ends of both scales. */
static void cpu_weight_and_shares(void **state)
{
    (void)state;
    assert_int_equal(limits_cpu_shares(100), 1024);
    assert_int_equal(limits_cpu_shares(1), 10);
    assert_int_equal(limits_cpu_shares(10000), 102400);
    for (uint32_t weight = 1; weight <= 10000; weight++)
        assert_int_equal(limits_cpu_weight(limits_cpu_shares(weight)), weight);
    assert_int_equal(limits_cpu_weight(2), 1);
    assert_int_equal(limits_cpu_weight(262144), 10000);
}

static void pressure_windows(void **state)
{
    (void)state;
    static const struct {
        bool fast;
        uint64_t stall, window, fit_stall, fit_window;
    } rows[] = {
        {true, 100000, 1000000, 100000, 1000000},    {true, 10, 100, 50000, 500000},
        {true, 1000000, 20000000, 500000, 10000000}, {false, 100000, 1000000, 200000, 2000000},
        {false, 100000, 2000000, 100000, 2000000},   {false, 100000, 2000001, 199999, 4000000},
        {false, 300000, 30000000, 100000, 10000000}, {false, 5000000, 1000000, 2000000, 2000000},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        uint64_t stall = rows[i].stall, window = rows[i].window;
        watch_fit_window(rows[i].fast, &stall, &window);
        assert_int_equal(stall, rows[i].fit_stall);
        assert_int_equal(window, rows[i].fit_window);
    }
}

static void expect_candidates(const char *file, const char *path, const char *const *expected)
{
    char **found = spawn_candidates(file, path);
    assert_non_null(found);
    size_t i = 0;
    for (; expected[i]; i++)
        assert_string_equal(found[i], expected[i]);
    assert_null(found[i]);
    spawn_free_candidates(&found);
}

static void path_candidates(void **state)
{
    (void)state;
    expect_candidates("/bin/x", "/a:/b", (const char *const[]){"/bin/x", NULL});
    expect_candidates("./x", "/a:/b", (const char *const[]){"./x", NULL});
    expect_candidates("x", "/a:/b/", (const char *const[]){"/a/x", "/b/x", NULL});
    expect_candidates("x", "/a::b:", (const char *const[]){"/a/x", "./x", "b/x", "./x", NULL});
    expect_candidates("x", "", (const char *const[]){"./x", NULL});
}

static void kernel_versions(void **state)
{
    (void)state;
    assert_true(kernel_at_least("6.18.44-fc-v595", 6, 16));
    assert_true(kernel_at_least("6.16", 6, 16));
    assert_false(kernel_at_least("6.1.0-56-cloud-amd64", 6, 16));
    assert_true(kernel_at_least("10.0", 6, 16));
    assert_false(kernel_at_least("5.19", 6, 1));
    assert_false(kernel_at_least("", 1, 0));
}

static void every_feature_has_a_name_and_a_use(void **state)
{
    (void)state;
    const char *use = NULL;
    unsigned count = 0;
    for (unsigned bit = 0; host_feature_name(bit, &use); bit++) {
        const char *name = host_feature_name(bit, &use);
        assert_int_equal(*name == '\0', *use == '\0');
        count += *name != '\0';
    }
    assert_int_equal(count, 18);
    assert_string_equal(host_feature_name(1, NULL), "memory.high");
    assert_string_equal(host_feature_name(19, NULL), "memory.peak");
    assert_null(host_feature_name(20, NULL));
    assert_string_equal(host_layout_name(HOST_LAYOUT_UNIFIED), "unified");
}

static void features_go_with_their_controllers(void **state)
{
    (void)state;
    uint32_t all =
        HOST_FEATURE_MEMORY_MAX | HOST_FEATURE_PIDS_MAX | HOST_FEATURE_CPU_MAX | HOST_FEATURE_FREEZE;
    assert_int_equal(features_of_controllers(HOST_CONTROLLER_PIDS, all),
                     HOST_FEATURE_PIDS_MAX | HOST_FEATURE_FREEZE);
    assert_int_equal(features_of_controllers(0, all), HOST_FEATURE_FREEZE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cpu_quota),
        cmocka_unit_test(cpu_weight_and_shares),
        cmocka_unit_test(pressure_windows),
        cmocka_unit_test(path_candidates),
        cmocka_unit_test(kernel_versions),
        cmocka_unit_test(every_feature_has_a_name_and_a_use),
        cmocka_unit_test(features_go_with_their_controllers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
