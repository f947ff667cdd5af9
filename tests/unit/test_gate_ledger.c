/* SPDX-License-Identifier: MIT */
/* The gate's open ids: found by meaning, the oldest first; counted by slot; against a plain list, at random. */
#include "check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ledger.h"

#define NOW_US 1000

static struct ledger *new_ledger(void)
{
    struct ledger *l = malloc(sizeof(*l));
    assert_non_null(l);
    memset(l, 0xa5, sizeof(*l)); /* what ledger_init() leaves alone is not looked at */
    ledger_init(l);
    return l;
}

static int setup(void **state)
{
    *state = new_ledger();
    return 0;
}

static int teardown(void **state)
{
    free(*state);
    return 0;
}

static void set_id(struct scan_id *id, enum scan_id_kind kind, const char *key)
{
    id->kind = kind;
    id->key_length = id->raw_length = (uint16_t)strlen(key);
    memcpy(id->key, key, id->key_length);
    memcpy(id->raw, key, id->raw_length);
}

static struct scan_id number(uint64_t n)
{
    struct scan_id id = {0};
    char text[24];
    (void)snprintf(text, sizeof(text), "%llu", (unsigned long long)n);
    set_id(&id, SCAN_ID_NUMBER, text);
    return id;
}

/* A line of requests, one for each id. */
static struct scan_line *line_of(const struct scan_id *ids, uint32_t count, bool is_batch)
{
    struct scan_line *line = calloc(1, sizeof(*line));
    assert_non_null(line);
    line->is_batch = is_batch;
    line->count = count;
    for (uint32_t i = 0; i < count && i < SCAN_BATCH_MAX; i++) {
        line->message[i].kind = SCAN_REQUEST;
        line->message[i].id = ids[i];
    }
    return line;
}

static void open_one(struct ledger *l, int slot, struct scan_id id, uint16_t method)
{
    struct scan_line *line = line_of(&id, 1, false);
    assert_true(ledger_can_follow(l, line));
    ledger_open(l, slot, line, &method, NOW_US);
    free(line);
}

static void one_request_and_its_answer(void **state)
{
    struct ledger *l = *state;
    struct scan_id one = number(1), two = number(2);
    open_one(l, 7, one, 3);
    assert_int_equal(ledger_find(l, &two), LEDGER_NONE);
    uint16_t at = ledger_find(l, &one);
    assert_int_not_equal(at, LEDGER_NONE);
    assert_int_equal(l->ids[at].slot, 7);
    assert_int_equal(l->ids[at].method, 3);
    assert_int_equal(l->ids[at].since_us, NOW_US);
    assert_false(l->slots[7].is_batch);
    assert_true(ledger_answer(l, at));
    assert_int_equal(ledger_find(l, &one), LEDGER_NONE);
    assert_int_equal(l->used, 0);
}

static void a_number_is_no_string(void **state)
{
    struct ledger *l = *state;
    struct scan_id text = {0}, one = number(1), null = {.kind = SCAN_ID_NULL};
    set_id(&text, SCAN_ID_STRING, "1");
    open_one(l, 0, one, 0);
    assert_int_equal(ledger_find(l, &text), LEDGER_NONE);
    assert_int_equal(ledger_find(l, &null), LEDGER_NONE);
    open_one(l, 1, text, 0);
    assert_int_equal(l->ids[ledger_find(l, &text)].slot, 1);
    assert_int_equal(l->ids[ledger_find(l, &one)].slot, 0);
}

static void an_id_used_twice_is_answered_in_order(void **state)
{
    struct ledger *l = *state;
    struct scan_id id = number(5);
    for (int slot = 10; slot < 13; slot++)
        open_one(l, slot, id, 0);
    for (int slot = 10; slot < 13; slot++) {
        uint16_t at = ledger_find(l, &id);
        assert_int_equal(l->ids[at].slot, slot);
        assert_true(ledger_answer(l, at));
    }
    assert_int_equal(ledger_find(l, &id), LEDGER_NONE);
}

static void a_batch_is_done_with_its_last_answer(void **state)
{
    struct ledger *l = *state;
    struct scan_id ids[] = {number(1), number(2), number(3)};
    const uint16_t methods[] = {4, 5, 6};
    struct scan_line *line = line_of(ids, 3, true);
    line->message[1].kind = SCAN_NOTIFICATION;
    ledger_open(l, 0, line, methods, NOW_US);
    assert_true(l->slots[0].is_batch);
    assert_int_equal(l->slots[0].count, 2);
    assert_int_equal(ledger_find(l, &ids[1]), LEDGER_NONE);
    /* in the order of the line, with the methods of their messages */
    uint16_t first = l->slots[0].first, second = l->ids[first].next_of_slot;
    assert_int_equal(l->ids[first].method, 4);
    assert_int_equal(l->ids[second].method, 6);
    assert_int_equal(l->ids[second].next_of_slot, LEDGER_NONE);
    assert_false(ledger_answer(l, ledger_find(l, &ids[2])));
    assert_int_equal(l->slots[0].first, first);
    assert_true(ledger_answer(l, ledger_find(l, &ids[0])));
    free(line);
}

