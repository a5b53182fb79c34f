/*
 * proxied.h - connections of listeners behind a balancer, until the header has come that says whose
 * they are. Only then are they judged (gate.h) and served.
 */
#ifndef POSTERN_DAEMON_MASTER_PROXIED_H
#define POSTERN_DAEMON_MASTER_PROXIED_H

#include "server.h"

#include <sys/socket.h>

/* Takes an accepted socket (owned in any case) of the balancer at `peer`; one that is not in
 * proxy-from is refused. */
void proxied_start(struct server *server, int socket_fd, const struct sockaddr *peer);

/* Closes those that wait. */
void proxied_close_all(struct server *server);

#endif
