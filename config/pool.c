#include "pool.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct pool_block {
    struct pool_block *next;
    size_t size; /* all of it */
    max_align_t data[];
};

struct pool_hook {
    struct pool_hook *next;
    void (*fn)(void *arg);
    void *arg;
};

#ifdef POSTERN_SANITIZE
/* Each allocation is a block of its own: the sanitizer sees what reaches beyond one. */
enum { CHUNK_FIRST = 0, CHUNK_MAX = 0, MAPPED_LEAST = INT_MAX };
#else
enum { CHUNK_FIRST = 4096, CHUNK_MAX = 4 << 20, MAPPED_LEAST = 1 << 16 };
#endif
enum { ALIGN = _Alignof(max_align_t) };

/* Of large blocks the system must have back every page: what malloc(3) keeps for later would make a
 * daemon larger with every policy that it loads. */
static struct pool_block *take_block(size_t size)
{
    if (size < MAPPED_LEAST)
        return calloc(1, size);
    void *map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return map == MAP_FAILED ? NULL : map;
}

static void give_block(struct pool_block *block)
{
    if (block->size < MAPPED_LEAST)
        free(block);
    else
        (void)munmap(block, block->size);
}

static int write_all(int fd, const char *data, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, data, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return -1;
        data += n;
        len -= (size_t)n;
    }
    return 0;
}

/* In its place comes a file with the same content, which nobody has written to: of such a mapping
 * a fork(2) copies no page tables. */
