/*
 * witness.h - what libssh hashes for a key exchange (RFC 4253 §8), which the master wants to see
 * and not only its hash: what is signed is then this server's, for this connection, and nothing
 * else.
 *
 * libssh puts it together in one piece and passes that to libcrypto's EVP_DigestUpdate(), by whose
 * name this file defines a function that the dynamic linker prefers. It keeps a copy of the last
 * piece that looks like it and passes everything on. With a libssh that does it in another way
 * nothing could be signed: witness_start() says so.
 */
#ifndef POSTERN_DAEMON_SESSION_WITNESS_H
#define POSTERN_DAEMON_SESSION_WITNESS_H

#include "messages.h"

/* Finds libcrypto's own function and sees whether libssh's hashing comes by here; before there is a
 * filter. Returns 0, or -1 with err. */
int witness_start(struct err *err);

/* What was hashed last that may be of a key exchange, until the next; empty if there was none or it
 * was too long. *digest_len is its hash's. */
struct wire_bytes witness_exchange(size_t *digest_len);

#endif
