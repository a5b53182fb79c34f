/*
 * zygote.h - the process that sessions are forked from, as the master sees it.
 *
 * It is executed anew after ZYGOTE_CONNECTIONS_MAX connections, after a reload, and at once when a
 * session dies by a signal, so that nobody gets a second guess at one address-space layout.
 */
#ifndef POSTERN_DAEMON_MASTER_ZYGOTE_H
#define POSTERN_DAEMON_MASTER_ZYGOTE_H

#include "server.h"

struct state;

enum { ZYGOTE_CONNECTIONS_MAX = 400 };

/*
 * Executes a zygote with the settings of `generation`, whose signer is started if it has none; it
 * serves from when it is ready. One that is
 * still starting is given up for it, one that serves goes on until then. Returns 0, or -1 with err.
 */
int zygote_start(struct server *server, struct generation *generation, struct err *err);

/* As zygote_start() for the current generation; if it fails it is tried again, ever more slowly. */
void zygote_renew(struct server *server);

/* Has a session forked for connection number `conn`. Both descriptors stay the caller's. Returns 0,
 * or -1 with err. */
int zygote_ask_accept(struct zygote *zygote, uint64_t conn, int socket_fd, int link_fd,
                      struct err *err);

/* Who signs for the sessions that come from it; the zygote holds it. */
struct signer *zygote_signer(const struct zygote *zygote);

/* Zygotes that wait for a signer can go on; those that need it can't any more, and are replaced. */
void zygote_on_signer_ready(struct server *server, const struct signer *signer);
void zygote_on_signer_lost(struct server *server, const struct signer *signer, const char *why);

/* How many there are, by their states (enum metrics_zygote). */
void zygote_count(const struct server *server, uint64_t counts[METRICS_ZYGOTES]);

/* All of them but one that is still starting, which the next program starts itself (state.h). */
void zygote_carry_all(struct state *state, struct server *server);
/* None has been asked for a session and not answered. */
bool zygote_all_quiet(const struct server *server);

/* Closes the links of the serving and the starting zygote; their sessions live on. */
void zygote_stop_all(struct server *server);

#endif
