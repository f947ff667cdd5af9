/* SPDX-License-Identifier: MIT */
/* What a gate decides, as stories: a server's lines, workers that come and go, orders, and time in microseconds. */
#include "check.h"
#include "core.h"

#include <string.h>

#define SEC      UINT64_C(1000000)
#define PATIENCE (60 * SEC)
#define NEVER    UINT64_MAX

struct gate {
    struct gate_core core;
    uint64_t now_us;
    enum gate_failure failure; /* of the last line that was rejected */
};

/* --- words that the stories are told in ------------------------------------------------------------- */

static void begin(struct gate *g)
{
    memset(g, 0xaa, sizeof(*g));
    gate_core_init(&g->core, 8);
    gate_core_set(&g->core, 1, PATIENCE, false);
    g->now_us = SEC;
}

static enum gate_action_kind offered(struct gate *g)
{
    return gate_core_next(&g->core, g->now_us, 0).kind;
}

/* That is what there is to do; it is done. */
static struct gate_action does(struct gate *g, enum gate_action_kind kind)
{
    struct gate_action a = gate_core_next(&g->core, g->now_us, 0);
    assert_int_equal(a.kind, kind);
    gate_core_done(&g->core, &a, g->now_us);
    return a;
}

static void rests(struct gate *g)
{
    assert_int_equal(offered(g), GATE_ACTION_NONE);
}

static enum gate_verdict judged(struct gate *g, enum gate_line line)
{
    return gate_core_judge(&g->core, line, g->now_us, &g->failure);
}

static void waits(struct gate *g, enum gate_line line)
{
    assert_int_equal(judged(g, line), GATE_WAIT);
}

static void rejects(struct gate *g, enum gate_line line, enum gate_failure failure)
{
    assert_int_equal(judged(g, line), GATE_REJECT);
    assert_int_equal(g->failure, failure);
}

static int passes(struct gate *g, enum gate_line line, bool replay)
{
    assert_int_equal(judged(g, line), GATE_PASS);
    return gate_core_passed(&g->core, line, replay, g->now_us);
}

static int asks(struct gate *g) /* a request that must not be sent again */
{
    return passes(g, GATE_LINE_REQUEST, false);
}

static int asks_for_replay(struct gate *g)
{
    return passes(g, GATE_LINE_REQUEST, true);
}

static void answered(struct gate *g, int slot)
{
    assert_true(gate_core_answered(&g->core, slot, g->core.generation, true));
}

static void comes_up(struct gate *g, uint32_t generation)
{
    does(g, GATE_ACTION_ASK);
    assert_true(gate_core_started(&g->core, generation, 0));
    does(g, GATE_ACTION_TELL_READY);
    assert_int_equal(g->core.worker, GATE_WORKER_UP);
}

static void dies(struct gate *g)
{
    gate_core_ended(&g->core, false);
}

static void fails(struct gate *g, int slot, enum gate_failure failure)
{
    struct gate_action a = does(g, GATE_ACTION_FAIL);
    assert_int_equal(a.slot, slot);
    assert_int_equal(a.failure, failure);
}

static void resends(struct gate *g, int slot)
{
    assert_int_equal(does(g, GATE_ACTION_RESEND).slot, slot);
}

static uint64_t deadline(const struct gate *g)
{
    return gate_core_deadline(&g->core);
}

/* --- lines ------------------------------------------------------------------------------------------- */

static void test_a_request_and_its_answer(void **state)
{
    (void)state;
    struct gate g;
    begin(&g);
    waits(&g, GATE_LINE_REQUEST); /* no worker yet */
    comes_up(&g, 1);
    int first = asks(&g), second = asks_for_replay(&g);
    assert_int_not_equal(first, second);
    assert_int_equal(g.core.sent, 2);
    answered(&g, second); /* in any order */
    answered(&g, first);
    assert_int_equal(g.core.used, 0);
    rests(&g);
    assert_int_equal(deadline(&g), NEVER);
    assert_false(gate_core_answered(&g.core, first, 1, true)); /* an answer too many */
    assert_false(gate_core_answered(&g.core, -1, 1, true));
    assert_false(gate_core_answered(&g.core, 8, 1, true));
}

static void test_lines_without_an_answer_take_no_slot(void **state)
{
    (void)state;
    struct gate g;
    begin(&g);
    comes_up(&g, 1);
    assert_int_equal(passes(&g, GATE_LINE_ONE_WAY, true), -1);
    assert_int_equal(passes(&g, GATE_LINE_RESPONSE, true), -1);
    assert_int_equal(passes(&g, GATE_LINE_OTHER, true), -1);
    assert_int_equal(g.core.used, 0);
}

static void test_slots_run_out_and_no_patience_helps(void **state)
{
    (void)state;
    struct gate g;
    begin(&g);
    comes_up(&g, 1);
    int slots[8];
    for (int i = 0; i < 8; i++)
        slots[i] = asks(&g);
    waits(&g, GATE_LINE_REQUEST);
    assert_int_equal(g.core.front.why, GATE_WHY_SLOTS);
    assert_int_equal(deadline(&g), NEVER); /* a slow worker is the server's to judge */
    g.now_us += 10 * PATIENCE;
    rests(&g);
    waits(&g, GATE_LINE_REQUEST);
    assert_int_equal(g.core.blocked_since_us, SEC);
    assert_int_equal(passes(&g, GATE_LINE_ONE_WAY, false), -1); /* needs no slot */
    answered(&g, slots[3]);
    assert_int_equal(asks(&g), slots[3]);
}

