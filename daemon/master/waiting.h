/*
 * waiting.h - commands that wait for their turn, within the tenant's `queue`: whose turn it is,
 * what their clients are told, and how the wait ends.
 *
 * What waits is only the request. It is judged by the policy of the moment in which it starts.
 */
#ifndef POSTERN_DAEMON_MASTER_WAITING_H
#define POSTERN_DAEMON_MASTER_WAITING_H

#include "admit.h"

struct state;

/*
 * Of a tenant's places no key, and of the server's memory no tenant, gets more than it leaves to
 * the others: so there is always some for the next one, whoever asks for how much.
 */
enum {
    WAITING_TENANT_MAX = 512,
    WAITING_CONNECTION_MAX = 64,
    WAITING_BYTES_MAX = 64 * 1024 * 1024, /* of memory, on the whole server */
};

/*
 * Has a copy of the asking wait because of `hit`, and tells the client its place. Returns 0; or -1
 * if it may not wait, and *hit says why then.
 */
int waiting_add(const struct asking *asking, const struct tenant *tenant, struct tenant_load *load,
                struct limit_hit *hit);

/* A place may have become free: looks at the tenant's queue in the loop's next turn. */
void waiting_wake(struct tenant_load *load);

/* Its client has sent it a signal: one that would end it now ends the wait. */
void waiting_on_signal(struct connection *connection, uint32_t channel, unsigned signo);

/* True if a command waits for this channel. */
bool waiting_has(const struct connection *connection, uint32_t channel);

/* The client has closed the channel: what waits for it is answered, as refused. */
void waiting_on_gone(struct connection *connection, uint32_t channel);

/* The same for all channels of a connection that has ended. */
void waiting_connection_gone(struct connection *connection);

/* One of those that wait, for people to look at. */
struct waiting_view {
    uint64_t number; /* later ones have greater numbers */
    const struct exec_record *record;
    struct exec_command command;
    size_t place; /* in its tenant's queue */
    uint64_t since_ms;
};

/* The first one with a greater number than `after`, searched from `hint` on (NULL: from the first),
 * which is one that this has returned while nothing has changed. NULL: there is none. */
const struct waiter *waiting_next(const struct server *server, const struct waiter *hint,
                                  uint64_t after, struct waiting_view *view);

/* All that waits, with its place and its time (state.h). */
void waiting_carry_all(struct state *state, struct server *server);

size_t waiting_count(const struct server *server);

/* Ends those that `matches`, for a reason of the operator's. Returns how many. */
size_t waiting_end(struct server *server,
                   bool (*matches)(const void *arg, const struct exec_record *record),
                   const void *arg, const char *why);

/* Judges everything that waits again: by a new policy, or to refuse it by a server that stops. */
void waiting_rejudge(struct server *server);

#endif
