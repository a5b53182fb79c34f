/*
 * drop.h - giving up privileges for good, and proving it. Private to sandbox/.
 *
 * In the order of the functions. Each but the first returns 0, or -1 with errno; after a failure
 * the process must end. EPROTO means that the kernel said yes and the proof says no.
 */
#ifndef POSTERN_SANDBOX_DROP_H
#define POSTERN_SANDBOX_DROP_H

#include <sys/types.h>

/*
 * Empties the bounding set as far as it can, for those who inherit it. To the caller it only
 * matters at an execve(2). No proof: drop_capabilities() is that.
 */
void drop_bounding_early(void);

/*
 * Empties the bounding, ambient and inheritable sets and locks the securebits. What remains is
 * permitted and effective, for drop_ids().
 */
int drop_capabilities(void);

/*
 * No groups, gid, uid, and with the uid every capability; neither may be root's. Then tries to get
 * each of them back.
 */
int drop_ids(uid_t uid, gid_t gid);

/* Sets no_new_privs and reads it back. */
int drop_new_privileges(void);

#endif