/* What looked like a notification in the first 64 KiB is a request after all: it passed, and is not followed. */
static void test_a_request_in_disguise_finds_no_slot(void **state)
{
    (void)state;
    struct gate g;
    begin(&g);
    comes_up(&g, 1);
    for (int i = 0; i < 8; i++)
        asks(&g);
    assert_int_equal(judged(&g, GATE_LINE_ONE_WAY), GATE_PASS);
    assert_int_equal(gate_core_passed(&g.core, GATE_LINE_REQUEST, true, g.now_us), -1);
    assert_int_equal(g.core.used, 8);
}

/* --- the end of a worker ------------------------------------------------------------------------------ */

static void test_what_was_in_flight_is_sent_again_or_fails(void **state)
{
    (void)state;
    struct gate g;
    begin(&g);
    comes_up(&g, 1);
    int a = asks_for_replay(&g), b = asks(&g), c = asks_for_replay(&g);
    dies(&g);
    comes_up(&g, 2);
    waits(&g, GATE_LINE_REQUEST); /* behind those that are sent again */
    resends(&g, a);
    fails(&g, b, GATE_FAILURE_ENDED);
    rests(&g); /* one at a time */
    answered(&g, a);
    waits(&g, GATE_LINE_ONE_WAY);
    resends(&g, c);
    waits(&g, GATE_LINE_REQUEST); /* alone, too */
    assert_int_equal(g.core.front.why, GATE_WHY_TURN);
    assert_int_equal(passes(&g, GATE_LINE_RESPONSE, false), -1); /* or c could never finish */
    answered(&g, c);
    asks(&g);
    rests(&g);
}

/* A worker is asked for, though the server takes no errors now; errors go out, though the worker takes nothing now. */
static void test_a_full_output_holds_up_only_its_own(void **state)
{
    (void)state;
    struct gate g;
    begin(&g);
    comes_up(&g, 1);
    int a = asks_for_replay(&g), b = asks(&g);
    dies(&g);
    struct gate_action act = gate_core_next(&g.core, g.now_us, GATE_FULL_SERVER);
    assert_int_equal(act.kind, GATE_ACTION_ASK);
    gate_core_done(&g.core, &act, g.now_us);
    assert_int_equal(gate_core_next(&g.core, g.now_us, GATE_FULL_SERVER).kind, GATE_ACTION_NONE);
    assert_true(gate_core_started(&g.core, 2, 0));
    uint32_t link_and_worker = GATE_FULL_LINK | GATE_FULL_WORKER;
    act = gate_core_next(&g.core, g.now_us, link_and_worker);
    assert_int_equal(act.kind, GATE_ACTION_FAIL);
    assert_int_equal(act.slot, b);
    gate_core_done(&g.core, &act, g.now_us);
    assert_int_equal(gate_core_next(&g.core, g.now_us, link_and_worker).kind, GATE_ACTION_NONE);
    does(&g, GATE_ACTION_TELL_READY);
    resends(&g, a);
    rests(&g);
}

static void test_a_request_that_kills_its_workers_is_told_from_its_neighbours(void **state)
{
    (void)state;
    struct gate g;
    begin(&g);
    gate_core_set(&g.core, 2, PATIENCE, false);
    comes_up(&g, 1);
    int before = asks_for_replay(&g), poison = asks_for_replay(&g), after = asks_for_replay(&g);
    dies(&g);
    comes_up(&g, 2);
    resends(&g, before);
    answered(&g, before);
    for (uint32_t generation = 2; generation < 4; generation++) {
        resends(&g, poison);
        dies(&g);
        if (generation < 3)
            comes_up(&g, generation + 1);
    }
    does(&g, GATE_ACTION_ASK);
    fails(&g, poison, GATE_FAILURE_POISON);
    assert_true(gate_core_started(&g.core, 4, 0));
    does(&g, GATE_ACTION_TELL_READY);
    resends(&g, after);
    answered(&g, after);
    assert_int_equal(g.core.used, 0);
}

static void test_replay_max_of_none(void **state)
{
    (void)state;
    struct gate g;
    begin(&g);
    gate_core_set(&g.core, 0, PATIENCE, false);
    comes_up(&g, 1);
    int slot = asks_for_replay(&g);
    dies(&g);
    does(&g, GATE_ACTION_ASK);
    fails(&g, slot, GATE_FAILURE_ENDED); /* one worker is not proof of poison */
}

static void test_a_batch_partly_answered_is_not_sent_again(void **state)
{
    (void)state;
    struct gate g;
    begin(&g);
    comes_up(&g, 1);
    int batch = asks_for_replay(&g);
    assert_true(gate_core_answered(&g.core, batch, 1, false));
    assert_int_equal(g.core.sent, 1);
    dies(&g);
    does(&g, GATE_ACTION_ASK);
    fails(&g, batch, GATE_FAILURE_ENDED);
}

static void test_a_late_answer_is_nobodys(void **state)
{
    (void)state;
    struct gate g;
    begin(&g);
    comes_up(&g, 1);
    int again = asks_for_replay(&g), lost = asks(&g);
    dies(&g);
    assert_false(gate_core_answered(&g.core, again, 1, true)); /* it will be sent again */
    assert_false(gate_core_answered(&g.core, lost, 1, true));  /* its error is on the way */
    comes_up(&g, 2);
    resends(&g, again);
    assert_false(gate_core_answered(&g.core, again, 1, true)); /* the new worker has it now */
    assert_true(gate_core_answered(&g.core, again, 2, false));
    assert_false(gate_core_answered(&g.core, again, 1, true));
    assert_true(gate_core_answered(&g.core, again, 2, true));
    fails(&g, lost, GATE_FAILURE_ENDED);
    int reused = asks(&g); /* the slot is another's now */
    assert_int_equal(reused, again);
    assert_false(gate_core_answered(&g.core, reused, 1, true));
    assert_true(gate_core_answered(&g.core, reused, 2, true));
}

