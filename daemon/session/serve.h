/*
 * serve.h - one connection, from its first byte to its last: the life of a session process.
 */
#ifndef POSTERN_DAEMON_SESSION_SERVE_H
#define POSTERN_DAEMON_SESSION_SERVE_H

#include "filter.h"
#include "offer.h"

/*
 * Serves the peer of tcp_fd by the word of the master at the other end of link_fd (both owned),
 * then exits: 0 after a connection that ended in order, 1 after a protocol error or a failure of
 * our own.
 */
void serve_or_exit(int tcp_fd, int link_fd, const struct offer *offer, const struct filter *filter)
    __attribute__((noreturn));

#endif