static void what_cannot_be_followed(void **state)
{
    struct ledger *l = *state;
    struct scan_id id = number(1);
    struct scan_line *line = line_of(&id, 1, true);
    assert_true(ledger_can_follow(l, line));
    line->untold = 1;
    assert_false(ledger_can_follow(l, line));
    line->untold = 0;
    line->message[0].id.kind = SCAN_ID_LONG;
    assert_false(ledger_can_follow(l, line));
    line->message[0].id.kind = SCAN_ID_OTHER;
    assert_false(ledger_can_follow(l, line));
    line->message[0].kind = SCAN_NOTIFICATION;
    assert_true(ledger_can_follow(l, line));
    free(line);
}

/* The pool: LEDGER_IDS_MAX ids, not one more, and all of them again. */
static void the_pool_is_bounded(void **state)
{
    struct ledger *l = *state;
    uint16_t methods[SCAN_BATCH_MAX] = {0};
    struct scan_id ids[SCAN_BATCH_MAX];
    const int slots = LEDGER_IDS_MAX / SCAN_BATCH_MAX;
    for (int round = 0; round < 3; round++) {
        for (int slot = 0; slot < slots; slot++) {
            for (uint64_t i = 0; i < SCAN_BATCH_MAX; i++)
                ids[i] = number((uint64_t)slot * SCAN_BATCH_MAX + i);
            struct scan_line *line = line_of(ids, SCAN_BATCH_MAX, true);
            assert_true(ledger_can_follow(l, line));
            ledger_open(l, slot, line, methods, NOW_US);
            free(line);
        }
        assert_int_equal(l->used, LEDGER_IDS_MAX);
        struct scan_line *more = line_of(ids, 1, false);
        assert_false(ledger_can_follow(l, more));
        free(more);
        for (int slot = 0; slot < slots; slot++)
            ledger_close(l, slot);
        assert_int_equal(l->used, 0);
        assert_int_equal(ledger_find(l, &ids[0]), LEDGER_NONE);
    }
}

struct open_id {
    uint64_t id;
    int slot;
};

/* Against a list that is searched from its oldest entry. */
static void as_a_plain_list_would(void **state)
{
    struct ledger *l = *state;
    struct open_id list[GATE_SLOTS_MAX];
    size_t count = 0;
    bool taken[GATE_SLOTS_MAX] = {false};
    uint64_t rng = 42;
    for (int step = 0; step < 200000; step++) {
        uint64_t id = rng_below(&rng, 60);
        struct scan_id scanned = number(id);
        if (rng_below(&rng, 2) == 0 && count < GATE_SLOTS_MAX) {
            int slot = (int)rng_below(&rng, GATE_SLOTS_MAX);
            while (taken[slot])
                slot = (slot + 1) % GATE_SLOTS_MAX;
            open_one(l, slot, scanned, 0);
            taken[slot] = true;
            list[count++] = (struct open_id){id, slot};
            continue;
        }
        size_t i = 0;
        while (i < count && list[i].id != id)
            i++;
        uint16_t at = ledger_find(l, &scanned);
        if (i == count) {
            assert_int_equal(at, LEDGER_NONE);
            continue;
        }
        assert_int_equal(l->ids[at].slot, list[i].slot);
        if (rng_below(&rng, 4) == 0)
            ledger_close(l, list[i].slot);
        else
            assert_true(ledger_answer(l, at));
        taken[list[i].slot] = false;
        memmove(&list[i], &list[i + 1], (--count - i) * sizeof(list[0]));
        assert_int_equal(l->used, count);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(one_request_and_its_answer, setup, teardown),
        cmocka_unit_test_setup_teardown(a_number_is_no_string, setup, teardown),
        cmocka_unit_test_setup_teardown(an_id_used_twice_is_answered_in_order, setup, teardown),
        cmocka_unit_test_setup_teardown(a_batch_is_done_with_its_last_answer, setup, teardown),
        cmocka_unit_test_setup_teardown(what_cannot_be_followed, setup, teardown),
        cmocka_unit_test_setup_teardown(the_pool_is_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(as_a_plain_list_would, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
