/* SPDX-License-Identifier: MIT */
/* weir hold, pace and release: what is asked of the supervisor, and what is said of what came of it. */
#include "caught.h"
#include "fakebus.h"

static struct history h;
static char asked[1024];

#define UNIT(state, ladder, gate)                                                                            \
    "{\"supervisor\":\"search-docs\",\"units\":[{\"name\":\"server\",\"state\":\"ready\"},{\"name\":"        \
    "\"worker\",\"state\":\"" state "\",\"ladder\":\"" ladder "\"" gate "}]}"
#define GATE(order) ",\"gate\":{\"gates\":1,\"order\":\"" order "\"}"

/* What the supervisor tells, once and then again and again, and the exit status and words that follow. */
struct story {
    int (*command)(const struct cli_args *);
    const char *words[2];
    const char *status[4];
    int exit_status;
    const char *out, *err; /* NULL: nothing */
    const char *asked;
};

static void play(const struct story *story)
{
    struct fakebus bus;
    size_t count = story->words[1] ? 2 : 1;
    fakebus_start(&bus, &h, story->status, NULL);
    int r = cli_caught(&h, story->command, (struct cli_args){.words = story->words, .word_count = count});
    fakebus_stop(&bus, asked, sizeof(asked));
    assert_string_equal(errors, story->err ? story->err : "");
    assert_string_equal(output, story->out ? story->out : "");
    assert_int_equal(r, story->exit_status);
    assert_string_equal(asked, story->asked);
}

static void test_hold(void **state)
{
    (void)state;
    play(&(struct story){cmd_hold,
                         {"worker"},
                         {UNIT("ready", "hold", GATE("release")), UNIT("ready", "hold", GATE("hold"))},
                         CLI_EXIT_OK,
                         "worker: held\n",
                         NULL,
                         "Command hold worker\n"});
}

static void test_pace(void **state)
{
    (void)state;
    play(&(struct story){cmd_pace,
                         {"worker", "4"},
                         {UNIT("ready", "pace", GATE("release")), UNIT("ready", "pace", GATE("pace"))},
                         CLI_EXIT_OK,
                         "worker: paced, 4 in flight\n",
                         NULL,
                         "Pace worker 4\n"});
}

static void test_pace_by_rate(void **state)
{
    (void)state;
    play(&(struct story){cmd_pace,
                         {"worker", "30/min"},
                         {UNIT("ready", "pace", GATE("pace"))},
                         CLI_EXIT_OK,
                         "worker: paced, 30/min\n",
                         NULL,
                         "Pace worker 30/min\n"});
}

static void test_release(void **state)
{
    (void)state;
    play(&(struct story){cmd_release,
                         {"worker"},
                         {UNIT("ready", "idle", GATE("hold")), UNIT("ready", "idle", GATE("release"))},
                         CLI_EXIT_OK,
                         "worker: released\n",
                         NULL,
                         "Command release worker\n"});
}

/* As thaw of what is not frozen: what was asked for is so. */
static void test_release_of_what_is_not_held(void **state)
{
    (void)state;
    play(&(struct story){cmd_release,
                         {"worker"},
                         {UNIT("ready", "idle", ",\"gate\":{\"gates\":0}")},
                         CLI_EXIT_OK,
                         "worker: released\n",
                         NULL,
                         "Command release worker\n"});
}

/* A throttle is the stronger step and hides the other: the gate's own word counts. */
static void test_hold_of_a_throttled_unit(void **state)
{
    (void)state;
    play(
        &(struct story){cmd_hold,
                        {"worker"},
                        {UNIT("ready", "throttle", GATE("release")), UNIT("ready", "throttle", GATE("hold"))},
                        CLI_EXIT_OK,
                        "worker: held\n",
                        NULL,
                        "Command hold worker\n"});
}

static void test_no_gate(void **state)
{
    (void)state;
    static const char why[] =
        "worker has no gate: requests are held back only where its config says gate = jsonl or lines\n";
    static const struct {
        int (*command)(const struct cli_args *);
        const char *name, *asked;
    } commands[] = {{cmd_hold, "hold", "Command hold worker\n"},
                    {cmd_release, "release", "Command release worker\n"}};
    for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
        char err[256];
        snprintf(err, sizeof(err), "weir %s: %s", commands[i].name, why);
        play(&(struct story){commands[i].command,
                             {"worker"},
                             {UNIT("ready", "idle", "")},
                             CLI_EXIT_FAILED,
                             NULL,
                             err,
                             commands[i].asked});
    }
}

static void test_not_ready(void **state)
{
    (void)state;
    play(&(struct story){
        cmd_hold,
        {"worker"},
        {UNIT("draining", "idle", GATE("drain"))},
        CLI_EXIT_FAILED,
        NULL,
        "weir hold: worker is draining: requests are held back only of a unit that is ready\n",
        "Command hold worker\n"});
}

static void test_frozen(void **state)
{
    (void)state;
    play(&(struct story){cmd_hold,
                         {"worker"},
                         {UNIT("ready", "idle", ",\"frozen\":true" GATE("release"))},
                         CLI_EXIT_FAILED,
                         NULL,
                         "weir hold: worker is frozen: it answers nothing, so nothing is held back from it\n",
                         "Command hold worker\n"});
}

