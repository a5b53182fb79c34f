#include "key_index.h"

#include <string.h>

enum { DIGEST_LEN = 32 };

/* What a place in the table is for; part of what is hashed. */
enum entry_kind {
    ENTRY_LOGIN,     /* a login that some tenant has */
    ENTRY_KEY,       /* a login's key */
    ENTRY_AUTHORITY, /* a key that signs a login's certificates */
    ENTRY_SIGNER,    /* a key that is some login's authority */
};

struct key_slot {
    unsigned char digest[DIGEST_LEN];
    const struct tenant *tenant; /* NULL: free */
    const struct policy_key *key;
    const struct authority *authority;
};

struct policy_index {
    int (*sha256)(const void *data, size_t len, unsigned char out[DIGEST_LEN]);
    int (*verify)(const unsigned char *key, size_t key_len, const unsigned char *data,
                  size_t data_len, const unsigned char *signature, size_t signature_len);
    unsigned char salt[16];
    struct key_slot *slots;
    size_t cap; /* a power of two, more than twice as many as entries */
};

/*
 * One salted hash of fixed length for login and key together: what a lookup costs depends on the
 * length of the peer's bytes, never on what the policy holds.
 */
static int digest_of(const struct policy_index *index, enum entry_kind kind, const char *user,
                     struct wire_bytes blob, unsigned char out[DIGEST_LEN])
{
    unsigned char both[1 + sizeof index->salt + 2 * DIGEST_LEN];
    both[0] = (unsigned char)kind;
    memcpy(both + 1, index->salt, sizeof index->salt);
    unsigned char *digests = both + 1 + sizeof index->salt;
    if (index->sha256(user, strlen(user), digests) < 0 ||
        index->sha256(blob.data, blob.len, digests + DIGEST_LEN) < 0)
        return -1;
    return index->sha256(both, sizeof both, out);
}

static bool is_equal(const unsigned char *a, const unsigned char *b)
{
    unsigned differ = 0;
    for (size_t i = 0; i < DIGEST_LEN; i++)
        differ |= a[i] ^ b[i];
    return differ == 0;
}

static struct key_slot *find_slot(const struct policy_index *index, const unsigned char *digest)
{
    size_t at;
    memcpy(&at, digest, sizeof at);
    for (at &= index->cap - 1;; at = (at + 1) & (index->cap - 1)) {
        struct key_slot *slot = &index->slots[at];
        if (slot->tenant == NULL || is_equal(slot->digest, digest))
            return slot;
    }
}

/* The slot of an entry, taken or still free; NULL, with a problem, if there is no SHA-256. */
static struct key_slot *place_for(struct loader *l, enum entry_kind kind, const char *user,
                                  const struct policy_key *key, const struct origin *at)
{
    unsigned char digest[DIGEST_LEN];
    struct wire_bytes blob = {0};
    if (key != NULL)
        blob = (struct wire_bytes){key->blob, key->blob_len};
    if (digest_of(l->policy->index, kind, user, blob, digest) < 0) {
        diag_add(l->diags, at->file, at->line, NULL, "SHA-256 failed");
        return NULL;
    }
    struct key_slot *slot = find_slot(l->policy->index, digest);
    if (slot->tenant == NULL)
        memcpy(slot->digest, digest, sizeof digest);
    return slot;
}

static void complain_twice(struct loader *l, const struct tenant *tenant,
                           const struct policy_key *key, const struct tenant *first_tenant,
                           const struct policy_key *first_key)
{
    const struct origin *first = &first_key->origin;
    bool one_line = first->line == key->origin.line && strcmp(first->file, key->origin.file) == 0;
    if (first_tenant == tenant && one_line)
        diag_add(l->diags, key->origin.file, key->origin.line,
                 "an empty 'keys =' first resets inherited ones",
                 "tenant '%s' has this key twice: two of its 'keys =' name this file",
                 tenant->name);
    else if (first_tenant == tenant)
        diag_add(l->diags, key->origin.file, key->origin.line, NULL,
                 "tenant '%s' has this key twice (first at %s:%u)", tenant->name, first->file,
                 first->line);
    else
        diag_add(l->diags, key->origin.file, key->origin.line,
                 "an empty 'keys =' first resets inherited ones",
                 "tenants '%s' and '%s' have this key and one login, '%s' (first at %s:%u)",
                 first_tenant->name, tenant->name, tenant->user, first->file, first->line);
}

static void add_key(struct loader *l, const struct tenant *tenant, const struct policy_key *key)
{
    struct key_slot *slot = place_for(l, ENTRY_KEY, tenant->user, key, &key->origin);
    if (slot == NULL)
        return;
    if (slot->tenant != NULL) {
        complain_twice(l, tenant, key, slot->tenant, slot->key);
        return;
    }
    slot->tenant = tenant;
    slot->key = key;
}

/* Which line of an authority each principal of a login chooses. */
struct choices {
    const struct authority **lines;
    size_t n;
    struct strmap names; /* "LOGIN FINGERPRINT PRINCIPAL" to one of them */
};

/* Lets a principal choose lines[n - 1]; *other is the line that it chooses already, or NULL. */
static int choose(struct loader *l, struct choices *choices, const char *principal,
                  const struct authority **other)
{
    size_t at = 0;
    const struct authority *line = choices->lines[choices->n - 1];
    const char *name =
        pool_printf(&l->scratch, "%s %s %s", line->tenant->user, line->key->fingerprint, principal);
    *other = NULL;
    if (name == NULL)
        return -1;
    if (!strmap_get(&choices->names, name, &at))
        return strmap_put(&l->scratch, &choices->names, name, choices->n - 1);
    if (choices->lines[at] != line)
        *other = choices->lines[at];
    return 0;
}

