/* SPDX-License-Identifier: MIT */
/* Whose question a response answers: the oldest of that id. */
#include "check.h"

#include <stdio.h>
#include <string.h>

#include "asked.h"

static struct scan_id id_of(enum scan_id_kind kind, const char *key)
{
    struct scan_id id = {.kind = kind, .key_length = (uint16_t)strlen(key)};
    memcpy(id.key, key, id.key_length);
    return id;
}

static void nobody_asked(void **state)
{
    struct asked a = {0};
    struct scan_id one = id_of(SCAN_ID_NUMBER, "1");
    (void)state;
    assert_false(asked_is_stale(&a, &one, 1));
    asked_forget(&a, &one);
    assert_int_equal(a.count, 0);
}

static void the_same_id_of_two_workers(void **state)
{
    struct asked a = {0};
    struct scan_id one = id_of(SCAN_ID_NUMBER, "1"), text = id_of(SCAN_ID_STRING, "1");
    (void)state;
    asked_add(&a, &one, 1);
    assert_false(asked_is_stale(&a, &one, 1));
    asked_add(&a, &one, 2);
    assert_true(asked_is_stale(&a, &one, 2));
    assert_false(asked_is_stale(&a, &text, 2));
    asked_forget(&a, &one);
    assert_false(asked_is_stale(&a, &one, 2));
    assert_true(asked_is_stale(&a, &one, 3));
    asked_forget(&a, &one);
    assert_int_equal(a.count, 0);
}

/* Answered out of order, and more than there is room for. */
static void the_ring_turns(void **state)
{
    struct asked a = {0};
    char key[3 * ASKED_MAX][8];
    (void)state;
    for (uint32_t i = 0; i < 3 * ASKED_MAX; i++) {
        struct scan_id id;
        (void)snprintf(key[i], sizeof(key[i]), "%u", i);
        id = id_of(SCAN_ID_NUMBER, key[i]);
        asked_add(&a, &id, 1);
        if (i % 2 == 1) { /* the one before stays */
            asked_forget(&a, &id);
            assert_false(asked_is_stale(&a, &id, 2));
        }
    }
    assert_true(a.count <= ASKED_MAX);
    struct scan_id first = id_of(SCAN_ID_NUMBER, key[0]),
                   last = id_of(SCAN_ID_NUMBER, key[3 * ASKED_MAX - 2]);
    assert_false(asked_is_stale(&a, &first, 2)); /* forgotten */
    assert_true(asked_is_stale(&a, &last, 2));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_asked),
        cmocka_unit_test(the_same_id_of_two_workers),
        cmocka_unit_test(the_ring_turns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
