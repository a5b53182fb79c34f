/*
 * uid_file.h - writing down which uid is whose, before anything runs with it. The master alone does
 * that; whoever loads a policy reads it (uid_record.h).
 */
#ifndef POSTERN_DAEMON_MASTER_UID_FILE_H
#define POSTERN_DAEMON_MASTER_UID_FILE_H

#include "policy.h"

/*
 * Adds the policy's claims to the record in its state-dir, which is made if it isn't there: either
 * all of them are on the disk then, or none. What others have added since the policy was loaded
 * stays. Returns 0, or -1 with err and a sysexits code; err->num is EAGAIN if a claim is another
 * tenant's by now, so that the policy has to be loaded again.
 */
int uid_file_add(const struct policy *policy, struct err *err);

#endif
