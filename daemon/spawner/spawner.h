/*
 * spawner.h - the process that builds sandboxes: root, one thread, no secrets, and no network
 * unless a sandbox of its policy asks for the host's. One per policy generation, forked from the
 * master after the policy was loaded, so that the policy is inherited and never marshalled.
 */
#ifndef POSTERN_DAEMON_SPAWNER_SPAWNER_H
#define POSTERN_DAEMON_SPAWNER_SPAWNER_H

#include "ipc.h"
#include "policy.h"

#include <sys/types.h>

/*
 * Forks a spawner for `policy`. Its first message is SPAWNER_READY once every sandbox's template
 * has been built, or SPAWNER_FAILED with the reason. On success fills `link` (owned by the caller)
 * and *pid (to be reaped). The spawner, and with it what it started, ends when the link is closed
 * and its last worker is gone. Returns 0, or -1 with err.
 */
int spawner_start(const struct policy *policy, struct ipc *link, pid_t *pid, struct err *err);

#endif
