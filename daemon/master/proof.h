/*
 * proof.h - a client's proof that it holds its key (RFC 4252 §7), judged from what the master knows
 * itself. Pure but for libcrypto.
 */
#ifndef POSTERN_DAEMON_MASTER_PROOF_H
#define POSTERN_DAEMON_MASTER_PROOF_H

#include "wire.h"

#include <stdbool.h>

struct proof {
    struct wire_bytes session_id;
    const char *user;
    struct wire_bytes blob;      /* a public key (RFC 4253 §6.6), or a certificate */
    struct wire_bytes signature; /* an SSH signature (RFC 4253 §6.6) */
};

/*
 * Whether the signature is that of this key, or of the key that the certificate certifies, under a
 * request for "ssh-connection" of this user in this session. The name of the algorithm in that
 * request follows from key and signature, so that no other one can be right.
 */
bool proof_holds(const struct proof *proof);

#endif
