/*
 * auth_log.h - authentication in the operator's log, in the words of sshd, which people and log
 * watchers know: they are a contract of postern(7). What a client is told depends on none of it.
 *
 * A name is one word here, with its blanks escaped, too: so no client can put an address where a
 * watcher looks for one.
 */
#ifndef POSTERN_DAEMON_MASTER_AUTH_LOG_H
#define POSTERN_DAEMON_MASTER_AUTH_LOG_H

#include "connection.h"
#include "key_describe.h"
#include "login.h"

/* "Accepted publickey for …" or "Failed publickey for …", with what was offered and why not, if
 * that tells more than that there is no such login or key. */
void auth_log_result(const struct connection *connection, const struct msg_req_auth *req,
                     const struct login *login, bool accepted,
                     const struct key_description *offered);

/* The question for the methods, with which every client begins: worth a line if nobody has the
 * login. */
void auth_log_question(const struct connection *connection, const struct msg_req_auth *req,
                       const struct login *login);

/* The last failure that max-auth-tries allows. */
void auth_log_exceeded(const struct connection *connection);

/* A connection that has not logged in is over, and nothing else has told why. */
void auth_log_left(const struct connection *connection);

#endif
