/*
 * room.h - what keeps a command that the rules allow from starting now. Pure.
 */
#ifndef POSTERN_DAEMON_MASTER_ROOM_H
#define POSTERN_DAEMON_MASTER_ROOM_H

#include "policy.h"
#include "tenant_load.h"

/* X(enumerator, the audit's word) */
#define LIMITS(X)                                                                                  \
    X(LIMIT_NONE, NULL)                                                                            \
    X(LIMIT_MAX_EXECS, "max-execs")                                                                \
    X(LIMIT_RATE, "rate")                                                                          \
    X(LIMIT_QUEUE, "queue")                                                                        \
    X(LIMIT_MAX_CONNECTIONS, "max-connections")                                                    \
    X(LIMIT_SERVER, "server")                                                                      \
    X(LIMIT_AUDIT, "audit")                                                                        \
    X(LIMIT_RECORD, "record")                                                                      \
    X(LIMIT_STOPPING, "stopping")                                                                  \
    X(LIMIT_DRAINING, "draining")                                                                  \
    X(LIMIT_OPERATOR, "operator")

enum limit {
#define X(name, word) name,
    LIMITS(X)
#undef X
        LIMIT_COUNT
};

/* A limit that is reached. */
struct limit_hit {
    enum limit limit;
    uint64_t wait_ms; /* until it is worth to look again; 0: when a command has ended */
    char text[160];   /* which it is, for people */
};

/* NULL for LIMIT_NONE. */
const char *room_limit_word(enum limit limit);

/* Whether another command of the tenant may start now, with `n_running` of at most `max_running`
 * running on the whole server. `out->limit` is LIMIT_NONE if so. */
void room_for_exec(const struct tenant *tenant, struct tenant_load *load, size_t n_running,
                   size_t max_running, uint64_t now_ms, struct limit_hit *out);

/* Whether another connection of the tenant may stay. */
void room_for_connection(const struct tenant *tenant, const struct tenant_load *load,
                         struct limit_hit *out);

#endif
