/*
 * offer.h - the key that a client would offer, from --key: a public key file, a certificate or a
 * fingerprint.
 */
#ifndef POSTERN_DAEMON_CLI_OFFER_H
#define POSTERN_DAEMON_CLI_OFFER_H

#include "login.h"
#include "pool.h"

struct offer {
    enum auth_method method; /* AUTH_NONE: no key */
    unsigned char *blob;     /* of the pool; NULL: a fingerprint, or no key */
    size_t blob_len;
    const char *fingerprint; /* as given, or NULL */
    char note[512];          /* what is to be said about the file; "" if nothing is */
};

/*
 * Reads what `key` names; NULL is a client that has no keys. Only a line that is a public key is
 * ever quoted, and a private key's file stands for the .pub beside it. Returns an exit status; what
 * is wrong has been said on stderr.
 */
int offer_read(struct pool *pool, const char *key, struct offer *out);

#endif
