/*
 * landlock.h - the file system rights of a sandbox, by Landlock (landlock(7)). Private to sandbox/.
 */
#ifndef POSTERN_SANDBOX_LANDLOCK_H
#define POSTERN_SANDBOX_LANDLOCK_H

#include "spec.h"

/*
 * A ruleset for the file system that the caller sees: everything may be read and executed, /tmp,
 * /dev/shm, the workspace and what `spec` names may be written, the devices may be used. Handles
 * what the running kernel knows; from ABI 6 on, abstract unix sockets and signals don't leave the
 * domain either. Returns a CLOEXEC fd, or -1 with errno; a kernel without Landlock is an error.
 */
int landlock_ruleset(const struct sandbox_spec *spec);

/* What the running kernel knows: 1 and up, or -1 with errno; from LANDLOCK_ABI_SCOPED on, what
 * leaves a domain can be kept in. */
enum { LANDLOCK_ABI_SCOPED = 6 };
int landlock_abi(void);

/* Confines the caller and its future children. no_new_privs must be set. Returns 0, or -1. */
int landlock_restrict(int ruleset);

#endif