static int freeze_block(struct pool_block *block)
{
    enum { SEALS = F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL };
    const size_t size = block->size;
    int fd = memfd_create("policy", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return -1;
    int rc = write_all(fd, (const char *)block, size);
    if (rc == 0)
        rc = fcntl(fd, F_ADD_SEALS, SEALS);
    if (rc == 0 && mmap(block, size, PROT_READ, MAP_PRIVATE | MAP_FIXED, fd, 0) == MAP_FAILED)
        rc = -1;
    (void)close(fd);
    return rc;
}

int pool_freeze(struct pool *pool)
{
    int rc = 0;
    for (struct pool_block *block = pool->blocks; rc == 0 && block != NULL; block = block->next)
        if (block->size >= MAPPED_LEAST)
            rc = freeze_block(block);
    /* What is free in the last chunk may be frozen, too. */
    pool->low = pool->high = NULL;
    return rc;
}

static char *new_block(struct pool *pool, size_t size)
{
    size += sizeof(struct pool_block);
    struct pool_block *block = take_block(size);
    if (block == NULL)
        return NULL;
    block->size = size;
    block->next = pool->blocks;
    pool->blocks = block;
    return (char *)block->data;
}

static size_t next_chunk(const struct pool *pool)
{
    if (pool->chunk == 0)
        return CHUNK_FIRST;
    return pool->chunk > CHUNK_MAX / 2 ? CHUNK_MAX : pool->chunk * 2;
}

/* False if memory ran out. What was free is given up. */
static bool refill(struct pool *pool)
{
    size_t chunk = next_chunk(pool);
    size_t usable = chunk - sizeof(struct pool_block);
    char *data = new_block(pool, usable);
    if (data == NULL)
        return false;
    pool->low = data;
    pool->high = data + usable;
    pool->chunk = chunk;
    return true;
}

static size_t room(const struct pool *pool)
{
    return (size_t)(pool->high - pool->low);
}

/* Large ones get a block of their own, so that little of a chunk is ever given up. */
static bool is_large(const struct pool *pool, size_t size)
{
    return size > room(pool) && size > next_chunk(pool) / 8;
}

static size_t align_up(size_t size)
{
    return (size + ALIGN - 1) & ~(size_t)(ALIGN - 1);
}

void *pool_alloc(struct pool *pool, size_t size)
{
    if (size > SIZE_MAX / 2)
        return NULL;
    size = align_up(size);
    if (is_large(pool, size) || size == 0)
        return new_block(pool, size);
    if (size > room(pool) && !refill(pool))
        return NULL;
    char *out = pool->low;
    pool->low += size;
    return out;
}

void *pool_bytes(struct pool *pool, size_t size)
{
    if (size > SIZE_MAX / 2)
        return NULL;
    if (is_large(pool, size) || size == 0)
        return new_block(pool, size);
    if (size > room(pool) && !refill(pool))
        return NULL;
    pool->high -= size;
    return pool->high;
}

char *pool_strndup(struct pool *pool, const char *s, size_t len)
{
    if (len == SIZE_MAX)
        return NULL;
    char *copy = pool_bytes(pool, len + 1);
    if (copy != NULL && len > 0)
        memcpy(copy, s, len);
    return copy;
}

char *pool_strdup(struct pool *pool, const char *s)
{
    return pool_strndup(pool, s, strlen(s));
}

char *pool_printf(struct pool *pool, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    va_list again;
    va_copy(again, ap);
    int len = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    char *out = len < 0 ? NULL : pool_bytes(pool, (size_t)len + 1);
    if (out != NULL)
        (void)vsnprintf(out, (size_t)len + 1, fmt, again);
    va_end(again);
    return out;
}

/* Capacities are 1, 2, 4, …: the least that holds n items. 0 if there is no such. */
static size_t capacity_of(size_t n)
{
    size_t cap = n > 0 ? 1 : 0;
    while (cap > 0 && cap < n)
        cap *= 2;
    return cap;
}

/* The last object of a chunk grows where it is, as far as there is room. */
static bool grow_in_place(struct pool *pool, const char *items, size_t size, size_t wanted)
{
    if (items + align_up(size) != pool->low)
        return false;
    size_t more = align_up(wanted) - align_up(size);
    if (more > room(pool))
        return false;
    pool->low += more;
    return true;
}

/* Makes room for `more` items behind the n there are; NULL if memory ran out. */
static char *reserve(struct pool *pool, char *items, size_t n, size_t more, size_t item_size)
{
    size_t cap = more > SIZE_MAX - n ? 0 : capacity_of(n + more);
    if (cap == 0 || cap > SIZE_MAX / 2 / item_size)
        return NULL;
    size_t old = capacity_of(n);
    if (cap == old || (n > 0 && grow_in_place(pool, items, old * item_size, cap * item_size)))
        return items;
    char *larger = pool_alloc(pool, cap * item_size);
    if (larger != NULL && n > 0)
        memcpy(larger, items, n * item_size);
    return larger;
}

int pool_push_array(struct pool *pool, void *array, size_t *n, const void *items, size_t count,
                    size_t item_size)
{
    char *old;
    if (count == 0)
        return 0;
    memcpy(&old, array, sizeof old);
    char *data = reserve(pool, old, *n, count, item_size);
    if (data == NULL)
        return -1;
    memcpy(data + *n * item_size, items, count * item_size);
    memcpy(array, &data, sizeof data);
    *n += count;
    return 0;
}

int pool_push(struct pool *pool, void *array, size_t *n, const void *item, size_t item_size)
{
    return pool_push_array(pool, array, n, item, 1, item_size);
}

int pool_push_str(struct pool *pool, struct str_list *list, const char *s)
{
    char *copy = pool_strdup(pool, s);
    if (copy == NULL)
        return -1;
    return pool_push(pool, (void *)&list->items, &list->n, (void *)&copy, sizeof copy);
}

int pool_push_all(struct pool *pool, struct str_list *list, const struct str_list *from)
{
    return pool_push_array(pool, (void *)&list->items, &list->n, (const void *)from->items, from->n,
                           sizeof *from->items);
}

int pool_at_free(struct pool *pool, void (*fn)(void *arg), void *arg)
{
    struct pool_hook *hook = pool_alloc(pool, sizeof *hook);
    if (hook == NULL)
        return -1;
    *hook = (struct pool_hook){.next = pool->hooks, .fn = fn, .arg = arg};
    pool->hooks = hook;
    return 0;
}

void pool_free(struct pool *pool)
{
    for (struct pool_hook *hook = pool->hooks; hook != NULL; hook = hook->next)
        hook->fn(hook->arg);
    while (pool->blocks != NULL) {
        struct pool_block *next = pool->blocks->next;
        give_block(pool->blocks);
        pool->blocks = next;
    }
    *pool = (struct pool){0};
}