static void test_a_worker_of_no_successor_ends(void **state)
{
    (void)state;
    static const struct {
        bool clean, respawn_clean, in_flight, held_back, over;
    } row[] = {
        {true, false, false, false, true}, /* it was finished */
        {true, true, false, false, false},   {true, false, true, false, false},
        {true, false, false, true, false}, /* there is work for another one */
        {false, false, false, false, false},
    };
    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        struct gate g;
        begin(&g);
        gate_core_set(&g.core, 1, PATIENCE, row[i].respawn_clean);
        comes_up(&g, 1);
        if (row[i].in_flight)
            asks_for_replay(&g);
        if (row[i].held_back) {
            gate_core_hold(&g.core);
            waits(&g, GATE_LINE_REQUEST);
        }
        gate_core_ended(&g.core, row[i].clean);
        assert_int_equal(offered(&g), row[i].over ? GATE_ACTION_EXIT : GATE_ACTION_ASK);
    }
}

/* --- long lines, copies ------------------------------------------------------------------------------- */

static void test_a_long_line_is_cut_by_the_end_of_its_worker(void **state)
{
    (void)state;
    struct gate g;
    begin(&g);
    comes_up(&g, 1);
    int older = asks_for_replay(&g);
    assert_int_equal(judged(&g, GATE_LINE_REQUEST), GATE_PASS);
    dies(&g);
    comes_up(&g, 2);
    resends(&g, older); /* the rest of the line is still to come */
    answered(&g, older);
    int cut = gate_core_cut(&g.core, GATE_LINE_REQUEST, true);
    resends(&g, cut); /* that counted as a try */
    dies(&g);
    does(&g, GATE_ACTION_ASK);
    fails(&g, cut, GATE_FAILURE_POISON);
}

static void test_a_cut_line_without_a_copy_fails(void **state)
{
    (void)state;
    struct gate g;
    begin(&g);
    comes_up(&g, 1);
    assert_int_equal(judged(&g, GATE_LINE_REQUEST), GATE_PASS);
    gate_core_ended(&g.core, true); /* clean, but not finished */
    int cut = gate_core_cut(&g.core, GATE_LINE_REQUEST, false);
    does(&g, GATE_ACTION_ASK);
    fails(&g, cut, GATE_FAILURE_ENDED);
}

static void test_a_line_is_cut_when_no_worker_is_coming(void **state)
{
    (void)state;
    for (int over = 0; over < 2; over++) {
        struct gate g;
        begin(&g);
        comes_up(&g, 1);
        assert_int_equal(judged(&g, GATE_LINE_REQUEST), GATE_PASS);
        dies(&g);
        does(&g, GATE_ACTION_ASK);
        if (over)
            gate_core_stop(&g.core);
        else
            gate_core_refused(&g.core);
        rests(&g); /* it does not end before it is known what becomes of the line */
        int cut = gate_core_cut(&g.core, GATE_LINE_REQUEST, true);
        fails(&g, cut, over ? GATE_FAILURE_ENDED : GATE_FAILURE_DOWN);
        assert_int_equal(offered(&g), over ? GATE_ACTION_EXIT : GATE_ACTION_NONE);
    }
}

static void test_a_cut_notification_is_gone(void **state)
{
    (void)state;
    struct gate g;
    begin(&g);
    comes_up(&g, 1);
    assert_int_equal(judged(&g, GATE_LINE_REQUEST), GATE_PASS); /* what it is was not known yet */
    dies(&g);
    assert_int_equal(gate_core_cut(&g.core, GATE_LINE_ONE_WAY, true), -1);
    assert_int_equal(g.core.used, 0);
}

static void test_a_line_of_which_nothing_was_sent_is_in_front_again(void **state)
{
    (void)state;
    struct gate g;
    begin(&g);
    comes_up(&g, 1);
    assert_int_equal(judged(&g, GATE_LINE_REQUEST), GATE_PASS);
    dies(&g);
    gate_core_unsent(&g.core);
    waits(&g, GATE_LINE_REQUEST);
    comes_up(&g, 2);
    int slot = asks(&g); /* the first time, though it must not be sent again */
    assert_int_equal(g.core.slots[slot].tries, 1);
}

static void test_a_lost_copy(void **state)
{
    (void)state;
    struct gate g;
    begin(&g);
    comes_up(&g, 1);
    int a = asks_for_replay(&g), b = asks_for_replay(&g);
    gate_core_copy_lost(&g.core, a);
    assert_int_equal(g.core.sent, 2); /* it may be answered yet */
    dies(&g);
    gate_core_copy_lost(&g.core, b);
    does(&g, GATE_ACTION_ASK);
    fails(&g, a, GATE_FAILURE_ENDED);
    fails(&g, b, GATE_FAILURE_ENDED);
}

/* It lay in the pipe when its worker ended: nobody can have acted upon it. */
static void test_what_was_never_read_may_be_sent_again(void **state)
{
    (void)state;
    struct gate g;
    begin(&g);
    comes_up(&g, 1);
    int read = asks(&g), unread = asks(&g);
    gate_core_unread(&g.core, unread);
    dies(&g);
    comes_up(&g, 2);
    resends(&g, unread);
    fails(&g, read, GATE_FAILURE_ENDED);
    assert_int_equal(g.core.slots[unread].tries, 1);
    dies(&g); /* this one had read it */
    does(&g, GATE_ACTION_ASK);
    fails(&g, unread, GATE_FAILURE_ENDED);
}

static void test_a_long_line_that_was_never_read(void **state)
{
    (void)state;
    struct gate g;
    begin(&g);
    comes_up(&g, 1);
    assert_int_equal(judged(&g, GATE_LINE_REQUEST), GATE_PASS);
    dies(&g);
    int slot = gate_core_cut_unread(&g.core, GATE_LINE_REQUEST, false);
    comes_up(&g, 2);
    resends(&g, slot); /* its first try, and its only one */
    dies(&g);
    does(&g, GATE_ACTION_ASK);
    fails(&g, slot, GATE_FAILURE_ENDED);
}

