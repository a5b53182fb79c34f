/*
 * profile_args.h - what is refused by its arguments, whatever a profile allows, as a piece of BPF
 * that goes before the profile's own program. Private to sandbox/.
 */
#ifndef POSTERN_SANDBOX_PROFILE_ARGS_H
#define POSTERN_SANDBOX_PROFILE_ARGS_H

#include "spec.h"

#include <linux/filter.h>

/* Instructions that profile_args_emit() needs room for. */
enum { PROFILE_ARGS_MAX = 640 };

/*
 * Writes the tests for the calls that `spec` allows to out[PROFILE_ARGS_MAX] and returns how many
 * instructions they are: they refuse, or go on behind the last of them. Calls of foreign ABIs are
 * refused too.
 */
size_t profile_args_emit(struct sock_filter *out, const struct seccomp_spec *spec);

#endif
