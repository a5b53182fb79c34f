/*
 * host_key_try.h - whether host keys could be used, before a server is asked to use them. For tools
 * alone: of the server's processes only the signer reads them.
 */
#ifndef POSTERN_DAEMON_SIGNER_HOST_KEY_TRY_H
#define POSTERN_DAEMON_SIGNER_HOST_KEY_TRY_H

#include "err.h"
#include "policy.h"

#include <stddef.h>

/* Those that were tried so far; all zeroes: none. */
struct host_key_tries {
    const char *names[HOST_KEYS_MAX]; /* borrowed */
    int types[HOST_KEYS_MAX];
    size_t n;
};

/* For host_judge.try_host_key: reads one, sees whether the signer would take it beside those before
 * it, and wipes it. `fd` is borrowed. Returns 0, or -1 with err. */
int host_key_try(void *tries, int fd, const char *name, struct err *err);

#endif
