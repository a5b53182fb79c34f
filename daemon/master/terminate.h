/*
 * terminate.h - making a running command end: when its time, idle time or output is over, when its
 * client, its login or the server goes.
 */
#ifndef POSTERN_DAEMON_MASTER_TERMINATE_H
#define POSTERN_DAEMON_MASTER_TERMINATE_H

#include "exec.h"

struct state;

/* Asks it to end: HUP and TERM, a grace period, then KILL. The first cause counts. */
void terminate_exec(struct exec *exec, enum end_cause cause);

/* The same for CAUSE_LOGIN, with the reason that its client is told. */
void terminate_for_login(struct exec *exec, const char *why);

/* The same for CAUSE_OPERATOR. */
void terminate_for_operator(struct exec *exec, const char *why);

/* The command has been started: its time runs from now on. */
void terminate_when_time_is_over(struct exec *exec);

/* The timer of an exec, whatever it is for (state.h). */
void terminate_carry(struct state *state, struct exec *exec);

/* The session says that the exec of a channel is over a limit that it watches. */
void terminate_on_evt_over(struct connection *connection, const struct msg_evt_over *msg);

#endif
