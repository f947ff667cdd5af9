/* SPDX-License-Identifier: MIT */
/*
 * resident: see resident.h.
 */
#include "resident.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

enum {
    PAGE_BYTES = 4096, /* filled in this unit; larger hardware pages are multiples of it */
    CHUNK_BYTES =
        4 * 1024 * 1024, /* chosen: few mappings (7.5 GB = 1900, max_map_count is 65530), small waste */
};

static int map_chunk(struct resident *resident)
{
    void **chunks = realloc(resident->chunks, (resident->chunks_count + 1) * sizeof *chunks);
    if (!chunks)
        return -ENOMEM;
    resident->chunks = chunks;
    void *chunk = mmap(NULL, CHUNK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (chunk == MAP_FAILED)
        return -ENOMEM;
    /* A huge page would make 2 MB resident at the first touch; growth is to be as fine as asked for. */
    (void)madvise(chunk, CHUNK_BYTES, MADV_NOHUGEPAGE); /* EINVAL where the kernel has no THP; ignoring */
    chunks[resident->chunks_count++] = chunk;
    return 0;
}

static char *page_at(const struct resident *resident, int64_t offset)
{
    return (char *)resident->chunks[offset / CHUNK_BYTES] + offset % CHUNK_BYTES;
}

/* xorshift64: cheap, and nothing that a compressing swap could shrink. */
static void fill_page(struct resident *resident, uint64_t *words)
{
    uint64_t x = resident->seed ? resident->seed : 88172645463325252u;
    for (size_t i = 0; i < PAGE_BYTES / sizeof *words; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        words[i] = x;
    }
    resident->seed = x;
}

static int grow(struct resident *resident, int64_t size_bytes)
{
    while (resident->size_bytes < size_bytes) {
        if (resident->size_bytes == (int64_t)resident->chunks_count * CHUNK_BYTES) {
            int result = map_chunk(resident);
            if (result < 0)
                return result;
        }
        fill_page(resident, (uint64_t *)(void *)page_at(resident, resident->size_bytes));
        resident->size_bytes += PAGE_BYTES;
    }
    return 0;
}

static void shrink(struct resident *resident, int64_t size_bytes)
{
    while (resident->chunks_count && (int64_t)(resident->chunks_count - 1) * CHUNK_BYTES >= size_bytes) {
        munmap(resident->chunks[--resident->chunks_count], CHUNK_BYTES);
        int64_t left = (int64_t)resident->chunks_count * CHUNK_BYTES;
        if (resident->size_bytes > left)
            resident->size_bytes = left;
    }
    if (resident->size_bytes > size_bytes) {
        (void)madvise(page_at(resident, size_bytes), (size_t)(resident->size_bytes - size_bytes),
                      MADV_DONTNEED);
        resident->size_bytes = size_bytes;
    }
}

int resident_resize(struct resident *resident, int64_t size_bytes)
{
    int64_t pages_bytes = size_bytes < 0 ? 0 : size_bytes - size_bytes % PAGE_BYTES;
    if (pages_bytes < resident->size_bytes)
        shrink(resident, pages_bytes);
    return grow(resident, pages_bytes);
}

void resident_deinit(struct resident *resident)
{
    shrink(resident, 0);
    free(resident->chunks);
    *resident = RESIDENT_NULL;
}
