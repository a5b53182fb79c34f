/*
 * profile_args.h - what is refused by its arguments, whatever a profile allows. Private to
 * sandbox/.
 */
#ifndef POSTERN_SANDBOX_PROFILE_ARGS_H
#define POSTERN_SANDBOX_PROFILE_ARGS_H

#include <linux/filter.h>
#include <stdbool.h>
#include <stddef.h>

/* The most instructions of all calls together. */
enum { PROFILE_ARGS_MAX = 512 };

/* Whether the native call `nr` is looked at more closely. */
bool profile_args_matter(int nr);

/*
 * Writes to `out` what answers such a call where the profile allows it, and returns how many
 * instructions that are. It ends in a return whichever way is taken. refuses_unix: see profile.h.
 */
size_t profile_args_emit(struct sock_filter *out, int nr, bool refuses_unix);

#endif
