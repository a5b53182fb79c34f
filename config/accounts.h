/*
 * accounts.h - the uids of this host that are somebody's: users, from passwd(5), and what they may
 * use in user namespaces, from subuid(5). Pure. What a name service adds can't be listed.
 */
#ifndef POSTERN_CONFIG_ACCOUNTS_H
#define POSTERN_CONFIG_ACCOUNTS_H

#include "pool.h"
#include "strmap.h"

#include <sys/types.h>

struct account {
    const char *name;
    uint32_t first, last;
};

/* All zeroes: none. */
struct accounts {
    struct account *users; /* first == last */
    size_t n_users;
    struct strmap by_uid;   /* decimal → index of users */
    struct account *groups; /* whose number is no user's; first == last */
    size_t n_groups;
    struct strmap by_gid; /* decimal → index of groups */
    struct account *subordinates;
    size_t n_subordinates;
};

/* Adds the lines of a file, users before groups; what is no account is skipped, as the programs
 * that read it do. -1: no memory. */
int accounts_add_passwd(struct pool *pool, struct accounts *accounts, const char *data, size_t len);
int accounts_add_group(struct pool *pool, struct accounts *accounts, const char *data, size_t len);
int accounts_add_subuid(struct pool *pool, struct accounts *accounts, const char *data, size_t len);

/* Whose uid this is; NULL: nobody's. */
const struct account *accounts_user(const struct accounts *accounts, uid_t uid);
const struct account *accounts_group(const struct accounts *accounts, gid_t gid);
const struct account *accounts_subordinate(const struct accounts *accounts, uid_t uid);

#endif
