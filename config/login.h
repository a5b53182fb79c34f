/*
 * login.h - who may be on a connection: the one place where a login is accepted or refused. Pure;
 * the master, `postern explain` and `postern test` call the same function.
 */
#ifndef POSTERN_CONFIG_LOGIN_H
#define POSTERN_CONFIG_LOGIN_H

#include "certificate.h"
#include "policy.h"

struct login_request {
    const struct policy *policy;
    const char *user;
    enum auth_method method;
    const unsigned char *blob; /* of AUTH_PUBLICKEY: RFC 4253 §6.6 or a certificate, or NULL: see
                                  fingerprint */
    size_t blob_len;
    const char *fingerprint; /* "SHA256:…" in place of a blob, for explain and test; or NULL */
    const char *peer_host;   /* numeric */
    int64_t now;             /* seconds since the epoch */
    bool is_genuine;         /* the signature of this certificate has been verified before */
};

/* Borrows from the policy and from the request's blob. */
struct login {
    bool accepted;
    const struct tenant *tenant;  /* NULL: nobody has this login and key */
    const struct policy_key *key; /* NULL: no key was asked for (auth = none), or no such key; of a
                                     certificate: the cert-authority line that it comes under */
    bool login_known;             /* some tenant has this login; for the log alone */
    bool has_certificate;         /* the key came as one, and it could be read: */
    struct certificate certificate;
    /* What key and certificate allow, both together. */
    bool restricted;         /* no terminal */
    struct wire_bytes force; /* stands in for what the client asks for; empty: nothing does */
    struct origin rule;      /* what refused it, or the key's place */
    char reason[256];        /* printable; why it was refused */
};

/*
 * Total: what can't be judged is refused. So is a key of revoked-keys, and a certificate for one or
 * by one. Every refusal of a key that isn't listed has done the
 * same work, whether there is such a login or not; and so has every refusal of a certificate.
 *
 * A certificate is accepted if a cert-authority line of the login has the key that signed it and,
 * with principals=, one of its principals, or else the login's name; a line's other options hold
 * for all its certificates. It must be a user's, name a principal, be in its time, come from its
 * source-address and hold no critical option that is unknown. Without permit-pty it is restricted.
 */
void decide_login(const struct login_request *request, struct login *out);

/* The name of who that is, for logs and POSTERN_KEY: a key's comment, a certificate's key id. */
struct wire_bytes login_key_name(const struct login *login);

#endif
