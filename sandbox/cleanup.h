/*
 * cleanup.h - scope-bound ownership: fds start at -1, pointers at NULL, and leave a scope only
 * through steal_fd() and steal_ptr().
 */
#ifndef POSTERN_SANDBOX_CLEANUP_H
#define POSTERN_SANDBOX_CLEANUP_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Closes *fd if it is open and forgets it. */
static inline void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static inline void free_ptr(void *ptr)
{
    free(*(void **)ptr);
    *(void **)ptr = NULL;
}

static inline void close_file(FILE **file)
{
    if (*file != NULL)
        fclose(*file);
    *file = NULL;
}

#define cleanup_fd   __attribute__((cleanup(close_fd)))
#define cleanup_free __attribute__((cleanup(free_ptr)))
#define cleanup_file __attribute__((cleanup(close_file)))

/* Hands the fd on: the caller owns the result, *fd is -1. */
static inline int steal_fd(int *fd)
{
    int out = *fd;
    *fd = -1;
    return out;
}

/* Hands the pointer on: evaluates to the old value, `ptr` is NULL afterwards. */
#define steal_ptr(ptr)                                                                             \
    __extension__({                                                                                \
        __typeof__(ptr) stolen_ = (ptr);                                                           \
        (ptr) = NULL;                                                                              \
        stolen_;                                                                                   \
    })

#define array_len(a) (sizeof(a) / sizeof(*(a)))

#endif