static void test_no_gate_connected(void **state)
{
    (void)state;
    play(&(struct story){cmd_pace,
                         {"worker", "1"},
                         {UNIT("ready", "idle", ",\"gate\":{\"gates\":0}")},
                         CLI_EXIT_FAILED,
                         NULL,
                         "weir pace: worker has no gate connected: nothing stands on its pipe now\n",
                         "Pace worker 1\n"});
}

/* Decided, then undone: the gate said that it cannot. */
static void test_the_gate_could_not(void **state)
{
    (void)state;
    play(&(struct story){
        cmd_hold,
        {"worker"},
        {UNIT("ready", "hold", GATE("release")), UNIT("ready", "idle", GATE("release"))},
        CLI_EXIT_FAILED,
        NULL,
        "weir hold: worker is not held back: its gate could not do it; 'weir log' tells why\n",
        "Command hold worker\n"});
}

/* A gate that hangs: bounded, as the other waits are. */
static void test_the_gate_does_not_say(void **state)
{
    (void)state;
    play(&(struct story){cmd_hold,
                         {"worker"},
                         {UNIT("ready", "hold", GATE("release"))},
                         CLI_EXIT_FAILED,
                         NULL,
                         "weir hold: worker: not done after 5 s; 'weir status' and 'weir log' tell more\n",
                         "Command hold worker\n"});
}

static void test_released_and_held_anew(void **state)
{
    (void)state;
    play(&(struct story){
        cmd_release,
        {"worker"},
        {UNIT("ready", "hold", GATE("hold"))},
        CLI_EXIT_FAILED,
        NULL,
        "weir release: worker is held back anew, by its ladder or a rule; 'weir log' tells why\n",
        "Command release worker\n"});
}

static void test_release_of_what_drains(void **state)
{
    (void)state;
    play(&(struct story){cmd_release,
                         {"worker"},
                         {UNIT("draining", "idle", GATE("drain"))},
                         CLI_EXIT_FAILED,
                         NULL,
                         "weir release: worker is to end once its last requests are answered: new ones wait "
                         "for the next process\n",
                         "Command release worker\n"});
}

static void test_the_supervisors_own_words_are_told(void **state)
{
    (void)state;
    static const char *const status[] = {UNIT("ready", "idle", ""), NULL};
    static const char *const words[] = {"nix", "3"};
    struct fakebus bus;
    fakebus_start(&bus, &h, status, "no unit 'nix' in supervisor 'search-docs'; units: server, worker");
    int r = cli_caught(&h, cmd_pace, (struct cli_args){.words = words, .word_count = 2});
    fakebus_stop(&bus, asked, sizeof(asked));
    assert_int_equal(r, CLI_EXIT_FAILED);
    assert_string_equal(errors,
                        "weir pace: no unit 'nix' in supervisor 'search-docs'; units: server, worker\n");
    assert_string_equal(output, "");
}

static void test_a_pace_that_is_none_is_not_sent(void **state)
{
    (void)state;
    static const char *const wrong[] = {"0", "lots", "4/hour", "70000"};
    static const char *const status[] = {UNIT("ready", "idle", GATE("pace")), NULL};
    struct fakebus bus;
    fakebus_start(&bus, &h, status, NULL);
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        const char *words[] = {"worker", wrong[i]};
        char err[256];
        snprintf(err, sizeof(err),
                 "weir pace: '%s' is no pace; say 4 (requests in flight), 5/s or 30/min, from 1 to 65535\n",
                 wrong[i]);
        assert_int_equal(cli_caught(&h, cmd_pace, (struct cli_args){.words = words, .word_count = 2}),
                         CLI_EXIT_USAGE);
        assert_string_equal(errors, err);
    }
    fakebus_stop(&bus, asked, sizeof(asked));
    assert_string_equal(asked, "");
}

static int setup(void **state)
{
    (void)state;
    history_make(&h);
    cli_caught_config(&h);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    history_remove(&h);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_hold, setup, teardown),
        cmocka_unit_test_setup_teardown(test_pace, setup, teardown),
        cmocka_unit_test_setup_teardown(test_pace_by_rate, setup, teardown),
        cmocka_unit_test_setup_teardown(test_release, setup, teardown),
        cmocka_unit_test_setup_teardown(test_release_of_what_is_not_held, setup, teardown),
        cmocka_unit_test_setup_teardown(test_hold_of_a_throttled_unit, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_gate, setup, teardown),
        cmocka_unit_test_setup_teardown(test_not_ready, setup, teardown),
        cmocka_unit_test_setup_teardown(test_frozen, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_gate_connected, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_gate_could_not, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_gate_does_not_say, setup, teardown),
        cmocka_unit_test_setup_teardown(test_released_and_held_anew, setup, teardown),
        cmocka_unit_test_setup_teardown(test_release_of_what_drains, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_supervisors_own_words_are_told, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_pace_that_is_none_is_not_sent, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
