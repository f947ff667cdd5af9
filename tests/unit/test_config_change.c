/* SPDX-License-Identifier: MIT */
/* A config that changes: what differs between two, and one key set on a running unit. */
#include "check.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "config_text.h"
#include "weir/base/units.h"

/* "UNIT KEY TYPE FROM -> TO" a line. */
static void narrate(const char *from_text, const char *to_text, char *ret, size_t size)
{
    static const char *const types[] = {"live", "restart", "added", "removed"};
    _cleanup_(config_deinit) struct config from = config_text_good(from_text);
    _cleanup_(config_deinit) struct config to = config_text_good(to_text);
    struct config_change *changes;
    size_t count;
    assert_int_equal(config_compare(&from, &to, &changes, &count), 0);
    *ret = '\0';
    for (size_t i = 0; i < count; i++) {
        size_t at = strlen(ret);
        const struct config_change *c = &changes[i];
        (void)snprintf(ret + at, size - at, "%s %s %s %s -> %s\n", *c->unit ? c->unit : "-",
                       c->key ? c->key : "-", types[c->type], c->from ? c->from : "-", c->to ? c->to : "-");
    }
    config_changes_free(changes, count);
}

#define HEAD "[supervisor]\nname = docs\n"

static void nothing_changed(void **state)
{
    (void)state;
    char told[1024];
    static const char text[] = HEAD "[unit a]\nexec = a\nmemory_max = 1G\n";
    narrate(text, text, told, sizeof(told));
    assert_string_equal(told, "");
    /* the same said in other words */
    narrate(text, HEAD "[unit a]\nexec = \"a\"\nmemory_max = 1024M\nstop_timeout = 10s\n", told,
            sizeof(told));
    assert_string_equal(told, "");
}

static void each_change_says_when_it_takes_effect(void **state)
{
    (void)state;
    char told[2048];
    narrate(HEAD "interval = 1s\n[unit a]\nexec = a\nmemory_max = 1G\n",
            HEAD "interval = 500ms\nstate_dir = /x\nrun_dir = /run/weir/docs\n"
                 "[unit a]\nexec = a -v\nmemory_max = 85%\nthrottle_at = 70%\nready = tcp:80\nnice = 3\n",
            told, sizeof(told));
    if (geteuid() != 0)
        return; /* the folders' defaults are another's */
    assert_string_equal(told, "- state_dir restart /var/lib/weir/docs -> /x\n"
                              "- interval live 1s -> 500ms\n"
                              "a exec restart a -> a -v\n"
                              "a nice restart as weir's own -> 3\n"
                              "a memory_max live 1G -> 85%\n"
                              "a ready restart none -> tcp:127.0.0.1:80\n"
                              "a throttle_at live 75% -> 70%\n");
}

static void units_come_and_go_in_the_new_order(void **state)
{
    (void)state;
    char told[1024];
    narrate(HEAD "[unit a]\nexec = a\n[unit b]\nexec = b\n[unit c]\nexec = c\n",
            HEAD "[unit d]\nexec = d\n[unit c]\nexec = x\n[unit a]\nexec = a\n", told, sizeof(told));
    assert_string_equal(told, "d - added - -> -\n"
                              "c exec restart c -> x\n"
                              "b - removed - -> -\n");
}

static void a_unit_becomes_a_wrapped_one(void **state)
{
    (void)state;
    char told[1024];
    narrate(HEAD "[unit a]\nexec = a\n[unit b]\nexec = b\n", HEAD "[unit a]\nexec = a\n[unit b]\nwrap = b\n",
            told, sizeof(told));
    assert_string_equal(told, "b exec restart b -> none: a unit has either exec or wrap\n"
                              "b wrap restart none -> b\n");
}

static void secrets_are_never_shown(void **state)
{
    (void)state;
    char told[1024];
    narrate(HEAD "[unit a]\nexec = a\n[unit b]\nexec = b\nenvironment = TOKEN=hunter2 A=1\n",
            HEAD "[unit a]\nexec = a\nenvironment = TOKEN=hunter2\n"
                 "[unit b]\nexec = b\nenvironment = TOKEN=hunter3 A=1\n",
            told, sizeof(told));
    assert_string_equal(told, "a environment restart none -> TOKEN\n"
                              "b environment restart TOKEN, A -> TOKEN, A (other values)\n");
}

#define UNITS                                                                                                \
    HEAD "[unit server]\nexec = a\nmemory_max = 4G\nmemory_high = 3G\nenvironment = A=1\n"                   \
         "[unit worker]\nwrap = uv\n"

static void live_keys_are_set(void **state)
{
    (void)state;
    _cleanup_(config_deinit) struct config c = config_text_good(UNITS);
    struct err err = ERR_NULL;
    struct config_unit *server = &c.units[0], *worker = &c.units[1];
    assert_int_equal(config_unit_set(server, "memory_max", "8G", &err), 0);
    assert_true(server->memory_max.bytes == 8ULL << 30);
    assert_int_equal(config_unit_set(server, "cpu_max", "50%", &err), 0);
    assert_int_equal(server->cpu_max_permyriad, 5000);
    assert_int_equal(config_unit_set(server, "mode", "observe", NULL), 0);
    assert_int_equal(server->policy.mode, UNIT_MODE_OBSERVE);
    assert_int_equal(config_unit_set(worker, "respawn_wait", "9s", &err), 0);
    assert_int_equal(worker->policy.respawn_wait_us, 9 * USEC_PER_SEC);
    assert_string_equal(server->environment[0], "A=1");
    assert_int_equal(err.code, 0);
}

