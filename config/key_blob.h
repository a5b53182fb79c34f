/*
 * key_blob.h - public key blobs (RFC 4253 §6.6, RFC 5656 §3.1, RFC 8709 §4; security keys:
 * PROTOCOL.u2f of OpenSSH), checked field by field.
 */
#ifndef POSTERN_CONFIG_KEY_BLOB_H
#define POSTERN_CONFIG_KEY_BLOB_H

#include "err.h"

#include <stdbool.h>
#include <stddef.h>

enum { KEY_BLOB_MAX = 4096, RSA_BITS_MIN = 2048, RSA_BITS_MAX = 16384 };

/* Whether a line that begins with this word begins with a key's type rather than with options. */
bool is_key_type(const char *word, size_t len);

struct suggestion;
/* Offers the types that are accepted as guesses (text.h). */
void key_types_suggest(struct suggestion *guess);

/* Whether keys of this type are accepted; -1 with err if not. */
int key_type_check(const char *type, size_t len, struct err *err);

/* Whether this is a type of OpenSSH certificates (certificate.h), accepted or not. */
bool is_certificate_type(const char *word, size_t len);

/* The type of keys that certificates of this type certify, or NULL if they aren't accepted. */
const char *key_type_certified(const char *word, size_t len);

/* Checks that the blob is one whole key of that type and nothing else. Returns 0, or -1. */
int key_blob_check(const char *type, const unsigned char *blob, size_t len, struct err *err);

/* The size of a key that key_blob_check() found good: bits of an RSA modulus, else of the curve. */
unsigned key_blob_bits(const unsigned char *blob, size_t len);

/* Whether keys of this type are held by a device that a person can be asked to touch: "sk-…". */
bool is_security_key_type(const char *type);

/* "ED25519", "ECDSA", "RSA", "ED25519-SK" or "ECDSA-SK", as ssh-keygen -l and sshd's log name a
 * type; else "unknown". */
const char *key_type_short(const char *type);

#endif
