/*
 * hostkeys.h - the host's private keys as open files: judged here, read only by a signer.
 */
#ifndef POSTERN_DAEMON_MASTER_HOSTKEYS_H
#define POSTERN_DAEMON_MASTER_HOSTKEYS_H

#include "err.h"
#include "messages.h"
#include "policy.h"

struct hostkeys {
    int fds[IPC_KEYS_MAX];           /* owned */
    const char *names[IPC_KEYS_MAX]; /* paths, borrowed from the policy */
    size_t n;
};

/*
 * Opens the host keys of [server]. Each must be a regular file of root's (or of the caller's), not
 * accessible to group or others. Returns 0, or -1 with err (err.code: EX_NOINPUT or EX_NOPERM) and
 * nothing open.
 */
int hostkeys_open(const struct server_config *server, struct hostkeys *keys, struct err *err);
/* As hostkeys_open(), but nothing stays open. */
int hostkeys_check(const struct server_config *server, struct err *err);
void hostkeys_close(struct hostkeys *keys);

#endif
