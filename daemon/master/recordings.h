/*
 * recordings.h - what commands print, kept in files (postern.ini(5), `recordings`).
 *
 * The master makes the file and writes its first line, which no session can forge; the session gets
 * the descriptor with the exec and writes the rest (session/recording.h). The file is locked as
 * long as anybody has it open for writing, by flock(2) on what they share. The master keeps no
 * descriptor of it: what must survive is exec->recorded and connection->record_max, and the
 * directory is opened with the generation, like its audit trail; recordings_watch() is to be called
 * whenever a generation becomes current, and begins anew with what it finds.
 */
#ifndef POSTERN_DAEMON_MASTER_RECORDINGS_H
#define POSTERN_DAEMON_MASTER_RECORDINGS_H

#include "exec.h"

/* The directory, made if it has to be; *fd is -1 if nobody is recorded. -1 with err and a sysexits
 * code. */
int recordings_open(const struct policy *policy, int *fd, struct err *err);

/* What is known of a command that is about to start. */
struct recording_start {
    const struct connection *connection;
    const struct exec_record *record;
    const struct msg_req_exec *req;
    const struct decision *decision;
};

/* What its session gets. */
struct recording_grant {
    int fd;        /* to write to; -1: it isn't recorded */
    uint64_t room; /* bytes that may be written */
};

/* Makes the file. Returns 0 and the caller owns grant->fd, or -1 with err: then there is none. */
int recordings_begin(const struct recording_start *start, struct recording_grant *grant,
                     struct err *err);

/* The exec could not be started after all: takes the file away. */
void recordings_cancel(const struct recording_start *start);

/* The exec and its session have ended; RECORDED_NOT where it wasn't recorded. */
enum recorded recordings_end(struct exec *exec);

/* From now on the current generation's bounds are kept. */
void recordings_watch(struct server *server);
/* Nothing is watched any more. */
void recordings_stop(struct server *server);

#endif
