/*
 * reload_result.h - what became of the last reload, for those who ask later.
 *
 * Need not survive a re-execution.
 */
#ifndef POSTERN_DAEMON_MASTER_RELOAD_RESULT_H
#define POSTERN_DAEMON_MASTER_RELOAD_RESULT_H

#include "policy.h"

#include <time.h>

struct reload_result {
    bool known;  /* there was one */
    bool loaded; /* or it was refused */
    time_t at;
    size_t n_errors;    /* of the policy */
    char reason[512];   /* why it was refused */
    struct diags diags; /* of the policy that was read last: errors or warnings */
};

/* Keeps what is wrong with a policy that was just read, which is taken over. */
void reload_result_keep(struct reload_result *result, struct diags *diags);

/* It is in force; or, with a reason, it was refused with so many errors. */
void reload_result_set(struct reload_result *result, const char *reason, size_t n_errors);

void reload_result_free(struct reload_result *result);

#endif
