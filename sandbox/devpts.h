/*
 * devpts.h - pseudo-terminals of a sandbox. Private to sandbox/.
 *
 * Each exec that may have terminals gets a devpts of its own, so that none is ever shared between
 * inside and outside, or between two execs: /dev/pts/0 is the client's, if it asked for one, and
 * whatever programs make come after it.
 */
#ifndef POSTERN_SANDBOX_DEVPTS_H
#define POSTERN_SANDBOX_DEVPTS_H

#include "sandbox.h"

/*
 * Makes the devpts of a job with job->ptys, a detached mount in *devpts; and for one with
 * job->terminal the first terminal in it, with its size and modes set, whose outer side is
 * *outside. Both are the caller's to close; -1 where there is none. Must be called in a mount
 * namespace other than the host's: the terminals that kernel.pty.reserve keeps are the host's
 * alone. Returns 0, or -1 with err.
 */
int devpts_make(const struct sandbox_job *job, int *devpts, int *outside, struct err *err);

/* In the worker, as root: puts the mount where it belongs. Returns 0, or -1 with errno. */
int devpts_attach(int devpts);

/* Makes the terminal the worker's standard descriptors, to be its command's. The same. */
int devpts_open(void);

#endif
