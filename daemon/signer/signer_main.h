/*
 * signer_main.h - the process that holds the host's private keys: no files, no network, no
 * privileges, and no other work than to sign what the master passes on to it.
 *
 * posternd is executed anew for it, so nothing of the master's memory is there, and the master, the
 * spawner and what they start never have the keys in theirs. Its link is descriptor 3.
 */
#ifndef POSTERN_DAEMON_SIGNER_SIGNER_MAIN_H
#define POSTERN_DAEMON_SIGNER_SIGNER_MAIN_H

/* The name that posternd is executed under to become one. */
#define SIGNER_NAME "postern-signer"

/* Runs until the master closes the link. Returns what the process is to exit with. */
int signer_main(void);

#endif
