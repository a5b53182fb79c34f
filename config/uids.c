#include "cleanup.h"
#include "strmap.h"
#include "tenant_build.h"
#include "text.h"
#include "uid_sources.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* 65534 is "nobody", 65535 and the largest are "none" to some interfaces. */
static bool is_reserved(uint32_t uid)
{
    return uid == 0 || uid == 65534 || uid == 65535 || uid >= UINT32_MAX - 1;
}

/* What has been given away so far. */
struct giving {
    struct uid_sources known;
    struct strmap used; /* by tenants: decimal → index of a build */
};

static const char *key_of(struct pool *pool, uint32_t uid)
{
    return pool_printf(pool, "%" PRIu32, uid);
}

static bool find_user_of(const struct giving *giving, uint32_t uid, size_t *build)
{
    char key[16];
    (void)snprintf(key, sizeof key, "%" PRIu32, uid);
    return strmap_get(&giving->used, key, build);
}

static int use(struct loader *l, struct giving *giving, uint32_t uid, size_t build)
{
    const char *key = key_of(&l->scratch, uid);
    return key == NULL ? -1 : strmap_put(&l->scratch, &giving->used, key, build);
}

static int claim(struct loader *l, const char *name, uint32_t uid, bool fixed)
{
    const struct uid_claim claim = {.name = name, .uid = uid, .fixed = fixed};
    return pool_push(l->pool, (void *)&l->policy->claims, &l->policy->n_claims, &claim,
                     sizeof claim);
}

/* Whose files may have this uid, by the record, if it is not this tenant. */
static bool is_of_another(struct loader *l, const struct giving *giving, const struct tenant *t,
                          uint32_t uid, const struct origin *at)
{
    const struct uid_claim *held = uid_record_by_uid(&giving->known.record, uid);
    size_t i;
    char hint[160];
    if (held == NULL || (strcmp(held->name, t->name) == 0 && t->run_as == NULL))
        return false;
    bool is_gone = !strmap_get(&l->tenants.names, held->name, &i);
    (void)snprintf(hint, sizeof hint, "once no file is left of it, take its line out of %.90s",
                   giving->known.path);
    diag_add(l->diags, at->file, at->line, hint, "uid %" PRIu32 " is kept for tenant '%s'%s", uid,
             held->name, is_gone ? ", which is gone" : "");
    return true;
}

static bool is_our_own(struct loader *l, const struct giving *giving, uint32_t uid,
                       const struct origin *at, const char *what)
{
    const struct own_account *own = uid_sources_own(&giving->known, uid);
    if (own != NULL)
        diag_add(l->diags, at->file, at->line, "a tenant needs a uid of its own",
                 "this %s is that of '%s' in [server]", what, own->key);
    return own != NULL;
}

/* Whose number this is on the host already; false: nobody's. A tenant's group has its uid. */
static bool describe_account(const struct giving *giving, uint32_t uid, char text[96])
{
    const struct accounts *accounts = &giving->known.accounts;
    const struct account *user = accounts_user(accounts, uid);
    const struct account *group = accounts_group(accounts, uid);
    const struct account *range = accounts_subordinate(accounts, uid);
    char name[48];
    if (user != NULL)
        (void)snprintf(text, 96, "that of user '%s'",
                       text_escape_str(name, sizeof name, user->name));
    else if (group != NULL)
        (void)snprintf(text, 96, "that of group '%s'",
                       text_escape_str(name, sizeof name, group->name));
    else if (range != NULL)
        (void)snprintf(text, 96, "one of those of '%s' in /etc/subuid",
                       text_escape_str(name, sizeof name, range->name));
    return user != NULL || group != NULL || range != NULL;
}

