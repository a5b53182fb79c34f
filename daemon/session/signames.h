/*
 * signames.h - signal numbers as SSH names them (RFC 4254 §6.10).
 */
#ifndef POSTERN_DAEMON_SESSION_SIGNAMES_H
#define POSTERN_DAEMON_SESSION_SIGNAMES_H

#include <stddef.h>

enum { SIGNAME_MAX = 32 };

/* The number of a signal that a client may ask for: one of those the RFC lists; 0 for others. */
int signame_number(const char *name);

/*
 * The name for an exit-signal request: "KILL" for those the RFC lists, "BUS@postern" in its local
 * form for all others, "RTMIN+1@postern" for real-time signals and "99@postern" for a number that
 * is no signal. Writes to buf[SIGNAME_MAX] and returns it.
 */
const char *signame_ssh(int signo, char buf[SIGNAME_MAX]);

#endif
