/*
 * host_key.h - one private host key: read, tried out, used.
 */
#ifndef POSTERN_DAEMON_SIGNER_HOST_KEY_H
#define POSTERN_DAEMON_SIGNER_HOST_KEY_H

#include "err.h"
#include "key_blob.h"

#include <openssl/evp.h>
#include <stddef.h>

/* Two of a type could not both be offered: what is said of the second and the first. */
#define HOST_KEY_SAME_TYPE "host key %s: %s is of the same type; keep one of them"

struct host_key {
    EVP_PKEY *key;                    /* owned */
    unsigned char blob[KEY_BLOB_MAX]; /* the public key, RFC 4253 §6.6 */
    size_t blob_len;
};

/*
 * Reads a private key (OpenSSH or PEM, unencrypted: Ed25519, ECDSA on a NIST curve, RSA of at least
 * 2048 bits) and sees whether its parts belong together. The descriptor is borrowed, its offset
 * used up; `name` is for messages. Returns 0, or -1 with err that names the key and the remedy.
 */
int host_key_load(int fd, const char *name, struct host_key *key, struct err *err);

/*
 * Signs with an algorithm of RFC 4253 §6.6 that fits the key. `*len` is the room at `signature`,
 * then the length of what is there, in libcrypto's form (ECDSA: DER). Returns 0, or -1.
 */
int host_key_sign(const struct host_key *key, const char *algorithm, const unsigned char *data,
                  size_t data_len, unsigned char *signature, size_t *len);

/* Wipes it. */
void host_key_free(struct host_key *key);

#endif