static void test_what_was_never_read_is_no_poison(void **state)
{
    (void)state;
    struct gate g;
    begin(&g);
    comes_up(&g, 1);
    int slot = asks_for_replay(&g);
    for (uint32_t generation = 2; generation < 6; generation++) {
        gate_core_unread(&g.core, slot);
        dies(&g);
        comes_up(&g, generation);
        resends(&g, slot);
    }
    gate_core_unread(&g.core, slot);
    gate_core_copy_lost(&g.core, slot); /* but what cannot be read back is gone */
    dies(&g);
    does(&g, GATE_ACTION_ASK);
    fails(&g, slot, GATE_FAILURE_ENDED);
}

/* What had not even left the gate is in front again, and is no reason to end. */
static void test_what_was_never_written_is_in_front_again(void **state)
{
    (void)state;
    for (int whole = 0; whole < 2; whole++) {
        struct gate g;
        begin(&g);
        comes_up(&g, 1);
        assert_int_equal(judged(&g, GATE_LINE_REQUEST), GATE_PASS);
        gate_core_recall(&g.core, whole ? gate_core_passed(&g.core, GATE_LINE_REQUEST, false, g.now_us) : -1);
        gate_core_ended(&g.core, true);
        assert_int_equal(g.core.used, 0);
        does(&g, GATE_ACTION_ASK);
        waits(&g, GATE_LINE_REQUEST);
        assert_int_equal(deadline(&g), g.now_us + PATIENCE);
        assert_true(gate_core_started(&g.core, 2, 0));
        does(&g, GATE_ACTION_TELL_READY);
        assert_int_equal(g.core.slots[asks(&g)].tries, 1);
    }
}

static void test_the_gate_does_not_end_over_a_line_that_came_back(void **state)
{
    (void)state;
    struct gate g;
    begin(&g);
    comes_up(&g, 1);
    gate_core_recall(&g.core, asks(&g));
    gate_core_stop(&g.core);
    dies(&g);
    rests(&g);
    rejects(&g, GATE_LINE_REQUEST, GATE_FAILURE_DOWN);
    does(&g, GATE_ACTION_EXIT);
}

/* --- patience ------------------------------------------------------------------------------------------ */

static void test_patience_of_the_request_in_front(void **state)
{
    (void)state;
    for (int late = 0; late < 2; late++) {
        struct gate g;
        begin(&g);
        does(&g, GATE_ACTION_ASK);
        waits(&g, GATE_LINE_REQUEST);
        assert_int_equal(deadline(&g), SEC + PATIENCE);
        g.now_us = SEC + PATIENCE - 1;
        rests(&g);
        waits(&g, GATE_LINE_REQUEST);
        g.now_us = SEC + PATIENCE + late;
        rests(&g);
        rejects(&g, GATE_LINE_REQUEST, GATE_FAILURE_IMPATIENT);
        assert_int_equal(deadline(&g), NEVER);
        /* behind it in the pipe: they have waited with it */
        rejects(&g, GATE_LINE_ONE_WAY, GATE_FAILURE_IMPATIENT);
        rejects(&g, GATE_LINE_REQUEST, GATE_FAILURE_IMPATIENT);
        /* came later: waits anew */
        g.now_us++;
        waits(&g, GATE_LINE_REQUEST);
        assert_int_equal(deadline(&g), g.now_us + PATIENCE);
    }
}

static void test_patience_goes_on_while_workers_fail_to_come_up(void **state)
{
    (void)state;
    struct gate g;
    begin(&g);
    waits(&g, GATE_LINE_REQUEST);
    for (uint32_t generation = 1; generation < 4; generation++) {
        does(&g, GATE_ACTION_ASK);
        assert_true(gate_core_started(&g.core, generation, 1));
        does(&g, GATE_ACTION_HANDSHAKE);
        g.now_us += PATIENCE / 4;
        waits(&g, GATE_LINE_REQUEST);
        dies(&g);
    }
    assert_int_equal(deadline(&g), SEC + PATIENCE);
}

static void test_patience_of_those_to_be_sent_again(void **state)
{
    (void)state;
    for (int late = 0; late < 2; late++) {
        struct gate g;
        begin(&g);
        comes_up(&g, 1);
        int a = asks_for_replay(&g), b = asks_for_replay(&g);
        g.now_us = 5 * SEC;
        dies(&g);
        does(&g, GATE_ACTION_ASK);
        assert_int_equal(deadline(&g), 5 * SEC + PATIENCE);
        g.now_us = 5 * SEC + PATIENCE - 1;
        rests(&g);
        g.now_us = 5 * SEC + PATIENCE + late;
        fails(&g, a, GATE_FAILURE_IMPATIENT);
        fails(&g, b, GATE_FAILURE_IMPATIENT);
        rests(&g);
        assert_int_equal(deadline(&g), NEVER);
    }
}

/* Who waits for those before it, with a worker that is UP, has not begun to wait for a worker. */
static void test_patience_begins_anew_with_a_worker(void **state)
{
    (void)state;
    struct gate g;
    begin(&g);
    comes_up(&g, 1);
    int a = asks_for_replay(&g), b = asks_for_replay(&g);
    dies(&g);
    does(&g, GATE_ACTION_ASK);
    rests(&g);
    g.now_us += PATIENCE - 1;
    assert_true(gate_core_started(&g.core, 2, 0));
    does(&g, GATE_ACTION_TELL_READY);
    resends(&g, a);
    rests(&g);
    g.now_us += PATIENCE;
    rests(&g);
    dies(&g);
    does(&g, GATE_ACTION_ASK);
    fails(&g, a, GATE_FAILURE_POISON);
    rests(&g);
    assert_int_equal(deadline(&g), g.now_us + PATIENCE);
    assert_true(gate_core_started(&g.core, 3, 0));
    does(&g, GATE_ACTION_TELL_READY);
    resends(&g, b);
}

