/*
 * recordings.h - the recordings that a server keeps: the list of them, and finding one.
 */
#ifndef POSTERN_DAEMON_CLI_RECORDINGS_H
#define POSTERN_DAEMON_CLI_RECORDINGS_H

#include "options.h"

/*
 * Opens the recording that `word` names: an exec id of the configured server, or a file, which has
 * a '/' or a '.cast' in its name; "-" is the standard input. Returns an exit status; on EX_OK *fd
 * is the caller's. What is wrong has been said.
 */
int recordings_find(const struct cli *cli, const char *word, int *fd);

/* Prints all of them, the oldest first; those of one tenant, unless that is NULL. Returns an exit
 * status. */
int recordings_list(const struct cli *cli, const char *tenant);

#endif
