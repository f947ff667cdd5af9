/* SPDX-License-Identifier: MIT */
/*
 * Cleanup attributes and ownership hand-over.
 *
 * A local that owns something is declared with one of these, so that every early return is safe;
 * ownership leaves a function only through steal_fd()/steal_ptr().
 */
#ifndef WEIR_BASE_CLEANUP_H
#define WEIR_BASE_CLEANUP_H

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define _cleanup_(f) __attribute__((cleanup(f)))

/* Closes *fd when it is >= 0; errno is kept. */
static inline void cleanup_close(int *fd)
{
    if (*fd >= 0) {
        int saved = errno;
        close(*fd);
        errno = saved;
    }
}

static inline void cleanup_free(void *p)
{
    free(*(void **)p);
}

static inline void cleanup_fclose(FILE **f)
{
    if (*f)
        fclose(*f);
}

static inline void cleanup_closedir(DIR **d)
{
    if (*d)
        closedir(*d);
}

#define _cleanup_close_    _cleanup_(cleanup_close)
#define _cleanup_free_     _cleanup_(cleanup_free)
#define _cleanup_fclose_   _cleanup_(cleanup_fclose)
#define _cleanup_closedir_ _cleanup_(cleanup_closedir)

static inline int steal_fd(int *fd)
{
    int r = *fd;
    *fd = -1;
    return r;
}

#define steal_ptr(pp)                                                                                        \
    ({                                                                                                       \
        __typeof__(*(pp)) _p = *(pp);                                                                        \
        *(pp) = NULL;                                                                                        \
        _p;                                                                                                  \
    })

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#endif
