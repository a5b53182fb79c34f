/*
 * blocked.h - what the kernel has refused to the execs of egress sandboxes: heard from the ring of
 * a generation's spawner, told to the client, and recorded.
 */
#ifndef POSTERN_DAEMON_MASTER_BLOCKED_H
#define POSTERN_DAEMON_MASTER_BLOCKED_H

#include "generation.h"

struct state;

/* Begins to read a ring; takes the descriptor over, also on failure. Returns 0, or -1 with err. */
int blocked_watch(struct generation *generation, int ring, struct err *err);
void blocked_stop(struct generation *generation);

/* The ring, if there is one (state.h). */
void blocked_carry(struct state *state, struct generation *generation);

/* Tells what is there by now: due before an exec is told to have ended. */
void blocked_tell_all(struct generation *generation);

#endif
