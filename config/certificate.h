/*
 * certificate.h - OpenSSH user certificates (PROTOCOL.certkeys of OpenSSH), taken apart strictly.
 *
 * Pure: nothing here says that a certificate is genuine or accepted; login.c does, with the CA's
 * signature and the policy.
 */
#ifndef POSTERN_CONFIG_CERTIFICATE_H
#define POSTERN_CONFIG_CERTIFICATE_H

#include "err.h"
#include "key_blob.h"
#include "wire.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    CERTIFICATE_MAX = 8192,
    CERTIFICATE_PRINCIPALS_MAX = 256,
    CERTIFICATE_OPTIONS_MAX = 64,
    CERTIFICATE_KEY_ID_MAX = 1024
};

/* What `kind` may be. */
enum { CERTIFICATE_USER = 1, CERTIFICATE_HOST = 2 };

/* Views into the blob that it was parsed from. */
struct certificate {
    const char *key_type;  /* of the key that is certified: "ssh-ed25519", … */
    struct wire_bytes key; /* that key's fields, as in its blob behind the type */
    uint64_t serial;
    uint32_t kind;
    struct wire_bytes key_id;     /* text: no control characters */
    struct wire_bytes principals; /* read with certificate_next_principal() */
    uint64_t valid_after, valid_before;
    bool has_force;
    struct wire_bytes force; /* force-command: text without NUL, not empty */
    bool has_source;
    struct wire_bytes source;  /* source-address: text without NUL */
    struct wire_bytes unknown; /* name of the first critical option that isn't one of these */
    bool permit_pty;
    struct wire_bytes authority; /* blob of the key that signed it; not checked, may be anything */
    struct wire_bytes body;      /* what was signed */
    struct wire_bytes signature;
};

/* Whether a blob says that it is a certificate, of an accepted type or not. */
bool is_certificate_blob(const unsigned char *blob, size_t len);

/*
 * Takes a whole certificate apart: a type that is accepted, a sound key, options in order and each
 * once, nothing left over. Returns 0, or -1 with err.
 */
int certificate_parse(const unsigned char *blob, size_t len, struct certificate *out,
                      struct err *err);

/* Gives the next principal and moves *rest behind it; false at the end. Begin with .principals. */
bool certificate_next_principal(struct wire_bytes *rest, struct wire_bytes *principal);

/* The certified key as a blob of its own (RFC 4253 §6.6). Returns its length. */
size_t certificate_key_blob(const struct certificate *certificate, unsigned char out[KEY_BLOB_MAX]);

#endif
