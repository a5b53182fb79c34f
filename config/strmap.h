/*
 * strmap.h - a hash map from strings to indexes, so that large policies load in linear time.
 */
#ifndef POSTERN_CONFIG_STRMAP_H
#define POSTERN_CONFIG_STRMAP_H

#include "pool.h"

struct strmap_slot {
    const char *key;
    size_t value;
};

struct strmap {
    struct strmap_slot *slots;
    size_t cap; /* a power of two, or 0 */
    size_t n;
};

/* Adds `key`, which is borrowed and must not be in the map yet. Returns 0, or -1: no memory. */
int strmap_put(struct pool *pool, struct strmap *map, const char *key, size_t value);
bool strmap_get(const struct strmap *map, const char *key, size_t *value);

#endif
