/*
 * totals.h - what all execs of a tenant may use together, when a new policy changes it.
 */
#ifndef POSTERN_DAEMON_MASTER_TOTALS_H
#define POSTERN_DAEMON_MASTER_TOTALS_H

#include "policy.h"
#include "server.h"

/* Puts the totals of a new generation into force, where the tenants have something running. */
void totals_apply(struct server *server, const struct policy *policy);

#endif
