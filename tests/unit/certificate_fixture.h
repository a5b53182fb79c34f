/*
 * certificate_fixture.h - certificates made to order, signed in a way that only fixture_host knows.
 */
#ifndef POSTERN_TESTS_CERTIFICATE_FIXTURE_H
#define POSTERN_TESTS_CERTIFICATE_FIXTURE_H

#include "certificate.h"

struct certificate_recipe {
    const unsigned char *authority; /* blob of the key that signs */
    size_t authority_len;
    const char *type; /* NULL: ssh-ed25519-cert-v01@openssh.com */
    const char *key_id;
    const char *principals; /* separated by ','; NULL: none */
    uint64_t serial;
    uint32_t kind;
    uint64_t after, before;
    const char *force;                /* NULL: none */
    const char *source;               /* the same */
    const char *critical, *critical2; /* names of options without data, last of all; or NULL */
    bool pty;
    bool forged; /* the signature is of something else */
};

/* Writes it to out[CERTIFICATE_MAX + 1024]; returns its length. */
size_t fixture_certificate(const struct certificate_recipe *recipe, unsigned char *out);

/* For policy_host.verify: is the signature one of those? */
int fixture_verify(const unsigned char *key, size_t key_len, const unsigned char *data,
                   size_t data_len, const unsigned char *signature, size_t signature_len);
/* How often it was asked. */
extern unsigned fixture_verified;

#endif
