/*
 * drain.h - a server that finishes what it has and takes no new commands.
 *
 * What runs and what waits for its turn was accepted and goes on. Connections are still served, so
 * that clients hear why: their new commands are refused with a line.
 *
 * It survives a re-execution, but no restart.
 */
#ifndef POSTERN_DAEMON_MASTER_DRAIN_H
#define POSTERN_DAEMON_MASTER_DRAIN_H

#include "loop.h"

#include <time.h>

struct server;
struct state;

struct drain {
    bool active;
    bool then_stop; /* when nothing runs any more, the server ends */
    time_t since;
    struct loop_timer timer;
};

/* Begins, or changes what comes then. */
void drain_begin(struct server *server, bool then_stop);
void drain_end(struct server *server);

/* Whether nothing runs, or waits to. */
bool drain_is_idle(const struct server *server);

/* Something has ended. Safe everywhere: what comes of it happens in the loop's next turn. */
void drain_check(struct server *server);

/* For the next program (state.h). */
void drain_carry(struct state *state, struct drain *drain);

#endif
