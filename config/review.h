/*
 * review.h - what is legal in a policy, but unwise: what an administrator may not have meant.
 */
#ifndef POSTERN_CONFIG_REVIEW_H
#define POSTERN_CONFIG_REVIEW_H

#include "policy.h"

/*
 * Adds a DIAG_WARNING with file:line and a hint for each thing that looks like a mistake in a
 * policy that was loaded without errors, and sorts `diags`. `now` is in seconds since the epoch.
 * Pure, and about linear in tenants, keys and rules. Returns 0, or -1 if memory ran out.
 *
 * Each is said once, at the line that says it, however many tenants inherit that line.
 */
int policy_review(const struct policy *policy, int64_t now, struct diags *diags);

#endif
