/*
 * broker.h - answers what a session asks: the mirror of its ask_sign(), ask_auth(), ask_env(),
 * ask_terminal() and
 * ask_exec().
 *
 * The session is not trusted: everything is judged here again, by the policy that is current now.
 */
#ifndef POSTERN_DAEMON_MASTER_BROKER_H
#define POSTERN_DAEMON_MASTER_BROKER_H

#include "connection.h"

void broker_on_req_sign(struct connection *connection, const struct msg_req_sign *req);
/* What the signer has made of the last of them; empty if it couldn't. */
void broker_on_signed(struct connection *connection, struct wire_bytes signature);
void broker_on_req_auth(struct connection *connection, const struct msg_req_auth *req);
void broker_on_req_env(struct connection *connection, const struct msg_req_env *req);
void broker_on_req_terminal(struct connection *connection, const struct msg_req_terminal *req);
void broker_on_req_exec(struct connection *connection, const struct msg_req_exec *req);

/* Who is on an authenticated connection, to be judged by the policy of this moment. */
struct login_request broker_who_is(const struct connection *connection);

#endif
