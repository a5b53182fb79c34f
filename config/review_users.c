#include "diag.h"
#include "pool.h"
#include "review_parts.h"
#include "strmap.h"
#include "text.h"

#include <stdio.h>

/* The tenants that run as one user of this host. */
struct sharing {
    const struct tenant *first, *second;
    size_t n;
};

static int count(const struct policy *policy, struct pool *pool, struct sharing **items, size_t *n)
{
    struct strmap by_user = {0};
    for (size_t i = 0; i < policy->n_tenants; i++) {
        const struct tenant *t = &policy->tenants[i];
        const struct sharing fresh = {.first = t, .n = 1};
        size_t at = 0;
        if (t->run_as == NULL)
            continue;
        if (!strmap_get(&by_user, t->run_as, &at)) {
            if (strmap_put(pool, &by_user, t->run_as, *n) < 0 ||
                pool_push(pool, (void *)items, n, &fresh, sizeof fresh) < 0)
                return -1;
            continue;
        }
        if ((*items)[at].n++ == 1)
            (*items)[at].second = t;
    }
    return 0;
}

static void warn(const struct sharing *sharing, struct diags *diags)
{
    char user[48], more[48] = "";
    if (sharing->n > 2)
        (void)snprintf(more, sizeof more, " and %zu more", sharing->n - 2);
    const struct origin *at = &sharing->second->origin;
    diag_warn(diags, at->file, at->line, "users of their own, or 'run-as = auto', keep them apart",
              "tenants '%s', '%s'%s run as %s: each can reach what another one keeps, and they "
              "share the user's limit of processes",
              sharing->first->name, sharing->second->name, more,
              text_escape_str(user, sizeof user, sharing->first->run_as));
}

int review_users(const struct policy *policy, struct diags *diags)
{
    struct pool pool = {0};
    struct sharing *items = NULL;
    size_t n = 0;
    int rc = count(policy, &pool, &items, &n);
    for (size_t i = 0; rc == 0 && i < n; i++)
        if (items[i].n > 1)
            warn(&items[i], diags);
    pool_free(&pool);
    return rc;
}