/* --- orders --------------------------------------------------------------------------------------------- */

enum order { HOLD, PACE_COUNT, PACE_RATE, DRAIN, HOLD_AND_DRAIN, ORDER_COUNT };

static void orders(struct gate *g, enum order order)
{
    if (order == HOLD || order == HOLD_AND_DRAIN)
        gate_core_hold(&g->core);
    if (order == PACE_COUNT)
        gate_core_pace(&g->core, 1, 0);
    if (order == PACE_RATE)
        gate_core_pace(&g->core, 0, 2 * PATIENCE);
    if (order == DRAIN || order == HOLD_AND_DRAIN)
        gate_core_drain(&g->core);
}

/* A request is in flight, the next one is held back: for so long, and no longer. Then the same again. */
static void test_no_order_holds_a_request_longer_than_patience(void **state)
{
    (void)state;
    for (enum order order = HOLD; order < ORDER_COUNT; order++)
        for (uint64_t late = 0; late < 2; late++) {
            struct gate g;
            begin(&g);
            comes_up(&g, 1);
            if (order == PACE_RATE)
                orders(&g, order);
            asks(&g);
            orders(&g, order);
            for (int round = 0; round < 2; round++) {
                if (round > 0)
                    orders(&g, order);
                if (round > 0 && order == PACE_RATE)
                    asks(&g);
                rests(&g);
                waits(&g, GATE_LINE_REQUEST);
                uint64_t from_us = g.now_us;
                assert_int_equal(deadline(&g), from_us + PATIENCE);
                g.now_us = from_us + PATIENCE - 1;
                rests(&g);
                waits(&g, GATE_LINE_REQUEST);
                g.now_us = from_us + PATIENCE + late;
                asks(&g);
                does(&g, GATE_ACTION_TELL_BOUND);
                rests(&g);
                assert_int_equal(g.core.flow, GATE_FLOW_OPEN);
                assert_false(g.core.drain);
            }
        }
}

/* An order that is given again before the one that has waited could pass gains nothing. */
static void test_an_order_repeated_at_the_bound(void **state)
{
    (void)state;
    struct gate g;
    begin(&g);
    comes_up(&g, 1);
    gate_core_hold(&g.core);
    waits(&g, GATE_LINE_REQUEST);
    g.now_us += PATIENCE - 1;
    gate_core_release(&g.core);
    gate_core_hold(&g.core);
    waits(&g, GATE_LINE_REQUEST);
    g.now_us++;
    gate_core_drain(&g.core);
    asks(&g);
    does(&g, GATE_ACTION_TELL_BOUND);
}

/* Waiting for a worker and being held back is one wait to who waits. */
static void test_patience_is_one_for_worker_and_order(void **state)
{
    (void)state;
    struct gate g;
    begin(&g);
    gate_core_hold(&g.core);
    does(&g, GATE_ACTION_ASK);
    waits(&g, GATE_LINE_REQUEST);
    g.now_us += PATIENCE / 2;
    assert_true(gate_core_started(&g.core, 1, 0));
    does(&g, GATE_ACTION_TELL_READY);
    waits(&g, GATE_LINE_REQUEST);
    assert_int_equal(deadline(&g), SEC + PATIENCE);
    g.now_us = SEC + PATIENCE;
    asks(&g);
    does(&g, GATE_ACTION_TELL_BOUND);

    begin(&g); /* without a worker the order is not to blame, and stays */
    gate_core_hold(&g.core);
    does(&g, GATE_ACTION_ASK);
    waits(&g, GATE_LINE_REQUEST);
    g.now_us += PATIENCE;
    rejects(&g, GATE_LINE_REQUEST, GATE_FAILURE_IMPATIENT);
    rests(&g);
    assert_int_equal(g.core.flow, GATE_FLOW_HELD);
}

static void test_orders_hold_back_what_is_to_be_sent_again(void **state)
{
    (void)state;
    for (enum order order = HOLD; order < ORDER_COUNT; order++) {
        if (order == PACE_COUNT)
            continue; /* they go one at a time anyway */
        struct gate g;
        begin(&g);
        comes_up(&g, 1);
        int slot = asks_for_replay(&g), second = order == PACE_RATE ? asks_for_replay(&g) : -1;
        dies(&g);
        comes_up(&g, 2);
        orders(&g, order);
        if (order == PACE_RATE) {
            resends(&g, slot);
            answered(&g, slot);
            slot = second;
        }
        if (order == DRAIN || order == HOLD_AND_DRAIN)
            does(&g, GATE_ACTION_TELL_DRAINED);
        rests(&g);
        assert_int_equal(deadline(&g), g.now_us + PATIENCE);
        g.now_us += PATIENCE - 1;
        rests(&g);
        g.now_us++;
        does(&g, GATE_ACTION_TELL_BOUND);
        resends(&g, slot);
        rests(&g);
    }
}

static void test_pace_by_count(void **state)
{
    (void)state;
    struct gate g;
    begin(&g);
    comes_up(&g, 1);
    gate_core_pace(&g.core, 2, 0);
    int a = asks(&g);
    asks(&g);
    waits(&g, GATE_LINE_REQUEST);
    passes(&g, GATE_LINE_ONE_WAY, false); /* puts nothing in flight */
    answered(&g, a);
    asks(&g);
    gate_core_pace(&g.core, 3, 0);
    asks(&g);
    waits(&g, GATE_LINE_REQUEST);
    gate_core_release(&g.core);
    asks(&g);
    assert_int_equal(offered(&g), GATE_ACTION_NONE); /* nothing was ended by patience */
}

