/*
 * exec_tell.h - what the session of an exec is told: that it starts, and how it has ended.
 */
#ifndef POSTERN_DAEMON_MASTER_EXEC_TELL_H
#define POSTERN_DAEMON_MASTER_EXEC_TELL_H

#include "audit.h"
#include "job.h"
#include "recordings.h"

/* All that is known of it by now, for its record and its receipt; points into the exec. */
struct audit_end exec_account(const struct exec *exec);

/* It was allowed. The session gets its ends of the pipes, unless there is to be a terminal, and
 * what it may record to. */
void exec_tell_start(const struct exec *exec, const struct plumbing *p, bool terminal,
                     const struct recording_grant *grant);

/* The session waits for it; without a session the terminal hangs up at once. */
void exec_tell_terminal(const struct exec *exec, int fd);

/* How it has ended, with the line and the receipt that its client gets. Nothing if nobody waits for
 * it any more. */
void exec_tell_end(const struct exec *exec);

#endif
