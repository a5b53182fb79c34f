/*
 * learn_peers.h - whom a command talks to, from its calls on sockets.
 */
#ifndef POSTERN_DAEMON_CLI_LEARN_PEERS_H
#define POSTERN_DAEMON_CLI_LEARN_PEERS_H

#include "learn_calls.h"
#include "learn_record.h"

#include <sys/types.h>

/* A call that has just ended, of a thread that is stopped. */
struct peer_call {
    pid_t tid, tgid;
    enum call_kind kind;
    const uint64_t *args;
    int64_t result;
    const char *who;
};

/*
 * Notes an internet address. Of a unix socket with a path this is returned, to be freed; NULL
 * otherwise.
 */
char *peers_note(struct seen *seen, const struct peer_call *call);

#endif
