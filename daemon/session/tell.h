/*
 * tell.h - lines for the operator's log: the master writes and escapes them, this only sends.
 */
#ifndef POSTERN_DAEMON_SESSION_TELL_H
#define POSTERN_DAEMON_SESSION_TELL_H

#include "ipc.h"
#include "log.h"

/* Where lines go and which are wanted. The link is borrowed. */
void tell_open(struct ipc *link, enum log_level level);

bool tell_enabled(enum log_level level);

/* Cut at IPC_LINE_MAX; may hold any bytes of a peer's. Use TELL(), which formats only on demand. */
void tell_line(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define TELL(level, ...)                                                                           \
    do {                                                                                           \
        if (tell_enabled(level))                                                                   \
            tell_line(level, __VA_ARGS__);                                                         \
    } while (0)
#define TRACE(...) TELL(LOG_LEVEL_TRACE, __VA_ARGS__)

#endif
