/*
 * drain.h - a server that finishes what it has and takes no new commands.
 *
 * What runs and what waits for its turn was accepted and goes on. Connections are still served, so
 * that clients hear why: their new commands are refused with a line. With a notice, that begins
 * later: until then balancers that ask are told already (agent.h), so that whoever comes, or is
 * just logging in, is still served.
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
    bool noticing;  /* commands are still taken, for so long as `notice` is armed */
    time_t since;
    time_t refuses_from; /* when the notice is over, or was */
    struct loop_timer timer;
    struct loop_timer notice;
    struct loop_timer farewell; /* between the last command's end and that of the server */
};

/* Begins, or changes what comes then. A notice of 0 ms is none, or is over at once. */
void drain_begin(struct server *server, uint64_t notice_ms, bool then_stop);
void drain_end(struct server *server);

/* Whether new commands are refused for it. */
bool drain_refuses(const struct server *server);

/* Whether nothing runs, or waits to, or may still come. */
bool drain_is_idle(const struct server *server);

/* Something has ended. Safe everywhere: what comes of it happens in the loop's next turn. */
void drain_check(struct server *server);

/* For a server that ends. */
void drain_forget(struct server *server);

/* For the next program (state.h). */
void drain_carry(struct state *state, struct server *server);

#endif
