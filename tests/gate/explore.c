/* SPDX-License-Identifier: MIT */
/*
 * Walks through all that can happen to a gate: every interleaving of the events of world.h in small closed worlds,
 * breadth first, each state once, each state checked. What is found wrong is told as the shortest story that leads there.
 *
 * Usage: explore CORE_H [--large] [--only NAME] [--mutant NUMBER]
 *   CORE_H    src/gate/core.h: the table in its comment must be the code's; "-": is not looked at, and one world alone
 *             must take all rows
 *   --large   the large worlds as well
 *   --only    that world alone, be it large or not
 *   --mutant  breaks that rule, in a core made by tests/gate/mutate; 0 if that was found
 */
#include "world.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* clang-format off */
static const struct scenario scenarios[] = {
    /* workers die over requests, one of which must not be sent again */
    {.name = "replay", .lines = "rnrr", .slots = 4, .replay_max = 1, .patience = 2, .generations = 4,
     .full = true, .ticks = true, .order_kinds = ""},
    /* the recorded handshake, workers that die of it or answer it with an error; refusals */
    {.name = "handshake", .lines = "rr", .slots = 2, .replay_max = 2, .patience = 2, .generations = 4,
     .handshakes = 2, .refusals = 2, .ticks = true, .order_kinds = ""},
    /* any orders at any time */
    {.name = "orders", .lines = "rn", .slots = 2, .replay_max = 1, .patience = 2, .generations = 2,
     .orders = 3, .order_kinds = "hcrd", .full = true, .ticks = true},
    /* a drain, and the worker that follows */
    {.name = "drain", .lines = "lro", .slots = 2, .replay_max = 1, .patience = 3, .generations = 3,
     .orders = 2, .order_kinds = "d", .handshakes = 1, .ticks = true},
    /* batches partly answered, copies that are lost */
    {.name = "batch", .lines = "brb", .slots = 3, .replay_max = 2, .patience = 1, .generations = 4,
     .loses_copy = true, .ticks = true, .order_kinds = ""},
    /* long lines, cut by their worker's end */
    {.name = "long", .lines = "lmwr", .slots = 3, .replay_max = 1, .patience = 2, .generations = 3,
     .refusals = 1, .stops = true, .ticks = true, .order_kinds = ""},
    /* what awaits no answer */
    {.name = "one-way", .lines = "orpxr", .slots = 2, .replay_max = 1, .patience = 2, .generations = 3,
     .orders = 1, .order_kinds = "hcrd", .ticks = true},
    /* the server's end, in all its forms */
    {.name = "close", .lines = "rn", .slots = 2, .replay_max = 1, .patience = 2, .generations = 3,
     .refusals = 1, .handshakes = 1, .orders = 1, .order_kinds = "hd", .closes = true, .stops = true,
     .full = true, .ticks = true},
    {.name = "respawn", .lines = "rnr", .slots = 2, .replay_max = 0, .patience = 2, .generations = 3,
     .respawn_clean = true, .closes = true, .full = true, .ticks = true, .order_kinds = ""},
    /* settings that change meanwhile */
    {.name = "reload", .lines = "rr", .slots = 2, .replay_max = 2, .patience = 3, .generations = 4,
     .orders = 1, .order_kinds = "h", .reloads = true, .ticks = true},
    /* what a worker that ended has never read comes back */
    {.name = "unread", .lines = "rnr", .slots = 3, .replay_max = 1, .patience = 1, .generations = 3,
     .takes_back = true, .closes = true, .ticks = true, .order_kinds = ""},
    {.name = "unwritten", .lines = "nmo", .slots = 2, .replay_max = 1, .patience = 2, .generations = 3,
     .refusals = 1, .order_kinds = "", .takes_back = true, .stops = true, .ticks = true},
    /* fewer slots than requests */
    {.name = "slots", .lines = "rnor", .slots = 1, .replay_max = 1, .patience = 1, .generations = 2,
     .orders = 2, .order_kinds = "hcr", .closes = true, .ticks = true},

    {.name = "large-replay", .large = true, .lines = "rnrrb", .slots = 4, .replay_max = 2, .patience = 2,
     .generations = 4, .full = true, .closes = true, .ticks = true, .order_kinds = ""},
    {.name = "large-orders", .large = true, .lines = "rnl", .slots = 2, .replay_max = 1, .patience = 2,
     .generations = 3, .orders = 3, .order_kinds = "hcrd", .refusals = 1, .closes = true, .full = true,
     .ticks = true},
    {.name = "large-drain", .large = true, .lines = "rnr", .slots = 2, .replay_max = 1, .patience = 2,
     .generations = 3, .orders = 4, .order_kinds = "hd", .handshakes = 1, .closes = true, .ticks = true},
    {.name = "large-lines", .large = true, .lines = "lbpo", .slots = 2, .replay_max = 2, .patience = 2,
     .generations = 3, .orders = 2, .order_kinds = "hr", .refusals = 1, .closes = true, .stops = true,
     .ticks = true},
    {.name = "large-unread", .large = true, .lines = "rnlr", .slots = 3, .replay_max = 1, .patience = 1,
     .generations = 4, .takes_back = true, .closes = true, .ticks = true, .order_kinds = ""},
};
/* clang-format on */

