#include "strmap.h"
#include "tenant_build.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* 65534 is "nobody", 65535 and the largest are "none" to some interfaces. */
static bool is_reserved(uint32_t uid)
{
    return uid == 0 || uid == 65534 || uid == 65535 || uid >= UINT32_MAX - 1;
}

/* An account of the server's own: what runs as it is not to be in a tenant's reach. */
struct account {
    const char *key; /* of [server], that names it */
    uid_t uid;
};

struct uids {
    struct strmap used; /* by tenants */
    struct account accounts[2];
    size_t n_accounts;
};

static void find_accounts(struct loader *l, struct uids *uids)
{
    const struct server_config *s = &l->policy->server;
    uid_t uid;
    /* A server whose user is missing won't start; the policy can be judged all the same. */
    if (s->user != NULL && l->host->find_user(l->host->user, s->user, &uid, NULL) == 0)
        uids->accounts[uids->n_accounts++] = (struct account){"user", uid};
    if (s->policy_owner != 0)
        uids->accounts[uids->n_accounts++] = (struct account){"policy-owner", s->policy_owner};
}

static const struct account *find_account(const struct uids *uids, uid_t uid)
{
    for (size_t i = 0; i < uids->n_accounts; i++)
        if (uids->accounts[i].uid == uid)
            return &uids->accounts[i];
    return NULL;
}

static const char *key_of(struct pool *pool, uint32_t uid)
{
    return pool_printf(pool, "%" PRIu32, uid);
}

static int take_explicit(struct loader *l, struct uids *uids, struct tenant_build *builds, size_t i)
{
    const struct tenant_build *b = &builds[i];
    const char *key = key_of(&l->scratch, b->t.uid);
    const struct account *account = find_account(uids, b->t.uid);
    size_t other = 0;
    if (key == NULL)
        return -1;
    if (account != NULL) {
        diag_add(l->diags, b->uid_at.file, b->uid_at.line, "a tenant needs a uid of its own",
                 "this uid is that of '%s' in [server]", account->key);
        return 0;
    }
    if (strmap_get(&uids->used, key, &other)) {
        diag_add(l->diags, b->uid_at.file, b->uid_at.line, NULL,
                 "tenant '%s' has this uid already (%s:%u)", builds[other].t.name,
                 builds[other].uid_at.file, builds[other].uid_at.line);
        return 0;
    }
    return strmap_put(&l->scratch, &uids->used, key, i);
}

static bool is_free(const struct uids *uids, uint32_t uid)
{
    char key[16];
    size_t other;
    (void)snprintf(key, sizeof key, "%" PRIu32, uid);
    return !is_reserved(uid) && find_account(uids, uid) == NULL &&
           !strmap_get(&uids->used, key, &other);
}

/* The place of a name in the range: the same at every load, whatever else the policy holds. */
static int place_of(struct loader *l, const char *name, uint64_t size, uint64_t *place)
{
    unsigned char digest[32];
    if (l->host->sha256(name, strlen(name), digest) < 0)
        return -1;
    uint64_t number = 0;
    for (size_t i = 0; i < 8; i++)
        number = number << 8 | digest[i];
    *place = number % size;
    return 0;
}

static int take_hashed(struct loader *l, struct uids *uids, struct tenant_build *builds, size_t i)
{
    const struct server_config *s = &l->policy->server;
    struct tenant_build *b = &builds[i];
    uint64_t size = (uint64_t)s->uid_last - s->uid_first + 1;
    uint64_t place = 0;
    if (place_of(l, b->t.name, size, &place) < 0) {
        diag_add(l->diags, b->t.origin.file, b->t.origin.line, NULL, "SHA-256 failed");
        return 0;
    }
    /* There are at most used.n taken places, 4 reserved ones, and the accounts. */
    size_t most = uids->used.n + 4 + uids->n_accounts;
    for (uint64_t tries = 0; tries < size && tries <= most; tries++) {
        uint32_t uid = (uint32_t)(s->uid_first + (place + tries) % size);
        if (!is_free(uids, uid))
            continue;
        b->t.uid = uid;
        const char *key = key_of(&l->scratch, uid);
        return key == NULL ? -1 : strmap_put(&l->scratch, &uids->used, key, i);
    }
    diag_add(l->diags, b->t.origin.file, b->t.origin.line, "widen 'uid-range' in [server]",
             "no uid is left in the range for tenant '%s'", b->t.name);
    return 0;
}

int uids_assign(struct loader *l, struct tenant_build *builds, size_t n)
{
    struct uids uids = {0};
    find_accounts(l, &uids);
    for (size_t i = 0; i < n; i++)
        if (builds[i].has_uid && take_explicit(l, &uids, builds, i) < 0)
            return -1;
    for (size_t i = 0; i < n; i++)
        if (!builds[i].has_uid && take_hashed(l, &uids, builds, i) < 0)
            return -1;
    return 0;
}
