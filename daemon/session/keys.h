/*
 * keys.h - the host keys as libssh is to see them.
 */
#ifndef POSTERN_DAEMON_SESSION_KEYS_H
#define POSTERN_DAEMON_SESSION_KEYS_H

#include "err.h"
#include "wire.h"

#include <libssh/server.h>

/*
 * Hands the host keys to `bind`: public keys (RFC 4253 §6.6), one string after the other, one of
 * each type at most. Their private parts are made up; provider.c is told their numbers and has the
 * master sign. At least one must be for one of these algorithms. Returns 0, or -1 with err.
 */
int keys_load(ssh_bind bind, struct wire_bytes host_keys, const char *algorithms, struct err *err);

#endif
