/*
 * signals.h - signals that a client sends to its command (RFC 4254 §6.9).
 */
#ifndef POSTERN_DAEMON_MASTER_SIGNALS_H
#define POSTERN_DAEMON_MASTER_SIGNALS_H

#include "exec.h"

/* Passes a signal on to the command's process group; what no client may send, and more than it may,
 * is dropped. */
void signals_on_evt_signal(struct connection *connection, const struct msg_evt_signal *msg);

#endif
