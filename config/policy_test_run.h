/*
 * policy_test_run.h - the policy's own tests, run: each [test] section is one decision and what it
 * should be. Pure; it judges with decide(), as the master does.
 */
#ifndef POSTERN_CONFIG_POLICY_TEST_RUN_H
#define POSTERN_CONFIG_POLICY_TEST_RUN_H

#include "policy.h"

/* How one test ended; names are borrowed from the policy. */
struct policy_test_result {
    bool passed;
    bool allowed;
    const char *tenant;   /* whom the login is; NULL: nobody's */
    const char *sandbox;  /* that tenant's; NULL: nobody's */
    struct origin rule;   /* the rule that decided; no file: none did */
    char reason[256];     /* of a denial; printable */
    char complaint[1024]; /* what is not as expected; printable, "" if it passed */
};

/* `now` is the time, in seconds since the epoch, of tests that don't name one. */
void policy_test_run(const struct policy *policy, const struct policy_test *test, int64_t now,
                     struct policy_test_result *out);

#endif
