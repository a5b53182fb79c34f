#include "tenant_build.h"

/*
 * Whoever asks for such a login gets in without a key: if another tenant had it too, its keys
 * would never be asked for.
 */
static void complain(struct loader *l, const struct tenant_build *open,
                     const struct tenant_build *other)
{
    diag_add(l->diags, other->t.origin.file, other->t.origin.line,
             "give one of them another 'user'",
             "tenant '%s' has login '%s', but auth = none gives that to tenant '%s' alone (%s:%u)",
             other->t.name, other->t.user, open->t.name, open->auth_at.file, open->auth_at.line);
}

int open_logins_build(struct loader *l, const struct tenant_build *builds, size_t n)
{
    size_t other = 0;
    struct strmap *logins = pool_alloc(l->pool, sizeof *logins);
    if (logins == NULL)
        return -1;
    l->policy->open_logins = logins;
    for (size_t i = 0; i < n; i++) {
        if (builds[i].t.auth != AUTH_NONE)
            continue;
        if (strmap_get(logins, builds[i].t.user, &other))
            complain(l, &builds[other], &builds[i]);
        else if (strmap_put(l->pool, logins, builds[i].t.user, i) < 0)
            return -1;
    }
    for (size_t i = 0; i < n; i++)
        if (builds[i].t.auth != AUTH_NONE && strmap_get(logins, builds[i].t.user, &other))
            complain(l, &builds[other], &builds[i]);
    return 0;
}

const struct tenant *policy_find_open(const struct policy *policy, const char *user)
{
    size_t at = 0;
    return strmap_get(policy->open_logins, user, &at) ? &policy->tenants[at] : NULL;
}
