/*
 * note.h - lines for a client about a command that goes on, and for the log.
 */
#ifndef POSTERN_DAEMON_MASTER_NOTE_H
#define POSTERN_DAEMON_MASTER_NOTE_H

#include "exec.h"

/* The profile has refused the system call with this number. */
void note_syscall(struct exec *exec, int nr);

/* The client's own limit of memory is kept by less than a cgroup, if it is. */
void note_memory(const struct exec *exec);

/* The limit of tasks has kept it from starting more of them, if it has. */
void note_tasks(struct exec *exec);

#endif
