/*
 * startup.h - connections that have not logged in: how many there are, who gives way when they are
 * too many, and what is held against those that leave without.
 */
#ifndef POSTERN_DAEMON_MASTER_STARTUP_H
#define POSTERN_DAEMON_MASTER_STARTUP_H

#include "server.h"

/* It counts against max-startups. */
void startup_begin(struct connection *connection);
/* It is as good as gone: it does so no more. */
void startup_end(struct connection *connection);
/* The same; it has logged in, and its source is a regular from now on (regular.h). */
void startup_succeed(struct connection *connection);

/*
 * Makes room among the unauthenticated: ends one that has had enough time for anybody who means to
 * log in, and, if `silent`, has not tried to. Of those the first to go is of the source that has
 * the most, and the oldest; regulars are the last. So idle connections keep nobody out. False if
 * there is none.
 */
bool startup_evict(struct server *server, bool silent);

/* The same for a regular: ends one that is none, however long it has been there. */
bool startup_evict_stranger(struct server *server);

/* Holds something against its source; once, but for a crash. */
void startup_offend(struct connection *connection, enum offence offence);
/* It goes: whether its client was trouble. One that just looks whether anybody listens is not. */
void startup_judge(struct connection *connection);

#endif
