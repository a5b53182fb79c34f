/*
 * keys.h - the host keys, from files that the master opened.
 */
#ifndef POSTERN_DAEMON_SESSION_KEYS_H
#define POSTERN_DAEMON_SESSION_KEYS_H

#include "err.h"

#include <libssh/server.h>
#include <stddef.h>

/*
 * Reads n private keys (OpenSSH or PEM, unencrypted, one of each type: Ed25519, ECDSA, RSA of at
 * least 2048 bits) and hands them to `bind`. Descriptors are borrowed, their offset is used up;
 * `names` are for messages. Returns 0, or -1 with err that names the key and the remedy.
 */
int keys_load(ssh_bind bind, const char *const *names, const int *fds, size_t n, struct err *err);

#endif
