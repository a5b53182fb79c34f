/*
 * mntns.h - mount namespaces that hold a tree of ours. Private to sandbox/.
 */
#ifndef POSTERN_SANDBOX_MNTNS_H
#define POSTERN_SANDBOX_MNTNS_H

#include "err.h"

typedef int mntns_build_fn(void *arg, struct err *err);

/*
 * Calls build(arg) in a new mount namespace, a private copy of the caller's; it returns 0 when
 * mntns_pivot() is done, or -1 with err. Then the caller is back where it was, and *ns keeps the
 * namespace (CLOEXEC, the caller's). Returns 0, or -1 with err and nothing left behind.
 */
int mntns_make(mntns_build_fn *build, void *arg, int *ns, struct err *err);

/* Mounts a detached tree over "/" itself: absolute paths still lead to what was there. */
int mntns_cover(int root, struct err *err);

/* Makes that tree the root of the namespace, and takes everything else out of it. */
int mntns_pivot(int root, struct err *err);

#endif
