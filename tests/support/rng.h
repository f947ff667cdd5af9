/* SPDX-License-Identifier: MIT */
/* splitmix64 (Steele, Lea, Flood 2014): seeded, so that a failing case can be run again. */
#ifndef WEIR_TESTS_RNG_H
#define WEIR_TESTS_RNG_H

#include <stdint.h>

static inline uint64_t rng_next(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static inline uint64_t rng_below(uint64_t *state, uint64_t bound)
{
    return rng_next(state) % bound;
}

/* Numbers as they break things: 0, 1, the largest, a power of two and its neighbours, or any. */
static inline uint64_t rng_edgy(uint64_t *state)
{
    uint64_t power = UINT64_C(1) << rng_below(state, 64);
    const uint64_t pick[] = {0,     1,         UINT64_MAX,      UINT64_MAX - 1,
                             power, power - 1, rng_next(state), rng_below(state, 1000)};
    return pick[rng_below(state, sizeof(pick) / sizeof(pick[0]))];
}

#endif
