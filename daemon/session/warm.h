/*
 * warm.h - what libcrypto and malloc() do only once, done by the zygote and not by each session.
 */
#ifndef POSTERN_DAEMON_SESSION_WARM_H
#define POSTERN_DAEMON_SESSION_WARM_H

#include "err.h"

/* Makes libcrypto load and initialise all that a connection can need, so that no file is opened
 * once the process is confined, and no table is built by a session. Returns 0, or -1 with err. */
int warm_up(struct err *err);

/* The last step before sessions are forked: the memory that was freed is put in order, which each
 * of them would do in its own copy. */
void warm_settle(void);

#endif
