/* SPDX-License-Identifier: MIT */
/* A record made row by row, and `weir explain` asked of it. Rows are of the worker; seq and decision ids count up. */
#ifndef WEIR_TESTS_EXPLAIN_KIT_H
#define WEIR_TESTS_EXPLAIN_KIT_H

#include "caught.h"

static struct history h;
static struct store *s;
static uint64_t seq, id;

static inline void begin(void)
{
    s = history_open(&h);
    history_begin(s);
    seq = id = 0;
}

static inline void give_sample(uint64_t second, uint32_t generation, uint64_t mib)
{
    struct event e = history_sample(++seq, second * USEC_PER_SEC, 1, mib << 20);
    e.generation = generation;
    store_event(s, &e);
}

static inline void give(uint64_t second, enum event_kind kind, uint32_t generation)
{
    struct event e = history_event(++seq, second * USEC_PER_SEC, kind, 1);
    e.generation = generation;
    store_event(s, &e);
}

/* Answers the newest event. */
static inline void decide(uint64_t second, enum decision_kind kind, uint32_t generation, uint64_t cause)
{
    struct decision d = history_decision(++id, seq, second * USEC_PER_SEC, kind);
    d.generation = generation;
    d.cause_id = cause;
    store_decision(s, &d);
}

/* A later process of the unit: started at this second, ready the next, so much memory the second after. */
static inline void next_life(uint64_t second, uint32_t generation, uint64_t mib)
{
    give(second, EVENT_EXITED, generation - 1);
    give(second, EVENT_SPAWNED, generation);
    give_sample(second, generation, 3); /* not ready: says nothing yet */
    give(second + 1, EVENT_READY, generation);
    give_sample(second + 2, generation, mib);
}

static inline const char *explain(const char *word, const char *action)
{
    const char *const words[] = {word, action};
    history_flush(s);
    assert_int_equal(
        cli_caught(&h, cmd_explain, (struct cli_args){.words = words, .word_count = action ? 2 : 1}),
        CLI_EXIT_OK);
    const char *conclusion = strstr(output, "Conclusion\n  ");
    assert_non_null(conclusion);
    return conclusion + strlen("Conclusion\n  ");
}

/* Answers the decision of that number. */
static inline void answer(uint64_t second, uint64_t decision_id)
{
    struct event done = history_event(++seq, second * USEC_PER_SEC, EVENT_OUTCOME, 1);
    done.generation = 1;
    done.outcome.decision_id = decision_id;
    store_event(s, &done);
}

static inline int setup(void **state)
{
    (void)state;
    setenv("TZ", "UTC", 1);
    history_make(&h);
    cli_caught_config(&h);
    return 0;
}

static inline int teardown(void **state)
{
    (void)state;
    history_remove(&h);
    return 0;
}

#endif
