/* SPDX-License-Identifier: MIT */
/*
 * resident: a heap of memory that is really there.
 *
 * Memory is mapped in chunks and every page is filled with pseudo-random words, so that neither a zero page,
 * nor KSM, nor zram makes it smaller than it looks. It shrinks from the end: whole chunks are unmapped, the
 * rest of the last one is given back page by page. One thread at a time.
 */
#ifndef WORKLOADS_RESIDENT_H
#define WORKLOADS_RESIDENT_H

#include <stddef.h>
#include <stdint.h>

struct resident {
    void **chunks;
    size_t chunks_count;
    int64_t size_bytes; /* touched so far, a multiple of the page size */
    uint64_t seed;
};

#define RESIDENT_NULL ((struct resident){0})

/*
 * Grows or shrinks to size_bytes, rounded down to pages (negative counts as 0). Blocks for as long as the
 * kernel takes to hand the pages out. Returns 0 or -ENOMEM; after -ENOMEM it holds what it got so far.
 */
int resident_resize(struct resident *resident, int64_t size_bytes);

/* Gives everything back; idempotent. */
void resident_deinit(struct resident *resident);

#endif
