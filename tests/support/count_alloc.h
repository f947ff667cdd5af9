/* SPDX-License-Identifier: MIT */
/* Counts what is allocated, in one program: link it with -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc and include this
 * in one of its files. */
#ifndef WEIR_TEST_COUNT_ALLOC_H
#define WEIR_TEST_COUNT_ALLOC_H

#include <stddef.h>
#include <stdint.h>

static uint64_t allocations;

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t size);

void *__wrap_malloc(size_t size)
{
    allocations++;
    return __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
    allocations++;
    return __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t size)
{
    allocations++;
    return __real_realloc(p, size);
}

#endif
