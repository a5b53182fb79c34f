/*
 * metrics_file.h - metrics as a file that a collector reads ([server] metrics-file): written anew
 * each metrics-interval, under another name, and renamed, so that nobody ever reads half of it.
 *
 * A thread writes it: a disk that hangs holds up nobody. While it does, and after a failure, which
 * is said on the log once, the file stays as it was; it is removed when the server stops, so that
 * what was true once is not taken for the present.
 */
#ifndef POSTERN_DAEMON_MASTER_METRICS_FILE_H
#define POSTERN_DAEMON_MASTER_METRICS_FILE_H

#include "server.h"

/* Begins, changes or ends the writing as the current generation's [server] says. A file that is not
 * to be written any more is removed. */
void metrics_file_apply(struct server *server);

/* Removes the file; at the end of the server. */
void metrics_file_stop(struct server *server);

/* For a re-execution: waits (as long as a write takes) for what is being written, and leaves the
 * file to the next image. */
void metrics_file_leave(struct server *server);

#endif
