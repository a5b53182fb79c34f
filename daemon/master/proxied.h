/*
 * proxied.h - connections of listeners behind a balancer, until the header has come that says whose
 * they are. Only then are they judged (gate.h) and served.
 */
#ifndef POSTERN_DAEMON_MASTER_PROXIED_H
#define POSTERN_DAEMON_MASTER_PROXIED_H

#include "server.h"

struct state;

#include <sys/socket.h>

/* Takes an accepted socket (owned in any case) of the balancer at `peer`; one that is not in
 * proxy-from is refused. */
void proxied_start(struct server *server, int socket_fd, const struct sockaddr *peer);

/* Closes those that wait. */
void proxied_close_all(struct server *server);

/* Stop and go on reading from them. */
void proxied_pause(struct server *server);
void proxied_resume(struct server *server);

/* All of them, as they are; restored they are paused (state.h). */
void proxied_carry_all(struct state *state, struct server *server);

#endif
