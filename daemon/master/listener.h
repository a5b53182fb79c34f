/*
 * listener.h - the listening sockets: literal IPv4 and IPv6 addresses of [server] listen =, and
 * what systemd has opened.
 */
#ifndef POSTERN_DAEMON_MASTER_LISTENER_H
#define POSTERN_DAEMON_MASTER_LISTENER_H

#include "json.h"
#include "server.h"

struct state;

/*
 * Binds every address; connections queue in the kernel until listeners_resume(). A socket that
 * systemd passes (activation.h) serves the 'listen =' with its address, or, without any, all of
 * them stand for the defaults. Returns 0, or -1 with err (EX_UNAVAILABLE: address in use;
 * EX_CONFIG: a passed socket can't be used, or is not named).
 */
int listeners_open(struct server *server, const struct server_config *config, struct err *err);
void listeners_close(struct server *server);

/* All of them, as they are; restored they are paused (state.h). */
void listeners_carry(struct state *state, struct server *server);

/* Says on the log what is listened on, with the ports that the kernel chose. */
void listeners_announce(const struct server *server);

/* Stop and go on accepting; both are idempotent and safe before listeners_open(). */
void listeners_pause(struct server *server);
void listeners_resume(struct server *server);

/* The same as a member "listen", an array. */
void listeners_put(const struct server *server, struct json *json);

/* True if `config` listens on what is open now. */
bool listeners_match(const struct server *server, const struct server_config *config);

#endif
