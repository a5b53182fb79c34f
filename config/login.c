#include "login.h"
#include "address.h"
#include "key_index.h"
#include "pool.h"
#include "revoked.h"
#include "text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static bool refuse(struct login *out, const struct origin *rule, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Always false. */
static bool refuse(struct login *out, const struct origin *rule, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(out->reason, sizeof out->reason, fmt, ap);
    va_end(ap);
    if (rule != NULL)
        out->rule = *rule;
    return false;
}

static bool refuse_unknown(struct login *out, const char *why)
{
    return refuse(out, NULL, "%s", out->login_known ? why : "no tenant has this login");
}

static bool find_open(const struct login_request *r, struct login *out)
{
    out->tenant = policy_find_open(r->policy, r->user);
    return out->tenant != NULL || refuse_unknown(out, "this login asks for a key");
}

static bool find_key(const struct login_request *r, struct login *out)
{
    if (r->blob == NULL && r->fingerprint != NULL
            ? policy_find_fingerprint(r->policy, r->user, r->fingerprint, &out->tenant, &out->key)
            : policy_find_key(r->policy, r->user, r->blob, r->blob_len, &out->tenant, &out->key))
        return true;
    return refuse_unknown(out, "this login has no such key");
}

static bool is_equal(struct wire_bytes b, const char *s)
{
    return b.len == strlen(s) && memcmp(b.data, s, b.len) == 0;
}

/* Without principals= the certificate must be for the login itself. */
static bool comes_under(const struct certificate *c, const struct policy_key *line,
                        const char *user)
{
    struct wire_bytes rest = c->principals;
    struct wire_bytes one;
    while (certificate_next_principal(&rest, &one)) {
        if (line->principals.n == 0 && is_equal(one, user))
            return true;
        for (size_t i = 0; i < line->principals.n; i++)
            if (is_equal(one, line->principals.items[i]))
                return true;
    }
    return false;
}

static bool choose_line(const struct login_request *r, const struct authority *lines,
                        struct login *out)
{
    const struct certificate *c = &out->certificate;
    const struct authority *chosen = NULL;
    for (const struct authority *a = lines; a != NULL; a = a->next) {
        if (!comes_under(c, a->key, r->user))
            continue;
        if (chosen != NULL)
            return refuse(out, &a->key->origin,
                          "the certificate's principals fit another line too (%.120s:%u)",
                          chosen->key->origin.file, chosen->key->origin.line);
        chosen = a;
    }
    if (chosen == NULL)
        return refuse(out, &lines->key->origin, "%s",
                      c->principals.len == 0 ? "the certificate names no principals"
                                             : "none of the certificate's principals may log in");
    out->tenant = chosen->tenant;
    out->key = chosen->key;
    return true;
}

static bool find_certificate(const struct login_request *r, struct login *out)
{
    struct certificate *c = &out->certificate;
    struct err err = {0};
    if (certificate_parse(r->blob, r->blob_len, c, &err) < 0)
        return refuse(out, NULL, "malformed certificate: %.200s", err.text);
    out->has_certificate = true;
    /* Before the login is looked at: how long it takes says nothing about logins. */
    bool genuine =
        key_index_is_authority(r->policy, c->authority) &&
        (r->is_genuine || key_index_verify(r->policy, c->authority, c->body, c->signature));
    const struct authority *lines = key_index_find_authority(r->policy, r->user, c->authority);
    if (lines == NULL)
        return refuse_unknown(out, "this login has no such certificate authority");
    const struct origin *place = &lines->key->origin;
    char shown[80];
    if (!genuine)
        return refuse(out, place, "the signature of the certificate is wrong");
    if (c->kind != CERTIFICATE_USER)
        return refuse(out, place, "the certificate is not a user's%s",
                      c->kind == CERTIFICATE_HOST ? " but a host's" : "");
    if (c->unknown.len > 0)
        return refuse(
            out, place, "the certificate has an unknown critical option, '%s'",
            text_escape(shown, sizeof shown, (const char *)c->unknown.data, c->unknown.len));
    return choose_line(r, lines, out);
}

static bool find(const struct login_request *r, struct login *out)
{
    out->login_known = key_index_has_login(r->policy, r->user);
    if (r->method == AUTH_NONE)
        return find_open(r, out);
    if (r->blob != NULL && is_certificate_blob(r->blob, r->blob_len))
        return find_certificate(r, out);
    return find_key(r, out);
}

/* A key that is revoked, whoever lists it; of a certificate, itself and both of its keys. */
static bool is_revoked(const struct login_request *r, struct login *out)
{
    const struct certificate *c = &out->certificate;
    unsigned char certified[KEY_BLOB_MAX];
    const struct origin *place = NULL;
    const char *what = "the key is revoked";
    if (r->method == AUTH_NONE)
        return false;
    if (out->has_certificate) {
        struct wire_bytes key = {certified, certificate_key_blob(c, certified)};
        const struct origin *authority = revoked_find(r->policy, c->authority);
        place = revoked_find(r->policy, key);
        if (place == NULL && authority != NULL) {
            what = "the authority of the certificate is revoked";
            place = authority;
        }
        if (place == NULL) {
            what = "the certificate is revoked";
            place = revoked_find_certificate(r->policy, c);
        }
    } else if (r->blob != NULL) {
        place = revoked_find(r->policy, (struct wire_bytes){r->blob, r->blob_len});
    } else if (r->fingerprint != NULL) {
        place = revoked_find_fingerprint(r->policy, r->fingerprint);
    }
    return place != NULL && !refuse(out, place, "%s", what);
}

