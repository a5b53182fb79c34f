/*
 * child.h - the master's own processes, zygotes, signers and spawners: who still needs one, and
 * what becomes of one that doesn't answer any more.
 *
 * A process number is only ours to signal until it has been waited for, so an entry lives until
 * both that has happened and nobody holds it.
 */
#ifndef POSTERN_DAEMON_MASTER_CHILD_H
#define POSTERN_DAEMON_MASTER_CHILD_H

#include "ipc.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct child {
    struct child *next; /* in server->children */
    pid_t pid;
    size_t refs;
    bool stuck; /* it is killed when nobody holds it any more */
    bool reaped;
};

struct server;
struct state;

/* Takes note of a process that was just forked; the caller holds it. NULL if memory ran out. */
struct child *child_new(struct server *server, pid_t pid);

/*
 * Executes the program at `path` as `name`, with nothing but the standard descriptors (input and
 * output are /dev/null) and its end of a link, on descriptor 3. On success fills *link (owned by
 * the caller) and *child (held). Returns 0, or -1 with err.
 */
int child_execute(struct server *server, const char *path, const char *name, enum ipc_link kind,
                  struct ipc *link, struct child **child, struct err *err);

struct child *child_ref(struct child *child);

/* All of them, held by nobody yet (state.h); then each holder. */
void child_carry_all(struct state *state, struct server *server);
void child_carry(struct state *state, struct server *server, struct child **held);

/* Gives it back. One that is stuck is killed when the last holder does so; any other ends by its
 * closed link. `child` may be NULL. */
void child_release(struct server *server, struct child *child);

/* A process was waited for. */
void child_reaped(struct server *server, pid_t pid);

/* Kills all that have not been waited for; for the end of the server. */
void child_kill_all(struct server *server);

/* Forgets all of them; nobody holds one any more. */
void child_free_all(struct server *server);

#endif
