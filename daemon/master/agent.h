/*
 * agent.h - what balancers ask besides whether somebody listens: HAProxy's agent-check. One line,
 * and the connection is closed.
 */
#ifndef POSTERN_DAEMON_MASTER_AGENT_H
#define POSTERN_DAEMON_MASTER_AGENT_H

#include "server.h"

struct state;

/* Listens where the configuration says, if it does; answers from agent_serve() on. Returns 0, or -1
 * with err (and a sysexits code). */
int agent_open(struct server *server, const struct server_config *config, struct err *err);
void agent_serve(struct server *server);
void agent_close(struct server *server);

/* True if `config` says what is open. */
bool agent_match(const struct server *server, const struct server_config *config);

/* For the next program (state.h). */
void agent_carry(struct state *state, struct server *server);

/* "up ready 87%\n": what a balancer is told. Returns buf. */
enum { AGENT_LINE_MAX = 32 };
const char *agent_line(const struct server *server, char buf[AGENT_LINE_MAX]);

#endif