/* --- the states that are known ---------------------------------------------------------------------------- */

struct origin {
    uint32_t parent;
    uint8_t event, variant;
};

struct states {
    const struct scenario *s;
    size_t size; /* bytes of one */
    uint32_t count, capacity;
    uint8_t *bytes;
    struct origin *origins;
    uint32_t *table; /* number + 1 of a state; open addressing */
    uint32_t table_size;
};

static void *must(void *p)
{
    if (!p) {
        fputs("out of memory\n", stderr);
        exit(3);
    }
    return p;
}

static uint64_t hash(const uint8_t *bytes, size_t size)
{
    uint64_t h = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < size; i++)
        h = (h ^ bytes[i]) * UINT64_C(0x100000001b3); /* FNV-1a */
    return h ^ h >> 29;
}

static uint32_t *place(const struct states *all, const uint8_t *bytes)
{
    uint32_t at = (uint32_t)hash(bytes, all->size) & (all->table_size - 1);
    while (all->table[at] && memcmp(all->bytes + (all->table[at] - 1) * all->size, bytes, all->size) != 0)
        at = (at + 1) & (all->table_size - 1);
    return &all->table[at];
}

static void grow(struct states *all)
{
    all->capacity *= 2;
    all->bytes = must(realloc(all->bytes, all->capacity * all->size));
    all->origins = must(realloc(all->origins, all->capacity * sizeof(*all->origins)));
    free(all->table);
    all->table_size = all->capacity * 2;
    all->table = must(calloc(all->table_size, sizeof(*all->table)));
    for (uint32_t i = 0; i < all->count; i++)
        *place(all, all->bytes + i * all->size) = i + 1;
}

static void add(struct states *all, struct world *w, struct origin origin)
{
    uint8_t bytes[WORLD_BYTES_MAX];
    all->size = world_pack(w, bytes);
    if (all->count == all->capacity)
        grow(all);
    uint32_t *at = place(all, bytes);
    if (*at)
        return;
    memcpy(all->bytes + all->count * all->size, bytes, all->size);
    all->origins[all->count++] = origin;
    *at = all->count;
}

static void begin(struct states *all, const struct scenario *s, struct world *w)
{
    uint8_t bytes[WORLD_BYTES_MAX];
    *all = (struct states){.s = s, .capacity = 1U << 15};
    world_init(w, s);
    all->size = world_pack(w, bytes);
    grow(all);
    add(all, w, (struct origin){.parent = UINT32_MAX, .event = WORLD_EVENT_COUNT});
}

static void forget(struct states *all)
{
    free(all->bytes);
    free(all->origins);
    free(all->table);
}

/* --- telling what is wrong ---------------------------------------------------------------------------------- */

static struct { /* for the handler of a failed assertion, too */
    const struct states *all;
    uint32_t at;
    uint8_t event, variant;
} now;

int gate_mutant;

static const char *const worker_names[] = {"NONE", "ASKED", "HANDSHAKE", "UP", "ENDED", "DOWN", "OVER"};

static void tell_event(uint8_t event, uint8_t variant)
{
    if (event >= WORLD_EVENT_COUNT)
        return;
    const char *text = world_event_text[event];
    for (; variant > 0 && strchr(text, '|'); variant--)
        text = strchr(text, '|') + 1;
    printf("  %.*s\n", (int)strcspn(text, "|"), text);
}

static void tell_story(const struct states *all, uint32_t at)
{
    if (all->origins[at].parent != UINT32_MAX)
        tell_story(all, all->origins[at].parent);
    tell_event(all->origins[at].event, all->origins[at].variant);
}

static int tell(const char *what, const char *file, int line)
{
    printf("%s: does not hold: %s (%s:%d), after\n", now.all->s->name, what, file, line);
    tell_story(now.all, now.at);
    tell_event(now.event, now.variant);
    fflush(stdout);
    return gate_mutant ? 0 : 1;
}

static void on_abort(int signal)
{
    (void)signal;
    _exit(tell("an assertion of the core", "core.c", 0));
}

/* --- walking -------------------------------------------------------------------------------------------------- */

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* All that can happen in a state. Returns how much that is, or -1: something is wrong (told). */
static int expand(struct states *all, struct world *state, struct world *w)
{
    int count = 0;
    for (uint8_t event = 0; event < WORLD_EVENT_COUNT; event++)
        for (uint8_t variant = 0; variant < world_event_variants[event]; variant++) {
            now.event = event;
            now.variant = variant;
            world_copy(w, state);
            if (!world_happens(w, (enum world_event)event, variant))
                continue;
            count++;
            if (!w->broken)
                add(all, w, (struct origin){.parent = now.at, .event = event, .variant = variant});
            if (w->broken)
                return tell(w->broken, w->broken_file, w->broken_line), -1;
        }
    return count;
}

