/*
 * cork.h - packets of libssh's that leave together, as one of TCP's.
 *
 * libssh sends each by itself; what goes by its send() comes through here.
 */
#ifndef POSTERN_DAEMON_SESSION_CORK_H
#define POSTERN_DAEMON_SESSION_CORK_H

/* What is sent from here on waits for what follows; the kernel waits 200 ms at most (MSG_MORE in
 * send(2)). */
void cork_hold(void);
/* The next that is sent takes along all before it. */
void cork_release(void);

#endif
