/*
 * auth.h - authentication: the master checks signatures and decides, this counts.
 */
#ifndef POSTERN_DAEMON_SESSION_AUTH_H
#define POSTERN_DAEMON_SESSION_AUTH_H

#include "chan.h"

/* Sets the callbacks for the methods that libssh has callbacks for. */
void auth_listen(struct session *session);

/* Any other method: asked, counted and refused like the rest. libssh sends the failure. */
void auth_on_other(struct session *session, const char *user, const char *method);

#endif
