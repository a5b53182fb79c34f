/*
 * note.h - lines for a client about a command that goes on, and for the log.
 */
#ifndef POSTERN_DAEMON_MASTER_NOTE_H
#define POSTERN_DAEMON_MASTER_NOTE_H

#include "exec.h"

/* A line about it: "postern: note: TEXT [EXEC-ID]". */
void note_text(const struct exec *exec, const char *text);

/* The worker says that this system call was refused. */
void note_syscall(struct exec *exec, const struct refused_call *call);

/* So many more kinds of them were refused, and not told one by one. */
void note_untold(struct exec *exec, uint32_t untold);

/* The client's own limit of memory is kept by less than a cgroup, if it is. */
void note_memory(const struct exec *exec);

/* The limit of tasks has kept it from starting more of them, if it has; said once. */
void note_tasks(struct exec *exec);

/* The wall-time limit is near. */
void note_time_near(struct exec *exec);

#endif
