/*
 * presence.h - who may be on a connection, from the login on: counted for a tenant, judged again by
 * every new policy, and shown out when it is not welcome any more.
 */
#ifndef POSTERN_DAEMON_MASTER_PRESENCE_H
#define POSTERN_DAEMON_MASTER_PRESENCE_H

#include "connection.h"

/* It has logged in, and has been told so. One more than the tenant may have is told why and
 * closed. */
void presence_begin(struct connection *connection, const struct tenant *tenant);

/* It is gone: it counts for nobody any more. */
void presence_end(struct connection *connection);

/*
 * A new policy is in force: each connection stays if its login is accepted still, and counts for
 * the tenant that it belongs to now. Otherwise what it runs and waits for ends, and then the
 * connection.
 */
void presence_rejudge(struct server *server);

/* The timer of a connection that is shown out: its time is over. */
void presence_on_lost(struct loop_timer *timer);

/* The operator wants it to end: what it runs ends for that reason, and then the connection. What of
 * it waits is left to waiting_end(). False if it was ending already. */
bool presence_end_for_operator(struct connection *connection, const char *why);

/* One of its execs has gone for good. */
void presence_exec_gone(struct connection *connection);

#endif
