/*
 * exchange.h - what a key exchange hashes (RFC 4253 §8), before that hash is signed as this host:
 * it has to be an exchange of this connection, with this host's key. Pure but for libcrypto.
 *
 * The hash of the first exchange is the session id, which users sign when they log in. Each
 * connection has a version string of its own, which is part of what is hashed: so a session that
 * its peer has taken over gets no other connection's id for its own, and a proof that somebody made
 * for another server or at another time is worth nothing here.
 */
#ifndef POSTERN_DAEMON_MASTER_EXCHANGE_H
#define POSTERN_DAEMON_MASTER_EXCHANGE_H

#include "messages.h"

struct exchange {
    struct wire_bytes input; /* of the hash, all of it */
    size_t digest_len;       /* of SHA-256, -384 or -512 */
    const char *version;     /* what this server has told the client to be, all of the line */
    struct wire_bytes host_key;
};

/* Its hash, if it is what it has to be. Returns the length, or 0. */
size_t exchange_hash(const struct exchange *exchange, unsigned char hash[IPC_HASH_MAX]);

/* Makes the version of a new connection: "SSH-2.0-Postern " and a random comment (RFC 4253 §4.2).
 * Returns 0, or -1 with err. */
int exchange_make_version(char version[IPC_ID_MAX + 1], struct err *err);

#endif
