/*
 * review_parts.h - the parts of a review by what they look at. Private to review*.c.
 */
#ifndef POSTERN_CONFIG_REVIEW_PARTS_H
#define POSTERN_CONFIG_REVIEW_PARTS_H

#include "policy.h"

/* Each returns 0, or -1 if memory ran out. */
int review_keys(const struct policy *policy, int64_t now, struct diags *diags);
int review_rules(const struct policy *policy, struct diags *diags);
int review_users(const struct policy *policy, struct diags *diags);
int review_sandboxes(const struct policy *policy, struct diags *diags);

/* For sorting: <0, 0 or >0. */
int review_compare_origins(const struct origin *a, const struct origin *b);

#endif