static void test_pace_by_rate(void **state)
{
    (void)state;
    for (uint64_t late = 0; late < 2; late++) {
        struct gate g;
        begin(&g);
        comes_up(&g, 1);
        asks(&g);
        gate_core_pace(&g.core, 0, 5 * SEC);
        asks(&g); /* the first one of a pace at once */
        passes(&g, GATE_LINE_RESPONSE, false);
        waits(&g, GATE_LINE_REQUEST);
        waits(&g, GATE_LINE_ONE_WAY);
        assert_int_equal(deadline(&g), SEC + 5 * SEC);
        gate_core_pace(&g.core, 0, 10 * SEC); /* a new rate counts from the same line */
        waits(&g, GATE_LINE_REQUEST);
        assert_int_equal(deadline(&g), SEC + 10 * SEC);
        g.now_us = SEC + 10 * SEC - 1;
        rests(&g);
        waits(&g, GATE_LINE_REQUEST);
        g.now_us = SEC + 10 * SEC + late;
        asks(&g);
        waits(&g, GATE_LINE_REQUEST);
        assert_int_equal(deadline(&g), g.now_us + 10 * SEC);
    }
}

static void test_pace_by_rate_of_those_sent_again(void **state)
{
    (void)state;
    struct gate g;
    begin(&g);
    comes_up(&g, 1);
    int a = asks_for_replay(&g), b = asks_for_replay(&g);
    dies(&g);
    gate_core_pace(&g.core, 0, 5 * SEC);
    comes_up(&g, 2);
    resends(&g, a);
    answered(&g, a);
    rests(&g);
    assert_int_equal(deadline(&g), SEC + 5 * SEC);
    g.now_us = SEC + 5 * SEC - 1;
    rests(&g);
    g.now_us++;
    resends(&g, b);
}

static void test_a_response_passes_every_order(void **state)
{
    (void)state;
    for (enum order order = HOLD; order < ORDER_COUNT; order++) {
        struct gate g;
        begin(&g);
        comes_up(&g, 1);
        orders(&g, order);
        passes(&g, GATE_LINE_RESPONSE, false);
        passes(&g, GATE_LINE_RESPONSE, false);
    }
}

static void test_a_response_to_a_worker_that_is_gone(void **state)
{
    (void)state;
    struct gate g;
    begin(&g);
    comes_up(&g, 1);
    dies(&g);
    assert_int_equal(judged(&g, GATE_LINE_RESPONSE), GATE_REJECT);
    does(&g, GATE_ACTION_ASK);
    assert_int_equal(judged(&g, GATE_LINE_RESPONSE), GATE_REJECT);
    assert_true(gate_core_started(&g.core, 2, 1));
    waits(&g, GATE_LINE_RESPONSE); /* that one may have asked */
}

/* --- drain ------------------------------------------------------------------------------------------------ */

static void test_drain_is_told_when_nothing_is_in_flight(void **state)
{
    (void)state;
    struct gate g;
    begin(&g);
    comes_up(&g, 1);
    int a = asks(&g);
    assert_int_equal(judged(&g, GATE_LINE_REQUEST), GATE_PASS); /* a long one, half sent */
    gate_core_drain(&g.core);
    rests(&g);
    answered(&g, a);
    rests(&g);
    int b = gate_core_passed(&g.core, GATE_LINE_REQUEST, false, g.now_us);
    rests(&g);
    answered(&g, b);
    does(&g, GATE_ACTION_TELL_DRAINED);
    waits(&g, GATE_LINE_REQUEST);
    rests(&g);
    gate_core_drain(&g.core); /* another order: told again */
    does(&g, GATE_ACTION_TELL_DRAINED);
    dies(&g);
    waits(&g, GATE_LINE_REQUEST);
    comes_up(&g, 2);
    asks(&g);
    rests(&g);
}

static void test_drain_without_a_worker(void **state)
{
    (void)state;
    struct gate g;
    begin(&g);
    comes_up(&g, 1);
    dies(&g);
    gate_core_drain(&g.core); /* it was gone already: the next one is the one that is meant */
    does(&g, GATE_ACTION_ASK);
    does(&g, GATE_ACTION_TELL_DRAINED);
    assert_true(gate_core_started(&g.core, 2, 0));
    does(&g, GATE_ACTION_TELL_READY);
    assert_false(g.core.drain);
    asks(&g);
}

static void test_drain_during_a_handshake(void **state)
{
    (void)state;
    struct gate g;
    begin(&g);
    does(&g, GATE_ACTION_ASK);
    assert_true(gate_core_started(&g.core, 1, 1));
    gate_core_drain(&g.core); /* that one is to go */
    does(&g, GATE_ACTION_TELL_DRAINED);
    does(&g, GATE_ACTION_HANDSHAKE);
    gate_core_handshake_answered(&g.core, true);
    does(&g, GATE_ACTION_TELL_READY);
    waits(&g, GATE_LINE_REQUEST);
    dies(&g);
    comes_up(&g, 2);
    asks(&g);
}

static void test_drain_undone(void **state)
{
    (void)state;
    struct gate g;
    begin(&g);
    comes_up(&g, 1);
    int a = asks(&g);
    gate_core_drain(&g.core);
    waits(&g, GATE_LINE_REQUEST);
    gate_core_release(&g.core);
    asks(&g);
    answered(&g, a);
    rests(&g);
}

/* --- the worker's life ------------------------------------------------------------------------------------- */

static void test_handshake(void **state)
{
    (void)state;
    struct gate g;
    begin(&g);
    does(&g, GATE_ACTION_ASK);
    assert_true(gate_core_started(&g.core, 7, 2));
    gate_core_handshake_answered(&g.core, true); /* nothing was sent yet: not an answer to it */
    for (uint32_t i = 0; i < 2; i++) {
        assert_int_equal(does(&g, GATE_ACTION_HANDSHAKE).index, i);
        rests(&g);
        waits(&g, GATE_LINE_REQUEST);
        gate_core_handshake_answered(&g.core, true);
    }
    does(&g, GATE_ACTION_TELL_READY);
    asks(&g);
}

