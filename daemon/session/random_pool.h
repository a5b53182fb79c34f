/*
 * random_pool.h - random bytes for libssh, fetched from libcrypto for many packets at once.
 *
 * libssh pads each packet with a few of them, and libcrypto takes as long for these as for many.
 * What libcrypto makes keys of, it takes from itself.
 */
#ifndef POSTERN_DAEMON_SESSION_RANDOM_POOL_H
#define POSTERN_DAEMON_SESSION_RANDOM_POOL_H

/* In a process that will fork no more: what is kept must be of one process alone. */
void random_pool_start(void);

#endif