static int take_explicit(struct loader *l, struct giving *giving, struct tenant_build *builds,
                         size_t i)
{
    struct tenant_build *b = &builds[i];
    struct tenant *t = &b->t;
    size_t other = 0;
    char account[96];
    if (is_our_own(l, giving, t->uid, &b->uid_at, "uid") ||
        is_of_another(l, giving, t, t->uid, &b->uid_at))
        return 0;
    if (find_user_of(giving, t->uid, &other)) {
        diag_add(l->diags, b->uid_at.file, b->uid_at.line, NULL,
                 "tenant '%s' has this uid already (%s:%u)", builds[other].t.name,
                 builds[other].uid_at.file, builds[other].uid_at.line);
        return 0;
    }
    if (describe_account(giving, t->uid, account))
        diag_warn(l->diags, b->uid_at.file, b->uid_at.line,
                  "leave 'uid' out; 'run-as' is for users of this host",
                  "uid %" PRIu32 " is %s, too: each can reach the other's files", t->uid, account);
    t->gid = t->uid;
    t->project = t->uid;
    if (uid_record_by_uid(&giving->known.record, t->uid) == NULL &&
        claim(l, t->name, t->uid, true) < 0)
        return -1;
    return use(l, giving, t->uid, i);
}

static int refuse_user(struct loader *l, const struct tenant_build *b, const char *why)
{
    diag_add(l->diags, b->run_as_at.file, b->run_as_at.line,
             "make a user for it, with a group of its own", "%s %s", b->t.run_as, why);
    return 0;
}

static int take_named(struct loader *l, struct giving *giving, struct tenant_build *builds,
                      size_t i)
{
    struct tenant_build *b = &builds[i];
    struct tenant *t = &b->t;
    struct err err = {0};
    size_t other = 0;
    if (l->host->find_user(l->host->user, t->run_as, &t->uid, &t->gid, &err) < 0) {
        loader_complain(l, &b->run_as_at, NULL, &err);
        return 0;
    }
    if (t->uid == 0 || t->gid == 0)
        return refuse_user(l, b, t->uid == 0 ? "is root" : "is in root's group");
    if (is_reserved(t->uid) || is_reserved(t->gid))
        return refuse_user(l, b, "stands for nobody: the files of many may be its");
    if (is_our_own(l, giving, t->uid, &b->run_as_at, "user") ||
        is_of_another(l, giving, t, t->uid, &b->run_as_at))
        return 0;
    if (!find_user_of(giving, t->uid, &other))
        return use(l, giving, t->uid, i);
    if (builds[other].has_uid)
        diag_add(l->diags, b->run_as_at.file, b->run_as_at.line, NULL,
                 "tenant '%s' has uid %" PRIu32 ", which is that of %s (%s:%u)",
                 builds[other].t.name, t->uid, t->run_as, builds[other].uid_at.file,
                 builds[other].uid_at.line);
    return 0;
}

/* The place of a name in the range: the same on every host, whatever else the policy holds. */
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

static bool is_free(const struct giving *giving, uint32_t uid)
{
    const struct uid_sources *known = &giving->known;
    size_t other;
    return !is_reserved(uid) && uid_sources_own(known, uid) == NULL &&
           uid_record_by_uid(&known->record, uid) == NULL &&
           accounts_user(&known->accounts, uid) == NULL &&
           accounts_group(&known->accounts, uid) == NULL && !find_user_of(giving, uid, &other);
}

/* The first free uid from a place of the range on. False: there is none. */
static bool probe(const struct loader *l, const struct giving *giving, uint64_t place,
                  uint32_t *found)
{
    const struct server_config *s = &l->policy->server;
    uint64_t size = (uint64_t)s->uid_last - s->uid_first + 1;
    for (uint64_t tries = 0; tries < size; tries++) {
        uint32_t uid = (uint32_t)(s->uid_first + (place + tries) % size);
        const struct account *range = accounts_subordinate(&giving->known.accounts, uid);
        if (range != NULL) {
            /* On behind it, which may be far. */
            tries += (range->last < s->uid_last ? range->last : s->uid_last) - uid;
        } else if (is_free(giving, uid)) {
            *found = uid;
            return true;
        }
    }
    return false;
}

