/*
 * share.h - the workspace that the execs of one connection share (workspace = connection).
 *
 * A spawner makes it along with the first exec that needs it. The master only keeps the descriptor
 * and sends it along with every later exec, whatever generation that belongs to; when it is closed
 * and the last exec has ended, the files are gone. Execs that come while it is being made wait, so
 * that a connection never has two.
 */
#ifndef POSTERN_DAEMON_MASTER_SHARE_H
#define POSTERN_DAEMON_MASTER_SHARE_H

#include "err.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct connection;
struct exec;
struct generation;
struct leaf;
struct server;
struct tenant;

/* Of a connection. */
struct share {
    int fd;                         /* -1: there is none yet */
    uid_t owner;                    /* whose files are in it */
    uint64_t maker;                 /* the exec that it is to be made with; 0: no exec */
    const struct generation *asked; /* whose spawner has that job; to be compared alone */
    struct leaf *hold;              /* keeps the tenant's cgroup while there are files, or NULL */
};

/*
 * Called when an exec of `tenant` is to be submitted. True if it must wait for
 * what is being made: it will be submitted again. Otherwise it has something to share, or is the
 * one that it will be made with, or needs nothing.
 */
bool share_must_wait(struct exec *exec, const struct tenant *tenant);

/* What is to be sent along with it (borrowed), or -1. */
int share_fd(const struct exec *exec);

/* The spawner has got the job of an exec. */
void share_on_sent(const struct exec *exec);

/* It has answered about that exec (NULL: it is gone): with what it made (taken over), or -1. */
void share_on_answer(struct server *server, const struct exec *exec, uint64_t number, int fd);

/* It won't answer any more. */
void share_on_spawner_gone(struct server *server, const struct generation *generation);

/* An exec leaves its connection. */
void share_on_exec_gone(const struct exec *exec);

/* The connection has ended. */
void share_end(struct connection *connection);

#endif