/* Complains if one principal could choose another line as well. */
static int choose_all(struct loader *l, struct choices *choices, const struct authority *line)
{
    const struct authority *other = NULL;
    const struct str_list *names = &line->key->principals;
    if (pool_push(&l->scratch, (void *)&choices->lines, &choices->n, (void *)&line, sizeof line) <
        0)
        return -1;
    if (names->n == 0 && choose(l, choices, line->tenant->user, &other) < 0)
        return -1;
    for (size_t i = 0; i < names->n && other == NULL; i++)
        if (choose(l, choices, names->items[i], &other) < 0)
            return -1;
    if (other != NULL)
        complain_twice(l, line->tenant, line->key, other->tenant, other->key);
    return 0;
}

static int add_authority(struct loader *l, struct choices *choices, const struct tenant *tenant,
                         const struct policy_key *key)
{
    struct key_slot *signer = place_for(l, ENTRY_SIGNER, "", key, &key->origin);
    if (signer == NULL)
        return 0;
    signer->tenant = tenant;
    struct key_slot *slot = place_for(l, ENTRY_AUTHORITY, tenant->user, key, &key->origin);
    if (slot == NULL)
        return 0;
    struct authority *authority = pool_alloc(l->pool, sizeof *authority);
    if (authority == NULL)
        return -1;
    *authority = (struct authority){.tenant = tenant, .key = key, .next = slot->authority};
    slot->tenant = tenant;
    slot->authority = authority;
    return choose_all(l, choices, authority);
}

static int add_tenant(struct loader *l, struct choices *choices, const struct tenant *tenant)
{
    struct key_slot *slot = place_for(l, ENTRY_LOGIN, tenant->user, NULL, &tenant->origin);
    if (slot != NULL)
        slot->tenant = tenant;
    for (size_t i = 0; i < tenant->n_keys; i++) {
        const struct policy_key *key = &tenant->keys[i];
        if (!key->is_authority)
            add_key(l, tenant, key);
        else if (add_authority(l, choices, tenant, key) < 0)
            return -1;
    }
    return 0;
}

static size_t count_entries(const struct policy *policy)
{
    size_t n = policy->n_tenants;
    for (size_t i = 0; i < policy->n_tenants; i++)
        for (size_t k = 0; k < policy->tenants[i].n_keys; k++)
            n += policy->tenants[i].keys[k].is_authority ? 2 : 1;
    return n;
}

int key_index_build(struct loader *l)
{
    struct policy_index *index = pool_alloc(l->pool, sizeof *index);
    if (index == NULL)
        return -1;
    index->sha256 = l->host->sha256;
    index->verify = l->host->verify;
    if (l->host->random_bytes(index->salt, sizeof index->salt) < 0) {
        diag_add(l->diags, l->config_path, 0, NULL, "no random bytes");
        return 0;
    }
    size_t entries = count_entries(l->policy);
    index->cap = 16;
    while (index->cap < entries * 2 + 1)
        index->cap *= 2;
    index->slots = pool_alloc(l->pool, index->cap * sizeof *index->slots);
    if (index->slots == NULL)
        return -1;
    l->policy->index = index;
    struct choices choices = {0};
    for (size_t i = 0; i < l->policy->n_tenants; i++)
        if (add_tenant(l, &choices, &l->policy->tenants[i]) < 0)
            return -1;
    return 0;
}

/* The taken slot of an entry, or NULL. */
static const struct key_slot *look_up(const struct policy *policy, enum entry_kind kind,
                                      const char *user, struct wire_bytes blob)
{
    unsigned char digest[DIGEST_LEN];
    if (digest_of(policy->index, kind, user, blob, digest) < 0)
        return NULL;
    const struct key_slot *slot = find_slot(policy->index, digest);
    return slot->tenant == NULL ? NULL : slot;
}

bool key_index_has_login(const struct policy *policy, const char *user)
{
    return look_up(policy, ENTRY_LOGIN, user, (struct wire_bytes){0}) != NULL;
}

bool key_index_is_authority(const struct policy *policy, struct wire_bytes blob)
{
    return look_up(policy, ENTRY_SIGNER, "", blob) != NULL;
}

const struct authority *key_index_find_authority(const struct policy *policy, const char *user,
                                                 struct wire_bytes blob)
{
    const struct key_slot *slot = look_up(policy, ENTRY_AUTHORITY, user, blob);
    return slot == NULL ? NULL : slot->authority;
}

bool key_index_verify(const struct policy *policy, struct wire_bytes key, struct wire_bytes data,
                      struct wire_bytes signature)
{
    const struct policy_index *index = policy->index;
    return index->verify != NULL && index->verify(key.data, key.len, data.data, data.len,
                                                  signature.data, signature.len) == 0;
}

bool policy_find_key(const struct policy *policy, const char *user, const unsigned char *blob,
                     size_t blob_len, const struct tenant **tenant, const struct policy_key **key)
{
    const struct key_slot *slot =
        look_up(policy, ENTRY_KEY, user, (struct wire_bytes){blob, blob_len});
    if (slot == NULL)
        return false;
    *tenant = slot->tenant;
    *key = slot->key;
    return true;
}

bool policy_find_fingerprint(const struct policy *policy, const char *user, const char *fingerprint,
                             const struct tenant **tenant, const struct policy_key **key)
{
    for (size_t i = 0; i < policy->n_tenants; i++) {
        const struct tenant *t = &policy->tenants[i];
        if (strcmp(t->user, user) != 0)
            continue;
        for (size_t k = 0; k < t->n_keys; k++)
            if (!t->keys[k].is_authority && strcmp(t->keys[k].fingerprint, fingerprint) == 0) {
                *tenant = t;
                *key = &t->keys[k];
                return true;
            }
    }
    return false;
}
