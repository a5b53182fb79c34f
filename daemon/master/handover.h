/*
 * handover.h - SIGUSR2: the master executes its program anew, the one that is installed by now, and
 * goes on where it was: listeners, connections, running and waiting commands, spawners, zygotes,
 * signers and what was counted stay. The process stays the same, so its children stay its children.
 *
 * 1. The new program is tried first, in a child that gets a copy of the state and of every
 *    descriptor: it restores all of it and ends. If it can't, nothing has happened.
 * 2. Then nobody is accepted and no session is read (what they have to say waits in the kernel)
 *    until all that was asked of zygotes, spawners and signers has been answered. If that takes too
 *    long, all goes on, and it is tried again later.
 * 3. The state goes into a memfd(2), execve(2), and the new program takes it over. It serves by the
 *    policies that were in force, read again from what they were read from then, and at once
 *    reloads the policy that is on disk.
 *
 * Nothing but root's signal leads here.
 */
#ifndef POSTERN_DAEMON_MASTER_HANDOVER_H
#define POSTERN_DAEMON_MASTER_HANDOVER_H

#include "server.h"

struct state;

/* Asked for; more than once counts as once. A server that starts does it once it serves. */
void handover_request(struct server *server);

/* Goes on with what is under way, after each turn of the loop. Does not return if the time has
 * come. */
void handover_step(struct server *server);

/* Whether a reload is to wait for the next program, which begins with one. */
bool handover_defers_reload(struct server *server);

/* The server stops: forgets what is under way. */
void handover_abandon(struct server *server);

/* Finds out which file the running program is, by an absolute path; before the working directory is
 * left. NULL: unknown. To be freed. */
char *handover_find_program(void);

/* --- the other side --- */

/*
 * The state that this process was executed with, close-on-exec, or -1. `checking`: it is only to be
 * tried; then what the arguments hold for that is taken out of them.
 */
int handover_inherited(int *argc, char ***argv, bool *checking);

/*
 * Restores the server. With `checking` nothing is done with what was restored, and the caller has
 * to _exit(2). Returns 0, or -1 with err.
 */
int handover_adopt(struct server *server, int state_fd, bool checking, struct err *err);

/* Everything, in both directions: what is wrong beside the state itself is told in err. */
void handover_carry(struct state *state, struct server *server, struct err *err);

/* What the child that tries the program says when all is well. */
#define HANDOVER_READY    "ready\n"
#define HANDOVER_CHECK    "--handover-check"
#define HANDOVER_VARIABLE "POSTERN_HANDOVER"

#endif
