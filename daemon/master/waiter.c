#include "waiter.h"

#include <stdlib.h>
#include <string.h>

size_t waiter_size(const struct msg_req_exec *req)
{
    return sizeof(struct waiter) + req->command.len + req->env_names.len + req->env_values.len +
           req->modes.len + strlen(req->term) + 1;
}

/* Returns the copy; *at goes on behind it. */
static unsigned char *copy_bytes(unsigned char **at, const void *data, size_t len)
{
    unsigned char *copy = *at;
    if (len > 0)
        memcpy(copy, data, len);
    *at += len;
    return copy;
}

struct waiter *waiter_new(const struct msg_req_exec *req)
{
    struct waiter *waiter = calloc(1, waiter_size(req));
    if (waiter == NULL)
        return NULL;
    unsigned char *at = waiter->data;
    waiter->req = *req;
    waiter->size = waiter_size(req);
    waiter->req.command.data = copy_bytes(&at, req->command.data, req->command.len);
    waiter->req.env_names.data =
        (const char *)copy_bytes(&at, req->env_names.data, req->env_names.len);
    waiter->req.env_values.data =
        (const char *)copy_bytes(&at, req->env_values.data, req->env_values.len);
    waiter->req.modes.data = copy_bytes(&at, req->modes.data, req->modes.len);
    waiter->req.term = (const char *)copy_bytes(&at, req->term, strlen(req->term) + 1);
    return waiter;
}

void waiter_link(struct server *server, struct waiter *waiter)
{
    waiter->prev = server->last_waiter;
    if (waiter->prev != NULL)
        waiter->prev->next = waiter;
    else
        server->waiters = waiter;
    server->last_waiter = waiter;
    server->waiting_bytes += waiter->size;
    waiter->load->waiting_bytes += waiter->size;
    waiter->next_of_connection = waiter->connection->waiters;
    waiter->connection->waiters = waiter;
    waiter->connection->n_waiting++;
}
