#include "gate.h"
#include "address.h"
#include "connection.h"
#include "generation.h"
#include "log.h"
#include "startup.h"

#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

static const struct server_config *config_of(const struct server *server)
{
    return &server->current->policy->server;
}

static bool find_source(const struct server *server, const struct sockaddr *peer,
                        struct source_key *key)
{
    const struct server_config *config = config_of(server);
    const struct source_prefixes prefixes = {config->source_ipv4, config->source_ipv6};
    return source_key_of(peer, &prefixes, key);
}

bool gate_is_exempt(const struct server *server, const struct sockaddr *peer)
{
    unsigned char addr[SOURCE_LEN];
    if (!source_address(peer, addr))
        return false;
    const struct address_rule *rule = address_list_match(&config_of(server)->source_exempt, addr);
    return rule != NULL && !rule->negated;
}

struct source *gate_hold_source(struct server *server, const struct sockaddr *peer)
{
    struct source_key key;
    return find_source(server, peer, &key) ? source_hold(&server->sources, &key) : NULL;
}

/* The next one of a burst is dropped the more likely the fewer places are left. */
static bool is_dropped_early(const struct server_config *config, size_t n)
{
    uint32_t dice;
    if (getrandom(&dice, sizeof dice, 0) != (ssize_t)sizeof dice)
        return true;
    uint64_t span = config->max_startups - config->startups_begin;
    uint64_t over = n - config->startups_begin;
    uint64_t percent = config->startups_percent;
    if (span > 0)
        percent += (100 - percent) * over / span;
    return dice % 100 < percent;
}

/* Whether there is a place among those that have not logged in. */
static const struct gate_refusal *startup_refusal(struct server *server, bool exempt, bool regular)
{
    static const struct gate_refusal full = {REFUSED_STARTUPS, "max-startups is reached",
                                             "the server is busy; try again later"};
    static const struct gate_refusal early = {REFUSED_EARLY,
                                              "dropped at random, as max-startups is near",
                                              "the server is busy; try again later"};
    const struct server_config *config = config_of(server);
    size_t n = server->n_unauthenticated;
    if (n >= config->max_startups)
        return startup_evict(server, false) || (regular && startup_evict_stranger(server)) ? NULL
                                                                                           : &full;
    if (exempt || regular || n < config->startups_begin || startup_evict(server, true))
        return NULL;
    return is_dropped_early(config, n) ? &early : NULL;
}

static const struct gate_refusal *source_refusal(struct server *server, const struct sockaddr *peer)
{
    static const struct gate_refusal penalised = {REFUSED_PENALTY, "its source is penalised",
                                                  "your address has to wait; try again later"};
    static const struct gate_refusal startups = {
        REFUSED_SOURCE_STARTUPS, "max-startups-per-source is reached",
        "too many connections from your address that did not log in; try again later"};
    static const struct gate_refusal connections = {REFUSED_SOURCE_CONNECTIONS,
                                                    "max-connections-per-source is reached",
                                                    "too many connections from your address"};
    const struct server_config *config = config_of(server);
    struct source_key key;
    if (!find_source(server, peer, &key))
        return NULL;
    if (penalty_applies(&server->penalties, &key, loop_now_ms()))
        return &penalised;
    const struct source *source = source_find(&server->sources, &key);
    if (source == NULL)
        return NULL;
    if (source->n_startups >= config->max_startups_source)
        return &startups;
    return source->n_connections >= config->max_connections_source ? &connections : NULL;
}

static const struct gate_refusal *judge(struct server *server, const struct client *client)
{
    static const struct gate_refusal full = {REFUSED_CONNECTIONS, "max-connections is reached",
                                             "the server is full"};
    bool exempt = client->is_balancer || gate_is_exempt(server, client->peer);
    const struct gate_refusal *refusal = NULL;
    if (server->n_connections >= config_of(server)->max_connections)
        return &full;
    if (!exempt)
        refusal = source_refusal(server, client->peer);
    if (refusal != NULL)
        return refusal;
    struct source_key key;
    bool regular = find_source(server, client->peer, &key) &&
                   regular_is(&server->regulars, &key, loop_now_ms());
    return startup_refusal(server, exempt, regular);
}

/* A line before the version string (RFC 4253 §4.2), if it can be sent without waiting. */
static void tell_client(int fd, const char *why)
{
    char line[160], waste[1024];
    int n = snprintf(line, sizeof line, "postern: %s\r\n", why);
    if (n > 0 && (size_t)n < sizeof line)
        (void)send(fd, line, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL);
    (void)shutdown(fd, SHUT_WR);
    /* What has come and is not read would take the line back when the socket is closed. */
    (void)recv(fd, waste, sizeof waste, MSG_DONTWAIT);
}

void gate_log_refusal(struct server *server, const struct sockaddr *peer,
                      enum refused_reason reason, const char *why)
{
    uint64_t second = loop_now_ms() / 1000;
    char host[IPC_HOST_MAX];
    server->metrics.counters.refused[reason]++;
    server->n_refusals++;
    if (second == server->refusal_second)
        return;
    if (getnameinfo(peer, sizeof(struct sockaddr_storage), host, sizeof host, NULL, 0,
                    NI_NUMERICHOST) != 0)
        (void)snprintf(host, sizeof host, "?");
    log_line(LOG_LEVEL_WARNING,
             "connection from %s refused: %s (%u refused since the last such line)", host, why,
             server->n_refusals);
    server->refusal_second = second;
    server->n_refusals = 0;
}

void gate_refuse(struct server *server, int socket_fd, const struct sockaddr *peer,
                 const struct gate_refusal *refusal)
{
    gate_log_refusal(server, peer, refusal->reason, refusal->log);
    tell_client(socket_fd, refusal->client);
}

bool gate_admits(struct server *server, int socket_fd, const struct client *client)
{
    const struct gate_refusal *refusal = judge(server, client);
    if (refusal == NULL)
        return true;
    gate_refuse(server, socket_fd, client->peer, refusal);
    return false;
}

void gate_offence(struct server *server, const struct sockaddr *peer, enum offence offence)
{
    struct source_key key;
    char source[SOURCE_TEXT_MAX];
    if (server->stopping || gate_is_exempt(server, peer) || !find_source(server, peer, &key))
        return;
    uint64_t length = penalty_add(&server->penalties, &key, offence, loop_now_ms());
    server->metrics.counters.offences[offence]++;
    server->metrics.counters.penalties += length > 0;
    if (length > 0)
        log_line(LOG_LEVEL_WARNING, "%s is not served for %lu s: %s", source_format(&key, source),
                 (unsigned long)(length / 1000), offence_name(offence));
}
