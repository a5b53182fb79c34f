/*
 * rootfs.h - the system that a sandbox runs on: the host's /usr, or a directory that holds a root
 * file system. Private to sandbox/.
 */
#ifndef POSTERN_SANDBOX_ROOTFS_H
#define POSTERN_SANDBOX_ROOTFS_H

#include "err.h"
#include "etc.h"
#include "spec.h"

/* What it is made from, opened before anything is mounted. */
struct rootfs {
    const char *path; /* of the directory; NULL: the host */
    int dir;          /* the directory */
    int usr;          /* the host's /usr, cloned */
    struct etc etc;   /* of the host */
};

/*
 * Opens what spec->root names. A directory must be root's and hold a /bin/sh. rootfs_close() is due
 * either way. Both return 0, or -1 with err.
 */
int rootfs_open(const struct sandbox_spec *spec, struct rootfs *rootfs, struct err *err);
void rootfs_close(struct rootfs *rootfs);

/*
 * Puts it into the tree `root`, /etc and all, while the host's files are still in sight. Of a
 * directory, what is at the top and in /var is bound one by one, and so is what is beside the
 * places of binds; empty directories there are made anew. Files in its /etc that everybody may read
 * are copied.
 */
int rootfs_build(struct rootfs *rootfs, int root, const struct sandbox_spec *spec, struct err *err);

#endif
