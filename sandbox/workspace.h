/*
 * workspace.h - where the workspaces of a sandbox come from. Private to sandbox/.
 *
 * Whatever kind it is, the worker is handed a detached mount, which it puts in its place. What the
 * execs of a connection share is a mount namespace with nothing but a tmpfs in it: it lives as long
 * as somebody has a descriptor of it or an exec has its tmpfs mounted, and then the kernel frees
 * all that is in it. Nobody ever walks the files of a tenant to delete them.
 */
#ifndef POSTERN_SANDBOX_WORKSPACE_H
#define POSTERN_SANDBOX_WORKSPACE_H

#include "sandbox.h"

/*
 * Fills tpl->host_ns and tpl->kept_in for tpl->spec, and refuses what can't work on this host.
 * Must be called in the host's mount namespace. Returns 0, or -1 with err.
 */
int workspace_prepare(struct sandbox_template *tpl, struct err *err);

/*
 * The tree that is the job's workspace, the caller's to close; -1 in *tree if the sandbox has none.
 * Leaves the caller in another mount namespace. Returns 0, or -1 with err.
 */
int workspace_open(const struct sandbox_template *tpl, const struct sandbox_job *job, int *tree,
                   struct err *err);

#endif
