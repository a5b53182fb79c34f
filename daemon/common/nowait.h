/*
 * nowait.h - writing to places that may not be read any more, without ever waiting for them.
 *
 * A terminal that was stopped, a pipe to a stuck program, a syslogd that hangs: none of them may
 * hold up the service (the descriptors that we are given are in blocking mode, and shared).
 */
#ifndef POSTERN_DAEMON_COMMON_NOWAIT_H
#define POSTERN_DAEMON_COMMON_NOWAIT_H

#include <stddef.h>
#include <sys/types.h>

/*
 * A descriptor of our own (CLOEXEC) for what `fd` refers to: where it can be had an open file
 * description of our own in non-blocking mode, else a duplicate. -1 on error.
 */
int nowait_open(int fd);

/* Writes as write(2) does, but fails with EAGAIN where it would wait. */
ssize_t nowait_write(int fd, const void *data, size_t len);

#endif
