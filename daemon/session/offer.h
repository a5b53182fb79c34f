/*
 * offer.h - what a session offers its peers: algorithms, banner, host keys.
 */
#ifndef POSTERN_DAEMON_SESSION_OFFER_H
#define POSTERN_DAEMON_SESSION_OFFER_H

#include "err.h"

#include <libssh/server.h>

/* A bind object with every list set; the caller adds keys (keys.h). NULL with err. */
ssh_bind offer_new(struct err *err);

/* A session for one connection, with what libssh can't be told through the bind. NULL with err. */
ssh_session offer_session(struct err *err);

/* Makes libcrypto load and initialise everything the offer can need, so that no file is opened and
 * no table is built once the process is confined. Returns 0, or -1 with err. */
int offer_warm_up(struct err *err);

#endif
