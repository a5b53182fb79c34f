#include "startup.h"
#include "connection.h"
#include "gate.h"

enum { EVICT_MS = 2000 };

void startup_end(struct connection *connection)
{
    struct server *server = connection->server;
    if (!connection->starting_up)
        return;
    connection->starting_up = false;
    server->n_unauthenticated--;
    if (connection->from != NULL)
        connection->from->n_startups--;
    *(connection->older != NULL ? &connection->older->newer : &server->startups) =
        connection->newer;
    *(connection->newer != NULL ? &connection->newer->older : &server->last_startup) =
        connection->older;
}

void startup_begin(struct connection *connection)
{
    struct server *server = connection->server;
    connection->starting_up = true;
    connection->older = server->last_startup;
    *(connection->older != NULL ? &connection->older->newer : &server->startups) = connection;
    server->last_startup = connection;
    server->n_unauthenticated++;
    if (connection->from == NULL)
        return;
    connection->from->n_startups++;
    connection->regular = regular_is(&server->regulars, &connection->from->key, loop_now_ms());
}

void startup_succeed(struct connection *connection)
{
    startup_end(connection);
    if (connection->from != NULL)
        regular_add(&connection->server->regulars, &connection->from->key, loop_now_ms());
}

void startup_offend(struct connection *connection, enum offence offence)
{
    if (!connection->judged || offence == OFFENCE_CRASH)
        gate_offence(connection->server, (struct sockaddr *)&connection->peer, offence);
    connection->judged = true;
}

void startup_judge(struct connection *connection)
{
    if (connection->authenticated)
        return;
    if (connection->timed_out)
        startup_offend(connection, OFFENCE_GRACE);
    else if (connection->failures >= connection->max_auth_tries)
        startup_offend(connection, OFFENCE_TRIES);
    else if (connection->failures > 0)
        startup_offend(connection, OFFENCE_FAILED);
}

/* The oldest of the source that has the most; those of regulars last of all. */
static struct connection *find_victim(const struct server *server, bool silent, bool stranger,
                                      uint64_t age_ms)
{
    struct connection *victim = NULL;
    uint64_t most = 0;
    for (struct connection *c = server->startups; c != NULL; c = c->newer) {
        uint64_t n = c->from != NULL ? c->from->n_startups : 1;
        if (loop_now_ms() - c->started_ms < age_ms)
            break;
        if ((silent && c->user_known) || (stranger && c->regular))
            continue;
        if (!c->regular)
            n += UINT32_MAX;
        if (n > most) {
            victim = c;
            most = n;
        }
    }
    return victim;
}

bool startup_evict(struct server *server, bool silent)
{
    struct connection *victim = find_victim(server, silent, false, EVICT_MS);
    if (victim == NULL)
        return false;
    connection_end(victim, silent ? "gives way to a newer one: max-startups is near"
                                  : "gives way to a newer one: max-startups is reached");
    return true;
}

bool startup_evict_stranger(struct server *server)
{
    struct connection *victim = find_victim(server, false, true, 0);
    if (victim == NULL)
        return false;
    connection_end(victim, "gives way to one from where somebody has logged in: max-startups is "
                           "reached");
    return true;
}
