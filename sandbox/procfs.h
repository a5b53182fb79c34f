/*
 * procfs.h - the /proc of an exec: of its own pid namespace, read-only, with the memory and the
 * processors that its limits amount to. Private to sandbox/.
 *
 * The three that take no err return 0, or -1 with errno; they are called in this order.
 */
#ifndef POSTERN_SANDBOX_PROCFS_H
#define POSTERN_SANDBOX_PROCFS_H

#include "sandbox.h"

/* Of the template whose root directory this is: the processors that its execs are to see. */
int procfs_prepare(int root, const struct sandbox_spec *spec, struct err *err);

/* Mounts it, and hides what spec->proc does not show; the template's /run must be visible. */
int procfs_mount(const struct sandbox_spec *spec);

/* Writes what the exec is to see of memory into its private /run; *written says whether anything.
 */
int procfs_write_memory(const struct sandbox_spec *spec, const struct sandbox_job *job,
                        bool *written);

/* Puts that in its place. */
int procfs_show_memory(void);

#endif
