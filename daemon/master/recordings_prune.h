/*
 * recordings_prune.h - removing recordings that are too old or too many, in a process of its own:
 * it may have to look at many files, and to wait for a disk.
 *
 * While there is too much, the oldest recording of the tenant that has the most goes: whoever
 * records much drives out their own. What is still being written stays.
 */
#ifndef POSTERN_DAEMON_MASTER_RECORDINGS_PRUNE_H
#define POSTERN_DAEMON_MASTER_RECORDINGS_PRUNE_H

#include "child.h"
#include "policy.h"

/* Starts the process; `dir` is the directory. Returns it (held), or NULL: the log says why. */
struct child *recordings_prune(struct server *server, int dir, const struct server_config *config);

/* How many bytes may be recorded before it is to be done again: it leaves that much room. */
uint64_t recordings_slack(const struct server_config *config);

/* What the process does; `now` in seconds since the epoch. Returns how many files were removed, or
 * -1. */
long recordings_prune_dir(int dir, const struct server_config *config, int64_t now);

#endif
