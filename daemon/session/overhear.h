/*
 * overhear.h - what libssh knows of a request and tells only its own log: the name of an unknown
 * request or channel type, and whether a reply is wanted. Used at log level trace, for the log
 * alone.
 */
#ifndef POSTERN_DAEMON_SESSION_OVERHEAR_H
#define POSTERN_DAEMON_SESSION_OVERHEAR_H

#include "log.h"

#include <stdbool.h>

/* Listens as closely as `level` needs: trace: to everything; debug: to libssh's warnings, which it
 * passes on; else not at all. */
void overhear_start(enum log_level level);

/* Of the request or channel open that is being handled; "(unknown)" and true if not overheard. */
const char *overhear_name(void);
bool overhear_wants_reply(void);

/* One line of libssh's log; for overhear_start() and tests. */
void overhear_line(const char *function, const char *line);

#endif
