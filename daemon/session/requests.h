/*
 * requests.h - what a peer asks for beyond authentication: services, channels, things on channels.
 *
 * Every request that wants a reply gets exactly one. Nothing here writes to a channel or frees one:
 * that is the loop's part.
 */
#ifndef POSTERN_DAEMON_SESSION_REQUESTS_H
#define POSTERN_DAEMON_SESSION_REQUESTS_H

#include "chan.h"

/* Sets the callback for all that libssh has not answered itself. */
void requests_listen(struct session *session);

#endif
