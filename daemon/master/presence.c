#include "presence.h"
#include "admit.h"
#include "broker.h"
#include "generation.h"
#include "log.h"
#include "terminate.h"
#include "waiting.h"

#include <stdio.h>
#include <string.h>

enum {
    LOST_MS = 8000, /* for execs to end and their clients to hear of it */
    /* A client that reads our disconnect before it has looked at the exit status reports the
     * former: it gets the time to hang up by itself. */
    FAREWELL_MS = 1000,
};

/* Counts it for this tenant and no other; NULL: for none. */
static void count_for(struct connection *connection, const char *tenant)
{
    struct server *server = connection->server;
    struct tenant_load *old = connection->load;
    /* Without memory it goes uncounted: it has its login all the same. */
    connection->load = tenant != NULL ? tenant_load_hold(&server->loads, tenant) : NULL;
    if (tenant != NULL)
        (void)snprintf(connection->tenant, sizeof connection->tenant, "%s", tenant);
    if (connection->load != NULL) {
        connection->load->server = server;
        connection->load->connections++;
    }
    if (old != NULL)
        old->connections--;
    tenant_load_release(&server->loads, old, loop_now_ms());
}

static void lose(struct connection *connection, enum limit limit, const char *why)
{
    connection->lost = true;
    connection->lost_limit = limit;
    (void)snprintf(connection->end_reason, sizeof connection->end_reason, "%s", why);
    log_line(LOG_LEVEL_INFO, "connection %s from %s port %u is closed: %s", connection->id,
             connection->peer_host, connection->peer_port, why);
}

void presence_begin(struct connection *connection, const struct tenant *tenant)
{
    struct limit_hit hit = {.limit = LIMIT_NONE};
    struct tenant_load *load = tenant_load_hold(&connection->server->loads, tenant->name);
    if (load != NULL)
        room_for_connection(tenant, load, &hit);
    if (hit.limit == LIMIT_NONE) {
        count_for(connection, tenant->name);
    } else {
        (void)snprintf(connection->tenant, sizeof connection->tenant, "%s", tenant->name);
        lose(connection, hit.limit, hit.text);
        connection_close(connection,
                         tenant->explain == EXPLAIN_NONE ? "too many connections" : hit.text);
    }
    tenant_load_release(&connection->server->loads, load, loop_now_ms());
}

void presence_end(struct connection *connection)
{
    count_for(connection, NULL);
}

void presence_on_lost(struct loop_timer *timer)
{
    struct connection *connection = CONTAINER_OF(timer, struct connection, timer);
    connection_close(connection, connection->end_reason);
}

static void show_out(struct connection *connection, const char *why,
                     void (*terminate)(struct exec *exec, const char *why))
{
    struct server *server = connection->server;
    lose(connection, LIMIT_NONE, why);
    count_for(connection, NULL);
    for (struct exec *exec = connection->execs; exec != NULL; exec = exec->next_of_connection)
        terminate(exec, why);
    if (connection->execs == NULL && connection->n_waiting == 0)
        connection_close(connection, why);
    else
        (void)loop_arm(server->loop, &connection->timer,
                       connection->execs != NULL ? LOST_MS : FAREWELL_MS, presence_on_lost);
}

bool presence_end_for_operator(struct connection *connection, const char *why)
{
    if (connection->closing || connection->lost)
        return false;
    if (connection->authenticated)
        show_out(connection, why, terminate_for_operator);
    else
        connection_close(connection, why);
    return true;
}

void presence_exec_gone(struct connection *connection)
{
    if (connection->lost && !connection->closing && connection->execs == NULL)
        (void)loop_arm(connection->server->loop, &connection->timer, FAREWELL_MS, presence_on_lost);
}

static void judge(struct connection *connection)
{
    struct login_request who = broker_who_is(connection);
    struct login login;
    char why[256];
    if (!connection->authenticated || connection->closing || connection->lost)
        return;
    decide_login(&who, &login);
    if (!login.accepted) {
        admit_describe_login(connection, &login, why, sizeof why);
        show_out(connection, why, terminate_for_login);
    } else if (connection->load != NULL &&
               strcmp(connection->load->name, login.tenant->name) != 0) {
        log_line(LOG_LEVEL_INFO, "connection %s belongs to tenant %s now", connection->id,
                 login.tenant->name);
        count_for(connection, login.tenant->name);
    }
}

static bool has_tenant(const void *policy, const char *name)
{
    return policy_find_tenant(policy, name) != NULL;
}

void presence_rejudge(struct server *server)
{
    for (struct connection *c = server->connections; c != NULL; c = c->next)
        judge(c);
    waiting_rejudge(server);
    tenant_loads_sweep(&server->loads, has_tenant, server->current->policy, loop_now_ms());
    metrics_sweep(&server->metrics, has_tenant, server->current->policy);
}
