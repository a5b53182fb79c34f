/*
 * netns.h - network namespaces with nothing up, each for one job at a time, and when that has ended
 * for the next of the same user: to make one takes longer than all else of a sandbox.
 *
 * A job can change nothing in one, for which it would need CAP_NET_ADMIN, and its processes and
 * sockets are gone before its pid namespace can be waited for. Counters stay, which is why another
 * user gets another one.
 */
#ifndef POSTERN_SANDBOX_NETNS_H
#define POSTERN_SANDBOX_NETNS_H

#include "err.h"

#include <stddef.h>
#include <sys/types.h>

enum { NETNS_IDLE_MAX = 32 };

struct netns_pool {
    int names;   /* /proc/self/ns */
    int own;     /* the one that the process began in */
    int current; /* borrowed: the one that it is in */
    struct netns_idle {
        uid_t uid;
        int fd;
    } idle[NETNS_IDLE_MAX]; /* the longest unused first */
    size_t n_idle;
};

/* For a process that sees its /proc now; later it need not. Returns 0, or -1 with err. */
int netns_pool_open(struct netns_pool *pool, struct err *err);
void netns_pool_close(struct netns_pool *pool);

/* Takes the process into one for a job of `uid` that nobody else is in. *fd (CLOEXEC) is the
 * caller's, to be given back when the job's worker has been waited for, or closed. Returns 0, or -1
 * with err and the process where it was. */
int netns_enter(struct netns_pool *pool, uid_t uid, int *fd, struct err *err);
void netns_give_back(struct netns_pool *pool, uid_t uid, int fd);

/* Takes the process back into the one that it began in. Returns 0, or -1 with err. */
int netns_leave(struct netns_pool *pool, struct err *err);

#endif