/* Returns 0, or 1: something is wrong (told). */
static int walk(const struct scenario *s, uint64_t *states, uint64_t *transitions)
{
    static struct world state, w; /* too large for a stack */
    struct states all;
    double from = seconds();
    uint64_t steps = 0;
    bool wrong = false;
    world_init(&state, s);
    world_init(&w, s);
    begin(&all, s, &w);
    now.all = &all;
    for (now.at = 0; now.at < all.count && !wrong; now.at++) {
        world_unpack(&state, s, all.bytes + now.at * all.size);
        now.event = WORLD_EVENT_COUNT;
        world_copy(&w, &state);
        world_check(&w);
        if (w.broken)
            tell(w.broken, w.broken_file, w.broken_line);
        int count = w.broken ? -1 : expand(&all, &state, &w);
        wrong = count < 0;
        steps += wrong ? 0 : (uint64_t)count;
    }
    if (!wrong)
        printf("%-14s %9" PRIu32 " states %10" PRIu64 " transitions %6.1f s\n", s->name, all.count, steps,
               seconds() - from);
    fflush(stdout);
    *states += all.count;
    *transitions += steps;
    forget(&all);
    return wrong;
}

/* --- the table of moves ------------------------------------------------------------------------------------------ */

static int worker_of(const char *name)
{
    for (int i = 0; i < GATE_WORKER_COUNT; i++)
        if (strcmp(name, worker_names[i]) == 0)
            return i;
    return -1;
}

/* Rows " *   FROM -> TO  ..." of the comment are the code's table. */
static bool is_drawn(const char *path)
{
    bool drawn[GATE_WORKER_COUNT][GATE_WORKER_COUNT] = {{false}}, same = true;
    char text[512], from[16], to[16];
    FILE *f = fopen(path, "re");
    if (!f)
        return perror(path), false;
    while (fgets(text, sizeof(text), f))
        if (sscanf(text, " * %15[A-Z] -> %15[A-Z]", from, to) == 2 && worker_of(from) >= 0 &&
            worker_of(to) >= 0)
            drawn[worker_of(from)][worker_of(to)] = true;
    fclose(f);
    for (int a = 0; a < GATE_WORKER_COUNT; a++)
        for (int b = 0; b < GATE_WORKER_COUNT; b++)
            if (drawn[a][b] != gate_core_may_move((enum gate_worker)a, (enum gate_worker)b)) {
                printf("%s -> %s: %s\n", worker_names[a], worker_names[b],
                       drawn[a][b] ? "is in the comment, and not in the table" : "is in the table only");
                same = false;
            }
    return same;
}

static bool is_taken(void)
{
    bool all = true;
    printf("moves:");
    for (int a = 0; a < GATE_WORKER_COUNT; a++)
        for (int b = 0; b < GATE_WORKER_COUNT; b++) {
            bool may = gate_core_may_move((enum gate_worker)a, (enum gate_worker)b);
            if (may && world_moves[a][b])
                printf(" %s>%s %" PRIu64, worker_names[a], worker_names[b], world_moves[a][b]);
            if (may != (world_moves[a][b] > 0)) {
                printf("\n%s -> %s: %s\n", worker_names[a], worker_names[b],
                       may ? "in the table, and never taken" : "taken, and not in the table");
                all = false;
            }
        }
    printf("\n");
    return all;
}

static bool explore(const char *header, const char *only, bool large)
{
    uint64_t states = 0, transitions = 0;
    bool wrong = strcmp(header, "-") != 0 && !is_drawn(header);
    for (size_t i = 0; i < sizeof(scenarios) / sizeof(scenarios[0]) && !wrong; i++)
        if (only ? strcmp(only, scenarios[i].name) == 0 : large || !scenarios[i].large)
            wrong = walk(&scenarios[i], &states, &transitions);
    if (!wrong && (!only || strcmp(header, "-") == 0))
        wrong = !is_taken();
    if (!wrong && states == 0)
        wrong = true; /* no such world */
    printf("%" PRIu64 " states, %" PRIu64 " transitions: %s\n", states, transitions,
           wrong ? "something is wrong" : "all as it should be");
    return !wrong;
}

int main(int argc, char **argv)
{
    bool large = false;
    const char *only = NULL;
    for (int i = 2; i < argc; i++) {
        large = large || strcmp(argv[i], "--large") == 0;
        if (strcmp(argv[i], "--only") == 0 && i + 1 < argc)
            only = argv[++i];
        else if (strcmp(argv[i], "--mutant") == 0 && i + 1 < argc)
            gate_mutant = atoi(argv[++i]);
    }
    if (argc < 2) {
        fputs("usage: explore CORE_H [--large] [--only NAME] [--mutant NUMBER]\n", stderr);
        return 2;
    }
    signal(SIGABRT, on_abort);
    return explore(argv[1], only, large) == (gate_mutant != 0);
}
