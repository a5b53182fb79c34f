/*
 * key_index.h - from a login and what it offers to tenant and key, in the same time for all.
 */
#ifndef POSTERN_CONFIG_KEY_INDEX_H
#define POSTERN_CONFIG_KEY_INDEX_H

#include "loader.h"
#include "wire.h"

/* A cert-authority line; `next` has the same key and login, and other principals. */
struct authority {
    const struct tenant *tenant;
    const struct policy_key *key;
    const struct authority *next;
};

/* Indexes the logins and keys of all tenants; what a login has twice is a problem. -1: no memory.
 */
int key_index_build(struct loader *l);

/* Whether any tenant has this login. */
bool key_index_has_login(const struct policy *policy, const char *user);

/* Whether this key is an authority of any login at all. */
bool key_index_is_authority(const struct policy *policy, struct wire_bytes blob);

/* The lines that make this key an authority of this login, or NULL. */
const struct authority *key_index_find_authority(const struct policy *policy, const char *user,
                                                 struct wire_bytes blob);

/* policy_host.verify() of the host that the policy was loaded with. */
bool key_index_verify(const struct policy *policy, struct wire_bytes key, struct wire_bytes data,
                      struct wire_bytes signature);

#endif