static void complain_of_range(struct loader *l, const struct giving *giving,
                              const struct tenant_build *b)
{
    const struct uid_record *record = &giving->known.record;
    char hint[200] = "widen 'uid-range' in [server]";
    size_t gone = 0, i;
    for (size_t k = 0; k < record->n; k++)
        gone += !strmap_get(&l->tenants.names, record->claims[k].name, &i);
    if (gone > 0)
        (void)snprintf(hint, sizeof hint,
                       "widen 'uid-range' in [server]; %zu are kept for tenants that are gone in "
                       "%.70s",
                       gone, giving->known.path);
    diag_add(l->diags, b->t.origin.file, b->t.origin.line, hint,
             "no uid is left in the range for tenant '%s'", b->t.name);
}

/* What was found before stays, wherever the range is by now. */
static int take_recorded(struct loader *l, struct giving *giving, struct tenant_build *builds,
                         size_t i, uint32_t uid)
{
    const struct tenant_build *b = &builds[i];
    char account[96];
    if (is_our_own(l, giving, uid, &b->t.origin, "tenant's uid"))
        return 0;
    if (describe_account(giving, uid, account))
        diag_warn(l->diags, b->t.origin.file, b->t.origin.line,
                  "give that account another number: tenants' are kept",
                  "tenant '%s' has uid %" PRIu32 ", which is %s by now: each can reach the "
                  "other's files",
                  b->t.name, uid, account);
    return use(l, giving, uid, i);
}

static int find_number(struct loader *l, struct giving *giving, struct tenant_build *builds,
                       size_t i, uint32_t *uid)
{
    const struct server_config *s = &l->policy->server;
    const struct tenant_build *b = &builds[i];
    const struct uid_claim *held = uid_record_by_name(&giving->known.record, b->t.name);
    uint64_t place = 0;
    if (held != NULL) {
        *uid = held->uid;
        return take_recorded(l, giving, builds, i, held->uid);
    }
    if (place_of(l, b->t.name, (uint64_t)s->uid_last - s->uid_first + 1, &place) < 0) {
        diag_add(l->diags, b->t.origin.file, b->t.origin.line, NULL, "SHA-256 failed");
        return 0;
    }
    if (!probe(l, giving, place, uid)) {
        complain_of_range(l, giving, b);
        return 0;
    }
    return claim(l, b->t.name, *uid, false) < 0 ? -1 : use(l, giving, *uid, i);
}

/* Of what runs as a user of this host, quotas are counted by a number of its own all the same. */
static int take_found(struct loader *l, struct giving *giving, struct tenant_build *builds,
                      size_t i)
{
    struct tenant *t = &builds[i].t;
    uint32_t number = 0;
    if (find_number(l, giving, builds, i, &number) < 0)
        return -1;
    t->project = number;
    if (t->run_as == NULL)
        t->uid = t->gid = number;
    return 0;
}

static int assign(struct loader *l, struct giving *giving, struct tenant_build *builds, size_t n)
{
    if (uid_sources_read(l, &giving->known) < 0)
        return -1;
    for (size_t i = 0; i < n; i++)
        if (builds[i].has_uid && take_explicit(l, giving, builds, i) < 0)
            return -1;
    for (size_t i = 0; i < n; i++)
        if (builds[i].t.run_as != NULL && take_named(l, giving, builds, i) < 0)
            return -1;
    for (size_t i = 0; i < n; i++)
        if (!builds[i].has_uid && take_found(l, giving, builds, i) < 0)
            return -1;
    return 0;
}

int uids_assign(struct loader *l, struct tenant_build *builds, size_t n)
{
    struct giving giving = {0};
    int rc = assign(l, &giving, builds, n);
    uid_sources_free(&giving.known);
    return rc;
}
