/*
 * gate.h - who is served at all, judged before anything is spent on a connection; and who, having
 * been served, was trouble.
 */
#ifndef POSTERN_DAEMON_MASTER_GATE_H
#define POSTERN_DAEMON_MASTER_GATE_H

#include "server.h"

#include <sys/socket.h>

/* Who is at the other end. */
struct client {
    const struct sockaddr *peer;
    const struct sockaddr *local; /* what it has connected to; NULL: what the socket says */
    bool is_balancer;             /* speaks for itself, so that nothing is held against it */
};

/* Judges a connection. If it isn't to be served, tells client and log, and returns false; the
 * caller closes the socket. It may end another one that did not log in, to make room. */
bool gate_admits(struct server *server, int socket_fd, const struct client *client);

/* Why a connection is refused. */
struct gate_refusal {
    enum refused_reason reason;
    const char *log;
    const char *client; /* tells nothing of others */
};

/* Refuses one; the caller closes the socket. */
void gate_refuse(struct server *server, int socket_fd, const struct sockaddr *peer,
                 const struct gate_refusal *refusal);

/* Counts that a connection was refused and says it on the log, unless much is said already: a flood
 * of connections must not become a flood of lines. */
void gate_log_refusal(struct server *server, const struct sockaddr *peer,
                      enum refused_reason reason, const char *why);

/* Whether the address is in [server] source-exempt. */
bool gate_is_exempt(const struct server *server, const struct sockaddr *peer);

/* The source that a connection from there counts for, held; NULL if it has none. */
struct source *gate_hold_source(struct server *server, const struct sockaddr *peer);

/* A connection from there has offended. */
void gate_offence(struct server *server, const struct sockaddr *peer, enum offence offence);

#endif
