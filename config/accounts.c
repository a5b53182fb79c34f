#include "accounts.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIELDS_MAX = 3, LINE_LEN_MAX = 1024 };

/*
 * The first fields of a line, cut out of `line`, which holds a copy of its beginning: a group may
 * have any number of members. False: it has fewer.
 */
static bool split(char line[LINE_LEN_MAX], const char *data, size_t len, char *fields[FIELDS_MAX])
{
    char *rest = line;
    if (len == 0 || data[0] == '#')
        return false;
    if (len >= LINE_LEN_MAX)
        len = LINE_LEN_MAX - 1;
    memcpy(line, data, len);
    line[len] = '\0';
    for (size_t i = 0; i < FIELDS_MAX; i++)
        if ((fields[i] = strsep(&rest, ":")) == NULL)
            return false;
    return true;
}

static bool read_number(const char *text, uint32_t *out)
{
    char *end;
    unsigned long long value = strtoull(text, &end, 10);
    if (end == text || *end != '\0' || text[0] == '-' || value > UINT32_MAX)
        return false;
    *out = (uint32_t)value;
    return true;
}

static int add_user(struct pool *pool, struct accounts *accounts, char *fields[FIELDS_MAX])
{
    struct account user;
    if (!read_number(fields[2], &user.first) || accounts_user(accounts, user.first) != NULL)
        return 0;
    user.last = user.first;
    user.name = pool_strdup(pool, fields[0]);
    const char *key = pool_printf(pool, "%" PRIu32, user.first);
    if (user.name == NULL || key == NULL ||
        pool_push(pool, (void *)&accounts->users, &accounts->n_users, &user, sizeof user) < 0)
        return -1;
    return strmap_put(pool, &accounts->by_uid, key, accounts->n_users - 1);
}

/* Of a user that has a group of its own, the number is known already. */
static int add_group(struct pool *pool, struct accounts *accounts, char *fields[FIELDS_MAX])
{
    struct account group;
    if (!read_number(fields[2], &group.first) || accounts_user(accounts, group.first) != NULL ||
        accounts_group(accounts, group.first) != NULL)
        return 0;
    group.last = group.first;
    group.name = pool_strdup(pool, fields[0]);
    const char *key = pool_printf(pool, "%" PRIu32, group.first);
    if (group.name == NULL || key == NULL ||
        pool_push(pool, (void *)&accounts->groups, &accounts->n_groups, &group, sizeof group) < 0)
        return -1;
    return strmap_put(pool, &accounts->by_gid, key, accounts->n_groups - 1);
}

static int add_subordinate(struct pool *pool, struct accounts *accounts, char *fields[FIELDS_MAX])
{
    struct account range;
    uint32_t count = 0;
    if (!read_number(fields[1], &range.first) || !read_number(fields[2], &count) || count == 0)
        return 0;
    range.last = count - 1 > UINT32_MAX - range.first ? UINT32_MAX : range.first + (count - 1);
    range.name = pool_strdup(pool, fields[0]);
    if (range.name == NULL)
        return -1;
    return pool_push(pool, (void *)&accounts->subordinates, &accounts->n_subordinates, &range,
                     sizeof range);
}

static int add_lines(struct pool *pool, struct accounts *accounts, const char *data, size_t len,
                     int (*add)(struct pool *, struct accounts *, char *[FIELDS_MAX]))
{
    char line[LINE_LEN_MAX], *fields[FIELDS_MAX];
    while (len > 0) {
        const char *end = memchr(data, '\n', len);
        size_t size = end == NULL ? len : (size_t)(end - data);
        if (split(line, data, size, fields) && add(pool, accounts, fields) < 0)
            return -1;
        size += end != NULL;
        data += size;
        len -= size;
    }
    return 0;
}

int accounts_add_passwd(struct pool *pool, struct accounts *accounts, const char *data, size_t len)
{
    return add_lines(pool, accounts, data, len, add_user);
}

int accounts_add_group(struct pool *pool, struct accounts *accounts, const char *data, size_t len)
{
    return add_lines(pool, accounts, data, len, add_group);
}

int accounts_add_subuid(struct pool *pool, struct accounts *accounts, const char *data, size_t len)
{
    return add_lines(pool, accounts, data, len, add_subordinate);
}

const struct account *accounts_user(const struct accounts *accounts, uid_t uid)
{
    char key[16];
    size_t at = 0;
    (void)snprintf(key, sizeof key, "%" PRIu32, uid);
    return strmap_get(&accounts->by_uid, key, &at) ? &accounts->users[at] : NULL;
}

const struct account *accounts_group(const struct accounts *accounts, gid_t gid)
{
    char key[16];
    size_t at = 0;
    (void)snprintf(key, sizeof key, "%" PRIu32, gid);
    return strmap_get(&accounts->by_gid, key, &at) ? &accounts->groups[at] : NULL;
}

const struct account *accounts_subordinate(const struct accounts *accounts, uid_t uid)
{
    for (size_t i = 0; i < accounts->n_subordinates; i++)
        if (accounts->subordinates[i].first <= uid && uid <= accounts->subordinates[i].last)
            return &accounts->subordinates[i];
    return NULL;
}
