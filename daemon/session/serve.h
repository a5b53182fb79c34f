/*
 * serve.h - one connection, from its first byte to its last: the life of a session process.
 */
#ifndef POSTERN_DAEMON_SESSION_SERVE_H
#define POSTERN_DAEMON_SESSION_SERVE_H

#include "filter.h"
#include "offer.h"

struct session;

/* All that can be done before there is a connection, in the process that will serve it; once. */
struct session *serve_prepare(const struct offer *offer);

/*
 * Serves the peer of tcp_fd by the word of the master at the other end of link_fd (both owned),
 * then exits: 0 after a connection that ended in order, 1 after a protocol error or a failure of
 * our own.
 */
void serve_or_exit(struct session *session, int tcp_fd, int link_fd, const struct filter *filter)
    __attribute__((noreturn));

#endif
