/*
 * hostkey_file.h - which files a server takes its host keys from: those that nobody else can read
 * or could have written.
 */
#ifndef POSTERN_DAEMON_HOSTKEY_FILE_H
#define POSTERN_DAEMON_HOSTKEY_FILE_H

#include "err.h"

/* Opens one for reading. Returns 0 and owns *fd (CLOEXEC), or -1 with err, which says what to do
 * and has a sysexits code. Safe in threads. */
int hostkey_file_open(const char *path, int *fd, struct err *err);

/* That there is none at all. Returns -1 with err, as above. */
int hostkey_file_none(struct err *err);

#endif
