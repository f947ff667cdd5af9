/* SPDX-License-Identifier: MIT */
/* What the files of the world share: its books (world_books.c), its events (world.c), what may come of a state
 * (world_future.c), a state as bytes (world_pack.c). */
#ifndef WEIR_TESTS_GATE_WORLD_INSIDE_H
#define WEIR_TESTS_GATE_WORLD_INSIDE_H

#include "world.h"

#define EVERYTHING_FULL (GATE_FULL_SERVER | GATE_FULL_WORKER | GATE_FULL_LINK)
#define BIT(failure)    (uint8_t)(1U << GATE_FAILURE_##failure)
#define HOLDS(w, what)  ((what) ? (void)0 : world_broken((w), #what, __FILE__, __LINE__))

/* A call of the core: at most one move, and that one in the table. */
#define CALL(w, call)                                                                                        \
    do {                                                                                                     \
        enum gate_worker from_ = (w)->core.worker;                                                           \
        call;                                                                                                \
        world_follow((w), from_);                                                                            \
    } while (0)

struct world_line {
    char letter;
    enum gate_line kind;
    uint8_t parts; /* answers that it awaits */
    bool replay, is_long;
};

/* whether world_follow() counts the moves that it sees */
extern bool world_counts_moves;

const struct world_line *world_line_of(const struct scenario *s, int i);
uint8_t world_patience(const struct world *w);
uint8_t world_replay_max(const struct world *w);
void world_settings(struct world *w);
bool world_is_up(const struct world *w);
bool world_in_flight(const struct world *w, int i);
int world_count_in_flight(const struct world *w);
int world_first_again(const struct world *w);
bool world_is_alone(const struct world *w);
bool world_mid_alive(const struct world *w);
bool world_rate_forbids(const struct world *w);
bool world_is_held(const struct world *w);
bool world_over_due(const struct world *w, enum gate_worker now);
bool world_rejects(const struct world *w);
int world_line_in_slot(const struct world *w, int slot);
void world_none_again(struct world *w, uint8_t failure);
void world_orders_end(struct world *w);
enum gate_why world_front_why(const struct world *w, const struct world_line *line);
enum gate_why world_again_why(const struct world *w);
void world_check_books(struct world *w);
void world_follow(struct world *w, enum gate_worker from);
void world_judge(struct world *w);
enum gate_action_kind world_act(struct world *w, uint32_t full);
bool world_go(struct world *w);
bool world_handshake(struct world *w, bool ok);
bool world_answer(struct world *w, int i);
bool world_end(struct world *w, uint8_t variant);
bool world_cut(struct world *w, uint8_t variant);
bool world_unsent(struct world *w);
bool world_closes(struct world *w);
bool world_tick(struct world *w);
bool world_begin(struct world *w);
bool world_whole(struct world *w);
size_t world_core_size(const struct world *w);

#endif