static void test_handshake_that_fails(void **state)
{
    (void)state;
    struct gate g;
    begin(&g);
    does(&g, GATE_ACTION_ASK);
    assert_true(gate_core_started(&g.core, 1, 2));
    does(&g, GATE_ACTION_HANDSHAKE);
    gate_core_handshake_answered(&g.core, false);
    does(&g, GATE_ACTION_KILL);
    gate_core_handshake_answered(&g.core, true); /* too late */
    rests(&g);
    gate_core_ended(&g.core, true); /* however it went: not of its own accord */
    does(&g, GATE_ACTION_ASK);
    assert_true(gate_core_started(&g.core, 2, 1));
    assert_int_equal(does(&g, GATE_ACTION_HANDSHAKE).index, 0);
}

static void test_a_worker_ends_during_its_handshake(void **state)
{
    (void)state;
    struct gate g;
    begin(&g);
    comes_up(&g, 1);
    int slot = asks_for_replay(&g);
    dies(&g);
    does(&g, GATE_ACTION_ASK);
    assert_true(gate_core_started(&g.core, 2, 1));
    does(&g, GATE_ACTION_HANDSHAKE);
    dies(&g);
    does(&g, GATE_ACTION_ASK);
    gate_core_ended(&g.core, false); /* this one even while it waited for its place */
    comes_up(&g, 3);
    resends(&g, slot); /* none of that was its try */
    assert_int_equal(g.core.slots[slot].tries, 2);
}

static void test_refused(void **state)
{
    (void)state;
    struct gate g;
    begin(&g);
    gate_core_refused(&g.core); /* nothing was asked: nothing happens */
    comes_up(&g, 1);
    gate_core_refused(&g.core);
    int slot = asks_for_replay(&g);
    dies(&g);
    does(&g, GATE_ACTION_ASK);
    gate_core_refused(&g.core);
    fails(&g, slot, GATE_FAILURE_DOWN);
    rests(&g);
    rejects(&g, GATE_LINE_REQUEST, GATE_FAILURE_DOWN);
    rejects(&g, GATE_LINE_ONE_WAY, GATE_FAILURE_DOWN);
    assert_false(gate_core_started(&g.core, 2, 0));
    gate_core_ended(&g.core, false);
    rests(&g);
    gate_core_ask_again(&g.core);
    waits(&g, GATE_LINE_REQUEST);
    gate_core_ask_again(&g.core);
    comes_up(&g, 2);
    asks(&g);
}

/* --- the server's end ----------------------------------------------------------------------------------------- */

static void test_the_server_closes(void **state)
{
    (void)state;
    struct gate g;
    begin(&g);
    comes_up(&g, 1);
    int a = asks_for_replay(&g), b = asks_for_replay(&g), c = asks_for_replay(&g);
    dies(&g);
    comes_up(&g, 2);
    gate_core_server_closed(&g.core);
    resends(&g, a);
    answered(&g, a);
    resends(&g, b);
    answered(&g, b);
    resends(&g, c);
    does(&g, GATE_ACTION_CLOSE_STDIN); /* not before all has been passed */
    rests(&g);
    dies(&g);
    fails(&g, c, GATE_FAILURE_POISON);
    assert_int_equal(does(&g, GATE_ACTION_EXIT).kind, GATE_ACTION_EXIT);
}

static void test_the_server_has_closed_and_the_worker_ends(void **state)
{
    (void)state;
    struct gate g;
    begin(&g);
    gate_core_set(&g.core, 1, PATIENCE, true);
    comes_up(&g, 1);
    int a = asks_for_replay(&g), b = asks(&g);
    gate_core_server_closed(&g.core);
    does(&g, GATE_ACTION_CLOSE_STDIN);
    answered(&g, b);
    gate_core_ended(&g.core, true);
    fails(&g, a, GATE_FAILURE_ENDED); /* no other worker comes */
    does(&g, GATE_ACTION_EXIT);
}

static void test_the_server_closes_between_two_workers(void **state)
{
    (void)state;
    for (int asked = 0; asked < 2; asked++) {
        struct gate g;
        begin(&g);
        comes_up(&g, 1);
        int slot = asks_for_replay(&g);
        dies(&g);
        if (asked)
            does(&g, GATE_ACTION_ASK);
        gate_core_server_closed(&g.core);
        fails(&g, slot, GATE_FAILURE_ENDED);
        does(&g, GATE_ACTION_EXIT);
        assert_false(gate_core_started(&g.core, 2, 0));
    }
}

/* `uv --version </dev/null`: the worker is to run all the same. */
static void test_the_server_has_closed_before_the_first_worker(void **state)
{
    (void)state;
    struct gate g;
    begin(&g);
    gate_core_server_closed(&g.core);
    comes_up(&g, 1);
    does(&g, GATE_ACTION_CLOSE_STDIN);
    gate_core_ended(&g.core, true);
    does(&g, GATE_ACTION_EXIT);

    begin(&g);
    does(&g, GATE_ACTION_ASK);
    gate_core_server_closed(&g.core);
    rests(&g);
    gate_core_refused(&g.core);
    does(&g, GATE_ACTION_EXIT);
}

static void test_closed_during_a_handshake(void **state)
{
    (void)state;
    struct gate g;
    begin(&g);
    does(&g, GATE_ACTION_ASK);
    assert_true(gate_core_started(&g.core, 1, 1));
    gate_core_server_closed(&g.core);
    does(&g, GATE_ACTION_HANDSHAKE);
    rests(&g);
    gate_core_handshake_answered(&g.core, true);
    does(&g, GATE_ACTION_TELL_READY);
    does(&g, GATE_ACTION_CLOSE_STDIN);
    rests(&g);
}

