#include "cleanup.h"
#include "diag.h"
#include "key_blob.h"
#include "review_parts.h"
#include "text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { RSA_BITS_ADVISED = 3072, TENANTS_NAMED = 3 };

/* A key where a tenant lists it. */
struct place {
    const struct policy_key *key;
    const struct tenant *tenant;
};

/* The same keys side by side, and of those the same lines. Tenants are in the order of their names
 * already. */
static int compare(const void *a, const void *b)
{
    const struct place *x = a;
    const struct place *y = b;
    int by_key = strcmp(x->key->fingerprint, y->key->fingerprint);
    if (by_key != 0)
        return by_key;
    int by_line = review_compare_origins(&x->key->origin, &y->key->origin);
    if (by_line != 0)
        return by_line;
    return x->tenant == y->tenant ? 0 : x->tenant < y->tenant ? -1 : 1;
}

static void review_key(const struct policy_key *key, int64_t now, struct diags *diags)
{
    const struct origin *at = &key->origin;
    unsigned bits = key_blob_bits(key->blob, key->blob_len);
    if (strcmp(key->type, "ssh-rsa") == 0 && bits < RSA_BITS_ADVISED)
        diag_warn(diags, at->file, at->line, "ssh-keygen -t ed25519 makes a better one",
                  "RSA key of %u bits: less than %d won't do for long", bits, RSA_BITS_ADVISED);
    if (key->expires == 0 || now < key->expires)
        return;
    struct tm tm;
    char day[32] = "";
    time_t when = (time_t)key->expires;
    if (gmtime_r(&when, &tm) != NULL)
        (void)strftime(day, sizeof day, " on %Y-%m-%d", &tm);
    diag_warn(diags, at->file, at->line, "remove the line, or renew its expiry-time",
              "this key has expired%s: nobody can log in with it", day);
}

/* "'a', 'b', 'c' and 4 more" */
static void name_tenants(const struct place *places, size_t n, size_t n_tenants, char *buf,
                         size_t cap)
{
    size_t named = 0;
    size_t used = 0;
    buf[0] = '\0';
    for (size_t i = 0; i < n && named < TENANTS_NAMED; i++) {
        char name[40];
        if (places[i].key->is_authority)
            continue;
        text_escape_str(name, sizeof name, places[i].tenant->name);
        named++;
        const char *join = named == 1 ? "" : named == n_tenants ? " and " : ", ";
        used += (size_t)snprintf(buf + used, cap - used, "%s'%s'", join, name);
    }
    if (n_tenants > named)
        (void)snprintf(buf + used, cap - used, " and %zu more", n_tenants - named);
}

/*
 * All places of one key. An authority is meant to be shared: its certificates name whom they are
 * for. Within one login a key is in one tenant, so several tenants are several logins; and within
 * one tenant it is listed once.
 */
static void review_sharing(const struct place *places, size_t n, struct diags *diags)
{
    size_t n_tenants = 0;
    const struct place *first = NULL;
    for (size_t i = 0; i < n; i++) {
        if (places[i].key->is_authority)
            continue;
        n_tenants++;
        first = first == NULL ? &places[i] : first;
    }
    if (n_tenants < 2)
        return;
    char names[(TENANTS_NAMED + 1) * 48];
    name_tenants(places, n, n_tenants, names, sizeof names);
    diag_warn(diags, first->key->origin.file, first->key->origin.line,
              "a key for each can be withdrawn from one of them alone",
              "one key lets in as %zu tenants: %s", n_tenants, names);
}

static void review_group(const struct place *places, size_t n, int64_t now, struct diags *diags)
{
    for (size_t i = 0; i < n; i++)
        if (i == 0 ||
            review_compare_origins(&places[i - 1].key->origin, &places[i].key->origin) != 0)
            review_key(places[i].key, now, diags);
    review_sharing(places, n, diags);
}

int review_keys(const struct policy *policy, int64_t now, struct diags *diags)
{
    size_t total = 0;
    size_t n = 0;
    for (size_t i = 0; i < policy->n_tenants; i++)
        total += policy->tenants[i].n_keys;
    cleanup_free struct place *places = calloc(total + 1, sizeof *places);
    if (places == NULL)
        return -1;
    for (size_t i = 0; i < policy->n_tenants; i++)
        for (size_t k = 0; k < policy->tenants[i].n_keys; k++)
            places[n++] = (struct place){&policy->tenants[i].keys[k], &policy->tenants[i]};
    qsort(places, n, sizeof *places, compare);
    for (size_t i = 0, end; i < n; i = end) {
        end = i + 1;
        while (end < n && strcmp(places[i].key->fingerprint, places[end].key->fingerprint) == 0)
            end++;
        review_group(&places[i], end - i, now, diags);
    }
    return 0;
}
