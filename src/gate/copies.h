/* SPDX-License-Identifier: MIT */
/*
 * Copies of lines that may have to be sent again. In memory up to a bound on them all, beyond that in one file that has no
 * name (it is gone with the gate, however that ends). The file is written at its end only, so a copy there is one piece (one
 * that grows on after another was begun moves to the end, which is rare); where one is dropped its room is given back (a
 * hole), and with the last one the file is cut.
 *
 * A copy that cannot be kept (disk full) is dropped and says so: its request cannot be sent again, that is all.
 */
#ifndef WEIR_GATE_COPIES_H
#define WEIR_GATE_COPIES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct copies {
    uint64_t memory_limit, memory_used; /* bytes of all copies in memory, as allocated */
    char spool_dir[256];
    int fd;             /* owned; -1: not needed yet */
    uint64_t file_end;  /* where the next byte goes */
    uint32_t file_live; /* copies in it */
};

enum copy_place { COPY_NONE, COPY_MEMORY, COPY_FILE };

struct copy {
    enum copy_place place;
    char *data; /* MEMORY: owned */
    size_t capacity;
    uint64_t size;
    uint64_t file_offset; /* FILE */
};

#define COPY_NULL ((struct copy){0})

void copies_init(struct copies *c);
void copies_deinit(struct copies *c);
/* For copies made from now on. */
void copies_set(struct copies *c, uint64_t memory_limit, const char *spool_dir);

/* Appends; the first call makes it. On failure (negative errno) the copy is dropped. */
int copy_append(struct copies *c, struct copy *copy, const char *data, size_t size);
void copy_drop(struct copies *c, struct copy *copy);
static inline bool copy_is_kept(const struct copy *copy)
{
    return copy->place != COPY_NONE;
}
/* *to is dropped, and takes over. */
void copy_move(struct copies *c, struct copy *to, struct copy *from);
/* Bytes from offset on, at most size, at most what there is: *ret points to them, into memory of the copy or into buf. */
ssize_t copy_read(const struct copies *c, const struct copy *copy, uint64_t offset, char *buf, size_t size,
                  const char **ret);

#endif
