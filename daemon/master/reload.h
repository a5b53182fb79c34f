/*
 * reload.h - SIGHUP: the policy is loaded again in a thread, so that nobody waits for it.
 *
 * The thread reads files and builds a policy; it shares nothing else with the server. The loop
 * joins it before anything comes of that, so processes are forked by a single thread.
 */
#ifndef POSTERN_DAEMON_MASTER_RELOAD_H
#define POSTERN_DAEMON_MASTER_RELOAD_H

#include "server.h"

/* Begins to load. What is asked for while a load is under way leads to one more after it. */
void reload_start(struct server *server);

bool reload_is_running(const struct server *server);

/* Waits for a load to end and forgets it: for the end of the server. */
void reload_abandon(struct server *server);

#endif
