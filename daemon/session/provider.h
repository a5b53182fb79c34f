/*
 * provider.h - no signature is made or judged in this process: an OpenSSL provider, built in, that
 * libcrypto prefers for signatures with RSA, ECDSA and Ed25519 keys.
 *
 * - What libssh wants signed with a host key is asked of the master, which gets to see all that was
 *   hashed (witness.h): keys.c gives libssh keys whose private part is made up, and it never learns
 *   the difference.
 * - What libssh wants verified, which is a client's proof that it holds its key, is kept for the
 *   master to judge, and believed meanwhile. So a wrong one comes to the same callback as a right
 *   one and is refused there like any other (libssh itself leaves it without an answer).
 *
 * Everything else stays with OpenSSL's default provider: that of keys too, which is why keys are
 * copied over here when a signature begins (provider-keymgmt(7), provider-signature(7)).
 */
#ifndef POSTERN_DAEMON_SESSION_PROVIDER_H
#define POSTERN_DAEMON_SESSION_PROVIDER_H

#include "ask.h"

enum provider_key { PROVIDER_ED25519, PROVIDER_ECDSA, PROVIDER_RSA, PROVIDER_KEYS };

/* Puts it in force for this process and its children. Call it before libcrypto is used. Returns 0,
 * or -1 with err. */
int provider_load(struct err *err);

/* The host key of this type has this number for the master. */
void provider_set_host_key(enum provider_key type, uint32_t number);

/* Whom to ask for signatures; borrowed for good. Until then none can be made. */
void provider_set_master(struct ask *ask);

/* The signature that was to be verified last, as an SSH signature (RFC 4253 §6.6), by a security
 * key or by one of the other kind. Lives until the next one; empty if there was none, or none that
 * could be right, since the last call. */
struct wire_bytes provider_take_signature(bool is_sk);

#endif
