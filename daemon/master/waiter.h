/*
 * waiter.h - one command that waits for its turn; for waiting.c and its parts alone.
 */
#ifndef POSTERN_DAEMON_MASTER_WAITER_H
#define POSTERN_DAEMON_MASTER_WAITER_H

#include "waiting.h"

struct waiter {
    struct queue_item item;
    struct waiter *prev, *next; /* in server->waiters, in the order in which they asked */
    uint64_t number;            /* of that order */
    struct connection *connection;
    struct waiter *next_of_connection; /* in connection->waiters */
    struct tenant_load *load;          /* held; its queue has the item */
    struct loop_timer deadline;
    uint64_t until_ms;
    struct told told;
    struct exec_record record;
    uint64_t since_ms;
    struct msg_req_exec req; /* points into `data` */
    size_t size;             /* of all this */
    unsigned char data[];
};

/* Bytes of memory that it takes to have this request wait. */
size_t waiter_size(const struct msg_req_exec *req);

/* One with a copy of the request and of all that this points to, to be freed by free(3). NULL if
 * memory ran out. */
struct waiter *waiter_new(const struct msg_req_exec *req);

/* Puts it behind all others of the server, and to its connection and its tenant's load, which it
 * must have. */
void waiter_link(struct server *server, struct waiter *waiter);

/* It has waited as long as it may. */
void waiter_on_deadline(struct loop_timer *timer);

#endif
