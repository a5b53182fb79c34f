/*
 * confine.h - what processes that need nothing of the host give up for good: the zygote before it
 * serves anybody, and signers.
 */
#ifndef POSTERN_DAEMON_CONFINE_H
#define POSTERN_DAEMON_CONFINE_H

#include "err.h"

#include <stdint.h>
#include <sys/types.h>

/*
 * Needs root. Afterwards the process has an empty read-only root, no network, IPC or host name of
 * its own, the given ids (never 0) and no groups, no capability in any set and no way to get one,
 * no new privileges, and is not dumpable. Descriptors that are open stay open. Returns 0, or -1
 * with err: the process is then half confined and must end. Files can't be written to, unless
 * confine_limits() allows it, and then up to `file_max` bytes.
 */
int confine_enter(uid_t uid, gid_t gid, uint64_t file_max, struct err *err);

/*
 * The limits of one session, in the child: descriptors for `max_channels`, memory, no processes,
 * files of up to `file_max` bytes (0: none may be written). Returns how many channels the
 * descriptors allow, at most max_channels; 0 with err on failure.
 */
uint32_t confine_limits(uint32_t max_channels, uint64_t file_max, struct err *err);

#endif
