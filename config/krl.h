/*
 * krl.h - OpenSSH's key revocation lists (PROTOCOL.krl of OpenSSH), as ssh-keygen -k makes them.
 *
 * A list may be signed; who signed it is not asked, as the file is the administrator's and is
 * believed like every other one of the policy. What is not understood is refused, unless the list
 * itself says that it may be passed over. Pure.
 */
#ifndef POSTERN_CONFIG_KRL_H
#define POSTERN_CONFIG_KRL_H

#include "certificate.h"
#include "err.h"
#include "pool.h"

enum {
    KRL_AUTHORITIES_MAX = 4096, /* sections of certificates in one list */
    KRL_SHA1 = 20,
    KRL_SHA256 = 32,
};

/* Serial numbers `low` to `high`, of certificates by authority number `authority`. */
struct krl_range {
    size_t authority;
    uint64_t low, high;
};

/* Bit N, counted from the end, is that of serial number `offset` + N. */
struct krl_bitmap {
    size_t authority;
    uint64_t offset;
    struct wire_bytes bits;
};

struct krl_id {
    size_t authority;
    struct wire_bytes id;
};

/* Views into the list, and arrays of them in its pool. */
struct krl {
    struct wire_bytes *authorities; /* their keys; an empty one: whoever it is */
    size_t n_authorities;
    struct krl_range *ranges; /* sorted, apart from each other */
    size_t n_ranges;
    struct krl_bitmap *bitmaps;
    size_t n_bitmaps;
    struct krl_id *ids; /* sorted */
    size_t n_ids;
    struct wire_bytes *keys; /* blobs */
    size_t n_keys;
    struct wire_bytes *sha256; /* fingerprints, KRL_SHA256 bytes each */
    size_t n_sha256;
    struct wire_bytes *sha1; /* KRL_SHA1 bytes each, sorted */
    size_t n_sha1;
};

/* Whether a file is such a list, whole or not. */
bool is_krl(const void *data, size_t len);

/* Takes a list apart; `data` has to live as long as `out`. Returns 0, or -1 with err: it is
 * damaged, or says something that is not understood. */
int krl_parse(struct pool *pool, const unsigned char *data, size_t len, struct krl *out,
              struct err *err);

/* Whether it revokes this certificate: by its serial number or its id. Its key and its authority's
 * are looked up by themselves. A serial number of 0 is none. */
bool krl_has_certificate(const struct krl *krl, const struct certificate *certificate);

/* Whether it revokes a key with this digest. */
bool krl_has_sha1(const struct krl *krl, const unsigned char digest[KRL_SHA1]);

#endif
