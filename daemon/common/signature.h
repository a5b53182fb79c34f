/*
 * signature.h - verifying SSH signatures with libcrypto: RFC 4253 §6.6, RFC 5656 §3.1.2, RFC 8332,
 * RFC 8709; those of security keys: PROTOCOL.u2f of OpenSSH.
 */
#ifndef POSTERN_DAEMON_SIGNATURE_H
#define POSTERN_DAEMON_SIGNATURE_H

#include "wire.h"

#include <stdbool.h>
#include <stddef.h>

/*
 * Whether `signature` (an SSH signature blob: algorithm, bytes) is that of `data` by `key` (a key
 * blob). Ed25519, ECDSA on the three NIST curves, RSA of at least 2048 bits with SHA-2, and
 * security keys' Ed25519 and ECDSA; ssh-rsa, which is SHA-1, is no signature. Returns 0 if it is,
 * else -1. Needs no state.
 */
int signature_verify(const unsigned char *key, size_t key_len, const unsigned char *data,
                     size_t data_len, const unsigned char *signature, size_t signature_len);

/* What a security key adds to a signature, and signs as well. */
struct sk_signature {
    uint8_t flags;
    uint32_t counter;
    bool touched;  /* somebody was there */
    bool verified; /* and was recognised by the device, by a PIN or a finger */
};

/* Whether a signature, right or not, is by a security key; *out is filled then. */
bool signature_is_sk(struct wire_bytes signature, struct sk_signature *out);

/* The same as signature_verify() of a signature in libcrypto's form (ECDSA: DER) by an algorithm of
 * RFC 4253 §6.6. */
int signature_verify_raw(const char *algorithm, const unsigned char *key, size_t key_len,
                         const unsigned char *data, size_t data_len, const unsigned char *signature,
                         size_t signature_len);

/* Whether signatures by this algorithm are made with keys of this one's type; *digest is then
 * libcrypto's name of its digest, or NULL if it has its own. Returns 0, or -1. */
int signature_digest(const char *algorithm, const unsigned char *key, size_t key_len,
                     const char **digest);

/* An algorithm for keys of this one's type; NULL if there is none. */
const char *signature_algorithm_of(const unsigned char *key, size_t key_len);

/* Whether an SSH signature (RFC 4253 §6.6) is by an algorithm of this list: names with commas
 * between them. */
bool signature_is_of(struct wire_bytes signature, const char *list);

#endif
