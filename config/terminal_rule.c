#include "terminal_rule.h"

#include <stdio.h>
#include <string.h>

enum { NAME_MAX_LEN = 63 };

bool terminal_rule_allows(const struct login *login, char *why, size_t len, struct origin *at)
{
    const struct tenant *t = login->tenant;
    *at = (struct origin){0};
    why[0] = '\0';
    if (!t->pty) {
        *at = t->pty_at;
        (void)snprintf(why, len, "this tenant has pty = no");
    } else if (login->key != NULL && login->key->restricted) {
        *at = login->key->origin;
        (void)snprintf(why, len, "this key has %s",
                       login->key->is_authority ? "restrict or no-pty at its authority"
                                                : "restrict or no-pty");
    } else if (login->restricted) {
        (void)snprintf(why, len, "this certificate has no permit-pty");
    } else {
        return true;
    }
    return false;
}

/* Databases are directories of files of these names; no slash and no dot in front. */
static bool is_name(const char *term)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    static const char all[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                              "+-._";
    size_t len = strlen(term);
    return len > 0 && len <= NAME_MAX_LEN && strspn(term, letters) > 0 && strspn(term, all) == len;
}

const char *terminal_rule_name(const char *term)
{
    return term != NULL && is_name(term) ? term : "dumb";
}