static void test_stop(void **state)
{
    (void)state;
    struct gate g;
    begin(&g);
    comes_up(&g, 1);
    int slot = asks_for_replay(&g);
    gate_core_stop(&g.core); /* its worker got the signal, too */
    int late = asks(&g);
    answered(&g, late);
    dies(&g);
    fails(&g, slot, GATE_FAILURE_ENDED);
    does(&g, GATE_ACTION_EXIT);

    begin(&g);
    does(&g, GATE_ACTION_ASK);
    waits(&g, GATE_LINE_REQUEST);
    gate_core_stop(&g.core);
    rests(&g); /* somebody waits for an answer */
    rejects(&g, GATE_LINE_REQUEST, GATE_FAILURE_DOWN);
    does(&g, GATE_ACTION_EXIT);
    assert_false(gate_core_started(&g.core, 1, 0));
}

/* --- the rest --------------------------------------------------------------------------------------------------- */

static void test_patience_without_end(void **state)
{
    (void)state;
    struct gate g;
    begin(&g);
    gate_core_set(&g.core, 1, NEVER, false);
    waits(&g, GATE_LINE_REQUEST);
    comes_up(&g, 1);
    gate_core_hold(&g.core);
    waits(&g, GATE_LINE_REQUEST);
    assert_int_equal(deadline(&g), NEVER);
    g.now_us = NEVER - 1;
    waits(&g, GATE_LINE_REQUEST);
    gate_core_set(&g.core, 1, 0, false); /* or of none at all */
    asks(&g);
    does(&g, GATE_ACTION_TELL_BOUND);
}

static void test_moves(void **state)
{
    (void)state;
    for (int to = 0; to < GATE_WORKER_COUNT; to++) {
        assert_false(gate_core_may_move(GATE_WORKER_OVER, (enum gate_worker)to));
        assert_false(gate_core_may_move((enum gate_worker)to, (enum gate_worker)to));
    }
    assert_false(gate_core_may_move(GATE_WORKER_ASKED, GATE_WORKER_UP));
    assert_true(gate_core_may_move(GATE_WORKER_HANDSHAKE, GATE_WORKER_UP));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_request_and_its_answer),
        cmocka_unit_test(test_lines_without_an_answer_take_no_slot),
        cmocka_unit_test(test_slots_run_out_and_no_patience_helps),
        cmocka_unit_test(test_a_request_in_disguise_finds_no_slot),
        cmocka_unit_test(test_what_was_in_flight_is_sent_again_or_fails),
        cmocka_unit_test(test_a_full_output_holds_up_only_its_own),
        cmocka_unit_test(test_a_request_that_kills_its_workers_is_told_from_its_neighbours),
        cmocka_unit_test(test_replay_max_of_none),
        cmocka_unit_test(test_a_batch_partly_answered_is_not_sent_again),
        cmocka_unit_test(test_a_late_answer_is_nobodys),
        cmocka_unit_test(test_a_worker_of_no_successor_ends),
        cmocka_unit_test(test_a_long_line_is_cut_by_the_end_of_its_worker),
        cmocka_unit_test(test_a_cut_line_without_a_copy_fails),
        cmocka_unit_test(test_a_line_is_cut_when_no_worker_is_coming),
        cmocka_unit_test(test_a_cut_notification_is_gone),
        cmocka_unit_test(test_a_line_of_which_nothing_was_sent_is_in_front_again),
        cmocka_unit_test(test_a_lost_copy),
        cmocka_unit_test(test_what_was_never_read_may_be_sent_again),
        cmocka_unit_test(test_a_long_line_that_was_never_read),
        cmocka_unit_test(test_what_was_never_read_is_no_poison),
        cmocka_unit_test(test_what_was_never_written_is_in_front_again),
        cmocka_unit_test(test_the_gate_does_not_end_over_a_line_that_came_back),
        cmocka_unit_test(test_patience_of_the_request_in_front),
        cmocka_unit_test(test_patience_goes_on_while_workers_fail_to_come_up),
        cmocka_unit_test(test_patience_of_those_to_be_sent_again),
        cmocka_unit_test(test_patience_begins_anew_with_a_worker),
        cmocka_unit_test(test_no_order_holds_a_request_longer_than_patience),
        cmocka_unit_test(test_an_order_repeated_at_the_bound),
        cmocka_unit_test(test_patience_is_one_for_worker_and_order),
        cmocka_unit_test(test_orders_hold_back_what_is_to_be_sent_again),
        cmocka_unit_test(test_pace_by_count),
        cmocka_unit_test(test_pace_by_rate),
        cmocka_unit_test(test_pace_by_rate_of_those_sent_again),
        cmocka_unit_test(test_a_response_passes_every_order),
        cmocka_unit_test(test_a_response_to_a_worker_that_is_gone),
        cmocka_unit_test(test_drain_is_told_when_nothing_is_in_flight),
        cmocka_unit_test(test_drain_without_a_worker),
        cmocka_unit_test(test_drain_during_a_handshake),
        cmocka_unit_test(test_drain_undone),
        cmocka_unit_test(test_handshake),
        cmocka_unit_test(test_handshake_that_fails),
        cmocka_unit_test(test_a_worker_ends_during_its_handshake),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_the_server_closes),
        cmocka_unit_test(test_the_server_has_closed_and_the_worker_ends),
        cmocka_unit_test(test_the_server_closes_between_two_workers),
        cmocka_unit_test(test_the_server_has_closed_before_the_first_worker),
        cmocka_unit_test(test_closed_during_a_handshake),
        cmocka_unit_test(test_stop),
        cmocka_unit_test(test_patience_without_end),
        cmocka_unit_test(test_moves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
