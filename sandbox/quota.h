/*
 * quota.h - how much of a file system a kept workspace may fill: project quotas of ext4 and XFS
 * (quotactl(2)). Private to sandbox/.
 *
 * All below a workspace belongs to one project, whose number is the tenant's alone. A file's owner
 * could move it to another project (ioctl_xfs_fssetxattr(2)): that every profile's filter refuses.
 */
#ifndef POSTERN_SANDBOX_QUOTA_H
#define POSTERN_SANDBOX_QUOTA_H

#include "err.h"

#include <stdint.h>
#include <sys/types.h>

/* Whether the file system of `dir` (O_PATH will do) enforces project quotas. Returns 0, or -1 with
 * an err that says what to do. */
int quota_check(int dir, struct err *err);

/*
 * Makes `dir` and what will be made in it the project `id`, of at most so many bytes and files.
 * What was in it before that is not counted, so there must be none. With SPEC_INFINITY bytes takes
 * an earlier limit off. Returns 0, or -1 with err.
 */
int quota_set(int dir, uint32_t id, uint64_t bytes, uint64_t files, struct err *err);

#endif