static bool is_allowed_from(const struct address_list *list, const unsigned char *addr,
                            const char *whose, const struct login_request *r, struct login *out)
{
    if (list->n == 0)
        return true;
    if (addr == NULL)
        return refuse(out, &list->rules[0].origin, "%s can't judge an unknown address", whose);
    const struct address_rule *rule = address_list_match(list, addr);
    if (rule == NULL)
        return refuse(out, &list->rules[0].origin, "%s does not list %s", whose, r->peer_host);
    if (rule->negated)
        return refuse(out, &rule->origin, "%s refuses %s by %s", whose, r->peer_host, rule->text);
    return true;
}

/* "2026-01-31T00:00:00Z"; times that no calendar holds are far away. */
static const char *show_time(uint64_t when, char *buf, size_t len)
{
    struct tm tm;
    time_t seconds = (time_t)when;
    if (when > 253402300799 || gmtime_r(&seconds, &tm) == NULL ||
        strftime(buf, len, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
        (void)snprintf(buf, len, "the year 10000");
    return buf;
}

static bool is_in_time(const struct login_request *r, struct login *out)
{
    const struct policy_key *key = out->key;
    const struct certificate *c = &out->certificate;
    uint64_t now = r->now < 0 ? 0 : (uint64_t)r->now;
    char when[32];
    if (key->expires != 0 && r->now >= key->expires)
        return refuse(out, &key->origin, "the key's expiry-time was %s",
                      show_time((uint64_t)key->expires, when, sizeof when));
    if (out->has_certificate && now < c->valid_after)
        return refuse(out, &key->origin, "the certificate is not valid before %s",
                      show_time(c->valid_after, when, sizeof when));
    if (out->has_certificate && now >= c->valid_before)
        return refuse(out, &key->origin, "the certificate was valid until %s",
                      show_time(c->valid_before, when, sizeof when));
    return true;
}

static bool has_source(const struct login_request *r, const unsigned char *addr, struct login *out)
{
    const struct certificate *c = &out->certificate;
    const struct origin *place = &out->key->origin;
    struct pool pool = {0};
    struct address_list list = {0};
    struct err err = {0};
    char *text = pool_strndup(&pool, (const char *)c->source.data, c->source.len);
    bool ok;
    if (text == NULL)
        ok = refuse(out, place, "out of memory");
    else if (address_list_add(&pool, &list, text, place, &err) < 0)
        ok = refuse(out, place, "the certificate's source-address: %.160s", err.text);
    else if (list.n == 0)
        ok = refuse(out, place, "the certificate's source-address is empty");
    else
        ok = is_allowed_from(&list, addr, "the certificate's source-address", r, out);
    pool_free(&pool);
    return ok;
}

/* Each may name the command; two that name different ones leave none that both allow. */
static bool agree_on_force(struct login *out)
{
    const struct certificate *c = &out->certificate;
    const char *own = out->key->force;
    if (own != NULL)
        out->force = (struct wire_bytes){(const unsigned char *)own, strlen(own)};
    if (!out->has_certificate || !c->has_force)
        return true;
    if (own != NULL && !is_equal(c->force, own))
        return refuse(out, &out->key->origin,
                      "the certificate's force-command is not the command= of its authority");
    out->force = c->force;
    return true;
}

static bool is_key_allowed(const struct login_request *r, const unsigned char *addr,
                           struct login *out)
{
    const struct certificate *c = &out->certificate;
    if (!is_allowed_from(&out->key->from, addr, "the key's from=", r, out) || !is_in_time(r, out))
        return false;
    if (out->has_certificate && c->has_source && !has_source(r, addr, out))
        return false;
    out->restricted = out->key->restricted || (out->has_certificate && !c->permit_pty);
    return agree_on_force(out);
}

void decide_login(const struct login_request *request, struct login *out)
{
    unsigned char bytes[ADDRESS_LEN];
    *out = (struct login){0};
    bool found = find(request, out);
    /* Looked up for every key, so that nobody hears by the clock whether it was found. */
    if (is_revoked(request, out) || !found)
        return;
    out->rule = out->key != NULL ? out->key->origin : out->tenant->origin;
    const unsigned char *addr = address_parse(request->peer_host, bytes) < 0 ? NULL : bytes;
    out->accepted = is_allowed_from(&out->tenant->from, addr, "the tenant's from", request, out) &&
                    (out->key == NULL || is_key_allowed(request, addr, out));
}

struct wire_bytes login_key_name(const struct login *login)
{
    if (login->has_certificate)
        return login->certificate.key_id;
    const char *comment = login->key == NULL ? "" : login->key->comment;
    return (struct wire_bytes){(const unsigned char *)comment, strlen(comment)};
}
