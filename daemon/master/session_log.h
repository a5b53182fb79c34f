/*
 * session_log.h - lines that a session has for the operator's log.
 */
#ifndef POSTERN_DAEMON_MASTER_SESSION_LOG_H
#define POSTERN_DAEMON_MASTER_SESSION_LOG_H

#include "connection.h"

/* A session may log, but not flood the log; chatter doesn't take the place of what matters. */
void session_log_on_evt_log(struct connection *connection, const struct msg_evt_log *msg);

#endif
