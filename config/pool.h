/*
 * pool.h - memory that lives and dies together: everything one loaded policy owns.
 *
 * Memory is taken in large chunks, zeroed, and freed by pool_free() alone. Functions that allocate
 * return NULL or -1 when memory runs out; nothing aborts.
 */
#ifndef POSTERN_CONFIG_POOL_H
#define POSTERN_CONFIG_POOL_H

#include "policy.h"

#include <stddef.h>

/* All zeroes is an empty pool. */
struct pool {
    struct pool_block *blocks;
    struct pool_hook *hooks;
    char *low;    /* what is free of the newest chunk: objects are taken from its begin … */
    char *high;   /* … and bytes from its end, so that they need no padding in between */
    size_t chunk; /* size of the newest chunk */
};

/* Memory for any object, or for bytes that need no alignment. */
void *pool_alloc(struct pool *pool, size_t size);
void *pool_bytes(struct pool *pool, size_t size);
char *pool_strdup(struct pool *pool, const char *s);
char *pool_strndup(struct pool *pool, const char *s, size_t len);
char *pool_printf(struct pool *pool, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/*
 * Appends a copy of `item` to the array *(T **)array of *n elements. Arrays grown here must be
 * grown here alone: the capacity follows from *n.
 */
int pool_push(struct pool *pool, void *array, size_t *n, const void *item, size_t item_size);

/* Appends copies of `count` items. */
int pool_push_array(struct pool *pool, void *array, size_t *n, const void *items, size_t count,
                    size_t item_size);

int pool_push_str(struct pool *pool, struct str_list *list, const char *s);
/* Appends copies of the pointers (the strings are shared). */
int pool_push_all(struct pool *pool, struct str_list *list, const struct str_list *from);

/* Calls fn(arg) when the pool is freed, latest first, before any memory goes. */
int pool_at_free(struct pool *pool, void (*fn)(void *arg), void *arg);

/*
 * What is in large chunks can only be read from now on, in this process and those that it forks;
 * and fork(2), which otherwise takes longer the more there is, need copy nothing of it. What is
 * taken from the pool later can be written. Returns 0, or -1 with errno; then some of it may be as
 * before.
 */
int pool_freeze(struct pool *pool);

void pool_free(struct pool *pool);

#endif
