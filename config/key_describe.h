/*
 * key_describe.h - a key that was offered, in the words of sshd's log.
 */
#ifndef POSTERN_CONFIG_KEY_DESCRIBE_H
#define POSTERN_CONFIG_KEY_DESCRIBE_H

#include "policy.h"
#include "wire.h"

enum { KEY_DESCRIPTION_MAX = 512 };

struct key_description {
    const char *type;                      /* "ED25519", "ECDSA", "RSA"; "" if it is none of them */
    char fingerprint[KEY_FINGERPRINT_MAX]; /* of the key itself, also if it came certified */
    bool is_certified;
    struct wire_bytes key_id; /* borrowed from the blob */
    uint64_t serial;
    const char *authority_type;
    char authority[KEY_FINGERPRINT_MAX];
};

/* Describes any bytes: what can't be read as a key or certificate has a fingerprint alone. */
void key_describe(const struct policy_host *host, const unsigned char *blob, size_t len,
                  struct key_description *out);

/*
 * "ED25519 SHA256:…", or "ED25519-CERT SHA256:… ID name (serial 5) CA ED25519 SHA256:…". Escaped,
 * and cut to fit. Returns buf.
 */
const char *key_description_format(const struct key_description *d, char *buf, size_t cap);

#endif