/* What stands on either side of a step that is off is still in order. */
static void steps_of_the_ladder_are_switched_off(void **state)
{
    (void)state;
    _cleanup_(config_deinit) struct config c = config_text_good(UNITS);
    struct err err = ERR_NULL;
    struct config_unit *server = &c.units[0];
    assert_int_equal(config_unit_set(server, "throttle_at", "off", &err), 0);
    assert_int_equal(server->policy.ladder.throttle_permyriad, 0);
    assert_int_equal(config_unit_set(server, "restart_at", "60%", &err), -EINVAL);
    assert_string_equal(
        err.text, "release_at (65%) must be below restart_at (60%); lower release_at or raise restart_at");
    assert_int_equal(config_unit_set(server, "restart_at", "off", &err), 0);
    assert_int_equal(config_unit_set(server, "critical_at", "65%", &err), -EINVAL);
    assert_int_equal(config_unit_set(server, "critical_at", "66%", &err), 0);
    /* each that is not off is where it was */
    assert_int_equal(config_unit_set(server, "throttle_at", "66%", &err), -EINVAL);
    assert_string_equal(
        err.text,
        "throttle_at (66%) must be below critical_at (66%); lower throttle_at or raise critical_at");
    for (size_t i = 0; i < 3; i++) {
        static const char *const keys[] = {"notify_at", "reclaim_at", "pressure_at"};
        assert_int_equal(config_unit_set(server, keys[i], "off", &err), 0);
    }
    assert_int_equal(server->policy.ladder.notify_permyriad, 0);
    assert_int_equal(server->policy.ladder.reclaim_permyriad, 0);
    assert_int_equal(server->policy.ladder.pressure_permyriad, 0);
}

static void what_cannot_be_set_changes_nothing(void **state)
{
    (void)state;
    static const struct {
        const char *key, *value, *text;
    } cases[] = {
        {"memory_mx", "1G", "unknown key 'memory_mx'; did you mean 'memory_max'?"},
        {"wibble", "1", "unknown key 'wibble'; weir.conf(5) lists them"},
        {"interval", "1s",
         "interval is a key of [supervisor], not of a unit; change it in the file and reload"},
        {"memory_max", "4 gigs", "memory_max = 4 gigs: not a size; write 4G, 512M or 85%"},
        {"memory_max", "",
         "memory_max: no value; write a value, such as memory_max = 4G, or remove the line"},
        {"memory_max", "2G",
         "memory_high (3G) must be below memory_max (2G); lower memory_high or raise memory_max"},
        {"throttle_at", "90%",
         "throttle_at (90%) must be below restart_at (85%); lower throttle_at or raise restart_at"},
        {"throttle_at", "most", "throttle_at = most: not a share; write 85%, 12.5% or off"},
        {"reclaim_at", "60%",
         "release_at (65%) must be below reclaim_at (60%); lower release_at or raise reclaim_at"},
        {"critical_at", "off", "critical_at = off: not a share; write 85% or 12.5%"},
        {"notify_exec", "/bin/true", "notify_exec can only be set in the file; change it there and reload"},
        {"pace_at", "70%", "pace_at is for wrapped units only"},
        {"exec", "b",
         "exec cannot be set on a running unit; change the file, reload and restart [unit server]"},
        {"after", "worker", "after can only be set in the file; change it there and reload"},
        {"best_effort", "yes", "best_effort can only be set in the file; change it there and reload"},
        {"respawn_wait", "1s", "respawn_wait is for wrapped units only"},
    };
    _cleanup_(config_deinit) struct config c = config_text_good(UNITS);
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct config_unit before = c.units[0];
        struct err err = ERR_NULL;
        assert_int_equal(config_unit_set(&c.units[0], cases[i].key, cases[i].value, &err), -EINVAL);
        assert_string_equal(err.text, cases[i].text);
        assert_memory_equal(&c.units[0], &before, sizeof(before));
    }
    struct err err = ERR_NULL;
    assert_int_equal(config_unit_set(&c.units[1], "log_size", "1M", &err), -EINVAL);
    assert_string_equal(err.text, "log_size is not for a wrapped unit; the command keeps its caller's");
    assert_int_equal(config_unit_set(&c.units[1], "hold_at", "70%", &err), -EINVAL);
    assert_string_equal(err.text, "hold_at needs a gate, and [unit worker] has gate = none");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_changed),
        cmocka_unit_test(each_change_says_when_it_takes_effect),
        cmocka_unit_test(units_come_and_go_in_the_new_order),
        cmocka_unit_test(a_unit_becomes_a_wrapped_one),
        cmocka_unit_test(secrets_are_never_shown),
        cmocka_unit_test(live_keys_are_set),
        cmocka_unit_test(steps_of_the_ladder_are_switched_off),
        cmocka_unit_test(what_cannot_be_set_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
