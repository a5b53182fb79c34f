/*
 * tenant_load.h - what each tenant has in use now, by its name: that outlives a reload, and it is
 * found at once however many tenants and execs there are. Pure but for the timer it holds.
 *
 * An entry exists while somebody holds it, and as long as its rate remembers a recent start.
 */
#ifndef POSTERN_DAEMON_MASTER_TENANT_LOAD_H
#define POSTERN_DAEMON_MASTER_TENANT_LOAD_H

#include "loop.h"
#include "queue.h"
#include "rate.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tenant_load {
    struct tenant_load *next; /* in its bucket */
    struct server *server;    /* for the owner of `look`; NULL until it sets it */
    size_t refs;
    bool gone;            /* the policy no longer knows the tenant */
    uint32_t connections; /* that are authenticated */
    uint32_t running;     /* execs */
    struct rate rate;
    struct queue queue;     /* execs that wait for their turn (waiting.h) */
    size_t waiting_bytes;   /* memory that they take */
    struct loop_timer look; /* when to look at the queue again */
    char name[];
};

/* Empty when zeroed. */
struct tenant_loads {
    struct tenant_load **buckets;
    size_t n_buckets; /* a power of two */
    size_t n;
};

/* The entry of a tenant, made if there is none; the caller holds it. NULL if memory ran out. */
struct tenant_load *tenant_load_hold(struct tenant_loads *loads, const char *name);

/* Another one holds it too. */
struct tenant_load *tenant_load_ref(struct tenant_load *load);

/* Gives it back; one that nobody holds is freed if there is nothing to remember. `load` may be
 * NULL. */
void tenant_load_release(struct tenant_loads *loads, struct tenant_load *load, uint64_t now_ms);

/* After a reload: frees what nobody holds, but for the rates of tenants that `exists` knows. */
void tenant_loads_sweep(struct tenant_loads *loads, bool (*exists)(const void *user, const char *),
                        const void *user, uint64_t now_ms);

struct state;

/*
 * What is remembered of each (state.h); what it has in use is restored with what uses it, which
 * must have been done before.
 */
void tenant_loads_carry(struct state *state, struct tenant_loads *loads, uint64_t now_ms);

/* Who holds an entry, or NULL; `server` is for its owner, as in struct tenant_load. */
void tenant_load_carry(struct state *state, struct server *server, struct tenant_loads *loads,
                       struct tenant_load **held);

/* Frees everything; nothing is held any more. */
void tenant_loads_free(struct tenant_loads *loads);

#endif
