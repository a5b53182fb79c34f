/*
 * host.h - opening what a policy names on the host. Private to sandbox/.
 *
 * Trusted are root and the policy; whoever else may write to a directory on the way could plant
 * symbolic links there, and these are never followed. Both functions take an absolute path, walk it
 * one component at a time, and return 0 with an O_PATH fd that is the caller's, or -1 with err
 * naming the path (and err->num, if the kernel said why).
 */
#ifndef POSTERN_SANDBOX_HOST_H
#define POSTERN_SANDBOX_HOST_H

#include "err.h"

/*
 * Anything. A symbolic link is followed if it, and every directory down to it, could have been
 * made by root alone.
 */
int host_open(const char *path, int *fd, struct err *err);

/*
 * A directory that root alone may change, reached without any link through directories that root
 * alone may change (those in between may be like /tmp, where others can't touch what is root's).
 */
int host_open_own(const char *path, int *fd, struct err *err);

#endif
