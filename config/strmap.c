#include "strmap.h"

#include <string.h>

static size_t hash(const char *key)
{
    uint64_t h = 0xcbf29ce484222325U; /* FNV-1a */
    for (; *key != '\0'; key++)
        h = (h ^ (unsigned char)*key) * 0x100000001b3U;
    return (size_t)(h ^ (h >> 32));
}

static struct strmap_slot *find(const struct strmap *map, const char *key)
{
    size_t at = hash(key) & (map->cap - 1);
    while (map->slots[at].key != NULL && strcmp(map->slots[at].key, key) != 0)
        at = (at + 1) & (map->cap - 1);
    return &map->slots[at];
}

static int grow(struct pool *pool, struct strmap *map)
{
    struct strmap larger = {.cap = map->cap == 0 ? 16 : map->cap * 2, .n = map->n};
    larger.slots = pool_alloc(pool, larger.cap * sizeof *larger.slots);
    if (larger.slots == NULL)
        return -1;
    for (size_t i = 0; i < map->cap; i++)
        if (map->slots[i].key != NULL)
            *find(&larger, map->slots[i].key) = map->slots[i];
    *map = larger;
    return 0;
}

int strmap_put(struct pool *pool, struct strmap *map, const char *key, size_t value)
{
    if ((map->n + 1) * 2 > map->cap && grow(pool, map) < 0)
        return -1;
    *find(map, key) = (struct strmap_slot){.key = key, .value = value};
    map->n++;
    return 0;
}

bool strmap_get(const struct strmap *map, const char *key, size_t *value)
{
    if (map->cap == 0)
        return false;
    const struct strmap_slot *slot = find(map, key);
    if (slot->key == NULL)
        return false;
    *value = slot->value;
    return true;
}
