/*
 * leftovers.h - what lies about a policy on this host and takes no part in it, although it looks as
 * if it should.
 */
#ifndef POSTERN_DAEMON_CLI_LEFTOVERS_H
#define POSTERN_DAEMON_CLI_LEFTOVERS_H

#include "policy.h"
#include "sources.h"

/*
 * Warns of files in the policy directories that are not read for their names, and of files in their
 * "keys" directories that no tenant names. Editors' and package managers' leftovers are passed
 * over. Returns 0, or -1: out of memory.
 */
int leftovers_find(const struct policy *policy, const struct sources *sources, struct diags *diags);

/* Warns of programs that tenants may run and that are not on this host. */
void leftovers_programs(const struct policy *policy, struct diags *diags);

#endif
