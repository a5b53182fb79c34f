#include "review.h"
#include "diag.h"
#include "review_parts.h"
#include "strmap.h"
#include "text.h"

#include <string.h>

int review_compare_origins(const struct origin *a, const struct origin *b)
{
    int by_file = a->file == b->file ? 0 : strcmp(a->file, b->file);
    if (by_file != 0)
        return by_file;
    return a->line == b->line ? 0 : a->line < b->line ? -1 : 1;
}

static void review_login(const struct tenant *t, struct diags *diags)
{
    char name[80];
    char user[80];
    text_escape_str(name, sizeof name, t->name);
    text_escape_str(user, sizeof user, t->user);
    if (t->auth == AUTH_NONE)
        diag_warn(diags, t->origin.file, t->origin.line,
                  t->from.n > 0 ? "'keys =' asks for proof"
                                : "'keys =' asks for proof, 'from =' limits the addresses",
                  "auth = none lets in as tenant '%s' whoever knows the login '%s'%s", name, user,
                  t->from.n > 0 ? " and comes from an address in 'from'" : "");
    else if (t->n_keys == 0 && !t->extended)
        diag_warn(diags, t->origin.file, t->origin.line, "name a file with 'keys ='",
                  "nobody can log in as tenant '%s': it has no key", name);
}

static void review_tenant(const struct tenant *t, struct diags *diags)
{
    char name[80];
    review_login(t, diags);
    if (t->shell_line == NULL && t->force_line == NULL && t->n_templates == 0 &&
        t->n_subsystems == 0 && !t->extended)
        diag_warn(diags, t->origin.file, t->origin.line,
                  "give it one of 'shell', 'force', 'command' and 'subsystem'",
                  "tenant '%s' may run nothing: every command will be denied",
                  text_escape_str(name, sizeof name, t->name));
}

/* A misspelt login makes a test of a denial pass for ever. */
static int review_tests(const struct policy *policy, struct pool *pool, struct diags *diags)
{
    struct strmap logins = {0};
    size_t index;
    size_t guesses = 0;
    for (size_t i = 0; policy->n_tests > 0 && i < policy->n_tenants; i++) {
        const char *user = policy->tenants[i].user;
        if (!strmap_get(&logins, user, &index) && strmap_put(pool, &logins, user, i) < 0)
            return -1;
    }
    for (size_t i = 0; i < policy->n_tests; i++) {
        const struct policy_test *test = &policy->tests[i];
        char user[80];
        struct suggestion guess;
        char hint[128];
        if (strmap_get(&logins, test->user, &index))
            continue;
        bool guessing = guesses++ < GUESSES_MAX;
        suggest_begin(&guess, test->user);
        for (size_t k = 0; guessing && k < policy->n_tenants; k++)
            suggest_try(&guess, policy->tenants[k].user);
        diag_warn(diags, test->origin.file, test->origin.line,
                  suggest_hint(&guess, hint, sizeof hint),
                  "no tenant has the login '%s': whatever this test asks for is denied",
                  text_escape_str(user, sizeof user, test->user));
    }
    return 0;
}

int policy_review(const struct policy *policy, int64_t now, struct diags *diags)
{
    struct pool pool = {0};
    const struct origin *at = &policy->server.origin;
    if (policy->n_tenants == 0)
        diag_warn(diags, at->file, 0,
                  "a file *.ini in policy.d beside it holds a [tenant \"name\"]",
                  "there is no tenant: nobody can log in");
    /* What one line says for many tenants comes first: of warnings there is a limit. */
    bool failed = review_rules(policy, diags) < 0 || review_sandboxes(policy, diags) < 0 ||
                  review_users(policy, diags) < 0 || review_tests(policy, &pool, diags) < 0;
    pool_free(&pool);
    for (size_t i = 0; i < policy->n_tenants; i++)
        review_tenant(&policy->tenants[i], diags);
    if (failed || review_keys(policy, now, diags) < 0)
        return -1;
    diags_sort(diags);
    return 0;
}
