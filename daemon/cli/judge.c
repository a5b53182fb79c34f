#include "judge.h"
#include "decide.h"
#include "values.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A key that can log in is found rather than the same one as an authority. */
static int add_key(struct judge *judge, const char *user, const struct policy_key *key, size_t *n)
{
    size_t at = 0;
    const char *name = pool_printf(&judge->pool, "%s %s", user, key->fingerprint);
    if (name == NULL)
        return -1;
    if (strmap_get(&judge->places, name, &at)) {
        if (judge->keys[at]->is_authority)
            judge->keys[at] = key;
        return 0;
    }
    judge->keys[*n] = key;
    return strmap_put(&judge->pool, &judge->places, name, (*n)++);
}

int judge_begin(struct judge *judge, const struct policy *policy)
{
    *judge = (struct judge){.policy = policy};
    size_t total = 0;
    size_t n = 0;
    for (size_t i = 0; i < policy->n_tenants; i++)
        total += policy->tenants[i].n_keys;
    judge->keys = pool_alloc(&judge->pool, (total + 1) * sizeof *judge->keys);
    if (judge->keys == NULL)
        return -1;
    for (size_t i = 0; i < policy->n_tenants; i++) {
        const struct tenant *tenant = &policy->tenants[i];
        for (size_t k = 0; k < tenant->n_keys; k++)
            if (add_key(judge, tenant->user, &tenant->keys[k], &n) < 0)
                return -1;
    }
    return 0;
}

void judge_free(struct judge *judge)
{
    pool_free(&judge->pool);
    *judge = (struct judge){0};
}

/* NULL: the login has no such key, or the client offered none. */
static const struct policy_key *find_key(const struct judge *judge, const struct record *record)
{
    char name[NAME_LEN_MAX + KEY_FINGERPRINT_MAX + 2];
    size_t at = 0;
    if (record->key == NULL)
        return NULL;
    /* Longer ones are none of the policy's. */
    int len = snprintf(name, sizeof name, "%s %s", record->user, record->key);
    if (len < 0 || (size_t)len >= sizeof name || !strmap_get(&judge->places, name, &at))
        return NULL;
    return judge->keys[at];
}

static bool is_same(const char *a, const char *b)
{
    return a != NULL && strcmp(a, b) == 0;
}

/* Whether the decision is another one; fills what is about it in `flip`. */
static bool differs(const struct record *record, const struct policy *policy,
                    const struct decision *d, struct flip *flip)
{
    flip->rule = d->rule;
    (void)snprintf(flip->reason, sizeof flip->reason, "%s", d->reason);
    if (!d->allowed) {
        flip->kind = FLIP_DENY;
        return record->allowed;
    }
    const char *tenant = d->login.tenant->name;
    const char *sandbox = policy->sandboxes[d->sandbox].name;
    if (!record->allowed) {
        flip->kind = FLIP_ALLOW;
        flip->after = sandbox;
        return true;
    }
    bool same_tenant = is_same(record->tenant, tenant);
    flip->kind = same_tenant ? FLIP_SANDBOX : FLIP_TENANT;
    flip->before = same_tenant ? record->sandbox : record->tenant;
    flip->after = same_tenant ? sandbox : tenant;
    return !same_tenant || !is_same(record->sandbox, sandbox);
}

enum judgement judge_record(const struct judge *judge, const struct record *record,
                            struct flip *flip)
{
    const struct policy_key *key = find_key(judge, record);
    if (key != NULL && key->is_authority)
        return JUDGE_CERTIFICATE;
    const struct decide_request request = {
        .who = {.policy = judge->policy,
                .user = record->user,
                .method = record->key != NULL ? AUTH_PUBLICKEY : AUTH_NONE,
                .blob = key != NULL ? key->blob : NULL,
                .blob_len = key != NULL ? key->blob_len : 0,
                .peer_host = record->client,
                .now = record->time},
        .kind = record->kind,
        .command = record->command,
        .command_len = record->command_len,
        .exec_id = record->exec,
        .local_host = "127.0.0.1",
    };
    struct decision decision;
    decide(&request, &decision);
    *flip = (struct flip){.user = record->user,
                          .tenant = record->tenant,
                          .exec_kind = record->kind,
                          .command = record->command,
                          .command_len = record->command_len,
                          .exec = record->exec,
                          .first = record->time};
    bool differ = differs(record, judge->policy, &decision, flip);
    decision_free(&decision);
    return differ ? JUDGE_DIFFERS : JUDGE_SAME;
}
